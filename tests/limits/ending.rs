//! Nothing is left when launchers are killed, or many run at once.

use crate::common::process::Mark;
use crate::common::{self, Place, limits, until};
use crate::{alone, gone, need};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn launchers_that_are_killed_leave_no_scope_no_cgroup_and_no_process() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let mark = Mark::new();
    let before = Instant::now();
    let mut wait = 0;
    for round in 0..200 {
        let mut child = place
            .command()
            .args(["--memory", "64M", "--", "/bin/sleep", &mark.0])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A start takes some thirty milliseconds on a real machine, some hundreds on an emulated one.
        wait = (wait * 7 + round * 13 + 5) % 300;
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    eprintln!("200 starts, killed, in {:?}", before.elapsed());
    gone(Duration::from_secs(10));
    // The program, and what sbx started for it.
    until(|| mark.alive().is_empty());
    if let Some((pid, line)) = mark.alive().first() {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        panic!("a process is left: {line} {}{}{}", text("status"), text("cgroup"), text("wchan"));
    }
}

/// Starts so many sandboxes at once.
pub(crate) fn fifty(place: &Place) {
    let children: Vec<_> = (0..50)
        .map(|number| {
            let script = format!("echo {number}");
            let mut command = place.command();
            command.args(["--memory", "64M", "--pids-limit", "10", "--", "/bin/sh", "-c", &script]);
            (number, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    for (number, child) in children {
        let ran = common::ran(child.wait_with_output().unwrap());
        assert_eq!(ran.ok(), format!("{number}\n"));
    }
    gone(Duration::from_secs(20));
}

#[test]
fn fifty_at_once_start_and_end() {
    let _alone = alone();
    need!(limits());
    fifty(&Place::new());
}
