//! One connection of the port relay: what comes from each side goes to the other, and so does the end of either direction. An error on
//! one side resets the other.

use crate::sys::{self, Poll};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};

/// Bytes that are read at once, and that may wait in each direction.
pub(super) const PIECE: usize = 64 * 1024;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The other side is connected to.
    Connecting,
    /// Bytes go both ways.
    Open,
    /// It has ended, or failed.
    Over,
}

/// One direction.
#[derive(Default)]
struct Lane {
    /// Bytes that were read and are not written.
    waiting: Vec<u8>,
    /// The side that they come from sends no more.
    ended: bool,
    /// The side that they go to was told so.
    told: bool,
}

impl Lane {
    fn reads(&self) -> bool {
        !self.ended && self.waiting.is_empty()
    }

    /// Reads once, and writes what is taken at once.
    fn pass(&mut self, mut from: &TcpStream, to: &TcpStream, buffer: &mut [u8]) -> std::io::Result<()> {
        match from.read(buffer) {
            Ok(0) => self.ended = true,
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                let taken = write(to, bytes)?;
                self.waiting.extend(bytes.get(taken..).unwrap_or_default());
            }
            Err(error) if is_early(&error) => {}
            Err(error) => return Err(error),
        }
        self.end(to)
    }

    /// Writes what waits.
    fn flush(&mut self, to: &TcpStream) -> std::io::Result<()> {
        let taken = write(to, &self.waiting)?;
        if taken == self.waiting.len() {
            self.waiting = Vec::new();
        } else {
            self.waiting.drain(..taken);
        }
        self.end(to)
    }

    /// Passes the end on, once all was written before it.
    fn end(&mut self, to: &TcpStream) -> std::io::Result<()> {
        if self.ended && self.waiting.is_empty() && !self.told {
            self.told = true;
            return to.shutdown(Shutdown::Write);
        }
        Ok(())
    }
}

/// Whether a call is to be made again later.
fn is_early(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Writes as much as is taken without waiting.
fn write(mut to: &TcpStream, bytes: &[u8]) -> std::io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match to.write(bytes) {
        Err(error) if is_early(&error) => Ok(0),
        written => written,
    }
}

/// Whether a socket is connected to itself: where nobody listens, the kernel may choose the port that it connects to as its own.
fn is_own(socket: &TcpStream) -> bool {
    socket.local_addr().is_ok_and(|local| socket.peer_addr().is_ok_and(|peer| local == peer))
}

/// A connection.
pub(super) struct Connection {
    /// The one that has come.
    client: TcpStream,
    /// The one that it goes to.
    server: TcpStream,
    /// Further addresses to try.
    targets: Vec<SocketAddr>,
    state: State,
    up: Lane,
    down: Lane,
}

impl Connection {
    /// Begins to connect to the first of these addresses that something listens at. None if no socket can be made.
    pub(super) fn new(client: TcpStream, targets: &[SocketAddr]) -> Option<Connection> {
        // What fails is told by a reset.
        sys::reset_on_close(client.as_fd()).ok()?;
        let (first, others) = targets.split_first()?;
        client.set_nonblocking(true).ok()?;
        client.set_nodelay(true).ok()?;
        let (server, targets) = match sys::connect_without_waiting(*first) {
            Ok(server) => (server, others),
            Err(_) => (sys::connect_without_waiting(*others.first()?).ok()?, others.get(1..)?),
        };
        let targets = targets.to_vec();
        sys::reset_on_close(server.as_fd()).ok()?;
        Some(Connection {
            client,
            server,
            targets,
            state: State::Connecting,
            up: Lane::default(),
            down: Lane::default(),
        })
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// What is to be waited for on either side. Its failure is, in any case, but where both directions have ended: poll(2) takes that
    /// for one, although there may be something to be read.
    pub(super) fn wants(&self) -> [Poll; 2] {
        let (client, server) = (self.client.as_raw_fd(), self.server.as_raw_fd());
        let side = |fd, from: &Lane, to: &Lane| {
            let (read, write) = (from.reads(), !to.waiting.is_empty());
            let fd = if !read && !write && to.told { -1 } else { fd };
            Poll { read, write, ..Poll::end(fd) }
        };
        match self.state {
            State::Connecting => [Poll::end(client), Poll { write: true, ..Poll::end(server) }],
            _ => [side(client, &self.up, &self.down), side(server, &self.down, &self.up)],
        }
    }

    /// Does what can be done, after an event on either side.
    pub(super) fn go_on(&mut self, ready: [bool; 2], buffer: &mut [u8]) {
        self.state = match self.state {
            State::Connecting => self.connected(ready),
            State::Open => match self.relay(ready, buffer) {
                Ok(()) if self.up.told && self.down.told => self.close(),
                Ok(()) => State::Open,
                Err(_) => State::Over,
            },
            State::Over => State::Over,
        };
    }

    fn connected(&mut self, [client, server]: [bool; 2]) -> State {
        if client {
            return State::Over;
        }
        if !server {
            return State::Connecting;
        }
        if matches!(self.server.take_error(), Ok(None))
            && !is_own(&self.server)
            && self.server.set_nodelay(true).is_ok()
        {
            return State::Open;
        }
        let next = (!self.targets.is_empty()).then(|| sys::connect_without_waiting(self.targets.remove(0)));
        match next {
            Some(Ok(next)) if sys::reset_on_close(next.as_fd()).is_ok() => {
                self.server = next;
                State::Connecting
            }
            _ => State::Over,
        }
    }

    fn relay(&mut self, [client, server]: [bool; 2], buffer: &mut [u8]) -> std::io::Result<()> {
        let broken = || std::io::Error::from(ErrorKind::ConnectionReset);
        let idle = |poll: &Poll| !poll.read && !poll.write;
        let [at_client, at_server] = self.wants();
        if (client && idle(&at_client)) || (server && idle(&at_server)) {
            return Err(broken());
        }
        if client && at_client.write {
            self.down.flush(&self.client)?;
        }
        if server && at_server.write {
            self.up.flush(&self.server)?;
        }
        if client && at_client.read {
            self.up.pass(&self.client, &self.server, buffer)?;
        }
        if server && at_server.read {
            self.down.pass(&self.server, &self.client, buffer)?;
        }
        Ok(())
    }

    /// Both directions have ended well: what was written last is not thrown away by a reset.
    fn close(&mut self) -> State {
        let _ = (sys::end_on_close(self.client.as_fd()), sys::end_on_close(self.server.as_fd()));
        State::Over
    }
}
