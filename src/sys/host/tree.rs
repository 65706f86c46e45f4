//! Directories: their entries, and calls that rename and remove.

use crate::sys::child::openat;
use crate::sys::errno::{Errno, Result, check, done};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, Whence};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

/// RENAME_NOREPLACE of renameat2(2): fails with EEXIST if the new name exists.
pub const RENAME_NOREPLACE: u32 = libc::RENAME_NOREPLACE;

/// RENAME_EXCHANGE of renameat2(2): both names exist, and are exchanged.
pub const RENAME_EXCHANGE: u32 = libc::RENAME_EXCHANGE;

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

/// flistxattr(2): the names of the extended attributes of an open file.
pub fn attribute_names(fd: BorrowedFd<'_>) -> Result<Vec<CString>> {
    let mut buffer = vec![0_u8; 64 * 1024];
    // SAFETY: the buffer may be written for the length that is passed. (64 KiB is the longest list: XATTR_LIST_MAX.)
    let length = check(unsafe { libc::flistxattr(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) as i64 })?;
    buffer.truncate(length as usize);
    let names = buffer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}

/// fgetxattr(2): the value of an extended attribute of an open file; `None` if it has none of that name, or its filesystem
/// has no such attributes.
pub fn attribute_of(fd: BorrowedFd<'_>, name: &CStr) -> Result<Option<Vec<u8>>> {
    let get = |buffer: &mut [u8]| {
        let (pointer, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the name ends with a NUL; the buffer may be written for the length that is passed, which may be 0.
        check(unsafe { libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), pointer, length) as i64 })
    };
    let mut value = vec![0; 256];
    let length = match get(&mut value) {
        Err(Errno(libc::ERANGE)) => {
            // The longest value: XATTR_SIZE_MAX.
            value = vec![0; 64 * 1024];
            get(&mut value)
        }
        other => other,
    };
    match length {
        Ok(length) => {
            value.truncate(length as usize);
            Ok(Some(value))
        }
        Err(Errno(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// fsetxattr(2): sets an extended attribute of an open file.
pub fn set_attribute_of(fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: the name ends with a NUL; the value may be read for the length that is passed.
    done(unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
}

/// fremovexattr(2): removes an extended attribute of an open file.
pub fn remove_attribute_of(fd: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: the name ends with a NUL.
    done(unsafe { libc::fremovexattr(fd.as_raw_fd(), name.as_ptr()) })
}

/// readlinkat(2): the text of a link, of any length.
pub fn link_text(dir: BorrowedFd<'_>, name: &CStr) -> Result<CString> {
    let text = nix::fcntl::readlinkat(dir, name)?;
    CString::new(text.into_encoded_bytes()).map_err(|_| Errno(libc::EINVAL))
}

/// utimensat(2): sets the time of the last change of a file's content, in nanoseconds since 1970, and leaves that of the
/// last access as it is. A link is not followed.
pub fn set_modified(dir: BorrowedFd<'_>, name: &CStr, time: i128) -> Result<()> {
    let time = TimeSpec::new(time.div_euclid(1_000_000_000) as i64, time.rem_euclid(1_000_000_000) as i64);
    Ok(nix::sys::stat::utimensat(dir, name, &TimeSpec::UTIME_OMIT, &time, UtimensatFlags::NoFollowSymlink)?)
}

/// mknodat(2): makes a named pipe.
pub fn make_fifo(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    Ok(nix::sys::stat::mknodat(dir, name, SFlag::S_IFIFO, Mode::from_bits_retain(mode), 0)?)
}

/// syncfs(2): writes everything that is pending on the filesystem of an open file.
pub fn sync_filesystem(fd: BorrowedFd<'_>) -> Result<()> {
    Ok(nix::unistd::syncfs(fd)?)
}

/// The next range of a file that is no hole, from an offset on: lseek(2), SEEK_DATA and SEEK_HOLE. `None` after the last.
pub fn next_data(fd: BorrowedFd<'_>, from: u64) -> Result<Option<(u64, u64)>> {
    let seek = |from: u64, whence| nix::unistd::lseek(fd, from as i64, whence);
    match seek(from, Whence::SeekData) {
        Err(nix::errno::Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
        Ok(start) => Ok(Some((start as u64, seek(start as u64, Whence::SeekHole)? as u64))),
    }
}
