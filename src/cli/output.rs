//! What sbx prints for the user: text to stdout, errors to stderr.

use crate::error::{Error, Result};
use crate::profile::{Diagnostic, Failed, Sources};
use crate::sys;
use std::os::fd::AsFd;
use std::time::Duration;

/// Whether text for a standard stream, by its number, has colours.
pub(super) fn colour(stream: usize) -> bool {
    std::env::var_os("NO_COLOR").is_none() && sys::is_terminal(sys::STREAMS[stream])
}

/// The errors of profiles as one error, for stderr.
pub(super) fn wrong(diagnostics: Vec<Diagnostic>, sources: Sources) -> Error {
    Error::rendered(Failed { diagnostics, sources }.render(colour(2)))
}

/// Prints an error to stderr; returns its exit status.
pub(super) fn complain(error: &Error) -> u8 {
    // A terminal or pipe that nobody reads is not waited for long; the exit status still tells.
    let _ = sys::write_within(sys::STREAMS[2].as_fd(), format!("{error}\n").as_bytes(), Duration::from_secs(2));
    error.status
}

/// Prints to stdout. A reader that closed the pipe (`| head`) is no error; a full disk is one.
pub(super) fn print(text: &str) -> Result<()> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritable(error)),
        _ => Ok(()),
    }
}

/// The error if stdout cannot be written to.
pub(super) fn unwritable(error: std::io::Error) -> Error {
    Error::new(format!("cannot write to standard output: {}", crate::sys::Errno::from(error)))
}

/// Prints to stderr, where questions and notes go. If nobody reads there, that is no error.
pub(super) fn tell(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}
