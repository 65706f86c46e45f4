//! `Sandbox`: the whole description of one sandbox, explicit and ordered. Plain data; every front end ends here.

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

/// The place that asked for something, as `file:line`; empty for what nobody asked for in particular.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Default)]
pub struct Origin(pub String);

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asked for what has no `Origin` of its own: by key, and for a list or a map by its item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(BTreeMap<(&'static str, String), Origin>);

impl Origins {
    /// Records who asked for an item of a key; `""` for what is no list or map.
    pub fn insert(&mut self, key: &'static str, item: &str, origin: Origin) {
        self.0.insert((key, item.to_owned()), origin);
    }

    /// The line with that key, and that item of it; `""` for what is no list or map.
    pub fn of(&self, key: &'static str, item: &str) -> Origin {
        self.0.get(&(key, item.to_owned())).cloned().unwrap_or_default()
    }
}

/// One sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Sandbox {
    /// What runs, and how.
    pub process: Process,
    /// Which namespaces are the host's.
    pub namespaces: Namespaces,
    /// The view.
    pub filesystem: Filesystem,
    /// Devices that are let in.
    pub devices: Vec<Device>,
    /// The network.
    pub network: Network,
    /// setrlimit(2).
    pub rlimits: Vec<Rlimit>,
    /// cgroup v2.
    pub limits: limits::Limits,
    /// What is held and what is refused.
    pub security: Security,
    /// The desktop's services.
    pub desktop: Desktop,
    /// The session bus.
    pub session_bus: SessionBus,
    /// What the profile promises of itself; `sbx selftest` tries it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asserts: Vec<Assert>,
    /// What the user should be told about how the layers were read.
    pub notes: Vec<Note>,
    /// Who asked for what.
    #[serde(skip)]
    pub origins: Origins,
}
