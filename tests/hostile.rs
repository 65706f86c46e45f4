//! Attacks of a hostile program, or of whoever wrote the directories that are shown to it, on the set-up and on the
//! processes around it. Each of these worked once.

mod common;

use common::process::{handles, signal, status};
use common::{Place, Ran, bwrap, pass, pass_none, ran, tools, until, until_within, userns};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

fn command(place: &Place, args: &[&str]) -> Command {
    let base = ["--unshare-all", "--proc", "/proc", "--dev", "/dev"];
    let mut command = bwrap::command(place, &[&bwrap::PROGRAMS[..], &base, args].concat());
    command.env("HOME", "/");
    command
}

fn run(place: &Place, args: &[&str]) -> Ran {
    ran(command(place, args).output().unwrap())
}

#[test]
fn a_directory_to_start_in_leads_to_nothing_of_ours() {
    need!(userns());
    let place = Place::new();
    // While the root is entered, descriptors of the host's /proc or of another tree are open; none of them may be
    // bound.
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
fn numbers_of_closed_descriptors_show_nothing_of_sbx() {
    need!(userns());
    let place = Place::new();
    for number in 3..20 {
        let source = format!("/proc/self/fd/{number}");
        let mut by_option = command(&place, &["--bind-try", &source, "/x", "ls", "-d", "/x"]);
        pass_none(&mut by_option);
        let inside = ran(by_option.output().unwrap());
        assert_eq!(inside.status, Some(2), "{number}: {inside:#?}");
        let mut by_flag = place.command();
        pass_none(&mut by_flag);
        let inside = ran(by_flag.args(["--ro", &source, "--", "true"]).output().unwrap());
        assert!(inside.status == Some(125) && inside.err.contains("no such file"), "{number}: {inside:#?}");
    }
    // Nor may a descriptor that an option has consumed before.
    let file = std::fs::File::open("/etc/hostname").unwrap();
    let mut command = command(&place, &["--file", "59", "/f", "--ro-bind", "/proc/self/fd/59", "/g", "cat", "/g"]);
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

/// Waits for a child to end, but not for ever; returns its exit status.
#[track_caller]
fn ends(child: &mut std::process::Child, what: &str) -> ExitStatus {
    let mut ended = None;
    until(|| {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    let _ = child.kill();
    let _ = child.wait();
    ended.unwrap_or_else(|| panic!("{what}: it hangs"))
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
        let mut command = command(&place, &[args, &["true"]].concat());
        pass(&mut command, &silent, 59);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        assert!(until(|| handles(pid, libc::SIGTERM) && status(pid, "State").starts_with('S')), "{args:?}");
        signal(pid as i32, libc::SIGTERM);
        assert_eq!(ends(&mut child, &format!("{args:?}")).signal(), Some(libc::SIGTERM));
    }
    // A fifo in a directory that somebody else wrote must not hold up the start.
    let file = std::fs::File::open("/etc/hostname").unwrap();
    for args in [&["--lock-file", "/d/fifo"][..], &["--file", "59", "/d/fifo"]] {
        let mut command = command(&place, &[&["--bind", &work, "/d"], args, &["true"]].concat());
        pass(&mut command, &file, 59);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        ends(&mut child, &format!("{args:?}"));
    }
}

#[test]
fn stopping_the_launcher_does_not_outlive_the_caller() {
    need!(userns());
    let place = Place::new();
    let path = |name: &str| place.work().join(name);
    for pids in ["--unshare-pid", "--die-with-parent"] {
        for name in ["launcher", "stopping", "tick", "ticker"] {
            let _ = std::fs::remove_file(path(name));
        }
        // One process leaves the process group, and then all that are in the group are stopped.
        let inside =
            "(setsid sh -c 'echo $$ >/d/ticker; for i in $(seq 1200); do date +%s%N >>/d/tick; sleep 0.05; done' &)
            until [ -s /d/tick ]; do sleep 0.01; done; : >/d/stopping; kill -STOP 0; sleep 9";
        place.write("work/script", inside);
        let programs = bwrap::PROGRAMS.map(|arg| format!("'{arg}'")).join(" ");
        let caller = format!(
            "setsid {} {programs} --proc /proc --dev /dev --die-with-parent {pids} --bind . /d sh /d/script & echo $! >launcher
            until [ -e stopping ]; do sleep 0.01; done; sleep 0.3",
            bwrap::program().display()
        );
        let mut command = Command::new("/bin/bash");
        assert!(command.args(["-c", &caller]).current_dir(place.work()).status().unwrap().success());
        let number = |name: &str| std::fs::read_to_string(path(name)).unwrap().trim().parse::<u32>().unwrap();
        let state = || status(number("launcher"), "State");
        assert!(until(|| state().is_empty() || state().starts_with('Z')), "{pids}: the launcher is left: {}", state());
        let ticks = || std::fs::metadata(path("tick")).unwrap().len();
        let ended = until_within(Duration::from_secs(10), || {
            let before = ticks();
            std::thread::sleep(Duration::from_millis(300));
            ticks() == before
        });
        // Without a pid namespace, what has left the program's own process group cannot be found.
        assert!(ended || pids == "--die-with-parent", "{pids}: it lives on");
        if !ended {
            signal(number("ticker") as i32, libc::SIGKILL);
        }
    }
}

#[test]
fn escapes_of_a_terminal_do_not_reach_it_in_warnings() {
    need!(userns());
    let place = Place::new();
    let (read, mut write) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut write, b"--dir\0/x\0abc\x1b[31mRED\0").unwrap();
    drop(write);
    let mut command = command(&place, &["--args", "59", "true"]);
    pass(&mut command, &read, 59);
    let said = ran(command.output().unwrap());
    assert!(said.err.contains("RED") && !said.err.contains('\x1b'), "{said:#?}");
}

/// The kernel has one number of them for all containers of the machine.
#[test]
fn a_program_has_so_many_pseudo_terminals_and_no_more() {
    need!(userns(), tools(&["python3"]));
    let script = "import os\nopen = []\ntry:\n    while len(open) < 1000: open.append(os.open('/dev/ptmx', os.O_RDWR))\nexcept OSError as error: print(len(open), error.errno)";
    let place = Place::new();
    let sandbox = ran(place.command().args(["-q", "--", "python3", "-c", script]).output().unwrap());
    let bare = ran(command(&place, &["python3", "-c", script]).output().unwrap());
    assert_eq!([sandbox.ok(), bare.ok()], ["256 28\n"; 2]);
}
