//! The caller's terminal.

use super::output::BUFFER;
use super::streams::tty;
use crate::child::Terminal;
use crate::sys::{self, Termios};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The settings and the size that the program's terminal starts with: those of the caller's terminal. Whoever has that in a mode
/// without lines at the moment did so for itself, so such a mode is not passed on.
pub(in crate::launch) fn initial() -> Option<Terminal> {
    let terminal = tty()?;
    let settings = sys::terminal_settings(terminal).ok()?;
    let settings = if settings.has_lines() { settings } else { settings.cooked() };
    let size = sys::window_size(terminal).ok()?;
    Some(Terminal { settings, size, foreground: is_ours(terminal) })
}

/// Whether this process may read a terminal and set it: its group is the foreground group, or the terminal belongs to another session.
/// Then there is no job control.
fn is_ours(terminal: BorrowedFd<'_>) -> bool {
    [-1, sys::process_group()].contains(&sys::foreground_group(terminal))
}

/// The caller's terminal, by an open file description of sbx's own: only that one is non-blocking.
pub(super) struct Outer {
    fd: OwnedFd,
    /// Whether the terminal could be read and set by this process at the last look.
    ours: bool,
    /// What was set to pass keys on, for as long as it is.
    passing: Option<Passing>,
}

/// Settings of the caller's terminal that pass keys on.
struct Passing {
    before: Termios,
    now: Termios,
    /// Another sandbox had changed the settings before: `before` may not be what they were at first.
    shared: bool,
}

impl Outer {
    /// Opens the terminal that one of the standard streams is.
    pub(super) fn open() -> Option<Outer> {
        let stream = tty()?;
        // Who may not open the terminal's own name may open the controlling terminal, as after su(1).
        let controlling = sys::foreground_group(stream) != -1;
        let flags = libc::O_RDWR | libc::O_NONBLOCK | libc::O_NOCTTY;
        let first = if controlling { sys::openat(sys::cwd(), c"/dev/tty", flags, 0).ok() } else { None };
        let opened = first.or_else(|| sys::reopen(stream.as_raw_fd(), libc::O_RDWR).ok());
        // At worst, the stream itself: it is read only when it has something.
        let fd = opened.or_else(|| sys::dup_above(stream, 3).ok())?;
        Some(Outer { fd, ours: is_ours(stream), passing: None })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether the terminal may be read and set by this process now.
    pub(super) fn is_ours(&self) -> bool {
        is_ours(self.as_fd())
    }

    /// Looks whether it may, and remembers that.
    pub(super) fn look(&mut self) -> bool {
        self.ours = self.is_ours();
        self.ours
    }

    /// Whether it could at the last look.
    pub(super) fn was_ours(&self) -> bool {
        self.ours
    }

    /// Whether the terminal has hung up: it is closed, or its line is gone.
    pub(super) fn is_gone(&self) -> bool {
        sys::terminal_settings(self.as_fd()).is_err()
    }

    /// Reads what one who waits for input is to have: a line, if the terminal gives whole lines, which it has edited and echoed; else the
    /// keys that are there. True if it is a line. An empty one is the end of input.
    ///
    /// What was typed before the terminal was set to give lines comes as one line at that change, whatever it contains. So a line is read
    /// byte by byte: what follows its end is for whoever reads next.
    pub(super) fn read(&self, input: &mut Vec<u8>) -> sys::Result<bool> {
        let settings = sys::terminal_settings(self.as_fd())?;
        let lines = settings.has_lines();
        if !lines {
            input.resize(BUFFER, 0);
            let n = sys::read(self.as_fd(), input)?;
            input.truncate(n);
            return Ok(false);
        }
        // This does not count the characters that end input.
        let most = sys::unread(self.as_fd())?.max(1);
        for _ in 0..most {
            let mut byte = [0];
            match sys::read(self.as_fd(), &mut byte) {
                Ok(1) => input.extend(byte),
                Err(errno) if input.is_empty() => return Err(errno),
                _ => break,
            }
            if settings.ends_line(byte[0]) {
                break;
            }
        }
        Ok(true)
    }

    /// Whether it adds the CR at the end of each line.
    pub(super) fn ends_lines(&self) -> bool {
        sys::terminal_settings(self.as_fd()).is_ok_and(|settings| settings.ends_lines())
    }

    /// Whether it passes keys on.
    pub(super) fn is_passing(&self) -> bool {
        self.passing.is_some()
    }

    /// Sets the terminal to pass keys on for one with these settings, if it may be set. It is done again if another process has set it
    /// meanwhile.
    pub(super) fn pass_on(&mut self, to: &Termios) {
        let Ok(found) = sys::terminal_settings(self.as_fd()) else { return };
        if !self.is_ours() {
            return;
        }
        let (before, shared) = match &self.passing {
            Some(passing) if found == passing.now => (passing.before, passing.shared),
            _ => (found, sys::changed_by_others(self.as_fd())),
        };
        let wanted = before.passing_on(to);
        if (wanted == found || sys::set_terminal(self.as_fd(), &wanted).is_ok())
            && let Ok(now) = sys::terminal_settings(self.as_fd())
        {
            let _ = sys::mark_changed(self.as_fd(), true);
            self.passing = Some(Passing { before, now, shared });
        }
    }

    /// Puts the settings back, unless another process has set the terminal since, or has it in the foreground now.
    pub(super) fn put_back(&mut self) {
        let Some(Passing { before, now, shared }) = self.passing.take() else { return };
        let _ = sys::mark_changed(self.as_fd(), false);
        if !self.is_ours() || sys::terminal_settings(self.as_fd()) != Ok(now) {
            return;
        }
        // The other sandbox puts back what it has found. If it was killed, nobody does.
        let orphaned = shared && !before.has_lines() && !sys::changed_by_others(self.as_fd());
        let _ = sys::set_terminal(self.as_fd(), &if orphaned { before.cooked() } else { before });
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        self.put_back();
    }
}
