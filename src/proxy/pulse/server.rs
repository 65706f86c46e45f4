//! What a server sends.

use super::commands::{COMMANDS, Direction, Event, number};
use super::connection::{INVALID, LARGEST_FROM_SERVER, MONITOR, Pulse, VERSION, VERSION_MASK};
use super::error;
use super::frame::Frame;
use super::notes::reason;
use super::properties::{Towards, put_filtered};
use super::streams::{Creation, NO_TAG, Request, Stream};
use super::tags::{Malformed, Reader, Value, put_number, put_text};
use crate::proxy::filter::Output;

impl Pulse {
    pub(super) fn server_bytes(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Malformed> {
        let mut rest = input;
        loop {
            if self.towards_client.in_sound() {
                rest = self.towards_client.sound(rest, &mut out.to_client);
            }
            let Some((descriptor, behind)) = rest.split_first_chunk().filter(|_| !self.towards_client.in_sound())
            else {
                break;
            };
            match Frame::read(descriptor)? {
                Frame::Packet(length) if length > LARGEST_FROM_SERVER => return Err(Malformed),
                Frame::Packet(length) => {
                    let Some((packet, behind)) = behind.split_at_checked(length) else { break };
                    self.server_packet(packet, out)?;
                    rest = behind;
                }
                Frame::Sound { channel, length } => {
                    let passes = self.streams.has(Direction::Record, channel);
                    self.towards_client.begin_sound(descriptor, length, passes, &mut out.to_client);
                    rest = behind;
                }
            }
        }
        Ok(input.len() - rest.len())
    }

    fn server_packet(&mut self, packet: &[u8], out: &mut Output) -> Result<(), Malformed> {
        let mut reader = Reader::new(packet);
        let (command, tag) = (reader.number()?, reader.number()?);
        match command {
            number::REPLY => match self.requests.take(tag) {
                Some((client, request)) => self.reply(client, request, reader, out),
                None => Ok(()),
            },
            number::ERROR => {
                let error = reader.number()?;
                match self.requests.take(tag) {
                    Some((_, Request::Lookup(creation))) => self.answer_error(creation.tag, error, out),
                    Some((Some(client), _)) => self.answer_error(client, error, out),
                    Some((None, _)) | None => {}
                }
                Ok(())
            }
            _ => self.event(command, reader, out),
        }
    }

    /// The answer to a request, which has this tag towards the client if it is the client's.
    fn reply(
        &mut self,
        client: Option<u32>,
        request: Request,
        answer: Reader<'_>,
        out: &mut Output,
    ) -> Result<(), Malformed> {
        if let Request::Lookup(creation) = request {
            return self.found(creation, answer, out);
        }
        let Some(tag) = client else { return Ok(()) };
        let mut packet = Vec::new();
        put_number(&mut packet, number::REPLY);
        put_number(&mut packet, tag);
        match request {
            Request::Own | Request::Lookup(_) => return Ok(()),
            Request::Create(direction) => {
                let mut values = answer;
                let (channel, index) = (values.number()?, values.number()?);
                if direction == Direction::Record {
                    // Two sizes, the sample specification, the channel map, and the source's index and name.
                    for _ in 0..5 {
                        values.value()?;
                    }
                    if self.is_forbidden(values.value()?) {
                        self.end_record_stream(channel, out)?;
                        self.refuse(tag, reason::MONITOR, out);
                        return Ok(());
                    }
                }
                self.streams.add(Stream { direction, channel, index });
                visible(&mut packet, answer)?;
            }
            Request::Command(number::AUTH) => {
                let mut values = answer;
                put_number(&mut packet, (values.number()? & VERSION_MASK).min(VERSION));
            }
            Request::Command(number::SET_CLIENT_NAME) => {
                let mut values = answer;
                self.client = Some(values.number()?);
                visible(&mut packet, answer)?;
            }
            Request::Command(number::GET_SERVER_INFO) => {
                let mut values = answer;
                // The server's name and version; then the names of the user and of the host.
                packet.extend(values.value()?.raw);
                packet.extend(values.value()?.raw);
                for _ in 0..2 {
                    values.value()?;
                    put_text(&mut packet, Some(b""));
                }
                visible(&mut packet, values)?;
            }
            Request::Command(_) => visible(&mut packet, answer)?,
        }
        self.towards_client.packet(&packet, &mut out.to_client);
        Ok(())
    }

    /// The server has described the device of a stream that is to be made.
    fn found(&mut self, creation: Creation, answer: Reader<'_>, out: &mut Output) -> Result<(), Malformed> {
        let mut values = answer;
        values.number()?;
        let name = values.value()?.text();
        if creation.direction == Direction::Record && !self.grants.monitor {
            // The description, the sample specification, the channel map, the module, volumes, whether it is muted; then
            // the sink that it is a monitor of.
            for _ in 0..6 {
                values.value()?;
            }
            if values.number()? != INVALID {
                self.refuse(creation.tag, reason::MONITOR, out);
                return Ok(());
            }
        }
        let device = name.filter(|_| creation.named);
        if creation.named && device.is_none() {
            self.answer_error(creation.tag, error::NO_ENTITY, out);
            return Ok(());
        }
        self.made(creation, device, out)
    }

    /// Something that the server sends on its own.
    fn event(&mut self, command: u32, reader: Reader<'_>, out: &mut Output) -> Result<(), Malformed> {
        let event = COMMANDS.get(command as usize).map_or(Event::Drop, |known| known.event);
        let mut values = reader;
        let passes = match event {
            Event::Pass => true,
            Event::Killed(direction) => {
                self.streams.end(direction, values.number()?);
                true
            }
            Event::RecordMoved => {
                let channel = values.number()?;
                values.number()?;
                let forbidden = self.is_forbidden(values.value()?);
                if forbidden && self.streams.has(Direction::Record, channel) {
                    self.streams.end(Direction::Record, channel);
                    self.end_record_stream(channel, out)?;
                    out.notes.push(reason::MONITOR);
                    let mut killed = Vec::new();
                    put_number(&mut killed, number::RECORD_STREAM_KILLED);
                    put_number(&mut killed, NO_TAG);
                    put_number(&mut killed, channel);
                    self.towards_client.packet(&killed, &mut out.to_client);
                }
                !forbidden
            }
            Event::Changed => {
                // The kind of thing, as a number in the lowest four bits, and its index.
                let (kind, index) = (values.number()? & 0xf, values.number()?);
                match kind {
                    0 | 7 => true,
                    1 => Direction::Record.is_granted(self.grants),
                    2 => self.streams.owns(Direction::Playback, index),
                    3 => self.streams.owns(Direction::Record, index),
                    _ => false,
                }
            }
            Event::Drop => false,
        };
        if passes {
            let mut packet = Vec::new();
            put_number(&mut packet, command);
            put_number(&mut packet, NO_TAG);
            visible(&mut packet, reader)?;
            self.towards_client.packet(&packet, &mut out.to_client);
        }
        Ok(())
    }

    /// Whether a source, by its name, is a monitor, and monitors are not granted.
    fn is_forbidden(&self, name: Value<'_>) -> bool {
        !self.grants.monitor && name.text().is_some_and(|name| name.ends_with(MONITOR))
    }

    /// Has the server end a record stream.
    fn end_record_stream(&mut self, channel: u32, out: &mut Output) -> Result<(), Malformed> {
        let mut packet = self.request(number::DELETE_RECORD_STREAM, None, Request::Own)?;
        put_number(&mut packet, channel);
        self.towards_server.packet(&packet, &mut out.to_server);
        Ok(())
    }
}

/// Adds all further values, with the properties that a client may see.
fn visible(out: &mut Vec<u8>, mut values: Reader<'_>) -> Result<(), Malformed> {
    while !values.is_empty() {
        put_filtered(out, values.value()?, Towards::Client)?;
    }
    Ok(())
}
