//! A sandbox's place in a network that several sandboxes share: an address, a network namespace of its own that is attached to the network's
//! bridge, and a connection to the process that holds the network. That process is started by the first sandbox, and ends after the last.
//!
//! ```text
//! mod     joins, and gives the place up
//! holder  starts the process that holds the network
//! attach  makes the sandbox's network namespace, and attaches it
//! tie     knows when the network ends, and has nothing left of it
//! v6      what IPv6 may do in these networks
//! connect takes a place for a sandbox that runs in another network, and attaches it
//! ```

mod attach;
mod connect;
mod holder;
#[cfg(test)]
mod tests;
mod tie;
mod v6;

pub(super) use connect::{Connection, Joins};
pub use connect::{Place, take_place};

use super::process::FirstProcess;
use super::wording;
use crate::error::{Error, Result};
use crate::plan::{NamedNetworkPlan, Plan, unmade};
use crate::proxy::network::message::{self, Answer, Next, Request};
use crate::spec::OwnAddresses;
use crate::state::{Busy, Networks};
use crate::sys::{self, Errno, Links};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
use tie::Tie;

/// How long the process that holds a network may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the process that holds a network has given.
struct Seat {
    connection: OwnedFd,
    own: OwnAddresses,
    /// The program that carries packets to the outside; empty if there is none.
    helper: String,
    user: OwnedFd,
    bridge: OwnedFd,
    names: OwnedFd,
}

/// A sandbox's place in a network. Given up when it is dropped.
pub(super) struct Membership {
    tie: Tie,
    /// The user namespace that owns the network, and the sandbox's network namespace; none once the sandbox's processes are in them.
    namespaces: Option<(OwnedFd, OwnedFd)>,
    /// What further interfaces of the sandbox's network are made by: a socket there, and the network namespace, which a socket keeps anyway.
    pub inside: (Links, OwnedFd),
    /// A socket to the packet filter of the sandbox's network.
    pub filter: Option<OwnedFd>,
    /// The socket by which names of others in the network are asked for.
    pub peers: Option<OwnedFd>,
    /// The sandbox's addresses.
    pub own: OwnAddresses,
}

impl Membership {
    /// Joins the network of a plan, and starts it if nobody is in it.
    pub(super) fn join(named: &NamedNetworkPlan, plan: &Plan) -> Result<Membership> {
        let networks = Networks::new(named.places.clone());
        let failed = |error: Error| error.origin(&named.origin);
        let seat = seat(&networks, named, false).map_err(failed)?;
        let made = attach::attach(&seat.user, &seat.bridge, seat.own, named, &plan.namespaces.network_settings);
        let attach::Attached { network, filter, links } = made.map_err(failed)?;
        let again = sys::dup_above(network.as_fd(), 10).map_err(|errno| unmade(&named.name, "joined", errno))?;
        Ok(Membership {
            tie: Tie::new(networks, named.network.clone(), seat.connection),
            namespaces: Some((seat.user, network)),
            inside: (links, again),
            filter: Some(filter),
            peers: Some(seat.names),
            own: seat.own,
        })
    }

    /// Clones the first process into the network, and with its other namespaces below the user namespace that owns it.
    pub(super) fn clone_first(
        &self,
        plan: &Plan,
        flags: u64,
        cgroup: Option<BorrowedFd<'_>>,
        run: impl FnOnce() -> i32,
    ) -> Result<FirstProcess> {
        let (user, network) = self.open()?;
        let cloned = sys::clone3_joined(flags, user.as_fd(), &[(network.as_fd(), libc::CLONE_NEWNET)], cgroup, run);
        cloned.map(FirstProcess::numbered_by).map_err(|errno| match errno.0 {
            libc::EPERM => {
                unmade(&self.tie.network.name, "joined", errno).hint("sbx must not be in a sandbox or a chroot itself")
            }
            _ => wording::clone(plan, "clone3", errno),
        })
    }

    fn open(&self) -> Result<&(OwnedFd, OwnedFd)> {
        self.namespaces.as_ref().ok_or_else(|| unmade(&self.tie.network.name, "joined", Errno(libc::EBADF)))
    }

    /// The user namespace that owns the network, and the sandbox's network namespace, for helpers.
    pub(super) fn namespaces(&self) -> Result<(OwnedFd, OwnedFd)> {
        let (user, network) = self.open()?;
        let again = |fd: &OwnedFd| {
            sys::dup_above(fd.as_fd(), 10).map_err(|errno| unmade(&self.tie.network.name, "joined", errno))
        };
        Ok((again(user)?, again(network)?))
    }

    /// Leaves the namespaces to the sandbox's processes, with which they end.
    pub(super) fn leave_namespaces(&mut self) {
        self.namespaces = None;
        self.peers = None;
    }

    /// The connection to the process that holds the network; negative once that has ended.
    pub(super) fn fd(&self) -> RawFd {
        self.tie.fd()
    }

    /// Descriptors that must stay open.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let (links, network) = &self.inside;
        [links.as_raw_fd(), network.as_raw_fd(), self.fd()].into_iter().filter(|fd| *fd >= 0)
    }

    /// How the network has ended; none if it has not.
    pub(super) fn ended(&mut self) -> Option<String> {
        self.tie.ended()
    }
}

/// Asks for a place in the network, and has the process that holds it started if there is none. `by_any` is whether it does
/// not matter through what the outside is reached from there.
fn seat(networks: &Networks, named: &NamedNetworkPlan, by_any: bool) -> Result<Seat> {
    let busy = networks.lock(&named.network)?;
    // What is planned may have been removed, or made anew, since.
    if networks.get(&named.name)? != named.network {
        return Err(Error::new(format!("the network `{}` is not that which it was a moment ago", named.name))
            .hint("run it again"));
    }
    let helper = named.helper.as_ref().map_or("", |helper| helper.name);
    if let Some(seat) = ask(&busy, named)? {
        if by_any || seat.helper == helper {
            return Ok(seat);
        }
        let word = |helper: &str| if helper.is_empty() { "nothing".to_owned() } else { helper.to_owned() };
        return Err(Error::new(format!(
            "the outside is reached from the network `{}` through {}, and from here through {}",
            named.name,
            word(&seat.helper),
            word(helper)
        ))
        .hint(format!(
            "--set network.helper={}, as for the sandboxes that are in it; or end those first",
            if seat.helper.is_empty() { "auto" } else { &seat.helper }
        )));
    }
    if let Err(error) = holder::start(&busy, named) {
        busy.await_end();
        return Err(error);
    }
    ask(&busy, named)?
        .ok_or_else(|| Error::new(format!("the process that holds the network `{}` has ended", named.name)))
}

/// Asks the process that holds the network for a place; none if there is no such process, or it is about to end.
fn ask(busy: &Busy, named: &NamedNetworkPlan) -> Result<Option<Seat>> {
    let Some(connection) = busy.connect()? else { return Ok(None) };
    let request = match named.v6 {
        None => Request::Join(named.names.clone()),
        Some(_) => Request::Join6(named.names.clone(), named.ip6),
    };
    let request = serde_json::to_vec(&request).unwrap_or_default();
    if sys::send_now(connection.as_fd(), &request).is_err() {
        return Ok(None);
    }
    let end = Instant::now() + PATIENCE;
    let Some((answer, user)) = receive(connection.as_fd(), end, named)? else { return Ok(None) };
    let (own, helper) = match answer {
        Answer::Joined(v4, helper) => (OwnAddresses { v4, v6: None }, helper),
        Answer::Joined6(v4, v6, helper) => (OwnAddresses { v4, v6: Some(v6) }, helper),
        Answer::Refused(why) => {
            let error = Error::new(format!("the network `{}` cannot be joined: {why}", named.name));
            return Err(match named.ip6 {
                Some(_) => error.hint(format!(
                    "`sbx network inspect {}` shows who has which address; name another one, or leave network.ip6 out",
                    named.name
                )),
                None => error
                    .hint("end sandboxes that are in it, or make one with more addresses: sbx network create --subnet"),
            });
        }
        _ => return Err(confused(named)),
    };
    let next = || Ok(receive(connection.as_fd(), end, named)?.and_then(|(_, fd)| fd));
    let (bridge, names) = (next()?, next()?);
    match (user, bridge, names) {
        (Some(user), Some(bridge), Some(names)) => {
            // Who asks by it waits for the answer.
            sys::set_nonblocking(names.as_fd(), false).map_err(|errno| unmade(&named.name, "joined", errno))?;
            Ok(Some(Seat { connection, own, helper, user, bridge, names }))
        }
        _ => Err(confused(named)),
    }
}

fn confused(named: &NamedNetworkPlan) -> Error {
    Error::new(format!("the process that holds the network `{}` answers what this sbx does not know", named.name))
        .hint("it was started by another version of sbx: end the sandboxes in the network first")
}

/// The next answer; none if the process has ended.
fn receive(from: BorrowedFd<'_>, end: Instant, named: &NamedNetworkPlan) -> Result<Option<(Answer, Option<OwnedFd>)>> {
    match message::next(from, end) {
        Next::Answer(answer, fd) => Ok(Some((answer, fd))),
        Next::Unknown => Err(confused(named)),
        Next::Ended => Ok(None),
        Next::Late => {
            let error = Error::new(format!("the process that holds the network `{}` does not answer", named.name));
            Err(error.hint(
                "it may be stopped: `pgrep -fl ^sbx-network-holder` lists such processes; kill -CONT lets it go on",
            ))
        }
    }
}
