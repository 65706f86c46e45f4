//! The sandbox's first process, as its parent handles it.

use crate::host;
use crate::sys::{self, Poll, Waited};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// The sandbox's first process. If it is dropped before its end was waited for, it is killed and reaped, unless it was told
/// to [`FirstProcess::leave`].
pub(super) struct FirstProcess {
    /// Its process id in the launcher's pid namespace; 0 if that is not known.
    pid: i32,
    pidfd: OwnedFd,
    /// Its end was waited for, or is none of the launcher's business any more.
    reaped: bool,
}

impl FirstProcess {
    /// A child that was just cloned.
    pub(super) fn new(pid: i32, pidfd: OwnedFd) -> FirstProcess {
        FirstProcess { pid, pidfd, reaped: false }
    }

    /// A child whose process id is not known from the call that made it, and is looked up by its pidfd.
    pub(super) fn numbered_by(pidfd: OwnedFd) -> FirstProcess {
        FirstProcess::new(number(pidfd.as_fd()), pidfd)
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Its pidfd, ready to read when it has ended.
    pub(super) fn fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    /// Sends a signal to it, unless it has ended.
    pub(super) fn signal(&self, signal: i32) {
        let _ = sys::pidfd_signal(self.pidfd.as_fd(), signal);
    }

    /// Whether a child of its has executed a program: it has done more than to prepare one. False where /proc does not tell.
    pub(super) fn has_executed(&self) -> bool {
        host::children(Path::new(&format!("/proc/{0}/task/{0}", self.pid)))
            .iter()
            .any(|child| std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| is_executed(&stat)))
    }

    /// Leaves it running when this is dropped.
    pub(super) fn leave(&mut self) {
        self.reaped = true;
    }

    /// How it ended, as std describes it for a child; `None` while it runs.
    pub(super) fn ended(&mut self) -> Option<String> {
        let mut set = [Poll::read(self.fd())];
        let polled = sys::poll(&mut set, Some(0));
        if polled.is_ok() && !set.iter().any(|poll| poll.ready) {
            return None;
        }
        Some(match self.wait() {
            Ok(Waited::Exited(status)) => format!("exit status: {status}"),
            Ok(Waited::Signaled(signal)) => format!("signal: {signal}"),
            Ok(_) => return None,
            Err(errno) => errno.to_string(),
        })
    }

    /// Waits for its end, and reaps it.
    pub(super) fn wait(&mut self) -> sys::Result<Waited> {
        let end = sys::wait_end(self.pidfd.as_fd())?;
        self.reaped = true;
        Ok(end)
    }
}

impl Drop for FirstProcess {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(libc::SIGKILL);
            let _ = self.wait();
        }
    }
}

/// Whether a process has executed a program since it was made: the flag PF_FORKNOEXEC in its line of /proc/PID/stat, proc(5).
fn is_executed(stat: &str) -> bool {
    const FORKNOEXEC: u64 = 0x40;
    // The name, in parentheses, may hold any characters.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace()
        .nth(6)
        .and_then(|flags| flags.parse::<u64>().ok())
        .is_some_and(|flags| flags & FORKNOEXEC == 0)
}

/// The process id of a process in this pid namespace, by /proc/self/fdinfo of its pidfd. 0 if it has none, or cannot be
/// read.
fn number(pidfd: BorrowedFd<'_>) -> i32 {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap_or_default();
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")).and_then(|pid| pid.trim().parse().ok());
    pid.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::is_executed;

    #[test]
    fn the_flags_of_a_process_say_whether_it_has_executed_a_program() {
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(is_executed(&own), "{own}");
        assert!(!is_executed("7 (a) b) S 1 7 7 0 -1 4194368 55 0"));
        assert!(!is_executed(""));
    }
}
