//! Public keys of an agent: their fingerprints, and which of them a profile names.

use sha2::{Digest, Sha256};

/// A key of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The public key, or the certificate, as the protocol has it.
    pub blob: Vec<u8>,
    /// The comment, such as the name of its file.
    pub comment: Vec<u8>,
}

impl Key {
    /// The comment, as far as it can be shown.
    pub fn name(&self) -> String {
        shown(&self.comment)
    }
}

/// A text of somebody else's, as far as it can be shown: without control characters and quotes, and not too long. Where a
/// program inside may have chosen it, it stands between quotes, so that it is not taken for a part of the sentence.
pub fn shown(text: &[u8]) -> String {
    const MOST: usize = 100;
    let text = String::from_utf8_lossy(text);
    let mut plain = text.chars().map(|c| if c.is_control() || c == '`' || is_format(c) { '?' } else { c });
    let start: String = plain.by_ref().take(MOST).collect();
    if plain.next().is_some() { start + "…" } else { start }
}

/// Whether a character changes the direction or the order of others, or is not seen.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The fingerprint of a public key, as `ssh-add -l` prints it.
pub fn fingerprint(blob: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("SHA256:");
    for part in Sha256::digest(blob).chunks(3) {
        let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        // The last digits of an incomplete part are left out, as is the padding.
        for digit in 0..=part.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(DIGITS.get(index as usize).copied().unwrap_or(b'?').into());
        }
    }
    text
}

/// The keys that a program may see and use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Fingerprints and comments; none of them for all keys.
    pub names: Vec<String>,
}

impl Choice {
    /// Whether this key is one of them.
    pub fn has(&self, key: &Key) -> bool {
        let fingerprint = fingerprint(&key.blob);
        let is_it = |name: &String| *name == fingerprint || name.as_bytes() == key.comment;
        self.names.is_empty() || self.names.iter().any(is_it)
    }
}
