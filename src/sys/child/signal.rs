//! Signals. They are blocked and read from a descriptor, so that no handler ever runs.

use super::descriptor::owned;
use crate::sys::errno::{Result, check};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A set of signals, as the kernel has it: bit 0 is signal 1.
///
/// By hand, as everything here: a C library keeps some real-time signals for itself, how many depends on the library, and its functions
/// leave them out of sets and refuse them. This program has no threads, for which they are, and treats all signals alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mask(u64);

impl Mask {
    /// Every signal.
    pub(in crate::sys) const ALL: Mask = Mask(u64::MAX);

    /// One signal; none where there is no such signal.
    pub(in crate::sys) const fn only(signal: i32) -> Mask {
        Mask(if signal >= 1 && signal <= 64 { 1 << (signal - 1) } else { 0 })
    }

    /// The same set without this signal.
    #[must_use]
    pub fn without(self, signal: i32) -> Mask {
        Mask(self.0 & !Mask::only(signal).0)
    }
}

/// Blocks these signals and no others: rt_sigprocmask(2). Gives those that were blocked before.
pub(in crate::sys) fn block(signals: &Mask) -> Result<Mask> {
    let mut before = Mask(0);
    let (new, old) = (&raw const signals.0, &raw mut before.0);
    // SAFETY: the kernel reads one set and writes another, both of the size that is passed.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, size_of::<u64>()) })?;
    Ok(before)
}

/// Sets the signal mask of this process: sigprocmask(2), SIG_SETMASK.
pub fn restore(mask: &Mask) -> Result<()> {
    block(mask).map(drop)
}

/// A descriptor that these signals can be read from while they are blocked (signalfd(2)).
pub(in crate::sys) fn descriptor_for(signals: &Mask) -> Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: -1 asks for a new descriptor; the set is read, and has the size that is passed.
    owned(unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const signals.0, size_of::<u64>(), flags) })
}

/// A descriptor from which SIGCHLD can be read, for a process that only waits for children. SIGCHLD is blocked; all
/// other signals are ignored, so that none is queued: queued signals count against the user's limit
/// (RLIMIT_SIGPENDING). Gives also which were ignored before, a bit for each.
pub fn child_descriptor() -> Result<(OwnedFd, u64)> {
    let mut ignored = 0;
    (1..=64).filter(|signal| *signal != libc::SIGCHLD).for_each(|signal| {
        if set_disposition(signal, libc::SIG_IGN) == libc::SIG_IGN {
            ignored |= 1 << (signal - 1);
        }
    });
    let set = Mask::only(libc::SIGCHLD);
    block(&set)?;
    Ok((descriptor_for(&set)?, ignored))
}

/// Sets the default action for all signals but those with a bit in `ignored`: those of [`child_descriptor`], for a process that is to execute a program.
pub fn default_signals(ignored: u64) {
    (1..=64).filter(|signal| ignored & 1 << (signal - 1) == 0).for_each(|signal| {
        set_disposition(signal, libc::SIG_DFL);
    });
}

/// struct sigaction of rt_sigaction(2), on x86-64 and aarch64.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: libc::sighandler_t,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Ignores a signal (SIG_IGN) or sets its default action (SIG_DFL): rt_sigaction(2). Gives what was before, or SIG_ERR.
pub(in crate::sys) fn set_disposition(signal: i32, action: libc::sighandler_t) -> libc::sighandler_t {
    debug_assert!([libc::SIG_IGN, libc::SIG_DFL].contains(&action));
    let new = Action { handler: action, ..Action::default() };
    let mut old = Action::default();
    let (new, before) = (&raw const new, &raw mut old);
    // SAFETY: the structs have the kernel's layout, and the set in them the size that is passed. The actions that are passed here run no
    // code of ours; SIGKILL, SIGSTOP and numbers that there are not give an error.
    let done = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, before, size_of::<u64>()) };
    if done < 0 { libc::SIG_ERR } else { old.handler }
}

/// A signal that was read from a descriptor of signalfd(2).
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// The signal's number.
    pub signal: i32,
    /// Whether a process sent it, as with kill(2), rather than the kernel or a terminal.
    pub from_process: bool,
}

/// The next signal from a descriptor of signalfd(2), without waiting; `None` if none is pending.
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<Arrived> {
    // struct signalfd_siginfo: ssi_signo, ssi_errno, ssi_code, and 116 more bytes. The kernel writes only whole
    // structs.
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    let n = nix::unistd::read(fd, &mut info).ok()?;
    let (words, _) = info.as_chunks::<4>();
    let [signal, _, code, ..] = words else { return None };
    let (signal, code) = (i32::from_ne_bytes(*signal), i32::from_ne_bytes(*code));
    (n == info.len()).then_some(Arrived { signal, from_process: code <= 0 })
}

/// Sets the default action for SIGPIPE: sbx ignores it, and the program would inherit that.
pub fn default_sigpipe() {
    set_disposition(libc::SIGPIPE, libc::SIG_DFL);
}

/// Sets the default action for SIGXFSZ, which the launcher may ignore.
pub fn default_sigxfsz() {
    set_disposition(libc::SIGXFSZ, libc::SIG_DFL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_real_time_signals_can_be_blocked_and_ignored() {
        use crate::sys::{Waited, fork, wait_for};
        // In a process of its own: a C library with threads, as a test has them, has handlers for some.
        let child = fork(|| {
            let blocked = block(&Mask::ALL).and_then(|before| block(&before));
            if blocked != Ok(Mask::ALL.without(libc::SIGKILL).without(libc::SIGSTOP)) {
                return 1;
            }
            let is_ignored = |signal| {
                set_disposition(signal, libc::SIG_IGN) != libc::SIG_ERR
                    && set_disposition(signal, libc::SIG_DFL) == libc::SIG_IGN
            };
            if (32..=64).all(is_ignored) && set_disposition(65, libc::SIG_IGN) == libc::SIG_ERR { 0 } else { 2 }
        });
        assert_eq!(wait_for(child.unwrap()), Ok(Waited::Exited(0)));
    }

    #[test]
    fn what_is_no_signal_is_in_no_set() {
        assert_eq!((Mask::only(0), Mask::only(-1), Mask::only(65)), (Mask(0), Mask(0), Mask(0)));
        assert_eq!((Mask::only(1), Mask::only(64)), (Mask(1), Mask(1 << 63)));
    }
}
