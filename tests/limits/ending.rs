//! What is left.

use crate::common::{self, Place};
use crate::{alone, gone, limits, need};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn launchers_that_are_killed_leave_no_scope_no_cgroup_and_no_process() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let before = Instant::now();
    let mut wait = 0;
    for round in 0..200 {
        let mut child = place
            .command()
            .args(["--memory", "64M", "--", "/bin/sleep", "4321"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Some thirty milliseconds on a machine, some hundreds in one that is emulated.
        wait = (wait * 7 + round * 13 + 5) % 300;
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    eprintln!("200 starts, killed, in {:?}", before.elapsed());
    let killed = Instant::now();
    gone(Duration::from_secs(10));
    let sleeping = |entry: &std::fs::DirEntry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.ends_with(b"/bin/sleep\x004321\0"))
    };
    // The program, and what sbx started for it.
    while let Some(left) = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| sleeping(entry)) {
        let text = |name: &str| std::fs::read_to_string(left.path().join(name)).unwrap_or_default();
        let late = killed.elapsed() > Duration::from_secs(10);
        assert!(!late, "a process is left: {}{}{}", text("status"), text("cgroup"), text("wchan"));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Starts as many at once.
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
