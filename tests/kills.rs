//! Sandboxes with a record whose processes, and the commands on them, are killed at any moment, and whose records lie on disks that are full at
//! any write: the other commands go on, what is reported is so, and nothing is left. `SBX_KILLS` kills more often, `SBX_SEED` at other times.

mod common;

use common::left::{Random, nothing_new, traces};
use common::process::{Mark, children, descendants, signal};
use common::records::Records;
use common::{Ran, cgroup, tools, until, until_within, userns};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

/// What is done while something is killed: the words of a command, and how long it takes about, in milliseconds. `MARK` is what `sleep` gets.
const SCENES: &[(&[&str], u64)] = &[
    (&["run"], 150),
    (&["exec", "x", "sleep", "MARK"], 60),
    (&["logs", "-f", "x"], 30),
    (&["restart", "-t", "0", "x"], 200),
    (&["exec", "-t", "x", "sleep", "MARK"], 60),
    (&["attach", "--no-stdin", "x"], 30),
    (&["stop", "-t", "0", "x"], 30),
    (&["cp", "x:/usr/bin", "-"], 60),
    (&["rm", "-f", "-t", "0", "x"], 30),
    (&["again"], 60),
];

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The command that the user has started.
    Command,
    /// A process of that command's, while it starts a sandbox.
    Starting,
    Monitor,
    First,
    Program,
    /// A further program, or a copier.
    Further,
}

/// Sandboxes that are killed.
struct Scene<'r> {
    records: &'r Records,
    mark: &'r Mark,
    limited: bool,
}

impl Scene<'_> {
    /// The words of a run in the background. The program leaves a process behind, and writes all the time.
    fn start(&self, restart: &str) -> Vec<String> {
        let limit: &[&str] = if self.limited { &["--set", "limits.max_descendants=50"] } else { &[] };
        let script = format!(
            "trap '' HUP; (setsid sleep {0} 1 &); sleep {0} & while echo line; do sleep 0.02; done",
            self.mark.0
        );
        let flags = ["run", "-d", "-q", "--name", "x", "--restart", restart];
        let words = flags.iter().chain(limit).chain(&["--", "sh", "-c"]).map(|word| (*word).to_owned());
        words.chain([script]).collect()
    }

    fn command(&self, words: &[String]) -> Child {
        let mut command = self.records.command();
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Whether what is reported of the sandbox is so. `wanted` is the only status that it may have, if there is only one.
    fn is_so(&self, wanted: Option<&str>) -> Result<(), String> {
        let listed = self.records.run(&["ps", "-a", "--format", "{{.State}} {{.Pid}} {{.ExitCode}}"]);
        let line = listed.out.trim().to_owned();
        let alive = || self.mark.alive();
        let state = line.split(' ').next().unwrap_or_default();
        let pid = line.split(' ').nth(1).unwrap_or_default();
        let so = listed.status == Some(0)
            && line.lines().count() <= 1
            && match state {
                "running" => {
                    PathBuf::from(format!("/proc/{pid}")).exists() && self.run(&["exec", "x", "true"]).status == Some(0)
                }
                "exited" | "created" | "" => alive().is_empty(),
                _ => false,
            };
        let so = so && wanted.is_none_or(|wanted| wanted == state);
        if so { Ok(()) } else { Err(format!("{listed:?}, and alive are {:#?}", alive())) }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.records.run(args)
    }

    #[track_caller]
    fn becomes_so(&self, wanted: Option<&str>, what: &str) {
        let mut last = Ok(());
        let settled = until(|| {
            last = self.is_so(wanted);
            last.is_ok()
        });
        assert!(settled, "{what}, wanted {wanted:?}: {last:?}");
    }
}

#[test]
fn whatever_is_killed_at_whichever_moment_the_reports_are_true_and_the_others_go_on() {
    need!(userns());
    let records = Records::new();
    let mark = Mark::new();
    let scene = Scene { records: &records, mark: &mark, limited: cgroup_is_there() };
    let before = traces(records.place.dir.path());
    let mut random = Random::seeded(0x5eed_7777_abcd);
    let rounds = std::env::var("SBX_KILLS").map_or(30, |number| number.parse::<usize>().unwrap());
    let mut killed: Vec<String> = Vec::new();
    for round in 0..rounds {
        let (words, takes) = SCENES[round % SCENES.len()];
        let mut words: Vec<_> = words.iter().map(|word| word.replace("MARK", &mark.0)).collect();
        let (again, starts) = (words[0] == "again", ["run", "restart"].contains(&words[0].as_str()));
        if again {
            words = ["exec", "x", "sleep", &mark.0].map(str::to_owned).to_vec();
        }
        let (mut monitor, mut first) = (0, 0);
        if words[0] == "run" {
            words = scene.start("no");
        } else {
            scene
                .run(&scene.start(if again { "always" } else { "no" }).iter().map(String::as_str).collect::<Vec<_>>())
                .ok();
            let number = |field: &str| records.inspect("x", field).parse::<u32>().unwrap();
            (monitor, first) = (number(".State.MonitorPid"), number(".State.Pid"));
        }
        let mut command = scene.command(&words);
        std::thread::sleep(Duration::from_micros(random.below(takes * 1000)));
        // All that there is by now; the program was executed first.
        let mut victims = vec![(Victim::Command, command.id())];
        victims.extend(descendants(command.id()).into_iter().map(|pid| (Victim::Starting, pid)));
        if monitor > 0 {
            // Without what the program has left behind, of which nobody waits for the end.
            let mut inside = children(first);
            let left_behind = |pid: &u32| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.is_empty() || line.ends_with(b"\x001\0")
            };
            inside.retain(|pid| !left_behind(pid));
            let inner = inside
                .iter()
                .enumerate()
                .map(|(at, pid)| (if at == 0 { Victim::Program } else { Victim::Further }, *pid));
            victims.extend([(Victim::Monitor, monitor), (Victim::First, first)]);
            victims.extend(inner);
        }
        let (victim, pid) = victims[random.below(victims.len() as u64) as usize];
        signal(pid as i32, libc::SIGKILL);
        let what = format!("round {round}, {:?} of {words:?}", victim);
        killed.push(format!("{victim:?}"));
        assert!(until(|| command.try_wait().unwrap().is_some()), "{what}: the command goes on");
        // What a process that has lost its parent by the time that it was killed was is not known: it may be one that the program left.
        let certain = !starts && !["stop", "rm"].contains(&words[0].as_str());
        let wanted = match victim {
            Victim::Monitor if certain => Some("exited"),
            Victim::First | Victim::Program if certain && !again => Some("exited"),
            Victim::Command if certain => Some("running"),
            _ => None,
        };
        scene.becomes_so(wanted, &what);
        if let Some("exited") = wanted {
            assert_eq!(records.inspect("x", ".State.ExitCode"), "137", "{what}");
            assert_eq!(scene.run(&["wait", "x"]).ok(), "137\n", "{what}");
        }
        // The sandbox is started again if its record is there, and can be removed.
        let there = scene.run(&["inspect", "x"]).status == Some(0);
        let started = scene.run(&["start", "x"]);
        assert_eq!(started.status, Some(if there { 0 } else { 125 }), "{what}: {started:?}");
        if there {
            scene.becomes_so(Some("running"), &what);
        }
        assert_eq!(scene.run(&["rm", "-f", "-t", "0", "x"]).status, Some(0), "{what}");
        assert!(until(|| mark.alive().is_empty()), "{what}: {:#?}", mark.alive());
        assert_eq!(left(&records), [""; 0], "{what}");
    }
    // A record that was not complete yet is swept away when nobody can be about to fill it any more.
    let swept = until_within(Duration::from_secs(150), || {
        scene.run(&["prune", "-f"]).ok();
        records.left().is_empty()
    });
    assert!(swept, "{:?}", records.left());
    // What has happened stays told.
    let _ = std::fs::remove_dir_all(records.place.dir.path().join("state/sbx/.events"));
    for dir in ["run/sbx", "state/sbx/.names", "state/sbx"] {
        let _ = std::fs::remove_dir(records.place.dir.path().join(dir));
    }
    nothing_new(records.place.dir.path(), &before);
    killed.sort();
    eprintln!(
        "killed in {rounds} rounds: {:?}",
        killed.chunk_by(|a, b| a == b).map(|all| (&all[0], all.len())).collect::<Vec<_>>()
    );
}

/// What is left of records, but for those that were not complete when their command was killed.
fn left(records: &Records) -> Vec<String> {
    records.left().into_iter().filter(|name| !name.starts_with(".new-")).collect()
}

/// Whether sandboxes can have cgroups here; where they cannot, the rest is tried all the same.
fn cgroup_is_there() -> bool {
    available!(cgroup())
}

#[test]
fn a_disk_that_is_full_at_any_write_of_a_start_keeps_it_from_starting_and_leaves_nothing() {
    need!(userns(), tools(&["unshare", "mount"]));
    let records = Records::new();
    let script = r#"
        try() { # WHERE OPTIONS
            mount -t tmpfs -o "$2,mode=700" t "$place/$1" || exit 90
            said=$($sbx run -q -d --name x sleep 1000 2>&1); status=$?
            state=$($sbx ps -a --format '{{.Names}} {{.State}}')
            $sbx rm -f -t 0 x >/dev/null; removed=$?
            left=$(find "$place/run/sbx" "$place/state/sbx" -mindepth 1 ! -name .names ! -path '*/.events*' 2>/dev/null)
            umount -l "$place/$1" || exit 91 # a process that ends has its files open for a moment longer
            echo "$1 $2|$status|$(echo "$said" | tr '\n' ' ')|$state|$removed|$left"
        }
        for size in 4k 8k 12k 16k 20k 24k 1m; do try state size=$size; done
        for inodes in 2 3 4 5 6 7 8 9 20; do try state nr_inodes=$inodes; done
        for size in 4k 8k 12k 1m; do try run size=$size; done
        for inodes in 2 3 4 5 6 7 8 20; do try run nr_inodes=$inodes; done"#;
    let all = records.in_own_mounts(script);
    let (mut failed, mut started) = (0, 0);
    for line in all.out.lines() {
        let [_, status, said, state, removed, left] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
        assert!(left.is_empty() && removed == "0", "{line}");
        if status == "0" {
            started += 1;
            assert_eq!(state, "x running", "{line}");
        } else {
            failed += 1;
            assert!(status == "125" && said.contains("is full") && state.is_empty(), "{line}");
        }
    }
    assert!(failed >= 10 && started >= 4 && failed + started == 28, "{all:#?}");
}

#[test]
fn a_sandbox_that_was_created_is_started_when_the_disk_has_room_again() {
    need!(userns(), tools(&["unshare", "mount"]));
    let records = Records::new();
    let script = r#"
        mount -t tmpfs -o size=512k,mode=700 t "$place/state" || exit 90
        $sbx create -q --name x sleep 1000 >/dev/null || exit 91
        cat /dev/zero >"$place/state/fill" 2>/dev/null
        $sbx start x; echo "start $?"; $sbx ps -a --format '{{.Names}} {{.State}}'
        $sbx create -q --name y true; echo "create $?"
        $sbx rename x z; echo "rename $?"
        rm "$place/state/fill"; $sbx start z; $sbx ps -a --format '{{.Names}} {{.State}}'
        cat /dev/zero >"$place/state/fill" 2>/dev/null
        $sbx restart -t 0 z; echo "restart $?"; $sbx rm -f -t 0 z; ls -A "$place/state/sbx""#;
    let all = records.in_own_mounts(script);
    let wanted = "start 125\nx created\ncreate 125\nrename 0\nz\nz running\nz\nrestart 0\nz\n.events\n.names\n";
    assert!(all.out == wanted && all.err.matches("is full").count() == 2, "{all:#?}");
}
