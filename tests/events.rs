//! `sbx events`: what has happened to sandboxes that have a record.

mod common;

use common::records::Records;
use common::{cgroup, limits, tools, until, userns};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// What has happened, as `WORD NAME`, without what the filter leaves out.
#[track_caller]
fn all(records: &Records, filters: &[&str]) -> Vec<String> {
    let args = [&["events", "--no-stream", "--format", "{{.Status}} {{.Name}}"], filters].concat();
    records.run(&args).ok().lines().map(str::to_owned).collect()
}

#[test]
fn what_happens_to_a_sandbox_is_told_in_its_order_with_its_exit_status() {
    need!(userns());
    let records = Records::new();
    let id =
        records.start(&["--name", "web", "--label", "a=b"], "trap 'exit 7' TERM; echo x; while :; do sleep 0.1; done");
    assert!(until(|| records.run(&["logs", "web"]).out == "x\n"));
    records.run(&["exec", "web", "sh", "-c", "exit 3"]);
    records.run(&["rename", "web", "site"]).ok();
    records.run(&["kill", "-s", "CONT", "site"]).ok();
    records.run(&["stop", "site"]).ok();
    records.run(&["rm", "site"]).ok();
    let wanted = [
        "create web",
        "start web",
        "exec web",
        "exec_died web",
        "rename site",
        "kill site",
        "died site",
        "stop site",
        "remove site",
    ];
    assert_eq!(all(&records, &[]), wanted);
    assert_eq!(
        all(&records, &["--filter", "event=died", "--filter", "event=kill", "--filter", "label=a=b"]),
        ["kill site", "died site"]
    );
    assert_eq!(all(&records, &["--filter", "container=web"]), wanted[..5]);
    assert_eq!(all(&records, &["--filter", &format!("container={}", &id[..9])]).len(), wanted.len());
    assert_eq!(all(&records, &["--filter", "profile=none"]), [""; 0]);
    assert_eq!(all(&records, &["--until", "1"]), [""; 0]);
    assert_eq!(all(&records, &["--since", "1h"]).len(), wanted.len());
    let json = records.run(&["events", "--json", "--since", "0", "--until", "0s"]).ok();
    let field = |line: usize| json.lines().nth(line).unwrap();
    assert!(field(3).contains("\"ContainerExitCode\":3") && field(6).contains("\"ContainerExitCode\":7"), "{json}");
    assert!(field(4).contains("\"OldName\":\"web\"") && field(5).contains("\"Signal\":18"), "{json}");
    assert!(
        field(0).contains(&format!("\"ID\":\"{id}\"")) && field(0).contains("\"Attributes\":{\"a\":\"b\"}"),
        "{json}"
    );
    let text = records.run(&["events", "--no-stream", "--no-trunc=false"]).ok();
    assert!(
        text.lines()
            .next()
            .unwrap()
            .ends_with(&format!("container create {} (profile=default, name=web, a=b)", &id[..12])),
        "{text}"
    );
}

#[test]
fn a_run_in_the_foreground_is_told_of_only_if_it_has_a_record() {
    need!(userns());
    let records = Records::new();
    records.run(&["-q", "--", "true"]).ok();
    assert!(!records.records().exists());
    assert_eq!(records.run(&["-q", "--name", "x", "--rm", "--", "sh", "-c", "exit 4"]).status, Some(4));
    assert_eq!(all(&records, &[]), ["create x", "start x", "died x", "remove x"]);
    // One that is not started has not died.
    assert_eq!(records.run(&["run", "-d", "--name", "y", "no-such-program"]).status, Some(127));
    // Its record is removed once that is said.
    assert!(until(|| all(&records, &["--filter", "container=y"]) == ["create y", "remove y"]));
}

#[test]
fn a_program_that_is_ended_since_its_memory_is_full_is_told_of_as_podman_does() {
    need!(userns(), limits());
    let records = Records::new();
    // It keeps all that it has read of a line.
    records.start(&["--name", "x", "--memory", "32M", "--set", "limits.swap_max=0"], "exec tail /dev/zero");
    assert_eq!(records.run(&["wait", "x"]).ok(), "137\n");
    assert_eq!(all(&records, &[]), ["create x", "start x", "oom x", "died x"]);
    assert_eq!(records.run(&["inspect", "--format", "{{.State.OOMKilled}}", "x"]).ok(), "true\n");
}

#[test]
fn starts_restarts_and_those_who_attach_are_told() {
    need!(userns());
    let records = Records::new();
    records.run(&["create", "--name", "x", "sleep", "1000"]).ok();
    records.run(&["start", "x"]).ok();
    records.run(&["restart", "-t", "0", "x"]).ok();
    let mut attached = records.command().args(["attach", "--no-stdin", "x"]).stdout(Stdio::null()).spawn().unwrap();
    assert!(until(|| all(&records, &["--filter", "event=attach"]) == ["attach x"]));
    records.run(&["stop", "-t", "0", "x"]).ok();
    attached.wait().unwrap();
    let wanted = ["create x", "start x", "died x", "stop x", "start x", "restart x", "attach x", "died x", "stop x"];
    assert_eq!(all(&records, &[]), wanted);
    // By itself, until it has run often enough.
    records.start(&["--name", "again", "--restart", "on-failure:1"], "exit 5");
    let wanted = ["create again", "start again", "died again", "start again", "restart again", "died again"];
    assert!(until(|| all(&records, &["--filter", "container=again"]) == wanted));
}

#[test]
fn a_further_program_that_ends_with_its_sandbox_is_told_of_before_that_has_died() {
    need!(userns());
    let records = Records::new();
    records.start(&["--name", "x"], "exec sleep 1000");
    records.run(&["exec", "-d", "x", "sleep", "1000"]).ok();
    records.run(&["stop", "-t", "0", "x"]).ok();
    let events = ["events", "--no-stream", "--filter", "container=x", "--format", "{{.Status}} {{.ContainerExitCode}}"];
    let told = records.run(&events).ok();
    let told: Vec<_> = told.lines().map(str::trim_end).collect();
    assert_eq!(told[told.len() - 4..], ["exec", "exec_died 137", "died 137", "stop"], "{told:?}");
}

#[test]
fn pauses_and_other_limits_are_told() {
    need!(userns(), cgroup());
    let records = Records::new();
    records.start(&["--name", "x", "--set", "limits.max_descendants=50"], "sleep 1000");
    records.run(&["pause", "x"]).ok();
    records.run(&["unpause", "x"]).ok();
    records.run(&["update", "--set", "limits.max_descendants=60", "x"]).ok();
    assert_eq!(all(&records, &[]), ["create x", "start x", "pause x", "unpause x", "update x"]);
}

#[test]
fn who_follows_is_told_of_what_happens_and_ends_when_nobody_reads() {
    need!(userns());
    let records = Records::new();
    records.run(&["create", "--name", "first", "true"]).ok();
    let mut follows = records.command();
    follows.args(["events", "--since", "0", "--format", "{{.Status}} {{.Name}}"]).stdout(Stdio::piped());
    let mut follows = follows.spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "create first");
    records.run(&["-q", "--name", "second", "--", "true"]).ok();
    assert_eq!([next(), next(), next()], ["create second", "start second", "died second"]);
    drop(lines);
    // It writes to nobody, or is told that nobody reads.
    assert!(follows.wait().unwrap().success());
    // One that is to end at a time does, although nothing happens.
    assert_eq!(records.run(&["events", "--until", "2000-01-01"]).ok(), "");
    // Without a time, what has happened before is not told.
    let mut late = records.command();
    late.args(["events", "--filter", "event=rename"]).stdout(Stdio::piped());
    let mut late = late.spawn().unwrap();
    let mut lines = BufReader::new(late.stdout.take().unwrap()).lines();
    let (mut names, told) = (["first", "other"], std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let first = lines.next().map(|line| line.unwrap().contains(" rename "));
            told.store(first == Some(true), std::sync::atomic::Ordering::Relaxed);
        });
        let seen = until(|| {
            records.run(&["rename", names[0], names[1]]).ok();
            names.reverse();
            told.load(std::sync::atomic::Ordering::Relaxed)
        });
        // Whoever reads it ends then, too.
        late.kill().unwrap();
        assert!(seen);
    });
    late.wait().unwrap();
}

#[test]
fn damaged_files_cost_no_other_lines_and_are_said_once() {
    need!(userns());
    let records = Records::new();
    records.run(&["create", "--name", "x", "true"]).ok();
    let file = records.records().join(".events/events");
    let mut text = std::fs::read(&file).unwrap();
    text.extend_from_slice(b"\xff\xfe\n{\"event\":\"\x1b[2J\"}\n{\"time\":5,\"event\":\"died");
    std::fs::write(&file, text).unwrap();
    records.run(&["rm", "x"]).ok();
    let told = records.run(&["events", "--no-stream", "--format", "{{.Status}}"]);
    assert_eq!((told.status, told.out.as_str()), (Some(0), "create\nremove\n"));
    assert_eq!(told.err.matches("cannot be read, and is left out").count(), 1, "{told:#?}");
    // What others have left in its place is not written to, and keeps nobody from anything else.
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(records.place.dir.path().join("home"), file.parent().unwrap()).unwrap();
    let made = records.run(&["create", "--name", "y", "true"]);
    assert!(made.status == Some(0) && made.err.contains("cannot be told to `sbx events`"), "{made:#?}");
    assert!(!records.place.dir.path().join("home/events").exists());
    let err = records.run(&["events", "--no-stream"]).failed(125);
    assert!(err.contains("no directory of this user's"), "{err}");
    std::fs::remove_file(file.parent().unwrap()).unwrap();
    for wrong in
        [&["--filter", "event=nosuch"][..], &["--filter", "x=y"], &["--since", "later"], &["--format", "table {{.ID}}"]]
    {
        records.run(&[&["events", "--no-stream"], wrong].concat()).failed(125);
    }
}

#[test]
fn a_full_disk_stops_nobody_and_is_said() {
    need!(userns(), tools(&["unshare", "mount"]));
    let records = Records::new();
    let ran = records.in_own_mounts(
        "mount -t tmpfs -o size=256k,mode=700 t $place/state || exit 91
         $sbx run -q -d --name x --rw . sh -c 'while [ ! -e go ]; do sleep 0.05; done; exit 5' >/dev/null || exit 90
         cat /dev/zero > $place/state/fill 2>/dev/null
         i=0; while [ $i -lt 25 ]; do $sbx rename x y && $sbx rename y x; i=$((i+1)); done 2>$place/home/said
         touch go; $sbx wait x
         rm $place/state/fill
         $sbx rm x
         $sbx events --no-stream --format '{{.Status}}' | sort | uniq | tr '\\n' ' '",
    );
    let said = std::fs::read_to_string(records.place.dir.path().join("home/said")).unwrap();
    assert!(said.contains("cannot be told to `sbx events`") && said.contains("no space left"), "{said} {ran:#?}");
    assert!(
        ran.out.starts_with("5\nx\ncreate ") && ran.out.contains("remove ") && ran.out.contains("start "),
        "{ran:#?}"
    );
}

#[test]
fn commands_at_once_leave_whole_lines() {
    need!(userns());
    let records = Records::new();
    let create = |number: u32| {
        let name = format!("n{number}");
        records.command().args(["create", "--name", &name, "true"]).stdout(Stdio::null()).spawn().unwrap()
    };
    let all_of_them: Vec<_> = (0..12).map(create).collect();
    for mut child in all_of_them {
        assert!(child.wait().unwrap().success());
    }
    let told = records.run(&["events", "--no-stream", "--format", "{{.Status}}"]);
    assert_eq!((told.out.as_str(), told.err.as_str()), ("create\n".repeat(12).as_str(), ""));
}
