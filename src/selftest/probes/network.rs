//! Probes of the network, and of families of sockets that no namespace isolates.

use super::super::facts::{Facts, Granted, Verdict};
use super::tools::{each, not_run, verdict};
use super::{Probe, by_network, by_outside, never};
use crate::sys::{Errno, attempts};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long to wait for what may never answer.
const PATIENCE: Duration = Duration::from_millis(700);

pub(super) const PROBES: &[Probe] = &[
    Probe { id: "loopback", title: "a service on the host's loopback", attempt: loopback, granted: by_network },
    Probe {
        id: "abstract-socket",
        title: "an abstract socket of the host",
        attempt: one_abstract,
        granted: by_network,
    },
    Probe {
        id: "abstract-sockets",
        title: "names of the host's abstract sockets (/proc/net/unix)",
        attempt: names,
        granted: by_network,
    },
    Probe { id: "route", title: "a route to anywhere", attempt: route, granted: by_outside },
    Probe { id: "interfaces", title: "an interface beside loopback", attempt: interfaces, granted: by_outside },
    Probe {
        id: "metadata",
        title: "the metadata address of clouds (169.254.169.254)",
        attempt: metadata,
        granted: |granted: &Granted| by_network(granted).or_else(|| granted.metadata.then_some("network.allow has it")),
    },
    Probe {
        id: "packet-filter",
        title: "change what its network reaches (nf_tables)",
        attempt: |_| verdict("asking the packet filter", attempts::ask_packet_filter()),
        granted: never,
    },
    Probe { id: "name-service", title: "a name server", attempt: name_service, granted: by_outside },
    Probe {
        id: "raw-socket",
        title: "write raw packets (AF_INET, SOCK_RAW)",
        attempt: |_| verdict("socket", attempts::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
        granted: never,
    },
    Probe {
        id: "packet-socket",
        title: "read the packets of all (AF_PACKET)",
        attempt: |_| {
            let all = i32::from((libc::ETH_P_ALL as u16).to_be());
            verdict("socket", attempts::socket(libc::AF_PACKET, libc::SOCK_RAW, all))
        },
        granted: never,
    },
    Probe {
        id: "interface-set",
        title: "set a network interface",
        attempt: |_| verdict("SIOCSIFFLAGS", attempts::set_interface()),
        granted: never,
    },
    Probe {
        id: "vsock",
        title: "sockets to the machine's hypervisor (AF_VSOCK)",
        attempt: |facts| family(facts, "vsock", libc::AF_VSOCK, libc::SOCK_STREAM),
        granted: |granted: &Granted| granted.calls("vsock").then_some("the filter lets AF_VSOCK in"),
    },
    Probe {
        id: "alg",
        title: "the kernel's ciphers by sockets (AF_ALG)",
        attempt: |facts| family(facts, "alg", libc::AF_ALG, libc::SOCK_SEQPACKET),
        granted: |granted: &Granted| granted.calls("alg").then_some("the filter lets AF_ALG in"),
    },
];

fn loopback(facts: &Facts) -> Verdict {
    if facts.outside.loopback_port == 0 {
        return not_run("no port could be opened outside");
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, facts.outside.loopback_port));
    verdict(format!("connecting to {address}"), TcpStream::connect_timeout(&address, PATIENCE).map_err(Errno::from))
}

fn one_abstract(facts: &Facts) -> Verdict {
    if facts.outside.abstract_socket.is_empty() {
        return not_run("no socket could be made outside");
    }
    connect_abstract(&facts.outside.abstract_socket)
}

/// Tries to connect to an abstract Unix socket.
pub(super) fn connect_abstract(name: &str) -> Verdict {
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name);
    let stream = address.and_then(|address| UnixStream::connect_addr(&address));
    verdict(format!("connecting to @{name}"), stream.map_err(Errno::from))
}

fn names(facts: &Facts) -> Verdict {
    match std::fs::read_to_string("/proc/net/unix") {
        Ok(text) => {
            let mut seen = text.lines().filter_map(|line| line.split(' ').next_back()?.strip_prefix('@'));
            match seen.find(|name| facts.outside.abstract_names.contains(*name)) {
                Some(name) => Verdict::Open(format!("@{name} is listed")),
                None => Verdict::Closed("none of them is listed".into()),
            }
        }
        Err(error) => Verdict::Closed(format!("/proc/net/unix: {}", Errno::from(error))),
    }
}

/// Whether there is a route to the outside: connecting a datagram socket needs one, and sends nothing. The addresses
/// are those reserved for documentation.
fn route(facts: &Facts) -> Verdict {
    let connect =
        |bind: &str, to: &str| UdpSocket::bind(bind).and_then(|socket| socket.connect(to)).map_err(Errno::from);
    let tried = each([("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")], |(bind, to)| {
        verdict(format!("a route to {to}"), connect(bind, to))
    });
    match tried {
        Verdict::Closed(how) if facts.granted.outside => not_run(format!("{how}: the host has none either")),
        other => other,
    }
}

fn interfaces(_: &Facts) -> Verdict {
    match std::fs::read_to_string("/proc/net/dev") {
        Ok(text) => {
            let names = text.lines().skip(2).filter_map(|line| line.split(':').next());
            // Kernels with tunnel drivers create their devices in every network namespace; they are down.
            let other = names.map(str::trim).find(|name| {
                *name != "lo"
                    && !["tunl", "gre", "erspan", "ip_vti", "ip6", "sit"].iter().any(|kind| name.starts_with(kind))
            });
            match other {
                Some(name) => Verdict::Open(format!("there is {name}")),
                None => Verdict::Closed("there is only lo".into()),
            }
        }
        Err(error) => not_run(format!("/proc/net/dev: {}", Errno::from(error))),
    }
}

fn metadata(facts: &Facts) -> Verdict {
    let address = SocketAddr::from(([169, 254, 169, 254], 80));
    if facts.granted.outside && !facts.granted.network && !facts.granted.metadata {
        // Whether something answers there or not: a packet leaves, or the sender is told at once that it does not.
        let send = || {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(address)?;
            socket.send(b"")
        };
        return match send().map_err(Errno::from) {
            Err(Errno(libc::ENETUNREACH)) => not_run("there is no route to it"),
            sent => verdict(format!("a packet to {address}"), sent),
        };
    }
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(_) => Verdict::Open("it answers".into()),
        // With a way to the outside, silence says nothing about the sandbox.
        Err(error) if facts.granted.outside => not_run(format!("nothing answers there: {error}")),
        Err(error) => Verdict::Closed(format!("connecting: {}", Errno::from(error))),
    }
}

/// Tries the name servers of resolv.conf, and a resolver on loopback. It is sent a query for the root's name servers.
fn name_service(facts: &Facts) -> Verdict {
    const QUESTION: &[u8] = &[0x53, 0x42, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver ")?.trim().parse().ok());
    let servers: Vec<std::net::IpAddr> = servers.chain([Ipv4Addr::new(127, 0, 0, 53).into()]).collect();
    let tried = each(servers.into_iter().take(3), |server| {
        let ask = || {
            let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect((server, 53))?;
            socket.send(QUESTION)?;
            socket.recv(&mut [0; 512])
        };
        verdict(format!("asking {server}"), ask().map_err(Errno::from))
    });
    match tried {
        Verdict::Closed(how) if facts.granted.outside => not_run(format!("{how}: none answers")),
        other => other,
    }
}

fn family(facts: &Facts, name: &str, family: i32, kind: i32) -> Verdict {
    let tried = attempts::socket(family, kind, 0);
    match tried {
        Err(_) if facts.outside.missing.contains(name) => not_run("this kernel has no such sockets"),
        other => verdict("socket", other),
    }
}
