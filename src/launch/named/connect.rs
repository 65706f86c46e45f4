//! A network that a sandbox is connected to while it runs, besides that which it was started in. A command takes the place there, and has the
//! network started if nobody is in it; the sandbox's launcher attaches it, by a further pair of interfaces.
//!
//! Each network has a user namespace of its own, and no process in one has a right over the other. The launcher has: the user namespaces are
//! below its own, and their owner is its user, to whom the kernel gives all rights over them. So it is enough that processes which have joined
//! either network have opened sockets there for it: see `Links`.

use super::holder::{BRIDGE, MTU};
use super::tie::Tie;
use super::{Membership, seat};
use crate::error::{Error, Result};
use crate::netfilter::Connected;
use crate::plan::{NamedNetworkPlan, RulePlan, unmade};
use crate::proxy::network::message::Request;
use crate::state::{Network, Networks};
use crate::sys::{self, Errno, Links};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd, RawFd};

/// A place in a network.
pub struct Place {
    /// The address.
    pub address: Ipv4Addr,
    /// The connection to the process that holds the network; a socket by which interfaces are attached to its bridge; and one by which names of
    /// others in the network are asked for.
    pub sockets: [OwnedFd; 3],
}

/// Takes a place in a network, and starts that if nobody is in it.
///
/// # Errors
///
/// The network cannot be made or joined.
pub fn take_place(named: &NamedNetworkPlan) -> Result<Place> {
    let seat = seat(&Networks::new(named.places.clone()), named, true)?;
    let failed = |errno: Errno| unjoined(&named.name, errno);
    let (ours, theirs) = sys::seqpacket_pair().map_err(failed)?;
    let pid = sys::fork(|| {
        let made = || -> sys::Result<()> {
            sys::join_namespace(seat.user.as_fd(), libc::CLONE_NEWUSER)?;
            sys::join_namespace(seat.bridge.as_fd(), libc::CLONE_NEWNET)?;
            sys::send(theirs.as_fd(), b"l", Some(Links::open()?.as_fd()))
        };
        made().map_or_else(|errno| errno.0, |()| 0)
    })
    .map_err(failed)?;
    drop(theirs);
    let links = sys::receive(ours.as_fd(), &mut [0; 1]).ok().and_then(|(_, fd)| fd);
    match (sys::wait_for(pid).map_err(failed)?, links) {
        (sys::Waited::Exited(0), Some(links)) => {
            Ok(Place { address: seat.own.v4, sockets: [seat.connection, links, seat.names] })
        }
        (sys::Waited::Exited(errno @ 1..), _) => Err(failed(Errno(errno))),
        _ => Err(failed(Errno(libc::EIO))),
    }
}

/// What is attached.
pub(in crate::launch) struct Joins {
    /// The network.
    pub network: Network,
    /// The address that the process which holds the network has given.
    pub address: Ipv4Addr,
    /// The interface's name.
    pub interface: String,
    /// Those of [`Place`], without that for names.
    pub sockets: [OwnedFd; 2],
}

/// A network that the sandbox is connected to.
pub(in crate::launch) struct Connection {
    /// The interface's name.
    pub interface: String,
    /// What its rules are made of.
    pub packets: Connected,
    tie: Tie,
}

impl Connection {
    /// Attaches a sandbox, which has these rules, by an interface that is down yet.
    pub fn attach(membership: &Membership, joins: Joins, rules: &RulePlan) -> Result<Connection> {
        let Joins { network, address, interface, sockets: [connection, outside] } = joins;
        let failed = |errno: Errno| unjoined(&network.name, errno);
        let (inside, here) = &membership.inside;
        Links::from(outside).make_pair(BRIDGE, MTU, &interface, address, here.as_fd()).map_err(failed)?;
        let index = inside.index(&interface).map_err(failed)?;
        // It shows who is in the network; the connection was made by the command that has taken the place.
        let launcher = serde_json::to_vec(&Request::Launcher(sys::pid())).unwrap_or_default();
        let _ = sys::send_now(connection.as_fd(), &launcher);
        let packets = rules.connected(network.subnet, address, index);
        let tie = Tie::new(membership.tie.networks.clone(), network, connection);
        Ok(Connection { interface, packets, tie })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.tie.network
    }

    /// Has packets pass by the interface: the rules on them are made.
    pub fn set_up(&self, membership: &Membership) -> Result<()> {
        let (inside, _) = &membership.inside;
        let Connected { interface, address, subnet, .. } = &self.packets;
        let up = inside.add_address(*interface, *address, subnet.prefix()).and_then(|()| inside.set_up(*interface));
        up.map_err(|errno| unjoined(&self.tie.network.name, errno))
    }

    /// Removes the interface, if it is still there.
    pub fn detach(&self, membership: &Membership) {
        let _ = membership.inside.0.remove(self.packets.interface);
    }

    /// The connection to the process that holds the network; negative once that has ended.
    pub fn fd(&self) -> RawFd {
        self.tie.fd()
    }

    /// How the network has ended; none if it has not.
    pub fn ended(&mut self) -> Option<String> {
        self.tie.ended()
    }
}

fn unjoined(name: &str, errno: Errno) -> Error {
    let error = unmade(name, "joined", errno);
    match errno.0 {
        libc::EPERM => error.hint(
            "the sandbox, the network and this command have to be started in the same user namespace, and not in another sandbox or a chroot",
        ),
        _ => error,
    }
}
