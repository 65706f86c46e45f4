//! How a sandbox ended.

use crate::{exit, sys};

/// How the program, or the sandbox as a whole, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The program exited with this status.
    Exited(i32),
    /// The program was ended by this signal.
    Signaled(i32),
    /// The program was ended by this signal, which a key of the terminal sent to sbx's process group as well. Shells look at how a program ends:
    /// a script goes on after a ^C that the program has handled, and ends with a program that it has ended.
    Interrupted(i32),
    /// The program was ended because its time (`process.timeout`) was over.
    TimedOut,
    /// Somebody killed the sandbox's first process, and with it everything.
    Killed,
}

impl Outcome {
    /// Ends this process as the program was ended by a key of the terminal; or gives the exit status that it ends with.
    pub fn end(self) -> u8 {
        if let Outcome::Interrupted(signal) = self {
            sys::die_by(signal);
        }
        self.status()
    }

    /// The exit status that sbx itself ends with.
    pub fn status(self) -> u8 {
        match self {
            Outcome::Exited(status) => status as u8,
            Outcome::Signaled(signal) | Outcome::Interrupted(signal) => exit::SIGNALED + signal as u8,
            Outcome::TimedOut => exit::TIMED_OUT,
            Outcome::Killed => exit::SIGNALED + libc::SIGKILL as u8,
        }
    }
}
