//! The parts of a [`Sandbox`](super::Sandbox) other than its view of the filesystem and its cgroup limits.

use super::Origin;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Serializes words that need not be UTF-8: what is not becomes U+FFFD.
pub fn lossy<S: Serializer>(args: &[OsString], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(args.iter().map(|arg| arg.to_string_lossy()))
}

/// The program that runs, and how it is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Process {
    /// The program and its arguments.
    #[serde(serialize_with = "lossy")]
    pub args: Vec<OsString>,
    /// The file to execute, if it is not the first of `args`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<OsString>,
    /// Descriptor of an open file to execute, instead of a path inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_fd: Option<i32>,
    /// The working directory; none is the caller's directory if it exists inside, else the home, else `/`.
    pub cwd: Option<PathBuf>,
    /// The host name inside; none keeps the host's.
    pub hostname: Option<String>,
    /// The NIS domain name inside; none keeps the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// User and group ids inside.
    pub user: User,
    /// The line that the ids come from.
    pub user_origin: Origin,
    /// Environment variables that are set.
    pub env: BTreeMap<String, String>,
    /// Environment variables of flags that are not UTF-8, which profiles cannot hold; they win over all others.
    #[serde(skip)]
    pub env_bytes: BTreeMap<OsString, OsString>,
    /// Names of environment variables to pass on; `*` at the end matches the rest of a name.
    pub env_pass: Vec<String>,
    /// The whole environment, to which only PWD is added; if set, `env` and `env_pass` are ignored.
    #[serde(skip)]
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The program's controlling terminal.
    pub tty: Tty,
    /// Time after which the program is ended.
    pub timeout: Option<Duration>,
    /// Run the program as the sandbox's first process, without an init of sbx's.
    pub as_pid_1: bool,
    /// The caller's descriptors that the program inherits, besides the three standard streams.
    pub descriptors: Descriptors,
    /// Descriptors to keep open until the program has ended (`--sync-fd`), by PID 1 if there is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_fds: Vec<i32>,
    /// Paths inside of files that PID 1 holds a read lock on: fcntl(2), F_SETLK.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lock_files: Vec<PathBuf>,
    /// Descriptor to read from before exec: the program starts after a byte or end of file (`--block-fd`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_fd: Option<i32>,
    /// End the sandbox when the caller dies (`--die-with-parent`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dies_with_caller: bool,
    /// Let what the program started, and left when it ended, run on in its sandbox; sbx itself ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_background: bool,
    /// Let processes outside inspect the sandbox's PID 1 (/proc/PID/root and the like).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub visible: bool,
}

/// The caller's descriptors that the program inherits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Descriptors {
    /// Only these.
    Only(Vec<i32>),
    /// All without the close-on-exec flag, except these.
    AllBut(Vec<i32>),
}

impl Default for Descriptors {
    fn default() -> Descriptors {
        Descriptors::Only(Vec::new())
    }
}

/// User and group ids inside, and how they map to those outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum User {
    /// The caller's own ids.
    #[default]
    Own,
    /// These ids, mapped to the caller's.
    Ids {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// Root mapped to the caller, and the caller's subordinate ids (subuid(5)) from 1 on.
    Range,
    /// The caller's own ids, and the caller's subordinate ids over the others, from 0 on.
    KeepId,
    /// Only these two ids are mapped, whoever the caller is, and supplementary groups are kept, as bubblewrap does it.
    Single {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
}

impl User {
    /// Whether the caller's subordinate ids are mapped, too.
    pub fn takes_subordinate_ids(self) -> bool {
        matches!(self, User::Range | User::KeepId)
    }

    /// The word in the profile language, for users that have subordinate ids.
    pub fn word(self) -> &'static str {
        match self {
            User::KeepId => "keep-id",
            User::Range => "range",
            User::Own => "self",
            User::Ids { .. } | User::Single { .. } => "UID:GID",
        }
    }
}

/// The program's controlling terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Tty {
    /// A pseudoterminal of its own if the caller's terminal would be shared.
    #[default]
    Auto,
    /// A pseudoterminal of its own, in place of pipes and files if no stream is a terminal.
    Pty,
    /// The caller's terminal.
    Inherit,
    /// No controlling terminal: a session of its own without one. Streams are handed over.
    None,
    /// The caller's terminal, session and process group, as for a program started without a sandbox.
    Shared,
}

/// A kind of Linux namespace; user and mount are missing, since those are always private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// Process ids: pid_namespaces(7).
    Pid,
    /// Network: network_namespaces(7).
    Net,
    /// System V IPC and POSIX message queues: ipc_namespaces(7).
    Ipc,
    /// Host name: uts_namespaces(7).
    Uts,
    /// Root of the cgroup hierarchy: cgroup_namespaces(7).
    Cgroup,
    /// Boot and monotonic clocks: time_namespaces(7).
    Time,
}

impl Namespace {
    /// All kinds.
    pub const ALL: [Namespace; 6] =
        [Namespace::Pid, Namespace::Net, Namespace::Ipc, Namespace::Uts, Namespace::Cgroup, Namespace::Time];

    /// The namespace's word in the profile language, which is also its name in /proc/self/ns.
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

    /// What a namespace of this kind is called in messages.
    pub fn noun(self) -> String {
        if self == Namespace::Net { "network".to_owned() } else { format!("{} namespace", self.word()) }
    }
}

/// Namespaces that are shared or joined, and whether the program may create nested user namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Namespaces {
    /// Namespaces shared with the host, each with the line that shares it.
    pub share: BTreeMap<Namespace, Origin>,
    /// Namespaces of running sandboxes that are joined, each with a process by which it is found, and the line that joins it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub joined: BTreeMap<Namespace, (i32, Origin)>,
    /// The program may create nested user namespaces.
    pub nested: bool,
    /// Nested user namespaces may mount filesystems.
    pub mounts: bool,
    /// Before exec, verify that creating a user namespace fails; if it succeeds, refuse to start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nested_tried: bool,
    /// The user namespace that owns the others.
    #[serde(skip_serializing_if = "UserNamespace::is_new")]
    pub user: UserNamespace,
    /// Descriptor of a user namespace to enter after the view is set up (`--userns2`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_last: Option<i32>,
    /// Descriptor of a pid namespace to join; a private pid namespace is then created below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// The user namespace that owns the other namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum UserNamespace {
    /// A new user namespace, whose id maps sbx writes.
    #[default]
    New,
    /// A new user namespace, whose id maps a process outside writes; a byte on this descriptor says that it has.
    MappedByOthers(i32),
    /// The caller's user namespace, in which the caller has the capabilities that setting up takes.
    Callers,
    /// The user namespace that this descriptor refers to.
    Join(i32),
}

impl UserNamespace {
    fn is_new(&self) -> bool {
        *self == UserNamespace::New
    }

    /// Whether a new user namespace is created.
    pub fn is_private(self) -> bool {
        matches!(self, UserNamespace::New | UserNamespace::MappedByOthers(_))
    }
}

impl Namespaces {
    /// The namespaces that are not shared with the host; the network is one of them wherever it is another one's.
    pub fn private(&self) -> BTreeSet<Namespace> {
        Namespace::ALL.into_iter().filter(|ns| !self.share.contains_key(ns) && !self.joined.contains_key(ns)).collect()
    }
}

/// A device, or a class of devices, that the program can open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// A class (`gpu`) or a path below /dev.
    pub name: String,
    /// A missing device is no error.
    pub optional: bool,
    /// The line that the device comes from.
    pub origin: Origin,
}

/// Soft and hard resource limits of a process (getrlimit(2)), by their names in `[rlimits]`; `u64::MAX` is no limit.
pub type Rlimits = BTreeMap<&'static str, (u64, u64)>;

/// A resource limit of the process: setrlimit(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rlimit {
    /// The resource's name in `[rlimits]`, such as `nofile`.
    pub name: &'static str,
    /// Soft limit, in the resource's unit; none is unlimited.
    pub soft: Option<u64>,
    /// Hard limit, in the resource's unit; none is unlimited.
    pub hard: Option<u64>,
    /// The line that the limit comes from.
    pub origin: Origin,
}

/// How the program reaches the Wayland compositor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Wayland {
    /// Not at all.
    #[default]
    Off,
    /// By a socket on which the compositor restricts what a client may do (security-context-v1), or by the compositor's
    /// own if that offers nothing that would have to be restricted.
    Restricted,
    /// By the compositor's own socket, whatever it lets clients do.
    Unrestricted,
}

/// How the program reaches an X server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum X11 {
    /// Not at all.
    #[default]
    Off,
    /// By a server of the sandbox's own, which is a client of the host's display.
    Nested,
    /// By a server of the sandbox's own that shows its windows to nobody.
    Virtual,
    /// By the socket of the host's server, with the cookie of the caller's display.
    Host,
}

/// Services of the desktop that the program can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Desktop {
    /// How the Wayland compositor is reached.
    pub wayland: Wayland,
    /// How an X server is reached.
    pub x11: X11,
    /// What the program may do with sound, as in `desktop.sound`: `play`, `record`, `monitor`, `unfiltered`.
    pub sound: BTreeSet<String>,
    /// Names of the portals that may be called, as in `desktop.portals`.
    pub portals: BTreeSet<String>,
}

/// How much of the session bus the program can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum BusPolicy {
    /// There is no session bus.
    #[default]
    None,
    /// The messages that xdg-dbus-proxy lets through.
    Filter,
    /// The whole bus, unfiltered.
    Host,
}

/// Access to the session bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct SessionBus {
    /// How much of the bus the program can reach.
    pub policy: BusPolicy,
    /// The line that the policy comes from.
    pub origin: Origin,
    /// Options of xdg-dbus-proxy, in its own spelling without the dashes: `talk=NAME`.
    pub rules: Vec<String>,
}

/// Capabilities, the system call filter, Landlock, and SELinux labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Security {
    /// Capabilities that the program holds.
    pub capabilities: Capabilities,
    /// The list of system calls that the filter starts from.
    pub filter: Filter,
    /// Changes to the filter's list.
    pub syscalls: Syscalls,
    /// Files may be given set-user-ID and set-group-ID bits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub setuid_bits: bool,
    /// The line that the setting of these bits comes from.
    #[serde(skip)]
    pub setuid_bits_origin: Origin,
    /// The caller's own seccomp filters, loaded in this order after sbx's.
    #[serde(skip)]
    pub programs: Vec<crate::sys::BpfProgram>,
    /// The program gets an empty session keyring instead of the caller's.
    pub own_keyring: bool,
    /// Whether Landlock is used, and whether it is required.
    pub landlock: Requirement,
    /// The line that Landlock's setting comes from.
    pub landlock_origin: Origin,
    /// Whether Landlock also holds TCP connections, by the ports of `network.allow`.
    #[serde(skip_serializing_if = "Requirement::is_off")]
    pub landlock_tcp: Requirement,
    /// SELinux context that the program is executed in (`--exec-label`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_label: Option<String>,
    /// SELinux context of files that sbx creates for the program (`--file-label`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_label: Option<String>,
}

/// Whether a mechanism is required, preferred or unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// Refuse to start if the mechanism is not available.
    Require,
    /// Use the mechanism if it is available, and print a note if not.
    Prefer,
    /// Do not use the mechanism.
    #[default]
    Off,
}

impl Requirement {
    /// Whether the mechanism is not used.
    pub fn is_off(&self) -> bool {
        *self == Requirement::Off
    }
}

/// The capabilities that the program holds in its user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Capabilities {
    /// No capabilities.
    #[default]
    None,
    /// These: bit N stands for the capability with number N.
    Held(u64),
    /// The caller's own capabilities.
    Callers,
}

/// The list of system calls that the filter starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Allow only what everyday programs call.
    #[default]
    Default,
    /// Allow only what tools with small needs call.
    Strict,
    /// Refuse only calls that push input into a terminal (such as TIOCSTI), and those in [`Syscalls::deny`].
    Off,
    /// Refuse only calls that push input into a terminal, to PID 1 as well.
    Terminal,
}

/// Changes to the list of system calls that [`Filter`] names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Syscalls {
    /// Additionally allowed: names of system calls or of `@groups`, each with its line.
    pub allow: Vec<(String, Origin)>,
    /// Additionally denied: names of system calls or of `@groups`, each with its line.
    pub deny: Vec<(String, Origin)>,
    /// The errno that refused calls fail with.
    pub errno: u16,
    /// Architectures whose system calls are allowed, each with its line: `native`, and `x86` or `arm` for 32 bits.
    pub arch: Vec<(String, Origin)>,
}

impl Default for Syscalls {
    fn default() -> Syscalls {
        Syscalls { allow: Vec::new(), deny: Vec::new(), errno: libc::EPERM as u16, arch: Vec::new() }
    }
}

/// What a line of `[assert]` claims about the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// The program cannot read the path.
    CannotRead,
    /// The program cannot write to the path.
    CannotWrite,
    /// The program cannot connect to the address.
    CannotReach,
}

/// One line of `[assert]`, which `sbx selftest` tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assert {
    /// What the profile claims the program cannot do.
    pub promise: Promise,
    /// The path, or the address as `HOST:PORT`, that the claim is about.
    pub of: String,
    /// The same path in the caller's other homes, if it lies in the one that `$HOME` names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<PathBuf>,
    /// The line that the assertion comes from.
    pub origin: Origin,
}

impl Assert {
    /// The paths that the claim is about; none if it is about an address.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let of = (self.promise != Promise::CannotReach).then(|| Path::new(&self.of));
        of.into_iter().chain(self.also.iter().map(PathBuf::as_path))
    }
}
