//! Sandboxes that can be named: runs in the background, and the verbs that list, end, wait for, rename and remove them.

mod common;

use common::records::Records;
use common::{ran, tools, until, userns};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[test]
fn a_run_in_the_background_prints_its_id_and_can_be_listed_stopped_waited_for_and_removed() {
    need!(userns());
    let records = Records::new();
    let id =
        records.start(&["--name", "web", "--label", "a=b"], "trap 'exit 7' TERM; echo x; while :; do sleep 0.1; done");
    assert_eq!(id.len(), 64, "{id}");
    until(|| records.run(&["logs", "web"]).out == "x\n");
    let table = records.run(&["ps"]).ok();
    let line = table.lines().nth(1).unwrap();
    assert!(table.starts_with("ID ") && line.starts_with(&id[..12]) && line.ends_with(" web"), "{table}");
    assert!(line.contains(" default ") && line.contains(" Up "), "{table}");
    assert_eq!(records.run(&["ps", "-q"]).ok(), format!("{}\n", &id[..12]));
    assert_eq!(records.run(&["ps", "--format", "{{.Names}} {{.State}} {{.Labels}}"]).ok(), "web running a=b\n");
    assert_eq!(records.inspect(&id[..8], ".State.Status"), "running");
    let pid: u32 = records.inspect("web", ".State.Pid").parse().unwrap();
    assert!(PathBuf::from(format!("/proc/{pid}")).exists());
    assert_eq!(records.run(&["rm", "web"]).status, Some(2), "it runs");
    assert_eq!(records.run(&["stop", "web"]).ok(), "web\n");
    assert_eq!(records.run(&["ps", "-q"]).ok(), "");
    let table = records.run(&["ps", "-a"]).ok();
    assert!(table.contains("Exited (7) "), "{table}");
    assert_eq!(records.run(&["wait", "web", &id]).ok(), "7\n7\n");
    assert_eq!(records.run(&["wait", "--interval", "250ms", "-i", "1s", "web"]).ok(), "7\n");
    let table = |flags: &[&str]| records.run(&[&["ps", "-a"], flags].concat()).ok();
    assert_eq!(table(&["--format", "table"]), table(&[]));
    assert_eq!(records.run(&["stop", "web"]).ok(), "web\n", "it has ended already");
    let err = records.run(&["kill", "web"]).failed(125);
    assert!(err.contains("only a running sandbox can be killed"), "{err}");
    assert_eq!(records.run(&["rm", "web"]).ok(), "web\n");
    assert_eq!(records.left(), [""; 0]);
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
}

#[test]
fn a_run_in_the_background_that_does_not_start_says_why_and_leaves_nothing() {
    need!(userns());
    let records = Records::new();
    let missing = records.run(&["run", "-d", "--name", "x", "--", "no-such-program"]);
    assert!(missing.err.contains("no-such-program: not found"), "{missing:#?}");
    assert_eq!((missing.status, missing.out.as_str()), (Some(127), ""));
    let denied = records.run(&["run", "-d", "--", "/etc/passwd"]);
    assert_eq!((denied.status, denied.out.as_str()), (Some(126), ""), "{denied:#?}");
    let wrong = records.run(&["run", "-d", "--set", "no.such=key", "true"]);
    assert_eq!((wrong.status, wrong.out.as_str()), (Some(125), ""), "{wrong:#?}");
    for name in ["", "-x", "a b", "a/b", "\u{1b}[2J"] {
        let bad = records.run(&["run", "-d", &format!("--name={name}"), "true"]);
        assert_eq!((bad.status, bad.out.as_str()), (Some(125), ""), "{bad:#?}");
    }
    assert_eq!(records.left(), [""; 0]);
}

#[test]
fn the_command_in_front_ends_with_its_streams_closed_while_the_program_runs_on() {
    need!(userns());
    let records = Records::new();
    // The output is read to its end, which comes when nobody has it open any more.
    let id = records.start(&["--name", "x"], "sleep 1000");
    assert_eq!(records.run(&["ps", "-q", "--no-trunc"]).ok().trim(), id);
    let monitor = records.inspect("x", ".State.MonitorPid");
    let session = std::fs::read_to_string(format!("/proc/{monitor}/stat")).unwrap();
    let session = session.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, monitor, "the monitor leads a session of its own");
    let target = |stream: u8| std::fs::read_link(format!("/proc/{monitor}/fd/{stream}")).unwrap().display().to_string();
    assert_eq!(target(0), "/dev/null");
    // Those of its log.
    assert!(target(1).starts_with("pipe:") && target(2).starts_with("pipe:"));
    assert_eq!(std::fs::read_link(format!("/proc/{monitor}/cwd")).unwrap().to_str(), Some("/"));
}

#[test]
fn names_are_unique_and_given_at_random_and_by_rename() {
    need!(userns());
    let records = Records::new();
    let first = records.start(&["--name", "one"], "sleep 1000");
    let err = records.run(&["run", "-d", "--name", "one", "sleep", "1"]).failed(125);
    assert!(err.contains(&format!("the name `one` is in use by {}", &first[..12])), "{err}");
    let second = records.start(&[], "sleep 1000");
    let random = records.inspect(&second, ".Name");
    assert!(random.contains('_'), "{random}");
    assert!(records.run(&["rename", "one", &random]).failed(125).contains("is in use"));
    records.run(&["rename", "one", "two"]).ok();
    assert!(records.run(&["inspect", "one"]).failed(125).contains("no sandbox with the name or id `one`"));
    assert_eq!(records.inspect("two", ".Id"), first);
    // A name that was given up is free; --replace takes one that is not.
    let third = records.start(&["--name", "one"], "sleep 1000");
    let fourth = records.start(&["--name", "one", "--replace"], "sleep 1000");
    assert_ne!(third, fourth);
    assert_eq!(records.run(&["ps", "-a", "-q"]).ok().lines().count(), 3);
}

#[test]
fn a_record_of_the_foreground_stays_until_it_is_removed_and_with_rm_none_does() {
    need!(userns());
    let records = Records::new();
    let fore = ["run", "-q", "--name", "fore", "--", "sh", "-c", "echo out; exit 3"];
    let ended = records.run(&fore);
    assert_eq!((ended.status, ended.out.as_str()), (Some(3), "out\n"));
    assert_eq!(records.inspect("fore", ".State.ExitCode"), "3");
    assert!(records.run(&fore).failed(125).contains("is in use"));
    records.run(&["rm", "fore"]).ok();
    assert_eq!(records.run(&[&fore[..4], &["--rm"][..], &fore[4..]].concat()).status, Some(3));
    assert_eq!(records.left(), [""; 0]);
    // One of the background goes by itself, and who waits for it learns the status all the same.
    let id = records.start(&["--rm", "--name", "back"], "sleep 3; exit 9");
    assert_eq!(records.run(&["wait", &id]).ok(), "9\n");
    until(|| records.left().is_empty());
}

#[test]
fn a_plain_run_writes_nothing() {
    need!(userns());
    let records = Records::new();
    assert_eq!(records.run(&["-q", "--", "true"]).status, Some(0));
    assert!(!records.records().exists() && !records.running().exists());
}

#[test]
fn a_monitor_that_is_killed_ends_its_sandbox_and_nothing_else_is_said_of_it() {
    need!(userns());
    let records = Records::new();
    let id = records.start(&["--name", "x"], "sleep 1000");
    let pid = records.inspect("x", ".State.Pid");
    let waits = records.command().args(["wait", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    records.kill(".State.MonitorPid", "x", libc::SIGKILL);
    let waited = ran(waits.wait_with_output().unwrap());
    assert_eq!(waited.out, "137\n");
    until(|| !PathBuf::from(format!("/proc/{pid}")).exists());
    assert_eq!(records.run(&["ps", "-q"]).ok(), "");
    assert!(records.run(&["ps", "-a"]).ok().contains("Exited (137), killed"));
    assert_eq!(records.inspect("x", ".State.Error"), "the sandbox's monitor was killed, and the program with it");
    assert_eq!(records.run(&["stop", "x"]).ok(), "x\n");
    records.run(&["rm", &id[..5]]).ok();
    assert_eq!(records.left(), [""; 0]);
}

#[test]
fn a_first_process_that_is_killed_ends_the_sandbox() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    records.kill(".State.Pid", "x", libc::SIGKILL);
    assert_eq!(records.run(&["wait", "x"]).ok(), "137\n");
    assert_eq!(records.inspect("x", ".State.Cause"), "killed");
}

#[test]
fn a_monitor_that_is_stopped_keeps_nobody_waiting_and_can_be_killed() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    records.kill(".State.MonitorPid", "x", libc::SIGSTOP);
    assert!(records.run(&["ps"]).ok().contains(" Up "));
    let err = records.run(&["kill", "-s", "TERM", "x"]).failed(125);
    assert!(err.contains("the monitor of x does not answer") && err.contains("kill -CONT"), "{err}");
    assert_eq!(records.run(&["rm", "-f", "-t", "0", "x"]).ok(), "x\n");
    assert_eq!(records.left(), [""; 0]);
    // No signal is said to have been without effect that nobody has taken.
    let id = records.start(&["--name", "x", "--restart", "always"], "sleep 1000");
    let monitor: i32 = records.inspect("x", ".State.MonitorPid").parse().unwrap();
    records.kill(".State.MonitorPid", "x", libc::SIGSTOP);
    // Where its state says nothing of it, there is the other end of its socket.
    std::fs::write(records.running().join(id).join("state.json"), "").unwrap();
    let err = records.run(&["kill", "-s", "TERM", "x"]).failed(125);
    assert!(err.contains(&format!("kill -CONT {monitor} has it go on")), "{err}");
    let stopped = records.run(&["stop", "-t", "1", "x"]);
    assert!(stopped.status == Some(0) && stopped.err.is_empty(), "{stopped:?}");
}

#[test]
fn a_program_that_ignores_the_signal_is_killed_when_its_time_is_over() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "--stop-timeout", "0"], "trap '' TERM; echo ready; while :; do sleep 0.1; done");
    until(|| records.run(&["logs", "x"]).out == "ready\n");
    assert_eq!(records.run(&["stop", "x"]).ok(), "x\n");
    assert_eq!(records.run(&["wait", "x"]).ok(), "137\n");
    // Another signal than SIGTERM, and one that kill names.
    records.start(
        &["--name", "y", "--stop-signal", "USR1"],
        "trap 'exit 5' USR1; trap 'exit 6' HUP; echo ready; while :; do sleep 0.1; done",
    );
    until(|| records.run(&["logs", "y"]).out == "ready\n");
    records.run(&["kill", "--signal", "SIGHUP", "y"]).ok();
    assert_eq!(records.run(&["wait", "y"]).ok(), "6\n");
    assert!(records.run(&["kill", "-s", "NOSUCH", "y"]).failed(125).contains("`NOSUCH` is no signal"));
}

#[test]
fn commands_at_once_each_get_a_whole_answer() {
    need!(userns());
    let records = Records::new();
    let start = |name: &str| {
        let mut command = records.command();
        command
            .args(["run", "-d", "-q", "--name", name, "sleep", "1000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    // Of several that want one name, one gets it.
    let all: Vec<_> = (0..4).map(|_| start("same")).collect();
    let all: Vec<_> = all.into_iter().map(|child| child.wait_with_output().unwrap().status.code()).collect();
    assert_eq!(all.iter().filter(|status| **status == Some(0)).count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|status| **status == Some(125)).count(), 3, "{all:?}");
    assert_eq!(records.run(&["ps", "-q"]).ok().lines().count(), 1);
    // Of several that remove it, each succeeds, or finds nothing.
    let remove = || records.command().args(["rm", "-f", "-t", "0", "same"]).stdout(Stdio::null()).spawn().unwrap();
    let all: Vec<_> = (0..4).map(|_| remove()).collect();
    for child in all {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    assert_eq!(records.left(), [""; 0]);
}

#[test]
fn what_a_program_left_in_the_place_of_records_is_not_followed_and_stops_nobody() {
    need!(userns());
    let records = Records::new();
    let id = records.start(&["--name", "real"], "sleep 1000");
    let secret = records.place.write("secret", "content");
    let dir = |name: &str| records.records().join(name.repeat(64));
    // A link in the place of a record; an empty one; one with garbage, with links, pipes and a huge file in it.
    std::os::unix::fs::symlink("/etc", dir("a")).unwrap();
    for name in ["b", "c", "d", "e"] {
        std::fs::create_dir(dir(name)).unwrap();
        std::fs::set_permissions(dir(name), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    std::fs::write(dir("c").join("spec.json"), "{\"created\": \"x\", \u{0}").unwrap();
    std::fs::write(dir("c").join("exit.json"), "{\"number\":1,\"value\":{},\"end\":2}").unwrap();
    std::os::unix::fs::symlink(&secret, dir("d").join("spec.json")).unwrap();
    Command::new("mkfifo").arg(dir("d").join("exit.json")).status().unwrap();
    let huge = std::fs::File::create(dir("e").join("spec.json")).unwrap();
    huge.set_len(1 << 40).unwrap();
    std::fs::write(
        dir("e").join("exit.json"),
        format!("{{\"number\":1,\"value\":{{\"status\":1,\"finished\":5,\"error\":\"{}\"}},\"end\":1}}", "\u{1b}[2J"),
    )
    .unwrap_or(());
    // Names that lead elsewhere.
    std::os::unix::fs::symlink("../../../etc", records.records().join(".names/out")).unwrap();
    std::os::unix::fs::symlink(&id, records.records().join(".names/\u{1b}[31m")).unwrap();
    let table = records.run(&["ps", "-a", "--no-trunc"]).ok();
    assert_eq!(table.lines().filter(|line| line.contains(" real")).count(), 1, "{table}");
    assert!(!table.contains('\u{1b}') && table.lines().count() >= 4, "{table}");
    let json = records.run(&["ps", "-a", "--json"]).ok();
    assert!(!json.contains('\u{1b}'), "{json}");
    assert_eq!(records.run(&["inspect", "out"]).status, Some(125));
    records.run(&["prune", "-f"]).ok();
    assert_eq!(records.run(&["ps", "-q"]).ok().lines().count(), 1);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "content");
    assert_eq!(records.inspect("real", ".State.Status"), "running");
}

#[test]
fn a_directory_of_records_that_others_may_write_to_is_refused() {
    need!(userns());
    let records = Records::new();
    std::fs::create_dir(records.records()).unwrap();
    std::fs::set_permissions(records.records(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let err = records.run(&["run", "-d", "sleep", "1"]).failed(125);
    assert!(err.contains("others may write to it") && err.contains("chmod 700"), "{err}");
    std::fs::remove_dir(records.records()).unwrap();
    std::os::unix::fs::symlink("/tmp", records.records()).unwrap();
    let err = records.run(&["run", "-d", "sleep", "1"]).failed(125);
    assert!(err.contains("is no directory"), "{err}");
    std::fs::remove_file(records.records()).unwrap();
}

#[test]
fn records_of_other_versions_are_read_as_far_as_they_are_known() {
    need!(userns());
    let records = Records::new();
    let id = records.start(&["--name", "x"], "exit 3");
    records.run(&["wait", "x"]).ok();
    let spec = records.records().join(&id).join("spec.json");
    std::fs::write(&spec, "{\"version\": 9, \"args\": [\"new\"], \"unknown\": {\"deep\": [1]}}").unwrap();
    let table = records.run(&["ps", "-a"]).ok();
    assert!(table.contains("new ") && table.contains("Exited (3) "), "{table}");
    std::fs::write(&spec, "{}").unwrap();
    assert!(records.run(&["ps", "-a"]).ok().contains("Exited (3) "));
    // Of the time before a reboot.
    let exit = "{\"number\":1,\"value\":{\"started\":5,\"boot\":\"other\"},\"end\":1}";
    std::fs::write(records.records().join(&id).join("exit.json"), exit).unwrap();
    assert!(records.run(&["ps", "-a"]).ok().contains("Exited (137) by a reboot"));
    records.run(&["rm", "x"]).ok();
}

#[test]
fn a_program_sees_no_records_and_no_sockets_of_monitors() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "other"], "sleep 1000");
    let dir = records.place.dir.path().to_str().unwrap().to_owned();
    for mode in ["--ro", "--rw"] {
        let run = ["-q", mode, &dir, "--", "sh", "-c", &format!("ls -A {dir}/run/sbx {dir}/state/sbx; ls {dir}")];
        let seen = records.run(&run).ok();
        assert!(
            seen.contains("home") && !seen.contains("names") && !seen.lines().any(|line| line.len() == 64),
            "{seen}"
        );
    }
    // It makes none either, before another run does.
    let fresh = Records::new();
    let dir = fresh.place.dir.path().to_str().unwrap().to_owned();
    let script = format!("mkdir -p {dir}/run/sbx/x {dir}/state/sbx/x; true");
    fresh.run(&["-q", "--rw", &dir, "--", "sh", "-c", &script]);
    assert_eq!(fresh.left(), [""; 0]);
}

#[test]
fn a_full_disk_keeps_a_sandbox_from_starting_and_loses_no_status() {
    need!(userns(), tools(&["unshare", "mount"]));
    let records = Records::new();
    // A small tmpfs for the records, in a mount namespace of the test's own.
    let ran = records.in_own_mounts(
        "mount -t tmpfs -o size=256k,mode=700 t $place/state || exit 91
         $sbx run -q -d --name x sh -c 'while [ ! -e go ]; do sleep 0.05; done; exit 5' >/dev/null || exit 90
         cat /dev/zero > $place/state/fill 2>/dev/null
         $sbx run -q -d --name y sleep 1000; echo \"second $?\"
         $sbx ps -a --format '{{.Names}} {{.State}}'
         $sbx kill -s USR1 x >/dev/null
         $sbx wait x
         $sbx rm x; $sbx ps -aq; ls -A $place/state/sbx",
    );
    assert!(ran.out.starts_with("second 125\nx running\n"), "{ran:#?}");
    assert!(ran.err.contains("full"), "{ran:#?}");
    // 128 + SIGUSR1.
    assert!(ran.out.ends_with("138\nx\n.events\n.names\n"), "{ran:#?}");
}

#[test]
fn a_log_keeps_what_the_program_writes_by_stream_and_time_and_can_be_followed() {
    need!(userns());
    let records = Records::new();
    let script = "echo two >&2; sleep 0.3; echo one; printf part; sleep 0.3; echo ial; while [ ! -e go ]; do sleep 0.05; done; echo last; exit 3";
    records.start(&["--name", "x", "--rw", "."], script);
    let logs = |flags: &[&str]| records.run(&[&["logs"], flags, &["x"]].concat());
    until(|| logs(&[]).out.contains("partial\n"));
    let all = logs(&[]);
    assert_eq!((all.out.as_str(), all.err.as_str()), ("one\npartial\n", "two\n"));
    let times = logs(&["-t"]).ok();
    let (time, text) = times.lines().next().unwrap().split_once(' ').unwrap();
    assert!(text == "one" && time.ends_with('Z') && time.len() == "2016-10-06T00:17:09.669794202Z".len(), "{times}");
    assert_eq!(logs(&["--tail", "1"]).ok(), "partial\n");
    assert_eq!(logs(&["--tail", "0"]).ok(), "");
    assert_eq!(logs(&["--since", "1h"]).ok(), "one\npartial\n");
    assert_eq!(logs(&["--until", "2000-01-01"]).ok(), "");
    let follows = records.command().args(["logs", "-f", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    std::fs::write(records.place.work().join("go"), "").unwrap();
    let followed = ran(follows.wait_with_output().unwrap());
    assert_eq!((followed.status, followed.out.as_str()), (Some(0), "one\npartial\nlast\n"));
    assert_eq!(records.run(&["wait", "x"]).ok(), "3\n");
    assert_eq!(logs(&["-n", "1"]).ok(), "last\n", "a log stays with its record");
    records.run(&["rm", "x"]).ok();
    assert_eq!(records.left(), [""; 0]);
}

#[test]
fn a_program_that_floods_its_log_is_not_kept_waiting_by_a_reader_and_fills_no_disk() {
    need!(userns());
    let records = Records::new();
    let id =
        records.start(&["--name", "x", "--log-opt", "max-size=256k"], "yes 0123456789 | head -n 1800000; echo end");
    // A reader that never reads.
    let mut stuck = records.command().args(["logs", "-f", "x"]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(records.run(&["wait", "x"]).ok(), "0\n");
    let size = |name: &str| std::fs::metadata(records.records().join(&id).join(name)).unwrap().len();
    assert!(size("log") <= 256 << 10 && size("log.1") <= 256 << 10, "{} {}", size("log"), size("log.1"));
    assert_eq!(records.run(&["logs", "--tail", "1", "x"]).ok(), "end\n");
    stuck.kill().unwrap();
    stuck.wait().unwrap();
}

#[test]
fn who_follows_a_log_too_slowly_is_told_where_lines_may_be_missing_and_still_gets_the_last() {
    need!(userns());
    let records = Records::new();
    let script = "echo first; while [ ! -e go ]; do sleep 0.05; done; yes 0123456789 | head -n 300000; echo end";
    records.start(&["--name", "x", "--rw", ".", "--log-opt", "max-size=64k"], script);
    let mut follows = records.command();
    let mut follows = follows.args(["logs", "-f", "x"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(follows.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert_eq!(first, "first\n");
    // More than it writes to somebody who does not read.
    std::fs::write(records.place.work().join("go"), "").unwrap();
    assert_eq!(records.run(&["wait", "x"]).ok(), "0\n");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let said = ran(follows.wait_with_output().unwrap());
    assert!(said.status == Some(0) && said.err.contains("of the output of x may be missing here"), "{said:?}");
    let (lines, end) = rest.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "end");
    // Where some are missing, one may be cut; none goes on as another.
    let wrong: Vec<_> = lines.lines().filter(|line| !"0123456789".contains(line)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(lines.lines().count() < 300_000);
    // One that reads, and of all that is there, is told nothing.
    let all = records.run(&["logs", "-f", "--tail", "1", "x"]);
    assert_eq!((all.out.as_str(), all.err.as_str()), ("end\n", ""));
}

#[test]
fn who_follows_a_program_that_never_rests_ends_at_its_time_and_when_nobody_reads() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "--log-opt", "max-size=256k"], "exec yes 0123456789");
    let script = "while [ ! -e go ]; do sleep 0.05; done; echo other; exec sleep 1000";
    records.start(&["--name", "other", "--rw", "."], script);
    let ends = |args: &[&str], stdout: Stdio| {
        let mut child = records.command().args(args).stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
        let ended = until(|| child.try_wait().unwrap().is_some());
        child.kill().ok();
        assert!(ended && child.wait().unwrap().success(), "{args:?}");
    };
    ends(&["logs", "-f", "--until", "0s", "x"], Stdio::null());
    let (reads, writes) = std::io::pipe().unwrap();
    let first = std::thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(reads).read_line(&mut line).map(|_| line)
    });
    ends(&["logs", "-f", "x"], writes.into());
    assert_eq!(first.join().unwrap().unwrap(), "0123456789\n");
    // The other one has its turn: what it had written is read before the first line of this one.
    let mut both = records.command();
    let mut both =
        both.args(["logs", "-f", "other", "x"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(both.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().ends_with(" 0123456789"));
    std::fs::write(records.place.work().join("go"), "").unwrap();
    let reads = std::thread::spawn(move || lines.any(|line| line.is_ok_and(|line| line.ends_with(" other"))));
    let came = until(|| reads.is_finished());
    both.kill().unwrap();
    both.wait().unwrap();
    assert!(came && reads.join().unwrap());
    records.run(&["kill", "--all"]).ok();
}

#[test]
fn a_shell_in_the_background_waits_for_input_and_has_a_terminal_if_asked() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "ends"], "cat; echo over");
    assert_eq!(records.run(&["wait", "ends"]).ok(), "0\n");
    records.start(&["--name", "waits", "-i"], "echo ready; cat; echo over");
    records.start(&["--name", "terminal", "-it"], "test -t 0 && test -t 1 && echo ready; cat; echo over");
    for name in ["waits", "terminal"] {
        until(|| records.run(&["logs", name]).out.contains("ready"));
        assert_eq!(records.inspect(name, ".State.Status"), "running");
    }
}

#[test]
fn drivers_of_logs_keep_nothing_or_pass_the_callers_streams_on() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "none", "--log-driver", "none"], "echo x");
    assert!(records.run(&["logs", "none"]).failed(125).contains("has no log"));
    let out = records.place.dir.path().join("out");
    let mut command = records.command();
    command.args([
        "run",
        "-d",
        "-q",
        "--name",
        "pass",
        "--log-driver",
        "passthrough",
        "--",
        "sh",
        "-c",
        "echo through; echo err >&2",
    ]);
    let file = std::fs::File::create(&out).unwrap();
    assert!(command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap().success());
    assert_eq!(records.run(&["wait", "pass"]).ok(), "0\n");
    let written = std::fs::read_to_string(&out).unwrap();
    assert!(written.contains("through\n") && written.contains("err\n"), "{written}");
    assert!(records.run(&["logs", "pass"]).failed(125).contains("passthrough"));
}

#[test]
fn what_a_program_writes_acts_on_no_terminal_that_shows_its_log() {
    need!(userns(), tools(&["script"]));
    let records = Records::new();
    let script = r"printf '\033]52;c;ZXZpbA==\007 \033[31mred\033[0m \033[2J \r\n'";
    records.start(&["--name", "x"], script);
    assert_eq!(records.run(&["wait", "x"]).ok(), "0\n");
    assert!(records.run(&["logs", "x"]).ok().contains("\u{1b}]52"), "a file gets what was written");
    let sbx = common::sbx().display().to_string();
    let dir = records.place.dir.path().display();
    let line = format!("env XDG_STATE_HOME={dir}/state XDG_RUNTIME_DIR={dir}/run {sbx} logs x");
    let shown = ran(Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap());
    assert!(shown.out.contains("\u{1b}[31mred"), "colours stay: {shown:#?}");
    assert!(
        !shown.out.contains("\u{1b}]") && !shown.out.contains("\u{1b}[2J") && !shown.out.contains('\u{7}'),
        "{shown:#?}"
    );
}

#[test]
fn what_was_created_is_started_later_and_again() {
    need!(userns());
    let records = Records::new();
    let script = "echo run >> runs; exit 4";
    let id = records.run(&["create", "--name", "x", "--rw", ".", "-q", "--", "sh", "-c", script]).ok();
    assert_eq!(id.trim().len(), 64, "{id}");
    let table = records.run(&["ps", "-a"]).ok();
    assert!(table.contains(" Created ") && records.run(&["ps", "-q"]).ok().is_empty(), "{table}");
    assert!(records.run(&["wait", "x"]).failed(125).contains("was never started"));
    let err = records.run(&["create", "--name", "x", "true"]).failed(125);
    assert!(err.contains("is in use"), "{err}");
    assert_eq!(records.run(&["create", "--set", "no.such=key", "true"]).status, Some(125));
    // Started from elsewhere, it means the directory that it was created in.
    let started = ran(records.command().current_dir("/").args(["start", "x"]).output().unwrap());
    assert_eq!((started.status, started.out.as_str()), (Some(0), "x\n"), "{started:#?}");
    assert_eq!(records.run(&["wait", "x"]).ok(), "4\n");
    records.run(&["start", "x"]).ok();
    assert_eq!(records.run(&["wait", "x"]).ok(), "4\n");
    assert_eq!(std::fs::read_to_string(records.place.work().join("runs")).unwrap(), "run\nrun\n");
    // With its output, to its end.
    records.run(&["create", "--name", "y", "--", "sh", "-c", "echo out; echo err >&2; exit 5"]).ok();
    let attached = records.run(&["start", "-a", "y"]);
    assert_eq!((attached.status, attached.out.as_str(), attached.err.as_str()), (Some(5), "out\n", "err\n"));
    let again = records.run(&["start", "-a", "y"]);
    assert_eq!((again.status, again.out.as_str()), (Some(5), "out\n"), "only what is new");
    // One that cannot be started any more keeps its record.
    records.place.on_host("mkdir gone");
    let create = ["create", "--name", "z", "true"];
    assert!(records.command().current_dir(records.place.work().join("gone")).args(create).status().unwrap().success());
    records.place.on_host("rmdir gone");
    assert!(records.run(&["start", "z"]).failed(125).contains("cannot be entered any more"));
    assert_eq!(records.inspect("z", ".State.Status"), "created");
}

#[test]
fn a_program_is_restarted_as_the_flag_says_and_not_after_it_was_stopped() {
    need!(userns());
    let records = Records::new();
    let runs =
        |file: &str| std::fs::read_to_string(records.place.work().join(file)).unwrap_or_default().lines().count();
    let start = |name: &str, restart: &str, status: u8| {
        let script = format!("echo x >> {name}; exit {status}");
        records.start(&["--name", name, "--rw", ".", "--restart", restart], &script);
    };
    start("fails", "on-failure:2", 3);
    start("works", "on-failure", 0);
    start("always", "always", 0);
    until(|| runs("always") >= 3);
    until(|| runs("fails") == 3 && records.inspect("fails", ".State.Status") == "exited");
    assert_eq!(records.inspect("fails", ".State.ExitCode"), "3");
    assert_eq!(runs("works"), 1);
    assert_eq!(records.run(&["stop", "always"]).ok(), "always\n");
    until(|| records.inspect("always", ".State.Status") == "exited");
    let count = runs("always");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(runs("always"), count, "it was stopped");
    // Who is stopped while it runs is not started again either.
    records.start(&["--name", "long", "--restart", "always", "-t", "--stop-timeout", "0"], "sleep 1000");
    records.run(&["stop", "long"]).ok();
    assert!(records.run(&["wait", "long"]).ok().trim().parse::<i32>().unwrap() > 128);
    records.run(&["restart", "-t", "0", "long"]).ok();
    assert_eq!(records.inspect("long", ".State.Status"), "running");
    let err = records.run(&["run", "-d", "--rm", "--restart", "always", "true"]).failed(125);
    assert!(err.contains("--rm removes what --restart would start again"), "{err}");
    assert!(records.run(&["run", "-d", "--restart", "often", "true"]).failed(125).contains("sbx does not know it"));
}

/// What the kernel says of a process that bears on what it may do, as the process itself sees it.
const STANDING: &str = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig|Umask)' /proc/self/status | grep -v SigQ
    for kind in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$kind; done
    cat /proc/self/cgroup /proc/self/limits /proc/self/uid_map /proc/self/attr/current 2>/dev/null
    ls /proc/self/fd | wc -l; ulimit -a";

#[test]
fn a_further_program_has_the_lock_down_of_the_sandboxs_program() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    let script = format!("({STANDING}) > first 2>&1; mkfifo wait; cat wait");
    records.start(&["--name", "x", "--rw", ".", "--set", "rlimits.nofile=100"], &script);
    let first = || std::fs::read_to_string(records.place.work().join("first")).unwrap_or_default();
    until(|| records.place.work().join("wait").exists());
    let further = records.run(&["exec", "-e", "A=b", "x", "sh", "-c", &format!("({STANDING}) > further 2>&1")]);
    assert_eq!((further.status, further.err.as_str()), (Some(0), ""));
    let found = std::fs::read_to_string(records.place.work().join("further")).unwrap();
    assert!(found.contains("NoNewPrivs:\t1") && found.contains("Seccomp:\t2"), "{found}");
    assert_eq!(first(), found);
    // Filter and Landlock: what is refused to the one is refused to the other.
    let tried = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nfor call in (101, 165, 272, 308, 321, 425):\n    libc.syscall(call, 0, 0, 0, 0, 0)\n    print(call, ctypes.get_errno())\nfor path in ('/etc/passwd', '/new', '/proc/1/mem', '/proc/1/root'):\n    try: os.open(path, os.O_RDWR | os.O_CREAT); print(path)\n    except OSError as e: print(path, e.errno)\n";
    let plain = records.run(&["-q", "--rw", ".", "--", "python3", "-c", tried]).ok();
    assert_eq!(records.run(&["exec", "x", "python3", "-c", tried]).ok(), plain);
    // And it is the sandbox's: its files, its processes, its host name.
    assert_eq!(
        records.run(&["exec", "x", "sh", "-c", "cat /proc/1/comm; ls wait; hostname"]).ok().lines().nth(1),
        Some("wait")
    );
}

#[test]
fn a_further_program_has_its_own_streams_variables_directory_and_status() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x", "-e", "KEPT=one"], "sleep 1000");
    let exec = |args: &[&str]| records.run(&[&["exec"], args].concat());
    let whole = exec(&["-e", "NEW=two", "-w", "/usr", "x", "sh", "-c", "echo $KEPT $NEW; pwd; echo err >&2; exit 7"]);
    assert_eq!((whole.status, whole.out.as_str(), whole.err.as_str()), (Some(7), "one two\n/usr\n", "err\n"));
    assert_eq!(exec(&["x", "sh", "-c", "kill -TERM $$"]).status, Some(143));
    let missing = exec(&["x", "no-such-program"]);
    assert!(missing.err.contains("no-such-program: not found in the sandbox"), "{missing:#?}");
    assert_eq!(missing.status, Some(127));
    assert_eq!(exec(&["x", "/etc/passwd"]).status, Some(126));
    assert_eq!(exec(&["-w", "/no/such", "x", "true"]).status, Some(125));
    for refused in [&["--privileged", "x", "id"][..], &["nobody", "id"]] {
        assert_eq!(exec(refused).status, Some(125), "{refused:?}");
    }
    // Standard input, only if asked for, to its end; more than pipes hold, both ways.
    let typed = |flags: &[&str], script: &str, input: &[u8]| {
        let mut command = records.command();
        command.arg("exec").args(flags).args(["x", "sh", "-c", script]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output.stdout
    };
    assert_eq!(typed(&[], "cat; echo end", b"typed"), b"end\n");
    let long = vec![b'x'; 3_000_000];
    assert!(typed(&["-i"], "cat", &long) == long);
    assert_eq!(typed(&["-i"], "head -c 3", &long), b"xxx");
    // A program that it leaves running keeps nobody waiting.
    assert_eq!(exec(&["x", "sh", "-c", "sleep 1000 & echo started"]).ok(), "started\n");
    // The sandbox's own end ends it.
    let waits = records.command().args(["exec", "x", "sleep", "1000"]).stderr(Stdio::piped()).spawn().unwrap();
    // Its own program, what was left running, and that.
    assert!(until(|| exec(&["x", "sh", "-c", "grep -l '^sleep' /proc/[0-9]*/comm | wc -l"]).out == "3\n"));
    records.run(&["stop", "-t", "0", "x"]).ok();
    assert_eq!(ran(waits.wait_with_output().unwrap()).status, Some(137));
    let over = exec(&["x", "true"]);
    assert!(over.status == Some(255) && over.err.contains("only a running sandbox"), "{over:#?}");
}

#[test]
fn children_that_are_stopped_and_continued_all_the_time_keep_no_further_program_waiting() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    // The launcher, which reads what is written, is slower than PID 1, which sees the stops.
    let flood =
        "import os, signal\nwhile True: os.kill(os.getppid(), signal.SIGSTOP); os.kill(os.getppid(), signal.SIGCONT)";
    let program = format!("yes '' & yes '' >&2 & python3 -c '{flood}' & echo ready >&2; while :; do wait; done");
    records.start(&["--name", "x", "--log-opt", "max-size=256k"], &program);
    assert!(until(|| records.run(&["logs", "--tail", "1", "x"]).out.contains('\n')));
    for _ in 0..5 {
        let mut asks = records.command().args(["exec", "x", "sh", "-c", "exit 7"]).spawn().unwrap();
        let mut ended = None;
        let in_time = until(|| {
            ended = asks.try_wait().unwrap();
            ended.is_some()
        });
        if !in_time {
            let _ = asks.kill();
        }
        assert_eq!(ended.and_then(|status| status.code()), Some(7));
    }
    let _ = records.run(&["stop", "-t", "0", "x"]);
}

#[test]
fn a_further_program_ends_with_the_command_that_asked_for_it_and_none_is_executed_without_an_init() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "sleep 1000");
    let count = || records.run(&["exec", "x", "sh", "-c", "grep -l '^sleep' /proc/[0-9]*/comm | wc -l"]).ok();
    let mut asks = records.command().args(["exec", "x", "sleep", "2000"]).spawn().unwrap();
    until(|| count() == "2\n");
    asks.kill().unwrap();
    asks.wait().unwrap();
    until(|| count() == "1\n");
    records.start(&["--name", "y", "--as-pid-1"], "sleep 1000");
    assert!(records.run(&["exec", "y", "true"]).failed(125).contains("needs sbx's PID 1"));
}
