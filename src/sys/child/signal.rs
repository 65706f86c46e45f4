//! Signals. They are blocked and read from a descriptor, so that no handler ever runs.

use crate::sys::errno::Result;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A signal mask of this process: sigprocmask(2).
#[derive(Clone, Copy)]
pub struct Mask(pub(in crate::sys) SigSet);

/// Sets the signal mask of this process: sigprocmask(2), SIG_SETMASK.
pub fn restore(mask: &Mask) -> Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask.0), None)?)
}

/// A descriptor from which these signals can be read while they are blocked: signalfd(2).
pub(in crate::sys) fn descriptor_for(signals: &SigSet) -> Result<OwnedFd> {
    let signals = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    Ok(signals.into())
}

/// A descriptor from which SIGCHLD can be read, for a process that only waits for children. SIGCHLD is blocked; all
/// other signals are ignored, so that none is queued: queued signals count against the user's limit
/// (RLIMIT_SIGPENDING).
pub fn child_descriptor() -> Result<OwnedFd> {
    (1..=64).filter(|signal| *signal != libc::SIGCHLD).for_each(|signal| {
        set_disposition(signal, libc::SIG_IGN);
    });
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None)?;
    descriptor_for(&set)
}

/// signal(2): ignores a signal (SIG_IGN) or sets its default action (SIG_DFL). Gives the previous action, or SIG_ERR.
/// (nix's takes no real-time signals.)
pub(in crate::sys) fn set_disposition(signal: i32, action: libc::sighandler_t) -> libc::sighandler_t {
    debug_assert!([libc::SIG_IGN, libc::SIG_DFL].contains(&action));
    // SAFETY: the actions that are passed here run no code of this program; SIGKILL, SIGSTOP and invalid numbers give
    // an error.
    unsafe { libc::signal(signal, action) }
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
