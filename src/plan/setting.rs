//! The settings that a receipt has lines for.

use super::syscalls::Base;
use crate::spec::{Mechanism, Mode, Namespace};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A setting of a profile, or a default. `Display` is its text in a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// The sandbox shares this namespace with the host.
    Shared(Namespace),
    /// The sandbox has this namespace of its own.
    Private(Namespace),
    /// The program cannot make user namespaces.
    NoNested,
    /// The program has no network but a loopback interface.
    NoNetwork,
    /// The ids that the program runs with.
    User {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// The host name inside.
    Hostname(String),
    /// The NIS domain name inside.
    Domainname(String),
    /// Time after which sbx ends the program.
    Timeout(Duration),
    /// Which variables of the caller's environment are passed on.
    Environment,
    /// Files that the caller opened for reading and hands over as descriptors cannot be changed.
    ReadOnlyDescriptors,
    /// A limit, by its name in `[limits]`.
    Limit(&'static str),
    /// A limit of setrlimit(2), by its name in `[rlimits]`.
    Rlimit(&'static str),
    /// The mode of a path.
    Path(PathBuf, Mode),
    /// What becomes of changes in overlays.
    Upper(String),
    /// What merges the layers of overlays.
    Mechanism(Mechanism),
    /// How many bytes these changes may take.
    UpperSize(u64),
    /// How many bytes each filesystem in memory may hold.
    Memory(u64),
    /// A device that the program may use, by its class or path.
    Device(String),
    /// A name server that the profile names.
    NameServer(IpAddr),
    /// A port of the host at which a server inside is reached.
    Published(String),
    /// The network is that of this process's sandbox.
    Joined(i32),
    /// This namespace is that of this process's sandbox.
    JoinedNamespace(Namespace, i32),
    /// The network is one that several sandboxes share, by its name.
    Named(String),
    /// A name by which others in such a network find the sandbox.
    Alias(String),
    /// The sandbox has this address of IPv6 in such a network.
    Ip6(std::net::Ipv6Addr),
    /// Packets leave from the sandbox's own address in such a network alone.
    OwnAddress,
    /// This port of the host's loopback is reached inside.
    Forwarded(String),
    /// What is reached from a network of the sandbox's own, as `network.allow` has it.
    Reached(String),
    /// What is not, as `network.deny` has it.
    Refused(String),
    /// The user is asked about names.
    Asked,
    /// All else that a network of the sandbox's own might reach is refused.
    RefusedElse,
    /// The setting that a helper carries out.
    Helper(&'static str),
    /// A socket of the desktop that the program may use, by its key in `[desktop]` and its value.
    Desktop(&'static str, &'static str),
    /// A service of the user's own that the program can use, by its key in `[services]` and its value.
    Service(&'static str, &'static str),
    /// Names of the capabilities that the program holds.
    Capabilities(Vec<&'static str>),
    /// The program has a session keyring of its own.
    Keyring,
    /// The base policy for system calls.
    Seccomp(Base),
    /// System calls of 32-bit x86 programs are accepted.
    X86,
    /// A system call, or a group of them, that the profile allows.
    Allowed(String),
    /// A system call, or a group of them, that the profile denies.
    Denied(String),
    /// Whether files may be given set-user-ID and set-group-ID bits.
    SetuidBits(bool),
    /// Whether Landlock is used.
    Landlock,
    /// Whether Landlock holds TCP connections.
    LandlockTcp,
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
            Setting::Domainname(name) => write!(f, "process.domainname = {name:?}"),
            Setting::Timeout(time) => write!(f, "process.timeout = \"{}\"", humantime::format_duration(*time)),
            Setting::Environment => f.write_str("process.env_pass"),
            Setting::ReadOnlyDescriptors => f.write_str("files handed over for reading cannot be changed"),
            Setting::Limit(name) => write!(f, "limits.{name}"),
            Setting::Rlimit(name) => write!(f, "rlimits.{name}"),
            Setting::Path(path, mode) => write!(f, "filesystem.paths: {} = \"{}\"", path.display(), mode.word()),
            Setting::Upper(word) => write!(f, "filesystem.upper = {word:?}"),
            Setting::Mechanism(Mechanism::Overlay) => f.write_str("filesystem.mechanism = \"overlay\""),
            Setting::Mechanism(Mechanism::Fuse) => f.write_str("filesystem.mechanism = \"fuse\""),
            Setting::UpperSize(size) => write!(f, "filesystem.upper_size = {size}"),
            Setting::Memory(size) => write!(f, "filesystem.memory = {size}"),
            Setting::Device(name) => write!(f, "devices.allow: {name}"),
            Setting::NameServer(address) => write!(f, "network.dns: {address}"),
            Setting::Published(port) => write!(f, "network.publish: {port}"),
            Setting::Joined(pid) => write!(f, "network.mode = \"join:{pid}\""),
            Setting::JoinedNamespace(namespace, pid) => write!(f, "namespaces.{} = \"join:{pid}\"", namespace.word()),
            Setting::Named(name) => write!(f, "network.mode = \"net:{name}\""),
            Setting::Alias(name) => write!(f, "network.aliases: {name}"),
            Setting::Ip6(address) => write!(f, "network.ip6 = {address}"),
            Setting::OwnAddress => f.write_str("network: packets leave from the sandbox's own address alone"),
            Setting::Forwarded(port) => write!(f, "network.forward: {port}"),
            Setting::Reached(rule) => write!(f, "network.allow: {rule}"),
            Setting::Refused(rule) => write!(f, "network.deny: {rule}"),
            Setting::Asked => f.write_str("network.ask = true"),
            Setting::RefusedElse => f.write_str("network: all else is refused"),
            Setting::Helper(setting) => f.write_str(setting),
            Setting::Desktop(name, value) => write!(f, "desktop.{name} = {value}"),
            Setting::Service(name, value) => write!(f, "services.{name} = {value}"),
            Setting::Capabilities(names) => write!(f, "security.capabilities = {names:?}"),
            Setting::Keyring => f.write_str("a session keyring of its own"),
            Setting::Seccomp(base) => write!(f, "security.seccomp: {}", base.word()),
            Setting::X86 => f.write_str("security.arch: x86"),
            Setting::Allowed(name) => write!(f, "security.syscalls.allow: {name}"),
            Setting::Denied(name) => write!(f, "security.syscalls.deny: {name}"),
            Setting::SetuidBits(false) => f.write_str("security.setuid_bits = \"deny\""),
            Setting::SetuidBits(true) => f.write_str("security.setuid_bits = \"allow\""),
            Setting::Landlock => f.write_str("security.landlock"),
            Setting::LandlockTcp => f.write_str("security.landlock_tcp"),
        }
    }
}

impl serde::Serialize for Setting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
