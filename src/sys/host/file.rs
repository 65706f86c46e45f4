//! Files, as the launcher needs them.

use crate::sys::child::openat;
use crate::sys::errno::{Errno, Result, done};
use nix::sys::memfd::MFdFlags;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::Whence;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The file behind a descriptor, opened anew for writing without blocking: the caller's own description stays as it is.
pub fn reopen_to_write(fd: RawFd) -> Result<OwnedFd> {
    let path = crate::sys::Text::<32>::of_descriptor(fd);
    openat(crate::sys::cwd(), path.text()?, libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
}

/// pipe2(2), close-on-exec: the end to read from, and the end to write to.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// A file in memory without a name: memfd_create(2), close-on-exec.
pub fn memory_file(name: &CStr) -> Result<OwnedFd> {
    Ok(nix::sys::memfd::memfd_create(name, MFdFlags::MFD_CLOEXEC)?)
}

/// The path as the kernel takes it. nix copies a `Path` to the stack and, beyond 1 KiB, to the heap.
fn c(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// statfs(2): whether a path lies on a cgroup v2 file system.
pub fn is_cgroup2(path: &Path) -> bool {
    statfs(path).is_ok_and(|facts| facts.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// statvfs(3): whether the mount that a path lies on is read-only.
pub fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|facts| facts.flags().contains(FsFlags::ST_RDONLY))
}

/// getxattr(2), of at most 64 bytes. nix has none.
pub fn attribute(path: &Path, name: &CStr) -> Option<Vec<u8>> {
    let path = c(path)?;
    let mut value = vec![0; 64];
    // SAFETY: path and name end with a NUL; the buffer may be written for the length that is passed.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

/// flock(2): an exclusive lock, or EWOULDBLOCK where somebody has one. (nix's `Flock` wants to own the descriptor.)
pub fn try_lock(fd: BorrowedFd<'_>) -> Result<()> {
    loop {
        // SAFETY: the call takes two integers and touches no memory.
        match done(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
            Err(Errno(libc::EINTR)) => {}
            other => return other,
        }
    }
}

/// ftruncate(2) to nothing, and back to the start.
pub fn empty_file(fd: BorrowedFd<'_>) -> Result<()> {
    nix::unistd::ftruncate(fd, 0)?;
    nix::unistd::lseek(fd, 0, Whence::SeekSet)?;
    Ok(())
}
