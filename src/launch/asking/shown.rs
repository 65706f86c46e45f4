//! A question that is shown, by a process of its own: the launcher goes on meanwhile, and waits for it nowhere but at its own end.

use super::answer::{Answer, Said};
use super::question::{PATIENCE, Question};
use super::way::{Way, Ways};
use super::{notification, terminal};
use crate::sys::{self, Poll};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// How long its process may take to show the question and to end, beside the time for the answer.
const WORK: Duration = Duration::from_secs(15);

/// How long its process may take to end, once there is an answer.
const ENDING: Duration = Duration::from_secs(8);

/// How long its process may take to end with the launcher, in milliseconds.
const LAST: i32 = 3000;

/// How long the process waits for the line that it has to show.
const LINE: i32 = 2000;

/// The longest line that is shown.
const LONGEST: usize = 16384;

/// Before the reason why a question could not be shown, in the place of an answer.
const FAILED: char = '!';

/// A question that is shown.
pub(super) struct Shown {
    process: Process,
    until: Instant,
}

/// The process of a question.
pub(super) struct Process {
    /// The answer comes by it. The process ends when this is closed.
    socket: Option<OwnedFd>,
    pidfd: OwnedFd,
    /// When it is killed; none if it was.
    until: Option<Instant>,
}

impl Shown {
    /// Shows a question.
    ///
    /// # Errors
    ///
    /// There is no process for it: why.
    pub fn new(ways: &Ways, question: &Question) -> Result<Shown, String> {
        let way = ways.now().ok_or("sbx is in the background of its terminal")?;
        let (ours, theirs) = sys::seqpacket_pair().map_err(|errno| format!("a pair of sockets: {errno}"))?;
        let pid = sys::fork(|| {
            // Nothing else stays open: it must not hold open what is to end with the launcher.
            if sys::close_all_but(&[theirs.as_raw_fd()]).is_err() {
                return 1;
            }
            let said = match &way {
                Way::Terminal(terminal) => terminal::ask(terminal, question, theirs.as_fd()),
                Way::Bus { address, talks } => notification::ask(address, talks, question, theirs.as_fd()),
            };
            let word = match &said {
                Ok(answer) => answer.word().to_owned(),
                Err(why) => format!("{FAILED}{why}"),
            };
            let sent = sys::send(theirs.as_fd(), word.as_bytes(), None);
            if said == Ok(Answer::Always)
                && let Some(line) = line(theirs.as_fd())
            {
                match &way {
                    Way::Terminal(terminal) => terminal::tell(terminal, &line),
                    Way::Bus { address, .. } => notification::tell(address, &question.name, &line),
                }
            }
            i32::from(sent.is_err())
        });
        let pid = pid.map_err(|errno| format!("a process: {errno}"))?;
        let pidfd = sys::pidfd_open(pid).map_err(|errno| {
            // It is not waited for yet, so that the number is its own.
            let _ = sys::kill(pid, libc::SIGKILL);
            let _ = sys::wait_for(pid);
            format!("a process: {errno}")
        })?;
        let process = Process { socket: Some(ours), pidfd, until: None };
        Ok(Shown { process, until: Instant::now() + PATIENCE + WORK })
    }

    /// The descriptor that is ready to read when there is an answer.
    pub fn fd(&self) -> RawFd {
        self.process.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// When it is not waited for any more.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// What has become of it, so far as that is known now.
    pub fn said(&self) -> Option<Said> {
        let late = || (Instant::now() >= self.until).then(|| Err("what shows it does not answer".to_owned()));
        let mut set = [Poll::read(self.fd())];
        if sys::poll(&mut set, Some(0)).is_err() || !set.iter().any(|came| came.ready) {
            return late();
        }
        let mut word = [0; 512];
        let length = match self.process.socket.as_ref().map(|socket| sys::receive(socket.as_fd(), &mut word)) {
            Some(Ok((length @ 1.., _))) => length,
            _ => return Some(Err("what shows it has ended".to_owned())),
        };
        let word = String::from_utf8_lossy(word.get(..length).unwrap_or_default()).into_owned();
        Some(word.strip_prefix(FAILED).map_or_else(|| Ok(Answer::of(&word)), |why| Err(why.to_owned())))
    }

    /// Its process, which is to end now: after a line for the profile, if it waits for one.
    pub fn over(mut self, waits: bool) -> Process {
        if !waits {
            self.process.socket = None;
        }
        self.process.until = Some(Instant::now() + ENDING);
        self.process
    }
}

impl Process {
    /// The descriptor that is ready to read when it has ended.
    pub fn fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    /// When it is killed.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Has it show a line, if it waits for one, and end.
    pub fn tell(&mut self, line: Option<&str>) {
        if let (Some(socket), Some(line)) = (self.socket.take(), line) {
            let _ = sys::send(socket.as_fd(), line.as_bytes(), None);
        }
    }

    /// Whether it has ended. It is killed once its time is over.
    pub fn has_ended(&mut self) -> bool {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            self.until = None;
            let _ = sys::pidfd_signal(self.pidfd.as_fd(), libc::SIGKILL);
        }
        self.ends_within(0)
    }

    fn ends_within(&self, time: i32) -> bool {
        let mut set = [Poll::read(self.pidfd.as_raw_fd())];
        sys::poll(&mut set, Some(time)).is_ok() && set.iter().any(|ended| ended.ready)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It takes the question back, and ends.
        drop(self.socket.take());
        if !self.ends_within(LAST) {
            let _ = sys::pidfd_signal(self.pidfd.as_fd(), libc::SIGKILL);
        }
        let _ = sys::wait_end(self.pidfd.as_fd());
    }
}

/// The line for the profile, which the launcher tells once the name is allowed.
fn line(launcher: BorrowedFd<'_>) -> Option<String> {
    let mut set = [Poll::read(launcher.as_raw_fd())];
    sys::poll(&mut set, Some(LINE)).ok()?;
    let mut line = vec![0; LONGEST];
    let (length, _) = set.iter().any(|came| came.ready).then(|| sys::receive(launcher, &mut line))?.ok()?;
    (length > 0).then(|| String::from_utf8_lossy(line.get(..length).unwrap_or_default()).into_owned())
}
