//! Job control: the launcher stops when its program does, and goes on with it, so that the caller's shell sees one job.

use super::Supervisor;
use crate::child::{Message, Session};
use crate::launch::events::Events;
use crate::launch::terminal::tty;
use crate::spec::Tty;
use crate::sys;
use std::os::fd::AsFd;
use std::time::Instant;

impl Supervisor<'_> {
    /// Sends a signal to the program's process group; to the program alone if the caller's processes are in that group.
    pub(super) fn kill_group(&self, signal: i32) {
        let (given, first) = (&self.sandbox.given.process, &self.sandbox.first);
        match given.session {
            _ if given.init => {
                let _ = sys::send_now(self.sandbox.socket.as_fd(), &Message::SignalGroup(signal).encode());
            }
            Session::Inherit { own_group: false, .. } => first.signal(signal),
            // The first process became the program, and leads its group. The number is its own until it is reaped.
            _ if first.pid() > 0 && sys::kill(-first.pid(), signal).is_ok() => {}
            _ => first.signal(signal),
        }
    }

    /// The program was stopped. If there is a shell that sees it, the launcher stops as well. A program that stops itself otherwise must not stop the
    /// launcher's time limit and signals.
    pub(super) fn on_stop(&mut self, signal: i32) {
        // A program in the launcher's process group is stopped together with it, by the terminal.
        if self.sandbox.plan.process.tty == Tty::Shared || tty().is_none() {
            return;
        }
        let for_terminal = matches!(signal, libc::SIGTTIN | libc::SIGTTOU);
        // It has come to the foreground since: it was stopped before PID 1 was told that, or before that was told here.
        if for_terminal
            && self.relay.foreground() == Some(true)
            && (!self.foreground || std::mem::take(&mut self.came_forward))
        {
            self.go_on();
            self.came_forward = false;
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
        // The terminal has stopped the others of the job already, and SIGSTOP stops one process. By another signal than that, since it would
        // stop the launcher even where nobody can continue it.
        let group = !std::mem::take(&mut self.stopped_by_terminal) && signal != libc::SIGSTOP;
        sys::stop_by(if for_terminal { signal } else { libc::SIGTSTP }, group);
        drop(alarm);
        self.go_on();
    }

    /// SIGCONT has come: the program goes on, in the foreground with the terminal, in the background without.
    pub(super) fn go_on(&mut self) {
        self.stopped_by_terminal = false;
        if let (Some(group), Some(tty)) = (self.group, tty().filter(|tty| sys::in_foreground(*tty))) {
            let _ = sys::give_foreground(tty, group);
        }
        self.follow_foreground();
        self.relay.resume();
        self.kill_group(libc::SIGCONT);
    }

    /// Has PID 1 move the program's terminal to the foreground or the background, as sbx's own job is.
    pub(super) fn follow_foreground(&mut self) {
        let Some(foreground) = self.relay.foreground() else { return };
        if foreground == self.foreground || !self.sandbox.given.process.init {
            return;
        }
        let message = Message::Foreground(foreground).encode();
        // If the socket is full, it is tried again.
        if sys::send_now(self.sandbox.socket.as_fd(), &message).is_ok() {
            self.foreground = foreground;
            self.came_forward = foreground;
            if foreground {
                self.relay.resume();
            }
        }
    }

    /// The caller's terminal has hung up: so does the program's. The end of the terminal alone would tell PID 1, which leads the session.
    pub(super) fn on_hang_up(&mut self, status: &mut dyn Events) {
        self.skip_final_output = true;
        self.relay.hang_up();
        self.kill_group(libc::SIGHUP);
        self.kill_group(libc::SIGCONT);
        self.thaw(status);
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
