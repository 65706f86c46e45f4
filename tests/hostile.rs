//! What a hostile program, or whoever wrote the directories that are shown to it, could do to the set-up and to the processes around
//! it. Each of these worked once.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs and may panic"
)]

mod common;

use common::{Place, Ran, pass, ran, userns};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BWRAP: &str = env!("CARGO_BIN_EXE_sbx-bwrap");
const BASE: [&str; 13] = [
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--symlink",
    "usr/bin",
    "/bin",
    "--unshare-all",
];

fn bwrap(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new(BWRAP);
    command.args(BASE).args(["--proc", "/proc", "--dev", "/dev"]).args(args).current_dir(place.work());
    command.env_clear().env("HOME", "/").env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

fn run(place: &Place, args: &[&str]) -> Ran {
    ran(bwrap(place, args).output().unwrap())
}

#[test]
fn a_directory_to_start_in_leads_to_nothing_of_ours() {
    need!(userns());
    let place = Place::new();
    // Whatever descriptor of the host's /proc, or of another tree, is open while it is entered.
    for number in 3..14 {
        let link = place.work().join(format!("sub{number}"));
        symlink(format!("/proc/self/fd/{number}"), &link).unwrap();
        let script = "ls -d ../[0-9]* 2>/dev/null | wc -l";
        let work = place.work().display().to_string();
        let dir = format!("/d/sub{number}");
        let inside = run(&place, &["--bind", &work, "/d", "--chdir", &dir, "sh", "-c", script]);
        assert!(inside.status == Some(1) || inside.out == "0\n", "{number}: {inside:#?}");
        let dir = link.display().to_string();
        let inside = place.run(&["--rw", ".", "--cwd", &dir, "--", "/bin/sh", "-c", script]);
        assert!(inside.status == Some(125) || inside.out == "0\n", "{number}: {inside:#?}");
        let home = run(&place, &["--bind", &work, "/d", "--setenv", "HOME", &dir, "sh", "-c", script]);
        assert_eq!(home.out, "0\n", "{number}: {home:#?}");
    }
}

#[test]
fn a_procfs_below_somebody_elses_directory_brings_no_file_of_the_host() {
    need!(userns());
    let place = Place::new();
    let secret = place.write("secret", "TOPSECRET");
    let work = place.work();
    for dir in ["q/p", "q/1/2/3/4", "p"] {
        std::fs::create_dir_all(work.join(dir)).unwrap();
    }
    // Before procfs is there, `l` leads to q by way of q/p/net; afterwards that is procfs's net, and `l` leads to the top.
    symlink("../1/2/3/4", work.join("q/p/net")).unwrap();
    symlink("q/p/net/../../../..", work.join("l")).unwrap();
    for name in ["sys", "bus", "irq", "sysrq-trigger"] {
        symlink(&secret, work.join("p").join(name)).unwrap();
    }
    let work = work.display().to_string();
    let args = ["--bind", &work, "/d", "--proc", "/d/l/p", "sh", "-c", "cat /d/p/sys /d/p/bus /d/p/irq; true"];
    let inside = run(&place, &args);
    assert!(!inside.out.contains("TOPSECRET") && inside.status == Some(0), "{inside:#?}");
}

#[test]
fn numbers_that_nothing_stands_behind_show_nothing_of_ours() {
    need!(userns());
    let place = Place::new();
    for number in 3..20 {
        let source = format!("/proc/self/fd/{number}");
        if std::fs::metadata(&source).is_ok() {
            // Inherited by the whole test, perhaps.
            continue;
        }
        let inside = run(&place, &["--bind-try", &source, "/x", "ls", "-d", "/x"]);
        assert_eq!(inside.status, Some(2), "{number}: {inside:#?}");
    }
    // Neither one that is consumed before.
    let file = std::fs::File::open("/etc/hostname").unwrap();
    let mut command = bwrap(&place, &["--file", "59", "/f", "--ro-bind", "/proc/self/fd/59", "/g", "cat", "/g"]);
    pass(&mut command, &file, 59);
    let inside = ran(command.output().unwrap());
    assert_eq!(inside.out, std::fs::read_to_string("/etc/hostname").unwrap(), "{inside:#?}");
}

#[test]
fn a_file_goes_where_its_name_leads_by_then() {
    need!(userns());
    let place = Place::new();
    let work = place.work().display().to_string();
    let before = ["--bind", &work, "/d", "--symlink", "d", "/l", "--ro-bind", "/etc/hostname", "/l/x"];
    let after = ["--tmpfs", "/d", "--dir", "/l/y", "ls", "/d"];
    let inside = run(&place, &[&before[..], &after].concat());
    assert_eq!(inside.out, "y\n", "{inside:#?}");
    assert!(place.work().join("x").exists() && !place.work().join("y").exists());
}

/// Waits for the end, not for ever.
#[track_caller]
fn ends(child: &mut std::process::Child, what: &str) -> Option<i32> {
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    let _ = child.wait();
    panic!("{what}: it hangs");
}

#[test]
fn a_start_that_is_held_up_ends_when_it_is_told_to() {
    need!(userns());
    let place = Place::new();
    let fifo = place.work().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let work = place.work().display().to_string();
    let (silent, _writer) = std::io::pipe().unwrap();
    for args in [&["--block-fd", "59"][..], &["--file", "59", "/f"], &["--bind-data", "59", "/f"]] {
        let mut command = bwrap(&place, &[args, &["true"]].concat());
        pass(&mut command, &silent, 59);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        // SAFETY: plain integers.
        unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
        assert_eq!(ends(&mut child, &format!("{args:?}")), Some(143));
    }
    // A pipe in a directory that somebody else wrote does not even begin to hold it up.
    let file = std::fs::File::open("/etc/hostname").unwrap();
    for args in [&["--lock-file", "/d/fifo"][..], &["--file", "59", "/d/fifo"]] {
        let mut command = bwrap(&place, &[&["--bind", &work, "/d"], args, &["true"]].concat());
        pass(&mut command, &file, 59);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        ends(&mut child, &format!("{args:?}"));
    }
}

#[test]
fn stopping_the_launcher_does_not_outlive_the_caller() {
    need!(userns());
    let place = Place::new();
    let tick = place.work().join("tick");
    for pids in ["--unshare-pid", "--die-with-parent"] {
        let _ = std::fs::remove_file(&tick);
        let inside = "(setsid sh -c 'for i in $(seq 60); do date +%s%N >>/d/tick; sleep 0.05; done' &)
            sleep 0.3; kill -STOP 0; sleep 9";
        place.write("work/script", inside);
        let base = BASE[..12].iter().map(|arg| format!("'{arg}'")).collect::<Vec<_>>().join(" ");
        let work = place.work().display().to_string();
        let info = place.work().join(format!("pid{pids}"));
        let caller = format!(
            "setsid {BWRAP} {base} --proc /proc --dev /dev --die-with-parent {pids} --bind '{work}' /d sh /d/script & echo $! >'{}'; sleep 1.2",
            info.display()
        );
        assert!(Command::new("/bin/bash").args(["-c", &caller]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(500));
        let first = std::fs::read_to_string(&tick).unwrap_or_default();
        assert!(!first.is_empty(), "it ran");
        std::thread::sleep(Duration::from_millis(500));
        let alive = std::fs::read_to_string(&tick).unwrap_or_default() != first;
        let launcher = std::fs::read_to_string(&info).unwrap();
        let state = std::fs::read_to_string(format!("/proc/{}/status", launcher.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains("State:\tZ"), "{pids}: the launcher is left: {state}");
        // Without a pid namespace, what has left the program's own process group cannot be found.
        assert!(!alive || pids == "--die-with-parent", "{pids}: it lives on");
    }
}

#[test]
fn escapes_of_a_terminal_do_not_reach_it_in_warnings() {
    need!(userns());
    let place = Place::new();
    let (read, mut write) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut write, b"--dir\0/x\0abc\x1b[31mRED\0").unwrap();
    drop(write);
    let mut command = bwrap(&place, &["--args", "59", "true"]);
    pass(&mut command, &read, 59);
    let said = ran(command.output().unwrap());
    assert!(said.err.contains("RED") && !said.err.contains('\x1b'), "{said:#?}");
}
