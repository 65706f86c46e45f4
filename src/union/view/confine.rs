//! What the view server may do: read the directories that it serves, and answer the kernel. It parses no bytes of the
//! program's but names, which the kernel has put into requests.

use super::server::Server;
use crate::proxy::confine::{COMMON, Call, filter, landlock, powerless, refusing};
use crate::sys::{self, Resource, Result};
use std::os::fd::{AsRawFd, RawFd};

/// What it needs to serve, besides what every process of ours does.
const SERVING: &[Call] = &[
    (libc::SYS_openat, Some((2, WRITING, 0))),
    // Its flags are in memory; Landlock refuses what would write.
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

/// Flags of open(2) that change something.
const WRITING: u64 =
    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u64;

/// Address space in bytes. A node takes some 400; the buffers for requests take 32 MiB.
const MOST_MEMORY: u64 = 4 * 1024 * 1024 * 1024;

/// Confines this process, which keeps the standard streams, the server's directories and these descriptors.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error: then files outside of the served directories are kept
/// from being written by the filter, but not from being read.
pub fn confine(server: &Server, keep: &[RawFd]) -> Result<()> {
    powerless(keep.iter().copied().chain(server.descriptors()), &[(Resource::RLIMIT_AS, MOST_MEMORY)])?;
    landlock(server.roots())?;
    // The arguments of clone3(2) are in memory; the C library starts the server's thread by clone(2) then.
    sys::load_filter(&refusing(&[libc::SYS_clone3], libc::ENOSYS)?)?;
    sys::load_filter(&filter(&[COMMON, SERVING])?)
}

impl Server {
    /// The descriptors that it needs.
    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.roots().map(|root| root.as_raw_fd()).chain([self.pipe().as_raw_fd()])
    }
}
