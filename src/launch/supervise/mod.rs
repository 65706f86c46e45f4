//! The launcher's event loop: it handles messages of the first process, signals, helpers, the terminal and the time
//! limit, from the creation of the first process to its end.

mod asking;
mod connected;
mod end;
mod further;
mod jobs;
mod messages;
mod network;
mod requests;
mod services;
mod signals;

use super::asking::Asking;
use super::born::Born;
use super::cgroup::victims::Victims;
use super::control::Control;
use super::events::Events;
use super::further::Further;
use super::helpers::Helper;
use super::named::{Connection, Membership};
use super::outcome::Outcome;
use super::portal_caller::CallerFile;
use super::questions::Questions;
use super::refusals::Recorder;
use super::rules::PacketRules;
use super::signals::is_end;
use super::sources::Sources;
use super::terminal::{End, Foreground, HandedOver, Relay};
use super::uppers::Uppers;
use crate::child::{self, Message, Session};
use crate::error::{Error, Result};
use crate::plan::HelperSpec;
use crate::spec::Tty;
use crate::sys::{self, Poll, UnownedFd};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Time between SIGTERM and SIGKILL when the program's time limit is over.
const GRACE: Duration = Duration::from_secs(2);

/// The stage that the sandbox is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first process waits for the launcher, or will do so before it starts the program.
    SettingUp,
    /// The first process needs the launcher no more, and starts the program.
    Starting,
    /// The program runs as a child of sbx's PID 1, which reports stops and the end.
    Started,
    /// The program runs as the first process itself, which sends no messages.
    Alone,
    /// There is nothing more to wait for.
    Over,
}

/// What is called when a source of events is ready.
type Handler<'p> = fn(&mut Supervisor<'p>, &mut dyn Events) -> Result<()>;

/// A descriptor that a stage of the start waits for.
#[derive(Clone, Copy)]
struct Awaited {
    fd: RawFd,
    /// When waiting for it ends; none if it does not.
    until: Option<Instant>,
    ready: bool,
}

/// Supervises a sandbox. Its fields are dropped in this order: the terminal is restored, helpers are ended, then the
/// sandbox is.
pub(super) struct Supervisor<'p> {
    relay: Relay,
    helpers: Vec<Helper<'p>>,
    /// Networks that the sandbox is connected to besides that which it was started in.
    connections: Vec<Connection>,
    /// Helpers that are started on demand, with their descriptors; the first of those listens.
    waiting: Vec<(&'p HelperSpec, Vec<OwnedFd>)>,
    /// What helpers ask the user.
    questions: Questions,
    /// While this is open, the Wayland compositor accepts connections of the sandbox.
    wayland: Option<OwnedFd>,
    /// What tells portals which processes are the sandbox's.
    portal_caller: Option<CallerFile>,
    /// Requests of other commands, if the run has a record.
    control: Option<Control>,
    /// Further programs that run.
    further: Vec<Further>,
    /// The number of the last one.
    last_further: u32,
    /// The processes of the sandbox are frozen.
    paused: bool,
    /// What the program writes, if that is logged.
    outputs: Vec<RawFd>,
    sandbox: Born<'p>,
    sources: Sources<Handler<'p>>,
    state: State,
    awaited: Option<Awaited>,
    /// The first process waits for [`Message::Go`].
    ready: bool,
    /// The master of the program's terminal, which the child may send while helpers are started.
    terminal: Option<OwnedFd>,
    /// The device of the view server's filesystem, which the child sends before the server is started.
    served: Option<OwnedFd>,
    /// Lists and ends the sockets of the sandbox's own network.
    diag: Option<OwnedFd>,
    /// The socket to the packet filter, which the child sends before the rules are made.
    filter: Option<OwnedFd>,
    /// The rules on what is reached from the sandbox's network.
    rules: Option<PacketRules>,
    /// What records what these refuse, if somebody is told.
    recorder: Option<Recorder>,
    /// Questions to the user about names that no rule is for, if there may be some.
    asking: Option<Asking>,
    /// The open files that the program got instead of these descriptors of the caller's.
    reopened: Vec<(RawFd, OwnedFd)>,
    /// Signals for the program that came before they could be forwarded.
    early: Vec<sys::Arrived>,
    /// Tracks the OOM killer's victims, if memory is counted.
    victims: Option<Victims>,
    /// The state of the caller's terminal that was handed over to the program.
    handed_over: Option<HandedOver>,
    /// The caller's terminal, of which the program's process group may have been left in the foreground.
    shared: Option<Foreground>,
    /// The program's process group, if it is in the foreground of the caller's terminal.
    group: Option<i32>,
    /// The program's terminal is in the foreground, as PID 1 was told last.
    foreground: bool,
    /// That was not so before, and the program may have been stopped for it: one such stop is not the job's.
    came_forward: bool,
    /// The caller's terminal has told sbx's process group to stop: ^Z, or a read in the background.
    stopped_by_terminal: bool,
    /// The last signal by which a key of the caller's terminal interrupted sbx's process group: SIGINT or SIGQUIT.
    interrupted: Option<i32>,
    /// What was found in the way of the operation that the next message reports as failed.
    found: Option<String>,
    /// What PID 1 has seen that may explain how the program ended, as bits.
    hints: u32,
    /// How many files PID 1 has found changed in overlays whose changes are discarded.
    changed: u32,
    outcome: Option<Outcome>,
    /// PID 1 has told that it has executed the program, which it does where somebody wants to know.
    program_ran: bool,
    /// PID 1 goes on with what the program left.
    goes_on: bool,
    /// When the program's time is over; once it is (`timed_out`), when the program is killed.
    deadline: Option<Instant>,
    timed_out: bool,
    /// When memory that is not needed for waiting is given back to the kernel. Not at once: a short program must not
    /// have to wait for that.
    rest: Option<Instant>,
    /// The next wait is one with as little memory as can be.
    at_rest: bool,
    /// Once a signal asked for the end before the program was started: when the start is given up, and the signal.
    pending_termination: Option<(Instant, i32)>,
    /// A signal asked for the end, or the caller is gone: the rest of the output is not waited for.
    skip_final_output: bool,
}

impl<'p> Supervisor<'p> {
    pub(super) fn new(sandbox: Born<'p>) -> Supervisor<'p> {
        Supervisor {
            relay: Relay::default(),
            helpers: Vec::new(),
            connections: Vec::new(),
            waiting: Vec::new(),
            questions: Questions::default(),
            wayland: None,
            portal_caller: None,
            control: None,
            further: Vec::new(),
            last_further: 0,
            paused: false,
            outputs: Vec::new(),
            sandbox,
            sources: Sources::new(),
            state: State::SettingUp,
            awaited: None,
            ready: false,
            terminal: None,
            served: None,
            diag: None,
            filter: None,
            rules: None,
            recorder: None,
            asking: None,
            reopened: Vec::new(),
            early: Vec::new(),
            victims: None,
            handed_over: None,
            shared: None,
            group: None,
            foreground: true,
            came_forward: false,
            stopped_by_terminal: false,
            interrupted: None,
            found: None,
            hints: 0,
            changed: 0,
            outcome: None,
            program_ran: false,
            goes_on: false,
            deadline: None,
            timed_out: false,
            rest: None,
            at_rest: false,
            pending_termination: None,
            skip_final_output: false,
        }
    }

    pub(super) fn sandbox(&self) -> &Born<'p> {
        &self.sandbox
    }

    /// Takes the locks on directories that were not there before this sandbox created them.
    pub(super) fn lock_created(&mut self) -> Result<()> {
        self.sandbox.locks.take(self.sandbox.plan)
    }

    /// Descriptors of the launcher and its helpers that must stay open.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let Born { socket, first, signals, caller, membership, .. } = &self.sandbox;
        let own = [socket.as_raw_fd(), first.fd(), signals.fd()].into_iter();
        own.chain(caller.as_ref().map(AsRawFd::as_raw_fd))
            .chain(self.diag.as_ref().map(AsRawFd::as_raw_fd))
            .chain(self.rules.iter().flat_map(PacketRules::descriptors))
            .chain(self.recorder.iter().flat_map(Recorder::descriptors))
            .chain(self.helpers.iter().flat_map(Helper::descriptors))
            .chain(membership.iter().flat_map(Membership::descriptors))
            .chain(self.connections.iter().map(Connection::fd))
    }

    /// Adds the descriptors to poll, in the order in which their events are handled: one line for each.
    fn watch(&self, sources: &mut Sources<Handler<'p>>, status: &dyn Events) {
        let [input, program, output] = self.relay.wants();
        // memory.events polls as an error when it has changed.
        sources.add(Poll::end(self.victims.as_ref().map_or(-1, Victims::fd)), Self::on_memory_event);
        sources.add(input, |supervisor, status| supervisor.on_terminal(End::Input, status));
        sources.add(program, |supervisor, status| supervisor.on_terminal(End::Program, status));
        sources.add(output, |supervisor, status| supervisor.on_terminal(End::Output, status));
        sources.add(Poll::read(self.awaited.map_or(-1, |awaited| awaited.fd)), Self::on_awaited);
        sources.add(Poll::read(self.sandbox.caller.as_ref().map_or(-1, AsRawFd::as_raw_fd)), Self::on_caller_exit);
        match self.state {
            State::Alone => sources.add(Poll::read(self.sandbox.first.fd()), Self::on_end),
            _ => sources.add(Poll::read(self.sandbox.socket.as_raw_fd()), Self::on_messages),
        }
        sources.add(Poll::read(self.sandbox.signals.fd()), Self::on_signals);
        sources.add(Poll::read(self.rules.as_ref().map_or(-1, PacketRules::fd)), Self::on_addresses);
        sources.add(Poll::read(self.sandbox.membership.as_ref().map_or(-1, Membership::fd)), Self::on_shared_network);
        for connection in &self.connections {
            sources.add(Poll::read(connection.fd()), Self::on_connection);
        }
        sources.add(Poll::read(self.recorder.as_ref().map_or(-1, Recorder::fd)), Self::on_refused);
        sources.add(Poll::read(self.recorder.as_ref().map_or(-1, Recorder::unanswered_fd)), Self::on_unanswered);
        for fd in self.asking.iter().flat_map(Asking::descriptors) {
            sources.add(Poll::read(fd), Self::on_answer);
        }
        for helper in &self.helpers {
            sources.add(Poll::read(helper.fd()), Self::on_helper_exit);
            sources.add(Poll::read(helper.notes_fd()), Self::on_helper_note);
            sources.add(Poll::read(helper.asks_fd()), Self::on_question);
            sources.add(Poll::read(helper.filter_fd()), Self::on_asked);
        }
        for fd in self.control.iter().flat_map(Control::descriptors) {
            sources.add(Poll::read(fd), Self::on_request);
        }
        for fd in self.further.iter().filter_map(Further::unread) {
            sources.add(Poll::read(fd), Self::on_unread);
        }
        for fd in &self.outputs {
            sources.add(Poll::read(*fd), |_, status| {
                status.output();
                Ok(())
            });
        }
        for poll in status.attended() {
            sources.add(poll, |_, status| {
                status.attend();
                Ok(())
            });
        }
        for fd in self.questions.descriptors() {
            sources.add(Poll::read(fd), Self::on_question);
        }
        for (_, given) in &self.waiting {
            sources.add(Poll::read(given.first().map_or(-1, AsRawFd::as_raw_fd)), Self::on_demand);
        }
    }

    /// One turn of the loop: waits for the next event, and handles all that have come.
    fn turn(&mut self, status: &mut dyn Events) -> Result<()> {
        let mut sources = std::mem::replace(&mut self.sources, Sources::new());
        sources.clear();
        self.watch(&mut sources, status);
        let patience = self.patience();
        let waited = if std::mem::take(&mut self.at_rest) {
            // Once more when nothing has happened for as long after the next event.
            self.rest = Some(Instant::now() + child::BEFORE_REST);
            sources.wait_at_rest(patience)
        } else {
            sources.wait(patience)
        };
        let handled = match waited {
            Ok(()) => sources.ready().try_for_each(|handler| match self.state {
                State::Over => Ok(()),
                _ => handler(self, status),
            }),
            // An error of poll(2) is no reason to end the program: its end is waited for all the same.
            Err(_) if self.state == State::Alone => self.on_end(status),
            Err(errno) => Err(Error::call("poll", errno)),
        };
        self.sources = sources;
        handled?;
        if self.state != State::Over {
            if self.rules.as_ref().and_then(PacketRules::next_look).is_some_and(|due| Instant::now() >= due) {
                self.on_addresses(status)?;
            }
            self.clock(status);
        }
        Ok(())
    }

    /// Waits until a descriptor is ready, and handles all other events meanwhile; false when the time is over.
    pub(super) fn wait_for(&mut self, fd: RawFd, patience: Option<Duration>, status: &mut dyn Events) -> Result<bool> {
        let until = patience.map(|patience| Instant::now() + patience);
        self.awaited = Some(Awaited { fd, until, ready: false });
        let ready = loop {
            self.turn(status)?;
            let ready = self.awaited.is_some_and(|awaited| awaited.ready);
            if ready || until.is_some_and(|until| Instant::now() >= until) {
                break ready;
            }
        };
        self.awaited = None;
        Ok(ready)
    }

    /// Waits until the first process waits for [`Message::Go`].
    pub(super) fn expect_ready(&mut self, status: &mut dyn Events) -> Result<()> {
        while !self.ready {
            self.turn(status)?;
        }
        self.ready = false;
        Ok(())
    }

    /// Sends [`Message::Go`], for which the first process waits.
    pub(super) fn go(&self) -> Result<()> {
        let sent = sys::send(self.sandbox.socket.as_fd(), &Message::Go.encode(), None);
        sent.map_err(|errno| Error::new(format!("the sandbox is gone: {errno}")))
    }

    /// Ends the set-up: from here on the first process needs the launcher no more, and the program's time runs.
    pub(super) fn begin(&mut self, status: &mut dyn Events) -> Result<()> {
        self.state = State::Starting;
        self.control = status.requests().map(Control::new);
        self.outputs = status.outputs();
        self.attach_first(status);
        self.sandbox.uppers.iter_mut().for_each(Uppers::keep_from_now);
        if let Some(master) = self.terminal.take() {
            self.start_relay(master)?;
        }
        self.handed_over = match self.sandbox.given.process.session {
            Session::Detached { own_group: true } => HandedOver::now(true),
            Session::Inherit { own_group: true, terminal: Some(_) } => HandedOver::now(false),
            _ => None,
        };
        if self.sandbox.plan.process.tty == Tty::Shared {
            self.shared = Foreground::now();
        }
        self.victims = self.sandbox.cgroup.as_ref().and_then(|cgroup| cgroup.victims(self.sandbox.first.pid()));
        self.deadline = self.sandbox.plan.process.timeout.map(|timeout| Instant::now() + timeout);
        if !self.sandbox.given.process.tells_start {
            self.rest = Some(Instant::now() + child::BEFORE_REST);
        }
        Ok(())
    }

    /// Starts to relay the program's terminal, which has this master.
    fn start_relay(&mut self, master: OwnedFd) -> Result<()> {
        let Born { given, first, .. } = &self.sandbox;
        let start = given.process.terminal.as_ref();
        self.foreground = start.is_none_or(|terminal| terminal.foreground);
        self.relay.start(master, start, first.pid(), given.process.init)
    }

    /// Whether the program was executed, so far as that is known.
    fn started(&self) -> bool {
        matches!(self.state, State::Started | State::Alone)
    }

    /// Milliseconds until [`Supervisor::clock`] has something to do; none if it never has.
    fn patience(&self) -> Option<i32> {
        let look = self.relay.next_look();
        let pending = self.pending_termination.map(|(end, _)| end).filter(|_| !self.started());
        let awaited = self.awaited.and_then(|awaited| awaited.until);
        let addresses = self.rules.as_ref().and_then(PacketRules::next_look);
        let refused = self.recorder.as_ref().and_then(Recorder::next_look);
        let asked = self.asking.as_ref().and_then(Asking::next_look);
        let next = [self.deadline, self.rest, look, pending, awaited, addresses, refused, asked];
        let next = next.into_iter().flatten().min()?;
        let left = next.saturating_duration_since(Instant::now()).as_millis() + 1;
        Some(i32::try_from(left).unwrap_or(i32::MAX))
    }

    /// Does what is due at a time: gives a start up, takes the terminal, gives memory back, ends the program.
    fn clock(&mut self, status: &mut dyn Events) {
        if let Some((end, signal)) = self.pending_termination.filter(|_| !self.started())
            && Instant::now() >= end
        {
            self.pending_termination = None;
            // PID 1 may answer late, because it is stopped or frozen: the program runs, and gets the signal then.
            if !self.sandbox.given.process.init || !self.sandbox.first.has_executed() {
                self.outcome = Some(Outcome::Signaled(signal));
                self.kill(libc::SIGKILL);
            }
        }
        self.follow_foreground();
        self.relay.look();
        if let Some(recorder) = &mut self.recorder {
            recorder.look(Instant::now());
        }
        if self.asking.as_ref().and_then(Asking::next_look).is_some_and(|due| Instant::now() >= due) {
            self.look_at_questions(status);
        }
        if self.rest.is_some_and(|rest| Instant::now() >= rest) {
            self.rest = None;
            self.at_rest = true;
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            if self.timed_out {
                self.kill(libc::SIGKILL);
                self.deadline = None;
            } else {
                self.timed_out = true;
                self.kill(libc::SIGTERM);
                self.thaw(status);
                self.deadline = Some(Instant::now() + GRACE);
            }
        }
    }

    fn on_memory_event(&mut self, _: &mut dyn Events) -> Result<()> {
        if let Some(victims) = &mut self.victims {
            victims.look();
        }
        Ok(())
    }

    /// Relays the terminal's input and output at an end that is ready.
    fn on_terminal(&mut self, end: End, status: &mut dyn Events) -> Result<()> {
        if self.relay.pump(end) {
            self.on_hang_up(status);
        }
        Ok(())
    }

    fn on_awaited(&mut self, _: &mut dyn Events) -> Result<()> {
        if let Some(awaited) = &mut self.awaited {
            awaited.ready = true;
        }
        Ok(())
    }

    /// The caller has ended, and the sandbox was to end with it.
    fn on_caller_exit(&mut self, status: &mut dyn Events) -> Result<()> {
        if self.state == State::SettingUp {
            // A signal that the caller, or its terminal, sent before makes the better error.
            self.on_signals(status)?;
            return Err(Error::new("the caller ended before the program started"));
        }
        self.sandbox.caller = None;
        self.skip_final_output = true;
        self.kill(libc::SIGKILL);
        Ok(())
    }

    /// The program, which was the first process, has ended.
    fn on_end(&mut self, _: &mut dyn Events) -> Result<()> {
        self.state = State::Over;
        Ok(())
    }

    /// Kills the sandbox and restores the terminal before an error is reported.
    fn give_up(&mut self, status: &mut dyn Events) {
        self.sandbox.first.signal(libc::SIGKILL);
        self.take_back();
        self.finish(status);
    }

    /// Sends a signal to the program. PID 1 takes no signals itself but SIGKILL, and forwards them when it is told to.
    fn kill(&self, signal: i32) {
        if signal == libc::SIGKILL || !self.sandbox.given.process.init {
            self.sandbox.first.signal(signal);
        } else {
            let _ = sys::send_now(self.sandbox.socket.as_fd(), &Message::Signal(signal).encode());
        }
    }

    /// Writes the rest of the program's output, unless the end was asked for or the time is over.
    fn finish(&mut self, status: &mut dyn Events) {
        let signals = &self.sandbox.signals;
        let skip = self.timed_out || self.skip_final_output;
        let ended = || std::iter::from_fn(|| signals.next()).any(|arrived| is_end(arrived.signal));
        // Where the output goes to a pipe whose other end is here, it is read meanwhile.
        self.relay.finish(skip, ended, || status.output(), UnownedFd::new(signals.fd()).as_fd());
    }
}
