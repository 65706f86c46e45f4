//! What a client sends.

use super::commands::{COMMANDS, Direction, Rule, number};
use super::connection::{
    INVALID, LARGEST_FROM_CLIENT, MOST_STREAMS, MOST_VALUES, OLDEST, Pulse, VERSION, VERSION_MASK,
};
use super::error;
use super::frame::Frame;
use super::notes::reason;
use super::properties::{self, Towards, put_filtered};
use super::streams::{Creation, NO_TAG, Request};
use super::tags::{Malformed, Reader, Value, matches, put_bytes, put_number, put_text};
use crate::proxy::filter::Output;

impl Pulse {
    pub(super) fn client_bytes(&mut self, input: &[u8], out: &mut Output) -> Result<usize, Malformed> {
        let mut rest = input;
        loop {
            if self.towards_server.in_sound() {
                rest = self.towards_server.sound(rest, &mut out.to_server);
            }
            let Some((descriptor, behind)) = rest.split_first_chunk().filter(|_| !self.towards_server.in_sound())
            else {
                break;
            };
            match Frame::read(descriptor)? {
                Frame::Packet(length) if length > LARGEST_FROM_CLIENT => return Err(Malformed),
                Frame::Packet(length) => {
                    let Some((packet, behind)) = behind.split_at_checked(length) else { break };
                    self.client_packet(packet, out)?;
                    rest = behind;
                }
                Frame::Sound { channel, length } => {
                    if !self.greeted {
                        return Err(Malformed);
                    }
                    let passes = self.streams.has(Direction::Playback, channel);
                    self.towards_server.begin_sound(descriptor, length, passes, &mut out.to_server);
                    rest = behind;
                }
            }
        }
        Ok(input.len() - rest.len())
    }

    fn client_packet(&mut self, packet: &[u8], out: &mut Output) -> Result<(), Malformed> {
        let mut reader = Reader::new(packet);
        let (command, tag) = (reader.number()?, reader.number()?);
        if tag == NO_TAG || self.requests.has(tag) {
            return Err(Malformed);
        }
        let Some(known) = COMMANDS.get(command as usize) else {
            out.notes.push(reason::UNKNOWN);
            self.answer_error(tag, error::COMMAND, out);
            return Ok(());
        };
        if (known.rule == Rule::Greet) == self.greeted {
            return Err(Malformed);
        }
        let mut values = Vec::new();
        while !reader.is_empty() {
            values.push(reader.value()?);
            if values.len() > MOST_VALUES {
                return Err(Malformed);
            }
        }
        if !matches(&values, known.values) {
            return Err(Malformed);
        }
        let first = values.first().and_then(|value| value.number());
        match known.rule {
            Rule::Greet => self.greet(tag, first.ok_or(Malformed)?, out)?,
            Rule::Pass => self.pass(command, tag, &values, out)?,
            Rule::Play if self.grants.play => self.pass(command, tag, &values, out)?,
            Rule::Record | Rule::SeeSources if Direction::Record.is_granted(self.grants) => {
                self.pass(command, tag, &values, out)?;
            }
            Rule::Play => self.refuse(tag, reason::PLAY, out),
            Rule::Record => self.refuse(tag, reason::RECORD, out),
            Rule::SeeSources if values.is_empty() => self.answer_nothing(tag, out),
            Rule::SeeSources | Rule::Absent => self.answer_error(tag, error::NO_ENTITY, out),
            Rule::Nothing => self.answer_nothing(tag, out),
            Rule::Create(direction) => self.create(direction, command, tag, &values, out)?,
            Rule::Delete(direction) => {
                self.streams.end(direction, first.ok_or(Malformed)?);
                self.pass(command, tag, &values, out)?;
            }
            Rule::Own(direction) if self.streams.owns(direction, first.ok_or(Malformed)?) => {
                self.pass(command, tag, &values, out)?;
            }
            Rule::OwnClient if first == self.client => self.pass(command, tag, &values, out)?,
            Rule::Own(_) | Rule::OwnClient => self.answer_error(tag, error::NO_ENTITY, out),
            Rule::Subscribe => {
                let mut packet = self.request(command, Some(tag), Request::Command(command))?;
                put_number(&mut packet, first.ok_or(Malformed)? & self.events());
                self.towards_server.packet(&packet, &mut out.to_server);
            }
            Rule::RemoveKeys => {
                values.retain(|value| value.text().is_none_or(properties::is_of_program));
                self.pass(command, tag, &values, out)?;
            }
            Rule::NoExtension => self.answer_error(tag, error::NO_EXTENSION, out),
            Rule::Refuse => self.refuse(tag, command as u8, out),
            Rule::Wrong => return Err(Malformed),
        }
        Ok(())
    }

    /// The greeting, with a version that the proxy knows, without the flags for shared memory, and with the proxy's cookie.
    fn greet(&mut self, tag: u32, version: u32, out: &mut Output) -> Result<(), Malformed> {
        let version = version & VERSION_MASK;
        if version < OLDEST {
            out.notes.push(reason::OLD);
            self.answer_error(tag, error::VERSION, out);
            return Ok(());
        }
        self.greeted = true;
        let mut packet = self.request(number::AUTH, Some(tag), Request::Command(number::AUTH))?;
        put_number(&mut packet, version.min(VERSION));
        put_bytes(&mut packet, &self.cookie);
        self.towards_server.packet(&packet, &mut out.to_server);
        Ok(())
    }

    /// Makes a stream, once the server has said that the device is one. pipewire-pulse takes any object for a device,
    /// such as another program's stream; and with PulseAudio the default source may be a monitor.
    fn create(
        &mut self,
        direction: Direction,
        command: u32,
        tag: u32,
        values: &[Value<'_>],
        out: &mut Output,
    ) -> Result<(), Malformed> {
        if !direction.is_granted(self.grants) {
            let reason = if direction == Direction::Playback { reason::PLAY } else { reason::RECORD };
            self.refuse(tag, reason, out);
            return Ok(());
        }
        if self.streams.count() + self.requests.creations() >= MOST_STREAMS {
            out.notes.push(reason::STREAMS);
            self.answer_error(tag, error::TOO_LARGE, out);
            return Ok(());
        }
        // Both commands begin with the sample specification, the channel map, and the device by index or name.
        let [specification, map, index, name, rest @ ..] = values else { return Err(Malformed) };
        let (index, name) = (index.number().ok_or(Malformed)?, name.text());
        // A record stream may be attached to one playback stream, of any program.
        let direct = rest.get(13).filter(|_| direction == Direction::Record).and_then(|value| value.number());
        if direct.is_some_and(|input| input != INVALID) && !self.grants.monitor {
            self.refuse(tag, reason::MONITOR, out);
            return Ok(());
        }
        if index != INVALID && name.is_some() {
            self.answer_error(tag, error::INVALID, out);
            return Ok(());
        }
        let named = index != INVALID || name.is_some();
        let mut creation = Creation { direction, tag, named, command, head: Vec::new(), tail: Vec::new() };
        creation.head.extend([specification.raw, map.raw].concat());
        for value in rest {
            put_filtered(&mut creation.tail, *value, Towards::Server(&self.id))?;
        }
        let unheard = direction == Direction::Record && !self.grants.monitor;
        if !named && !unheard {
            return self.made(creation, None, out);
        }
        let lookup = match direction {
            Direction::Playback => number::GET_SINK_INFO,
            Direction::Record => number::GET_SOURCE_INFO,
        };
        let mut packet = self.request(lookup, None, Request::Lookup(creation))?;
        put_number(&mut packet, index);
        put_text(&mut packet, name);
        self.towards_server.packet(&packet, &mut out.to_server);
        Ok(())
    }

    /// Passes a command on, with the properties that pass.
    fn pass(&mut self, command: u32, tag: u32, values: &[Value<'_>], out: &mut Output) -> Result<(), Malformed> {
        let mut packet = self.request(command, Some(tag), Request::Command(command))?;
        for value in values {
            put_filtered(&mut packet, *value, Towards::Server(&self.id))?;
        }
        self.towards_server.packet(&packet, &mut out.to_server);
        Ok(())
    }

    /// The kinds of events that the client may ask for: a bit for each, as in PA_SUBSCRIPTION_MASK_*.
    fn events(&self) -> u32 {
        const SINK: u32 = 1;
        const SOURCE: u32 = 2;
        const SINK_INPUT: u32 = 4;
        const SOURCE_OUTPUT: u32 = 8;
        const SERVER: u32 = 0x80;
        let record = if Direction::Record.is_granted(self.grants) { SOURCE | SOURCE_OUTPUT } else { 0 };
        SINK | SINK_INPUT | SERVER | record
    }

    fn answer_nothing(&mut self, tag: u32, out: &mut Output) {
        let mut packet = Vec::new();
        put_number(&mut packet, number::REPLY);
        put_number(&mut packet, tag);
        self.towards_client.packet(&packet, &mut out.to_client);
    }
}
