//! The table and its chains as messages. Constants are those of linux/netfilter/nf_tables.h.

use super::message::{CREATE, Message};
use super::rule::{DROP, TABLE};

pub(super) const INPUT: &str = "input";
pub(super) const FORWARD: &str = "forward";

/// Types of messages.
const NEW_TABLE: u16 = 0;
pub(super) const NEW_CHAIN: u16 = 3;
pub(super) const DELETE_RULE: u16 = 8;

/// The message that makes the table.
pub(super) fn new_table() -> Message {
    let mut message = Message::new(NEW_TABLE, CREATE);
    message.text(1, TABLE);
    message
}

/// Where packets pass through a chain: NF_INET_*.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    /// Packets from outside for this namespace.
    Input = 1,
    /// Packets that only pass through this namespace.
    Forward = 2,
    /// Packets that this namespace sends.
    Output = 3,
    /// Packets that are about to leave, from wherever.
    Postrouting = 4,
}

/// A chain at a hook, at the priority of filters. Packets that no rule of it is for are dropped.
pub(super) fn hook(name: &str, at: Hook) -> Message {
    let mut message = Message::new(NEW_CHAIN, CREATE);
    message.text(1, TABLE).text(3, name);
    message.nest(4, |hook| {
        hook.number(1, at as u32).number(2, 0);
    });
    message.number(5, DROP).text(7, "filter");
    message
}
