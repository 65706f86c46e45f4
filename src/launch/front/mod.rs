//! A command in front of a program that a monitor has: what is typed goes there, and what comes is shown, until the program has ended or the keys are
//! typed by which it is left.

mod keys;
mod shown;

pub use keys::{Keys, USUAL};
pub use shown::Lost;

use super::signals::is_end;
use super::terminal::{self, Screen, stream};
use crate::child::Terminal;
use crate::state::{Answer, Monitor, Request};
use crate::sys::{self, Errno, Poll, Termios, WindowSize};
use shown::Shown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 16;

/// How much of what is typed on a terminal waits for the program, in bytes.
const MOST_TYPED: usize = 1 << 16;

/// How much of what is in a pipe is read after the program has ended, in bytes: pipes hold a MiB at most (fcntl(2), F_SETPIPE_SZ), and what the program
/// has left running may write for ever.
const REST: usize = 2 << 20;

/// The character that ends the input of a terminal: ^D.
const END: u8 = 4;

/// How long a program has to draw what it shows in a window of another size, before it gets that of the caller's.
const REDRAW: Duration = Duration::from_millis(100);

/// How long the end of a program is waited for whose terminal has hung up, in milliseconds.
const HANGING_UP: i32 = 1000;

/// The program's terminal.
pub enum Inside {
    /// It has none.
    None,
    /// The monitor has the master. With `redraws`, the size is told only a moment later, as another than the one that was told before.
    There {
        /// The program is to draw anew what it shows.
        redraws: bool,
    },
    /// This process has the master, and the slave, which keeps the terminal working when the program closes it and opens it again.
    Here([OwnedFd; 2]),
}

impl Inside {
    /// The terminal with this master.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn with_master(master: OwnedFd) -> sys::Result<Inside> {
        sys::set_nonblocking(master.as_fd(), true)?;
        let slave = sys::open_peer(master.as_fd())?;
        Ok(Inside::Here([master, slave]))
    }

    /// The master, once more.
    pub fn master(&self) -> Option<OwnedFd> {
        match self {
            Inside::Here([master, _]) => master.try_clone().ok(),
            Inside::None | Inside::There { .. } => None,
        }
    }
}

/// The rows and columns of the caller's terminal, if there is one.
pub fn size_of_terminal() -> Option<[u16; 2]> {
    let size = sys::window_size(terminal::tty()?).ok()?;
    Some([size.lines(), size.columns()])
}

/// What a terminal starts with that is made for this process to be in front of, for a request: the settings and the size of the caller's, or what is usual.
pub fn start_of_terminal() -> Vec<u8> {
    let usual = || Terminal { settings: Termios::default().cooked(), size: WindowSize::of(24, 80), foreground: true };
    terminal::initial().unwrap_or_else(usual).to_bytes().to_vec()
}

/// Why this process is in front of the program no more.
pub enum Left {
    /// The program has ended, or was not started.
    Ended(Answer),
    /// The monitor has ended without an answer.
    Gone,
    /// The keys were typed.
    Keys,
    /// A signal has come that asks this process to end.
    Signal(i32),
    /// Some of what came could not be written; with the answer, if the program has ended.
    Lost(Lost, Option<Answer>),
}

/// A command in front of a program.
pub struct Front {
    /// The connection to the monitor.
    pub monitor: Monitor,
    /// Where what is typed goes, if it goes anywhere.
    pub input: Option<OwnedFd>,
    /// Where standard output and standard error come from.
    pub outputs: [Option<OwnedFd>; 2],
    /// The program's terminal.
    pub inside: Inside,
    /// The keys by which it is left.
    pub keys: Keys,
    /// The program is attached to, rather than executed for this process: its output has an end, and goes on without this process.
    pub attached: bool,
    /// Signals that come for this process are the program's, unless that has a terminal.
    pub proxies: bool,
}

impl Front {
    /// Is in front of the program. Gives why that has ended, and the master of its terminal if this process has it.
    ///
    /// # Errors
    ///
    /// A call fails.
    pub fn attend(mut self) -> sys::Result<(Left, Option<OwnedFd>, Monitor)> {
        if let Some(master) = self.inside.master() {
            self.outputs = [Some(master), None];
        }
        // Of a terminal, and only if it is typed into: so ^C ends this process, as that of a program without one does.
        let passes_keys = self.input.is_some() && !matches!(self.inside, Inside::None);
        // What stops a process that reads in the background is to stop this one.
        let free: &[i32] = if passes_keys { &[] } else { &[libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] };
        let before = sys::block_all_but(free)?;
        let signals = sys::signal_descriptor()?;
        let mut desk = Desk {
            screen: Screen::open(passes_keys),
            shown: [Shown::new(1), Shown::new(2)],
            typed: Vec::new(),
            input_ended: false,
            open_line: false,
            rest: [REST; 2],
            signals,
            resize_at: None,
        };
        if let Some(input) = &self.input {
            let _ = sys::set_nonblocking(input.as_fd(), true);
        }
        let left = self.until_left(&mut desk);
        let Desk { screen, shown, signals, .. } = desk;
        let ended = &mut || std::iter::from_fn(|| sys::next_signal(signals.as_fd())).any(|came| is_end(came.signal));
        screen.restore(!shown.iter().all(Shown::is_empty), ended, signals.as_fd());
        let left = left?;
        let master = self.inside.master().filter(|_| matches!(left, Left::Keys));
        let Front { monitor, input, outputs, inside, .. } = self;
        let hangs_up = matches!((&left, &inside), (Left::Signal(_), Inside::Here(_)));
        drop((input, outputs, inside));
        if hangs_up {
            // The program is told so, and has a moment to end by itself.
            let _ = sys::poll(&mut [Poll::read(monitor.number())], Some(HANGING_UP));
        }
        while sys::next_signal(signals.as_fd()).is_some() {}
        sys::restore(&before)?;
        Ok((left, master, monitor))
    }

    fn until_left(&mut self, desk: &mut Desk) -> sys::Result<Left> {
        let (mut answer, mut gone) = (None, false);
        let mut buffer = vec![0; PIECE];
        if let Inside::There { redraws: true } = self.inside {
            desk.resize_at = Some(Instant::now() + REDRAW);
        } else {
            self.resize(desk);
        }
        loop {
            let reads = |stream: &Option<OwnedFd>, shown: &Shown| match stream {
                Some(stream) if shown.has_room() => stream.as_raw_fd(),
                _ => -1,
            };
            let over = gone || answer.is_some();
            if over && self.outputs.iter().all(Option::is_none) && desk.shown.iter().all(Shown::is_empty) {
                return Ok(match (desk.lost(), answer) {
                    (Some(lost), Some(answer)) => Left::Lost(lost, Some(answer)),
                    (_, Some(answer)) => Left::Ended(answer),
                    (_, None) => Left::Gone,
                });
            }
            // Whoever is attached gets all that there is, to the end that the monitor makes of it.
            let last = gone || answer.is_some() && !self.attached;
            let [out, err] = [0, 1].map(|at| reads(&self.outputs[at], &desk.shown[at]));
            let writes = self.input.as_ref().filter(|_| !desk.typed.is_empty()).map_or(-1, AsRawFd::as_raw_fd);
            let mut set = [
                Poll::read(if last { -1 } else { self.monitor.number() }),
                Poll::read(desk.signals.as_raw_fd()),
                self.wants_input(desk),
                Poll { fd: writes, read: false, write: true, ready: false },
                Poll::read(out),
                Poll::read(err),
                desk.shown[0].wants(),
                desk.shown[1].wants(),
            ];
            let looks = last && (out >= 0 || err >= 0);
            sys::poll(&mut set, if looks { Some(0) } else { desk.next_look() })?;
            if set[0].ready {
                match self.monitor.answer() {
                    Some(come) if come.status.is_some() || come.error.is_some() => answer = Some(come),
                    // That of a signal which was passed on.
                    Some(_) => {}
                    None => gone = true,
                }
            }
            if desk.resize_at.is_some_and(|at| Instant::now() >= at) {
                self.resize(desk);
            }
            if let Some(left) = self.on_signals(desk) {
                return Ok(left);
            }
            desk.screen.follow();
            if set[2].ready
                && let Some(left) = self.on_input(desk, &mut buffer)
            {
                return Ok(left);
            }
            self.pass_on(desk);
            for at in 0..2 {
                let polled = [out, err][at] >= 0;
                if set[4 + at].ready {
                    self.read(at, desk, &mut buffer, last);
                } else if looks && polled {
                    // What is left in the pipes is there by the time that the end is told.
                    self.outputs[at] = None;
                }
                if set[6 + at].ready {
                    desk.shown[at].write();
                }
                if desk.shown[at].is_closed() {
                    if self.attached {
                        // The program is not the one that writes there.
                        return Ok(desk.lost().map_or(Left::Signal(libc::SIGPIPE), |lost| Left::Lost(lost, None)));
                    }
                    if let Inside::None = self.inside {
                        // Nothing is shown any more: the program is told by its pipe.
                        self.outputs[at] = None;
                    }
                }
            }
        }
    }

    /// What to poll for input.
    fn wants_input(&self, desk: &Desk) -> Poll {
        // Keys are always read, those that leave the program among them.
        let room = self.input.is_some() && !desk.input_ended && (desk.typed.is_empty() || desk.screen.passes_keys());
        match desk.screen.passes_keys() {
            true => desk.screen.wants(room),
            false => Poll::read(if room { 0 } else { -1 }),
        }
    }

    fn on_input(&mut self, desk: &mut Desk, buffer: &mut [u8]) -> Option<Left> {
        if desk.screen.passes_keys() {
            if desk.screen.is_gone() {
                return Some(Left::Signal(libc::SIGHUP));
            }
            let (keys, mut meant) = (desk.screen.typed(), Vec::new());
            let left = self.keys.take(&keys, &mut meant);
            // What a program does not read is dropped, as a terminal does.
            if desk.typed.len() < MOST_TYPED {
                desk.typed.append(&mut meant);
            }
            return left.then_some(Left::Keys);
        }
        match sys::read(stream(0), buffer) {
            Ok(count @ 1..) => {
                desk.typed.extend_from_slice(buffer.get(..count).unwrap_or_default());
                desk.open_line = desk.typed.last() != Some(&b'\n');
            }
            Err(Errno(libc::EAGAIN)) => {}
            _ => {
                desk.input_ended = true;
                if let Inside::Here(_) = self.inside {
                    // On an unfinished line the first one only ends the line.
                    desk.typed.extend_from_slice(if desk.open_line { &[END, END] } else { &[END] });
                }
            }
        }
        None
    }

    /// Passes on what was typed, as much as is taken, and the end of it.
    fn pass_on(&mut self, desk: &mut Desk) {
        if let Some(input) = self.input.as_ref().filter(|_| !desk.typed.is_empty()) {
            match sys::write_some(input.as_fd(), &desk.typed) {
                Ok(count) => drop(desk.typed.drain(..count)),
                Err(Errno(libc::EAGAIN | libc::EINTR)) => {}
                // The program reads no more.
                Err(_) => self.input = None,
            }
        }
        if desk.input_ended && desk.typed.is_empty() && self.input.take().is_some() && self.attached {
            // A terminal's input has no end.
            if let Inside::None = self.inside {
                let _ = self.monitor.tell(&Request::EndOfInput);
            }
        }
    }

    /// Reads what comes, and has it shown.
    fn read(&mut self, at: usize, desk: &mut Desk, buffer: &mut [u8], ended: bool) {
        let Some(stream) = &self.outputs[at] else { return };
        match sys::read(stream.as_fd(), buffer) {
            Ok(count @ 1..) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                desk.screen.shown(at, bytes);
                desk.shown[at].add(bytes);
                desk.shown[at].write();
                if ended {
                    desk.rest[at] = desk.rest[at].saturating_sub(count);
                    if desk.rest[at] == 0 {
                        self.outputs[at] = None;
                    }
                }
            }
            Err(Errno(libc::EAGAIN)) => {}
            // EIO: the terminal has hung up, as it does when the program has ended that leads its session.
            _ => self.outputs[at] = None,
        }
    }

    fn on_signals(&mut self, desk: &mut Desk) -> Option<Left> {
        while let Some(came) = sys::next_signal(desk.signals.as_fd()) {
            match came.signal {
                libc::SIGWINCH => self.resize(desk),
                libc::SIGTSTP => {
                    desk.screen.suspend();
                    sys::stop_by(libc::SIGTSTP, false);
                    desk.screen.follow();
                    self.resize(desk);
                }
                libc::SIGCONT => {
                    desk.screen.follow();
                    self.resize(desk);
                }
                libc::SIGCHLD | libc::SIGPIPE | libc::SIGURG | libc::SIGTTIN | libc::SIGTTOU => {}
                // The caller's terminal is gone: the program goes on without.
                libc::SIGHUP if !came.from_process => return Some(Left::Signal(libc::SIGHUP)),
                signal if self.proxies && matches!(self.inside, Inside::None) => {
                    let _ = self.monitor.tell(&Request::Signal { signal, stop: false });
                }
                signal if is_end(signal) => return Some(Left::Signal(signal)),
                _ => {}
            }
        }
        None
    }

    /// Gives the program's terminal the size of the caller's.
    fn resize(&self, desk: &mut Desk) {
        desk.resize_at = None;
        let Some(size) = desk.screen.size() else { return };
        match &self.inside {
            Inside::Here([master, _]) => drop(sys::set_window_size(master.as_fd(), &size)),
            Inside::There { .. } => {
                let _ = self.monitor.tell(&Request::Size { size: [size.lines(), size.columns()] });
            }
            Inside::None => {}
        }
    }
}

/// What this process has of its own.
struct Desk {
    screen: Screen,
    shown: [Shown; 2],
    /// What was typed and not passed on.
    typed: Vec<u8>,
    /// Standard input has ended.
    input_ended: bool,
    /// What was read from standard input does not end with a line feed.
    open_line: bool,
    /// How much is still read of each stream once the program has ended.
    rest: [usize; 2],
    signals: OwnedFd,
    /// When the program's terminal is given the size of the caller's, at the latest.
    resize_at: Option<Instant>,
}

impl Desk {
    fn lost(&self) -> Option<Lost> {
        self.shown.iter().find_map(Shown::lost)
    }

    /// After how many milliseconds there is something to do.
    fn next_look(&self) -> Option<i32> {
        let resize = self.resize_at.map(|at| at.saturating_duration_since(Instant::now()).as_millis() + 1);
        let resize = resize.map(|left| i32::try_from(left).unwrap_or(i32::MAX));
        [resize, self.screen.next_look()].into_iter().flatten().min()
    }
}
