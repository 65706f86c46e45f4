//! The network of a sandbox.

use super::origin::Origin;
use serde::Serialize;
use std::net::{IpAddr, Ipv6Addr};

/// The network that the program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A network namespace of its own, with only a loopback interface.
    #[default]
    None,
    /// A network namespace of its own, from which a program outside carries packets to the host's network.
    Private(PrivateNetwork),
    /// A network namespace of its own, attached to the bridge of a network that several sandboxes share ([`NamedNetwork`]).
    Named(PrivateNetwork),
    /// The network of a running sandbox, which one of its processes names.
    Joined(i32),
    /// The host's network.
    Host,
}

impl Network {
    /// Whether the program can send something to another machine.
    pub fn reaches_out(self) -> bool {
        self != Network::None
    }

    /// How a network of the sandbox's own reaches others; none if it has no such network, or one without a way to others.
    pub fn own(self) -> Option<PrivateNetwork> {
        match self {
            Network::Private(private) | Network::Named(private) => Some(private),
            Network::None | Network::Joined(_) | Network::Host => None,
        }
    }
}

/// A network that several sandboxes share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct NamedNetwork {
    /// Its name.
    pub name: String,
    /// Names by which others in it find this sandbox, each with the line that has it.
    pub aliases: Vec<(String, Origin)>,
    /// The address of IPv6 that it has there; none stands for one that is free.
    pub ip6: Option<(Ipv6Addr, Origin)>,
}

/// How the network of a sandbox's own reaches the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct PrivateNetwork {
    /// The program that carries packets.
    pub helper: NetworkHelper,
    /// What happens if that program ends before the sandbox does.
    pub on_helper_death: HelperDeath,
}

/// The program that carries packets between a network of a sandbox's own and the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum NetworkHelper {
    /// Whichever is installed and works best.
    #[default]
    Auto,
    /// pasta(1).
    Pasta,
    /// slirp4netns(1).
    Slirp4netns,
}

/// What happens if the network's helper ends before the sandbox does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum HelperDeath {
    /// The sandbox is ended.
    #[default]
    End,
    /// The program goes on without the network, and the user is told.
    Report,
}

/// The name servers of a network of the sandbox's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum NameServers {
    /// Those of the host.
    #[default]
    Host,
    /// None is named.
    None,
    /// These, each with the line that names it.
    Named(Vec<(IpAddr, Origin)>),
}
