//! With which rights the host's files were read for the program: what it was shown empty, nobody has a copy of.
//!
//! What is done with layers is done with all capabilities over the ids of the sandbox. With these, the kernel's overlay, too, has read the
//! host's files. The view server has only the caller's rights: to it, also a file of the caller's own may be closed.

use super::Layer;
use super::node::{open_dir, open_file};
use crate::sys::{self, Errno};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Who read the host's files for the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The kernel's overlay.
    Overlay,
    /// The view server, in one run at least.
    Server,
}

impl Reader {
    /// The one of a layer.
    pub fn of(layer: &Layer) -> Reader {
        if layer.served { Reader::Server } else { Reader::Overlay }
    }

    /// Opens a directory of the host's. EACCES: it was shown empty.
    pub fn dir(self, dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
        self.look(|| {
            let fd = open_dir(dir, name)?;
            // What can be listed and not searched was shown empty, too.
            sys::openat(fd.as_fd(), c".", libc::O_PATH | libc::O_DIRECTORY, 0)?;
            Ok(fd)
        })
    }

    /// Opens a file of the host's. EACCES: it was shown empty.
    pub fn file(self, dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<std::fs::File> {
        self.look(|| open_file(dir, name))
    }

    /// Whether a file of the host's was shown empty, since it could not be read.
    pub fn is_closed(self, dir: BorrowedFd<'_>, name: &CStr) -> bool {
        matches!(self.file(dir, name), Err(Errno(libc::EACCES)))
    }

    fn look<T>(self, look: impl FnOnce() -> sys::Result<T>) -> sys::Result<T> {
        match self {
            Reader::Overlay => look(),
            Reader::Server => sys::without_capabilities(look),
        }
    }
}
