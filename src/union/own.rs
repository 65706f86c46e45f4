//! Directories and files of the stores: they are this user's alone, and no link is followed on the way to them.

use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path or a name, as system calls take it.
pub(super) fn c(text: impl AsRef<OsStr>) -> CString {
    CString::new(text.as_ref().as_bytes()).unwrap_or_default()
}

/// The error of a call at a path.
pub(super) fn failed(what: &str, path: &Path, errno: impl Into<Errno>) -> Error {
    Error::new(format!("cannot {what} {}: {}", path.display(), errno.into()))
}

/// Opens a directory that belongs to this user alone.
pub(super) fn private(dir: BorrowedFd<'_>, name: &CStr, path: &Path) -> Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let fd = match sys::openat(dir, name, flags, 0) {
        Err(Errno(libc::ELOOP | libc::ENOTDIR)) => {
            return Err(Error::new(format!(
                "{} is no directory, and sbx makes none but directories there",
                path.display()
            ))
            .hint(format!("a program may have left it: rm {}", path.display())));
        }
        other => other.map_err(|errno| failed("open", path, errno))?,
    };
    let owner = sys::owner(fd.as_fd()).map_err(|errno| failed("look up", path, errno))?;
    if owner.uid != sys::effective_uid() || owner.mode & 0o077 != 0 {
        return Err(open_to_others(path));
    }
    Ok(fd)
}

pub(super) fn open_to_others(path: &Path) -> Error {
    Error::new(format!("{} is open to others, or another user's", path.display()))
        .hint(format!("close it: chmod 700 {}", path.display()))
}

/// The error for a directory of the store that a link is on the way to.
pub(super) fn linked(dir: &Path) -> Error {
    let ways: Vec<_> = dir.ancestors().collect();
    link_to_store(ways.into_iter().rev().find(|path| path.is_symlink()).unwrap_or(dir))
}

/// The error for a link in sbx's part of the way to a store.
pub fn link_to_store(link: &Path) -> Error {
    let link = link.display();
    Error::new(format!(
        "{link} is a link, and sbx follows none to its own directories: a program may have put it there"
    ))
    .hint(format!(
        "look at what it leads to; remove it, or move that directory to {link}; XDG_DATA_HOME names another place"
    ))
}

/// The text of a small file of this user's own.
pub(super) fn read(dir: BorrowedFd<'_>, name: &str) -> sys::Result<String> {
    use std::io::Read;
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = sys::openat(dir, &c(name), flags, 0)?;
    let mut text = String::new();
    std::fs::File::from(file).take(1 << 20).read_to_string(&mut text)?;
    Ok(text)
}
