//! The descriptors that the launcher waits for, each with what is done when it is ready.

use crate::sys::{self, Poll, PollSet};

/// Sources of events with their handlers. It is filled anew for each wait, and allocates only when it grows.
pub(super) struct Sources<H> {
    set: PollSet,
    handlers: Vec<H>,
}

impl<H: Copy> Sources<H> {
    pub(super) fn new() -> Sources<H> {
        Sources { set: PollSet::default(), handlers: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.set.clear();
        self.handlers.clear();
    }

    /// Adds a source. One with a negative descriptor is left out. Handlers are called in the order in which sources were added.
    pub(super) fn add(&mut self, poll: Poll, handler: H) {
        if poll.fd >= 0 {
            self.set.add(poll);
            self.handlers.push(handler);
        }
    }

    /// Waits for the first event; the timeout is in milliseconds, and none waits for ever.
    pub(super) fn wait(&mut self, timeout: Option<i32>) -> sys::Result<()> {
        self.set.wait(timeout)
    }

    /// The same as [`Sources::wait`], with as little of this program in memory as can be while it waits.
    pub(super) fn wait_at_rest(&mut self, timeout: Option<i32>) -> sys::Result<()> {
        self.set.wait_at_rest(timeout)
    }

    /// The handlers of the sources that are ready.
    pub(super) fn ready(&self) -> impl Iterator<Item = H> {
        self.handlers.iter().enumerate().filter(|(index, _)| self.set.is_ready(*index)).map(|(_, handler)| *handler)
    }
}
