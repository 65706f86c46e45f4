//! Whether a file of the host is still the one that was looked at.

use crate::sys::FileStatus;

/// Whether a file is the one that was seen before, with the same content as far as its size and times tell.
pub fn is_same(now: &FileStatus, before: &FileStatus) -> bool {
    let key = |status: &FileStatus| {
        (status.dev, status.ino, status.mode & libc::S_IFMT, status.size, status.modified, status.changed)
    };
    key(now) == key(before)
}
