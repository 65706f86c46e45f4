//! A run that has a record: what its launcher, the monitor, writes there, and what it tells the command that waits for the start.

use super::attached::Attached;
use super::control::Control;
use super::outcome::Outcome;
use crate::error::{Error, Result};
use crate::spec::Published;
use crate::state::{Answer, Begun, Cause, Happened, Held, Id, Live, Port, Request, Stream};
use crate::sys::{self, Poll};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// What a monitor tells the command that waits for its start: a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// A text for standard error.
    Note(String),
    /// The program runs, and can be asked for by this id.
    Started(String),
    /// It was not started: the exit status, and the text for standard error.
    Failed(u8, String),
}

/// How much of the program's output is read at once, in bytes, where nobody keeps it: what a pipe holds.
const PORTION: usize = 1 << 16;

/// How much is read after the program has ended, in bytes: each pipe holds a MiB at most (fcntl(2), F_SETPIPE_SZ).
const MOST: usize = 4 << 20;

/// How long who keeps the output may take for what is left once the program has ended.
const LATE: Duration = Duration::from_secs(2);

/// How long to wait for the command to read.
const PATIENCE: Duration = Duration::from_secs(2);

/// The end of the pipe to the command that waits for the start.
#[derive(Debug)]
pub struct Waiting(OwnedFd);

impl Waiting {
    /// Takes the write end of the pipe.
    pub fn new(pipe: OwnedFd) -> Waiting {
        Waiting(pipe)
    }

    /// Tells it something. What nobody reads is lost.
    pub fn tell(&self, report: &Report) {
        let text = serde_json::to_string(report).unwrap_or_default() + "\n";
        let _ = sys::write_within(self.0.as_fd(), text.as_bytes(), PATIENCE);
    }

    /// Whether the command has gone.
    fn is_gone(&self) -> bool {
        let mut set = [Poll::end(self.0.as_raw_fd())];
        sys::poll(&mut set, Some(0)).is_ok() && set.iter().any(|end| end.ready)
    }

    pub(super) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A run that has a record.
#[derive(Debug)]
pub struct Recorded {
    held: Held,
    live: Live,
    /// The read ends of the program's standard output and standard error, whose bytes go to the log.
    outputs: Option<[OwnedFd; 2]>,
    /// Those who are attached to the program.
    pub(super) attached: Attached,
    /// Whether the status of the end is written.
    ended: bool,
    /// Somebody has asked for the end.
    stopped: bool,
    /// Something that has happened could not be told to `sbx events`.
    untold: bool,
    /// Why what is so could not be written, until that is told.
    unwritten: Option<String>,
}

impl Recorded {
    /// A run with this record. What comes from `outputs`, which do not block, goes to its log.
    pub fn new(held: Held, outputs: Option<[OwnedFd; 2]>) -> Recorded {
        let live = Live { monitor: sys::pid(), ..Live::default() };
        let attached = Attached::default();
        Recorded { held, live, outputs, attached, ended: false, stopped: false, untold: false, unwritten: None }
    }

    /// Says that the program's standard input is a pipe with this write end.
    #[must_use]
    pub fn input(mut self, input: Option<OwnedFd>) -> Recorded {
        self.attached = Attached::new(input);
        self
    }

    /// Whether what the program writes comes here.
    pub(super) fn has_outputs(&self) -> bool {
        self.outputs.is_some()
    }

    /// Says how often it was started before.
    #[must_use]
    pub fn restarts(mut self, restarts: u32) -> Recorded {
        self.live.restarts = restarts;
        self
    }

    /// Waits before the program, which has ended so, is started again; false if somebody has asked for its end meanwhile.
    pub fn rest(mut self, pause: Duration, begun: &Begun) -> bool {
        self.live.restarting = true;
        // How it ended is known all the time, to whoever waits for that.
        let _ = self.held.rests(begun);
        let _ = self.held.write(&self.live);
        let goes_on = self.undisturbed(pause);
        let _ = self.held.ended(&Begun { stopped: !goes_on, ..begun.clone() });
        goes_on
    }

    fn undisturbed(&self, pause: Duration) -> bool {
        let Ok(listener) = self.held.listener().try_clone_to_owned() else { return true };
        let (mut control, mut set, end) = (Control::new(listener), sys::PollSet::default(), Instant::now() + pause);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            set.clear();
            control.descriptors().for_each(|fd| set.add(Poll::read(fd)));
            if set.wait(i32::try_from(left.as_millis() + 1).ok()).is_err() {
                return true;
            }
            for (client, request, _) in control.came().requests {
                let stop = matches!(request, Some(Request::Signal { stop: true, .. }));
                let error = (!stop).then(|| "the program has ended, and is about to be started again".to_owned());
                control.answer(client, &Answer { error, ..Answer::default() });
                if stop {
                    return false;
                }
            }
        }
    }

    /// Tells `sbx events` what has happened. Gives why it could not be told, the first time.
    pub(super) fn tell(&mut self, what: &Happened) -> Option<String> {
        let error = self.held.tell(what).err()?;
        (!std::mem::replace(&mut self.untold, true)).then_some(error.message)
    }

    pub(super) fn stopped(&mut self) {
        self.stopped = true;
    }

    pub(super) fn paused(&mut self, on: bool) {
        self.live.paused = on;
        self.write();
    }

    /// Writes what is so.
    fn write(&mut self) {
        self.unwritten = self.held.write(&self.live).err().map(|error| error.message).or(self.unwritten.take());
    }

    /// Why something of what is so could not be written since this was asked last.
    pub(super) fn unwritten(&mut self) -> Option<String> {
        self.unwritten.take()
    }

    /// The record's id.
    pub fn id(&self) -> &Id {
        self.held.id()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.held.descriptors()
    }

    /// The descriptors that the program's output comes from.
    pub(super) fn outputs(&self) -> Vec<RawFd> {
        self.outputs.iter().flatten().map(AsRawFd::as_raw_fd).collect()
    }

    /// Writes some of the program's output to the log, and shows it to those who are attached. Gives whether there was any.
    pub(super) fn output(&mut self) -> bool {
        let portion = self.portion();
        let Some(outputs) = &self.outputs else { return false };
        let mut buffer = vec![0; portion];
        let mut any = false;
        for (output, stream) in outputs.iter().zip([Stream::Out, Stream::Err]) {
            if let Ok(count @ 1..) = sys::read(output.as_fd(), &mut buffer) {
                let bytes = buffer.get(..count).unwrap_or_default();
                if let Some(log) = self.held.log() {
                    log.write(stream, bytes);
                }
                self.attached.show(stream, bytes);
                any = true;
            }
        }
        any
    }

    fn portion(&mut self) -> usize {
        self.held.log().map_or(PORTION, |output| output.portion())
    }

    /// Writes all output that there is.
    pub fn drain(&mut self) {
        let late = Instant::now() + LATE;
        // What is read is no more than two pipes hold: the program has ended.
        for _ in 0..MOST / self.portion() {
            if !self.output() {
                break;
            }
            if Instant::now() > late
                && let Some(output) = self.held.log()
            {
                output.hurry();
            }
        }
    }

    /// Gives those who are attached all that is left for them.
    pub fn finish(&mut self) {
        self.attached.finish();
        if let (Some(_), Some(output)) = (&self.outputs, self.held.log()) {
            output.end();
        }
    }

    /// Writes a text of sbx's own to the log. Gives whether there is one.
    pub(super) fn note(&mut self, text: &str) -> bool {
        match (&self.outputs, self.held.log()) {
            (Some(_), Some(log)) => {
                log.write(Stream::Err, text.as_bytes());
                true
            }
            _ => false,
        }
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.held.listener()
    }

    /// The first process exists, and waits.
    pub(super) fn cloned(&mut self, pid: i32, waiting: Option<&Waiting>) -> Result<()> {
        if waiting.is_some_and(Waiting::is_gone) {
            return Err(Error::new("the command that was to be told of the start has ended"));
        }
        self.live.pid = pid;
        self.held.write(&self.live)
    }

    /// The program runs. Gives what has happened by that.
    pub(super) fn started(&mut self, pid: i32) -> Vec<Happened> {
        self.live.pid = pid;
        self.live.started = Some(sys::realtime_nanoseconds());
        self.live.started_since_boot = sys::boottime_nanoseconds();
        // What was written once can be written again: its blocks are reserved.
        self.write();
        let again = (self.live.restarts > 0).then_some(Happened::Restart);
        [Happened::Start].into_iter().chain(again).collect()
    }

    pub(super) fn published(&mut self, ports: &[(u16, &Published)]) {
        self.live.publish(ports.iter().map(|(_, published)| Port::from(*published)));
        self.write();
    }

    pub(super) fn exited(&mut self, outcome: &Outcome, oom: bool) -> Vec<Happened> {
        self.drain();
        let cause = match outcome {
            Outcome::Signaled(libc::SIGKILL) | Outcome::Killed if oom => Cause::Oom,
            Outcome::Exited(_) => Cause::Exited,
            Outcome::Signaled(_) | Outcome::Interrupted(_) => Cause::Signal,
            Outcome::TimedOut => Cause::Timeout,
            Outcome::Killed => Cause::Killed,
        };
        self.end(i32::from(outcome.status()), cause, String::new());
        self.attached.ended(&Answer { status: Some(outcome.status().into()), ..Answer::default() });
        let oom = (cause == Cause::Oom).then_some(Happened::Oom);
        oom.into_iter().chain([Happened::Died(outcome.status().into())]).collect()
    }

    /// The run has failed, before the program or while it ran. Gives what has happened by that.
    pub(super) fn failed(&mut self, error: &Error) -> Option<Happened> {
        if !self.ended {
            let error_status = i32::from(error.status);
            self.end(error_status, Cause::Failed, error.message.clone());
            let (error, status) = (Some(error.message.chars().take(1000).collect()), Some(error_status));
            self.attached.ended(&Answer { error, status, ..Answer::default() });
            return self.has_started().then_some(Happened::Died(error_status));
        }
        None
    }

    /// Whether the program was started.
    pub fn has_started(&self) -> bool {
        self.live.started.is_some()
    }

    fn end(&mut self, status: i32, cause: Cause, error: String) {
        self.ended = true;
        // The longest that a record takes.
        let error: String = error.chars().take(800).collect();
        let error = match self.held.log().and_then(|output| output.lost()) {
            Some(lost) if error.is_empty() => lost,
            Some(lost) => format!("{error}; {lost}"),
            None => error,
        };
        let how = Begun {
            finished: Some(sys::realtime_nanoseconds()),
            status,
            cause,
            error,
            stopped: self.stopped,
            restarts: self.live.restarts,
            ..Begun::default()
        };
        let _ = self.held.ended(&how);
    }
}
