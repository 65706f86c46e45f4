//! What a sandbox keeps from a hostile program: each thing is tried, for real, from inside one.
//!
//! This program executes itself in the sandbox of a profile, by descriptor. There it tries one thing after the other, each in a
//! process of its own; what it needs to know of the outside is handed over as JSON. What a profile lets in on purpose is `shared`, not
//! a failure; what could not be tried is `not run`, never `held`.

mod facts;
mod fixture;
mod inside;
mod look;
mod outside;
mod probes;

pub use inside::inside;
pub use outside::run;

use serde::Serialize;

/// The name that this program has as its own first argument inside.
pub const INSIDE: &str = "sbx-selftest";

/// The name of the assert of this number.
fn assertion(index: usize) -> String {
    format!("assert-{}", index + 1)
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did not work.
    Held,
    /// It worked, and the profile says that it may.
    Shared,
    /// It worked.
    Failed,
    /// It could not be tried.
    NotRun,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// A short name, for programs.
    pub id: String,
    /// What it belongs to.
    pub group: &'static str,
    /// What was tried.
    pub title: String,
    /// What came of it.
    pub outcome: Outcome,
    /// How, or why not.
    pub detail: String,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of the groups.
    pub lines: Vec<Line>,
}

impl Report {
    /// How many had this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.lines.iter().filter(|line| line.outcome == outcome).count()
    }
}
