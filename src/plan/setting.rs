//! The settings that a receipt has lines for.

use super::syscalls::Base;
use crate::spec::{Mode, Namespace};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A setting of a profile, or what holds without one. `Display` is its line of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A namespace is the host's.
    Shared(Namespace),
    /// A namespace is the sandbox's own.
    Private(Namespace),
    /// No user namespaces inside.
    NoNested,
    /// No network.
    NoNetwork,
    /// Ids inside.
    User {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// A host name.
    Hostname(String),
    /// Time after which the program is ended.
    Timeout(Duration),
    /// Which variables are passed.
    Environment,
    /// A limit, by its name in `[limits]`.
    Limit(&'static str),
    /// A limit of setrlimit(2), by its name in `[rlimits]`.
    Rlimit(&'static str),
    /// The mode of a path.
    Path(PathBuf, Mode),
    /// A device that is let in: class or path.
    Device(String),
    /// A helper outside, by the setting that it is started for.
    Helper(&'static str),
    /// A socket of the desktop that is let in.
    Desktop(&'static str),
    /// Capabilities that are held.
    Capabilities(Vec<&'static str>),
    /// A session keyring of its own.
    Keyring,
    /// The policy for system calls.
    Seccomp(Base),
    /// 32-bit programs of x86.
    X86,
    /// A call or a group that the profile allows.
    Allowed(String),
    /// A call or a group that the profile denies.
    Denied(String),
    /// Landlock.
    Landlock,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Shared(namespace) => write!(f, "namespaces.share: {}", namespace.word()),
            Setting::Private(namespace) => write!(f, "namespaces: {} private", namespace.word()),
            Setting::NoNested => f.write_str("namespaces.nested = \"deny\""),
            Setting::NoNetwork => f.write_str("network.mode = \"none\""),
            Setting::User { uid, gid } => write!(f, "process.user: {uid}:{gid}"),
            Setting::Hostname(name) => write!(f, "process.hostname = {name:?}"),
            Setting::Timeout(time) => write!(f, "process.timeout = \"{}\"", humantime::format_duration(*time)),
            Setting::Environment => f.write_str("process.env_pass"),
            Setting::Limit(name) => write!(f, "limits.{name}"),
            Setting::Rlimit(name) => write!(f, "rlimits.{name}"),
            Setting::Path(path, mode) => write!(f, "filesystem.paths: {} = \"{}\"", path.display(), mode.word()),
            Setting::Device(name) => write!(f, "devices.allow: {name}"),
            Setting::Helper(setting) => f.write_str(setting),
            Setting::Desktop(name) => write!(f, "desktop.{name} = true"),
            Setting::Capabilities(names) => write!(f, "security.capabilities = {names:?}"),
            Setting::Keyring => f.write_str("a session keyring of its own"),
            Setting::Seccomp(base) => write!(f, "security.seccomp: {}", base.word()),
            Setting::X86 => f.write_str("security.arch: x86"),
            Setting::Allowed(name) => write!(f, "security.syscalls.allow: {name}"),
            Setting::Denied(name) => write!(f, "security.syscalls.deny: {name}"),
            Setting::Landlock => f.write_str("security.landlock"),
        }
    }
}

impl serde::Serialize for Setting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
