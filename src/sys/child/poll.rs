//! Waiting for descriptors: poll(2). Without nix, whose `PollFd` cannot hold a negative number, which poll(2) skips.

use super::memory::poll_without_code;
use crate::sys::errno::{Errno, Result, check};
use std::os::fd::RawFd;

/// A descriptor for poll(2), and the events to wait for.
pub struct Poll {
    /// The descriptor; a negative one is skipped.
    pub fd: RawFd,
    /// Wait for input.
    pub read: bool,
    /// Wait for room to write.
    pub write: bool,
    /// Whether an event happened, including an error or a hang-up.
    pub ready: bool,
}

impl Poll {
    /// Waits for input on a descriptor; a negative number is skipped.
    pub fn read(fd: RawFd) -> Poll {
        Poll { read: true, ..Poll::end(fd) }
    }

    /// Waits only for an error or a hang-up, which poll(2) always reports.
    pub fn end(fd: RawFd) -> Poll {
        Poll { fd, read: false, write: false, ready: false }
    }
}

/// poll(2) on at most 16 descriptors; EINVAL for more. `timeout` is in milliseconds; `None` waits for ever. If a signal
/// interrupts the wait, no descriptor is ready.
pub fn poll(set: &mut [Poll], timeout: Option<i32>) -> Result<()> {
    poll_by(set, |raw| {
        // SAFETY: `raw` may be read and written for the length that is passed; the call does not change the descriptors.
        let value = unsafe { libc::poll(raw.as_mut_ptr(), raw.len() as libc::nfds_t, timeout.unwrap_or(-1)) };
        check(value.into()).map(drop)
    })
}

/// The same as [`poll`], with as little of this program in memory as can be while it waits.
pub fn poll_at_rest(set: &mut [Poll], timeout: Option<i32>) -> Result<()> {
    poll_by(set, |raw| rest(raw, timeout))
}

/// Waits without the program's code in memory; an errno comes back as a negative number.
pub(in crate::sys) fn rest(raw: &mut [libc::pollfd], timeout: Option<i32>) -> Result<()> {
    match poll_without_code(raw, timeout.unwrap_or(-1)) {
        errno @ -4095..0 => Err(Errno(-errno as i32)),
        _ => Ok(()),
    }
}

fn poll_by(set: &mut [Poll], wait: impl FnOnce(&mut [libc::pollfd]) -> Result<()>) -> Result<()> {
    let mut raw = [libc::pollfd { fd: -1, events: 0, revents: 0 }; 16];
    let Some(raw) = raw.get_mut(..set.len()) else { return Err(Errno(libc::EINVAL)) };
    for (raw, want) in raw.iter_mut().zip(set.iter()) {
        raw.fd = want.fd;
        raw.events = if want.read { libc::POLLIN } else { 0 } | if want.write { libc::POLLOUT } else { 0 };
    }
    match wait(raw) {
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
