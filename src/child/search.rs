//! The search for a program in several paths.

use crate::sys::Errno;
use std::ffi::CStr;

/// Tries to execute one path after the other, as execvp(3) does, and gives the errno that describes the failure best.
/// EACCES does not end the search, but is the result if nothing is found.
pub(super) fn first_of<'a>(paths: impl Iterator<Item = &'a CStr>, mut execute: impl FnMut(&CStr) -> Errno) -> Errno {
    let mut errno = Errno(libc::ENOENT);
    for path in paths {
        match execute(path) {
            Errno(libc::ENOENT | libc::ENOTDIR) => {}
            Errno(libc::EACCES) => errno = Errno(libc::EACCES),
            other => return other,
        }
    }
    errno
}
