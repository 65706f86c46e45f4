//! A plan as text for people. Each group of it renders its own lines.

use super::Plan;
use crate::spec::Origin;
use std::fmt::Write;

/// Lines of a plan, each with a label in a column of its own.
#[derive(Default)]
pub(super) struct Lines {
    text: String,
}

impl Lines {
    pub(super) fn add(&mut self, label: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.text, "{label:<12}{}", crate::error::printable(value.as_ref()));
    }
}

/// The plan, one line for each thing that will be done.
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

/// The line that asked for it, as a comment.
pub(super) fn from(origin: &Origin) -> String {
    if origin.0.is_empty() { String::new() } else { format!("   # {}", origin.0) }
}

/// A word as a shell would need it, so far as a reader is helped by that.
pub(super) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}
