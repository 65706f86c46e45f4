//! Copies between the caller's terminal and the program's.

use crate::sys::{self, Poll, Termios};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

const BUFFER: usize = 16 * 1024;

/// A standard stream: 0, 1 or 2.
pub(super) fn stream(number: i32) -> BorrowedFd<'static> {
    sys::STREAMS[number as usize].as_fd()
}

/// The standard stream that is the caller's terminal.
pub(super) fn tty() -> Option<BorrowedFd<'static>> {
    [0, 1, 2].map(stream).into_iter().find(|fd| sys::is_terminal(*fd))
}

/// Both directions, each with the bytes still to be written. No call blocks: a terminal that nobody reads stops the
/// program, not the launcher.
#[derive(Default)]
pub(super) struct Relay {
    master: Option<OwnedFd>,
    /// The slave end, kept open so that a program that closes its terminal and opens it again finds it working.
    _slave: Option<OwnedFd>,
    /// The caller's terminal, opened anew: only this open file description is non-blocking.
    output: Option<OwnedFd>,
    saved: Option<Termios>,
    to_program: Vec<u8>,
    to_terminal: Vec<u8>,
    input_ended: bool,
    /// The input so far does not end with a line feed.
    open_line: bool,
}

impl Relay {
    pub(super) fn start(&mut self, master: OwnedFd) {
        let _ = sys::set_nonblocking(master.as_fd(), true);
        self._slave = sys::open_peer(master.as_fd()).ok();
        let target = if sys::is_terminal(stream(1)) || tty().is_none() { 1 } else { 2 };
        self.output = sys::reopen_to_write(target).ok();
        self.master = Some(master);
        self.resize();
        self.resume();
    }

    /// Puts the caller's terminal into raw mode if this process group is in its foreground.
    pub(super) fn resume(&mut self) {
        if self.master.is_none() {
            return;
        }
        // In the background a change of the terminal would stop us (SIGTTOU); the shell sends SIGCONT when we are in
        // the foreground.
        if let Some(tty) = tty().filter(|tty| sys::in_foreground(*tty))
            && let Ok(settings) = sys::terminal_settings(tty)
        {
            if self.saved.is_none() {
                self.type_ahead();
            }
            let saved = self.saved.get_or_insert(settings);
            let _ = sys::set_terminal(tty, &saved.raw());
        }
        self.resize();
    }

    /// Whether the caller's terminal is still to be put into raw mode: a shell may move a running job to the foreground
    /// without a signal.
    pub(super) fn waits(&self) -> bool {
        self.master.is_some() && self.saved.is_none() && tty().is_some()
    }

    /// Reads what was typed before the start, while the terminal is still in canonical mode: a ^D in it would turn into
    /// a NUL otherwise.
    fn type_ahead(&mut self) {
        while sys::is_terminal(stream(0)) && self.to_program.len() < BUFFER {
            let mut set = [Poll::read(0)];
            if sys::poll(&mut set, Some(0)).is_err() || !set[0].ready {
                return;
            }
            self.input();
            if self.input_ended {
                // A ^D of a terminal ends one read, not the terminal.
                self.input_ended = false;
                return;
            }
        }
    }

    /// Restores the settings of the caller's terminal.
    pub(super) fn suspend(&mut self) {
        if let (Some(saved), Some(tty)) = (self.saved.take(), tty())
            && sys::in_foreground(tty)
        {
            let _ = sys::set_terminal(tty, &saved);
        }
    }

    pub(super) fn resize(&self) {
        if let (Some(master), Some(tty)) = (&self.master, tty()) {
            let _ = sys::copy_window_size(tty, master.as_fd());
        }
    }

    /// What to poll for: the caller's input; the program's output, and room for its input; room for the caller's
    /// output.
    pub(super) fn wants(&self) -> [Poll; 3] {
        let Some(master) = &self.master else { return [Poll::read(-1), Poll::read(-1), Poll::read(-1)] };
        let input = self.to_program.is_empty() && !self.input_ended && tty().is_none_or(sys::in_foreground);
        let full = self.to_terminal.len() >= BUFFER;
        let writes = !self.to_program.is_empty();
        let fd = if full && !writes { -1 } else { master.as_raw_fd() };
        let output = if self.to_terminal.is_empty() { -1 } else { self.output.as_ref().map_or(1, |fd| fd.as_raw_fd()) };
        [
            Poll::read(if input { 0 } else { -1 }),
            Poll { fd, read: !full, write: writes, ready: false },
            Poll { fd: output, read: false, write: true, ready: false },
        ]
    }

    pub(super) fn pump(&mut self, [input, master, output]: [bool; 3]) {
        if self.master.is_none() {
            return;
        }
        if input {
            self.input();
        }
        if let Some(fd) = self.master.as_ref().filter(|_| !self.to_program.is_empty()) {
            let n = sys::write_some(fd.as_fd(), &self.to_program).unwrap_or(0);
            self.to_program.drain(..n);
        }
        if master && self.to_terminal.len() < BUFFER {
            self.take();
        }
        if output || !self.to_terminal.is_empty() {
            self.give();
        }
    }

    fn input(&mut self) {
        let mut buffer = [0; BUFFER];
        match sys::read(stream(0), &mut buffer) {
            Ok(0) => {
                // ^D typed on a terminal: the line discipline of the program's terminal turns it into the end of input.
                // On an unfinished line the first one only ends the line.
                self.input_ended = true;
                self.to_program.extend_from_slice(if self.open_line { &[4, 4] } else { &[4] });
            }
            Ok(n) => {
                self.to_program.extend_from_slice(buffer.get(..n).unwrap_or_default());
                self.open_line = self.to_program.last() != Some(&b'\n');
            }
            Err(sys::Errno(libc::EAGAIN)) => {}
            Err(_) => self.input_ended = true,
        }
    }

    /// Reads what the program wrote; false if there is nothing.
    fn take(&mut self) -> bool {
        let Some(master) = &self.master else { return false };
        let mut buffer = [0; BUFFER];
        match sys::read(master.as_fd(), &mut buffer) {
            Ok(n) if n > 0 => {
                self.to_terminal.extend_from_slice(buffer.get(..n).unwrap_or_default());
                true
            }
            Err(sys::Errno(libc::EAGAIN)) => false,
            // EIO: nobody has the other end open.
            _ => {
                self.master = None;
                false
            }
        }
    }

    /// Writes as much as the caller's terminal takes.
    fn give(&mut self) {
        let fd = self.output.as_ref().map_or(stream(1), AsFd::as_fd);
        match sys::write_some(fd, &self.to_terminal) {
            Ok(n) => drop(self.to_terminal.drain(..n)),
            Err(sys::Errno(libc::EAGAIN)) => {}
            // The terminal is gone: what it would have shown is lost.
            Err(_) => self.to_terminal.clear(),
        }
    }

    /// Writes the rest of the output, for as long as the terminal takes to show it; `ended` tells whether to stop.
    pub(super) fn finish(&mut self, mut ended: impl FnMut() -> bool, signals: BorrowedFd<'_>) {
        loop {
            let more = self.to_terminal.len() < BUFFER && self.take();
            self.give();
            if !more && self.to_terminal.is_empty() {
                break;
            }
            if !self.to_terminal.is_empty() {
                if ended() {
                    break;
                }
                let fd = self.output.as_ref().map_or(1, |fd| fd.as_raw_fd());
                let output = Poll { fd, read: false, write: true, ready: false };
                if sys::poll(&mut [output, Poll::read(signals.as_raw_fd())], None).is_err() {
                    break;
                }
            }
        }
        self.suspend();
        self.master = None;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.suspend();
    }
}
