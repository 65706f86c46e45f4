//! What the forwarder of names may do: sockets of IPv4 and IPv6 that connect, and those that it has; no files, no programs.

use crate::proxy::confine::{COMMON, Call, NO_FILES, filter, landlock, limited};
use crate::sys::{self, Resource, Result};
use std::os::fd::RawFd;

/// What it needs besides [`COMMON`].
const FORWARDING: &[Call] = &[
    (libc::SYS_accept4, None),
    // AF_INET is 2, AF_INET6 is 10.
    (libc::SYS_socket, Some((0, u32::MAX as u64 & !8, libc::AF_INET as u64))),
    (libc::SYS_connect, None),
    (libc::SYS_recvfrom, None),
    (libc::SYS_sendmsg, None),
    (libc::SYS_getsockopt, None),
    (libc::SYS_ioctl, Some((1, u32::MAX as u64, libc::FIONBIO as u32 as u64))),
    (libc::SYS_clock_gettime, None),
    (libc::SYS_getrandom, None),
];

/// Calls that only x86-64 has, and for which others have one of those above.
#[cfg(target_arch = "x86_64")]
const OLD: &[Call] = &[(libc::SYS_poll, None)];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Call] = &[];

/// Descriptors: one for each question, and one for each connection of a program.
const MOST_DESCRIPTORS: u64 = 256;

/// Address space in bytes. What waits is bounded.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// Confines the process, which keeps these descriptors.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error: the filter refuses what it would refuse of files.
pub(super) fn confine(keep: &[RawFd]) -> Result<()> {
    let limits = [(Resource::RLIMIT_NOFILE, MOST_DESCRIPTORS), (Resource::RLIMIT_AS, MOST_MEMORY), NO_FILES];
    limited(keep.iter().copied(), 0, &limits)?;
    landlock([], [])?;
    sys::load_filter(&filter(&[COMMON, FORWARDING, OLD])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_neither_open_nor_listen_nor_execute() {
        assert!(filter(&[COMMON, FORWARDING, OLD]).is_ok());
        let calls: Vec<_> = COMMON.iter().chain(FORWARDING).chain(OLD).map(|(call, _)| *call).collect();
        for call in [
            libc::SYS_openat,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_execve,
            libc::SYS_clone,
            libc::SYS_setsockopt,
        ] {
            assert!(!calls.contains(&call), "{call}");
        }
    }
}
