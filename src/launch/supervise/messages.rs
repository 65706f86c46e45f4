//! Handles the messages of the first process.

use super::{State, Supervisor};
use crate::child::{self, Message, Session};
use crate::error::{Error, Result};
use crate::launch::events::Events;
use crate::launch::message::{Received, receive};
use crate::launch::outcome::Outcome;
use crate::launch::uppers::Uppers;
use crate::launch::{terminal, wording};
use crate::state::Answer;
use crate::sys::{self, Poll, Waited};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

/// How many messages are read in one turn.
const MESSAGES: u32 = 64;

impl Supervisor<'_> {
    /// Messages have come, or the first process has closed its socket.
    pub(super) fn on_messages(&mut self, status: &mut dyn Events) -> Result<()> {
        self.on_message(status)?;
        // Where the program's output is read, each turn may take long, and the program can have as many messages sent as it likes.
        let mut left = MESSAGES;
        while !self.outputs.is_empty() && self.state == State::Started && left > 0 {
            let mut set = [Poll::read(self.sandbox.socket.as_raw_fd())];
            if sys::poll(&mut set, Some(0)).is_err() || !set[0].ready {
                break;
            }
            self.on_message(status)?;
            left -= 1;
        }
        Ok(())
    }

    fn on_message(&mut self, status: &mut dyn Events) -> Result<()> {
        let Received { message, fd, text, .. } = match receive(self.sandbox.socket.as_fd()) {
            Ok(Received { end: true, .. }) | Err(_) => return self.on_last_message(status),
            Ok(received) => received,
        };
        match message {
            Some(Message::Ready) => self.ready = true,
            // The program runs: a failure of PID 1 from here on is the program's doing, or an accident, and ends the
            // sandbox.
            Some(Message::Failed { .. }) if self.started() => self.state = State::Over,
            Some(Message::Failed { place, call, errno }) => {
                self.sandbox.uppers.iter_mut().for_each(Uppers::never_used);
                self.give_up(status);
                let found = self.found.take();
                return Err(wording::failure(self.sandbox.plan, &self.sandbox.given, (place, call, errno), found));
            }
            Some(Message::Terminal) => {
                if let (Some(master), Session::Pty(_)) = (fd, self.sandbox.given.process.session) {
                    match self.state {
                        State::SettingUp => self.terminal = Some(master),
                        State::Starting => self.start_relay(master)?,
                        State::Started | State::Alone | State::Over => {}
                    }
                }
            }
            Some(Message::Served) => {
                self.served = fd;
                self.ready = true;
            }
            Some(Message::Netfilter) => self.filter = fd,
            Some(Message::Reopened(number)) => self.reopened.extend(fd.map(|fd| (number, fd))),
            Some(Message::Started) => self.on_start(status),
            Some(Message::Elsewhere(index)) => {
                let cwd = &self.sandbox.plan.process.cwd;
                let dir = cwd.get(index as usize).map(|dir| dir.display().to_string()).unwrap_or_default();
                let wanted = cwd.first().map(|dir| dir.display().to_string()).unwrap_or_default();
                status.note(&format!("the program starts in {dir}: {wanted} cannot be entered inside"));
            }
            Some(Message::Found) => self.found = text,
            Some(Message::Partly(index)) => status.partly(index as usize),
            Some(Message::Full(dirs)) => {
                let memory = self.sandbox.plan.view.memory.as_ref();
                if let Some(text) =
                    memory.and_then(|memory| memory.full((0..31).filter(|index| dirs & 1 << index != 0)))
                {
                    status.note(&text);
                }
            }
            Some(Message::Hints(seen)) => self.hints = seen,
            Some(Message::Changed(count)) => self.changed = count,
            Some(Message::Uncovered(index)) => {
                if let Some(text) = self.sandbox.plan.uncovered(index as usize) {
                    status.note(&text);
                }
            }
            Some(Message::Left) => self.goes_on = true,
            Some(Message::FurtherTerminal(number)) => self.on_further_terminal(number, fd),
            Some(Message::FurtherStarted(number)) => self.on_further_start(number, status),
            Some(Message::FurtherFailed { number, call, errno }) => {
                self.on_further_failure(number, (call, errno), status);
            }
            Some(Message::FurtherEnded { number, status: code }) => {
                self.on_further_end(number, Answer { status: Some(code), ..Answer::default() }, status);
            }
            Some(Message::Stopped(signal)) => self.on_stop(signal),
            // The last message: PID 1 ends after it.
            Some(Message::Exited(status)) => self.end_with(Outcome::Exited(status)),
            Some(Message::Signaled(signal)) => self.end_with(Outcome::Signaled(signal)),
            _ => {}
        }
        Ok(())
    }

    fn end_with(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.state = State::Over;
    }

    /// PID 1 has executed the program.
    fn on_start(&mut self, status: &mut dyn Events) {
        self.state = State::Started;
        self.program_ran = true;
        status.started(self.sandbox.first.pid());
        if let (Session::Inherit { terminal: Some(_), .. }, Some(tty)) =
            (self.sandbox.given.process.session, terminal::tty())
        {
            self.group = Some(sys::foreground_group(tty)).filter(|_| !sys::in_foreground(tty));
        }
        self.rest = Some(Instant::now() + child::BEFORE_REST);
    }

    /// The first process has closed its socket: it has ended, or has become the program.
    fn on_last_message(&mut self, status: &mut dyn Events) -> Result<()> {
        if self.state == State::SettingUp {
            return Err(match self.sandbox.first.wait() {
                Ok(Waited::Signaled(libc::SIGSYS)) => wording::filtered(),
                Ok(Waited::Signaled(signal)) if signal != libc::SIGKILL => wording::fault(signal),
                _ => Error::new("the sandbox ended before it was set up").hint("it may have been killed"),
            });
        }
        if self.sandbox.given.process.init || self.state != State::Starting || self.outcome.is_some() {
            self.state = State::Over;
            return Ok(());
        }
        // Exec closed the socket, which is how a first process that becomes the program says that it happened.
        status.started(self.sandbox.first.pid());
        self.state = State::Alone;
        Ok(())
    }
}
