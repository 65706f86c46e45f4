//! Ids inside, and programs that change ids or give up privileges.

mod common;

use common::{Need, Place, not_root, sbx, tools, userns};
use std::process::Command;

/// The user has ranges in /etc/subuid and /etc/subgid.
fn subids() -> Need {
    let user = std::env::var("USER").unwrap_or_default();
    // SAFETY: it takes no argument and cannot fail.
    let uid = unsafe { libc::getuid() }.to_string();
    let named = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| line.split(':').next()).any(|name| name == user || name == uid)
    };
    let both = uid == "0" || named("/etc/subuid") && named("/etc/subgid");
    Need::new("subids", both, "the user has no ranges in /etc/subuid and /etc/subgid")
}

/// Tries to take another id and to give a file to another, and prints the errors.
const CHANGES: &str = r#"
import errno, os
open("file", "w").close()
uid, gid = os.getuid(), os.getgid()
def tried(call, *arguments):
    try: call(*arguments)
    except OSError as error: return errno.errorcode[error.errno]
    return "done"
other = 33
print(tried(os.chown, "file", other, -1), tried(os.chown, "file", -1, other), tried(os.lchown, "file", other, other),
      tried(os.setuid, other), tried(os.setgid, other), tried(os.setresuid, other, other, other))
print(tried(os.chown, "file", uid, gid), tried(os.setuid, uid), tried(os.setgid, gid), tried(os.chown, "none", other, -1))
"#;

#[test]
fn other_ids_are_those_of_a_bare_run_with_subordinate_ids() {
    need!(userns(), subids(), tools(&["python3", "newuidmap"]));
    let place = Place::new();
    let run = |user: &str| place.run(&["--rw", ".", "--user", user, "--", "python3", "-c", CHANGES]).ok();
    let bare = "EPERM EPERM EPERM EPERM EPERM EPERM\ndone done done ENOENT\n";
    assert_eq!(run("keep-id"), bare);
    assert_eq!(run("range"), bare);
    assert_eq!(run("self").lines().next(), Some("EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL"), "one id is mapped");
}

#[test]
fn the_callers_own_ids_are_kept_and_other_users_are_there() {
    need!(userns(), subids(), tools(&["newuidmap"]));
    let place = Place::new();
    let own = "echo $(id -u) $(id -g) $HOME $XDG_RUNTIME_DIR";
    let script = format!("{own}; test -O . && test -G . && : > made && stat -c '%u %g' made; stat -c '%u %g' /etc");
    let outside = std::process::Command::new("id").args(["-u"]).output().unwrap().stdout;
    let ran = place.sh(&["--rw", ".", "--user", "keep-id"], &script).ok();
    let uid = String::from_utf8(outside).unwrap().trim().to_owned();
    assert!(ran.starts_with(&format!("{uid} ")) && ran.contains(&format!("/run/user/{uid}\n")), "{ran}");
    let made: Vec<_> = ran.lines().nth(1).unwrap().split(' ').collect();
    assert_eq!(made[0], uid, "{ran}");
    // Upper layers are of the ids that they were made with.
    let overlay = ["--overlay", ".", "--upper", "keep:one", "--user"];
    place.sh(&[&overlay[..], &["keep-id"]].concat(), "touch more").ok();
    place.sh(&[&overlay[..], &["keep-id"]].concat(), "test -O more").ok();
    let error = place.sh(&[&overlay[..], &["range"]].concat(), "true").failed(125);
    assert!(error.contains("with other ids") && error.contains("(--user keep-id)"), "{error}");
    let ids = place.sh(&["--user", "keep-id"], "cat /proc/self/uid_map /proc/self/setgroups; id -G | wc -w").ok();
    assert!(ids.contains("allow\n1\n"), "supplementary groups are given up: {ids}");
}

/// What dh_fixperms(1) and dpkg-deb(1) of a package's build, tar(1) and setfacl(1) do.
#[test]
fn a_package_is_built_under_fakeroot_with_subordinate_ids() {
    need!(userns(), subids(), tools(&["newuidmap", "fakeroot", "tar", "dpkg-deb", "setfacl"]));
    let place = Place::new();
    place.write(
        "work/tree/DEBIAN/control",
        "Package: t\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: t\n",
    );
    place.write("work/tree/usr/bin/tool", "#!/bin/sh\n");
    let script = "set -e
        fakeroot sh -c 'find tree -print0 | xargs -0r chown --no-dereference 0:0; chown 33:33 tree/usr/bin/tool
                        dpkg-deb --build tree t.deb >/dev/null'
        dpkg-deb -c t.deb | grep -c 'root/root.*usr/bin/$\\|www-data/www-data.*tool'
        mkdir out
        tar --owner=33 --group=0 --numeric-owner -cf t.tar -C tree usr
        fakeroot sh -c 'tar -xf t.tar -C out && stat -c %u:%g out/usr/bin/tool'
        setfacl -m u:33:r tree/usr/bin/tool && getfacl -cn tree/usr/bin/tool | grep user:33";
    for profile in ["default", "ci"] {
        let ran = place.sh(&["-q", "--profile", profile, "--rw", ".", "--user", "keep-id"], script);
        assert_eq!(ran.ok(), "2\n33:0\nuser:33:r--\n", "{profile}");
        place.sh(&["--profile", profile, "--rw", "."], "rm -r out t.deb t.tar").ok();
    }
    let one = place.sh(&["--rw", "."], script);
    assert!(one.status != Some(0) && one.err.contains("Invalid argument"), "without them: {one:#?}");
}

/// Sets the flag that keeps capabilities when ids change, as programs do that give up root, and looks what it kept.
const KEEPS: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
SET_KEEPCAPS, GET_SECUREBITS, SET_SECUREBITS, CAPBSET_READ, CAP_AMBIENT = 8, 27, 28, 23, 47
def sets(): return {line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")}
assert libc.prctl(SET_KEEPCAPS, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
uid, gid = os.getuid(), os.getgid()
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)
print(sets(), hex(libc.prctl(GET_SECUREBITS, 0, 0, 0, 0) & ~0x30))
for bits in (0, 1 << 4, 1 << 5): print(libc.prctl(SET_SECUREBITS, bits, 0, 0, 0), end=" ", flush=True)
for capability in range(64): assert libc.prctl(CAP_AMBIENT, 2, capability, 0, 0) != 0
os.execv("/bin/sh", ["sh", "-c", "grep -hc 'Cap.*0000000000000000' /proc/self/status"])
"#;

#[test]
fn programs_that_give_up_root_may_ask_to_keep_capabilities_and_keep_none() {
    need!(userns(), tools(&["python3", "setpriv"]));
    let place = Place::new();
    // NOROOT and its lock, the lock of NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE and its lock.
    let expected = "{'0000000000000000'} 0xcb\n-1 -1 -1 5\n";
    for user in ["self", "root", "1234:1234"] {
        assert_eq!(place.run(&["--user", user, "--", "python3", "-c", KEEPS]).ok(), expected, "{user}");
        place.run(&["--user", user, "--", "setpriv", "--bounding-set", "-all", "true"]).ok();
    }
}

/// ping(8) gives up what it does not need before it opens its socket. Whether it may open one is the host's setting
/// (net.ipv4.ping_group_range).
#[test]
fn ping_does_not_stop_at_its_own_privileges() {
    need!(userns(), tools(&["ping"]));
    let place = Place::new();
    for flags in [&["--net", "host"][..], &["--user", "root"], &[]] {
        let ran = place.run(&[flags, &["--", "ping", "-c1", "-W1", "127.0.0.1"]].concat());
        assert!(!ran.err.contains("prctl"), "{flags:?}: {ran:#?}");
    }
}

#[test]
fn programs_that_write_id_maps_and_get_no_rights_are_told_with_the_cause() {
    need!(userns(), not_root(), subids(), tools(&["setpriv", "newuidmap"]));
    let place = Place::new();
    let run = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.arg("--no-new-privs").arg(sbx()).args(args);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", place.home()).current_dir(place.work());
        common::ran(command.output().unwrap())
    };
    for user in ["range", "keep-id"] {
        let ran = run(&["--user", user, "--", "true"]);
        assert_eq!(ran.status, Some(125), "{ran:#?}");
        assert!(ran.err.contains("sbx was started with no_new_privs"), "{ran:#?}");
        assert!(!ran.err.contains("/etc/subuid must allow"), "{ran:#?}");
    }
    assert_eq!(run(&["--", "true"]).status, Some(0), "a plain start needs no rights");
    let check = run(&["check"]);
    assert!(check.out.contains("sbx was started with no_new_privs"), "{check:#?}");
    let profile = place.write("range.toml", "schema = 1\nextends = [\"default\"]\n[process]\nuser = \"range\"\n");
    let check = run(&["check", "--profile", profile.to_str().unwrap()]);
    assert!(check.status == Some(1) && check.out.contains("sbx was started with no_new_privs"), "{check:#?}");
}
