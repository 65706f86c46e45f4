//! Handles the launcher's signals, most of which are forwarded to the program, and job control.

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
            status.signal(arrived.signal);
            match self.state {
                State::SettingUp => self.on_early_signal(arrived)?,
                _ => self.on_signal(arrived, status),
            }
        }
        Ok(())
    }

    /// A signal during set-up: one that asks for the end is an error, and others are kept for the program.
    fn on_early_signal(&mut self, arrived: sys::Arrived) -> Result<()> {
        if is_end(arrived.signal) {
            let error = Error::new(format!("signal {} came before the program started", arrived.signal));
            return Err(error.status(exit::SIGNALED + arrived.signal as u8));
        }
        // Each one once, as the kernel keeps pending signals.
        if !self.early.iter().any(|early| early.signal == arrived.signal) {
            self.early.push(arrived);
        }
        Ok(())
    }

    /// Forwards the signals that came during set-up.
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
            // A signal from the terminal has reached a program that shares it; if ^Z stops that, PID 1 reports it.
            _ if !arrived.from_process && shared && self.group.is_none() => {}
            // It is forwarded as soon as PID 1 is able to; but a start may hang for ever, so it also gets a deadline.
            signal if !self.started() && is_end(signal) => {
                self.skip_final_output = true;
                if self.sandbox.given.process.init && !self.sandbox.given.process.tells_start {
                    // The program may have started long ago, without a message.
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

    /// The program was stopped. If that is job control on the launcher's terminal, the launcher stops as well, for the
    /// shell to see. A program that stops itself otherwise must not stop the launcher's time limit and signals.
    pub(super) fn on_stop(&mut self, signal: i32) {
        let job_control = matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        // A program in the launcher's process group is stopped together with it, by the terminal.
        let ours = self.sandbox.plan.process.tty == Tty::Shared;
        if !job_control || ours || tty().is_none() || self.sandbox.given.process.session == Session::Detached {
            return;
        }
        // A program may stop itself to stop the time limit: if there is one, a timer wakes the launcher. A user has
        // only so many timers, and the program may have used them all; without one the launcher does not stop.
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

    /// SIGCONT has come: the program goes on, in the foreground with the terminal, in the background without.
    fn go_on(&mut self) {
        if let (Some(group), Some(tty)) = (self.group, tty().filter(|tty| sys::in_foreground(*tty))) {
            let _ = sys::give_foreground(tty, group);
        }
        self.relay.resume();
        self.kill(libc::SIGCONT);
    }

    /// Takes the terminal back from the program's process group.
    pub(super) fn take_back(&self) {
        if let (Some(group), Some(tty)) = (self.group, tty())
            && sys::foreground_group(tty) == group
        {
            let _ = sys::take_foreground(tty);
        }
    }
}
