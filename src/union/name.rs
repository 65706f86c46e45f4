//! Names of upper layers.

/// Longest name, in bytes.
const LONGEST: usize = 64;

/// The word that stands for the upper layers that were used last.
pub const LAST: &str = "LAST";

/// Whether this is a good name for upper layers. The error says what is.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = !name.is_empty() && name.len() <= LONGEST && name.bytes().all(plain) && !name.starts_with(['.', '-']);
    match good {
        true if name == LAST => Err("`LAST` stands for those that were used last"),
        true => Ok(()),
        false => Err("letters, digits, `.`, `_` and `-`, at most 64, and first a letter, a digit or `_`"),
    }
}

/// The name of the directory of a layer with this index.
pub(super) fn number(index: usize) -> std::ffi::CString {
    std::ffi::CString::new(index.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn a_name_is_a_plain_word_that_leads_nowhere_else() {
        for good in ["build", "a.b_c-2", "_", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", ".gone", "-x", "a/b", "a b", "é", "a\n", "LAST", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
