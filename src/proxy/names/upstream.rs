//! A question that a name server is asked: by UDP first, by TCP where the answer is too long for that, and the next server where one does
//! not answer.

use crate::sys::{self, Poll};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The port of name servers.
const PORT: u16 = 53;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How often all servers are asked.
const ROUNDS: usize = 2;

/// The longest answer in bytes.
const LONGEST: usize = 16 * 1024;

/// How the server is asked.
enum Way {
    Udp(UdpSocket),
    Tcp {
        stream: TcpStream,
        sent: bool,
        come: Vec<u8>,
    },
    /// It cannot be asked.
    None,
}

/// A question that is asked.
pub(super) struct Upstream {
    bytes: Vec<u8>,
    way: Way,
    /// How many servers were asked.
    asked: usize,
    /// When the server has taken too long.
    pub until: Instant,
}

impl Upstream {
    /// Asks the first of these servers.
    pub fn new(bytes: Vec<u8>, servers: &[IpAddr]) -> Option<Upstream> {
        let mut upstream = Upstream { bytes, way: Way::None, asked: 0, until: Instant::now() };
        upstream.next(servers).then_some(upstream)
    }

    /// Asks the next server. Whether there is one.
    pub fn next(&mut self, servers: &[IpAddr]) -> bool {
        while self.asked < servers.len() * ROUNDS {
            let Some(server) = servers.get(self.asked % servers.len()) else { return false };
            self.asked += 1;
            self.until = Instant::now() + PATIENCE;
            // Each question has a port of its own, which one who forges answers has to guess.
            let socket = sys::connected_datagrams(SocketAddr::from((*server, PORT))).map(UdpSocket::from);
            if let Ok(socket) = socket
                && socket.send(&self.bytes).is_ok()
            {
                self.way = Way::Udp(socket);
                return true;
            }
        }
        false
    }

    /// Asks the same server by TCP. Whether it can be asked.
    pub fn by_tcp(&mut self, servers: &[IpAddr]) -> bool {
        let server = self.asked.checked_sub(1).and_then(|asked| servers.get(asked % servers.len()));
        let stream = server.and_then(|server| sys::connect_without_waiting(SocketAddr::from((*server, PORT))).ok());
        let Some(stream) = stream else { return false };
        self.until = Instant::now() + 2 * PATIENCE;
        self.way = Way::Tcp { stream, sent: false, come: Vec::new() };
        true
    }

    /// What is waited for.
    pub fn wants(&self) -> Poll {
        match &self.way {
            Way::Udp(socket) => Poll::read(socket.as_raw_fd()),
            Way::Tcp { stream, sent: true, .. } => Poll::read(stream.as_raw_fd()),
            Way::Tcp { stream, .. } => Poll { write: true, ..Poll::end(stream.as_raw_fd()) },
            Way::None => Poll::end(-1),
        }
    }

    /// Takes what has come into the buffer: its length; none if there is nothing yet.
    ///
    /// # Errors
    ///
    /// The server does not answer.
    pub fn receive(&mut self, buffer: &mut [u8]) -> std::io::Result<Option<usize>> {
        let early = |error: &std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
        match &mut self.way {
            Way::Udp(socket) => match socket.recv(buffer) {
                Ok(length) => Ok(Some(length)),
                Err(error) if early(&error) => Ok(None),
                Err(error) => Err(error),
            },
            Way::Tcp { stream, sent: sent @ false, .. } => {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                // A question is shorter than what a new connection takes at once.
                let length = u16::try_from(self.bytes.len()).unwrap_or(0).to_be_bytes();
                stream.write_all(&[&length[..], &self.bytes].concat())?;
                *sent = true;
                Ok(None)
            }
            Way::Tcp { stream, come, .. } => {
                let mut piece = [0; 4096];
                match stream.read(&mut piece) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(length) => come.extend(piece.get(..length).unwrap_or_default()),
                    Err(error) if early(&error) => return Ok(None),
                    Err(error) => return Err(error),
                }
                let Some((length, rest)) = come.split_first_chunk::<2>() else { return Ok(None) };
                let length = usize::from(u16::from_be_bytes(*length));
                if length > LONGEST.min(buffer.len()) {
                    return Err(ErrorKind::InvalidData.into());
                }
                let (Some(whole), Some(room)) = (rest.get(..length), buffer.get_mut(..length)) else { return Ok(None) };
                room.copy_from_slice(whole);
                Ok(Some(length))
            }
            Way::None => Err(ErrorKind::NotConnected.into()),
        }
    }
}
