//! Hosts that are not laid out as a fresh Debian is: what the shipped profiles show there, and that they start.

mod common;

use common::network::programs;
use common::{Host, Need, Place, not_root, tools, tun, userns};
use std::os::unix::fs::{PermissionsExt, symlink};

const PROFILES: [&str; 5] = ["default", "ci", "shell", "viewer", "browser"];

#[test]
fn a_top_level_directory_that_is_no_part_of_the_system_is_not_shown() {
    need!(userns(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    let host = Host::new(
        &place,
        "mkdir -p data/mine backup usr/../scratch; echo secret > data/mine/file; chmod 600 data/mine/file; echo secret > image; \
         mkfifo pipe; ln -s data/mine shortcut; ln -s usr/share kept",
    );
    for profile in PROFILES {
        let out = host.sh(&["-q", "--profile", profile], "cat /data/mine/file /shortcut/file /image; ls -d /*");
        assert!(!out.out.contains("secret"), "{profile}: {out:?}");
        for name in ["data", "backup", "scratch", "image", "pipe", "shortcut"] {
            assert!(!out.out.contains(&format!("/{name}\n")), "{profile}: {name}: {out:?}");
        }
        assert!(out.out.contains("/usr\n") && out.out.contains("/kept\n"), "{profile}: {out:?}");
    }
    // Named, it is shown; so is the whole tree.
    assert_eq!(host.sh(&["--ro", "/data"], "cat /data/mine/file").ok(), "secret\n");
    assert_eq!(host.sh(&["--ro", "/"], "cat /data/mine/file").ok(), "secret\n");
}

#[test]
fn what_is_private_stays_so_where_links_lead_it_into_the_system() {
    need!(userns(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    // As in image-based systems: /var is where all data lies.
    let host = Host::new(
        &place,
        "mount -t tmpfs none var; mkdir -p var/home/other var/mnt/disk var/srv/site var/lib/x; \
         echo secret | tee var/home/other/file var/mnt/disk/file var/srv/site/file > /dev/null; echo fine > var/lib/x/file; \
         for name in home mnt srv; do ln -s var/$name $name; done",
    );
    for profile in PROFILES {
        let out = host.sh(&["-q", "--profile", profile], "cat /var/*/*/file /home/*/file /mnt/*/file");
        assert_eq!(out.out, "fine\n", "{profile}: {out:?}");
    }
    assert_eq!(host.sh(&["--ro", "/mnt/disk"], "cat /mnt/disk/file").ok(), "secret\n");
    let home = host.env("HOME", "/home/me");
    assert_eq!(home.sh(&[], "echo mine > ~/file && cat /var/home/me/file; ls /home").ok(), "mine\nme\n");
}

#[test]
fn a_directory_of_the_system_is_shown_where_its_link_leads() {
    need!(userns(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    let host = Host::new(
        &place,
        "mkdir -p data/opt/tool data/other disk; echo fine > data/opt/tool/file; echo secret > data/other/file; ln -s data/opt opt",
    )
    .without("opt");
    for profile in PROFILES {
        let out = host.sh(&["-q", "--profile", profile], "cat /opt/tool/file /data/other/file; touch /opt/x; ls /data");
        assert_eq!(out.out, "fine\nopt\n", "{profile}: {out:?}");
    }
    // Not if that is a home: what lies in homes is not the system.
    let host = host.env("HOME", "/data");
    assert_eq!(host.sh(&["-q"], "cat /opt/tool/file; echo done").out, "done\n");
}

/// The line of an account with the caller's own id, or with another.
fn account(name: &str, id: Option<u32>, home: &str) -> String {
    // SAFETY: it takes no argument and cannot fail.
    let own = unsafe { libc::getuid() };
    let id = id.unwrap_or(own);
    format!("{name}:x:{id}:{id}::{home}:/bin/sh\n")
}

/// Setup that gives a host these accounts, beside root's.
fn accounts(place: &Place, lines: &[String]) -> String {
    let text = format!("root:x:0:0::/root:/bin/sh\n{}", lines.concat());
    format!("mount --bind {} etc/passwd; ", place.write("passwd", &text).display())
}

#[test]
fn every_home_of_the_account_is_one_whatever_the_variable_says() {
    need!(userns(), not_root(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    let setup = accounts(
        &place,
        &[
            account("me", None, "/home/me"),
            account("also", None, "/opt/also"),
            account("other", Some(4242), "/home/other"),
        ],
    ) + "mount -t tmpfs none opt; mkdir -p home data/me/.ssh opt/also/.ssh; ln -s ../data/me home; \
         for home in data/me opt/also; do echo secret > $home/.ssh/id; echo rc > $home/.bashrc; done";
    let host = |home: &str, work: &str| Host::new(&place, &setup).env("HOME", home).work(work);
    let script = "for profile in $PROFILES; do echo \"$profile:\"; $SBX -q --profile $profile -- /bin/sh -c \
                  'cat .ssh/id /home/me/.ssh/id /data/me/.ssh/id /opt/also/.ssh/id; echo more >> .bashrc'; \
                  cat /data/me/.bashrc /opt/also/.bashrc; done";
    let expected: String = PROFILES.map(|profile| format!("{profile}:\nrc\nrc\n")).concat();
    for home in ["/tmp/elsewhere", "/home/me", "/data/me", "/data/me/../me/"] {
        for work in ["/home/me", "/data/me", "/opt/also", "/data", "/opt"] {
            let out = host(home, work).env("PROFILES", &PROFILES.join(" ")).script(script);
            assert_eq!(out.out, expected, "{home} {work}: {out:?}");
        }
    }
    // What is not a home is shown, but for what the profile closes in every home.
    let more = format!("{setup}; mkdir data/me/proj; echo fine > data/me/proj/file");
    let host = |work: &str| Host::new(&place, &more).env("HOME", "/tmp/elsewhere").work(work);
    assert_eq!(host("/data/me/proj").sh(&["-q"], "cat file").ok(), "fine\n");
    let out = host("/data/me/.ssh").sh(&[], "cat id; echo done");
    assert!(out.out == "done\n" && out.err.contains("cannot be read, as [assert] of the profile says"), "{out:?}");
}

#[test]
fn a_current_directory_that_holds_other_programs_temporary_files_is_not_shown() {
    need!(userns(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    let setup = "mount -t tmpfs -o mode=1777 none tmp; mount -t tmpfs -o mode=1777 none var/tmp; mkdir -p data/tmp scratch/me; \
                 chmod 1777 scratch; for dir in tmp var/tmp data/tmp scratch; do echo secret > $dir/file; done; \
                 mkdir tmp/own; echo shown > tmp/own/file; echo shown > scratch/me/file; chmod 777 scratch/me";
    let host = |work: &str| Host::new(&place, setup).env("HOME", "/home/me").env("TMPDIR", "/data/tmp").work(work);
    for work in ["/tmp", "/var/tmp", "/data/tmp", "/scratch"] {
        for profile in PROFILES {
            let out = host(work).sh(&["--profile", profile], "cat file /scratch/file; echo x > file; echo done");
            assert!(out.out.ends_with("done\n") && !out.out.contains("secret"), "{work} {profile}: {out:?}");
            let note = format!("{work} holds temporary files of other programs and is not shown inside");
            assert!(profile == "browser" || out.err.contains(&note), "{work} {profile}: {out:?}");
        }
        // Named, it is shown.
        assert_eq!(host(work).sh(&["-q", "--ro", "."], "cat file").ok(), "secret\n", "{work}");
    }
    for work in ["/tmp/own", "/scratch/me"] {
        assert_eq!(host(work).sh(&[], "cat file").ok(), "shown\n", "{work}");
    }
}

#[test]
fn a_well_known_directory_that_is_too_wide_is_not_shown() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let setup = "mount -t tmpfs -o mode=1777 none tmp; echo secret > tmp/file";
    for (dir, why) in [("/tmp", "temporary files"), ("$HOME/..", "holds `..`"), ("/run", "private inside")] {
        let text = format!("XDG_DOWNLOAD_DIR=\"{dir}\"\n");
        let config = place.write("config/user-dirs.dirs", &text).parent().unwrap().display().to_string();
        // The test's files lie in /tmp, which the host has another of.
        let setup = format!("mkdir cfg; mount --bind {config} cfg; {setup}");
        let host = Host::new(&place, &setup).env("HOME", "/home/me").env("XDG_CONFIG_HOME", "/cfg").work("/opt");
        let out = host.sh(&["--profile", "viewer"], "cat /tmp/file; echo done");
        assert!(!out.out.contains("secret") && out.err.contains(why), "{dir}: {out:?}");
    }
}

#[test]
fn helpers_are_roots_whatever_path_says() {
    let ranges = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    // SAFETY: it takes no argument and cannot fail.
    let named = ranges.lines().any(|line| line.starts_with("sbx-test:")) && unsafe { libc::getuid() } != 0;
    need!(
        userns(),
        not_root(),
        tools(&["newuidmap", "xdg-dbus-proxy", "dbus-daemon"]),
        Need::new("subids", named, "no ranges")
    );
    let place = Place::new();
    let bin = place.dir.path().join("work/venv/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(place.work().join("deeper")).unwrap();
    for name in ["newuidmap", "newgidmap", "xdg-dbus-proxy"] {
        let text = format!("#!/bin/sh\ntouch {}/ran\nexec /usr/bin/{name} \"$@\"\n", place.work().display());
        let file = place.write(&format!("work/venv/bin/{name}"), &text);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink(&bin, place.dir.path().join("link")).unwrap();
    let bus = place.dir.path().join("bus");
    let _daemon = common::bus::bus(&[&format!("--address=unix:path={}", bus.display())]);
    for path in [bin.clone(), place.dir.path().join("link")] {
        for flags in [&["--user", "range"][..], &["--set", "dbus.session.policy=filter"]] {
            let mut command = place.command();
            command.env("PATH", format!("{}:/usr/bin:/bin", path.display())).current_dir(place.work().join("deeper"));
            command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()));
            common::ran(command.args(flags).args(["--", "true"]).output().unwrap()).ok();
            assert!(!place.work().join("ran").exists(), "{} {flags:?}", path.display());
        }
    }
    // Where the system has none, the error says why that in PATH is not taken.
    let setup = "for name in newuidmap newgidmap; do mount --bind /dev/null usr/bin/$name; done; mkdir home; \
                 cp -r $WORK/venv home";
    let host = Host::new(&place, setup).env("PATH", "/home/venv/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    let error = host.run(&["--user", "range", "--", "true"]).failed(125);
    assert!(error.contains("/home/venv/bin/newuidmap is not used: "), "{error}");
}

/// Runs sbx from a shell that has set limits.
fn limited(place: &Place, limits: &str, args: &str) -> common::Ran {
    let mut command = std::process::Command::new("/bin/bash");
    let script = format!("{limits}; exec {} {args}", common::sbx().display());
    command.args(["-c", &script]).current_dir(place.work()).env_clear().env("HOME", place.home());
    common::ran(command.env("PATH", "/usr/bin:/bin").output().unwrap())
}

#[test]
fn limits_that_are_stricter_already_are_kept() {
    need!(userns());
    let place = Place::new();
    for profile in PROFILES {
        let ran =
            limited(&place, "ulimit -c 0", &format!("-q --profile {profile} -- /bin/bash -c 'ulimit -c; ulimit -Hc'"));
        assert_eq!(ran.ok(), "0\n0\n", "{profile}");
        let check = limited(&place, "ulimit -c 0", &format!("check --profile {profile}"));
        assert_eq!(check.status, Some(0), "{profile}: {check:?}");
    }
    let lower =
        |set: &str, script: &str| limited(&place, "ulimit -n 512", &format!("--set {set} -- /bin/bash -c '{script}'"));
    let ran = lower("rlimits.nofile=4096", "ulimit -n");
    assert!(ran.err.contains("rlimits.nofile is 512") && ran.out == "512\n", "{ran:?}");
    let ran = lower("rlimits.nofile=100:4096", "ulimit -n; ulimit -Hn");
    assert!(ran.err.is_empty() && ran.out == "100\n512\n", "{ran:?}");
    let ran = lower("rlimits.nofile=unlimited", "ulimit -n");
    assert!(ran.err.contains("rlimits.nofile is 512") && ran.out == "512\n", "{ran:?}");
    // Whether dumps go to a handler, which a limit of 0 does not keep them from, is the host's setting.
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let ran = limited(&place, "ulimit -c 0", "-- true");
    assert_eq!(ran.err.contains("core dumps reach"), pattern.starts_with(['|', '@']), "{ran:?}");
    // A socket receives them whatever the limit is.
    let ran = limited(&place, "", "-- true");
    assert_eq!(ran.err.contains("core dumps reach"), pattern.starts_with('@'), "{ran:?}");
}

#[test]
fn a_limit_that_is_too_low_for_the_set_up_is_said() {
    need!(userns());
    let place = Place::new();
    // /etc/passwd inside has more than a kilobyte on every host that has the usual accounts.
    let ran = limited(&place, "ulimit -f 0", "-- true");
    assert!(ran.status == Some(125) && ran.err.contains("ulimit -f"), "{ran:?}");
    let noisy = format!("2>{}/log -- true", place.work().display());
    assert_eq!(limited(&place, "ulimit -f 0", &noisy).status, Some(125));
    // The program has the signal's default action.
    let ran = limited(&place, "ulimit -f 100", "--rw . -- /bin/sh -c 'head -c 200000 /dev/zero > file; kill -l $?'");
    assert_eq!(ran.out, "XFSZ\n", "{ran:?}");
    for limits in ["ulimit -n 5", "ulimit -n 8"] {
        let ran = limited(&place, limits, "-- true");
        assert!(ran.status == Some(125) && ran.err.contains("ulimit -S -n"), "{limits}: {ran:?}");
    }
}

#[test]
fn the_hosts_names_are_there_with_its_network_wherever_their_files_lie() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let hosts = place.write("hosts", "127.0.0.1 localhost\n192.0.2.7 printer\n").display().to_string();
    let (etc, names) = (place.dir.path().join("etc"), "mnt/wsl/resolv.conf");
    std::fs::create_dir(&etc).unwrap();
    // As on WSL: /etc/resolv.conf leads into /mnt, which no profile shows.
    let setup = format!(
        "mkdir -p mnt/wsl; echo nameserver 192.0.2.1 > {names}; echo secret > mnt/wsl/other; \
         cp -r etc/passwd etc/group etc/alternatives etc/ld.so.* {0}; cp {hosts} {0}/hosts; ln -sf /{names} {0}/resolv.conf; \
         mount --bind {0} etc",
        etc.display()
    );
    let script = "cat /etc/resolv.conf; grep printer /etc/hosts; grep -c sandbox /etc/hosts; ls /mnt/wsl";
    let out = Host::new(&place, &setup).sh(&["-q", "--net", "host"], script);
    assert_eq!(out.out, "nameserver 192.0.2.1\n192.0.2.7 printer\n1\nresolv.conf\n", "{out:?}");
    let out = Host::new(&place, &setup).sh(&["-q"], "grep printer /etc/hosts; cat /mnt/wsl/other; echo done");
    assert_eq!(out.out, "done\n", "{out:?}");
}

#[test]
fn a_profile_of_one_line_starts_whatever_lies_at_the_top() {
    need!(userns(), tools(&["unshare", "python3"]));
    let place = Place::new();
    place.write("one.toml", "schema = 1\n");
    let setup = "echo x > .dockerenv; echo x > image; mkfifo pipe; ln -s image link; ln -s nowhere dangling; ln -s loop loop; \
                 python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'";
    let profile = place.dir.path().join("one.toml").display().to_string();
    let host = Host::new(&place, setup);
    assert_eq!(host.sh(&["--profile", &profile], "echo fine").ok(), "fine\n");
    for path in ["/.dockerenv", "/image", "/pipe", "/socket"] {
        assert_eq!(
            host.sh(&["-q", "--profile", &profile, "--ro", path], &format!("test -e {path} && echo fine")).ok(),
            "fine\n"
        );
    }
    assert_eq!(host.sh(&["-q", "--profile", &profile, "--ro", "/"], "cat /.dockerenv").ok(), "x\n");
}

/// A host on which the caller's account has this home. The directories of the system are the real host's: root would make a home of its
/// own there and leave it.
fn service<'p>(place: &'p Place, home: &str, setup: &str) -> Host<'p> {
    let setup = accounts(place, &[account("service", None, home)]) + setup;
    Host::new(place, &setup).env("HOME", home).work("/opt")
}

#[test]
fn a_service_account_whose_home_is_not_there_has_none() {
    need!(userns(), not_root(), tools(&["unshare"]));
    let place = Place::new();
    for home in ["/var/none", "/opt/none/deep", "/usr/none/deep", "/usr/local/none", "/var/lib/none", "/etc/none/deep"]
    {
        let script = "echo $HOME; test -e ~ || echo none; echo x > /tmp/file && cat /tmp/file";
        for profile in ["default", "ci", "shell", "viewer"] {
            let host = service(&place, home, "");
            let out = host.sh(&["--profile", profile], script);
            assert!(out.status == Some(0) && out.out == format!("{home}\nnone\nx\n"), "{home} {profile}: {out:?}");
            if !home.starts_with("/etc") {
                assert!(out.err.contains(&format!("there is no {home} inside")), "{home} {profile}: {out:?}");
            }
        }
    }
    // One that is there is empty and private; so is one that can be made.
    for (home, setup) in
        [("/var/there", "mount -t tmpfs none var; mkdir -p var/there; echo x > var/there/secret"), ("/none", "")]
    {
        let host = service(&place, home, setup);
        let out = host.sh(&[], "cat ~/secret; echo mine > ~/file; cat ~/file");
        assert!(out.out == "mine\n" && !out.err.contains("no home"), "{home}: {out:?}");
    }
    let hidden = service(&place, "/srv/there", "mkdir -p srv/there").sh(&[], "ls /srv; echo done");
    assert!(hidden.out == "done\n" && hidden.err.contains("there is no /srv/there inside"), "{hidden:?}");
    // A profile that wants a file there says so.
    let out = service(&place, "/var/none", "").run(&["--rw", "~/data", "--", "true"]);
    assert!(out.status == Some(125) && out.err.contains("/var/none/data: there is no such file"), "{out:?}");
}

#[test]
fn a_service_account_whose_home_is_a_directory_of_the_system_sees_the_system() {
    need!(userns(), not_root(), tools(&["unshare"]));
    let place = Place::new();
    for home in ["/bin", "/usr/sbin", "/usr/games", "/dev", "/usr", "/etc", "/var", "/run", "/proc"] {
        let out = service(&place, home, "").sh(
            &[],
            "ls /usr/bin/env /etc/passwd /dev/null; test -w ~ && ! test -d /run -a ~ = /run && echo x > ~/x; echo done",
        );
        assert!(
            out.status == Some(0) && out.out.ends_with("/dev/null\n/etc/passwd\n/usr/bin/env\ndone\n"),
            "{home}: {out:?}"
        );
        assert!(out.err.contains(&format!("{home} belongs to the system and is no private home")), "{home}: {out:?}");
    }
    let out = service(&place, "/bin", "").env("HOME", "/tmp").sh(&[], "echo mine > ~/file; cat ~/file");
    assert!(out.out == "mine\n" && !out.err.contains("home"), "{out:?}");
}

#[test]
fn a_current_directory_below_a_closed_one_is_left_out_with_a_note() {
    need!(userns(), tools(&["unshare"]), not_root());
    let place = Place::new();
    let setup = "mkdir -p closed/work; echo x > closed/work/file";
    for profile in ["default", "ci", "shell", "viewer"] {
        let host = Host::new(&place, setup).env("HOME", "/home/me").work("/closed/work");
        // The setup's root may enter it, and the user that sbx runs as may not search it any more.
        let script = format!(
            "chmod 0 /closed; $SBX --no-project --profile {profile} -- /bin/sh -c 'pwd; ls /closed; echo done'"
        );
        let out = host.script(&script);
        assert!(out.status == Some(0) && out.out == "/home/me\ndone\n", "{profile}: {out:?}");
        let note = "/closed/work lies in a directory that this user may not search and is not shown inside";
        assert!(profile == "viewer" || out.err.contains(note), "{profile}: {out:?}");
    }
    let host = Host::new(&place, setup).env("HOME", "/home/me").work("/closed/work");
    let out = host.script("chmod 0 /closed; $SBX --no-project --ro . -- /bin/true");
    assert!(out.status == Some(125) && out.err.contains("permission denied (EACCES)"), "{out:?}");
}

/// A root whose programs lie in a store, with nothing in the usual places but a shell and `env`.
fn store(store: &str, system: &str, programs: &str) -> String {
    format!(
        "mkdir -p {store}/abc-system/{programs} usr/bin bin lib lib64 usr/lib run; \
         mount --bind $OLD/usr/bin {store}/abc-system/{programs}; mount --rbind $OLD/usr/lib usr/lib; \
         mount --rbind $OLD/lib lib; [ ! -e $OLD/lib64 ] || mount --rbind $OLD/lib64 lib64; \
         ln -s /{store}/abc-system/{programs}/sh bin/sh; ln -s /{store}/abc-system/{programs}/env usr/bin/env; \
         mount -t tmpfs none run; ln -s {system} run/current-system; "
    )
}

#[test]
fn the_programs_of_nixos_and_guix_are_found() {
    need!(userns(), tools(&["unshare"]));
    let place = Place::new();
    let systems = [
        (
            "nix/store",
            "/nix/store/abc-system",
            "sw/bin",
            "mkdir -p nix/var/nix/daemon-socket; ln -s /nix/store/abc-system run/opengl-driver; ",
        ),
        (
            "gnu/store",
            "/var/guix/profiles/system",
            "profile/bin",
            "mount -t tmpfs none var; mkdir -p var/guix/profiles; ln -s system-1-link var/guix/profiles/system; \
             ln -s /gnu/store/abc-system var/guix/profiles/system-1-link; ",
        ),
    ];
    for (dir, system, programs, more) in systems {
        let setup = store(dir, system, programs) + more + "echo secret > run/secret; ln -s /home run/elsewhere; ";
        let host = ["usr", "bin", "sbin", "lib", "lib64"]
            .iter()
            .fold(Host::new(&place, &setup), |host, name| host.without(name));
        let path = format!("/usr/bin:/bin:/usr/sbin:/sbin:/{dir}/abc-system/{programs}");
        let host = host.env("LOCALE_ARCHIVE", "/x").env("PATH", &path).work("/opt");
        for profile in PROFILES {
            let script =
                "readlink /run/current-system; echo $LOCALE_ARCHIVE; cat /run/secret; ls -A /run | grep -v user";
            // The programs that carry packets are root's own on such a host, and the test's here.
            let out = host.run(&["-q", "--profile", profile, "--net", "none", "--", "sh", "-c", script]);
            let drivers = if dir.starts_with("nix") { "opengl-driver\n" } else { "" };
            assert_eq!(out.out, format!("{system}\n/x\ncurrent-system\n{drivers}"), "{dir} {profile}: {out:?}");
        }
        let out = host.run(&["--", "no-such-program"]);
        assert!(out.status == Some(127) && out.err.contains("/run/current-system/"), "{out:?}");
        assert_eq!(host.run(&["check"]).status, Some(0));
    }
}

#[test]
fn layouts_of_other_distributions_run_the_shipped_profiles() {
    need!(userns(), tun(), programs(), tools(&["unshare"]));
    let place = Place::new();
    let layouts = [
        // Alpine before 3.22, Slackware: /bin is no part of /usr, and its programs are links to one file.
        (
            "unmerged",
            "bin sbin",
            "mkdir bin sbin; cp $OLD/bin/sh bin/box; ln -s /bin/box bin/sh; ln -s /bin/box sbin/init; ",
        ),
        // Arch, Fedora 42: one directory of programs.
        ("one", "bin sbin lib64", "ln -s usr/bin bin; ln -s usr/bin sbin; ln -s usr/lib64 lib64; "),
        // Image-based Fedora, openSUSE MicroOS: /usr from an image, homes and optional programs in /var.
        (
            "image",
            "opt",
            "mount -t tmpfs none var; mkdir -p var/opt/tool var/home/other var/roothome var/usrlocal sysroot ostree .snapshots/1; \
             ln -s var/opt opt; ln -s var/home home; ln -s var/roothome root; ln -s sysroot/ostree ostree; \
             echo secret | tee var/home/other/file var/roothome/file sysroot/file .snapshots/1/file > /dev/null; echo fine > var/opt/tool/file; ",
        ),
        // Gentoo, Debian with foreign architectures: a lib32 that is a directory.
        ("lib32", "lib32", "mkdir lib32; echo fine > lib32/file; "),
    ];
    for (name, left_out, setup) in layouts {
        let host = left_out.split(' ').fold(Host::new(&place, setup), |host, name| host.without(name));
        let host = host.env("HOME", "/home/me").work("/etc");
        for profile in PROFILES {
            let script = "cat /opt/tool/file /lib32/file /home/other/file /root/file /sysroot/file /.snapshots/1/file /var/home/other/file; \
                          ls / > /tmp/x && echo done";
            let out = host.run(&["-q", "--profile", profile, "--", "sh", "-c", script]);
            let fine = if matches!(name, "image" | "lib32") { "fine\n" } else { "" };
            assert_eq!(out.out, format!("{fine}done\n"), "{name} {profile}: {out:?}");
        }
    }
}

/// The absolute paths in a trace of system calls, each with its call.
fn touched(trace: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in trace.lines() {
        let call = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        // A link's text is not looked up by the call that reads or makes it.
        let named = line.split('"').skip(1).step_by(2).take(if call.starts_with("execve") { 1 } else { 2 });
        found.extend(named.filter(|name| name.starts_with('/')).map(|name| (call.clone(), name.to_owned())));
    }
    found
}

#[test]
fn a_start_looks_at_nobody_elses_home_and_at_nothing_beside_the_system_and_the_profiles_paths() {
    need!(userns(), not_root(), tun(), programs(), tools(&["unshare", "strace"]));
    let place = Place::new();
    // Nothing of these is shown, so that nothing has to be known of them: they may be on a server that does not answer.
    let elsewhere =
        ["/home/eve", "/data/homes/bob", "/mnt/nfs/carol", "/srv/dan", "/net/ivy", "/root/kim", "/home/x/deep"];
    // These lie in what is shown, and have to be covered.
    let inside = ["/opt/frank", "/usr/local/gina"];
    let homes: Vec<_> = elsewhere.iter().chain(&inside).enumerate().collect();
    let lines: Vec<_> =
        homes.iter().map(|(at, home)| account(&format!("other{at}"), Some(4000 + *at as u32), home)).collect();
    let mut all = vec![account("me", None, "/home/me")];
    all.extend(lines);
    let trace = place.dir.path().join("trace");
    std::fs::write(&trace, "").unwrap();
    let setup = accounts(&place, &all)
        + &format!(
            "mount -t tmpfs none opt; mkdir -p home/me home/eve/.ssh home/x data/homes/bob mnt/nfs/carol srv/dan net/ivy opt/frank \
             work scratch; touch out; mount --bind {} out; ",
            trace.display()
        );
    let host = Host::new(&place, &setup).env("HOME", "/home/me").work("/work");
    for profile in PROFILES {
        let script = format!(
            "strace -qq -f -e trace=%file,open_tree,openat2,faccessat2,getdents64,move_mount -o /out $SBX -q --profile {profile} -- /bin/true"
        );
        let out = host.script(&script);
        assert_eq!(out.status, Some(0), "{profile}: {out:?}");
        let touched = touched(&std::fs::read_to_string(&trace).unwrap());
        assert!(touched.len() > 100, "{profile}: {touched:?}");
        let own = [
            "/",
            "/home",
            "/home/me",
            "/work",
            "/.sbx",
            "/boot",
            "/media",
            "/mnt",
            "/srv",
            "/run",
            "/sys",
            "/tmp",
            "/dev",
            "/root", // Whether a directory above is a repository, as git looks for one.
            "/.git",
            // A project's file in each directory from the current one up tightens.
            "/.sbx.toml",
        ];
        let below = [
            "/home/me/",
            "/work/",
            "/etc/",
            "/proc/",
            "/sys/",
            "/dev/",
            "/usr/",
            "/var/",
            "/tmp/.",
            "/run/",
            "/bin/",
            "/lib",
            "/sbin",
            "/opt",
            "/nix",
            "/usr",
            "/var",
            "/etc",
            "/proc",
            "/bin",
            "/gnu",
            "/snap",
        ];
        for (call, path) in &touched {
            let known = own.contains(&path.as_str()) || below.iter().any(|dir| path.starts_with(dir));
            assert!(known, "{profile}: {call} {path}");
            let others = elsewhere.iter().any(|home| path.starts_with(home));
            assert!(!others, "{profile}: {call} {path}");
            // That it is there is all that matters of a home that is covered.
            let covered = inside.iter().any(|home| path.starts_with(home));
            assert!(!covered || call.starts_with("statx("), "{profile}: {call} {path}");
        }
    }
    // A plan says what a start looks at.
    let plan = host.run(&["plan", "--verbose", "--", "true"]).ok();
    let said = plan.split("looked at").nth(1).unwrap_or_else(|| panic!("{plan}"));
    assert!(
        said.contains("/etc/passwd") && said.contains("/home (its names)") && said.contains("/opt/frank"),
        "{said}"
    );
    assert!(!elsewhere.iter().any(|home| said.contains(home)), "{said}");
}
