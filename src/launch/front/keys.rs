//! The keys by which whoever is in front of a program leaves it to go on.

use crate::error::{Error, Result};

/// podman's and docker's.
pub const USUAL: &str = "ctrl-p,ctrl-q";

/// The most keys in a row.
const MOST: usize = 16;

/// Finds keys in what is typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    wanted: Vec<u8>,
    /// How many of them were typed last, and are not passed on yet.
    held: usize,
}

impl Keys {
    /// Reads a list as the flag `--detach-keys` takes it: single characters and `ctrl-X`, separated by commas. An empty list is no way to leave.
    ///
    /// # Errors
    ///
    /// It is no such list.
    pub fn new(text: &str) -> Result<Keys> {
        let wrong = || {
            Error::new(format!("--detach-keys {text}: these are no keys")).hint(
                "write single characters, or ctrl- with a letter or one of @ [ \\ ] ^ _, separated by commas: ctrl-p,ctrl-q; an empty text is no keys",
            )
        };
        let key = |word: &str| match (word.as_bytes(), word.get(..5), word.as_bytes().get(5..)) {
            ([key], ..) if key.is_ascii_graphic() || *key == b' ' => Some(*key),
            (_, Some(control), Some([key])) if control.eq_ignore_ascii_case("ctrl-") => {
                Some(key.to_ascii_uppercase().wrapping_sub(b'@')).filter(|key| *key < b' ')
            }
            _ => None,
        };
        let words = text.split(',').filter(|_| !text.is_empty());
        let wanted = words.map(key).collect::<Option<Vec<_>>>().filter(|keys| keys.len() <= MOST).ok_or_else(wrong)?;
        Ok(Keys { wanted, held: 0 })
    }

    /// Takes what was typed, and appends to `out` what of it is to be passed on. True if the keys were among it: what was typed after them is dropped.
    pub(super) fn take(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        if self.wanted.is_empty() {
            out.extend_from_slice(typed);
            return false;
        }
        for byte in typed {
            while self.held > 0 && self.wanted.get(self.held) != Some(byte) {
                // The longest beginning that what is held ends with, after its first key.
                let held = self.wanted.get(..self.held).unwrap_or_default();
                let shorter =
                    (0..self.held).rev().find(|length| held.ends_with(held.get(..*length).unwrap_or_default()));
                let shorter = shorter.unwrap_or(0);
                out.extend_from_slice(held.get(..self.held - shorter).unwrap_or_default());
                self.held = shorter;
            }
            if self.wanted.get(self.held) == Some(byte) {
                self.held += 1;
            } else {
                out.push(*byte);
            }
            if self.held == self.wanted.len() {
                self.held = 0;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(keys: &str, typed: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut keys, mut out) = (Keys::new(keys).unwrap(), Vec::new());
        let left = typed.iter().any(|typed| keys.take(typed, &mut out));
        (out, left)
    }

    #[test]
    fn keys_are_found_in_any_parts_and_all_else_is_passed_on() {
        for (keys, typed, out, left) in [
            (USUAL, &b"ab\x10\x11cd"[..], &b"ab"[..], true),
            (USUAL, b"\x10a\x10\x10\x11", b"\x10a\x10", true),
            (USUAL, b"\x10", b"", false),
            (USUAL, b"\x11\x10x", b"\x11\x10x", false),
            ("a,a,b", b"aaab", b"a", true),
            ("a,b,a,c", b"ababac", b"ab", true),
            ("", b"\x10\x11", b"\x10\x11", false),
        ] {
            let parts: Vec<_> = typed.chunks(1).collect();
            assert_eq!(passed(keys, &[typed]), (out.to_vec(), left), "{keys} {typed:?}");
            assert_eq!(passed(keys, &parts), (out.to_vec(), left), "{keys} {typed:?}");
        }
    }

    #[test]
    fn lists_of_keys_are_read_as_podman_reads_them() {
        assert_eq!(Keys::new("ctrl-a,B,CTRL-\\,ctrl-@").unwrap().wanted, [1, b'B', 0x1c, 0]);
        for wrong in ["ctrl-", "ctrl-1", "ab", "a,", ",", "é", "ctrl-é", "\u{1}", &"a,".repeat(20)] {
            assert!(Keys::new(wrong).is_err(), "{wrong}");
        }
    }
}
