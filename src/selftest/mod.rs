//! `sbx selftest`: tries, from inside a sandbox, what a hostile program would try.
//!
//! This program executes itself in the sandbox of a profile, by descriptor. There it runs one probe after the other,
//! each in a process of its own; what a probe needs to know of the host is handed over as JSON. What a profile grants
//! on purpose is `shared`, not a failure; what could not be tried is `not run`, never `held`.

mod facts;
mod fixture;
mod inside;
mod look;
mod outside;
mod probes;

pub use inside::inside;
pub use outside::run;

use serde::Serialize;

/// Argument 0 of this program inside, by which it knows that it is to run the probes.
pub const INSIDE: &str = "sbx-selftest";

/// The id of the probe for the `[assert]` line with this index.
fn assertion(index: usize) -> String {
    format!("assert-{}", index + 1)
}

/// The outcome of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What was tried did not work.
    Held,
    /// What was tried worked, and the profile grants it.
    Shared,
    /// What was tried worked, and the profile does not grant it.
    Failed,
    /// The probe could not be run.
    NotRun,
}

/// One probe with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The probe's id, for programs.
    pub id: String,
    /// The group that the probe belongs to.
    pub group: &'static str,
    /// What was tried, in words.
    pub title: String,
    /// The outcome.
    pub outcome: Outcome,
    /// How the outcome was seen, or why the probe was not run.
    pub detail: String,
}

/// The outcomes of all probes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of the groups.
    pub lines: Vec<Line>,
}

impl Report {
    /// Number of probes with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.lines.iter().filter(|line| line.outcome == outcome).count()
    }
}
