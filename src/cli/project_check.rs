//! `sbx profile check` of a project's file: by the rules that a start has for it. It grants nothing, so that it has no exposure of its own.

use super::args;
use super::layers::{self, Caller};
use super::wrong::{self, Wrong};
use crate::error::printable;
use crate::profile::{Diagnostic, Loader, Merged, Sources, project, resolve};
use crate::{host, plan};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// The profile that a start has if it names none.
const DEFAULT: &str = "default";

/// What a project's file is that some profile takes.
pub(super) struct Tightens {
    /// The profile: [`DEFAULT`], or else the first that takes the file.
    profile: String,
    /// Why a start with [`DEFAULT`] refuses it; empty if it does not.
    refused: Vec<Diagnostic>,
    sources: Sources,
}

/// Whether a file or a name stands for a project's file.
pub(super) fn is_of_project(shown: &str) -> bool {
    Path::new(shown).file_name().is_some_and(|name| name == project::FILE)
}

/// Checks a project's file with the profiles that this caller has.
///
/// # Errors
///
/// No profile takes it, or a start in its directory fails because of it.
pub(super) fn check(caller: &Caller, loader: &mut Loader, shown: &str) -> Result<Tightens, Wrong> {
    let path = Path::new(shown);
    let dir = path.parent().unwrap_or(Path::new(""));
    let joined = caller.cwd.join(dir);
    let there = std::fs::canonicalize(&joined).unwrap_or(joined);
    let there = Caller::read_in(there).map_err(|error| Wrong::Plan(vec![error]))?;
    let mut refused: Option<(Vec<Diagnostic>, Sources)> = None;
    let mut everywhere: Option<Vec<Diagnostic>> = None;
    let others = caller.loader().names().into_iter().filter(|name| name != DEFAULT && !name.starts_with("base/"));
    for profile in std::iter::once(DEFAULT.to_owned()).chain(others) {
        // The file has the same number in each, so that its errors can be compared.
        *loader = caller.loader();
        let file = loader.project(path, dir);
        let of_file = std::mem::take(&mut loader.errors);
        let Some(file) = file.filter(|_| of_file.is_empty()) else { return Err(of_file.into()) };
        let mut merged = Merged::default();
        loader.profile(&profile).into_iter().for_each(|layer| merged.apply(layer));
        let of_profile = std::mem::take(&mut loader.errors);
        match (of_profile.is_empty(), profile == DEFAULT) {
            (true, _) => {}
            (false, true) => return Err(of_profile.into()),
            (false, false) => continue,
        }
        let loosened = project::loosened(&merged, &file, &host::rlimits());
        if !loosened.is_empty() {
            match &mut everywhere {
                Some(everywhere) => everywhere.retain(|error| loosened.iter().any(|other| other.at == error.at)),
                None => everywhere = Some(loosened.clone()),
            }
            refused.get_or_insert_with(|| (loosened, loader.sources.clone()));
            continue;
        }
        merged.apply(file);
        let sandbox = resolve::sandbox(&merged, &loader.sources, &there.vars)?;
        Wrong::anywhere(&sandbox)?;
        starts(&profile, &there)?;
        let (refused, sources) = refused.unwrap_or_default();
        return Ok(Tightens { profile, refused, sources });
    }
    let (errors, sources) = refused.unwrap_or_default();
    loader.sources = sources;
    // What some profile takes is not told, if that leaves anything.
    let errors = everywhere.filter(|everywhere| !everywhere.is_empty()).unwrap_or(errors);
    Err(errors.into())
}

/// Plans a start in the directory of the file.
///
/// # Errors
///
/// There is none with the file, and there is one without.
fn starts(profile: &str, there: &Caller) -> Result<(), Wrong> {
    let planned = |no_project| {
        let args = args::Sandbox { profile: Some(profile.to_owned()), no_project, ..Default::default() };
        let caller = Caller::read_in(there.cwd.clone())?.with(&args);
        let (sandbox, facts) = layers::sandbox(&args, &["true".into()], &caller)?;
        plan::plan(&sandbox, &facts)
    };
    match planned(false) {
        Err(error) if planned(true).is_ok() => Err(Wrong::Plan(vec![error])),
        _ => Ok(()),
    }
}

impl Tightens {
    pub fn text(&self, out: &mut String, name: &str) {
        let _ = writeln!(out, "{}: ok, a project's file: it only tightens `{}`", printable(name), self.profile);
        for error in &self.refused {
            let place = error.at.as_ref().map(|at| self.sources.place(at)).unwrap_or_default();
            let line = format!("a start with `{DEFAULT}` refuses it: {}   # {place}", error.message);
            let _ = writeln!(out, "note          {}", printable(&line));
        }
    }

    pub fn as_json(&self, name: &str) -> serde_json::Value {
        let refused: Vec<_> = self.refused.iter().map(|error| wrong::as_json(error, &self.sources)).collect();
        json!({ "profile": name, "project": true, "tightens": self.profile, "refused_with_default": refused })
    }
}
