//! The streams of a connection, and the requests that the server has not answered yet.

use super::commands::Direction;
use std::collections::VecDeque;

/// A stream of this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Whether it plays or records.
    pub direction: Direction,
    /// Its number in this connection.
    pub channel: u32,
    /// The server's number of it: of its sink input or source output.
    pub index: u32,
}

/// The streams of this connection.
#[derive(Debug, Default)]
pub struct Streams(Vec<Stream>);

impl Streams {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Adds one.
    pub fn add(&mut self, stream: Stream) {
        self.end(stream.direction, stream.channel);
        self.0.push(stream);
    }

    /// Removes the one with this channel.
    pub fn end(&mut self, direction: Direction, channel: u32) {
        self.0.retain(|stream| stream.direction != direction || stream.channel != channel);
    }

    /// Whether there is one with this channel.
    pub fn has(&self, direction: Direction, channel: u32) -> bool {
        self.0.iter().any(|stream| stream.direction == direction && stream.channel == channel)
    }

    /// Whether the server's number is that of a stream of this connection.
    pub fn owns(&self, direction: Direction, index: u32) -> bool {
        self.0.iter().any(|stream| stream.direction == direction && stream.index == index)
    }
}

/// A stream that the client wants made, in parts: the device stands between them.
#[derive(Debug, PartialEq, Eq)]
pub struct Creation {
    /// Whether it plays or records.
    pub direction: Direction,
    /// The tag of the client's request.
    pub tag: u32,
    /// Whether the client names the device; if not, it is the default one.
    pub named: bool,
    /// The request up to the device.
    pub head: Vec<u8>,
    /// The request from behind the device on.
    pub tail: Vec<u8>,
}

/// A request that the server has not answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// The client's command.
    Command(u32),
    /// The client's stream.
    Create(Direction),
    /// The proxy's own question for the device of a stream.
    Lookup(Creation),
    /// The proxy's own, whose answer nobody waits for.
    Own,
}

/// Requests that are kept in mind. Some are never answered, such as for a drain of a stream that is ended; the oldest
/// are forgotten, and an answer to them would not be passed on.
const MOST: usize = 1024;

/// The requests that the server has not answered, the oldest first, by their tags.
#[derive(Debug, Default)]
pub struct Requests(VecDeque<(u32, Request)>);

impl Requests {
    /// Adds one.
    pub fn push(&mut self, tag: u32, request: Request) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((tag, request));
    }

    /// Whether one has this tag, by which it came from the client.
    pub fn has(&self, tag: u32) -> bool {
        let waits = |request: &Request| matches!(request, Request::Lookup(creation) if creation.tag == tag);
        self.0.iter().any(|(other, request)| *other == tag || waits(request))
    }

    /// Removes the one with this tag.
    pub fn take(&mut self, tag: u32) -> Option<Request> {
        let at = self.0.iter().position(|(other, _)| *other == tag)?;
        self.0.remove(at).map(|(_, request)| request)
    }

    /// How many streams are being made.
    pub fn creations(&self) -> usize {
        self.0.iter().filter(|(_, request)| matches!(request, Request::Create(_) | Request::Lookup(_))).count()
    }
}
