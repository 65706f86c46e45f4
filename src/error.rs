//! The error type that users see: what failed, why, and what to do.

use crate::exit;

/// An error that kept the program from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Exit status of sbx for this error: see [`exit`].
    pub status: u8,
    /// What failed and why: one clause for each layer, without a final period.
    pub message: String,
    /// What to do about it, one sentence each: the `help:` lines.
    pub hints: Vec<String>,
    /// Whether the message is a finished text that is printed as it is (diagnostics of profiles).
    pub rendered: bool,
    /// Whether the kernel denied permission, so that settings of the host may be the cause.
    pub refused: bool,
    /// What failed, as data: sbx-bwrap makes bubblewrap's message of it.
    pub cause: Option<Box<Cause>>,
}

/// The hint if no more files can be opened.
pub const DESCRIPTORS: &str =
    "the limit of open descriptors is too low: `ulimit -S -n $(ulimit -H -n)` raises it as far as it may be";

/// The hint if the user's programs have as many descriptors on their way by sockets as may be.
const ON_THEIR_WAY: &str = "a program of this user sends descriptors that nobody receives (unix(7)), maybe in another sandbox: end it, or raise the hard limit, `ulimit -H -n`";

/// A part of a sandbox's set-up. Where there are several of a kind, the index of the one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Looking up the source of an operation of a bare root.
    Source(usize),
    /// Making the first process and its namespaces.
    Clone,
    /// Joining a namespace; the call is the option that names it.
    Join,
    /// The set-up apart from the view, such as namespaces, ids and descriptors.
    Setup,
    /// Making the new root.
    Root,
    /// A part of the view.
    Step(usize),
    /// Entering the new root.
    Enter,
    /// Changing to the working directory.
    Cwd,
    /// Setting a resource limit.
    Rlimit(usize),
    /// The lock-down: capabilities, keyring, Landlock, labels.
    Lockdown,
    /// Loading a seccomp filter.
    Filter(usize),
    /// Locking a file.
    Lock(usize),
    /// Adding a rule of Landlock.
    Landlock(usize),
    /// Executing the program.
    Exec,
}

/// A failed call, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The part of the set-up in which the call failed.
    pub part: Part,
    /// Name of the call, as in its manual page.
    pub call: &'static str,
    /// The errno of the call.
    pub errno: crate::sys::Errno,
    /// What was found instead of what was to be created, such as the text of a link.
    pub found: Option<String>,
}

impl Error {
    /// An error before the program started, with the status [`exit::FAILED`]. Where the message ends in the text of an errno
    /// that stands for the limit of descriptors, whatever was to be opened, the fix is that one.
    pub fn new(message: impl Into<String>) -> Error {
        let message = message.into();
        let hint = match message.rsplit_once(' ') {
            Some((_, "(EMFILE)" | "(ENFILE)")) => Some(DESCRIPTORS),
            Some((_, "(ETOOMANYREFS)")) => Some(ON_THEIR_WAY),
            _ => None,
        };
        Error {
            status: exit::FAILED,
            message,
            hints: hint.map(str::to_owned).into_iter().collect(),
            rendered: false,
            refused: false,
            cause: None,
        }
    }

    /// A system call of sbx's own that failed, with the fix where the errno says what that is.
    pub fn call(name: &str, errno: crate::sys::Errno) -> Error {
        let error = Error::new(format!("{name}: {errno}"));
        match errno.0 {
            libc::EMFILE | libc::ENFILE => error.hint(DESCRIPTORS),
            libc::ENOSYS | libc::EPERM => error.why_refused(name, errno),
            _ => error,
        }
    }

    /// Adds what keeps a call from being made, a kernel that lacks it or a filter that refuses it, and the fix. `name` is
    /// the text by which failures name the call.
    #[must_use]
    pub fn why_refused(self, name: &str, errno: crate::sys::Errno) -> Error {
        match crate::sys::needed_call(name).and_then(|call| call.why_refused(errno)) {
            Some((why, fix)) => self.hint(format!("{why}: {fix}")),
            None => self,
        }
    }

    /// An error whose text is complete, and is printed unchanged.
    pub fn rendered(text: String) -> Error {
        Error { rendered: true, ..Error::new(text) }
    }

    /// Adds a hint: what to do about the error.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        // What is said of other causes, or said already.
        if self.hints.first().is_none_or(|first| first != DESCRIPTORS) {
            self.hints.push(hint.into());
        }
        self
    }

    /// Sets the exit status.
    #[must_use]
    pub fn status(mut self, status: u8) -> Error {
        self.status = status;
        self
    }

    /// Marks the error as one where the kernel denied permission.
    #[must_use]
    pub fn refused(mut self) -> Error {
        self.refused = true;
        self
    }

    /// Adds what failed, as data.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Error {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Adds to the message where the setting that failed comes from, such as a line of a profile.
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

/// The result of functions whose errors users see.
pub type Result<T> = std::result::Result<T, Error>;

/// Escapes each line of a text as [`printable`] does, and keeps the line breaks.
pub fn printable_lines(text: &str) -> String {
    text.split_inclusive('\n').map(|line| printable(line.trim_end_matches('\n')).into_owned() + "\n").collect()
}

/// Escapes what a terminal would interpret or show misleadingly: messages contain file names, which others may have
/// chosen. Control characters of ASCII and Latin-1, and marks that change the direction of writing, become escapes.
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(is_odd) {
        return text.into();
    }
    let mut out = String::new();
    for c in text.chars() {
        if is_odd(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}

/// Whether a terminal would interpret a character, or show it misleadingly.
fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A path in a list of paths, in which no two look alike: as it is; or in double quotes, with escapes for what [`printable`] escapes,
/// bytes that are no UTF-8, backslashes and quotes, if it has one of the first two. (So does git, which quotes more.)
pub fn printable_path(path: &std::path::Path) -> std::borrow::Cow<'_, str> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    match path.to_str() {
        Some(text) if !text.contains(is_odd) && !text.starts_with('"') => return text.into(),
        _ => {}
    }
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_odd(c) || matches!(c, '"' | '\\') { out.extend(c.escape_default()) } else { out.push(c) }
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out.push('"');
    out.into()
}
