#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start threads and may panic"
)]

use super::*;
use proptest::prelude::*;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

const OK: &[u8] = b"OK 0123456789abcdef0123456789abcdef\r\n";

const PING: Method<'static> = Method {
    to: "org.example.Name",
    path: "/",
    interface: "org.freedesktop.DBus.Peer",
    method: "Ping",
    signature: "",
    starts: false,
};

/// A socket whose other end reads what a client says first and then does what it is told to do.
fn peer(serve: impl FnOnce(&mut UnixStream) + Send + 'static) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("private");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        hear(&mut stream);
        serve(&mut stream);
        // Until the client is gone.
        while stream.read(&mut [0; 512]).is_ok_and(|read| read > 0) {}
    });
    (dir, path)
}

/// Reads once: what a client says, or a call of its own.
fn hear(stream: &mut UnixStream) {
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
}

/// A message of a kind with header fields, each with its code and a value of 4 bytes or a string.
fn message(kind: u8, fields: &[(u8, char, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, signature, value) in fields {
        pad(&mut bytes, 8);
        bytes.extend([*code, 1, *signature as u8, 0]);
        match signature {
            'u' => bytes.extend(value.parse::<u32>().unwrap().to_le_bytes()),
            'g' => {
                bytes.push(value.len() as u8);
                bytes.extend(value.as_bytes());
                bytes.push(0);
            }
            _ => string(&mut bytes, value),
        }
    }
    let mut message = vec![b'l', kind, 0, 1];
    for number in [body.len() as u32, 7, bytes.len() as u32] {
        message.extend(number.to_le_bytes());
    }
    message.extend(bytes);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    string(&mut bytes, value);
    bytes
}

fn job_removed(number: u32) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    for value in [&*format!("/org/freedesktop/systemd1/job/{number}"), "sbx-1.scope", "done"] {
        string(&mut body, value);
    }
    message(4, &[(1, 'o', "/org/freedesktop/systemd1"), (3, 's', "JobRemoved"), (8, 'g', "uoss")], &body)
}

#[test]
fn an_answer_is_found_among_signals_that_come_with_it() {
    let (_dir, path) = peer(|stream| {
        // A signal right behind the greeting, and one between the call and its answer.
        stream.write_all(&[OK, &job_removed(1)].concat()).unwrap();
        hear(stream);
        let other = message(2, &[(5, 'u', "9")], &text("another's"));
        let answer = message(2, &[(8, 'g', "s"), (7, 's', ":1.2"), (5, 'u', "1")], &text("pong"));
        stream.write_all(&[other, job_removed(2), answer].concat()).unwrap();
        hear(stream);
        let error = [(4, 's', "org.example.Error"), (5, 'u', "2")];
        stream.write_all(&message(3, &error, &text("no such thing"))).unwrap();
    });
    let mut bus = connect_directly(&path, LONG).unwrap();
    assert_eq!(bus.call_with(&PING, &Body::default()), Ok("pong".into()));
    let job = |number| vec![format!("/org/freedesktop/systemd1/job/{number}"), "sbx-1.scope".into(), "done".into()];
    assert_eq!(strings(&bus.signal("JobRemoved").unwrap(), 4), job(1));
    assert_eq!(strings(&bus.signal("JobRemoved").unwrap(), 4), job(2));
    let answer = bus.call_with(&PING, &Body::default());
    assert_eq!(answer, Err("org.example.Error: no such thing".into()));
}

/// Hundreds of starts at once have the manager send thousands of signals to each of them.
#[test]
fn an_answer_is_found_behind_thousands_of_signals() {
    let (_dir, path) = peer(|stream| {
        stream.write_all(OK).unwrap();
        hear(stream);
        for number in 0..5_000 {
            stream.write_all(&job_removed(number)).unwrap();
        }
        stream.write_all(&message(2, &[(5, 'u', "1")], &text("pong"))).unwrap();
    });
    let mut bus = connect_directly(&path, LONG).unwrap();
    assert_eq!(bus.call_with(&PING, &Body::default()), Ok("pong".into()));
}

/// What a call to a peer gives, and how long it took.
fn asked(patience: Duration, serve: impl FnOnce(&mut UnixStream) + Send + 'static) -> (String, Duration) {
    let (_dir, path) = peer(serve);
    let began = Instant::now();
    let answer = connect_directly(&path, patience).and_then(|mut bus| bus.call_with(&PING, &Body::default()));
    (answer.unwrap_err(), began.elapsed())
}

#[test]
fn who_hangs_up_is_not_waited_for() {
    for said in [&b""[..], b"OK", OK] {
        let (error, took) = asked(LONG, move |stream| {
            stream.write_all(said).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        });
        assert!(
            error.starts_with("connection reset by peer") && took < Duration::from_secs(10),
            "{said:?}: {error}, {took:?}"
        );
    }
}

#[test]
fn who_says_nothing_or_too_little_in_time_is_given_up() {
    let patience = Duration::from_millis(300);
    let silent: [fn(&mut UnixStream); 3] = [
        |_| {},
        |stream| stream.write_all(OK).unwrap(),
        // Each byte comes soon enough, all of them do not.
        |stream| {
            stream.write_all(OK).unwrap();
            for byte in job_removed(1) {
                std::thread::sleep(Duration::from_millis(20));
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
            }
        },
    ];
    for serve in silent {
        let (error, took) = asked(patience, serve);
        assert!(error.contains("ETIMEDOUT") && took >= patience && took < patience * 10, "{error}, {took:?}");
    }
}

#[test]
fn what_cannot_be_an_answer_is_an_error() {
    let refused = asked(LONG, |stream| stream.write_all(b"REJECTED EXTERNAL\r\n").unwrap()).0;
    assert_eq!(refused, "it rejects the authentication");
    for line in [&b"OK \xff\n"[..], &[b'x'; 5_000]] {
        let error = asked(LONG, move |stream| stream.write_all(line).unwrap()).0;
        assert_eq!(error, "it does not answer the authentication");
    }
    // Of another order of bytes, and longer than is read.
    let mut foreign = message(2, &[(5, 'u', "1")], b"");
    foreign[0] = b'B';
    let mut long = message(2, &[(5, 'u', "1")], b"");
    long[4..8].fill(0xff);
    let mut fields = long.clone();
    fields[12..16].fill(0xff);
    for message in [foreign, long, fields] {
        let error = asked(LONG, move |stream| stream.write_all(&[OK, &message].concat()).unwrap()).0;
        assert!(error.starts_with("protocol error"), "{error}");
    }
}

#[test]
fn signals_that_nobody_takes_are_kept_within_bounds() {
    let (error, _) = asked(LONG, |stream| {
        let signal = message(4, &[(3, 's', "Other")], &vec![0; LONGEST / 2]);
        stream.write_all(OK).unwrap();
        while stream.write_all(&signal).is_ok() {}
    });
    assert!(error.starts_with("protocol error"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..200_usize) {
        let _ = (Fields::of(&bytes), first_string(&bytes), strings(&bytes, 4));
        // And those that look like a message's, with some wrong.
        let mut valid = message(4, &[(1, 'o', "/a"), (3, 's', "Member"), (4, 's', "e"), (8, 'g', "uoss"), (5, 'u', "3")], b"");
        bytes.truncate(8);
        let at = 16 + at % (valid.len() - 16 - bytes.len());
        valid[at..at + bytes.len()].copy_from_slice(&bytes);
        let _ = Fields::of(&valid[16..]);
    }
}
