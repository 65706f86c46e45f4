//! Names the OOM killer's victims. The kernel counts them, but tells their names only to its log, which users may not
//! read. So sbx looks itself: memory.events wakes whoever polls it ("Control Group v2", Memory Interface Files), at the
//! limit and at a kill, though at most once in ten milliseconds. A process with a pending SIGKILL is a victim. A
//! process that was the largest shortly before, and is gone, is probably one, and is reported as such. All of it is
//! bounded: a program may run out of memory as often as it likes.

use serde::Serialize;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A process that the OOM killer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Victim {
    /// Its process id inside.
    pub pid: i32,
    /// The name that it gave itself (proc_pid_status(5), Name).
    pub name: String,
    /// Whether it was seen with a pending SIGKILL, rather than being the largest process shortly before.
    pub seen: bool,
}

impl std::fmt::Display for Victim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The name is chosen by the program: it is escaped. The form is that of the system's log.
        let probably = if self.seen { "" } else { "probably " };
        write!(f, "{probably}{}[{}]", crate::error::printable(&self.name), self.pid)
    }
}

/// A process of the sandbox, as proc_pid_status(5) shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    /// Its process id in the launcher's pid namespace.
    pid: i32,
    inside: i32,
    name: String,
    kilobytes: u64,
    /// SIGKILL is pending.
    killed: bool,
}

/// Maximal number of victims that are named.
const NAMED: usize = 16;

/// Maximal number of looks after kills.
const LOOKS: u32 = 200;

/// Maximal number of processes and cgroups that are looked at; if there are more, nobody is named.
const MOST: usize = 500;

/// Looking may take one part in so many of the launcher's time: at the limit, and after a kill.
const SHARES: [u32; 2] = [30, 5];

/// How long to look for a pending SIGKILL: the signal comes a moment after the kernel has counted it.
const MOMENT: Duration = Duration::from_millis(2);

/// How long a list of processes is recent enough to tell which was the largest.
const FRESH: Duration = Duration::from_millis(250);

/// Tracks the OOM killer's victims in the sandbox's cgroup.
pub(in crate::launch) struct Victims {
    dir: PathBuf,
    /// Process id of the sandbox's first process; when that ends, the kernel ends all others.
    first: i32,
    /// memory.events; none once it is not watched any more.
    events: Option<File>,
    kills: u64,
    looks: u32,
    seen: Option<(Instant, Vec<Process>)>,
    /// When the next look is due at the earliest, at the limit and after a kill.
    next: [Instant; 2],
    /// Process ids of victims that are named already, and have not quite ended.
    dying: Vec<i32>,
    found: Vec<Victim>,
}

impl Victims {
    /// Starts to track the victims in the cgroup `dir`. None if memory is not counted there, or if /proc is another pid
    /// namespace's.
    pub(in crate::launch) fn of(dir: &Path, first: i32) -> Option<Victims> {
        let own = std::fs::read_link("/proc/self").ok()?;
        if own.to_str()? != crate::sys::pid().to_string() {
            return None;
        }
        let events = Some(File::open(dir.join("memory.events")).ok()?);
        let next = [Instant::now(); 2];
        let (dir, found) = (dir.to_owned(), Vec::new());
        let mut victims =
            Victims { dir, first, events, kills: 0, looks: LOOKS, seen: None, next, dying: Vec::new(), found };
        victims.count();
        Some(victims)
    }

    /// Descriptor of memory.events, which polls as an error when there is something new; -1 if it is not watched.
    pub(in crate::launch) fn fd(&self) -> RawFd {
        self.events.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// The victims found so far.
    pub(in crate::launch) fn found(&self) -> &[Victim] {
        &self.found
    }

    /// Number of kills since the last call. Reading memory.events also acknowledges its event; it is no longer watched
    /// when it is gone, since it would have an event for ever.
    fn count(&mut self) -> usize {
        let mut bytes = [0; 512];
        let length = self.events.as_ref().and_then(|events| events.read_at(&mut bytes, 0).ok());
        let text = String::from_utf8_lossy(bytes.get(..length.unwrap_or(0)).unwrap_or_default()).into_owned();
        let Some(kills) = super::files::field(&text, "oom_kill") else {
            self.events = None;
            return 0;
        };
        let new = kills.saturating_sub(self.kills);
        self.kills = kills;
        new as usize
    }

    /// Looks for victims after an event of memory.events.
    pub(in crate::launch) fn look(&mut self) {
        let began = Instant::now();
        let mut new = self.count();
        if self.events.is_none() || self.next.get(usize::from(new > 0)).is_some_and(|next| began < *next) {
            return;
        }
        let mut now = processes(&self.dir);
        // Another process may have been killed meanwhile.
        new += self.count();
        let kind = usize::from(new > 0);
        if new > 0 {
            let killed = |now: &Option<Vec<Process>>| now.as_ref().map_or(new, |now| self.killed(now).len());
            while killed(&now) < new && began.elapsed() < MOMENT {
                std::thread::sleep(Duration::from_micros(300));
                now = processes(&self.dir);
            }
            if let Some(now) = &now {
                self.name(now, new, began);
            }
        }
        // After a kill the list is not kept: the victim may have gone while it was read.
        self.seen = now.filter(|_| new == 0).map(|now| (Instant::now(), now));
        for (next, share) in self.next.iter_mut().zip(SHARES).take(kind + 1) {
            *next = Instant::now() + began.elapsed() * share;
        }
        self.looks -= u32::from(new > 0);
        if self.looks == 0 || self.found.len() >= NAMED {
            self.events = None;
        }
    }

    /// The last look, when all processes have ended or are about to: a pending SIGKILL says nothing any more.
    pub(in crate::launch) fn last(&mut self) {
        let new = self.count();
        if new > 0 {
            self.record_likely_victims(&[], new, Instant::now());
        }
    }

    fn killed<'a>(&self, now: &'a [Process]) -> Vec<&'a Process> {
        now.iter().filter(|process| process.killed && !self.dying.contains(&process.pid)).collect()
    }

    fn name(&mut self, now: &[Process], new: usize, began: Instant) {
        self.dying.retain(|pid| now.iter().any(|process| process.pid == *pid));
        // Once the first process ends, the kernel kills the others. From a moment before that it has no memory any
        // more.
        let whole = process(self.first).is_some_and(|first| first.kilobytes > 0 && !first.killed);
        let killed = if whole { self.killed(now) } else { Vec::new() };
        // Somebody else has sent SIGKILL, too.
        if killed.len() > new {
            return;
        }
        let others = new - killed.len();
        for process in killed {
            self.found.push(process.victim(true));
            self.dying.push(process.pid);
        }
        self.record_likely_victims(now, others, began);
    }

    /// Records at most `most` likely victims: the kernel takes the largest process, so the largest of those last seen
    /// that are gone.
    fn record_likely_victims(&mut self, now: &[Process], most: usize, began: Instant) {
        let Some((when, seen)) = &self.seen else { return };
        if began.duration_since(*when) > FRESH {
            return;
        }
        let known = |process: &&Process| process.pid == self.first || self.dying.contains(&process.pid);
        let mut largest: Vec<&Process> = seen.iter().filter(|process| !known(process)).collect();
        largest.sort_by_key(|process| std::cmp::Reverse(process.kilobytes));
        let gone = |old: &&&Process| !now.iter().any(|process| process.pid == old.pid);
        let victims = largest.iter().take_while(gone).take(most);
        self.found.extend(victims.map(|process| process.victim(false)));
    }
}

impl Process {
    fn victim(&self, seen: bool) -> Victim {
        Victim { pid: self.inside, name: self.name.clone(), seen }
    }
}

/// The processes in a cgroup and below it; none if they cannot all be listed.
fn processes(dir: &Path) -> Option<Vec<Process>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    let mut looked = 0;
    while let Some(dir) = dirs.pop() {
        looked += 1;
        for pid in std::fs::read_to_string(dir.join("cgroup.procs")).ok()?.lines() {
            // A process that has ended meanwhile is left out.
            found.extend(process(pid.parse().ok()?));
            looked += 1;
        }
        for entry in std::fs::read_dir(&dir).ok()?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(entry.path());
            }
        }
        if looked + dirs.len() > MOST {
            return None;
        }
    }
    Some(found)
}

/// Reads proc_pid_status(5) of a process; none if it has ended.
fn process(pid: i32) -> Option<Process> {
    let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    let kilobytes = |name| field(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok();
    let inside = field("NSpid")?.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    Some(Process {
        pid,
        inside: inside.unwrap_or(pid),
        name: field("Name")?.to_owned(),
        kilobytes: kilobytes("VmRSS").unwrap_or(0) + kilobytes("VmSwap").unwrap_or(0),
        // Pending for the process, not for a thread: threads also get SIGKILL from their own process's exec and exit.
        killed: u64::from_str_radix(field("ShdPnd")?, 16).is_ok_and(|mask| mask & 1 << (libc::SIGKILL - 1) != 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, kilobytes: u64, killed: bool) -> Process {
        Process { pid, inside: pid, name: format!("p{pid}"), kilobytes, killed }
    }

    /// With this process as the first one, which is alive, and a list of processes of this age.
    fn after(age: Duration, seen: &[Process]) -> Victims {
        let first = std::process::id() as i32;
        let next = [Instant::now(); 2];
        let seen = Some((Instant::now().checked_sub(age).unwrap(), seen.to_vec()));
        let (dir, found) = (PathBuf::new(), Vec::new());
        Victims { dir, first, events: None, kills: 0, looks: 1, seen, next, dying: Vec::new(), found }
    }

    fn told(victims: &Victims) -> Vec<(i32, bool)> {
        victims.found().iter().map(|victim| (victim.pid, victim.seen)).collect()
    }

    #[test]
    fn a_process_with_sigkill_is_a_victim_and_the_largest_that_is_gone_a_likely_one() {
        let (small, two, three) =
            (process(900_001, 10, false), process(900_002, 500, false), process(900_003, 400, false));
        let seen = [small.clone(), two.clone(), three.clone()];
        let said = |age: u64, now: &[Process], new| {
            let mut victims = after(Duration::from_millis(age), &seen);
            victims.name(now, new, Instant::now());
            told(&victims)
        };
        let dying = process(900_003, 0, true);
        assert_eq!(said(0, &[small.clone(), dying.clone()], 1), [(900_003, true)]);
        assert_eq!(said(0, &[small.clone(), dying.clone()], 2), [(900_003, true), (900_002, false)]);
        assert_eq!(said(0, &[small.clone(), three.clone()], 1), [(900_002, false)]);
        assert_eq!(said(0, std::slice::from_ref(&small), 2), [(900_002, false), (900_003, false)]);
        // Nobody is named: the list is old; the largest is still there, so that the victim was in no list; more have
        // the signal than the kernel has counted.
        assert_eq!(said(300, &[small.clone(), three.clone()], 1), []);
        assert_eq!(said(0, &[small.clone(), two.clone()], 1), []);
        assert_eq!(said(0, &[process(900_001, 0, true), dying.clone()], 1), []);
        // Nobody is named twice, nor for the signal alone once the first process is gone.
        let mut victims = after(Duration::ZERO, &seen);
        for _ in 0..2 {
            victims.name(&[dying.clone(), two.clone()], 1, Instant::now());
        }
        assert_eq!(told(&victims), [(900_003, true)]);
        let mut victims = after(Duration::ZERO, &seen);
        victims.first = 900_009;
        victims.name(&[process(900_001, 0, true), two], 1, Instant::now());
        assert_eq!(told(&victims), []);
    }

    #[test]
    fn a_process_is_read() {
        let own = super::process(std::process::id() as i32).unwrap();
        assert!(own.kilobytes > 100 && !own.killed && !own.name.is_empty(), "{own:?}");
    }
}
