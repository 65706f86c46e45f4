//! Resources that a sandbox used.

use super::files::{field, read};
use super::victims::{Victim, Victims};
use crate::spec::format_size;
use crate::sys;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Resources that a sandbox used. Times are in microseconds, sizes in bytes; what this kernel does not count is left
/// out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Figures {
    /// Where the figures come from: `cgroup`, or `rusage`, which lacks processes that nobody waited for.
    pub source: &'static str,
    /// Time since the sandbox was started.
    pub wall_usec: u64,
    /// CPU time in user mode and in the kernel (cpu.stat).
    pub cpu_usec: u64,
    /// CPU time in user mode.
    pub user_usec: u64,
    /// CPU time in the kernel.
    pub system_usec: u64,
    /// Time during which cpu.max kept the sandbox from running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_usec: Option<u64>,
    /// Peak memory use (memory.peak; Linux 5.19).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak: Option<u64>,
    /// Peak swap use (memory.swap.peak; Linux 6.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_peak: Option<u64>,
    /// Peak number of processes and threads (pids.peak; Linux 6.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_peak: Option<u64>,
    /// Bytes and operations by device (io.stat).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub io: BTreeMap<String, BTreeMap<String, u64>>,
    /// Page faults, the major ones included.
    pub page_faults: u64,
    /// Major page faults: those that read from a disk.
    pub major_page_faults: u64,
    /// Voluntary and involuntary context switches of processes that were waited for (getrusage(2)).
    pub context_switches: u64,
    /// Time during which at least one process waited for `cpu`, `memory` or `io` (pressure stall information).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pressure_usec: BTreeMap<&'static str, u64>,
    /// Number of processes that the OOM killer ended (memory.events).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// Those victims of the OOM killer that sbx could identify: the kernel counts them without their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oom_killed: Vec<Victim>,
    /// How often pids.max kept a process or thread from being created (pids.events).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_refused: Option<u64>,
    /// Limits that were changed while it ran: the names, and what is in force since.
    #[serde(skip)]
    pub changed: BTreeMap<&'static str, String>,
}

impl Figures {
    /// Figures from the files of a cgroup, which count every process that was ever in it.
    pub(in crate::launch) fn of_cgroup(dir: &Path, wall: Duration) -> Figures {
        let text = |name: &str| read(dir, name).unwrap_or_default();
        let (cpu, memory) = (text("cpu.stat"), text("memory.stat"));
        let number = |name: &str| read(dir, name)?.trim().parse().ok();
        let io = text("io.stat");
        let io = io.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let device = words.next()?.to_owned();
            let counts: BTreeMap<_, _> = words
                .filter_map(|word| Some((word.split_once('=')?.0.to_owned(), word.split_once('=')?.1.parse().ok()?)))
                .collect();
            counts.values().any(|count: &u64| *count > 0).then_some((device, counts))
        });
        let pressure = ["cpu", "memory", "io"].into_iter().filter_map(|name| {
            let text = read(dir, &format!("{name}.pressure"))?;
            let some = text.lines().find(|line| line.starts_with("some "))?;
            Some((name, some.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()?))
        });
        Figures {
            source: "cgroup",
            wall_usec: wall.as_micros() as u64,
            cpu_usec: field(&cpu, "usage_usec").unwrap_or(0),
            user_usec: field(&cpu, "user_usec").unwrap_or(0),
            system_usec: field(&cpu, "system_usec").unwrap_or(0),
            throttled_usec: field(&cpu, "throttled_usec"),
            memory_peak: number("memory.peak"),
            swap_peak: number("memory.swap.peak"),
            pids_peak: number("pids.peak"),
            io: io.collect(),
            page_faults: field(&memory, "pgfault").unwrap_or(0),
            major_page_faults: field(&memory, "pgmajfault").unwrap_or(0),
            context_switches: sys::usage_of_children().context_switches,
            pressure_usec: pressure.collect(),
            oom_kills: field(&text("memory.events"), "oom_kill"),
            oom_killed: Vec::new(),
            pids_refused: field(&text("pids.events"), "max"),
            changed: BTreeMap::new(),
        }
    }

    /// Figures with only what limits did (OOM kills, refused processes): the others are slow to read, since the kernel
    /// adds up counters of all CPUs.
    pub(in crate::launch) fn verdict(dir: &Path, wall: Duration) -> Figures {
        Figures {
            source: "cgroup",
            wall_usec: wall.as_micros() as u64,
            oom_kills: field(&read(dir, "memory.events").unwrap_or_default(), "oom_kill"),
            pids_refused: field(&read(dir, "pids.events").unwrap_or_default(), "max"),
            ..Figures::default()
        }
    }

    /// These figures with the known victims of the OOM killer.
    pub(in crate::launch) fn naming(self, victims: Option<&Victims>) -> Figures {
        Figures { oom_killed: victims.map_or_else(Vec::new, |victims| victims.found().to_vec()), ..self }
    }

    /// Figures without a cgroup: getrusage(2) with RUSAGE_CHILDREN.
    pub(in crate::launch) fn of_children(wall: Duration) -> Figures {
        let used = sys::usage_of_children();
        Figures {
            source: "rusage",
            wall_usec: wall.as_micros() as u64,
            cpu_usec: used.user_usec + used.system_usec,
            user_usec: used.user_usec,
            system_usec: used.system_usec,
            page_faults: used.minor_faults + used.major_faults,
            major_page_faults: used.major_faults,
            context_switches: used.context_switches,
            ..Figures::default()
        }
    }

    /// The figures as text for people, one on a line.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let seconds = |usec: u64| format!("{}.{:03} s", usec / 1_000_000, usec / 1000 % 1000);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "{name:<18}{value}");
        };
        line("wall", seconds(self.wall_usec));
        let parts = format!("{} user, {} system", seconds(self.user_usec), seconds(self.system_usec));
        line("cpu", format!("{} ({parts})", seconds(self.cpu_usec)));
        if let Some(throttled) = self.throttled_usec.filter(|throttled| *throttled > 0) {
            line("throttled", seconds(throttled));
        }
        for (name, value) in [("memory, most", self.memory_peak), ("swap, most", self.swap_peak)] {
            if let Some(value) = value {
                line(name, format_size(value));
            }
        }
        if let Some(most) = self.pids_peak {
            line("processes, most", most.to_string());
        }
        for (device, counts) in &self.io {
            let count = |name: &str| counts.get(name).copied().unwrap_or(0);
            line(
                &format!("io {device}"),
                format!("{} read, {} written", format_size(count("rbytes")), format_size(count("wbytes"))),
            );
        }
        line("page faults", format!("{}, {} from a disk", self.page_faults, self.major_page_faults));
        line("context switches", self.context_switches.to_string());
        for (name, usec) in self.pressure_usec.iter().filter(|(_, usec)| **usec > 0) {
            line(&format!("waited for {name}"), seconds(*usec));
        }
        if let Some(kills) = self.oom_kills.filter(|kills| *kills > 0) {
            let names: String = self.oom_killed.iter().map(|victim| format!(", {victim}")).collect();
            line("ended for memory", format!("{kills} {}{names}", if kills == 1 { "process" } else { "processes" }));
        }
        if let Some(refused) = self.pids_refused.filter(|refused| *refused > 0) {
            line("pids.max refused", format!("{refused} times"));
        }
        if self.source == "rusage" {
            line("", "without a cgroup: of processes that were waited for".into());
        }
        out
    }
}
