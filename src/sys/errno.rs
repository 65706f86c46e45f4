//! The kernel's error numbers, as plain numbers: so they are sent over the socket between PID 1 and the launcher.
//!
//! `host::error_text` has the text for each.

use serde::Serialize;

/// An error number of the kernel: errno(3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Errno(pub i32);

/// The result of a system call.
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

/// The result of a call that returns a negative value for failure: its value, or the thread's errno.
pub(super) fn check(value: libc::c_long) -> Result<libc::c_long> {
    if value < 0 { Err(Errno::last()) } else { Ok(value) }
}

/// The result of a call that returns a negative value for failure, and nothing of use otherwise.
pub(super) fn done(value: libc::c_int) -> Result<()> {
    if value < 0 { Err(Errno::last()) } else { Ok(()) }
}
