//! Signals: all are blocked and read from a descriptor, so that no handler ever runs.

use crate::sys::errno::Result;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A set of signals, as the kernel had it.
#[derive(Clone, Copy)]
pub struct Mask(pub(in crate::sys) SigSet);

/// Sets the mask.
pub fn restore(mask: &Mask) -> Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask.0), None)?)
}

/// A descriptor that these signals can be read from while they are blocked (signalfd(2)).
pub(in crate::sys) fn descriptor_for(signals: &SigSet) -> Result<OwnedFd> {
    let signals = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    Ok(signals.into())
}

/// For a process that waits for children alone: SIGCHLD is blocked and read from this descriptor, everything else is ignored and
/// so never queued. What is left queued by others would count against the user's limit.
pub fn child_descriptor() -> Result<OwnedFd> {
    (1..=64).filter(|signal| *signal != libc::SIGCHLD).for_each(|signal| {
        dispose(signal, libc::SIG_IGN);
    });
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None)?;
    descriptor_for(&set)
}

/// Ignores a signal (SIG_IGN) or sets its default action (SIG_DFL), real-time signals included, which the one of nix does not take.
/// Gives what was before, or SIG_ERR.
pub(in crate::sys) fn dispose(signal: i32, action: libc::sighandler_t) -> libc::sighandler_t {
    debug_assert!([libc::SIG_IGN, libc::SIG_DFL].contains(&action));
    // SAFETY: the actions that are passed here run no code of ours; SIGKILL, SIGSTOP and numbers that there are not give an error.
    unsafe { libc::signal(signal, action) }
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Its number.
    pub signal: i32,
    /// Whether a process sent it (kill and the like), rather than the kernel or a terminal.
    pub from_process: bool,
}

/// The next signal, if one is waiting.
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<Arrived> {
    // struct signalfd_siginfo: ssi_signo, ssi_errno, ssi_code, and 116 bytes more. The kernel writes whole ones.
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    let n = nix::unistd::read(fd, &mut info).ok()?;
    let (words, _) = info.as_chunks::<4>();
    let [signal, _, code, ..] = words else { return None };
    let (signal, code) = (i32::from_ne_bytes(*signal), i32::from_ne_bytes(*code));
    (n == info.len()).then_some(Arrived { signal, from_process: code <= 0 })
}

/// Sets the default action for SIGPIPE, which we ignore and exec would hand on.
pub fn default_sigpipe() {
    dispose(libc::SIGPIPE, libc::SIG_DFL);
}
