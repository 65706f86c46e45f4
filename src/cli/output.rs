//! What sbx prints for the user: text to stdout, errors to stderr.

use crate::error::{Error, Result, printable};
use crate::launch::Lost;
use crate::profile::{Diagnostic, Failed, Sources, diagnostic};
use crate::sys;
use std::os::fd::AsFd;
use std::time::Duration;

/// Whether text for a standard stream, by its number, has colours.
pub(super) fn colour(stream: usize) -> bool {
    std::env::var_os("NO_COLOR").is_none() && sys::is_terminal(sys::STREAMS[stream])
}

/// The errors of profiles as one error, for stderr.
pub(super) fn wrong(mut diagnostics: Vec<Diagnostic>, sources: Sources) -> Error {
    diagnostic::sort(&mut diagnostics);
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

/// Prints to stdout what others may have chosen words of: a terminal only shows it, and anything else gets it as it is.
pub(super) fn show(text: &str) -> Result<()> {
    if sys::is_terminal(sys::STREAMS[1]) { print(&harmless(text)) } else { print(text) }
}

/// A text as [`printable`] has it, with its tabs and line breaks.
pub(super) fn harmless(text: &str) -> String {
    let pieces = text.split_inclusive(['\n', '\t']);
    pieces
        .map(|piece| {
            let text = piece.trim_end_matches(['\n', '\t']);
            printable(text).into_owned() + piece.get(text.len()..).unwrap_or_default()
        })
        .collect()
}

/// The error if stdout cannot be written to.
pub(super) fn unwritable(error: std::io::Error) -> Error {
    Error::new(format!("cannot write to standard output: {}", crate::sys::Errno::from(error)))
}

/// The error if what a program has written could not be passed on to a stream.
pub(super) fn lost(lost: &Lost) -> Error {
    let stream = if lost.number == 2 { "standard error" } else { "standard output" };
    Error::new(format!("cannot write to {stream}: {}; some of what the program has written is lost", lost.errno))
}

/// Prints to stderr, where questions and notes go. If nobody reads there, that is no error.
pub(super) fn tell(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_terminal_is_given_nothing_but_text_tabs_and_line_breaks() {
        assert_eq!(harmless("a\tb\n\n\tc"), "a\tb\n\n\tc");
        let shown = harmless("x\u{1b}[2J\u{9b}31m\u{7}\r\n\u{202e}y");
        assert_eq!(shown, "x\\u{1b}[2J\\u{9b}31m\\u{7}\\r\n\\u{202e}y");
    }
}
