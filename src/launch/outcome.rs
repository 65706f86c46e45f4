//! How a sandbox ended.

use crate::exit;

/// How the program, or the sandbox as a whole, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The program exited with this status.
    Exited(i32),
    /// The program was ended by this signal.
    Signaled(i32),
    /// The program was ended because its time (`process.timeout`) was over.
    TimedOut,
    /// Somebody killed the sandbox's first process, and with it everything.
    Killed,
}

impl Outcome {
    /// The exit status that sbx itself ends with.
    pub fn status(self) -> u8 {
        match self {
            Outcome::Exited(status) => status as u8,
            Outcome::Signaled(signal) => exit::SIGNALED + signal as u8,
            Outcome::TimedOut => exit::TIMED_OUT,
            Outcome::Killed => exit::SIGNALED + libc::SIGKILL as u8,
        }
    }
}
