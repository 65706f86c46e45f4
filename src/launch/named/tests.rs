//! What a program could tell the others in a network with IPv6 if it had every right over its own: no program has one, and yet each of the
//! rules on what leaves, the rules on what comes in, and the kernel's settings holds alone.

use super::attach::attach;
use super::{holder, v6};
use crate::launch::rules::try_packet_filter;
use crate::netfilter::{self, PacketRule, PacketTarget, Peers};
use crate::plan::{NamedNetworkPlan, NetworkSettings};
use crate::spec::{Origin, OwnAddresses, Range6, Service, Subnet, Subnet6};
use crate::state::{Network, Places};
use crate::sys::{self, Errno, Waited};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Messages of neighbour discovery: RFC 4861.
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// A question whether somebody is there, which the kernels themselves do not ask.
const ECHO: u8 = 128;

/// An answer to that, which nobody has asked for here.
const ECHO_REPLY: u8 = 129;

const ICMP: u8 = 58;
const UDP: u8 = 17;
const HOP_OPTIONS: u8 = 0;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// A network that a forged message tells of.
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfdba, 0xd, 0, 0, 0, 0, 0, 0);

fn own(number: u8) -> OwnAddresses {
    OwnAddresses {
        v4: Ipv4Addr::new(10, 89, 0, number),
        v6: Some(Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, number.into())),
    }
}

fn address(number: u8) -> Ipv6Addr {
    own(number).v6.unwrap()
}

fn link(number: u8) -> Ipv6Addr {
    sys::link_local(sys::mac(own(number).v4))
}

/// The hostile sandbox, and one that it tells something.
const HOSTILE: u8 = 2;
const OTHER: u8 = 3;
const GATEWAY: u8 = 1;

/// The network of two sandboxes, as it is made for them.
struct Made {
    user: OwnedFd,
    /// The namespace of the bridge, which goes with the last that has it open.
    _bridge: OwnedFd,
    hostile: OwnedFd,
    other: OwnedFd,
}

/// Makes such a network, with the rules on the packets of either sandbox or without them; none where the kernel does not.
fn made(rules_of_hostile: bool, rules_of_other: bool) -> Option<Made> {
    if !matches!(try_packet_filter(), Some(Ok(()))) || !std::path::Path::new("/proc/net/if_inet6").exists() {
        return None;
    }
    let subnet: Subnet = "10.89.0.0/24".parse().unwrap();
    let subnet6: Subnet6 = "fd12::/64".parse().unwrap();
    let range = Range6 { subnet: subnet6, gateway: address(GATEWAY) };
    let mut network = Network::imagined("one", subnet, true);
    network.v6 = Some(range);
    let plan = NamedNetworkPlan {
        name: "one".into(),
        subnet,
        gateway: own(GATEWAY).v4,
        v6: Some(range),
        ip6: None,
        internal: true,
        names: Vec::new(),
        ids: (sys::effective_uid(), sys::effective_gid()),
        helper: None,
        ends: true,
        network: network.clone(),
        places: Places { state: "/".into(), runtime: "/".into() },
        origin: Origin::default(),
    };
    let made = match holder::make(&plan) {
        Ok(made) => made,
        // The kernel has no bridges.
        Err(error) if error.message.contains(&Errno(libc::EOPNOTSUPP).to_string()) => return None,
        Err(error) => panic!("{error:?}"),
    };
    let sandbox = |number: u8, rules: bool| {
        let settings = NetworkSettings::default();
        let attached = attach(&made.user, &made.network, own(number), &plan, &settings).unwrap();
        if rules {
            let to = PacketTarget::Addresses(network.subnets().addresses());
            let reached = [PacketRule { accept: true, what: String::new(), to, service: Service::default() }];
            let peers = Peers { subnet: network.subnets(), let_in: true, denied: Vec::new() };
            netfilter::table(&reached, &[], Some((&peers, own(number)))).send(attached.filter.as_fd()).unwrap();
        }
        attached.network
    };
    let (hostile, other) = (sandbox(HOSTILE, rules_of_hostile), sandbox(OTHER, rules_of_other));
    Some(Made { user: made.user, _bridge: made.network, hostile, other })
}

/// What a process says that has every right over a network.
fn inside(made: &Made, network: &OwnedFd, run: impl FnOnce() -> sys::Result<String>) -> String {
    let (ours, theirs) = sys::seqpacket_pair().unwrap();
    let pid = sys::fork(|| {
        let joined = sys::join_namespace(made.user.as_fd(), libc::CLONE_NEWUSER)
            .and_then(|()| sys::join_namespace(network.as_fd(), libc::CLONE_NEWNET));
        let text = joined.and_then(|()| run()).unwrap_or_else(|errno| format!("failed: {errno}"));
        sys::send(theirs.as_fd(), text.as_bytes(), None).map_or_else(|errno| errno.0, |()| 0)
    });
    drop(theirs);
    let mut text = vec![0; 8192];
    let length = sys::receive(ours.as_fd(), &mut text).map_or(0, |(length, _)| length);
    let ended = sys::wait_for(pid.unwrap()).unwrap();
    assert!(matches!(ended, Waited::Exited(0)), "{ended:?}");
    String::from_utf8(text[..length].to_vec()).unwrap()
}

/// A packet of IPv6, with what follows its header.
fn packet(from: Ipv6Addr, to: Ipv6Addr, next: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, length[0], length[1], next, 255];
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    bytes.extend(content);
    bytes
}

/// A message of ICMP with its checksum, which counts a part of the header before it.
fn message(from: Ipv6Addr, to: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(body);
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let counted = [&from.octets()[..], &to.octets(), &length, &[0, 0, 0, ICMP], &bytes].concat();
    let words = counted.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[2..4].copy_from_slice(&u16::try_from(!sum & 0xffff).unwrap().to_be_bytes());
    bytes
}

/// That a machine is at the hostile sandbox's place, as its answer or in a question.
fn neighbour(kind: u8, target: Ipv6Addr) -> Vec<u8> {
    let flags = if kind == NEIGHBOUR_ADVERTISEMENT { 0x60 } else { 0 };
    let option = if kind == NEIGHBOUR_ADVERTISEMENT { 2 } else { 1 };
    [&[flags, 0, 0, 0][..], &target.octets(), &[option, 1], &sys::mac(own(HOSTILE).v4)].concat()
}

/// That there is a router, and a network in which each machine gives itself an address.
fn router() -> Vec<u8> {
    let lifetime = [0x07, 0x08];
    let prefix =
        [&[3, 4, 64, 0xc0][..], &[0, 0, 0x0e, 0x10], &[0, 0, 0x0e, 0x10], &[0; 4], &ELSEWHERE.octets()].concat();
    [&[64, 0][..], &lifetime, &[0; 8], &prefix].concat()
}

/// That another machine is reached by the hostile sandbox.
fn redirect() -> Vec<u8> {
    [&[0; 4][..], &address(HOSTILE).octets(), &address(GATEWAY).octets()].concat()
}

fn datagram() -> Vec<u8> {
    [&[0x13, 0x88, 0, 9][..], &[0, 8], &[0, 0]].concat()
}

/// What is sent: what it is, who it claims to come from, and the rest.
fn says(from: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    packet(from, address(OTHER), ICMP, &message(from, address(OTHER), kind, body))
}

/// The same behind a header of options, which says nothing.
fn behind(header: u8, from: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let options = [&[ICMP, 0, 1, 4, 0, 0, 0, 0][..], &message(from, address(OTHER), kind, body)].concat();
    packet(from, address(OTHER), header, &options)
}

/// The same in two parts.
fn in_parts(from: Ipv6Addr, kind: u8, body: &[u8]) -> [Vec<u8>; 2] {
    let whole = message(from, address(OTHER), kind, body);
    let (first, second) = whole.split_at(16);
    let part = |at: u16, more: u16, bytes: &[u8]| {
        let place = (at | more).to_be_bytes();
        let header = [&[ICMP, 0, place[0], place[1], 0, 0, 0, 7][..], bytes].concat();
        packet(from, address(OTHER), FRAGMENT, &header)
    };
    [part(0, 1, first), part(16, 0, second)]
}

/// Sends packets to the other sandbox: what came of each, by its name.
fn sent(packets: &[(&str, Vec<u8>)]) -> sys::Result<String> {
    let socket = sys::raw_socket(true)?;
    let lines = packets.iter().map(|(name, packet)| {
        match sys::send_packet(socket.as_fd(), packet, IpAddr::V6(address(OTHER))) {
            Ok(()) => format!("{name}: sent\n"),
            Err(Errno(libc::EPERM)) => format!("{name}: refused\n"),
            Err(errno) => format!("{name}: {errno}\n"),
        }
    });
    Ok(lines.collect())
}

/// How many messages of these kinds the kernel has got by now.
fn got(kinds: &[u8]) -> u64 {
    let text = std::fs::read_to_string("/proc/self/net/snmp6").unwrap_or_default();
    let count = |kind: &u8| {
        let name = format!("Icmp6InType{kind} ");
        let line = text.lines().find(|line| line.starts_with(&name));
        line.and_then(|line| line.split_whitespace().last()?.parse::<u64>().ok()).unwrap_or(0)
    };
    kinds.iter().map(count).sum()
}

/// Waits until the kernel has got so many messages of a kind; then, how many of others.
fn got_after(last: (u8, u64), kinds: &[u8]) -> sys::Result<String> {
    for _ in 0..3000 {
        if got(&[last.0]) >= last.1 {
            return Ok(got(kinds).to_string());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok("they have not come".into())
}

/// Waits until the two reach each other: a link that was just made carries nothing for a while, and a kernel that asks for an address meanwhile
/// gives up after three seconds, with all that waits for the answer.
fn settle(made: &Made) {
    let reply = [("an answer", says(address(HOSTILE), ECHO_REPLY, &[0; 4]))];
    assert!(
        sys::soon(|| {
            inside(made, &made.hostile, || sent(&reply));
            std::thread::sleep(Duration::from_millis(50));
            inside(made, &made.other, || Ok(got(&[ECHO_REPLY]).to_string())) != "0"
        }),
        "the two do not reach each other"
    );
}

/// Messages of routers and about ways, which no sandbox has a reason to send.
fn of_routers() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a router", says(address(HOSTILE), ROUTER_ADVERTISEMENT, &router())),
        ("a router by its link", says(link(HOSTILE), ROUTER_ADVERTISEMENT, &router())),
        ("a router in another's name", says(link(GATEWAY), ROUTER_ADVERTISEMENT, &router())),
        ("a router behind options", behind(HOP_OPTIONS, address(HOSTILE), ROUTER_ADVERTISEMENT, &router())),
        ("a router behind others", behind(DESTINATION_OPTIONS, address(HOSTILE), ROUTER_ADVERTISEMENT, &router())),
        ("a question for routers", says(address(HOSTILE), ROUTER_SOLICITATION, &[0; 4])),
        ("another way", says(address(HOSTILE), REDIRECT, &redirect())),
        ("another way by its link", says(link(HOSTILE), REDIRECT, &redirect())),
    ]
}

#[test]
fn a_sandbox_tells_of_its_own_addresses_alone() {
    let Some(made) = made(true, false) else { return };
    settle(&made);
    let advertises = |from, target| says(from, NEIGHBOUR_ADVERTISEMENT, &neighbour(NEIGHBOUR_ADVERTISEMENT, target));
    let asks = |from| says(from, NEIGHBOUR_SOLICITATION, &neighbour(NEIGHBOUR_SOLICITATION, address(OTHER)));
    let mut forged = of_routers();
    forged.extend([
        ("to be the gateway", advertises(address(HOSTILE), address(GATEWAY))),
        ("to be the other one", advertises(address(HOSTILE), address(OTHER))),
        ("to be the gateway by its link", advertises(link(HOSTILE), address(GATEWAY))),
        ("to be the gateway's link", advertises(link(HOSTILE), link(GATEWAY))),
        ("to be the gateway in its name", advertises(address(GATEWAY), address(GATEWAY))),
        ("to be the other one behind options", {
            let body = neighbour(NEIGHBOUR_ADVERTISEMENT, address(OTHER));
            behind(DESTINATION_OPTIONS, address(HOSTILE), NEIGHBOUR_ADVERTISEMENT, &body)
        }),
        ("a question in the gateway's name", asks(address(GATEWAY))),
        ("a question in nobody's name", asks(Ipv6Addr::UNSPECIFIED)),
        ("a datagram in the gateway's name", packet(address(GATEWAY), address(OTHER), UDP, &datagram())),
        ("a datagram of its link's", packet(link(HOSTILE), address(OTHER), UDP, &datagram())),
        ("a datagram of loopback's", packet(Ipv6Addr::LOCALHOST, address(OTHER), UDP, &datagram())),
        ("a datagram of IPv4's", packet(own(HOSTILE).v4.to_ipv6_mapped(), address(OTHER), UDP, &datagram())),
    ]);
    let parts = in_parts(address(HOSTILE), ROUTER_ADVERTISEMENT, &router()).map(|part| ("a part", part));
    let honest = [
        ("an answer", advertises(address(HOSTILE), address(HOSTILE))),
        ("an answer by its link", advertises(link(HOSTILE), link(HOSTILE))),
        ("a question by its link", asks(link(HOSTILE))),
        ("a datagram", packet(address(HOSTILE), address(OTHER), UDP, &datagram())),
        ("a question", asks(address(HOSTILE))),
        ("an echo", says(address(HOSTILE), ECHO, &[0; 4])),
    ];
    let found = inside(&made, &made.hostile, || sent(&forged));
    assert!(found.lines().count() == forged.len() && found.lines().all(|line| line.ends_with(": refused")), "{found}");
    // What is in parts is whole before it is decided; the first one is no error.
    inside(&made, &made.hostile, || sent(&parts));
    let found = inside(&made, &made.hostile, || sent(&honest));
    assert!(found.lines().count() == honest.len() && found.lines().all(|line| line.ends_with(": sent")), "{found}");
    let kinds = [ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION, REDIRECT];
    let found = inside(&made, &made.other, || got_after((ECHO, 1), &kinds));
    assert_eq!(found, "0");
}

#[test]
fn what_routers_say_does_not_come_in() {
    let Some(made) = made(false, true) else { return };
    settle(&made);
    let mut packets = of_routers();
    packets.push(("an echo", says(address(HOSTILE), ECHO, &[0; 4])));
    let found = inside(&made, &made.hostile, || sent(&packets));
    assert!(found.lines().all(|line| line.ends_with(": sent")), "{found}");
    let kinds = [ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION, REDIRECT];
    let found = inside(&made, &made.other, || got_after((ECHO, 1), &kinds));
    assert_eq!(found, "0");
}

#[test]
fn no_router_is_believed_and_no_address_is_made_of_what_it_says() {
    let Some(made) = made(false, false) else { return };
    settle(&made);
    let packets = of_routers();
    let found = inside(&made, &made.hostile, || sent(&packets));
    assert!(found.lines().all(|line| line.ends_with(": sent")), "{found}");
    let found = inside(&made, &made.other, || {
        let came = got_after((ROUTER_ADVERTISEMENT, 5), &[ROUTER_ADVERTISEMENT])?;
        let believed = v6::has_route()?;
        let addresses: Vec<_> = sys::interface_addresses()?.into_iter().map(|(address, _)| address).collect();
        let of_elsewhere = |address: &&IpAddr| address.to_string().starts_with("fdba:d:");
        Ok(format!("{came} {believed} {}", addresses.iter().filter(of_elsewhere).count()))
    });
    assert_eq!(found, "5 false 0");
}
