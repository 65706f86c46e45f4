//! The table of the kernel's configuration: what each option is for in sbx.

use crate::host::{Built, KernelConfig};
use serde::Serialize;

/// An option of the kernel's that sbx has a use for.
struct Wanted {
    /// Its name, without `CONFIG_`.
    name: &'static str,
    /// No sandbox starts without it.
    needed: bool,
    /// The row of `sbx check` that tries what it gives, and a word that the row has then; empty if any will do.
    tried: Option<(&'static str, &'static str)>,
    /// What it is for.
    purpose: &'static str,
}

const fn needed(name: &'static str, row: &'static str, purpose: &'static str) -> Wanted {
    Wanted { name, needed: true, tried: Some((row, "")), purpose }
}

const fn useful(name: &'static str, purpose: &'static str) -> Wanted {
    Wanted { name, needed: false, tried: None, purpose }
}

const fn tried(name: &'static str, row: &'static str, word: &'static str, purpose: &'static str) -> Wanted {
    Wanted { name, needed: false, tried: Some((row, word)), purpose }
}

/// The options, by what they are for.
const GROUPS: &[(&str, &[Wanted])] = &[
    (
        "Namespaces",
        &[
            needed("NAMESPACES", "user, mount", "all namespaces"),
            needed("USER_NS", "user, mount", "sandboxes without root"),
            needed("PID_NS", "pid", "processes of its own"),
            needed("NET_NS", "net", "a network of its own, or none"),
            needed("IPC_NS", "ipc", "shared memory and message queues of its own"),
            needed("UTS_NS", "uts", "a host name of its own"),
            needed("CGROUPS", "cgroup", "a cgroup namespace, and all limits"),
            tried("TIME_NS", "time", "", "clocks of its own"),
        ],
    ),
    (
        "Files",
        &[
            needed("TMPFS", "tmpfs", "the view, and directories in memory"),
            needed("PROC_FS", "proc", "/proc"),
            needed("UNIX98_PTYS", "devpts", "terminals"),
            tried("OVERLAY_FS", "overlay", "", "paths of the mode `overlay` by the kernel"),
            useful("TMPFS_XATTR", "overlays whose changes are in memory"),
            tried("FUSE_FS", "fuse", "", "overlays over files of other users; the FUSE union"),
            useful("POSIX_MQUEUE", "message queues (mq_open)"),
            useful("SYSVIPC", "shared memory of System V"),
            useful("MEMFD_CREATE", "sbx exec, and helpers that sbx is itself"),
            useful("PROC_CHILDREN", "network.mode `join:PID`"),
        ],
    ),
    (
        "Rights",
        &[
            needed("SECCOMP", "start", "filters of system calls"),
            needed("SECCOMP_FILTER", "start", "filters of system calls"),
            tried("SECURITY_LANDLOCK", "landlock", "", "modes of paths held a second time; scopes"),
            useful("KEYS", "a keyring of its own"),
        ],
    ),
    (
        "Between processes",
        &[
            needed("UNIX", "start", "what launcher and sandbox say to each other"),
            needed("SIGNALFD", "start", "signals of the launcher"),
        ],
    ),
    (
        "Private networks",
        &[
            needed("NET", "loopback", "the loopback interface"),
            tried("TUN", "/dev/net/tun", "", "the way to the outside, by pasta or slirp4netns"),
            tried("NF_TABLES", "nf_tables", "", "network.allow and network.deny"),
            tried("NF_TABLES_INET", "nf_tables", "", "rules for IPv4 and IPv6"),
            tried("NF_CONNTRACK", "nf_tables", "", "rules that know connections"),
            tried("NFT_CT", "nf_tables", "", "rules that know connections"),
            tried("NFT_REJECT", "nf_tables", "", "packets that are refused at once"),
            tried("NFT_REJECT_INET", "nf_tables", "", "packets that are refused at once"),
            useful("NFT_LOG", "packets that are refused, recorded"),
            useful("NETFILTER_NETLINK_LOG", "packets that are refused, recorded"),
            useful("NFT_LIMIT", "who was refused a connection, recorded"),
            useful("INET_DIAG", "the end of connections when the helper has ended"),
            useful("INET_DIAG_DESTROY", "the end of connections when the helper has ended"),
        ],
    ),
    (
        "Limits",
        &[
            tried("MEMCG", "limits", "memory", "limits.memory_max and its kind"),
            tried("CGROUP_PIDS", "limits", "pids", "limits.pids_max"),
            tried("CGROUP_SCHED", "limits", "cpu", "limits.cpu_weight"),
            useful("CFS_BANDWIDTH", "limits.cpu_max"),
            tried("CPUSETS", "limits", "cpuset", "limits.cpus and limits.mems"),
            tried("BLK_CGROUP", "limits", "io", "limits of disks"),
            useful("BLK_DEV_THROTTLING", "limits.io_max"),
            useful("BLK_CGROUP_IOCOST", "limits.io_weight"),
            useful("BLK_CGROUP_IOLATENCY", "limits.io_latency"),
            tried("CGROUP_HUGETLB", "limits", "hugetlb", "limits.hugetlb_max"),
        ],
    ),
];

/// What `sbx check` has tried of something: whether it worked, and in which words.
pub(super) struct Tried<'a> {
    pub row: &'a str,
    pub works: bool,
    pub detail: &'a str,
}

/// A line of the table.
#[derive(Serialize)]
pub(super) struct Line {
    #[serde(skip)]
    group: &'static str,
    /// The option, with `CONFIG_`.
    pub name: String,
    /// `built-in`, `module` or `not set`.
    setting: &'static str,
    /// `ok`, `no` (missing, and every sandbox needs it) or `absent` (missing, and some profiles need it).
    pub state: &'static str,
    /// What sbx needs it for.
    needed_for: &'static str,
    /// What was seen when it was tried, where that is not what the setting says.
    #[serde(skip_serializing_if = "String::is_empty")]
    tried: String,
}

/// The lines for a configuration. What was tried on this kernel counts more than what the configuration says; of another kernel, nothing was.
pub(super) fn lines(config: &KernelConfig, tried: Option<&[Tried<'_>]>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (group, options) in GROUPS {
        for wanted in *options {
            let built = config.built(wanted.name);
            let (setting, set) = match built {
                Built::In => ("built-in", true),
                Built::Module => ("module", true),
                Built::Not => ("not set", false),
            };
            let found = wanted.tried.and_then(|(row, word)| {
                let found = tried?.iter().find(|tried| tried.row == row)?;
                let has = found.works && (word.is_empty() || found.detail.split([' ', ',']).any(|part| part == word));
                // Where limits as such cannot be had, nothing is known of each.
                (word.is_empty() || found.works).then_some((row, has, found.detail))
            });
            let missing = if wanted.needed { "no" } else { "absent" };
            let (state, seen) = match (set, found) {
                (true, Some((row, false, detail))) => {
                    (missing, format!("`{row}` was tried, and does not work: {detail}"))
                }
                (true, _) => ("ok", String::new()),
                (false, Some((row, true, _))) => ("ok", format!("`{row}` was tried, and works all the same")),
                (false, _) => (missing, String::new()),
            };
            lines.push(Line {
                group,
                name: format!("CONFIG_{}", wanted.name),
                setting,
                state,
                needed_for: wanted.purpose,
                tried: seen,
            });
        }
    }
    lines
}

/// The table as text.
pub(super) fn text(config: &KernelConfig, lines: &[Line]) -> String {
    let kernel = if config.kernel.is_empty() { "a kernel" } else { &config.kernel };
    let mut out = format!("{}: {kernel}\n", config.file.display());
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0) + 2;
    let mut group = "";
    for line in lines {
        if line.group != group {
            group = line.group;
            out.push_str(&format!("\n{group}\n"));
        }
        out.push_str(&format!("  {:<width$}{:<10}{:<8}{}", line.name, line.setting, line.state, line.needed_for));
        if !line.tried.is_empty() {
            out.push_str(&format!(" ({})", line.tried));
        }
        out.push('\n');
    }
    crate::error::printable_lines(&out)
}

/// In one sentence: what is missing.
pub(super) fn summary(config: &KernelConfig, lines: &[Line]) -> String {
    let missing: Vec<_> = lines.iter().filter(|line| line.state != "ok").map(|line| line.name.as_str()).collect();
    let file = config.file.display();
    match missing.as_slice() {
        [] => format!("{file}: all {} options that sbx has a use for", lines.len()),
        some => format!("{file}: without {} (sbx check --kernel-config)", some.join(", ")),
    }
}
