//! Networks that the sandbox is connected to while it runs, besides that which it was started in.

use super::Supervisor;
use crate::error::{Error, Result};
use crate::launch::connections;
use crate::launch::events::Events;
use crate::launch::named::{Connection, Joins};
use crate::proxy::names::ask::Told;
use crate::state::{Happened, InNetwork, Network, Networks};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

/// The most networks that a sandbox is in besides that which it was started in.
const MOST: usize = 8;

/// What is said of a sandbox that shares no network.
const SHARES_NONE: &str =
    "it was not started in a network that sandboxes share, and cannot be connected to one while it runs";

impl Supervisor<'_> {
    /// Connects the sandbox to the network with this name and id, in which it has this address. The sockets are those of a place there.
    pub(super) fn connect(
        &mut self,
        (name, id): (&str, &str),
        address: Ipv4Addr,
        sockets: [Option<OwnedFd>; 4],
        status: &mut dyn Events,
    ) -> Result<InNetwork> {
        self.can_connect(name)?;
        let [Some(connection), Some(outside), Some(names), _] = sockets else {
            return Err(Error::new("the request has come without its sockets"));
        };
        let Some(membership) = &self.sandbox.membership else { return Err(shares_none()) };
        let Some(rules) = &self.rules else { return Err(shares_none()) };
        let network = self.networks()?.get(name)?;
        if network.id() != id || !network.subnet.has_machine(address) {
            return Err(
                Error::new(format!("the network `{name}` is not that which it was a moment ago")).hint("do it again")
            );
        }
        let interface = self.free_interface();
        let joins = Joins { network, address, interface, sockets: [connection, outside] };
        let connection = Connection::attach(membership, joins, rules.plan())?;
        let index = connection.packets.interface;
        self.connections.push(connection);
        let done = self.rule_connections().and_then(|()| {
            let (Some(membership), Some(connection)) = (&self.sandbox.membership, self.connections.last()) else {
                return Err(shares_none());
            };
            connection.set_up(membership)
        });
        if let Err(error) = done {
            self.forget(name);
            return Err(error);
        }
        // Names of others there are told from now on.
        self.helpers.iter_mut().for_each(|helper| helper.hand(&Told::Connected(index), names.as_fd()));
        status.happened(&Happened::Connect(name.to_owned()));
        let mut known = self.in_networks();
        known.pop().ok_or_else(shares_none)
    }

    /// Disconnects the sandbox from a network.
    pub(super) fn disconnect(&mut self, name: &str, status: &mut dyn Events) -> Result<()> {
        if self.first_network().is_some_and(|first| first.name == name) {
            return Err(Error::new(format!(
                "it was started in the network `{name}`, by which it reaches all else, and stays in it until this run ends"
            ))
            .hint("end it, and run it with --network and the name of another one"));
        }
        let Some(connection) = self.connections.iter().find(|connection| connection.network().name == name) else {
            return Err(Error::new(format!("it is not in the network `{name}`"))
                .hint("`sbx inspect` lists the networks that a sandbox is in, at NetworkSettings.Networks"));
        };
        let (index, address) = (connection.packets.interface, connection.packets.address);
        self.helpers.iter_mut().for_each(|helper| helper.say(&Told::Disconnected(index)));
        // While the others are told of that, and what was begun meanwhile.
        self.end_connections_of(address);
        self.forget(name);
        self.end_connections_of(address);
        status.happened(&Happened::Disconnect(name.to_owned()));
        Ok(())
    }

    /// Whether the sandbox could be connected to a network of this name.
    pub(super) fn can_connect(&self, name: &str) -> Result<()> {
        let Some(first) = self.first_network() else { return Err(shares_none()) };
        if self.sandbox.membership.is_none() || self.rules.is_none() {
            return Err(shares_none());
        }
        if !self.started() {
            return Err(Error::new("its program is not started yet"));
        }
        if first.name == name || self.connections.iter().any(|connection| connection.network().name == name) {
            return Err(Error::new(format!("it is in the network `{name}` already")));
        }
        if self.connections.len() >= MOST {
            return Err(Error::new(format!("it is connected to {MOST} networks already, and to no more at a time"))
                .hint("disconnect it from one first: sbx network disconnect NETWORK SANDBOX"));
        }
        let network = self.networks()?.get(name)?;
        if let Some(v6) = [first, &network].into_iter().find(|network| network.v6.is_some()) {
            return Err(Error::new(format!(
                "the network `{}` has addresses of IPv6, and a running sandbox is connected from and to networks of IPv4 alone",
                v6.name
            ))
            .hint(format!("start the sandbox in the network that it is to be in: sbx run --network {name}"))
            .hint("or make the networks without --ipv6"));
        }
        if let Some(other) = self.shares_addresses(&network) {
            return Err(Error::new(format!(
                "the network `{name}` has addresses of the network `{other}`, in which it is already"
            ))
            .hint(format!("remove one of them, and make it with others: sbx network create --subnet CIDR {name}")));
        }
        Ok(())
    }

    /// The networks that the sandbox is in; first that which it was started in.
    pub(super) fn in_networks(&self) -> Vec<InNetwork> {
        let named = self.helpers.iter().any(|helper| helper.filter_fd() >= 0);
        let of = |network: &Network, address: Ipv4Addr, interface: &str, started: bool| InNetwork {
            name: network.name.clone(),
            id: network.id().to_owned(),
            address: address.to_string(),
            prefix: network.subnet.prefix(),
            gateway: network.gateway.to_string(),
            interface: interface.to_owned(),
            named,
            started,
        };
        let first = self.first_network().zip(self.sandbox.membership.as_ref());
        let first = first.map(|(network, membership)| of(network, membership.own.v4, "eth0", true));
        let connected = self.connections.iter();
        let connected =
            connected.map(|connected| of(connected.network(), connected.packets.address, &connected.interface, false));
        first.into_iter().chain(connected).collect()
    }

    /// A network that the sandbox is connected to may have ended.
    pub(super) fn on_connection(&mut self, status: &mut dyn Events) -> Result<()> {
        let ended: Vec<_> = self
            .connections
            .iter_mut()
            .filter_map(|connection| {
                Some((connection.network().name.clone(), connection.packets.clone(), connection.ended()?))
            })
            .collect();
        for (name, packets, how) in ended {
            self.helpers.iter_mut().for_each(|helper| helper.say(&Told::Disconnected(packets.interface)));
            self.end_connections_of(packets.address);
            self.forget(&name);
            status.happened(&Happened::Disconnect(name.clone()));
            status
                .note(&format!("the network `{name}` has ended ({how}): the sandbox is not connected to it any more"));
        }
        Ok(())
    }

    /// Removes what attaches the sandbox to a network, and the rules for it.
    fn forget(&mut self, name: &str) {
        let Some(at) = self.connections.iter().position(|connection| connection.network().name == name) else { return };
        let connection = self.connections.remove(at);
        if let Some(membership) = &self.sandbox.membership {
            connection.detach(membership);
        }
        // Should that fail, they are for an interface that nobody else gets.
        let _ = self.rule_connections();
    }

    /// Has the packet filter have the rules for all networks that the sandbox is connected to.
    fn rule_connections(&mut self) -> Result<()> {
        let all = self.connections.iter().map(|connection| connection.packets.clone()).collect();
        self.rules.as_mut().map_or(Ok(()), |rules| rules.connect(all))
    }

    fn end_connections_of(&self, address: Ipv4Addr) {
        if let Some(diag) = &self.diag {
            let _ = connections::end(diag.as_fd(), Some(address));
        }
    }

    /// The network that the sandbox was started in.
    fn first_network(&self) -> Option<&Network> {
        self.sandbox.plan.namespaces.named.as_ref().map(|named| &named.network)
    }

    fn networks(&self) -> Result<Networks> {
        let named = self.sandbox.plan.namespaces.named.as_ref().ok_or_else(shares_none)?;
        Ok(Networks::new(named.places.clone()))
    }

    /// The network that has addresses of this one, too, of those that the sandbox is in.
    fn shares_addresses(&self, network: &Network) -> Option<String> {
        let connected = self.connections.iter().map(Connection::network);
        let mut all = self.first_network().into_iter().chain(connected);
        all.find(|other| other.subnet.meets(network.subnet)).map(|other| other.name.clone())
    }

    /// A name that no interface has.
    fn free_interface(&self) -> String {
        let name = |number: usize| format!("eth{number}");
        let taken = |name: &String| self.connections.iter().any(|connection| connection.interface == *name);
        (1..=MOST).map(name).find(|name| !taken(name)).unwrap_or_else(|| name(MOST + 1))
    }
}

fn shares_none() -> Error {
    Error::new(SHARES_NONE)
        .hint("run it with --network NAME, in a network of `sbx network create`: then others can be added")
}
