//! The keys of the profile language, in one table: reading, merging, `--set`, "did you mean" hints and the JSON schema
//! all use it.

pub use super::key::{Key, Kind, Target};
pub use super::nearest::nearest;

use super::key::{key, limit, rlimit};
use crate::spec::limits::Form;

/// The version of the profile language, as in `schema = 1`.
pub const VERSION: i64 = 1;

/// The namespaces that can be shared with the host.
pub const NAMESPACES: &[&str] = &["net", "ipc", "uts", "pid", "cgroup", "time"];
/// Modes of a path in `[filesystem.paths]`.
pub const MODES: &[&str] = &["ro", "rw", "overlay", "tmpfs", "masked", "hidden", "deny"];
/// Options that may follow a path's mode after a comma; those with `=` take a value.
pub const PATH_OPTIONS: &[&str] =
    &["optional", "create", "exclusive", "noexec", "nosuid", "nodev", "prefer", "size=", "from="];
/// Classes of devices that `devices.allow` knows by name.
pub const DEVICES: &[&str] = &["gpu", "audio", "camera", "input", "fuse", "kvm", "tun"];
/// What `desktop.sound` may grant.
pub const SOUND: &[&str] = &["play", "record", "monitor", "unfiltered"];
/// Portals of the desktop that `desktop.portals` knows by name.
pub const PORTALS: &[&str] = &["file-chooser", "open-uri", "notification", "settings", "camera", "print"];

/// All keys of the profile language.
pub const KEYS: &[Key] = &[
    key("schema", Kind::Number, "version of the profile language: 1"),
    key("extends", Kind::List, "profiles that this one builds on, applied in order before it"),
    key("description", Kind::Text, "one line for `sbx profile list`"),
    key(
        "profile.programs",
        Kind::List,
        "names of programs that run under this profile when no other is named: `sbx firefox`",
    ),
    key("process.args", Kind::Argv, "program and arguments, used when the command line names none"),
    key("process.cwd", Kind::Text, "directory to start in"),
    key("process.hostname", Kind::Text, "host name inside, at most 64 bytes"),
    key("process.domainname", Kind::Text, "NIS domain name inside, at most 64 bytes"),
    key(
        "process.user",
        Kind::Text,
        "ids inside: `self`, `root`, `UID:GID`, or with the subordinate ids `keep-id` and `range`",
    ),
    key("process.env", Kind::Map, "variables that are set"),
    key("process.env_pass", Kind::List, "variables that are passed on; `*` at the end matches the rest of a name"),
    key(
        "process.tty",
        Kind::Word(&["auto", "pty", "inherit", "none"]),
        "terminal: one of its own when the caller's would be shared (`auto`)",
    ),
    key(
        "process.timeout",
        Kind::Text,
        "time after which the program is ended: a duration such as `90s`, `10m` or `8h`",
    ),
    key(
        "namespaces.share",
        Kind::Words(NAMESPACES),
        "namespaces that are shared with the host; all others are private",
    ),
    key(
        "namespaces.ipc",
        Kind::WordOr(&["private"], &["join:"]),
        "whose System V shared memory, semaphores and message queues the program has: its own, or those of a running sandbox: `join:PID`",
    ),
    key(
        "namespaces.uts",
        Kind::WordOr(&["private"], &["join:"]),
        "whose host name the program has: its own, or that of a running sandbox: `join:PID`",
    ),
    key(
        "namespaces.nested",
        Kind::Word(&["allow", "no-mount", "deny"]),
        "whether the program may create user namespaces itself, and mount in them",
    ),
    key(
        "filesystem.root",
        Kind::Stack,
        "what the view starts from: `host`, `empty`, `dir:PATH`, or a list of `dir:PATH` that are merged, the topmost first",
    ),
    key("filesystem.paths", Kind::Paths, "modes of paths; the most specific path wins"),
    key(
        "filesystem.home",
        Kind::Text,
        "the home: `tmpfs` (in memory, gone at the end), or `private:NAME`, which is kept for the next run with that name",
    ),
    key(
        "filesystem.arguments",
        Kind::Word(&["none", "program", "ro"]),
        "files that the command line names and that are not shown otherwise: `program` shows the program's own, `ro` all, read-only",
    ),
    key(
        "filesystem.upper",
        Kind::Text,
        "what becomes of changes in paths of the mode `overlay`: `discard`, `keep:NAME`, or `ask` (on a terminal; elsewhere they are discarded, and a line says how many files were changed)",
    ),
    key(
        "filesystem.mechanism",
        Kind::Word(&["auto", "overlay", "fuse"]),
        "what merges the layers of paths of the mode `overlay`: the kernel's overlay, a FUSE filesystem of sbx's own, or whichever can",
    ),
    key(
        "filesystem.upper_size",
        Kind::Number,
        "bytes that changes in paths of the mode `overlay` may take, or with K, M, G",
    ),
    key(
        "filesystem.memory",
        Kind::Number,
        "bytes that each of the sandbox's filesystems in memory may hold, or with K, M, G; at most half of the machine's memory",
    ),
    key("devices.allow", Kind::List, "classes of devices, or paths below /dev"),
    key(
        "network.mode",
        Kind::WordOr(&["none", "private", "host"], &["net:", "join:"]),
        "what network the program has: none, one of its own from which pasta or slirp4netns reaches the outside, one that several sandboxes \
         share (`net:NAME`, made by `sbx network create`), the host's, or that of a running sandbox: `join:PID`",
    ),
    key(
        "network.aliases",
        Kind::List,
        "names by which other sandboxes in the network `net:NAME` find this one, besides that of the sandbox",
    ),
    key(
        "network.ip6",
        Kind::Text,
        "the address of IPv6 that the sandbox has in the network `net:NAME`; absent, one that is free",
    ),
    key(
        "network.helper",
        Kind::Word(&["auto", "pasta", "slirp4netns"]),
        "the program that carries packets of a private network to the outside",
    ),
    key(
        "network.publish",
        Kind::List,
        "ports of the host at which servers in a private network are reached: `[ADDRESS:]HOST:INSIDE[/tcp|udp]`",
    ),
    key(
        "network.forward",
        Kind::Ports,
        "ports of the host's loopback that are reached at the loopback of a private network: `PORT` or `HOST:INSIDE[/tcp|udp]`",
    ),
    key(
        "network.allow",
        Kind::List,
        "what is reached from a private network; absent, the Internet: `WHERE[:PORTS][/tcp|udp|icmp]`, with an address, a network, a name, \
         `*.` and a name for those below it, or a word (internet, private, link-local, metadata, host)",
    ),
    key(
        "network.deny",
        Kind::List,
        "what is not reached from a private network, whatever `allow` says; written as there, names without ports and protocol",
    ),
    key(
        "network.ask",
        Kind::Switch,
        "whether the user is asked about names that neither `allow` nor `deny` is for, on the terminal or by a notification; without `allow`, \
         nothing else is reached",
    ),
    key(
        "network.dns",
        Kind::Stack,
        "the name servers of a private network: `host`, which are the host's, `none`, or a list of addresses",
    ),
    key(
        "network.on_helper_death",
        Kind::Word(&["end", "report"]),
        "what happens if that program ends first: the sandbox is ended, or goes on without the network",
    ),
    key(
        "security.capabilities",
        Kind::List,
        "capabilities that the program holds, in its own user namespace: names of capabilities(7)",
    ),
    key(
        "security.seccomp",
        Kind::Word(&["default", "strict", "off"]),
        "system calls that are allowed: those of everyday programs, those of tools that need few, or all",
    ),
    key("security.syscalls.allow", Kind::List, "further system calls, or @groups of them, that are allowed"),
    key("security.syscalls.deny", Kind::List, "further system calls, or @groups of them, that are denied"),
    key("security.syscalls.errno", Kind::Text, "the errno that denied system calls fail with, such as `EPERM`"),
    key(
        "security.arch",
        Kind::List,
        "architectures whose system calls are allowed: `native`, and `x86` or `arm` for 32-bit programs",
    ),
    key(
        "security.setuid_bits",
        Kind::Word(&["deny", "allow"]),
        "whether files may be given set-user-ID and set-group-ID bits, as by the installation of packages",
    ),
    key(
        "security.landlock",
        Kind::Word(&["require", "prefer", "off"]),
        "Landlock, which enforces the modes of paths a second time: required, used if available, or unused",
    ),
    key(
        "security.landlock_tcp",
        Kind::Word(&["require", "prefer", "off"]),
        "whether Landlock lets TCP connections go to the ports of network.allow alone, also at loopback inside",
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
        "memory above which the program is slowed down and its memory reclaimed (memory.high)",
    ),
    limit(
        "limits.memory_low",
        "memory",
        "memory.low",
        Form::Bytes,
        "memory that is reclaimed for others only if there is no other way (memory.low)",
    ),
    limit(
        "limits.memory_min",
        "memory",
        "memory.min",
        Form::Bytes,
        "memory that is never reclaimed for others (memory.min)",
    ),
    limit(
        "limits.memory_oom_group",
        "memory",
        "memory.oom.group",
        Form::Switch,
        "when memory runs out, the whole sandbox is killed rather than one process (memory.oom.group)",
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
        "target latency in microseconds for the disk that a path lies on (io.latency)",
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
        "number of cgroups that the program may create below (cgroup.max.descendants)",
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
    key(
        "desktop.wayland",
        Kind::SwitchOr(&["unrestricted"]),
        "Wayland: a socket that the compositor restricts (security-context-v1), or the compositor's own",
    ),
    key(
        "desktop.x11",
        Kind::SwitchOr(&["nested", "virtual"]),
        "X11: the host's X server (`true`), or one of the sandbox's own, in a window (`nested`) or unseen (`virtual`)",
    ),
    key("desktop.sound", Kind::Words(SOUND), "what the program may do with sound, by way of a filter of sbx's"),
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
    key(
        "services.ssh-agent",
        Kind::SwitchOr(&["unconfirmed"]),
        "the SSH agent by way of a filter of sbx's: keys are listed, and sign once the user has said yes, or at once",
    ),
    key(
        "services.ssh-agent-keys",
        Kind::List,
        "the keys of the SSH agent that are shown: fingerprints, `SHA256:...`, or comments; without it all",
    ),
    key(
        "services.gpg-agent",
        Kind::Switch,
        "gpg-agent by its restricted socket, which signs and decrypts, and the public keyring, read-only",
    ),
    key(
        "services.git-identity",
        Kind::Switch,
        "the user's name, address and settings for git, without those that run something or hold secrets, in ~/.gitconfig",
    ),
    key("assert.cannot_read", Kind::List, "paths that the program cannot read; `sbx selftest` tries each"),
    key("assert.cannot_write", Kind::List, "paths that it cannot write to"),
    key("assert.cannot_reach", Kind::List, "addresses, `HOST:PORT`, that it cannot connect to"),
];

/// Words that a key no longer takes: the key, the word, and what to write instead.
pub const GONE: &[(&str, &str, &str)] = &[
    (
        "desktop.sound",
        "pulse",
        "write `play`, and `record` for the microphone: sbx filters PulseAudio's protocol, whichever server is behind it",
    ),
    ("desktop.sound", "pulseaudio", "write `play`, and `record` for the microphone"),
    (
        "desktop.sound",
        "pipewire",
        "write `play`, and `record` for the microphone; PipeWire's own socket loads code outside, and only `unfiltered` shows it",
    ),
];

/// The key with this full name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether this is the full name of a table that holds keys.
pub fn is_table(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// Names of the keys and tables that may be written in a table (`""` for the top level).
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
    use crate::sys::RLIMITS;

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
