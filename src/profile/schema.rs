//! What may be written in a profile: one table, from which reading, merging, `--set`, "did you mean" and the JSON schema come.

pub use super::nearest::nearest;

use crate::spec::limits::{Control, Form};
use crate::sys::RLIMITS;

/// The version of the language, `schema = 1`.
pub const VERSION: i64 = 1;

/// The form of a value, and with it how layers merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; the later layer wins.
    Switch,
    /// One of these words; the later layer wins.
    Word(&'static [&'static str]),
    /// A string; the later layer wins.
    Text,
    /// A number or a string; the later layer wins.
    Number,
    /// Program and arguments; the later layer replaces all of it.
    Argv,
    /// A set of strings; layers unite, `"!item"` takes an inherited one away.
    List,
    /// A set of these words, each perhaps with options after a comma; layers unite as in `List`.
    Words(&'static [&'static str]),
    /// Names to strings; layers merge by name.
    Map,
    /// Paths to modes; layers merge by path, `"!"` takes an inherited one away.
    Paths,
}

/// What the value of a key becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A field of the sandbox's description, by code of `resolve`.
    Field,
    /// A file of the sandbox's cgroup.
    Limit(Control),
    /// The resource of setrlimit(2) that has its name in `sys::RLIMITS`.
    Rlimit,
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its full name, with dots.
    pub name: &'static str,
    /// The form of its value.
    pub kind: Kind,
    /// What it says, for the schema and the manual.
    pub doc: &'static str,
    /// What its value becomes.
    pub target: Target,
}

impl Key {
    /// Its name within its table: `memory_max` of `limits.memory_max`.
    pub fn last(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc, target: Target::Field }
}

/// A key of `[limits]` that is a file of cgroup v2: `*` in the file's name is the size of huge pages.
const fn limit(name: &'static str, controller: &'static str, file: &'static str, form: Form, doc: &'static str) -> Key {
    let kind = match form {
        Form::Switch => Kind::Switch,
        Form::Rates | Form::Latency | Form::Pages => Kind::Map,
        Form::Bytes | Form::Count | Form::Cpu | Form::Weight | Form::Set => Kind::Number,
    };
    Key { name, kind, doc, target: Target::Limit(Control { controller, file, form }) }
}

/// A key of `[rlimits]`. One that names no resource does not compile.
const fn rlimit(name: &'static str, doc: &'static str) -> Key {
    assert!(is_resource(name.as_bytes()), "no resource of setrlimit(2) has this name");
    Key { name, kind: Kind::Number, doc, target: Target::Rlimit }
}

/// Whether `rlimits.NAME` names a resource.
const fn is_resource(key: &[u8]) -> bool {
    let (_, name) = key.split_at("rlimits.".len());
    let mut row = 0;
    while row < RLIMITS.len() {
        let known = RLIMITS[row].0.as_bytes();
        let mut same = 0;
        while same < name.len() && same < known.len() && name[same] == known[same] {
            same += 1;
        }
        if same == name.len() && same == known.len() {
            return true;
        }
        row += 1;
    }
    false
}

/// The namespaces that can be shared with the host.
pub const NAMESPACES: &[&str] = &["net", "ipc", "uts", "pid", "cgroup", "time"];
/// Modes of a path.
pub const MODES: &[&str] = &["ro", "rw", "tmpfs", "masked", "hidden", "deny"];
/// Options of a path's mode.
pub const PATH_OPTIONS: &[&str] = &["optional", "create", "noexec", "nosuid", "nodev", "prefer", "size=", "from="];
/// Classes of devices.
pub const DEVICES: &[&str] = &["gpu", "audio", "camera", "input", "fuse", "kvm", "tun"];
/// Portals of the desktop, and the name on the bus that each needs.
pub const PORTALS: &[&str] = &["file-chooser", "open-uri", "notification", "settings", "camera", "print"];

const DURATION: &str = "a duration such as `90s`, `10m` or `8h`";

/// Every key there is.
pub const KEYS: &[Key] = &[
    key("schema", Kind::Number, "version of the profile language: 1"),
    key("extends", Kind::List, "profiles that this one builds on, applied in order before it"),
    key("description", Kind::Text, "one line for `sbx profile list`"),
    key("process.args", Kind::Argv, "program and arguments, used when the command line names none"),
    key("process.cwd", Kind::Text, "directory to start in"),
    key("process.hostname", Kind::Text, "host name inside, at most 64 bytes"),
    key("process.user", Kind::Text, "ids inside: `self`, `root`, `UID:GID`, or `range` for the subordinate ids"),
    key("process.env", Kind::Map, "variables that are set"),
    key("process.env_pass", Kind::List, "variables that are passed on; `*` at the end matches the rest of a name"),
    key(
        "process.tty",
        Kind::Word(&["auto", "pty", "inherit", "none"]),
        "terminal: one of its own when the caller's would be shared (`auto`)",
    ),
    key("process.timeout", Kind::Text, DURATION),
    key(
        "namespaces.share",
        Kind::Words(NAMESPACES),
        "namespaces that are shared with the host; all others are private",
    ),
    key(
        "namespaces.nested",
        Kind::Word(&["allow", "no-mount", "deny"]),
        "whether the program may create user namespaces itself, and mount in them",
    ),
    key("filesystem.root", Kind::Text, "what the view starts from: `host`, `empty`, or `dir:PATH`"),
    key("filesystem.paths", Kind::Paths, "modes of paths; the most specific path wins"),
    key("devices.allow", Kind::List, "classes of devices, or paths below /dev"),
    key("network.mode", Kind::Word(&["none", "host"]), "what network the program has"),
    key(
        "security.capabilities",
        Kind::List,
        "capabilities that the program holds, in its own user namespace: names of capabilities(7)",
    ),
    key(
        "security.seccomp",
        Kind::Word(&["default", "strict", "off"]),
        "system calls: those of everyday programs, of tools that need little, or all",
    ),
    key("security.syscalls.allow", Kind::List, "calls, or @groups of them, that are allowed besides"),
    key("security.syscalls.deny", Kind::List, "calls, or @groups of them, that are denied besides"),
    key("security.syscalls.errno", Kind::Text, "the errno of what is denied, such as `EPERM`"),
    key("security.arch", Kind::List, "whose calls are taken: `native`, and `x86` or `arm` for 32-bit programs"),
    key(
        "security.landlock",
        Kind::Word(&["require", "prefer", "off"]),
        "Landlock, a second wall with the rights of the paths: without it no start, where it is there, or never",
    ),
    limit(
        "limits.memory_max",
        "memory",
        "memory.max",
        Form::Bytes,
        "memory in bytes, or with K, M, G (cgroup v2, memory.max); `,prefer` may follow here and below",
    ),
    limit(
        "limits.memory_high",
        "memory",
        "memory.high",
        Form::Bytes,
        "memory above which the program is slowed down and its memory taken back (memory.high)",
    ),
    limit("limits.memory_low", "memory", "memory.low", Form::Bytes, "memory that others get only in need (memory.low)"),
    limit("limits.memory_min", "memory", "memory.min", Form::Bytes, "memory that others never get (memory.min)"),
    limit(
        "limits.memory_oom_group",
        "memory",
        "memory.oom.group",
        Form::Switch,
        "at the end of the memory, all of the sandbox ends (memory.oom.group)",
    ),
    limit("limits.swap_max", "memory", "memory.swap.max", Form::Bytes, "swap space in bytes (memory.swap.max)"),
    limit(
        "limits.swap_high",
        "memory",
        "memory.swap.high",
        Form::Bytes,
        "swap space above which the program is slowed down (memory.swap.high)",
    ),
    limit(
        "limits.zswap_max",
        "memory",
        "memory.zswap.max",
        Form::Bytes,
        "compressed memory of zswap (memory.zswap.max)",
    ),
    limit("limits.pids_max", "pids", "pids.max", Form::Count, "processes and threads (pids.max)"),
    limit(
        "limits.cpu_max",
        "cpu",
        "cpu.max",
        Form::Cpu,
        "processor time: `150%` of one processor, or `QUOTA PERIOD` in microseconds (cpu.max)",
    ),
    limit(
        "limits.cpu_max_burst",
        "cpu",
        "cpu.max.burst",
        Form::Count,
        "microseconds that may be saved up for a burst (cpu.max.burst)",
    ),
    limit(
        "limits.cpu_weight",
        "cpu",
        "cpu.weight",
        Form::Weight,
        "share of the processors when they are busy, 1 to 10000; others have 100 (cpu.weight)",
    ),
    limit(
        "limits.cpu_idle",
        "cpu",
        "cpu.idle",
        Form::Switch,
        "runs only when nobody else wants the processor (cpu.idle)",
    ),
    limit("limits.cpus", "cpuset", "cpuset.cpus", Form::Set, "processors that may be used, `0-3,6` (cpuset.cpus)"),
    limit("limits.mems", "cpuset", "cpuset.mems", Form::Set, "memory nodes that may be used (cpuset.mems)"),
    limit(
        "limits.io_weight",
        "io",
        "io.weight",
        Form::Weight,
        "share of the disks when they are busy, 1 to 10000 (io.weight)",
    ),
    limit(
        "limits.io_max",
        "io",
        "io.max",
        Form::Rates,
        "rates of the disk that a path lies on: `rbps=`, `wbps=`, `riops=`, `wiops=` (io.max)",
    ),
    limit(
        "limits.io_latency",
        "io",
        "io.latency",
        Form::Latency,
        "latency in microseconds that is aimed at for the disk that a path lies on (io.latency)",
    ),
    limit(
        "limits.hugetlb_max",
        "hugetlb",
        "hugetlb.*.max",
        Form::Pages,
        "huge pages by their size, `2MB` to bytes (hugetlb.2MB.max)",
    ),
    limit(
        "limits.hugetlb_rsvd_max",
        "hugetlb",
        "hugetlb.*.rsvd.max",
        Form::Pages,
        "huge pages that are reserved (hugetlb.2MB.rsvd.max)",
    ),
    limit(
        "limits.max_descendants",
        "",
        "cgroup.max.descendants",
        Form::Count,
        "cgroups that may be made below (cgroup.max.descendants)",
    ),
    limit("limits.max_depth", "", "cgroup.max.depth", Form::Count, "levels of cgroups below (cgroup.max.depth)"),
    key("limits.delegate", Kind::Switch, "the program may make cgroups below its own, at /sys/fs/cgroup"),
    key("limits.cgroupfs", Kind::Switch, "the sandbox's own cgroup is shown at /sys/fs/cgroup, read-only"),
    rlimit("rlimits.as", "address space in bytes (setrlimit(2), RLIMIT_AS)"),
    rlimit("rlimits.core", "size of a core dump in bytes (RLIMIT_CORE)"),
    rlimit("rlimits.cpu", "processor time in seconds (RLIMIT_CPU)"),
    rlimit("rlimits.data", "data segment in bytes (RLIMIT_DATA)"),
    rlimit("rlimits.fsize", "size of a file that is written, in bytes (RLIMIT_FSIZE)"),
    rlimit("rlimits.memlock", "locked memory in bytes (RLIMIT_MEMLOCK)"),
    rlimit("rlimits.nofile", "open descriptors (RLIMIT_NOFILE)"),
    rlimit("rlimits.nproc", "processes of the user (RLIMIT_NPROC)"),
    rlimit("rlimits.stack", "stack in bytes (RLIMIT_STACK)"),
    key("desktop.wayland", Kind::Switch, "the Wayland compositor's socket"),
    key("desktop.x11", Kind::Switch, "the X server's socket, and the cookie for this display alone"),
    key("desktop.sound", Kind::Words(&["pipewire", "pulse"]), "sound servers whose sockets are let in"),
    key("desktop.portals", Kind::Words(PORTALS), "desktop portals that may be called; needs a filtered session bus"),
    key(
        "dbus.session.policy",
        Kind::Word(&["filter", "host", "none"]),
        "the session bus: filtered by xdg-dbus-proxy, whole, or absent",
    ),
    key("dbus.session.own", Kind::List, "names that may be owned; `.*` at the end matches all below"),
    key("dbus.session.talk", Kind::List, "names that may be talked to"),
    key("dbus.session.see", Kind::List, "names that are visible"),
    key("dbus.session.call", Kind::List, "calls that are allowed, `NAME=RULE`"),
    key("dbus.session.broadcast", Kind::List, "signals that are received, `NAME=RULE`"),
    key("assert.cannot_read", Kind::List, "paths that the program cannot read; `sbx selftest` tries each"),
    key("assert.cannot_write", Kind::List, "paths that it cannot write to"),
    key("assert.cannot_reach", Kind::List, "addresses, `HOST:PORT`, that it cannot connect to"),
];

/// Parts of the language that this version does not have: refused like any unknown key, and told apart.
pub const LATER: &[&str] = &[
    "filesystem.mechanism",
    "filesystem.upper",
    "filesystem.upper_size",
    "network.helper",
    "network.publish",
    "network.forward",
    "network.dns",
    "network.allow",
    "network.deny",
];

/// The key of this full name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether this is a table that holds keys.
pub fn is_table(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// Names that may stand in a table (`""` for the top level): keys and tables.
pub fn names_in(table: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = KEYS
        .iter()
        .filter_map(|key| match table {
            "" => Some(key.name),
            _ => key.name.strip_prefix(table)?.strip_prefix('.'),
        })
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_key_is_also_a_table() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(KEYS[i + 1..].iter().all(|other| other.name != key.name), "{} stands twice", key.name);
            assert!(!is_table(key.name), "{} is a key and a table", key.name);
        }
    }

    #[test]
    fn every_resource_has_its_key() {
        for (name, _) in RLIMITS {
            assert!(find(&format!("rlimits.{name}")).is_some_and(|key| key.target == Target::Rlimit), "{name}");
        }
    }
}
