//! The text that is printed for an error number.

use super::error_table::TEXTS;
use crate::sys::errno::Errno;
use std::borrow::Cow;
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

    /// The sentence of glibc's strerror(3), lower case, without a period.
    pub fn text(self) -> Cow<'static, str> {
        match usize::try_from(self.0).ok().and_then(|number| TEXTS.get(number)) {
            None | Some(&"") => format!("error {}", self.0).into(),
            Some(text) => (*text).into(),
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
    fn an_error_is_printed_with_its_text_and_its_symbol() {
        assert_eq!(Errno(libc::ENOENT).to_string(), "no such file or directory (ENOENT)");
        assert_eq!(Errno(libc::EIO).to_string(), "input/output error (EIO)");
        assert_eq!(Errno(libc::EAGAIN).to_string(), "resource temporarily unavailable (EAGAIN)");
        assert_eq!(Errno(libc::EOPNOTSUPP).to_string(), "operation not supported (EOPNOTSUPP)");
        assert_eq!(Errno(libc::EXDEV).to_string(), "invalid cross-device link (EXDEV)");
        assert_eq!(format!("{:?}", Errno(0)), "errno 0");
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn the_texts_are_those_of_the_gnu_c_library() {
        for errno in (-1..200).map(Errno) {
            let mut buffer = [0 as libc::c_char; 128];
            // SAFETY: the buffer may be written for the length that is passed. XSI's strerror_r ends the text with a NUL.
            let (result, theirs) = unsafe {
                let result = libc::strerror_r(errno.0, buffer.as_mut_ptr(), buffer.len());
                (result, std::ffi::CStr::from_ptr(buffer.as_ptr()).to_str().unwrap())
            };
            let ours = errno.text();
            if result != 0 {
                assert_eq!(ours, format!("error {}", errno.0));
            } else {
                assert_eq!((ours[..1].to_lowercase(), &ours[1..]), (theirs[..1].to_lowercase(), &theirs[1..]));
            }
        }
        assert_eq!(Errno(libc::EDOTDOT).text(), "RFS specific error", "what is an abbreviation keeps its capitals");
    }

    #[test]
    fn every_symbol_leads_back_to_its_number() {
        for errno in (1..134).map(Errno).filter(|errno| errno.name().is_some()) {
            assert_eq!(Errno::from_name(&format!("{errno:?}")), Some(errno));
        }
        assert_eq!(Errno::from_name("UnknownErrno"), None);
    }
}
