//! The parts of a sandbox besides its view.

use super::Origin;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

fn lossy<S: Serializer>(args: &[OsString], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(args.iter().map(|arg| arg.to_string_lossy()))
}

/// What runs, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Process {
    /// Program and arguments.
    #[serde(serialize_with = "lossy")]
    pub args: Vec<OsString>,
    /// Where it starts; none is the caller's directory if it is there inside, else the home, else `/`.
    pub cwd: Option<PathBuf>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// Ids inside.
    pub user: User,
    /// Who asked for the ids.
    pub user_origin: Origin,
    /// Variables that are set.
    pub env: BTreeMap<String, String>,
    /// Variables that are passed; `*` at the end matches the rest of a name.
    pub env_pass: Vec<String>,
    /// The terminal.
    pub tty: Tty,
    /// When it is ended.
    pub timeout: Option<Duration>,
    /// No PID 1 of ours: the program is it.
    pub as_pid_1: bool,
    /// Descriptors that stay open beside the three standard streams.
    pub keep_fds: Vec<i32>,
}

/// Ids inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum User {
    /// The caller's own.
    #[default]
    Own,
    /// User and group of these numbers, which are the caller outside.
    Ids {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// The caller is root, and the subordinate ids follow from 1.
    Range,
}

/// The terminal of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Tty {
    /// One of its own where the caller's would be shared.
    #[default]
    Auto,
    /// One of its own.
    Pty,
    /// The caller's.
    Inherit,
    /// None: a session without a terminal.
    None,
}

/// A namespace of Linux, besides user and mount, which are always private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// pid_namespaces(7)
    Pid,
    /// network_namespaces(7)
    Net,
    /// ipc_namespaces(7)
    Ipc,
    /// uts_namespaces(7)
    Uts,
    /// cgroup_namespaces(7)
    Cgroup,
    /// time_namespaces(7)
    Time,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Namespace; 6] =
        [Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup, Namespace::Time];

    /// The word of the profile language, and the file's name in /proc/self/ns.
    pub fn word(self) -> &'static str {
        match self {
            Namespace::Pid => "pid",
            Namespace::Net => "net",
            Namespace::Ipc => "ipc",
            Namespace::Uts => "uts",
            Namespace::Cgroup => "cgroup",
            Namespace::Time => "time",
        }
    }
}

/// Which namespaces are the host's, and whether the program may make its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Namespaces {
    /// Shared ones, with who asked.
    pub share: BTreeMap<Namespace, Origin>,
    /// The program may create user namespaces.
    pub nested: bool,
}

impl Namespaces {
    /// Those that are private.
    pub fn private(&self) -> BTreeSet<Namespace> {
        Namespace::ALL.into_iter().filter(|ns| !self.share.contains_key(ns)).collect()
    }
}

/// A device or a class of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// A class (`gpu`) or a path below /dev.
    pub name: String,
    /// Its absence is no error.
    pub optional: bool,
    /// Who asked.
    pub origin: Origin,
}

/// The network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A namespace of its own with a loopback interface and nothing else.
    #[default]
    None,
    /// The host's.
    Host,
}

/// A resource limit of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rlimit {
    /// `nofile` and the like.
    pub name: &'static str,
    /// Soft limit; none is unlimited.
    pub soft: Option<u64>,
    /// Hard limit; none is unlimited.
    pub hard: Option<u64>,
    /// Who asked.
    pub origin: Origin,
}

/// The desktop's services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Desktop {
    /// The compositor's socket.
    pub wayland: bool,
    /// The X server's socket and cookie.
    pub x11: bool,
    /// `pipewire`, `pulse`.
    pub sound: BTreeSet<String>,
    /// Portals by name.
    pub portals: BTreeSet<String>,
}

/// How much of the session bus there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum BusPolicy {
    /// None.
    #[default]
    None,
    /// What xdg-dbus-proxy lets through.
    Filter,
    /// All of it.
    Host,
}

/// The session bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct SessionBus {
    /// How much of it there is.
    pub policy: BusPolicy,
    /// Who asked.
    pub origin: Origin,
    /// Options of xdg-dbus-proxy, in its own spelling without the dashes: `talk=NAME`.
    pub rules: Vec<String>,
}
