//! What the port relay may do: sockets of IPv4 and IPv6 that connect, and those that it has; no files, no programs.

use crate::proxy::confine::{COMMON, Call, NO_FILES, filter, landlock, limited};
use crate::sys::{self, Resource, Result};
use std::os::fd::RawFd;

/// What it needs besides [`COMMON`].
const RELAYING: &[Call] = &[
    (libc::SYS_accept4, None),
    // AF_INET is 2, AF_INET6 is 10.
    (libc::SYS_socket, Some((0, u32::MAX as u64 & !8, libc::AF_INET as u64))),
    (libc::SYS_connect, None),
    (libc::SYS_recvfrom, None),
    (libc::SYS_shutdown, None),
    (libc::SYS_getsockname, None),
    (libc::SYS_getpeername, None),
    (libc::SYS_getsockopt, None),
    // SO_LINGER is 13, TCP_NODELAY is 1.
    (libc::SYS_setsockopt, Some((2, u32::MAX as u64 & !12, libc::TCP_NODELAY as u64))),
    (libc::SYS_ioctl, Some((1, u32::MAX as u64, libc::FIONBIO as u32 as u64))),
    (libc::SYS_clock_gettime, None),
];

/// Calls that only x86-64 has, and for which others have one of those above.
#[cfg(target_arch = "x86_64")]
const OLD: &[Call] = &[(libc::SYS_poll, None)];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Call] = &[];

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
    sys::load_filter(&filter(&[COMMON, RELAYING, OLD])?)?;
    Ok(usize::try_from(descriptors.min(MOST_DESCRIPTORS)).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_neither_open_nor_listen_nor_execute() {
        assert!(filter(&[COMMON, RELAYING, OLD]).is_ok());
        let calls: Vec<_> = COMMON.iter().chain(RELAYING).chain(OLD).map(|(call, _)| *call).collect();
        for call in [libc::SYS_openat, libc::SYS_bind, libc::SYS_listen, libc::SYS_execve, libc::SYS_clone] {
            assert!(!calls.contains(&call), "{call}");
        }
        let families = RELAYING.iter().find(|(call, _)| *call == libc::SYS_socket).unwrap().1.unwrap();
        let let_in = |family: i32| family as u64 & families.1 == families.2;
        assert!(let_in(libc::AF_INET) && let_in(libc::AF_INET6));
        assert!((0..64).filter(|family| let_in(*family)).count() == 2);
    }
}
