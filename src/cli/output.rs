//! What sbx prints for the user: text to stdout, errors to stderr.

use crate::error::{Error, Result};
use crate::profile::{Diagnostic, Failed, Sources};
use crate::sys;

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
    use std::io::Write;
    // Do not wait longer than two seconds for a terminal or pipe that nobody reads; the exit status still tells.
    let mut set = [sys::Poll { write: true, ..sys::Poll::end(2) }];
    if sys::poll(&mut set, Some(2000)).is_err() || !set[0].ready {
        return error.status;
    }
    // In one write, since other processes may write there, too.
    let _ = std::io::stderr().write_all(format!("{error}\n").as_bytes());
    error.status
}

/// Prints to stdout. A reader that closed the pipe (`| head`) is no error; a full disk is one.
pub(super) fn print(text: &str) -> Result<()> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::new(format!("cannot write to standard output: {}", crate::sys::Errno::from(error))))
        }
        _ => Ok(()),
    }
}
