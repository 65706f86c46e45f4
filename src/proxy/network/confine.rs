//! What the process that holds a network may do: take connections of its socket, hand over the namespaces that it has, remove interfaces, and
//! remove what lies in its directory; no programs, no namespaces, no network.

use crate::proxy::confine::{COMMON, Call, NO_FILES, OLD_POLL, filter, landlock_scoped, limited};
use crate::sys::{self, Resource, Result};
use std::os::fd::{BorrowedFd, RawFd};

/// What it needs besides [`COMMON`].
const HOLDING: &[Call] = &[
    (libc::SYS_accept4, None),
    (libc::SYS_sendmsg, None),
    (libc::SYS_sendto, None),
    (libc::SYS_recvfrom, None),
    (libc::SYS_socketpair, Some((0, u32::MAX as u64, libc::AF_UNIX as u64))),
    (libc::SYS_getsockopt, None),
    (libc::SYS_fcntl, None),
    (libc::SYS_flock, None),
    (libc::SYS_unlinkat, None),
    (libc::SYS_waitid, None),
    (libc::SYS_clock_gettime, None),
];

/// Descriptors: two for each sandbox, and those of visitors.
const MOST_DESCRIPTORS: u64 = 1024;

/// Address space in bytes. What waits is bounded.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// Confines the process, which keeps these descriptors, and may remove what is below this directory.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error.
pub(super) fn confine(keep: &[RawFd], dir: BorrowedFd<'_>) -> Result<()> {
    let limits = [(Resource::RLIMIT_NOFILE, MOST_DESCRIPTORS), (Resource::RLIMIT_AS, MOST_MEMORY), NO_FILES];
    limited(keep.iter().copied(), 0, &limits)?;
    // The helper is to end with this process, however that ends; no call that sends signals is allowed anyway.
    landlock_scoped([], [dir], sys::SCOPE_ABSTRACT)?;
    sys::load_filter(&filter(&[COMMON, HOLDING, OLD_POLL])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_neither_open_nor_join_nor_execute() {
        assert!(filter(&[COMMON, HOLDING, OLD_POLL]).is_ok());
        let calls: Vec<_> = [COMMON, HOLDING, OLD_POLL].into_iter().flatten().map(|(call, _)| *call).collect();
        for call in
            [libc::SYS_openat, libc::SYS_setns, libc::SYS_unshare, libc::SYS_execve, libc::SYS_clone, libc::SYS_socket]
        {
            assert!(!calls.contains(&call), "{call}");
        }
    }
}
