//! The figures of what a sandbox used are right.

use crate::common::process::signal;
use crate::common::{self, Place, limits, sbx, tools};
use crate::{alone, need};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// Compares the figures with getrusage(2), by which the kernel tells a parent what its children used, without cgroups.
#[test]
fn figures_agree_with_what_a_parent_is_told() {
    let _alone = alone();
    need!(limits(), tools(&["python3"]));
    let place = Place::new();
    let work = "n = 0\nfor i in range(12000000): n += i\na = b'x' * (80 << 20)";
    let script = format!(
        "import json, resource, subprocess, sys
         ran = subprocess.run(sys.argv[1:] + [{work:?}], stderr=subprocess.PIPE, text=True)
         line = [line for line in ran.stderr.splitlines() if line.startswith('{{')][0]
         told = resource.getrusage(resource.RUSAGE_CHILDREN)
         figures = json.loads(line)
         print(figures['cpu_usec'] / 1e6 / (told.ru_utime + told.ru_stime), figures['memory_peak'] / 1024 - told.ru_maxrss)"
    )
    .replace("\n         ", "\n");
    let run = [sbx().to_str().unwrap(), "run", "--stats=json", "--memory", "1G", "--", "python3", "-c"];
    let mut command = Command::new("python3");
    command.args(["-c", &script]).args(run).current_dir(place.work()).env("HOME", place.home()).stdin(Stdio::null());
    let ran = common::ran(command.output().unwrap());
    let text = ran.ok();
    let (ratio, memory) = text.trim().split_once(' ').unwrap();
    // The launcher's own time is not in the figure.
    assert!((0.85..1.0).contains(&ratio.parse::<f64>().unwrap()), "{text}");
    // Mapped files count for the process, and kernel memory for the cgroup.
    assert!((-12_000.0..4_000.0).contains(&memory.parse::<f64>().unwrap()), "{text}");
}

#[test]
fn figures_are_told_while_it_runs() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let mut command = place.command();
    command.args(["--stats=json", "--", "/bin/sh", "-c", "echo ready; read end"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    signal(child.id() as i32, libc::SIGUSR1);
    // The program may end once the figures are written.
    let mut said = String::new();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    while !said.lines().any(|line| line.starts_with('{')) {
        assert_ne!(told.read_line(&mut said).unwrap(), 0, "{said}");
    }
    drop(child.stdin.take());
    told.read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.len() == 2 && lines[0]["wall_usec"].as_u64() < lines[1]["wall_usec"].as_u64(), "{said}");
    assert_eq!(lines[1]["source"], "cgroup");
}
