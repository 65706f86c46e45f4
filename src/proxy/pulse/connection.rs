//! The filter of one connection: its state, and what both directions need of it.

use super::commands::{Grants, number};
use super::error;
use super::lane::Lane;
use super::streams::{Creation, Request, Requests, Streams};
use super::tags::{Malformed, put_number, put_text};
use crate::proxy::filter::{Broken, Filter, Output};

/// Bytes of the authentication cookie.
pub const COOKIE: usize = 256;

/// The version of the protocol that the proxy knows. Client and server are both told that the other has this one at most.
pub(super) const VERSION: u32 = 35;

/// The oldest version that is passed on: property lists are part of it (PulseAudio 0.9.11).
pub(super) const OLDEST: u32 = 13;

/// The part of a version that is no flag. The flags are about shared memory.
pub(super) const VERSION_MASK: u32 = 0xffff;

/// The largest packet of a client.
pub(super) const LARGEST_FROM_CLIENT: usize = 256 * 1024;

/// The largest packet of a server: it may describe all sinks.
pub(super) const LARGEST_FROM_SERVER: usize = 2 * 1024 * 1024;

/// Values of one packet of a client.
pub(super) const MOST_VALUES: usize = 512;

/// Streams of one connection.
pub(super) const MOST_STREAMS: usize = 32;

/// No index: a device is not named by its number.
pub(super) const INVALID: u32 = u32::MAX;

/// What PulseAudio ends the name of each monitor with.
pub(super) const MONITOR: &[u8] = b".monitor";

/// The filter of one connection.
pub struct Pulse {
    pub(super) grants: Grants,
    pub(super) cookie: [u8; COOKIE],
    /// The id by which the server knows the program.
    pub(super) id: String,
    /// Whether the client has sent its greeting.
    pub(super) greeted: bool,
    pub(super) towards_server: Lane,
    pub(super) towards_client: Lane,
    pub(super) requests: Requests,
    pub(super) streams: Streams,
    /// The server's number of this client, once it is known.
    pub(super) client: Option<u32>,
}

impl Filter for Pulse {
    fn client_sent(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Broken> {
        self.client_bytes(input, out).map_err(|Malformed| Broken)
    }

    fn server_sent(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Broken> {
        self.server_bytes(input, out).map_err(|Malformed| Broken)
    }

    fn waiting(&self) -> usize {
        self.towards_client.waiting().max(self.towards_server.waiting())
    }
}

impl Pulse {
    /// A filter for a new connection. The cookie and the id (`application.id`) take the place of the client's.
    pub fn new(grants: Grants, cookie: [u8; COOKIE], id: &str) -> Pulse {
        Pulse {
            grants,
            cookie,
            id: id.to_owned(),
            greeted: false,
            towards_server: Lane::default(),
            towards_client: Lane::default(),
            requests: Requests::default(),
            streams: Streams::default(),
            client: None,
        }
    }

    /// The beginning of a request to the server, which is kept in mind: the client's, with its tag, or the proxy's own.
    ///
    /// # Errors
    ///
    /// The client has too many that are not answered.
    pub(super) fn request(&mut self, command: u32, tag: Option<u32>, request: Request) -> Result<Vec<u8>, Malformed> {
        let mut packet = Vec::new();
        put_number(&mut packet, command);
        put_number(&mut packet, self.requests.push(tag, request)?);
        Ok(packet)
    }

    /// Sends a stream's creation on: on the device of this name, or on the default one.
    pub(super) fn made(
        &mut self,
        creation: Creation,
        device: Option<&[u8]>,
        out: &mut Output,
    ) -> Result<(), Malformed> {
        let Creation { direction, tag, command, head, tail, .. } = creation;
        let mut packet = self.request(command, Some(tag), Request::Create(direction))?;
        packet.extend(head);
        put_number(&mut packet, INVALID);
        put_text(&mut packet, device);
        packet.extend(tail);
        self.towards_server.packet(&packet, &mut out.to_server);
        Ok(())
    }

    pub(super) fn refuse(&mut self, tag: u32, reason: u8, out: &mut Output) {
        out.notes.push(reason);
        self.answer_error(tag, error::ACCESS, out);
    }

    pub(super) fn answer_error(&mut self, tag: u32, error: u32, out: &mut Output) {
        let mut packet = Vec::new();
        put_number(&mut packet, number::ERROR);
        put_number(&mut packet, tag);
        put_number(&mut packet, error);
        self.towards_client.packet(&packet, &mut out.to_client);
    }
}
