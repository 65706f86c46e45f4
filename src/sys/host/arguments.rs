//! The arguments of this program.

use crate::sys::child::remember_arguments;
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The second argument of C's `main`: the program's arguments. Nothing but the C library makes a value of this type.
///
/// A program that has C's `main` finds them in `std::env::args` with the GNU C library alone.
#[repr(transparent)]
pub struct Arguments(*const *mut libc::c_char);

impl Arguments {
    /// Copies of them, the program's name first.
    pub fn strings(self) -> Vec<OsString> {
        let mut strings = Vec::new();
        // SAFETY: C's `main` is called with pointers at strings that end with a NUL, and a null pointer behind the last. The strings are
        // the program's own to write, lie one after the other, as the kernel has put them, and nothing else here refers to them.
        unsafe {
            let (first, mut end) = (*self.0, *self.0);
            loop {
                let text = *self.0.add(strings.len());
                if text.is_null() {
                    break;
                }
                let bytes = CStr::from_ptr(text).to_bytes();
                strings.push(OsStr::from_bytes(bytes).to_owned());
                end = text.add(bytes.len());
            }
            remember_arguments(first, end.addr().saturating_sub(first.addr()));
        }
        strings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_copied_up_to_the_null_pointer() {
        let text = b"program\0\0--word\0".to_vec().leak().as_mut_ptr().cast::<libc::c_char>();
        let list = [text, text.wrapping_add(8), text.wrapping_add(9), std::ptr::null_mut()];
        assert_eq!(Arguments(list.as_ptr()).strings(), ["program", "", "--word"]);
        let none = [std::ptr::null_mut()];
        assert!(Arguments(none.as_ptr()).strings().is_empty());
    }
}
