//! Strings built in a buffer of fixed size, without allocation.

use crate::sys::errno::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::RawFd;

/// A string, such as a path, that is built in a buffer of `N` bytes, without allocation.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Text<N> {
    /// `/proc/self/fd/N`: the path by which a descriptor's file can be opened again.
    pub fn of_descriptor(fd: RawFd) -> Text<N> {
        let mut text = Text::default();
        text.push(b"/proc/self/fd/").decimal(fd as u32);
        text
    }

    /// Appends bytes. If they do not fit, [`Text::text`] will fail.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Text<N> {
        if let Some(place) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.length += bytes.len();
        self
    }

    /// Appends a number in decimal.
    pub fn decimal(&mut self, mut number: u32) -> &mut Text<N> {
        let mut digits = [0; 10];
        let mut at = digits.len();
        for place in digits.iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            at -= 1;
            if number == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or_default())
    }

    /// The bytes so far; the whole buffer if something did not fit.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// The string with a NUL at its end, as system calls take it; ENAMETOOLONG if something did not fit, EINVAL if
    /// there is a NUL in it.
    pub fn text(&self) -> Result<&CStr> {
        let whole = self.bytes.get(..self.length + 1).ok_or(Errno(libc::ENAMETOOLONG))?;
        CStr::from_bytes_with_nul(whole).map_err(|_| Errno(libc::EINVAL))
    }
}
