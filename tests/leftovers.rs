//! Any process of a run may be killed at any time: nothing is left behind, and the next start works.

mod common;

use common::left::{Random, nothing_new, traces};
use common::process::{Mark, children, signal, with_line};
use common::{Place, sbx, tools, until, until_within, userns};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Number of starts that are killed.
const STARTS: u32 = 500;

#[test]
fn five_hundred_starts_killed_at_random_leave_nothing() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    let has_bus = available!(tools(&["dbus-daemon", "xdg-dbus-proxy"]));
    let (daemon, address) = has_bus.then(|| common::bus::bus(&[])).unzip();
    let address: String = address.unwrap_or_default();
    let before = traces(place.dir.path());
    let mut random = Random(0x5eed_1234_abcd);
    let mut killed = [0; 4];
    for round in 0..STARTS {
        let with_bus = has_bus && round % 3 == 0;
        let mut command = place.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if with_bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", address.as_str());
            command.args(["--set", "dbus.session.policy=filter"]);
        }
        // A daemon that left its parent and ignores what can be ignored.
        let script = format!("trap '' HUP TERM INT; (setsid sleep {0} &) ; exec sleep {0}", mark.0);
        let mut child = command.args(["--", "/bin/sh", "-c", &script]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(if with_bus { 40_000 } else { 20_000 })));
        let mut inner = children(child.id());
        inner.push(child.id());
        let victim = inner[random.below(inner.len() as u64) as usize];
        killed[inner.iter().position(|pid| *pid == victim).unwrap().min(3)] += 1;
        signal(victim as i32, libc::SIGKILL);
        // If a helper was killed, the sandbox goes on; its launcher is killed next.
        let patience = Duration::from_millis(if victim == child.id() { 10_000 } else { 300 });
        until_within(patience, || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        child.wait().unwrap();
    }
    let place_word = place.dir.path().to_str().unwrap();
    let proxies = || -> Vec<_> {
        with_line("xdg-dbus-proxy").into_iter().filter(|(_, line)| line.contains(address.as_str())).collect()
    };
    mark.gone(&format!("killed {killed:?}"));
    until(|| with_line(place_word).is_empty() && (!has_bus || proxies().is_empty()));
    assert!(!has_bus || proxies().is_empty(), "{:?}", proxies());
    nothing_new(place.dir.path(), &before);
    assert_eq!(place.run(&["--", "/bin/echo", "works"]).ok(), "works\n");
    drop(daemon);
    eprintln!("killed by place among the processes: {killed:?}");
}

#[test]
fn a_program_that_shares_the_hosts_processes_ends_with_a_launcher_that_is_killed_at_any_moment() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    let mut random = Random(0x5eed_4321_dcba);
    for _ in 0..300 {
        let mut command = place.command();
        command.args(["-q", "--share", "pid", "--", "/bin/sleep", &mark.0]);
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    mark.gone("the program is left");
}

#[test]
fn nothing_is_left_when_it_ends_by_itself_or_by_a_signal() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    let before = traces(place.dir.path());
    let script = format!("(setsid sleep {0} &); (sleep {0} &); exit 3", mark.0);
    assert_eq!(place.sh(&[], &script).status, Some(3));
    // The launcher waits for the last process, so the test does not wait.
    assert_eq!(mark.alive(), vec![]);
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        let mut child = place.command().args(["--", "/bin/sleep", &mark.0]).spawn().unwrap();
        assert!(until(|| mark.sleeping() == 1), "it is started");
        signal(child.id() as i32, number);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(128 + number));
        assert_eq!(mark.alive(), vec![], "signal {number}");
    }
    nothing_new(place.dir.path(), &before);
}

#[test]
fn what_made_the_namespaces_is_gone_when_the_program_runs() {
    need!(userns());
    let place = Place::new();
    for net in ["none", "host"] {
        let mut command = place.command();
        command.args(["--net", net, "--", "sh", "-c", "echo there; read x"]);
        let mut launcher = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(launcher.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "there\n", "--net {net}");
        // What has ended and was not waited for is a child, too.
        let pid = launcher.id();
        assert!(until(|| children(pid).len() == 1), "--net {net}: {:?}", children(pid));
        drop(launcher.stdin.take());
        launcher.wait().unwrap();
    }
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
