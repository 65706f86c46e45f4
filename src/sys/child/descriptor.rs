//! Descriptors: whose they are, their flags, copies of them, and closing them.

use crate::sys::errno::{Result, check};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The directory that relative paths start at, in the place of a descriptor.
pub fn cwd() -> BorrowedFd<'static> {
    nix::fcntl::AT_FDCWD
}

/// The value of a call that gives a new descriptor, or -1.
pub(in crate::sys) fn owned(value: libc::c_long) -> Result<OwnedFd> {
    let fd = check(value)? as RawFd;
    // SAFETY: only values of calls that make a descriptor come here, once each: nothing else owns this one.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor known by its number that no `OwnedFd` of this program owns: a standard stream, one that the caller left open and
/// named on the command line, or one that is kept as a number since it has to stay open across exec.
///
/// Nothing but [`UnownedFd::close`], [`UnownedFd::adopt`] and [`close_all_but`] ends its life. A number that is not open is no
/// danger: every call on it fails with EBADF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnownedFd(RawFd);

impl UnownedFd {
    /// The descriptor of this number. A negative number becomes the largest one, which is never open.
    pub const fn new(number: RawFd) -> UnownedFd {
        UnownedFd(number & RawFd::MAX)
    }

    /// Its flags (F_GETFD); EBADF where it is not open.
    pub fn flags(self) -> Result<i32> {
        Ok(fcntl(self, FcntlArg::F_GETFD)?)
    }

    /// Closes it. That it was not open is no failure.
    pub fn close(self) {
        let _ = nix::unistd::close(self.0);
    }

    /// Takes it over, if it is open.
    pub fn adopt(self) -> Result<OwnedFd> {
        self.flags()?;
        // SAFETY: it is open, and by the contract of this type nothing else owns it; whoever calls this uses the number no more.
        Ok(unsafe { OwnedFd::from_raw_fd(self.0) })
    }
}

/// The standard streams: input, output, errors.
pub static STREAMS: [UnownedFd; 3] = [UnownedFd(0), UnownedFd(1), UnownedFd(2)];

impl AsFd for UnownedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the number is not -1 (`new`). What it refers to stays open, by the contract of this type; where it never was
        // open, the kernel refuses each call that is made with it.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

/// Closes every descriptor but these, which are in order. What the process goes on with is among them: values that own others are
/// not used again.
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

/// close_range(2), at once. As with [`close_all_but`], values that own descriptors of the range are not used again.
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

/// dup2(2): makes `number` refer to the same open file, without close-on-exec. What it referred to is closed.
pub fn dup2(fd: BorrowedFd<'_>, number: UnownedFd) -> Result<()> {
    // SAFETY: no `OwnedFd` owns the number that is replaced, by the contract of `UnownedFd`.
    check(unsafe { libc::dup2(fd.as_raw_fd(), number.0) }.into())?;
    Ok(())
}

/// A descriptor at or above `least`, close-on-exec, for the same open file.
pub fn dup_above(fd: BorrowedFd<'_>, least: RawFd) -> Result<OwnedFd> {
    owned(fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(least))?.into())
}

/// Sets or clears close-on-exec.
pub fn set_cloexec(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() }))?;
    Ok(())
}

/// Sets or clears O_NONBLOCK, which belongs to the open file and so to everyone who shares it.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let flags = if on { flags | OFlag::O_NONBLOCK } else { flags - OFlag::O_NONBLOCK };
    fcntl(fd, FcntlArg::F_SETFL(flags))?;
    Ok(())
}

/// A read lock on a whole file, if nobody else holds a write lock: fcntl(2), F_SETLK.
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
