//! A network of the sandbox's own: what is made inside of it before the program runs, and what becomes of its connections when its helper
//! has ended.

use super::Supervisor;
use crate::error::{Error, Result};
use crate::launch::asking::Taken;
use crate::launch::born::Born;
use crate::launch::connections;
use crate::launch::events::Events;
use crate::launch::helpers::{self, Helper};
use crate::launch::inside_network::{self, Made};
use crate::launch::named::Membership;
use crate::launch::ports::Ports;
use crate::launch::refusals::{Recorder, Unanswered};
use crate::launch::rules::{PacketRules, unanswerable};
use crate::netfilter::{COUNTS, Refused};
use crate::plan::{ENDED, FORWARDER, Given, HelperSpec, LOST, Phase};
use crate::proxy::names::ask::{Asked, Told, Why};
use crate::spec::Transport;
use crate::sys::{self, Errno};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

/// What is said where rules are asked about, and there are none.
pub(super) const WITHOUT_RULES: &str = "it has no private network, whose rules alone say what is reached";

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
    pub(super) fn inside_network(&mut self, status: &mut dyn Events) -> Result<Option<InsideNetwork>> {
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
        // Only if somebody is told.
        let records = plan.packet_rules.is_some() && status.wants_refusals();
        let of_records = [Made::Log, Made::Log, Made::Raw { v6: false }, Made::Raw { v6: true }];
        wanted.extend(of_records.into_iter().filter(|_| records));
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
        if records {
            let (mut recorder, note) = recorder(first.pid(), next(), self.rules.as_ref());
            let (log, v4, v6) = (next(), next(), next().ok());
            // Where nobody is told of packets, the kernel answers all of them.
            match note.is_none().then(|| unanswered(log, v4, v6, self.rules.as_ref())) {
                None => {}
                Some(Ok(answers)) => recorder.answer_with(answers),
                Some(Err(refused)) => status.note(&not_left(&refused)),
            }
            self.recorder = Some(recorder);
            note.iter().for_each(|note| status.note(note));
        }
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

    /// The forwarder of names asks something, or tells of names that are refused.
    pub(super) fn on_asked(&mut self, status: &mut dyn Events) -> Result<()> {
        self.answer_once(status);
        self.look_at_questions(status);
        Ok(())
    }

    /// The process that holds a network which the sandbox shares has something to say, or has ended, and the network with it.
    pub(super) fn on_shared_network(&mut self, status: &mut dyn Events) -> Result<()> {
        let Some(how) = self.sandbox.membership.as_mut().and_then(Membership::ended) else { return Ok(()) };
        self.end_connections();
        let Some(named) = &self.sandbox.plan.namespaces.named else { return Ok(()) };
        let ended = format!("the network `{}` has ended ({how})", named.name);
        if named.ends {
            self.give_up(status);
            return Err(Error::new(format!("{ended}: {ENDED}")).origin(&named.origin));
        }
        status.note(&format!("{ended}: {LOST}"));
        Ok(())
    }

    /// Takes one message of the forwarder; whether there was one.
    fn answer_once(&mut self, status: &mut dyn Events) -> bool {
        let Supervisor { helpers, rules: Some(rules), recorder, asking, diag, .. } = self else { return false };
        let diag = diag.as_ref().map(AsFd::as_fd);
        let mut any = false;
        for helper in helpers {
            any |= helper.filter(|message| match Asked::decode(message) {
                Some(Asked::Wanted(wanted)) => Some(Told::Became(rules.answer(wanted))),
                Some(Asked::Refused(name)) => {
                    let asking = asking.as_mut().filter(|_| name.why == Why::Unknown);
                    match asking.map(|asking| asking.take(&name, diag, rules.forwarder())) {
                        Some(Taken::Waits) => return Some(Told::Waits(name.number)),
                        Some(Taken::Refused(Some(note))) => status.note(&note),
                        Some(Taken::Refused(None)) | None => {}
                    }
                    if let Some(recorder) = recorder {
                        recorder.name(&name, rules, diag, status);
                    }
                    Some(Told::Decided(name.number))
                }
                Some(Asked::Uncounted(count)) => {
                    if let Some(recorder) = recorder {
                        recorder.names(count);
                    }
                    None
                }
                None => Some(Told::Became(Vec::new())),
            });
        }
        any
    }

    /// The kernel tells of packets that are refused.
    pub(super) fn on_refused(&mut self, status: &mut dyn Events) -> Result<()> {
        self.record_packets(false, status);
        Ok(())
    }

    /// Has what was refused last be recorded, too: nothing is refused any more.
    pub(super) fn record_last(&mut self, status: &mut dyn Events) {
        /// More messages of the forwarder do not wait.
        const MOST: usize = 256;
        if self.recorder.is_some() || self.asking.is_some() {
            // Nobody is asked any more.
            self.end_questions(status);
            let _ = (0..MOST).find(|_| !self.answer_once(status));
            self.answer(true, status);
            self.record_packets(true, status);
        }
    }

    /// The kernel tells of packets that it has not answered.
    pub(super) fn on_unanswered(&mut self, status: &mut dyn Events) -> Result<()> {
        self.answer(false, status);
        Ok(())
    }

    fn answer(&mut self, at_the_end: bool, status: &mut dyn Events) {
        let (Some(recorder), Some(rules)) = (&mut self.recorder, &self.rules) else { return };
        let diag = self.diag.as_ref().map(AsFd::as_fd);
        if let Err(errno) = recorder.unanswered(rules, diag, at_the_end, status) {
            status.note(&format!("connections that are refused are not answered at once any more: {errno}"));
        }
    }

    fn record_packets(&mut self, at_the_end: bool, status: &mut dyn Events) {
        let (Some(recorder), Some(rules)) = (&mut self.recorder, &self.rules) else { return };
        let diag = self.diag.as_ref().map(AsFd::as_fd);
        if let Err(errno) = recorder.packets(rules, diag, at_the_end, status) {
            status.note(&format!("packets that are refused are not recorded any more: {errno}"));
        }
    }

    /// Has these lines of `network.allow` be allowed from now on. Gives a sentence for each.
    pub(super) fn allow(&mut self, lines: &[String], status: &mut dyn Events) -> Result<Vec<String>> {
        let Some(rules) = &mut self.rules else {
            return Err(Error::new(WITHOUT_RULES).hint(
                "start it with a network that has some: --net private, or --network NAME for one that sandboxes share",
            ));
        };
        let landlock = self.sandbox.plan.lockdown.landlock.as_ref().ok();
        let answers = self.helpers.iter().any(|helper| helper.filter_fd() >= 0);
        let later = rules.allow(lines, landlock.and_then(|landlock| landlock.tcp.as_deref()), answers)?;
        if !later.added.is_empty() {
            status.allowed(&later.added);
        }
        let names = later.names.iter().map(|(list, name)| (u16::try_from(*list).unwrap_or(u16::MAX), name.to_string()));
        let all = later.all_names.then_some(Told::AllowAll);
        let mut told: Vec<_> = Told::allow(&names.collect::<Vec<_>>()).chain(all).collect();
        let says = |helper: &mut Helper, told: &Told| {
            helper.say(told);
            helper.filter_fd() >= 0
        };
        told.retain(|told| !self.helpers.iter_mut().any(|helper| says(helper, told)));
        if !told.is_empty() {
            return Err(unanswerable());
        }
        let mut said = later.said;
        if !later.added.is_empty() {
            let line = later.rules.line_of_profile(&later.added);
            said.push(format!("that holds until this run ends; for the next one, write into its profile: {line}"));
        }
        Ok(said)
    }

    /// The network's helper has ended: what leads to the outside is ended, too. Whoever waits for an answer gets an error.
    pub(super) fn end_connections(&mut self) {
        if let Some(diag) = &self.diag {
            let _ = connections::end(diag.as_fd(), None);
        }
    }
}

/// What records refusals in the sandbox with this first process: packets by a socket of its network, and names alone if the kernel does not
/// tell of packets, which the note says.
fn recorder(first: i32, log: sys::Result<OwnedFd>, rules: Option<&PacketRules>) -> (Recorder, Option<String>) {
    let mut recorder = Recorder::new(first);
    let tells = log.map_err(|errno| Refused { what: "a socket of nfnetlink", errno }).and_then(|log| {
        rules.map_or(Ok(()), |rules| rules.log(log.as_fd()))?;
        Ok(log)
    });
    match tells {
        Ok(log) => {
            recorder.listen(log);
            (recorder, None)
        }
        Err(Refused { what, errno }) => {
            let note = format!(
                "packets that are refused are not recorded, since the kernel does not tell of them: {what}: {errno}; as root: modprobe -a \
                 nft_log nfnetlink_log; where these are no modules, a kernel with CONFIG_NFT_LOG and CONFIG_NETFILTER_NETLINK_LOG"
            );
            (recorder, Some(note))
        }
    }
}

/// What the user is told where the kernel answers all connections that are refused.
fn not_left(Refused { what, errno }: &Refused) -> String {
    // An expression that the kernel does not know is not there, where the rule itself is one that it takes.
    let fix = match errno.0 {
        libc::ENOENT | libc::EOPNOTSUPP if *what == COUNTS => {
            "; as root: modprobe nft_limit; where that is no module, a kernel with CONFIG_NFT_LIMIT"
        }
        _ => "",
    };
    format!(
        "who opens connections of TCP that are refused is not recorded, since the kernel does not leave the answer to sbx: {what}: {errno}{fix}"
    )
}

/// What answers connections that are refused: two sockets, and one for IPv6 where there is that.
fn unanswered(
    log: sys::Result<OwnedFd>,
    v4: sys::Result<OwnedFd>,
    v6: Option<OwnedFd>,
    rules: Option<&PacketRules>,
) -> std::result::Result<Unanswered, Refused> {
    let log = log.map_err(|errno| Refused { what: "a socket of nfnetlink", errno })?;
    let v4 = v4.map_err(|errno| Refused { what: "a socket that sends packets", errno })?;
    rules.map_or(Ok(()), |rules| rules.log_unanswered(log.as_fd(), v6.is_some()))?;
    Ok(Unanswered { log, next: 0, v4, v6 })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_does_not_tell_of_packets_is_said_to_be_one() {
        let (recorder, note) = recorder(1, Err(Errno(libc::EPROTONOSUPPORT)), None);
        assert!(recorder.fd() < 0 && recorder.unanswered_fd() < 0 && recorder.descriptors().next().is_none());
        let note = note.unwrap_or_default();
        let counts = not_left(&Refused { what: COUNTS, errno: Errno(libc::ENOENT) });
        assert!(counts.contains("modprobe nft_limit"), "{counts}");
        for (what, errno) in [(COUNTS, libc::ENOMEM), ("a socket that sends packets", libc::EPERM)] {
            let other = not_left(&Refused { what, errno: Errno(errno) });
            assert!(other.contains(what) && !other.contains("modprobe"), "{other}");
        }
        assert!(note.contains("are not recorded") && note.contains("modprobe -a nft_log nfnetlink_log"), "{note}");
    }
}
