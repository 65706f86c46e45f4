//! The rules on packets of a network of the sandbox's own, and the host's addresses that they refuse, which may change.

use super::lasting::Lasting;
use crate::error::{Error, Result};
use crate::netfilter::{self, Batch, Connected, HostAddresses, Refused, RefusedPacket};
use crate::plan::{FORWARDER, Later, NO_FILTER, Plan, RulePlan};
use crate::proxy::names::ask::{Became, RefusedName, Wanted, Why};
use crate::spec::OwnAddresses;
use crate::sys::{self, Waited};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Rules that are in force.
pub(super) struct PacketRules {
    /// A socket to the packet filter, which the first process has opened in the sandbox's network.
    filter: OwnedFd,
    /// Ready to read when the host's addresses or routes have changed.
    changes: OwnedFd,
    /// The host's addresses that the rules know.
    known: HostAddresses,
    /// When they may be read again.
    due: Instant,
    /// They have changed, and are read when they may be.
    changed: bool,
    /// How long addresses of names are reached.
    lasting: Lasting,
    /// The rules.
    plan: RulePlan,
    /// The sandbox's own addresses in a network that it shares with others.
    own: Option<OwnAddresses>,
    /// The networks that the sandbox is connected to besides that one.
    connected: Vec<Connected>,
    /// How often they were changed.
    generation: u32,
}

impl PacketRules {
    /// Makes the rules of a plan; `own` are the sandbox's own addresses in a network that it shares with others.
    pub fn new(filter: OwnedFd, rules: &RulePlan, plan: &Plan, own: Option<OwnAddresses>) -> Result<PacketRules> {
        let host = |errno: sys::Errno| Error::new(format!("this host's addresses cannot be read: {errno}"));
        // Watched before they are read: none is missed that comes between.
        let changes = sys::watch_addresses().map_err(host)?;
        let send = |batch: Batch| batch.send(filter.as_fd()).map_err(|refused| failed(refused, plan));
        send(netfilter::table(&rules.rules, &rules.published, rules.peers.as_ref().zip(own)))?;
        let (known, due) = addresses().map_err(host)?;
        send(netfilter::addresses(&known))?;
        let (lasting, plan, connected) = (Lasting::default(), rules.clone(), Vec::new());
        Ok(PacketRules { filter, changes, known, due, changed: false, lasting, plan, own, connected, generation: 0 })
    }

    /// Descriptors that must stay open.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.filter.as_raw_fd(), self.changes.as_raw_fd()]
    }

    /// The descriptor that is ready to read when the host's addresses may have changed; negative if they are about to be read.
    pub fn fd(&self) -> RawFd {
        if self.changed { -1 } else { self.changes.as_raw_fd() }
    }

    /// When [`PacketRules::follow`] has something to do; none if it has not.
    pub fn next_look(&self) -> Option<Instant> {
        self.changed.then_some(self.due)
    }

    /// Has the packet filter let packets through to addresses that the forwarder of names is about to tell, and says what became of each.
    /// What it asks for is believed no more than what the program says: names have addresses of the Internet alone, and not the host's.
    pub fn answer(&mut self, Wanted { lists, addresses }: Wanted) -> Vec<Became> {
        let count = self.plan.names.as_ref().map_or(0, |names| names.lists.len());
        let lists: Vec<u16> = lists.into_iter().filter(|list| usize::from(*list) < count).collect();
        let of_host = |address| self.known.is_own(address) || self.known.is_attached(address);
        let named = |address| !lists.is_empty() && self.plan.is_for_names(address) && !of_host(address);
        let through: Vec<_> = addresses.iter().copied().filter(|(address, _)| named(*address)).collect();
        let now = Instant::now();
        let by_list: Vec<_> = lists.iter().map(|list| (*list, self.lasting.by(*list, &through, now))).collect();
        let sent = through.is_empty() || netfilter::let_through(&by_list).send(self.filter.as_fd()).is_ok();
        if sent {
            by_list.iter().for_each(|(list, through)| self.lasting.add(*list, through, now));
        }
        let became = |address| match named(address) {
            true if sent => Became::Reached,
            true => Became::Failed,
            false if self.plan.reaches(address, &self.known) => Became::Reached,
            false => Became::Refused,
        };
        addresses.iter().map(|(address, _)| became(*address)).collect()
    }

    /// Where names are asked for.
    pub fn forwarder(&self) -> SocketAddr {
        SocketAddr::from((FORWARDER, 53))
    }

    /// Has the kernel tell this socket, which was made in the sandbox's network, of packets that are refused.
    pub fn log(&self, socket: BorrowedFd<'_>) -> std::result::Result<(), Refused> {
        netfilter::log_refused(self.filter.as_fd(), socket)
    }

    /// Has the kernel tell this socket of first packets of connections of TCP that are refused, and leave the answer to who has it;
    /// with `v6`, those of IPv6, too.
    pub fn log_unanswered(&self, socket: BorrowedFd<'_>, v6: bool) -> std::result::Result<(), Refused> {
        netfilter::log_unanswered(self.filter.as_fd(), socket, v6)
    }

    /// The rule that refuses a packet, as a profile would say it.
    pub fn refuses_packet(&self, packet: &RefusedPacket) -> String {
        let (address, port) = packet.to;
        let sender = self.plan.peers.as_ref().zip(self.own);
        let connected = self.connected.iter().any(|network| IpAddr::V4(network.address) == packet.from.0);
        let sender = sender.filter(|_| !connected);
        let sender = sender.and_then(|(peers, own)| peers.refuses_sender(packet.from.0, own));
        sender.unwrap_or_else(|| self.plan.refuses(address, packet.known_protocol(), port, &self.known))
    }

    /// The rule that refuses a name.
    pub fn refuses_name(&self, refused: &RefusedName) -> String {
        match refused.why {
            Why::Elsewhere => "addresses of names that are not in the Internet, or the host's own".to_owned(),
            Why::Unknown | Why::Denied => self.plan.refuses_name(&refused.name),
        }
    }

    /// Has these lines be allowed besides, from now on. `tcp` are the ports that Landlock holds the program to; `answers` says whether names are
    /// answered.
    ///
    /// # Errors
    ///
    /// They cannot be: all is as it was.
    pub fn allow(&mut self, lines: &[String], tcp: Option<&[u16]>, answers: bool) -> Result<Later> {
        let later = self.plan.with(lines, tcp)?;
        if !answers && (later.all_names || !later.names.is_empty()) {
            return Err(unanswerable());
        }
        if later.added.is_empty() {
            return Ok(later);
        }
        let (old, new) = (&self.plan.rules, &later.rules);
        let peers = new.peers.as_ref().zip(self.own);
        let batch = netfilter::changed(old, &new.rules, self.generation + 1, &new.published, peers);
        if !batch.is_one_step() {
            return Err(Error::new("the rules are too long to be changed in one step")
                .hint("start the sandbox anew with the line in its profile"));
        }
        batch.send(self.filter.as_fd()).map_err(|Refused { what, errno }| {
            Error::new(format!(
                "the kernel's packet filter does not take the rules, and all is as it was: {what}: {errno}"
            ))
            .hint("start the sandbox anew with the line in its profile")
        })?;
        self.generation += 1;
        self.plan = later.rules.clone();
        Ok(later)
    }

    /// Has the rules be for these networks, too, that the sandbox is connected to.
    ///
    /// # Errors
    ///
    /// The packet filter does not take them: all is as it was.
    pub fn connect(&mut self, all: Vec<Connected>) -> Result<()> {
        let Some(first) = self.own else { return Ok(()) };
        let batch = netfilter::connected(first.v4, &all);
        if !batch.is_one_step() {
            return Err(Error::new(
                "the rules for the networks are too long to be changed in one step, and all is as it was",
            )
            .hint("fewer lines in network.deny, or fewer networks"));
        }
        batch.send(self.filter.as_fd()).map_err(|Refused { what, errno }| {
            Error::new(format!(
                "the kernel's packet filter does not take the rules for the network, and all is as it was: {what}: {errno}"
            ))
        })?;
        self.connected = all;
        Ok(())
    }

    /// The plan of the rules of now.
    pub fn plan(&self) -> &RulePlan {
        &self.plan
    }

    /// Has the rules refuse the addresses that the host has now; later, if they were read a moment ago.
    pub fn follow(&mut self) -> sys::Result<()> {
        self.changed = Instant::now() < self.due;
        if self.changed {
            return Ok(());
        }
        sys::drain_addresses(self.changes.as_fd())?;
        let (now, due) = addresses()?;
        self.due = due;
        if now != self.known {
            netfilter::addresses(&now).send(self.filter.as_fd()).map_err(|refused| refused.errno)?;
            self.known = now;
        }
        Ok(())
    }
}

/// The process that answers names has ended.
pub(super) fn unanswerable() -> Error {
    Error::new("the process that answers names has ended, and names are not answered any more")
        .hint("end the sandbox, and start it anew")
}

/// Tries whether the kernel's packet filter takes such rules, in a network namespace that is gone afterwards. None if there can be no
/// such namespace.
///
/// # Errors
///
/// It does not take them.
pub fn try_packet_filter() -> Option<Result<()>> {
    // An exit status of a process is a number below this one, and so is every errno.
    const NO_NAMESPACE: i32 = 255;
    let pid = sys::fork(|| {
        if sys::new_user_namespace().and_then(|()| sys::new_network_namespace()).is_err() {
            return NO_NAMESPACE;
        }
        let made = sys::netfilter_socket().map_err(|errno| errno.0);
        let made = made.and_then(|filter| {
            netfilter::table(&[], &[], None).send(filter.as_fd()).map_err(|Refused { errno, .. }| errno.0)
        });
        made.err().unwrap_or(0)
    });
    match sys::wait_for(pid.ok()?).ok()? {
        Waited::Exited(0) => Some(Ok(())),
        Waited::Exited(NO_NAMESPACE) => None,
        Waited::Exited(errno) => Some(Err(Error::new(sys::Errno(errno).to_string()).hint(NO_FILTER))),
        _ => None,
    }
}

/// The addresses of the host, and when they may be read again: a router's table may be long, and change all the time.
fn addresses() -> sys::Result<(HostAddresses, Instant)> {
    /// Reading takes one part in as many of the time.
    const PARTS: u32 = 20;
    const LONGEST: Duration = Duration::from_secs(5);
    let began = Instant::now();
    let found = HostAddresses::of(&sys::interface_addresses()?, &sys::routes()?);
    let took = began.elapsed();
    Ok((found, began + (took * PARTS).min(LONGEST)))
}

fn failed(Refused { what, errno }: Refused, plan: &Plan) -> Error {
    let origin = plan.network_helper().map(|helper| helper.origin.clone()).unwrap_or_default();
    Error::new(format!(
        "the kernel's packet filter does not take the rules on what the program reaches: {what}: {errno}"
    ))
    .origin(&origin)
    .hint(NO_FILTER)
}
