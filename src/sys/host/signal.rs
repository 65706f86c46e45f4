//! Signals and timers that only the launcher uses.

use crate::sys::child::{Mask, block, descriptor_for, kill, pid, set_disposition, set_dumpable};
use crate::sys::errno::Result;
use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::Duration;

/// Blocks every signal but these; gives the mask that was before.
pub fn block_all_but(free: &[i32]) -> Result<Mask> {
    block(&free.iter().fold(Mask::ALL, |all, signal| all.without(*signal)))
}

/// A descriptor from which every signal can be read while it is blocked: signalfd(2).
pub fn signal_descriptor() -> Result<OwnedFd> {
    descriptor_for(&Mask::ALL)
}

/// The name of a signal, such as SIGSEGV; a number for real-time signals.
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}

/// The number of a signal that a text names: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+1`.
pub fn signal_named(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=libc::SIGRTMAX()).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |base: i32, rest: &str, sign: i32| match rest {
        "" => Some(base),
        rest => rest.get(1..)?.parse::<i32>().ok().map(|number| base + sign * number),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => real_time(libc::SIGRTMIN(), rest, 1)?,
        (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => real_time(libc::SIGRTMAX(), rest, -1)?,
        _ => return format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32),
    };
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(number)
}

/// The timer of [`continue_after`]. Dropping it stops the timer.
pub struct Alarm(#[expect(dead_code, reason = "the timer is deleted when it is dropped")] Timer);

/// Sends SIGCONT, the one signal that wakes a stopped process, to this process after a time. `None` if no timer can be
/// made: they count against the user's limit of pending signals (timer_create(2)).
pub fn continue_after(time: Duration) -> Option<Alarm> {
    let event = SigEvent::new(SigevNotify::SigevSignal { signal: Signal::SIGCONT, si_value: 0 });
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event).ok()?;
    // A time of 0 would disarm the timer.
    let time = time.max(Duration::from_nanos(1));
    timer.set(Expiration::OneShot(time.into()), TimerSetTimeFlags::empty()).ok()?;
    Some(Alarm(timer))
}

/// alarm(2): sends SIGALRM, which kills a process that does not handle it, to this process after so many seconds.
pub fn end_after(seconds: u32) {
    nix::unistd::alarm::set(seconds);
}

/// Stops this process by a signal of job control, and with `group` all of its process group, until SIGCONT comes. The signal is one that is
/// blocked otherwise. If nobody could continue the group (it is orphaned: setpgid(2)), the kernel stops nothing.
pub fn stop_by(signal: i32, group: bool) {
    set_disposition(signal, libc::SIG_DFL);
    let _ = crate::sys::kill(if group { 0 } else { crate::sys::pid() }, signal);
    // It stops within the first of these calls.
    if let Ok(mask) = block_all_but(&[signal]) {
        let _ = crate::sys::restore(&mask);
    }
}

/// Ignores SIGTTOU, which would stop a process that sets a terminal from the background.
pub fn ignore_ttou() {
    set_disposition(libc::SIGTTOU, libc::SIG_IGN);
}

/// Ends this process by a signal's default action, but without a core dump: it would be the launcher's, and nobody asked for that.
/// Returns if the signal does not end it, as where this process is the PID 1 of a pid namespace.
pub fn die_by(signal: i32) {
    let _ = set_dumpable(false);
    set_disposition(signal, libc::SIG_DFL);
    if kill(pid(), signal).is_ok() {
        let _ = block(&Mask::ALL.without(signal));
    }
}

/// Sets the default action for SIGCHLD. SIG_IGN may have been inherited from the caller; with it, children could not be
/// waited for.
pub fn default_sigchld() {
    set_disposition(libc::SIGCHLD, libc::SIG_DFL);
}

/// Ignores SIGXFSZ, so that a write(2) beyond the limit of a file's size (RLIMIT_FSIZE) fails with EFBIG. Gives whether it
/// was ignored before.
pub fn ignore_sigxfsz() -> bool {
    set_disposition(libc::SIGXFSZ, libc::SIG_IGN) == libc::SIG_IGN
}

/// Ignores SIGPIPE, so that a write(2) to a closed pipe fails with EPIPE. Gives whether the caller ignored it: whether it was ignored
/// at the first of these calls.
pub fn ignore_sigpipe() -> bool {
    static BEFORE: OnceLock<bool> = OnceLock::new();
    let before = set_disposition(libc::SIGPIPE, libc::SIG_IGN) == libc::SIG_IGN;
    *BEFORE.get_or_init(|| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_number() {
        for (text, signal) in [("TERM", 15), ("SIGKILL", 9), ("sighup", 1), ("9", 9), ("RTMIN", libc::SIGRTMIN())] {
            assert_eq!(signal_named(text), Some(signal), "{text}");
        }
        assert_eq!(signal_named("RTMIN+2"), Some(libc::SIGRTMIN() + 2));
        assert_eq!(signal_named("SIGRTMAX-1"), Some(libc::SIGRTMAX() - 1));
        for text in ["", "0", "-1", "65", "SIG", "NOSUCH", "RTMIN-1", "RTMAX+1", "RTMIN+99", "RTMIN+", "9x"] {
            assert_eq!(signal_named(text), None, "{text}");
        }
    }
}
