//! A run that has a record: what its launcher, the monitor, writes there, and what it tells the command that waits for the start.

use super::outcome::Outcome;
use crate::error::{Error, Result};
use crate::spec::Published;
use crate::state::{Begun, Cause, Held, Id, Live, Port};
use crate::sys::{self, Poll};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    /// Whether the status of the end is written.
    ended: bool,
}

impl Recorded {
    /// A run with this record.
    pub fn new(held: Held) -> Recorded {
        let live = Live { monitor: sys::pid(), ..Live::default() };
        Recorded { held, live, ended: false }
    }

    /// The record's id.
    pub fn id(&self) -> &Id {
        self.held.id()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.held.descriptors()
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

    /// The program runs.
    pub(super) fn started(&mut self, pid: i32) {
        self.live.pid = pid;
        self.live.started = Some(now());
        self.live.started_since_boot = sys::boottime_nanoseconds();
        // What was written once can be written again: its blocks are reserved.
        let _ = self.held.write(&self.live);
    }

    pub(super) fn published(&mut self, ports: &[(u16, &Published)]) {
        let port = |port: &Published| Port {
            address: port.address.to_string(),
            host: port.host,
            inside: port.inside,
            transport: serde_json::to_value(port.transport)
                .ok()
                .and_then(|word| word.as_str().map(str::to_owned))
                .unwrap_or_default(),
        };
        self.live.ports = ports.iter().map(|(_, published)| port(published)).collect();
        let _ = self.held.write(&self.live);
    }

    pub(super) fn exited(&mut self, outcome: &Outcome, oom: bool) {
        let cause = match outcome {
            Outcome::Signaled(libc::SIGKILL) | Outcome::Killed if oom => Cause::Oom,
            Outcome::Exited(_) => Cause::Exited,
            Outcome::Signaled(_) | Outcome::Interrupted(_) => Cause::Signal,
            Outcome::TimedOut => Cause::Timeout,
            Outcome::Killed => Cause::Killed,
        };
        self.end(i32::from(outcome.status()), cause, String::new());
    }

    /// The run has failed, before the program or while it ran.
    pub fn failed(&mut self, error: &Error) {
        if !self.ended {
            self.end(i32::from(error.status), Cause::Failed, error.message.clone());
        }
    }

    /// Whether the program was started.
    pub fn has_started(&self) -> bool {
        self.live.started.is_some()
    }

    fn end(&mut self, status: i32, cause: Cause, error: String) {
        self.ended = true;
        // The longest that a record takes.
        let error: String = error.chars().take(1000).collect();
        let how = Begun { finished: Some(now()), status, cause, error, ..Begun::default() };
        let _ = self.held.ended(&how);
    }
}

/// The time in nanoseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
