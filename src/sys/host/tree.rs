//! Directories: their entries, and calls that rename and remove.

use crate::sys::child::openat;
use crate::sys::errno::{Result, check};
use nix::unistd::UnlinkatFlags;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

/// RENAME_NOREPLACE of renameat2(2): fails with EEXIST if the new name exists.
pub const RENAME_NOREPLACE: u32 = libc::RENAME_NOREPLACE;

/// renameat2(2) with these RENAME_* flags. (nix has it only with the GNU C library.)
pub fn rename(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr, flags: u32) -> Result<()> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: both names end with a NUL and outlive the call; the rest are integers.
    check(unsafe { libc::syscall(libc::SYS_renameat2, from, old.as_ptr(), to, new.as_ptr(), flags) })?;
    Ok(())
}

/// unlinkat(2): removes a file, or with `dir` an empty directory.
pub fn unlink(dir: BorrowedFd<'_>, name: &CStr, is_dir: bool) -> Result<()> {
    let flags = if is_dir { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
    Ok(nix::unistd::unlinkat(dir, name, flags)?)
}

/// The kind of a directory's entry, as far as the directory says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Dir,
    /// Anything else, or not known.
    Other,
}

/// The names in a directory in the order of their bytes, without `.` and `..`: getdents64(2).
pub fn entries(dir: BorrowedFd<'_>) -> Result<Vec<(CString, FileKind)>> {
    // A descriptor of its own: the offset is a part of the open file.
    let fd = openat(dir, c".", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    let mut stream = nix::dir::Dir::from_fd(fd)?;
    let mut list = Vec::new();
    for entry in stream.iter() {
        let entry = entry?;
        let kind = match entry.file_type() {
            Some(nix::dir::Type::Directory) => FileKind::Dir,
            _ => FileKind::Other,
        };
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            list.push((entry.file_name().to_owned(), kind));
        }
    }
    list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(list)
}
