//! Tries whether the host allows something: the launcher's part.

use crate::child::{self, Trial};
use crate::spec::Namespace;
use crate::sys::{self, Errno, NeededCall, Waited};
use std::fmt;
use std::os::fd::AsFd;

/// How something that was tried did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A call failed.
    Errno(Errno),
    /// A signal ended the process that tried it: that of a seccomp filter is SIGSYS.
    Killed(i32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Errno(errno) => errno.fmt(f),
            Refusal::Killed(signal) => write!(f, "ended by signal {signal}"),
        }
    }
}

/// Tries something in a child with a new user namespace, a new mount namespace and these others. Nothing is left of it.
pub fn try_out(trial: Trial, namespaces: &[Namespace]) -> Result<(), Refusal> {
    let (uid, gid) = sys::ids();
    let maps = (format!("{uid} {uid} 1\n").into_bytes(), format!("{gid} {gid} 1\n").into_bytes());
    let flags = super::namespaces::flags(namespaces.iter().copied());
    let (_, pidfd) = sys::clone3(flags, None, || child::attempt(trial, &maps)).map_err(Refusal::Errno)?;
    ended(sys::wait_end(pidfd.as_fd()))
}

/// Makes a call in a child without namespaces of its own, with arguments that no kernel takes: a filter may end the child.
pub(super) fn attempt_here(call: &NeededCall) -> Result<(), Refusal> {
    let attempted = || call.attempt().map_or_else(|errno| errno.0, |()| 0);
    ended(sys::wait_for(sys::fork(attempted).map_err(Refusal::Errno)?))
}

fn ended(waited: sys::Result<Waited>) -> Result<(), Refusal> {
    match waited.map_err(Refusal::Errno)? {
        Waited::Exited(0) => Ok(()),
        Waited::Exited(errno) => Err(Refusal::Errno(Errno(errno))),
        Waited::Signaled(signal) => Err(Refusal::Killed(signal)),
        Waited::Stopped(_) | Waited::Continued => Err(Refusal::Errno(Errno(libc::EINTR))),
    }
}
