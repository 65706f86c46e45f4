//! Sets of addresses as messages. Constants are those of linux/netfilter/nf_tables.h.

use super::message::{CREATE, Message};
use super::rule::{Family, TABLE};

/// Types of messages.
const NEW_SET: u16 = 9;
pub(super) const NEW_ELEMENTS: u16 = 12;
pub(super) const DELETE_ELEMENTS: u16 = 14;

/// The message that makes a set of addresses. `id` is a number that no other set has.
pub(super) fn set(name: &str, family: Family, flags: u32, id: u32) -> Message {
    let mut message = Message::new(NEW_SET, CREATE);
    message.text(1, TABLE).text(2, name).number(3, flags);
    // The type of the elements is a number of the program nft(8), which can list them then.
    message.number(4, if family == Family::V4 { 7 } else { 8 });
    message.number(5, family.address().0 as u32).number(10, id);
    message
}

/// The message that makes a set that holds so many addresses and no more.
pub(super) fn bounded(name: &str, family: Family, flags: u32, id: u32, most: u32) -> Message {
    let mut message = set(name, family, flags, id);
    message.nest(9, |description| {
        description.number(1, most);
    });
    message
}

/// A message about elements of a set.
pub(super) fn elements(kind: u16, set: &str, fill: impl FnOnce(&mut Message)) -> Message {
    let mut message = Message::new(kind, if kind == NEW_ELEMENTS { CREATE } else { 0 });
    message.text(1, TABLE).text(2, set).nest(3, fill);
    message
}
