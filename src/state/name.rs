//! Names of sandboxes.

use super::Id;
use super::place::{c, directory};
use super::words::{FIRST, SECOND};
use crate::error::{Error, Result};
use crate::sys;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

/// The directory of names, below that of all records.
pub(super) const NAMES: &str = ".names";

/// The longest name, in bytes: it is a file's name.
const LONGEST: usize = 128;

/// Whether a text can be a sandbox's name: the characters that podman and docker allow.
///
/// # Errors
///
/// It cannot; the error says why.
pub fn check_name(name: &str) -> Result<()> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric();
    let fits = name.len() <= LONGEST
        && name.bytes().next().is_some_and(is_word)
        && name.bytes().all(|byte| is_word(byte) || b"_.-".contains(&byte));
    if fits {
        return Ok(());
    }
    Err(Error::new(format!("`{name}` cannot be the name of a sandbox")).hint(format!(
        "a name has at most {LONGEST} letters, digits, `_`, `.` and `-`, and begins with a letter or a digit"
    )))
}

/// The names of all sandboxes whose records are in this directory, by their ids.
pub(super) fn names_of(store: BorrowedFd<'_>) -> BTreeMap<Id, String> {
    let Ok(names) = directory(store, &c(NAMES), 0o077) else { return BTreeMap::new() };
    let all = sys::entries(names.as_fd()).unwrap_or_default().into_iter();
    all.filter_map(|(name, _)| {
        let id = Id::parse(sys::link_text(names.as_fd(), &name).ok()?.to_str().ok()?)?;
        let name = name.into_string().ok().filter(|name| check_name(name).is_ok())?;
        Some((id, name))
    })
    .collect()
}

/// A name of two words; with a number of `round` once many were taken.
///
/// # Errors
///
/// The kernel gives no random bytes.
pub(super) fn random_name(round: u32) -> Result<String> {
    let bytes = sys::random_bytes().map_err(|errno| Error::call("getrandom", errno))?;
    let word = |words: &[&'static str], at: usize| {
        let number = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
        words.get(number as usize % words.len().max(1)).copied().unwrap_or("sandbox")
    };
    let name = format!("{}_{}", word(FIRST, 0), word(SECOND, 4));
    Ok(if round < 8 { name } else { format!("{name}{round}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_files_that_no_terminal_and_no_shell_interprets() {
        for name in ["a", "web-1", "A.b_c", "0"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "x".repeat(129);
        for name in ["", ".", "..", ".names", "-a", "_a", "a b", "a/b", "a\n", "ä", "a\x1b[2J", &long] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn random_names_are_names() {
        for round in 0..20 {
            let name = random_name(round).unwrap();
            assert_eq!(check_name(&name), Ok(()), "{name}");
        }
    }
}
