//! Profiles: text → settings with their source positions → `Sandbox`. Only reads profile files, and changes nothing.
//!
//! `key` says what a key is, `schema` defines all of them, `document` reads one file, `load` finds files and follows `extends`, `merge` joins the
//! layers, `project` refuses what a project's file may not set, and `resolve` makes a `Sandbox` of the result. `Vars`
//! is the only other input.

#[rustfmt::skip]
mod built_in;
pub mod diagnostic;
pub mod document;
pub mod expand;
mod json_schema;
mod key;
pub mod literal;
pub mod load;
pub mod merge;
mod nearest;
mod programs;
pub mod project;
pub mod resolve;
pub mod schema;
pub mod source;

pub use diagnostic::{Diagnostic, Failed};
pub use document::{Document, Setting, Text, Value};
pub use expand::{Profiles, Project, Repository, VariablePath, Vars, quoted};
pub use json_schema::json_schema;
pub use load::{Loader, worktree};
pub use merge::Merged;
pub use source::{At, Sources};
