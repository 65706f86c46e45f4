//! The addresses and routes of this network namespace, and changes of them: getifaddrs(3), rtnetlink(7).

use crate::sys::errno::{Errno, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, recv, send, socket,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The addresses of all interfaces, each with the length of its network's prefix.
pub fn interface_addresses() -> Result<Vec<(IpAddr, u8)>> {
    let address = |address: &SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    let all = nix::ifaddrs::getifaddrs()?.filter_map(|interface| {
        let own = address(&interface.address?)?;
        let prefix = match (own, interface.netmask.as_ref().and_then(address)) {
            (_, Some(IpAddr::V4(mask))) => u32::from(mask).leading_ones(),
            (_, Some(IpAddr::V6(mask))) => u128::from(mask).leading_ones(),
            (IpAddr::V4(_), None) => 32,
            (IpAddr::V6(_), None) => 128,
        };
        Some((own, prefix as u8))
    });
    Ok(all.collect())
}

/// A socket that is ready to read once an address or a route has come or gone. It does not block.
pub fn watch_addresses() -> Result<OwnedFd> {
    const ADDRESSES: i32 = libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    const GROUPS: i32 = ADDRESSES | libc::RTMGRP_IPV4_ROUTE | libc::RTMGRP_IPV6_ROUTE;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let watch = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(watch.as_raw_fd(), &NetlinkAddr::new(0, GROUPS as u32))?;
    Ok(watch)
}

/// Reads all that there is to read from a socket of [`watch_addresses`].
pub fn drain_addresses(watch: BorrowedFd<'_>) -> Result<()> {
    loop {
        match recv(watch.as_raw_fd(), &mut [0; 4096], MsgFlags::MSG_DONTWAIT) {
            Err(nix::Error::EAGAIN) => return Ok(()),
            // Messages were lost; that there were some is all that matters.
            Ok(1..) | Err(nix::Error::EINTR | nix::Error::ENOBUFS) => {}
            Ok(0) => return Err(Errno(libc::EPIPE)),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// A route of this network namespace: packets to a network go to a machine there, or to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// An address of the network that it is for.
    pub to: IpAddr,
    /// How many bits name that network.
    pub prefix: u8,
    /// What becomes of the packets: RTN_* of rtnetlink(7).
    pub kind: u8,
    /// The interface; 0 if there is none, or several.
    pub interface: u32,
    /// Whether they go to a router, rather than to the machine that they are for.
    pub gateway: bool,
}

/// The routes of all tables, of both families.
pub fn routes() -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let flags = SockFlag::SOCK_CLOEXEC;
        let asked = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        // struct nlmsghdr, and struct rtmsg with the family alone.
        let mut request = [0; HEADER + ROUTE];
        let words: [(usize, &[u8]); 3] = [
            (0, &((HEADER + ROUTE) as u32).to_ne_bytes()),
            (4, &libc::RTM_GETROUTE.to_ne_bytes()),
            (6, &((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes()),
        ];
        for (at, word) in words {
            request.get_mut(at..at + word.len()).ok_or(Errno(libc::EINVAL))?.copy_from_slice(word);
        }
        *request.get_mut(HEADER).ok_or(Errno(libc::EINVAL))? = family as u8;
        send(asked.as_raw_fd(), &request, MsgFlags::empty())?;
        // The kernel sends no more than fits at once.
        let mut answer = vec![0; 64 * 1024];
        loop {
            let length = match recv(asked.as_raw_fd(), &mut answer, MsgFlags::empty()) {
                Err(nix::Error::EINTR) => continue,
                received => received?,
            };
            if !read_routes(answer.get(..length).unwrap_or_default(), &mut routes)? {
                break;
            }
        }
    }
    Ok(routes)
}

/// Lengths of struct nlmsghdr, struct rtmsg and struct rtnexthop.
const HEADER: usize = 16;
const ROUTE: usize = 12;
const HOP: usize = 8;

/// A router of another family (RTA_VIA).
const VIA: u16 = 18;

/// Adds the routes of an answer. Whether more of it is to come.
fn read_routes(mut answer: &[u8], routes: &mut Vec<Route>) -> Result<bool> {
    const RTM_F_CLONED: u32 = 0x200;
    while let Some((length, kind)) = number(answer, 0).zip(short(answer, 4)) {
        let message = answer.get(HEADER..length as usize).ok_or(Errno(libc::EBADMSG))?;
        match i32::from(kind) {
            libc::NLMSG_DONE => return Ok(false),
            libc::NLMSG_ERROR => return Err(Errno(number(message, 0).map_or(libc::EBADMSG, |errno| -(errno as i32)))),
            _ if kind == libc::RTM_NEWROUTE && number(message, 8).is_some_and(|flags| flags & RTM_F_CLONED == 0) => {
                routes.extend(route(message));
            }
            _ => {}
        }
        answer = answer.get((length as usize).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

/// The route in a message, which has several if packets may go by several interfaces.
fn route(message: &[u8]) -> Vec<Route> {
    let (family, prefix, kind) = match message {
        [family, prefix, _, _, _, _, _, kind, ..] => (i32::from(*family), *prefix, *kind),
        _ => return Vec::new(),
    };
    let mut found = Route {
        to: if family == libc::AF_INET { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() },
        prefix,
        kind,
        interface: 0,
        gateway: false,
    };
    let mut hops = None;
    for (kind, data) in attributes(message.get(ROUTE..).unwrap_or_default()) {
        match kind {
            libc::RTA_DST => {
                let v4 = <[u8; 4]>::try_from(data).map(IpAddr::from);
                found.to = v4.or_else(|_| <[u8; 16]>::try_from(data).map(IpAddr::from)).unwrap_or(found.to);
            }
            libc::RTA_OIF => found.interface = number(data, 0).unwrap_or(0),
            libc::RTA_GATEWAY | VIA => found.gateway = true,
            libc::RTA_MULTIPATH => hops = Some(data),
            _ => {}
        }
    }
    let Some(mut rest) = hops else { return vec![found] };
    let mut all = Vec::new();
    while let Some((length, interface)) = short(rest, 0).zip(number(rest, 4)) {
        let own = rest.get(HOP..length.into()).unwrap_or_default();
        let gateway = attributes(own).any(|(kind, _)| matches!(kind, libc::RTA_GATEWAY | VIA));
        all.push(Route { interface, gateway, ..found });
        rest = rest.get(usize::from(length).max(HOP).next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// The attributes in a message: types and data.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, kind) = short(rest, 0).zip(short(rest, 2))?;
        let data = rest.get(4..length.into())?;
        rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_the_kernel_has_them() {
        let all = routes().unwrap();
        let loopback = |route: &&Route| route.to.is_loopback() && route.kind == libc::RTN_LOCAL;
        assert!(all.iter().any(|route| loopback(&route) && !route.gateway && route.interface != 0), "{all:?}");
    }

    #[test]
    fn a_route_by_several_interfaces_is_several() {
        let attribute =
            |kind: u16, data: &[u8]| [&(4 + data.len() as u16).to_ne_bytes()[..], &kind.to_ne_bytes(), data].concat();
        let gateway = attribute(libc::RTA_GATEWAY, &[198, 51, 100, 1]);
        let hop = |interface: u32, more: &[u8]| {
            [&(8 + more.len() as u16).to_ne_bytes()[..], &[0, 0], &interface.to_ne_bytes(), more].concat()
        };
        let hops = attribute(libc::RTA_MULTIPATH, &[hop(2, &gateway), hop(3, &[])].concat());
        let head = [libc::AF_INET as u8, 24, 0, 0, 0, 0, 0, libc::RTN_UNICAST, 0, 0, 0, 0];
        let read = route(&[&head[..], &attribute(libc::RTA_DST, &[203, 0, 114, 0]), &hops].concat());
        let of = |interface, gateway| Route {
            to: Ipv4Addr::new(203, 0, 114, 0).into(),
            prefix: 24,
            kind: libc::RTN_UNICAST,
            interface,
            gateway,
        };
        assert_eq!(read, [of(2, true), of(3, false)]);
    }
}
