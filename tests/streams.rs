//! Files that the caller hands over as standard streams: what was opened for reading stays as it is, and reading works
//! as without a sandbox.

mod common;

use common::{Place, Ran, landlock, ran, tools, userns};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;

/// Tries each way to change a file by the number of its descriptor, and prints what worked.
const CHANGE: &str = r#"
for way in '<>' '>>' '>'; do eval "echo x $way /proc/self/fd/$1" 2>/dev/null && echo "opened by $way"; done
chmod 4777 /proc/self/fd/$1 2>/dev/null && echo chmod
chmod 0666 /proc/self/fd/$1 2>/dev/null && echo chmod
touch -d 2001-01-01 /proc/self/fd/$1 2>/dev/null && echo touch
cat <&$1
"#;

fn with_input(place: &Place, flags: &[&str], input: &File, script: &str) -> Ran {
    let mut command = place.command();
    command.args(flags).args(["--", "/bin/sh", "-c", script, "sh", "0"]).stdin(input.try_clone().unwrap());
    ran(command.output().unwrap())
}

#[test]
fn a_file_that_is_standard_input_cannot_be_changed() {
    need!(userns());
    let place = Place::new();
    let path = place.write("home/list", "one\ntwo\n");
    let before = std::fs::metadata(&path).unwrap();
    for flags in [
        &[][..],
        &["--profile", "ci"],
        &["--profile", "shell", "-q"],
        &["--as-pid-1"],
        &["--set", "security.landlock=off"],
        &["--set", "security.setuid_bits=allow", "--set", "security.seccomp=off", "--set", "security.landlock=off"],
    ] {
        let tried = with_input(&place, flags, &File::open(&path).unwrap(), CHANGE);
        assert_eq!(tried.ok(), "one\ntwo\n", "{flags:?}");
    }
    let mut command = place.command();
    command.args(["--keep-fd", "7", "--", "/bin/sh", "-c", CHANGE, "sh", "7"]);
    let file = File::open(&path).unwrap();
    common::pass(&mut command, &file, 7);
    assert_eq!(ran(command.output().unwrap()).ok(), "one\ntwo\n");
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!((after.permissions(), after.modified().unwrap()), (before.permissions(), before.modified().unwrap()));
}

#[test]
fn reading_goes_on_where_the_caller_was_and_the_caller_where_the_program_was() {
    need!(userns());
    let place = Place::new();
    let path = place.write("home/list", "one\ntwo\nthree\nfour\n");
    let mut file = File::open(&path).unwrap();
    file.seek(SeekFrom::Start(4)).unwrap();
    assert_eq!(with_input(&place, &[], &file, "read a; echo $a").ok(), "two\n");
    assert_eq!(file.stream_position().unwrap(), 8, "a shell reads a line, and goes back to its end");
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "three\nfour\n");
    // A loop reads the list, and so may the programs in it.
    let sbx = common::sbx().display().to_string();
    let list = path.display();
    let script = format!("while read a; do {sbx} -- sh -c 'read b; echo {{}}-$b'; echo $a; done < {list}");
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", &script]).current_dir(place.work()).env("HOME", place.home());
    assert_eq!(ran(command.output().unwrap()).ok(), "{}-two\none\n{}-four\nthree\n");
}

#[test]
fn a_file_without_a_name_and_one_that_nobody_may_change_are_handed_over_as_they_are() {
    need!(userns());
    let place = Place::new();
    let path = place.write("home/gone", "here\n");
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(with_input(&place, &[], &file, "cat").ok(), "here\n");
    let passwd = File::open("/etc/passwd").unwrap();
    assert!(with_input(&place, &[], &passwd, "cat").ok().contains("root:"));
    // Renamed while it is open, and read by whom its directory is closed to.
    let path = place.write("home/closed/file", "text\n");
    let file = File::open(&path).unwrap();
    std::fs::rename(&path, place.home().join("closed/other")).unwrap();
    assert_eq!(with_input(&place, &[], &file, "cat").ok(), "text\n");
    // The name of what is open is longer than a path may be.
    let script = "d=$(printf %0250d 0); for i in $(seq 17); do mkdir $d && cd -P $d || exit; done
        echo deep > file; exec 3<file; cd /; exec \"$0\" -- cat <&3";
    let mut command = std::process::Command::new("/bin/bash");
    command.args(["-c", script]).arg(common::sbx()).current_dir(place.home());
    let refused = ran(command.env("HOME", place.home()).output().unwrap()).failed(125);
    assert!(refused.contains("standard input is the file") && refused.contains("| sbx"), "{refused}");
}

/// A file in memory, as other processes may have it open, and one whose name is gone.
const UNNAMED: &str = r#"
import os, subprocess, sys
sbx, kind, *flags = sys.argv[1:]
if kind == "memory": fd = os.memfd_create("x")
else:
    fd = os.open("gone", os.O_RDWR | os.O_CREAT)
    os.unlink("gone")
os.write(fd, b"one\ntwo\n")
reader = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
script = "read a; echo $a; for w in '<>' '>>'; do eval \"echo HACKED 1$w /proc/self/fd/0\" 2>/dev/null; done; true"
subprocess.run([sbx, *flags, "--", "sh", "-c", script], stdin=reader, check=True)
print(os.pread(fd, 99, 0), os.lseek(reader, 0, os.SEEK_CUR), flush=True)
"#;

#[test]
fn a_file_without_a_name_that_was_opened_for_reading_stays_as_it_is() {
    need!(userns(), common::tools(&["python3"]));
    let place = Place::new();
    for kind in ["memory", "unlinked"] {
        for flags in [&[][..], &["--set", "namespaces.nested=allow"]] {
            let mut command = std::process::Command::new("python3");
            command.args(["-c", UNNAMED]).arg(common::sbx()).arg(kind).arg("-q").args(flags);
            let out = ran(command.current_dir(place.work()).env("HOME", place.home()).output().unwrap()).ok();
            assert_eq!(out, "one\nb'one\\ntwo\\n' 4\n", "{kind} {flags:?}");
        }
    }
    let large = place.write("work/large", "");
    let file = OpenOptions::new().read(true).open(&large).unwrap();
    OpenOptions::new().write(true).open(&large).unwrap().set_len(1 << 40).unwrap();
    std::fs::remove_file(&large).unwrap();
    let refused = with_input(&place, &[], &file, "true").failed(125);
    assert!(refused.contains("too large to be copied") && refused.contains("pipe"), "{refused}");
}

#[test]
fn the_permissions_of_a_fifo_that_is_handed_over_are_put_back() {
    need!(userns());
    let place = Place::new();
    let path = place.work().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg("-m").arg("600").arg(&path).status().unwrap().success());
    let fifo = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let said = with_input(&place, &[], &fifo, "chmod 0777 /proc/self/fd/0");
    assert!(said.err.contains("they are 0700 now") || said.err.contains("they are 0600 now"), "{said:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
}

/// A file of this kind that was opened with O_PATH.
fn unopened(place: &Place, kind: &str) -> (std::path::PathBuf, File) {
    let path = place.dir.path().join(kind);
    match kind {
        "fifo" => assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success()),
        "socket" => drop(std::os::unix::net::UnixListener::bind(&path).unwrap()),
        "link" => std::os::unix::fs::symlink("file", &path).unwrap(),
        _ => std::fs::write(&path, "content").unwrap(),
    }
    if kind != "link" {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(&path).unwrap();
    (path, file)
}

#[test]
fn what_was_opened_for_nothing_is_no_standard_stream() {
    need!(userns());
    let place = Place::new();
    for kind in ["file", "fifo", "socket", "link"] {
        let (path, file) = unopened(&place, kind);
        for flags in [&[][..], &["--set", "namespaces.nested=allow"]] {
            let refused = with_input(&place, flags, &file, "chmod 0666 /proc/self/fd/0").failed(125);
            assert!(refused.contains("standard stream 0 was opened with O_PATH"), "{kind}: {refused}");
        }
        let mut command = place.command();
        let ran = ran(command.args(["--", "/bin/chmod", "666", "/proc/self/fd/1"]).stdout(file).output().unwrap());
        assert!(ran.failed(125).contains("standard stream 1 was opened with O_PATH"), "{kind}");
        assert_eq!(
            std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o066,
            if kind == "link" { 0o066 } else { 0 }
        );
    }
}

/// Tries to change the file that descriptor 7 was opened for with O_PATH.
const REOPEN: &str = r#"
import os
def tried(name, call):
    try: call()
    except OSError as error: print(name, error.errno, flush=True)
    else: print(name, "worked", flush=True)
path = "/proc/self/fd/7"
tried("chmod", lambda: os.chmod(path, 0o666))
tried("chown", lambda: os.chown(path, os.getuid(), os.getgid()))
tried("utime", lambda: os.utime(path, (1, 1)))
tried("setxattr", lambda: os.setxattr(path, "user.x", b"y"))
tried("write", lambda: os.write(os.open(path, os.O_WRONLY), b"EVIL"))
"#;

#[test]
fn a_file_that_is_kept_and_was_opened_for_nothing_cannot_be_changed() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    for (kind, attempts) in [("file", 5), ("fifo", 4), ("socket", 4)] {
        let (path, file) = unopened(&place, kind);
        let script: Vec<&str> = REOPEN.lines().collect();
        // Whoever has a pipe or a socket may use it; opening one for writing would wait for a reader.
        let script = script[..script.len() - (5 - attempts)].join("\n");
        for flags in [&[][..], &["--set", "namespaces.nested=allow"]] {
            let mut command = place.command();
            command.args(flags).args(["-q", "--keep-fd", "7", "--", "/usr/bin/python3", "-c", &script]);
            common::pass(&mut command, &file, 7);
            let out = ran(command.output().unwrap()).ok();
            assert_eq!(out.lines().count(), attempts, "{kind}: {out}");
            assert!(!out.contains("worked"), "{kind} {flags:?}: {out}");
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{kind}");
    }
    assert_eq!(std::fs::read_to_string(place.dir.path().join("file")).unwrap(), "content");
}

#[test]
fn a_fifo_whose_writer_has_gone_is_read_to_its_end() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let path = place.work().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg("-m").arg("600").arg(&path).status().unwrap().success());
    let script = "import os, select\n\
        poll = select.poll(); poll.register(0, select.POLLIN)\n\
        while poll.poll(10000):\n\
        \x20 piece = os.read(0, 99); print(piece, flush=True)\n\
        \x20 if not piece: break\n\
        os.chmod('/proc/self/fd/0', 0o666)";
    for flags in [&[][..], &["--set", "namespaces.nested=allow"]] {
        let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        std::fs::write(&path, "hi\n").unwrap();
        let mut command = place.command();
        command.args(["--timeout", "30s"]).args(flags).args(["--", "/usr/bin/python3", "-c", script]).stdin(reader);
        let said = ran(command.output().unwrap());
        assert_eq!(said.out, "b'hi\\n'\nb''\n", "{flags:?}: {said:?}");
        assert!(said.err.contains("they are 0600 now"), "{flags:?}: {said:?}");
    }
}

#[test]
fn a_directory_is_no_standard_stream() {
    let place = Place::new();
    let dir = File::open(place.home()).unwrap();
    assert!(with_input(&place, &[], &dir, "true").failed(125).contains("standard input is a directory"));
    // What its help says works, since it was asked for.
    let script = "cat 2>&1; test -d /proc/self/fd/0 && echo there";
    assert_eq!(with_input(&place, &["--keep-fd", "0"], &dir, script).ok(), "cat: -: Is a directory\nthere\n");
}

/// A program that connects its standard input to another address, and prints what it is told there.
const ELSEWHERE: &str = r#"
import ctypes, socket, sys
s = socket.socket(fileno=0)
ctypes.CDLL(None).connect(0, bytes(16), 16)
s.connect(("127.0.0.1", int(sys.argv[1])))
if s.type == socket.SOCK_DGRAM: s.send(b"hello")
print(s.recv(99).decode())
"#;

/// A socket belongs to the network that it was made in, whatever network its holder is in.
#[test]
fn a_socket_of_the_hosts_network_is_no_standard_stream_of_a_sandbox_with_another_one() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let ports = [tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port()];
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let _ = stream.unwrap().write_all(b"the host");
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, from)) = udp.recv_from(&mut [0; 9]) {
            let _ = udp.send_to(b"the host", from);
        }
    });
    type Made = fn(u16) -> OwnedFd;
    let of: [(&str, Made, u16); 4] = [
        ("a connection", |port| TcpStream::connect(("127.0.0.1", port)).unwrap().into(), ports[0]),
        ("a listener", |_| TcpListener::bind("127.0.0.1:0").unwrap().into(), ports[0]),
        ("datagrams", |_| UdpSocket::bind("127.0.0.1:0").unwrap().into(), ports[1]),
        ("datagrams of unix(7)", |_| UnixDatagram::unbound().unwrap().into(), ports[1]),
    ];
    for (what, made, port) in of {
        let run = |flags: &[&str]| {
            let mut command = place.command();
            command.args(flags).args(["--", "python3", "-c", ELSEWHERE, &port.to_string()]);
            ran(command.stdin(made(ports[0])).output().unwrap())
        };
        for net in ["none", "private"] {
            let said = run(&["--net", net]);
            assert!(
                said.err.contains("standard input is a socket of a network that is not the sandbox's"),
                "{what}: {said:?}"
            );
            assert!(said.err.contains("on purpose: --keep-fd 0") && said.status == Some(125), "{what}: {said:?}");
        }
        if what != "datagrams of unix(7)" {
            // The way to get it, which says so.
            for flags in [&["--net", "host", "--tty", "none"][..], &["--keep-fd", "0"]] {
                let said = run(flags);
                assert_eq!(said.out, "the host\n", "{what} {flags:?}: {said:?}");
                assert_eq!(
                    said.err.contains("--keep-fd 0 hands over a socket of another network"),
                    flags.len() == 2,
                    "{said:?}"
                );
            }
        }
        let mut command = place.command();
        command.args(["--net", "none", "--", "true"]).stdout(made(ports[0])).stderr(Stdio::piped());
        let said = command.spawn().unwrap().wait_with_output().unwrap();
        let err = String::from_utf8(said.stderr).unwrap();
        assert!(err.contains("standard output is a socket of a network that is not the sandbox's"), "{what}: {err}");
    }
    // A receipt says what the grant takes away.
    let mut command = place.command();
    command.args(["-q", "--keep-fd", "7", "--receipt", "r.json", "--", "true"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    common::pass(&mut command, &socket, 7);
    ran(command.output().unwrap()).ok();
    let receipt = std::fs::read_to_string(place.work().join("r.json")).unwrap();
    assert!(receipt.contains("--keep-fd 7 hands over a socket"), "{receipt}");
}

/// A connection of unix(7) leads to whom it is connected and to nobody else.
#[test]
fn a_connection_of_unix_sockets_is_a_standard_stream() {
    need!(userns());
    let place = Place::new();
    for net in ["none", "private"] {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = place.command();
        command.args(["-q", "--net", net, "--", "cat"]).stdin(OwnedFd::from(theirs.try_clone().unwrap()));
        let child = command.stdout(OwnedFd::from(theirs)).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        ours.write_all(b"hello").unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        let mut told = String::new();
        ours.read_to_string(&mut told).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success() && told == "hello", "{net}: {ended:?} {told}");
    }
}

#[test]
fn a_file_that_is_standard_output_is_written_and_not_opened_to_others() {
    need!(userns());
    let place = Place::new();
    let path = place.dir.path().join("log");
    std::fs::write(&path, "OLD\n").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let log = || OpenOptions::new().append(true).open(&path).unwrap();
    let run = |flags: &[&str], script: &str| {
        let mut command = place.command();
        command.args(flags).args(["--", "/bin/sh", "-c", script]).stdout(log());
        ran(command.output().unwrap())
    };
    run(&[], "echo new; echo more > /dev/stdout; chmod 666 /proc/self/fd/1").ok();
    let read = || std::fs::read_to_string(&path).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    assert!(read().ends_with("more\n"), "{}", read());
    assert_eq!(mode(), 0o640);
    let said = run(&[], "chmod 662 /proc/self/fd/1; chmod 600 /proc/self/fd/1; chmod 602 /proc/self/fd/1");
    assert!(said.err.contains("permissions of") && said.err.contains("0602; they are 0600 now"), "{said:#?}");
    assert_eq!(mode(), 0o600);
    if available!(landlock(3)) {
        let said = run(&[], "head -c 3 < /proc/self/fd/1 >&2");
        assert!(said.err.contains("Permission denied"), "what was in the log is not shown: {said:#?}");
    }
    let mut both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    both.write_all(b"both\n").unwrap();
    both.rewind().unwrap();
    assert!(with_input(&place, &[], &both, "cat; echo x >&0").ok().starts_with("both\n"));
}

/// A program that gives a file an access control list, as the kernel stores it: it can name the ids that are mapped.
const LIST: &str = r#"python3 -c 'import os, struct
entries = [(1, 6, -1), (2, 6, os.getuid()), (4, 4, -1), (16, 6, -1), (32, 0, -1)]
os.setxattr(1, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries))'"#;

#[test]
fn an_access_control_list_on_standard_output_is_taken_back() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let path = place.dir.path().join("log");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let run = |script: &str| {
        let mut command = place.command();
        let log = OpenOptions::new().append(true).open(&path).unwrap();
        ran(command.args(["--", "/bin/sh", "-c", script]).stdout(log).output().unwrap())
    };
    let has = || {
        std::process::Command::new("python3")
            .args(["-c", "import os, sys; sys.exit(not os.listxattr(sys.argv[1]))"])
            .arg(&path)
            .status()
            .unwrap()
            .success()
    };
    let ran = run(LIST);
    assert!(
        ran.err.contains("changed the access control list of /") && ran.err.contains("with the permissions 0600"),
        "{ran:?}"
    );
    assert!(!has(), "{ran:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    // One that was there before stays.
    let own = std::process::Command::new("setfacl").args(["-m", "u:65534:r"]).arg(&path).status();
    if own.is_ok_and(|status| status.success()) {
        let ran = run("echo fine");
        assert!(ran.err.is_empty() && has(), "{ran:?}");
        assert!(run(&format!("{LIST}; chmod 600 /proc/self/fd/1")).err.contains("access control list"));
        assert!(has());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600, "what is stricter stays");
    }
}

#[test]
fn a_pipe_with_a_name_is_not_opened_to_others() {
    need!(userns());
    let place = Place::new();
    let path = place.dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
    let pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut command = place.command();
    let ran = ran(command.args(["--", "/bin/chmod", "666", "/proc/self/fd/1"]).stdout(pipe).output().unwrap());
    assert!(ran.err.contains("they are 0600 now"), "{ran:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn descriptors_that_arguments_name_are_told_with_the_flag_that_hands_them_over() {
    need!(userns(), tools(&["bash"]));
    let place = Place::new();
    let bash = |script: &str| {
        let mut command = std::process::Command::new("bash");
        command.args(["-c", script]).current_dir(place.work()).env_clear().env("HOME", place.home());
        ran(command.env("PATH", "/usr/bin:/bin").env("SBX", common::sbx()).output().unwrap())
    };
    let told = |script: &str| {
        let run = bash(script);
        let note = run.err.lines().find(|line| line.contains("of the caller's, which the program does not get"));
        note.map(|note| note.split_once("get: ").unwrap().1.split_once(" hands").unwrap().0.to_owned())
    };
    let flags = told("$SBX -- cat <(echo one)").expect("a note");
    assert_eq!(bash(&format!("$SBX {flags} -- cat <(echo one)")).ok(), "one\n");
    let flags = told("$SBX -- diff <(echo one) <(echo one)").expect("a note");
    assert_eq!(flags.matches("--keep-fd").count(), 2, "{flags}");
    bash(&format!("$SBX {flags} -- diff <(echo one) <(echo one)")).ok();
    assert!(told("$SBX -- echo --file=/proc/self/fd/9 9</dev/null").is_some_and(|flags| flags == "--keep-fd 9"));
    for quiet in ["$SBX -- echo /dev/fd/9", "$SBX -- cat /dev/fd/0 </dev/null", "$SBX -- echo a/dev/fd/x 9</dev/null"] {
        assert_eq!(told(quiet), None, "{quiet}");
    }
}

#[test]
fn help_that_cannot_be_written_is_an_error_that_says_so() {
    let place = Place::new();
    for args in [&["--help"][..], &["-h"], &["--version"], &["plan", "--help"], &["profile", "list"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let err = ran(place.command().args(args).stdout(full).output().unwrap()).failed(125);
        assert!(err.contains("cannot write to standard output: no space left on device"), "{args:?}: {err}");
    }
    for args in ["--help", "--version"] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let err = ran(common::bwrap::command(&place, &[args]).stdout(full).output().unwrap()).failed(1);
        assert!(err.contains("no space left on device"), "{args}: {err}");
    }
}
