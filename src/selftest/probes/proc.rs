//! Probes of /proc, /sys and cgroups: what of the kernel can be read and set there.

use super::super::facts::{Facts, Granted, Verdict};
use super::tools::{all, each, has, mounts, not_run, open_to_read, open_to_write, start_of, verdict};
use super::{Probe, never};
use crate::host::procfs::SYS_MASKED_FOR_ROOT;
use crate::sys::{self, Errno};
use std::path::{Path, PathBuf};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "core-pattern",
        title: "set the program that core dumps are given to (core_pattern)",
        attempt: |facts| write(facts, &["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/core_pipe_limit"]),
        granted: never,
    },
    Probe {
        id: "helpers",
        title: "set programs that the kernel starts (modprobe, uevent_helper, poweroff_cmd)",
        attempt: |facts| write(facts, HELPERS),
        granted: never,
    },
    Probe {
        id: "sysrq",
        title: "the kernel's emergency keys (sysrq-trigger)",
        attempt: |facts| write(facts, &["/proc/sysrq-trigger", "/proc/sys/kernel/sysrq"]),
        granted: never,
    },
    Probe {
        id: "binfmt",
        title: "register an interpreter for programs (binfmt_misc)",
        attempt: |facts| write(facts, &["/proc/sys/fs/binfmt_misc/register", "/proc/sys/fs/binfmt_misc/status"]),
        granted: never,
    },
    Probe { id: "sysctl", title: "any setting below /proc/sys", attempt: sysctl, granted: never },
    Probe {
        id: "proc-hardware",
        title: "interrupts, buses and devices in /proc",
        attempt: |facts| write(facts, HARDWARE),
        granted: never,
    },
    Probe {
        id: "kcore",
        title: "the memory of the machine (/proc/kcore)",
        attempt: |f| read(f, "/proc/kcore"),
        granted: never,
    },
    Probe {
        id: "kmsg",
        title: "the kernel's messages (/proc/kmsg)",
        attempt: |f| read(f, "/proc/kmsg"),
        granted: never,
    },
    Probe {
        id: "timers",
        title: "the timers of all processes (/proc/timer_list)",
        attempt: |f| read(f, "/proc/timer_list"),
        granted: never,
    },
    Probe {
        id: "interrupts",
        title: "timings of the host's hardware (/proc/interrupts)",
        attempt: |f| read(f, "/proc/interrupts"),
        granted: |granted: &Granted| {
            granted.plain_proc.then_some("with namespaces.nested, or pid shared, /proc is as the kernel has it")
        },
    },
    Probe {
        id: "proc-memory",
        title: "the kernel's memory in /proc (slabinfo, vmallocinfo, kpageflags)",
        attempt: |f| {
            each(MEMORY, |path| match f.outside.files.contains(*path) {
                true => read(f, path),
                false => not_run(format!("this kernel has no {path}")),
            })
        },
        granted: never,
    },
    Probe {
        id: "powercap",
        title: "what the processors consume (powercap in /sys)",
        attempt: |facts| match facts.outside.files.contains(POWERCAP) {
            false => not_run(format!("this host has no {POWERCAP}")),
            true => match std::fs::read_dir(POWERCAP).map(|mut entries| entries.next().is_some()) {
                Ok(true) => Verdict::Open(format!("{POWERCAP} is listed")),
                Ok(false) => Verdict::Closed(format!("{POWERCAP} is empty")),
                Err(error) => Verdict::Closed(format!("{POWERCAP}: {}", Errno::from(error))),
            },
        },
        granted: never,
    },
    Probe {
        id: "sys-interrupts",
        title: "timings of the host's hardware (/sys/kernel/irq)",
        attempt: |facts| each(["/sys/kernel/irq"], |path| readable(facts, path)),
        granted: never,
    },
    Probe {
        id: "sys-root",
        title: "what root alone may read in /sys (slab, zram-control, serial numbers)",
        attempt: |facts| each(SYS_MASKED_FOR_ROOT, |path| readable(facts, path)),
        granted: never,
    },
    Probe { id: "kallsyms", title: "addresses of the kernel (/proc/kallsyms)", attempt: kallsyms, granted: never },
    Probe {
        id: "proc-keys",
        title: "names of the user's keys (/proc/keys)",
        attempt: |facts| match (&facts.outside.keys, std::fs::read("/proc/keys")) {
            ((_, None, None), _) => not_run("no key could be made"),
            ((name, ..), Ok(text)) if has(&text, name) => Verdict::Open("/proc/keys names them".into()),
            (_, Ok(text)) => Verdict::Closed(format!("/proc/keys has {} other bytes", text.len())),
            (_, Err(error)) => Verdict::Closed(format!("/proc/keys: {}", Errno::from(error))),
        },
        granted: |granted: &Granted| {
            granted.plain_proc.then_some("with namespaces.nested, or pid shared, /proc is as the kernel has it")
        },
    },
    Probe {
        id: "sys-write",
        title: "set parts of the kernel in /sys",
        attempt: |facts| each(dangerous(facts, "/sys"), |path| verdict(path, open_to_write(Path::new(path)))),
        granted: never,
    },
    Probe {
        id: "sys-any",
        title: "write to anything below /sys/kernel, /sys/module or /sys/class",
        attempt: sys_any,
        granted: never,
    },
    Probe {
        id: "debugfs",
        title: "read what is for debugging the kernel (debugfs, tracefs)",
        attempt: |facts| {
            let there = TRACES.iter().filter(|path| facts.outside.files.contains(**path));
            each(there, |path| match std::fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
                Ok(true) => Verdict::Open(format!("{path} is listed")),
                Ok(false) => Verdict::Closed(format!("{path} is empty")),
                Err(error) => Verdict::Closed(format!("{path}: {}", Errno::from(error))),
            })
        },
        granted: never,
    },
    Probe { id: "cgroup-make", title: "make a cgroup", attempt: |f| cgroups(f, make_cgroup), granted: never },
    Probe {
        id: "cgroup-leave",
        title: "leave the cgroup (cgroup.procs)",
        attempt: |f| cgroups(f, |dir| in_cgroup(dir, &["cgroup.procs", "tasks", "cgroup.subtree_control"])),
        granted: never,
    },
    Probe {
        id: "cgroup-agent",
        title: "a program started by the kernel when a cgroup is empty (release_agent)",
        attempt: |f| cgroups(f, |dir| in_cgroup(dir, &["release_agent", "notify_on_release"])),
        granted: never,
    },
    Probe {
        id: "cgroup-devices",
        title: "allow devices to a cgroup (devices.allow)",
        attempt: |f| cgroups(f, |dir| in_cgroup(dir, &["devices.allow"])),
        granted: never,
    },
    Probe {
        id: "cgroup-limits",
        title: "set a cgroup's limits",
        attempt: |f| {
            cgroups(f, |dir| {
                in_cgroup(dir, &["memory.max", "pids.max", "cpu.max", "memory.limit_in_bytes", "cgroup.freeze"])
            })
        },
        granted: never,
    },
    Probe {
        id: "cgroup-mount",
        title: "mount a cgroup hierarchy",
        attempt: |_| {
            let second = verdict("mount of cgroup2", sys::mount(c"cgroup2", c"/tmp", 0, c""));
            all([second].into_iter().chain(CGROUPS.iter().map(|controller| {
                verdict("mount of cgroup", sys::mount(c"cgroup", c"/tmp", 0, &super::tools::c(controller)))
            })))
        },
        granted: never,
    },
];

/// Controllers of cgroup version 1.
pub(super) const CGROUPS: &[&str] = &["rdma", "misc", "memory", "devices", "pids", "net_cls"];

/// Programs that the kernel starts as root.
const HELPERS: &[&str] = &[
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sys/kernel/poweroff_cmd",
    "/proc/sys/kernel/usermodehelper/bset",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/fs/suid_dumpable",
    "/sys/kernel/uevent_helper",
];

const HARDWARE: &[&str] = &[
    "/proc/irq/default_smp_affinity",
    "/proc/irq/1/smp_affinity",
    "/proc/bus/pci/00/00.0",
    "/proc/scsi/scsi",
    "/proc/acpi/wakeup",
    "/proc/fs/nfsd/threads",
    "/proc/fs/xfs/xqm",
];

const TRACES: &[&str] =
    &["/sys/kernel/debug", "/sys/kernel/tracing", "/sys/fs/bpf", "/sys/fs/pstore", "/sys/kernel/security"];

/// Files that only root may read, about the kernel's memory.
const MEMORY: &[&str] = &[
    "/proc/slabinfo",
    "/proc/vmallocinfo",
    "/proc/pagetypeinfo",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/kpagecgroup",
    "/proc/allocinfo",
    "/proc/vmcore",
];

const POWERCAP: &str = "/sys/devices/virtual/powercap";

/// Files by which the kernel is configured. Opening them for writing changes nothing.
pub(crate) const KERNEL_FILES: &[&[&str]] = &[
    HELPERS,
    HARDWARE,
    TRACES,
    MEMORY,
    &["/proc/interrupts", POWERCAP, "/sys/kernel/irq"],
    &SYS_MASKED_FOR_ROOT,
    super::host_files::SECRETS,
    &["/sys/fs/cgroup"],
    &[
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/core_pipe_limit",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/kernel/kptr_restrict",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/yama/ptrace_scope",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/vm/mmap_min_addr",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sys/fs/binfmt_misc/status",
        "/proc/sys/fs/protected_symlinks",
        "/proc/sysrq-trigger",
        "/proc/kcore",
        "/proc/kmsg",
        "/proc/timer_list",
        "/proc/kallsyms",
        "/sys/kernel/mm/ksm/run",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/kernel/profiling",
        "/sys/kernel/rcu_expedited",
        "/sys/kernel/kexec_crash_size",
        "/sys/kernel/security/lockdown",
        "/sys/kernel/security/apparmor/.load",
        "/sys/fs/selinux/enforce",
        "/sys/power/state",
        "/sys/power/disk",
        "/sys/power/wake_lock",
        "/sys/module/kernel/parameters/panic",
        "/sys/module/printk/parameters/time",
        "/sys/block/sda/queue/scheduler",
        "/sys/block/vda/queue/scheduler",
        "/sys/block/nvme0n1/queue/scheduler",
        "/sys/bus/pci/rescan",
        "/sys/devices/system/cpu/cpu1/online",
        "/sys/devices/system/memory/probe",
    ],
];

/// Those of [`KERNEL_FILES`] that this host has below `below`, a filesystem's mount point.
pub(super) fn dangerous<'f>(facts: &'f Facts, below: &'f str) -> impl Iterator<Item = &'f str> {
    const OTHERS: &[&str] = &["/sys/fs/cgroup", POWERCAP, "/sys/kernel/irq"];
    let listed = |path: &str| [TRACES, &SYS_MASKED_FOR_ROOT, OTHERS].iter().any(|list| list.contains(&path));
    facts.outside.files.iter().map(String::as_str).filter(move |path| path.starts_with(below) && !listed(path))
}

fn write(facts: &Facts, paths: &[&str]) -> Verdict {
    let there = paths.iter().filter(|path| facts.outside.files.contains(**path));
    each(there, |path| verdict(format!("opening {path} for writing"), open_to_write(Path::new(path))))
}

fn read(facts: &Facts, path: &str) -> Verdict {
    if !facts.outside.files.contains(path) {
        return not_run(format!("this kernel has no {path}"));
    }
    match start_of(Path::new(path)) {
        Ok(text) if text.is_empty() => Verdict::Closed(format!("{path} is empty")),
        Ok(_) => Verdict::Open(format!("{path} is read")),
        // EAGAIN: there are no new messages, but they could be read.
        Err(Errno(libc::EAGAIN)) => Verdict::Open(format!("{path} is opened")),
        Err(errno) => Verdict::Closed(format!("{path}: {errno}")),
    }
}

/// Whether a file, or one in a directory, opens for reading. Nothing is read: that may change something.
fn readable(facts: &Facts, path: &str) -> Verdict {
    if !facts.outside.files.contains(path) {
        return not_run(format!("this kernel has no {path}"));
    }
    let there = if Path::new(path).is_dir() { files(Path::new(path), 200) } else { vec![path.into()] };
    let opened =
        there.iter().find(|file| Path::new(file).metadata().is_ok_and(is_kernels) && open_to_read(file).is_ok());
    match opened {
        Some(file) => Verdict::Open(format!("{} opens for reading", file.display())),
        None => Verdict::Closed(format!("nothing in {path} opens for reading")),
    }
}

/// Whether a file is none that masks another: those are empty.
fn is_kernels(found: std::fs::Metadata) -> bool {
    found.len() > 0
}

/// Files below a directory, at most so many; links are not followed.
fn files(dir: &Path, most: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => left.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
        if found.len() >= most {
            break;
        }
    }
    found
}

/// Prefixes of the settings of System V objects and POSIX message queues.
const IPC: &[&str] = &[
    "/proc/sys/kernel/auto_msgmni",
    "/proc/sys/kernel/msg",
    "/proc/sys/kernel/sem",
    "/proc/sys/kernel/shm",
    "/proc/sys/fs/mqueue",
];

/// Tries to open settings in /proc/sys for writing. Those that belong to the sandbox's own namespaces are its own to
/// change, where the kernel allows it.
fn sysctl(facts: &Facts) -> Verdict {
    let granted = &facts.granted;
    let own = |path: &Path| {
        let text = path.to_string_lossy();
        // Everybody may open ns_last_pid; the kernel asks for the capability at the write.
        text == "/proc/sys/kernel/ns_last_pid"
            // Each pid namespace has its own since Linux 6.14.
            || (text == "/proc/sys/kernel/pid_max" && !granted.shares("pid"))
            || (text.starts_with("/proc/sys/net/") && !granted.network)
            || (IPC.iter().any(|start| text.starts_with(start)) && !granted.shares("ipc"))
    };
    let found = files(Path::new("/proc/sys"), 10_000);
    match found.iter().find(|path| !own(path) && open_to_write(path).is_ok()) {
        Some(path) => Verdict::Open(format!("{} opens for writing", path.display())),
        None if found.is_empty() => Verdict::Closed("there are none".into()),
        None => Verdict::Closed(format!("none of {} opens for writing", found.len())),
    }
}

fn sys_any(_: &Facts) -> Verdict {
    let found: Vec<_> = ["/sys/kernel", "/sys/module", "/sys/class", "/sys/fs", "/sys/power", "/sys/firmware"]
        .iter()
        .flat_map(|dir| files(Path::new(dir), 3_000))
        .collect();
    match found.iter().find(|path| open_to_write(path).is_ok()) {
        Some(path) => Verdict::Open(format!("{} opens for writing", path.display())),
        None if found.is_empty() => Verdict::Closed("there is nothing below /sys".into()),
        None => Verdict::Closed(format!("none of {} opens for writing", found.len())),
    }
}

/// Whether /proc/kallsyms shows addresses; the kernel shows zeroes to processes that may not see them.
fn kallsyms(_: &Facts) -> Verdict {
    match start_of(Path::new("/proc/kallsyms")) {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            let mut lines = text.lines().filter_map(|line| line.split(' ').next());
            match lines.any(|address| address.bytes().any(|digit| digit != b'0')) {
                true => Verdict::Open("addresses are shown".into()),
                false => Verdict::Closed("all addresses are zero".into()),
            }
        }
        Err(errno) => Verdict::Closed(format!("/proc/kallsyms: {errno}")),
    }
}

/// Tries something on each cgroup hierarchy that the view shows.
fn cgroups(facts: &Facts, attempt: impl Fn(&Path) -> Verdict) -> Verdict {
    let mounts = match mounts() {
        Ok(mounts) => mounts,
        Err(verdict) => return verdict,
    };
    let mut dirs: Vec<_> =
        mounts.into_iter().filter(|mount| mount.kind.starts_with("cgroup")).map(|mount| mount.path).collect();
    if dirs.is_empty() {
        return match facts.outside.files.contains("/sys/fs/cgroup") {
            true => Verdict::Closed("no hierarchy is shown".into()),
            false => not_run("this host has none mounted"),
        };
    }
    dirs.truncate(20);
    each(dirs, |dir| attempt(&dir))
}

fn make_cgroup(dir: &Path) -> Verdict {
    let path = dir.join(format!("sbx-selftest-{}", sys::pid()));
    let result = std::fs::create_dir(&path).map_err(Errno::from);
    let _ = std::fs::remove_dir(&path);
    verdict(format!("mkdir in {}", dir.display()), result)
}

/// Tries to open files of these names for writing, in a cgroup or those directly below: the top of a hierarchy may lack them.
fn in_cgroup(dir: &Path, names: &[&str]) -> Verdict {
    let below =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let dirs: Vec<PathBuf> = std::iter::once(dir.to_owned()).chain(below.take(5)).collect();
    let paths = dirs.iter().flat_map(|dir| names.iter().map(|name| dir.join(name))).filter(|path| path.exists());
    match all(paths.map(|path| verdict(format!("opening {} for writing", path.display()), open_to_write(&path)))) {
        Verdict::NotRun(_) => Verdict::Closed(format!("{} has none", dir.display())),
        other => other,
    }
}
