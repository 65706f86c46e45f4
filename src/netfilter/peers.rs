//! Rules for a network that several sandboxes share: in each of them, on whose address packets leave from, and who is let in; and where their
//! bridge is, on what goes on to the outside.

use super::chain::{self, Hook};
use super::message::{Batch, CREATE, Message};
use super::packets::{self, OUTPUT, between, protocols};
use super::rule::{Compare, Family, Rule, Value};
use super::{PacketRule, PacketTarget};
use crate::spec::{Protocol, Subnet};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};

/// Other sandboxes in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peers {
    /// The addresses of the network.
    pub subnet: Subnet,
    /// Whether what comes from there first is let in.
    pub let_in: bool,
    /// What is not let in of that: rules that refuse packets, for addresses of the network. What could not be answered by them is dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<PacketRule>,
}

impl Peers {
    /// What refuses a packet for the address that it comes from, in the sandbox with this one: see [`own`]. None if nothing does.
    pub fn refuses_sender(&self, from: IpAddr, own: Ipv4Addr) -> Option<String> {
        match from {
            IpAddr::V4(from) if from == own => None,
            IpAddr::V4(_) => Some(format!("packets from another address than the sandbox's own, {own}")),
            IpAddr::V6(_) => Some("IPv6, of which a network that sandboxes share has no addresses".to_owned()),
        }
    }
}

/// Where the address of the sender is in the header of IPv4, and how long it is.
const SENDER: Value = Value::Network(12, 4);

/// The rule that refuses packets that leave from another address than this one: programs can send some (IP_FREEBIND, IP_TRANSPARENT of
/// ip(7)). There is no address of IPv6.
pub(super) fn own(address: Ipv4Addr) -> [Message; 2] {
    let others = Rule::message(OUTPUT, |rule| {
        rule.load(Value::Family).only(Compare::Equal, &[Family::V4 as u8]);
        rule.load(SENDER).only(Compare::NotEqual, &address.octets()).refuse();
    });
    let v6 = Rule::message(OUTPUT, |rule| {
        rule.load(Value::Family).only(Compare::Equal, &[Family::V6 as u8]).refuse();
    });
    [others, v6]
}

/// The rules that drop what others in the network send first and what could not be answered, since the profile denies whom the answer would
/// go to: from the address and, where that is denied for some services alone, by the protocol and from the port.
pub(super) fn kept_out(denied: &[PacketRule]) -> Vec<Message> {
    let from = |rule: &PacketRule, protocol: Option<Protocol>, sender: &dyn Fn(&mut Rule)| {
        Rule::message(chain::INPUT, |made| {
            packets::of_sender(made, Family::V4, protocol, rule.service);
            made.load(SENDER);
            sender(made);
            made.discard();
        })
    };
    let mut messages = Vec::new();
    for (rule, protocol) in denied.iter().flat_map(|rule| protocols(rule.service).into_iter().map(move |by| (rule, by)))
    {
        match &rule.to {
            PacketTarget::Addresses(addresses) => {
                let bytes = |address: u128| Family::V4.bytes(address);
                let ranges = addresses.v4.ranges().iter();
                messages.extend(
                    ranges.map(|(first, last)| {
                        from(rule, protocol, &|made| between(made, &bytes(*first), &bytes(*last)))
                    }),
                );
            }
            PacketTarget::Host => messages.push(from(rule, protocol, &|made| {
                made.only_in(Family::V4.sets()[0]);
            })),
            // No line denies these of a network that sandboxes share.
            PacketTarget::Attached | PacketTarget::Names(_) => {}
        }
    }
    messages
}

/// The rule that lets packets of others in the network in.
pub(super) fn come_in(subnet: Subnet) -> Message {
    Rule::message(chain::INPUT, |rule| {
        rule.load(Value::Family).only(Compare::Equal, &[Family::V4 as u8]);
        between(rule.load(SENDER), &subnet.first().octets(), &subnet.broadcast().octets());
        rule.accept();
    })
}

/// The messages for the network namespace of the bridge with this index: what comes by it goes on to the outside, from the address there;
/// and answers come back.
pub fn gateway(bridge: u32) -> Batch {
    /// The state of connections that were begun, and of what belongs to them.
    const GOES_ON: u32 = 2 | 4;
    const NAT: &str = "nat";
    let mut batch = Batch::default();
    batch.add("the table", chain::new_table());
    batch.add("a chain with a hook", chain::hook(chain::FORWARD, Hook::Forward));
    let bridge = bridge.to_ne_bytes();
    batch.add(
        "a rule",
        Rule::message(chain::FORWARD, |rule| {
            rule.load(Value::Comes).only(Compare::Equal, &bridge).accept();
        }),
    );
    batch.add(
        "a rule by connection (nft_ct)",
        Rule::message(chain::FORWARD, |rule| {
            rule.load(Value::State).only_bits(GOES_ON).accept();
        }),
    );
    let mut chain = Message::new(chain::NEW_CHAIN, CREATE);
    chain.text(1, super::rule::TABLE).text(3, NAT);
    chain.nest(4, |hook| {
        // NF_IP_PRI_NAT_SRC.
        hook.number(1, Hook::Postrouting as u32).number(2, 100);
    });
    chain.number(5, super::rule::ACCEPT).text(7, "nat");
    batch.add("a chain for addresses (nft_chain_nat)", chain);
    batch.add(
        "a rule for addresses (nft_masq)",
        Rule::message(NAT, |rule| {
            rule.load(Value::Leaves).only(Compare::NotEqual, &bridge).masquerade();
        }),
    );
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_from_another_address_is_refused_for_that() {
        let subnet: Subnet = "10.89.0.0/24".parse().unwrap();
        let peers = Peers { subnet, let_in: true, denied: Vec::new() };
        let own = Ipv4Addr::new(10, 89, 0, 4);
        let why = |from: &str| peers.refuses_sender(from.parse().unwrap(), own);
        assert_eq!(why("10.89.0.4"), None);
        for other in ["10.89.0.5", "203.0.113.10", "127.0.0.1"] {
            let rule = why(other).unwrap();
            assert_eq!(rule, "packets from another address than the sandbox's own, 10.89.0.4", "{other}");
        }
        assert!(why("2001:db8::1").unwrap().starts_with("IPv6"));
    }
}
