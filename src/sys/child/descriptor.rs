//! File descriptors: who owns them, their flags, copies of them, and closing them.

use crate::sys::errno::{Result, check};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::Whence;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// AT_FDCWD, which stands for the current directory where a call takes a descriptor of a directory.
pub fn cwd() -> BorrowedFd<'static> {
    nix::fcntl::AT_FDCWD
}

/// Takes ownership of the descriptor that a call has returned; its errno if it returned -1.
pub(in crate::sys) fn owned(value: libc::c_long) -> Result<OwnedFd> {
    let fd = check(value)? as RawFd;
    // SAFETY: only values of calls that make a descriptor come here, once each: nothing else owns this one.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor known by its number that no `OwnedFd` of this program owns: a standard stream, one that the caller left
/// open and named on the command line, or one that is kept as a number since it has to stay open across exec.
///
/// Only [`UnownedFd::close`], [`UnownedFd::adopt`] and [`close_all_but`] may close it. A number that is not open does
/// no harm: every call on it fails with EBADF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnownedFd(RawFd);

impl UnownedFd {
    /// The descriptor of this number. -1, which stands for none, becomes the largest number, which is never open.
    pub const fn new(number: RawFd) -> UnownedFd {
        UnownedFd(number & RawFd::MAX)
    }

    /// The descriptor's flags (F_GETFD of fcntl(2)); EBADF if it is not open.
    pub fn flags(self) -> Result<i32> {
        Ok(fcntl(self, FcntlArg::F_GETFD)?)
    }

    /// Closes the descriptor. One that is not open is no failure.
    pub fn close(self) {
        let _ = nix::unistd::close(self.0);
    }

    /// Takes ownership of the descriptor; EBADF if it is not open.
    pub fn adopt(self) -> Result<OwnedFd> {
        self.flags()?;
        // SAFETY: it is open, and by the contract of this type nothing else owns it; the caller does not use the number
        // again.
        Ok(unsafe { OwnedFd::from_raw_fd(self.0) })
    }
}

/// The standard streams: input, output, errors.
pub static STREAMS: [UnownedFd; 3] = [UnownedFd(0), UnownedFd(1), UnownedFd(2)];

impl AsFd for UnownedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the number is not -1 (`new`). By the contract of this type it stays open; if it never was open, the
        // kernel refuses every call that is made with it.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

/// Closes every descriptor but those in `keep`, which is sorted. Values that own a descriptor not in `keep` must not be
/// used again, nor dropped.
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

/// close_range(2): closes a range at once. As with [`close_all_but`], values that own one of its descriptors must not
/// be used again.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    range(first, last, 0)
}

/// close_range(2): marks the range close-on-exec (Linux 5.11), so that exec closes it and nothing before does.
pub fn cloexec_range(first: u32, last: u32) -> Result<()> {
    range(first, last, libc::CLOSE_RANGE_CLOEXEC)
}

fn range(first: u32, last: u32, flags: libc::c_uint) -> Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: the call takes three integers and touches no memory.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })?;
    Ok(())
}

/// dup2(2): makes `number` refer to the same open file as `fd`, without close-on-exec. The file that it referred to
/// before is closed.
pub fn dup2(fd: BorrowedFd<'_>, number: UnownedFd) -> Result<()> {
    // SAFETY: no `OwnedFd` owns the number that is replaced, by the contract of `UnownedFd`.
    check(unsafe { libc::dup2(fd.as_raw_fd(), number.0) }.into())?;
    Ok(())
}

/// A copy of a descriptor with a number of at least `least`, close-on-exec: F_DUPFD_CLOEXEC of fcntl(2).
pub fn dup_above(fd: BorrowedFd<'_>, least: RawFd) -> Result<OwnedFd> {
    owned(fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least))?.into())
}

/// Sets or clears close-on-exec: F_SETFD of fcntl(2).
pub fn set_cloexec(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() }))?;
    Ok(())
}

/// The offset of an open file description: lseek(2), SEEK_CUR.
pub fn offset(fd: BorrowedFd<'_>) -> Result<i64> {
    Ok(nix::unistd::lseek(fd, 0, Whence::SeekCur)?)
}

/// Sets the offset of an open file description: lseek(2), SEEK_SET.
pub fn seek(fd: BorrowedFd<'_>, offset: i64) -> Result<()> {
    nix::unistd::lseek(fd, offset, Whence::SeekSet)?;
    Ok(())
}

/// Sets or clears O_NONBLOCK, a flag of the open file description: it changes for every process that shares it.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let flags = if on { flags | OFlag::O_NONBLOCK } else { flags - OFlag::O_NONBLOCK };
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// Takes a read lock on a whole file, for this process: F_SETLK of fcntl(2). Fails if another process holds a write
/// lock.
pub fn lock_for_reading(fd: BorrowedFd<'_>) -> Result<()> {
    let whole = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(fd, FcntlArg::F_SETLK(&whole))?;
    Ok(())
}
