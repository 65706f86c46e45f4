//! One start of one launcher: hands it the descriptors, lets the probe report, looks at it from outside, and waits.

use super::fixture::Fixture;
use super::grammar::{Carrier, Case, Command, End, Given, Neighbour, Signals, What, flat};
use super::probe::{DONE, MARK};
use super::report::{Mount, Report};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Directories of the host that the probe does not walk.
const HOST: [&str; 18] = [
    "/", "/usr", "/etc", "/dev", "/sys", "/proc", "/tmp", "/var", "/var/tmp", "/run", "/home", "/mnt", "/opt", "/srv",
    "/root", "/boot", "/media", "/usr/bin",
];

/// The variables that every launcher starts with, besides HOME.
const ENVIRONMENT: [(&str, &str); 5] =
    [("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("EMPTY", ""), ("GONE", "1"), ("SP ACE", "a b")];

/// The descriptors of a run: what the launcher gets, and the test's ends.
struct Descriptors {
    /// The launcher's, with their numbers; above all numbers that are used.
    launcher: Vec<(OwnedFd, RawFd)>,
    /// The ends that stay here, by number.
    here: BTreeMap<RawFd, File>,
    /// For the byte that says that the id maps are there.
    maps: Option<File>,
    /// What is behind a descriptor, by device and inode.
    names: BTreeMap<(u64, u64), String>,
}

impl Descriptors {
    fn open(case: &Case, fixture: &Fixture) -> Descriptors {
        let mut all = Descriptors { launcher: Vec::new(), here: BTreeMap::new(), maps: None, names: BTreeMap::new() };
        for given in case.given() {
            all.give(given, fixture);
        }
        all
    }

    fn give(&mut self, given: &Given, fixture: &Fixture) {
        let number = given.number;
        let theirs: OwnedFd = match &given.what {
            What::Data(carrier, data) => carry(*carrier, data, fixture, number),
            What::Args(carrier, groups) => {
                let mut data = Vec::new();
                for word in flat(groups) {
                    data.extend(fixture.fill(&word).into_bytes());
                    data.push(0);
                }
                carry(*carrier, &data, fixture, number)
            }
            What::Path(path, name_only) => {
                let flags = if *name_only { libc::O_PATH } else { 0 };
                File::options().read(true).custom_flags(flags).open(fixture.fill(path)).unwrap().into()
            }
            What::Namespace(which) => fixture.namespace(*which).try_clone().unwrap().into(),
            What::Written | What::Held => {
                let (read, write) = std::io::pipe().unwrap();
                self.here.insert(number, File::from(OwnedFd::from(read)));
                write.into()
            }
            What::Mapped => {
                let (read, write) = std::io::pipe().unwrap();
                self.maps = Some(File::from(OwnedFd::from(write)));
                read.into()
            }
        };
        self.name(&theirs, format!("given as {number}"));
        self.launcher.push((above(theirs), number));
    }

    fn name(&mut self, fd: &impl AsRawFd, name: String) {
        let meta = std::fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
        self.names.insert((meta.dev(), meta.ino()), name);
    }
}

/// Moves a descriptor above all numbers that lists use.
fn above(fd: OwnedFd) -> OwnedFd {
    // SAFETY: fcntl gives a new descriptor that nobody else has, or -1.
    unsafe {
        let moved = libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 300);
        assert!(moved >= 300, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(moved)
    }
}

fn memfd(name: &std::ffi::CStr) -> File {
    // SAFETY: a C string; the result is a descriptor that nobody else has, or -1, which from_raw_fd refuses.
    unsafe { File::from_raw_fd(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC)) }
}

fn carry(carrier: Carrier, data: &[u8], fixture: &Fixture, number: RawFd) -> OwnedFd {
    let path = fixture.dir().join(format!("given-{number}"));
    match carrier {
        Carrier::Pipe => {
            let (read, mut write) = std::io::pipe().unwrap();
            write.write_all(data).unwrap();
            read.into()
        }
        Carrier::File => {
            std::fs::write(&path, data).unwrap();
            File::open(path).unwrap().into()
        }
        Carrier::FileRest => {
            std::fs::write(&path, [b"not this", data].concat()).unwrap();
            let mut file = File::open(path).unwrap();
            file.seek(std::io::SeekFrom::Start(8)).unwrap();
            file.into()
        }
        Carrier::Memfd => {
            let mut file = memfd(c"given");
            file.write_all(data).unwrap();
            file.rewind().unwrap();
            file.into()
        }
    }
}

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
    while !text.contains('}') && start.elapsed() < Duration::from_secs(1) {
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
    let start = Instant::now();
    while locked(path) != expected {
        if start.elapsed() > Duration::from_secs(1) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
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

fn descendants(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    children.iter().flat_map(|child| [descendants(*child), vec![*child]].concat()).collect()
}

/// Says of the numbers in a launcher's status what they are.
fn numbers_named(text: &str, program: u32) -> String {
    let mut named = String::new();
    for (index, part) in text.split_inclusive('"').enumerate() {
        let digits: String = part.chars().filter(char::is_ascii_digit).collect();
        let Some(number) = digits.parse::<u64>().ok().filter(|_| index > 0 && part.starts_with(": ")) else {
            named += part;
            continue;
        };
        let name = named.trim_end_matches('"').rsplit('"').next().unwrap_or_default();
        let what = if let Some(namespace) = name.strip_suffix("-namespace") {
            let inode = std::fs::metadata(format!("/proc/{program}/ns/{namespace}")).map(|meta| meta.ino());
            if inode.is_ok_and(|inode| inode == number) { "the program's" } else { "another" }
        } else if name == "child-pid" {
            if number == u64::from(program) {
                "the program"
            } else if Some(number) == field(program, "PPid").and_then(|pid| pid.parse().ok()) {
                "its parent"
            } else {
                "another"
            }
        } else {
            named += part;
            continue;
        };
        named += &part.replace(&digits, what);
    }
    named
}

fn digits_hidden(text: &str) -> String {
    text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("N")
}

fn field(pid: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Looks at the probe while it waits.
fn outside(report: &mut Report, pid: u32, launcher: u32, names: &BTreeMap<(u64, u64), String>, fixture: &Fixture) {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| error.to_string());
    report.mounts = Mount::parse(&read("mountinfo"));
    let status = read("status");
    for name in
        ["Umask", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Threads", "Uid", "Gid", "Groups"]
            .into_iter()
            .chain(["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NStgid"])
    {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        // The numbers that it has in namespaces of others are chance, how many it has is not.
        let line = if name == "NStgid" { words.len().to_string() } else { words.join(" ") };
        report.add("status", format!("{name} {line}"));
    }
    report.filters = field(pid, "Seccomp_filters").and_then(|count| count.parse().ok()).unwrap_or(0);
    report.add("status", format!("adjusted {}", read("oom_score_adj").trim()));
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts"] {
        let link = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
        let inode = std::fs::metadata(format!("/proc/{pid}/ns/{name}")).map(|meta| meta.ino()).unwrap_or_default();
        let neighbours = [Neighbour::OuterUser, Neighbour::User, Neighbour::Pid];
        let joined = neighbours.iter().find(|which| fixture.namespace(**which).metadata().unwrap().ino() == inode);
        let own = joined.is_none() && link(pid) != link(std::process::id());
        let whose = joined.map_or(if own { "its own" } else { "the host's" }.to_owned(), |which| format!("{which:?}"));
        report.add("namespaces", format!("{name} {whose}"));
        match name {
            "net" if !own => drop(report.sections.remove("network")),
            "pid" if !own => drop(report.sections.remove("pids")),
            _ => {}
        }
    }
    for file in ["uid_map", "gid_map", "setgroups"] {
        let words = read(file);
        report.add("maps", format!("{file} {}", words.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let family = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        rest.skip(1).take(3).map(|number| number.parse().unwrap_or(0)).collect::<Vec<u32>>()
    };
    let (program, launchers) = (family(pid), family(launcher));
    let relation = |number: u32, of_launcher: u32| match number {
        number if number == pid => "its own",
        number if number == of_launcher => "the launcher's",
        _ => "another",
    };
    report.add("family", format!("group {}", relation(program[1], launchers[1])));
    report.add("family", format!("session {}", relation(program[2], launchers[2])));
    report.add("family", format!("the launcher is its parent: {}", program[0] == launcher));
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    for number in numbers {
        let path = format!("/proc/{pid}/fd/{number}");
        let id = std::fs::metadata(&path).map(|meta| (meta.dev(), meta.ino())).unwrap_or_default();
        let link = || std::fs::read_link(&path).unwrap_or_default().display().to_string();
        let name = names.get(&id).cloned().unwrap_or_else(link);
        let info = read(&format!("fdinfo/{number}"));
        // What was said before says how far the errors are.
        let told = info.lines().take(2).filter(|line| number != 2 || !line.starts_with("pos"));
        let info: Vec<String> = told.map(|line| line.replace('\t', "")).collect();
        report.add("descriptors", format!("{number}: {name} {}", info.join(" ")));
    }
}
