//! What reading each part of the language needs: the layers, their places, variables, and a list of what is wrong.

use crate::profile::diagnostic::Diagnostic;
use crate::profile::document::{Text, Value};
use crate::profile::expand::Vars;
use crate::profile::merge::Merged;
use crate::profile::source::Sources;
use crate::spec::{Note, Origin, Origins};
use std::path::PathBuf;

/// Reads merged layers. What is wrong in them is collected, and reading goes on.
pub(super) struct Builder<'a> {
    /// The settings.
    pub merged: &'a Merged,
    /// The texts that they stand in.
    pub sources: &'a Sources,
    /// What variables in them stand for.
    pub vars: &'a Vars,
    /// What is wrong so far.
    pub errors: Vec<Diagnostic>,
    /// What the user should be told although it is not wrong.
    pub notes: Vec<Note>,
}

impl<'a> Builder<'a> {
    pub fn new(merged: &'a Merged, sources: &'a Sources, vars: &'a Vars) -> Builder<'a> {
        Builder { merged, sources, vars, errors: Vec::new(), notes: Vec::new() }
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
                // A path keeps its own, and there may be thousands.
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
                self.wrong(text, why, "paths start with `/`, `~/`, `${CWD}/` or a place such as `xdg-download`");
                None
            }
        }
    }
}
