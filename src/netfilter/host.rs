//! Addresses that are the host's own, and those of networks that it is attached to.

use crate::spec::{AddressClass, Addresses};
use crate::sys::Route;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What packets are refused for being near, each with the addresses of IPv6 that stand for those of IPv4.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostAddresses {
    /// What the host takes for itself, and its networks' broadcast addresses.
    pub(super) own: Addresses,
    /// The networks whose machines it reaches without a router.
    pub(super) attached: Addresses,
}

impl HostAddresses {
    /// Of a host with interfaces of these addresses, each with the length of its network's prefix, and with these routes. Loopback is left
    /// out, which is the sandbox's own inside.
    pub fn of(addresses: &[(IpAddr, u8)], routes: &[Route]) -> HostAddresses {
        let to = |kinds: &'static [u8]| routes.iter().filter(|route| kinds.contains(&route.kind));
        let of_host = to(&[libc::RTN_LOCAL, libc::RTN_BROADCAST, libc::RTN_ANYCAST]);
        let own = addresses.iter().map(|(address, _)| (*address, bits(*address)));
        let own = own.chain(of_host.map(|route| (route.to, route.prefix)));
        let direct = || to(&[libc::RTN_UNICAST]).filter(|route| !route.gateway && !has_own_class(route.to));
        // What an interface has such routes to is no neighbour, but a tunnel's other end, or behind it.
        let tunnels: BTreeSet<_> = direct()
            .filter(|route| is_wide(route.to, route.prefix) && leads_out(route))
            .map(|route| (route.interface, route.to.is_ipv4()))
            .collect();
        // A network of one address has nobody else in it.
        let attached = addresses.iter().copied().filter(|(address, prefix)| *prefix < bits(*address));
        let direct = direct().filter(|route| !tunnels.contains(&(route.interface, route.to.is_ipv4())));
        let attached = attached.chain(direct.map(|route| (route.to, route.prefix)));
        HostAddresses { own: all(own), attached: all(attached) }
    }

    /// Whether an address is one of the host's, or stands for one.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(address)
    }

    /// Whether an address is in a network that the host is attached to, or stands for one.
    pub fn is_attached(&self, address: IpAddr) -> bool {
        self.attached.contains(address)
    }
}

/// All of these networks, but those that are so large that they are no networks of neighbours, nor the host's own: as what leads to
/// everywhere does, and what takes all packets for a proxy (TPROXY).
fn all(networks: impl Iterator<Item = (IpAddr, u8)>) -> Addresses {
    let near = networks.filter(|(address, prefix)| !address.is_loopback() && !is_wide(*address, *prefix));
    let sets: Vec<_> = near.filter_map(|(address, prefix)| Addresses::network(address, prefix)).collect();
    Addresses::of(&sets).with_translated()
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_wide(address: IpAddr, prefix: u8) -> bool {
    prefix < if address.is_ipv4() { 8 } else { 16 }
}

/// Whether a route is for addresses of groups, or for those of a link, which every interface may have.
fn has_own_class(address: IpAddr) -> bool {
    address.is_multicast() || AddressClass::LinkLocal.addresses().contains(address)
}

fn leads_out(route: &Route) -> bool {
    let to = Addresses::network(route.to, route.prefix);
    to.is_some_and(|to| to.meets(&AddressClass::Internet.addresses()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(to: &str, kind: u8, interface: u32, gateway: bool) -> Route {
        let (to, prefix) = to.split_once('/').unwrap();
        Route { to: to.parse().unwrap(), prefix: prefix.parse().unwrap(), kind, interface, gateway }
    }

    fn direct(to: &str, interface: u32) -> Route {
        route(to, libc::RTN_UNICAST, interface, false)
    }

    #[track_caller]
    fn check(host: &HostAddresses, own: &[&str], attached: &[&str], neither: &[&str]) {
        for (all, is_own, is_attached) in [(own, true, false), (attached, false, true), (neither, false, false)] {
            for address in all {
                let address = address.parse().unwrap();
                assert!(
                    host.is_own(address) == is_own && (is_own || host.is_attached(address) == is_attached),
                    "{address}"
                );
            }
        }
    }

    #[test]
    fn networks_are_near_by_an_address_or_by_a_route_without_a_router() {
        let addresses = [("198.51.100.2", 24), ("2001:db8::2", 128), ("127.0.0.1", 8)];
        let addresses = addresses.map(|(address, prefix)| (address.parse().unwrap(), prefix));
        let routes = [
            route("0.0.0.0/0", libc::RTN_UNICAST, 2, true),
            route("::/0", libc::RTN_UNICAST, 2, true),
            route("203.0.112.0/24", libc::RTN_UNICAST, 2, true),
            direct("2001:db8::/64", 2),
            direct("203.0.114.9/32", 2),
            direct("169.254.0.0/16", 2),
            direct("224.0.0.0/4", 2),
            route("203.0.117.0/24", libc::RTN_LOCAL, 1, false),
            route("198.51.100.255/32", libc::RTN_BROADCAST, 2, false),
            // As a transparent proxy has it in a table of its own.
            route("0.0.0.0/0", libc::RTN_LOCAL, 1, false),
            route("203.0.118.0/24", libc::RTN_UNREACHABLE, 0, false),
        ];
        let host = HostAddresses::of(&addresses, &routes);
        check(
            &host,
            &["198.51.100.2", "2001:db8::2", "203.0.117.9", "198.51.100.255", "64:ff9b::198.51.100.2"],
            &["198.51.100.7", "2001:db8::1", "203.0.114.9", "64:ff9b::203.0.114.9"],
            &["203.0.112.1", "203.0.114.8", "169.254.1.1", "224.0.0.1", "203.0.118.1", "127.0.0.1", "8.8.8.8"],
        );
    }

    /// As wg-quick(8) makes them for all addresses, but private ones or the server's.
    #[test]
    fn what_a_tunnel_to_everywhere_leads_to_is_not_near() {
        let addresses = [("10.64.0.7".parse().unwrap(), 24)];
        let all = ["0.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "172.0.0.0/12", "203.0.113.0/25"];
        let mut routes: Vec<_> = all.iter().map(|to| direct(to, 3)).collect();
        routes.push(direct("203.0.114.0/24", 2));
        let host = HostAddresses::of(&addresses, &routes);
        check(
            &host,
            &["10.64.0.7"],
            &["10.64.0.9", "203.0.114.9"],
            &["8.8.8.8", "172.1.1.1", "11.0.0.1", "203.0.113.9"],
        );
        // A part of a network leads only there, whatever its size.
        let host = HostAddresses::of(&[], &[direct("fc00::/7", 3), direct("2001:db8:7::/48", 3)]);
        check(&host, &[], &["2001:db8:7::1"], &["2001:db8:8::1"]);
    }
}
