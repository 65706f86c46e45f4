//! Texts of the command line in the profile language.

use crate::error::{Error, Result};
use std::ffi::OsStr;

/// The text, which profiles have as UTF-8.
///
/// # Errors
///
/// It is not UTF-8.
pub(super) fn utf8<'a>(text: &'a OsStr, what: &str) -> Result<&'a str> {
    text.to_str().ok_or_else(|| {
        Error::new(format!("the {what} {} is not UTF-8", text.display()))
            .hint("profiles are UTF-8 text; show the directory that holds it instead")
    })
}

/// Texts as an array of TOML.
pub(super) fn list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| quote(item)).collect();
    format!("[{}]", items.join(", "))
}

/// The text as a basic string of TOML.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
