//! Values of options, as strtol(3) and its relatives read them, but without numbers that wrap.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Reads space, a sign and digits of this base, as strtol(3) does. None where anything is left over, or where the
/// number is too large.
pub(super) fn number(text: &OsStr, base: u32) -> Option<i128> {
    let bytes = text.as_bytes();
    let space = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let bytes = bytes.get(space..)?;
    let (sign, digits) = match bytes.split_first()? {
        (b'-', rest) => (-1, rest),
        (b'+', rest) => (1, rest),
        _ => (1, bytes),
    };
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0i128, |value, byte| {
        let digit = (*byte as char).to_digit(base)?;
        value.checked_mul(base.into())?.checked_add(digit.into())
    })?;
    Some(sign * value)
}

/// Reads the number of a descriptor.
pub(super) fn descriptor(text: &OsStr) -> Result<i32> {
    number(text, 10)
        .and_then(|number| i32::try_from(number).ok())
        .filter(|number| *number >= 0)
        .ok_or_else(|| refused(format!("Invalid fd: {}", text.display()), "a descriptor is a number from 0 on"))
}

/// Reads the id of a user or group. As in bubblewrap, which has it as an int, ids above 2147483647 are an error.
pub(super) fn id(text: &OsStr, what: &str) -> Result<u32> {
    number(text, 10)
        .and_then(|number| i32::try_from(number).ok())
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| refused(format!("Invalid {what}: {}", text.display()), "an id is a number from 0 to 2147483647"))
}

/// Reads octal permissions of at most 07777.
pub(super) fn permissions(text: &OsStr, option: &str) -> Result<u32> {
    number(text, 8).and_then(|number| u32::try_from(number).ok()).filter(|mode| *mode <= 0o7777).ok_or_else(|| {
        refused(format!("{option} takes an octal argument <= 07777"), &format!("`{}` is none", text.display()))
    })
}

/// Reads a size in bytes, in base 10, 8 (`0...`) or 16 (`0x...`).
pub(super) fn size(text: &OsStr) -> Result<u64> {
    let bytes = text.as_bytes();
    let (digits, base) = match bytes {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => (rest, 8),
        _ => (bytes, 10),
    };
    let plain = digits.first().is_some_and(|byte| byte.is_ascii_hexdigit());
    match number(OsStr::from_bytes(digits), base) {
        Some(0) | None => {
            Err(refused("--size takes a non-zero number of bytes".into(), &format!("`{}` is none", text.display())))
        }
        Some(_) if !plain => {
            Err(refused("--size takes a non-zero number of bytes".into(), &format!("`{}` is none", text.display())))
        }
        Some(size) if size > i128::from(u64::MAX / 2) => {
            Err(refused(format!("--size (for tmpfs) is limited to {}", u64::MAX / 2), "take a smaller one"))
        }
        Some(size) => Ok(size as u64),
    }
}

/// The number of a capability, which is given by name or number.
pub(super) fn capability(text: &OsStr) -> Result<u32> {
    let name = text.to_string_lossy().to_ascii_lowercase();
    let known = crate::sys::CAPABILITIES.iter().position(|known| *known == name).map(|number| number as u32);
    known.or_else(|| name.parse().ok().filter(|number| *number < 64)).ok_or_else(|| {
        refused(
            format!("unknown cap: {}", text.display()),
            "names are those of capabilities(7), such as CAP_NET_RAW, or ALL",
        )
    })
}

/// The error of a wrong command line, with bubblewrap's exit status.
pub(super) fn refused(message: String, hint: &str) -> Error {
    Error::new(message).status(1).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_strtol_does_and_never_wrap() {
        let number = |text: &str| super::number(OsStr::new(text), 10);
        assert_eq!(number(" \t7"), Some(7));
        assert_eq!(number("+3"), Some(3));
        assert_eq!(number("-1"), Some(-1));
        for wrong in ["", " ", "-", "7 ", "0a", "a", "--1", "99999999999999999999999999999999999999999999"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
        assert!(descriptor(OsStr::new("4294967299")).is_err(), "3, if it wrapped");
        assert!(id(OsStr::new("4294967296"), "uid").is_err(), "0, if it wrapped");
        for wrong in ["-1", "2147483648", "4294967294", "4294967295"] {
            assert!(id(OsStr::new(wrong), "uid").is_err(), "{wrong}");
        }
        assert_eq!(id(OsStr::new("2147483647"), "uid").unwrap(), 2_147_483_647);
    }

    #[test]
    fn sizes_have_three_bases_and_an_end() {
        let size = |text: &str| super::size(OsStr::new(text)).ok();
        assert_eq!((size("4096"), size("0x10"), size("010")), (Some(4096), Some(16), Some(8)));
        for wrong in ["0", "", " 5", "-5", " -5", "5k", "0x", "+5", "9223372036854775808", "18446744073709551616"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
