//! One connection: bytes go from each side through the filter to the other. All buffers are bounded: from a side whose
//! other side does not take what it is sent, nothing more is read.

use super::filter::{Filter, Output};
use crate::sys::{self, Errno, Poll};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
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

    /// What is to be waited for on this side; nothing, not even its end, if nothing could be done then, unless it is
    /// watched.
    fn wants(&self, read: bool, bytes: &[u8], watched: bool) -> Poll {
        let write = !bytes.is_empty();
        let fd = if self.closed || !(read || write || watched) { -1 } else { self.stream.as_raw_fd() };
        Poll { read, write, ..Poll::end(fd) }
    }
}

/// A connection to whom the user is asked by: a question is a message, and the answer a byte, which is 1 for yes.
pub struct Asker(pub OwnedFd);

/// The longest question in bytes.
pub const LONGEST_QUESTION: usize = 2048;

impl Asker {
    /// Sends a question; whether that was possible.
    fn ask(&self, question: &str) -> bool {
        let end = question.floor_char_boundary(LONGEST_QUESTION);
        sys::send_now(self.0.as_fd(), question.get(..end).unwrap_or_default().as_bytes()).is_ok()
    }

    /// The answer that has come. One who is gone says no.
    fn answer(&self) -> bool {
        let mut byte = [0];
        matches!(sys::read(self.0.as_fd(), &mut byte), Ok(1)) && byte == [1]
    }
}

/// Passes bytes between a program and a server, on sockets that do not block, until one of them closes the connection or
/// breaks the protocol. Questions of the filter go to `asker`; without one, the answer is no. Reasons for notes are given to
/// `tell`, each once, and before the program gets the answer.
pub fn relay<F: Filter>(
    client: UnixStream,
    server: UnixStream,
    asker: Option<&Asker>,
    filter: &mut F,
    tell: impl Fn(u8),
) -> sys::Result<End> {
    let (mut client, mut server) = (Side::new(client), Side::new(server));
    let (mut out, mut noted, mut buffer) = (Output::default(), [false; 256], vec![0; PIECE]);
    let mut asking = false;
    loop {
        let for_client = out.to_client.len() + filter.waiting();
        let for_server = out.to_server.len() + filter.waiting();
        let takes_more = filter.takes_more();
        let room = for_server < MOST_WAITING && for_client < MOST_ANSWERS;
        let mut set = [
            client.wants(takes_more && room, &out.to_client, !takes_more),
            server.wants(for_client < MOST_WAITING && for_server < MOST_ANSWERS, &out.to_server, false),
            Poll::read(asker.filter(|_| asking).map_or(-1, |asker| asker.0.as_raw_fd())),
        ];
        sys::poll(&mut set, None)?;
        let [from_client, from_server, answer] = set;
        if from_client.ready && from_client.read {
            if client.read(&mut buffer) {
                return Ok(End::BrokenByClient);
            }
        } else if from_client.ready && !from_client.write {
            // Watched for its end alone.
            client.closed = true;
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
        if answer.ready {
            asking = false;
            filter.answered(asker.is_some_and(Asker::answer), &mut out);
        }
        // Also what came before, if the filter takes it only now.
        let mut offered = (from_client.ready && from_client.read) || (filter.takes_more() && !takes_more);
        loop {
            if let Some(question) = out.question.take() {
                asking = asker.is_some_and(|asker| asker.ask(&question));
                if !asking {
                    filter.answered(false, &mut out);
                    offered = true;
                }
            }
            if !std::mem::take(&mut offered) {
                break;
            }
            match filter.client_sent(&client.input, &mut out) {
                Ok(consumed) => drop(client.input.drain(..consumed)),
                Err(_) => return Ok(End::BrokenByClient),
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
