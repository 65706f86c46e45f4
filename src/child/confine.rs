//! What the program, and each further one, is given last.

use super::failure::{At, Failure};
use super::lockdown;
use super::prepared::Prepared;
use super::report::{Call, Place};
use crate::sys::{self, Mask};

/// The last steps before exec, for the program (`first`) and for each further one: limits, signals, and the lock-down that PID 1 does not have.
pub(super) fn confine(prepared: &Prepared, mask: &Mask, first: bool) -> Result<(), Failure> {
    for (index, (resource, soft, hard)) in prepared.process.rlimits.iter().enumerate() {
        sys::set_rlimit(*resource, *soft, *hard).at(Place::Rlimit(index as u32), Call::Setrlimit)?;
    }
    if !prepared.process.ignores_sigpipe {
        sys::default_sigpipe();
    }
    if prepared.process.defaults_sigxfsz {
        sys::default_sigxfsz();
    }
    // Before the filters: the caller's may allow nothing but execve(2).
    sys::restore(mask).at(Place::Setup, Call::Sigprocmask)?;
    lockdown::program(prepared, first)
}
