//! What a program in a sandbox does while commands look at it, and what it has left in the place of records: links that are swapped all the time, names that
//! act on terminals or are others', floods of output and of processes, files of other kinds.

mod common;

use common::process::{Daemon, status};
use common::records::Records;
use common::{Ran, ran, tools, until, userns};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// A program that exchanges two names as fast as it can, once it has said that it is ready.
const EXCHANGES: &str = "import ctypes, sys
libc = ctypes.CDLL(None)
a, b = (name.encode() for name in sys.argv[1:])
print('ready', flush=True)
while True:
    libc.renameat2(-100, a, -100, b, 2)";

/// A directory of the host that no sandbox sees, with a secret file in it and one that says what has come there.
fn outside(records: &Records) -> std::path::PathBuf {
    let outside = records.place.dir.path().join("outside");
    std::fs::create_dir_all(outside.join("below")).unwrap();
    for file in ["secret", "below/secret"] {
        std::fs::write(outside.join(file), "the secret\n").unwrap();
    }
    outside
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn cp_stays_below_its_directories_whatever_is_exchanged_with_links_meanwhile() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    let (work, outside) = (records.place.work(), outside(&records));
    // Two directories of the host's that it may write, in which a directory and a file are exchanged with links out of them.
    for dir in ["shared/d/below", "files"] {
        std::fs::create_dir_all(work.join(dir)).unwrap();
    }
    for file in ["shared/d/mine", "shared/d/below/mine", "files/f"] {
        std::fs::write(work.join(file), "mine\n").unwrap();
    }
    symlink(&outside, work.join("shared/l")).unwrap();
    symlink(outside.join("secret"), work.join("files/l")).unwrap();
    let flags = ["--name", "x", "--rw", "shared", "--rw", "files"];
    let script = format!(
        "mkdir -p /tmp/t/d/below; echo planted >/tmp/t/d/planted; echo planted >/tmp/t/d/below/planted; ln -s {0} /tmp/t/l
         for pair in shared/d:shared/l files/f:files/l /tmp/t/d:/tmp/t/l; do python3 -c \"$0\" ${{pair%:*}} ${{pair#*:}} & done; wait",
        outside.display()
    );
    let args = [&["run", "-d", "-q"], &flags[..], &["--", "sh", "-c", &script, EXCHANGES]].concat();
    records.run(&args).ok();
    assert!(until(|| records.run(&["logs", "x"]).out.matches("ready").count() == 3));
    let has_secret = |text: &str| text.contains("the secret");
    for round in 0..8 {
        // In: what is read of the host is not what the links lead to.
        for from in ["shared", "shared/d", "files", "files/f"] {
            let to = format!("x:/tmp/in{round}");
            records.run(&["cp", from, &to]);
            let found = records.run(&[
                "exec",
                "x",
                "sh",
                "-c",
                &format!("cat $(find /tmp/in{round} -type f 2>/dev/null) </dev/null; rm -rf /tmp/in{round}"),
            ]);
            // A file that the caller has named is followed, as by cp(1): it is the caller's word.
            assert!(from == "files/f" || from == "shared/d" || !has_secret(&found.out), "{round}, {from}: {found:?}");
        }
        // Out: nothing is written where the links lead.
        for (from, to) in [("x:/tmp/t/.", "shared"), ("x:/tmp/t/d", "shared"), ("x:/tmp/t", "shared")] {
            records.run(&["cp", from, to]);
            assert_eq!(
                (names(&outside), names(&outside.join("below"))),
                (vec!["below".into(), "secret".into()], vec!["secret".to_owned()]),
                "{round}, {from}"
            );
        }
        // And a stream that is read has nothing of the host's either.
        let stream = records.command().args(["cp", "x:/tmp/t", "-"]).stderr(Stdio::null()).output().unwrap();
        assert!(!has_secret(&String::from_utf8_lossy(&stream.stdout)), "{round}");
    }
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "the secret\n");
}

#[test]
fn a_further_program_starts_in_no_directory_that_its_sandbox_does_not_have() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    let outside = outside(&records);
    let script = format!("mkdir /tmp/d; ln -s {} /tmp/l; exec python3 -c \"$0\" /tmp/d /tmp/l", outside.display());
    records.run(&["run", "-d", "-q", "--name", "x", "--", "sh", "-c", &script, EXCHANGES]).ok();
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    for _ in 0..25 {
        let seen = records.run(&["exec", "-w", "/tmp/d", "x", "sh", "-c", "pwd -P; cat secret"]);
        assert!(
            !seen.out.contains("secret") && (seen.status == Some(125) || seen.out.starts_with("/tmp/")),
            "{seen:?}"
        );
    }
}

/// Runs a command of sbx's on a terminal, and gives what that is shown.
fn on_terminal(records: &Records, words: &str) -> Ran {
    let dir = records.place.dir.path().display();
    let line = format!(
        "env HOME={dir}/home XDG_STATE_HOME={dir}/state XDG_RUNTIME_DIR={dir}/run {} {words}",
        common::sbx().display()
    );
    ran(Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap())
}

#[test]
fn words_that_act_on_terminals_are_shown_by_every_command_that_lists_sandboxes() {
    need!(userns(), tools(&["script", "python3"]));
    let records = Records::new();
    // ESC, the one character that stands for ESC [, and marks that change the direction of writing.
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}";
    let program = "import ctypes, os, sys\nctypes.CDLL(None).prctl(15, sys.argv[1].encode()[:15])\nos.write(1, b'ready\\n')\nos.read(0, 1)";
    let label = format!("evil={evil}");
    let variable = format!("EVIL={evil}");
    records
        .run(&[
            "run", "-d", "-q", "-i", "--name", "x", "--label", &label, "-e", &variable, "python3", "-c", program, evil,
        ])
        .ok();
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    for words in [
        "ps",
        "ps --no-trunc",
        "ps --json",
        "ps --format '{{.Command}} {{.Labels}} {{json .Labels}}'",
        "ps --no-trunc --format '{{.Command}} {{.Label \"evil\"}}'",
        "inspect x",
        "inspect --format '{{.Config.Cmd}} {{.Config.Env}} {{.Config.Labels}}' x",
        "top x",
        "top x pid,comm,args",
        "top --json x",
        "stats --no-stream x",
        "stop -t 0 x",
        "ps -a",
    ] {
        let shown = on_terminal(&records, words);
        let odd = |c: char| c.is_control() && !"\r\n".contains(c) || c == '\u{202e}';
        assert!(shown.status == Some(0) && !shown.out.contains(odd), "{words}: {shown:?}");
    }
    // What reads it gets it as it is.
    let json: serde_json::Value = serde_json::from_str(&records.run(&["inspect", "x"]).ok()).unwrap();
    assert_eq!(json[0]["Config"]["Labels"]["evil"], evil);
    assert_eq!(records.run(&["ps", "-a", "--format", "{{.Label \"evil\"}}"]).ok(), format!("{evil}\n"));
}

#[test]
fn a_process_that_takes_the_name_of_another_is_not_taken_for_it() {
    need!(userns(), tools(&["python3"]));
    let records = Records::new();
    // One that has the name and the words of sbx's PID 1, and one those of the program.
    let poser = "import ctypes, os, sys\nctypes.CDLL(None).prctl(15, sys.argv[1].encode())\nos.write(1, b'ready\\n')\nos.read(0, 1)";
    let script = "exec 3<&0; python3 -c \"$0\" sbx <&3 & python3 -c \"$0\" sleep <&3 & exec sleep 1002";
    records.run(&["run", "-d", "-q", "-i", "--name", "x", "--", "sh", "-c", script, poser]).ok();
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\nready\n"));
    let table = records.run(&["top", "x", "pid,ppid,hpid,comm"]).ok();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 4, "{table}");
    for row in &rows {
        let pid: u32 = row[2].parse().unwrap();
        assert_eq!(status(pid, "Name"), row[3], "{table}");
        assert!(status(pid, "NSpid").ends_with(&format!("\t{}", row[0])), "{table}");
    }
    // The first process is the one that the monitor has made, and the program is its first child.
    let first = records.inspect("x", ".State.Pid");
    assert_eq!(rows.iter().filter(|row| row[0] == "1").map(|row| row[2]).collect::<Vec<_>>(), [first.as_str()]);
    // What is killed is the program, whatever others are called.
    records.run(&["kill", "-s", "TERM", "x"]).ok();
    assert_eq!(records.run(&["wait", "x"]).ok(), "143\n");
}

#[test]
fn top_lists_processes_of_the_sandbox_alone_while_thousands_come_and_go() {
    need!(userns());
    let records = Records::new();
    let storm = "for n in 1 2 3; do (while :; do /bin/true; done) & done; echo ready; wait";
    records.start(&["--name", "x"], storm);
    assert!(until(|| records.run(&["logs", "x"]).out == "ready\n"));
    let other = Daemon(Command::new("sleep").arg("1000").spawn().unwrap());
    for _ in 0..10 {
        let table = records.run(&["top", "x", "pid,hpid,args"]).ok();
        let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert!(rows.len() >= 4 && rows[0][0] == "1", "{table}");
        assert!(rows.iter().all(|row| row[1] != other.0.id().to_string()), "{table}");
        let mut inside: Vec<_> = rows.iter().map(|row| row[0]).collect();
        inside.sort_unstable();
        assert!(inside.windows(2).all(|two| two[0] != two[1]), "{table}");
    }
    records.run(&["kill", "x"]).ok();
}

/// How much a program writes that floods its log: `.ci/nightly` has it write 10 GB.
fn flood() -> u64 {
    std::env::var("SBX_FLOOD").map_or(50_000_000, |bytes| bytes.parse().unwrap())
}

#[test]
fn a_flood_is_logged_in_two_bounded_files_and_keeps_neither_its_program_nor_readers_waiting() {
    need!(userns());
    let records = Records::new();
    // Lines, and what has no line ends at all.
    let script = format!(
        "yes 0123456789abcdef | head -c {0}; head -c {0} /dev/zero; echo; echo end >&2; exec sleep 1000",
        flood()
    );
    let id = records.start(&["--name", "x", "--log-opt", "max-size=256k"], &script);
    // One that never reads, and one that reads slowly.
    let stuck = records.command().args(["logs", "-f", "x"]).stdout(Stdio::piped()).spawn().map(Daemon).unwrap();
    let mut over = false;
    while !over {
        // Each of these ends, although more is written all the time.
        let seen = records.command().args(["logs", "x"]).output().unwrap();
        assert!(seen.status.success() && seen.stdout.len() < 1 << 20, "{}", seen.stdout.len());
        let tail = records.run(&["logs", "--tail", "1", "x"]);
        over = tail.err == "end\n" || records.run(&["logs", "x"]).err.ends_with("end\n");
        for name in ["log", "log.1"] {
            let size = std::fs::metadata(records.records().join(&id).join(name)).map_or(0, |file| file.len());
            assert!(size <= 256 << 10, "{name}: {size}");
        }
    }
    drop(stuck);
    assert_eq!(records.run(&["stop", "-t", "0", "x"]).ok(), "x\n");
}

/// What is put in the place of a file.
const KINDS: [&str; 7] = ["link", "link to nothing", "fifo", "directory", "huge", "garbage", "socket"];

fn replace(path: &Path, kind: &str, secret: &Path) {
    if path.is_dir() {
        let _ = std::fs::remove_dir_all(path);
    } else {
        let _ = std::fs::remove_file(path);
    }
    match kind {
        "link" => symlink(secret, path).unwrap(),
        "link to nothing" => symlink("/nothing/at/all", path).unwrap(),
        "fifo" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "directory" => std::fs::create_dir_all(path.join("in/it")).unwrap(),
        "huge" => std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        "garbage" => std::fs::write(path, "\0{\"number\":1,\"value\":\u{1b}[2J").unwrap(),
        _ => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
    }
}

/// Runs a command that has to end soon, whatever it says.
#[track_caller]
fn ends(records: &Records, args: &[&str]) -> Ran {
    let mut command = records.command();
    let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if !until(|| child.try_wait().unwrap().is_some()) {
        let _ = child.kill();
        panic!("{args:?} does not end: {:?}", ran(child.wait_with_output().unwrap()));
    }
    let ran = ran(child.wait_with_output().unwrap());
    let panics = ran.err.contains("panicked") || ran.status == Some(101) || ran.status.is_none();
    assert!(!panics && !ran.err.contains('\u{1b}') && !ran.out.contains("the secret"), "{args:?}: {ran:?}");
    ran
}

#[test]
fn no_command_hangs_or_follows_what_is_in_the_place_of_a_file_of_a_record() {
    need!(userns(), tools(&["mkfifo"]));
    let records = Records::new();
    let secret = records.place.write("secret", "the secret\n");
    // A path that a socket can have is short; the directory is opened by its descriptor.
    let dir = records.place.dir.path();
    for (number, kind) in KINDS.iter().enumerate() {
        for file in ["spec.json", "exit.json", "log", "log.1", "stop", "keeper", "update.json"] {
            let (name, other) = (format!("x{number}"), format!("other{number}"));
            let id =
                records.run(&["create", "-q", "--name", &name, "--restart", "unless-stopped", "sleep", "1000"]).ok();
            let place = dir.join("state/sbx").join(id.trim());
            let short = dir.join("s");
            symlink(&place, &short).unwrap();
            replace(&short.join(file), kind, &secret);
            for args in [
                &["ps", "-a"][..],
                &["inspect", &name],
                &["logs", &name],
                &["wait", "--condition", "created,exited", "--ignore", "nobody"],
            ] {
                ends(&records, args);
            }
            ends(&records, &["start", &name]);
            ends(&records, &["stop", "-t", "0", &name]);
            ends(&records, &["start", "--filter", "should-start-on-boot=true"]);
            // Others are not concerned.
            records.run(&["run", "-d", "-q", "--name", &other, "sleep", "1000"]).ok();
            assert!(records.run(&["ps"]).ok().contains(&other), "{kind} {file}");
            let removed = ends(&records, &["rm", "-f", "-t", "0", &other, &name]);
            assert_eq!(removed.status, Some(0), "{kind} {file}: {removed:?}");
            assert_eq!(records.left(), [""; 0], "{kind} {file}");
            std::fs::remove_file(&short).unwrap();
        }
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "the secret\n");
}

#[test]
fn no_command_hangs_or_follows_what_is_in_the_place_of_a_file_of_a_monitors() {
    need!(userns(), tools(&["mkfifo"]));
    let records = Records::new();
    let secret = records.place.write("secret", "the secret\n");
    let dir = records.place.dir.path();
    for kind in KINDS {
        for file in ["state.json", "ctl", "lock"] {
            let id = records.start(&["--name", "x"], "exec sleep 1000");
            let pid = records.inspect("x", ".State.Pid");
            let place = dir.join("run/sbx").join(&id);
            let short = dir.join("s");
            symlink(&place, &short).unwrap();
            replace(&short.join(file), kind, &secret);
            for args in [
                &["ps", "-a"][..],
                &["inspect", "x"],
                &["logs", "x"],
                &["top", "x"],
                &["port", "x"],
                &["stats", "--no-stream", "x"],
                &["exec", "x", "true"],
                &["cp", "x:/etc/hostname", "-"],
                &["kill", "-s", "CONT", "x"],
            ] {
                ends(&records, args);
            }
            // The program cannot be reached by its monitor where that has no socket any more: by the process itself.
            common::process::signal(pid.parse().unwrap(), libc::SIGKILL);
            assert!(until(|| !Path::new(&format!("/proc/{pid}")).exists()), "{kind} {file}");
            assert!(until(|| ends(&records, &["rm", "-f", "-t", "0", "x"]).status == Some(0)), "{kind} {file}");
            assert_eq!(records.left(), [""; 0], "{kind} {file}");
            std::fs::remove_file(&short).unwrap();
        }
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "the secret\n");
    assert_eq!(std::fs::metadata(dir.join("run")).unwrap().permissions().mode() & 0o777, 0o700);
}
