//! Where a program is looked for.

use crate::sys::Errno;
use std::ffi::CStr;

/// Tries one path after the other, as execvp(3): a directory that may not be searched does not end the search, and is told if nothing
/// is found.
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
