//! The table of a sandbox's network: one chain that all packets that leave pass through, as the messages that make it. Constants are those
//! of linux/netfilter/nf_tables.h.

use super::chain::{DELETE_RULE, FORWARD, Hook, INPUT, NEW_CHAIN, hook, new_table};
use super::connected;
use super::message::{Batch, CREATE, Message};
use super::names;
use super::neighbours;
use super::packets::{OUTPUT, between, mark, of_service, protocols};
use super::peers::{self, Peers};
use super::rule::{Compare, Family, REFUSE, Rule, TABLE, Value};
use super::sets::{DELETE_ELEMENTS, NEW_ELEMENTS, elements, set};
use super::{HostAddresses, PacketRule, PacketTarget, PublishedInside};
use crate::spec::{OwnAddresses, Protocol};

/// Types of messages.
const DELETE_SET: u16 = 11;

/// Flags of a set: its elements are ranges.
const INTERVAL: u32 = 4;

/// How many ranges of a set a message holds: an attribute is shorter than 64 KiB, and a range takes 64 bytes or less.
const ELEMENTS: usize = 500;

/// The index of loopback, which is the first interface of every network namespace, in the host's order of bytes.
const LOOPBACK: [u8; 4] = 1u32.to_ne_bytes();

/// The messages that make the table, with the sets of the host's addresses empty. What comes from outside first is let in at the ports of
/// `published`, and may be answered, wherever that goes. With `peers`, packets leave from these addresses alone.
///
/// No rule trusts connection tracking to tell what the program began: it can send packets from addresses that it does not have
/// (IPV6_FREEBIND of ipv6(7)), and answer itself in another's name. Marks are trusted, since rules alone make them.
pub fn table(rules: &[PacketRule], published: &[PublishedInside], peers: Option<(&Peers, OwnAddresses)>) -> Batch {
    let mut batch = Batch::default();
    batch.add("the table", new_table());
    let mut message = Message::new(NEW_CHAIN, CREATE);
    message.text(1, TABLE).text(3, REFUSE);
    batch.add("a chain", message);
    for (id, family) in (0..).zip(Family::BOTH) {
        let [host, attached] = family.sets();
        batch.add("a set of ranges", set(host, family, INTERVAL, id));
        batch.add("a set of ranges", set(attached, family, INTERVAL, 2 + id));
    }
    neighbours::chain(&mut batch);
    if peers.is_some() {
        connected::chains().into_iter().for_each(|chain| batch.add("a chain", chain));
    }
    // Sets before the chains: what a rule looks up must be complete when the first packet leaves.
    let made = of_profile(rules, 0, 0, &mut batch);
    for rule in neighbours::rules() {
        batch.add("a rule that counts (nft_dynset, nft_rt)", rule);
    }
    // A packet that the program sends by loopback to an address elsewhere must not go on from there, which the host's settings may allow.
    batch.add("a chain with a hook", hook(FORWARD, Hook::Forward));
    batch.add("a chain with a hook", hook(OUTPUT, Hook::Output));
    batch.add("a chain with a hook", hook(INPUT, Hook::Input));
    let mut rules_on_what_comes = incoming(published, peers.is_some());
    if peers.is_some() {
        // Before marks count: those of connections by the first interface are none of what comes by another one.
        rules_on_what_comes.insert(1, connected::comes());
    }
    for rule in rules_on_what_comes {
        batch.add("a rule by connection (nft_ct)", rule);
    }
    if let Some((Peers { subnet, let_in: true, denied }, _)) = peers {
        for rule in peers::come_in(*subnet, denied) {
            batch.add("a rule", rule);
        }
    }
    outgoing(made, published, peers, &mut batch);
    for rule in refusal() {
        batch.add("a rule that rejects (nft_reject_inet)", rule);
    }
    batch
}

/// The messages that put rules in the place of those that the table has, in one step: no packet passes by a part of them. They are the
/// `generation`th, from 1 on. Sets of lists of names that were there stay, with what is in them; so does what is let in.
pub fn changed(
    old: &[PacketRule],
    new: &[PacketRule],
    generation: u32,
    published: &[PublishedInside],
    peers: Option<(&Peers, OwnAddresses)>,
) -> Batch {
    let mut batch = Batch::default();
    let mut message = Message::new(DELETE_RULE, 0);
    message.text(1, TABLE).text(2, OUTPUT);
    batch.add("removing rules", message);
    for (index, rule) in old.iter().enumerate() {
        for family in Family::BOTH {
            if let PacketTarget::Addresses(addresses) = &rule.to
                && family.of(addresses).ranges().len() > 1
            {
                let mut message = Message::new(DELETE_SET, 0);
                message.text(1, TABLE).text(2, &of_rule(generation - 1, index, family));
                batch.add("removing a set", message);
            }
        }
    }
    let lists = old.iter().filter(|rule| matches!(rule.to, PacketTarget::Names(_))).count();
    let made = of_profile(new, u16::try_from(lists).unwrap_or(u16::MAX), generation, &mut batch);
    outgoing(made, published, peers, &mut batch);
    batch
}

/// The rules of the profile, with the sets that they need; of lists of names, with those from this one on.
fn of_profile(rules: &[PacketRule], from: u16, generation: u32, batch: &mut Batch) -> Vec<Message> {
    let mut made = Vec::new();
    let mut begun = false;
    for (index, rule) in rules.iter().enumerate() {
        if let PacketTarget::Names(list) = rule.to {
            if !std::mem::replace(&mut begun, true) {
                made.push(names::goes_on());
            }
            for family in Family::BOTH {
                if list >= from {
                    batch.add("a set of addresses with lifetimes", names::set(list, family));
                }
                made.extend(names::rules(list, rule.service, family));
            }
            continue;
        }
        for family in Family::BOTH {
            made.extend(packet_rule(generation, index, rule, family, batch));
        }
    }
    made
}

/// The name of the set of a rule.
fn of_rule(generation: u32, index: usize, family: Family) -> String {
    let family = if family == Family::V4 { "v4" } else { "v6" };
    if generation == 0 { format!("{family}-{index}") } else { format!("{family}-{generation}-{index}") }
}

/// Adds the rules on what leaves, those of the profile among them.
fn outgoing(
    made: Vec<Message>,
    published: &[PublishedInside],
    peers: Option<(&Peers, OwnAddresses)>,
    batch: &mut Batch,
) {
    let by_loopback = Rule::message(OUTPUT, |rule| {
        rule.load(Value::Leaves).only(Compare::Equal, &LOOPBACK).accept();
    });
    let before = match peers {
        Some((_, own)) => peers::own(own),
        // Which only the kernel sends: router solicitation, neighbour solicitation and advertisement.
        None => [[133, 133], [135, 136]].map(|types| neighbour_discovery(OUTPUT, types)).into(),
    };
    let connected = peers.map(|_| connected::leaves());
    for rule in std::iter::once(by_loopback).chain(connected).chain(before) {
        batch.add("a rule", rule);
    }
    if !published.is_empty() {
        batch.add("a rule by connection (nft_ct)", answers());
    }
    for rule in made {
        batch.add("a rule", rule);
    }
    batch.add("a rule", Rule::message(OUTPUT, |rule| rule.refuse()));
}

/// A rule that accepts messages of neighbour discovery (RFC 4861) of these types.
fn neighbour_discovery(chain: &str, [first, last]: [u8; 2]) -> Message {
    Rule::message(chain, |rule| {
        rule.load(Value::Family).only(Compare::Equal, &[Family::V6 as u8]);
        rule.load(Value::Protocol).only(Compare::Equal, &[Family::V6.protocol(Protocol::Icmp)]);
        between(rule.load(Value::Transport(0, 1)), &[first], &[last]);
        rule.accept();
    })
}

/// The rules on what comes in, of which all else is dropped: a helper gives the program whatever comes to the port of the host that a
/// datagram of the program's has left by, from wherever it comes. A network that is `shared` has no router that advertises itself.
fn incoming(published: &[PublishedInside], shared: bool) -> Vec<Message> {
    const NEW: u32 = 8;
    let by_loopback = Rule::message(INPUT, |rule| {
        rule.load(Value::Comes).only(Compare::Equal, &LOOPBACK).accept();
    });
    // An error that ICMP tells of a connection has that one's mark.
    let marked = Rule::message(INPUT, |rule| {
        rule.load(Value::Mark).only(Compare::NotEqual, &0u32.to_ne_bytes()).accept();
    });
    let discovery = neighbour_discovery(INPUT, [if shared { 135 } else { 134 }, 136]);
    let mut rules = vec![by_loopback, marked, discovery];
    for PublishedInside { v6, service } in published {
        let family = if *v6 { Family::V6 } else { Family::V4 };
        rules.push(Rule::message(INPUT, |rule| {
            of_service(rule, family, service.protocol, *service);
            rule.load(Value::State).only_bits(NEW).mark(mark::FROM_OUTSIDE);
            rule.accept();
        }));
    }
    rules
}

/// The rule that lets answers leave to who came from outside.
fn answers() -> Message {
    const REPLY: u8 = 1;
    Rule::message(OUTPUT, |rule| {
        rule.load(Value::Direction).only(Compare::Equal, &[REPLY]);
        rule.load(Value::Mark).only(Compare::Equal, &mark::FROM_OUTSIDE.to_ne_bytes()).accept();
    })
}

/// The rules that refuse a packet.
fn refusal() -> [Message; 2] {
    let reset = Rule::message(REFUSE, |rule| {
        rule.load(Value::Protocol).only(Compare::Equal, &[Family::V4.protocol(Protocol::Tcp)]).reject(1);
    });
    [reset, Rule::message(REFUSE, |rule| rule.reject(2))]
}

/// What a rule of the profile is for a family, with the set that it needs.
fn packet_rule(generation: u32, index: usize, rule: &PacketRule, family: Family, batch: &mut Batch) -> Vec<Message> {
    let (length, offset) = family.address();
    let [host, attached] = family.sets();
    let own;
    let (range, set_name) = match &rule.to {
        // Those of names have their own: see `names`.
        PacketTarget::Names(_) => return Vec::new(),
        PacketTarget::Host => (None, Some(host)),
        PacketTarget::Attached => (None, Some(attached)),
        PacketTarget::Addresses(addresses) => match family.of(addresses).ranges() {
            [] => return Vec::new(),
            [range] => (Some(*range), None),
            ranges => {
                own = of_rule(generation, index, family);
                batch.add(
                    "a set of ranges",
                    set(&own, family, INTERVAL, 4 + 2 * index as u32 + u32::from(family == Family::V6)),
                );
                for ranges in ranges.chunks(ELEMENTS) {
                    batch
                        .add("a set of ranges", elements(NEW_ELEMENTS, &own, |list| list_ranges(list, family, ranges)));
                }
                (None, Some(own.as_str()))
            }
        },
    };
    let one = |protocol: Option<Protocol>| {
        Rule::message(OUTPUT, |made| {
            of_service(made, family, protocol, rule.service);
            made.load(Value::Network(offset, length));
            if let Some((first, last)) = range {
                between(made, &family.bytes(first), &family.bytes(last));
            }
            if let Some(set) = set_name {
                made.only_in(set);
            }
            if rule.accept {
                made.mark(mark::ACCEPTED);
                made.leave();
            } else {
                made.refuse();
            }
        })
    };
    protocols(rule.service).into_iter().map(one).collect()
}

fn element(list: &mut Message, key: &[u8], end: bool) {
    // The flag says that the range before it ends there.
    list.nest(1, |element| {
        element.nest(1, |holder| {
            holder.bytes(1, key);
        });
        if end {
            element.number(3, 1);
        }
    });
}

fn list_ranges(list: &mut Message, family: Family, ranges: &[(u128, u128)]) {
    let most = if family == Family::V4 { u32::MAX.into() } else { u128::MAX };
    for (first, last) in ranges {
        element(list, &family.bytes(*first), false);
        // The last range of all addresses has no end.
        if *last < most {
            element(list, &family.bytes(last + 1), true);
        }
    }
}

/// The messages that put these addresses of the host's in the place of those that the table has, with those of IPv6 that stand for them.
pub fn addresses(HostAddresses { own, attached }: &HostAddresses) -> Batch {
    let mut batch = Batch::default();
    for family in Family::BOTH {
        let [own_name, attached_name] = family.sets();
        for (name, all, what) in
            [(own_name, own, "the host's addresses"), (attached_name, attached, "the host's networks")]
        {
            let mut message = Message::new(DELETE_ELEMENTS, 0);
            message.text(1, TABLE).text(2, name);
            batch.add("emptying a set", message);
            for ranges in family.of(all).ranges().chunks(ELEMENTS) {
                let list = |list: &mut Message| list_ranges(list, family, ranges);
                batch.add(what, elements(NEW_ELEMENTS, name, list));
            }
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netfilter::let_through;
    use crate::spec::{AddressClass, Addresses, Service};
    use std::net::IpAddr;
    use std::time::Duration;

    #[test]
    fn the_kernel_takes_the_table_in_a_network_of_ones_own() {
        let rule = |accept, to| PacketRule { accept, what: String::new(), to, service: Service::default() };
        let many = (0..2000).map(|n| Addresses::network(IpAddr::V6((n << 100).into()), 120).unwrap_or_default());
        let many = Addresses::of(&many.collect::<Vec<_>>());
        let rules = [
            rule(true, PacketTarget::Host),
            rule(false, PacketTarget::Attached),
            rule(false, PacketTarget::Addresses(many)),
            rule(true, PacketTarget::Addresses(AddressClass::Internet.addresses())),
            rule(true, PacketTarget::Names(0)),
            PacketRule {
                service: ":80-90".parse::<crate::spec::NetworkRule>().unwrap().service,
                ..rule(true, PacketTarget::Names(1))
            },
        ];
        let host = [("192.0.2.7", 24), ("192.0.2.8", 24), ("2001:db8::7", 64), ("fe80::1", 64)];
        let host = host.map(|(address, prefix)| (address.parse().unwrap(), prefix));
        let fewer = HostAddresses::of(&host[..1], &[]);
        let host = HostAddresses::of(&host, &[]);
        let service = Service { protocol: Some(Protocol::Udp), ports: Some((53, 54)) };
        let published = [PublishedInside { v6: true, service }];
        let named = [("192.0.2.9", 60), ("2001:db8::9", 3600), ("192.0.2.10", 61)]
            .map(|(address, lifetime)| (address.parse().unwrap(), Duration::from_secs(lifetime)));
        let fewer_rules = [&rules[..2], &rules[3..]].concat();
        let (v4, v6) = ("10.89.0.0/24".parse().unwrap(), "fd12::/64".parse().unwrap());
        let subnet = crate::spec::Subnets { v4, v6: Some(v6) };
        let denied = |to, service: &str| {
            let service = service.parse::<crate::spec::NetworkRule>().unwrap().service;
            PacketRule { service, ..rule(false, to) }
        };
        let some = || {
            let [v4, v6] = [("10.89.0.8", 30), ("fd12::8", 126)]
                .map(|(address, prefix)| Addresses::network(address.parse().unwrap(), prefix).unwrap_or_default());
            PacketTarget::Addresses(v4.and(&v6))
        };
        let denied = vec![denied(some(), "/udp"), denied(some(), ":53-54"), denied(PacketTarget::Host, "/icmp")];
        let peers = Peers { subnet, let_in: true, denied };
        let own = OwnAddresses { v4: [10, 89, 0, 2].into(), v6: Some("fd12::2".parse().unwrap()) };
        let shared = Some((&peers, own));
        let more_rules = [&rules[..], &[rule(true, PacketTarget::Names(2))]].concat();
        let batches = [
            table(&rules, &published, shared),
            addresses(&host),
            addresses(&host),
            addresses(&fewer),
            let_through(&[(0, named.to_vec()), (1, named.to_vec())]),
            let_through(&[(1, named[..2].to_vec())]),
            changed(&rules, &fewer_rules, 1, &published, None),
            changed(&fewer_rules, &rules, 2, &published, None),
            changed(&rules, &more_rules, 3, &published, shared),
            let_through(&[(0, named.to_vec()), (2, named.to_vec())]),
        ];
        // Two thousand ranges are too many for that.
        assert!(batches[6].is_one_step() && !batches[7].is_one_step());
        let pid = crate::sys::fork(|| {
            let made = crate::sys::new_user_namespace().and_then(|()| crate::sys::new_network_namespace());
            let Ok(filter) = made.and_then(|()| crate::sys::netfilter_socket()) else { return 77 };
            // The same addresses again, and fewer.
            let sent = batches.iter().try_for_each(|batch| batch.send(std::os::fd::AsFd::as_fd(&filter)));
            i32::from(sent.is_err())
        });
        let ended = crate::sys::wait_for(pid.unwrap()).unwrap();
        // 77: user namespaces, or the packet filter, are not there.
        assert!(matches!(ended, crate::sys::Waited::Exited(0 | 77)), "{ended:?}");
    }
}
