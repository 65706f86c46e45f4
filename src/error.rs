//! The one error that users see: what failed, why, and what to do.

use crate::exit;

/// Something that kept the program from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Exit status that goes with it; see `exit`.
    pub status: u8,
    /// What failed and why: one clause for each layer, without a final period.
    pub message: String,
    /// What to do, one sentence each.
    pub hints: Vec<String>,
    /// Whether the message is a finished text that is printed as it is (diagnostics of profiles).
    pub rendered: bool,
    /// Whether the kernel refused a right, for which settings of the host may be the cause.
    pub refused: bool,
    /// What failed, for who words it otherwise.
    pub cause: Option<Box<Cause>>,
}

/// A part of the work on a start. A number says which of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Looking for the source of this operation of a bare root.
    Source(usize),
    /// Making the first process and its namespaces.
    Clone,
    /// Joining a namespace; the call is the option that names it.
    Join,
    /// Before the view.
    Setup,
    /// The new root itself.
    Root,
    /// This part of the view.
    Step(usize),
    /// Entering the view.
    Enter,
    /// The directory to start in.
    Cwd,
    /// This resource limit.
    Rlimit(usize),
    /// The lock-down.
    Lockdown,
    /// This filter of the caller's.
    Filter(usize),
    /// This file that is locked.
    Lock(usize),
    /// This rule of Landlock.
    Landlock(usize),
    /// Executing the program.
    Exec,
}

/// What failed, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The part of the work.
    pub part: Part,
    /// The call, as the manual names it.
    pub call: &'static str,
    /// What the kernel said.
    pub errno: crate::sys::Errno,
    /// What was found there.
    pub found: Option<String>,
}

impl Error {
    /// A failure before the program started.
    pub fn new(message: impl Into<String>) -> Error {
        Error {
            status: exit::FAILED,
            message: message.into(),
            hints: Vec::new(),
            rendered: false,
            refused: false,
            cause: None,
        }
    }

    /// A text that is complete.
    pub fn rendered(text: String) -> Error {
        Error { rendered: true, ..Error::new(text) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hints.push(hint.into());
        self
    }

    /// Sets the exit status.
    #[must_use]
    pub fn status(mut self, status: u8) -> Error {
        self.status = status;
        self
    }

    /// Marks a right that the kernel refused.
    #[must_use]
    pub fn refused(mut self) -> Error {
        self.refused = true;
        self
    }

    /// Says what failed as data, too.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Error {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Adds the line of the profile that asked for it.
    #[must_use]
    pub fn origin(mut self, origin: &crate::spec::Origin) -> Error {
        if !origin.0.is_empty() {
            self.message.push_str(&format!(" (asked for by {origin})"));
        }
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.rendered {
            return f.write_str(self.message.trim_end());
        }
        write!(f, "sbx: {}", printable(&self.message))?;
        for hint in &self.hints {
            write!(f, "\nhelp: {}", printable(hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What most of the outer code gives.
pub type Result<T> = std::result::Result<T, Error>;

/// The same of several lines.
pub fn printable_lines(text: &str) -> String {
    text.split_inclusive('\n').map(|line| printable(line.trim_end_matches('\n')).into_owned() + "\n").collect()
}

/// Text without what a terminal would obey or show misleadingly: names of files, and with them whatever somebody put there, stand
/// in messages. Controls of ASCII and of Latin-1, and the marks that change the direction of writing, become escapes.
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(odd) {
        return text.into();
    }
    let mut out = String::new();
    for c in text.chars() {
        if odd(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}
