//! Messages of agents: a length of four bytes, a byte for the type, and values. Numbers are big-endian; a string is its length
//! and its bytes (RFC 4251, 5).

use crate::proxy::filter::Broken;

/// The largest message, without its length: that of OpenSSH.
pub const LARGEST: usize = 256 * 1024;

/// Types of messages.
pub mod number {
    /// The answer to what is refused or failed.
    pub const FAILURE: u8 = 5;
    /// The answer to what was done and has no other answer.
    pub const SUCCESS: u8 = 6;
    /// Asks for the list of keys.
    pub const REQUEST_IDENTITIES: u8 = 11;
    /// The list of keys.
    pub const IDENTITIES_ANSWER: u8 = 12;
    /// Asks for a signature.
    pub const SIGN_REQUEST: u8 = 13;
    /// The signature.
    pub const SIGN_RESPONSE: u8 = 14;
    /// A request with a name.
    pub const EXTENSION: u8 = 27;
    /// The answer to an extension that failed.
    pub const EXTENSION_FAILURE: u8 = 28;
}

/// A message in some bytes: its type, its values, and the bytes behind it.
type First<'b> = (u8, &'b [u8], &'b [u8]);

/// The first message in these bytes; none if it is not complete.
///
/// # Errors
///
/// It is empty or too large.
pub fn first(bytes: &[u8]) -> Result<Option<First<'_>>, Broken> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length == 0 || length > LARGEST {
        return Err(Broken);
    }
    let Some((message, behind)) = rest.split_at_checked(length) else { return Ok(None) };
    Ok(message.split_first().map(|(kind, values)| (*kind, values, behind)))
}

/// Adds a message.
pub fn put(out: &mut Vec<u8>, kind: u8, values: &[u8]) {
    out.extend((values.len() as u32 + 1).to_be_bytes());
    out.push(kind);
    out.extend(values);
}

/// Adds a string to the values of a message.
pub fn put_string(values: &mut Vec<u8>, string: &[u8]) {
    values.extend((string.len() as u32).to_be_bytes());
    values.extend(string);
}

/// Reads values.
pub struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    /// A number.
    pub fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    /// A string.
    pub fn string(&mut self) -> Option<&'b [u8]> {
        let mut rest = Reader(self.0);
        let length = rest.number()? as usize;
        let (string, behind) = rest.0.split_at_checked(length)?;
        self.0 = behind;
        Some(string)
    }

    /// A byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
