//! The kernel's error numbers: a plain number, as it goes over the socket between PID 1 and the launcher.
//!
//! What is printed of one is in `host::error_text`.

use serde::Serialize;

/// A number of errno(3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Errno(pub i32);

/// What a system call gives.
pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The calling thread's errno.
    pub fn last() -> Errno {
        Errno(nix::errno::Errno::last_raw())
    }
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Errno {
        Errno(errno as i32)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> std::io::Error {
        std::io::Error::from_raw_os_error(errno.0)
    }
}

/// The result of a call that gives -1 for failure.
pub(super) fn check(value: libc::c_long) -> Result<libc::c_long> {
    if value < 0 { Err(Errno::last()) } else { Ok(value) }
}

/// The result of a call that gives -1 for failure, and whose value says nothing else.
pub(super) fn done(value: libc::c_int) -> Result<()> {
    if value < 0 { Err(Errno::last()) } else { Ok(()) }
}
