//! Rules for a network that several sandboxes share: in each of them, on whose address packets leave from, and who is let in; and where their
//! bridge is, on what goes on to the outside.

use super::chain::{self, Hook};
use super::message::{Batch, CREATE, Message};
use super::packets::{self, OUTPUT, between, protocols};
use super::rule::{Compare, Family, Rule, Value};
use super::{PacketRule, PacketTarget};
use crate::spec::{Address, OwnAddresses, Protocol, Subnet, Subnets};
use crate::sys;
use serde::Serialize;
use std::net::IpAddr;

/// Other sandboxes in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peers {
    /// The addresses of the network.
    pub subnet: Subnets,
    /// Whether what comes from there first is let in.
    pub let_in: bool,
    /// What is not let in of that: rules that refuse packets, for addresses of the network. What could not be answered by them is dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<PacketRule>,
}

impl Peers {
    /// What refuses a packet for the address that it comes from, in the sandbox with this one: see [`own`]. None if nothing does.
    pub fn refuses_sender(&self, from: IpAddr, own: OwnAddresses) -> Option<String> {
        let other =
            |own: IpAddr| (from != own).then(|| format!("packets from another address than the sandbox's own, {own}"));
        match (from, own.v6) {
            (IpAddr::V4(_), _) => other(own.v4.into()),
            (IpAddr::V6(_), Some(own)) => other(own.into()),
            (IpAddr::V6(_), None) => {
                Some("IPv6, of which the network that sandboxes share has no addresses".to_owned())
            }
        }
    }
}

/// Types of messages of neighbour discovery (RFC 4861): from router solicitation to redirect, and those between that each machine sends.
const DISCOVERY: [u8; 2] = [133, 137];
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Goes on only for messages of neighbour discovery of these types.
fn discovery(rule: &mut Rule, [first, last]: [u8; 2]) {
    rule.load(Value::Family).only(Compare::Equal, &[Family::V6 as u8]);
    rule.load(Value::Protocol).only(Compare::Equal, &[Family::V6.protocol(Protocol::Icmp)]);
    between(rule.load(Value::Transport(0, 1)), &[first], &[last]);
}

/// The rules that refuse packets that leave from other addresses than these: programs can send some (IP_FREEBIND, IP_TRANSPARENT of
/// ip(7)). Of neighbour discovery, which only the kernel sends, leaves what says of these addresses alone where they are.
pub(super) fn own(own: OwnAddresses) -> Vec<Message> {
    let others = |family: Family, address: &[u8]| {
        Rule::message(OUTPUT, |rule| {
            rule.load(Value::Family).only(Compare::Equal, &[family as u8]);
            rule.load(family.sender()).only(Compare::NotEqual, address).refuse();
        })
    };
    let mut rules = vec![others(Family::V4, &own.v4.octets())];
    let Some(address) = own.v6 else {
        rules.push(Rule::message(OUTPUT, |rule| {
            rule.load(Value::Family).only(Compare::Equal, &[Family::V6 as u8]).refuse();
        }));
        return rules;
    };
    for address in [address, sys::link_local(sys::mac(own.v4))] {
        rules.push(Rule::message(OUTPUT, |rule| {
            discovery(rule, [SOLICITATION; 2]);
            rule.load(Family::V6.sender()).only(Compare::Equal, &address.octets()).accept();
        }));
        rules.push(Rule::message(OUTPUT, |rule| {
            discovery(rule, [ADVERTISEMENT; 2]);
            rule.load(Family::V6.sender()).only(Compare::Equal, &address.octets());
            // What it says the place of.
            rule.load(Value::Transport(8, 16)).only(Compare::Equal, &address.octets()).accept();
        }));
    }
    rules.push(Rule::message(OUTPUT, |rule| {
        discovery(rule, DISCOVERY);
        rule.refuse();
    }));
    rules.push(others(Family::V6, &address.octets()));
    rules
}

/// The rules that drop what others in the network send first and what could not be answered, since the profile denies whom the answer would
/// go to: from the address and, where that is denied for some services alone, by the protocol and from the port.
fn kept_out(denied: &[PacketRule], family: Family) -> Vec<Message> {
    let from = |rule: &PacketRule, protocol: Option<Protocol>, sender: &dyn Fn(&mut Rule)| {
        Rule::message(chain::INPUT, |made| {
            packets::of_sender(made, family, protocol, rule.service);
            made.load(family.sender());
            sender(made);
            made.discard();
        })
    };
    let mut messages = Vec::new();
    for (rule, protocol) in denied.iter().flat_map(|rule| protocols(rule.service).into_iter().map(move |by| (rule, by)))
    {
        match &rule.to {
            PacketTarget::Addresses(addresses) => {
                let bytes = |address: u128| family.bytes(address);
                let ranges = family.of(addresses).ranges().iter();
                messages.extend(
                    ranges.map(|(first, last)| {
                        from(rule, protocol, &|made| between(made, &bytes(*first), &bytes(*last)))
                    }),
                );
            }
            PacketTarget::Host => messages.push(from(rule, protocol, &|made| {
                made.only_in(family.sets()[0]);
            })),
            // No line denies these of a network that sandboxes share.
            PacketTarget::Attached | PacketTarget::Names(_) => {}
        }
    }
    messages
}

/// The rules on what others in the network send first: it is let in, but for what is denied of them, and messages of routers and about other
/// ways. Questions and answers of neighbours were let in before.
pub(super) fn come_in(Subnets { v4, v6 }: Subnets, denied: &[PacketRule]) -> Vec<Message> {
    let mut rules = kept_out(denied, Family::V4);
    rules.push(from_network(Family::V4, v4));
    if let Some(v6) = v6 {
        rules.push(Rule::message(chain::INPUT, |rule| {
            discovery(rule, DISCOVERY);
            rule.discard();
        }));
        rules.extend(kept_out(denied, Family::V6));
        rules.push(from_network(Family::V6, v6));
    }
    rules
}

/// The rule that lets packets in that come from a network.
fn from_network<A: Address>(family: Family, subnet: Subnet<A>) -> Message {
    let bytes = |address: A| family.bytes(address.number());
    Rule::message(chain::INPUT, |rule| {
        rule.load(Value::Family).only(Compare::Equal, &[family as u8]);
        between(rule.load(family.sender()), &bytes(subnet.first()), &bytes(subnet.last()));
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
    use std::net::Ipv4Addr;

    #[test]
    fn a_packet_from_another_address_is_refused_for_that() {
        let subnet = Subnets { v4: "10.89.0.0/24".parse().unwrap(), v6: Some("fd12::/64".parse().unwrap()) };
        let peers = Peers { subnet, let_in: true, denied: Vec::new() };
        let own = OwnAddresses { v4: Ipv4Addr::new(10, 89, 0, 4), v6: None };
        let why = |from: &str| peers.refuses_sender(from.parse().unwrap(), own);
        assert_eq!(why("10.89.0.4"), None);
        for other in ["10.89.0.5", "203.0.113.10", "127.0.0.1"] {
            let rule = why(other).unwrap();
            assert_eq!(rule, "packets from another address than the sandbox's own, 10.89.0.4", "{other}");
        }
        assert!(why("2001:db8::1").unwrap().starts_with("IPv6"));
        let own = OwnAddresses { v6: Some("fd12::4".parse().unwrap()), ..own };
        let why = |from: &str| peers.refuses_sender(from.parse().unwrap(), own);
        assert_eq!((why("10.89.0.4"), why("fd12::4")), (None, None));
        for other in ["fd12::5", "fe80::1", "::ffff:10.89.0.4"] {
            let rule = why(other).unwrap();
            assert_eq!(rule, "packets from another address than the sandbox's own, fd12::4", "{other}");
        }
    }
}
