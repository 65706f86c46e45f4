//! What is known outside and needed inside: what to look for, and what the profile lets in.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts about the host, for those who try to find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Outside {
    /// A process of the host, made for this.
    pub process: i32,
    /// The host's name.
    pub hostname: String,
    /// Inode numbers of the host's namespaces, by their files in /proc/self/ns.
    pub namespaces: BTreeMap<String, u64>,
    /// Name of an abstract socket of the host that answers (without the NUL byte).
    pub abstract_socket: String,
    /// A port of the host's loopback that answers.
    pub loopback_port: u16,
    /// Device and inode of the caller's home.
    pub home: (u64, u64),
    /// Its path.
    pub home_path: String,
    /// A number that a descriptor of the host's root has outside, which nothing inside may have.
    pub descriptor: i32,
}

/// What the profile lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Granted {
    /// Namespaces that are the host's.
    pub shared: Vec<String>,
    /// The host's network.
    pub network: bool,
    /// User namespaces inside.
    pub nested: bool,
    /// The X server.
    pub x11: bool,
    /// The session bus: none, filter, host.
    pub session_bus: String,
    /// Capabilities that are held.
    pub capabilities: u64,
    /// Host directories that are shown writable, inside.
    pub writable: Vec<String>,
    /// Host directories that are shown at all, inside.
    pub shown: Vec<String>,
    /// The profile's `[assert]`: kind and value.
    pub asserts: Vec<(String, String)>,
}

/// Both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Facts {
    /// The host.
    pub outside: Outside,
    /// The profile.
    pub granted: Granted,
}

/// What one try tells, on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Which.
    pub id: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a try, before anybody asks whether the profile allows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It did not work: how that was seen.
    Closed(String),
    /// It worked: what could be done.
    Open(String),
    /// It could not be tried: why.
    NotRun(String),
}
