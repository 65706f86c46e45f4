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
    /// What is executed where it is not the first of the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<OsString>,
    /// An open file that is executed instead of what has a name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_fd: Option<i32>,
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
    /// The whole environment, as it is, with PWD added: nothing else of the above counts then.
    #[serde(skip)]
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The terminal.
    pub tty: Tty,
    /// When it is ended.
    pub timeout: Option<Duration>,
    /// No PID 1 of ours: the program is the sandbox's first process.
    pub as_pid_1: bool,
    /// What the program gets of the caller's descriptors, beside the three standard streams.
    pub descriptors: Descriptors,
    /// Descriptors that are kept open until the program has ended, by PID 1 if there is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_fds: Vec<i32>,
    /// Files inside that PID 1 holds a read lock on: fcntl(2), F_SETLK.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lock_files: Vec<PathBuf>,
    /// A descriptor on which a byte, or its end, is waited for before the program starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_fd: Option<i32>,
    /// The sandbox ends when the caller does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dies_with_caller: bool,
    /// Others outside may look at the sandbox's PID 1 (/proc/PID/root and the like).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub visible: bool,
}

/// The caller's descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Descriptors {
    /// These.
    Only(Vec<i32>),
    /// All that would survive an exec, but for these.
    AllBut(Vec<i32>),
}

impl Default for Descriptors {
    fn default() -> Descriptors {
        Descriptors::Only(Vec::new())
    }
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
    /// The same two ids, of which no others exist inside; whoever the caller is, groups stay as they are.
    Single {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
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
    /// The caller's with its session and process group, as a program has it that is started without a sandbox.
    Shared,
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
    /// And may mount in them.
    pub mounts: bool,
    /// Whether that is tried before the program starts, which is then refused if it can.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nested_tried: bool,
    /// The user namespace.
    #[serde(skip_serializing_if = "UserNamespace::is_new")]
    pub user: UserNamespace,
    /// One that is entered once the view stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_last: Option<i32>,
    /// A pid namespace that is joined; a private one is then made below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// Which user namespace owns the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum UserNamespace {
    /// A new one.
    #[default]
    New,
    /// A new one, of which somebody outside writes the maps; a byte on this descriptor says when.
    MappedByOthers(i32),
    /// The caller's, who has the rights that it takes.
    Callers,
    /// That of this descriptor.
    Join(i32),
}

impl UserNamespace {
    fn is_new(&self) -> bool {
        *self == UserNamespace::New
    }

    /// Whether the sandbox gets one of its own.
    pub fn is_private(self) -> bool {
        matches!(self, UserNamespace::New | UserNamespace::MappedByOthers(_))
    }
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

/// What the program holds, and what it is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Security {
    /// Capabilities.
    pub capabilities: Capabilities,
    /// System calls.
    pub filter: Filter,
    /// What is changed in it.
    pub syscalls: Syscalls,
    /// Filters of the caller's, as they are loaded, in this order, after ours.
    #[serde(skip)]
    pub programs: Vec<crate::sys::BpfProgram>,
    /// The program gets an empty session keyring instead of the caller's.
    pub own_keyring: bool,
    /// Landlock.
    pub landlock: Requirement,
    /// Who asked for it.
    pub landlock_origin: Origin,
    /// SELinux context of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_label: Option<String>,
    /// SELinux context of files that are made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_label: Option<String>,
}

/// How much something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// Without it there is no start.
    Require,
    /// It is used where it is there, and said where it is not.
    Prefer,
    /// It is not used.
    #[default]
    Off,
}

/// The capabilities that the program has in the user namespace that it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Capabilities {
    /// None.
    #[default]
    None,
    /// These: a bit for each.
    Held(u64),
    /// The caller's own.
    Callers,
}

/// The system calls that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// A list of what everyday programs call.
    #[default]
    Default,
    /// A list of what tools that need little call.
    Strict,
    /// What pushes input into a terminal is refused, and what is denied besides.
    Off,
    /// What pushes input into a terminal is refused, also to PID 1.
    Terminal,
}

/// What is changed in that list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Syscalls {
    /// Names of calls, or `@groups` of them, that are allowed besides.
    pub allow: Vec<(String, Origin)>,
    /// The same, denied.
    pub deny: Vec<(String, Origin)>,
    /// The errno of what is refused.
    pub errno: u16,
    /// Whose calls are taken: `native`, and `x86` or `arm` for programs of 32 bits.
    pub arch: Vec<(String, Origin)>,
}

impl Default for Syscalls {
    fn default() -> Syscalls {
        Syscalls { allow: Vec::new(), deny: Vec::new(), errno: libc::EPERM as u16, arch: Vec::new() }
    }
}

/// What the profile promises of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// A path cannot be read.
    CannotRead,
    /// A path cannot be written to.
    CannotWrite,
    /// An address cannot be connected to.
    CannotReach,
}

/// One line of `[assert]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assert {
    /// What is promised.
    pub promise: Promise,
    /// Of what: a path, or `HOST:PORT`.
    pub of: String,
    /// Who promised.
    pub origin: Origin,
}
