//! Directories: their entries, and calls that rename and remove.

use super::union::{
    attribute_at, attribute_names_at, names_in, remove_attribute_at, set_attribute_at, set_times, value_in,
};
use crate::sys::child::{chown, openat, statx_with};
use crate::sys::errno::{Errno, Result, check, done};
use nix::fcntl::AtFlags;
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

/// fchownat(2) with AT_EMPTY_PATH: gives an open file, which may have been opened with O_PATH, to a user and a group.
pub fn chown_of(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    chown(fd, c"", Some(uid), Some(gid))
}

/// statx(2) with AT_EMPTY_PATH: the facts of a file in a directory, or with an empty name of the directory itself. A link is
/// not followed, and nothing is mounted by that.
pub fn statx(dir: BorrowedFd<'_>, name: &CStr) -> Result<libc::statx> {
    let wanted = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID;
    statx_with(dir, name, libc::AT_EMPTY_PATH, wanted)
}

/// flistxattr(2), or listxattr(2) for a file that was opened with O_PATH: the names of the extended attributes of an open file.
pub fn attribute_names(fd: BorrowedFd<'_>) -> Result<Vec<CString>> {
    let get = |buffer: &mut [u8]| {
        // SAFETY: the buffer may be written for the length that is passed.
        check(unsafe { libc::flistxattr(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) as i64 })
    };
    match names_in(get) {
        Err(Errno(libc::EBADF)) => attribute_names_at(fd),
        other => other,
    }
}

/// fgetxattr(2), or getxattr(2) for a file that was opened with O_PATH: the value of an extended attribute of an open file; `None`
/// if it has none of that name, or its filesystem has no such attributes.
pub fn attribute_of(fd: BorrowedFd<'_>, name: &CStr) -> Result<Option<Vec<u8>>> {
    let get = |buffer: &mut [u8]| {
        let (pointer, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the name ends with a NUL; the buffer may be written for the length that is passed.
        check(unsafe { libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), pointer, length) as i64 })
    };
    let found = match value_in(get) {
        Err(Errno(libc::EBADF)) => attribute_at(fd, name),
        other => other,
    };
    match found {
        Ok(value) => Ok(Some(value)),
        Err(Errno(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// fsetxattr(2), or setxattr(2) for a file that was opened with O_PATH: sets an extended attribute of an open file.
pub fn set_attribute_of(fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: the name ends with a NUL; the value may be read for the length that is passed.
    match done(unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) }) {
        Err(Errno(libc::EBADF)) => set_attribute_at(fd, name, value, 0),
        other => other,
    }
}

/// fremovexattr(2), or removexattr(2) for a file that was opened with O_PATH: removes an extended attribute of an open file.
pub fn remove_attribute_of(fd: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // SAFETY: the name ends with a NUL.
    match done(unsafe { libc::fremovexattr(fd.as_raw_fd(), name.as_ptr()) }) {
        Err(Errno(libc::EBADF)) => remove_attribute_at(fd, name),
        other => other,
    }
}

/// readlinkat(2): the text of a link, of any length.
pub fn link_text(dir: BorrowedFd<'_>, name: &CStr) -> Result<CString> {
    let text = nix::fcntl::readlinkat(dir, name)?;
    CString::new(text.into_encoded_bytes()).map_err(|_| Errno(libc::EINVAL))
}

/// utimensat(2): sets the time of the last change of a file's content, in nanoseconds since 1970, and leaves that of the
/// last access as it is. A link is not followed.
pub fn set_modified(dir: BorrowedFd<'_>, name: &CStr, time: i128) -> Result<()> {
    const SECOND: i128 = 1_000_000_000;
    set_times(dir, name, None, Some((time.div_euclid(SECOND) as i64, time.rem_euclid(SECOND) as i64)))
}

/// syncfs(2): writes everything that is pending on the filesystem of an open file.
pub fn sync_filesystem(fd: BorrowedFd<'_>) -> Result<()> {
    Ok(nix::unistd::syncfs(fd)?)
}

/// The next range of a file that is no hole, from an offset on: lseek(2), SEEK_DATA and SEEK_HOLE. `None` after the last.
pub fn next_data(fd: BorrowedFd<'_>, from: u64) -> Result<Option<(u64, u64)>> {
    match seek_next(fd, from, false) {
        Err(Errno(libc::ENXIO)) => Ok(None),
        start => start.and_then(|start| Ok(Some((start, seek_next(fd, start, true)?)))),
    }
}

/// What stat(2) tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStatus {
    /// Device that the file is on.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
    /// The file type bits (`S_IFMT`) and the permissions.
    pub mode: u32,
    /// Number of names.
    pub links: u32,
    /// User id of the owner, as it is mapped here.
    pub uid: u32,
    /// Group id, as it is mapped here.
    pub gid: u32,
    /// Number of the device that a device file stands for.
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// Blocks of 512 bytes that are allocated.
    pub blocks: u64,
    /// Preferred size of reads, in bytes.
    pub block_size: u32,
    /// Time of the last access: seconds since 1970, nanoseconds.
    pub accessed: (i64, u32),
    /// Time of the last change of the content.
    pub modified: (i64, u32),
    /// Time of the last change of the content or the attributes. A program cannot set it.
    pub changed: (i64, u32),
}

/// fstatat(2) that does not follow a link at the end of the path; the empty path stands for the descriptor's own file.
pub fn status_of(dir: BorrowedFd<'_>, path: &CStr) -> Result<FileStatus> {
    let found = nix::sys::stat::fstatat(dir, path, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH)?;
    Ok(FileStatus {
        dev: found.st_dev as u64,
        ino: found.st_ino as u64,
        mode: found.st_mode as u32,
        links: found.st_nlink as u32,
        uid: found.st_uid,
        gid: found.st_gid,
        rdev: found.st_rdev as u64,
        size: found.st_size as u64,
        blocks: found.st_blocks as u64,
        block_size: found.st_blksize as u32,
        accessed: (found.st_atime as i64, found.st_atime_nsec as u32),
        modified: (found.st_mtime as i64, found.st_mtime_nsec as u32),
        changed: (found.st_ctime as i64, found.st_ctime_nsec as u32),
    })
}

/// pread(2): reads at an offset, and gives how many bytes there were.
pub fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let offset = i64::try_from(offset).map_err(|_| Errno(libc::EINVAL))?;
    Ok(nix::sys::uio::pread(fd, buffer, offset)?)
}

/// lseek(2), SEEK_DATA or with `hole` SEEK_HOLE: where the next data or hole begins, from an offset on. ENXIO after the last.
pub fn seek_next(fd: BorrowedFd<'_>, from: u64, hole: bool) -> Result<u64> {
    let from = i64::try_from(from).map_err(|_| Errno(libc::ENXIO))?;
    Ok(nix::unistd::lseek(fd, from, if hole { Whence::SeekHole } else { Whence::SeekData })? as u64)
}
