//! What has to be true if root is the caller.

mod common;

use common::{Place, root, tick, tools, tun, userns};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_caller_being_root_changes_no_guard() {
    need!(root(), userns());
    let place = Place::new();
    let out = place.sh(&[], "grep -E '^Cap(Eff|Bnd)' /proc/self/status; id -u").ok();
    assert!(out.contains("CapEff:\t0000000000000000\nCapBnd:\t0000000000000000"), "{out}");
    let script = "cat /proc/keys /proc/timer_list; echo x 2>/dev/null > /proc/sys/kernel/hostname || echo refused";
    assert_eq!(place.sh(&["--set", "namespaces.nested=allow"], script).ok(), "refused\n");
}

#[test]
fn supplementary_groups_are_given_up() {
    need!(root(), userns());
    let out = Place::new().sh(&[], "grep ^Groups: /proc/self/status").ok();
    assert_eq!(out.trim(), "Groups:");
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    need!(root(), userns());
    let place = Place::new();
    place.write("work/file", "kept");
    let sbx = common::sbx().display();
    // A filesystem with room for two names: its root and one more.
    let script = format!(
        "mount -t tmpfs -o nr_inodes=2,size=4k none {0} && cd {0} && echo data > file && {sbx} --rw new,create -- true; \
         echo status $?; cat file; {sbx} --rw . -- sh -c 'echo more > other'; echo status $?; \
         {sbx} -- sh -c 'echo fine > /tmp/x && cat /tmp/x'",
        place.work().display()
    );
    let output = std::process::Command::new("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
    let ran = common::ran(output);
    assert!(ran.err.contains("cannot create") && ran.err.contains("ENOSPC"), "{ran:?}");
    assert_eq!(ran.out, "status 125\ndata\nstatus 2\nfine\n", "{ran:?}");
}

#[test]
fn ids_of_a_range_and_of_root_alone() {
    need!(root(), userns());
    let place = Place::new();
    assert_eq!(place.sh(&["--user", "1234:5678"], "id -u; id -g").ok(), "1234\n5678\n");
    let out =
        place.sh(&["--user", "range"], "touch /tmp/x && stat -c %u:%g /tmp/x; cat /proc/self/uid_map | wc -l").ok();
    assert!(out.starts_with("0:0\n"), "{out}");
}

#[test]
fn a_nested_namespace_gives_no_file_capabilities_that_hold_outside() {
    need!(root(), userns(), tools(&["python3"]));
    let place = Place::new();
    // Root under another id can be mapped as root of a namespace of its own.
    let script = "import ctypes, os, struct\n\
        uid, gid = os.getuid(), os.getgid()\n\
        assert ctypes.CDLL(None).unshare(0x10000000) == 0\n\
        for name, text in [('setgroups', 'deny'), ('uid_map', f'0 {uid} 1'), ('gid_map', f'0 {gid} 1')]:\n\
        \x20   with open('/proc/self/' + name, 'w') as file: file.write(text)\n\
        os.setxattr('file', 'security.capability', struct.pack('<5I', 0x2000001, 1 << 7, 0, 0, 0))\n";
    let script = place.write("home/script.py", script).display().to_string();
    let file = place.write("work/file", "");
    let capable = || {
        let look = "import os, sys; os.getxattr(sys.argv[1], 'security.capability')";
        std::process::Command::new("python3").args(["-c", look]).arg(&file).output().unwrap().status.success()
    };
    for (filter, nested) in [("default", "allow"), ("default", "no-mount"), ("off", "no-mount")] {
        let [filter, nested] = [format!("security.seccomp={filter}"), format!("namespaces.nested={nested}")];
        let flags = ["--user", "1234:1234", "--rw", ".", "--ro", &script, "--set", &filter, "--set", &nested];
        let ran = place.run(&[&flags[..], &["--", "python3", &script]].concat());
        assert!(ran.err.contains("Operation not supported") && !capable(), "{filter} {nested}: {ran:#?}");
        let allowed = ["--set", "security.setuid_bits=allow", "--", "python3", &script];
        place.run(&[&flags[..], &allowed].concat()).ok();
        assert!(capable(), "the key allows it, and the test sees it");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "").unwrap();
    }
}

#[test]
fn what_root_alone_may_read_and_set_in_proc_is_closed() {
    need!(root(), userns(), tools(&["python3"]));
    let place = Place::new();
    let script = "import os\n\
        for dir, dirs, files in os.walk('/proc'):\n\
        \x20   if dir == '/proc': dirs[:] = [d for d in dirs if not d.isdigit() and d not in ('self', 'thread-self', 'pressure')]\n\
        \x20   for path in (os.path.join(dir, file) for file in files):\n\
        \x20       if os.path.islink(path): continue\n\
        \x20       for flags in (os.O_WRONLY, os.O_RDONLY):\n\
        \x20           try:\n\
        \x20               if flags == os.O_RDONLY and os.lstat(path).st_mode & 0o044 and path != '/proc/interrupts': continue\n\
        \x20               if flags == os.O_RDONLY and path.startswith('/proc/sys/'): continue\n\
        \x20               file = os.open(path, flags | os.O_NONBLOCK)\n\
        \x20               if flags == os.O_WRONLY or os.read(file, 1): print(path)\n\
        \x20               os.close(file)\n\
        \x20           except OSError: pass\n";
    let script = place.write("home/script.py", script).display().to_string();
    for flags in [&[][..], &["--user", "1234:1234"], &["--set", "namespaces.nested=allow"], &["--share", "pid"]] {
        let all = [&["-q", "--ro", &script][..], flags, &["--", "python3", &script]].concat();
        assert_eq!(place.run(&all).ok(), "", "{flags:?}");
    }
}

#[test]
fn what_root_alone_may_read_in_sys_is_closed() {
    need!(root(), userns(), tools(&["python3"]));
    let place = Place::new();
    // Opened, not read: that makes a device of zram-control's `hot_add`.
    let script = "import os\n\
        for dir, dirs, files in os.walk('/sys'):\n\
        \x20   for path in (os.path.join(dir, file) for file in files):\n\
        \x20       try:\n\
        \x20           if os.path.islink(path) or os.lstat(path).st_mode & 0o044 or not os.lstat(path).st_size: continue\n\
        \x20           os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)); print(path)\n\
        \x20       except OSError: pass\n";
    let script = place.write("home/script.py", script).display().to_string();
    for flags in [&["--profile", "ci"][..], &["--ro", "/sys"]] {
        let out = place.run(&[&["-q", "--ro", &script][..], flags, &["--", "python3", &script]].concat()).ok();
        let known =
            ["/sys/class/zram-control/", "/sys/kernel/slab/", "/sys/kernel/mm/damon/", "/sys/devices/virtual/dmi/"];
        let left: Vec<_> = out.lines().filter(|line| known.iter().any(|start| line.starts_with(start))).collect();
        assert!(left.is_empty(), "{flags:?}: {left:?}");
        // Sections of modules, which the kernel shows to nobody without CAP_SYSLOG, and what devices have.
        let other = |line: &&str| {
            !["/sys/module/", "/sys/devices/", "/sys/kernel/notes"].iter().any(|start| line.starts_with(start))
        };
        let other: Vec<_> = out.lines().filter(other).collect();
        assert!(other.is_empty(), "{flags:?}: {other:?}");
    }
    // By another name, too.
    for from in ["/sys", "/sys/kernel"] {
        let at = place.home().join("other").display().to_string();
        let flags = [
            "-q",
            "--ro",
            &at,
            "--from",
            from,
            "--",
            "/bin/sh",
            "-c",
            &format!("cat {at}/slab/*/objs {at}/kernel/slab/*/objs | head -n 1"),
        ];
        assert_eq!(place.run(&flags).out, "", "{from}");
    }
    // A line that names one shows it.
    let named = place.run(&[
        "-q",
        "--profile",
        "ci",
        "--ro",
        "/sys/kernel/mm",
        "--ro",
        "/sys/kernel/slab",
        "--",
        "ls",
        "/sys/kernel/slab",
    ]);
    assert!(!named.ok().is_empty() || !std::path::Path::new("/sys/kernel/slab").exists());
}

/// Runs a program as `nobody`.
fn as_nobody(program: &std::path::Path, args: &[&str]) -> common::Ran {
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(program).args(args);
    common::ran(command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").output().unwrap())
}

/// Gives a file CAP_DAC_OVERRIDE, permitted and effective, in the form of capabilities(7).
fn give_capability(file: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt;
    let value: Vec<u8> = [0x0200_0001u32, 1 << 1, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let file = std::ffi::CString::new(file.as_os_str().as_bytes()).unwrap();
    // SAFETY: path and name end with a NUL, and the value may be read for its length.
    let set = unsafe {
        libc::setxattr(file.as_ptr(), c"security.capability".as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_copy_with_more_rights_than_its_caller_does_nothing() {
    use std::os::unix::fs::PermissionsExt;
    need!(root());
    // Not in /tmp, which is often mounted without set-user-ID.
    let dir = tempfile::Builder::new().prefix("sbx-test").tempdir_in("/var/tmp").unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(dir.path(), 0o755);
    let target = dir.path().join("written");
    let receipt = target.to_str().unwrap();
    for (program, refused) in [(common::sbx(), 125), (common::bwrap::program(), 1)] {
        let copy = dir.path().join(program.file_name().unwrap());
        common::copy_program(program, &copy);
        let run = |args: &[&str]| as_nobody(&copy, args);
        assert_eq!(run(&["--version"]).status, Some(0));
        for (kind, bits) in [("set-user-ID", 0o4755), ("set-group-ID", 0o2755), ("capabilities", 0o755)] {
            mode(&copy, bits);
            if kind == "capabilities" {
                give_capability(&copy);
            }
            let calls: [&[&str]; 4] = [
                &["--version"],
                &["--receipt", receipt, "--", "true"],
                &["plan", "--", "true"],
                &["--ro-bind", "/", "/", "true"],
            ];
            for args in calls {
                let ran = run(args);
                assert!(ran.status == Some(refused) && ran.out.is_empty(), "{kind} {args:?}: {ran:?}");
                assert!(ran.err.contains(kind) || refused == 1, "{kind} {args:?}: {ran:?}");
                assert!(!target.exists(), "{kind}");
            }
        }
    }
}

#[test]
fn what_root_hands_over_as_a_stream_keeps_its_permissions() {
    need!(root(), userns(), tools(&["mknod"]));
    let place = Place::new();
    let (null, file) = (place.dir.path().join("null"), place.write("file", "text\n"));
    let made = std::process::Command::new("mknod").args(["-m", "666"]).arg(&null).args(["c", "1", "3"]).status();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    // A filesystem of a container may have no devices.
    if made.unwrap().success() && std::fs::read(&null).is_ok() {
        let open = || std::fs::File::options().read(true).write(true).open(&null).unwrap();
        for setting in ["security.seccomp=default", "security.seccomp=off"] {
            let script = "for n in 0 1 2; do chmod 600 /proc/self/fd/$n; done; cat; echo written; echo written >&2";
            let mut command = place.command();
            command.args(["--set", setting, "--", "sh", "-c", script]).stdin(open()).stdout(open()).stderr(open());
            assert!(command.status().unwrap().success());
            assert_eq!(mode(&null), 0o666, "{setting}");
        }
    }
    for user in ["self", "1234:1234", "range", "keep-id"] {
        let script = "cat; chmod 666 /proc/self/fd/0; echo x > /proc/self/fd/0";
        let mut command = place.command();
        command.args(["--user", user, "--set", "security.seccomp=off", "--", "sh", "-c", script]);
        let ran = common::ran(command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap());
        assert_eq!(ran.out, "text\n", "{user}: {ran:#?}");
        assert_eq!((mode(&file), std::fs::read_to_string(&file).unwrap().as_str()), (0o600, "text\n"), "{user}");
    }
}

/// The value that is written is the one that is there.
#[test]
fn the_kernels_settings_are_read_only_wherever_the_hosts_procfs_is_shown() {
    need!(root(), userns());
    let place = Place::new();
    let write = |flags: &[&str], dir: &str| {
        let script = format!("f={dir}/sys/kernel/core_pattern; v=$(cat $f) && echo \"$v\" > $f");
        place.run(&[flags, &["--", "sh", "-c", &script]].concat())
    };
    for (flags, dir) in [
        (&["--rw", "/proc"][..], "/proc"),
        (&["--rw", "/mnt", "--from", "/proc"], "/mnt"),
        (&["--rw", "/mnt", "--from", "/"], "/mnt/proc"),
        (&["--ro", "/mnt", "--from", "/proc"], "/mnt"),
        (&["--share", "pid"], "/proc"),
    ] {
        let ran = write(flags, dir);
        assert!(ran.status != Some(0) && ran.err.contains("Read-only file system"), "{flags:?}: {ran:#?}");
        let masked = place.run(&[flags, &["--", "sh", "-c", &format!("cat {dir}/keys {dir}/interrupts")]].concat());
        assert_eq!(masked.out, "", "{flags:?}: {masked:#?}");
    }
    for source in ["/proc/sys", "/proc/sys/kernel", "/proc/irq"] {
        let error = place.run(&["--rw", "/mnt", "--from", source, "--", "true"]).failed(125);
        assert!(error.contains("is read-only in every sandbox"), "{error}");
    }
}

#[test]
fn helpers_that_a_program_of_roots_can_have_made_are_not_started() {
    need!(root(), userns());
    // Nobody but root can change what lies there.
    let dir = tempfile::Builder::new().prefix("sbx-test").tempdir_in("/var/lib").unwrap();
    let helper = dir.path().join("Xvfb");
    std::fs::write(&helper, format!("#!/bin/sh\ntouch {}/started\n", dir.path().display())).unwrap();
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Where the system has one of its own, that would be taken.
    let script = "for x in /usr/bin/Xvfb /bin/Xvfb; do [ ! -e $x ] || mount --bind /dev/null $x; done; exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(common::sbx()).args(["--set", "desktop.x11=virtual"]);
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let ran = common::ran(command.args(["--", "true"]).current_dir(dir.path()).env("PATH", path).output().unwrap());
    assert!(!dir.path().join("started").exists(), "{ran:#?}");
    assert!(ran.err.contains("Xvfb is not used: it is in no directory of the system's"), "{ran:#?}");
}

#[test]
fn what_root_commits_belongs_to_whom_it_belonged() {
    need!(root(), userns());
    let place = Place::new();
    let host = |script: &str| place.on_host(script);
    host(
        "for file in own renamed; do echo one > $file; done; mkdir dir; ln -s own link; mkfifo pipe
        chown -h 1234:1235 own renamed dir link pipe; chmod 600 renamed; chmod 606 own; chmod 707 dir",
    );
    tick();
    let script = "echo two >> own; mv renamed new; mv link other; mv pipe fifo; echo x > dir/mine";
    place.sh(&["--user", "range", "--overlay", ".", "--upper", "keep:one"], script).ok();
    place.run(&["commit", "one"]).ok();
    assert_eq!(host("stat -c '%u:%g' own new dir other fifo"), "1234:1235\n".repeat(5));
    assert_eq!(host("stat -c '%u:%g %a' dir/mine own new"), "0:0 644\n1234:1235 606\n1234:1235 600\n");
    assert_eq!(host("cat own new"), "one\ntwo\none\n");
    assert_eq!(place.run(&["diff", "one"]).ok(), "");
}

#[test]
fn a_group_that_root_is_not_in_stays_the_files() {
    need!(root(), userns());
    let place = Place::new();
    place.on_host("for file in removed renamed; do echo old > $file; chgrp 1001 $file; done");
    tick();
    let script = "rm removed; echo new > removed; echo new > t; mv t renamed";
    place.sh(&["--overlay", ".", "--upper", "keep:one"], script).ok();
    let ran = place.run(&["commit", "one"]);
    assert!(ran.status == Some(0) && ran.err.is_empty(), "{ran:?}");
    assert_eq!(place.on_host("stat -c '%g %a' removed renamed"), "1001 644\n1001 644\n");
}

/// What parses a program's packets has no right on the host, although it has root's id.
#[test]
fn helpers_of_a_private_network_have_no_capability() {
    need!(root(), userns(), tun(), tools(&["slirp4netns"]));
    let place = Place::new();
    let host = std::fs::read_link("/proc/self/ns/user").unwrap();
    for (low, most) in [(false, 0), (true, 1 << 10)] {
        let port = if low { "0.0.0.0:81:80" } else { "0.0.0.0:0:80" };
        let mut command = place.command();
        let flags = ["-q", "--net", "private", "--set", "network.helper=slirp4netns", "--publish"];
        command.args(flags).arg(port).args(["--publish", "0:81"]);
        command.args(["--", "sh", "-c", "echo ready; read line; true"]);
        let streams = || std::process::Stdio::piped();
        let mut sbx = command.stdin(streams()).stdout(streams()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(sbx.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", sbx.id())).unwrap();
        let mut seen = Vec::new();
        for pid in children.split_whitespace() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let is_outside = std::fs::read_link(format!("/proc/{pid}/ns/user")).is_ok_and(|user| user == host);
            let set = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                u64::from_str_radix(line.trim(), 16).unwrap()
            };
            let all = set("CapEff:") | set("CapPrm:") | set("CapInh:") | set("CapAmb:");
            assert!(!is_outside || all & !most == 0, "{port}: {status}");
            seen.push(status.lines().next().unwrap_or_default().to_owned());
        }
        drop(sbx.stdin.take());
        assert!(sbx.wait().unwrap().success() && line == "ready\n");
        assert!(seen.iter().any(|name| name.contains("slirp4netns")), "{seen:?}");
        let plan = place.run(&[&["plan", "--verbose"], &flags[1..], &[port, "--", "true"]].concat());
        let says = if low { "no capability but CAP_NET_BIND_SERVICE" } else { "no capability, " };
        assert!(plan.ok().split_whitespace().collect::<Vec<_>>().join(" ").contains(says));
    }
}
