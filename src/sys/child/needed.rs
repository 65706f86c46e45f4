//! The system calls that no sandbox can be made without, and whether something around this process takes one away: a
//! seccomp filter, as containers have, or a kernel that lacks it.

use crate::sys::errno::{Errno, Result, check};
use std::ffi::c_long;

/// A system call that sandboxes are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededCall {
    /// The call's name, as in its manual page.
    pub name: &'static str,
    /// The version of Linux that came with it, or with what is used of it, major and minor; (0, 0): every one has it.
    pub since: (u32, u32),
    /// Whether the kernel looks at the arguments before it looks for capabilities that only root has.
    pub judges_arguments: bool,
    number: c_long,
    arguments: [c_long; 3],
}

const fn call(name: &'static str, since: (u32, u32), number: c_long, arguments: [c_long; 3]) -> NeededCall {
    NeededCall { name, since, judges_arguments: true, number, arguments }
}

const fn for_root(name: &'static str, since: (u32, u32), number: c_long, arguments: [c_long; 3]) -> NeededCall {
    NeededCall { name, since, judges_arguments: false, number, arguments }
}

/// What no descriptor, no flag, no option and no address is.
const NONE: [c_long; 3] = [-1; 3];

/// The calls that no sandbox can be made without, and that kernels lack or filters refuse. clone3(2) is the first, since
/// the others are tried in a child that it makes.
pub const NEEDED_CALLS: [NeededCall; 24] = [
    call("clone3", (5, 5), libc::SYS_clone3, [-1, 0, 0]),
    call("close_range", (5, 11), libc::SYS_close_range, [1, 0, 0]),
    call("open_tree", (5, 2), libc::SYS_open_tree, NONE),
    for_root("move_mount", (5, 2), libc::SYS_move_mount, NONE),
    for_root("fsopen", (5, 2), libc::SYS_fsopen, NONE),
    call("fsconfig", (5, 2), libc::SYS_fsconfig, NONE),
    for_root("fsmount", (5, 2), libc::SYS_fsmount, NONE),
    call("mount_setattr", (5, 12), libc::SYS_mount_setattr, NONE),
    for_root("pivot_root", (0, 0), libc::SYS_pivot_root, NONE),
    call("umount2", (0, 0), libc::SYS_umount2, NONE),
    call("unshare", (0, 0), libc::SYS_unshare, NONE),
    call("setns", (0, 0), libc::SYS_setns, NONE),
    call("clone", (0, 0), libc::SYS_clone, [libc::CLONE_SIGHAND as c_long, 0, 0]),
    call("waitid", (0, 0), libc::SYS_waitid, NONE),
    call("pidfd_send_signal", (5, 1), libc::SYS_pidfd_send_signal, NONE),
    call("capset", (0, 0), libc::SYS_capset, NONE),
    call("prctl", (0, 0), libc::SYS_prctl, NONE),
    call("signalfd4", (0, 0), libc::SYS_signalfd4, NONE),
    call("socketpair", (0, 0), libc::SYS_socketpair, NONE),
    call("prlimit64", (0, 0), libc::SYS_prlimit64, [0, -1, 0]),
    call("fchdir", (0, 0), libc::SYS_fchdir, NONE),
    call("mkdirat", (0, 0), libc::SYS_mkdirat, NONE),
    call("symlinkat", (0, 0), libc::SYS_symlinkat, NONE),
    call("getdents64", (0, 0), libc::SYS_getdents64, NONE),
];

/// The call with this name, or the first that a text such as `fsopen, fsconfig or fsmount` names, if it is among
/// [`NEEDED_CALLS`]. glibc's name of signalfd4(2) counts, too.
pub fn needed_call(text: &str) -> Option<&'static NeededCall> {
    let is_named = |name: &str| text.split([' ', ',', '(']).any(|word| word == name);
    NEEDED_CALLS.iter().find(|call| is_named(call.name) || call.name.strip_suffix('4').is_some_and(is_named))
}

impl NeededCall {
    /// Makes the call with arguments that no kernel takes, so that it changes nothing.
    ///
    /// # Errors
    ///
    /// ENOSYS, EPERM or EACCES: the call itself is refused, or the kernel lacks it. Where the kernel does not judge the
    /// arguments first, EPERM means so only in a user namespace of one's own.
    pub fn attempt(&self) -> Result<()> {
        let [a, b, c] = self.arguments;
        // SAFETY: no argument is an address that can be read or written, and each call fails with these before it does
        // anything: with EINVAL, EBADF or EFAULT.
        match check(unsafe { libc::syscall(self.number, a, b, c, -1 as c_long, 0 as c_long, 0 as c_long) }) {
            Err(errno @ Errno(libc::ENOSYS | libc::EPERM | libc::EACCES)) => Err(errno),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_the_kernel_judges_are_not_refused_outside() {
        for call in NEEDED_CALLS.iter().filter(|call| call.judges_arguments) {
            assert_eq!(call.attempt(), Ok(()), "{}", call.name);
        }
    }

    #[test]
    fn a_call_is_found_in_the_text_of_a_failure() {
        let name = |text| needed_call(text).map(|call| call.name);
        assert_eq!(name("fsopen, fsconfig or fsmount"), Some("fsopen"));
        assert_eq!(name("unshare (CLONE_NEWNET)"), Some("unshare"));
        assert_eq!(name("prctl PR_SET_DUMPABLE"), Some("prctl"));
        assert_eq!(name("signalfd"), Some("signalfd4"));
        assert_eq!(name("openat"), None);
    }
}
