//! Probes of what lies nearer than the Internet: the host at its own addresses, its neighbours, private networks; and of the rules that keep
//! a network of the sandbox's own away from them.

use super::super::facts::{Facts, Granted, Verdict};
use super::tools::{each, not_run, verdict};
use super::{Probe, by_network, never};
use crate::sys::{Errno, attempts};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::time::Duration;

/// How long to wait for what may never answer.
const PATIENCE: Duration = Duration::from_millis(700);

/// discard: where something listens there, it drops what it gets.
const DISCARD: u16 = 9;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "host-addresses",
        title: "the host at its own addresses",
        attempt: |facts| {
            let hosts = facts.outside.networks.iter().map(|(address, _)| *address);
            each(hosts.map(|address| (address, DISCARD).into()), |to| sends(facts, to))
        },
        granted: |granted| reached(granted, "host"),
    },
    Probe {
        id: "host-gateway",
        title: "the host's loopback by addresses that helpers have for it",
        attempt: gateway,
        granted: by_network,
    },
    Probe {
        id: "loopback-by-interface",
        title: "the host's loopback by way of another interface (SO_BINDTODEVICE)",
        attempt: by_interface,
        granted: by_network,
    },
    Probe {
        id: "neighbours",
        title: "a machine of a network that the host is attached to",
        attempt: |facts| {
            let near = facts.outside.neighbours.iter();
            each(near.map(|address| (*address, DISCARD).into()), |to| sends(facts, to))
        },
        granted: |granted| reached(granted, "neighbours"),
    },
    Probe {
        id: "private-addresses",
        title: "private networks (10.0.0.0/8, fc00::/7, ...)",
        attempt: |facts| each(PRIVATE.map(|address| (address, DISCARD).into()), |to| sends(facts, to)),
        granted: |granted| reached(granted, "private"),
    },
    Probe {
        id: "link-local",
        title: "link-local addresses (169.254.0.0/16, fe80::/10)",
        attempt: link_local,
        granted: |granted| reached(granted, "link-local"),
    },
    Probe {
        id: "multicast",
        title: "who is near, by multicast (224.0.0.0/4)",
        attempt: |facts| sends(facts, (MULTICAST, DISCARD).into()),
        granted: |granted| reached(granted, "multicast"),
    },
    Probe {
        id: "other-sandbox",
        title: "the address of another sandbox (10.0.2.100)",
        attempt: |facts| sends(facts, (OTHER, DISCARD).into()),
        granted: |granted| reached(granted, "other-sandbox"),
    },
    Probe {
        id: "address-set",
        title: "change the addresses of an interface (rtnetlink)",
        attempt: |_| verdict("RTM_DELADDR", attempts::remove_address()),
        granted: never,
    },
    Probe {
        id: "raw-socket-6",
        title: "write raw packets (AF_INET6, SOCK_RAW)",
        attempt: |_| verdict("socket", attempts::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_RAW)),
        granted: never,
    },
    Probe {
        id: "landlock-tcp",
        title: "connect to a port that is not allowed (Landlock)",
        attempt: tcp,
        granted: never,
    },
];

/// One address of each private network, at which there is seldom something.
const PRIVATE: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(10, 255, 255, 253)),
    IpAddr::V4(Ipv4Addr::new(172, 31, 255, 253)),
    IpAddr::V4(Ipv4Addr::new(192, 168, 255, 253)),
    IpAddr::V4(Ipv4Addr::new(100, 127, 255, 253)),
    IpAddr::V6(Ipv6Addr::new(0xfdff, 0xffff, 0, 0, 0, 0, 0, 9)),
];

const MULTICAST: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 255, 255, 253));

/// The address that slirp4netns(1) gives each network.
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 100));

const LINK_LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 77, 77));

/// Addresses of the probes, by the names of what they stand for; `host` and `neighbours` are told outside.
pub(in super::super) fn addresses() -> impl Iterator<Item = (&'static str, IpAddr)> {
    let private = PRIVATE.into_iter().map(|address| ("private", address));
    private.chain([("link-local", LINK_LOCAL), ("multicast", MULTICAST), ("other-sandbox", OTHER)])
}

/// For [`Probe::granted`]: one of the addresses that a name stands for is reached.
fn reached(granted: &Granted, name: &str) -> Option<&'static str> {
    by_network(granted).or_else(|| granted.reached.iter().any(|other| other == name).then_some("network.allow has it"))
}

/// Whether a packet leaves for an address: an empty one, by UDP. What a rule refuses is an error of the call that sends it.
pub(super) fn sends(facts: &Facts, to: SocketAddr) -> Verdict {
    let is_own = || !to.ip().is_multicast() && UdpSocket::bind((to.ip(), 0)).is_ok();
    if facts.granted.outside && !facts.granted.network && is_own() {
        return not_run(format!("{} is the sandbox's own address inside", to.ip()));
    }
    let send = || {
        let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
        socket.connect(to)?;
        socket.send(b"")
    };
    match send().map_err(Errno::from) {
        Err(Errno(libc::ENETUNREACH | libc::EADDRNOTAVAIL)) if facts.granted.outside => {
            not_run(format!("there is no route to {to}"))
        }
        sent => verdict(format!("a packet to {to}"), sent),
    }
}

fn link_local(facts: &Facts) -> Verdict {
    let links = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let index = links.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words.last() != Some(&"lo")).then(|| u32::from_str_radix(words.get(1)?, 16).ok())?
    });
    let six =
        index.map(|index| SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77), DISCARD, 0, index).into());
    each(std::iter::once((LINK_LOCAL, DISCARD).into()).chain(six.take(1)), |to| sends(facts, to))
}

/// slirp4netns shows the host's loopback at 10.0.2.2 and fd00::2 unless it is told not to, pasta at the gateway's address.
fn gateway(facts: &Facts) -> Verdict {
    let port = facts.outside.loopback_port;
    if port == 0 {
        return not_run("no port could be opened outside");
    }
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let gateways = routes.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let number = u32::from_str_radix(words.get(2)?, 16).ok().filter(|number| *number != 0)?;
        (words.get(1) == Some(&"00000000")).then(|| IpAddr::V4(Ipv4Addr::from(number.to_ne_bytes())))
    });
    let known = [IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2))];
    each(gateways.take(2).chain(known), |address| {
        let to = SocketAddr::from((address, port));
        match TcpStream::connect_timeout(&to, PATIENCE) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Verdict::Closed(format!("{to}: no answer")),
            connected => verdict(format!("connecting to {to}"), connected.map_err(Errno::from)),
        }
    })
}

/// What is sent to 127.0.0.1 by another interface than loopback would leave, and be connected to the host's by the network's helper.
fn by_interface(facts: &Facts) -> Verdict {
    let port = facts.outside.loopback_port;
    if port == 0 {
        return not_run("no port could be opened outside");
    }
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names = devices.lines().skip(2).filter_map(|line| Some(line.split(':').next()?.trim()));
    each(names.filter(|name| *name != "lo").take(4), |name| {
        verdict(format!("connecting to 127.0.0.1:{port} by {name}"), attempts::connect_by_interface(name, port))
    })
}

/// Landlock refuses a connection before anything is sent, also one at loopback, where no rule on packets is asked.
fn tcp(facts: &Facts) -> Verdict {
    let Some(ports) = &facts.granted.tcp else { return not_run("security.landlock_tcp is off") };
    let Some(port) = (1..=u16::MAX).find(|port| !ports.contains(port)) else { return not_run("all ports are allowed") };
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpStream::connect_timeout(&to, PATIENCE).map_err(Errno::from) {
        Err(Errno(libc::EACCES)) => Verdict::Closed(format!("connecting to {to}: {}", Errno(libc::EACCES))),
        other => Verdict::Open(format!("connecting to {to} is tried: {other:?}")),
    }
}
