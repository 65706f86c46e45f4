//! What is known outside and needed inside: what to look for, and what the profile lets in.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Device and number of a file: stat(2).
pub type FileId = (u64, u64);

/// Facts about the host, for those who try to find it. What could not be made or is not there is empty, and what looks for it is not
/// run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Outside {
    /// A process of the host, made for this.
    pub process: i32,
    /// The launcher.
    pub launcher: i32,
    /// Its process group.
    pub group: i32,
    /// What only the host knows: content of files, of memory, of keys.
    pub secret: String,
    /// Where that lies in the memory of both processes.
    pub address: usize,
    /// The launcher's arguments.
    pub arguments: String,
    /// Variables that the caller has and the program is not given.
    pub variables: Vec<String>,
    /// seccomp filters that were in force before.
    pub filters: u32,
    /// Inode numbers of the host's namespaces, by their files in /proc/self/ns.
    pub namespaces: BTreeMap<String, u64>,
    /// Name of an abstract socket of the host that answers (without the NUL byte).
    pub abstract_socket: String,
    /// A port of the host's loopback that answers.
    pub loopback_port: u16,
    /// The host's root.
    pub root: FileId,
    /// A handle of it: type and content.
    pub handle: Option<(i32, Vec<u8>)>,
    /// A number that a descriptor of the host's root has outside, which nothing inside may have.
    pub descriptor: i32,
    /// This program's file.
    pub program: PathBuf,
    /// The caller's home.
    pub home: PathBuf,
    /// What lies there, and the home itself.
    pub home_files: Vec<(PathBuf, FileId)>,
    /// Homes of others.
    pub homes: Vec<(PathBuf, FileId)>,
    /// The caller's runtime directory.
    pub runtime: Option<(PathBuf, FileId)>,
    /// A directory with files for this, some of which the sandbox shows.
    pub fixture: Option<PathBuf>,
    /// Files with the secret in directories that are private inside.
    pub strays: Vec<PathBuf>,
    /// Directories of the host that the caller can write to.
    pub writable: Vec<(PathBuf, FileId)>,
    /// Paths in which code is started from, and that the caller can write to.
    pub started: Vec<(PathBuf, FileId)>,
    /// A set-user-ID or set-group-ID program that is not the caller's.
    pub set_id: Option<PathBuf>,
    /// Files of the kernel that are there, of those that are known to be dangerous.
    pub files: BTreeSet<String>,
    /// Content of /etc/machine-id.
    pub machine_id: String,
    /// Sockets that are there: kind and path.
    pub sockets: Vec<(String, PathBuf)>,
    /// All paths that sockets listen at.
    pub listening: Vec<(PathBuf, FileId)>,
    /// Abstract names that sockets listen at.
    pub abstract_names: BTreeSet<String>,
    /// Address of the session bus, and a name on it.
    pub bus: Option<(String, String)>,
    /// Whether systemd has a name there.
    pub bus_has_systemd: bool,
    /// Device files: path, device number, whether it is a block device.
    pub nodes: Vec<(PathBuf, u64, bool)>,
    /// The device that /dev/pts lies on.
    pub terminals: u64,
    /// System V key of memory, semaphores and messages.
    pub system_v: [Option<i32>; 3],
    /// A POSIX message queue.
    pub queue: Option<String>,
    /// Name of the keys; serial numbers of the one in the user's keyring and of the one in the session's.
    pub keys: (String, Option<i32>, Option<i32>),
    /// Names of calls that this kernel does not have.
    pub missing: BTreeSet<String>,
    /// What paths of the profile's asserts are outside, in their order.
    pub asserted: Vec<Option<FileId>>,
    /// The addresses of its host names.
    pub addresses: BTreeMap<String, Vec<std::net::SocketAddr>>,
}

/// A place of the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Place {
    /// Where.
    pub path: PathBuf,
    /// The host's files, rather than memory.
    pub host: bool,
    /// Writable.
    pub writable: bool,
    /// Devices there may be opened.
    pub devices: bool,
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
    /// And mounts in them.
    pub mounts: bool,
    /// procfs as the kernel has it, without masks.
    pub plain_proc: bool,
    /// The X server.
    pub x11: bool,
    /// The Wayland compositor.
    pub wayland: bool,
    /// Sound servers.
    pub sound: Vec<String>,
    /// The session bus: none, filter, host.
    pub session_bus: String,
    /// Capabilities that are held.
    pub capabilities: u64,
    /// Calls that the filter lets in, and `vsock` and `alg` where it lets all families of sockets in.
    pub calls: Vec<String>,
    /// Architectures beside the machine's own whose calls it lets in: `x86`, `x32`, `arm`.
    pub arches: Vec<String>,
    /// The view, in order.
    pub view: Vec<Place>,
    /// The profile's `[assert]`: kind and value.
    pub asserts: Vec<(String, String)>,
}

impl Granted {
    /// What covers a path: the place that is nearest above it, and of several at one path the last.
    pub fn place(&self, path: &Path) -> Option<&Place> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let above = self.view.iter().filter(|place| path.starts_with(&place.path));
        above.max_by_key(|place| place.path.as_os_str().len())
    }

    /// Whether the profile shows the host's files there.
    pub fn shows(&self, path: &Path) -> bool {
        self.place(path).is_some_and(|place| place.host)
    }

    /// Whether it shows them writable.
    pub fn writes(&self, path: &Path) -> bool {
        self.place(path).is_some_and(|place| place.host && place.writable)
    }

    /// Whether a namespace is the host's.
    pub fn shares(&self, namespace: &str) -> bool {
        self.shared.iter().any(|name| name == namespace)
    }

    /// Whether the filter lets a call in.
    pub fn calls(&self, name: &str) -> bool {
        self.calls.iter().any(|call| call == name)
    }
}

/// What is known only inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inside {
    /// The sandbox's first process.
    pub first: i32,
    /// The one that the tries are children of.
    pub main: i32,
    /// The descriptor that results go to.
    pub results: i32,
}

/// All three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Facts {
    /// The host.
    pub outside: Outside,
    /// The profile.
    pub granted: Granted,
    /// The sandbox.
    #[serde(skip)]
    pub inside: Inside,
}

/// What one try tells, on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Which.
    pub id: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It did not work: how that was seen.
    Closed(String),
    /// It worked: what could be done. Whether the profile allows it is asked outside.
    Open(String),
    /// It worked where the profile names the very thing, and nowhere else.
    Shared(String),
    /// It could not be tried: why.
    NotRun(String),
}
