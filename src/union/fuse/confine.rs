//! What the server may do: read and write the directories that it serves, and answer the kernel.

use super::server::Server;
use crate::proxy::confine::{COMMON, Call, filter, refusing};
use crate::sys::{self, Resource, Result};
use landlock::{ABI, Access, AccessFs};
use std::os::fd::{AsFd, RawFd};

/// FICLONE of ioctl(2). (Its type is another one with each C library.)
const FICLONE: u64 = 0x4004_9409;

/// What it needs to serve, besides what every process of ours does.
const SERVING: &[Call] = &[
    (libc::SYS_openat, None),
    (libc::SYS_openat2, None),
    (libc::SYS_newfstatat, None),
    (libc::SYS_fstat, None),
    (libc::SYS_statx, None),
    (libc::SYS_fstatfs, None),
    (libc::SYS_faccessat, None),
    (libc::SYS_faccessat2, None),
    (libc::SYS_readlinkat, None),
    (libc::SYS_getdents64, None),
    (libc::SYS_pread64, None),
    (libc::SYS_pwrite64, None),
    (libc::SYS_lseek, None),
    (libc::SYS_writev, None),
    (libc::SYS_fcntl, None),
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
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, None),
];

/// Address space in bytes. A node takes some 400; the buffers for requests take 32 MiB.
const MOST_MEMORY: u64 = 4 * 1024 * 1024 * 1024;

/// What it keeps in the user namespace of the sandbox: to give files their owners, and to open what only its owner may not.
const CAPABILITIES: [u32; 5] = [0, 1, 3, 4, 31];

/// Confines this process, which keeps the standard streams, the server's directories and these descriptors. In a user
/// namespace of the sandbox (`powers`), it keeps capabilities over the files of the ids that are mapped there.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error.
pub fn confine(server: &Server, keep: &[RawFd], powers: bool) -> Result<()> {
    let mut keep: Vec<RawFd> = [0, 1, 2].into_iter().chain(keep.iter().copied()).chain(server.descriptors()).collect();
    keep.sort_unstable();
    sys::close_all_but(&keep)?;
    let set = CAPABILITIES.iter().fold(0, |set, number| set | 1 << number);
    match powers {
        true => sys::set_capabilities(set)?,
        // A seccomp filter around sbx may refuse capset(2) to root; a user has no capabilities.
        false => drop(sys::set_capabilities(0)),
    }
    sys::set_no_new_privs()?;
    sys::set_dumpable(false)?;
    for (resource, most) in [(Resource::RLIMIT_CORE, 0), (Resource::RLIMIT_AS, MOST_MEMORY)] {
        let (_, hard) = sys::rlimit(resource)?;
        let most = Some(hard.min(most));
        sys::set_rlimit(resource, most, most)?;
    }
    landlock(server)?;
    // The arguments of clone3(2) are in memory; the C library starts the server's thread by clone(2) then.
    sys::load_filter(&refusing(&[libc::SYS_clone3], libc::ENOSYS)?)?;
    sys::load_filter(&filter(&[COMMON, SERVING])?)
}

/// Denies all access to files that Landlock governs but reading the lower layers and changing the upper ones.
fn landlock(server: &Server) -> Result<()> {
    let (version, scoped) = match sys::landlock_version() {
        Ok(version) if version >= 6 => (version, sys::SCOPE_ABSTRACT | sys::SCOPE_SIGNAL),
        Ok(version) => (version, 0),
        Err(_) => return Ok(()),
    };
    let all = AccessFs::from_all(ABI::from(version)).bits();
    // Before version 2, no file can be moved to another directory under a ruleset.
    if version < 2 && server.roots().1.iter().any(|_| true) {
        return Ok(());
    }
    let ruleset = sys::landlock_ruleset(all, scoped)?;
    let (lower, upper) = server.roots();
    for dir in lower {
        sys::landlock_allow(ruleset.as_fd(), dir, sys::FS_READ_FILE | sys::FS_READ_DIR)?;
    }
    let devices = AccessFs::MakeBlock | AccessFs::Execute | AccessFs::IoctlDev;
    for dir in upper {
        sys::landlock_allow(ruleset.as_fd(), dir, all & !devices.bits())?;
    }
    sys::landlock_restrict(ruleset.as_fd())
}
