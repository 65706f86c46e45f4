//! Where what a program has written is read: the files of its record, or the journal.

use super::journal::Journal;
use super::output;
use crate::error::Result;
use crate::state::{Entry, Reader, Status};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::Duration;

/// How long it is waited before what the journal has not stored yet is read again.
const AGAIN: Duration = Duration::from_millis(50);

/// What is done with a line; it says whether more are wanted.
type Each<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// Where a log is read.
pub(super) enum Source {
    File(Reader),
    Journal(Journal),
}

impl Source {
    /// Where the log of a sandbox is.
    pub(super) fn of(entry: &Entry) -> Result<Source> {
        match entry.spec.log_driver.as_str() {
            "journald" => Journal::of(entry).map(Source::Journal),
            _ => entry.log().map(Source::File),
        }
    }

    /// Reads what is there by now; calls for each line until that wants no more.
    pub(super) fn present(&mut self, entry: &Entry, each: Each<'_>) -> Result<()> {
        let journal = match self {
            Source::File(reader) => {
                reader.present(each);
                return Ok(());
            }
            Source::Journal(journal) => journal,
        };
        let closed = Cell::new(false);
        let mut each = |line: &[u8]| {
            let flow = each(line);
            closed.set(flow.is_break());
            flow
        };
        journal.present(&mut each)?;
        // The journal stores what it has taken a moment later: all of a program that has ended is to be seen.
        while !closed.get() && journal.is_awaited(&entry.status()) {
            std::thread::sleep(AGAIN);
            journal.present(&mut each)?;
        }
        if !journal.has_any() && matches!(entry.status(), Status::Exited(_)) {
            output::tell(&format!(
                "sbx: note: the journal shows nothing of {}: it has removed that since (journald.conf(5), SystemMaxUse=), or \
                 does not show it to you (journalctl(1) names the groups that may read all of it)\n",
                entry.called()
            ));
        }
        Ok(())
    }

    /// Reads some of what has come since; calls for each line until that wants no more. Gives whether there was anything.
    pub(super) fn next(&mut self, each: Each<'_>) -> Result<bool> {
        match self {
            Source::File(reader) => Ok(reader.next(each)),
            Source::Journal(journal) => journal.next(each),
        }
    }

    /// Whether lines may be missing before those that come next. It says so once.
    pub(super) fn has_gap(&mut self) -> bool {
        match self {
            Source::File(reader) => reader.has_gap(),
            Source::Journal(_) => false,
        }
    }

    /// Whether nothing more comes of a sandbox that has ended, of which nothing new was there.
    pub(super) fn is_over(&mut self, entry: &Entry) -> bool {
        match self {
            Source::File(_) => true,
            Source::Journal(journal) => journal.is_over(&entry.status()),
        }
    }
}
