//! Questions to the monitor of a running sandbox.

use super::ending;
use crate::error::{Error, Result};
use crate::state::{Answer, Entry, Execution, LARGEST, Monitor, Request, Silence};
use crate::sys;
use std::os::fd::OwnedFd;

/// A connection to the monitor of a sandbox. `what` says what takes a running one: `can be paused`.
///
/// # Errors
///
/// The sandbox does not run, or its monitor does not answer.
pub(super) fn monitor(entry: &Entry, what: &str) -> Result<Monitor> {
    entry.monitor().map_err(|silence| silent(entry, silence, what))
}

/// Asks a monitor for something.
///
/// # Errors
///
/// It refuses, does not answer, or has ended.
pub(super) fn ask(entry: &Entry, monitor: &Monitor, request: &Request, what: &str) -> Result<Answer> {
    let answered = monitor
        .ask(request)
        .map_err(|error| Error { message: format!("{}: {}", entry.called(), error.message), ..error })?;
    answered.map_err(|silence| silent(entry, silence, what))
}

/// The file in memory by which a further program is asked for; none if it would be larger than a monitor reads.
///
/// # Errors
///
/// It cannot be made.
pub(super) fn execution(asked: &Execution) -> Result<Option<OwnedFd>> {
    let text = serde_json::to_vec(asked).map_err(|error| Error::new(format!("cannot write the request: {error}")))?;
    if text.len() > LARGEST {
        return Ok(None);
    }
    let file = sys::memory_file_with(c"sbx-exec", &text);
    file.map(Some).map_err(|errno| Error::new(format!("a file in memory: {errno}")))
}

/// The error for a monitor that was not reached.
pub(super) fn silent(entry: &Entry, silence: Silence, what: &str) -> Error {
    let status = entry.status();
    match silence {
        Silence::Stuck => ending::stuck(entry),
        // Its socket goes a moment before it ends.
        Silence::Gone if status.is_running() => Error::new(format!("{} is about to end", entry.called())),
        Silence::Gone => {
            Error::new(format!("{} is {}, and only a running sandbox {what}", entry.called(), status.word()))
                .hint(format!("start it first: sbx start {}", entry.called()))
        }
    }
}
