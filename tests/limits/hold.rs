//! Limits hold; one that cannot be set is refused, or reported if it is only preferred.

use crate::common::process::signal;
use crate::common::{Need, Place, limits, tools};
use crate::{alone, available, figures_in, gone, need, soon, traces, used};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_memory_hog_is_ended_at_its_limit_and_that_is_said() {
    let _alone = alone();
    need!(limits(), tools(&["python3"]));
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
    // One of several processes is killed, which the program survives. The kernel does not say which: sbx sees the
    // victim or not, as when the CPU is busy, but never names another.
    let scripts = ["(HOG) 2>/dev/null; echo status $?", "sleep 99 & (HOG) 2>/dev/null; echo status 137"];
    let scripts = scripts.map(|script| script.replace("HOG", hog));
    let (mut named, mut rounds) = (0, 0);
    while rounds < 10 || (named == 0 && rounds < 40) {
        let (ran, figures) = used(&place, &flags, &scripts[rounds % 2]);
        assert!(ran.status == Some(0) && ran.out == "status 137\n", "{ran:#?}");
        assert!(ran.err.contains(" was ended for memory (limits.memory_max = 41943040"), "{ran:#?}");
        for victim in figures["oom_killed"].as_array().into_iter().flatten() {
            assert!(victim["name"] == "python3" && victim["pid"].as_u64() > Some(2), "{figures}");
            assert!(ran.err.contains(&format!("python3[{}] was ended", victim["pid"])), "{ran:#?}");
            named += 1;
        }
        rounds += 1;
    }
    eprintln!("{named} of {rounds} were named");
    assert!(named > 0);
    let group = [&flags[..], &["--set", "limits.memory_oom_group=true"]].concat();
    let (ran, _) = used(&place, &group, &format!("({hog}); echo survived"));
    assert!(ran.status == Some(137) && ran.out.is_empty(), "{ran:#?}");
    // Below its limit nothing happens.
    assert_eq!(place.sh(&["--memory", "400M"], hog).ok(), "survived\n");
}

/// Its first process is made otherwise: from within the user namespace that the network belongs to.
#[test]
fn a_sandbox_in_the_network_of_another_one_has_its_own_limits() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let mut other = place.command();
    other.args(["-q", "--net", "none", "--", "/bin/sh", "-c", "echo runs; exec sleep 600"]);
    let mut other = other.stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    let net = format!("join:{}", other.id());
    let ran = place.sh(&["--net", &net, "--pids-limit", "20"], "for n in $(seq 40); do sleep 9 & done; echo all");
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(ran.status != Some(0) && !ran.out.contains("all") && ran.err.contains("ork"), "{ran:#?}");
}

#[test]
fn a_fork_bomb_stops_at_its_limit_and_ends_with_the_sandbox() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 60";
    let flags = ["--pids-limit", "40", "--stats=json"];
    let mut child =
        place.command().args(flags).args(["--", "/bin/sh", "-c", bomb]).stderr(Stdio::piped()).spawn().unwrap();
    // When the limit has been reached, the user's other programs start as before.
    let refused = |path: &std::path::PathBuf| {
        let events = std::fs::read_to_string(path.join("pids.events")).unwrap_or_default();
        events.lines().any(|line| line.starts_with("max ") && line != "max 0")
    };
    soon(Duration::from_secs(60), || traces().iter().any(refused));
    let other = Instant::now();
    assert!(Command::new("/bin/true").status().unwrap().success());
    assert!(other.elapsed() < Duration::from_secs(20), "{:?}", other.elapsed());
    let ended = Instant::now();
    signal(child.id() as i32, libc::SIGTERM);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(128 + libc::SIGTERM));
    assert!(ended.elapsed() < Duration::from_secs(15), "{:?}", ended.elapsed());
    gone(Duration::from_secs(10));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    let figures = figures_in(&said);
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

/// Tries the disk of the home, and a loop device if one is named.
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
        if !available!(Need::new("disk", !ran.err.contains("lies on no disk"), format!("{dir} lies on no disk"))) {
            continue;
        }
        assert_eq!(ran.status, Some(0), "{ran:#?}");
        let figures = figures_in(&ran.err);
        let seconds = figures["wall_usec"].as_u64().unwrap() as f64 / 1e6;
        // Three megabytes, of which the first may be written at once.
        assert!((1.8..30.0).contains(&seconds), "{dir}: {figures}");
        let written: u64 = figures["io"].as_object().unwrap().values().filter_map(|io| io["wbytes"].as_u64()).sum();
        assert!(written >= 3 << 20, "{dir}: {figures}");
    }
}

#[test]
fn a_limit_that_cannot_be_set_is_refused_or_reported() {
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

/// The kernel protects the files of a cgroup namespace's root from processes in that namespace, but not once they have
/// made another.
#[test]
fn a_program_with_namespaces_of_its_own_does_not_lift_its_limits() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    let hog = "python3 -c 'a = bytearray(200 << 20); print(\"survived\")'";
    let limits = ["--memory", "64M", "--set", "limits.swap_max=0"];
    // In a hierarchy that the program mounts itself.
    let mounted = format!(
        "unshare -Urm -C sh -c 'mkdir -p /tmp/c && mount -t cgroup2 none /tmp/c && mkdir /tmp/c/sub && echo $$ >/tmp/c/sub/cgroup.procs && echo mounted
        exec unshare -C sh -c \"echo max >/tmp/c/memory.max; echo max >/tmp/c/../memory.max\"' 2>/dev/null; {hog}"
    );
    let ran = place.sh(&[&limits[..], &["--set", "namespaces.nested=allow"]].concat(), &mounted);
    assert!(ran.out == "mounted\n" && ran.status == Some(137), "{ran:#?}");
    // In the hierarchy that sbx shows to it.
    let shown = format!("unshare -Ur -C sh -c 'echo max >/sys/fs/cgroup/memory.max && echo written'; {hog}");
    let flags = ["--set", "namespaces.nested=no-mount", "--set", "limits.delegate=true"];
    let ran = place.sh(&[&limits[..], &flags].concat(), &shown);
    assert!(ran.status == Some(137) && !ran.out.contains("survived"), "{ran:#?}");
    // Cgroups that the program makes and closes are still removed, at once; the figures are complete.
    let litter = "cd /sys/fs/cgroup; mkdir -p a/b/c; chmod 000 a/b a .; n=0; while mkdir d 2>/dev/null; do cd d; n=$((n+1)); done; [ $n -lt 40 ] && echo stopped";
    let began = Instant::now();
    let (ran, figures) = used(&place, &[&limits[..], &["--set", "limits.delegate=true"]].concat(), litter);
    assert!(ran.status == Some(0) && ran.out == "stopped\n", "{ran:#?}");
    assert!(
        figures["cpu_usec"].as_u64() > Some(0) && began.elapsed() < Duration::from_secs(30),
        "{figures} {:?}",
        began.elapsed()
    );
    gone(Duration::from_secs(10));
}
