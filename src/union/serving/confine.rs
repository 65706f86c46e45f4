//! What every server may do: look at files, and answer the kernel.

use crate::proxy::confine::{COMMON, Call, filter};
use crate::sys::{self, Resource, Result};

/// What a server needs, besides what every process of ours does, and the calls that open files.
const SERVING: &[Call] = &[
    (libc::SYS_openat2, None),
    (libc::SYS_newfstatat, None),
    (libc::SYS_fstat, None),
    (libc::SYS_statx, None),
    (libc::SYS_faccessat, None),
    (libc::SYS_faccessat2, None),
    (libc::SYS_readlinkat, None),
    (libc::SYS_getdents64, None),
    (libc::SYS_pread64, None),
    (libc::SYS_lseek, None),
    (libc::SYS_fcntl, None),
    (libc::SYS_mprotect, Some((2, libc::PROT_EXEC as u64, 0))),
    (libc::SYS_rt_sigaction, None),
    (libc::SYS_sigaltstack, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, None),
];

/// Its address space in bytes. A node takes some 400.
pub const LIMIT: (Resource, u64) = (Resource::RLIMIT_AS, 4 * 1024 * 1024 * 1024);

/// Allows this process [`SERVING`], these calls, and what every process of ours needs.
///
/// # Errors
///
/// The kernel refuses the filter.
pub fn allow(more: &[Call]) -> Result<()> {
    sys::load_filter(&filter(&[COMMON, SERVING, more])?)
}
