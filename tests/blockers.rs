//! Hosts that refuse what a sandbox takes: a start names the true cause and the fix, and `sbx check` says the same.

mod common;

use common::{Place, Ran, landlock, ran, sbx, tools, userns};
use sbx::testing::{load_filter, set_no_new_privs, sock_filter};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

fn gives(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// Puts a command under a filter that answers these system calls so, and lets all others through.
fn filter(command: &mut Command, calls: &[(i64, u32)]) {
    let op = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let ret = |k| op(libc::BPF_RET | libc::BPF_K, 0, 0, k);
    // The number is the first word of seccomp_data.
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (number, verdict) in calls {
        program.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, *number as u32));
        program.push(ret(*verdict));
    }
    program.push(ret(libc::SECCOMP_RET_ALLOW));
    let failed = |errno: sbx::testing::Errno| std::io::Error::from_raw_os_error(errno.0);
    // SAFETY: both make a system call and nothing else.
    unsafe {
        command.pre_exec(move || {
            set_no_new_privs().map_err(failed)?;
            load_filter(&program).map_err(failed)
        });
    }
}

/// What a start and a check say under these circumstances. They must agree.
#[track_caller]
fn both(command: impl Fn(&[&str]) -> Command) -> (Ran, Ran) {
    let run = ran(command(&["-q", "--", "true"]).output().unwrap());
    let check = ran(command(&["check"]).output().unwrap());
    let runs = run.status == Some(0);
    assert_eq!(check.status == Some(0), runs, "{run:#?}{check:#?}");
    let verdict = if runs { "sbx can run here" } else { "sbx cannot run here" };
    assert!(check.out.contains(verdict), "{run:#?}{check:#?}");
    (run, check)
}

/// Both name this cause.
#[track_caller]
fn both_say(command: impl Fn(&[&str]) -> Command, causes: &[&str]) -> (Ran, Ran) {
    let (run, check) = both(command);
    assert_eq!(run.status, Some(125), "{run:#?}");
    for cause in causes {
        assert!(run.err.contains(cause) && check.out.contains(cause), "{cause}: {run:#?}{check:#?}");
    }
    (run, check)
}

fn filtered<'p>(place: &'p Place, calls: &'p [(i64, u32)]) -> impl Fn(&[&str]) -> Command + 'p {
    move |args| {
        let mut command = place.command();
        command.args(args);
        filter(&mut command, calls);
        command
    }
}

#[test]
fn a_call_that_a_filter_takes_is_named_by_the_start_and_by_the_check() {
    need!(userns());
    let place = Place::new();
    // SAFETY: it takes no argument and cannot fail.
    let is_root = unsafe { libc::getuid() } == 0;
    for (name, number) in [
        ("clone3", libc::SYS_clone3),
        ("close_range", libc::SYS_close_range),
        ("open_tree", libc::SYS_open_tree),
        ("move_mount", libc::SYS_move_mount),
        ("fsopen", libc::SYS_fsopen),
        ("fsconfig", libc::SYS_fsconfig),
        ("fsmount", libc::SYS_fsmount),
        ("mount_setattr", libc::SYS_mount_setattr),
        ("pivot_root", libc::SYS_pivot_root),
        ("umount2", libc::SYS_umount2),
        ("unshare", libc::SYS_unshare),
        ("setns", libc::SYS_setns),
        ("sethostname", libc::SYS_sethostname),
        ("capset", libc::SYS_capset),
        ("prctl", libc::SYS_prctl),
        ("waitid", libc::SYS_waitid),
        ("signalfd4", libc::SYS_signalfd4),
        ("socketpair", libc::SYS_socketpair),
        ("prlimit64", libc::SYS_prlimit64),
        ("symlinkat", libc::SYS_symlinkat),
    ] {
        for verdict in [gives(libc::ENOSYS), gives(libc::EPERM)] {
            let (run, check) = both(filtered(&place, &[(number, verdict)]));
            // For root, clone3(2) makes the network namespace, too.
            if is_root && matches!(number, libc::SYS_unshare | libc::SYS_setns) && run.status == Some(0) {
                continue;
            }
            assert_eq!(run.status, Some(125), "{name}: {run:#?}");
            for text in [&run.err, &check.out, &check.err] {
                let said = text.contains("a seccomp filter around sbx") && text.contains(&format!(" {name}(2)"));
                assert!(said || text.is_empty(), "{name}: {run:#?}{check:#?}");
            }
        }
    }
    // Those that sbx starts without.
    for number in [libc::SYS_openat2, libc::SYS_keyctl, libc::SYS_landlock_create_ruleset, libc::SYS_uname] {
        for verdict in [gives(libc::ENOSYS), gives(libc::EPERM)] {
            let (run, check) = both(filtered(&place, &[(number, verdict)]));
            assert_eq!(run.status, Some(0), "{number}: {run:#?}{check:#?}");
        }
    }
}

#[test]
fn a_filter_that_ends_processes_is_told_apart() {
    need!(userns());
    let place = Place::new();
    for number in [libc::SYS_pivot_root, libc::SYS_move_mount, libc::SYS_fsopen] {
        both_say(
            filtered(&place, &[(number, KILL)]),
            &["a seccomp filter around sbx, as containers have, ends every process"],
        );
    }
}

/// A command in a user namespace of its own, as root of it, after this shell script.
fn inside<'p>(place: &'p Place, setup: &'p str) -> impl Fn(&[&str]) -> Command + 'p {
    move |args| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-euc"]);
        command.arg(format!("{setup}\nexec $ENTER \"$SBX\" \"$@\"")).arg("sh").args(args);
        command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", place.home()).env("NO_COLOR", "1");
        command.env("SBX", sbx()).env("ENTER", "").env("PLACE", place.dir.path()).current_dir("/usr");
        command
    }
}

#[test]
fn what_containers_do_is_named_with_the_flags_that_run_without() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let proc = "mount -t tmpfs none /proc/acpi; ";
    let sys = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; ";
    let covered = "parts of the host's /proc are covered";
    let read_only = "/proc/sys cannot be written to";
    let (run, _) = both_say(inside(&place, proc), &[covered]);
    assert!(run.err.contains("sbx runs without that: --mask /proc\n"), "{run:#?}");
    // A read-only /proc/sys covers a part of /proc, too.
    let (run, _) = both_say(inside(&place, sys), &[read_only, covered]);
    assert!(run.err.contains("sbx runs without that: --mask /proc --set namespaces.nested=allow\n"), "{run:#?}");
    // As in podman, which has all of them.
    let podman = format!("{proc}{sys}");
    let calls = [(libc::SYS_sethostname, gives(libc::EPERM))];
    let container = |args: &[&str]| {
        let mut command = inside(&place, &podman)(args);
        filter(&mut command, &calls);
        command
    };
    let (run, check) = both_say(container, &[covered, read_only, "refuses sethostname(2)"]);
    let flags = run.err.split("sbx runs without that: ").nth(1).unwrap_or_else(|| panic!("{run:#?}")).trim();
    for flag in ["--mask /proc", "--share uts", "--set namespaces.nested=allow"] {
        assert!(flags.contains(flag) && check.out.contains(flag), "{run:#?}{check:#?}");
    }
    let args: Vec<_> = ["-q"].into_iter().chain(flags.split(' ')).chain(["--", "true"]).collect();
    assert_eq!(ran(container(&args).output().unwrap()).status, Some(0), "{flags}");
}

#[test]
fn a_chroot_is_named_as_one() {
    need!(userns(), tools(&["unshare", "chroot"]));
    let place = Place::new();
    let tree = "mkdir -p $PLACE/tree/work; cd $PLACE/tree; \
                for dir in /usr /lib* /bin /etc /proc /dev; do \
                  if [ -L $dir ]; then ln -sfn $(readlink $dir) .$dir; else mkdir -p .$dir; mount --rbind $dir .$dir; fi; done; \
                : > sbx; mount --bind $SBX sbx; SBX=/sbx; ENTER='chroot .'; ";
    both_say(inside(&place, tree), &["sbx is in a chroot, where the kernel makes no user namespace"]);
    // The root directory of this one is a mount, which cannot be told apart from a container's.
    let mounted = format!("mkdir -p $PLACE/tree; mount -t tmpfs none $PLACE/tree; {tree}");
    both_say(inside(&place, &mounted), &["sbx is in a chroot, where the kernel makes no user namespace"]);
    let without = format!("{tree} umount -l proc; ");
    both_say(inside(&place, &without), &["no procfs is mounted at /proc"]);
}

#[test]
fn root_of_a_user_namespace_that_denies_setgroups_keeps_its_groups() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let (run, _) = both(inside(&place, ""));
    assert_eq!(run.status, Some(0), "{run:#?}");
}

#[test]
fn ids_that_are_not_mapped_are_named() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let unmapped = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--"]).arg(sbx()).args(args);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", place.home())
            .env("NO_COLOR", "1")
            .current_dir("/usr");
        command
    };

    both_say(unmapped, &["has no mapping in the user namespace that sbx was started in"]);
}

#[test]
fn user_namespaces_that_are_limited_to_none_are_named() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let none = "echo 0 > /proc/sys/user/max_user_namespaces; ";
    both_say(inside(&place, none), &["user.max_user_namespaces is 0"]);
    let net = "echo 0 > /proc/sys/user/max_net_namespaces; ";
    let (run, check) = both(inside(&place, net));
    assert!(run.err.contains("--net host") && check.out.contains("user.max_net_namespaces is 0"), "{run:#?}{check:#?}");
}

#[test]
fn landlock_around_sbx_is_named() {
    need!(userns(), landlock(1));
    let place = Place::new();
    let confined = |args: &[&str]| {
        let mut command = place.command();
        command.args(args);
        // SAFETY: each makes a system call with the address of a number that outlives it, and nothing else.
        unsafe {
            command.pre_exec(|| {
                // LANDLOCK_ACCESS_FS_MAKE_FIFO: any right will do.
                let handled: u64 = 1 << 10;
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                let fd = libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, 8, 0);
                let done = fd >= 0 && libc::syscall(libc::SYS_landlock_restrict_self, fd, 0) == 0;
                if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
            });
        }
        command
    };
    both_say(confined, &["sbx is confined by Landlock, as in another sandbox, or by a security module"]);
}

#[test]
fn a_check_of_a_profile_names_what_it_lacks() {
    need!(userns());
    let place = Place::new();
    let calls = [(libc::SYS_sethostname, gives(libc::EPERM))];
    let check = |args: &[&str]| ran(filtered(&place, &calls)(args).output().unwrap());
    let checked = check(&["check", "--profile", "ci"]);
    assert!(checked.status == Some(1) && checked.out.contains("refuses sethostname(2)"), "{checked:#?}");
    let own = place.write("one.toml", "schema = 1\nextends = [\"default\"]\n[namespaces]\nshare = [\"uts\"]\n");
    let checked = check(&["check", "--profile", own.to_str().unwrap()]);
    assert!(checked.status == Some(0), "{checked:#?}");
}

/// A command under a limit, as options of the shell's `ulimit`.
fn limited<'p>(place: &'p Place, program: &'p Path, limit: &'p str) -> impl Fn(&[&str]) -> Command + 'p {
    move |args| {
        let mut command = Command::new("/bin/bash");
        command.arg("-c").arg(format!("ulimit {limit} && exec \"$0\" \"$@\"")).arg(program).args(args);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", place.home()).env("NO_COLOR", "1");
        command.current_dir(place.work());
        command
    }
}

#[test]
fn a_limit_of_the_caller_that_is_too_low_is_named() {
    need!(userns(), tools(&["bash"]));
    let place = Place::new();
    for (limit, causes) in [
        ("-n 3", &["too many open files (EMFILE)", "`ulimit -S -n $(ulimit -H -n)`"][..]),
        ("-n 4", &["too many open files (EMFILE)", "`ulimit -S -n $(ulimit -H -n)`"]),
        ("-n 8", &["too many open files (EMFILE)", "`ulimit -S -n $(ulimit -H -n)`"]),
        ("-f 0", &["file too large (EFBIG)", "`ulimit -f unlimited`"]),
        ("-u 0", &["EAGAIN", "the limit of processes is reached: raise `ulimit -u`"]),
        ("-m 0", &[]),
        ("-l 0", &[]),
        ("-d 4000", &[]),
        ("-v 100000", &[]),
    ] {
        // The kernel counts no processes for root.
        // SAFETY: it takes no argument and cannot fail.
        if limit == "-u 0" && unsafe { libc::getuid() } == 0 {
            continue;
        }
        let bwrap = common::bwrap::program();
        let runs: [(&Path, &[&str], i32); 3] = [
            (sbx(), &["-q", "--", "/bin/true"], 125),
            (sbx(), &["-q", "--profile", "ci", "--", "/bin/true"], 125),
            (bwrap, &["--ro-bind", "/", "/", "--unshare-all", "/bin/true"], 1),
        ];
        for (program, args, failed) in runs {
            let run = ran(limited(&place, program, limit)(args).output().unwrap());
            // sbx-bwrap makes no files of its own.
            if causes.is_empty() || program != sbx() && limit == "-f 0" {
                assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{limit}: {run:#?}");
                continue;
            }
            assert_eq!(run.status, Some(failed), "{limit}: {run:#?}");
            assert!(causes.iter().all(|cause| run.err.contains(cause)), "{limit}: {run:#?}");
            assert!(!run.err.contains("filter") && !run.err.contains("everybody"), "{limit}: {run:#?}");
        }
    }
    // Whatever it is that cannot be opened.
    for number in 3..=16 {
        for args in [&["--profile", "firefox", "--", "/bin/true"][..], &["--user", "range", "--", "/bin/true"]] {
            let run = ran(limited(&place, sbx(), &format!("-n {number}"))(args).output().unwrap());
            assert!(!run.err.contains("EMFILE") || run.err.contains("help: the limit of open descriptors"), "{run:#?}");
        }
    }
}

#[test]
fn a_start_that_lacks_stack_is_a_failed_one_and_says_so() {
    need!(userns(), tools(&["bash"]));
    let place = Place::new();
    let (mut ran_well, mut told) = (0, 0);
    for kib in (48..=256).step_by(4) {
        let limit = format!("-s {kib}");
        for args in [&["--", "/bin/true"][..], &["--status-fd", "1", "--", "/bin/true"]] {
            let run = ran(limited(&place, sbx(), &limit)(args).output().unwrap());
            match run.status {
                Some(0) => ran_well += 1,
                // The launcher itself, which the shell tells.
                None => {}
                Some(125) => {
                    told += 1;
                    assert!(
                        run.err.contains("SIGSEGV") && run.err.contains("the caller's limit of the stack"),
                        "{run:#?}"
                    );
                    assert!(run.out.is_empty() || run.out.contains("\"failed\""), "{run:#?}");
                }
                other => panic!("{kib} KiB: {other:?}: {run:#?}"),
            }
        }
    }
    assert!(ran_well > 0, "none of these limits is enough");
    eprintln!("{ran_well} ran, {told} said that the stack is too small");
}
