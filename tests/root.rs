//! What has to hold when root is the caller.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start programs and may panic"
)]

mod common;

use common::{Place, userns};

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

fn root() -> bool {
    // SAFETY: cannot fail.
    unsafe { libc::geteuid() == 0 }
}
