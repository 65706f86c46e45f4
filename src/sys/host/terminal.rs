//! The caller's terminal: settings, window size, foreground group.

use crate::sys::errno::{Result, done};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The settings of a terminal: termios(3).
#[derive(Clone)]
pub struct Termios(nix::sys::termios::Termios);

/// isatty(3): whether a descriptor refers to a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// tcgetattr(3): the settings of a terminal.
pub fn terminal_settings(fd: BorrowedFd<'_>) -> Result<Termios> {
    Ok(Termios(tcgetattr(fd)?))
}

/// tcsetattr(3), TCSANOW: sets the settings of a terminal without waiting for its output, which may never drain.
/// Pending output was processed, by the old settings, when it was written.
pub fn set_terminal(fd: BorrowedFd<'_>, settings: &Termios) -> Result<()> {
    Ok(tcsetattr(fd, SetArg::TCSANOW, &settings.0)?)
}

impl Termios {
    /// A copy of these settings in raw mode, where every byte is passed on unchanged: cfmakeraw(3).
    pub fn raw(&self) -> Termios {
        let mut raw = self.0.clone();
        cfmakeraw(&mut raw);
        Termios(raw)
    }
}

/// Copies the window size of one terminal to another: TIOCGWINSZ, TIOCSWINSZ of ioctl_tty(2).
pub fn copy_window_size(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one struct winsize.
    done(unsafe { libc::ioctl(from.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    // SAFETY: TIOCSWINSZ reads one struct winsize.
    done(unsafe { libc::ioctl(to.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
}

/// tcsetpgrp(3): makes `group` the foreground process group of a terminal. SIGTTOU must be blocked.
pub fn give_foreground(fd: BorrowedFd<'_>, group: i32) -> Result<()> {
    Ok(tcsetpgrp(fd, Pid::from_raw(group))?)
}

/// Whether this process's group is the foreground group of a terminal.
pub fn in_foreground(fd: BorrowedFd<'_>) -> bool {
    tcgetpgrp(fd) == Ok(getpgrp())
}

/// tcgetpgrp(3): the foreground process group of a terminal; -1 if there is none, or if the terminal belongs to another
/// session.
pub fn foreground_group(fd: BorrowedFd<'_>) -> i32 {
    tcgetpgrp(fd).map_or(-1, Pid::as_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_put_back_as_they_were_with_flags_that_few_know() {
        // Every bit that Linux knows of, in each of the four words: nix keeps the words as sets of flags.
        let mut all: libc::termios = terminal().into();
        (all.c_iflag, all.c_oflag, all.c_lflag) = (0o77777, 0o177777, 0o377777 & !0o36000 | 0o36000);
        all.c_cflag = 0o17777 | libc::CMSPAR | libc::CRTSCTS;
        let kept: libc::termios = nix::sys::termios::Termios::from(all).into();
        assert_eq!((kept.c_iflag, kept.c_oflag), (all.c_iflag, all.c_oflag));
        assert_eq!((kept.c_cflag, kept.c_lflag), (all.c_cflag, all.c_lflag));
    }

    /// The settings of a new pseudo-terminal.
    fn terminal() -> nix::sys::termios::Termios {
        let master = crate::sys::openat(crate::sys::cwd(), c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0).unwrap();
        tcgetattr(master).unwrap()
    }
}
