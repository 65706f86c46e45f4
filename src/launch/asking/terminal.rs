//! A question about a name on the caller's terminal, in which the program has no part.

use super::answer::{Answer, Said};
use super::question::{PATIENCE, Question, READING};
use crate::sys::{self, Errno, Poll};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long to wait for a terminal that takes nothing.
const WRITING: Duration = Duration::from_secs(2);

/// How often is looked whether another sandbox's question on the terminal is over.
const TURN: i32 = 100;

/// The longest line that is an answer, in bytes.
const LONGEST: usize = 64;

/// What is left at least of the time for an answer when a question is shown.
const LEAST: Duration = Duration::from_secs(5);

/// What a name stands after, on its line.
const INDENT: &str = "    ";

/// How many letters a line has if the terminal does not tell.
const COLUMNS: usize = 72;

/// What an answer is typed after.
const PROMPT: &str = "sbx: is it reached (once, that is in this run; always; or never)? ";

/// The caller's terminal.
pub(super) struct Terminal {
    path: CString,
    device: (u32, u32),
}

impl Terminal {
    /// The controlling terminal of this process.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be opened.
    pub fn find() -> Result<Terminal, String> {
        let device = controlling().ok_or("there is none")?;
        let path = path(device).ok_or("it is none of those in /dev")?;
        let terminal = Terminal { path: CString::new(path.as_str()).map_err(|error| error.to_string())?, device };
        terminal.open().map_err(|errno| format!("{path} cannot be opened: {errno}"))?;
        Ok(terminal)
    }

    /// Opens it anew, so that a lock on it ends with this process.
    fn open(&self) -> sys::Result<OwnedFd> {
        let opened = sys::openat(sys::cwd(), &self.path, libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK, 0)?;
        match sys::is_device(opened.as_fd(), self.device)? && controlling() == Some(self.device) {
            true => Ok(opened),
            false => Err(Errno(libc::ENXIO)),
        }
    }

    /// Whether what is typed there is for this process.
    pub fn is_in_front(&self) -> bool {
        self.open().is_ok_and(|terminal| sys::in_foreground(terminal.as_fd()))
    }
}

/// The numbers of the device that is this process's controlling terminal: tty_nr of proc_pid_stat(5).
fn controlling() -> Option<(u32, u32)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let number: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(4)?.parse().ok()?;
    (number != 0).then_some((number >> 8 & 0xfff, number >> 20 << 8 | number & 0xff))
}

/// The path of a terminal's device: a pseudo-terminal, a virtual console, or a serial line.
fn path((major, minor): (u32, u32)) -> Option<String> {
    match (major, minor) {
        (136..=143, _) => Some(format!("/dev/pts/{}", (major - 136) * 256 + minor)),
        (4, 0..64) => Some(format!("/dev/tty{minor}")),
        (4, 64..) => Some(format!("/dev/ttyS{}", minor - 64)),
        _ => None,
    }
}

/// Asks, until somebody answers, the time is over, or the other end of `launcher` is closed.
///
/// # Errors
///
/// The question cannot be shown: why.
pub(super) fn ask(terminal: &Terminal, question: &Question, launcher: BorrowedFd<'_>) -> Said {
    let wrong = |errno: Errno| format!("the terminal: {errno}");
    let until = Instant::now() + PATIENCE;
    let terminal = terminal.open().map_err(wrong)?;
    if !turn(terminal.as_fd(), launcher, until - LEAST)? {
        return Ok(Answer::None);
    }
    // Who answers has to see all of the name, on one line.
    if question.name.len() + INDENT.len() > columns(terminal.as_fd()) {
        return Err("the window is too narrow for the name".into());
    }
    let encoded = match question.encoded {
        true => "sbx: with letters of other alphabets, it may look like another name elsewhere\n",
        false => "",
    };
    let text = format!(
        "\nsbx: {} asks for this name, which no line of network.allow or network.deny is for:\n{INDENT}{}\n{encoded}",
        question.who, question.name
    );
    sys::write_within(terminal.as_fd(), text.as_bytes(), WRITING).map_err(wrong)?;
    if !goes_on_for(READING, launcher) {
        return Ok(Answer::None);
    }
    // It may have waited for its turn, and what is typed is for others now.
    if !sys::in_foreground(terminal.as_fd()) {
        return Err("sbx is in the background of its terminal".into());
    }
    // What was typed before somebody can have read the question is no answer to it. What cannot be dropped could be one.
    sys::flush_input(terminal.as_fd()).map_err(wrong)?;
    loop {
        sys::write_within(terminal.as_fd(), PROMPT.as_bytes(), WRITING).map_err(wrong)?;
        match line(terminal.as_fd(), launcher, until).map(|line| Answer::of(line.trim())) {
            Some(Answer::None) => {}
            Some(answer) => return Ok(answer),
            None => {
                let end = match Instant::now() < until {
                    true => "\nsbx: it is not asked any more\n",
                    false => "\nsbx: without an answer, it is refused\n",
                };
                let _ = sys::write_within(terminal.as_fd(), end.as_bytes(), WRITING);
                return Ok(Answer::None);
            }
        }
    }
}

/// Shows the line for the profile, after an answer that is to hold for good.
pub(super) fn tell(terminal: &Terminal, line: &str) {
    let text = format!("sbx: it is reached; for the runs to come, write into the profile:\n{INDENT}{line}\n");
    // A note says it, too.
    let _ = terminal.open().and_then(|terminal| sys::write_within(terminal.as_fd(), text.as_bytes(), WRITING));
}

/// How many letters a line of the terminal has.
fn columns(terminal: BorrowedFd<'_>) -> usize {
    let known = sys::window_size(terminal).ok().map(|size| usize::from(size.columns())).filter(|columns| *columns > 0);
    known.unwrap_or(COLUMNS)
}

/// Waits for a time; false if the other end of `launcher` is closed meanwhile.
fn goes_on_for(time: Duration, launcher: BorrowedFd<'_>) -> bool {
    let until = Instant::now() + time;
    loop {
        let left = i32::try_from(until.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(i32::MAX);
        let mut set = [Poll::end(launcher.as_raw_fd())];
        match sys::poll(&mut set, Some(left)) {
            Err(_) => return false,
            Ok(_) if set.iter().any(|end| end.ready) => return false,
            Ok(_) if left == 0 => return true,
            Ok(_) => {}
        }
    }
}

/// Waits until no other question is asked on the terminal, by a lock on it; false if the other end of `launcher` is closed meanwhile.
fn turn(terminal: BorrowedFd<'_>, launcher: BorrowedFd<'_>, until: Instant) -> Result<bool, String> {
    loop {
        match sys::try_lock(terminal) {
            Ok(()) => return Ok(true),
            Err(Errno(libc::EWOULDBLOCK)) if Instant::now() < until => {}
            Err(Errno(libc::EWOULDBLOCK)) => return Err("another sandbox asks on the terminal".into()),
            Err(errno) => return Err(format!("the terminal cannot be locked: {errno}")),
        }
        let mut set = [Poll::end(launcher.as_raw_fd())];
        if sys::poll(&mut set, Some(TURN)).is_err() || set.iter().any(|end| end.ready) {
            return Ok(false);
        }
    }
}

/// The next line that is typed; none if there is none in time.
fn line(terminal: BorrowedFd<'_>, launcher: BorrowedFd<'_>, until: Instant) -> Option<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        let left = i32::try_from(until.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(i32::MAX);
        let mut set = [Poll::read(terminal.as_raw_fd()), Poll::end(launcher.as_raw_fd())];
        if left == 0 || sys::poll(&mut set, Some(left)).is_err() {
            return None;
        }
        let [typed, end] = set.map(|poll| poll.ready);
        match typed.then(|| sys::read(terminal, &mut byte)) {
            _ if end => return None,
            None | Some(Err(Errno(libc::EAGAIN | libc::EINTR))) => {}
            Some(Ok(1..)) if matches!(byte, [b'\n' | b'\r']) => {
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            // What is longer is no answer.
            Some(Ok(1..)) if line.len() <= LONGEST => line.extend(byte),
            Some(Ok(1..)) => {}
            // The terminal has gone, or this process is in its background.
            Some(Ok(_) | Err(_)) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_terminals_are_known_by_their_numbers() {
        assert_eq!(path((136, 3)).as_deref(), Some("/dev/pts/3"));
        assert_eq!(path((137, 1)).as_deref(), Some("/dev/pts/257"));
        assert_eq!(path((4, 1)).as_deref(), Some("/dev/tty1"));
        assert_eq!(path((4, 64)).as_deref(), Some("/dev/ttyS0"));
        assert_eq!(path((1, 3)), None);
    }
}
