//! The text that is printed for an error number.

use crate::sys::errno::Errno;
use std::ffi::CStr;
use std::fmt;

impl Errno {
    /// The symbol of the error, such as `ENOENT`; `None` for a number that has no symbol on Linux.
    fn name(self) -> Option<nix::errno::Errno> {
        match nix::errno::Errno::from_raw(self.0) {
            nix::errno::Errno::UnknownErrno => None,
            known => Some(known),
        }
    }

    /// The error with this symbol, such as `ENOENT`, if there is one.
    pub fn from_name(name: &str) -> Option<Errno> {
        (1..200).map(Errno).find(|errno| errno.name().is_some_and(|known| format!("{known:?}") == name))
    }

    /// The text of strerror(3), with its first letter in lower case unless an abbreviation starts there.
    pub fn text(self) -> String {
        let mut buffer = [0 as libc::c_char; 128];
        // SAFETY: the buffer may be written for the length that is passed.
        if unsafe { libc::strerror_r(self.0, buffer.as_mut_ptr(), buffer.len()) } != 0 {
            return format!("error {}", self.0);
        }
        // SAFETY: XSI's strerror_r ends the text with a NUL when it gives 0.
        let text = unsafe { CStr::from_ptr(buffer.as_ptr()) }.to_string_lossy();
        let mut chars = text.chars();
        match chars.next() {
            Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
                first.to_lowercase().chain(chars).collect()
            }
            _ => text.into_owned(),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            None => write!(f, "{} (errno {})", self.text(), self.0),
            Some(name) => write!(f, "{} ({name:?})", self.text()),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            None => write!(f, "errno {}", self.0),
            Some(name) => write!(f, "{name:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_printed_with_the_text_of_the_c_library_and_its_symbol() {
        assert_eq!(Errno(libc::ENOENT).to_string(), "no such file or directory (ENOENT)");
        assert_eq!(Errno(libc::EIO).to_string(), "input/output error (EIO)");
        assert_eq!(Errno(libc::EAGAIN).to_string(), "resource temporarily unavailable (EAGAIN)");
        assert_eq!(Errno(libc::EOPNOTSUPP).to_string(), "operation not supported (EOPNOTSUPP)");
        assert_eq!(Errno(libc::EXDEV).to_string(), "invalid cross-device link (EXDEV)");
        assert_eq!(format!("{:?}", Errno(0)), "errno 0");
    }

    #[test]
    fn every_symbol_leads_back_to_its_number() {
        for errno in (1..134).map(Errno).filter(|errno| errno.name().is_some()) {
            assert_eq!(Errno::from_name(&format!("{errno:?}")), Some(errno));
        }
        assert_eq!(Errno::from_name("UnknownErrno"), None);
    }
}
