//! Probes of resource limits, priorities and the clock.

use super::super::facts::{Facts, Granted, Verdict};
use super::tools::{each, not_run, verdict};
use super::{Probe, never};
use crate::sys::{self, Errno, attempts};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "clock-set",
        title: "set the clock (settimeofday)",
        attempt: |_| verdict("settimeofday", attempts::may_set_clock()),
        granted: never,
    },
    Probe {
        id: "clock-adjust",
        title: "change the speed of the clock (adjtimex)",
        attempt: |_| verdict("adjtimex", attempts::may_adjust_clock()),
        granted: never,
    },
    Probe {
        id: "clock-offsets",
        title: "change the boot-time clocks (timens_offsets)",
        attempt: |_| {
            let result = std::fs::write("/proc/self/timens_offsets", "monotonic 86400 0\n");
            verdict("/proc/self/timens_offsets", result.map_err(Errno::from))
        },
        granted: never,
    },
    Probe { id: "rlimit-raise", title: "raise a hard limit (setrlimit)", attempt: raise, granted: never },
    Probe {
        id: "core-limit",
        title: "have core dumps received by a program outside (RLIMIT_CORE is not 1, or can be changed)",
        attempt: core_limit,
        granted: |granted| (!granted.no_core).then_some("rlimits.core is not 1"),
    },
    Probe {
        id: "core-socket",
        title: "have core dumps received at a socket outside (core_pattern)",
        attempt: core_socket,
        granted: never,
    },
    Probe {
        id: "real-time",
        title: "run before all others (SCHED_FIFO)",
        attempt: |_| by_limit(sys::Resource::RLIMIT_RTPRIO, "sched_setscheduler", attempts::run_in_real_time()),
        granted: never,
    },
    Probe {
        id: "nice",
        title: "run before others (nice -20)",
        attempt: |_| by_limit(sys::Resource::RLIMIT_NICE, "setpriority", attempts::set_nice(-20)),
        granted: never,
    },
    Probe {
        id: "io-priority",
        title: "use disks before all others (ioprio_set)",
        attempt: |_| verdict("ioprio_set", attempts::set_io_priority()),
        granted: never,
    },
    Probe {
        id: "oom-score",
        title: "be spared when memory is short (oom_score_adj)",
        attempt: |_| {
            let result = std::fs::write("/proc/self/oom_score_adj", "-1000");
            verdict("/proc/self/oom_score_adj", result.map_err(Errno::from))
        },
        granted: never,
    },
    Probe {
        id: "memory-files",
        title: "fill the machine's memory with files (tmpfs)",
        attempt: fill,
        granted: |granted: &Granted| granted.memory.is_none().then_some("no filesystem.memory"),
    },
];

/// How much the filesystems hold that the view has in memory. They are not filled: the machine would suffer.
fn fill(facts: &Facts) -> Verdict {
    // A limit of at least half of the memory is the kernel's own.
    let most = facts.granted.memory.unwrap_or(u64::MAX).min(sys::memory() / 2);
    let dirs = facts.granted.view.iter().filter(|place| !place.host && place.writable).map(|place| &place.path);
    let sizes = dirs.filter_map(|dir| Some((dir, sys::size_in_memory(dir)?)));
    each(sizes, |(dir, size)| match size <= most {
        true => Verdict::Closed(format!("{}: {size} bytes", dir.display())),
        false => Verdict::Open(format!("{} may hold {size} bytes", dir.display())),
    })
}

fn raise(_: &Facts) -> Verdict {
    let limited = sys::RLIMITS.iter().filter_map(|(name, resource)| match sys::rlimit(*resource) {
        Ok((soft, hard)) if hard != u64::MAX => Some((name, *resource, soft, hard)),
        _ => None,
    });
    let tried = each(limited, |(name, resource, soft, hard)| set(name, resource, soft, hard + 1));
    match tried {
        Verdict::NotRun(_) => not_run("no limit is set"),
        other => other,
    }
}

/// The verdict on setting a limit, by whether it is set then.
fn set(name: &str, resource: sys::Resource, soft: u64, hard: u64) -> Verdict {
    match sys::set_rlimit(resource, Some(soft), Some(hard)) {
        Ok(()) if sys::rlimit(resource) != Ok((soft, hard)) => {
            Verdict::Closed(format!("setrlimit of {name} does nothing"))
        }
        other => verdict(format!("setrlimit of {name}"), other),
    }
}

/// Tries to set RLIMIT_CORE to 0, with which a program that the host's core_pattern names receives core dumps.
fn core_limit(_: &Facts) -> Verdict {
    match sys::rlimit(sys::Resource::RLIMIT_CORE) {
        Ok((1, hard)) => set("core", sys::Resource::RLIMIT_CORE, 0, hard),
        Ok((soft, _)) => Verdict::Open(format!("RLIMIT_CORE is {soft}")),
        Err(errno) => not_run(format!("getrlimit: {errno}")),
    }
}

/// Looks for a socket that receives core dumps. No process is made to dump its core: it would go there.
fn core_socket(_: &Facts) -> Verdict {
    const PATTERN: &str = "/proc/sys/kernel/core_pattern";
    match std::fs::read_to_string(PATTERN) {
        Ok(text) if text.starts_with('@') => {
            Verdict::Shared(format!("the host's {} receives them, which no limit prevents", text.trim_end()))
        }
        Ok(_) => Verdict::Closed("the host's core_pattern names no socket".into()),
        Err(error) => not_run(format!("{PATTERN}: {}", Errno::from(error))),
    }
}

/// The verdict on a call that a resource limit allows: what the administrator lets the user do outside is allowed
/// inside.
fn by_limit(resource: sys::Resource, what: &str, result: Result<(), Errno>) -> Verdict {
    match (sys::rlimit(resource), result) {
        (Ok((soft, _)), Ok(())) if soft > 0 => {
            Verdict::Shared(format!("{what} works: the caller's own limit allows it"))
        }
        (_, result) => verdict(what, result),
    }
}
