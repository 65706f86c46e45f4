//! The launcher's own signals: blocked, and read from a descriptor.

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::spec::Tty;
use crate::sys;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Blocked signals, read from a signalfd. When this is dropped the former mask is restored, and pending signals, which
/// were for the program, are discarded.
pub(super) struct Signals {
    before: sys::Mask,
    descriptor: Option<OwnedFd>,
}

/// Whether a signal asks a program to end.
pub(super) fn is_end(signal: i32) -> bool {
    matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT)
}

impl Signals {
    /// Blocks all signals that can be blocked, but for those of job control where the program shares the terminal and
    /// the process group.
    pub(super) fn block(plan: &Plan) -> Result<Signals> {
        // What stops a program that shares our process group is to stop us as well.
        let shared: &[i32] = &[libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        let free = if plan.process.tty == Tty::Shared { shared } else { &[] };
        let before = sys::block_all_but(free).map_err(|errno| Error::call("sigprocmask", errno))?;
        Ok(Signals { before, descriptor: None })
    }

    /// The former mask, which is the program's.
    pub(super) fn before(&self) -> sys::Mask {
        self.before
    }

    /// Opens the signalfd: after the clone, so that the child does not have it.
    pub(super) fn open(&mut self) -> Result<()> {
        let descriptor = sys::signal_descriptor().map_err(|errno| Error::call("signalfd", errno))?;
        self.descriptor = Some(descriptor);
        Ok(())
    }

    /// The signalfd, ready to read when a signal has come; -1 before [`Signals::open`].
    pub(super) fn fd(&self) -> RawFd {
        self.descriptor.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// The next signal that has come.
    pub(super) fn next(&self) -> Option<sys::Arrived> {
        sys::next_signal(self.descriptor.as_ref()?.as_fd())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        while self.next().is_some() {}
        let _ = sys::restore(&self.before);
    }
}
