//! Ids of sandboxes: 64 hexadecimal digits, of which 12 are shown, and of which any unique beginning is accepted.

use crate::error::{Error, Result};
use crate::sys;
use std::fmt::Write;

/// The id of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(String);

/// Length of an id, in characters.
const LENGTH: usize = 64;

/// How many characters tables show.
const SHOWN: usize = 12;

impl Id {
    /// A new id.
    ///
    /// # Errors
    ///
    /// The kernel gives no random bytes.
    pub fn random() -> Result<Id> {
        let mut text = String::with_capacity(LENGTH);
        for _ in 0..2 {
            for byte in sys::random_bytes().map_err(|errno| Error::call("getrandom", errno))? {
                let _ = write!(text, "{byte:02x}");
            }
        }
        Ok(Id(text))
    }

    /// The id that a text is, if it is one.
    pub fn parse(text: &str) -> Option<Id> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == LENGTH && text.bytes().all(is_digit)).then(|| Id(text.to_owned()))
    }

    /// All of its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tables show of it.
    pub fn short(&self) -> &str {
        self.0.get(..SHOWN).unwrap_or(&self.0)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_64_lower_case_hexadecimal_digits() {
        let id = Id::random().unwrap();
        assert_eq!(Id::parse(id.as_str()), Some(id.clone()));
        assert_ne!(id, Id::random().unwrap());
        for text in ["", "abc", &"A".repeat(64), &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), "..", ".names"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
