//! Sockets of a sandbox's network, by sock_diag(7). Which one has an address; and the end of those that lead to the outside, once nothing
//! does any more: what waits for an answer gets an error rather than waiting for hours.

use crate::sys::{self, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

/// From the kernel's headers: linux/sock_diag.h, linux/inet_diag.h, linux/netlink.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Length of struct nlmsghdr.
const HEADER: usize = 16;
/// Length of the four bytes before struct inet_diag_sockid, in an answer, and of that struct.
const BEFORE_ID: usize = 4;
const ID: usize = 48;

/// States of a connection, as bits: established and all in which one side has not ended.
const CONNECTED: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11 | 1 << 12;

/// A message to the kernel about sockets of a family and a protocol, in these states. `id` is a struct inet_diag_sockid.
fn message(kind: u16, flags: u16, (family, protocol): (u8, u8), states: u32, id: &[u8; ID]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 8 + ID);
    bytes.extend((HEADER as u32 + 8 + ID as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, protocol, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(id);
    bytes
}

/// The messages in what the kernel sent: their types and contents.
fn messages(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(content) = bytes.get(HEADER..length) else { break };
        found.push((u16::from_ne_bytes([header[4], header[5]]), content));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Whether the other side of a socket is in the same network: an address of loopback, or its own.
fn is_local(family: u8, id: &[u8; ID]) -> bool {
    let address =
        |at: usize| id.get(at..at + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).unwrap_or_default();
    let (own, other) = (address(4), address(20));
    let loopback = |v4: [u8; 4]| v4[0] == 127;
    let is_loopback = if i32::from(family) == libc::AF_INET {
        loopback([other[0], other[1], other[2], other[3]])
    } else {
        let other = Ipv6Addr::from(other);
        other.is_loopback() || other.to_ipv4_mapped().is_some_and(|v4| loopback(v4.octets()))
    };
    is_loopback || own == other
}

/// Whether a socket has this address; any has none.
fn is_from(family: i32, id: &[u8; ID], own: Option<Ipv4Addr>) -> bool {
    let Some(own) = own else { return true };
    let at = |start: usize, bytes: &[u8]| id.get(start..start + bytes.len()) == Some(bytes);
    if family == libc::AF_INET { at(4, &own.octets()) } else { at(4, &own.to_ipv6_mapped().octets()) }
}

/// The sockets of a family and a protocol that lead out of the network.
fn outward(socket: BorrowedFd<'_>, kind: (u8, u8), states: u32) -> Result<Vec<[u8; ID]>> {
    sys::send(socket, &message(SOCK_DIAG_BY_FAMILY, DUMP, kind, states, &[0; ID]), None)?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let (length, _) = sys::receive(socket, &mut buffer)?;
        for (kind_of_message, content) in messages(buffer.get(..length).unwrap_or_default()) {
            match kind_of_message {
                DONE | ERROR => return Ok(found),
                _ => {
                    let id = content.get(BEFORE_ID..).and_then(<[u8]>::first_chunk::<ID>);
                    found.extend(id.filter(|id| !is_local(kind.0, id)));
                }
            }
        }
        if length == 0 {
            return Ok(found);
        }
    }
}

/// Ends all connections that lead out of the network that `socket` ([`sys::diag_socket`]) was made in, or those from this address alone.
/// Gives how many.
pub(super) fn end(socket: BorrowedFd<'_>, own: Option<Ipv4Addr>) -> Result<usize> {
    let mut ended = 0;
    for (protocol, states) in [(libc::IPPROTO_TCP, CONNECTED), (libc::IPPROTO_UDP, 1 << 1)] {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let kind = (family as u8, protocol as u8);
            for id in outward(socket, kind, states)?.into_iter().filter(|id| is_from(family, id, own)) {
                sys::send(socket, &message(SOCK_DESTROY, ACK, kind, u32::MAX, &id), None)?;
                let mut answer = [0; 512];
                let (length, _) = sys::receive(socket, &mut answer)?;
                let ok = messages(answer.get(..length).unwrap_or_default())
                    .iter()
                    .any(|(kind, content)| *kind == ERROR && content.first_chunk() == Some(&[0; 4]));
                ended += usize::from(ok);
            }
        }
    }
    Ok(ended)
}

/// A socket that is looked for.
pub(super) struct Socket {
    /// Of TCP, or of UDP.
    pub tcp: bool,
    /// Its own address, as packets of it have it.
    pub local: SocketAddr,
    /// Where it sends to.
    pub remote: SocketAddr,
}

/// Where the inode is in an answer: behind the id, and four numbers.
const INODE: usize = BEFORE_ID + ID + 16;

/// The inode of a socket in the network that `diag` ([`sys::diag_socket`]) was made in; none if it is not there.
pub(super) fn inode(diag: BorrowedFd<'_>, socket: &Socket) -> Option<u32> {
    let family = if socket.local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let protocol = if socket.tcp { libc::IPPROTO_TCP } else { libc::IPPROTO_UDP };
    // The kernel has the two the other way round for UDP, for historical reasons.
    let ends = if socket.tcp { [socket.local, socket.remote] } else { [socket.remote, socket.local] };
    let mut id = [0; ID];
    let mut put = |at: usize, bytes: &[u8]| {
        id.iter_mut().skip(at).zip(bytes).for_each(|(to, byte)| *to = *byte);
    };
    for (end, (port, address)) in ends.iter().zip([(0, 4), (2, 20)]) {
        put(port, &end.port().to_be_bytes());
        match end.ip() {
            IpAddr::V4(v4) => put(address, &v4.octets()),
            IpAddr::V6(v6) => put(address, &v6.octets()),
        }
    }
    // INET_DIAG_NOCOOKIE.
    put(40, &[0xff; 8]);
    let kind = (u8::try_from(family).ok()?, u8::try_from(protocol).ok()?);
    sys::send(diag, &message(SOCK_DIAG_BY_FAMILY, 0, kind, u32::MAX, &id), None).ok()?;
    let mut answer = [0; 2048];
    let (length, _) = sys::receive(diag, &mut answer).ok()?;
    let found = messages(answer.get(..length).unwrap_or_default());
    let (_, content) = found.into_iter().find(|(kind, _)| *kind == SOCK_DIAG_BY_FAMILY)?;
    let inode = u32::from_ne_bytes(*content.get(INODE..)?.first_chunk()?);
    (inode != 0).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(own: [u8; 16], other: [u8; 16]) -> [u8; ID] {
        let mut id = [0; ID];
        id[4..20].copy_from_slice(&own);
        id[20..36].copy_from_slice(&other);
        id
    }

    fn v4(address: [u8; 4]) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&address);
        bytes
    }

    #[test]
    fn connections_within_the_network_are_told_from_others() {
        let (four, six) = (libc::AF_INET as u8, libc::AF_INET6 as u8);
        assert!(is_local(four, &id(v4([10, 0, 2, 100]), v4([127, 0, 0, 1]))));
        assert!(is_local(four, &id(v4([10, 0, 2, 100]), v4([10, 0, 2, 100]))));
        assert!(!is_local(four, &id(v4([10, 0, 2, 100]), v4([203, 0, 113, 10]))));
        let mapped = |address: [u8; 4]| Ipv4Addr::from(address).to_ipv6_mapped().octets();
        assert!(is_local(six, &id([1; 16], Ipv6Addr::LOCALHOST.octets())));
        assert!(is_local(six, &id([1; 16], mapped([127, 0, 0, 2]))));
        assert!(!is_local(six, &id([1; 16], mapped([203, 0, 113, 10]))));
    }

    #[test]
    fn connections_of_an_address_are_told_from_others() {
        let own = Ipv4Addr::new(10, 89, 1, 2);
        let of = |family: i32, address: [u8; 16]| is_from(family, &id(address, [0; 16]), Some(own));
        assert!(of(libc::AF_INET, v4(own.octets())) && of(libc::AF_INET6, own.to_ipv6_mapped().octets()));
        assert!(!of(libc::AF_INET, v4([10, 89, 0, 2])) && !of(libc::AF_INET6, v4(own.octets())));
        assert!(is_from(libc::AF_INET, &id([0; 16], [0; 16]), None));
    }

    #[test]
    fn what_the_kernel_sends_is_taken_apart() {
        let one = message(DONE, 0, (2, 6), 0, &[0; ID]);
        let bytes = [one.clone(), one.clone()].concat();
        assert_eq!(
            messages(&bytes).iter().map(|(kind, content)| (*kind, content.len())).collect::<Vec<_>>(),
            [(DONE, 56), (DONE, 56)]
        );
        assert!(messages(&bytes[..one.len() - 1]).is_empty() && messages(&[0; 16]).is_empty());
    }
}
