//! `Sandbox`: the whole description of one sandbox, explicit and ordered. Plain data; every front end produces it.

mod filesystem;
pub mod limits;
mod mounts;
mod note;
mod parts;
mod size;

pub use filesystem::{Filesystem, Mode, Options, PathRule, Root};
pub use mounts::{Access, Make, Mount, Source, Upper};
pub use note::Note;
pub use parts::*;
pub use size::parse_size;

use serde::Serialize;
use std::collections::BTreeMap;

/// The line or flag that a setting comes from, as `file:line` or `--flag`; empty for sbx's own defaults.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Default)]
pub struct Origin(pub String);

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Origins of settings without an [`Origin`] of their own, by key, and for lists and maps also by item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(BTreeMap<(&'static str, String), Origin>);

impl Origins {
    /// Records the origin of a key's item; `item` is `""` for a key that is neither a list nor a map.
    pub fn insert(&mut self, key: &'static str, item: &str, origin: Origin) {
        self.0.insert((key, item.to_owned()), origin);
    }

    /// The origin of a key's item (`""` for a key that is neither a list nor a map); empty if none is recorded.
    pub fn of(&self, key: &'static str, item: &str) -> Origin {
        self.0.get(&(key, item.to_owned())).cloned().unwrap_or_default()
    }
}

/// The description of one sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Sandbox {
    /// The program and how it is started.
    pub process: Process,
    /// Namespaces shared with the host or joined.
    pub namespaces: Namespaces,
    /// The view of the filesystem.
    pub filesystem: Filesystem,
    /// Devices that the program can open.
    pub devices: Vec<Device>,
    /// The network that the program has.
    pub network: Network,
    /// Resource limits of the process: setrlimit(2).
    pub rlimits: Vec<Rlimit>,
    /// Limits of the sandbox's cgroup: cgroup v2.
    pub limits: limits::Limits,
    /// Capabilities, the system call filter, and Landlock.
    pub security: Security,
    /// Services of the desktop that the program can reach.
    pub desktop: Desktop,
    /// Access to the session bus.
    pub session_bus: SessionBus,
    /// Assertions of the profile, which `sbx selftest` tries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asserts: Vec<Assert>,
    /// Notes for the user about how the layers were read.
    pub notes: Vec<Note>,
    /// Origins of the settings that have none of their own.
    #[serde(skip)]
    pub origins: Origins,
}
