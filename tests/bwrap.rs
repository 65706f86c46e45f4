//! `sbx-bwrap`: its messages, how it is called, descriptors, and namespaces that are joined. What it has in common with
//! bubblewrap is compared with that in tests/differential.rs and tests/upstream.

mod common;

use common::bwrap::{command, program};
use common::process::{Mark, signal};
use common::terminal::Session;
use common::{Need, Place, Ran, not_root, pass, ran, tools, until, userns};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

fn run(args: &[&str]) -> Ran {
    ran(command(&Place::new(), args).output().unwrap())
}

/// Runs `sbx-bwrap` with a descriptor 59 from which it reads this data.
fn run_with(args: &[&str], data: &[u8]) -> Ran {
    let place = Place::new();
    let (read, mut write) = std::io::pipe().unwrap();
    write.write_all(data).unwrap();
    drop(write);
    let mut command = command(&place, args);
    pass(&mut command, &read, 59);
    ran(command.output().unwrap())
}

const ROOT: [&str; 5] = ["--ro-bind", "/", "/", "--tmpfs", "/tmp"];

fn with_root<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&ROOT[..], args].concat()
}

#[test]
fn every_wrong_command_line_says_it_in_bubblewraps_words_and_what_to_do() {
    need!(userns());
    let mut book = String::new();
    let mut add = |args: &[&str], full: bool| {
        let ran = run(&if full { with_root(args) } else { args.to_vec() });
        assert_eq!(ran.status, Some(1), "{args:?}: {ran:#?}");
        assert!(ran.err.starts_with("bwrap: ") || ran.err.starts_with("<3>bwrap: "), "{args:?}: {ran:#?}");
        assert!(ran.err.lines().count() > 1, "only bubblewrap's own words: {args:?}: {ran:#?}");
        book.push_str(&format!("$ {}\n{}\n", args.join(" "), ran.err));
    };
    for args in [
        &["--bogus"][..],
        &["--unshare-al"],
        &["-h"],
        &["--ro-bind=/"],
        &["--bind", "/"],
        &["--overlay", "/a"],
        &["--args"],
        &["--chdir"],
        &["--sync-fd", "-1"],
        &["--sync-fd", "0a"],
        &["--sync-fd", "4294967299"],
        &["--uid", "4294967296"],
        &["--gid", "-1"],
        &["--bind", "", "/"],
        &["--chdir", ""],
        &["--perms", "99", "--dir", "/x"],
        &["--perms", "0700", "--perms", "0700"],
        &["--perms", "0700", "--bind", "/", "/"],
        &["--size", "0"],
        &["--size", "4k"],
        &["--size", "5", "--dir", "/x"],
        &["--cap-add", "net_raw"],
        &["--argv0", "a", "--argv0", "b"],
        &["--setenv", "a=b", "c"],
        &["--overlay-src", "/a", "true"],
        &["--tmp-overlay", "/a", "true"],
        &["--overlay-src", "/a", "--ro-overlay", "/b", "true"],
        &["--args", "77", "true"],
        &["--seccomp", "77", "true"],
        &["--add-seccomp-fd", "77", "true"],
        &["--level-prefix", "--bogus"],
        &["--as-pid-1", "true"],
        &["--hostname", "x", "true"],
        &["--disable-userns", "true"],
        &["--userns", "0", "--unshare-user", "true"],
        &["--userns-block-fd", "0", "true"],
        &["--unshare-pid", "--as-pid-1", "--lock-file", "/etc/passwd", "true"],
        &["--exec-label", "x", "true"],
        &["--debug-opt=x", "true"],
        &["--bind-fd", "77", "/x", "true"],
        &["--file", "77", "/x", "true"],
        &["--info-fd", "77", "true"],
        &["--userns", "77", "true"],
        &["--pidns", "77", "true"],
    ] {
        add(args, false);
    }
    for args in [
        &["--ro-bind", "/nowhere", "/tmp/x", "true"][..],
        &["--dir", "/made", "true"],
        &["--bind", "/etc", "/made", "true"],
        &["--symlink", "/etc", "/tmp/l", "--bind", "/usr", "/tmp/l", "true"],
        &["--symlink", "/etc", "/tmp/l", "--dir", "/tmp/l", "true"],
        &["--dir", "/tmp/d", "--bind", "/etc/passwd", "/tmp/d", "true"],
        &["--bind", "/etc", "/etc/passwd", "true"],
        &["--dir", "/etc/passwd/x", "true"],
        &["--symlink", "a", "/tmp/l", "--symlink", "b", "/tmp/l", "true"],
        &["--symlink", "a", "/etc/passwd", "true"],
        &["--remount-ro", "/usr/bin", "true"],
        &["--remount-ro", "/nowhere", "true"],
        &["--chmod", "0700", "/nowhere", "true"],
        &["--chmod", "0711", "/etc", "true"],
        &["--chdir", "/nowhere", "true"],
        &["--unshare-pid", "--lock-file", "/nowhere", "true"],
        &["--assert-userns-disabled", "true"],
        &["--overlay-src", "/nowhere", "--tmp-overlay", "/tmp/x", "true"],
        &["--overlay-src", "/etc", "--overlay", "/etc", "/etc", "/tmp/x", "true"],
        &["--userns", "0", "true"],
        &["--pidns", "0", "true"],
        &["nowhere"],
        &["/etc/passwd"],
        &["/etc"],
    ] {
        add(args, true);
    }
    insta::assert_snapshot!(book);
}

#[test]
fn help_begins_as_callers_expect_and_names_every_option() {
    let shown = ran(Command::new(program()).arg0("some/name").arg("--help").output().unwrap()).ok();
    assert!(shown.starts_with("usage: some/name [OPTIONS...] [--] COMMAND [ARGS...]\n"), "{shown}");
    for entry in sbx::bwrap::OPTIONS {
        let named = format!("\n    {} {}", entry.name, entry.values.join(" "));
        assert!(shown.contains(named.trim_end_matches(' ')), "{} is not in:\n{shown}", entry.name);
    }
    assert!(shown.lines().all(|line| line.len() <= 110), "{shown}");
    assert_eq!(run(&["--version"]).ok(), "bubblewrap 0.13.1\n");
    let kernel = run(&["--debug-opt=force-openat-fallback", "--debug-opt=print-assumed-kernel", "--bogus"]).ok();
    assert_eq!(kernel, "5.12.0\n", "bubblewrap's tests ask");
    let nothing = run(&[]);
    assert!(nothing.status == Some(1) && nothing.err.starts_with("usage: "), "{nothing:#?}");
    assert!(run(&ROOT).err.starts_with("usage: "), "no command");
}

#[test]
fn it_runs_by_descriptor_under_any_name_and_in_itself() {
    need!(userns());
    let place = Place::new();
    let other = place.work().join("some-other-name");
    common::copy_program(std::path::Path::new(program()), &other);
    let by_name = ran(command(&place, &[]).arg("--").output().unwrap());
    assert!(by_name.err.starts_with("usage: "));
    let named = Command::new(&other).args(with_root(&["echo", "here"])).output().unwrap();
    assert_eq!(ran(named).ok(), "here\n");
    let file = std::fs::File::open(&other).unwrap();
    std::fs::remove_file(&other).unwrap();
    // The program's file is gone: what runs is the file that the descriptor refers to.
    let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    assert_eq!(ran(command.arg0("bwrap").args(with_root(&["echo", "here"])).output().unwrap()).ok(), "here\n");
    // Three sandboxes, one in the other; the innermost is started as /proc/self/exe of the one around it.
    let all = ["--bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev"];
    let outer = with_root(&[
        "--proc",
        "/proc",
        "--unshare-pid",
        "--ro-bind",
        program().to_str().unwrap(),
        "/tmp/inner",
        "/tmp/inner",
    ]);
    let rights =
        ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL", "--bind", "/", "/", "--", "/proc/self/exe"];
    assert_eq!(run(&[&outer[..], &all, &["/tmp/inner"], &rights, &all, &["echo", "in"]].concat()).ok(), "in\n");
}

#[test]
fn descriptors_reach_the_program_by_number_and_consumed_ones_do_not() {
    need!(userns());
    let open = |args: &[&str]| {
        let listed =
            run_with(&[&with_root(args)[..], &["sh", "-c", "readlink /proc/self/fd/59"]].concat(), b"--dir\0/tmp/x");
        assert_eq!(listed.err, "");
        listed.out.trim().starts_with("pipe:")
    };
    assert!(open(&[]));
    assert!(open(&["--unshare-pid"]));
    for args in [
        &["--block-fd", "59"][..],
        &["--sync-fd", "59"],
        &["--file", "59", "/tmp/f"],
        &["--bind-data", "59", "/tmp/f"],
        &["--ro-bind-data", "59", "/tmp/f"],
        &["--tmpfs", "/tmp", "--args", "59"],
    ] {
        assert!(!open(args) && !open(&[&["--unshare-pid"], args].concat()), "{args:?}");
    }
    assert!(open(&["--unshare-pid", "--as-pid-1", "--sync-fd", "59"]), "PID 1 is the program itself, and keeps it");
    let copied = run_with(&with_root(&["--file", "59", "/tmp/f", "cat", "/tmp/f"]), b"what was piped");
    assert_eq!(copied.ok(), "what was piped");
}

#[test]
fn options_from_a_file_may_finish_what_the_command_line_began() {
    need!(userns());
    let file = b"--tmp-overlay\0/tmp/o\0";
    let ran = run_with(&with_root(&["--overlay-src", "/etc", "--args", "59", "ls", "-d", "/tmp/o/passwd"]), file);
    assert_eq!(ran.ok(), "/tmp/o/passwd\n");
    let ran =
        run_with(&with_root(&["--perms", "0700", "--args", "59", "stat", "-c", "%a", "/tmp/d"]), b"--dir\0/tmp/d");
    assert_eq!(ran.ok(), "700\n");
    let ran = run_with(&with_root(&["--args", "59", "true"]), b"--dir\0/tmp/d\0rm\0-rf\0/");
    assert!(ran.status == Some(0) && ran.err.contains("`rm`"), "what is not used is said: {ran:#?}");
}

#[test]
fn a_set_up_that_fails_changes_nothing_on_the_host() {
    need!(userns());
    let place = Place::new();
    let work = place.work().display().to_string();
    let made = format!("{work}/made");
    // The last operation fails; those before it must not have left anything on the host.
    let args = ["--bind", "/", "/", "--dir", &made, "--bind", "/nowhere", "/tmp/x", "true"];
    assert_eq!(ran(command(&place, &args).output().unwrap()).status, Some(1));
    assert!(!std::path::Path::new(&made).exists());
    let args = ["--bind", "/", "/", "--dir", &made, "--file", "77", "/tmp/x", "true"];
    assert_eq!(ran(command(&place, &args).output().unwrap()).status, Some(1));
    assert!(!std::path::Path::new(&made).exists());
}

/// A sandbox that runs until its input ends, with the process id of its first process.
fn running(place: &Place, args: &[&str]) -> (std::process::Child, u32) {
    let info = place.work().join("info");
    let file = std::fs::File::create(&info).unwrap();
    let script = ["--info-fd", "59", "sh", "-c", "echo ready; cat >/tmp/end"];
    let mut command = command(place, &[&with_root(args)[..], &script].concat());
    pass(&mut command, &file, 59);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let text = std::fs::read_to_string(info).unwrap();
    let pid = text.split("\"child-pid\": ").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap();
    (child, pid.parse().unwrap())
}

#[test]
fn namespaces_of_a_running_sandbox_are_joined() {
    need!(userns());
    let place = Place::new();
    let (mut first, pid) = running(&place, &["--unshare-user", "--unshare-pid"]);
    let file = |name: &str| std::fs::File::open(format!("/proc/{pid}/ns/{name}")).unwrap();
    let (user, pids) = (file("user"), file("pid"));
    let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap().display().to_string();
    let join = |args: &[&str]| {
        let mut command = command(&place, &[&with_root(&["--userns", "58", "--pidns", "59"])[..], args].concat());
        pass(&mut command, &user, 58);
        pass(&mut command, &pids, 59);
        ran(command.output().unwrap())
    };
    let script = "readlink /proc/self/ns/user /proc/self/ns/pid; readlink /proc/self/fd/* | grep -cE '^(user|pid):'";
    let told = join(&["sh", "-c", script]).out;
    assert_eq!(told, format!("{}\n{}\n0\n", link("user"), link("pid")), "and no descriptor of them is left");
    // A pid namespace below the joined one: its PID 1 is sbx-bwrap's, and the other sandbox cannot be seen from it.
    let below = join(&[
        "--unshare-pid",
        "--proc",
        "/proc",
        "sh",
        "-c",
        "readlink /proc/self/ns/pid; ls -d /proc/[0-9]* | wc -l",
    ]);
    let told = below.ok();
    assert!(!told.contains(&link("pid")) && told.lines().nth(1).unwrap().trim().parse::<u32>().unwrap() <= 4, "{told}");
    assert_eq!(join(&["--unshare-pid", "sh", "-c", "exit 7"]).status, Some(7));
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
}

#[test]
fn somebody_else_may_write_the_maps() {
    // SAFETY: these cannot fail.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    // Root inside is the first of a thousand subordinate ids.
    let first = |file: &str| -> Option<u32> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let user = std::env::var("USER").unwrap_or_default();
        text.lines().find_map(|line| {
            let [name, first, count] = line.split(':').collect::<Vec<_>>()[..] else { return None };
            let enough = count.parse::<u32>().is_ok_and(|count| count >= 1000);
            (enough && (name == user || name == uid.to_string())).then(|| first.parse().ok())?
        })
    };
    let ranges = first("/etc/subuid").zip(first("/etc/subgid"));
    let lacks = "the user has no thousand ids in /etc/subuid and /etc/subgid";
    need!(userns(), tools(&["newuidmap"]), Need::new("subids", ranges.is_some(), lacks));
    let (place, (users, groups)) = (Place::new(), ranges.unwrap());
    let script = format!(
        "mkfifo {dir}/go {dir}/info; exec 8<>{dir}/go 9<>{dir}/info
         {bwrap} --ro-bind / / --unshare-user --uid 0 --gid 0 --userns-block-fd 8 --info-fd 9 sh -c 'cat /proc/self/uid_map; id -u' &
         pid=$(dd bs=4096 count=1 <{dir}/info 2>/dev/null | sed -n 's/.*child-pid\": \\([0-9]*\\).*/\\1/p')
         newuidmap $pid 0 {uid} 1 1 {users} 1000 && newgidmap $pid 0 {gid} 1 1 {groups} 1000
         echo x >&8; wait $!",
        dir = place.work().display(),
        bwrap = program().display(),
    );
    let told = ran(Command::new("/bin/bash").args(["-c", &script]).output().unwrap());
    let words: Vec<_> = told.out.split_whitespace().collect();
    assert_eq!(words, ["0", &uid.to_string(), "1", "1", &users.to_string(), "1000", "0"], "{told:#?}");
}

#[test]
fn the_status_has_an_exit_code_only_for_an_executed_program() {
    need!(userns());
    let place = Place::new();
    let status = |args: &[&str]| {
        let path = place.work().join("status");
        let file = std::fs::File::create(&path).unwrap();
        let mut command = command(&place, &[&with_root(&["--json-status-fd", "59"])[..], args].concat());
        pass(&mut command, &file, 59);
        let _ = command.output().unwrap();
        std::fs::read_to_string(&path).unwrap()
    };
    for namespaces in [&[][..], &["--unshare-pid"], &["--unshare-pid", "--as-pid-1"]] {
        let told = status(&[namespaces, &["sh", "-c", "exit 42"]].concat());
        let lines: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines[0]["child-pid"].as_u64().unwrap() > 0, "{told}");
        assert_eq!(lines[0].get("pid-namespace").is_some(), !namespaces.is_empty(), "{told}");
        assert_eq!(lines[1]["exit-code"], 42, "{told}");
        assert_eq!(status(&[namespaces, &["/nowhere"]].concat()).lines().count(), 1);
        // The kernel does not let a PID 1 kill itself.
        if namespaces.len() < 2 {
            assert!(status(&[namespaces, &["sh", "-c", "kill -9 $$"]].concat()).contains("\"exit-code\": 137"));
        }
    }
}

#[test]
fn the_first_process_is_open_to_who_asked_for_its_number_and_never_to_the_program() {
    need!(userns());
    let script = "for f in environ mem exe fd/0 root cwd; do cat /proc/1/$f >/dev/null 2>&1 && echo reads $f; done
         readlink /proc/1/exe /proc/1/fd/*; (echo x >/proc/1/mem) && echo writes; grep -E '^Cap(Eff|Prm|Inh|Bnd|Amb)' /proc/self/status";
    let none = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n";
    let base = ["--unshare-pid", "--proc", "/proc", "--dev", "/dev"];
    for ids in [&[][..], &["--uid", "0", "--gid", "0"]] {
        let inside = run(&[&with_root(&base)[..], ids, &["sh", "-c", script]].concat());
        assert_eq!(inside.out, none, "{inside:#?}");
        let place = Place::new();
        let (mut child, pid) = running(&place, &[&base[..], ids].concat());
        if available!(not_root()) {
            assert!(until(|| std::fs::read_link(format!("/proc/{pid}/root")).is_ok()), "who started it may look");
        }
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        // The value inside, with the number that was asked for.
        let path = place.work().join("info");
        let file = std::fs::File::create(path).unwrap();
        let mut command =
            command(&place, &[&with_root(&base)[..], ids, &["--info-fd", "59", "sh", "-c", script]].concat());
        pass(&mut command, &file, 59);
        let inside = ran(command.output().unwrap());
        assert_eq!(inside.out, none, "{inside:#?}");
    }
}

/// The type of lock that somebody else has on a file: F_UNLCK for none.
fn lock_on(path: &std::path::Path) -> i32 {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    // SAFETY: all zeroes are a value of it, the whole file; fcntl reads and writes one of it.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        assert_eq!(libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock), 0);
        lock.l_type.into()
    }
}

#[test]
fn what_the_command_left_runs_on_until_it_ends_by_itself() {
    need!(userns());
    let place = Place::new();
    let lock = place.write("work/lock", "");
    let path = lock.display().to_string();
    let flags = [
        &["--unshare-pid"][..],
        &["--unshare-pid", "--new-session"],
        &["--unshare-all", "--die-with-parent", "--bind", &path, &path, "--lock-file", &path],
        &["--unshare-all", "--bind", &path, &path, "--lock-file", &path],
    ];
    for flags in flags {
        let mark = Mark::new();
        let (mut read, write) = std::io::pipe().unwrap();
        // The one that is left has no stream of the caller; nor does PID 1, so that the output ends with the command.
        let script = format!("sleep {} </dev/null >/dev/null 2>&1 & echo started; exit 3", mark.0);
        let args = [&["--ro-bind", "/", "/", "--dev", "/dev"], flags, &["--sync-fd", "59", "sh", "-c", &script]];
        let mut command = command(&place, &args.concat());
        pass(&mut command, &write, 59);
        let ran = ran(command.output().unwrap());
        drop((command, write));
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (Some(3), "started\n", ""), "{flags:?}");
        let locks = flags.contains(&"--lock-file");
        if flags.contains(&"--die-with-parent") {
            assert_eq!((mark.alive(), lock_on(&lock)), (vec![], libc::F_UNLCK), "{flags:?}");
            assert_eq!(read.read(&mut [0]).unwrap(), 0);
            continue;
        }
        assert_eq!(mark.sleeping(), 1, "{flags:?}");
        assert_eq!(lock_on(&lock) == libc::F_RDLCK, locks, "{flags:?}");
        let mut poll = libc::pollfd { fd: read.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, as said.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 200) }, 0, "the descriptor of --sync-fd is still open");
        assert_eq!(mark.sleeping(), 1, "{flags:?}: it outlives the launcher for longer than a moment");
        mark.alive()
            .iter()
            .filter(|(_, line)| line.starts_with("sleep"))
            .for_each(|(pid, _)| signal(*pid, libc::SIGTERM));
        // And with it the sandbox ends.
        assert_eq!(read.read(&mut [0]).unwrap(), 0, "{flags:?}");
        mark.gone(&format!("{flags:?}"));
        assert!(until(|| lock_on(&lock) == libc::F_UNLCK), "{flags:?}");
    }
}

#[test]
fn what_the_command_left_ends_with_it_if_the_caller_wants_that() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    let script = format!("(setsid sleep {0} &); sleep {0} & exit 3", mark.0);
    let with = |value: &str| {
        let mut command =
            command(&place, &["--ro-bind", "/", "/", "--dev", "/dev", "--unshare-pid", "sh", "-c", &script]);
        ran(command.env("SBX_BWRAP_BACKGROUND", value).output().unwrap())
    };
    // The launcher waits for the last process, so the test does not wait.
    let ended = with("end");
    assert_eq!((ended.status, mark.alive()), (Some(3), vec![]));
    let wrong = with("yes").failed(1);
    assert!(wrong.starts_with("bwrap: SBX_BWRAP_BACKGROUND is `yes`"), "{wrong}");
}

#[test]
fn the_launcher_dies_by_a_signal_that_it_was_sent_and_exits_where_the_command_chose_to() {
    need!(userns());
    let place = Place::new();
    let status = |script: &str| {
        let mut child = command(&place, &["--ro-bind", "/", "/", "--unshare-pid", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        signal(child.id() as i32, libc::SIGTERM);
        let status = child.wait().unwrap();
        (status.code(), status.signal())
    };
    assert_eq!(status("echo ready; exec sleep 60"), (None, Some(libc::SIGTERM)));
    assert_eq!(status("trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done"), (Some(4), None));
    // Another signal than the one that was sent is the command's own.
    assert_eq!(status("trap 'kill -KILL $$' TERM; echo ready; while :; do sleep 0.05; done"), (Some(137), None));
}

#[test]
fn a_loop_of_a_shell_ends_with_the_command_that_an_interrupt_ends() {
    need!(userns());
    let place = Place::new();
    // A shell that runs a script goes on after a command that handled ^C, and dies of it where the command did.
    for (trap, went_on) in [("", false), ("trap : INT; ", true)] {
        for flags in ["", "--unshare-pid", "--unshare-pid --new-session"] {
            let inner = format!("{trap}echo ready; sleep 3; exit 0");
            place.write("work/script", &format!("$BWRAP --ro-bind / / {flags} sh -c '{inner}'; echo went on"));
            let mut terminal = Session::start(&place, "export BWRAP; exec bash script");
            terminal.expect("ready\r\n");
            terminal.send("\x03");
            if went_on {
                terminal.expect("went on\r\n");
            }
            let status = terminal.child.wait().unwrap();
            let wanted = if went_on { (Some(0), None) } else { (None, Some(libc::SIGINT)) };
            assert_eq!((status.code(), status.signal()), wanted, "{flags}");
        }
    }
}

#[test]
fn a_tmpfs_is_a_file_system_of_its_own_for_what_compares_device_numbers() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let run = |options: &[&str], mounts: &[&str]| {
        let code = "import os, sys\nfor path in sys.argv[1:]: print(path, os.path.ismount(path))";
        let out = ran(command(&place, &[options, &["python3", "-c", code], mounts].concat()).output().unwrap()).ok();
        let wanted: String = mounts.iter().map(|mount| format!("{mount} True\n")).collect();
        assert_eq!(out, wanted, "{options:?}");
    };
    let programs = &common::bwrap::PROGRAMS[..];
    run(&["--ro-bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev"], &["/tmp", "/dev"]);
    let flat = ["--tmpfs", "/tmp", "--dev", "/dev", "--tmpfs", "/x/y", "--size", "65536", "--tmpfs", "/sized"];
    run(&[programs, &flat].concat(), &["/tmp", "/dev", "/x/y", "/sized"]);
    let deep = ["--tmpfs", "/a", "--tmpfs", "/a/b", "--tmpfs", "/a/b/c/d", "--tmpfs", "/a/b/c/d/e"];
    run(&[programs, &deep].concat(), &["/a", "/a/b", "/a/b/c/d", "/a/b/c/d/e"]);
    // Through a link, on a directory that exists, on another tmpfs, and with another one as the root.
    let odd =
        ["--dir", "/d", "--symlink", "a", "/l", "--tmpfs", "/a", "--tmpfs", "/l/b", "--tmpfs", "/d", "--tmpfs", "/d"];
    run(&[programs, &odd].concat(), &["/a", "/a/b", "/d"]);
    run(&[&["--tmpfs", "/"], programs, &["--tmpfs", "/a", "--tmpfs", "/a/b"]].concat(), &["/a", "/a/b"]);
}

#[test]
fn an_empty_seccomp_program_is_refused_in_bubblewraps_words() {
    need!(userns());
    for option in ["--seccomp", "--add-seccomp-fd"] {
        let said = run_with(&with_root(&[option, "59", "true"]), b"").failed(1);
        let words = "bwrap: Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: ";
        assert!(said.starts_with(words), "{said}");
    }
}
