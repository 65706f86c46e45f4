//! Terminals.

use super::errno::{Result, done};
use super::fd::owned;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The settings of a terminal.
#[derive(Clone, Copy)]
pub struct Termios(libc::termios);

/// Whether a descriptor is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: plain integers.
    unsafe { libc::isatty(fd.as_raw_fd()) == 1 }
}

/// tcgetattr(3)
pub fn terminal_settings(fd: BorrowedFd<'_>) -> Result<Termios> {
    // SAFETY: the call fills the struct.
    unsafe {
        let mut settings = std::mem::zeroed();
        done(libc::tcgetattr(fd.as_raw_fd(), &raw mut settings))?;
        Ok(Termios(settings))
    }
}

/// tcsetattr(3), at once: output that has not gone out was processed when it was written, and may never go.
pub fn set_terminal(fd: BorrowedFd<'_>, settings: &Termios) -> Result<()> {
    // SAFETY: the settings were filled by the kernel.
    done(unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const settings.0) })
}

impl Termios {
    /// The same settings with every byte passed on as it is: cfmakeraw(3).
    pub fn raw(mut self) -> Termios {
        // SAFETY: works on the struct alone.
        unsafe { libc::cfmakeraw(&raw mut self.0) };
        self
    }
}

/// Copies the size of one terminal's window to another: TIOCGWINSZ, TIOCSWINSZ.
pub fn copy_window_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the struct is filled by the first call.
    unsafe {
        let mut size = std::mem::zeroed::<libc::winsize>();
        done(libc::ioctl(from.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size))?;
        done(libc::ioctl(to.as_raw_fd(), libc::TIOCSWINSZ, &raw const size))
    }
}

/// Unlocks a new pseudo-terminal and opens its other end without a path: TIOCSPTLCK, TIOCGPTPEER (Linux 4.13).
pub fn open_peer(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    let unlock: libc::c_int = 0;
    // SAFETY: the lock flag is an int that outlives the call.
    unsafe {
        done(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock))?;
        owned(
            libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC).into(),
        )
    }
}

/// Makes a terminal the controlling one of this session: TIOCSCTTY.
pub fn take_terminal(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain integers; 0 does not steal it.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) })
}

/// tcsetpgrp(3): gives the terminal to our own process group. SIGTTOU must be blocked.
pub fn take_foreground(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::tcsetpgrp(fd.as_raw_fd(), libc::getpgrp()) })
}

/// The same for another group.
pub fn give_foreground(fd: BorrowedFd<'_>, group: i32) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::tcsetpgrp(fd.as_raw_fd(), group) })
}

/// Whether our process group owns this terminal's input.
pub fn in_foreground(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: plain integers.
    unsafe { libc::tcgetpgrp(fd.as_raw_fd()) == libc::getpgrp() }
}

/// The process group that owns this terminal's input.
pub fn foreground_group(fd: BorrowedFd<'_>) -> i32 {
    // SAFETY: plain integers.
    unsafe { libc::tcgetpgrp(fd.as_raw_fd()) }
}
