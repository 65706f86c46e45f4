//! Files: opening, creating, reading, writing.

use super::descriptor::cwd;
use crate::sys::errno::{Errno, Result, check};
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag};
use nix::unistd::{AccessFlags, Gid, Uid};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// openat(2); close-on-exec is always added.
pub fn openat(dir: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32) -> Result<OwnedFd> {
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::openat(dir, path, flags, Mode::from_bits_retain(mode))?)
}

/// mkdirat(2): creates a directory.
pub fn mkdirat(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    Ok(nix::sys::stat::mkdirat(dir, path, Mode::from_bits_retain(mode))?)
}

/// symlinkat(2): creates the symbolic link `path` with the text `target`.
pub fn symlinkat(target: &CStr, dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    Ok(nix::unistd::symlinkat(target, dir, path)?)
}

/// mknodat(2) of an empty regular file: one call less than opening it. It must not exist.
pub fn make_file(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<()> {
    Ok(nix::sys::stat::mknodat(dir, name, SFlag::S_IFREG, Mode::from_bits_retain(mode), 0)?)
}

/// mknodat(2) of a whiteout: the character device 0:0, which stands for a name that is absent in an overlay. It takes no
/// capability (Linux 5.8).
pub fn whiteout(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    Ok(nix::sys::stat::mknodat(dir, name, SFlag::S_IFCHR, Mode::empty(), 0)?)
}

/// The fields of stat(2) that sbx uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The file type bits (`S_IFMT`).
    pub kind: u32,
    /// The device that the file is on.
    pub dev: u64,
    /// The file's inode number on that device.
    pub ino: u64,
}

impl From<FileStat> for Stat {
    fn from(stat: FileStat) -> Stat {
        Stat { kind: stat.st_mode & libc::S_IFMT, dev: stat.st_dev, ino: stat.st_ino }
    }
}

/// fstat(2), which also works on a descriptor opened with O_PATH.
pub fn stat(fd: BorrowedFd<'_>) -> Result<Stat> {
    Ok(nix::sys::stat::fstatat(fd, c"", AtFlags::AT_EMPTY_PATH)?.into())
}

/// stat(2): when the content of a file or the entries of a directory were last changed, in seconds and nanoseconds.
pub fn modified(path: &CStr) -> Result<(i64, i64)> {
    let stat = nix::sys::stat::fstatat(cwd(), path, AtFlags::empty())?;
    Ok((stat.st_mtime, stat.st_mtime_nsec))
}

/// statx(2): the facts of a file in a directory that `wanted` names by STATX_* flags, with these AT_* flags. A link at the end of the name
/// is not followed, and nothing is mounted by that.
pub(in crate::sys) fn statx_with(dir: BorrowedFd<'_>, name: &CStr, flags: i32, wanted: u32) -> Result<libc::statx> {
    let mut facts = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let flags = flags | libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;
    let (dir, to) = (dir.as_raw_fd(), facts.as_mut_ptr());
    // SAFETY: the name ends with a NUL, and the kernel writes one struct statx; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_statx, dir, name.as_ptr(), flags, wanted, to) })?;
    // SAFETY: it is made of integers, and was zeroed before the kernel filled it.
    Ok(unsafe { facts.assume_init() })
}

/// statx(2), STATX_ATTR_MOUNT_ROOT: whether a path is where something is mounted; links at its end are not followed.
pub fn is_mount(path: &CStr) -> Result<bool> {
    let facts = statx_with(cwd(), path, libc::AT_STATX_DONT_SYNC, 0)?;
    let root = libc::STATX_ATTR_MOUNT_ROOT as u64;
    // Before Linux 5.8 the kernel does not know.
    Ok(facts.stx_attributes & root != 0 || facts.stx_attributes_mask & root == 0)
}

/// statfs(2): how many bytes and how many inodes are left in the filesystem of a path.
pub fn room(path: &CStr) -> Result<(u64, u64)> {
    let facts = nix::sys::statfs::statfs(path)?;
    Ok((facts.blocks_available().saturating_mul(facts.block_size() as u64), facts.files_free()))
}

/// fstatat(2) that does not follow a link at the end of the path.
pub fn stat_below(dir: BorrowedFd<'_>, path: &CStr) -> Result<Stat> {
    Ok(nix::sys::stat::fstatat(dir, path, AtFlags::AT_SYMLINK_NOFOLLOW)?.into())
}

/// Owner and permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id, as it is mapped here.
    pub uid: u32,
    /// Group id, as it is mapped here.
    pub gid: u32,
    /// Permissions, as chmod(2) takes them.
    pub mode: u32,
}

/// fstat(2): owner and permissions of the file that a descriptor refers to, which may have been opened with O_PATH.
pub fn owner(fd: BorrowedFd<'_>) -> Result<Owner> {
    let stat = nix::sys::stat::fstatat(fd, c"", AtFlags::AT_EMPTY_PATH)?;
    Ok(Owner { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 })
}

/// fchownat(2) that does not follow a link at the end of the path; an empty path stands for the descriptor's own file, which may have been
/// opened with O_PATH. `None` leaves an id as it is.
pub fn chown(dir: BorrowedFd<'_>, path: &CStr, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    Ok(nix::unistd::fchownat(dir, path, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EMPTY_PATH)?)
}

/// The file type bits (`S_IFMT`) of the file that a descriptor refers to.
pub fn file_type(fd: BorrowedFd<'_>) -> Result<u32> {
    stat(fd).map(|stat| stat.kind)
}

/// Whether a descriptor refers to the character device with this number, major and minor.
pub fn is_device(fd: BorrowedFd<'_>, (major, minor): (u32, u32)) -> Result<bool> {
    let found = nix::sys::stat::fstat(fd)?;
    Ok(found.st_mode & libc::S_IFMT == libc::S_IFCHR && found.st_rdev == libc::makedev(major, minor))
}

/// readlinkat(2): the text of a link, read into a buffer; ENAMETOOLONG if it does not fit. (nix's allocates.)
pub fn read_link<'b>(dir: BorrowedFd<'_>, path: &CStr, buffer: &'b mut [u8]) -> Result<&'b CStr> {
    let room = buffer.len().saturating_sub(1);
    // SAFETY: the path ends with a NUL; the buffer may be written for its length, of which `room` is less.
    let n = check(unsafe {
        libc::readlinkat(dir.as_raw_fd(), path.as_ptr(), buffer.as_mut_ptr().cast(), room) as libc::c_long
    })? as usize;
    if n >= room {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    if let Some(end) = buffer.get_mut(n) {
        *end = 0;
    }
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno(libc::EINVAL))
}

/// chmod(2) of the file that a descriptor refers to, which may have been opened with O_PATH. Needs /proc.
pub fn chmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    let path = super::text::Text::<32>::of_descriptor(fd.as_raw_fd());
    let follow = FchmodatFlags::FollowSymlink;
    Ok(nix::sys::stat::fchmodat(cwd(), path.text()?, Mode::from_bits_retain(mode), follow)?)
}

/// Whether a file belongs to this process's effective user: fstatat(2). False if it does not exist. A link at the end of
/// the path is not followed.
pub fn is_own(dir: BorrowedFd<'_>, path: &CStr) -> Result<bool> {
    match nix::sys::stat::fstatat(dir, path, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(found.st_uid == nix::unistd::geteuid().as_raw()),
        Err(nix::errno::Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the real user may write a file: faccessat2(2), W_OK. A link at the end of the path is not followed.
pub fn may_write(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    may(dir, path, libc::W_OK)
}

/// Whether the real user may access a file in these ways (R_OK, W_OK, X_OK): faccessat2(2). A link at the end is not
/// followed.
pub fn may(dir: BorrowedFd<'_>, path: &CStr, what: i32) -> Result<()> {
    let what = AccessFlags::from_bits_retain(what);
    Ok(nix::unistd::faccessat(dir, path, what, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// faccessat(2) with AT_EACCESS: fails if this process may not do that, with its capabilities, to a file.
pub fn may_effectively(dir: BorrowedFd<'_>, path: &CStr, what: i32) -> Result<()> {
    let what = AccessFlags::from_bits_retain(what);
    Ok(nix::unistd::faccessat(dir, path, what, AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_EACCESS)?)
}

/// Copies one descriptor to another until the end of the file.
#[inline(never)]
pub fn copy_data(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match read(from, &mut buffer)? {
            0 => return Ok(()),
            n => write_all(to, buffer.get(..n).unwrap_or_default())?,
        }
    }
}

/// getdents64(2): the next entries of an open directory, none at its end.
pub fn read_entries(dir: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes no more than the buffer's length to it.
    let read = unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    Ok(check(read)? as usize)
}

/// The kind (`DT_*`) and the name of the first entry in what [`read_entries`] gave, and what follows it. `.` and `..` are left out.
pub fn next_entry(mut entries: &[u8]) -> Option<(u8, &CStr, &[u8])> {
    loop {
        // The length of an entry is its third number, and its kind and name follow: getdents64(2).
        let &[low, high] = entries.get(16..18)? else { return None };
        let (entry, rest) = entries.split_at_checked(usize::from(u16::from_ne_bytes([low, high])))?;
        let (kind, name) = entry.get(18..)?.split_first()?;
        let name = CStr::from_bytes_until_nul(name).ok()?;
        if !matches!(name.to_bytes(), b"." | b"..") {
            return Some((*kind, name, rest));
        }
        entries = rest;
    }
}

/// read(2), repeated if a signal interrupts it.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match nix::unistd::read(fd, buffer) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// write(2): gives how many bytes were written, which may be fewer than there are.
pub fn write_some(fd: BorrowedFd<'_>, data: &[u8]) -> Result<usize> {
    Ok(nix::unistd::write(fd, data)?)
}

/// write(2), repeated until all bytes are written.
pub fn write_all(fd: BorrowedFd<'_>, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        match write_some(fd, data) {
            Ok(n) => data = data.get(n..).unwrap_or_default(),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes an existing file in one write(2), as files of /proc want it.
pub fn write_file(path: &CStr, data: &[u8]) -> Result<()> {
    write_file_at(cwd(), path, data)
}

/// Writes an existing file below a directory in one write(2), as files of /proc want it.
pub fn write_file_at(dir: BorrowedFd<'_>, path: &CStr, data: &[u8]) -> Result<()> {
    let fd = openat(dir, path, libc::O_WRONLY, 0)?;
    write_some(fd.as_fd(), data).map(drop)
}

/// chdir(2): changes the current directory.
pub fn chdir(path: &CStr) -> Result<()> {
    Ok(nix::unistd::chdir(path)?)
}

/// fchdir(2): changes the current directory to the one that a descriptor refers to.
pub fn fchdir(fd: BorrowedFd<'_>) -> Result<()> {
    Ok(nix::unistd::fchdir(fd)?)
}

/// umask(2): sets the file mode creation mask; gives the previous one. (nix's may panic.)
pub fn umask(mask: u32) -> u32 {
    // SAFETY: the call takes an integer, touches no memory and cannot fail.
    unsafe { libc::umask(mask) }
}
