//! The log of a sandbox whose program writes to systemd's journal, as journalctl(1) prints it.

use crate::error::{Error, Result};
use crate::host::Helpers;
use crate::launch::Printed;
use crate::state::{Entry, Message, Said, Status, message};
use crate::sys;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long what the journal has not stored yet is waited for once the sandbox has ended, if it has not taken the word of that.
const LATE: Duration = Duration::from_secs(3);

/// The longest line that journalctl prints of a message of a sandbox's is far below this, in bytes.
const LONGEST: usize = 1 << 20;

/// What is done with a line; it says whether more are wanted.
type Each<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// Reads such a log.
pub(super) struct Journal {
    program: PathBuf,
    id: String,
    /// The journalctl that follows.
    printed: Option<Printed>,
    /// What was read, and not given away yet.
    rest: Vec<u8>,
    /// What is read is the rest of a line that is too long.
    skips: bool,
    /// Where the last message stands that was given away.
    cursor: Option<String>,
    /// When the program has ended last, as a message says, in nanoseconds since 1970.
    ended: Option<u64>,
    /// Since when nothing has come of a program that has ended.
    silent: Option<Instant>,
}

impl Journal {
    /// The log of a sandbox.
    ///
    /// # Errors
    ///
    /// There is no journalctl.
    pub(super) fn of(entry: &Entry) -> Result<Journal> {
        let helpers = Helpers::find(&["journalctl"], "");
        let program = helpers.get("journalctl").map_err(|why| {
            Error::new(format!(
                "what the program of {} writes is in the journal, and is read by journalctl, {why}",
                entry.called()
            ))
            .hint(format!("read it where there is one: journalctl CONTAINER_ID_FULL={}", entry.id))
        })?;
        Ok(Journal {
            program: program.to_owned(),
            id: entry.id.to_string(),
            printed: None,
            rest: Vec::new(),
            skips: false,
            cursor: None,
            ended: None,
            silent: None,
        })
    }

    /// Starts journalctl behind what was given away.
    fn start(&mut self, follow: bool) -> Result<Printed> {
        let (uid, _) = sys::ids();
        (self.rest, self.skips) = (Vec::new(), false);
        let mut words: Vec<String> = ["--quiet", "--no-pager", "--all", "--output=json"].map(str::to_owned).to_vec();
        if follow {
            words.extend(["--follow", "--no-tail"].map(str::to_owned));
        }
        words.extend(self.cursor.as_ref().map(|cursor| format!("--after-cursor={cursor}")));
        // Of this user's alone: others may send messages with any fields.
        words.extend([format!("_UID={uid}"), format!("CONTAINER_ID_FULL={}", self.id)]);
        Printed::by(&self.program, &words).map_err(|errno| self.failed(&errno.to_string()))
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(format!("the journal cannot be read: {}: {why}", self.program.display()))
            .hint("journalctl(1) says who may read it: a journal that is kept in memory alone, the groups systemd-journal and adm")
    }

    /// Reads what is there by now, and no more, however fast the program writes; calls for each line until that wants no more.
    ///
    /// # Errors
    ///
    /// journalctl fails.
    pub(super) fn present(&mut self, each: Each<'_>) -> Result<()> {
        let (now, mut buffer) = (sys::realtime_nanoseconds(), vec![0; 1 << 16]);
        let mut printed = self.start(false)?;
        loop {
            match printed.read(&mut buffer, true) {
                Ok(0) => break,
                Ok(count) => {
                    self.rest.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    if self.lines(Some(now), each).is_break() {
                        return Ok(());
                    }
                }
                Err(errno) => return Err(self.failed(&errno.to_string())),
            }
        }
        match printed.end() {
            Ok(sys::Waited::Exited(0)) => Ok(()),
            Ok(sys::Waited::Exited(status)) => Err(self.failed(&format!("it exits with status {status}"))),
            _ => Err(self.failed("it was killed")),
        }
    }

    /// Reads some of what has come since, without waiting; calls for each line until that wants no more. Gives whether there was anything.
    ///
    /// # Errors
    ///
    /// journalctl fails.
    pub(super) fn next(&mut self, each: Each<'_>) -> Result<bool> {
        let mut printed = match self.printed.take() {
            Some(printed) => printed,
            None => self.start(true)?,
        };
        let mut buffer = vec![0; 1 << 16];
        // What was left because no more was wanted.
        let mut any = self.rest.contains(&b'\n');
        match printed.read(&mut buffer, false) {
            Err(sys::Errno(libc::EAGAIN)) => {}
            Ok(count @ 1..) => {
                self.rest.extend_from_slice(buffer.get(..count).unwrap_or_default());
                any = true;
            }
            _ => return Err(self.failed("it has ended, although it was to follow")),
        }
        self.printed = Some(printed);
        if any {
            self.silent = None;
            let _ = self.lines(None, each);
        }
        Ok(any)
    }

    /// Whether something was found of this sandbox.
    pub(super) fn has_any(&self) -> bool {
        self.cursor.is_some()
    }

    /// Whether nothing more comes of a sandbox that has ended so.
    pub(super) fn is_over(&mut self, status: &Status) -> bool {
        let Status::Exited(begun) = status else { return self.is_silent() };
        self.ended.is_some_and(|ended| ended >= begun.started) || self.is_silent()
    }

    fn is_silent(&mut self) -> bool {
        self.silent.get_or_insert_with(Instant::now).elapsed() > LATE
    }

    /// Whether more is to come of a sandbox that has ended so, and that a moment ago.
    pub(super) fn is_awaited(&self, status: &Status) -> bool {
        let Status::Exited(begun) = status else { return false };
        let since = begun.finished.map(|finished| sys::realtime_nanoseconds().saturating_sub(finished));
        self.ended.is_none_or(|ended| ended < begun.started)
            && since.is_some_and(|since| Duration::from_nanos(since) < LATE)
    }

    /// Gives whole lines away, up to that time.
    fn lines(&mut self, until: Option<u64>, each: Each<'_>) -> ControlFlow<()> {
        let (mut at, mut flow) = (0, ControlFlow::Continue(()));
        while flow.is_continue() {
            let rest = self.rest.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
            let found = message(rest.get(..end).unwrap_or_default()).filter(|_| !self.skips);
            self.skips = false;
            if let Some(Message { cursor, time, said }) = found {
                if until.is_some_and(|until| time > until) {
                    flow = ControlFlow::Break(());
                    break;
                }
                self.cursor = Some(cursor);
                match said {
                    Said::Line(line) => flow = each(&line),
                    Said::End => self.ended = Some(time),
                }
            }
            at += end + 1;
        }
        self.rest.drain(..at);
        if self.rest.len() > LONGEST && !self.rest.contains(&b'\n') {
            self.rest.clear();
            self.skips = true;
        }
        flow
    }
}
