//! What is wrong with a profile that is checked: errors in its text, and those that a plan finds on every host.

use super::output;
use crate::error::Error;
use crate::plan;
use crate::profile::{Diagnostic, Loader, Sources, diagnostic};
use crate::spec::Sandbox;
use serde_json::json;

/// Errors in a profile; there is at least one.
pub(super) enum Wrong {
    /// In its text.
    Text(Vec<Diagnostic>),
    /// In what it asks for.
    Plan(Vec<Error>),
}

impl From<Vec<Diagnostic>> for Wrong {
    fn from(mut errors: Vec<Diagnostic>) -> Wrong {
        diagnostic::sort(&mut errors);
        Wrong::Text(errors)
    }
}

impl Wrong {
    /// What a sandbox asks for that no host plans.
    pub fn anywhere(sandbox: &Sandbox) -> Result<(), Wrong> {
        let errors = plan::wrong_anywhere(sandbox);
        if errors.is_empty() { Ok(()) } else { Err(Wrong::Plan(errors)) }
    }

    pub fn as_json(&self, loader: &Loader) -> serde_json::Value {
        match self {
            Wrong::Text(errors) => errors.iter().map(|error| as_json(error, &loader.sources)).collect(),
            Wrong::Plan(errors) => errors
                .iter()
                .map(|error| json!({ "message": error.message, "place": null, "help": error.hints.first() }))
                .collect(),
        }
    }

    pub fn complain(self, sources: Sources) {
        match self {
            Wrong::Text(errors) => {
                output::complain(&output::wrong(errors, sources));
            }
            Wrong::Plan(errors) => errors.iter().for_each(|error| {
                output::complain(error);
            }),
        }
    }
}

/// An error in a text, with its place.
pub(super) fn as_json(error: &Diagnostic, sources: &Sources) -> serde_json::Value {
    let place = error.at.as_ref().map(|at| sources.place(at));
    json!({ "message": error.message, "place": place, "help": error.help })
}
