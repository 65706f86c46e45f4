//! What the server may do: read and write the directories that it serves, and answer the kernel.

use super::super::serving::{LIMIT, allow};
use super::server::Server;
use crate::proxy::confine::{Call, landlock, limited};
use crate::sys::Result;
use std::os::fd::RawFd;

/// FICLONE of ioctl(2). (Its type is another one with each C library.)
const FICLONE: u64 = 0x4004_9409;

/// What it opens and changes files with.
const CHANGING: &[Call] = &[
    (libc::SYS_openat, None),
    (libc::SYS_fstatfs, None),
    (libc::SYS_pwrite64, None),
    // By which musl writes at an offset, since version 1.2.6.
    (libc::SYS_pwritev2, None),
    (libc::SYS_ftruncate, None),
    (libc::SYS_fallocate, None),
    (libc::SYS_fsync, None),
    (libc::SYS_fdatasync, None),
    (libc::SYS_copy_file_range, None),
    (libc::SYS_ioctl, Some((1, u32::MAX as u64, FICLONE))),
    (libc::SYS_mkdirat, None),
    // Whiteouts, named pipes, sockets: the kernel lets nobody here make another device.
    (libc::SYS_mknodat, None),
    (libc::SYS_symlinkat, None),
    (libc::SYS_linkat, None),
    (libc::SYS_unlinkat, None),
    (libc::SYS_renameat2, None),
    (libc::SYS_fchownat, None),
    (libc::SYS_fchmodat, None),
    (libc::SYS_utimensat, None),
    (libc::SYS_umask, None),
    (libc::SYS_getxattr, None),
    (libc::SYS_setxattr, None),
    (libc::SYS_listxattr, None),
    (libc::SYS_removexattr, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, None),
];

/// What it keeps in the user namespace of the sandbox: to give files their owners, and to open what only its owner may not.
const CAPABILITIES: [u32; 5] = [0, 1, 3, 4, 31];

/// Confines this process, which keeps the standard streams, the server's directories and these descriptors. In a user
/// namespace of the sandbox (`powers`), it keeps capabilities over the files of the ids that are mapped there.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error.
pub fn confine(server: &Server, keep: &[RawFd], powers: bool) -> Result<()> {
    let capabilities = if powers { CAPABILITIES.iter().fold(0, |set, number| set | 1 << number) } else { 0 };
    limited(keep.iter().copied().chain(server.descriptors()), capabilities, &[LIMIT])?;
    let (lower, upper) = server.roots();
    landlock(lower, upper)?;
    allow(CHANGING)
}
