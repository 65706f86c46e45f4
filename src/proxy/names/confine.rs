//! What the forwarder of names may do: sockets of IPv4 and IPv6 that connect, and those that it has; no files, no programs.

use crate::proxy::confine::{COMMON, CONNECTING, Call, NO_FILES, OLD_POLL, filter, landlock, limited};
use crate::sys::{self, Resource, Result};
use std::os::fd::RawFd;

/// What it needs besides [`COMMON`] and [`CONNECTING`].
const FORWARDING: &[Call] = &[(libc::SYS_sendmsg, None), (libc::SYS_getrandom, None)];

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
    sys::load_filter(&filter(&[COMMON, CONNECTING, FORWARDING, OLD_POLL])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_neither_open_nor_listen_nor_execute() {
        assert!(filter(&[COMMON, CONNECTING, FORWARDING, OLD_POLL]).is_ok());
        let calls: Vec<_> =
            [COMMON, CONNECTING, FORWARDING, OLD_POLL].into_iter().flatten().map(|(call, _)| *call).collect();
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
