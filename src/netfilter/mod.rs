//! Rules on the packets of a network namespace: nf_tables(8), by netlink. The rules are made by the launcher, over a socket that a process
//! in that namespace has opened.

mod chain;
mod connected;
mod host;
mod log;
mod message;
mod names;
mod neighbours;
mod packets;
mod peers;
mod reset;
mod rule;
mod sets;
mod table;

pub use connected::{Connected, connected};
pub use host::HostAddresses;
pub use log::{COUNTS, RefusedPacket, log_refused, log_unanswered, logged};
pub use message::{Batch, Refused};
pub use names::let_through;
pub use neighbours::MOST as MOST_NEIGHBOURS;
pub use peers::{Peers, gateway};
pub use reset::reset;
pub use table::{addresses, changed, table};

use crate::spec::{Addresses, Service};
use serde::Serialize;

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
