//! The program's terminal: a pseudo-terminal, of which sbx has the master.

use crate::sys::{self, Errno, Poll, Termios, WindowSize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// TIOCPKT_FLUSHREAD of ioctl_tty(2): the program has discarded the input that it has not read.
const FLUSHED: u8 = 1;

/// What came from the program's terminal.
pub(super) enum Came {
    /// So many bytes of output.
    Output(usize),
    /// The program has discarded its input.
    Flush,
    /// Nothing more for now.
    Nothing,
}

/// The program's terminal.
pub(super) struct Inner {
    master: OwnedFd,
    /// The slave end. It also keeps the terminal working when the program closes it and opens it again.
    slave: OwnedFd,
    /// The settings that the program found.
    initial: Termios,
}

impl Inner {
    pub(super) fn new(master: OwnedFd, initial: Option<Termios>) -> sys::Result<Inner> {
        sys::set_nonblocking(master.as_fd(), true)?;
        sys::packet_mode(master.as_fd())?;
        let slave = sys::open_peer(master.as_fd())?;
        let found = sys::terminal_settings(slave.as_fd())?;
        // The program may have changed them already.
        let initial = initial.map_or(found, |initial| found.with_modes_of(&initial));
        Ok(Inner { master, slave, initial })
    }

    pub(super) fn number(&self) -> RawFd {
        self.master.as_raw_fd()
    }

    /// Its number, which is its name in /dev/pts inside.
    pub(super) fn index(&self) -> Option<u32> {
        sys::terminal_number(self.master.as_fd()).ok()
    }

    pub(super) fn settings(&self) -> Termios {
        sys::terminal_settings(self.slave.as_fd()).unwrap_or(self.initial)
    }

    /// The settings, if the program has changed them.
    pub(super) fn changed(&self) -> Option<Termios> {
        Some(self.settings()).filter(|settings| self.is_changed(settings))
    }

    /// Whether settings are others than those that the program found.
    pub(super) fn is_changed(&self, settings: &Termios) -> bool {
        !settings.is_alike(&self.initial)
    }

    /// Whether the program has read all input that it was given.
    pub(super) fn is_drained(&self) -> bool {
        sys::unread(self.slave.as_fd()).unwrap_or(0) == 0
    }

    /// Discards input that the program has not read.
    fn flush(&self) {
        let _ = sys::flush_input(self.slave.as_fd());
        // The master is told of that as if the program had done it. A read of one byte gives that, and else no output.
        let _ = sys::read(self.master.as_fd(), &mut [0]);
    }

    /// Reads output, or what happened at the program's end.
    pub(super) fn read(&self, buffer: &mut [u8]) -> Came {
        match sys::read(self.master.as_fd(), buffer) {
            Ok(n @ 1..) => match buffer.first() {
                Some(0) => Came::Output(n - 1),
                Some(bits) if bits & FLUSHED != 0 => Came::Flush,
                _ => Came::Output(0),
            },
            _ => Came::Nothing,
        }
    }

    /// Writes keys, as if they were typed at the program's terminal. Gives how many it took.
    pub(super) fn type_keys(&self, keys: &[u8]) -> usize {
        sys::write_some(self.master.as_fd(), keys).unwrap_or(0)
    }

    /// Hands over a line that the caller's terminal has edited and echoed already; an empty one is the end of input. The program gets
    /// it in one read(2), and nothing is echoed again.
    ///
    /// The line is typed without echo, each character of it literally, LF included. It is complete, and wakes who waits for it, only with the
    /// character that ends input, which is never echoed and comes when the echo is on again. That ends one read, not the terminal. Where a
    /// terminal has not both characters, the echo is on again a moment after who waits is woken.
    pub(super) fn give_line(&self, line: &[u8]) {
        let before = self.settings();
        let (quote, end) = (before.quote(), before.end());
        let end = end.as_slice();
        let mut keys = Vec::with_capacity(line.len() + 8);
        for byte in line {
            keys.extend(quote.filter(|_| before.is_special(*byte) && !end.is_empty()));
            keys.push(*byte);
        }
        let slave = self.slave.as_fd();
        let silent = before.silent();
        let _ = sys::set_terminal(slave, &silent);
        self.type_all(&keys);
        // Who has changed the settings meanwhile meant what they are now.
        if sys::terminal_settings(slave) == Ok(silent) {
            let _ = sys::set_terminal(slave, &before);
        }
        if quote.is_some() || line.is_empty() {
            self.type_all(end);
        }
    }

    /// Types all keys, and waits until the terminal has handled them. It takes them at once, but for a line that is longer than a terminal
    /// takes.
    fn type_all(&self, mut keys: &[u8]) {
        for _ in 0..64 {
            let n = self.type_keys(keys);
            keys = keys.get(n..).unwrap_or_default();
            // poll(2) of the slave end waits until the kernel has handled what was typed.
            let _ = sys::poll(&mut [Poll::read(self.slave.as_raw_fd())], Some(0));
            if keys.is_empty() {
                return;
            }
        }
    }

    /// Sends a signal to the foreground process group, as if its key had been typed: input that was not read is discarded.
    pub(super) fn signal(&self, signal: i32) -> sys::Result<()> {
        if self.settings().flushes_for_signals() {
            self.flush();
        }
        sys::signal_foreground(self.master.as_fd(), signal)
    }

    pub(super) fn size(&self) -> Option<WindowSize> {
        sys::window_size(self.master.as_fd()).ok()
    }

    pub(super) fn set_size(&self, size: &WindowSize) {
        let _ = sys::set_window_size(self.master.as_fd(), size);
    }

    pub(super) fn resize(&self, from: BorrowedFd<'_>) -> Result<(), Errno> {
        sys::set_window_size(self.master.as_fd(), &sys::window_size(from)?)
    }
}
