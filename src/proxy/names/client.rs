//! Who asks; and a program that does so by TCP: one question after the other.

use crate::sys::Poll;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long a program may take to ask, and to read.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest question in bytes.
const LONGEST: usize = 1024;

/// Who has asked.
#[derive(Clone, Copy)]
pub(super) enum From {
    /// By UDP, from this address.
    Udp(SocketAddr),
    /// By the connection with this number.
    Tcp(u64),
}

/// A connection of a program.
pub(super) struct Client {
    /// Its number, which no other connection has had.
    pub number: u64,
    /// Its other end.
    pub from: SocketAddr,
    stream: TcpStream,
    come: Vec<u8>,
    goes: Vec<u8>,
    /// A question is asked, and not answered.
    pub waits: bool,
    until: Instant,
}

impl Client {
    pub fn new(stream: TcpStream, number: u64, from: SocketAddr) -> Option<Client> {
        stream.set_nonblocking(true).ok()?;
        Some(Client {
            number,
            from,
            stream,
            come: Vec::new(),
            goes: Vec::new(),
            waits: false,
            until: Instant::now() + PATIENCE,
        })
    }

    /// What is waited for.
    pub fn wants(&self) -> Poll {
        let fd = self.stream.as_raw_fd();
        match (self.goes.is_empty(), self.waits) {
            (false, _) => Poll { write: true, ..Poll::end(fd) },
            (true, false) => Poll::read(fd),
            (true, true) => Poll::end(fd),
        }
    }

    /// When it has taken too long; never while it waits for an answer.
    pub fn until(&self) -> Option<Instant> {
        (!self.waits).then_some(self.until)
    }

    /// Takes what has come: a whole question, if there is one.
    ///
    /// # Errors
    ///
    /// It is over.
    pub fn go_on(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        if !self.goes.is_empty() {
            self.write()?;
            return self.question();
        }
        let mut piece = [0; LONGEST];
        match self.stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.come.extend(piece.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        self.question()
    }

    /// The next question that has come as a whole.
    fn question(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let Some((length, rest)) = self.come.split_first_chunk::<2>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > LONGEST {
            return Err(ErrorKind::InvalidData.into());
        }
        if self.waits || !self.goes.is_empty() {
            return Ok(None);
        }
        let Some(question) = rest.get(..length) else { return Ok(None) };
        let question = question.to_vec();
        self.come.drain(..length + 2);
        self.waits = true;
        Ok(Some(question))
    }

    /// Answers the question. Gives the next one, if that has come meanwhile.
    ///
    /// # Errors
    ///
    /// It is over.
    pub fn answer(&mut self, bytes: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        self.waits = false;
        self.until = Instant::now() + PATIENCE;
        let length = u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
        self.goes = [&length[..], bytes].concat();
        self.write()?;
        self.question()
    }

    fn write(&mut self) -> std::io::Result<()> {
        match self.stream.write(&self.goes) {
            Ok(length) => {
                self.goes.drain(..length.min(self.goes.len()));
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
