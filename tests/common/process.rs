//! Processes, as /proc shows them.

use super::until;
use std::io::Write;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Runs a test in a process with one thread, as a launcher has to be.
pub fn in_one_thread(test: impl FnOnce()) {
    // SAFETY: the child goes on with this thread alone, and the C library keeps its allocator consistent over fork.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // libtest would capture what is printed.
        std::panic::set_hook(Box::new(|panic| {
            let _ = writeln!(std::io::stderr(), "{panic}");
        }));
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).is_err();
        // SAFETY: never comes back, and runs nothing of what libtest would run at the end.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    let mut status = -1;
    // SAFETY: the status is the call's to fill; the child is waited for by nobody else.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((ended, status), (pid, 0), "see what it said above");
}

/// Sends a signal; a negative number is a process group's.
pub fn signal(pid: i32, signal: i32) {
    // SAFETY: plain integers.
    unsafe { libc::kill(pid, signal) };
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The descendants of a process, the nearest first.
pub fn descendants(pid: u32) -> Vec<u32> {
    children(pid).into_iter().flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

/// A line of /proc/PID/status, without its name; empty if there is no such process.
pub fn status(pid: u32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

/// The name of the program that a process runs; empty if there is no such process.
pub fn name(pid: u32) -> String {
    status(pid, "Name")
}

/// Whether a process catches, blocks or ignores a signal.
pub fn handles(pid: u32, signal: i32) -> bool {
    let bit = 1 << (signal - 1);
    ["SigBlk", "SigCgt", "SigIgn"].iter().any(|set| u64::from_str_radix(&status(pid, set), 16).unwrap_or(0) & bit != 0)
}

/// The processes whose command line contains this, with that line; without the test's own.
pub fn with_line(part: &str) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if pid != std::process::id() && line.contains(part) {
            found.push((pid as i32, line));
        }
    }
    found
}

/// A number of seconds for `sleep` that only stands in the command lines of one test's processes. Those that are left
/// when it is dropped are killed.
pub struct Mark(pub String);

impl Mark {
    pub fn new() -> Mark {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Mark(format!("{}{:03}.5", 1_000_000 + std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    /// The processes that have it in their command line.
    pub fn alive(&self) -> Vec<(i32, String)> {
        with_line(&self.0)
    }

    /// How many of these processes are `sleep` itself, rather than what started it.
    pub fn sleeping(&self) -> usize {
        let sleeps = |line: &str| line.split(' ').next().is_some_and(|program| program.ends_with("sleep"));
        self.alive().iter().filter(|(_, line)| sleeps(line)).count()
    }

    /// Asserts that soon no process has it in its command line any more. A killed process that was just calling exec has no command
    /// line for a moment and may then show the mark once more, so none must be seen for a while.
    #[track_caller]
    pub fn gone(&self, when: &str) {
        let none = || {
            std::thread::sleep(Duration::from_millis(20));
            self.alive().is_empty()
        };
        assert!(until(|| (0..10).all(|_| none())), "{when}: {:?}", self.alive());
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.alive().iter().for_each(|(pid, _)| signal(*pid, libc::SIGKILL));
    }
}

/// A child of the test that is killed when this is dropped.
pub struct Daemon(pub Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
