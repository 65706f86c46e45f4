//! Profiles: text → settings as written, with their places. Reads profile files and nothing else; changes nothing.
//!
//! `schema` says what may be written, `document` reads one file, `load` finds files and follows `extends`, `merge` joins
//! them. `Vars` is its only other input.

#[rustfmt::skip]
mod built_in;
pub mod diagnostic;
pub mod document;
pub mod expand;
pub mod literal;
pub mod load;
pub mod merge;
pub mod schema;

pub use diagnostic::{Diagnostic, Failed, Sources};
pub use document::{At, Document, Setting, Text, Value};
pub use expand::Vars;
pub use load::Loader;
pub use merge::Merged;
