//! The lock-down: takes rights from PID 1 and the program, in the one order that works.

use super::changes;
use super::failure::{At, Failure};
use super::prepared::{Guard, Landlock, Prepared, Rule};
use super::report::{Call, Place};
use crate::sys;
use std::os::fd::{AsFd, OwnedFd};

/// Locks PID 1 down, and with it all processes of the sandbox, which inherit it. Only the filters of [`program`], which
/// PID 1 could not work under, are left out.
/// `ruleset` is that of [`ruleset`].
pub(super) fn process(prepared: &Prepared, ruleset: Option<OwnedFd>) -> Result<(), Failure> {
    let place = Place::Lockdown;
    // Otherwise the caller's session keyring is inherited. A keyring of its own is the second line of defence: the
    // seccomp filter refuses every call on keys. So it is no failure if the kernel has no keyrings, if an outer seccomp
    // filter refuses the call (and thereby the program's calls), or if the user's quota of keys, 200 by default, is
    // used up by other sandboxes.
    if prepared.lockdown.own_keyring {
        match sys::new_session_keyring() {
            Err(sys::Errno(libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM | libc::EDQUOT)) => {}
            other => other.at(place, Call::Keyctl)?,
        }
    }
    // While this process still has CAP_SETPCAP.
    if let Some(keep) = prepared.lockdown.capabilities.bounding {
        sys::shrink_bounding_set(keep).at(place, Call::CapBoundingSet)?;
    }
    if prepared.lockdown.capabilities.ambient == 0 {
        sys::clear_ambient().at(place, Call::CapAmbient)?;
    }
    // The second line of defence: with the bounding set empty, exec has no capabilities to give to root anyway.
    if prepared.lockdown.capabilities.powerless_root {
        sys::lock_securebits().at(place, Call::Securebits)?;
    }
    // Before any filter, which needs it, and before capabilities are dropped: from here on set-user-id bits have no
    // effect.
    if prepared.has(Guard::NoNewPrivs) {
        sys::set_no_new_privs().at(place, Call::NoNewPrivs)?;
    }
    // After all mounts, which Landlock forbids, and after no_new_privs, which it needs.
    if let (Some(wanted), Some(ruleset)) = (&prepared.lockdown.landlock, ruleset) {
        landlock(wanted, &ruleset, prepared)?;
    }
    for (index, filter) in prepared.lockdown.filters_for_all.iter().enumerate() {
        sys::load_filter(filter).at(Place::Filter(index as u32), Call::Seccomp)?;
    }
    let guard = guard(prepared)?;
    prepared.lockdown.tracer_barrier_caps.set(guard);
    match prepared.lockdown.capabilities.sets {
        Some(set) => sys::set_capability_sets(set, set | guard, set).at(place, Call::Capset),
        None => Ok(()),
    }
}

/// Candidates for [`guard`]: CAP_WAKE_ALARM and CAP_BLOCK_SUSPEND give no rights in a user namespace, and none that
/// matter to root.
const GUARDS: [u64; 2] = [1 << 35, 1 << 36];

/// A capability that PID 1 keeps and the program does not have, if processes outside may inspect PID 1; 0 for none. A
/// process without all capabilities of PID 1 may not trace it or read its memory (ptrace(2), "Ptrace access mode
/// checking"); the owner of the user namespace still may. Without it, the program could take control of PID 1, to which
/// the filters do not apply.
fn guard(prepared: &Prepared) -> Result<u64, Failure> {
    let (Some(held), true) = (prepared.lockdown.capabilities.sets, prepared.lockdown.visible) else { return Ok(0) };
    if !prepared.has(Guard::Undumpable) {
        return Ok(0);
    }
    let (_, permitted) = sys::capabilities().at(Place::Lockdown, Call::Capset)?;
    Ok(GUARDS.into_iter().find(|guard| permitted & !held & guard != 0).unwrap_or(0))
}

/// Sets whether other processes may inspect this one (the dumpable flag), while no other process shares its memory. If
/// the program could do so too, it remains off.
pub(super) fn show(prepared: &Prepared, on: bool) -> Result<(), Failure> {
    let guarded = prepared.lockdown.tracer_barrier_caps.get() != 0
        || prepared.lockdown.capabilities.sets.is_none_or(|held| held != 0);
    let on = !prepared.has(Guard::Undumpable) || on && prepared.lockdown.visible && guarded;
    sys::set_dumpable(on).at(Place::Lockdown, Call::Prctl)
}

/// The Landlock ruleset, without the rules for paths, if Landlock is used. The steps of the view add those for what they mount.
pub(super) fn ruleset(prepared: &Prepared) -> Result<Option<OwnedFd>, Failure> {
    let Some(wanted) = &prepared.lockdown.landlock else { return Ok(None) };
    let place = Place::Lockdown;
    let net = if wanted.tcp.is_some() { sys::NET_CONNECT_TCP } else { 0 };
    let ruleset = sys::landlock_ruleset(wanted.rights, net, wanted.scoped).at(place, Call::LandlockCreate)?;
    for port in wanted.tcp.iter().flatten() {
        sys::landlock_allow_port(ruleset.as_fd(), *port, net).at(place, Call::LandlockRule)?;
    }
    Ok(Some(ruleset))
}

/// Adds the rules that no step of the view has added, and restricts this process.
fn landlock(wanted: &Landlock, ruleset: &OwnedFd, prepared: &Prepared) -> Result<(), Failure> {
    let place = Place::Lockdown;
    for (path, Rule { index, rights }) in &wanted.rules {
        let place = Place::Landlock(*index);
        match sys::openat(sys::cwd(), path, libc::O_PATH | libc::O_NOFOLLOW, 0) {
            // /dev/console exists only if the program has a terminal.
            Err(sys::Errno(libc::ENOENT)) if path.to_bytes().ends_with(b"/console") => {}
            found => {
                let found = found.at(place, Call::Open)?;
                sys::landlock_allow(ruleset.as_fd(), found.as_fd(), *rights).at(place, Call::LandlockRule)?;
            }
        }
    }
    for (fd, rights) in &wanted.descriptors {
        // Some files are governed by no rule, and it fails for them here: those of memfd_create(2).
        let _ = sys::landlock_allow(ruleset.as_fd(), sys::UnownedFd::new(*fd).as_fd(), rights & wanted.rights);
    }
    // What PID 1 counts in at the end. No path of the view leads there.
    for fd in changes::descriptors(prepared) {
        let _ =
            sys::landlock_allow(ruleset.as_fd(), sys::UnownedFd::new(*fd).as_fd(), sys::FS_READ_DIR & wanted.rights);
    }
    sys::landlock_restrict(ruleset.as_fd()).at(place, Call::LandlockRestrict)
}

/// Locks the program down, as the last step before its exec: its capabilities, and the filters that PID 1 does not
/// have. One that is not the `first` has no capabilities: PID 1 has given up those that the program has.
pub(super) fn program(prepared: &Prepared, first: bool) -> Result<(), Failure> {
    if !first {
        if prepared.lockdown.tracer_barrier_caps.get() != 0 {
            sys::set_capabilities(0).at(Place::Lockdown, Call::Capset)?;
        }
        return filters(prepared);
    }
    if let (Some(set), true) = (prepared.lockdown.capabilities.sets, prepared.lockdown.tracer_barrier_caps.get() != 0) {
        sys::set_capabilities(set).at(Place::Lockdown, Call::Capset)?;
    }
    // After the sets: only capabilities that are permitted and inheritable can be made ambient.
    sys::raise_ambient(prepared.lockdown.capabilities.ambient).at(Place::Lockdown, Call::CapAmbient)?;
    filters(prepared)
}

fn filters(prepared: &Prepared) -> Result<(), Failure> {
    for (index, filter) in prepared.lockdown.filters.iter().enumerate() {
        sys::load_filter(filter).at(Place::Filter(index as u32), Call::Seccomp)?;
    }
    Ok(())
}

/// Drops the capabilities of PID 1, which needs none once the program runs. If an outer seccomp filter refuses
/// capset(2), it keeps them, and does not use them.
pub(super) fn reaper(prepared: &Prepared) {
    if prepared.lockdown.capabilities.sets != Some(0) {
        let _ = sys::set_capability_sets(0, prepared.lockdown.tracer_barrier_caps.get(), 0);
    }
}
