//! What the program may not do, in the one order that works.

use super::report::{Call, Place};
use super::{At, Failure, Prepared};
use crate::sys;

/// For PID 1, and inherited by all: everything but the filter, which must not bind the reaper.
pub(super) fn process() -> Result<(), Failure> {
    let place = Place::Lockdown;
    // The caller's session keyring is inherited otherwise. It is the second wall: the filter refuses every call on keys. So it is no
    // failure where the kernel has no keyrings, where a filter around us refuses the call (and with it the program's), or where the
    // user's quota of keys, 200 by default, is used up by as many sandboxes.
    match sys::new_session_keyring() {
        Err(sys::Errno(libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM | libc::EDQUOT)) => {}
        other => other.at(place, Call::Keyctl)?,
    }
    // While CAP_SETPCAP is still there.
    sys::empty_bounding_set().at(place, Call::CapBoundingSet)?;
    sys::clear_ambient().at(place, Call::CapAmbient)?;
    // Before any filter, which needs it, and before capabilities go: from here on no set-user-id bit has an effect.
    sys::set_no_new_privs().at(place, Call::NoNewPrivs)?;
    // The place of Landlock: after all mounts, which it forbids, and after no_new_privs, which it needs.
    sys::drop_capabilities().at(place, Call::Capset)
}

/// For the program alone, last.
pub(super) fn filter(prepared: &Prepared) -> Result<(), Failure> {
    sys::load_filter(&prepared.seccomp).at(Place::Lockdown, Call::Seccomp)
}
