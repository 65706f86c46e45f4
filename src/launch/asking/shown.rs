//! A question that is shown, by a process of its own: the launcher goes on meanwhile.

use super::answer::Answer;
use super::question::Question;
use super::way::{Way, Ways};
use super::{notification, terminal};
use crate::sys::{self, Poll};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// How long its process may take to end, in milliseconds.
const ENDING: i32 = 3000;

/// A question that is shown.
pub(super) struct Shown {
    /// The answer comes by it. The process ends when this is closed.
    socket: Option<OwnedFd>,
    /// The process; none if it cannot be made.
    process: Option<OwnedFd>,
}

impl Shown {
    /// Shows a question. Where that cannot be, nobody answers.
    pub fn new(ways: &Ways, question: &Question) -> Shown {
        let Ok((ours, theirs)) = sys::seqpacket_pair() else { return Shown { socket: None, process: None } };
        let way = ways.now();
        let pid = sys::fork(|| {
            // Nothing else stays open: it must not hold open what is to end with the launcher.
            if sys::close_all_but(&[theirs.as_raw_fd()]).is_err() {
                return 1;
            }
            let answer = match way {
                Some(Way::Terminal(terminal)) => terminal::ask(terminal, question, theirs.as_fd()),
                Some(Way::Bus(address)) => notification::ask(address, question, theirs.as_fd()),
                None => Answer::None,
            };
            i32::from(sys::send(theirs.as_fd(), answer.word().as_bytes(), None).is_err())
        });
        // Without a process, the other end is closed: there is an answer at once.
        let process = pid.ok().and_then(|pid| match sys::pidfd_open(pid) {
            Ok(pidfd) => Some(pidfd),
            Err(_) => {
                let _ = sys::wait_for(pid);
                None
            }
        });
        Shown { socket: Some(ours), process }
    }

    /// The descriptor that is ready to read when there is an answer.
    pub fn fd(&self) -> RawFd {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// The answer, which has come.
    pub fn answer(self) -> Answer {
        let mut word = [0; 16];
        match self.socket.as_ref().map(|socket| sys::receive(socket.as_fd(), &mut word)) {
            Some(Ok((length, _))) => Answer::of(&String::from_utf8_lossy(word.get(..length).unwrap_or_default())),
            _ => Answer::None,
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // It takes the question back, and ends.
        drop(self.socket.take());
        if let Some(pidfd) = &self.process {
            let mut set = [Poll::read(pidfd.as_raw_fd())];
            let polled = sys::poll(&mut set, Some(ENDING));
            if polled.is_err() || !set.iter().any(|ended| ended.ready) {
                let _ = sys::pidfd_signal(pidfd.as_fd(), libc::SIGKILL);
            }
            let _ = sys::wait_end(pidfd.as_fd());
        }
    }
}
