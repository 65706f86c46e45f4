//! Rules for a network that several sandboxes share: in each of them, on whose address packets leave from, and who is let in; and where their
//! bridge is, on what goes on to the outside.

use super::chain::{self, Hook};
use super::message::{Batch, CREATE, Message};
use super::packets::{OUTPUT, between};
use super::rule::{Compare, Family, Rule, Value};
use crate::spec::Subnet;
use serde::Serialize;
use std::net::Ipv4Addr;

/// Other sandboxes in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Peers {
    /// The addresses of the network.
    pub subnet: Subnet,
    /// Whether what comes from there first is let in.
    pub let_in: bool,
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
