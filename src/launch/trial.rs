//! Tries whether the host allows something: the launcher's part.

use crate::child::{self, Trial};
use crate::spec::Namespace;
use crate::sys::{self, Errno, Waited};
use std::os::fd::AsFd;

/// Tries something in a child with a new user namespace, a new mount namespace and these others. Nothing is left of it.
/// The error is that of the call that failed.
pub fn try_out(trial: Trial, namespaces: &[Namespace]) -> Result<(), Errno> {
    let (uid, gid) = sys::ids();
    let maps = (format!("{uid} {uid} 1\n").into_bytes(), format!("{gid} {gid} 1\n").into_bytes());
    let flags = super::namespaces::flags(namespaces.iter().copied());
    let (_, pidfd) = sys::clone3(flags, None, || child::attempt(trial, &maps))?;
    match sys::wait_end(pidfd.as_fd())? {
        Waited::Exited(0) => Ok(()),
        Waited::Exited(errno) => Err(Errno(errno)),
        _ => Err(Errno(libc::EINTR)),
    }
}
