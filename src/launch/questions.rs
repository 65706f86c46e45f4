//! Questions of helpers to the user: each connection of a program to a proxy has a socket of its own to ask by. Questions are
//! shown one at a time, by a program of the host.

use super::helpers::ask;
use crate::proxy::LONGEST_QUESTION;
use crate::sys::{self, Poll, Waited};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// How many connections may ask. Further ones are told no.
const MOST: usize = 32;

/// How often the user says no before the program may ask no more: it could ask until somebody errs.
const MOST_DECLINED: u32 = 3;

/// All questions of a sandbox.
#[derive(Default)]
pub(super) struct Questions {
    askers: Vec<Asker>,
    declined: u32,
    told: bool,
}

/// One who may ask.
struct Asker {
    socket: OwnedFd,
    /// The program that shows the question.
    program: PathBuf,
    /// The question that is not answered.
    question: Option<String>,
    shown: Option<Shown>,
}

/// A question that is shown: the process of the program.
struct Shown {
    pidfd: OwnedFd,
    reaped: bool,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = sys::pidfd_signal(self.pidfd.as_fd(), libc::SIGKILL);
            let _ = sys::wait_end(self.pidfd.as_fd());
        }
    }
}

impl Questions {
    /// Adds one who may ask, by way of this program.
    pub fn add(&mut self, socket: OwnedFd, program: &Path) {
        if self.askers.len() < MOST {
            self.askers.push(Asker { socket, program: program.to_owned(), question: None, shown: None });
        }
    }

    /// The descriptors to wait for.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let shown = |asker: &Asker| asker.shown.as_ref().map(|shown| shown.pidfd.as_raw_fd());
        self.askers.iter().flat_map(move |asker| [Some(asker.socket.as_raw_fd()), shown(asker)]).flatten()
    }

    /// Takes what has come: questions, answers, and the ends of those who asked. Gives a note for the user, if there is one.
    pub fn go_on(&mut self) -> Option<String> {
        let declined = &mut self.declined;
        self.askers.retain_mut(|asker| {
            let there = asker.listen();
            // A question that is taken back counts, too: windows that come and go are clicked on.
            *declined += u32::from(!there && asker.shown.is_some());
            there && asker.answered(declined)
        });
        let mut note = None;
        while !self.askers.iter().any(|asker| asker.shown.is_some())
            && let Some(asker) = self.askers.iter_mut().find(|asker| asker.question.is_some())
        {
            let question = asker.question.clone().unwrap_or_default();
            if self.declined >= MOST_DECLINED {
                asker.answer(false);
                if !std::mem::replace(&mut self.told, true) {
                    note = Some("three questions were not answered with yes: the program may ask no more".to_owned());
                }
                continue;
            }
            match ask(&asker.program, &question) {
                Ok(pidfd) => asker.shown = Some(Shown { pidfd, reaped: false }),
                Err(errno) => {
                    let program = asker.program.display();
                    note = Some(format!("{program} cannot be started, and the answer is no: {errno}"));
                    asker.answer(false);
                }
            }
        }
        note
    }
}

impl Asker {
    /// Takes a question that has come. Whether it goes on: one who has closed the socket, or does not wait for the answer,
    /// does not.
    fn listen(&mut self) -> bool {
        let mut buffer = [0; LONGEST_QUESTION + 1];
        if !is_ready(self.socket.as_raw_fd()) {
            return true;
        }
        match sys::receive(self.socket.as_fd(), &mut buffer) {
            Ok((length @ 1..=LONGEST_QUESTION, _)) if self.question.is_none() => {
                let text = buffer.get(..length).unwrap_or_default();
                // What is shown comes from a process that has read the program's bytes.
                let text = String::from_utf8_lossy(text).replace(|c: char| c.is_control() && c != '\n', "?");
                self.question = Some(text);
                true
            }
            _ => false,
        }
    }

    /// Hands the answer on, once there is one. Whether it goes on.
    fn answered(&mut self, declined: &mut u32) -> bool {
        let Some(shown) = self.shown.as_mut().filter(|shown| is_ready(shown.pidfd.as_raw_fd())) else { return true };
        let yes = matches!(sys::wait_end(shown.pidfd.as_fd()), Ok(Waited::Exited(0)));
        shown.reaped = true;
        self.shown = None;
        *declined += u32::from(!yes);
        self.answer(yes)
    }

    fn answer(&mut self, yes: bool) -> bool {
        self.question = None;
        sys::send_now(self.socket.as_fd(), &[u8::from(yes)]).is_ok()
    }
}

fn is_ready(fd: RawFd) -> bool {
    let mut set = [Poll::read(fd)];
    sys::poll(&mut set, Some(0)).is_ok() && set.iter().any(|poll| poll.ready)
}
