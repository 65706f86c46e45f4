//! The standard streams, and which of them is the caller's terminal.

use crate::sys;
use std::os::fd::{AsFd, BorrowedFd};

/// A standard stream: 0, 1 or 2.
pub(in crate::launch) fn stream(number: i32) -> BorrowedFd<'static> {
    sys::STREAMS[number as usize].as_fd()
}

/// The standard stream that is the caller's terminal.
pub(in crate::launch) fn tty() -> Option<BorrowedFd<'static>> {
    [0, 1, 2].map(stream).into_iter().find(|fd| sys::is_terminal(*fd))
}
