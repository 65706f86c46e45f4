//! Messages to nf_tables: netlink(7), headers and attributes as in linux/netlink.h and linux/netfilter/nfnetlink.h.

use crate::sys::{self, Errno};
use std::os::fd::BorrowedFd;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
pub(super) const CREATE: u16 = 0x400;
pub(super) const APPEND: u16 = 0x800;

/// The type of a message that holds an errno, 0 for success (NLMSG_ERROR).
const ERROR: u16 = 2;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

/// The subsystem nf_tables (NFNL_SUBSYS_NFTABLES).
const NF_TABLES: u16 = 10;

/// The subsystem that tells of packets (NFNL_SUBSYS_ULOG).
const LOG: u16 = 4;

/// Rules for both families of IP (NFPROTO_INET).
const INET: u8 = 1;

/// Set in the type of an attribute that holds attributes (NLA_F_NESTED).
const NESTED: u16 = 0x8000;

const HEADER: usize = 16;

/// Bytes of messages that are sent at once, within what a socket can send by default (net.core.wmem_default, 212,992 or less).
const AT_ONCE: usize = 60_000;

/// One message while it is made. Its length and number are filled in when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A message of this type of nf_tables (NFT_MSG_*), with flags besides that of a request.
    pub fn new(kind: u16, flags: u16) -> Message {
        Message::of(NF_TABLES << 8 | kind, flags, INET, 0)
    }

    /// A message of this type to the subsystem that tells of packets, about a group of it.
    pub fn of_log(kind: u16, group: u16) -> Message {
        Message::of(LOG << 8 | kind, 0, 0, group)
    }

    fn of(kind: u16, flags: u16, family: u8, resource: u16) -> Message {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, 0]);
        bytes.extend(resource.to_be_bytes());
        Message(bytes)
    }

    /// Adds an attribute.
    pub fn bytes(&mut self, kind: u16, data: &[u8]) -> &mut Message {
        self.nest_as(kind, |message| message.0.extend(data))
    }

    /// Adds a number of 32 bits, in network order.
    pub fn number(&mut self, kind: u16, number: u32) -> &mut Message {
        self.bytes(kind, &number.to_be_bytes())
    }

    /// Adds a text.
    pub fn text(&mut self, kind: u16, text: &str) -> &mut Message {
        self.nest_as(kind, |message| {
            message.0.extend(text.bytes());
            message.0.push(0);
        })
    }

    /// Adds an attribute that holds those that `fill` adds.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) -> &mut Message {
        self.nest_as(kind | NESTED, fill)
    }

    fn nest_as(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) -> &mut Message {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        fill(self);
        // Attributes are made so that none is longer: see `table::ELEMENTS`.
        let length = (self.0.len() - start) as u16;
        set(&mut self.0, start, &length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Appends it to others, with this number.
    fn finish(&self, number: u32, last: bool, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend(&self.0);
        set(to, start, &(self.0.len() as u32).to_ne_bytes());
        set(to, start + 8, &number.to_ne_bytes());
        if last {
            let flags = self.0.get(6..8).and_then(|flags| flags.try_into().ok()).map_or(REQUEST, u16::from_ne_bytes);
            set(to, start + 6, &(flags | ACK).to_ne_bytes());
        }
    }
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Messages that take effect together, if there are not so many of them that they have to be sent in parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch(Vec<(&'static str, Message)>);

/// Why the kernel did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What the message was about.
    pub what: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

impl Batch {
    /// Adds a message, with what it is about.
    pub(super) fn add(&mut self, what: &'static str, message: Message) {
        self.0.push((what, message));
    }

    /// Whether the messages take effect together.
    pub fn is_one_step(&self) -> bool {
        self.0.iter().map(|(_, message)| message.0.len()).sum::<usize>() <= AT_ONCE
    }

    /// Sends the messages over a socket of nfnetlink that does not block, and waits for the kernel's answer.
    ///
    /// # Errors
    ///
    /// The kernel refused one of them.
    pub fn send(&self, socket: BorrowedFd<'_>) -> Result<(), Refused> {
        let mut rest = &self.0[..];
        while !rest.is_empty() {
            let mut length = 0;
            let fits = rest.iter().take_while(|(_, message)| {
                length += message.0.len();
                length <= AT_ONCE
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            part(now, socket)?;
            rest = later;
        }
        Ok(())
    }
}

/// Sends messages that are numbered from 1 on, and reads the answers. The kernel has answered when the call that sends has returned.
fn part(messages: &[(&'static str, Message)], socket: BorrowedFd<'_>) -> Result<(), Refused> {
    let whole = |errno| Refused { what: "a batch", errno };
    let mut bytes = Vec::new();
    Message::of(BATCH_BEGIN, 0, 0, NF_TABLES).finish(0, false, &mut bytes);
    for (number, (_, message)) in (1..).zip(messages) {
        message.finish(number, number as usize == messages.len(), &mut bytes);
    }
    Message::of(BATCH_END, 0, 0, NF_TABLES).finish(0, false, &mut bytes);
    sys::send(socket, &bytes, None).map_err(whole)?;
    loop {
        let mut answer = [0; 1024];
        let (length, _) = sys::receive(socket, &mut answer).map_err(whole)?;
        let Some((errno, number)) = answer.get(..length).and_then(error) else { continue };
        match (errno, number as usize) {
            (0, number) if number == messages.len() => return Ok(()),
            (0, _) => {}
            (errno, number) => {
                let what =
                    number.checked_sub(1).and_then(|index| messages.get(index)).map_or("a batch", |(what, _)| what);
                // Answers to other messages may follow.
                while sys::receive(socket, &mut answer).is_ok_and(|(length, _)| length > 0) {}
                return Err(Refused { what, errno: Errno(errno) });
            }
        }
    }
}

/// Sends a message that belongs to no batch, and waits for the kernel's answer.
pub(super) fn ask(socket: BorrowedFd<'_>, message: &Message) -> sys::Result<()> {
    let mut bytes = Vec::new();
    message.finish(1, true, &mut bytes);
    sys::send(socket, &bytes, None)?;
    loop {
        let mut answer = [0; 4096];
        let (length, _) = sys::receive(socket, &mut answer)?;
        match answer.get(..length).and_then(error) {
            Some((0, _)) => return Ok(()),
            Some((errno, _)) => return Err(Errno(errno)),
            // A packet, of which somebody may have told by then.
            None => {}
        }
    }
}

/// The messages in what the kernel has sent: the type of each, and what follows its header.
pub(super) fn messages(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some([a, b, c, d, first, second, ..]) = bytes.first_chunk::<HEADER>() {
        let length = usize::try_from(u32::from_ne_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
        let Some(content) = bytes.get(HEADER..length) else { break };
        found.push((u16::from_ne_bytes([*first, *second]), content));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Whether a type is this one of the subsystem that tells of packets.
pub(super) fn is_of_log(kind: u16, wanted: u16) -> bool {
    kind == LOG << 8 | wanted
}

/// The errno in an answer, and the number of the message that it is about.
fn error(answer: &[u8]) -> Option<(i32, u32)> {
    let word = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    // Behind the errno is the header of the message that it is about, whose third word is the number.
    (kind == ERROR).then(|| Some(((word(HEADER)? as i32).wrapping_neg(), word(HEADER + 4 + 8)?)))?
}
