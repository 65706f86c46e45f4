//! While the program runs: its messages, our signals, its terminal, its time.

use super::helper::Helper;
use super::relay::{Relay, stream, tty};
use super::victims::Victims;
use super::{Child, Events, Figures, Received, wording};
use crate::child::{self, Message, Prepared, Session};
use crate::error::{Error, Result};
use crate::exit;
use crate::plan::Plan;
use crate::spec::Tty;
use crate::sys::{self, Poll, Waited};
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

/// How often a job in the background looks whether it is in the foreground.
const BACKGROUND: Duration = Duration::from_millis(200);

/// How long a start may go on that was told to end.
const ULTIMATUM: Duration = Duration::from_secs(1);

/// Between SIGTERM and SIGKILL when the time is over.
const GRACE: Duration = Duration::from_secs(2);

/// How the program will stand to the caller's terminal.
pub(super) fn session(plan: &Plan) -> Session {
    let terminals = [0, 1, 2].map(|number| sys::is_terminal(stream(number)));
    match plan.tty {
        Tty::None => Session::Detached,
        Tty::Shared => Session::Inherit { own_group: false, terminal: None },
        // In the background the terminal is not ours to hand over; the program then stays in our process group, which the shell
        // knows. Otherwise it has one of its own, so that it cannot signal ours.
        Tty::Inherit => match (0..3).find(|number| terminals.get(*number as usize) == Some(&true)) {
            None => Session::Inherit { own_group: true, terminal: None },
            Some(number) if sys::in_foreground(stream(number)) => {
                Session::Inherit { own_group: true, terminal: Some(number) }
            }
            Some(_) => Session::Inherit { own_group: false, terminal: None },
        },
        Tty::Pty => Session::Pty(if terminals.contains(&true) { terminals } else { [true; 3] }),
        Tty::Auto if terminals.contains(&true) => Session::Pty(terminals),
        Tty::Auto => Session::Detached,
    }
}

/// What `supervise` is given: the sandbox as it was started.
pub(super) struct Running<'a> {
    pub plan: &'a Plan,
    pub prepared: &'a Prepared,
    pub child: &'a Child,
    pub socket: OwnedFd,
    pub signals: OwnedFd,
    pub caller: Option<OwnedFd>,
    pub terminal: Option<OwnedFd>,
    pub helper: Option<Helper>,
    pub victims: Option<&'a mut Victims>,
    /// Signals that came before.
    pub early: Vec<sys::Arrived>,
}

pub(super) fn supervise(
    running: Running<'_>,
    figures: &dyn Fn() -> Figures,
    status: &mut dyn Events,
) -> Result<Outcome> {
    let Running { plan, prepared, child, socket, signals, caller, terminal, mut helper, victims, early } = running;
    let mut relay = Relay::default();
    if let Some(master) = terminal {
        relay.start(master);
    }
    // A program without a terminal may still have the caller's as a stream, and change its settings.
    let kept = (prepared.session == Session::Detached).then(tty).flatten();
    let kept = kept.and_then(|tty| Some((tty, sys::terminal_settings(tty).ok()?)));
    let mut watch = Watch {
        plan,
        prepared,
        child,
        socket: socket.as_fd(),
        signals: signals.as_fd(),
        caller: caller.as_ref().map_or(-1, |caller| caller.as_raw_fd()),
        figures,
        status,
        relay,
        victims,
        group: None,
        started: false,
        found: None,
        outcome: None,
        deadline: plan.timeout.map(|timeout| Instant::now() + timeout),
        rest: None,
        timed_out: false,
        ultimatum: None,
        hurried: false,
    };
    early.into_iter().for_each(|arrived| watch.signal(arrived));
    loop {
        let [input, master, output] = watch.relay.wants();
        let helped = helper.as_ref().map_or(-1, |helper| helper.pidfd().as_raw_fd());
        let [said, signalled, left] = [socket.as_raw_fd(), signals.as_raw_fd(), watch.caller].map(Poll::read);
        let mut set = [said, signalled, left, Poll::read(helped), watch.counted(), input, master, output];
        sys::poll(&mut set, watch.patience()).map_err(|errno| Error::new(format!("poll: {errno}")))?;
        let [said, _, left, helper_ended, counted, relay @ ..] = set.map(|poll| poll.ready);
        if counted {
            watch.look();
        }
        watch.relay.pump(relay);
        if left {
            watch.left_alone();
        }
        if said && !watch.message()? {
            break;
        }
        watch.signals();
        if helper_ended && let (Some(mut ended), Some(proxy)) = (helper.take(), &plan.bus_proxy) {
            watch.status.note(&ended.obituary(&proxy.program));
        }
        watch.clock();
    }
    // What is left to do is to end; whoever has made PID 1 say that it does must not hold us.
    if prepared.init {
        let _ = sys::pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL);
    }
    if let Some(victims) = &mut watch.victims {
        victims.last();
    }
    let end = sys::wait_end(child.pidfd.as_fd()).map_err(|errno| Error::new(format!("waitid: {errno}")))?;
    watch.take_back();
    watch.finish();
    if let Some((tty, settings)) = kept.filter(|(tty, _)| sys::in_foreground(*tty)) {
        let _ = sys::set_terminal(tty, &settings);
    }
    // The program was PID 1 itself, so its end is the child's.
    let outcome = match (watch.outcome, end) {
        (Some(outcome), _) => outcome,
        (None, Waited::Exited(status)) if !prepared.init => Outcome::Exited(status),
        (None, Waited::Signaled(signal)) if !prepared.init => Outcome::Signaled(signal),
        (None, Waited::Signaled(_)) | (None, _) => Outcome::Killed,
    };
    let outcome = if watch.timed_out { Outcome::TimedOut } else { outcome };
    Ok(outcome)
}

struct Watch<'a> {
    plan: &'a Plan,
    prepared: &'a Prepared,
    child: &'a Child,
    socket: BorrowedFd<'a>,
    signals: BorrowedFd<'a>,
    /// The process that the sandbox ends with, or nothing.
    caller: i32,
    /// What is used so far.
    figures: &'a dyn Fn() -> Figures,
    status: &'a mut dyn Events,
    relay: Relay,
    /// Where memory is counted.
    victims: Option<&'a mut Victims>,
    /// The program's process group, where it holds the caller's terminal.
    group: Option<i32>,
    started: bool,
    /// What was in the way of what is said next to have failed.
    found: Option<String>,
    outcome: Option<Outcome>,
    deadline: Option<Instant>,
    /// When memory that is not needed for waiting is given back: a program that has ended by then is not made to wait for it.
    rest: Option<Instant>,
    timed_out: bool,
    /// A start was told to end: when it is ended, and by which signal it was told.
    ultimatum: Option<(Instant, i32)>,
    /// Somebody asked for the end: the last of the output is not waited for.
    hurried: bool,
}

/// Signals that ask a program to end.
pub(super) fn is_end(signal: i32) -> bool {
    matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT)
}

impl Watch<'_> {
    fn patience(&self) -> Option<i32> {
        let look = self.relay.waits().then(|| Instant::now() + BACKGROUND);
        let ultimatum = self.ultimatum.map(|(end, _)| end).filter(|_| !self.started);
        let next = [self.deadline, self.rest, look, ultimatum].into_iter().flatten().min()?;
        let left = next.saturating_duration_since(Instant::now()).as_millis() + 1;
        Some(i32::try_from(left).unwrap_or(i32::MAX))
    }

    /// Says when memory.events has changed, by an error.
    fn counted(&self) -> Poll {
        Poll::end(self.victims.as_ref().map_or(-1, |victims| victims.fd()))
    }

    fn look(&mut self) {
        if let Some(victims) = &mut self.victims {
            victims.look();
        }
    }

    fn clock(&mut self) {
        if let Some((end, signal)) = self.ultimatum.filter(|_| !self.started)
            && Instant::now() >= end
        {
            self.ultimatum = None;
            self.outcome = Some(Outcome::Signaled(signal));
            self.kill(libc::SIGKILL);
        }
        if self.relay.waits() {
            self.relay.resume();
        }
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

    /// The caller has ended, and the sandbox was to end with it.
    fn left_alone(&mut self) {
        self.caller = -1;
        self.hurried = true;
        self.kill(libc::SIGKILL);
    }

    /// A signal for the program. PID 1 hands it on: it has no use for signals itself, and takes none.
    fn kill(&self, signal: i32) {
        if signal == libc::SIGKILL || !self.prepared.init {
            let _ = sys::pidfd_signal(self.child.pidfd.as_fd(), signal);
        } else {
            let _ = sys::send_now(self.socket, &Message::Signal(signal).encode());
        }
    }

    fn signals(&mut self) {
        while let Some(arrived) = sys::next_signal(self.signals) {
            self.signal(arrived);
        }
    }

    /// Shows the last of the program's output, unless somebody does not want to wait for it.
    fn finish(&mut self) {
        let signals = self.signals;
        let hurried = self.timed_out || self.hurried;
        let ended =
            || hurried || std::iter::from_fn(|| sys::next_signal(signals)).any(|arrived| is_end(arrived.signal));
        self.relay.finish(ended, signals);
    }

    /// One message; false when there will be no more.
    fn message(&mut self) -> Result<bool> {
        let Received { message, fd, text, .. } = match super::message(self.socket) {
            Ok(Received { end: true, .. }) | Err(_) => {
                if !self.prepared.init && !self.started && self.outcome.is_none() {
                    // Exec closed the socket, which is how it says that it happened.
                    self.status.started(self.child.pid);
                    self.started = true;
                    self.wait_alone();
                }
                return Ok(false);
            }
            Ok(received) => received,
        };
        match message {
            // The program runs: what PID 1 meets from here on is the program's doing, or an accident, and its end.
            Some(Message::Failed { .. }) if self.started => return Ok(false),
            Some(Message::Failed { place, call, errno }) => {
                let _ = sys::pidfd_signal(self.child.pidfd.as_fd(), libc::SIGKILL);
                self.take_back();
                self.finish();
                let found = self.found.take();
                return Err(wording::failure(self.plan, self.prepared, (place, call, errno), found));
            }
            Some(Message::Terminal) => {
                if let (Some(master), Session::Pty(_), false) = (fd, self.prepared.session, self.started) {
                    self.relay.start(master);
                }
            }
            Some(Message::Started) => {
                self.started = true;
                self.status.started(self.child.pid);
                if let (Session::Inherit { terminal: Some(_), .. }, Some(tty)) = (self.prepared.session, tty()) {
                    self.group = Some(sys::foreground_group(tty)).filter(|_| !sys::in_foreground(tty));
                }
                self.rest = Some(Instant::now() + child::BEFORE_REST);
            }
            Some(Message::Elsewhere(index)) => {
                let dir = self.plan.cwd.get(index as usize).map(|dir| dir.display().to_string()).unwrap_or_default();
                let wanted = self.plan.cwd.first().map(|dir| dir.display().to_string()).unwrap_or_default();
                self.status.note(&format!("the program starts in {dir}: {wanted} cannot be entered inside"));
            }
            Some(Message::Found) => self.found = text,
            Some(Message::Partly(index)) => self.status.partly(index as usize),
            Some(Message::Stopped(signal)) => self.stopped(signal),
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
        loop {
            let [input, master, output] = self.relay.wants();
            let fds = [self.child.pidfd.as_raw_fd(), self.signals.as_raw_fd(), self.caller];
            let [ended, signalled, left] = fds.map(Poll::read);
            let mut set = [ended, signalled, left, self.counted(), input, master, output];
            let failed = sys::poll(&mut set, self.patience()).is_err();
            let [ended, _, left, counted, relay @ ..] = set.map(|poll| poll.ready);
            if counted {
                self.look();
            }
            self.relay.pump(relay);
            if left {
                self.left_alone();
            }
            if failed || ended {
                return;
            }
            self.signals();
            self.clock();
        }
    }

    fn signal(&mut self, arrived: sys::Arrived) {
        let shared = matches!(self.prepared.session, Session::Inherit { .. });
        match arrived.signal {
            libc::SIGCHLD | libc::SIGPIPE | libc::SIGTTOU | libc::SIGTTIN => {}
            libc::SIGWINCH => self.relay.resize(),
            libc::SIGUSR1 if self.plan.stats => {
                self.status.figures(&(self.figures)().naming(self.victims.as_deref()), false);
            }
            libc::SIGCONT => self.go_on(),
            // What the terminal sends has reached a program that shares it; if ^Z stops it, PID 1 says so.
            _ if !arrived.from_process && shared && self.group.is_none() => {}
            // It is handed on as soon as there is somebody who does that; what holds the start up may do so for ever.
            signal if !self.started && is_end(signal) => {
                self.hurried = true;
                self.kill(signal);
                self.ultimatum.get_or_insert((Instant::now() + ULTIMATUM, signal));
            }
            signal => {
                self.hurried |= is_end(signal);
                self.kill(signal);
            }
        }
    }

    /// The program was stopped. If that is job control on a terminal that is ours, so are we, for the shell to see. A program that
    /// stops itself otherwise must not stop the clock, or our ears.
    fn stopped(&mut self, signal: i32) {
        let job_control = matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        // A program in our own process group is stopped with us, by the terminal.
        let ours = self.plan.tty == Tty::Shared;
        if !job_control || ours || tty().is_none() || self.prepared.session == Session::Detached {
            return;
        }
        // A program may stop itself to stop our clock: where there is one, it wakes us. Without an alarm, of which the user has only
        // so many and the program may have them all, we stay awake.
        let alarm =
            self.deadline.map(|deadline| sys::continue_after(deadline.saturating_duration_since(Instant::now())));
        if matches!(alarm, Some(None)) {
            return;
        }
        self.take_back();
        self.relay.suspend();
        sys::stop_self();
        drop(alarm);
        self.go_on();
    }

    /// The shell says that we go on: in the foreground with the terminal, in the background without.
    fn go_on(&mut self) {
        if let (Some(group), Some(tty)) = (self.group, tty().filter(|tty| sys::in_foreground(*tty))) {
            let _ = sys::give_foreground(tty, group);
        }
        self.relay.resume();
        self.kill(libc::SIGCONT);
    }

    /// The terminal that was handed to the program is our group's again.
    fn take_back(&self) {
        if let (Some(group), Some(tty)) = (self.group, tty())
            && sys::foreground_group(tty) == group
        {
            let _ = sys::take_foreground(tty);
        }
    }
}
