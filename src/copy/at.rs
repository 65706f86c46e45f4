//! The path at which a side of a copy begins.

use crate::sys::{self, Errno};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A path, and how it is looked up.
pub struct At<'p> {
    /// As the user has it.
    pub path: &'p Path,
    /// The same without links, and the directory that it lies in without links: no link is followed any more. None in a sandbox, where links lead where
    /// they lead for its program.
    pub real: Option<[PathBuf; 2]>,
}

impl At<'_> {
    /// Opens it, with these flags of open(2).
    ///
    /// # Errors
    ///
    /// The call fails; ELOOP: there is a link on the way by now.
    pub(super) fn open(&self, flags: i32) -> sys::Result<OwnedFd> {
        match &self.real {
            None => sys::openat(sys::cwd(), &text(self.path)?, flags, 0),
            Some([real, _]) => sys::open_without_links(&text(real)?, flags),
        }
    }

    /// Opens the directory that it lies in.
    ///
    /// # Errors
    ///
    /// The call fails; ELOOP: there is a link on the way by now.
    pub(super) fn open_above(&self) -> sys::Result<OwnedFd> {
        const FLAGS: i32 = libc::O_PATH | libc::O_DIRECTORY;
        match &self.real {
            None => sys::openat(sys::cwd(), &text(self.above())?, FLAGS, 0),
            Some([_, dir]) => sys::open_without_links(&text(dir)?, FLAGS),
        }
    }

    /// The directory that it lies in, as the user has it.
    pub(super) fn above(&self) -> &Path {
        self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

fn text(path: &Path) -> sys::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))
}
