//! Files: the calls that only the launcher needs.

use crate::sys::child::{mkdirat, open_below, open_resolved, openat};
use crate::sys::errno::{Errno, Result, done};
use nix::sys::memfd::MFdFlags;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Opens the file of a descriptor again, without blocking (O_NONBLOCK): so the open file description that other processes share is not
/// changed. `access` is O_RDONLY, O_WRONLY or O_RDWR.
pub fn reopen(fd: RawFd, access: i32) -> Result<OwnedFd> {
    let path = crate::sys::Text::<32>::of_descriptor(fd);
    openat(crate::sys::cwd(), path.text()?, access | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
}

/// pipe2(2), close-on-exec: gives the read end and the write end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// memfd_create(2), close-on-exec: an anonymous file in memory. `name` only appears in /proc.
pub fn memory_file(name: &CStr) -> Result<OwnedFd> {
    Ok(nix::sys::memfd::memfd_create(name, MFdFlags::MFD_CLOEXEC)?)
}

/// A file as [`memory_file`] makes it, with this content.
pub fn memory_file_with(name: &CStr, content: &[u8]) -> Result<OwnedFd> {
    let file = memory_file(name)?;
    crate::sys::write_all(file.as_fd(), content)?;
    Ok(file)
}

/// A file in memory of this size, which nobody can make larger or smaller: zeros, that can be written over.
pub fn memory_file_of_size(name: &CStr, size: u64) -> Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    let file = nix::sys::memfd::memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    nix::unistd::ftruncate(&file, i64::try_from(size).map_err(|_| Errno(libc::EFBIG))?)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
    Ok(file)
}

/// Whether what a file in memory holds cannot be changed any more: fcntl(2), F_GET_SEALS with F_SEAL_WRITE.
pub fn is_sealed(fd: BorrowedFd<'_>) -> bool {
    let seals = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GET_SEALS).unwrap_or(0);
    seals & libc::F_SEAL_WRITE != 0
}

/// A copy of a file's `size` bytes in memory, which nobody can change any more, opened for reading.
pub fn sealed_copy(fd: BorrowedFd<'_>, size: u64) -> std::io::Result<OwnedFd> {
    use std::os::unix::fs::FileExt;
    let copy = nix::sys::memfd::memfd_create(c"sbx", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let (from, to) = (std::fs::File::from(fd.try_clone_to_owned()?), std::fs::File::from(copy));
    let mut buffer = vec![0; 1 << 16];
    let mut at = 0;
    while at < size {
        let most = buffer.len().min((size - at) as usize);
        let count = from.read_at(&mut buffer[..most], at)?;
        if count == 0 {
            break;
        }
        to.write_all_at(&buffer[..count], at)?;
        at += count as u64;
    }
    seal(to.as_fd())?;
    Ok(std::fs::File::open(format!("/proc/self/fd/{}", to.as_raw_fd()))?.into())
}

/// Has nobody change a file in memory any more. The kernel refuses that while something else holds a page of it, which may be the kernel
/// itself on a busy machine (EBUSY, after a wait of 0.2 s): that is waited for.
fn seal(file: BorrowedFd<'_>) -> Result<()> {
    use nix::fcntl::SealFlag;
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    let mut tries = 25;
    loop {
        match nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_ADD_SEALS(seals)) {
            Err(nix::errno::Errno::EBUSY) if tries > 0 => tries -= 1,
            sealed => return Ok(sealed.map(drop)?),
        }
    }
}

/// The path with a NUL at its end, as system calls take it; `None` if it contains one.
fn c(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// statfs(2): whether a path is on a cgroup v2 filesystem.
pub fn is_cgroup2(path: &Path) -> bool {
    statfs(path).is_ok_and(|facts| facts.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// statvfs(3): whether the mount that a path is on is read-only.
pub fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|facts| facts.flags().contains(FsFlags::ST_RDONLY))
}

/// statvfs(3): whether set-user-id bits and capabilities of files have no effect on the mount that a path is on.
pub fn is_nosuid(path: &Path) -> bool {
    statvfs(path).is_ok_and(|facts| facts.flags().contains(FsFlags::ST_NOSUID))
}

/// access(2), W_OK: whether the real user may write to what a path leads to; links are followed.
pub fn may_write_followed(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// getxattr(2): the value of an extended attribute, if there is one and it has at most 64 bytes. (nix does not have
/// it.)
pub fn attribute(path: &Path, name: &CStr) -> Option<Vec<u8>> {
    let path = c(path)?;
    let mut value = vec![0; 64];
    // SAFETY: path and name end with a NUL; the buffer may be written for the length that is passed.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

/// getxattr(2): whether a file has an extended attribute of this name. True if that cannot be told.
pub fn has_attribute(path: &Path, name: &CStr) -> bool {
    let Some(path) = c(path) else { return true };
    // SAFETY: path and name end with a NUL; with a length of 0 nothing is written.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) };
    length >= 0 || !matches!(Errno::last().0, libc::ENODATA | libc::EOPNOTSUPP)
}

/// Creates a directory by its absolute path, and those missing above it, with these permissions. Nothing is done if the
/// path exists. No link is followed: ELOOP if there is one on the way.
pub fn make_directories(path: &Path, mode: u32) -> Result<()> {
    let text = c(path).ok_or(Errno(libc::EINVAL))?;
    match open_resolved(&text) {
        Err(Errno(libc::ENOENT)) => {}
        other => return other.map(drop),
    }
    let mut dir = open_resolved(c"/")?;
    for name in path.components().filter(|part| matches!(part, Component::Normal(_))) {
        let name = c(Path::new(name.as_os_str())).ok_or(Errno(libc::EINVAL))?;
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        dir = match open_below(dir.as_fd(), &name, flags) {
            Err(Errno(libc::ENOENT)) => {
                match mkdirat(dir.as_fd(), &name, mode) {
                    Ok(()) | Err(Errno(libc::EEXIST)) => {}
                    Err(errno) => return Err(errno),
                }
                open_below(dir.as_fd(), &name, flags)?
            }
            other => other?,
        };
    }
    Ok(())
}

/// flock(2): takes an exclusive lock; EWOULDBLOCK if somebody else has one. (nix's `Flock` takes ownership of the
/// descriptor.)
pub fn try_lock(fd: BorrowedFd<'_>) -> Result<()> {
    loop {
        // SAFETY: the call takes two integers and touches no memory.
        match done(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
            Err(Errno(libc::EINTR)) => {}
            other => return other,
        }
    }
}

/// flock(2): gives up a lock.
pub fn unlock(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the call takes two integers and touches no memory.
    done(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_UN) })
}

/// flock(2): takes a shared lock; EWOULDBLOCK if somebody has an exclusive one, or with `wait` waits until nobody has.
pub fn share_lock(fd: BorrowedFd<'_>, wait: bool) -> Result<()> {
    let how = libc::LOCK_SH | if wait { 0 } else { libc::LOCK_NB };
    loop {
        // SAFETY: the call takes two integers and touches no memory.
        match done(unsafe { libc::flock(fd.as_raw_fd(), how) }) {
            Err(Errno(libc::EINTR)) => {}
            other => return other,
        }
    }
}

/// renameat(2) within one directory: what has the new name is replaced, and not followed if it is a link.
pub fn rename_in(dir: BorrowedFd<'_>, from: &CStr, to: &CStr) -> Result<()> {
    Ok(nix::fcntl::renameat(dir, from, dir, to)?)
}

/// unlinkat(2): removes a file from a directory.
pub fn unlink_in(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    Ok(nix::unistd::unlinkat(dir, name, nix::unistd::UnlinkatFlags::NoRemoveDir)?)
}

/// Makes a new file in a directory for one that is to take another's place by [`rename_in`], and gives its name, which begins with
/// `stem`. Nothing that is there already is opened.
pub fn create_beside(dir: BorrowedFd<'_>, stem: &str) -> Result<(CString, OwnedFd)> {
    let mut number = 0;
    loop {
        let name = CString::new(format!("{stem}-{}-{number}", std::process::id())).unwrap_or_default();
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        match openat(dir, &name, flags, 0o666) {
            Err(Errno(libc::EEXIST)) if number < 100 => number += 1,
            made => return Ok((name, made?)),
        }
    }
}

/// statfs(2): how many bytes the filesystem of a path may hold, if it is a tmpfs.
pub fn size_in_memory(path: &Path) -> Option<u64> {
    let facts = statfs(path).ok().filter(|facts| facts.filesystem_type() == TMPFS_MAGIC)?;
    Some(facts.blocks().saturating_mul(facts.block_size() as u64))
}

/// statfs(2): the type of the filesystem that a path is on, as a number of the kernel's magic.h; `None` if the path
/// cannot be looked up.
pub fn filesystem_type(path: &Path) -> Option<u32> {
    statfs(path).ok().map(|facts| facts.filesystem_type().0 as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_sealed_when_nobody_holds_its_pages_any_more() {
        let file = nix::sys::memfd::memfd_create(c"sbx", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        nix::unistd::write(&file, &[1; 4096]).unwrap();
        let (output, input) = pipe().unwrap();
        // SAFETY: both descriptors are open, and the offset is one that it may write to.
        let held = unsafe { libc::splice(file.as_raw_fd(), &mut 0, input.as_raw_fd(), std::ptr::null_mut(), 4096, 0) };
        assert_eq!(held, 4096);
        let holder = crate::sys::fork(|| {
            std::thread::sleep(std::time::Duration::from_secs(1));
            0
        });
        drop((output, input));
        assert_eq!(seal(file.as_fd()), Ok(()));
        assert!(is_sealed(file.as_fd()));
        assert_eq!(crate::sys::wait_for(holder.unwrap()), Ok(crate::sys::Waited::Exited(0)));
    }

    #[test]
    fn directories_are_made_but_not_by_way_of_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        make_directories(&real.join("a/b/c"), 0o700).unwrap();
        assert!(real.join("a/b/c").is_dir());
        assert_eq!(make_directories(&real.join("a/b"), 0o700), Ok(()), "it is there already");
        std::os::unix::fs::symlink("elsewhere", real.join("a/link")).unwrap();
        for path in ["a/link", "a/link/x"] {
            assert_eq!(make_directories(&real.join(path), 0o700), Err(Errno(libc::ELOOP)), "{path}");
        }
        assert!(!real.join("a/elsewhere").exists());
    }
}
