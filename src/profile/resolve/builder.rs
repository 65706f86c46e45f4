//! The state that reading each part of a profile shares: the merged layers, their sources, variables, errors and notes.

use crate::profile::diagnostic::Diagnostic;
use crate::profile::document::{Text, Value};
use crate::profile::expand::Vars;
use crate::profile::merge::Merged;
use crate::profile::source::Sources;
use crate::spec::{Note, Origin, Origins, Unseen};
use std::path::PathBuf;

/// Makes a `Sandbox` of merged layers. Errors are collected, and reading goes on, so that all are reported at once.
pub(super) struct Builder<'a> {
    /// The settings to read.
    pub merged: &'a Merged,
    /// The texts that the settings come from.
    pub sources: &'a Sources,
    /// Values of the variables in the settings.
    pub vars: &'a Vars,
    /// Errors found so far.
    pub errors: Vec<Diagnostic>,
    /// Notes for the user about settings that are left out without being errors.
    pub notes: Vec<Note>,
    /// Names that are not there, beside those of lines that were left out.
    pub unseen: Vec<Unseen>,
}

impl<'a> Builder<'a> {
    pub fn new(merged: &'a Merged, sources: &'a Sources, vars: &'a Vars) -> Builder<'a> {
        Builder { merged, sources, vars, errors: Vec::new(), notes: Vec::new(), unseen: Vec::new() }
    }

    pub fn origin(&self, text: &Text) -> Origin {
        Origin(self.sources.place(&text.at))
    }

    pub fn origins(&self) -> Origins {
        let mut origins = Origins::default();
        for (key, value) in self.merged.iter() {
            let mut put = |item: &str, at| origins.insert(key.name, item, Origin(self.sources.place(at)));
            match value {
                Value::Switch(_, at) => put("", at),
                Value::Text(text) => put("", &text.at),
                Value::List(list, _) => list.iter().for_each(|item| put(&item.text, &item.at)),
                // Each `PathRule` keeps its own origin, and there may be thousands.
                Value::Map(_) if key.name == "filesystem.paths" => {}
                Value::Map(map) => map.iter().for_each(|(name, _)| put(&name.text, &name.at)),
            }
        }
        origins
    }

    pub fn wrong(&mut self, text: &Text, message: String, help: &str) {
        self.errors.push(Diagnostic::at(&text.at, message).help(help));
    }

    pub fn expand(&mut self, text: &Text) -> String {
        match self.vars.text(&text.text) {
            Ok(expanded) => expanded,
            Err(why) => {
                self.wrong(text, why, "variables are written `${HOME}`; set the variable, or write the value");
                String::new()
            }
        }
    }

    pub fn path(&mut self, text: &Text) -> Option<PathBuf> {
        match self.vars.path(&text.text) {
            Ok(path) => Some(path),
            Err(why) => {
                let help = match why.contains("is no pattern here") {
                    true => {
                        "name the files or the directory; a file whose name holds `*` or `?` is written with `[*]` or `[?]`"
                    }
                    false => "paths start with `/`, `~/`, `${CWD}/`, `${PROJECT}/` or a place such as `xdg-download`",
                };
                self.wrong(text, why, help);
                None
            }
        }
    }
}
