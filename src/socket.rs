//! Connections to programs outside of the sandbox that are not trusted to answer: connecting, reading and writing all
//! end at one deadline.

use crate::sys;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::{Duration, Instant};

/// A stream socket with one deadline for everything on it, however slowly the other end reads and writes. A timeout for
/// each call would start again with every byte.
pub(crate) struct Socket {
    stream: UnixStream,
    deadline: Instant,
}

impl Socket {
    /// Connects to a socket; `patience` is the time that connecting and everything after it may take. If the other end
    /// accepts no connections and its backlog is full, connect(2) would wait for ever.
    pub fn connect(address: &SocketAddr, patience: Duration) -> std::io::Result<Socket> {
        let deadline = Instant::now() + patience;
        Ok(Socket { stream: sys::connect_within(address, patience)?, deadline })
    }

    /// Sets another deadline for what follows.
    pub fn wait_until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// The time that is left; ETIMEDOUT if it is over.
    fn left(&self) -> std::io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(late()) } else { Ok(left) }
    }
}

fn late() -> std::io::Error {
    std::io::Error::from_raw_os_error(libc::ETIMEDOUT)
}

/// The result of a call that waited for the time that was left.
fn in_time(result: std::io::Result<usize>) -> std::io::Result<usize> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(late()),
        // The other end has closed the connection: no message will come.
        Ok(0) => Err(std::io::Error::from_raw_os_error(libc::ECONNRESET)),
        other => other,
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        in_time(self.stream.read(bytes))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        in_time(self.stream.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    const SHORT: Duration = Duration::from_millis(200);

    fn code(result: std::io::Result<impl Sized>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn an_end_that_accepts_nothing_or_says_nothing_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let address = SocketAddr::from_pathname(&path).unwrap();
        assert_eq!(code(Socket::connect(&address, SHORT)), Some(libc::ENOENT));
        let listener = UnixListener::bind(&path).unwrap();
        let mut socket = Socket::connect(&address, SHORT).unwrap();
        assert_eq!(code(socket.read(&mut [0; 1])), Some(libc::ETIMEDOUT));
        // A backlog that is full: nobody accepts.
        let mut waiting = Vec::new();
        let full = loop {
            match Socket::connect(&address, SHORT) {
                Ok(socket) => waiting.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(full.raw_os_error(), Some(libc::ETIMEDOUT));
        drop(listener);
        assert_eq!(code(Socket::connect(&address, SHORT)), Some(libc::ECONNREFUSED));
    }

    #[test]
    fn an_end_that_takes_nothing_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let mut socket = Socket::connect(&SocketAddr::from_pathname(&path).unwrap(), SHORT).unwrap();
        assert_eq!(code(socket.write_all(&[0; 16 << 20])), Some(libc::ETIMEDOUT));
    }
}
