//! Our signals, most of which are for the program, and job control.

use super::{State, Supervisor};
use crate::child::{Message, Session};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::events::Events;
use crate::launch::relay::tty;
use crate::launch::signals::is_end;
use crate::spec::Tty;
use crate::sys;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long a start may go on after a signal asked for the end.
const TERMINATION_GRACE: Duration = Duration::from_secs(1);

impl Supervisor<'_> {
    pub(super) fn on_signals(&mut self, status: &mut dyn Events) -> Result<()> {
        while let Some(arrived) = self.sandbox.signals.next() {
            match self.state {
                State::SettingUp => self.on_early_signal(arrived)?,
                _ => self.on_signal(arrived, status),
            }
        }
        Ok(())
    }

    /// A signal while there is nobody yet to hand it on to.
    fn on_early_signal(&mut self, arrived: sys::Arrived) -> Result<()> {
        if is_end(arrived.signal) {
            let error = Error::new(format!("signal {} came before the program started", arrived.signal));
            return Err(error.status(exit::SIGNALED + arrived.signal as u8));
        }
        // Once each, as the kernel keeps them.
        if !self.early.iter().any(|early| early.signal == arrived.signal) {
            self.early.push(arrived);
        }
        Ok(())
    }

    /// Hands on what came before the first process could be told.
    pub(super) fn hand_on_early_signals(&mut self, status: &mut dyn Events) {
        for arrived in std::mem::take(&mut self.early) {
            self.on_signal(arrived, status);
        }
    }

    fn on_signal(&mut self, arrived: sys::Arrived, status: &mut dyn Events) {
        let shared = matches!(self.sandbox.given.process.session, Session::Inherit { .. });
        match arrived.signal {
            libc::SIGCHLD | libc::SIGPIPE | libc::SIGTTOU | libc::SIGTTIN => {}
            libc::SIGWINCH => self.relay.resize(),
            libc::SIGUSR1 if self.sandbox.plan.resources.stats => status.figures(&self.figures(), false),
            libc::SIGCONT => self.go_on(),
            // What the terminal sends has reached a program that shares it; if ^Z stops it, PID 1 says so.
            _ if !arrived.from_process && shared && self.group.is_none() => {}
            // It is handed on as soon as there is somebody who does that; what holds the start up may do so for ever.
            signal if !self.started() && is_end(signal) => {
                self.skip_final_output = true;
                if self.sandbox.given.process.init && !self.sandbox.given.process.tells_start {
                    // It may have started long ago.
                    let _ = sys::send_now(self.sandbox.socket.as_fd(), &Message::TellStart.encode());
                }
                self.kill(signal);
                self.pending_termination.get_or_insert((Instant::now() + TERMINATION_GRACE, signal));
            }
            signal => {
                self.skip_final_output |= is_end(signal);
                self.kill(signal);
            }
        }
    }

    /// The program was stopped. If that is job control on a terminal that is ours, so are we, for the shell to see. A program that
    /// stops itself otherwise must not stop the clock, or our ears.
    pub(super) fn on_stop(&mut self, signal: i32) {
        let job_control = matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        // A program in our own process group is stopped with us, by the terminal.
        let ours = self.sandbox.plan.process.tty == Tty::Shared;
        if !job_control || ours || tty().is_none() || self.sandbox.given.process.session == Session::Detached {
            return;
        }
        // A program may stop itself to stop our clock: where there is one, it wakes us. Without an alarm, of which the user has only
        // so many and the program may have them all, we stay awake.
        let alarm =
            self.deadline.map(|deadline| sys::continue_after(deadline.saturating_duration_since(Instant::now())));
        if matches!(alarm, Some(None)) {
            return;
        }
        self.take_back();
        self.relay.suspend();
        sys::stop_self();
        drop(alarm);
        self.go_on();
    }

    /// The shell says that we go on: in the foreground with the terminal, in the background without.
    fn go_on(&mut self) {
        if let (Some(group), Some(tty)) = (self.group, tty().filter(|tty| sys::in_foreground(*tty))) {
            let _ = sys::give_foreground(tty, group);
        }
        self.relay.resume();
        self.kill(libc::SIGCONT);
    }

    /// The terminal that was handed to the program is our group's again.
    pub(super) fn take_back(&self) {
        if let (Some(group), Some(tty)) = (self.group, tty())
            && sys::foreground_group(tty) == group
        {
            let _ = sys::take_foreground(tty);
        }
    }
}
