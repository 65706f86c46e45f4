//! The program's pseudo-terminal.

use super::descriptor::owned;
use crate::sys::errno::{Result, done};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Unlocks a new pseudo-terminal and opens its slave end without a path: TIOCSPTLCK, TIOCGPTPEER (Linux 4.13) of
/// ioctl_tty(2).
pub fn open_peer(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    let (master, unlock) = (master.as_raw_fd(), 0 as libc::c_int);
    // SAFETY: TIOCSPTLCK reads an int, which outlives the call.
    done(unsafe { libc::ioctl(master, libc::TIOCSPTLCK, &raw const unlock) })?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value, and gives a new descriptor.
    owned(unsafe { libc::ioctl(master, libc::TIOCGPTPEER, flags) }.into())
}

/// Makes a terminal the controlling terminal of this session: TIOCSCTTY of ioctl_tty(2).
pub fn take_terminal(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer by value; 0 does not steal the terminal from another session.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) })
}

/// tcsetpgrp(3): makes this process's group the foreground group of a terminal. SIGTTOU must be blocked.
pub fn take_foreground(fd: BorrowedFd<'_>) -> Result<()> {
    Ok(nix::unistd::tcsetpgrp(fd, nix::unistd::getpgrp())?)
}
