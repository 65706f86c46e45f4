//! The processes of a sandbox, as /proc shows them outside: proc_pid_status(5), proc_pid_stat(5). No process of the sandbox is asked, and none of its
//! namespaces is entered. All of its processes descend from its first one, since orphans become that one's children.

use crate::sys;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

/// How much is read of a process's arguments, and of its other files, in bytes.
const MOST_ARGS: u64 = 4096;
const MOST: u64 = 16 << 10;

/// The children that a thread has made, by the directory that proc(5) has of it; none where the kernel does not tell.
pub fn children(thread: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(thread.join("children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A process of a sandbox. Its names and arguments are what it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Its process id inside.
    pub pid: i32,
    /// The same outside.
    pub outside: i32,
    /// The process id inside of its parent; 0 for the first process.
    pub parent: i32,
    /// Its process group inside.
    pub group: i32,
    /// Its state, such as `S`.
    pub state: char,
    /// The name that it has.
    pub name: String,
    /// Its arguments; empty for one that has ended, or has taken them away.
    pub args: Vec<String>,
    /// Its real and its effective user and group ids, outside.
    pub uid: [u32; 2],
    /// Group ids, likewise.
    pub gid: [u32; 2],
    /// Its terminal: the number of the device; 0 for none.
    pub terminal: u64,
    /// CPU time that it used.
    pub cpu: Duration,
    /// How long ago it was started.
    pub elapsed: Duration,
    /// Its nice value.
    pub nice: i32,
    /// Virtual memory, in KiB.
    pub virtual_kib: u64,
    /// Resident memory, in KiB.
    pub resident_kib: u64,
    /// Its effective capabilities, inherited ones, permitted ones, those of the bounding set, and ambient ones.
    pub capabilities: [u64; 5],
    /// The mode of its system-call filter: 0, 1 or 2.
    pub seccomp: u32,
    /// The label of a security module; empty if there is none.
    pub label: String,
}

/// All processes that descend from this one, in the order of their ids inside. None if that one is not there.
pub fn processes(first: i32) -> Option<Vec<Process>> {
    // The ids that a process has, in this pid namespace and in those below it: one is in the sandbox's from this place on.
    let level = look(first, 0)?.1.len().checked_sub(1)?;
    let numbers = || sys::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut all = BTreeMap::new();
    for number in numbers {
        if let Some((process, ids)) = look(number, level)
            && ids.len() > level
        {
            all.insert(number, process);
        }
    }
    // One whose parent has ended since it was read is a child of another by now.
    let lost: Vec<_> = all.values().filter(|process| !all.contains_key(&process.parent)).map(|p| p.outside).collect();
    for number in lost {
        match look(number, level) {
            Some((process, ids)) if ids.len() > level => drop(all.insert(number, process)),
            _ => drop(all.remove(&number)),
        }
    }
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in all.values() {
        children.entry(process.parent).or_default().push(process.outside);
    }
    let (mut found, mut next) = (BTreeSet::new(), vec![first]);
    while let Some(number) = next.pop() {
        if found.insert(number) {
            next.extend(children.remove(&number).unwrap_or_default());
        }
    }
    let inside: BTreeMap<i32, i32> = all.values().map(|process| (process.outside, process.pid)).collect();
    let mut list: Vec<_> = all.into_iter().filter(|(number, _)| found.contains(number)).map(|(_, one)| one).collect();
    for process in &mut list {
        let parent = if process.outside == first { None } else { inside.get(&process.parent) };
        process.parent = parent.copied().unwrap_or(0);
    }
    list.sort_by_key(|process| process.pid);
    (!list.is_empty()).then_some(list)
}

/// A process with this id, its parent's id that of outside, and the ids that it has in each pid namespace. All is read below one descriptor, and so of one
/// process.
fn look(number: i32, level: usize) -> Option<(Process, Vec<i32>)> {
    let dir = CString::new(format!("/proc/{number}")).ok()?;
    let dir = sys::openat(sys::cwd(), &dir, libc::O_PATH | libc::O_DIRECTORY, 0).ok()?;
    let dir = dir.as_fd();
    let status = text(dir, c"status", MOST)?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let list = |name: &str| field(name).unwrap_or_default().split_whitespace();
    let numbers = |name: &str| list(name).filter_map(|word| word.parse::<i32>().ok()).collect::<Vec<_>>();
    let two = |name: &str| -> Option<[u32; 2]> {
        let mut ids = list(name).map(|word| word.parse::<u32>());
        Some([ids.next()?.ok()?, ids.next()?.ok()?])
    };
    let set = |name: &str| u64::from_str_radix(field(name).unwrap_or_default().trim(), 16).unwrap_or(0);
    let ids = numbers("NSpid");
    let mut process = Process {
        pid: ids.get(level).copied().unwrap_or(0),
        outside: number,
        parent: field("PPid")?.trim().parse().ok()?,
        group: numbers("NSpgid").get(level).copied().unwrap_or(0),
        name: field("Name").unwrap_or_default().trim_start_matches('\t').to_owned(),
        uid: two("Uid")?,
        gid: two("Gid")?,
        capabilities: ["CapEff", "CapInh", "CapPrm", "CapBnd", "CapAmb"].map(set),
        seccomp: field("Seccomp").and_then(|mode| mode.trim().parse().ok()).unwrap_or(0),
        ..Process::default()
    };
    if ids.len() <= level {
        return Some((process, ids));
    }
    fill(&mut process, &text(dir, c"stat", MOST)?)?;
    let args = text(dir, c"cmdline", MOST_ARGS).unwrap_or_default();
    let args = args.trim_end_matches('\0');
    // A kernel thread has none, and sbx's own PID 1 has only zeros in their place.
    if !args.is_empty() {
        process.args = args.split('\0').map(str::to_owned).collect();
    }
    process.label = text(dir, c"attr/current", MOST).unwrap_or_default().trim_end_matches(['\0', '\n']).to_owned();
    Some((process, ids))
}

/// What /proc/PID/stat says. The name in it, in parentheses, may hold any characters.
fn fill(process: &mut Process, stat: &str) -> Option<()> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    let count = |index: usize| number(index).map(i64::unsigned_abs);
    let ticks = sys::clock_ticks();
    let time = |count: u64| Duration::from_nanos(count.saturating_mul(1_000_000_000 / ticks));
    process.state = fields.first()?.chars().next()?;
    process.terminal = count(4)?;
    process.cpu = time(count(11)? + count(12)?);
    process.nice = i32::try_from(number(16)?).ok()?;
    let now = Duration::from_nanos(sys::boottime_nanoseconds());
    process.elapsed = now.saturating_sub(time(count(19)?));
    process.virtual_kib = count(20)? / 1024;
    process.resident_kib = count(21)?.saturating_mul(sys::page_size() / 1024);
    Some(())
}

/// The text of a file of a process, at most so much of it.
fn text(dir: BorrowedFd<'_>, name: &std::ffi::CStr, most: u64) -> Option<String> {
    let file = File::from(sys::openat(dir, name, libc::O_RDONLY, 0).ok()?);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of uid_map or gid_map: ids from `inside` on are those from `outside` on, so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    inside: u32,
    outside: u32,
    count: u32,
}

/// The ids that a process's user namespace has, by the name of the file: `uid_map` or `gid_map`.
pub fn id_map(process: i32, file: &str) -> Vec<IdRange> {
    let text = std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
        Some(IdRange { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
    };
    text.lines().filter_map(line).collect()
}

/// The id inside for one outside; none if it has none there.
pub fn id_inside(map: &[IdRange], outside: u32) -> Option<u32> {
    map.iter().find_map(|range| {
        let offset = outside.checked_sub(range.outside)?;
        (offset < range.count).then(|| range.inside.checked_add(offset)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_first_below_itself_and_one_that_is_not_there_has_none() {
        let own = i32::try_from(std::process::id()).unwrap();
        let all = processes(own).unwrap();
        let found = all.iter().find(|one| one.outside == own).unwrap();
        assert!(!found.args.is_empty() && found.parent == 0 && found.resident_kib > 0, "{found:?}");
        assert_eq!(processes(i32::MAX), None);
    }

    #[test]
    fn names_with_any_characters_do_not_shift_the_fields() {
        let mut process = Process::default();
        let stat = "7 (a) R 1 2 3) S 1 7 7 34816 7 0 0 0 0 0 150 50 0 0 20 5 1 0 100 2048000 3 0";
        fill(&mut process, stat).unwrap();
        assert_eq!((process.state, process.terminal, process.nice), ('S', 34816, 5));
        assert_eq!((process.cpu, process.virtual_kib), (Duration::from_secs(2), 2000));
        assert!(fill(&mut process, "7 (a").is_none() && fill(&mut process, "7 (a) S 1").is_none());
    }

    #[test]
    fn ids_are_those_of_the_map() {
        let map = [IdRange { inside: 0, outside: 1000, count: 1 }, IdRange { inside: 1, outside: 100_000, count: 10 }];
        assert_eq!((id_inside(&map, 1000), id_inside(&map, 100_009)), (Some(0), Some(10)));
        assert_eq!((id_inside(&map, 1001), id_inside(&map, 100_010)), (None, None));
    }
}
