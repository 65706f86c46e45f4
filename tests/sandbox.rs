//! What a program sees and can do inside: each guard has a test that fails without it.

mod common;

use common::process::{Mark, signal};
use common::{Need, Place, Ran, not_root, ran, tools, until, userns};

#[test]
fn the_status_of_the_program_is_that_of_sbx() {
    need!(userns());
    let place = Place::new();
    assert_eq!(place.sh(&[], "exit 7").status, Some(7));
    assert_eq!(place.sh(&[], "kill -9 $$").status, Some(137));
    assert_eq!(place.run(&["--", "/nosuch"]).status, Some(127));
    assert_eq!(place.run(&["--", "/etc/passwd"]).status, Some(126));
    assert_eq!(place.run(&["--ro", "/nosuch", "--", "true"]).status, Some(125));
    assert_eq!(place.sh(&["--timeout", "200ms"], "sleep 60").status, Some(124));
}

#[test]
fn the_home_is_empty_and_the_current_directory_stays_as_it_is() {
    need!(userns());
    let place = Place::new();
    place.write("home/.ssh/id_test", "secret");
    place.write("work/file", "text");
    let script = "cat ~/.ssh/id_test 2>&1; cat file; echo x >new; touch ~/mine && ls -A ~";
    let out = place.sh(&[], script);
    let all = format!("{}{}", out.out, out.err);
    assert!(all.contains("No such file") && !all.contains("secret"), "{all}");
    assert!(all.contains("text") && all.contains("1 file changed in "), "{all}");
    assert!(out.out.ends_with("mine\n"), "{all}");
    assert!(!place.work().join("new").exists() && !place.home().join("mine").exists());
}

#[test]
fn a_run_in_the_home_itself_does_not_show_the_home() {
    need!(userns());
    let place = Place::new();
    place.write("home/secret", "x");
    let output = place.command().current_dir(place.home()).args(["--", "/bin/sh", "-c", "ls -A ~"]).output().unwrap();
    let ran = ran(output);
    assert!(ran.err.contains("holds your home directory"), "{ran:?}");
    assert_eq!(ran.ok(), "");
}

#[test]
fn no_capability_is_left_and_none_can_come_back() {
    need!(userns());
    let out = Place::new().sh(&[], "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status").ok();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(out.contains(&format!("{set}:\t0000000000000000\n")), "{out}");
    }
    assert!(out.contains("NoNewPrivs:\t1") && out.contains("Seccomp:\t2"), "{out}");
}

#[test]
fn nested_user_namespaces_follow_the_profile() {
    need!(userns());
    let place = Place::new();
    assert_ne!(place.sh(&[], "unshare -U true").status, Some(0));
    let out = place.sh(&["--set", "namespaces.nested=allow"], "unshare -U true && echo fine");
    assert_eq!(out.ok(), "fine\n");
    let raise = place.sh(&[], "echo 9 > /proc/sys/user/max_user_namespaces || echo refused");
    assert_eq!(raise.ok(), "refused\n");
}

#[test]
fn namespaces_are_private_unless_shared() {
    need!(userns());
    let place = Place::new();
    for name in ["pid", "net", "ipc", "uts", "mnt", "user", "cgroup", "time"] {
        let Ok(host) = std::fs::read_link(format!("/proc/self/ns/{name}")) else { continue };
        let inside = place.sh(&[], &format!("readlink /proc/self/ns/{name}")).ok();
        assert_ne!(inside.trim(), host.to_str().unwrap(), "{name}");
        if ["ipc", "uts", "cgroup", "time"].contains(&name) {
            let shared = place.sh(&["--share", name], &format!("readlink /proc/self/ns/{name}")).ok();
            assert_eq!(shared.trim(), host.to_str().unwrap(), "{name}");
        }
    }
    let shared = place.sh(&["--net", "host"], "readlink /proc/self/ns/net").ok();
    assert_eq!(shared.trim(), std::fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
}

#[test]
fn only_the_loopback_interface_is_there_and_it_is_up() {
    need!(userns());
    let out = Place::new()
        .sh(&[], "cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/net/fib_trie | grep -c 127.0.0.1")
        .ok();
    let mut lines = out.lines().map(str::trim);
    assert_eq!(lines.next(), Some("lo"));
    assert!(lines.next().unwrap().parse::<u32>().unwrap() > 0, "{out}");
}

#[test]
fn host_processes_are_not_in_proc_and_pid_1_cannot_be_looked_into() {
    need!(userns());
    let out = Place::new().sh(&[], "ls /proc | grep -c '^[0-9]'; ls /proc/1/fd 2>&1; cat /proc/1/environ 2>&1; readlink /proc/1/exe || echo closed").ok();
    assert!(out.lines().next().unwrap().parse::<u32>().unwrap() < 10, "{out}");
    assert!(out.contains("Permission denied") && out.ends_with("closed\n"), "{out}");
}

#[test]
fn descriptors_of_the_caller_do_not_reach_the_program_unless_kept() {
    need!(userns());
    let place = Place::new();
    let open = |keep: &[&str]| {
        let file = std::fs::File::open("/").unwrap();
        let number = "77".to_owned();
        let mut command = place.command();
        command.args(keep.iter().map(|word| if *word == "N" { number.as_str() } else { word }));
        command.args(["--", "/bin/sh", "-c", "ls /proc/self/fd"]);
        common::pass(&mut command, &file, 77);
        let out = ran(command.output().unwrap()).ok();
        (out.lines().any(|line| line == number), out)
    };
    let (leaked, out) = open(&[]);
    assert!(!leaked, "{out}");
    let (kept, out) = open(&["--keep-fd", "N"]);
    assert!(kept, "{out}");
}

#[test]
fn the_environment_is_cleared_but_for_what_is_passed_or_set() {
    need!(userns());
    let place = Place::new();
    let mut command = place.command();
    command.env("SECRET", "s").env("LANG", "C.UTF-8").env("ODD", "${HOME}");
    let out = ran(command.args(["-e", "A=b", "-e", "ODD", "--", "env"]).output().unwrap()).ok();
    assert!(out.contains("LANG=C.UTF-8\n") && out.contains("A=b\n") && !out.contains("SECRET"), "{out}");
    assert!(out.contains("ODD=${HOME}\n"), "a passed value is not expanded: {out}");
}

#[test]
fn modes_of_paths_do_what_they_say() {
    need!(userns());
    let place = Place::new();
    for name in ["rw/f", "masked/f", "deny/f", "tmp/f"] {
        place.write(&format!("work/{name}"), "text\n");
    }
    place.write("work/file", "text\n");
    let flags = ["--rw", "rw", "--mask", "masked", "--deny", "deny", "--tmpfs", "tmp", "--mask", "file"];
    let out = place.sh(
        &flags,
        "echo new > rw/g; ls masked tmp; cat deny/f; cat file; echo x > tmp/y && cat tmp/y; echo x > masked/y",
    );
    assert_eq!(out.out, "masked:\n\ntmp:\nx\n", "{out:?}");
    assert!(out.err.contains("deny/f: Permission denied") && out.err.contains("Read-only"), "{out:?}");
    assert_eq!(std::fs::read_to_string(place.work().join("rw/g")).unwrap(), "new\n");
    let closed = place.sh(&["--deny", "file"], "cat file");
    assert!(closed.err.contains("Permission denied"), "{closed:?}");
}

#[test]
fn hidden_is_absent_and_its_neighbours_stay() {
    need!(userns());
    let place = Place::new();
    let out = place.sh(
        &["--hide", "/etc/passwd", "--hide", "/usr/bin/env"],
        "cat /etc/passwd; ls /usr/bin/env; test -e /etc/group && test -x /usr/bin/id && echo there",
    );
    assert!(out.out.ends_with("there\n") && out.err.matches("No such file").count() == 2, "{out:?}");
    place.write("work/secret", "x");
    let error = place.run(&["--rw", ".", "--hide", "secret", "--", "true"]).failed(125);
    assert!(error.contains("cannot be hidden"), "{error}");
}

#[test]
fn the_more_specific_path_wins_whatever_the_order() {
    need!(userns());
    let place = Place::new();
    place.write("work/a/b/c/f", "text");
    let script =
        "touch a/x 2>/dev/null && echo a; touch a/b/x 2>/dev/null && echo b; touch a/b/c/x 2>/dev/null && echo c; true";
    for flags in [["--rw", "a", "--ro", "a/b", "--rw", "a/b/c"], ["--rw", "a/b/c", "--ro", "a/b", "--rw", "a"]] {
        assert_eq!(place.sh(&flags, script).ok(), "a\nc\n");
    }
}

#[test]
fn a_link_in_a_writable_directory_does_not_lead_a_mount_out() {
    need!(userns());
    let place = Place::new();
    place.write("outside/victim", "untouched");
    std::fs::create_dir(place.work().join("rw")).unwrap();
    std::os::unix::fs::symlink(place.dir.path().join("outside"), place.work().join("rw/link")).unwrap();
    let out = place.sh(&["--rw", "rw", "--tmpfs", "rw/link"], "echo x > rw/link/new; ls rw/link");
    assert!(!place.dir.path().join("outside/new").exists(), "{out:?}");
    assert_eq!(std::fs::read_dir(place.dir.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn nothing_is_made_on_the_host_for_a_mount_point() {
    need!(userns());
    let place = Place::new();
    std::fs::create_dir(place.work().join("rw")).unwrap();
    let error = place.run(&["--rw", "rw", "--tmpfs", "rw/new", "--", "true"]).failed(125);
    assert!(error.contains("nothing is made there"), "{error}");
    assert!(!place.work().join("rw/new").exists());
}

#[test]
fn device_files_and_set_user_id_bits_have_no_effect() {
    need!(userns());
    let out = Place::new().sh(&[], "grep -v ' /dev' /proc/self/mountinfo | cut -d' ' -f5,6 | grep -vE 'nosuid.*nodev|nodev.*nosuid' || echo all").ok();
    assert_eq!(out, "all\n");
}

#[test]
fn dangerous_parts_of_proc_are_masked_or_read_only() {
    need!(userns());
    let out = Place::new().sh(&[], "cat /proc/keys /proc/timer_list; ls /proc/acpi 2>/dev/null; echo 1 > /proc/sys/kernel/domainname || echo refused").ok();
    assert_eq!(out, "refused\n");
}

#[test]
fn dev_is_minimal() {
    need!(userns());
    let out = Place::new().sh(&[], "ls /dev; echo x > /dev/null; head -c 4 /dev/zero | wc -c; echo x > /dev/shm/f; touch /dev/x 2>/dev/null || echo sealed").ok();
    assert_eq!(
        out,
        "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n4\nsealed\n"
    );
}

#[test]
fn ids_can_be_ones_own_root_or_any() {
    need!(userns());
    let place = Place::new();
    let (uid, gid) = (std::fs::metadata(place.home()).unwrap(), 0);
    let _ = gid;
    let own = std::os::unix::fs::MetadataExt::uid(&uid).to_string();
    assert_eq!(place.sh(&[], "id -u").ok().trim(), own);
    assert_eq!(place.sh(&["--user", "root"], "id -u; id -un").ok(), "0\nroot\n");
    assert_eq!(place.sh(&["--user", "1234:4321"], "id -u; id -g").ok(), "1234\n4321\n");
}

#[test]
fn host_name_and_hosts_agree() {
    need!(userns());
    let out = Place::new().sh(&["--hostname", "box"], "hostname; cat /etc/hostname; grep -c box /etc/hosts").ok();
    assert_eq!(out, "box\nbox\n1\n");
}

#[test]
fn orphans_are_reaped_and_end_with_the_program() {
    need!(userns(), tools(&["ps"]));
    let place = Place::new();
    let mark = Mark::new();
    // An orphan that has ended is a zombie until PID 1 has waited for it.
    let script = format!(
        "setsid sleep {} & (sh -c ': >/tmp/ended' &); until [ -e /tmp/ended ]; do sleep 0.01; done
        for try in $(seq 500); do zombies=$(ps -o stat= -e | grep -c Z); [ $zombies = 0 ] && break; sleep 0.02; done; echo $zombies",
        mark.0
    );
    assert_eq!(place.sh(&[], &script).ok(), "0\n");
    // The launcher waits for the last process, so the test does not wait.
    assert_eq!(mark.alive(), vec![]);
}

#[test]
fn the_sandbox_ends_with_a_launcher_that_is_killed() {
    need!(userns());
    let place = Place::new();
    let mark = Mark::new();
    let mut child = place.command().args(["--", "/bin/sleep", &mark.0]).spawn().unwrap();
    assert!(until(|| mark.sleeping() == 1), "it started");
    child.kill().unwrap();
    child.wait().unwrap();
    mark.gone("it ends with its launcher");
}

/// sbx with a program that is ready, says when it got SIGTERM, and exits with 3 then; and the lines that it prints.
fn trapping(place: &Place) -> (std::process::Child, impl Iterator<Item = String>) {
    use std::io::{BufRead, BufReader};
    let mut child = place
        .command()
        .args(["--", "/bin/sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.05; done"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "ready");
    (child, lines)
}

#[test]
fn a_signal_to_sbx_reaches_the_program() {
    need!(userns());
    let place = Place::new();
    let (mut child, mut lines) = trapping(&place);
    signal(child.id() as i32, libc::SIGTERM);
    assert_eq!(lines.next().unwrap(), "got");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_signal_reaches_the_program_also_if_pid_1_answers_late() {
    need!(userns());
    let place = Place::new();
    let (mut child, mut lines) = trapping(&place);
    let first = common::process::children(child.id())[0] as i32;
    signal(first, libc::SIGSTOP);
    signal(child.id() as i32, libc::SIGTERM);
    // A start that hangs would be given up by then.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    signal(first, libc::SIGCONT);
    assert_eq!(lines.next().as_deref(), Some("got"));
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_signal_before_the_start_is_forwarded_to_the_program() {
    use std::os::unix::process::CommandExt;
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    // The signal is blocked inside, too. The second start waits for the launcher on its way.
    let script = "import signal; print(signal.sigtimedwait([signal.SIGUSR1], 10).si_signo == signal.SIGUSR1)";
    let flags = [&[][..], &["--rw", "made,create"]];
    for flags in flags.iter().cycle().take(20) {
        let mut command = place.command();
        command.args(*flags).args(["--", "/usr/bin/python3", "-c", script]);
        // The signal is pending for the launcher, so that it is forwarded before the sandbox's first process looks for
        // it.
        // SAFETY: these are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGUSR1);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
                libc::raise(libc::SIGUSR1);
                Ok(())
            });
        }
        assert_eq!(common::ran(command.output().unwrap()).ok(), "True\n");
    }
}

#[test]
fn a_sandbox_runs_inside_a_sandbox_that_allows_it() {
    // Root without capabilities cannot map id 0 again: user_namespaces(7).
    need!(userns(), not_root());
    let place = Place::new();
    let sbx = common::sbx().to_str().unwrap();
    let dir = common::sbx().parent().unwrap().to_str().unwrap();
    let flags = ["--set", "namespaces.nested=allow", "--ro", dir];
    let out = place.sh(&flags, &format!("{sbx} -- /bin/sh -c 'echo inner; ls /proc | grep -c ^[0-9]'"));
    let text = out.ok();
    assert!(text.starts_with("inner\n"), "{text}");
}

#[test]
fn status_lines_tell_start_and_end() {
    need!(userns());
    let place = Place::new();
    let out = place.run(&["--status-fd", "1", "--", "/bin/sh", "-c", "kill -15 $$"]);
    let lines: Vec<serde_json::Value> = out.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"], "started");
    assert_eq!((lines[1]["event"].as_str(), lines[1]["cause"].as_str()), (Some("exited"), Some("signal")));
    assert_eq!((lines[1]["signal"].as_i64(), lines[1]["status"].as_i64()), (Some(15), Some(143)));
}

#[test]
fn a_later_layer_wins_however_the_path_is_spelt() {
    need!(userns());
    let place = Place::new();
    assert_eq!(place.sh(&["--rw", "."], "touch new && echo fine").ok(), "fine\n");
    assert!(place.work().join("new").exists());
}

#[test]
fn a_tree_can_be_the_root() {
    need!(userns());
    let place = Place::new();
    for dir in ["tree/bin", "tree/etc", "tree/data"] {
        std::fs::create_dir_all(place.dir.path().join(dir)).unwrap();
    }
    place.write("tree/data/f", "of the tree");
    std::os::unix::fs::symlink("/data/f", place.dir.path().join("tree/etc/link")).unwrap();
    let root = format!("filesystem.root=dir:{}/tree", place.dir.path().display());
    let flags = [
        "--set",
        &root,
        "--ro",
        "/usr",
        "--from",
        "/usr",
        "--ro",
        "/lib",
        "--from",
        "/usr/lib",
        "--ro",
        "/lib64",
        "--from",
        "/usr/lib64",
    ];
    let script = "/usr/bin/cat /etc/link; /usr/bin/ls / | /usr/bin/tr '\\n' ' '; echo x > /data/new";
    let out = place.run(&[&flags[..], &["--", "/usr/bin/sh", "-c", script]].concat());
    assert!(out.out.starts_with("of the tree") && out.out.contains("data"), "{out:?}");
    assert!(!out.out.contains("home") && out.err.contains("Read-only"), "{out:?}");
}

#[test]
fn an_empty_root_has_what_is_named_and_nothing_else() {
    need!(userns());
    let place = Place::new();
    let flags = ["--set", "filesystem.root=empty", "--ro", "/usr", "--ro", "/lib", "--ro", "/lib64", "--no-project"];
    let out = place.run(&[&["--profile", "base/host"], &flags[..], &["--", "/usr/bin/ls", "/"]].concat()).ok();
    assert_eq!(out, "dev\nlib\nlib64\nproc\ntmp\nusr\n");
}

#[test]
fn a_file_that_is_missing_may_be_optional_and_is_an_error_otherwise() {
    need!(userns());
    let place = Place::new();
    assert_eq!(place.run(&["--ro", "missing,optional", "--", "true"]).status, Some(0));
    assert!(place.run(&["--ro", "missing", "--", "true"]).failed(125).contains("optional"));
    assert_eq!(place.run(&["--rw", "made,create", "--", "true"]).status, Some(0));
    assert!(place.work().join("made").is_dir());
}

#[test]
fn files_of_etc_name_the_user_and_no_other_person() {
    need!(userns());
    let out = Place::new().sh(&[], "id -un; getent passwd | awk -F: '$3 >= 1000 && $3 < 60000' | wc -l; id -gn").ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines.len() == 3 && lines[1].parse::<u32>().unwrap() <= 1, "{out}");
    let named = Place::new().sh(&["--user", "4242:4242"], "id -un").ok();
    assert_eq!(named.lines().count(), 1);
}

#[test]
fn keys_of_the_user_are_out_of_reach() {
    need!(userns(), tools(&["python3"]));
    // keyctl(KEYCTL_DESCRIBE, KEY_SPEC_USER_KEYRING), add_key and request_key: the user keyring belongs to the user's
    // id.
    let code = "import ctypes, os, platform\n\
                numbers = (250, 248, 249) if platform.machine() == 'x86_64' else (219, 217, 218)\n\
                libc = ctypes.CDLL(None, use_errno=True)\n\
                for n in numbers:\n\
                \x20 r = libc.syscall(n, 6, -4, 0, 0, 0); print(r, ctypes.get_errno())";
    let out = Place::new().run(&["--", "/usr/bin/python3", "-c", code]).ok();
    assert_eq!(out, "-1 1\n-1 1\n-1 1\n");
}

#[test]
fn the_program_is_the_first_process_after_pid_1_and_the_host_is_out_of_sight() {
    need!(userns());
    let place = Place::new();
    assert_eq!(place.sh(&[], "echo $$").ok(), "2\n");
    // One root, and nothing mounted on it: what is under the root of the view is not the host's tree.
    for root in ["host", "empty"] {
        let root = format!("filesystem.root={root}");
        let shown = ["--set", &root, "--ro", "/usr", "--ro", "/bin", "--ro", "/lib", "--ro", "/lib64,optional"];
        let mounts = place.sh(&shown, "cat /proc/self/mountinfo").ok();
        let at_root = mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/")).collect::<Vec<_>>();
        assert_eq!(at_root.len(), 1, "{mounts}");
        assert!(at_root[0].contains(" - tmpfs "), "{mounts}");
        assert!(!mounts.contains("/proc/self/task") && !mounts.contains("/memory "), "{mounts}");
    }
}

#[test]
fn without_an_init_the_program_is_pid_1() {
    need!(userns());
    let place = Place::new();
    assert_eq!(place.sh(&["--as-pid-1"], "echo $$; exit 4").out, "1\n");
    assert_eq!(place.sh(&["--as-pid-1"], "exit 4").status, Some(4));
    assert_eq!(place.run(&["--as-pid-1", "--", "/no/such"]).status, Some(127));
    assert_eq!(place.sh(&["--as-pid-1", "--timeout", "300ms"], "sleep 60").status, Some(124));
}

#[test]
fn processes_are_shared_only_where_asked() {
    need!(userns());
    let place = Place::new();
    let own = std::process::id();
    let look = format!("test -d /proc/{own} && echo seen; true");
    assert_eq!(place.sh(&[], &look).ok(), "");
    assert_eq!(place.sh(&["--share", "pid"], &look).ok(), "seen\n");
}

#[test]
fn what_a_time_limit_ends_had_time_to_clean_up() {
    need!(userns());
    let place = Place::new();
    let script = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let out = place.sh(&["--timeout", "2s"], script);
    assert_eq!((out.status, out.out.as_str()), (Some(124), "ready\ncleaned\n"), "{out:?}");
    assert!(out.err.contains("ended after 2s"), "{out:?}");
}

#[test]
fn a_device_is_let_in_by_path_and_by_nothing_else() {
    need!(userns());
    let place = Place::new();
    let script = "test -c /dev/fuse && echo there; true";
    assert_eq!(place.sh(&[], script).ok(), "");
    if available!(Need::new("fuse", std::path::Path::new("/dev/fuse").exists(), "there is no /dev/fuse")) {
        assert_eq!(place.sh(&["--device", "/dev/fuse"], script).ok(), "there\n");
        assert_eq!(place.sh(&["--device", "fuse"], script).ok(), "there\n");
    }
}

#[test]
fn a_directory_named_by_a_link_is_shown_where_it_is_and_the_link_stays() {
    need!(userns());
    let place = Place::new();
    place.write("real/f", "text\n");
    std::os::unix::fs::symlink(place.dir.path().join("real"), place.dir.path().join("link")).unwrap();
    let link = place.dir.path().join("link");
    let script = format!("cat {0}/f; readlink {0}", link.display());
    let out = place.sh(&["--ro", link.to_str().unwrap()], &script).ok();
    assert_eq!(out, format!("text\n{}\n", place.dir.path().join("real").display()));
}

#[test]
fn the_view_of_a_writable_directory_is_the_directory() {
    need!(userns());
    let place = Place::new();
    place.write("work/a/f", "1\n");
    let out = place.sh(&["--rw", "a", "--ro", "a/f"], "echo 2 > a/f; mv a/f a/g; echo 3 > a/h; rm -f a/f; cat a/f");
    assert_eq!(out.out, "1\n", "{out:?}");
    assert_eq!(std::fs::read_to_string(place.work().join("a/h")).unwrap(), "3\n");
    assert_eq!(std::fs::read_to_string(place.work().join("a/f")).unwrap(), "1\n");
}

#[test]
fn a_home_that_is_a_link_is_as_empty_as_any() {
    need!(userns());
    let place = Place::new();
    place.write("home/.ssh/id_test", "secret");
    let link = place.dir.path().join("link");
    std::os::unix::fs::symlink(place.home(), &link).unwrap();
    let real = place.home();
    let script = format!("cat {}/.ssh/id_test ~/.ssh/id_test; echo x > ~/x; ls ~", real.display());
    let mut command = place.command();
    let out = ran(command.env("HOME", &link).args(["--", "/bin/sh", "-c", &script]).output().unwrap());
    assert_eq!(out.out, "x\n", "{out:?}");
    assert_eq!(out.err.matches("No such file").count(), 2, "{out:?}");
    // A current directory there does not grant access either.
    let mut command = place.command();
    command.env("HOME", &link).current_dir(&real).args(["--profile", "ci", "--", "/bin/sh", "-c", "touch made; true"]);
    let out = ran(command.output().unwrap());
    assert!(out.err.contains("holds your home directory") && !real.join("made").exists(), "{out:?}");
}

#[test]
fn links_of_a_root_lead_nowhere_on_the_host() {
    need!(userns());
    let place = Place::new();
    std::fs::create_dir(place.dir.path().join("victim")).unwrap();
    std::fs::create_dir_all(place.dir.path().join("tree/usr")).unwrap();
    for name in ["run", "home", "var"] {
        std::os::unix::fs::symlink(place.dir.path().join("victim"), place.dir.path().join("tree").join(name)).unwrap();
    }
    let root = format!("filesystem.root=dir:{}/tree", place.dir.path().display());
    let flags = [
        "--set",
        &root,
        "--ro",
        "/usr",
        "--ro",
        "/lib",
        "--from",
        "/usr/lib",
        "--ro",
        "/lib64",
        "--from",
        "/usr/lib64",
    ];
    let ran = place.run(&[&flags[..], &["--", "/usr/bin/true"]].concat());
    assert_eq!(std::fs::read_dir(place.dir.path().join("victim")).unwrap().count(), 0, "{ran:?}");
}

#[test]
fn nodes_of_devices_cannot_be_changed() {
    need!(userns());
    let out = Place::new().sh(&[], "chmod 600 /dev/full 2>&1; touch /dev/null 2>&1; echo x > /dev/null && echo opens");
    assert_eq!(out.out.matches("Read-only file system").count(), 2, "{out:?}");
    assert!(out.out.ends_with("opens\n"), "{out:?}");
}

#[test]
fn a_flood_of_signals_holds_nothing() {
    need!(userns(), tools(&["python3"]));
    let code = "import os, signal, time\n\
                for _ in range(3):\n\
                \x20 if os.fork() == 0:\n\
                \x20   while True:\n\
                \x20     try: os.kill(1, signal.SIGRTMIN + 3)\n\
                \x20     except OSError: pass\n\
                time.sleep(0.3)\n\
                print(open('/proc/self/status').read().split('SigQ:')[1].split('/')[0].strip(), flush=True)\n\
                os._exit(7)";
    let place = Place::new();
    let started = std::time::Instant::now();
    let out = place.run(&["--", "/usr/bin/python3", "-c", code]);
    assert_eq!(out.status, Some(7), "{out:?}");
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
    assert!(out.out.trim().parse::<u64>().unwrap() < 1000, "signals are queued: {out:?}");
}

#[test]
fn a_directory_as_a_stream_is_refused() {
    let place = Place::new();
    let mut command = place.command();
    let output = command.stdin(std::fs::File::open(place.home()).unwrap()).args(["--", "true"]).output().unwrap();
    assert!(ran(output).failed(125).contains("is a directory"));
}

#[test]
fn what_is_closed_in_a_writable_directory_cannot_be_moved_away() {
    need!(userns());
    let place = Place::new();
    place.write("work/w/a/b/secret", "secret");
    let script =
        "mv w/a w/a2; mv w/a/b w/a/c; cat w/a/b/secret w/a2/b/secret w/a/c/secret; echo more > w/new && echo writable";
    let out = place.sh(&["--rw", "w", "--deny", "w/a/b"], script);
    assert_eq!(out.out, "writable\n", "{out:?}");
    assert!(place.work().join("w/a/b/secret").exists());
}

#[test]
fn escape_sequences_in_names_are_not_printed() {
    let place = Place::new();
    let error = place.run(&["--ro", "a\u{1b}]0;owned\u{7}b", "--", "true"]).failed(125);
    assert!(!error.contains('\u{1b}') && !error.contains('\u{7}') && error.contains("u{1b}"), "{error:?}");
    place.write("work/.sbx.toml", "schema = 1\n[filesystem.paths]\n\"/usr/\\u001b[31m\" = \"deny\"\n");
    let error = place.run(&["--", "true"]).failed(125);
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn the_command_line_of_sbx_is_not_told_inside() {
    need!(userns());
    let out = Place::new().run(&["--env", "TOKEN=sesame", "--", "/bin/cat", "/proc/1/cmdline"]).ok();
    assert!(!out.contains("sesame") && !out.contains("TOKEN"), "{out:?}");
}

#[test]
fn what_the_view_makes_itself_cannot_be_hidden_quietly() {
    need!(userns());
    let place = Place::new();
    for path in ["/proc/cpuinfo", "/proc/sys", "/dev/null", "/dev/pts"] {
        let error = place.run(&["--hide", path, "--", "true"]).failed(125);
        assert!(error.contains("cannot be hidden"), "{path}: {error}");
    }
    assert_eq!(place.sh(&["--hide", "/run/user"], "ls /run").ok(), "");
    assert_eq!(place.sh(&["--mask", "/dev/null"], "wc -c < /dev/null").ok(), "0\n");
}

#[test]
fn standing_in_proc_or_run_shows_nothing_of_them() {
    need!(userns());
    let place = Place::new();
    for dir in ["/proc", "/run", "/dev", "/sys"] {
        let mut command = place.command();
        let script = "ls /proc | grep -c '^[0-9]'; ls /run";
        let out = ran(command.current_dir(dir).args(["--", "/bin/sh", "-c", script]).output().unwrap());
        let count = out.out.lines().next().and_then(|line| line.parse::<u32>().ok()).unwrap_or(99);
        assert!(count < 9 && out.err.contains("is private inside"), "{dir}: {out:?}");
    }
}

#[test]
fn the_whole_tree_can_be_shown() {
    need!(userns());
    let place = Place::new();
    let out =
        place.sh(&["--ro", "/"], "test -d /usr/share && touch /etc/x; touch ~/x /tmp/x && ls /proc | grep -c '^[0-9]'");
    assert!(out.out.trim().parse::<u32>().unwrap() < 9 && out.err.contains("/etc/x"), "{out:?}");
}

#[test]
fn flags_say_what_a_shell_user_means() {
    need!(userns());
    let place = Place::new();
    place.write("sibling/f", "text\n");
    assert_eq!(place.sh(&["--ro", "../sibling"], "cat ../sibling/f").ok(), "text\n");
    assert_eq!(place.sh(&["--rw", "../made,create"], "touch ../made/x && echo fine").ok(), "fine\n");
    assert_eq!(place.sh(&["--ro", ".", "--rw", "."], "touch here && echo fine").ok(), "fine\n");
    assert_eq!(place.sh(&["-e", "A=1", "-e", "A=3"], "echo $A").ok(), "3\n");
    let odd = place.dir.path().join("${HOME} a:b");
    std::fs::create_dir_all(odd.join("out")).unwrap();
    let mut command = place.command();
    let out = ran(command.current_dir(&odd).args(["--rw", "out", "--", "touch", "out/x"]).output().unwrap());
    assert!(out.status == Some(0) && odd.join("out/x").exists(), "{out:?}");
    assert!(place.run(&["--set", "extends=[\"ci\"]", "--", "true"]).failed(125).contains("--profile"));
    assert_eq!(place.run(&["--mask", "none,optional", "--", "true"]).status, Some(0));
}

#[test]
fn a_program_that_starts_elsewhere_is_said() {
    need!(userns());
    let place = Place::new();
    let out = place.sh(&["--deny", "."], "pwd");
    assert!(out.err.contains("the program starts in"), "{out:?}");
    assert_eq!(out.out.trim(), place.home().to_str().unwrap());
}

#[test]
fn directories_in_memory_are_file_systems_of_their_own_for_what_compares_device_numbers() {
    need!(userns(), tools(&["python3"]));
    let place = Place::new();
    let home = place.home().display().to_string();
    let code = "import os, sys\nfor path in sys.argv[1:]: print(path, os.path.ismount(path))";
    let (cache, deep) = (format!("{home}/cache"), format!("{home}/cache/deep"));
    let paths = ["/tmp", "/run", "/dev/shm", "/var/tmp", &home, &cache, &deep];
    for profile in ["default", "shell", "viewer"] {
        let flags = ["--profile", profile, "--tmpfs", &cache, "--tmpfs", &deep, "--", "/usr/bin/python3", "-c", code];
        let out = place.run(&[&flags[..], &paths].concat()).ok();
        let wanted: String = paths.iter().map(|path| format!("{path} True\n")).collect();
        assert_eq!(out, wanted, "{profile}");
    }
}

#[test]
fn a_directory_is_created_below_one_that_is_writable_too() {
    need!(userns());
    let place = Place::new();
    let flags = ["--rw", ".", "--rw", "out/deep,create"];
    assert_eq!(place.sh(&flags, "touch out/deep/x && echo made").ok(), "made\n");
    assert!(place.work().join("out/deep/x").exists());
}

#[test]
fn what_is_in_memory_has_a_size_and_a_note_says_when_that_is_full() {
    need!(userns());
    let place = Place::new();
    let fill = "dd if=/dev/zero of=$1/f bs=64k count=4096 2> /dev/null; s=$?; stat -c %s $1/f; exit $s";
    for dir in ["/tmp", "/dev/shm", "$HOME"] {
        let script = format!("set -- {dir}\n{fill}");
        let ran = place.sh(&["--tmpfs-size", "32M"], &script);
        assert_eq!(ran.status, Some(1), "{dir}: {ran:?}");
        let held: u64 = ran.out.trim().parse().unwrap();
        assert!((30 << 20..=32 << 20).contains(&held), "{dir}: {ran:?}");
        assert!(
            ran.err.contains("full when the program failed: 32.0 MiB in memory (filesystem.memory, --tmpfs-size 32M)"),
            "{ran:?}"
        );
    }
    // So do many empty files.
    let many = "cd /tmp; i=0; while [ $i -lt 9000 ]; do i=$((i+1)); : > $i || exit 3; done";
    let ran = place.sh(&["--tmpfs-size", "32M"], many);
    assert!(ran.status != Some(0) && ran.err.contains("/tmp"), "{ran:?}");
    assert!(ran.err.contains("full when the program failed"), "{ran:?}");
    // A program that ends well, or that fails while there is room, is told nothing.
    for script in ["exit 3", "dd if=/dev/zero of=/tmp/f bs=1M count=40 2> /dev/null; true"] {
        assert_eq!(place.sh(&["--tmpfs-size", "32M"], script).err, "", "{script}");
    }
    // A `tmpfs` with a size of its own has that.
    let ran = place.sh(
        &["--tmpfs-size", "32M", "--set", "filesystem.paths={\"/tmp/a\"=\"tmpfs,size=1M\"}"],
        "df -k /tmp/a | tail -n 1",
    );
    assert!(ran.out.split_whitespace().nth(1) == Some("1024"), "{ran:?}");
    // The view itself takes some of it.
    let error = place.run(&["--tmpfs-size", "4K", "--", "true"]).failed(125);
    assert!(error.contains("--tmpfs-size 4K") && error.contains("the view itself"), "{error}");
    assert_eq!(place.run(&["--tmpfs-size", "1M", "--", "true"]).status, Some(0));
}

#[test]
fn each_sandbox_has_a_machine_id_of_its_own() {
    need!(userns());
    let place = Place::new();
    let host = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id = |flags: &[&str]| {
        place.sh(
            flags,
            "cat /etc/machine-id; [ ! -e /var/lib/dbus/machine-id ] || cmp -s /etc/machine-id /var/lib/dbus/machine-id || echo differ; echo x >/etc/machine-id",
        )
    };
    let (first, second) = (id(&[]), id(&["--profile", "ci"]));
    if host.is_empty() {
        return;
    }
    for Ran { out, err, .. } in [&first, &second] {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(out.len() == 33 && out.trim_end().len() == 32 && out.trim_end().chars().all(hex), "{out}");
        assert!(out[12..].starts_with('4') && *out != host && err.contains("machine-id"), "{out} {err}");
    }
    assert_ne!(first.out, second.out);
    // What the profile says of the file counts, and where its directory is closed it is not made anew.
    assert!(id(&["--ro", "/etc/machine-id"]).out.starts_with(&host));
    assert_eq!(id(&["--mask", "/etc/machine-id", "--mask", "/var/lib/dbus,optional"]).out.trim(), "");
    for flag in ["--deny", "--mask", "--hide"] {
        place.sh(&[flag, "/var/lib"], "[ ! -e /var/lib/dbus ]").ok();
    }
}

#[test]
fn counts_of_the_hosts_interrupts_are_masked_in_sys() {
    need!(userns());
    let place = Place::new();
    for profile in ["ci", "shell", "viewer"] {
        let ran = place
            .sh(&["-q", "--profile", profile], "ls /sys/kernel/irq; cat /sys/kernel/irq/*/per_cpu_count; echo done");
        assert_eq!(ran.out, "done\n", "{profile}: {ran:?}");
    }
}
