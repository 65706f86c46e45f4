//! Verbs that look at running sandboxes, or change them.

mod common;

use common::process::signal;
use common::records::Records;
use common::{cgroup, limits, tools, until, userns};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A limit that needs no controller, and gives a sandbox a cgroup of its own.
const LIMITED: [&str; 2] = ["--set", "limits.max_descendants=50"];

/// The lines of a table without its head, each as its words.
fn rows(table: &str) -> Vec<Vec<String>> {
    table.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn a_paused_sandbox_stands_still_until_it_is_unpaused() {
    need!(userns(), cgroup());
    let records = Records::new();
    let ticks = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done";
    let id = records.start(&[&LIMITED[..], &["--name", "x"]].concat(), ticks);
    let log = || records.run(&["logs", "--tail", "1", "x"]).out;
    assert!(until(|| !log().is_empty()));
    assert_eq!(records.run(&["pause", "x"]).ok(), "x\n");
    // The kernel says that all of it is frozen; what it had written by then is in its pipe or its log.
    assert!(cgroup_file(&records, "x", "cgroup.events").contains("frozen 1"));
    let mut still = log();
    assert!(until(|| log() == std::mem::replace(&mut still, log())));
    let table = records.run(&["ps"]).ok();
    assert!(table.lines().nth(1).unwrap().contains(" Paused "), "{table}");
    assert_eq!(records.run(&["ps", "-q", "--filter", "status=paused"]).ok(), format!("{}\n", &id[..12]));
    assert_eq!(records.run(&["ps", "-q", "--filter", "status=running"]).ok(), "");
    assert_eq!(records.inspect("x", ".State.Status"), "paused");
    assert_eq!(records.inspect("x", ".State.Paused"), "true");
    assert!(records.run(&["pause", "x"]).failed(125).contains("x: it is paused already"));
    let err = records.run(&["exec", "x", "true"]).failed(125);
    assert!(err.contains("the sandbox is paused"), "{err}");
    assert!(records.run(&["top", "x", "pid,comm"]).ok().contains(" sh"));
    assert_eq!(log(), still, "nothing was written while all of that was asked");
    assert_eq!(records.run(&["unpause", "--all"]).ok(), format!("{id}\n"));
    assert!(until(|| log() != still));
    assert!(records.run(&["unpause", "x"]).failed(125).contains("x: it is not paused"));
    assert_eq!(records.inspect("x", ".State.Status"), "running");
}

#[test]
fn a_paused_sandbox_is_stopped_killed_and_removed_as_one_that_runs() {
    need!(userns(), cgroup());
    let records = Records::new();
    let begin = |name: &str| {
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done";
        records.start(&[&LIMITED[..], &["--name", name]].concat(), script);
        assert!(until(|| records.run(&["logs", name]).out == "ready\n"));
        assert_eq!(records.run(&["pause", name]).ok(), format!("{name}\n"));
    };
    begin("stopped");
    assert_eq!(records.run(&["stop", "stopped"]).ok(), "stopped\n");
    assert_eq!(records.run(&["wait", "stopped"]).ok(), "7\n");
    // What is sent while it stands still arrives when it goes on.
    begin("later");
    records.run(&["kill", "-s", "TERM", "later"]).ok();
    assert_eq!(records.inspect("later", ".State.Status"), "paused");
    records.run(&["unpause", "later"]).ok();
    assert_eq!(records.run(&["wait", "later"]).ok(), "7\n");
    begin("killed");
    records.run(&["kill", "killed"]).ok();
    assert_eq!(records.run(&["wait", "killed"]).ok(), "137\n");
    // The end of a session, or of the machine.
    begin("ended");
    signal(records.inspect("ended", ".State.MonitorPid").parse().unwrap(), libc::SIGTERM);
    assert_eq!(records.run(&["wait", "ended"]).ok(), "7\n");
    begin("removed");
    records.run(&["rm", "-f", "removed"]).ok();
    records.run(&["rm", "-a"]).ok();
    assert_eq!(records.left(), [""; 0]);
}

#[test]
fn a_sandbox_without_a_cgroup_is_not_paused_and_the_fix_is_said() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    let err = records.run(&["pause", "x"]).failed(125);
    assert!(err.contains("x: it has no cgroup of its own") && err.contains("--pids-limit"), "{err}");
    assert_eq!(records.inspect("x", ".State.Status"), "running");
    records.run(&["stop", "-t", "0", "x"]).ok();
    let err = records.run(&["pause", "x"]).failed(125);
    assert!(err.contains("x is exited, and only a running sandbox can be paused"), "{err}");
    assert!(records.run(&["pause", "nobody"]).failed(125).contains("no sandbox with the name or id `nobody`"));
    assert_eq!(records.run(&["pause", "--all"]).ok(), "");
}

#[test]
fn top_lists_the_processes_of_the_sandbox_alone_with_their_ids_inside_and_outside() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1001 & exec sleep 1002");
    records.start(&["--name", "y"], "exec sleep 1003");
    let top = |words: &[&str]| records.run(&[&["top", "x"], words].concat()).ok();
    assert!(until(|| {
        // A shell has its whole script in its line until it has become the program.
        let table = top(&[]);
        let has = |what: &str| table.lines().any(|line| line.ends_with(what));
        has(" sleep 1001") && has(" sleep 1002") && !table.contains("sh -c")
    }));
    let table = top(&[]);
    let head: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]);
    assert!(table.contains("sleep 1001") && table.contains("sleep 1002") && !table.contains("1003"), "{table}");
    let lines = rows(&table);
    let line = |what: &str| lines.iter().find(|line| line.last().unwrap() == what).unwrap();
    // sbx's PID 1, the program, which is its child, and that one's.
    assert_eq!((line("1002")[2].as_str(), &line("1001")[2]), ("1", &line("1002")[1]));
    assert_eq!((lines[0][1].as_str(), lines[0][2].as_str()), ("1", "0"));
    // It has no line of its own, and its name is shown as ps(1) does it.
    assert!(lines[0].last().unwrap().starts_with('[') && lines[0].last().unwrap().len() > 2, "{table}");
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    assert_eq!(line("1002")[0], user.trim());
    let outside = rows(&top(&["pid", "hpid,comm"]));
    assert_eq!(outside[0], ["1", &records.inspect("x", ".State.Pid"), outside[0][2].as_str()]);
    for row in &outside {
        let status = std::fs::read_to_string(format!("/proc/{}/status", row[1])).unwrap();
        let ids = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
        assert!(ids.ends_with(&format!("\t{}", row[0])), "{row:?} {ids}");
    }
    let all: serde_json::Value = serde_json::from_str(&top(&["--json"])).unwrap();
    let last = all.as_array().unwrap().iter().find(|one| one["args"] == "sleep 1002").unwrap();
    assert!(last["capeff"] == "none" && last["capbnd"] == "none" && last["seccomp"] == "filter", "{last}");
    for words in [&["-eo", "pid,comm"][..], &["-o", "pid comm"], &["pid", "comm"]] {
        assert_eq!(top(words).lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), ["PID", "COMMAND"]);
    }
    assert!(records.run(&["top", "x", "-ef"]).failed(125).contains("-ef: there is no such column"));
    records.run(&["stop", "-t", "0", "x"]).ok();
    assert!(records.run(&["top", "x"]).failed(125).contains("x is exited"));
}

#[test]
fn what_processes_call_themselves_is_shown_harmless_and_no_other_one_is_taken_for_them() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    // A name with an escape sequence and a parenthesis, and arguments that clear a terminal; one says that it is PID 1.
    let script = "exec 3<&0; python3 -c '
import ctypes, os
ctypes.CDLL(None).prctl(15, b\"\\x1b]0;x\\x07) R 1\")
os.write(1, b\"ready\\n\")
os.read(0, 1)' '\u{1b}[2J\u{1b}[H' '1 0 root' <&3 & wait";
    records.start(&["--name", "x", "-i"], script);
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    let top = records.run(&["top", "x", "pid,state,comm,args"]).ok();
    assert!(!top.contains('\u{1b}') && !top.contains('\u{7}'), "{top:?}");
    assert!(top.contains("\\u{1b}]0;x\\u{7}) R 1") && top.contains("\\u{1b}[2J\\u{1b}[H 1 0 root"), "{top}");
    let states = rows(&top).into_iter().map(|row| row[1].clone());
    assert!(states.clone().all(|state| "RSD".contains(&state)), "{top}");
}

#[test]
fn many_processes_do_not_keep_top_from_listing_them() {
    need!(userns());
    let records = Records::new();
    // SBX_PROCESSES=10000 is what .ci/nightly takes: so many keep all other tests waiting.
    let most = std::env::var("SBX_PROCESSES").map_or(1000, |number| number.parse().unwrap());
    let script = format!("exec 3<&0; n=0; while [ $n -lt {most} ]; do read x <&3 & n=$((n+1)); done; echo ready; wait");
    records.start(&["--name", "x", "-i"], &script);
    assert!(common::until_within(std::time::Duration::from_secs(300), || {
        let logs = records.run(&["logs", "x"]);
        // Where the user may have no more processes, a shell says so.
        logs.out.contains("ready") || !logs.err.is_empty()
    }));
    let logs = records.run(&["logs", "x"]);
    if logs.out.contains("ready") {
        let table = records.run(&["top", "x", "pid"]).ok();
        assert!(table.lines().count() > most, "{}", table.lines().count());
    }
}

/// The first of so many ports of loopback that nobody listens at.
fn free_ports(count: u16) -> u16 {
    let is_free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Below those that the kernel gives to programs which ask for any.
    (20_000..32_000).step_by(500).find(|first| (*first..first + count).all(is_free)).unwrap()
}

#[test]
fn hundreds_of_ports_are_recorded_and_what_a_record_has_no_room_for_is_refused_before_the_start() {
    need!(userns(), tools(&["pasta"]), common::tun());
    let records = Records::new();
    let (first, last) = (free_ports(250), 249);
    let range = format!("{first}-{}:1000-{}", first + last, 1000 + last);
    records.start(&["--name", "x", "--net", "private", "-p", &range], "sleep 1000");
    assert_eq!(records.inspect("x", ".State.Status"), "running");
    let ports = records.run(&["port", "x"]).ok();
    assert_eq!(ports.lines().count(), 250, "{ports}");
    assert!(ports.ends_with(&format!("{}/tcp -> 127.0.0.1:{}\n", 1000 + last, first + last)), "{ports}");
    assert_eq!(records.run(&["port", "x", "1001"]).ok(), format!("127.0.0.1:{}\n", first + 1));
    let json: serde_json::Value = serde_json::from_str(&records.run(&["ps", "--json"]).ok()).unwrap();
    assert_eq!(json[0]["Ports"].as_array().unwrap().len(), 250);
    records.run(&["rm", "-f", "-t", "0", "x"]).ok();
    // Those that the host chooses do not follow each other.
    let apart: Vec<_> = (1..=150).flat_map(|inside| ["-p".to_owned(), format!("0:{inside}")]).collect();
    let apart: Vec<_> = apart.iter().map(String::as_str).collect();
    for verb in [&["run", "-d"][..], &["create"], &["plan", "-d"]] {
        let args = [verb, &["--net", "private"], &apart, &["--", "true"]].concat();
        let err = records.run(&args).failed(125);
        assert!(err.contains("150 published ports are too many for the record of a sandbox"), "{err}");
    }
    assert_eq!(records.left(), [""; 0]);
}

#[test]
fn port_prints_where_servers_are_reached_also_at_a_port_that_the_host_chose() {
    need!(userns(), tools(&["pasta"]), common::tun());
    let records = Records::new();
    records.start(
        &["--name", "x", "--net", "private", "-p", "127.0.0.1:0:80", "-p", "0:53/udp", "-p", "[::1]:0:81"],
        "sleep 1000",
    );
    let all = records.run(&["port", "x"]).ok();
    let lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 3, "{all}");
    let at = lines[0].strip_prefix("80/tcp -> 127.0.0.1:").unwrap();
    assert_ne!(at.parse::<u16>().unwrap(), 0);
    assert!(lines[1].starts_with("53/udp -> 127.0.0.1:") && lines[2].starts_with("81/tcp -> [::1]:"), "{all}");
    assert_eq!(records.run(&["port", "x", "80"]).ok(), format!("127.0.0.1:{at}\n"));
    let ports = records.run(&["ps", "--format", "{{.Ports}}"]).ok();
    assert!(ports.contains(&format!("127.0.0.1:{at}->80/tcp")) && ports.contains("]:"), "{ports}");
    let err = records.run(&["port", "x", "80/udp"]).failed(125);
    assert!(err.contains("x has no published port 80/udp"), "{err}");
    assert!(records.run(&["port", "x", "http"]).failed(125).contains("http is no port inside"));
    let json: serde_json::Value = serde_json::from_str(&records.run(&["port", "--json", "x", "80"]).ok()).unwrap();
    assert_eq!(json[0]["HostPort"].to_string(), at);
    assert!(records.run(&["port", "--all"]).ok().contains("\t80/tcp -> "));
    // Each that is exposed has one, too, but for what has one already.
    let exposed = ["--expose", "80-81", "--expose", "53/udp", "--expose", "80"];
    let flags = [&["--name", "y", "--net", "private", "-P", "-p", "127.0.0.1:0:81"][..], &exposed].concat();
    records.start(&flags, "sleep 1000");
    let all = records.run(&["port", "y"]).ok();
    let mut inside: Vec<_> = all.lines().filter_map(|line| line.split(" -> 127.0.0.1:").next()).collect();
    inside.sort_unstable();
    assert_eq!(inside, ["53/udp", "80/tcp", "81/tcp"], "{all}");
    records.run(&["stop", "-t", "0", "x", "y"]).ok();
    let err = records.run(&["port", "x"]).failed(125);
    assert!(err.contains("x is exited, and ports are published only while it runs"), "{err}");
    assert_eq!(records.run(&["port", "--all"]).ok(), "");
}

#[test]
fn a_monitor_that_is_stopped_keeps_none_of_these_verbs_waiting() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    records.kill(".State.MonitorPid", "x", libc::SIGSTOP);
    for verb in ["pause", "unpause", "top"] {
        let err = records.run(&[verb, "x"]).failed(125);
        assert!(err.contains("the monitor of x does not answer"), "{verb}: {err}");
    }
    assert_eq!(records.run(&["port", "x"]).ok(), "");
    // It would take these requests, and never answer them.
    for args in [
        &["exec", "x", "true"][..],
        &["exec", "-d", "x", "true"],
        &["exec", "-t", "x", "true"],
        &["attach", "x"],
        &["cp", "x:/etc/hostname", "."],
        &["cp", "/etc/hostname", "x:/tmp"],
        &["update", "--set", "limits.max_descendants=40", "x"],
    ] {
        let err = records.run(args).failed(125);
        assert!(err.contains("the monitor of x does not answer") && err.contains("kill -CONT"), "{args:?}: {err}");
    }
    assert_eq!(records.run(&["logs", "x"]).ok(), "");
    assert_eq!(records.inspect("x", ".State.Status"), "running");
    let child = records.command().args(["rm", "-f", "-t", "0", "x"]).stdout(Stdio::null()).status().unwrap();
    assert!(child.success());
}

/// What a file of a sandbox's outer cgroup says.
#[track_caller]
fn cgroup_file(records: &Records, name: &str, file: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", records.inspect(name, ".State.Pid"))).unwrap();
    let inner = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    let outer = PathBuf::from("/sys/fs/cgroup").join(inner);
    std::fs::read_to_string(outer.parent().unwrap().join(file)).unwrap().trim().to_owned()
}

#[test]
fn update_changes_limits_of_a_running_sandbox_and_those_of_its_next_start() {
    need!(userns(), cgroup());
    let records = Records::new();
    records.start(&[&LIMITED[..], &["--name", "x"]].concat(), "sleep 1000");
    // sbx's own cgroups are counted in.
    let descendants = || cgroup_file(&records, "x", "cgroup.max.descendants");
    assert_eq!(descendants(), "52");
    assert_eq!(records.run(&["update", "--set", "limits.max_descendants=40", "x"]).ok(), "x\n");
    assert_eq!(descendants(), "42");
    records.run(&["restart", "-t", "0", "x"]).ok();
    assert_eq!(descendants(), "42", "the words of the command line are older");
    // The second of two is refused by the kernel: the first has its old value again.
    let two = ["--set", "limits.max_descendants=30", "--set", "limits.max_depth=99999999999"];
    let err = records.run(&[&["update"], &two[..], &["x"]].concat()).failed(125);
    assert!(err.contains("limits.max_depth: writing") && err.contains("no limit was changed"), "{err}");
    assert_eq!(descendants(), "42");
    records.run(&["restart", "-t", "0", "x"]).ok();
    assert_eq!(descendants(), "42");
    records.run(&["stop", "-t", "0", "x"]).ok();
    assert_eq!(records.run(&["update", "--set", "limits.max_descendants=33", "x"]).ok(), "x\n");
    records.run(&["start", "x"]).ok();
    assert_eq!(descendants(), "35", "one that has ended is changed for its next start");
}

#[test]
fn update_refuses_what_is_no_limit_and_what_cannot_hold() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    for (args, says) in [
        (&["x"][..], "there is no limit to change"),
        (&["--memory", "1G", "nobody"], "no sandbox with the name or id `nobody`"),
        (&["--memory", "7x", "x"], "is no value of limits.memory_max"),
        (&["--set", "network.mode=host", "x"], "only limits of the cgroup are changed"),
        (&["--cpus", "no", "x"], "--cpus no"),
        (&["--memory", "1G", "x"], "x: it has no cgroup of its own"),
    ] {
        let err = records.run(&[&["update"], args].concat()).failed(125);
        assert!(err.contains(says), "{args:?}: {err}");
    }
}

#[test]
fn update_gives_more_or_less_memory_processes_and_processors() {
    need!(userns(), limits());
    let records = Records::new();
    records.start(&["--name", "x", "--memory", "64M"], "sleep 1000");
    records.run(&["update", "--memory", "128M", "--pids-limit", "77", "--cpus", "0.5", "x"]).ok();
    let file = |file: &str| cgroup_file(&records, "x", file);
    assert_eq!([file("memory.max"), file("pids.max"), file("cpu.max")], ["134217728", "77", "50000 100000"]);
    let err = records.run(&["update", "--memory", "96M", "--set", "limits.cpus=9999", "x"]).failed(125);
    assert!(err.contains("limits.cpus: ") && err.contains("no limit was changed"), "{err}");
    assert_eq!(file("memory.max"), "134217728");
    records.run(&["update", "--memory", "max", "x"]).ok();
    assert_eq!(file("memory.max"), "max");
}

#[test]
fn stats_tell_what_is_used_and_what_is_not_known_is_no_number() {
    need!(userns());
    let records = Records::new();
    let id = records.start(&["--name", "x"], "sleep 1000");
    let table = records.run(&["stats", "--no-stream"]).ok();
    let head = "ID NAME CPU % MEM USAGE / LIMIT MEM % NET IO BLOCK IO PIDS CPU TIME AVG CPU %";
    let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, [head.to_owned(), format!("{} x -- -- / -- -- 0B / 0B -- / -- -- -- --", &id[..12])], "{table}");
    assert_eq!(records.run(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}"]).ok(), "x --\n");
    let all: serde_json::Value = serde_json::from_str(&records.run(&["stats", "--no-stream", "--json"]).ok()).unwrap();
    assert!(all[0]["id"] == id && all[0]["used"]["memory"].is_null() && all[0]["pids"] == "--", "{all}");
    assert!(records.run(&["stats", "--no-stream", "nobody"]).failed(125).contains("`nobody`"));
    // A stream ends with its reader, and with what was named.
    let mut stream = records.command().args(["stats", "-i", "1", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    std::io::Read::read_exact(&mut stream.stdout.take().unwrap(), &mut first).unwrap();
    assert!(stream.wait().unwrap().success());
    let mut stream = records.command().args(["stats", "-i", "1", "x"]).stdout(Stdio::null()).spawn().unwrap();
    records.run(&["stop", "-t", "0", "x"]).ok();
    assert!(stream.wait().unwrap().success());
    assert_eq!(records.run(&["stats", "--no-stream"]).ok().lines().count(), 1);
    assert_eq!(records.run(&["stats", "--no-stream", "-a"]).ok().lines().count(), 2);
}

#[test]
fn stats_are_those_of_the_cgroup() {
    need!(userns(), cgroup());
    let records = Records::new();
    records.start(&[&LIMITED[..], &["--name", "x"]].concat(), "while :; do :; done");
    let used = || -> u64 {
        let all = records.run(&["stats", "--no-stream", "--json", "x"]).ok();
        serde_json::from_str::<serde_json::Value>(&all).unwrap()[0]["used"]["cpu_usec"].as_u64().unwrap()
    };
    let before = used();
    assert!(until(|| used() > before));
    let line = records.run(&["stats", "--no-stream", "--format", "{{.CPUPerc}} {{.UpTime}} {{.AvgCPU}}", "x"]).ok();
    assert!(!line.contains("--") && line.matches('%').count() == 2, "{line}");
    if available!(limits()) {
        records.start(&["--name", "y", "--memory", "64M", "--pids-limit", "9"], "sleep 1000");
        let all = records.run(&["stats", "--no-stream", "--json", "y"]).ok();
        let y = serde_json::from_str::<serde_json::Value>(&all).unwrap()[0].take();
        assert_eq!(y["used"]["memory_max"], 64 << 20);
        assert!(y["used"]["memory"].as_u64() > Some(0) && y["used"]["pids"].as_u64() > Some(1), "{y}");
        assert!(y["mem_usage"].as_str().unwrap().ends_with(" / 67.11MB"), "{y}");
    }
}

/// The content of a file in the sandbox `x`.
#[track_caller]
fn inside(records: &Records, path: &str) -> String {
    records.run(&["exec", "x", "cat", path]).ok()
}

/// The names in a directory of the host.
#[track_caller]
fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn cp_copies_files_and_trees_in_and_out_as_podman_does() {
    need!(userns());
    let records = Records::new();
    let work = records.place.work();
    records.start(&["--name", "x"], "mkdir /tmp/there; echo old >/tmp/old; echo ready; exec sleep 1000");
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    let cp = |from: &str, to: &str| records.run(&["cp", from, to]);
    std::fs::create_dir_all(work.join("tree/below")).unwrap();
    std::fs::write(work.join("tree/below/file"), "text").unwrap();
    std::fs::write(work.join("script"), "#!/bin/sh\necho it runs\n").unwrap();
    std::fs::set_permissions(work.join("script"), std::fs::Permissions::from_mode(0o6751)).unwrap();
    symlink("below/file", work.join("tree/link")).unwrap();
    // A file: by its name into a directory, by another name, in the place of one that is there.
    cp("script", "x:/tmp/there").ok();
    assert_eq!(records.run(&["exec", "x", "/tmp/there/script"]).ok(), "it runs\n");
    assert_eq!(records.run(&["exec", "x", "stat", "-c", "%a", "/tmp/there/script"]).ok(), "751\n");
    cp("./script", "x:tmp/new").ok();
    cp("script", "x:/tmp/old").ok();
    assert!(inside(&records, "/tmp/new") == inside(&records, "/tmp/old"));
    assert!(cp("script", "x:/tmp/none/new").failed(125).contains("x: cannot open the directory /tmp/none"));
    assert!(cp("script", "x:/tmp/none/").failed(125).contains("/tmp/none"));
    assert!(cp("nothing", "x:/tmp").failed(125).contains("cannot copy nothing"));
    // A tree: below its name into a directory that is there, as one that is not there yet, and what is in it.
    cp("tree", "x:/tmp/there").ok();
    assert_eq!(inside(&records, "/tmp/there/tree/link"), "text");
    cp("tree/", "x:/tmp/copied").ok();
    assert_eq!(inside(&records, "/tmp/copied/below/file"), "text");
    cp("tree/.", "x:/tmp/there").ok();
    assert_eq!(inside(&records, "/tmp/there/below/file"), "text");
    assert!(cp("tree", "x:/tmp/old").failed(125).contains("/tmp/old is no directory"));
    // And the way back.
    cp("x:/tmp/there", ".").ok();
    assert_eq!(names(&work.join("there")), ["below", "link", "script", "tree"]);
    let status = std::fs::metadata(work.join("there/script")).unwrap();
    assert_eq!(status.mode() & 0o7777, 0o751);
    assert_eq!(status.mtime_nsec(), std::fs::metadata(work.join("script")).unwrap().mtime_nsec());
    assert_eq!(std::fs::read_link(work.join("there/link")).unwrap().to_str(), Some("below/file"));
    // What others may write to but not delete stays so.
    records.run(&["exec", "x", "mkdir", "-m", "1777", "/tmp/shared"]).ok();
    cp("x:/tmp/shared", ".").ok();
    assert_eq!(std::fs::metadata(work.join("shared")).unwrap().mode() & 0o7777, 0o1777);
    cp("shared", "x:/tmp/there").ok();
    assert_eq!(records.run(&["exec", "x", "stat", "-c", "%a", "/tmp/there/shared"]).ok(), "1777\n");
    cp("x:/tmp/there/below/file", "renamed").ok();
    assert_eq!(std::fs::read_to_string(work.join("renamed")).unwrap(), "text");
    assert!(cp("x:/tmp/nothing", ".").failed(125).contains("x: cannot open /tmp/nothing"));
    // From one sandbox to another.
    records.start(&["--name", "y"], "sleep 1000");
    cp("x:/tmp/there", "y:/tmp").ok();
    assert_eq!(records.run(&["exec", "y", "cat", "/tmp/there/below/file"]).ok(), "text");
    for (from, to, says) in [
        ("script", "renamed", "one of the two has to be in a sandbox"),
        ("nobody:/x", ".", "no sandbox with the name or id `nobody`"),
    ] {
        let err = cp(from, to).failed(125);
        assert!(err.contains(says), "{err}");
    }
    // A name with a colon is one of the host behind a slash.
    std::fs::write(work.join("a:b"), "colon").unwrap();
    cp("./a:b", "x:/tmp").ok();
    assert_eq!(inside(&records, "/tmp/a:b"), "colon");
    records.run(&["stop", "-t", "0", "x"]).ok();
    let err = cp("x:/tmp/there", ".").failed(125);
    assert!(err.contains("x is exited, and only a running sandbox can be copied from or to"), "{err}");
}

#[test]
fn cp_reads_and_writes_tar_streams_and_leaves_out_what_a_program_could_do_harm_with() {
    need!(userns(), tools(&["tar"]));
    let records = Records::new();
    let work = records.place.work();
    let script = "mkdir /tmp/d; cd /tmp/d; echo text >file; chmod 4755 file || chmod 755 file; mkfifo pipe; ln -s /etc/shadow link; echo ready; exec sleep 1000";
    records.start(&["--name", "x"], script);
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    let stream = records.command().args(["cp", "x:/tmp/d", "-"]).output().unwrap();
    let said = String::from_utf8(stream.stderr).unwrap();
    assert_eq!(stream.status.code(), Some(1), "{said}");
    assert!(said.contains("left out: x:/tmp/d/pipe: a named pipe, which is not copied"), "{said}");
    std::fs::write(work.join("stream.tar"), &stream.stdout).unwrap();
    let listed = Command::new("tar").args(["-tvf", "stream.tar"]).current_dir(work).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("-rwxr-xr-x") && listed.contains("d/link -> /etc/shadow"), "{listed}");
    // The cause, whoever notices it first.
    for path in ["x:/tmp/d", "x:/usr/share/common-licenses"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = common::ran(records.command().args(["cp", path, "-"]).stdout(full).output().unwrap());
        let said = ran.failed(125);
        assert!(said.contains("cannot write to standard output: no space left on device"), "{said}");
    }
    let into = |input: &[u8], to: &str| {
        let mut child =
            records.command().args(["cp", "-", to]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input);
        common::ran(child.wait_with_output().unwrap())
    };
    assert_eq!(into(&stream.stdout, "x:/tmp").status, Some(0));
    records.run(&["exec", "x", "mkdir", "/tmp/other"]).ok();
    assert_eq!(into(&stream.stdout, "x:/tmp/other").status, Some(0));
    assert_eq!(inside(&records, "/tmp/other/d/file"), "text\n");
    let damaged = into(b"this is no tar stream", "x:/tmp");
    assert!(damaged.failed(125).contains("no tar stream"));
    assert!(into(&stream.stdout, "x:/tmp/other/d/file").failed(125).contains("cannot open the directory"));
}

#[test]
fn cp_follows_links_in_the_root_of_the_sandbox_alone() {
    need!(userns());
    let records = Records::new();
    let work = records.place.work();
    let secret = records.place.dir.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("file"), "secret").unwrap();
    let script = format!(
        "cd /tmp; ln -s {0}/file file; ln -s {0} dir; ln -s /proc/self/root{0} magic; ln -s ../../../../..{0} up; echo mine >mine; ln -s /tmp/mine good; echo ready; exec sleep 1000",
        secret.display()
    );
    records.start(&["--name", "x"], &script);
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    for path in ["file", "dir/file", "magic/file", "up/file"] {
        let err = records.run(&["cp", &format!("x:/tmp/{path}"), "out"]).failed(125);
        assert!(err.contains("x: cannot open") && !work.join("out").exists(), "{path}: {err}");
        records.run(&["cp", "/etc/hostname", &format!("x:/tmp/{path}")]);
    }
    assert_eq!(std::fs::read_to_string(secret.join("file")).unwrap(), "secret");
    assert_eq!(names(&secret), ["file"]);
    records.run(&["cp", "x:/tmp/good", "out"]).ok();
    assert_eq!(std::fs::read_to_string(work.join("out")).unwrap(), "mine\n");
}

#[test]
fn cp_follows_no_link_of_the_host_that_a_program_may_have_put_there() {
    need!(userns());
    let records = Records::new();
    let (work, outside) = (records.place.work(), records.place.dir.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    std::fs::write(work.join("own"), "own").unwrap();
    let plants = "ln -s ../outside out; ln -s ../outside/secret notes; ln -s own same; mkdir dir; ln -s . dir/here
        mkdir /tmp/d; echo evil >/tmp/d/evil; echo ready; exec sleep 1000";
    records.start(&["--name", "x", "--rw", "."], plants);
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    let cp = |from: &str, to: &str| records.run(&["cp", from, to]);
    for (from, to) in [
        ("x:/tmp/d/.", "./out"),
        ("x:/tmp/d", "out"),
        ("x:/tmp/d/evil", "out/evil"),
        ("x:/tmp/d/evil", "out/new"),
        ("x:/tmp/d/evil", "dir/here/../out/evil"),
        ("notes", "x:/tmp"),
        ("out/secret", "x:/tmp"),
        ("out/../outside/secret", "x:/tmp"),
    ] {
        let said = cp(from, to).failed(125);
        assert!(said.contains("is a link that leads out of the current directory"), "{from} {to}: {said}");
    }
    assert_eq!(names(&outside), ["secret"]);
    let made = records.run(&["exec", "x", "ls", "/tmp"]).ok();
    assert!(!made.contains("secret") && !made.contains("notes"), "{made}");
    // One that leads nowhere else is as good as a file.
    cp("same", "x:/tmp").ok();
    assert_eq!(inside(&records, "/tmp/same"), "own");
    cp("dir/../dir/here/../own", "x:/tmp/again").ok();
    assert_eq!(inside(&records, "/tmp/again"), "own");
    cp("x:/tmp/d/evil", "dir/here/came").ok();
    assert!(work.join("dir/came").is_file());
}

#[test]
fn cp_writes_only_where_the_program_could() {
    need!(userns());
    let records = Records::new();
    let work = records.place.work();
    for name in ["shown", "alone", "new"] {
        std::fs::write(work.join(name), format!("{name}\n")).unwrap();
    }
    let flags = ["--name", "x", "--ro", "shown", "--rw", "alone"];
    records.start(&flags, "sleep 1000");
    let to = |name: &str| format!("x:{}", work.join(name).display());
    let err = records.run(&["cp", "new", &to("shown")]).failed(125);
    assert!(err.contains("x: cannot write"), "{err}");
    assert_eq!(std::fs::read_to_string(work.join("shown")).unwrap(), "shown\n");
    assert!(records.run(&["cp", "new", "x:/usr/new"]).failed(125).contains("x: cannot write /usr/new"));
    // A file that is shown writable by itself keeps its place, and its name outside.
    let before = std::fs::metadata(work.join("alone")).unwrap().ino();
    records.run(&["cp", "new", &to("alone")]).ok();
    assert_eq!(std::fs::read_to_string(work.join("alone")).unwrap(), "new\n");
    assert_eq!(std::fs::metadata(work.join("alone")).unwrap().ino(), before);
}

#[test]
fn cp_is_not_led_astray_by_a_program_that_swaps_directories_and_links_meanwhile() {
    need!(userns());
    let records = Records::new();
    let work = records.place.work();
    let outside = records.place.dir.path().join("outside");
    for dir in [&outside, &work.join("shared"), &work.join("shared/d")] {
        std::fs::create_dir(dir).unwrap();
    }
    std::fs::write(outside.join("secret"), "secret").unwrap();
    // The link leads to a directory that the sandbox does not see.
    let script = format!(
        "mkdir -p /tmp/tree/d; echo mine >/tmp/tree/d/planted; echo ready
         cd {}; while :; do mv d e; ln -s {} d; rm d; mv e d; done",
        work.join("shared").display(),
        outside.display()
    );
    records.start(&["--name", "x", "--rw", "shared"], &script);
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    for _ in 0..12 {
        // Either may come upon the link, which is then left out, or upon nothing at all.
        records.run(&["cp", "x:/tmp/tree/.", "shared"]);
        assert_eq!(names(&outside), ["secret"]);
        records.run(&["cp", "shared", "x:/tmp/copied"]);
        let found = records.run(&["exec", "x", "find", "/tmp/copied", "-name", "secret"]);
        assert!(!found.out.contains("secret"), "{found:#?}");
        records.run(&["exec", "x", "rm", "-rf", "/tmp/copied"]);
    }
}

#[test]
fn what_a_program_says_in_the_place_of_the_copier_is_shown_harmless() {
    need!(userns());
    let records = Records::new();
    let script = "mkdir /tmp/d; mkfifo \"/tmp/d/$(printf '\\033[2J')\"; echo ready; exec sleep 1000";
    records.start(&["--name", "x"], script);
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    let ran = records.run(&["cp", "x:/tmp/d", "."]);
    assert!(ran.status == Some(1) && !ran.err.contains('\u{1b}') && ran.err.contains("[2J"), "{ran:#?}");
}
