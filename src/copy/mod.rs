//! Trees of files as tar streams, for `sbx cp`: one side of a copy is read by [`take()`], the other written by [`put()`], each in the process that has the rights
//! for it. The side in a sandbox is sbx itself, which the sandbox's PID 1 executes there as any further program (`inside`): so the kernel decides by the
//! sandbox's own root, mounts, ids and rules what is read and written, and no path of the sandbox's is ever looked up outside.
//!
//! What comes from a sandbox is a program's word. It is read entry by entry and within limits (`entry`), and no path in it leads out of the directory that is
//! written to: every part is opened by itself, below a descriptor, and no link is followed.

mod at;
mod entry;
mod inside;
mod pass;
mod put;
mod take;
#[cfg(test)]
mod tests;

pub use at::At;
pub use inside::{NAME, inside};
pub use pass::pass;
pub use put::{How, put};
pub use take::take;

use crate::error::Error;
use crate::sys::Errno;
use std::ffi::OsStr;
use std::path::Path;

/// The exit status of an error about the stream between the two sides of a copy, which a failure of the other side may have caused.
pub const OF_THE_STREAM: u8 = 124;

/// What is left out of a copy, and why, for the user.
pub type LeftOut = Vec<String>;

/// How deep directories may lie in each other: each takes a descriptor while it is read.
const DEEPEST: usize = 500;

/// How many of them are named.
const NAMED: usize = 100;

/// Adds what is left out.
fn leave_out(left_out: &mut LeftOut, path: &OsStr, why: &str) {
    if left_out.len() < NAMED {
        left_out.push(format!("{}: {why}", crate::error::printable(&path.to_string_lossy())));
    } else if left_out.len() == NAMED {
        left_out.push("and more".to_owned());
    }
}

/// The error for a file that cannot be read, written and so on.
fn failed(what: &str, path: &Path, errno: Errno) -> Error {
    let error = Error::new(format!("cannot {what} {}: {errno}", path.display()));
    match errno.0 {
        libc::ENOSPC | libc::EDQUOT => error.hint("the disk, or the user's quota of it, is full: make room there"),
        libc::EROFS => error.hint("it is shown read-only there"),
        _ => error,
    }
}

/// What a mode keeps in a copy: set-user-ID bits it does not, and the sticky bit only of a directory, where others may write but not delete.
fn permissions(mode: u32, is_dir: bool) -> u32 {
    mode & if is_dir { 0o1777 } else { 0o777 }
}

/// The cause of an error, as the kernel's error numbers are told elsewhere.
fn reason(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno(number).to_string())
}
