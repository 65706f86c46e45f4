//! What a program in the background writes, as messages of systemd's journal, by its native protocol: a datagram for each line, of fields as podman's
//! and conmon's are (systemd.journal-fields(7), <https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
//!
//! The journal takes some messages at a time. Whoever writes more waits for it, but only for a moment: one that takes none loses what comes until it
//! does, and that is counted.

use super::log::{LONGEST, Stream};
use super::{Id, Line};
use crate::error::{Error, Result};
use crate::sys::{self, Errno, Poll};
use serde_json::Value;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the journal takes messages.
const SOCKET: &str = "/run/systemd/journal/socket";

/// How long it is waited for in each second, in all.
const PATIENCE: Duration = Duration::from_millis(200);

/// The field of the message that says that there is no more; its value is the id.
pub const END: &str = "SBX_END";

/// Whether there is a journal.
///
/// # Errors
///
/// There is none.
pub fn journal_is_there() -> Result<()> {
    connect(Path::new(SOCKET)).map(drop).map_err(|errno| {
        Error::new(format!("--log-driver journald: there is no journal here: {SOCKET}: {errno}"))
            .hint("--log-driver file keeps what the program writes in a file of sbx's own; `sbx logs` shows it")
    })
}

/// Sends messages to the journal.
#[derive(Debug)]
pub struct Journald {
    socket: Option<UnixDatagram>,
    id: Id,
    name: String,
    /// It has taken nothing of what came last.
    stuck: bool,
    /// It is waited for no more.
    hurries: bool,
    /// When the second began in which it was waited for so long.
    second: Instant,
    waited: Duration,
    /// How many bytes it has not taken since the last that it took, and in all.
    untold: u64,
    lost: u64,
}

impl Journald {
    /// The journal of this machine, for what the program of this sandbox writes.
    pub(super) fn new(id: &Id) -> Journald {
        Journald::with(None, id.clone(), id.short().to_owned())
    }

    fn with(socket: Option<UnixDatagram>, id: Id, name: String) -> Journald {
        Journald {
            socket,
            id,
            name,
            stuck: false,
            hurries: false,
            second: Instant::now(),
            waited: Duration::ZERO,
            untold: 0,
            lost: 0,
        }
    }

    /// Says what the sandbox is called.
    pub(super) fn name(&mut self, name: String) {
        self.name = name;
    }

    /// Waits for it no more.
    pub(super) fn hurry(&mut self) {
        self.hurries = true;
    }

    /// Sends what has come from a stream. What the journal does not take in time is lost, and counted.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let end = self.end_of_patience();
        let (mut any, mut all) = (false, self.tell_lost(end));
        for whole in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, ends) = whole.strip_suffix(b"\n").map_or((whole, false), |line| (line, true));
            let mut pieces = line.chunks(LONGEST).peekable();
            // An empty line is a message, too.
            let mut next = Some(pieces.next().unwrap_or_default());
            while let Some(part) = next {
                next = pieces.next();
                let ends = ends && next.is_none();
                all = all && self.send(&self.message(stream, part, ends), end).is_ok();
                any |= all;
                if !all {
                    let bytes = part.len() as u64 + u64::from(ends);
                    self.untold = self.untold.saturating_add(bytes);
                    self.lost = self.lost.saturating_add(bytes);
                }
            }
        }
        self.stuck = !any;
    }

    fn end_of_patience(&mut self) -> Instant {
        let now = Instant::now();
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.waited) = (now, Duration::ZERO);
        }
        let left = PATIENCE.saturating_sub(self.waited);
        now + if self.stuck || self.hurries { Duration::ZERO } else { left }
    }

    /// Says what was lost, before anything else that it takes. Gives whether nothing has to be said any more.
    fn tell_lost(&mut self, end: Instant) -> bool {
        if self.untold > 0 {
            let lost =
                format!("sbx: {} bytes of the output are lost, since the journal did not take them", self.untold);
            if self.send(&self.message(Stream::Err, lost.as_bytes(), true), end).is_ok() {
                self.untold = 0;
            }
        }
        self.untold == 0
    }

    /// How many bytes the journal has not taken.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Says that the program has ended, for those who follow.
    pub(super) fn end(&mut self) {
        let end = self.end_of_patience();
        self.tell_lost(end);
        let mut message = self.message(Stream::Err, b"sbx: the program has ended", true);
        field(&mut message, END, self.id.as_str().as_bytes());
        // Those who follow wait for a moment where nobody takes it.
        let _ = self.send(&message, end);
    }

    fn message(&self, stream: Stream, part: &[u8], ends: bool) -> Vec<u8> {
        let mut message = Vec::with_capacity(part.len() + 512);
        field(&mut message, "MESSAGE", part);
        // LOG_INFO and LOG_ERR of syslog(3).
        field(&mut message, "PRIORITY", if stream == Stream::Out { b"6" } else { b"3" });
        field(&mut message, "CONTAINER_ID_FULL", self.id.as_str().as_bytes());
        field(&mut message, "CONTAINER_ID", self.id.short().as_bytes());
        field(&mut message, "CONTAINER_NAME", self.name.as_bytes());
        field(&mut message, "SYSLOG_IDENTIFIER", self.name.as_bytes());
        if !ends {
            field(&mut message, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        message
    }

    /// Sends a message. A journal that was started anew is connected to anew.
    fn send(&mut self, message: &[u8], end: Instant) -> sys::Result<()> {
        let mut sent = Err(Errno(libc::ENOTCONN));
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = connect(Path::new(SOCKET)).ok();
            }
            let Some(socket) = &self.socket else { break };
            sent = send_until(socket, message, end, &mut self.waited);
            if !matches!(sent, Err(Errno(libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOTCONN | libc::EPIPE))) {
                break;
            }
            self.socket = None;
        }
        sent
    }
}

fn connect(path: &Path) -> sys::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sends a datagram; EAGAIN if it is not taken until then. Adds how long was waited.
fn send_until(socket: &UnixDatagram, message: &[u8], end: Instant, waited: &mut Duration) -> sys::Result<()> {
    loop {
        match socket.send(message).map_err(Errno::from) {
            Err(Errno(libc::EINTR)) => {}
            Err(Errno(libc::EAGAIN)) => {
                let now = Instant::now();
                let left = end.saturating_duration_since(now);
                if left.is_zero() {
                    return Err(Errno(libc::EAGAIN));
                }
                let mut set = [Poll { write: true, ..Poll::end(socket.as_raw_fd()) }];
                let polled = sys::poll(&mut set, i32::try_from(left.as_millis() + 1).ok());
                *waited += now.elapsed();
                polled?;
            }
            sent => return sent.map(drop),
        }
    }
}

/// Appends a field, whose value may be any bytes.
fn field(message: &mut Vec<u8>, name: &str, value: &[u8]) {
    message.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        message.push(b'\n');
        message.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        message.push(b'=');
    }
    message.extend_from_slice(value);
    message.push(b'\n');
}

/// A message, as `journalctl --output json --all` prints it.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it stands in the journal.
    pub cursor: String,
    /// When the journal took it, in nanoseconds since 1970.
    pub time: u64,
    /// What it says.
    pub said: Said,
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A line as that of a log file.
    Line(Vec<u8>),
    /// The program has ended.
    End,
}

/// Reads a line of `journalctl --output json --all`; none if it is no message of a program's.
pub fn message(line: &[u8]) -> Option<Message> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let cursor = value.get("__CURSOR")?.as_str()?.to_owned();
    let micros: u64 = value.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
    let time = micros.checked_mul(1000)?;
    if value.get(END).is_some() {
        return Some(Message { cursor, time, said: Said::End });
    }
    let text = bytes(value.get("MESSAGE")?)?;
    let stream = if value.get("PRIORITY").and_then(Value::as_str) == Some("3") { Stream::Err } else { Stream::Out };
    let ends = value.get("CONTAINER_PARTIAL_MESSAGE").is_none();
    let line = Line::written(Duration::from_nanos(time), stream, &text, ends);
    Some(Message { cursor, time, said: Said::Line(line) })
}

/// The bytes of a field: a text, or a list of numbers where that would not be one.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(all) => all.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journald(socket: UnixDatagram) -> Journald {
        socket.set_nonblocking(true).unwrap();
        Journald::with(Some(socket), Id::parse(&"a".repeat(64)).unwrap(), "web".to_owned())
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = vec![0; 1 << 16];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn each_line_is_a_message_with_the_fields_that_podman_sends() {
        let (journal, ours) = UnixDatagram::pair().unwrap();
        let mut journald = journald(ours);
        journald.write(Stream::Out, b"one\npart");
        journald.write(Stream::Err, b"\n");
        let id = "a".repeat(64);
        let rest =
            format!("CONTAINER_ID_FULL={id}\nCONTAINER_ID={}\nCONTAINER_NAME=web\nSYSLOG_IDENTIFIER=web\n", &id[..12]);
        assert_eq!(received(&journal), format!("MESSAGE=one\nPRIORITY=6\n{rest}"));
        assert_eq!(received(&journal), format!("MESSAGE=part\nPRIORITY=6\n{rest}CONTAINER_PARTIAL_MESSAGE=true\n"));
        assert_eq!(received(&journal), format!("MESSAGE=\nPRIORITY=3\n{rest}"));
        journald.end();
        assert!(received(&journal).contains(&format!("\n{END}={id}\n")));
        let mut message = Vec::new();
        field(&mut message, "X", b"a\nb");
        assert_eq!(message, b"X\n\x03\0\0\0\0\0\0\0a\nb\n");
    }

    #[test]
    fn a_journal_that_takes_nothing_loses_what_comes_and_is_told_how_much() {
        let (journal, ours) = UnixDatagram::pair().unwrap();
        let mut journald = journald(ours);
        while journald.untold == 0 {
            journald.write(Stream::Out, b"12345\n");
        }
        journald.write(Stream::Out, b"67\n");
        assert_eq!((journald.untold, journald.lost), (9, 9));
        journal.set_nonblocking(true).unwrap();
        while journal.recv(&mut [0; 1 << 12]).is_ok() {}
        journal.set_nonblocking(false).unwrap();
        journald.write(Stream::Out, b"again\n");
        assert!(received(&journal).starts_with("MESSAGE=sbx: 9 bytes of the output are lost"));
        assert!(received(&journal).starts_with("MESSAGE=again\n"));
        assert_eq!((journald.untold, journald.lost()), (0, 9));
    }

    #[test]
    fn all_that_comes_at_once_is_waited_for_no_longer_than_one_line() {
        let (journal, ours) = UnixDatagram::pair().unwrap();
        let mut journald = journald(ours);
        // It would be minutes if each line, or each write, were waited for.
        let (many, begun) = (b"\n".repeat(2000), Instant::now());
        journald.write(Stream::Out, &many);
        assert!(begun.elapsed() < 100 * PATIENCE && !journald.waited.is_zero());
        (journald.second, journald.waited) = (Instant::now(), PATIENCE);
        assert!(journald.end_of_patience() <= Instant::now());
        let taken = 2000 - journald.lost;
        assert!(!journald.stuck && (1..2000).contains(&taken), "{taken}");
        // All behind the first that was not taken is lost, so that what is told stands at its place.
        for _ in 0..taken {
            assert!(received(&journal).starts_with("MESSAGE=\n"));
        }
        journal.set_nonblocking(true).unwrap();
        assert!(journal.recv(&mut [0]).is_err());
        journal.set_nonblocking(false).unwrap();
        journald.end();
        assert!(received(&journal).starts_with(&format!("MESSAGE=sbx: {} bytes", 2000 - taken)));
        assert!(received(&journal).contains(END));
        journald.write(Stream::Out, &many);
        journald.write(Stream::Out, b"x");
        assert!(journald.stuck);
    }

    #[test]
    fn what_journalctl_prints_is_read_as_a_log_is() {
        let line = |text: &str| match message(text.as_bytes()) {
            Some(Message { said: Said::Line(line), time: 1_500_000_000, .. }) => {
                String::from_utf8_lossy(&line).into_owned()
            }
            other => format!("{other:?}"),
        };
        let place = "\"__REALTIME_TIMESTAMP\":\"1500000\",\"__CURSOR\":\"c\"";
        let first = format!("{{\"MESSAGE\":\"x\",\"PRIORITY\":\"6\",{place}}}");
        assert_eq!(line(&first), "1970-01-01T00:00:01.500000000Z stdout F x");
        let partial =
            format!("{{\"MESSAGE\":[27,91],\"PRIORITY\":\"3\",\"CONTAINER_PARTIAL_MESSAGE\":\"true\",{place}}}");
        assert_eq!(line(&partial), "1970-01-01T00:00:01.500000000Z stderr P \u{1b}[");
        let end = message(format!("{{\"MESSAGE\":\"x\",\"{END}\":\"a\",{place}}}").as_bytes());
        assert_eq!(end, Some(Message { cursor: "c".to_owned(), time: 1_500_000_000, said: Said::End }));
        for none in ["", "{}", "[]", "{\"MESSAGE\":null}", "{\"MESSAGE\":[300]}", "{\"MESSAGE\":\"x\"}"] {
            assert_eq!(message(none.as_bytes()), None, "{none}");
            let none = none.replace('}', &format!(",{place}}}")).replace("{,", "{");
            assert!(none.contains("\"x\"") || message(none.as_bytes()).is_none(), "{none}");
        }
    }
}
