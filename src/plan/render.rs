//! A plan as text for people (`sbx plan`). Each group of the plan renders its own lines.

use super::Plan;
use crate::spec::Origin;
use std::fmt::Write;

/// Lines of a plan's text, with the labels in the first column.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
}

impl Lines {
    /// Adds a line. Characters that a terminal would act on are escaped.
    pub(super) fn add(&mut self, label: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.text, "{label:<12}{}", crate::error::printable(value.as_ref()));
    }
}

/// The plan as text: one line for each thing that will be done.
pub fn text(plan: &Plan) -> String {
    let mut lines = Lines::default();
    plan.process.render_program(&mut lines);
    plan.namespaces.render(&mut lines);
    plan.process.render_directories(&mut lines);
    plan.view.render(&mut lines);
    plan.process.render_environment(&mut lines);
    plan.resources.render(&mut lines);
    plan.process.render_timeout(&mut lines);
    plan.helpers.iter().for_each(|helper| helper.render(&mut lines));
    plan.lockdown.render(&mut lines);
    plan.view.render_closed(&mut lines);
    plan.notes.iter().for_each(|note| lines.add("note", note.to_string()));
    lines.text
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
