//! The service whose cgroup sandboxes share: systemd/sbx.service.

use crate::common::{self, Need, Place, Ran, limits, sbx, tools};
use crate::ending::fifty;
use crate::{alone, gone, need, soon, traces};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A `systemctl` command to the user's manager.
pub(crate) fn systemctl(args: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    command.arg("--user").args(args);
    command
}

/// Starts `sbx.service`, which is stopped when this is dropped.
pub(crate) struct Service(PathBuf);

impl Service {
    /// The need for a runtime directory of a user who has no `sbx.service` of their own.
    pub(crate) fn free() -> Need {
        let active = || systemctl(&["is-active", "-q", "sbx.service"]).status().unwrap().success();
        let free = std::env::var_os("XDG_RUNTIME_DIR").is_some() && !active();
        Need::new("own-service", free, "the user keeps an sbx.service, or has no runtime directory")
    }

    pub(crate) fn start() -> Service {
        let runtime = PathBuf::from(std::env::var("XDG_RUNTIME_DIR").unwrap());
        let done = |args: &[&str]| systemctl(args).status().unwrap().success();
        let service = Service(runtime.join("systemd/user/sbx.service"));
        std::fs::create_dir_all(service.0.parent().unwrap()).unwrap();
        std::fs::write(&service.0, include_str!("../../systemd/sbx.service")).unwrap();
        assert!(done(&["daemon-reload"]) && done(&["start", "sbx.service"]));
        service
    }

    fn dir() -> PathBuf {
        let shown = systemctl(&["show", "-P", "ControlGroup", "sbx.service"]).output().unwrap();
        Path::new("/sys/fs/cgroup").join(common::ran(shown).ok().trim().strip_prefix('/').unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = systemctl(&["stop", "sbx.service"]).status();
        let _ = std::fs::remove_file(&self.0);
        let _ = systemctl(&["daemon-reload"]).status();
    }
}

/// A command in the session, from where the manager has to move the launcher.
fn here(place: &Place, args: &[&str]) -> Command {
    let mut command = place.command();
    command.args(args);
    command
}

/// A command in a unit of the user's manager, from where the launcher can move itself.
fn below(_: &Place, args: &[&str]) -> Command {
    let mut command = Command::new("systemd-run");
    command.args(["--user", "--pipe", "--wait", "-q", "--"]).arg(sbx()).args(args).stdin(Stdio::null());
    command
}

fn limited(place: &Place, args: &[&str]) -> Command {
    here(place, &[&["--memory", "64M"], args].concat())
}

fn root(place: &Place) -> Ran {
    common::ran(limited(place, &["--", "/bin/cat", "/proc/self/cgroup"]).output().unwrap())
}

#[test]
fn the_service_has_all_sandboxes_and_no_scope_is_made() {
    let _alone = alone();
    need!(limits(), tools(&["python3"]));
    let place = Place::new();
    need!(Service::free());
    let _service = Service::start();
    let limit = ["--memory", "64M", "--set", "limits.swap_max=0"];
    for start in [here, below] {
        let plan = start(&place, &[&["plan"], &limit[..], &["--", "true"]].concat()).output().unwrap();
        let plan = common::ran(plan).ok();
        assert!(plan.contains("cgroup      one of its own below sbx.service of the user's"), "{plan}");
        let start = |args: &[&str]| start(&place, &[&limit, args].concat());
        // Another sandbox in the service goes on when one runs out of memory.
        let mut other = start(&["--", "/bin/sleep", "5"]).spawn().unwrap();
        soon(Duration::from_secs(20), || !traces().is_empty());
        let found = traces();
        assert!(found.iter().all(|path| path.to_string_lossy().contains("sbx.slice/sbx.service/sbx-")), "{found:#?}");
        let hog = "a = bytearray(300 << 20); print('survived')";
        let ran = common::ran(start(&["--", "python3", "-c", hog]).output().unwrap());
        assert!(ran.status == Some(137) && ran.err.contains("was ended for memory"), "{ran:#?}");
        assert!(other.wait().unwrap().success());
        assert_eq!(traces(), BTreeSet::new());
    }
    fifty(&place);
    // If a launcher was killed, the next one removes what is left.
    let mut killed = limited(&place, &["--", "/bin/sleep", "30"]).spawn().unwrap();
    soon(Duration::from_secs(20), || !traces().is_empty());
    killed.kill().unwrap();
    killed.wait().unwrap();
    soon(Duration::from_secs(10), || {
        assert_eq!(root(&place).ok(), "0::/\n");
        traces().is_empty()
    });
}

/// A program that sees the hierarchy read-only locks what it can, which must not keep another sandbox from starting.
#[test]
fn a_program_cannot_hold_the_lock_that_starts_wait_for() {
    let _alone = alone();
    need!(limits(), tools(&["python3"]));
    let place = Place::new();
    need!(Service::free());
    let _service = Service::start();
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
    let mut hostile =
        limited(&place, &["--ro", "/sys", "--", "python3", "-c", locks]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(hostile.stdout.take().unwrap()), &mut line).unwrap();
    assert!(line.trim().parse::<u32>().unwrap() > 5, "{line}");
    let began = Instant::now();
    assert_eq!(root(&place).ok(), "0::/\n");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // SAFETY: a signal for a child of ours.
    unsafe { libc::kill(hostile.id() as i32, libc::SIGTERM) };
    hostile.wait().unwrap();
}

#[test]
fn a_scope_is_used_if_the_service_cannot_be() {
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    need!(Service::free());
    let _service = Service::start();
    assert_eq!(root(&place).ok(), "0::/\n");
    let dir = Service::dir();
    let closed = |mode| std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    closed(0o555);
    let ran = root(&place);
    closed(0o755);
    assert!(ran.out == "0::/\n" && ran.err.contains("note: sbx.service is not used: no cgroup for"), "{ran:#?}");
    gone(Duration::from_secs(10));
}

/// systemd ends what is in the service with SIGTERM; a start that is not in it yet uses a scope.
#[test]
fn a_start_while_the_service_stops_is_ended_by_the_signal_or_uses_a_scope() {
    use std::os::unix::process::ExitStatusExt;
    let _alone = alone();
    need!(limits());
    let place = Place::new();
    for pause in [0, 15, 40] {
        need!(Service::free());
        let service = Service::start();
        let mut stopped = None;
        let started: Vec<_> = (0..16)
            .map(|number| {
                let mut command = limited(&place, &["--", "/bin/sh", "-c", "sleep 0.3; echo done"]);
                let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
                std::thread::sleep(Duration::from_millis(pause));
                if number == 8 {
                    stopped = Some(systemctl(&["stop", "sbx.service"]).spawn().unwrap());
                }
                child
            })
            .collect();
        for child in started {
            let out = child.wait_with_output().unwrap();
            let signal = out.status.signal();
            let ran = common::ran(out);
            // SIGTERM may also reach sbx alone, when the program has ended.
            let ended = signal == Some(libc::SIGTERM) || ran.status == Some(128 + libc::SIGTERM);
            assert!(ended || ran.status == Some(0) && ran.out == "done\n", "{signal:?} {ran:#?}");
        }
        assert!(stopped.unwrap().wait().unwrap().success());
        drop(service);
        gone(Duration::from_secs(10));
    }
}
