//! Where the sandbox's cgroup comes from.

use crate::common::{self, Place, limits, sbx, tools};
use crate::service::{Service, systemctl};
use crate::{alone, gone, need, soon, traces};
use std::process::{Command, Stdio};
use std::time::Duration;

/// sbx in a delegated scope.
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
    // The sandbox's cgroup is the root of what the program sees, and the program is in it from the start.
    let look = ["--memory", "64M", "--", "/bin/cat", "/proc/self/cgroup"];
    assert_eq!(place.run(&look).ok(), "0::/\n");
    let ran = common::ran(delegated(&place, &look).output().unwrap());
    assert_eq!(ran.ok(), "0::/\n");
    // Outside, the cgroup has its limit.
    let mut child = place.command().args(["--memory", "64M", "--", "/bin/sleep", "30"]).spawn().unwrap();
    let limited = |path: &std::path::Path| {
        std::fs::read_to_string(path.join("memory.max")).is_ok_and(|text| text.trim() == "67108864")
            && std::fs::read_to_string(path.join("sandbox/cgroup.procs")).is_ok_and(|text| text.lines().count() == 2)
    };
    let mut found = None;
    soon(Duration::from_secs(20), || {
        found = traces().into_iter().find(|path| limited(path));
        found.is_some()
    });
    let found = found.unwrap();
    assert!(found.to_string_lossy().contains("sbx.slice/sbx-"), "{found:?}");
    let shown = systemctl(&["list-units", "sbx-*.scope", "--no-legend"]).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("sbx: /bin/sleep memory_max=67108864"), "{shown:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    gone(Duration::from_secs(20));
    // Without a pid namespace, what the program leaves in the background ends with the cgroup.
    let left = place.sh(&["--share", "pid", "--memory", "64M"], "sleep 1234 & echo $!").ok();
    let pid: i32 = left.trim().parse().unwrap();
    // The process's new parent may take a moment to wait for it.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(status.is_empty() || status.contains("State:\tZ"), "{left} {status}");
}

/// As CI runners do it: a delegated cgroup, and in it one with limits for each job.
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
    // The shell is in the job's cgroup, which therefore cannot be divided.
    let ran = job("SBX --memory 64M -- /bin/cat /proc/self/cgroup; exit $?");
    assert!(ran.out == "0::/\n" && ran.status == Some(0), "{ran:#?}");
    let note = "note: memory.max = 524288000 of /sys/fs/cgroup/";
    assert!(ran.err.contains(note) && ran.err.contains("/job does not hold for the sandbox"), "{ran:#?}");
    gone(Duration::from_secs(10));
}

/// As in a container by default: the hierarchy is there, and read-only.
#[test]
fn in_a_container_with_a_read_only_hierarchy_it_says_so() {
    let _alone = alone();
    need!(limits(), tools(&["bwrap"]));
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

/// The launcher's process id in its namespace is another process's in the manager's, which must not be moved.
#[test]
fn in_another_pid_namespace_the_manager_moves_us_and_nobody_else() {
    let _alone = alone();
    need!(limits(), tools(&["bwrap"]));
    let place = Place::new();
    let inside = || {
        let mut command = Command::new("bwrap");
        command.args(["--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid"]).arg(sbx());
        command.args(["--memory", "64M", "--", "/bin/cat", "/proc/self/cgroup"]);
        common::ran(command.env("HOME", place.home()).current_dir(place.work()).output().unwrap())
    };
    assert_eq!(inside().ok(), "0::/\n");
    need!(Service::free());
    let _kept = Service::start();
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
    // If the hierarchy is shown, it is read-only, and only the sandbox's own part.
    let shown = place.sh(&["--memory", "100M", "--set", "limits.cgroupfs=true"], "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cgroup.procs | head -1; mkdir /sys/fs/cgroup/x 2>/dev/null || echo closed; echo max 2>/dev/null >/sys/fs/cgroup/memory.max || echo closed");
    assert_eq!(shown.out, "104857600\nclosed\nclosed\n", "{shown:#?}");
}
