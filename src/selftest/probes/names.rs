//! Probes of an allow-list by name, and of a network that sandboxes share.

use super::super::facts::{Facts, Granted, Verdict};
use super::near::sends;
use super::tools::{each, not_run};
use super::{Probe, by_network};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// discard: where something listens there, it drops what it gets.
const DISCARD: u16 = 9;

/// Ports of name servers, without and with TLS.
const NAME_SERVERS: [u16; 2] = [53, 853];

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "address-unasked",
        title: "an address of the Internet that no name was asked for",
        attempt: |facts| by_name(facts, &[DISCARD]),
        granted: |granted| reached(granted, "unasked", "network.allow has it"),
    },
    Probe {
        id: "other-name-server",
        title: "another name server than that which knows the rules (ports 53 and 853)",
        attempt: |facts| by_name(facts, &NAME_SERVERS),
        granted: |granted| reached(granted, "name-servers", "network.allow has it"),
    },
    Probe {
        id: "other-sandboxes",
        title: "other sandboxes in a network that they share",
        attempt: |facts| match &facts.granted.peers[..] {
            [] => not_run("network.mode is not net:NAME"),
            peers => each(peers.iter().map(|address| (*address, DISCARD).into()), |to| sends(facts, to)),
        },
        granted: |granted| reached(granted, "peers", "network.mode is net:NAME, and network.deny has them not"),
    },
];

/// Addresses of documentation, which count as the Internet's, and where nobody is.
const UNASKED: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x5b, 0, 0, 0, 0, 0x77))];

/// What the probes send to, each with the name of what it stands for.
pub(in super::super) fn destinations(peers: &[IpAddr]) -> Vec<(&'static str, IpAddr, u16)> {
    let unasked = UNASKED.into_iter().flat_map(|address| {
        let servers = NAME_SERVERS.map(|port| ("name-servers", address, port));
        std::iter::once(("unasked", address, DISCARD)).chain(servers)
    });
    unasked.chain(peers.iter().map(|address| ("peers", *address, DISCARD))).collect()
}

fn reached(granted: &Granted, name: &str, why: &'static str) -> Option<&'static str> {
    by_network(granted).or_else(|| granted.reached.iter().any(|other| other == name).then_some(why))
}

/// What is not for a name that was asked for is refused, where rules have names.
fn by_name(facts: &Facts, ports: &[u16]) -> Verdict {
    if !facts.granted.by_name {
        return not_run("neither network.allow nor network.deny has a name");
    }
    let all = UNASKED.into_iter().flat_map(|address| ports.iter().map(move |port| (address, *port).into()));
    each(all, |to| sends(facts, to))
}
