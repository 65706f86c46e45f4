//! Texts that are put together in a fixed place, without allocation.

use crate::sys::errno::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::RawFd;

/// A path that is put together in a fixed place, without allocation.
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
    /// `/proc/self/fd/N`
    pub fn of_descriptor(fd: RawFd) -> Text<N> {
        let mut text = Text::default();
        text.push(b"/proc/self/fd/").decimal(fd as u32);
        text
    }

    /// Adds bytes. What does not fit makes the whole too long, which `text` tells.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Text<N> {
        if let Some(place) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.length += bytes.len();
        self
    }

    /// Adds a number.
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

    /// As it is, without what did not fit.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// As the kernel takes it.
    pub fn text(&self) -> Result<&CStr> {
        let whole = self.bytes.get(..self.length + 1).ok_or(Errno(libc::ENAMETOOLONG))?;
        CStr::from_bytes_with_nul(whole).map_err(|_| Errno(libc::EINVAL))
    }
}
