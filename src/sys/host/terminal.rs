//! Terminals, as the launcher handles the caller's and the program's (ioctl_tty(2), termios(3)).

use crate::sys::child::{Termios, foreground_group};
use crate::sys::errno::{Result, check, done};
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::getpgrp;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// isatty(3): whether a descriptor refers to a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// Whether this process's group is the foreground group of a terminal.
pub fn in_foreground(fd: BorrowedFd<'_>) -> bool {
    foreground_group(fd) == getpgrp().as_raw()
}

/// Input flags that cfmakeraw(3) clears.
const INPUT: u32 =
    libc::IGNBRK | libc::BRKINT | libc::PARMRK | libc::ISTRIP | libc::INLCR | libc::IGNCR | libc::ICRNL | libc::IXON;
/// Local flags that have a terminal handle lines by itself.
const LINES: u32 = libc::ICANON | libc::ECHO | libc::ECHONL | libc::IEXTEN;
/// Flags that have output end its lines with CR LF.
const ENDS: u32 = libc::OPOST | libc::ONLCR;
/// Flags of output processing that are at work on more than the ends of lines.
const OTHER_OUTPUT: u32 = libc::OLCUC | libc::OCRNL | libc::ONOCR | libc::ONLRET;
/// The special characters of a new terminal: INIT_C_CC of the kernel's asm-generic/termios.h.
const CHARACTERS: [u8; 19] = *b"\x03\x1c\x7f\x15\x04\0\x01\0\x11\x13\x1a\0\x12\x0f\x17\x16\0\0\0";
/// The characters that send signals.
const SIGNALS: [usize; 3] = [libc::VINTR, libc::VQUIT, libc::VSUSP];

impl Termios {
    /// These settings changed so that what is typed is passed on for a terminal with the settings `to`, which handles it: nothing is
    /// echoed, and every byte is passed on. If that terminal sends signals, this one sends them itself, to every process of its
    /// foreground group. Output is processed unless that terminal's is not.
    #[must_use]
    pub fn passing_on(&self, to: &Termios) -> Termios {
        let mut raw = *self;
        raw.input &= !INPUT;
        raw.local = raw.local & !(LINES | libc::ISIG | libc::NOFLSH) | to.local & (libc::ISIG | libc::NOFLSH);
        raw.control = raw.control & !(libc::CSIZE | libc::PARENB) | libc::CS8;
        (raw.characters[libc::VMIN], raw.characters[libc::VTIME]) = (1, 0);
        SIGNALS.iter().for_each(|at| raw.characters[*at] = to.characters[*at]);
        if to.output & ENDS != ENDS {
            raw.output &= !libc::OPOST;
        }
        raw
    }

    /// These settings with lines and signals handled by the terminal, as a shell leaves them to its programs. Characters that are off, as
    /// line editors have some, are those of a new terminal.
    #[must_use]
    pub fn cooked(&self) -> Termios {
        let mut cooked = *self;
        cooked.input = cooked.input & !(INPUT | libc::IUCLC) | libc::ICRNL | libc::IXON;
        cooked.output = cooked.output & !OTHER_OUTPUT | ENDS;
        let shown = libc::ECHOE | libc::ECHOK | libc::ECHOCTL | libc::ECHOKE;
        let off = libc::ECHONL | libc::NOFLSH | libc::TOSTOP | libc::EXTPROC;
        cooked.local = cooked.local & !off | LINES & !libc::ECHONL | libc::ISIG | shown;
        for (character, usual) in cooked.characters.iter_mut().zip(CHARACTERS) {
            *character = if *character == 0 { usual } else { *character };
        }
        (cooked.characters[libc::VMIN], cooked.characters[libc::VTIME]) = (1, 0);
        cooked
    }

    /// Whether input is in UTF-8: IUTF8 of termios(3).
    pub fn is_utf8(&self) -> bool {
        self.input & libc::IUTF8 != 0
    }

    /// Whether input is handled line by line.
    pub fn has_lines(&self) -> bool {
        self.local & libc::ICANON != 0
    }

    /// Whether a byte ends a line, and belongs to it.
    pub fn ends_line(&self, byte: u8) -> bool {
        let others = [libc::VEOL, libc::VEOL2].map(|at| self.characters[at]);
        byte == b'\n' || byte != 0 && others.contains(&byte)
    }

    /// Whether a key that sends a signal discards the input that was not read.
    pub fn flushes_for_signals(&self) -> bool {
        self.local & libc::NOFLSH == 0
    }

    /// Whether output ends lines with CR LF, and is changed in no other way.
    pub fn ends_lines(&self) -> bool {
        self.output & ENDS == ENDS && self.output & OTHER_OUTPUT == 0
    }

    /// Whether two terminals handle input and output alike; lines to devices have more settings.
    pub fn is_alike(&self, other: &Termios) -> bool {
        (self.input, self.output, self.local, self.characters)
            == (other.input, other.output, other.local, other.characters)
    }

    /// These settings without the echo of what is typed.
    #[must_use]
    pub fn silent(&self) -> Termios {
        Termios { local: self.local & !(libc::ECHO | libc::ECHONL), ..*self }
    }

    /// The character that takes the next one literally, if there is one.
    pub fn quote(&self) -> Option<u8> {
        Some(self.characters[libc::VLNEXT]).filter(|quote| *quote != 0 && self.local & libc::IEXTEN != 0)
    }

    /// The character that ends input, if there is one.
    pub fn end(&self) -> Option<u8> {
        Some(self.characters[libc::VEOF]).filter(|end| *end != 0 && self.has_lines())
    }

    /// Whether a terminal with these settings may do something else with a byte than take it.
    pub fn is_special(&self, byte: u8) -> bool {
        byte < b' ' || byte == 0x7f || byte == 0xff || self.characters.contains(&byte)
    }
}

/// Discards input that was not read: tcflush(3), TCIFLUSH.
pub fn flush_input(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TCFLSH takes an integer by value.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TCFLSH, libc::TCIFLUSH) })
}

/// Starts output again that a program has suspended: tcflow(3), TCOON.
pub fn start_output(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TCXONC takes an integer by value.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TCXONC, libc::TCOON) })
}

/// FIONREAD: how many bytes could be read from a terminal now.
pub fn unread(fd: BorrowedFd<'_>) -> Result<i32> {
    get_int(fd, libc::FIONREAD)
}

/// Packet mode of a pseudo-terminal's master (TIOCPKT): before what is read comes a byte, 0 if data follow; else bits that say what
/// happened at the other end.
pub fn packet_mode(master: BorrowedFd<'_>) -> Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: TIOCPKT reads an int, which outlives the call.
    done(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCPKT, &raw const on) })
}

/// TIOCGPTN: the number of a pseudo-terminal, from its master. It is the slave's name in its /dev/pts.
pub fn terminal_number(master: BorrowedFd<'_>) -> Result<u32> {
    const TIOCGPTN: libc::Ioctl = 0x8004_5430u32 as libc::Ioctl;
    get_int(master, TIOCGPTN).map(|number| number as u32)
}

/// Sends SIGINT, SIGQUIT or SIGTSTP to the foreground process group of a pseudo-terminal, from its master (TIOCSIG, Linux 2.6.36), as the
/// terminal does when a key is typed.
pub fn signal_foreground(master: BorrowedFd<'_>, signal: i32) -> Result<()> {
    const TIOCSIG: libc::Ioctl = 0x4004_5436u32 as libc::Ioctl;
    // SAFETY: TIOCSIG takes an integer by value.
    done(unsafe { libc::ioctl(master.as_raw_fd(), TIOCSIG, signal) })
}

/// TIOCGEXCL: whether a terminal can be opened no more.
pub fn is_exclusive(fd: BorrowedFd<'_>) -> Result<bool> {
    const TIOCGEXCL: libc::Ioctl = 0x8004_5440u32 as libc::Ioctl;
    get_int(fd, TIOCGEXCL).map(|on| on != 0)
}

/// TIOCNXCL: a terminal can be opened again.
pub fn end_exclusive(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TIOCNXCL takes no argument.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCNXCL) })
}

/// TIOCGETD: the number of a terminal's line discipline.
pub fn line_discipline(fd: BorrowedFd<'_>) -> Result<i32> {
    const TIOCGETD: libc::Ioctl = 0x5424u32 as libc::Ioctl;
    get_int(fd, TIOCGETD)
}

/// TIOCSETD: sets the line discipline of a terminal.
pub fn set_line_discipline(fd: BorrowedFd<'_>, number: i32) -> Result<()> {
    const TIOCSETD: libc::Ioctl = 0x5423u32 as libc::Ioctl;
    // SAFETY: TIOCSETD reads an int, which outlives the call.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), TIOCSETD, &raw const number) })
}

fn get_int(fd: BorrowedFd<'_>, request: libc::Ioctl) -> Result<i32> {
    let mut number: libc::c_int = 0;
    // SAFETY: the requests that are passed here write one int.
    done(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut number) })?;
    Ok(number)
}

/// The byte at which a terminal is locked, in a file that may stand for several of them (/dev/tty): its device number (TIOCGDEV), above
/// what anybody would lock otherwise.
fn place_of_lock(fd: BorrowedFd<'_>) -> i64 {
    const TIOCGDEV: libc::Ioctl = 0x8004_5432u32 as libc::Ioctl;
    (1 << 40) + get_int(fd, TIOCGDEV).map_or(0, |device| i64::from(device as u32))
}

fn lock(fd: BorrowedFd<'_>, kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: place_of_lock(fd),
        l_len: 1,
        l_pid: 0,
    }
}

/// Records that this process has changed a terminal's settings, until it is told otherwise or the descriptor is closed: a read lock of the open
/// file description (F_OFD_SETLK of fcntl(2)).
pub fn mark_changed(fd: BorrowedFd<'_>, changed: bool) -> Result<()> {
    fcntl(fd, FcntlArg::F_OFD_SETLK(&lock(fd, if changed { libc::F_RDLCK } else { libc::F_UNLCK })))?;
    Ok(())
}

/// Whether others have changed a terminal's settings by [`mark_changed`]: F_OFD_GETLK of fcntl(2).
pub fn changed_by_others(fd: BorrowedFd<'_>) -> bool {
    let mut found = lock(fd, libc::F_WRLCK);
    fcntl(fd, FcntlArg::F_OFD_GETLK(&mut found)).is_ok() && i32::from(found.l_type) != libc::F_UNLCK
}

/// The status flags of an open file description, O_NONBLOCK and others: F_GETFL of fcntl(2).
pub fn status_flags(fd: BorrowedFd<'_>) -> Result<i32> {
    Ok(fcntl(fd, FcntlArg::F_GETFL)?)
}

/// The signal that an open file description sends when it is ready, and 0 for SIGIO: F_GETSIG of fcntl(2).
pub fn ready_signal(fd: BorrowedFd<'_>) -> Result<i32> {
    // SAFETY: the call takes integers and touches no memory.
    Ok(check(unsafe { libc::fcntl(fd.as_raw_fd(), F_GETSIG) }.into())? as i32)
}

/// Sets the signal that an open file description sends when it is ready: F_SETSIG of fcntl(2).
pub fn set_ready_signal(fd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: the call takes integers and touches no memory.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), F_SETSIG, signal) }.into()).map(drop)
}

/// F_SETSIG and F_GETSIG of asm-generic/fcntl.h, which the crate libc does not have.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;

/// Sets the status flags of an open file description: F_SETFL of fcntl(2).
pub fn set_status_flags(fd: BorrowedFd<'_>, flags: i32) -> Result<()> {
    // SAFETY: the call takes integers and touches no memory.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) }.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{self, terminal_settings};
    use std::os::fd::OwnedFd;

    fn terminal() -> OwnedFd {
        sys::openat(sys::cwd(), c"/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0).unwrap()
    }

    #[test]
    fn settings_are_read_and_set_whole() {
        let terminal = terminal();
        let before = terminal_settings(terminal.as_fd()).unwrap();
        assert!(before.has_lines() && before.ends_lines());
        // Every flag that Linux has in these words, and characters that nobody uses.
        let all = Termios { input: 0o77777, output: 0o177777, local: 0o277777, characters: [7; 19], ..before };
        sys::set_terminal(terminal.as_fd(), &all).unwrap();
        assert!(terminal_settings(terminal.as_fd()).unwrap().is_alike(&all));
        sys::set_terminal(terminal.as_fd(), &before).unwrap();
        assert_eq!(terminal_settings(terminal.as_fd()).unwrap(), before);
    }

    #[test]
    fn what_is_passed_on_is_not_handled_and_can_be_made_good_again() {
        let before = terminal_settings(terminal().as_fd()).unwrap();
        let raw = before.passing_on(&before);
        assert!(!raw.has_lines() && raw.ends_lines() && raw.quote().is_none() && raw.end().is_none());
        assert_eq!(raw.local & libc::ISIG, libc::ISIG);
        let other = Termios { output: 0, local: 0, ..before };
        assert!(!before.passing_on(&other).ends_lines());
        assert_eq!(before.passing_on(&other).local & libc::ISIG, 0);
        assert!(raw.cooked().has_lines() && before.passing_on(&other).cooked().ends_lines());
        assert_eq!((before.quote(), before.end()), (Some(22), Some(4)));
        let edited = Termios { characters: [0; 19], ..raw };
        assert_eq!(edited.cooked().characters, before.characters);
    }

    #[test]
    fn a_changed_terminal_is_known_to_others_until_its_descriptor_is_closed() {
        let master = terminal();
        let one = sys::open_peer(master.as_fd()).unwrap();
        let path = sys::Text::<32>::of_descriptor(one.as_raw_fd());
        let other = sys::openat(sys::cwd(), path.text().unwrap(), libc::O_RDWR | libc::O_NOCTTY, 0).unwrap();
        mark_changed(one.as_fd(), true).unwrap();
        assert!(!changed_by_others(one.as_fd()), "its own mark is not others'");
        assert!(changed_by_others(other.as_fd()));
        drop(one);
        assert!(sys::soon(|| !changed_by_others(other.as_fd())));
    }
}
