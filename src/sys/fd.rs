//! Descriptors and files.

use super::errno::{Errno, Result, check, done};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The directory that relative paths start at.
pub fn cwd() -> BorrowedFd<'static> {
    // SAFETY: AT_FDCWD is not a descriptor that can be closed; every *at call takes it.
    unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) }
}

pub(super) fn owned(value: libc::c_long) -> Result<OwnedFd> {
    let fd = check(value)? as RawFd;
    // SAFETY: the kernel has just given this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// openat(2); close-on-exec is always added.
pub fn openat(dir: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32) -> Result<OwnedFd> {
    // SAFETY: the path ends with a NUL and outlives the call.
    owned(unsafe { libc::openat(dir.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC, mode) }.into())
}

/// openat2(2) below a root that links and `..` cannot leave (RESOLVE_IN_ROOT), without links of /proc.
pub fn open_in_root(root: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32) -> Result<OwnedFd> {
    let how = [(flags | libc::O_CLOEXEC) as u64, u64::from(mode), libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS];
    loop {
        // SAFETY: `how` has the layout and size of struct open_how; the path ends with a NUL.
        let value = unsafe {
            libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), how.as_ptr(), size_of_val(&how))
        };
        match owned(value) {
            // The kernel gives up where a rename elsewhere might have let ".." escape: openat2(2), EAGAIN.
            Err(Errno(libc::EAGAIN)) => {}
            other => return other,
        }
    }
}

/// openat2(2) of an absolute path that holds no link (RESOLVE_NO_SYMLINKS): ELOOP where one has been put since it was resolved.
pub fn open_resolved(path: &CStr) -> Result<OwnedFd> {
    let how = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, libc::RESOLVE_NO_SYMLINKS];
    // SAFETY: `how` has the layout and size of struct open_how; the path ends with a NUL.
    owned(unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path.as_ptr(), how.as_ptr(), size_of_val(&how)) })
}

/// The file behind a descriptor, opened anew for writing without blocking: the caller's own description stays as it is.
pub fn reopen_to_write(fd: RawFd) -> Result<OwnedFd> {
    let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).map_err(|_| Errno(libc::EINVAL))?;
    openat(cwd(), &path, libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
}

/// mkdirat(2)
pub fn mkdirat(dir: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the path ends with a NUL and outlives the call.
    done(unsafe { libc::mkdirat(dir.as_raw_fd(), path.as_ptr(), mode) })
}

/// symlinkat(2)
pub fn symlinkat(target: &CStr, dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    // SAFETY: both paths end with a NUL and outlive the call.
    done(unsafe { libc::symlinkat(target.as_ptr(), dir.as_raw_fd(), path.as_ptr()) })
}

/// unlinkat(2)
pub fn unlinkat(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    // SAFETY: the path ends with a NUL and outlives the call.
    done(unsafe { libc::unlinkat(dir.as_raw_fd(), path.as_ptr(), 0) })
}

/// fchmod(2)
pub fn fchmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::fchmod(fd.as_raw_fd(), mode) })
}

/// What stat(2) tells, as far as anybody here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The file type bits (`S_IFMT`).
    pub kind: u32,
    /// The device that it lies on.
    pub dev: u64,
    /// Its number there.
    pub ino: u64,
}

fn stat_at(dir: i32, path: &CStr, flags: i32) -> Result<Stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the path ends with a NUL; fstatat fills the whole struct when it succeeds.
    let stat = unsafe {
        done(libc::fstatat(dir, path.as_ptr(), stat.as_mut_ptr(), flags))?;
        stat.assume_init()
    };
    Ok(Stat { kind: stat.st_mode & libc::S_IFMT, dev: stat.st_dev, ino: stat.st_ino })
}

/// fstat(2)
pub fn stat(fd: BorrowedFd<'_>) -> Result<Stat> {
    stat_at(fd.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

/// fstatat(2) of what lies there itself: a link is not followed.
pub fn stat_below(dir: BorrowedFd<'_>, path: &CStr) -> Result<Stat> {
    stat_at(dir.as_raw_fd(), path, libc::AT_SYMLINK_NOFOLLOW)
}

/// stat(2): links are followed.
pub fn stat_of(dir: BorrowedFd<'_>, path: &CStr) -> Result<Stat> {
    stat_at(dir.as_raw_fd(), path, 0)
}

/// The file type bits (`S_IFMT`) of what a descriptor refers to.
pub fn file_type(fd: BorrowedFd<'_>) -> Result<u32> {
    stat(fd).map(|stat| stat.kind)
}

/// readlinkat(2) into a buffer; gives the text, and nothing where it does not fit.
pub fn read_link<'b>(dir: BorrowedFd<'_>, path: &CStr, buffer: &'b mut [u8]) -> Result<&'b CStr> {
    let room = buffer.len().saturating_sub(1);
    // SAFETY: the path ends with a NUL; the buffer is valid for its length.
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

/// A path that is put together in a fixed place, without allocation.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Text<N> {
    /// `/proc/self/fd/N`
    pub fn of_descriptor(fd: RawFd) -> Text<N> {
        let mut text = Text::default();
        text.push(b"/proc/self/fd/").decimal(fd as u32);
        text
    }

    /// Adds bytes. What does not fit makes the whole too long, which `text` tells.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Text<N> {
        if let Some(place) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.length += bytes.len();
        self
    }

    /// Adds a number.
    pub fn decimal(&mut self, mut number: u32) -> &mut Text<N> {
        let mut digits = [0; 10];
        let mut at = digits.len();
        for place in digits.iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            at -= 1;
            if number == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or_default())
    }

    /// As it is, without what did not fit.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// As the kernel takes it.
    pub fn text(&self) -> Result<&CStr> {
        let whole = self.bytes.get(..self.length + 1).ok_or(Errno(libc::ENAMETOOLONG))?;
        CStr::from_bytes_with_nul(whole).map_err(|_| Errno(libc::EINVAL))
    }
}

/// chmod(2) of what a descriptor refers to, which may be one of O_PATH. Needs /proc.
pub fn chmod(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    let path = Text::<32>::of_descriptor(fd.as_raw_fd());
    // SAFETY: the path ends with a NUL.
    done(unsafe { libc::chmod(path.text()?.as_ptr(), mode) })
}

/// faccessat2(2), W_OK, by the real ids. A link is not followed.
pub fn may_write(dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    may(dir, path, libc::W_OK)
}

/// faccessat2(2) of any of R_OK, W_OK, X_OK, by the real ids. A link is not followed.
pub fn may(dir: BorrowedFd<'_>, path: &CStr, what: i32) -> Result<()> {
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the path ends with a NUL.
    check(unsafe { libc::syscall(libc::SYS_faccessat2, dir.as_raw_fd(), path.as_ptr(), what, flags) })?;
    Ok(())
}

/// Copies what is left to read of one descriptor to another.
pub fn copy_data(from: RawFd, to: BorrowedFd<'_>) -> Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match read(borrow(from), &mut buffer)? {
            0 => return Ok(()),
            n => write_all(to, buffer.get(..n).unwrap_or_default())?,
        }
    }
}

/// Closes a descriptor by number. That it was not open is no failure.
pub fn close(fd: RawFd) {
    // SAFETY: the caller owns it and does not use it again.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor but these, which are in order.
pub fn close_all_but(keep: &[RawFd]) -> Result<()> {
    let mut first = 0;
    for fd in keep.iter().map(|fd| *fd as u32) {
        if fd >= first {
            if fd > first {
                close_range(first, fd - 1)?;
            }
            first = fd + 1;
        }
    }
    close_range(first, u32::MAX)
}

/// A read lock on a whole file, if nobody else holds a write lock: fcntl(2), F_SETLK.
pub fn lock_for_reading(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the struct is plain data; zeroes mean the whole file.
    unsafe {
        let mut lock = std::mem::zeroed::<libc::flock>();
        lock.l_type = libc::F_RDLCK as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        done(libc::fcntl(fd.as_raw_fd(), libc::F_SETLK, &raw const lock))
    }
}

/// write(2) of everything.
pub fn write_all(fd: BorrowedFd<'_>, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        // SAFETY: the buffer is valid for its length.
        let value = unsafe { libc::write(fd.as_raw_fd(), data.as_ptr().cast(), data.len()) };
        match check(value as libc::c_long) {
            Ok(n) => data = data.get(n as usize..).unwrap_or_default(),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// read(2)
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the buffer is valid for its length.
        let value = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        match check(value as libc::c_long) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(|n| n as usize),
        }
    }
}

/// Writes a file of /proc, which takes its content in one write.
pub fn write_file(path: &CStr, data: &[u8]) -> Result<()> {
    write_file_at(cwd(), path, data)
}

/// The same, below a directory.
pub fn write_file_at(dir: BorrowedFd<'_>, path: &CStr, data: &[u8]) -> Result<()> {
    use std::os::fd::AsFd;
    let fd = openat(dir, path, libc::O_WRONLY, 0)?;
    // SAFETY: the buffer is valid for its length.
    check(unsafe { libc::write(fd.as_fd().as_raw_fd(), data.as_ptr().cast(), data.len()) } as libc::c_long)?;
    Ok(())
}

/// chdir(2)
pub fn chdir(path: &CStr) -> Result<()> {
    // SAFETY: the path ends with a NUL and outlives the call.
    done(unsafe { libc::chdir(path.as_ptr()) })
}

/// fchdir(2)
pub fn fchdir(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::fchdir(fd.as_raw_fd()) })
}

/// umask(2)
pub fn umask(mask: u32) -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::umask(mask) }
}

/// dup2(2): the copy lives without close-on-exec.
pub fn dup2(fd: RawFd, to: RawFd) -> Result<()> {
    // SAFETY: plain integers; the caller knows what `to` was.
    done(unsafe { libc::dup2(fd, to) })
}

/// Whether this number is an open descriptor, and its flags if so.
pub fn descriptor_flags(fd: RawFd) -> Result<i32> {
    // SAFETY: plain integers.
    Ok(check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into())? as i32)
}

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: RawFd, on: bool) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::fcntl(fd, libc::F_SETFD, if on { libc::FD_CLOEXEC } else { 0 }) })
}

/// Sets or clears O_NONBLOCK, which belongs to the open file and so to everyone who shares it.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    // SAFETY: plain integers.
    unsafe {
        let flags = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL).into())? as i32;
        let flags = if on { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
        done(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags))
    }
}

/// A descriptor at or above `least`, close-on-exec, for the same open file.
pub fn dup_above(fd: BorrowedFd<'_>, least: RawFd) -> Result<OwnedFd> {
    // SAFETY: plain integers.
    owned(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) }.into())
}

/// close_range(2): marks the range close-on-exec (Linux 5.11), so that exec closes it and nothing before does.
pub fn cloexec_range(first: u32, last: u32) -> Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) })?;
    Ok(())
}

/// close_range(2): closes at once.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: the caller owns every descriptor of the range and uses none of them again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// pipe2(2), close-on-exec.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the array takes two descriptors, which are then ours.
    unsafe {
        done(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// What poll(2) waits for.
pub struct Poll {
    /// The descriptor; a negative one is skipped.
    pub fd: RawFd,
    /// Wait for input.
    pub read: bool,
    /// Wait for room to write.
    pub write: bool,
    /// Whether anything happened, errors and hang-up included.
    pub ready: bool,
}

impl Poll {
    /// Waits for something to read; a number below 0 waits for nothing.
    pub fn read(fd: RawFd) -> Poll {
        Poll { read: true, ..Poll::end(fd) }
    }

    /// Waits for errors and hang-up alone, which are always waited for.
    pub fn end(fd: RawFd) -> Poll {
        Poll { fd, read: false, write: false, ready: false }
    }
}

/// A file in memory without a name: memfd_create(2), close-on-exec.
pub fn memory_file(name: &CStr) -> Result<OwnedFd> {
    // SAFETY: the name ends with a NUL.
    owned(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) }.into())
}

/// poll(2). `timeout` is in milliseconds; none waits for ever. An interruption gives no readiness.
pub fn poll(set: &mut [Poll], timeout: Option<i32>) -> Result<()> {
    let mut raw = [libc::pollfd { fd: -1, events: 0, revents: 0 }; 16];
    let Some(raw) = raw.get_mut(..set.len()) else { return Err(Errno(libc::EINVAL)) };
    for (raw, want) in raw.iter_mut().zip(set.iter()) {
        raw.fd = want.fd;
        raw.events = if want.read { libc::POLLIN } else { 0 } | if want.write { libc::POLLOUT } else { 0 };
    }
    // SAFETY: the array is valid for its length.
    let value = unsafe { libc::poll(raw.as_mut_ptr(), raw.len() as libc::nfds_t, timeout.unwrap_or(-1)) };
    match check(value.into()) {
        Err(Errno(libc::EINTR)) => {}
        Err(error) => return Err(error),
        Ok(_) => {
            for (raw, want) in raw.iter().zip(set.iter_mut()) {
                want.ready = raw.revents != 0;
            }
            return Ok(());
        }
    }
    set.iter_mut().for_each(|want| want.ready = false);
    Ok(())
}

/// A descriptor named by number, as a caller gives it on the command line.
pub fn adopt(fd: RawFd) -> Result<OwnedFd> {
    descriptor_flags(fd)?;
    // SAFETY: it is open (just checked), and the caller hands it over by naming it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Borrows a descriptor by number; the caller knows that it stays open.
pub fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: only used for the standard streams and for descriptors that live until exec.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// write(2), as much as goes.
pub fn write_some(fd: BorrowedFd<'_>, data: &[u8]) -> Result<usize> {
    // SAFETY: the buffer is valid for its length.
    let value = unsafe { libc::write(fd.as_raw_fd(), data.as_ptr().cast(), data.len()) };
    Ok(check(value as libc::c_long)? as usize)
}

fn statfs(path: &std::path::Path) -> Option<libc::statfs> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
    // SAFETY: the path ends with a NUL; the buffer is the kernel's to fill.
    unsafe {
        let mut facts = std::mem::zeroed();
        (libc::statfs(path.as_ptr(), &raw mut facts) == 0).then_some(facts)
    }
}

/// statfs(2): whether a path lies on a cgroup v2 file system.
pub fn is_cgroup2(path: &std::path::Path) -> bool {
    statfs(path).is_some_and(|facts| facts.f_type == libc::CGROUP2_SUPER_MAGIC)
}

/// statvfs(3): whether the mount that a path lies on is read-only.
pub fn is_read_only(path: &std::path::Path) -> bool {
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()) else { return false };
    // SAFETY: the path ends with a NUL; the buffer is the library's to fill.
    unsafe {
        let mut facts = std::mem::zeroed::<libc::statvfs>();
        libc::statvfs(path.as_ptr(), &raw mut facts) == 0 && facts.f_flag & libc::ST_RDONLY != 0
    }
}

/// getxattr(2), of at most 64 bytes.
pub fn attribute(path: &std::path::Path, name: &CStr) -> Option<Vec<u8>> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
    let mut value = vec![0; 64];
    // SAFETY: the strings end with a NUL; the buffer is valid for its length.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    value.truncate(usize::try_from(length).ok()?);
    Some(value)
}

/// flock(2): an exclusive lock, which is waited for or not.
pub fn lock(fd: BorrowedFd<'_>, wait: bool) -> Result<()> {
    let flags = libc::LOCK_EX | if wait { 0 } else { libc::LOCK_NB };
    loop {
        // SAFETY: a descriptor that is open.
        match done(unsafe { libc::flock(fd.as_raw_fd(), flags) }) {
            Err(Errno(libc::EINTR)) => {}
            other => return other,
        }
    }
}

/// ftruncate(2) to nothing, and back to the start.
pub fn empty_file(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain integers.
    unsafe {
        done(libc::ftruncate(fd.as_raw_fd(), 0))?;
        check(libc::lseek(fd.as_raw_fd(), 0, libc::SEEK_SET))?;
    }
    Ok(())
}
