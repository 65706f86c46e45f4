//! Calls of a filesystem that keeps its files in directories of another one.

use crate::sys::child::{Text, cwd};
use crate::sys::errno::{Errno, Result, check, done};
use nix::fcntl::{AtFlags, FallocateFlags};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// RENAME_WHITEOUT of renameat2(2): leaves a whiteout at the old name.
pub const RENAME_WHITEOUT: u32 = libc::RENAME_WHITEOUT;

/// A time for utimensat(2): nanoseconds since 1970 as seconds and the rest; `None` leaves it as it is.
pub type NewTime = Option<(i64, i64)>;

fn time(time: NewTime) -> TimeSpec {
    time.map_or(TimeSpec::UTIME_OMIT, |(seconds, rest)| TimeSpec::new(seconds, rest))
}

/// utimensat(2): the times of the last access and of the last change. A link is not followed; an empty name stands for the
/// descriptor's own file, which may have been opened with O_PATH.
pub fn set_times(dir: BorrowedFd<'_>, name: &CStr, accessed: NewTime, modified: NewTime) -> Result<()> {
    let (accessed, modified) = (time(accessed), time(modified));
    if name.is_empty() {
        let path = Text::<32>::of_descriptor(dir.as_raw_fd());
        let follow = UtimensatFlags::FollowSymlink;
        return Ok(nix::sys::stat::utimensat(cwd(), path.text()?, &accessed, &modified, follow)?);
    }
    Ok(nix::sys::stat::utimensat(dir, name, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?)
}

/// pwrite(2): writes at an offset, and gives how many bytes were written.
pub fn write_at(fd: BorrowedFd<'_>, data: &[u8], offset: u64) -> Result<usize> {
    let offset = i64::try_from(offset).map_err(|_| Errno(libc::EFBIG))?;
    Ok(nix::sys::uio::pwrite(fd, data, offset)?)
}

/// ftruncate(2): sets the size of an open file.
pub fn truncate(fd: BorrowedFd<'_>, size: u64) -> Result<()> {
    Ok(nix::unistd::ftruncate(fd, i64::try_from(size).map_err(|_| Errno(libc::EFBIG))?)?)
}

/// fallocate(2) with these FALLOC_FL_* flags.
pub fn allocate(fd: BorrowedFd<'_>, flags: i32, offset: u64, length: u64) -> Result<()> {
    let number = |number: u64| i64::try_from(number).map_err(|_| Errno(libc::EFBIG));
    Ok(nix::fcntl::fallocate(fd, FallocateFlags::from_bits_retain(flags), number(offset)?, number(length)?)?)
}

/// fsync(2), or with `data` fdatasync(2).
pub fn sync_file(fd: BorrowedFd<'_>, data: bool) -> Result<()> {
    if data {
        nix::unistd::fdatasync(fd)?
    } else {
        nix::unistd::fsync(fd)?
    };
    Ok(())
}

/// copy_file_range(2): copies a range within the kernel, and gives how many bytes were copied. (nix has it only with the GNU C
/// library.)
pub fn copy_range(
    (from, from_offset): (BorrowedFd<'_>, u64),
    (to, to_offset): (BorrowedFd<'_>, u64),
    length: usize,
) -> Result<usize> {
    let number = |number: u64| i64::try_from(number).map_err(|_| Errno(libc::EFBIG));
    let (mut from_offset, mut to_offset) = (number(from_offset)?, number(to_offset)?);
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    let (from_at, to_at): (*mut i64, *mut i64) = (&mut from_offset, &mut to_offset);
    // SAFETY: both offsets are numbers of 64 bits that outlive the call, which may change them; the rest are integers.
    Ok(check(unsafe { libc::syscall(libc::SYS_copy_file_range, from, from_at, to, to_at, length, 0) })? as usize)
}

/// ioctl(2), FICLONE: makes a file share the content of another.
pub fn clone_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the argument of this request is a descriptor.
    done(unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) })
}

/// linkat(2): another name of a file. A link is not followed.
pub fn link(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Result<()> {
    Ok(nix::unistd::linkat(from, old, to, new, AtFlags::empty())?)
}

/// linkat(2) by way of /proc: a name for an open file that may have none.
pub fn link_descriptor(fd: BorrowedFd<'_>, to: BorrowedFd<'_>, new: &CStr) -> Result<()> {
    let path = Text::<32>::of_descriptor(fd.as_raw_fd());
    Ok(nix::unistd::linkat(cwd(), path.text()?, to, new, AtFlags::AT_SYMLINK_FOLLOW)?)
}

/// mknodat(2) of a named pipe, a socket or an empty file, with these file type bits and permissions.
pub fn make_node(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    let (kind, mode) = (SFlag::from_bits_truncate(mode & libc::S_IFMT), Mode::from_bits_truncate(mode & 0o7777));
    Ok(nix::sys::stat::mknodat(dir, name, kind, mode, 0)?)
}

/// Opens the file of a descriptor, which may have been opened with O_PATH, anew. Needs /proc.
pub fn open_again(fd: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd> {
    let path = Text::<32>::of_descriptor(fd.as_raw_fd());
    crate::sys::child::openat(cwd(), path.text()?, flags, 0)
}

/// The names of the extended attributes of a file whose descriptor may have been opened with O_PATH. Needs /proc.
pub fn attribute_names_at(fd: BorrowedFd<'_>) -> Result<Vec<CString>> {
    let path = Text::<32>::of_descriptor(fd.as_raw_fd());
    let path = path.text()?;
    // SAFETY: the path ends with a NUL; the buffer may be written for the length that is passed.
    names_in(|buffer| check(unsafe { libc::listxattr(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) as i64 }))
}

/// The names in a list of extended attributes, which `get` writes to a buffer.
pub(super) fn names_in(get: impl Fn(&mut [u8]) -> Result<i64>) -> Result<Vec<CString>> {
    // The longest list: XATTR_LIST_MAX.
    let mut buffer = vec![0_u8; 64 * 1024];
    let length = get(&mut buffer)?;
    buffer.truncate(length as usize);
    let names = buffer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}

/// The value of an extended attribute of a file whose descriptor may have been opened with O_PATH. Needs /proc.
pub fn attribute_at(fd: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>> {
    let path = Text::<32>::of_descriptor(fd.as_raw_fd());
    let path = path.text()?;
    let get = |buffer: &mut [u8]| {
        let (pointer, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the path and the name end with a NUL; the buffer may be written for the length that is passed.
        check(unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), pointer, length) as i64 })
    };
    value_in(get)
}

/// The value of an extended attribute, which `get` writes to a buffer; ERANGE if that is too short.
pub(super) fn value_in(get: impl Fn(&mut [u8]) -> Result<i64>) -> Result<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = match get(&mut value) {
        Err(Errno(libc::ERANGE)) => {
            // The longest value: XATTR_SIZE_MAX.
            value = vec![0; 64 * 1024];
            get(&mut value)?
        }
        other => other?,
    };
    value.truncate(length as usize);
    Ok(value)
}

/// Sets an extended attribute of a file whose descriptor may have been opened with O_PATH, with these XATTR_* flags.
pub fn set_attribute_at(fd: BorrowedFd<'_>, name: &CStr, value: &[u8], flags: i32) -> Result<()> {
    let path = Text::<32>::of_descriptor(fd.as_raw_fd());
    let path = path.text()?;
    // SAFETY: the path and the name end with a NUL; the value may be read for the length that is passed.
    done(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) })
}

/// Removes an extended attribute of a file whose descriptor may have been opened with O_PATH.
pub fn remove_attribute_at(fd: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let path = Text::<32>::of_descriptor(fd.as_raw_fd());
    let path = path.text()?;
    // SAFETY: the path and the name end with a NUL.
    done(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) })
}

/// What statvfs(3) tells of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Size of a block in bytes.
    pub block_size: u64,
    /// Blocks in all, free ones, and free ones for ordinary users.
    pub blocks: [u64; 3],
    /// Inodes in all, and free ones.
    pub files: [u64; 2],
    /// Length of the longest name, in bytes.
    pub longest_name: u64,
}

/// fstatvfs(3): size and free room of the filesystem of an open file.
pub fn room_of(fd: BorrowedFd<'_>) -> Result<Room> {
    let found = nix::sys::statvfs::fstatvfs(fd)?;
    Ok(Room {
        block_size: found.fragment_size() as u64,
        blocks: [found.blocks() as u64, found.blocks_free() as u64, found.blocks_available() as u64],
        files: [found.files() as u64, found.files_free() as u64],
        longest_name: found.name_max() as u64,
    })
}
