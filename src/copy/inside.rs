//! The side of a copy that is in a sandbox: sbx itself, executed there by PID 1 with no more rights than the sandbox's program has.

use super::At;
use super::put::{How, put};
use super::take::take;
use crate::error::{Error, Result};
use crate::sys;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// Argument 0, by which sbx knows what to do.
pub const NAME: &str = "sbx-copier";

/// The exit status if something was left out.
const PARTLY: u8 = 1;

/// The copier, with the arguments `sbx-copier take PATH` or `sbx-copier put HOW PATH`. Gives the exit status.
pub fn inside(args: &[OsString]) -> u8 {
    let word = |at: usize| args.get(at).map(OsString::as_os_str).unwrap_or_default();
    let of = |path| At { path: Path::new(path), real: None };
    let copied = match (word(1).to_str(), word(2)) {
        (Some("take"), path) => stream(1).and_then(|output| take(&of(path), output)),
        (Some("put"), how) => How::of(how)
            .ok_or_else(|| Error::new("these are other words than sbx writes"))
            .and_then(|how| put(&of(word(3)), how, stream(0)?)),
        _ => Err(Error::new("these are other words than sbx writes")),
    };
    let tell = |text: &str| {
        let _ = sys::write_all(sys::STREAMS[2].as_fd(), text.as_bytes());
    };
    match copied {
        Ok(left_out) if left_out.is_empty() => 0,
        Ok(left_out) => {
            left_out.iter().for_each(|line| tell(&format!("{line}\n")));
            PARTLY
        }
        Err(error) => {
            tell(&format!("{error}\n"));
            error.status
        }
    }
}

/// A standard stream as a file.
fn stream(number: usize) -> Result<File> {
    let stream = sys::STREAMS.get(number).copied();
    let stream = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok());
    stream.map(File::from).ok_or_else(|| Error::new("a standard stream is missing"))
}

impl How {
    const WORDS: [(How, &str); 3] = [(How::Into, "into"), (How::Contents, "contents"), (How::All, "all")];

    /// The word for it among the arguments.
    pub fn word(self) -> &'static str {
        How::WORDS.iter().find(|(how, _)| *how == self).map_or("all", |(_, word)| word)
    }

    fn of(word: &OsStr) -> Option<How> {
        How::WORDS.iter().find(|(_, known)| word == *known).map(|(how, _)| *how)
    }
}
