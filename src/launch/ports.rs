//! Ports of the host at which servers inside are reached: taken before anything of the sandbox is made, so that one that is not free is an
//! error, and nobody else gets one that is.

use crate::error::Result;
use crate::plan::{self, Carrier, PortPlan};
use crate::spec::{Published, Transport};
use crate::sys::{self, Errno, SockType};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

/// The published ports of a plan, with their sockets.
#[derive(Default)]
pub(super) struct Ports {
    /// Each with the number that it has; that of the plan may stand for any.
    all: Vec<Published>,
    /// Those that are carried by the relay listen. Others keep the port from third parties until the helper has it.
    sockets: Vec<Option<OwnedFd>>,
}

impl Ports {
    /// Binds a socket to each port.
    pub(super) fn take(plan: &[PortPlan]) -> Result<Ports> {
        let mut ports = Ports::default();
        for PortPlan { port, carrier } in plan {
            let (socket, host) = bind(port, *carrier).map_err(|errno| plan::untaken(port, errno))?;
            ports.all.push(Published { host, ..port.clone() });
            // slirp4netns allows no other socket beside its own. Closed later, the first process would still have it.
            let held = (*carrier, port.transport) != (Carrier::Slirp4netns, Transport::Udp);
            ports.sockets.push(held.then_some(socket));
        }
        Ok(ports)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Published] {
        &self.all
    }

    /// Hands over the socket of the port with this index.
    pub(super) fn hand_over(&mut self, index: usize) -> Option<OwnedFd> {
        self.sockets.get_mut(index)?.take()
    }

    /// Closes the sockets that were not handed over: the helper has their ports.
    pub(super) fn leave(&mut self) {
        self.sockets.clear();
    }
}

/// A socket that is bound to a port, and the port's number.
fn bind(port: &Published, carrier: Carrier) -> sys::Result<(OwnedFd, u16)> {
    let kind = if port.transport == Transport::Tcp { SockType::Stream } else { SockType::Datagram };
    let socket = sys::bound(kind, SocketAddr::from((port.address, port.host)))?;
    if port.transport == Transport::Tcp && carrier == Carrier::Relay {
        sys::listen_at(socket.as_fd())?;
    }
    // getsockname(2), which does not ask what the socket is of.
    let named = UdpSocket::from(socket);
    let host = named.local_addr().map_err(Errno::from)?.port();
    Ok((named.into(), host))
}
