//! The lines that a plan is rendered to.

use crate::spec::Origin;
use std::fmt::Write;

/// Lines of a plan's text, with the labels in the first column.
#[derive(Default)]
pub(super) struct Lines {
    pub text: String,
}

impl Lines {
    /// Adds a line. Characters that a terminal would act on are escaped.
    pub(super) fn add(&mut self, label: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.text, "{label:<12}{}", crate::error::printable(value.as_ref()));
    }
}

/// The line of a profile that asked for something, as a comment behind it; nothing without an origin.
pub(super) fn from(origin: &Origin) -> String {
    if origin.0.is_empty() { String::new() } else { format!("   # {}", origin.0) }
}

/// Quotes a word if a shell would need that. For readers only: not every shell understands the escapes.
pub(super) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}
