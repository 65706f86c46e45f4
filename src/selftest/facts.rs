//! Facts that are handed from the host to the probes inside: what to look for, and what the profile grants.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Device and inode number of a file: stat(2).
pub type FileId = (u64, u64);

/// Facts about the host for the probes that look for it. A field is empty if its thing could not be made or is not
/// there, and the probes that look for it are not run then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Outside {
    /// Process id of a process that is started on the host for the self-test.
    pub process: i32,
    /// Process id of the launcher.
    pub launcher: i32,
    /// Process group of the launcher.
    pub group: i32,
    /// A secret that only the host knows: the content of files, of memory and of keys.
    pub secret: String,
    /// Address of the secret in the memory of both processes.
    pub address: usize,
    /// Command line of the launcher.
    pub arguments: String,
    /// Names of variables that the caller has and the program is not given.
    pub variables: Vec<String>,
    /// Number of seccomp filters that were in force before.
    pub filters: u32,
    /// Inode numbers of the host's namespaces, by the names of their files in /proc/self/ns.
    pub namespaces: BTreeMap<String, u64>,
    /// Name of an abstract socket on the host that answers (without the leading NUL byte).
    pub abstract_socket: String,
    /// TCP port on the host's loopback interface that answers.
    pub loopback_port: u16,
    /// The host's addresses but those of loopback and link-local ones, each with the length of its network's prefix.
    pub networks: Vec<(IpAddr, u8)>,
    /// Addresses that other machines of these networks may have.
    pub neighbours: Vec<IpAddr>,
    /// The host's root directory.
    pub root: FileId,
    /// What lies in the host's root directory beside the system and what is private inside.
    pub beside: Vec<(PathBuf, FileId)>,
    /// File handle of the host's root directory: type and content (name_to_handle_at(2)).
    pub handle: Option<(i32, Vec<u8>)>,
    /// Number of a descriptor of the host's root directory outside, which must not be open inside.
    pub descriptor: i32,
    /// Path of this program's file.
    pub program: PathBuf,
    /// The caller's home directory.
    pub home: PathBuf,
    /// The caller's home directories, those of the caller's accounts among them, and what lies in them.
    pub home_files: Vec<(PathBuf, FileId)>,
    /// Directories below the system's that are no part of it, and that no line of the profile shows.
    pub private: Vec<(PathBuf, FileId)>,
    /// Directories in which sbx keeps private homes, locks and upper layers.
    pub stores: Vec<(PathBuf, FileId)>,
    /// Directories and files of the user's profiles, in a directory that the sandbox shows writable.
    pub profiles: Vec<(PathBuf, FileId)>,
    /// Home directories of other accounts.
    pub homes: Vec<(PathBuf, FileId)>,
    /// The caller's runtime directory ($XDG_RUNTIME_DIR).
    pub runtime: Option<(PathBuf, FileId)>,
    /// A directory with files for the self-test, some of which the sandbox shows.
    pub fixture: Option<PathBuf>,
    /// The file of the fixture that is handed over for reading, as standard input.
    pub handed: Option<FileId>,
    /// Files with the secret in directories that are private inside.
    pub strays: Vec<PathBuf>,
    /// Directories of the host that the caller can write to.
    pub writable: Vec<(PathBuf, FileId)>,
    /// Paths that the caller can write to and from which code is started later, such as start-up files of shells.
    pub started: Vec<(PathBuf, FileId)>,
    /// Paths in the current directory that tools outside run something from on their own.
    pub worktree: Vec<(PathBuf, FileId)>,
    /// The files of projects that count in this sandbox, but for those that a line shows writable by their own names.
    pub project_files: Vec<(PathBuf, FileId)>,
    /// Path of the user's SSH agent.
    pub ssh_agent: Option<PathBuf>,
    /// Lines of the user's configuration of git with commands, addresses and credentials.
    pub git_secrets: Vec<String>,
    /// A set-user-ID or set-group-ID program of another user or group.
    pub set_id: Option<PathBuf>,
    /// Files of the kernel that are known to be dangerous and that this host has.
    pub files: BTreeSet<String>,
    /// Content of /etc/machine-id.
    pub machine_id: String,
    /// Sockets of known services that this host has: kind and path.
    pub sockets: Vec<(String, PathBuf)>,
    /// Paths at which sockets listen and that the caller can write to.
    pub listening: Vec<(PathBuf, FileId)>,
    /// Abstract names at which sockets listen.
    pub abstract_names: BTreeSet<String>,
    /// Address of the session bus, and the name of the self-test's connection on it.
    pub bus: Option<(String, String)>,
    /// Whether systemd has a name on the session bus.
    pub bus_has_systemd: bool,
    /// Device files: path, device number, whether it is a block device.
    pub nodes: Vec<(PathBuf, u64, bool)>,
    /// Device number of the host's /dev/pts.
    pub terminals: u64,
    /// Keys of the System V shared memory, semaphores and message queue that are made for the self-test.
    pub system_v: [Option<i32>; 3],
    /// Name of the POSIX message queue that is made for the self-test.
    pub queue: Option<String>,
    /// Name of the kernel keys that are made for the self-test; serial numbers of the one in the user keyring and of
    /// the one in the session keyring.
    pub keys: (String, Option<i32>, Option<i32>),
    /// Names of system calls that this kernel does not have.
    pub missing: BTreeSet<String>,
    /// The files on the host at the paths of the profile's `[assert]` lines, in the order of the lines.
    pub asserted: Vec<Option<FileId>>,
    /// Addresses of the host names in the profile's `[assert]` lines, as they are found outside.
    pub addresses: BTreeMap<String, Vec<std::net::SocketAddr>>,
}

/// A part of the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Place {
    /// Path inside.
    pub path: PathBuf,
    /// It shows the host's files, rather than memory of the sandbox.
    pub host: bool,
    /// The path of the host that it shows.
    pub source: Option<PathBuf>,
    /// It is writable.
    pub writable: bool,
    /// Device files in it can be opened.
    pub devices: bool,
    /// It is an overlay over the host's files: what is written there does not reach them.
    pub overlay: bool,
}

/// What the profile grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Granted {
    /// Namespaces that are shared with the host.
    pub shared: Vec<String>,
    /// The host's network is shared.
    pub network: bool,
    /// There is a way to the outside, by the host's network or by one of the sandbox's own.
    pub outside: bool,
    /// A network of the sandbox's own reaches the address at which clouds tell their secrets.
    pub metadata: bool,
    /// The network is one that several sandboxes share.
    pub shared_network: bool,
    /// Addresses that other sandboxes may have in it.
    pub peers: Vec<IpAddr>,
    /// What is reached from a network of the sandbox's own is decided by names, too.
    pub by_name: bool,
    /// What else is reached from a network of the sandbox's own: `host`, `neighbours`, and the names of `near` and of `destinations`.
    pub reached: Vec<String>,
    /// The ports that Landlock lets TCP connections go to; none if it does not hold them.
    pub tcp: Option<Vec<u16>>,
    /// User namespaces may be made inside.
    pub nested: bool,
    /// Nested user namespaces may mount filesystems.
    pub mounts: bool,
    /// procfs is shown without masks.
    pub plain_proc: bool,
    /// The X server can be reached.
    pub x11: bool,
    /// The Wayland compositor can be reached.
    pub wayland: bool,
    /// Whether that socket is the compositor's own, whatever it lets clients do.
    pub wayland_unrestricted: bool,
    /// Sound servers that can be reached.
    pub sound: Vec<String>,
    /// gpg-agent's restricted socket, and the public keyring, are shown.
    pub gpg_agent: bool,
    /// Access to the session bus: `none`, `filter` or `host`.
    pub session_bus: String,
    /// Capabilities of the program, a bit for each.
    pub capabilities: u64,
    /// System calls that the seccomp filter allows, and `vsock` and `alg` where it allows all families of sockets.
    pub calls: Vec<String>,
    /// Size in bytes of each filesystem in memory; none if there is no limit.
    pub memory: Option<u64>,
    /// RLIMIT_CORE is 1, and stays so.
    pub no_core: bool,
    /// Files may be given set-user-ID and set-group-ID bits.
    pub setuid_bits: bool,
    /// Architectures other than the machine's own whose system calls the filter allows: `x86`, `x32`, `arm`.
    pub arches: Vec<String>,
    /// The parts of the view, in order.
    pub view: Vec<Place>,
    /// The lines of the profile's `[assert]`: key and value.
    pub asserts: Vec<(String, String)>,
}

impl Granted {
    /// The part of the view that a path lies in: the nearest above it, and of several at one path the last.
    pub fn place(&self, path: &Path) -> Option<&Place> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let above = self.view.iter().filter(|place| path.starts_with(&place.path));
        above.max_by_key(|place| place.path.as_os_str().len())
    }

    /// Whether the profile shows the host's files at a path.
    pub fn shows(&self, path: &Path) -> bool {
        self.place(path).is_some_and(|place| place.host)
    }

    /// Whether the profile shows the host's files at a path, writable.
    pub fn writes(&self, path: &Path) -> bool {
        self.place(path).is_some_and(|place| place.host && place.writable)
    }

    /// Whether a path lies in an overlay over the host's files.
    pub fn layers(&self, path: &Path) -> bool {
        self.place(path).is_some_and(|place| place.overlay)
    }

    /// Whether a namespace is shared with the host.
    pub fn shares(&self, namespace: &str) -> bool {
        self.shared.iter().any(|name| name == namespace)
    }

    /// Whether the seccomp filter allows a system call.
    pub fn calls(&self, name: &str) -> bool {
        self.calls.iter().any(|call| call == name)
    }
}

/// Facts that are only known inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inside {
    /// Process id of the sandbox's first process.
    pub first: i32,
    /// Process id of the parent of all probes.
    pub main: i32,
    /// Descriptor that results are written to.
    pub results: i32,
}

/// All facts that a probe is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Facts {
    /// Facts about the host.
    pub outside: Outside,
    /// What the profile grants.
    pub granted: Granted,
    /// Facts about the sandbox.
    #[serde(skip)]
    pub inside: Inside,
}

/// The result of a probe, as it is sent out of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Id of the probe.
    pub id: String,
    /// Its result.
    pub verdict: Verdict,
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What was tried did not work, and how that was seen.
    Closed(String),
    /// What was tried worked, and what could be done. Whether the profile grants it is decided outside.
    Open(String),
    /// What was tried worked only on the very thing that the profile names.
    Shared(String),
    /// The probe could not be run, and why.
    NotRun(String),
}
