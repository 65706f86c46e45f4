//! Who is ended for memory. The kernel counts, and tells a name to its log alone, which is not for users. So we look ourselves:
//! memory.events wakes who waits for it ("Control Group v2", Memory Interface Files), at the limit and at a kill, though no more than
//! once in ten milliseconds. Who has SIGKILL then is seen in the act. Who was the largest shortly before, and is gone, is it
//! probably, and that is said. All of it is bounded: a program may be ended for memory as often as it likes.

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
    /// Its own name for itself (proc_pid_status(5), Name).
    pub name: String,
    /// Seen in the act, rather than the largest before.
    pub seen: bool,
}

impl std::fmt::Display for Victim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The name is chosen by the program: it is escaped. The form is that of the system's log.
        let probably = if self.seen { "" } else { "probably " };
        write!(f, "{probably}{}[{}]", crate::error::printable(&self.name), self.pid)
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

/// How many are named.
const NAMED: usize = 16;

/// How often we look after a kill.
const LOOKS: u32 = 200;

/// How many processes, and cgroups, are looked at; where there are more, nobody is named.
const MOST: usize = 500;

/// The part of our time that looking may take, as one of so many: at the limit, and after a kill.
const SHARES: [u32; 2] = [30, 5];

/// How long we look for who has the signal: it comes a moment after it is counted.
const MOMENT: Duration = Duration::from_millis(2);

/// For how long what was seen says who was the largest.
const FRESH: Duration = Duration::from_millis(250);

/// Tracks who is ended for memory in the sandbox's cgroup.
pub(in crate::launch) struct Victims {
    dir: PathBuf,
    /// The sandbox's first process, with which the kernel ends all others.
    first: i32,
    /// memory.events; none when there is nothing more to be had from it.
    events: Option<File>,
    kills: u64,
    looks: u32,
    seen: Option<(Instant, Vec<Process>)>,
    /// When looking is worth its time again, at the limit and after a kill.
    next: [Instant; 2],
    /// Who has the signal, is named, and still there.
    dying: Vec<i32>,
    found: Vec<Victim>,
}

impl Victims {
    /// None where memory is not counted, or another pid namespace's /proc is shown.
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

    /// Has an error when there is something new.
    pub(in crate::launch) fn fd(&self) -> RawFd {
        self.events.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Those that are known.
    pub(in crate::launch) fn found(&self) -> &[Victim] {
        &self.found
    }

    /// How many are new. To read it also says that we have seen it; where it is gone, it would be new for ever.
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

    /// Something has happened.
    pub(in crate::launch) fn look(&mut self) {
        let began = Instant::now();
        let mut new = self.count();
        if self.events.is_none() || self.next.get(usize::from(new > 0)).is_some_and(|next| began < *next) {
            return;
        }
        let mut now = processes(&self.dir);
        // Meanwhile one of them may have gone that way.
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
        // Where somebody was killed, it may have been while this was read.
        self.seen = now.filter(|_| new == 0).map(|now| (Instant::now(), now));
        for (next, share) in self.next.iter_mut().zip(SHARES).take(kind + 1) {
            *next = Instant::now() + began.elapsed() * share;
        }
        self.looks -= u32::from(new > 0);
        if self.looks == 0 || self.found.len() >= NAMED {
            self.events = None;
        }
    }

    /// All is over, and everybody gone or about to go: the signal says nothing any more.
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
        // Once the first one ends, the kernel ends the others. It has no memory from a moment before that on.
        let whole = process(self.first).is_some_and(|first| first.kilobytes > 0 && !first.killed);
        let killed = if whole { self.killed(now) } else { Vec::new() };
        // Others have killed some, too.
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

    /// The kernel takes the largest.
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

/// Those in a cgroup and below it; none where they cannot all be told.
fn processes(dir: &Path) -> Option<Vec<Process>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    let mut looked = 0;
    while let Some(dir) = dirs.pop() {
        looked += 1;
        for pid in std::fs::read_to_string(dir.join("cgroup.procs")).ok()?.lines() {
            // Who has ended meanwhile is not there.
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

/// What proc_pid_status(5) says of it.
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
        // The process's, not a thread's: those get it from their own exec and exit, too.
        killed: u64::from_str_radix(field("ShdPnd")?, 16).is_ok_and(|mask| mask & 1 << (libc::SIGKILL - 1) != 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, kilobytes: u64, killed: bool) -> Process {
        Process { pid, inside: pid, name: format!("p{pid}"), kilobytes, killed }
    }

    /// With this process as the first, which is whole.
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
    fn who_has_the_signal_is_it_and_the_largest_that_is_gone_probably() {
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
        // Seen long ago; the largest is there, so that it was one that nobody saw; more are killed than the kernel has counted.
        assert_eq!(said(300, &[small.clone(), three.clone()], 1), []);
        assert_eq!(said(0, &[small.clone(), two.clone()], 1), []);
        assert_eq!(said(0, &[process(900_001, 0, true), dying.clone()], 1), []);
        // Nobody twice; and nobody for the signal where the first process ends itself.
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
