//! While the program runs: its messages, our signals, its terminal, its time.

use super::helper::Helper;
use super::{Child, Status, wording};
use crate::child::{self, LENGTH_OF_MESSAGE, Message, Prepared, Session};
use crate::error::{Error, Result};
use crate::exit;
use crate::plan::Plan;
use crate::spec::Tty;
use crate::sys::{self, Poll, Termios, Waited};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// Its time was over.
    TimedOut,
    /// Somebody killed the sandbox itself.
    Killed,
}

impl Outcome {
    /// The exit status to give on.
    pub fn status(self) -> u8 {
        match self {
            Outcome::Exited(status) => status as u8,
            Outcome::Signaled(signal) => exit::SIGNALED + signal as u8,
            Outcome::TimedOut => exit::TIMED_OUT,
            Outcome::Killed => exit::SIGNALED + libc::SIGKILL as u8,
        }
    }
}

/// Between SIGTERM and SIGKILL when the time is over.
const GRACE: Duration = Duration::from_secs(2);

fn stream(number: i32) -> BorrowedFd<'static> {
    sys::borrow(number)
}

/// How the program will stand to the caller's terminal.
pub(super) fn session(plan: &Plan) -> Session {
    let terminals = [0, 1, 2].map(|number| sys::is_terminal(stream(number)));
    match plan.tty {
        Tty::None => Session::Detached,
        Tty::Inherit => Session::Inherit,
        Tty::Pty => Session::Pty(if terminals.contains(&true) { terminals } else { [true; 3] }),
        Tty::Auto if terminals.contains(&true) => Session::Pty(terminals),
        Tty::Auto => Session::Detached,
    }
}

pub(super) fn supervise(
    plan: &Plan,
    prepared: &Prepared,
    child: &Child,
    socket: OwnedFd,
    terminal: Option<OwnedFd>,
    mut helper: Option<Helper>,
    status: &mut Status,
) -> Result<Outcome> {
    let signals = sys::signal_descriptor().map_err(|errno| Error::new(format!("signalfd: {errno}")))?;
    let mut relay = Relay::default();
    if let Some(master) = terminal {
        relay.start(master);
    }
    let mut watch = Watch {
        plan,
        prepared,
        child,
        status,
        relay,
        started: false,
        outcome: None,
        deadline: plan.timeout.map(|timeout| Instant::now() + timeout),
        rest: None,
        timed_out: false,
    };
    loop {
        let [input, master] = watch.relay.wants();
        let helped = helper.as_ref().map_or(-1, |helper| helper.pidfd().as_raw_fd());
        let mut set =
            [Poll::read(socket.as_raw_fd()), Poll::read(signals.as_raw_fd()), input, master, Poll::read(helped)];
        sys::poll(&mut set, watch.patience()).map_err(|errno| Error::new(format!("poll: {errno}")))?;
        watch.relay.pump(set[2].ready, set[3].ready);
        if set[0].ready && !watch.message(socket.as_fd())? {
            break;
        }
        while let Some(arrived) = sys::next_signal(signals.as_fd()) {
            watch.signal(arrived);
        }
        if set[4].ready
            && let (Some(mut ended), Some(proxy)) = (helper.take(), &plan.bus_proxy)
        {
            watch.status.note(&ended.obituary(&proxy.program));
        }
        watch.clock();
    }
    let end = sys::wait_end(child.pidfd.as_fd()).map_err(|errno| Error::new(format!("waitid: {errno}")))?;
    watch.relay.finish();
    // The program was PID 1 itself, so its end is the child's.
    let outcome = match (watch.outcome, end) {
        (Some(outcome), _) => outcome,
        (None, Waited::Exited(status)) if prepared.as_pid_1 => Outcome::Exited(status),
        (None, Waited::Signaled(signal)) if prepared.as_pid_1 => Outcome::Signaled(signal),
        (None, Waited::Signaled(_)) | (None, _) => Outcome::Killed,
    };
    let outcome = if watch.timed_out { Outcome::TimedOut } else { outcome };
    watch.status.exited(&outcome);
    Ok(outcome)
}

struct Watch<'a> {
    plan: &'a Plan,
    prepared: &'a Prepared,
    child: &'a Child,
    status: &'a mut Status,
    relay: Relay,
    started: bool,
    outcome: Option<Outcome>,
    deadline: Option<Instant>,
    /// When memory that is not needed for waiting is given back: a program that has ended by then is not made to wait for it.
    rest: Option<Instant>,
    timed_out: bool,
}

impl Watch<'_> {
    fn patience(&self) -> Option<i32> {
        let next = [self.deadline, self.rest].into_iter().flatten().min()?;
        let left = next.saturating_duration_since(Instant::now()).as_millis() + 1;
        Some(i32::try_from(left).unwrap_or(i32::MAX))
    }

    fn clock(&mut self) {
        if self.rest.is_some_and(|rest| Instant::now() >= rest) {
            self.rest = None;
            sys::release_code();
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            if self.timed_out {
                self.kill(libc::SIGKILL);
                self.deadline = None;
            } else {
                self.timed_out = true;
                self.kill(libc::SIGTERM);
                self.deadline = Some(Instant::now() + GRACE);
            }
        }
    }

    fn kill(&self, signal: i32) {
        let _ = sys::pidfd_signal(self.child.pidfd.as_fd(), signal);
    }

    /// One message; false when there will be no more.
    fn message(&mut self, socket: BorrowedFd<'_>) -> Result<bool> {
        let mut buffer = [0; LENGTH_OF_MESSAGE];
        let (length, fd) = match sys::receive(socket, &mut buffer) {
            Ok((0, _)) | Err(_) => {
                if self.prepared.as_pid_1 && !self.started && self.outcome.is_none() {
                    // Exec closed the socket, which is how it says that it happened.
                    self.status.started(self.child.pid);
                    self.started = true;
                    self.wait_alone();
                }
                return Ok(false);
            }
            Ok(received) => received,
        };
        match Message::decode(buffer.get(..length).unwrap_or_default()) {
            Some(Message::Failed { place, call, errno }) => {
                self.relay.finish();
                return Err(wording::failure(self.plan, self.prepared, place, call, errno));
            }
            Some(Message::Terminal) => {
                if let Some(master) = fd {
                    self.relay.start(master);
                }
            }
            Some(Message::Started) => {
                self.started = true;
                self.status.started(self.child.pid);
                self.rest = Some(Instant::now() + child::BEFORE_REST);
            }
            Some(Message::Stopped(_)) => self.stopped(),
            // The last messages: what follows is the end of PID 1.
            Some(Message::Exited(status)) => {
                self.outcome = Some(Outcome::Exited(status));
                return Ok(false);
            }
            Some(Message::Signaled(signal)) => {
                self.outcome = Some(Outcome::Signaled(signal));
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Without an init there are no messages: only signals, the terminal and the clock are left.
    fn wait_alone(&mut self) {
        let Ok(signals) = sys::signal_descriptor() else { return };
        loop {
            let [input, master] = self.relay.wants();
            let mut set = [Poll::read(self.child.pidfd.as_raw_fd()), Poll::read(signals.as_raw_fd()), input, master];
            if sys::poll(&mut set, self.patience()).is_err() || set[0].ready {
                return;
            }
            self.relay.pump(set[2].ready, set[3].ready);
            while let Some(arrived) = sys::next_signal(signals.as_fd()) {
                self.signal(arrived);
            }
            self.clock();
        }
    }

    fn signal(&mut self, arrived: sys::Arrived) {
        match arrived.signal {
            libc::SIGCHLD | libc::SIGPIPE | libc::SIGTTOU | libc::SIGTTIN => {}
            libc::SIGWINCH => self.relay.resize(),
            libc::SIGCONT => self.relay.resume(),
            // What the terminal sends has reached a program that shares it; if ^Z stops it, PID 1 says so.
            _ if !arrived.from_process && self.prepared.session == Session::Inherit => {}
            signal => {
                if self.prepared.as_pid_1 && !self.started {
                    self.kill(libc::SIGKILL);
                } else {
                    self.kill(signal);
                }
            }
        }
    }

    /// The program was stopped (^Z): so are we, for the shell to see.
    fn stopped(&mut self) {
        self.relay.suspend();
        sys::stop_self();
        self.relay.resume();
        self.kill(libc::SIGCONT);
    }
}

/// Copies between the caller's terminal and the program's.
#[derive(Default)]
struct Relay {
    master: Option<OwnedFd>,
    saved: Option<Termios>,
    to_program: Vec<u8>,
    input_ended: bool,
}

const BUFFER: usize = 16 * 1024;

impl Relay {
    fn start(&mut self, master: OwnedFd) {
        let _ = sys::set_nonblocking(master.as_fd(), true);
        self.master = Some(master);
        self.resize();
        self.resume();
    }

    /// The stream that is the caller's terminal.
    fn tty() -> Option<BorrowedFd<'static>> {
        [0, 1, 2].map(stream).into_iter().find(|fd| sys::is_terminal(*fd))
    }

    fn resume(&mut self) {
        if self.master.is_none() {
            return;
        }
        // In the background a change of the terminal would stop us; the shell says SIGCONT when that is over.
        if let Some(tty) = Relay::tty().filter(|tty| sys::in_foreground(*tty))
            && let Ok(settings) = sys::terminal_settings(tty)
        {
            let saved = *self.saved.get_or_insert(settings);
            let _ = sys::set_terminal(tty, &saved.raw());
        }
        self.resize();
    }

    fn suspend(&mut self) {
        if let (Some(saved), Some(tty)) = (self.saved.take(), Relay::tty())
            && sys::in_foreground(tty)
        {
            let _ = sys::set_terminal(tty, &saved);
        }
    }

    fn resize(&self) {
        if let (Some(master), Some(tty)) = (&self.master, Relay::tty()) {
            let _ = sys::copy_window_size(tty, master.as_fd());
        }
    }

    /// What to wait for: our input; the program's output, and room for its input.
    fn wants(&self) -> [Poll; 2] {
        let Some(master) = &self.master else { return [Poll::read(-1), Poll::read(-1)] };
        let fd = master.as_raw_fd();
        let input = self.to_program.is_empty() && !self.input_ended;
        let input = if input && Relay::tty().is_none_or(sys::in_foreground) { 0 } else { -1 };
        [Poll::read(input), Poll { write: !self.to_program.is_empty(), ..Poll::read(fd) }]
    }

    fn pump(&mut self, input: bool, master_ready: bool) {
        let Some(master) = &self.master else { return };
        let fd = master.as_raw_fd();
        if input {
            let mut buffer = [0; BUFFER];
            match sys::read(stream(0), &mut buffer) {
                Ok(0) => {
                    // ^D of a terminal: the program's own line discipline gives it the end of its input.
                    self.input_ended = true;
                    self.to_program.push(4);
                }
                Ok(n) => self.to_program.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(sys::Errno(libc::EAGAIN)) => {}
                Err(_) => self.input_ended = true,
            }
        }
        if !self.to_program.is_empty() {
            let n = sys::write_some(sys::borrow(fd), &self.to_program).unwrap_or(0);
            self.to_program.drain(..n);
        }
        if master_ready {
            self.output();
        }
    }

    /// Copies what the program wrote; false when there is no more.
    fn output(&mut self) -> bool {
        let Some(master) = &self.master else { return false };
        let mut buffer = [0; BUFFER];
        match sys::read(master.as_fd(), &mut buffer) {
            Ok(n) if n > 0 => {
                let target = if sys::is_terminal(stream(1)) || Relay::tty().is_none() { 1 } else { 2 };
                let _ = sys::write_all(stream(target), buffer.get(..n).unwrap_or_default());
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

    fn finish(&mut self) {
        while self.output() {}
        self.suspend();
        self.master = None;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.suspend();
    }
}
