//! Signals: all are blocked and read from a descriptor, so that no handler ever runs.

use super::errno::{Result, done};
use super::fd::owned;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// A set of signals, as the kernel had it.
#[derive(Clone, Copy)]
pub struct Mask(libc::sigset_t);

/// Blocks every signal but these; gives the mask that was before.
pub fn block_all_but(free: &[i32]) -> Result<Mask> {
    // SAFETY: sigfillset initialises the set; the old one is filled by the call.
    unsafe {
        let mut all = std::mem::zeroed();
        let mut old = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        for signal in free {
            libc::sigdelset(&raw mut all, *signal);
        }
        done(libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut old))?;
        Ok(Mask(old))
    }
}

impl Mask {
    /// The same without this signal.
    #[must_use]
    pub fn without(mut self, signal: i32) -> Mask {
        // SAFETY: the set was filled by the kernel.
        unsafe { libc::sigdelset(&raw mut self.0, signal) };
        self
    }
}

/// Sets the mask.
pub fn restore(mask: &Mask) -> Result<()> {
    // SAFETY: the set was filled by the kernel.
    done(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const mask.0, std::ptr::null_mut()) })
}

/// A descriptor that every signal can be read from while it is blocked (signalfd(2)).
pub fn signal_descriptor() -> Result<OwnedFd> {
    // SAFETY: sigfillset initialises the set.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        owned(libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())
    }
}

/// For a process that waits for children alone: SIGCHLD is blocked and read from this descriptor, everything else is ignored and
/// so never queued. What is left queued by others would count against the user's limit.
pub fn child_descriptor() -> Result<OwnedFd> {
    // SAFETY: ignoring is valid for every signal but SIGKILL and SIGSTOP, which give an error; the set is initialised.
    unsafe {
        for signal in (1..=64).filter(|signal| *signal != libc::SIGCHLD) {
            libc::signal(signal, libc::SIG_IGN);
        }
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        done(libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()))?;
        owned(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())
    }
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Its number.
    pub signal: i32,
    /// Whether a process sent it (kill and the like), rather than the kernel or a terminal.
    pub from_process: bool,
}

/// The next signal, if one is waiting.
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<Arrived> {
    // SAFETY: the struct is plain data and the kernel writes whole ones.
    unsafe {
        let mut info = std::mem::zeroed::<libc::signalfd_siginfo>();
        let size = size_of::<libc::signalfd_siginfo>();
        let n = libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size);
        (n == size as isize).then_some(Arrived { signal: info.ssi_signo as i32, from_process: info.ssi_code <= 0 })
    }
}

/// A timer that lets this process go on.
pub struct Alarm(libc::timer_t);

/// Sends SIGCONT to this process after a time: the one signal that wakes what is stopped. None where the user has no timers left.
pub fn continue_after(time: std::time::Duration) -> Option<Alarm> {
    // SAFETY: the structs are plain data that the calls read; the timer is deleted once.
    unsafe {
        let mut event = std::mem::zeroed::<libc::sigevent>();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGCONT;
        let mut timer = std::mem::zeroed();
        if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) != 0 {
            return None;
        }
        let mut when = std::mem::zeroed::<libc::itimerspec>();
        when.it_value.tv_sec = time.as_secs() as libc::time_t;
        when.it_value.tv_nsec = libc::c_long::from(time.subsec_nanos().max(1));
        libc::timer_settime(timer, 0, &raw const when, std::ptr::null_mut());
        Some(Alarm(timer))
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: a timer of ours that has not been deleted.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// Stops this process as job control does.
pub fn stop_self() {
    // SAFETY: SIGSTOP cannot be blocked or handled.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Sets the default action for SIGPIPE, which we ignore and exec would hand on.
pub fn default_sigpipe() {
    // SAFETY: the default action is always valid.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Sets the default action for SIGCHLD: with a caller's SIG_IGN, which exec hands on, children could not be waited for.
pub fn default_sigchld() {
    // SAFETY: the default action is always valid.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Ignores SIGPIPE, so that a closed pipe is an error of write(2). Gives whether it was ignored before.
pub fn ignore_sigpipe() -> bool {
    // SAFETY: ignoring is always valid.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) == libc::SIG_IGN }
}
