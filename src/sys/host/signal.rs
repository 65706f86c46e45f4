//! Signals and timers of the launcher.

use crate::sys::child::{Mask, descriptor_for, dispose};
use crate::sys::errno::{Errno, Result};
use nix::sys::signal::{SigEvent, SigSet, SigevNotify, SigmaskHow, Signal, sigprocmask};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Blocks every signal but these; gives the mask that was before. EINVAL: one of them is no signal, or a real-time one.
pub fn block_all_but(free: &[i32]) -> Result<Mask> {
    let mut all = SigSet::all();
    for signal in free {
        all.remove(signal_of(*signal)?);
    }
    let mut old = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut old))?;
    Ok(Mask(old))
}

fn signal_of(number: i32) -> Result<Signal> {
    Signal::try_from(number).map_err(Errno::from)
}

impl Mask {
    /// The same mask without this signal.
    #[must_use]
    pub fn without(mut self, signal: i32) -> Mask {
        if let Ok(signal) = signal_of(signal) {
            self.0.remove(signal);
        }
        self
    }
}

/// A descriptor that every signal can be read from while it is blocked (signalfd(2)).
pub fn signal_descriptor() -> Result<OwnedFd> {
    descriptor_for(&SigSet::all())
}

/// A timer that lets this process go on.
pub struct Alarm(#[expect(dead_code, reason = "the timer is deleted when it is dropped")] Timer);

/// Sends SIGCONT to this process after a time: the one signal that wakes what is stopped. None where the user has no timers left.
pub fn continue_after(time: Duration) -> Option<Alarm> {
    let event = SigEvent::new(SigevNotify::SigevSignal { signal: Signal::SIGCONT, si_value: 0 });
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, event).ok()?;
    // A time of 0 would disarm it.
    let time = time.max(Duration::from_nanos(1));
    timer.set(Expiration::OneShot(time.into()), TimerSetTimeFlags::empty()).ok()?;
    Some(Alarm(timer))
}

/// alarm(2): SIGALRM, which ends a process that does not expect it, after so many seconds.
pub fn end_after(seconds: u32) {
    nix::unistd::alarm::set(seconds);
}

/// Stops this process as job control does.
pub fn stop_self() {
    let _ = nix::sys::signal::raise(Signal::SIGSTOP);
}

/// Sets the default action for SIGCHLD: with a caller's SIG_IGN, which exec hands on, children could not be waited for.
pub fn default_sigchld() {
    dispose(libc::SIGCHLD, libc::SIG_DFL);
}

/// Ignores SIGPIPE, so that a closed pipe is an error of write(2). Gives whether it was ignored before.
pub fn ignore_sigpipe() -> bool {
    dispose(libc::SIGPIPE, libc::SIG_IGN) == libc::SIG_IGN
}
