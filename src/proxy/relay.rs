//! One connection: bytes go from each side through the filter to the other. All buffers are bounded: from a side whose
//! other side does not take what it is sent, nothing more is read.

use super::filter::{Filter, Output};
use crate::sys::{self, Errno, Poll};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Bytes for one side that may wait to be taken. Above it, nothing more is read from the other side.
const MOST_WAITING: usize = 256 * 1024;

/// Bytes for one side that may wait, with the answers that the filter itself makes. Above it, nothing more is read from
/// this side either.
const MOST_ANSWERS: usize = 1024 * 1024;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// One side closed it, or failed.
    Closed,
    /// The program did not follow the protocol, or passed descriptors.
    BrokenByClient,
    /// The server did not follow the protocol.
    BrokenByServer,
}

/// One side of the connection.
struct Side {
    stream: UnixStream,
    /// Bytes that came and are not consumed.
    input: Vec<u8>,
    /// How many of the bytes for this side are sent.
    sent: usize,
    /// Whether it has closed its end.
    closed: bool,
}

impl Side {
    fn new(stream: UnixStream) -> Side {
        Side { stream, input: Vec::new(), sent: 0, closed: false }
    }

    /// Reads what has come, by way of this buffer. Whether descriptors came with it, which are closed.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        match sys::receive_bytes(self.stream.as_fd(), buffer) {
            Ok((length, descriptors)) => {
                self.closed = length == 0;
                self.input.extend(buffer.get(..length).unwrap_or_default());
                descriptors
            }
            Err(errno) => {
                self.closed = !matches!(errno, Errno(libc::EAGAIN | libc::EINTR));
                false
            }
        }
    }

    /// Writes what it takes of the bytes for it.
    fn write(&mut self, bytes: &mut Vec<u8>) {
        while let Some(rest) = bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(length) if length > 0 => self.sent += length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                _ => {
                    self.closed = true;
                    break;
                }
            }
        }
        bytes.clear();
        self.sent = 0;
    }

    /// What is to be waited for on this side; nothing, not even its end, if nothing could be done then.
    fn wants(&self, read: bool, bytes: &[u8]) -> Poll {
        let write = !bytes.is_empty();
        let fd = if self.closed || !(read || write) { -1 } else { self.stream.as_raw_fd() };
        Poll { read, write, ..Poll::end(fd) }
    }
}

/// Passes bytes between a program and a server, on sockets that do not block, until one of them closes the connection or
/// breaks the protocol. Reasons for notes are given to `tell`, each once,
/// and before the program gets the answer.
pub fn relay<F: Filter>(client: UnixStream, server: UnixStream, filter: &mut F, tell: impl Fn(u8)) -> sys::Result<End> {
    let (mut client, mut server) = (Side::new(client), Side::new(server));
    let (mut out, mut noted, mut buffer) = (Output::default(), [false; 256], vec![0; PIECE]);
    loop {
        let for_client = out.to_client.len() + filter.waiting();
        let for_server = out.to_server.len() + filter.waiting();
        let mut set = [
            client.wants(for_server < MOST_WAITING && for_client < MOST_ANSWERS, &out.to_client),
            server.wants(for_client < MOST_WAITING && for_server < MOST_ANSWERS, &out.to_server),
        ];
        sys::poll(&mut set, None)?;
        let [from_client, from_server] = set;
        if from_client.ready && from_client.read {
            if client.read(&mut buffer) {
                return Ok(End::BrokenByClient);
            }
            match filter.client_sent(&client.input, &mut out) {
                Ok(consumed) => drop(client.input.drain(..consumed)),
                Err(_) => return Ok(End::BrokenByClient),
            }
        }
        if from_server.ready && from_server.read {
            // What comes with the bytes is dropped: the server's credentials, and descriptors for shared memory, which was
            // not agreed on.
            server.read(&mut buffer);
            match filter.server_sent(&server.input, &mut out) {
                Ok(consumed) => drop(server.input.drain(..consumed)),
                Err(_) => return Ok(End::BrokenByServer),
            }
        }
        for reason in out.notes.drain(..) {
            if let Some(noted) = noted.get_mut(usize::from(reason)).filter(|noted| !**noted) {
                *noted = true;
                tell(reason);
            }
        }
        server.write(&mut out.to_server);
        client.write(&mut out.to_client);
        // What the server sent last is for the program, such as why it ends the connection.
        if client.closed || (server.closed && out.to_client.is_empty()) {
            return Ok(End::Closed);
        }
    }
}
