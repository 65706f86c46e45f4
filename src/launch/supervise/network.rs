//! A network of the sandbox's own: what is made inside of it before the program runs, and what becomes of its connections when its helper
//! has ended.

use super::Supervisor;
use crate::error::{Error, Result};
use crate::launch::born::Born;
use crate::launch::connections;
use crate::launch::events::Events;
use crate::launch::helpers;
use crate::launch::inside_network::{self, Made};
use crate::launch::named::Membership;
use crate::launch::ports::Ports;
use crate::plan::{ENDED, FORWARDER, Given, HelperSpec, LOST, Phase};
use crate::spec::Transport;
use crate::sys::{self, Errno};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

/// What helpers get of the sandbox's network.
pub(super) struct InsideNetwork {
    user: OwnedFd,
    network: OwnedFd,
    /// The sockets of forwarded ports, two for each.
    forwarded: Vec<OwnedFd>,
    requests: Option<OwnedFd>,
    /// The sockets at which names are asked for: for datagrams, and for connections.
    name_server: Vec<OwnedFd>,
    /// The socket by which names of other sandboxes in the network are asked for.
    peers: Option<OwnedFd>,
}

impl Supervisor<'_> {
    /// Makes what helpers and the launcher need of the sandbox's network; none if no helper has to do with it.
    pub(super) fn inside_network(&mut self) -> Result<Option<InsideNetwork>> {
        let Born { plan, first, membership, .. } = &mut self.sandbox;
        let concerned = |spec: &&HelperSpec| {
            spec.descriptors
                .iter()
                .any(|(_, given)| matches!(given, Given::NetworkNamespace | Given::Forwarded(..) | Given::Peers))
        };
        let spec = plan.helpers_of(Phase::Namespaces).find(concerned);
        let (user, network, peers, origin) = match (membership, spec) {
            (Some(membership), _) => {
                let (user, network) = membership.namespaces()?;
                let origin = plan.namespaces.named.as_ref().map(|named| &named.origin);
                (user, network, membership.peers.take(), origin.cloned().unwrap_or_default())
            }
            (None, Some(spec)) => {
                let (user, network) = helpers::namespaces(spec, first.pid())?;
                (user, network, None, spec.origin.clone())
            }
            (None, None) => return Ok(None),
        };
        let mut wanted = vec![Made::Diag];
        for port in &plan.forwarded {
            wanted.push(Made::Port(port.transport, Ipv4Addr::LOCALHOST.into(), port.inside));
            wanted.push(Made::Port(port.transport, Ipv6Addr::LOCALHOST.into(), port.inside));
        }
        let asks = plan.helpers_of(Phase::Namespaces).any(|spec| spec.has(&Given::Requests));
        wanted.extend(asks.then_some(Made::Directory));
        let named = plan.packet_rules.as_ref().is_some_and(|rules| rules.names.is_some());
        let of_names = [Transport::Udp, Transport::Tcp].map(Made::NameServer);
        wanted.extend(of_names.into_iter().filter(|_| named));
        let failed = |what: String, errno: Errno| Error::new(format!("{what}: {errno}")).origin(&origin);
        let made = inside_network::make(user.as_fd(), network.as_fd(), &wanted);
        let made = made.map_err(|errno| failed("the network of the sandbox cannot be joined".into(), errno))?;
        let mut made = made.into_iter();
        let mut next = || made.next().unwrap_or(Err(Errno(libc::EIO)));
        // A kernel without it is no reason not to start: connections hang then if the helper ends, as a note says.
        self.diag = next().ok();
        let mut forwarded = Vec::new();
        for port in &plan.forwarded {
            let what = || format!("port {} of the sandbox's loopback", port.inside);
            let v4 = next().map_err(|errno| failed(what(), errno).origin(&port.origin))?;
            let v6 = match next() {
                Err(Errno(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)) => v4.try_clone().map_err(Errno::from),
                made => made,
            };
            forwarded.extend([v4, v6.map_err(|errno| failed(what(), errno).origin(&port.origin))?]);
        }
        let requests = asks.then(&mut next).transpose();
        let requests = requests.map_err(|errno| failed("a directory for requests to slirp4netns".into(), errno))?;
        let made: sys::Result<Vec<_>> = of_names.into_iter().filter(|_| named).map(|_| next()).collect();
        let name_server = made.map_err(|errno| failed(format!("port 53 at the sandbox's {FORWARDER}"), errno))?;
        Ok(Some(InsideNetwork { user, network, forwarded, requests, name_server, peers }))
    }

    /// Tells which ports are published.
    pub(in crate::launch) fn tell_ports(&self, status: &mut dyn Events) {
        let ports: Vec<_> =
            self.sandbox.plan.ports.iter().map(|planned| planned.port.host).zip(self.sandbox.ports.all()).collect();
        if !ports.is_empty() {
            status.published(&ports);
        }
    }

    /// The forwarder of names wants addresses to be let through.
    pub(super) fn on_wanted_addresses(&mut self, _: &mut dyn Events) -> Result<()> {
        for helper in &mut self.helpers {
            if let Some(rules) = &self.rules {
                helper.filter(|message| rules.answer(message));
            }
        }
        Ok(())
    }

    /// The process that holds a network which the sandbox shares has something to say, or has ended, and the network with it.
    pub(super) fn on_shared_network(&mut self, status: &mut dyn Events) -> Result<()> {
        let Some(how) = self.sandbox.membership.as_mut().and_then(Membership::ended) else { return Ok(()) };
        self.end_connections();
        let Some(named) = &self.sandbox.plan.namespaces.named else { return Ok(()) };
        let ended = format!("the network `{}` has ended ({how})", named.name);
        if named.ends {
            self.give_up();
            return Err(Error::new(format!("{ended}: {ENDED}")).origin(&named.origin));
        }
        status.note(&format!("{ended}: {LOST}"));
        Ok(())
    }

    /// The network's helper has ended: what leads to the outside is ended, too. Whoever waits for an answer gets an error.
    pub(super) fn end_connections(&mut self) {
        if let Some(diag) = &self.diag {
            let _ = connections::end(diag.as_fd());
        }
    }
}

impl InsideNetwork {
    /// The descriptors of a helper, in the order of its plan.
    pub(super) fn given(&mut self, spec: &HelperSpec, ports: &mut Ports) -> Result<Vec<OwnedFd>> {
        let again = |fd: &OwnedFd| sys::dup_above(fd.as_fd(), 10);
        let missing = Errno(libc::EBADF);
        let make = |(_, given): &(i32, Given)| match given {
            Given::UserNamespace => again(&self.user),
            Given::NetworkNamespace => again(&self.network),
            Given::Port(index) => ports.hand_over(*index).ok_or(Errno(libc::EBADF)),
            Given::Forwarded(index, v6) => self.forwarded.get(index * 2 + usize::from(*v6)).map_or(Err(missing), again),
            Given::NameServer(Transport::Udp) => self.name_server.first().map_or(Err(missing), again),
            Given::NameServer(Transport::Tcp) => self.name_server.get(1).map_or(Err(missing), again),
            Given::Peers => self.peers.as_ref().map_or(Err(missing), again),
            Given::Requests => self.requests.as_ref().map_or(Err(missing), again),
            _ => Err(missing),
        };
        let made: sys::Result<Vec<_>> = spec.descriptors.iter().map(make).collect();
        made.map_err(|errno| Error::new(format!("{}: its descriptors: {errno}", spec.name)).origin(&spec.origin))
    }
}
