//! What a record holds. Each field has a default, so that records of other versions can be read.

use super::slot;
use crate::error::{Error, Result};
use crate::spec::Published;
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
    /// The ports that are published, those that follow each other as one: see [`Live::ports`].
    pub ports: Vec<Port>,
}

impl Live {
    /// The ports that are published, one by one.
    pub fn ports(&self) -> Vec<Port> {
        /// More than there are of both protocols.
        const MOST: usize = 2 << 16;
        self.ports.iter().flat_map(Port::each).take(MOST).collect()
    }

    /// Says which ports are published.
    pub fn publish(&mut self, ports: impl Iterator<Item = Port>) {
        self.ports.clear();
        for port in ports {
            match self.ports.last_mut().filter(|last| last.goes_on_with(&port)) {
                Some(last) => last.count = last.count.max(1) + 1,
                None => self.ports.push(port),
            }
        }
    }

    /// Whether it can be written with these ports, whatever else is so by then.
    pub fn has_room_for(ports: impl Iterator<Item = Port>) -> bool {
        let mut longest = Live {
            monitor: i32::MIN,
            pid: i32::MIN,
            started: Some(u64::MAX),
            started_since_boot: u64::MAX,
            restarts: u32::MAX,
            ..Live::default()
        };
        longest.publish(ports);
        slot::fits(&longest)
    }
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
    /// How many there are from this one on, each with the port inside that follows; 0 is one.
    #[serde(skip_serializing_if = "is_one")]
    pub count: u16,
}

fn is_one(count: &u16) -> bool {
    *count <= 1
}

impl From<&Published> for Port {
    fn from(port: &Published) -> Port {
        let Published { address, host, inside, transport, .. } = port;
        let transport = transport.word().to_owned();
        Port { address: address.to_string(), host: *host, inside: *inside, transport, count: 0 }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Port { inside, transport, .. } = self;
        write!(f, "{}->{inside}/{transport}", self.at())
    }
}

impl Port {
    /// The ports that this stands for, one by one.
    fn each(&self) -> impl Iterator<Item = Port> {
        (0..self.count.max(1)).map_while(|number| {
            let (host, inside) = (self.host.checked_add(number)?, self.inside.checked_add(number)?);
            Some(Port { host, inside, count: 0, ..self.clone() })
        })
    }

    /// Whether a single port is the one that follows.
    fn goes_on_with(&self, next: &Port) -> bool {
        let count = self.count.max(1);
        let follows = |first: u16, next: u16| first.checked_add(count) == Some(next);
        count < u16::MAX
            && (&self.address, &self.transport) == (&next.address, &next.transport)
            && follows(self.host, next.host)
            && follows(self.inside, next.inside)
    }

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

    fn port(host: u16, inside: u16, transport: &str) -> Port {
        Port { address: "127.0.0.1".into(), host, inside, transport: transport.into(), count: 0 }
    }

    #[test]
    fn ports_that_follow_each_other_take_the_room_of_one() {
        let mut ports: Vec<_> = (0..=60_000).map(|number| port(5000 + number, 1 + number, "tcp")).collect();
        ports.extend([port(65_001, 60_002, "udp"), port(65_002, 60_004, "udp"), port(65_535, 65_535, "tcp")]);
        let mut live = Live::default();
        live.publish(ports.clone().into_iter());
        assert!(live.ports.len() == 4 && live.ports() == ports, "{:?}", live.ports);
        assert!(Live::has_room_for(ports.into_iter()));
        let apart = |count: u16| (0..count).map(|number| port(2 * number, 80, "tcp"));
        assert!(Live::has_room_for(apart(90)) && !Live::has_room_for(apart(150)));
        // As it was written before.
        let old: Live = serde_json::from_str(
            "{\"ports\":[{\"address\":\"127.0.0.1\",\"host\":1,\"inside\":2,\"transport\":\"tcp\"}]}",
        )
        .unwrap();
        assert_eq!(old.ports(), [port(1, 2, "tcp")]);
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let long = |count: usize| Spec { args: vec!["\u{1}".repeat(1 << 20); count], ..Spec::default() };
        // All that execve(2) takes, as arguments and as words.
        assert!(long(12).encode().is_ok());
        let error = long(22).encode().unwrap_err().to_string();
        assert!(error.contains("they make 132 MiB, and a record takes 128 MiB"), "{error}");
    }
}
