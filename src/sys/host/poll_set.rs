//! poll(2) on a set of any size, for a process that may allocate.

use crate::sys::child::Poll;
use crate::sys::errno::{Errno, Result, check};

/// A set of descriptors to wait for. Clearing it keeps its memory, so that it can be filled again for each wait.
#[derive(Default)]
pub struct PollSet {
    raw: Vec<libc::pollfd>,
}

impl PollSet {
    /// Removes all descriptors.
    pub fn clear(&mut self) {
        self.raw.clear();
    }

    /// Adds a descriptor. Its index is the number of descriptors that were added before.
    pub fn add(&mut self, want: Poll) {
        let events = if want.read { libc::POLLIN } else { 0 } | if want.write { libc::POLLOUT } else { 0 };
        self.raw.push(libc::pollfd { fd: want.fd, events, revents: 0 });
    }

    /// Waits until a descriptor is ready. `timeout` is in milliseconds; `None` waits for ever. An interruption by a
    /// signal is no error; no descriptor is ready then.
    pub fn wait(&mut self, timeout: Option<i32>) -> Result<()> {
        let count = self.raw.len() as libc::nfds_t;
        // SAFETY: the kernel writes to `revents` of `count` structures, which this vector holds.
        let value = unsafe { libc::poll(self.raw.as_mut_ptr(), count, timeout.unwrap_or(-1)) };
        self.waited(check(value.into()).map(drop))
    }

    /// The same as [`PollSet::wait`], with as little of this program in memory as can be while it waits.
    pub fn wait_at_rest(&mut self, timeout: Option<i32>) -> Result<()> {
        let result = crate::sys::child::rest(&mut self.raw, timeout);
        self.waited(result)
    }

    /// Whether an event happened on any of the descriptors.
    pub fn is_any_ready(&self) -> bool {
        self.raw.iter().any(|raw| raw.revents != 0)
    }

    fn waited(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(Errno(libc::EINTR)) => {
                self.raw.iter_mut().for_each(|raw| raw.revents = 0);
                Ok(())
            }
            other => other,
        }
    }

    /// Whether an event happened on the descriptor with this index, including an error or a hang-up.
    pub fn is_ready(&self, index: usize) -> bool {
        self.raw.get(index).is_some_and(|raw| raw.revents != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, AsRawFd};

    #[test]
    fn a_set_of_any_size_says_which_are_ready() {
        let (hears, tells) = crate::sys::pipe().unwrap();
        let mut set = PollSet::default();
        for round in [false, true] {
            set.clear();
            (0..40).for_each(|_| set.add(Poll::read(hears.as_raw_fd())));
            set.add(Poll { write: true, ..Poll::end(tells.as_raw_fd()) });
            if round {
                crate::sys::write_all(tells.as_fd(), b"x").unwrap();
            }
            if round { set.wait_at_rest(Some(0)) } else { set.wait(Some(0)) }.unwrap();
            assert_eq!([set.is_ready(0), set.is_ready(39), set.is_ready(40)], [round, round, true]);
            assert!(!set.is_ready(41));
        }
    }
}
