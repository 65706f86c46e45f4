//! What the program may not do, in the one order that works.

use super::failure::{At, Failure};
use super::prepared::{Guard, Landlock, Prepared};
use super::report::{Call, Place};
use crate::sys;
use std::os::fd::AsFd;

/// For PID 1, and inherited by all: everything but the filters that might keep the reaper from its work.
pub(super) fn process(prepared: &Prepared) -> Result<(), Failure> {
    let place = Place::Lockdown;
    // The caller's session keyring is inherited otherwise. It is the second wall: the filter refuses every call on keys. So it is no
    // failure where the kernel has no keyrings, where a filter around us refuses the call (and with it the program's), or where the
    // user's quota of keys, 200 by default, is used up by as many sandboxes.
    if prepared.lockdown.own_keyring {
        match sys::new_session_keyring() {
            Err(sys::Errno(libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM | libc::EDQUOT)) => {}
            other => other.at(place, Call::Keyctl)?,
        }
    }
    // While CAP_SETPCAP is still there.
    if let Some(keep) = prepared.lockdown.capabilities.bounding {
        sys::shrink_bounding_set(keep).at(place, Call::CapBoundingSet)?;
    }
    if prepared.lockdown.capabilities.ambient == 0 {
        sys::clear_ambient().at(place, Call::CapAmbient)?;
    }
    // The second wall: with the bounding set empty, there is nothing that exec could give to root.
    if prepared.lockdown.capabilities.powerless_root {
        sys::lock_securebits().at(place, Call::Securebits)?;
    }
    // Before any filter, which needs it, and before capabilities go: from here on no set-user-id bit has an effect.
    if prepared.has(Guard::NoNewPrivs) {
        sys::set_no_new_privs().at(place, Call::NoNewPrivs)?;
    }
    // After all mounts, which it forbids, and after no_new_privs, which it needs.
    if let Some(rules) = &prepared.lockdown.landlock {
        landlock(rules)?;
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

/// Capabilities that give no right in a user namespace, and none that matters to root: CAP_WAKE_ALARM, CAP_BLOCK_SUSPEND.
const GUARDS: [u64; 2] = [1 << 35, 1 << 36];

/// What this process is permitted beyond the program, where others outside may look at it: who has less is not allowed to trace it
/// or to read its memory (ptrace(2), capability checks), and the owner of the user namespace is. Without that the program could make
/// PID 1, which the filters do not bind, work for it.
fn guard(prepared: &Prepared) -> Result<u64, Failure> {
    let (Some(held), true) = (prepared.lockdown.capabilities.sets, prepared.lockdown.visible) else { return Ok(0) };
    if !prepared.has(Guard::Undumpable) {
        return Ok(0);
    }
    let (_, permitted) = sys::capabilities().at(Place::Lockdown, Call::Capset)?;
    Ok(GUARDS.into_iter().find(|guard| permitted & !held & guard != 0).unwrap_or(0))
}

/// Lets others look at this process, or not, while its memory is its own alone. Where the program would be among those that may, it
/// stays closed.
pub(super) fn show(prepared: &Prepared, on: bool) -> Result<(), Failure> {
    let guarded = prepared.lockdown.tracer_barrier_caps.get() != 0
        || prepared.lockdown.capabilities.sets.is_none_or(|held| held != 0);
    let on = !prepared.has(Guard::Undumpable) || on && prepared.lockdown.visible && guarded;
    sys::set_dumpable(on).at(Place::Lockdown, Call::Prctl)
}

/// Rights of what a descriptor refers to, if it may be opened again: /dev/stderr and the like lead there.
const AGAIN: u64 = sys::FS_READ_FILE | sys::FS_WRITE_FILE | sys::FS_EXECUTE | sys::FS_TRUNCATE | sys::FS_IOCTL_DEV;

fn landlock(wanted: &Landlock) -> Result<(), Failure> {
    let place = Place::Lockdown;
    let ruleset = sys::landlock_ruleset(wanted.rights, wanted.scoped).at(place, Call::LandlockCreate)?;
    for (index, (path, rights)) in wanted.rules.iter().enumerate() {
        let place = Place::Landlock(index as u32);
        match sys::openat(sys::cwd(), path, libc::O_PATH | libc::O_NOFOLLOW, 0) {
            // There may be no terminal.
            Err(sys::Errno(libc::ENOENT)) if path.to_bytes().ends_with(b"/console") => {}
            found => {
                let found = found.at(place, Call::Open)?;
                sys::landlock_allow(ruleset.as_fd(), found.as_fd(), *rights).at(place, Call::LandlockRule)?;
            }
        }
    }
    for fd in &wanted.descriptors {
        // Pipes and sockets are none of Landlock's business, which it says with an error.
        let _ = sys::landlock_allow(ruleset.as_fd(), sys::UnownedFd::new(*fd).as_fd(), AGAIN & wanted.rights);
    }
    sys::landlock_restrict(ruleset.as_fd()).at(place, Call::LandlockRestrict)
}

/// For the program alone, last: what it holds on, and the filters.
pub(super) fn program(prepared: &Prepared) -> Result<(), Failure> {
    if let (Some(set), true) = (prepared.lockdown.capabilities.sets, prepared.lockdown.tracer_barrier_caps.get() != 0) {
        sys::set_capabilities(set).at(Place::Lockdown, Call::Capset)?;
    }
    // Only what is permitted and inheritable can be raised, so it comes after the sets.
    sys::raise_ambient(prepared.lockdown.capabilities.ambient).at(Place::Lockdown, Call::CapAmbient)?;
    for (index, filter) in prepared.lockdown.filters.iter().enumerate() {
        sys::load_filter(filter).at(Place::Filter(index as u32), Call::Seccomp)?;
    }
    Ok(())
}

/// PID 1 needs no right once the program runs. A filter around us that refuses capset(2) keeps it from giving them up, which then
/// it does not: it does nothing with them either.
pub(super) fn reaper(prepared: &Prepared) {
    if prepared.lockdown.capabilities.sets != Some(0) {
        let _ = sys::set_capability_sets(0, prepared.lockdown.tracer_barrier_caps.get(), 0);
    }
}
