//! Which sandbox a command means without its name: `--cidfile`, and `--latest`. Ids that cannot be printed, and flags about records in runs that have none.

mod common;

use common::records::Records;
use common::{Ran, tools, until, userns};
use std::path::PathBuf;

/// Runs a script in the current directory of the tests, in which `$SBX` is that.
fn script(records: &Records, script: &str) -> Ran {
    let mut command = std::process::Command::new("sh");
    for (name, value) in records.command().get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    command.current_dir(records.place.work()).env("SBX", common::sbx());
    common::ran(command.args(["-c", script]).output().unwrap())
}

fn file(records: &Records, name: &str) -> PathBuf {
    records.place.work().join(name)
}

/// The names in the current directory of the tests.
fn left(records: &Records) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(records.place.work())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_id_of_a_sandbox_is_in_the_file_once_it_has_started_and_a_record_is_kept_for_that() {
    need!(userns());
    let records = Records::new();
    let read = |name: &str| std::fs::read_to_string(file(&records, name)).unwrap();
    let id = records.run(&["run", "-d", "-q", "--cidfile", "a", "sleep", "1000"]).ok();
    assert_eq!(read("a"), id.trim());
    assert_eq!(records.run(&["create", "--cidfile", "b", "--name", "b", "true"]).ok().trim(), read("b"));
    // In the foreground, too, which has a record by that.
    records.run(&["run", "-q", "--cidfile", "c", "--", "true"]).ok();
    let names = |ids: &[&str]| {
        let mut all: Vec<_> = ids.iter().map(|name| format!("{}\n", read(name))).collect();
        all.sort();
        all.concat()
    };
    let mut listed: Vec<_> =
        records.run(&["ps", "-aq", "--no-trunc"]).ok().lines().map(|line| format!("{line}\n")).collect();
    listed.sort();
    assert_eq!(listed.concat(), names(&["a", "b", "c"]));
    // What has a record does not want the file anew.
    assert_eq!(records.run(&["start", "b"]).ok(), "b\n");
    records.run(&["wait", "b"]).ok();
    assert_eq!(records.run(&["inspect", "--format", "{{.State.ExitCode}}", &read("b")]).ok(), "0\n");
    let ran = script(&records, "$SBX run -d -q --cidfile 3 --rm true 3>d >/dev/null");
    assert!(ran.status == Some(0) && read("d").len() == 64, "{ran:#?}");
    assert_eq!(left(&records), ["a", "b", "c", "d"]);
    records.run(&["rm", "-f", "-t", "0", &read("a")]).ok();
}

#[test]
fn a_file_that_is_there_is_refused_and_none_is_left_of_what_does_not_start() {
    need!(userns(), tools(&["sh"]));
    let records = Records::new();
    std::fs::write(file(&records, "there"), "old").unwrap();
    for verb in [&["run", "-d"][..], &["run"], &["create"]] {
        let err = records.run(&[verb, &["-q", "--cidfile", "there", "true"]].concat()).failed(125);
        assert!(err.contains("the file is there already") && err.contains("there"), "{err}");
    }
    assert_eq!(std::fs::read_to_string(file(&records, "there")).unwrap(), "old");
    std::os::unix::fs::symlink("nowhere", file(&records, "link")).unwrap();
    let err = records.run(&["run", "-d", "-q", "--cidfile", "link", "true"]).failed(125);
    assert!(err.contains("no regular file"), "{err}");
    // One that the program could change may name another sandbox.
    let err = records.run(&["run", "-d", "-q", "--rw", ".", "--cidfile", "new", "true"]).failed(125);
    assert!(err.contains("--cidfile") && err.contains("the program could change it"), "{err}");
    for flags in [&["-d"][..], &["--name", "x"], &[]] {
        let args = [&["run", "-q"], flags, &["--cidfile", "new", "no-such-program"]].concat();
        assert_eq!(records.run(&args).status, Some(127), "{flags:?}");
    }
    assert!(until(|| records.run(&["ps", "-aq"]).ok().is_empty()));
    assert_eq!(left(&records), ["link", "there"]);
}

#[test]
fn the_latest_is_the_one_that_was_made_last_for_each_verb() {
    need!(userns());
    let records = Records::new();
    assert!(records.run(&["stop", "-l"]).failed(125).contains("--latest: there is no sandbox"));
    records.start(&["--name", "old"], "sleep 1000");
    let id = records.start(&["--name", "new", "-i"], "echo said; exec sleep 1000");
    let run = |args: &[&str]| records.run(args).ok();
    assert!(until(|| run(&["logs", "--latest"]) == "said\n"));
    assert_eq!(run(&["inspect", "-l", "--format", "{{.Name}}"]), "new\n");
    assert_eq!(run(&["exec", "-l", "echo", "-l", "x"]), "-l x\n");
    assert_eq!(run(&["exec", "-l", "-e", "A=b", "sh", "-c", "echo $A"]), "b\n");
    assert_eq!(run(&["exec", "-l", "-w/", "--env", "A=-l", "--", "env", "-u", "PWD", "printenv", "A"]), "-l\n");
    assert!(records.run(&["exec", "-l"]).failed(125).contains("PROGRAM"));
    assert!(until(|| run(&["top", "-l", "args"]).contains("\nsleep 1000\n")));
    assert!(run(&["top", "--latest", "-eo", "args"]).contains("\nsleep 1000\n"));
    assert!(run(&["stats", "-l", "--no-stream", "--format", "{{.Name}}"]).contains("new"));
    assert_eq!(run(&["port", "-l"]), "");
    assert!(records.run(&["port", "-l", "80"]).failed(125).contains("has no published port 80/tcp"));
    assert!(records.run(&["port", "-l", "80", "81"]).failed(125).contains("unexpected argument '81'"));
    assert_eq!(run(&["kill", "-s", "KILL", "-l"]).trim(), id);
    assert_eq!(run(&["wait", "-l"]), "137\n");
    assert_eq!(run(&["start", "-l"]).trim(), id);
    assert_eq!(run(&["restart", "-t", "0", "-l"]).trim(), id);
    assert_eq!(run(&["stop", "-t", "0", "-l"]).trim(), id);
    for both in [&["stop", "-l", "old"][..], &["stop", "-l", "-a"], &["rm", "-l", "old"], &["logs", "-l", "old"]] {
        assert!(records.run(both).failed(125).contains("cannot be used with"), "{both:?}");
    }
    assert_eq!(run(&["rm", "-l"]).trim(), id);
    assert_eq!(run(&["inspect", "-l", "--format", "{{.Name}} {{.State.Status}}"]), "old running\n");
    let attached = records.command().args(["attach", "-l", "--no-stdin"]).stdout(std::process::Stdio::null()).spawn();
    assert!(until(|| run(&["events", "--no-stream", "--filter", "event=attach"]).contains("old")));
    run(&["stop", "-t", "0", "old"]);
    assert_eq!(attached.unwrap().wait().unwrap().code(), Some(137));
}

#[test]
fn a_sandbox_whose_id_cannot_be_printed_is_ended_and_removed() {
    need!(userns());
    let records = Records::new();
    for flags in [
        &["run", "-d", "--name", "x"][..],
        &["run", "-d", "--name", "x", "--rm", "--cidfile", "id"],
        &["run", "-d", "--name", "x", "--restart", "always", "--cidfile", "id"],
        &["create", "--name", "x", "--cidfile", "id"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let args = [flags, &["-q", "--", "sleep", "1000"]].concat();
        let failed = common::ran(records.command().args(&args).stdout(full).output().unwrap());
        let err = failed.failed(125);
        assert!(err.contains("the id of the new sandbox cannot be printed") && err.contains("ENOSPC"), "{err}");
        assert!(err.contains("it was ended and removed"), "{flags:?}: {err}");
        assert!(until(|| records.left().is_empty()), "{flags:?}: {:?}", records.left());
        assert_eq!(left(&records), [""; 0], "{flags:?}");
    }
    // One who tries again finds the name free.
    records.run(&["run", "-d", "-q", "--name", "x", "sleep", "1000"]).ok();
}

#[test]
fn flags_about_a_record_are_checked_and_told_of_in_a_run_that_has_none() {
    need!(userns());
    let records = Records::new();
    for (flags, why) in [
        (["--restart", "foo"], "--restart foo: sbx does not know it"),
        (["--restart", "always"], "--restart always: a program in the foreground is not started again"),
        (["--restart", "on-failure:3"], "in the background"),
        (["--stop-signal", "FOO"], "`FOO` is no signal"),
        (["--log-opt", "foo=bar"], "--log-opt foo=bar: sbx does not know it"),
        (["--log-opt", "max-size=foo"], "--log-opt max-size=foo: sbx does not know it"),
        (["--label", "=x"], "a label needs a name"),
    ] {
        for named in [&[][..], &["--name", "x"]] {
            for verb in ["run", "plan"] {
                let args = [&[verb], named, &flags, &["--", "true"]].concat();
                let err = records.run(&args).failed(125);
                assert!(err.contains(why), "{args:?}: {err}");
            }
        }
        assert_eq!(records.left(), [""; 0]);
    }
    for flags in [
        ["--label", "a=b"],
        ["--stop-signal", "HUP"],
        ["--stop-timeout", "3"],
        ["--log-opt", "max-size=1M"],
        ["--log-driver", "journald"],
        ["--log-driver", "file"],
    ] {
        let ran = records.run(&[&["run"], &flags[..], &["--", "echo", "out"]].concat());
        assert_eq!((ran.status, ran.out.as_str()), (Some(0), "out\n"), "{ran:?}");
        let note = format!("note: {} without effect, since this run has no record", flags[0]);
        assert!(ran.err.contains(&note) && ran.err.contains("--name NAME"), "{flags:?}: {ran:?}");
    }
    // What is so without a record says nothing, and neither does what has one.
    for flags in [
        &["--rm", "--restart", "no"][..],
        &["--log-driver", "none"],
        &["--name", "x", "--rm", "--label", "a=b", "--stop-signal", "HUP"],
    ] {
        let ran = records.run(&[&["run"], flags, &["--", "echo", "out"]].concat());
        assert_eq!((ran.status, ran.out.as_str()), (Some(0), "out\n"), "{ran:?}");
        assert!(!ran.err.contains("record"), "{flags:?}: {ran:?}");
    }
    assert_eq!(records.left(), [""; 0]);
}
