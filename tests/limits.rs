//! Limits of cgroup v2: they hold, they are told, and nothing is left of them. On a host without a systemd manager of the user's, which
//! most build machines are, `tests/guest/test limits` runs these in a virtual machine.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs and may panic"
)]

mod common;

use common::{Place, Ran, required, sbx, tools};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Whether a cgroup can be had here.
fn limits() -> bool {
    let ran = Place::new().run(&["--memory", "64M", "--", "/bin/true"]);
    assert!(ran.status == Some(0) || !required("limits"), "{ran:#?}");
    if ran.status != Some(0) {
        eprintln!("skipped: {}", ran.err);
    }
    ran.status == Some(0)
}

/// A run of a script with its figures.
fn used(place: &Place, flags: &[&str], script: &str) -> (Ran, Value) {
    let ran = place.sh(&[flags, &["--stats=json"]].concat(), script);
    let line = ran.err.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{ran:#?}"));
    let used = serde_json::from_str(line).unwrap();
    (ran, used)
}

/// One at a time, the first look whether there are limits included: what is left is looked for in the whole hierarchy, times are
/// compared, and a service that is stopped ends who starts in it.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// All cgroups of sandboxes, and scopes.
fn traces() -> BTreeSet<PathBuf> {
    fn walk(dir: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("sbx-") {
                    found.insert(entry.path());
                }
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(Path::new("/sys/fs/cgroup"), &mut found);
    found
}

/// Waits for what others, who test at the same time, and systemd have yet to take away.
fn gone(patience: Duration) {
    let end = Instant::now() + patience;
    while !traces().is_empty() {
        assert!(Instant::now() < end, "{:#?}", traces());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The same program in a scope that is handed to it.
fn delegated(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new("systemd-run");
    command
        .args(["--user", "--scope", "-q", "-p", "Delegate=yes", "--"])
        .arg(sbx())
        .args(args)
        .current_dir(place.work());
    command.stdin(Stdio::null());
    command
}

#[test]
fn a_memory_hog_is_ended_at_its_limit_and_that_is_said() {
    let _alone = alone();
    need!(limits() && tools(&["python3"]));
    let place = Place::new();
    let hog = "exec python3 -c 'a = bytearray(300 << 20); print(\"survived\")'";
    let flags = ["--memory", "40M", "--set", "limits.swap_max=0"];
    let (ran, figures) = used(&place, &flags, hog);
    assert!(ran.status == Some(137) && ran.out.is_empty(), "{ran:#?}");
    assert!(
        ran.err.contains("the program was ended for memory (limits.memory_max = 41943040, limits.swap_max = 0)"),
        "{ran:#?}"
    );
    assert!(figures["oom_kills"].as_u64() >= Some(1), "{figures}");
    let most = figures["memory_peak"].as_u64().unwrap_or(40 << 20);
    assert!((39 << 20..=40 << 20).contains(&most), "{figures}");
    let status = place.run(&[&flags[..], &["--status-fd", "1", "--", "/bin/sh", "-c", hog]].concat());
    assert!(status.out.contains("\"cause\":\"oom\""), "{status:#?}");
    // One of several, which the program survives.
    let (ran, _) = used(&place, &flags, &format!("({hog}) 2>/dev/null; echo status $?"));
    assert!(ran.status == Some(0) && ran.out == "status 137\n", "{ran:#?}");
    assert!(ran.err.contains("a process of the program's was ended for memory"), "{ran:#?}");
    let group = [&flags[..], &["--set", "limits.memory_oom_group=true"]].concat();
    let (ran, _) = used(&place, &group, &format!("({hog}); echo survived"));
    assert!(ran.status == Some(137) && ran.out.is_empty(), "{ran:#?}");
    // Below its limit nothing happens.
    assert_eq!(place.sh(&["--memory", "400M"], hog).ok(), "survived\n");
}

#[test]
fn a_fork_bomb_stops_at_its_limit_and_ends_with_the_sandbox() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 60";
    let began = Instant::now();
    let flags = ["--pids-limit", "40", "--timeout", "2s", "--stats=json"];
    let mut child =
        place.command().args(flags).args(["--", "/bin/sh", "-c", bomb]).stderr(Stdio::piped()).spawn().unwrap();
    // The user's other programs start as before.
    std::thread::sleep(Duration::from_secs(1));
    let other = Instant::now();
    assert!(Command::new("/bin/true").status().unwrap().success());
    assert!(other.elapsed() < Duration::from_secs(2), "{:?}", other.elapsed());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(124));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    let figures: Value = serde_json::from_str(line).unwrap();
    assert!(figures["pids_refused"].as_u64() > Some(0), "{said}");
    assert!(figures["pids_peak"].as_u64().unwrap_or(0) <= 40, "{said}");
    assert!(said.contains("no process could be made (limits.pids_max = 40)"), "{said}");
}

#[test]
fn processor_time_is_shared_as_it_says() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let burn = "end=$(($(date +%s) + 4)); for i in 1 2 3; do (while [ $(date +%s) -lt $end ]; do n=0; while [ $n -lt 2000 ]; do n=$((n+1)); done; done) & done; wait";
    for (share, processors) in [("0.5", 0.5), ("1", 1.0), ("1.5", 1.5)] {
        let (ran, figures) = used(&place, &["--cpus", share], burn);
        assert_eq!(ran.status, Some(0), "{ran:#?}");
        let number = |name: &str| figures[name].as_u64().unwrap() as f64;
        let ratio = number("cpu_usec") / number("wall_usec") / processors;
        assert!((0.90..1.05).contains(&ratio), "{share}: {ratio} {figures}");
        assert!(number("throttled_usec") > 0.0);
    }
    let pinned = place.sh(&["--set", "limits.cpus=1"], "grep Cpus_allowed_list /proc/self/status").ok();
    assert!(pinned.ends_with("\t1\n"), "{pinned}");
}

/// On the disk of the home, and on a loop device where one is named.
#[test]
fn a_disk_is_written_to_no_faster_than_it_says() {
    let _alone = alone();
    need!(limits());
    for dir in [std::env::var("HOME").ok(), std::env::var("SBX_TEST_LOOP").ok()].into_iter().flatten() {
        let place = Place { dir: tempfile::Builder::new().prefix("sbx-test").tempdir_in(&dir).unwrap() };
        for name in ["home", "work"] {
            std::fs::create_dir(place.dir.path().join(name)).unwrap();
        }
        let write = "dd if=/dev/zero of=file bs=64k count=48 oflag=direct status=none";
        let limit = format!("limits.io_max={{\"{}\"=\"wbps=1M\"}}", place.work().display());
        let ran = place.sh(&["--rw", ".", "--set", &limit, "--stats=json"], write);
        if ran.err.contains("lies on no disk") && !required("limits") {
            continue;
        }
        assert_eq!(ran.status, Some(0), "{ran:#?}");
        let figures: Value = serde_json::from_str(ran.err.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
        let seconds = figures["wall_usec"].as_u64().unwrap() as f64 / 1e6;
        // Three megabytes, of which the first may go at once.
        assert!((1.8..8.0).contains(&seconds), "{dir}: {figures}");
        let written: u64 = figures["io"].as_object().unwrap().values().filter_map(|io| io["wbytes"].as_u64()).sum();
        assert!(written >= 3 << 20, "{dir}: {figures}");
    }
}

#[test]
fn the_cgroup_is_the_sandboxs_own_whatever_it_comes_from_and_is_gone_afterwards() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let plan = |command: &mut Command| -> String {
        let out = command.output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.lines().find(|line| line.starts_with("cgroup")).map_or_else(|| panic!("{text}"), str::to_owned)
    };
    assert!(
        plan(place.command().args(["plan", "--memory", "64M", "--", "true"]))
            .contains("scope of the user's systemd manager")
    );
    assert!(plan(&mut delegated(&place, &["plan", "--memory", "64M", "--", "true"])).contains("delegated to us"));
    // It is the root of what the program sees, with the program in it from the start.
    let look = ["--memory", "64M", "--", "/bin/cat", "/proc/self/cgroup"];
    assert_eq!(place.run(&look).ok(), "0::/\n");
    let ran = common::ran(delegated(&place, &look).output().unwrap());
    assert_eq!(ran.ok(), "0::/\n");
    // And outside it has its limit.
    let mut child = place.command().args(["--memory", "64M", "--", "/bin/sleep", "30"]).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let found = loop {
        let leaf = traces().into_iter().find(|path| {
            std::fs::read_to_string(path.join("memory.max")).is_ok_and(|text| text.trim() == "67108864")
                && std::fs::read_to_string(path.join("sandbox/cgroup.procs"))
                    .is_ok_and(|text| text.lines().count() == 2)
        });
        if let Some(leaf) = leaf {
            break leaf;
        }
        assert!(Instant::now() < end, "{:#?}", traces());
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(found.to_string_lossy().contains("sbx.slice/sbx-"), "{found:?}");
    let shown =
        Command::new("systemctl").args(["--user", "list-units", "sbx-*.scope", "--no-legend"]).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("sbx: /bin/sleep memory_max=67108864"), "{shown:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    gone(Duration::from_secs(20));
    // What the program leaves in the background, without a pid namespace, ends with it.
    let left = place.sh(&["--share", "pid", "--memory", "64M"], "sleep 1234 & echo $!").ok();
    let pid: i32 = left.trim().parse().unwrap();
    // Whose child it is now may take a moment to wait for it.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(status.is_empty() || status.contains("State:\tZ"), "{left} {status}");
}

/// `sbx.service`, until it is dropped.
struct Kept(PathBuf);

impl Kept {
    fn start() -> Option<Kept> {
        let runtime = PathBuf::from(std::env::var("XDG_RUNTIME_DIR").ok()?);
        let systemctl = |args: &[&str]| Command::new("systemctl").arg("--user").args(args).status().unwrap().success();
        if systemctl(&["is-active", "-q", "sbx.service"]) {
            return None;
        }
        let kept = Kept(runtime.join("systemd/user/sbx.service"));
        std::fs::create_dir_all(kept.0.parent().unwrap()).unwrap();
        std::fs::write(&kept.0, include_str!("../systemd/sbx.service")).unwrap();
        assert!(systemctl(&["daemon-reload"]) && systemctl(&["start", "sbx.service"]));
        Some(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = Command::new("systemctl").args(["--user", "stop", "sbx.service"]).status();
        let _ = std::fs::remove_file(&self.0);
        let _ = Command::new("systemctl").args(["--user", "daemon-reload"]).status();
    }
}

#[test]
fn a_service_that_is_kept_has_all_sandboxes_and_no_scope_is_made() {
    let _alone = alone();
    need!(limits() && tools(&["python3"]));
    let place = Place::new();
    let Some(_kept) = Kept::start() else { return };
    // Here, where the manager has to move us, and below it, where it does not.
    let here = |args: &[&str]| {
        let mut command = place.command();
        command.args(args);
        command
    };
    let below = |args: &[&str]| {
        let mut command = Command::new("systemd-run");
        command.args(["--user", "--pipe", "--wait", "-q", "--"]).arg(sbx()).args(args).stdin(Stdio::null());
        command
    };
    let limit = ["--memory", "64M", "--set", "limits.swap_max=0"];
    for start in [&here as &dyn Fn(&[&str]) -> Command, &below] {
        let args = |rest: &[&'static str]| [&limit[..], rest].concat();
        let plan = common::ran(start(&[&["plan"], &limit[..], &["--", "true"]].concat()).output().unwrap()).ok();
        assert!(plan.contains("cgroup      one of its own below sbx.service of the user's"), "{plan}");
        // Another one lives on when one is ended for memory.
        let mut other = start(&args(&["--", "/bin/sleep", "5"])).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while traces().is_empty() {
            assert!(Instant::now() < end, "it does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let found = traces();
        assert!(found.iter().all(|path| path.to_string_lossy().contains("sbx.slice/sbx.service/sbx-")), "{found:#?}");
        let hog = "a = bytearray(300 << 20); print('survived')";
        let ran = common::ran(start(&args(&["--", "python3", "-c", hog])).output().unwrap());
        assert!(ran.status == Some(137) && ran.err.contains("was ended for memory"), "{ran:#?}");
        assert!(other.wait().unwrap().success());
        assert_eq!(traces(), BTreeSet::new());
    }
    // A program that sees the hierarchy, read-only, locks what it can, and keeps nobody from starting.
    let locks = "import fcntl, os, sys, time
base = [root for root, _, files in os.walk('/sys/fs/cgroup') if root.endswith('/sbx.service')][0]
held = []
for name in [''] + os.listdir(base):
    for mode in os.O_RDONLY, os.O_WRONLY:
        try:
            fd = os.open(base + '/' + name, mode)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(fd)
        except OSError: pass
print(len(held), flush=True)
time.sleep(60)";
    let mut hostile = here(&["--memory", "64M", "--ro", "/sys", "--", "python3", "-c", locks])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(hostile.stdout.take().unwrap()), &mut line).unwrap();
    assert!(line.trim().parse::<u32>().unwrap() > 5, "{line}");
    let began = Instant::now();
    assert_eq!(common::ran(here(&["--memory", "64M", "--", "/bin/echo", "in"]).output().unwrap()).ok(), "in\n");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // SAFETY: a signal for a child of ours.
    unsafe { libc::kill(hostile.id() as i32, libc::SIGTERM) };
    hostile.wait().unwrap();
    fifty(&place);
    // Where it cannot be used after all, there is still a scope.
    let service = PathBuf::from(
        common::ran(
            Command::new("systemctl").args(["--user", "show", "-P", "ControlGroup", "sbx.service"]).output().unwrap(),
        )
        .ok()
        .trim(),
    );
    let service = Path::new("/sys/fs/cgroup").join(service.strip_prefix("/").unwrap());
    let closed = |mode| std::fs::set_permissions(&service, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    closed(0o555);
    let ran = common::ran(here(&["--memory", "64M", "--", "/bin/cat", "/proc/self/cgroup"]).output().unwrap());
    closed(0o755);
    assert!(ran.out == "0::/\n" && ran.err.contains("note: sbx.service is not used: no cgroup for"), "{ran:#?}");
    gone(Duration::from_secs(10));
    // Where a launcher was killed, the next one takes away what is left.
    let mut killed = here(&["--memory", "64M", "--", "/bin/sleep", "30"]).spawn().unwrap();
    while traces().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        assert_eq!(
            here(&["--memory", "64M", "--", "/bin/cat", "/proc/self/cgroup"]).output().unwrap().stdout,
            b"0::/\n"
        );
        if traces().is_empty() {
            break;
        }
        assert!(Instant::now() < end, "{:#?}", traces());
    }
}

/// As runners do it: a delegated cgroup, and in it one with limits for each job.
#[test]
fn a_sandbox_stays_in_the_cgroup_of_its_job_where_it_can() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let job = |script: &str| {
        let start = "c=/sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup); mkdir $c/job; echo $$ >$c/job/cgroup.procs
            echo '+memory +pids' >$c/cgroup.subtree_control; echo 500M >$c/job/memory.max; ";
        let own = sbx().to_str().unwrap();
        let mut command = Command::new("systemd-run");
        command.args(["--user", "--scope", "-q", "-p", "Delegate=yes", "--", "/bin/sh", "-c"]);
        command.arg(format!("{start}{}", script.replace("SBX", own))).env("HOME", place.home());
        common::ran(command.current_dir(place.work()).stdin(Stdio::null()).output().unwrap())
    };
    let said = job("exec SBX plan --memory 64M -- true").ok();
    assert!(said.contains("/job, which is delegated to us") && !said.contains("does not hold"), "{said}");
    assert_eq!(job("exec SBX --memory 64M -- /bin/cat /proc/self/cgroup").ok(), "0::/\n");
    let said = job("exec SBX plan --memory 64M --stats -- true").ok();
    assert!(said.contains("/job, which is delegated to us"), "{said}");
    // The shell is in it, which keeps it from being divided.
    let ran = job("SBX --memory 64M -- /bin/cat /proc/self/cgroup; exit $?");
    assert!(ran.out == "0::/\n" && ran.status == Some(0), "{ran:#?}");
    let note = "note: memory.max = 524288000 of /sys/fs/cgroup/";
    assert!(ran.err.contains(note) && ran.err.contains("/job does not hold for the sandbox"), "{ran:#?}");
    gone(Duration::from_secs(10));
}

/// A container as they are by default: the hierarchy is there, and read-only.
#[test]
fn in_a_container_with_a_read_only_hierarchy_it_says_so() {
    let _alone = alone();
    need!(limits() && tools(&["bwrap"]));
    let place = Place::new();
    let inside = |args: &[&str]| {
        let mut command = Command::new("bwrap");
        command.args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]).arg(sbx());
        command.args(args).env("HOME", place.home()).current_dir("/").stdin(Stdio::null());
        common::ran(command.output().unwrap())
    };
    let refused = inside(&["--memory", "64M", "--", "true"]).failed(125);
    assert!(refused.contains("limits.memory_max cannot be enforced: /sys/fs/cgroup is mounted read-only"), "{refused}");
    assert!(refused.contains("systemd does not run here") && refused.contains("--cgroupns=private"), "{refused}");
    let said = inside(&["--set", "limits.memory_max=64M,prefer", "--stats", "--", "/bin/echo", "went on"]);
    assert!(said.out == "went on\n" && said.err.contains("limits.memory_max is not enforced"), "{said:#?}");
}

#[test]
fn what_cannot_be_had_is_refused_or_said() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let refused = place.run(&["--set", "limits.hugetlb_max={\"2MB\"=\"64M\"}", "--", "true"]);
    assert!(
        refused.status == Some(125) && refused.err.contains("limits.hugetlb_max cannot be enforced"),
        "{refused:#?}"
    );
    let said = place.run(&[
        "--set",
        "limits.hugetlb_max={\"2MB\"=\"64M,prefer\"}",
        "--memory",
        "64M",
        "--receipt",
        "1",
        "--",
        "true",
    ]);
    assert!(said.status == Some(0) && said.err.contains("note: limits.hugetlb_max is not enforced"), "{said:#?}");
    let receipt: Value =
        serde_json::from_str(said.out.split("\n}\n").next().map(|text| format!("{text}\n}}")).unwrap().as_str())
            .unwrap();
    let line = |setting: &str| {
        receipt["lines"].as_array().unwrap().iter().find(|line| line["setting"] == setting).unwrap().clone()
    };
    assert_eq!(line("limits.hugetlb_max")["enforced"], "none", "{receipt:#}");
    assert_eq!(line("limits.memory_max")["by"][0], "cgroup v2: memory.max = 67108864");
    for (wrong, says) in [
        ("limits.memory_max=lots", "is no value of limits.memory_max"),
        ("limits.cpus=7-9", "cannot be enforced"),
        ("limits.io_max={\"/proc\"=\"wbps=1M\"}", "lies on no disk"),
        ("limits.cpu_weight=0", "from 1 to 10000"),
    ] {
        let refused = place.run(&["--set", wrong, "--", "true"]).failed(125);
        assert!(refused.contains(says) && refused.contains("help:"), "{wrong}: {refused}");
    }
}

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

fn fifty(place: &Place) {
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

/// Our number there is somebody else's here, who must not be moved.
#[test]
fn in_another_pid_namespace_the_manager_moves_us_and_nobody_else() {
    let _alone = alone();
    need!(limits() && tools(&["bwrap"]));
    let place = Place::new();
    let inside = || {
        let mut command = Command::new("bwrap");
        command.args(["--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid"]).arg(sbx());
        command.args(["--memory", "64M", "--", "/bin/cat", "/proc/self/cgroup"]);
        common::ran(command.env("HOME", place.home()).current_dir(place.work()).output().unwrap())
    };
    assert_eq!(inside().ok(), "0::/\n");
    let Some(_kept) = Kept::start() else { return };
    assert_eq!(inside().ok(), "0::/\n");
    gone(Duration::from_secs(10));
}

#[test]
fn a_sandbox_with_limits_runs_in_one() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let outer = ["--memory", "100M", "--set", "limits.delegate=true", "--set", "namespaces.nested=allow", "--ro"];
    let own = sbx().to_str().unwrap();
    let script = format!(
        "cat /sys/fs/cgroup/memory.max; {own} --memory 50M --stats=json -- /bin/sh -c 'cat /proc/self/cgroup; exit 3'; echo $?; ls -d /sys/fs/cgroup/sbx-* 2>/dev/null"
    );
    let ran = place.sh(&[&outer[..], &[own]].concat(), &script);
    assert_eq!(ran.out, "104857600\n0::/\n3\n", "{ran:#?}");
    // Shown, it is read-only, and its own alone.
    let shown = place.sh(&["--memory", "100M", "--set", "limits.cgroupfs=true"], "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cgroup.procs | head -1; mkdir /sys/fs/cgroup/x 2>/dev/null || echo closed; echo max 2>/dev/null >/sys/fs/cgroup/memory.max || echo closed");
    assert_eq!(shown.out, "104857600\nclosed\nclosed\n", "{shown:#?}");
}

/// The kernel keeps the root of a cgroup namespace from who is in it, and no longer once that one has made another.
#[test]
fn a_program_with_namespaces_of_its_own_does_not_lift_its_limits() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let hog = "python3 -c 'a = bytearray(200 << 20); print(\"survived\")'";
    let limits = ["--memory", "64M", "--set", "limits.swap_max=0"];
    // In a hierarchy that it mounts itself.
    let mounted = format!(
        "unshare -Urm -C sh -c 'mkdir -p /tmp/c && mount -t cgroup2 none /tmp/c && mkdir /tmp/c/sub && echo $$ >/tmp/c/sub/cgroup.procs && echo mounted
        exec unshare -C sh -c \"echo max >/tmp/c/memory.max; echo max >/tmp/c/../memory.max\"' 2>/dev/null; {hog}"
    );
    let ran = place.sh(&[&limits[..], &["--set", "namespaces.nested=allow"]].concat(), &mounted);
    assert!(ran.out == "mounted\n" && ran.status == Some(137), "{ran:#?}");
    // And in the one that it is shown.
    let shown = format!("unshare -Ur -C sh -c 'echo max >/sys/fs/cgroup/memory.max && echo written'; {hog}");
    let flags = ["--set", "namespaces.nested=no-mount", "--set", "limits.delegate=true"];
    let ran = place.sh(&[&limits[..], &flags].concat(), &shown);
    assert!(ran.status == Some(137) && !ran.out.contains("survived"), "{ran:#?}");
    // What it makes and closes is taken away all the same, and at once; the figures are whole.
    let litter = "cd /sys/fs/cgroup; mkdir -p a/b/c; chmod 000 a/b a .; n=0; while mkdir d 2>/dev/null; do cd d; n=$((n+1)); done; [ $n -lt 40 ] && echo stopped";
    let began = Instant::now();
    let (ran, figures) = used(&place, &[&limits[..], &["--set", "limits.delegate=true"]].concat(), litter);
    assert!(ran.status == Some(0) && ran.out == "stopped\n", "{ran:#?}");
    assert!(
        figures["cpu_usec"].as_u64() > Some(0) && began.elapsed() < Duration::from_secs(5),
        "{figures} {:?}",
        began.elapsed()
    );
    gone(Duration::from_secs(10));
}

/// Beside what the kernel tells a parent of its children: getrusage(2), which knows nothing of cgroups.
#[test]
fn figures_agree_with_what_a_parent_is_told() {
    let _alone = alone();
    need!(limits() && tools(&["python3"]));
    let place = Place::new();
    let work = "n = 0\nfor i in range(3000000): n += i\na = b'x' * (80 << 20)";
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
    // What is mapped of files counts for the process, what the kernel needs for the cgroup.
    assert!((-12_000.0..4_000.0).contains(&memory.parse::<f64>().unwrap()), "{text}");
}

#[test]
fn figures_are_told_while_it_runs() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let mut command = place.command();
    command.args(["--stats=json", "--", "/bin/sh", "-c", "echo ready; sleep 2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    // SAFETY: a signal for a child of ours.
    unsafe { libc::kill(child.id() as i32, libc::SIGUSR1) };
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.len() == 2 && lines[0]["wall_usec"].as_u64() < lines[1]["wall_usec"].as_u64(), "{said}");
    assert_eq!(lines[1]["source"], "cgroup");
}
