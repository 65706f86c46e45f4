//! Who is ended for memory. The kernel counts, and tells a name to its log alone, which is not for users. So we look ourselves:
//! memory.events wakes who waits for it ("Control Group v2", Memory Interface Files), at the limit and at a kill, though no more than
//! once in ten milliseconds. Who has SIGKILL then is it; or who was the largest at the last look, and is gone.

use serde::Serialize;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process that was ended for memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Victim {
    /// Its number inside.
    pub pid: i32,
    /// Its own name for itself (comm).
    pub name: String,
}

/// As in the system's log.
impl std::fmt::Display for Victim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Which it may choose.
        write!(f, "{}[{}]", crate::error::printable(&self.name), self.pid)
    }
}

/// A process of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    /// Its number for us.
    pid: i32,
    inside: i32,
    name: String,
    kilobytes: u64,
    /// It has SIGKILL.
    killed: bool,
}

/// How many are looked at.
const MOST: usize = 500;

/// The share of our time that looking may take, as one of so many.
const SHARE: u32 = 50;

/// How long we look for who has the signal: it comes a moment after it is counted.
const MOMENT: Duration = Duration::from_millis(2);

/// What is known of them.
pub(super) struct Victims {
    dir: PathBuf,
    events: File,
    kills: u64,
    seen: Vec<Process>,
    /// When looking is worth its time again.
    next: Instant,
    found: Vec<(i32, Victim)>,
}

impl Victims {
    /// None where memory is not counted.
    pub(super) fn of(dir: &Path) -> Option<Victims> {
        let events = File::open(dir.join("memory.events")).ok()?;
        let mut victims = Victims {
            dir: dir.to_owned(),
            events,
            kills: 0,
            seen: Vec::new(),
            next: Instant::now(),
            found: Vec::new(),
        };
        victims.count();
        Some(victims)
    }

    /// Has an error, which is always waited for, when there is something new.
    pub(super) fn fd(&self) -> RawFd {
        self.events.as_raw_fd()
    }

    /// Reads the count, which also says that we have seen it.
    fn count(&mut self) -> u64 {
        let mut bytes = [0; 512];
        let length = self.events.read_at(&mut bytes, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
        super::figures::field(&text, "oom_kill").unwrap_or(0)
    }

    /// Something has happened, or all is over.
    pub(super) fn look(&mut self) {
        let kills = self.count();
        let new = kills.saturating_sub(self.kills) as usize;
        self.kills = kills;
        let began = Instant::now();
        if new == 0 && began < self.next {
            return;
        }
        let mut now = processes(&self.dir);
        if new > 0 {
            let known = |process: &&Process| !self.found.iter().any(|(pid, _)| *pid == process.pid);
            let killed = |now: &[Process]| now.iter().filter(|process| process.killed).filter(known).count();
            while killed(&now) < new && began.elapsed() < MOMENT {
                std::thread::sleep(Duration::from_micros(100));
                now = processes(&self.dir);
            }
            let seen: Vec<_> = self.seen.iter().filter(known).cloned().collect();
            let current: Vec<_> = now.iter().filter(known).cloned().collect();
            self.found.extend(
                ended(&seen, &current, new)
                    .into_iter()
                    .map(|process| (process.pid, Victim { pid: process.inside, name: process.name })),
            );
        }
        self.seen = now;
        self.next = Instant::now() + began.elapsed() * SHARE;
    }

    /// Those that are known.
    pub(super) fn found(self) -> Vec<Victim> {
        self.found.into_iter().map(|(_, victim)| victim).collect()
    }
}

/// Who of these it was: the kernel takes the largest.
fn ended(seen: &[Process], now: &[Process], most: usize) -> Vec<Process> {
    let mut found: Vec<Process> = now.iter().filter(|process| process.killed).take(most).cloned().collect();
    let mut largest: Vec<&Process> =
        seen.iter().filter(|old| !found.iter().any(|other| other.pid == old.pid)).collect();
    largest.sort_by_key(|process| std::cmp::Reverse(process.kilobytes));
    let gone = |old: &&&Process| !now.iter().any(|process| process.pid == old.pid);
    let more = most - found.len();
    found.extend(largest.iter().take_while(gone).take(more).map(|process| (*process).clone()));
    found
}

/// Those in a cgroup and below it.
fn processes(dir: &Path) -> Vec<Process> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop().filter(|_| found.len() < MOST) {
        let pids = super::cgroup::read(&dir, "cgroup.procs").unwrap_or_default();
        found.extend(pids.lines().take(MOST).filter_map(|pid| process(pid.parse().ok()?)));
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        dirs.extend(
            entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
    found
}

/// What proc_pid_status(5) says of it.
fn process(pid: i32) -> Option<Process> {
    let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    let kilobytes = |name| field(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok();
    let pending = |name| field(name).is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap_or(0) & KILLED != 0);
    let mut numbers = field("NSpid")?.split_whitespace().skip(1);
    Some(Process {
        pid,
        inside: numbers.next().and_then(|number| number.parse().ok()).unwrap_or(pid),
        name: field("Name")?.to_owned(),
        kilobytes: kilobytes("VmRSS").unwrap_or(0) + kilobytes("VmSwap").unwrap_or(0),
        killed: pending("SigPnd") || pending("ShdPnd"),
    })
}

/// SIGKILL in a mask.
const KILLED: u64 = 1 << (libc::SIGKILL - 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, kilobytes: u64, killed: bool) -> Process {
        Process { pid, inside: pid, name: format!("p{pid}"), kilobytes, killed }
    }

    #[test]
    fn who_has_the_signal_or_was_the_largest_and_is_gone() {
        let seen = [process(1, 10, false), process(2, 500, false), process(3, 400, false), process(4, 300, false)];
        let pids =
            |now: &[Process], most| ended(&seen, now, most).iter().map(|process| process.pid).collect::<Vec<_>>();
        // Seen in the act.
        assert_eq!(pids(&[process(1, 10, false), process(3, 0, true)], 1), [3]);
        // The largest is gone, and so is another.
        assert_eq!(pids(&[process(1, 10, false), process(3, 400, false)], 1), [2]);
        assert_eq!(pids(&[process(1, 10, false)], 2), [2, 3]);
        assert_eq!(pids(&[process(1, 10, false), process(3, 0, true)], 2), [3, 2]);
        // The largest is there: it was one that nobody saw.
        assert_eq!(pids(&[process(2, 500, false)], 1), [0; 0]);
    }

    #[test]
    fn a_process_is_read() {
        let own = super::process(std::process::id() as i32).unwrap();
        assert!(own.kilobytes > 100 && !own.killed && !own.name.is_empty(), "{own:?}");
    }
}
