//! Rules on the packets of a network namespace: nf_tables(8), by netlink. The rules are made by the launcher, over a socket that a process
//! in that namespace has opened.

mod message;
mod names;
mod packets;
mod rule;
mod sets;
mod table;

pub use message::{Batch, Refused};
pub use names::let_through;
pub use table::{addresses, table};

use crate::spec::{Addresses, Service};
use serde::Serialize;
use std::net::IpAddr;

/// A rule on packets that leave. The first one that a packet matches decides, and packets that match none are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PacketRule {
    /// Whether packets leave, or are refused.
    pub accept: bool,
    /// What the rule is for, as a profile would say it.
    pub what: String,
    /// The addresses that they go to.
    #[serde(skip)]
    pub to: PacketTarget,
    /// Their protocol, and the ports that they go to.
    #[serde(skip)]
    pub service: Service,
}

/// Addresses that packets go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacketTarget {
    /// Addresses that the line names.
    Addresses(Addresses),
    /// The host's own, which may change while the sandbox runs.
    Host,
    /// Those of networks that the host is attached to, which may change while the sandbox runs.
    Attached,
    /// Those that were told for names of a list, each for some time ([`let_through`]). What was begun by then goes on.
    Names(u16),
}

/// Ports inside at which what comes from outside first is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PublishedInside {
    /// Whether it comes by IPv6, or by IPv4.
    pub v6: bool,
    /// The protocol, and the ports.
    pub service: Service,
}

/// An address of the host's, and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress {
    /// The address.
    pub address: IpAddr,
    /// How many bits name the network.
    pub prefix: u8,
}

/// Whether an address is one of the host's, or stands for one.
pub fn is_own(host: &[HostAddress], address: IpAddr) -> bool {
    all(host, HostAddress::alone).contains(address)
}

/// Whether an address is in a network that the host is attached to, or stands for one.
pub fn is_attached(host: &[HostAddress], address: IpAddr) -> bool {
    all(host, HostAddress::network).contains(address)
}

/// What there is of all of these, with the addresses of IPv6 that stand for those of IPv4.
fn all(host: &[HostAddress], of: fn(HostAddress) -> Option<Addresses>) -> Addresses {
    host.iter().filter_map(|host| of(*host)).fold(Addresses::default(), |all, some| all.and(&some)).with_translated()
}

impl HostAddress {
    fn bits(self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// The address as a set.
    fn alone(self) -> Option<Addresses> {
        Addresses::network(self.address, self.bits())
    }

    /// The network that the host is attached to by it. None if there is nobody else in it, or if it is so large that it is no
    /// network of neighbours but a tunnel to everywhere.
    fn network(self) -> Option<Addresses> {
        let (least, bits) = (if self.address.is_ipv4() { 8 } else { 16 }, self.bits());
        (least..bits).contains(&self.prefix).then(|| Addresses::network(self.address, self.prefix))?
    }
}
