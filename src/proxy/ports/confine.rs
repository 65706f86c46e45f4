//! What the port relay may do: sockets of IPv4 and IPv6 that connect, and those that it has; no files, no programs.

use crate::proxy::confine::{COMMON, CONNECTING, Call, NO_FILES, OLD_POLL, filter, landlock, limited};
use crate::sys::{self, Resource, Result};
use std::os::fd::RawFd;

/// What it needs besides [`COMMON`] and [`CONNECTING`].
const RELAYING: &[Call] = &[
    (libc::SYS_shutdown, None),
    (libc::SYS_getsockname, None),
    (libc::SYS_getpeername, None),
    // SO_LINGER is 13, TCP_NODELAY is 1.
    (libc::SYS_setsockopt, Some((2, u32::MAX as u64 & !12, libc::TCP_NODELAY as u64))),
];

/// Descriptors: two for each connection, one for each peer that sends datagrams, and those that it listens at.
const MOST_DESCRIPTORS: u64 = 4096;

/// Address space in bytes. What waits of each connection is bounded.
const MOST_MEMORY: u64 = 1024 * 1024 * 1024;

/// Confines the process, which keeps these descriptors. Gives how many it may have.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error: the filter refuses what it would refuse.
pub(super) fn confine(keep: impl Iterator<Item = RawFd>) -> Result<usize> {
    let limits = [(Resource::RLIMIT_NOFILE, MOST_DESCRIPTORS), (Resource::RLIMIT_AS, MOST_MEMORY), NO_FILES];
    limited(keep, 0, &limits)?;
    let (descriptors, _) = sys::rlimit(Resource::RLIMIT_NOFILE)?;
    landlock([], [])?;
    sys::load_filter(&filter(&[COMMON, CONNECTING, RELAYING, OLD_POLL])?)?;
    Ok(usize::try_from(descriptors.min(MOST_DESCRIPTORS)).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_neither_open_nor_listen_nor_execute() {
        assert!(filter(&[COMMON, CONNECTING, RELAYING, OLD_POLL]).is_ok());
        let calls: Vec<_> =
            [COMMON, CONNECTING, RELAYING, OLD_POLL].into_iter().flatten().map(|(call, _)| *call).collect();
        for call in [libc::SYS_openat, libc::SYS_bind, libc::SYS_listen, libc::SYS_execve, libc::SYS_clone] {
            assert!(!calls.contains(&call), "{call}");
        }
        let families = CONNECTING.iter().find(|(call, _)| *call == libc::SYS_socket).unwrap().1.unwrap();
        let let_in = |family: i32| family as u64 & families.1 == families.2;
        assert!(let_in(libc::AF_INET) && let_in(libc::AF_INET6));
        assert!((0..64).filter(|family| let_in(*family)).count() == 2);
    }
}
