//! What a network of a sandbox's own needs of the host.

use super::helpers::Helpers;
use super::joined::{self, JoinedFacts};
use crate::error::Error;
use crate::spec::{NameServers, Namespace, Network, Published, Sandbox, Subnet, Transport};
use crate::state::{self, Networks, Places};
use crate::sys::{self, Errno};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The long option of pasta(1) by which a recent one is known: it came in August 2024. Earlier ones answer a refused
/// connection with a reset that the kernel does not take for one.
const RECENT: &[u8] = b"map-host-loopback";

/// What is known of the host's network, if the sandbox has one of its own with a way to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct NetworkFacts {
    /// Why /dev/net/tun cannot be opened; none if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tun: Option<Errno>,
    /// Why the kernel's packet filter cannot be used; none if it can, or if only the sandbox's own network tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Errno>,
    /// Ports that are to be published and cannot be listened at, with the errno.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unpublished: BTreeMap<String, Errno>,
    /// The network of another sandbox that is to be joined, or why it cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<Result<JoinedFacts, String>>,
    /// The network of several sandboxes that is to be joined, or why it cannot be.
    #[serde(skip)]
    pub named: Option<Result<NamedFacts, Error>>,
    /// Why the kernel makes no bridge; none if it does, or if only the sandbox's own network tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Errno>,
    /// Whether the kernel has no IPv6, if the network is one of several sandboxes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_v6: bool,
    /// Whether the host has a default route, of IPv4 or IPv6.
    pub routed: bool,
    /// Whether it has one of IPv6, if the network is one of several sandboxes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub routed6: bool,
    /// Whether the installed pasta is one of before August 2024.
    pub old_pasta: bool,
    /// The directory that /etc/resolv.conf lies in, behind links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolv_dir: Option<PathBuf>,
    /// Whether the kernel has Landlock.
    pub landlock: bool,
    /// Name servers in /etc/resolv.conf, or that the sandbox names, whose addresses are the host's own, as that of a resolver on its loopback is.
    pub own_servers: BTreeSet<IpAddr>,
}

/// A network of several sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFacts {
    /// What was asked for.
    pub network: state::Network,
    /// Where it is found.
    pub places: Places,
}

impl NamedFacts {
    /// A network that is nowhere, for plans for hosts that nobody has.
    pub fn imagined(name: &str, subnet: Subnet, internal: bool) -> NamedFacts {
        let places = Places { state: "/home/alice/.local/state/sbx".into(), runtime: "/run/user/1000/sbx".into() };
        NamedFacts { network: state::Network::imagined(name, subnet, internal), places }
    }
}

/// The programs to look for.
pub(super) fn wanted(sandbox: &Sandbox) -> &'static [&'static str] {
    if sandbox.network.own().is_some() { &["pasta", "slirp4netns"] } else { &[] }
}

/// Gathers the facts, for a sandbox that needs them. `resolv_conf` is the text of that file.
pub(super) fn probe(
    sandbox: &Sandbox,
    helpers: &Helpers,
    resolv_conf: Option<&str>,
    places: impl FnOnce() -> Places,
) -> Option<NetworkFacts> {
    let named = match sandbox.network {
        Network::Private(_) => None,
        Network::Named(_) => {
            let places = places();
            let network = Networks::new(places.clone()).get(&sandbox.named_network.name);
            Some(network.map(|network| NamedFacts { network, places }))
        }
        Network::Joined(pid) => {
            let joined = Some(joined::probe(pid, Namespace::Net));
            return Some(NetworkFacts { joined, ..NetworkFacts::default() });
        }
        Network::None | Network::Host => return None,
    };
    let servers = match &sandbox.name_servers {
        NameServers::Named(servers) => servers.iter().map(|(server, _)| *server).collect(),
        NameServers::Host | NameServers::None => Vec::new(),
    };
    // No program of the host is executed to find its version: pasta does not tell it reliably.
    let is_old = |file| !std::fs::read(file).is_ok_and(|program| program.windows(RECENT.len()).any(|at| at == RECENT));
    Some(NetworkFacts {
        joined: None,
        bridge: named.as_ref().and_then(|_| try_bridge()),
        routed6: named.is_some() && has_route("/proc/net/ipv6_route", is_default6),
        without_v6: named.is_some() && !Path::new("/proc/net/if_inet6").exists(),
        named,
        tun: sys::openat(sys::cwd(), c"/dev/net/tun", libc::O_RDWR, 0).err(),
        filter: sys::netfilter_socket().err(),
        unpublished: sandbox
            .published
            .iter()
            .filter_map(|port| Some((port.to_string(), listen(port).err()?)))
            .collect(),
        routed: has_route("/proc/net/route", is_default) || has_route("/proc/net/ipv6_route", is_default6),
        old_pasta: helpers.get("pasta").is_ok_and(is_old),
        resolv_dir: std::fs::canonicalize("/etc/resolv.conf").ok().and_then(|file| Some(file.parent()?.to_owned())),
        landlock: sys::landlock_version().is_ok(),
        // An address that a socket can be bound to is one of this host.
        own_servers: name_servers(resolv_conf.unwrap_or_default())
            .chain(servers)
            .filter(|server| UdpSocket::bind((*server, 0)).is_ok())
            .collect(),
    })
}

/// Tries whether the kernel makes a bridge and a pair of interfaces, in a network namespace that is gone afterwards.
fn try_bridge() -> Option<Errno> {
    // An exit status of a process is a number below this one, and so is every errno.
    const NO_NAMESPACE: i32 = 255;
    let pid = sys::fork(|| {
        if sys::new_user_namespace().and_then(|()| sys::new_network_namespace()).is_err() {
            return NO_NAMESPACE;
        }
        let made = || -> sys::Result<()> {
            let links = sys::Links::open()?;
            links.make_bridge(1000, "bridge", [2, 0, 0, 0, 0, 1], 65520)?;
            let network = sys::openat(sys::cwd(), c"/proc/self/ns/net", libc::O_RDONLY, 0)?;
            links.make_pair(1000, 65520, "eth0", std::net::Ipv4Addr::LOCALHOST, network.as_fd())
        };
        made().map_or_else(|errno| errno.0, |()| 0)
    });
    match sys::wait_for(pid.ok()?).ok()? {
        sys::Waited::Exited(errno) if errno != 0 && errno != NO_NAMESPACE => Some(Errno(errno)),
        _ => None,
    }
}

/// Tries whether a port of the host is free.
fn listen(port: &Published) -> Result<(), Errno> {
    let kind = if port.transport == Transport::Tcp { sys::SockType::Stream } else { sys::SockType::Datagram };
    sys::bound(kind, (port.address, port.host).into()).map(drop)
}

/// The addresses of the name servers in the text of a resolv.conf(5).
pub fn name_servers(text: &str) -> impl Iterator<Item = IpAddr> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse().ok())?
    })
}

fn has_route(file: &str, is_default: fn(&[&str]) -> bool) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| is_default(&line.split_whitespace().collect::<Vec<_>>()))
}

/// Whether a line of /proc/net/route is that of a default route: destination and mask are 0, and the route is up.
fn is_default(words: &[&str]) -> bool {
    let flags = words.get(3).and_then(|flags| u32::from_str_radix(flags, 16).ok()).unwrap_or(0);
    words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000") && flags & 1 == 1
}

/// Whether a line of /proc/net/ipv6_route is that of a default route which is no refusal (RTF_REJECT).
fn is_default6(words: &[&str]) -> bool {
    const REJECT: u32 = 0x200;
    let flags = words.get(8).and_then(|flags| u32::from_str_radix(flags, 16).ok()).unwrap_or(REJECT);
    let zero = words.first().is_some_and(|word| word.bytes().all(|digit| digit == b'0'));
    zero && words.get(1) == Some(&"00") && flags & REJECT == 0 && words.get(9) != Some(&"lo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_are_told_from_others() {
        let words = |line: &'static str| line.split_whitespace().collect::<Vec<_>>();
        assert!(is_default(&words("eth0 00000000 01006BC6 0003 0 0 0 00000000 0 0 0")));
        assert!(!is_default(&words("eth0 006433C6 00000000 0001 0 0 0 00FFFFFF 0 0 0")));
        assert!(!is_default(&words("Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT")));
        let zero = "00000000000000000000000000000000";
        let line = format!("{zero} 00 {zero} 00 20010db8000000000000000000000001 00000400 1 0 00000003 eth0");
        assert!(is_default6(&line.split_whitespace().collect::<Vec<_>>()));
        let line = format!("{zero} 00 {zero} 00 {zero} ffffffff 1 0 00200200 lo");
        assert!(!is_default6(&line.split_whitespace().collect::<Vec<_>>()));
    }

    #[test]
    fn name_servers_are_read_as_the_resolver_reads_them() {
        let text = "# nameserver 1.1.1.1\nsearch a b\nnameserver 127.0.0.53\nnameserver\t::1\nnameserver x\n";
        let found: Vec<_> = name_servers(text).map(|server| server.to_string()).collect();
        assert_eq!(found, ["127.0.0.53", "::1"]);
    }
}
