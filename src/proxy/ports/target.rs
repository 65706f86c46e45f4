//! Where the port relay carries what comes.

use crate::sys;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Where what comes to a socket goes, at a port.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// To loopback, first by the family of the socket: who comes is on this machine, too. A server may listen at one of both alone, as at
    /// `localhost`.
    Loopback { v6: bool, port: u16 },
    /// To the address by which IPv6 leaves: servers at loopback trust who reaches them.
    Own(u16),
}

impl Target {
    /// That of a socket at this address.
    pub(super) fn of(socket: &SocketAddr, port: u16) -> Target {
        match socket.ip().is_loopback() || socket.is_ipv4() {
            true => Target::Loopback { v6: socket.is_ipv6(), port },
            false => Target::Own(port),
        }
    }

    /// The addresses to try, in this order; none where there is none, or not yet.
    pub(super) fn addresses(self) -> Vec<SocketAddr> {
        let (addresses, port) = match self {
            Target::Loopback { v6, port } => {
                let both = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
                (if v6 { vec![both[1], both[0]] } else { both.to_vec() }, port)
            }
            Target::Own(port) => (own().into_iter().collect(), port),
        };
        addresses.into_iter().map(|address| (address, port).into()).collect()
    }
}

/// The address of this network from which IPv6 leaves.
fn own() -> Option<IpAddr> {
    // Of the Internet (RFC 3849): connecting a socket for datagrams sends nothing.
    const OUTSIDE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let socket = sys::connected_datagrams((OUTSIDE, 9).into()).ok()?;
    Some(UdpSocket::from(socket).local_addr().ok()?.ip())
}
