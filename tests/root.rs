//! What has to be true if root is the caller.

mod common;

use common::{Place, root, userns};

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
