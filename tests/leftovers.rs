//! Whoever is killed when: nothing is left behind, and the next start works.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs and may panic"
)]

mod common;

use common::{Place, sbx, userns};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many starts are killed.
const STARTS: u32 = 500;

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn kill(pid: u32) {
    // SAFETY: plain integers.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

/// Processes that have this word in their command line, and those of a helper that serves this directory.
fn alive(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if pid != std::process::id() && line.contains(word) {
            found.push(format!("{pid} {line}"));
        }
    }
    found
}

/// All paths below a directory, the parts of the host where something might be left, and the mounts.
fn traces(place: &Path) -> BTreeSet<String> {
    fn walk(dir: &Path, found: &mut BTreeSet<String>, depth: u32) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            found.insert(entry.path().display().to_string());
            if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&entry.path(), found, depth - 1);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(place, &mut found, 8);
    for dir in [format!("/run/user/{}", unsafe_uid()), "/dev/shm".into(), "/run/sbx".into()] {
        walk(Path::new(&dir), &mut found, 2);
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.lines().map(|line| format!("mount {line}")));
    found
}

fn unsafe_uid() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::getuid() }
}

#[test]
fn five_hundred_starts_killed_at_random_leave_nothing() {
    need!(userns());
    let place = Place::new();
    let mark = format!("7{:09}.5", std::process::id());
    let has_bus = ["dbus-daemon", "xdg-dbus-proxy"].iter().all(|name| Path::new("/usr/bin").join(name).exists());
    let mut daemon: Option<Child> = None;
    let mut address = String::new();
    if has_bus {
        let mut command = Command::new("dbus-daemon");
        let mut child =
            command.args(["--session", "--nofork", "--print-address=1"]).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        daemon = Some(child);
    }
    let before = traces(place.dir.path());
    let mut random = Random(0x5eed_1234_abcd);
    let mut killed = [0; 4];
    for round in 0..STARTS {
        let with_bus = has_bus && round % 3 == 0;
        let mut command = place.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if with_bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", address.trim());
            command.args(["--set", "dbus.session.policy=filter"]);
        }
        // A daemon that left its parent and ignores what can be ignored.
        let script = format!("trap '' HUP TERM INT; (setsid sleep {mark} &) ; exec sleep {mark}");
        let mut child = command.args(["--", "/bin/sh", "-c", &script]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(if with_bus { 40_000 } else { 20_000 })));
        let mut inner = children(child.id());
        inner.push(child.id());
        let victim = inner[random.below(inner.len() as u64) as usize];
        killed[inner.iter().position(|pid| *pid == victim).unwrap().min(3)] += 1;
        kill(victim);
        // Where a helper was the victim, the sandbox goes on; its launcher is killed next.
        let end = Instant::now() + Duration::from_millis(if victim == child.id() { 10_000 } else { 300 });
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        kill(child.id());
        child.wait().unwrap();
    }
    let end = Instant::now() + Duration::from_secs(10);
    let place_word = place.dir.path().to_str().unwrap();
    while (!alive(&mark).is_empty() || !alive(place_word).is_empty()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(alive(&mark), Vec::<String>::new(), "killed {killed:?}");
    let proxies: Vec<_> = alive("xdg-dbus-proxy").into_iter().filter(|line| line.contains(address.trim())).collect();
    assert!(!has_bus || proxies.is_empty(), "{proxies:?}");
    assert_eq!(traces(place.dir.path()), before);
    assert_eq!(place.run(&["--", "/bin/echo", "works"]).ok(), "works\n");
    if let Some(mut daemon) = daemon {
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
    eprintln!("killed by place among the processes: {killed:?}");
}

#[test]
fn nothing_is_left_when_it_ends_by_itself_or_by_a_signal() {
    need!(userns());
    let place = Place::new();
    let mark = format!("8{:09}.5", std::process::id());
    let before = traces(place.dir.path());
    let script = format!("(setsid sleep {mark} &); (sleep {mark} &); exit 3");
    assert_eq!(place.sh(&[], &script).status, Some(3));
    // The launcher waits for the last process: no time is given.
    assert_eq!(alive(&mark), Vec::<String>::new());
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        let mut child = place.command().args(["--", "/bin/sleep", &mark]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(60));
        // SAFETY: plain integers.
        unsafe { libc::kill(child.id() as i32, signal) };
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(128 + signal));
        assert_eq!(alive(&mark), Vec::<String>::new(), "signal {signal}");
    }
    assert_eq!(traces(place.dir.path()), before);
}

#[test]
fn closed_streams_are_no_trouble_and_hand_no_number_on() {
    need!(userns());
    let place = Place::new();
    let sbx = sbx().display();
    let shell = |script: &str| {
        let mut command = Command::new("/bin/bash");
        common::ran(command.args(["-c", script]).current_dir(place.work()).env("HOME", place.home()).output().unwrap())
    };
    assert_eq!(shell(&format!("{sbx} -- /bin/true >&-")).status, Some(0));
    assert_eq!(shell(&format!("{sbx} -- /bin/true <&- >&- 2>&-")).status, Some(0));
    let out = shell(&format!("{sbx} -- /bin/sh -c 'readlink /proc/self/fd/0' <&-"));
    assert_eq!(out.out, "/dev/null\n", "{out:?}");
    assert_eq!(shell(&format!("{sbx} -- /bin/sh -c 'echo x' > /dev/full")).status, Some(1));
}
