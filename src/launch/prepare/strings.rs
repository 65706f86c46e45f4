//! Strings as system calls take them.

use crate::error::{Error, Result};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Text with a NUL at its end. One that holds a NUL is an error.
pub(super) fn cstring(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::new(format!("{text:?} holds a NUL byte")))
}

/// Paths with a NUL at their ends.
pub(super) fn cstrings(paths: &[PathBuf]) -> Result<Vec<CString>> {
    paths.iter().map(|path| cstring(path.as_os_str())).collect()
}

/// An SELinux label as a C string, if there is one.
pub(super) fn label(label: Option<&String>) -> Result<Option<CString>> {
    label.map(|label| cstring(OsStr::new(label))).transpose()
}
