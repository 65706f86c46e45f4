//! What a hostile program, or whoever wrote the directories that are shown to it, could do to the set-up and to the processes around
//! it. Each of these worked once.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs and may panic"
)]

mod common;

use common::{Place, Ran, ran, userns};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
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

/// Hands a descriptor over by this number.
fn pass(command: &mut Command, file: &impl AsRawFd, number: i32) {
    let fd = file.as_raw_fd();
    // SAFETY: dup2 is async-signal-safe.
    unsafe {
        command.pre_exec(
            move || {
                if libc::dup2(fd, number) == number { Ok(()) } else { Err(std::io::Error::last_os_error()) }
            },
        );
    }
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
        let inside = "(setsid sh -c 'for i in $(seq 60); do date +%s%N >/d/tick; sleep 0.05; done' &)
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
        assert!(!std::path::Path::new("/proc").join(launcher.trim()).exists(), "{pids}: the launcher is left");
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
