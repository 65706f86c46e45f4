//! What is on its way to a standard stream of this process. No write blocks: whoever does not read what is shown does not keep keys and signals waiting.

use crate::launch::terminal::stream;
use crate::sys::{self, Errno, Poll};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// As long as more than so many bytes wait, no more is read for the stream.
const ROOM: usize = 1 << 16;

/// How much is written at once where a write may block: a pipe or a socket that has room has room for so much.
const ATOMIC: usize = 4096;

/// A stream of this process that does not take what comes.
#[derive(Debug, Clone, Copy)]
pub struct Lost {
    /// Its number: 1 or 2.
    pub number: i32,
    /// What a write to it gave.
    pub errno: Errno,
}

/// Standard output or standard error.
pub(super) struct Shown {
    number: i32,
    /// The same file, opened again without blocking, where that makes no difference but this one: pipes and terminals.
    own: Option<OwnedFd>,
    bytes: Vec<u8>,
    written: usize,
    /// Nothing is written there any more, for this reason: EPIPE where nobody reads it.
    closed: Option<Errno>,
}

impl Shown {
    pub(super) fn new(number: i32) -> Shown {
        let kind = sys::file_type(stream(number)).unwrap_or(0);
        let again = kind == libc::S_IFIFO || sys::is_terminal(stream(number));
        let own = if again { sys::reopen(number, libc::O_WRONLY).ok() } else { None };
        Shown { number, own, bytes: Vec::new(), written: 0, closed: None }
    }

    fn target(&self) -> BorrowedFd<'_> {
        self.own.as_ref().map_or(stream(self.number), AsFd::as_fd)
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() - self.written < ROOM
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == self.written
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Why some of what came was not written, though somebody would have it: the disk is full, say.
    pub(super) fn lost(&self) -> Option<Lost> {
        self.closed.filter(|errno| *errno != Errno(libc::EPIPE)).map(|errno| Lost { number: self.number, errno })
    }

    pub(super) fn wants(&self) -> Poll {
        let fd = if self.is_empty() { -1 } else { self.target().as_raw_fd() };
        Poll { fd, read: false, write: true, ready: false }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        if !self.is_closed() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Writes as much as it takes.
    pub(super) fn write(&mut self) {
        let rest = self.bytes.get(self.written..).unwrap_or_default();
        let most = if self.own.is_some() { rest.len() } else { rest.len().min(ATOMIC) };
        match sys::write_some(self.target(), rest.get(..most).unwrap_or_default()) {
            Ok(count) => self.written += count,
            Err(Errno(libc::EAGAIN | libc::EINTR)) => {}
            Err(errno) => {
                self.closed = Some(errno);
                self.written = self.bytes.len();
            }
        }
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
        }
    }
}
