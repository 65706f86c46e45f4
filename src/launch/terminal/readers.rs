//! Whether a process of the sandbox waits for input from its terminal.
//!
//! A terminal does not tell its master that somebody reads. But /proc tells in which system call a process waits, and the launcher may
//! look at the processes of its sandbox. It looks only when something was typed.
//!
//! Nothing here may wait for a process of the sandbox, which may be hostile. Reading its memory may: the memory may be a file of a file
//! system that does not answer. So a child does that, and is given up after a moment.

use crate::host;
use crate::sys::{self, Poll, UnownedFd};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// At most so many threads are looked at. In a sandbox that has more, it is not known whether one waits.
const THREADS: usize = 1000;
/// So long may a look into the memory of processes take, in milliseconds: on a busy machine, a process that does not wait for anything may take a while, too.
const PATIENCE: i32 = 1000;

/// Whether a process waits for input from the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    Yes,
    No,
    /// It cannot be found out.
    Unknown,
}

/// Where a system call has the descriptors that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// The first argument is the descriptor.
    Read,
    /// The first argument is the address of a list of struct pollfd, and the second its length.
    Poll,
    /// The first argument is a number above all descriptors, and the second the address of the set of those to read.
    Select,
    /// The first argument is a descriptor of epoll(7).
    Epoll,
    /// What was interrupted goes on: restart_syscall(2). The arguments may be those of the call, which is unknown.
    Restart,
}

/// The calls that may wait for input, by their numbers.
const CALLS: &[(libc::c_long, Call)] = &[
    (libc::SYS_read, Call::Read),
    (libc::SYS_readv, Call::Read),
    (libc::SYS_ppoll, Call::Poll),
    (libc::SYS_pselect6, Call::Select),
    (libc::SYS_epoll_pwait, Call::Epoll),
    (libc::SYS_epoll_pwait2, Call::Epoll),
    (libc::SYS_restart_syscall, Call::Restart),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, Call::Poll),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, Call::Select),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, Call::Epoll),
    // Those of i386, where no call of x86-64 with the same number waits.
    #[cfg(target_arch = "x86_64")]
    (145, Call::Read),
    #[cfg(target_arch = "x86_64")]
    (168, Call::Poll),
    #[cfg(target_arch = "x86_64")]
    (309, Call::Poll),
    #[cfg(target_arch = "x86_64")]
    (414, Call::Poll),
    #[cfg(target_arch = "x86_64")]
    (142, Call::Select),
    #[cfg(target_arch = "x86_64")]
    (308, Call::Select),
    #[cfg(target_arch = "x86_64")]
    (413, Call::Select),
    #[cfg(target_arch = "x86_64")]
    (256, Call::Epoll),
    #[cfg(target_arch = "x86_64")]
    (319, Call::Epoll),
];

/// The processes of one sandbox, and its terminal.
pub(super) struct Readers {
    /// The sandbox's first process.
    first: i32,
    /// Whether that is sbx's own PID 1, which reads no terminal.
    init: bool,
    /// The terminal's name inside, below /dev.
    terminal: PathBuf,
    /// Looking into the memory of processes took too long once, and is not tried again.
    slow: bool,
}

impl Readers {
    /// `number` is that of the pseudo-terminal.
    pub(super) fn new(first: i32, init: bool, number: Option<u32>) -> Readers {
        let terminal = number.map_or_else(|| "pts".into(), |number| Path::new("pts").join(number.to_string()));
        Readers { first, init, terminal, slow: false }
    }

    /// Whether a process waits for input from the terminal. Without `closely`, one that waits for several things counts as one that
    /// waits for the terminal: it is not looked up which.
    pub(super) fn waiting(&mut self, closely: bool) -> Waiting {
        let Some(threads) = self.threads() else { return Waiting::Unknown };
        let mut in_memory = Vec::new();
        for (pid, thread) in threads {
            let text = match std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall")) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && !is_over(pid, thread) => {
                    return Waiting::Unknown;
                }
                Err(_) => continue,
            };
            let Some((call, first, second)) = parse(&text) else { continue };
            let waits = match call {
                Call::Read => self.is_terminal(pid, first),
                Call::Restart => self.is_terminal(pid, 0),
                Call::Epoll => self.is_in_epoll(pid, first),
                Call::Poll | Call::Select if closely => {
                    in_memory.push((pid, call, first, second));
                    false
                }
                Call::Poll | Call::Select => true,
            };
            if waits {
                return Waiting::Yes;
            }
        }
        if in_memory.is_empty() {
            return Waiting::No;
        }
        self.in_memory(&in_memory)
    }

    /// The threads that may read the terminal, each with its process: those of the foreground process group, and of processes that have
    /// another controlling terminal or none. None if that is not known.
    fn threads(&self) -> Option<Vec<(i32, i32)>> {
        // A kernel may be made without these lists.
        if !Path::new("/proc/thread-self/children").exists() {
            return None;
        }
        let mut found = Vec::new();
        let mut open = vec![self.first];
        while let Some(pid) = open.pop() {
            let tasks = match std::fs::read_dir(format!("/proc/{pid}/task")) {
                Ok(tasks) => tasks,
                Err(_) if pid > 0 && sys::kill(pid, 0) == Err(sys::Errno(libc::ESRCH)) => continue,
                // It is there, but out of sight (hidepid of proc(5)).
                Err(_) => return None,
            };
            let looked_at = (pid != self.first || !self.init) && is_in_foreground(pid);
            for task in tasks.flatten() {
                let Some(thread) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
                if looked_at {
                    found.push((pid, thread));
                }
                if found.len() > THREADS {
                    return None;
                }
                open.extend(host::children(&task.path()));
            }
            if found.len() + open.len() > THREADS {
                return None;
            }
        }
        Some(found)
    }

    /// Whether a descriptor of a process is the terminal. By its name: asking for the file itself may take as long as its file system
    /// likes. A file of this name is no harm: its process gets input a little too early.
    fn is_terminal(&self, pid: i32, fd: u64) -> bool {
        let link = std::fs::read_link(format!("/proc/{pid}/fd/{fd}"));
        link.is_ok_and(|link| {
            ["tty", "console"].iter().any(|name| link.ends_with(Path::new("dev").join(name)))
                || link.ends_with(&self.terminal)
        })
    }

    /// Whether the descriptors of an epoll(7) instance that wait for input contain the terminal.
    fn is_in_epoll(&self, pid: i32, fd: u64) -> bool {
        let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("tfd:")).any(|line| {
            let mut words = line.split_whitespace();
            let target = words.next().and_then(|word| word.parse().ok());
            let events = words.nth(1).and_then(|word| u32::from_str_radix(word, 16).ok()).unwrap_or(0);
            events & libc::EPOLLIN as u32 != 0 && target.is_some_and(|target| self.is_terminal(pid, target))
        })
    }

    /// Whether one of these calls, whose descriptors stand in memory, waits for the terminal.
    fn in_memory(&mut self, calls: &[(i32, Call, u64, u64)]) -> Waiting {
        if self.slow {
            return Waiting::Unknown;
        }
        let Ok((hears, tells)) = sys::pipe() else { return Waiting::Unknown };
        let number = tells.as_raw_fd();
        let child = sys::fork(|| {
            // It must not outlive the launcher, nor hold open what others wait for to be closed.
            let _ = sys::set_parent_death_signal(libc::SIGKILL);
            let _ = sys::close_all_but(&[number]);
            let answer = self.looked_up(calls);
            let _ = sys::write_all(UnownedFd::new(number).as_fd(), &[u8::from(answer)]);
            0
        });
        drop(tells);
        let Ok(child) = child else { return Waiting::Unknown };
        let mut set = [Poll::read(hears.as_raw_fd())];
        let answered = sys::poll(&mut set, Some(PATIENCE)).is_ok() && set[0].ready;
        let mut answer = [2];
        if answered && sys::read(hears.as_fd(), &mut answer) == Ok(1) {
            let _ = sys::wait_for(child);
            return if answer == [1] { Waiting::Yes } else { Waiting::No };
        }
        // It may not even die before what it waits for. It is not waited for.
        let _ = sys::kill(child, libc::SIGKILL);
        self.slow = true;
        Waiting::Unknown
    }

    fn looked_up(&self, calls: &[(i32, Call, u64, u64)]) -> bool {
        calls.iter().any(|(pid, call, first, second)| {
            let Ok(memory) = std::fs::File::open(format!("/proc/{pid}/mem")) else { return false };
            match call {
                Call::Poll => {
                    // struct pollfd: int fd, short events, short revents.
                    let mut list = vec![0; 8 * (*second).min(1024) as usize];
                    memory.read_exact_at(&mut list, *first).is_ok()
                        && list.as_chunks::<8>().0.iter().any(|[a, b, c, d, events, ..]| {
                            let fd = i32::from_ne_bytes([*a, *b, *c, *d]);
                            i16::from(*events) & libc::POLLIN != 0 && fd >= 0 && self.is_terminal(*pid, fd as u64)
                        })
                }
                _ => {
                    let mut set = vec![0; (*first).min(1024).div_ceil(8) as usize];
                    memory.read_exact_at(&mut set, *second).is_ok()
                        && (0..(*first).min(1024)).any(|fd| {
                            let byte = set.get(fd as usize / 8).copied().unwrap_or(0);
                            byte & 1 << (fd % 8) != 0 && self.is_terminal(*pid, fd)
                        })
                }
            }
        })
    }
}

/// Whether a thread has ended, or is about to: once it has begun to, the kernel may let nobody look at it.
fn is_over(pid: i32, thread: i32) -> bool {
    /// PF_EXITING of the kernel's linux/sched.h.
    const EXITING: u32 = 4;
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).unwrap_or_default();
    let Some((_, rest)) = text.rsplit_once(')') else { return true };
    // The seventh word behind the name has the flags.
    let flags = rest.split_whitespace().nth(6).and_then(|word| word.parse::<u32>().ok()).unwrap_or(0);
    rest.trim_start().starts_with(['Z', 'X']) || flags & EXITING != 0
}

/// Whether a process may read its terminal now: it is in the foreground process group, or the terminal is not its controlling one.
fn is_in_foreground(pid: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program stands in parentheses, and may have any character. Behind it: state, parent, group, session, terminal,
    // the terminal's foreground group.
    let Some((_, rest)) = text.rsplit_once(')') else { return false };
    let mut words = rest.split_whitespace().skip(2).map(|word| word.parse::<i32>().unwrap_or(0));
    match (words.next(), words.nth(1), words.next()) {
        (Some(group), Some(terminal), Some(foreground)) => terminal == 0 || group == foreground,
        _ => false,
    }
}

/// The system call that a line of /proc/PID/syscall has, if it may wait for input, and its first two arguments.
fn parse(line: &str) -> Option<(Call, u64, u64)> {
    let mut words = line.split_whitespace();
    let number: libc::c_long = words.next()?.parse().ok()?;
    let mut argument = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (first, second) = (argument()?, argument()?);
    CALLS.iter().find(|(known, _)| *known == number).map(|(_, call)| (*call, first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_says_which_call_waits() {
        let line = format!("{} 0x3 0x7f93791bc680 0x64 0x0 0x0 0x0 0x7ffd48412198 0x7f93793b12ad", libc::SYS_read);
        assert_eq!(parse(&line), Some((Call::Read, 3, 0x7f93_791b_c680)));
        assert_eq!(parse(&format!("{} 0x3 0x0 0x0", libc::SYS_wait4)), None);
        for line in ["running", "-1 0x7ffd48412198 0x7f93793b12ad", "", "0", "0 x y"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_process_that_ends_does_not_wait() {
        // It takes a while to give its memory back, and may not be looked at meanwhile (Linux 6.18).
        let mut denied = 0;
        for _ in 0..200 {
            let child = sys::fork(|| {
                let memory = vec![1_u8; 8 << 20];
                i32::from(std::hint::black_box(memory).is_empty())
            });
            let child = child.unwrap();
            let mut readers = Readers::new(child, false, None);
            while !std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap().contains(") Z ") {
                denied += i32::from(std::fs::read(format!("/proc/{child}/syscall")).is_err());
                assert_ne!(readers.waiting(true), Waiting::Unknown);
            }
            sys::wait_for(child).unwrap();
        }
        eprintln!("{denied} times it could not be looked at");
    }

    #[test]
    fn processes_that_wait_for_a_file_are_found_by_each_call() {
        // The "terminal" is a pipe here: its name is what counts.
        let (hears, _tells) = sys::pipe().unwrap();
        let name = std::fs::read_link(format!("/proc/self/fd/{}", hears.as_raw_fd())).unwrap();
        let fd = hears.as_raw_fd();
        let (other, _other) = sys::pipe().unwrap();
        let other = other.as_raw_fd();
        let waits: [(&dyn Fn() -> sys::Result<()>, bool); 3] = [
            (&|| sys::read(UnownedFd::new(fd).as_fd(), &mut [0]).map(|_| ()), true),
            (&|| sys::poll(&mut [Poll::read(other), Poll::read(fd)], None), true),
            (&|| sys::poll(&mut [Poll::read(other), Poll::end(fd)], None), false),
        ];
        for (wait, expected) in waits {
            let child = sys::fork(|| i32::from(wait().is_err())).unwrap();
            let mut readers = Readers { terminal: name.clone(), ..Readers::new(child, false, None) };
            let asleep = || {
                let text = std::fs::read_to_string(format!("/proc/{child}/syscall")).unwrap_or_default();
                parse(&text).is_some()
            };
            while !asleep() {
                std::thread::yield_now();
            }
            let found = readers.waiting(true);
            let _ = sys::kill(child, libc::SIGKILL);
            sys::wait_for(child).unwrap();
            assert_eq!(found == Waiting::Yes, expected);
        }
    }
}
