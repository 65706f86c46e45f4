//! What every server may do: look at files, and answer the kernel in one thread.

use crate::proxy::confine::{COMMON, Call, filter, refusing};
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
    (libc::SYS_writev, None),
    (libc::SYS_fcntl, None),
    // Asked by fuser, without use here.
    (libc::SYS_geteuid, None),
    // Its one thread.
    (libc::SYS_clone, Some((0, libc::CLONE_THREAD as u64, libc::CLONE_THREAD as u64))),
    (libc::SYS_clone3, None),
    (libc::SYS_mprotect, Some((2, libc::PROT_EXEC as u64, 0))),
    (libc::SYS_set_robust_list, None),
    (libc::SYS_rseq, None),
    (libc::SYS_rt_sigaction, None),
    (libc::SYS_sigaltstack, None),
    (libc::SYS_sched_getaffinity, None),
    (libc::SYS_sched_yield, None),
    (libc::SYS_prctl, Some((0, u32::MAX as u64, libc::PR_SET_NAME as u64))),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, None),
];

/// Its address space in bytes. A node takes some 400; the buffers for requests take 32 MiB.
pub const LIMIT: (Resource, u64) = (Resource::RLIMIT_AS, 4 * 1024 * 1024 * 1024);

/// Allows this process [`SERVING`], these calls, and what every process of ours needs.
///
/// # Errors
///
/// The kernel refuses the filter.
pub fn allow(more: &[Call]) -> Result<()> {
    // The arguments of clone3(2) are in memory; the C library starts the server's thread by clone(2) then.
    sys::load_filter(&refusing(&[libc::SYS_clone3], libc::ENOSYS)?)?;
    sys::load_filter(&filter(&[COMMON, SERVING, more])?)
}
