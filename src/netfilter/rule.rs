//! A rule of a chain as a message: expressions that load parts of a packet, compare them, and say what becomes of it. Constants are those of
//! linux/netfilter/nf_tables.h.

use super::message::{APPEND, CREATE, Message};
use crate::spec::{Addresses, Protocol, Ranges};
use std::time::Duration;

/// The one table, which is the sandbox's own.
pub(super) const TABLE: &str = "sbx";

/// The chain that answers who has sent a packet, and drops it.
pub(super) const REFUSE: &str = "refuse";

/// The chain that counts whom packets go to that a rule has accepted, and refuses what goes to too many.
pub(super) const NEIGHBOURS: &str = "neighbours";

/// The type of a message that makes a rule.
const NEW_RULE: u16 = 6;

/// Verdicts: linux/netfilter.h, and those of nf_tables, which are negative.
pub(super) const DROP: u32 = 0;
pub(super) const ACCEPT: u32 = 1;
const JUMP: u32 = -3_i32 as u32;
const GOTO: u32 = -4_i32 as u32;

/// The register that values are compared in. Register 0 is for verdicts.
const REGISTER: u32 = 1;
const VERDICT: u32 = 0;

/// The families of IP, as NFPROTO_*.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4 = 2,
    V6 = 10,
}

impl Family {
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// How long an address is, and where in the header that of the destination is.
    pub fn address(self) -> (usize, u32) {
        match self {
            Family::V4 => (4, 16),
            Family::V6 => (16, 24),
        }
    }

    /// The same of the sender's.
    pub fn sender(self) -> Value {
        match self {
            Family::V4 => Value::Network(12, 4),
            Family::V6 => Value::Network(8, 16),
        }
    }

    pub fn of(self, addresses: &Addresses) -> &Ranges {
        match self {
            Family::V4 => &addresses.v4,
            Family::V6 => &addresses.v6,
        }
    }

    /// The sets of the host's addresses, and of the networks that it is attached to.
    pub fn sets(self) -> [&'static str; 2] {
        match self {
            Family::V4 => ["host4", "attached4"],
            Family::V6 => ["host6", "attached6"],
        }
    }

    /// The set of neighbours that packets went to.
    pub fn neighbours(self) -> &'static str {
        match self {
            Family::V4 => "neighbours4",
            Family::V6 => "neighbours6",
        }
    }

    /// The set of addresses that were told for the names of a list.
    pub fn named(self, list: u16) -> String {
        format!("names{}-{list}", if self == Family::V4 { 4 } else { 6 })
    }

    /// A number as an address, in network order.
    pub fn bytes(self, number: u128) -> Vec<u8> {
        let bytes = number.to_be_bytes();
        bytes.get(16 - self.address().0..).unwrap_or_default().to_vec()
    }

    /// Numbers of protocols: IPPROTO_*.
    pub fn protocol(self, protocol: Protocol) -> u8 {
        match (protocol, self) {
            (Protocol::Tcp, _) => 6,
            (Protocol::Udp, _) => 17,
            (Protocol::Icmp, Family::V4) => 1,
            (Protocol::Icmp, Family::V6) => 58,
        }
    }
}

/// How a register is compared.
#[derive(Clone, Copy)]
pub(super) enum Compare {
    Equal = 0,
    NotEqual = 1,
    AtMost = 3,
    AtLeast = 5,
}

/// A part of a packet, or of what the kernel knows of it.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// The index of the interface that it comes by, in the host's order of bytes.
    Comes,
    /// The index of the interface that it leaves by, in the host's order of bytes.
    Leaves,
    /// The family.
    Family,
    /// The protocol above IP, behind all headers of options.
    Protocol,
    /// What connection tracking says of its connection, as bits, in the host's order of bytes.
    State,
    /// Whether it goes the way of its connection's first packet (0) or the other (1).
    Direction,
    /// The mark of its connection, in the host's order of bytes.
    Mark,
    /// The address that it is sent to on its way: of a router, or of who receives it where none is between. Other families match nothing.
    Next(Family),
    /// Bytes of the IP header: offset and length.
    Network(u32, usize),
    /// Bytes of the header of the protocol above: offset and length. A fragment without that header matches nothing.
    Transport(u32, usize),
}

/// A rule while it is made: its expressions, one after the other.
pub(super) struct Rule(Message);

impl Rule {
    /// The message that makes a rule behind those of a chain.
    pub fn message(chain: &str, fill: impl FnOnce(&mut Rule)) -> Message {
        Rule::made(chain, CREATE | APPEND, fill)
    }

    /// The message that makes a rule before those of a chain.
    pub fn first(chain: &str, fill: impl FnOnce(&mut Rule)) -> Message {
        Rule::made(chain, CREATE, fill)
    }

    fn made(chain: &str, flags: u16, fill: impl FnOnce(&mut Rule)) -> Message {
        let mut message = Message::new(NEW_RULE, flags);
        message.text(1, TABLE).text(2, chain);
        message.nest(4, |expressions| {
            let mut rule = Rule(std::mem::replace(expressions, Message::new(NEW_RULE, 0)));
            fill(&mut rule);
            *expressions = rule.0;
        });
        message
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Message)) -> &mut Rule {
        self.0.nest(1, |expression| {
            expression.text(1, name).nest(2, fill);
        });
        self
    }

    /// Loads a value into the register.
    pub fn load(&mut self, value: Value) -> &mut Rule {
        let meta = |key: u32| {
            move |data: &mut Message| {
                data.number(1, REGISTER).number(2, key);
            }
        };
        let payload = |base: u32, offset: u32, length: usize| {
            move |data: &mut Message| {
                data.number(1, REGISTER).number(2, base).number(3, offset).number(4, length as u32);
            }
        };
        match value {
            Value::Comes => self.expression("meta", meta(4)),
            Value::Leaves => self.expression("meta", meta(5)),
            Value::Family => self.expression("meta", meta(15)),
            Value::Protocol => self.expression("meta", meta(16)),
            Value::State => self.expression("ct", meta(0)),
            Value::Direction => self.expression("ct", meta(1)),
            Value::Mark => self.expression("ct", meta(3)),
            Value::Next(family) => self.expression("rt", meta(if family == Family::V4 { 1 } else { 2 })),
            Value::Network(offset, length) => self.expression("payload", payload(1, offset, length)),
            Value::Transport(offset, length) => self.expression("payload", payload(2, offset, length)),
        }
    }

    /// Goes on only if the register compares so with a value.
    pub fn only(&mut self, compare: Compare, value: &[u8]) -> &mut Rule {
        self.expression("cmp", |data| {
            data.number(1, REGISTER).number(2, compare as u32).nest(3, |holder| {
                holder.bytes(1, value);
            });
        })
    }

    /// Goes on only if one of these bits is set in the register.
    pub fn only_bits(&mut self, bits: u32) -> &mut Rule {
        let zero = 0u32.to_ne_bytes();
        self.expression("bitwise", |data| {
            data.number(1, REGISTER).number(2, REGISTER).number(3, 4);
            data.nest(4, |mask| {
                mask.bytes(1, &bits.to_ne_bytes());
            })
            .nest(5, |xor| {
                xor.bytes(1, &zero);
            });
        });
        self.only(Compare::NotEqual, &zero)
    }

    /// Goes on only if the register is in a set.
    pub fn only_in(&mut self, set: &str) -> &mut Rule {
        self.expression("lookup", |data| {
            data.text(1, set).number(2, REGISTER);
        })
    }

    /// Goes on only if the register is not in a set.
    pub fn only_not_in(&mut self, set: &str) -> &mut Rule {
        const INVERTED: u32 = 1;
        self.expression("lookup", |data| {
            data.text(1, set).number(2, REGISTER).number(5, INVERTED);
        })
    }

    /// Puts the register in a set for so long from now on, and goes on only if the set has it then: a full one takes no more.
    pub fn only_if_kept(&mut self, set: &str, lifetime: Duration) -> &mut Rule {
        const UPDATE: u32 = 1;
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        self.expression("dynset", |data| {
            data.text(1, set).number(3, UPDATE).number(4, REGISTER).bytes(6, &lifetime.to_be_bytes());
        })
    }

    /// Marks the packet's connection.
    pub fn mark(&mut self, mark: u32) {
        self.expression("immediate", |data| {
            data.number(1, REGISTER).nest(2, |holder| {
                holder.bytes(1, &mark.to_ne_bytes());
            });
        });
        self.expression("ct", |data| {
            data.number(2, 3).number(4, REGISTER);
        });
    }

    /// Goes on only if these bits of a byte in the register are those of `value`.
    pub fn only_byte(&mut self, bits: u8, value: u8) -> &mut Rule {
        self.expression("bitwise", |data| {
            data.number(1, REGISTER).number(2, REGISTER).number(3, 1);
            data.nest(4, |mask| {
                mask.bytes(1, &[bits]);
            })
            .nest(5, |xor| {
                xor.bytes(1, &[0]);
            });
        });
        self.only(Compare::Equal, &[value])
    }

    /// Goes on only so often in a second, and so often at once.
    pub fn at_most(&mut self, each_second: u64, at_once: u32) -> &mut Rule {
        self.expression("limit", |data| {
            data.bytes(1, &each_second.to_be_bytes()).bytes(2, &1u64.to_be_bytes()).number(3, at_once);
        })
    }

    /// Tells of the packet to a group of nfnetlink_log.
    pub fn log(&mut self, group: u16) {
        self.expression("log", |data| {
            data.bytes(1, &group.to_be_bytes());
        });
    }

    pub fn accept(&mut self) {
        self.verdict(ACCEPT, None);
    }

    /// Accepts a packet that leaves, if it does not go to too many neighbours.
    pub fn leave(&mut self) {
        self.verdict(GOTO, Some(NEIGHBOURS));
    }

    /// Drops the packet, and tells nobody.
    pub fn discard(&mut self) {
        self.verdict(DROP, None);
    }

    /// Goes on with the rules of a chain, and behind this one if none of those decides.
    pub fn jump(&mut self, chain: &str) {
        self.verdict(JUMP, Some(chain));
    }

    pub fn refuse(&mut self) {
        self.verdict(GOTO, Some(REFUSE));
    }

    /// Has the packet, and those of its connection, leave from the address of the interface that it leaves by.
    pub fn masquerade(&mut self) {
        self.expression("masq", |_| {});
    }

    fn verdict(&mut self, code: u32, chain: Option<&str>) {
        self.expression("immediate", |data| {
            data.number(1, VERDICT).nest(2, |holder| {
                holder.nest(2, |verdict| {
                    verdict.number(1, code);
                    if let Some(chain) = chain {
                        verdict.text(2, chain);
                    }
                });
            });
        });
    }

    /// Answers the sender at once, and drops the packet: `kind` is that of an ICMP message of either family (2) or a TCP reset (1).
    pub fn reject(&mut self, kind: u32) {
        // The code is "port unreachable", which a TCP reset does not have.
        self.expression("reject", |data| {
            data.number(1, kind).bytes(2, &[u8::from(kind == 2)]);
        });
    }
}
