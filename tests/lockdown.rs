//! What a program may not do once it runs: capabilities, Landlock.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs and may panic"
)]

mod common;

use common::{Place, userns};

fn landlock() -> i32 {
    sbx::sys::landlock_version().unwrap_or(0)
}

const SETS: &str = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u";

#[test]
fn capabilities_are_those_of_the_profile_in_every_set_and_no_other() {
    need!(userns());
    let place = Place::new();
    assert_eq!(place.sh(&[], SETS).ok(), "0000000000000000\n");
    for user in ["self", "root"] {
        let flags = ["--user", user, "--set", "security.capabilities=[\"CAP_NET_RAW\",\"cap_kill\"]"];
        assert_eq!(place.sh(&flags, SETS).ok(), "0000000000002020\n", "{user}");
        // PID 1 needs none.
        let own = "grep -E '^Cap(Prm|Eff)' /proc/1/status | cut -f2 | sort -u";
        assert_eq!(place.sh(&flags, own).ok(), "0000000000000000\n", "{user}");
    }
    let wrong = place.sh(&["--set", "security.capabilities=[\"CAP_NET_RAWW\"]"], "true").failed(125);
    assert!(wrong.contains("did you mean `CAP_NET_RAW`?"), "{wrong}");
}

#[test]
fn what_is_held_has_no_power_over_the_view() {
    need!(userns());
    let place = Place::new();
    place.write("work/secret/key", "secret");
    let flags = [
        "--ro",
        ".",
        "--deny",
        "secret",
        "--set",
        "security.capabilities=[\"CAP_SYS_ADMIN\",\"CAP_SYS_RESOURCE\",\"CAP_DAC_OVERRIDE\"]",
    ];
    for user in ["self", "root"] {
        let tries = "umount -l secret && echo umount; mount -o remount,bind,rw . && echo rw; mount -t tmpfs t /mnt && echo tmpfs
            unshare -m umount -l secret && echo umount in a namespace; unshare -m sh -c 'umount -l secret; cat secret/key'
            unshare -U true && echo nested; echo 5 >/proc/sys/user/max_user_namespaces && echo limit
            cat secret/key && echo read; touch new && echo written; true";
        let ran = place.sh(&[&flags[..], &["--user", user]].concat(), tries);
        assert_eq!(ran.out, "", "{user}: {ran:#?}");
        assert_eq!(ran.status, Some(0));
    }
    let range = place.sh(&["--user", "range", "--set", "security.capabilities=[\"CAP_SYS_ADMIN\"]"], "true");
    assert!(range.status == Some(125), "{range:#?}");
}

#[test]
fn landlock_lets_everyday_work_be_done() {
    need!(userns());
    if landlock() < 2 {
        eprintln!("skipped: no Landlock from version 2 on");
        return;
    }
    let place = Place::new();
    let script =
        "set -e; cd /tmp; mkdir a b; echo x >a/f; mv a/f b/f; ln b/f a/g; : >b/f; rm -r a b; mkfifo p; ln -s p l
        cat /etc/passwd >/dev/null; ls / /proc /sys /dev >/dev/null; echo 1 >/proc/self/oom_score_adj || true
        echo out >/dev/stdout; echo err >/dev/stderr; echo null >/dev/null; head -c1 /dev/zero >/dev/null
        python3 -c 'import tempfile, os; f = tempfile.NamedTemporaryFile(); f.write(b\"x\"); os.sync()'
        cp /bin/true t; ./t; cd \"$HOME\"; echo h >h; (kill -0 $$); sh -c 'exit 0' & wait; echo done";
    let ran = place.sh(&["--set", "security.landlock=require"], script);
    assert!(ran.status == Some(0) && ran.out == "out\ndone\n", "{ran:#?}");
    // A file that is shown among directories, one that is missing, and none at all.
    place.write("work/file", "text");
    let flags = ["--set", "security.landlock=require", "--rw", "file", "--ro", "nowhere,optional"];
    assert_eq!(place.sh(&flags, "cat file; echo more >>file; cat file").ok(), "texttextmore\n");
    place.write("p.toml", "schema = 1\n[filesystem]\nroot = \"empty\"\n[security]\nlandlock = \"require\"\n[filesystem.paths]\n\"/usr\" = \"ro\"\n\"/lib\" = \"ro\"\n\"/lib64\" = \"ro,optional\"\n");
    let profile = place.dir.path().join("p.toml");
    let ran = place.run(&["--profile", profile.to_str().unwrap(), "--", "/usr/bin/ls", "/"]);
    assert!(ran.ok().contains("usr"));
}

#[test]
fn landlock_is_a_wall_of_its_own() {
    need!(userns());
    if landlock() < 2 {
        eprintln!("skipped: no Landlock from version 2 on");
        return;
    }
    let place = Place::new();
    // It forbids mounts, which nothing else does where namespaces may be nested.
    let mount = "unshare -Urm mount -t tmpfs t /tmp && echo mounted";
    let nested = ["--set", "namespaces.nested=allow"];
    assert_eq!(place.sh(&nested, mount).out, "mounted\n", "preferred, it gives way to what the profile allows");
    assert_eq!(place.sh(&[&nested[..], &["--set", "security.landlock=require"]].concat(), mount).out, "");
    if landlock() >= 6 {
        // A signal to a process outside, whose pid namespace is shared.
        let script = format!("kill -0 {} && echo reached", std::process::id());
        let shared = ["--share", "pid"];
        assert_eq!(place.sh(&shared, &script).out, "reached\n", "the profile shares them");
    }
}
