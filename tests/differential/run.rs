//! One start of one launcher: hands it the descriptors, lets the probe report, looks at it from outside, and waits.

use super::common::process::descendants;
use super::common::until_within;
use super::descriptors::{Descriptors, memfd};
use super::fixture::Fixture;
use super::grammar::{Case, Command, End, Signals, What, flat};
use super::outside::{numbers_named, outside};
use super::probe::{DONE, MARK};
use super::report::Report;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Directories of the host that the probe does not walk.
const HOST: [&str; 18] = [
    "/", "/usr", "/etc", "/dev", "/sys", "/proc", "/tmp", "/var", "/var/tmp", "/run", "/home", "/mnt", "/opt", "/srv",
    "/root", "/boot", "/media", "/usr/bin",
];

/// The variables that every launcher starts with, besides HOME.
const ENVIRONMENT: [(&str, &str); 5] =
    [("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("EMPTY", ""), ("GONE", "1"), ("SP ACE", "a b")];

/// Runs the list and reports. The fixture is as new afterwards.
pub fn run(program: &Path, case: &Case, fixture: &Fixture) -> Report {
    let mut descriptors = Descriptors::open(case, fixture);
    let (ours, stdout) = std::os::unix::net::UnixStream::pair().unwrap();
    let (stdin, go) = std::io::pipe().unwrap();
    let mut stderr = memfd(c"stderr");
    let names = [(stdin.as_raw_fd(), "input"), (stdout.as_raw_fd(), "output"), (stderr.as_raw_fd(), "errors")];
    for (fd, name) in names {
        descriptors.name(&fd, name.to_owned());
    }
    // SAFETY: a plain option of a socket. From now on what arrives says who sent it.
    unsafe {
        let on: libc::c_int = 1;
        let size = size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(ours.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, (&raw const on).cast(), size);
    }
    let mut command = command(program, case, fixture);
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(OwnedFd::from(stdout)));
    command.stderr(Stdio::from(OwnedFd::from(stderr.try_clone().unwrap())));
    let pairs: Vec<(RawFd, RawFd)> =
        descriptors.launcher.iter().map(|(fd, number)| (fd.as_raw_fd(), *number)).collect();
    let (umask, signals) = (case.umask, case.signals);
    // SAFETY: between fork and exec only system calls on integers.
    unsafe { command.pre_exec(move || prepared(&pairs, umask, signals)) };
    let mut child = command.spawn().unwrap();
    drop(command);
    descriptors.launcher.clear();

    let mut report = Report::default();
    let lock = fixture.tree().join("lock");
    let mut written: BTreeMap<RawFd, String> = BTreeMap::new();
    if let Some(maps) = descriptors.maps.take() {
        let told = case.given().into_iter().rev().find(|given| matches!(given.what, What::Written));
        if let Some(given) = told {
            written.insert(given.number, map(maps, &descriptors.here[&given.number]));
        }
    }
    let (text, sender) = received(ours.as_raw_fd());
    let probed = text.ends_with(&format!("{DONE}\n"));
    report.started = probed;
    if probed {
        for line in text.lines().filter(|line| *line != DONE) {
            let (section, line) = line.split_once('\t').unwrap_or(("output", line));
            report.add(section, line.to_owned());
        }
        outside(&mut report, sender, child.id(), &descriptors.names, fixture);
        for given in case.given().into_iter().filter(|given| matches!(given.what, What::Written)) {
            let text = available(&descriptors.here[&given.number], Duration::ZERO).0;
            let text = written.remove(&given.number).unwrap_or_default() + &text;
            written.insert(given.number, numbers_named(&text, sender));
        }
        if case.has("--lock-file") {
            report.add("lock", format!("taken {}", becomes(true, &lock)));
        }
    } else {
        text.lines().for_each(|line| report.add("output", line.to_owned()));
    }
    drop(go);
    let status = waited(&mut child, sender);
    report.ended = status;
    if case.has("--lock-file") {
        report.add("lock", format!("free {}", becomes(false, &lock)));
    }
    for given in case.given() {
        let Some(file) = descriptors.here.get(&given.number) else { continue };
        let (text, closed) = available(file, Duration::from_secs(1));
        let text = written.remove(&given.number).unwrap_or_default() + &numbers_named(&text, sender);
        let text = if probed { text } else { digits_hidden(&text) };
        report.add("descriptors", format!("written to {}, closed {closed}: {text:?}", given.number));
    }
    stderr.rewind().unwrap();
    let mut errors = Vec::new();
    stderr.read_to_end(&mut errors).unwrap();
    let errors = String::from_utf8_lossy(&errors).replace(program.to_str().unwrap(), "bwrap");
    report.errors = errors.lines().map(str::to_owned).collect();
    for line in fixture.changes() {
        report.add("host's files", line);
    }
    report
}

fn command(program: &Path, case: &Case, fixture: &Fixture) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.env_clear().envs(ENVIRONMENT).env("HOME", fixture.fill(case.home));
    command.current_dir(fixture.fill(case.cwd));
    command.args(flat(&case.groups).iter().map(|word| fixture.fill(word)));
    match case.command {
        Command::Probe(name, dashes, end) => {
            if dashes {
                command.arg("--");
            }
            let end = match end {
                End::Exit(number) => format!("exit:{number}"),
                End::Signal(number) => format!("signal:{number}"),
            };
            let ids = |path: &Path| {
                std::fs::metadata(path).map(|meta| format!("{}:{},", meta.dev(), meta.ino())).unwrap_or_default()
            };
            let unwalked: String = HOST.iter().map(|path| ids(Path::new(path))).collect();
            command.args([fixture.fill(name), MARK.to_owned(), end, unwalked]);
            let paths = case.texts().into_iter().filter(|text| !text.starts_with('-') && text.contains('/'));
            command.args(paths.map(|text| fixture.fill(&text)));
        }
        Command::Other(name) => {
            command.arg(fixture.fill(name));
        }
        Command::Nothing => {}
    }
    command
}

/// What happens in the child before it becomes the launcher.
fn prepared(pairs: &[(RawFd, RawFd)], umask: u32, signals: Signals) -> std::io::Result<()> {
    // SAFETY: plain integers, and a set that is initialised.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        for (fd, number) in pairs {
            if libc::dup2(*fd, *number) < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        libc::umask(umask);
        match signals {
            Signals::Plain => {}
            Signals::Ignored(list) => list.iter().for_each(|signal| {
                libc::signal(*signal, libc::SIG_IGN);
            }),
            Signals::Blocked(list) => {
                let mut set: libc::sigset_t = std::mem::zeroed();
                list.iter().for_each(|signal| {
                    libc::sigaddset(&raw mut set, *signal);
                });
                libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            }
        }
    }
    Ok(())
}

/// Whether there is something to read, or an end, before the time is over.
fn ready(fd: RawFd, time: Duration) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, as said.
    unsafe { libc::poll(&raw mut poll, 1, time.as_millis() as i32) > 0 }
}

/// Writes the id maps of the process that the launcher tells, and then a byte; gives what was told.
fn map(mut ready: File, info: &File) -> String {
    let mut text = String::new();
    let start = Instant::now();
    while !text.contains('}') && start.elapsed() < PATIENCE {
        let (more, ended) = available(info, Duration::from_millis(1));
        text += &more;
        if ended {
            break;
        }
    }
    let pid: String = text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    // SAFETY: both cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let lines =
        [("uid_map", format!("7 {uid} 1")), ("setgroups", "deny".to_owned()), ("gid_map", format!("8 {gid} 1"))];
    for (file, line) in lines {
        let _ = std::fs::write(format!("/proc/{pid}/{file}"), line);
    }
    let _ = ready.write_all(b"x");
    text
}

/// What comes to the socket until the report is done or nobody has the other end, and the process that sent the first of it.
fn received(socket: RawFd) -> (String, u32) {
    let start = Instant::now();
    let mut text = Vec::new();
    let mut sender = 0;
    while !text.ends_with(format!("\n{DONE}\n").as_bytes()) {
        if !ready(socket, PATIENCE.saturating_sub(start.elapsed())) {
            break;
        }
        let mut buffer = [0u8; 65536];
        let mut control = [0u64; 16];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: the header points to buffers that live as long as the call and are as long as it says; the kernel writes
        // whole control messages, and one of this type carries a ucred.
        let count = unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
            (header.msg_control, header.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control) as _);
            let count = libc::recvmsg(socket, &raw mut header, libc::MSG_CMSG_CLOEXEC);
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            if sender == 0 && count > 0 && message.as_ref().is_some_and(|m| m.cmsg_type == libc::SCM_CREDENTIALS) {
                sender = (*libc::CMSG_DATA(message).cast::<libc::ucred>()).pid as u32;
            }
            count
        };
        match usize::try_from(count) {
            Ok(count) if count > 0 => text.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), sender)
}

/// What can be read without waiting for longer than this, and whether the end was reached.
fn available(mut file: &File, time: Duration) -> (String, bool) {
    let mut text = Vec::new();
    let mut buffer = [0u8; 4096];
    while ready(file.as_raw_fd(), time) {
        match file.read(&mut buffer).unwrap() {
            0 => return (String::from_utf8_lossy(&text).into_owned(), true),
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), false)
}

/// Whether a file is locked, or free, before long: the process that holds the lock is not the one that is waited for.
fn becomes(expected: bool, path: &Path) -> bool {
    until_within(Duration::from_secs(5), || locked(path) == expected)
}

/// Whether somebody else has a lock on it.
fn locked(path: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(path) else { return false };
    // SAFETY: all zeroes are a value of it: the whole file.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock);
        i32::from(lock.l_type) != libc::F_UNLCK
    }
}

/// Waits for the launcher; whoever hangs is killed, with the program that it started.
fn waited(child: &mut Child, program: u32) -> String {
    // SAFETY: plain integers; the descriptor is nobody else's.
    let pidfd = unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, child.id(), 0) as RawFd) };
    let hangs = !ready(pidfd.as_raw_fd(), PATIENCE);
    if hangs {
        for pid in descendants(child.id()).into_iter().chain((program > 1).then_some(program)) {
            // SAFETY: plain integers.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
        let _ = child.kill();
    }
    let status = child.wait().unwrap();
    match (hangs, status.code(), status.signal()) {
        (true, ..) => "hangs".to_owned(),
        (_, Some(code), _) => format!("exit {code}"),
        (_, _, signal) => format!("signal {signal:?}"),
    }
}

fn digits_hidden(text: &str) -> String {
    text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("N")
}
