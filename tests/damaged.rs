//! Records that are long, or damaged while their sandbox runs: it is seen and ended all the same.

mod common;

use common::records::Records;
use common::{ran, until, userns};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[test]
fn a_sandbox_with_a_long_command_line_is_listed_entered_stopped_and_started_again() {
    need!(userns());
    let records = Records::new();
    // Neither is UTF-8 or text, and JSON has several bytes for each of theirs: more than 10 MiB for all.
    let long = [vec![0xff; 100_000], vec![1; 100_000]];
    let words = long.iter().map(|bytes| OsStr::from_bytes(bytes)).cycle().take(12);
    let script = "printf %s \"$1\" | wc -c; echo $#; exec sleep 1000";
    let mut command = records.command();
    let started = ran(command
        .args(["run", "-d", "-q", "--name", "x", "--", "sh", "-c", script, "sh"])
        .args(words)
        .output()
        .unwrap());
    let id = started.ok().trim().to_owned();
    let size = std::fs::metadata(records.records().join(&id).join("spec.json")).unwrap().len();
    assert!(size > 5 << 20, "{size}");
    assert_eq!(records.run(&["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "x running\n");
    assert_eq!(records.run(&["exec", "x", "echo", "in"]).ok(), "in\n");
    assert!(until(|| records.run(&["logs", "x"]).out == "100000\n12\n"));
    assert_eq!(records.run(&["rm", "x"]).status, Some(2), "it runs");
    assert_eq!(records.run(&["stop", "-t", "0", "x"]).ok(), "x\n");
    assert_eq!(records.run(&["start", "x"]).ok(), "x\n");
    assert!(until(|| records.run(&["logs", "x"]).out == "100000\n12\n".repeat(2)));
    assert_eq!(records.run(&["rm", "-f", "-t", "0", "x"]).ok(), "x\n");
    assert_eq!(records.left(), [""; 0]);
}

/// What a record is damaged by.
const DAMAGES: [(&str, &str); 3] =
    [("missing", "there is no spec.json"), ("garbage", "is not what sbx has written"), ("huge", "larger than")];

fn damage(path: &Path, how: &str) {
    std::fs::remove_file(path).unwrap();
    match how {
        "garbage" => std::fs::write(path, "{\"args\":[\"sl").unwrap(),
        "huge" => std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        _ => {}
    }
}

#[test]
fn a_sandbox_whose_record_is_damaged_runs_until_it_is_ended_by_any_verb() {
    need!(userns());
    let records = Records::new();
    let elsewhere = records.place.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for ((how, why), (restart, end)) in DAMAGES.iter().zip([
        ("no", &["stop", "-t", "0", "x"][..]),
        ("always", &["rm", "-f", "-t", "0", "x"]),
        ("no", &["kill", "x"]),
    ]) {
        let id = records.start(&["--name", "x", "--restart", restart], "exec sleep 1000");
        let pid = records.inspect("x", ".State.Pid");
        let is_there = || Path::new(&format!("/proc/{pid}")).exists();
        damage(&records.records().join(&id).join("spec.json"), how);
        let table = records.run(&["ps"]).ok();
        assert!(table.contains("Up ") && table.contains("(record damaged)") && table.contains(" x\n"), "{table}");
        assert!(!table.contains("years"), "{how}: {table}");
        // Its monitor is found by those to whom the environment says another directory.
        let mut other = records.command();
        other.env("XDG_RUNTIME_DIR", &elsewhere).args(["ps", "-q"]);
        assert_eq!(ran(other.output().unwrap()).ok(), format!("{}\n", &id[..12]));
        let removed = records.run(&["rm", "x"]);
        assert_eq!(removed.status, Some(2), "{how}: {removed:?}");
        assert!(removed.err.contains("x is running, and is not removed"), "{how}: {removed:?}");
        records.run(&["prune", "-f"]).ok();
        let entered = records.run(&["exec", "x", "echo", "in"]);
        assert_eq!((entered.status, entered.out.as_str()), (Some(0), "in\n"), "{how}: {entered:?}");
        assert!(entered.err.contains("the record of x is damaged") && entered.err.contains(why), "{entered:?}");
        for verb in ["start", "restart"] {
            let refused = records.run(&[verb, "x"]).failed(125);
            assert!(refused.contains(why) && refused.contains("sbx rm -f x"), "{how}: {refused}");
        }
        assert!(is_there(), "{how}");
        assert_eq!(records.run(end).ok(), "x\n", "{how}");
        assert!(until(|| !is_there()), "{how}");
        if end[0] != "rm" {
            assert!(until(|| !records.run(&["ps"]).ok().contains(" x\n")), "{how}");
            let table = records.run(&["ps", "-a"]).ok();
            assert!(table.contains("Exited (137) ") && table.contains("(record damaged)"), "{how}: {table}");
            records.run(&["rm", "x"]).ok();
        }
        assert!(until(|| records.left().is_empty()), "{how}: {:?}", records.left());
    }
}

#[test]
fn a_sandbox_without_the_file_for_its_end_runs_until_it_is_ended() {
    need!(userns());
    let records = Records::new();
    let id = records.start(&["--name", "x"], "exec sleep 1000");
    std::fs::remove_file(records.records().join(&id).join("exit.json")).unwrap();
    assert_eq!(records.run(&["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "x running\n");
    assert_eq!(records.run(&["rm", "x"]).status, Some(2), "it runs");
    // Both: it is looked for where a command's own environment has it.
    std::fs::remove_file(records.records().join(&id).join("spec.json")).unwrap();
    let table = records.run(&["ps"]).ok();
    assert!(table.contains("Up ") && table.contains("unknown"), "{table}");
    assert_eq!(records.run(&["rm", "-f", "-t", "0", "x"]).ok(), "x\n");
    assert_eq!(records.left(), [""; 0]);
}
