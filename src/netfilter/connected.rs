//! Rules for networks that a sandbox was connected to while it ran, each by an interface of its own: two chains that the others ask first,
//! and that are empty where there are no such networks. What leaves by such an interface has the sandbox's address there and goes to others in
//! that network; what comes by it is from them, and for that address. Nothing else is reached by it, whatever the profile allows.

use super::chain::{self, DELETE_RULE, NEW_CHAIN};
use super::message::{Batch, CREATE, Message};
use super::packets::{OUTPUT, between, mark, of_sender, of_service, protocols};
use super::rule::{Compare, Family, Rule, TABLE, Value};
use super::{PacketRule, PacketTarget};
use crate::spec::{Protocol, Subnet};
use std::net::Ipv4Addr;

/// The chains: of what leaves, and of what comes in.
const LEAVES: &str = "connected-out";
const COMES: &str = "connected-in";

/// Where the addresses of the sender and of the receiver are in the header of IPv4, and how long they are.
const SENDER: Value = Value::Network(12, 4);
const RECEIVER: Value = Value::Network(16, 4);

/// A network that a sandbox was connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The index of the interface.
    pub interface: u32,
    /// The sandbox's address there.
    pub address: Ipv4Addr,
    /// The network's addresses.
    pub subnet: Subnet,
    /// Whether what comes from there first is let in.
    pub let_in: bool,
    /// What of the network is neither reached nor let in.
    pub denied: Vec<PacketRule>,
}

/// The messages that make the chains.
pub(super) fn chains() -> [Message; 2] {
    [LEAVES, COMES].map(|name| {
        let mut message = Message::new(NEW_CHAIN, CREATE);
        message.text(1, TABLE).text(3, name);
        message
    })
}

/// The rule that asks them about what leaves.
pub(super) fn leaves() -> Message {
    Rule::message(OUTPUT, |rule| rule.jump(LEAVES))
}

/// The rule that asks them about what comes in.
pub(super) fn comes() -> Message {
    Rule::message(chain::INPUT, |rule| rule.jump(COMES))
}

/// The messages that put the rules for these networks in the place of those that there are, in one step. `first` is the sandbox's address
/// in the network that it was started in.
pub fn connected(first: Ipv4Addr, all: &[Connected]) -> Batch {
    let mut batch = Batch::default();
    for chain in [LEAVES, COMES] {
        let mut message = Message::new(DELETE_RULE, 0);
        message.text(1, TABLE).text(2, chain);
        batch.add("removing rules", message);
    }
    for network in all {
        let others = all.iter().filter(|other| *other != network).map(|other| other.address);
        let others: Vec<_> = others.chain([first]).collect();
        let out = network.out();
        for rule in out.into_iter().chain(network.come_in(&others)) {
            batch.add("a rule", rule);
        }
    }
    batch
}

impl Connected {
    fn index(&self) -> [u8; 4] {
        self.interface.to_ne_bytes()
    }

    fn range(&self) -> [[u8; 4]; 2] {
        [self.subnet.first().octets(), self.subnet.last().octets()]
    }

    /// The rules on what leaves by the interface.
    fn out(&self) -> Vec<Message> {
        let by = |fill: &dyn Fn(&mut Rule)| {
            Rule::message(LEAVES, |rule| {
                rule.load(Value::Leaves).only(Compare::Equal, &self.index());
                fill(rule);
            })
        };
        let v4 = |rule: &mut Rule| {
            rule.load(Value::Family).only(Compare::Equal, &[Family::V4 as u8]);
        };
        let own = by(&|rule| {
            v4(rule);
            rule.load(SENDER).only(Compare::NotEqual, &self.address.octets()).refuse();
        });
        let denied = self.denied(&|protocol, denied, to| {
            by(&|rule| {
                of_service(rule, Family::V4, protocol, denied.service);
                to.only(rule.load(RECEIVER));
                rule.refuse();
            })
        });
        let [first, last] = self.range();
        let others = by(&|rule| {
            v4(rule);
            between(rule.load(RECEIVER), &first, &last);
            rule.mark(mark::ACCEPTED);
            rule.leave();
        });
        // All else, and all of IPv6.
        let rest = by(&|rule| rule.refuse());
        [own].into_iter().chain(denied).chain([others, rest]).collect()
    }

    /// The rules on what comes in by the interface, which is not for one of these other addresses; and on what comes for the address there by
    /// another one. What could not be answered is dropped.
    fn come_in(&self, others: &[Ipv4Addr]) -> Vec<Message> {
        let by = |fill: &dyn Fn(&mut Rule)| {
            Rule::message(COMES, |rule| {
                rule.load(Value::Comes).only(Compare::Equal, &self.index());
                fill(rule);
            })
        };
        let v4 = |rule: &mut Rule| {
            rule.load(Value::Family).only(Compare::Equal, &[Family::V4 as u8]);
        };
        let elsewhere = Rule::message(COMES, |rule| {
            rule.load(Value::Comes).only(Compare::NotEqual, &self.index());
            v4(rule);
            rule.load(RECEIVER).only(Compare::Equal, &self.address.octets()).discard();
        });
        let for_others = others.iter().map(|other| {
            by(&|rule| {
                v4(rule);
                rule.load(RECEIVER).only(Compare::Equal, &other.octets()).discard();
            })
        });
        let denied = self.denied(&|protocol, denied, to| {
            by(&|rule| {
                of_sender(rule, Family::V4, protocol, denied.service);
                to.only(rule.load(SENDER));
                rule.discard();
            })
        });
        let [first, last] = self.range();
        let peers = self.let_in.then(|| {
            by(&|rule| {
                v4(rule);
                between(rule.load(SENDER), &first, &last);
                rule.accept();
            })
        });
        let rest = by(&|rule| rule.discard());
        [elsewhere].into_iter().chain(for_others).chain(denied).chain(peers).chain([rest]).collect()
    }

    /// A rule for each part of what is denied.
    fn denied(&self, make: &dyn Fn(Option<Protocol>, &PacketRule, &To) -> Message) -> Vec<Message> {
        let mut made = Vec::new();
        for denied in &self.denied {
            let parts = match &denied.to {
                PacketTarget::Addresses(addresses) => {
                    let bytes = |address: u128| Family::V4.bytes(address);
                    addresses.v4.ranges().iter().map(|(first, last)| To::Range(bytes(*first), bytes(*last))).collect()
                }
                PacketTarget::Host => vec![To::Host],
                // No line denies these of a network that sandboxes share.
                PacketTarget::Attached | PacketTarget::Names(_) => Vec::new(),
            };
            for protocol in protocols(denied.service) {
                made.extend(parts.iter().map(|to| make(protocol, denied, to)));
            }
        }
        made
    }
}

/// Addresses in a rule.
enum To {
    Range(Vec<u8>, Vec<u8>),
    /// The host's.
    Host,
}

impl To {
    /// Goes on only if the register has one of them.
    fn only(&self, rule: &mut Rule) {
        match self {
            To::Range(first, last) => between(rule, first, last),
            To::Host => {
                rule.only_in(Family::V4.sets()[0]);
            }
        }
    }
}
