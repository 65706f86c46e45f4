//! Terminals: settings, window size, the controlling terminal and its foreground process group (ioctl_tty(2)).

use super::descriptor::owned;
use crate::sys::errno::{Result, done};
use nix::unistd::{Pid, tcgetpgrp, tcsetpgrp};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The settings of a terminal: the kernel's struct termios2 (asm-generic/termbits.h), on x86-64 and aarch64. Not the C library's, which
/// leaves out speeds that it does not know.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Termios {
    pub(in crate::sys) input: u32,
    pub(in crate::sys) output: u32,
    pub(in crate::sys) control: u32,
    pub(in crate::sys) local: u32,
    pub(in crate::sys) discipline: u8,
    pub(in crate::sys) characters: [u8; 19],
    pub(in crate::sys) speeds: [u32; 2],
}

impl Termios {
    /// The input, output and local modes and the characters of `other`, on this line: its speed, size of characters and parity stay.
    #[must_use]
    pub fn with_modes_of(&self, other: &Termios) -> Termios {
        let Termios { input, output, local, characters, .. } = *other;
        Termios { input, output, local, characters, ..*self }
    }
}

impl Termios {
    /// How many bytes [`Termios::to_bytes`] gives.
    pub const BYTES: usize = 44;

    /// The settings as the kernel lays them out.
    pub fn to_bytes(self) -> [u8; Termios::BYTES] {
        let mut bytes = [0; Termios::BYTES];
        let Termios { input, output, control, local, discipline, characters, speeds } = self;
        let (modes, rest) = bytes.split_at_mut(16);
        for (place, mode) in modes.chunks_exact_mut(4).zip([input, output, control, local]) {
            place.copy_from_slice(&mode.to_ne_bytes());
        }
        let (line, ends) = rest.split_at_mut(20);
        for (place, byte) in line.iter_mut().zip([discipline].into_iter().chain(characters)) {
            *place = byte;
        }
        for (place, speed) in ends.chunks_exact_mut(4).zip(speeds) {
            place.copy_from_slice(&speed.to_ne_bytes());
        }
        bytes
    }

    /// The settings that these bytes are.
    pub fn from_bytes(bytes: &[u8; Termios::BYTES]) -> Termios {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| words.get(at).map_or(0, |word| u32::from_ne_bytes(*word));
        let mut characters = [0; 19];
        for (place, byte) in characters.iter_mut().zip(bytes.iter().skip(17)) {
            *place = *byte;
        }
        Termios {
            input: word(0),
            output: word(1),
            control: word(2),
            local: word(3),
            discipline: bytes[16],
            characters,
            speeds: [word(9), word(10)],
        }
    }
}

/// TCGETS2 of ioctl_tty(2).
const GET_SETTINGS: libc::Ioctl = 0x802c_542au32 as libc::Ioctl;
/// TCSETS2 of ioctl_tty(2).
const SET_SETTINGS: libc::Ioctl = 0x402c_542bu32 as libc::Ioctl;

/// The size of a terminal's window: struct winsize of ioctl_tty(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Rows, columns, width and height in pixels; 0 is not known.
    pub(in crate::sys) numbers: [u16; 4],
}

impl WindowSize {
    /// How many bytes [`WindowSize::to_bytes`] gives.
    pub const BYTES: usize = 8;

    /// A window of so many rows and columns.
    pub fn of(rows: u16, columns: u16) -> WindowSize {
        WindowSize { numbers: [rows, columns, 0, 0] }
    }

    /// The size as the kernel lays it out.
    pub fn to_bytes(self) -> [u8; WindowSize::BYTES] {
        let mut bytes = [0; WindowSize::BYTES];
        for (place, number) in bytes.chunks_exact_mut(2).zip(self.numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    /// The size that these bytes are.
    pub fn from_bytes(bytes: &[u8; WindowSize::BYTES]) -> WindowSize {
        let (words, _) = bytes.as_chunks::<2>();
        let word = |at: usize| words.get(at).map_or(0, |word| u16::from_ne_bytes(*word));
        WindowSize { numbers: [word(0), word(1), word(2), word(3)] }
    }

    /// How many columns it has; 0 is not known.
    pub fn columns(&self) -> u16 {
        self.numbers[1]
    }

    /// How many lines it has; 0 is not known.
    pub fn lines(&self) -> u16 {
        self.numbers[0]
    }

    /// Whether a window of this size shows no line of text: 0 is not known, and is taken for 80 by 24.
    pub fn shows_nothing(&self) -> bool {
        let [rows, columns, ..] = self.numbers;
        rows == 1 || (1..10).contains(&columns)
    }
}

/// The settings of a terminal. EIO: the terminal has hung up.
pub fn terminal_settings(fd: BorrowedFd<'_>) -> Result<Termios> {
    let mut settings = Termios::default();
    // SAFETY: TCGETS2 writes one struct termios2, whose layout `Termios` has.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), GET_SETTINGS, &raw mut settings) })?;
    Ok(settings)
}

/// Sets the settings of a terminal without waiting for its output, which may never drain. Pending output was processed, by the old
/// settings, when it was written.
pub fn set_terminal(fd: BorrowedFd<'_>, settings: &Termios) -> Result<()> {
    // SAFETY: TCSETS2 reads one struct termios2, whose layout `Termios` has.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), SET_SETTINGS, &raw const *settings) })
}

/// The size of a terminal's window: TIOCGWINSZ.
pub fn window_size(fd: BorrowedFd<'_>) -> Result<WindowSize> {
    let mut size = WindowSize { numbers: [0; 4] };
    // SAFETY: TIOCGWINSZ writes one struct winsize, which is four numbers of 16 bits.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size.numbers) })?;
    Ok(size)
}

/// Sets the size of a terminal's window: TIOCSWINSZ. If it changes, the foreground process group gets SIGWINCH.
pub fn set_window_size(fd: BorrowedFd<'_>, size: &WindowSize) -> Result<()> {
    // SAFETY: TIOCSWINSZ reads one struct winsize, which is four numbers of 16 bits.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const size.numbers) })
}

/// Unlocks a new pseudo-terminal and opens its slave end without a path: TIOCSPTLCK, TIOCGPTPEER (Linux 4.13).
pub fn open_peer(master: BorrowedFd<'_>) -> Result<OwnedFd> {
    let (master, unlock) = (master.as_raw_fd(), 0 as libc::c_int);
    // SAFETY: TIOCSPTLCK reads an int, which outlives the call.
    done(unsafe { libc::ioctl(master, libc::TIOCSPTLCK, &raw const unlock) })?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value, and gives a new descriptor.
    owned(unsafe { libc::ioctl(master, libc::TIOCGPTPEER, flags) }.into())
}

/// Makes a terminal the controlling terminal of this session: TIOCSCTTY.
pub fn take_terminal(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer by value; 0 does not steal the terminal from another session.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) })
}

/// tcsetpgrp(3): makes this process's group the foreground group of a terminal. SIGTTOU must be blocked or ignored.
pub fn take_foreground(fd: BorrowedFd<'_>) -> Result<()> {
    give_foreground(fd, nix::unistd::getpgrp().as_raw())
}

/// tcsetpgrp(3): makes `group` the foreground process group of a terminal. SIGTTOU must be blocked or ignored.
pub fn give_foreground(fd: BorrowedFd<'_>, group: i32) -> Result<()> {
    Ok(tcsetpgrp(fd, Pid::from_raw(group))?)
}

/// tcgetpgrp(3): the foreground process group of a terminal; -1 if there is none, or if the terminal belongs to another
/// session; 0 if the group is not in this pid namespace.
pub fn foreground_group(fd: BorrowedFd<'_>) -> i32 {
    tcgetpgrp(fd).map_or(-1, Pid::as_raw)
}
