//! Waiting for descriptors. By hand, since nix's `PollFd` takes no number that is to be skipped.

use crate::sys::errno::{Errno, Result, check};
use std::os::fd::RawFd;

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

/// poll(2). `timeout` is in milliseconds; none waits for ever. An interruption gives no readiness.
pub fn poll(set: &mut [Poll], timeout: Option<i32>) -> Result<()> {
    let mut raw = [libc::pollfd { fd: -1, events: 0, revents: 0 }; 16];
    let Some(raw) = raw.get_mut(..set.len()) else { return Err(Errno(libc::EINVAL)) };
    for (raw, want) in raw.iter_mut().zip(set.iter()) {
        raw.fd = want.fd;
        raw.events = if want.read { libc::POLLIN } else { 0 } | if want.write { libc::POLLOUT } else { 0 };
    }
    // SAFETY: `raw` may be read and written for the length that is passed; of descriptors the call only asks what they are ready for.
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
