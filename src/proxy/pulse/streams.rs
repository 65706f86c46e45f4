//! The streams of a connection, and the requests that the server has not answered yet.

use super::commands::{Direction, number};
use super::tags::Malformed;
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
    /// The command.
    pub command: u32,
    /// The request's values up to the device.
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

/// The tag of packets that answer no request.
pub const NO_TAG: u32 = u32::MAX;

/// Requests that are kept in mind: a client that has more unanswered is not served any more. Servers do not answer all
/// drains of streams that are ended, so the oldest of those are forgotten first.
pub const MOST: usize = 1024;

/// A request that the server has not answered.
#[derive(Debug)]
struct Pending {
    /// Its tag towards the server. No other request of this connection has it, ever, so that no answer can be taken for
    /// that of another request.
    tag: u32,
    /// Its tag towards the client, if it is the client's.
    client: Option<u32>,
    request: Request,
}

/// The requests that the server has not answered, the oldest first, by their tags.
#[derive(Debug, Default)]
pub struct Requests {
    pending: VecDeque<Pending>,
    /// The next tag towards the server.
    next: u32,
}

impl Requests {
    /// Adds one, with the client's tag if it is the client's, and gives its tag towards the server.
    ///
    /// # Errors
    ///
    /// There are too many, or there have been.
    pub fn push(&mut self, client: Option<u32>, request: Request) -> Result<u32, Malformed> {
        if self.pending.len() == MOST {
            let drain = |pending: &Pending| pending.request == Request::Command(number::DRAIN_PLAYBACK_STREAM);
            let at = self.pending.iter().position(drain).ok_or(Malformed)?;
            self.pending.remove(at);
        }
        let tag = self.next;
        if tag == NO_TAG {
            return Err(Malformed);
        }
        self.next += 1;
        self.pending.push_back(Pending { tag, client, request });
        Ok(tag)
    }

    /// Whether one has this tag, by which it came from the client.
    pub fn has(&self, client: u32) -> bool {
        let waits = |request: &Request| matches!(request, Request::Lookup(creation) if creation.tag == client);
        self.pending.iter().any(|pending| pending.client == Some(client) || waits(&pending.request))
    }

    /// Removes the one with this tag towards the server, and gives its tag towards the client, if it has one.
    pub fn take(&mut self, tag: u32) -> Option<(Option<u32>, Request)> {
        let at = self.pending.iter().position(|pending| pending.tag == tag)?;
        self.pending.remove(at).map(|pending| (pending.client, pending.request))
    }

    /// How many streams are being made.
    pub fn creations(&self) -> usize {
        let made = |pending: &&Pending| matches!(pending.request, Request::Create(_) | Request::Lookup(_));
        self.pending.iter().filter(made).count()
    }

    /// The tags of each, towards the server and the client.
    #[cfg(test)]
    pub fn tags(&self) -> Vec<(u32, Option<u32>)> {
        self.pending.iter().map(|pending| (pending.tag, pending.client)).collect()
    }
}
