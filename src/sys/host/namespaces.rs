//! What owns a namespace: ioctl_ns(2).

use crate::sys::child::owned;
use crate::sys::errno::{Result, check};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The request with this number, without an argument: `_IO(NSIO, number)`.
const fn request(number: u64) -> u64 {
    0xb7 << 8 | number
}

/// The user namespace that a namespace belongs to: NS_GET_USERNS. EPERM if it is not below this process's.
pub fn owning_user_namespace(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    // SAFETY: the request takes no argument, and gives a descriptor that is this process's alone.
    owned(unsafe { libc::ioctl(namespace.as_raw_fd(), request(1) as _) }.into())
}

/// The namespace that a user namespace was made in: NS_GET_PARENT. EPERM if it is not below this process's, or this one.
pub fn parent_namespace(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    // SAFETY: the request takes no argument, and gives a descriptor that is this process's alone.
    owned(unsafe { libc::ioctl(namespace.as_raw_fd(), request(2) as _) }.into())
}

/// The user who made a user namespace: NS_GET_OWNER_UID.
pub fn namespace_owner(namespace: BorrowedFd<'_>) -> Result<u32> {
    let mut owner: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t, which `owner` is.
    check(unsafe { libc::ioctl(namespace.as_raw_fd(), request(4) as _, &raw mut owner) }.into())?;
    Ok(owner)
}
