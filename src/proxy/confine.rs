//! What the processes of a proxy may do: system calls by a list, no files, no network, no core dumps, no way to trace
//! them. What is not allowed ends the process.

use crate::sys::{self, BpfProgram, Errno, Resource, Result};
use landlock::{ABI, Access, AccessFs};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// A call, and a condition on one of its arguments: its index, a mask, and what the masked argument has to be.
pub(crate) type Call = (libc::c_long, Option<(u8, u64, u64)>);

/// What every process needs that waits, reads, writes, allocates and ends.
pub(crate) const COMMON: &[Call] = &[
    (libc::SYS_ppoll, None),
    (libc::SYS_read, None),
    (libc::SYS_write, None),
    (libc::SYS_recvmsg, None),
    (libc::SYS_sendto, None),
    (libc::SYS_close, None),
    // The standard library's check of a descriptor before it is closed, in debug builds.
    (libc::SYS_fcntl, Some((1, u32::MAX as u64, libc::F_GETFD as u64))),
    (libc::SYS_brk, None),
    (libc::SYS_mmap, Some((2, libc::PROT_EXEC as u64, 0))),
    (libc::SYS_mremap, None),
    (libc::SYS_munmap, None),
    (libc::SYS_madvise, None),
    (libc::SYS_futex, None),
    (libc::SYS_exit, None),
    (libc::SYS_exit_group, None),
    (libc::SYS_restart_syscall, None),
    (libc::SYS_rt_sigreturn, None),
    // abort(3), after a panic.
    (libc::SYS_rt_sigprocmask, None),
    (libc::SYS_getpid, None),
    (libc::SYS_gettid, None),
    (libc::SYS_tgkill, None),
];

/// What the process that accepts connections needs besides: to accept, to fork, to wait, to connect, and to confine a
/// connection's process further.
const ACCEPTING: &[Call] = &[
    (libc::SYS_accept4, None),
    (libc::SYS_socket, Some((0, u32::MAX as u64, libc::AF_UNIX as u64))),
    (libc::SYS_connect, None),
    // For a connection by which the user is asked, and to hand it to the launcher.
    (libc::SYS_socketpair, Some((0, u32::MAX as u64, libc::AF_UNIX as u64))),
    (libc::SYS_sendmsg, None),
    (libc::SYS_setsockopt, Some((2, u32::MAX as u64, libc::SO_PASSCRED as u64))),
    (libc::SYS_clock_nanosleep, None),
    (libc::SYS_ioctl, Some((1, u32::MAX as u64, libc::FIONBIO as u32 as u64))),
    (libc::SYS_fcntl, None),
    (libc::SYS_clone, Some((0, NAMESPACES, 0))),
    (libc::SYS_set_robust_list, None),
    (libc::SYS_set_tid_address, None),
    (libc::SYS_getppid, None),
    (libc::SYS_waitid, None),
    (libc::SYS_pidfd_open, None),
    (libc::SYS_kill, None),
    (libc::SYS_prctl, None),
    (libc::SYS_close_range, None),
];

/// Flags of clone(2) for new namespaces.
const NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// What a process needs besides that accepts and makes connections of IPv4 and IPv6.
pub(crate) const CONNECTING: &[Call] = &[
    (libc::SYS_accept4, None),
    // AF_INET is 2, AF_INET6 is 10.
    (libc::SYS_socket, Some((0, u32::MAX as u64 & !8, libc::AF_INET as u64))),
    (libc::SYS_connect, None),
    (libc::SYS_recvfrom, None),
    (libc::SYS_getsockopt, None),
    (libc::SYS_ioctl, Some((1, u32::MAX as u64, libc::FIONBIO as u32 as u64))),
    (libc::SYS_clock_gettime, None),
];

/// Calls that only x86-64 has, and for which others have one of those above: poll(2), and fork(2).
#[cfg(target_arch = "x86_64")]
pub(crate) const OLD_POLL: &[Call] = &[(libc::SYS_poll, None)];
#[cfg(target_arch = "x86_64")]
const OLD_FORK: &[Call] = &[(libc::SYS_fork, None)];
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const OLD_POLL: &[Call] = &[];
#[cfg(not(target_arch = "x86_64"))]
const OLD_FORK: &[Call] = &[];

/// Descriptors of the process that accepts connections: those that are inherited, and a few for each connection.
const MOST_DESCRIPTORS: u64 = 64;

/// Address space of each process in bytes. Buffers take a few MiB.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// Confines the process that accepts connections, which keeps the standard streams and these descriptors.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error: the filter refuses what it would refuse.
pub fn proxy(keep: &[RawFd]) -> Result<()> {
    let limits = [(Resource::RLIMIT_NOFILE, MOST_DESCRIPTORS), (Resource::RLIMIT_AS, MOST_MEMORY), NO_FILES];
    limited(keep.iter().copied(), 0, &limits)?;
    landlock([], [])?;
    sys::load_filter(&filter(&[COMMON, ACCEPTING, OLD_POLL, OLD_FORK])?)
}

/// The limit of a process that writes to no file.
pub(crate) const NO_FILES: (Resource, u64) = (Resource::RLIMIT_FSIZE, 0);

/// Takes from this process all descriptors but the standard streams and these, and all rights but these capabilities (a set, by their
/// numbers); nobody may trace it, and it writes no core dumps. Besides, it keeps to these limits.
pub(crate) fn limited(keep: impl Iterator<Item = RawFd>, capabilities: u64, limits: &[(Resource, u64)]) -> Result<()> {
    let mut keep: Vec<RawFd> = [0, 1, 2].into_iter().chain(keep).collect();
    keep.sort_unstable();
    sys::close_all_but(&keep)?;
    match sys::set_capabilities(capabilities) {
        // A seccomp filter around sbx may refuse capset(2) to root; a user has no capabilities.
        Err(_) if capabilities == 0 => {}
        other => other?,
    }
    sys::set_no_new_privs()?;
    sys::set_dumpable(false)?;
    for (resource, most) in [(Resource::RLIMIT_CORE, 0)].iter().chain(limits) {
        // A stricter limit is kept.
        let (_, hard) = sys::rlimit(*resource)?;
        let most = Some(hard.min(*most));
        sys::set_rlimit(*resource, most, most)?;
    }
    Ok(())
}

/// Confines the process of a connection, which keeps these descriptors and can make no others.
///
/// # Errors
///
/// The kernel refuses to confine it.
pub fn connection(keep: &[RawFd]) -> Result<()> {
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    sys::close_all_but(&keep)?;
    sys::load_filter(&filter(&[COMMON, OLD_POLL])?)
}

/// Denies all access to files that Landlock governs but reading below these directories, and changing what is below the others, without
/// devices and programs; and signals and abstract sockets of other processes.
pub(crate) fn landlock<'a>(
    readable: impl IntoIterator<Item = BorrowedFd<'a>>,
    changed: impl IntoIterator<Item = BorrowedFd<'a>>,
) -> Result<()> {
    landlock_scoped(readable, changed, sys::SCOPE_ABSTRACT | sys::SCOPE_SIGNAL)
}

/// The same, with these denied alone of signals and abstract sockets. The kernel counts the signal by which a process ends with its parent
/// as one that the parent sends.
pub(crate) fn landlock_scoped<'a>(
    readable: impl IntoIterator<Item = BorrowedFd<'a>>,
    changed: impl IntoIterator<Item = BorrowedFd<'a>>,
    scoped: u64,
) -> Result<()> {
    let (version, scoped) = match sys::landlock_version() {
        Ok(version) if version >= 6 => (version, scoped),
        Ok(version) => (version, 0),
        Err(_) => return Ok(()),
    };
    let all = AccessFs::from_all(ABI::from(version)).bits();
    let mut changed = changed.into_iter().peekable();
    // Before version 2, no file can be moved to another directory under a ruleset.
    if version < 2 && changed.peek().is_some() {
        return Ok(());
    }
    let ruleset = sys::landlock_ruleset(all, 0, scoped)?;
    for dir in readable {
        sys::landlock_allow(ruleset.as_fd(), dir, sys::FS_READ_FILE | sys::FS_READ_DIR)?;
    }
    let kept_from = AccessFs::MakeBlock | AccessFs::Execute | AccessFs::IoctlDev;
    for dir in changed {
        sys::landlock_allow(ruleset.as_fd(), dir, all & !kept_from.bits())?;
    }
    sys::landlock_restrict(ruleset.as_fd())
}

/// The filter that allows these calls, and ends the process at any other.
pub(crate) fn filter(lists: &[&[Call]]) -> Result<BpfProgram> {
    let rule = |condition: Option<(u8, u64, u64)>| match condition {
        None => Ok(Vec::new()),
        Some((index, mask, value)) => {
            let operator = SeccompCmpOp::MaskedEq(mask);
            let condition = SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value)?;
            Ok(vec![SeccompRule::new(vec![condition])?])
        }
    };
    let made = || -> std::result::Result<BpfProgram, seccompiler::BackendError> {
        let rules = lists.iter().flat_map(|list| list.iter()).map(|(call, condition)| Ok((*call, rule(*condition)?)));
        let rules = rules.collect::<std::result::Result<_, seccompiler::BackendError>>()?;
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, ARCH)?.try_into()
    };
    made().map_err(|_| Errno(libc::EINVAL))
}

/// The architecture that the filters are for.
const ARCH: TargetArch = if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_can_be_made() {
        assert!(filter(&[COMMON, ACCEPTING, OLD_POLL, OLD_FORK]).is_ok_and(|filter| filter.len() < 400));
        assert!(filter(&[COMMON, OLD_POLL]).is_ok());
        // The global allocator calls it.
        assert!(COMMON.contains(&(libc::SYS_madvise, None)));
    }

    #[test]
    fn a_connection_can_neither_open_nor_connect_nor_execute() {
        let calls: Vec<_> = COMMON.iter().chain(OLD_POLL).map(|(call, _)| *call).collect();
        for call in [libc::SYS_openat, libc::SYS_socket, libc::SYS_connect, libc::SYS_execve, libc::SYS_clone] {
            assert!(!calls.contains(&call), "{call}");
        }
    }
}
