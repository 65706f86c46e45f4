//! What a record holds. Each field has a default, so that records of other versions can be read.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The version of what is written. A reader of this version reads those of later ones as far as it knows their fields.
pub const VERSION: u32 = 1;

/// The largest spec.json, in bytes. Arguments and variables have 6 MiB together (execve(2)), of which JSON makes six times as much at most, and words and
/// arguments are both in it.
pub(super) const LARGEST: u64 = 128 << 20;

/// A text that need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// One that is.
    Utf8(String),
    /// The bytes of one that is not.
    Bytes(Vec<u8>),
}

impl Default for Text {
    fn default() -> Text {
        Text::Utf8(String::new())
    }
}

impl From<&OsStr> for Text {
    fn from(text: &OsStr) -> Text {
        text.to_str().map_or_else(|| Text::Bytes(text.as_bytes().to_vec()), |text| Text::Utf8(text.to_owned()))
    }
}

impl From<&Text> for OsString {
    fn from(text: &Text) -> OsString {
        match text {
            Text::Utf8(text) => text.into(),
            Text::Bytes(bytes) => OsString::from_vec(bytes.clone()),
        }
    }
}

/// What was asked for: spec.json.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// The version of sbx's records that this is of.
    pub version: u32,
    /// When the record was made, in nanoseconds since 1970.
    pub created: u64,
    /// The directory of the user's records of running sandboxes, which may be another one for whoever reads this.
    pub runtime: String,
    /// The profile.
    pub profile: String,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Directory in which the program starts.
    pub cwd: String,
    /// The host name inside.
    pub hostname: String,
    /// The variables of the program, as NAME=VALUE.
    pub env: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The record is removed when the program has ended.
    pub remove: bool,
    /// It runs in the background.
    pub detached: bool,
    /// What becomes of what the program writes: file, journald, none or passthrough.
    pub log_driver: String,
    /// How large each of the two files of a log may become, in bytes.
    pub log_size: u64,
    /// The words of the command line behind `run`, to start it again.
    pub words: Vec<Text>,
    /// The directory in which these words were meant.
    pub dir: Text,
    /// When it is started again after its end: no, on-failure, always, unless-stopped.
    pub restart: String,
    /// How often at most after a failure; 0 is no limit.
    pub restart_most: u32,
    /// The signal that asks the program to end.
    pub stop_signal: i32,
    /// How long it has for that, in seconds.
    pub stop_timeout: u64,
    /// The keys that leave its program; none are the usual ones.
    pub detach_keys: Option<String>,
}

impl Spec {
    /// The text of spec.json.
    ///
    /// # Errors
    ///
    /// It would be longer than what is read.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::new(format!("cannot write what the sandbox was asked for: {error}")))?;
        if text.len() as u64 > LARGEST {
            let size = text.len() >> 20;
            return Err(Error::new(format!(
                "the arguments and variables are too long to be recorded: they make {size} MiB, and a record takes {} MiB",
                LARGEST >> 20
            ))
            .hint("have the program read what is long from a file, or from standard input"));
        }
        Ok(text)
    }
}

/// What is so while it runs: state.json.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Live {
    /// The monitor's process id, for people: nothing is decided by it.
    pub monitor: i32,
    /// The process id, outside, of the sandbox's first process; 0 before there is one.
    pub pid: i32,
    /// When the program was started, in nanoseconds since 1970; none before.
    pub started: Option<u64>,
    /// The same in nanoseconds since the machine was booted, which goes on evenly.
    pub started_since_boot: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// It has ended, and is about to be started again.
    pub restarting: bool,
    /// Its processes are frozen.
    pub paused: bool,
    /// The ports that are published.
    pub ports: Vec<Port>,
}

/// A published port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Port {
    /// The address of the host.
    pub address: String,
    /// The port of the host.
    pub host: u16,
    /// The port inside.
    pub inside: u16,
    /// tcp or udp.
    pub transport: String,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Port { inside, transport, .. } = self;
        write!(f, "{}->{inside}/{transport}", self.at())
    }
}

impl Port {
    /// Where it is reached: the address and the port of the host.
    pub fn at(&self) -> String {
        let Port { address, host, .. } = self;
        if address.contains(':') { format!("[{address}]:{host}") } else { format!("{address}:{host}") }
    }
}

/// How a sandbox ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The program exited.
    Exited,
    /// A signal ended it.
    Signal,
    /// Its time was over.
    Timeout,
    /// It was ended for memory.
    Oom,
    /// Its first process was killed.
    Killed,
    /// sbx could not supervise it any more.
    Failed,
    /// Nobody has written it down: the monitor was killed, and the sandbox with it.
    #[default]
    #[serde(other)]
    Unknown,
}

/// When it was started last, and how it ended: exit.json.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Begun {
    /// When the monitor began, in nanoseconds since 1970.
    pub started: u64,
    /// Which run of the machine that was in: /proc/sys/kernel/random/boot_id.
    pub boot: String,
    /// When the program ended, in nanoseconds since 1970; none as long as nobody has written it.
    pub finished: Option<u64>,
    /// The exit status, as sbx itself gives it.
    pub status: i32,
    /// How it ended.
    pub cause: Cause,
    /// Why it could not be supervised.
    pub error: String,
    /// Somebody has asked for its end.
    pub stopped: bool,
    /// How often it was started again by then.
    pub restarts: u32,
    /// The directory of the user's records of running sandboxes, for whoever cannot read what was asked for; empty if it is too long.
    pub runtime: String,
}

/// The stage that a sandbox is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It was never started.
    Created,
    /// Its monitor is alive.
    Running(Live),
    /// It has ended, and nobody runs.
    Exited(Begun),
    /// Its monitor was killed, which ended it.
    Lost {
        /// What is known of it.
        begun: Begun,
        /// The machine was started anew since.
        rebooted: bool,
    },
    /// What it was cannot be read.
    Broken,
}

/// The exit status of a program that ended with its monitor: the kernel has killed it.
const KILLED: i32 = 137;

impl Status {
    /// The word for it in tables and filters, podman's.
    pub fn word(&self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running(live) if live.restarting => "restarting",
            Status::Running(live) if live.started.is_none() => "initialized",
            Status::Running(live) if live.paused => "paused",
            Status::Running(_) => "running",
            Status::Exited(_) | Status::Lost { .. } => "exited",
            Status::Broken => "unknown",
        }
    }

    /// Whether its monitor is alive.
    pub fn is_running(&self) -> bool {
        matches!(self, Status::Running(_))
    }

    /// The exit status of the program, if it has ended.
    pub fn exit_status(&self) -> Option<i32> {
        match self {
            Status::Exited(begun) => Some(begun.status),
            Status::Lost { .. } => Some(KILLED),
            Status::Created | Status::Running(_) | Status::Broken => None,
        }
    }

    /// When the program ended, in nanoseconds since 1970, if somebody has written it down.
    pub fn finished(&self) -> Option<u64> {
        match self {
            Status::Exited(begun) => begun.finished,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let long = |count: usize| Spec { args: vec!["\u{1}".repeat(1 << 20); count], ..Spec::default() };
        // All that execve(2) takes, as arguments and as words.
        assert!(long(12).encode().is_ok());
        let error = long(22).encode().unwrap_err().to_string();
        assert!(error.contains("they make 132 MiB, and a record takes 128 MiB"), "{error}");
    }
}
