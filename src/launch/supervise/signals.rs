//! Handles the launcher's signals, most of which are forwarded to the program.

use super::{State, Supervisor};
use crate::child::{Message, Session};
use crate::error::{Error, Result};
use crate::exit;
use crate::launch::events::Events;
use crate::launch::signals::is_end;
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
        let session = self.sandbox.given.process.session;
        let shared = matches!(session, Session::Inherit { .. });
        let key = !arrived.from_process && matches!(arrived.signal, libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP);
        self.note(arrived);
        match arrived.signal {
            libc::SIGCHLD | libc::SIGPIPE => {}
            // The terminal tells its foreground group, of which a program in another session is no part.
            libc::SIGWINCH if matches!(session, Session::Detached { own_group: true }) => {
                self.kill_group(libc::SIGWINCH)
            }
            libc::SIGWINCH => self.relay.resize(),
            libc::SIGUSR1 if self.sandbox.plan.resources.stats => status.figures(&self.figures(), false),
            libc::SIGCONT => self.go_on(),
            // A signal from the terminal has reached a program that shares it; if ^Z stops that, PID 1 reports it.
            _ if !arrived.from_process && shared && self.group.is_none() => {
                if is_end(arrived.signal) {
                    self.thaw(status);
                }
            }
            // It is forwarded as soon as PID 1 is able to; but a start may hang for ever, so it also gets a deadline.
            signal if !self.started() && is_end(signal) => {
                self.skip_final_output = true;
                if self.sandbox.given.process.init && !self.sandbox.given.process.tells_start {
                    // The program may have started long ago, without a message.
                    let _ = sys::send_now(self.sandbox.socket.as_fd(), &Message::TellStart.encode());
                }
                self.hand_on(signal);
                self.pending_termination.get_or_insert((Instant::now() + TERMINATION_GRACE, signal));
            }
            // The program's own terminal sends it on, to the group that is in the foreground there.
            signal if key && self.relay.signal(signal) => {
                if is_end(signal) {
                    self.thaw(status);
                }
            }
            libc::SIGHUP if self.relay.hang_up() => self.on_hang_up(status),
            signal => {
                self.skip_final_output |= is_end(signal) && !key;
                self.hand_on(signal);
                // An end that is asked for, as at the end of a session, does not wait until somebody has it go on.
                if is_end(signal) {
                    self.thaw(status);
                }
            }
        }
    }

    /// Remembers what the caller's terminal has done to sbx's process group.
    fn note(&mut self, arrived: sys::Arrived) {
        match arrived.signal {
            _ if arrived.from_process => {}
            libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => self.stopped_by_terminal = true,
            libc::SIGINT | libc::SIGQUIT => self.interrupted = Some(arrived.signal),
            _ => {}
        }
    }

    /// Reports signals that came while the program ended: the one that ended it may be read after PID 1's message.
    pub(in crate::launch) fn note_last_signals(&mut self, status: &mut dyn Events) {
        while let Some(arrived) = self.sandbox.signals.next() {
            status.signal(arrived.signal);
            self.note(arrived);
            self.skip_final_output |= arrived.from_process && is_end(arrived.signal);
        }
    }

    /// Hands a signal on to the program, or to its whole process group if that is whom a shell or a terminal would have sent it.
    fn hand_on(&self, signal: i32) {
        match signal {
            libc::SIGINT | libc::SIGQUIT | libc::SIGHUP => self.kill_group(signal),
            // Another process of sbx's group has read the terminal in the background, which stops them all.
            libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => self.kill_group(signal),
            _ => self.kill(signal),
        }
    }
}
