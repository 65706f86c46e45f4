//! What the rules on a private network refuse, and whom: recorded for who is told of it. How much is recorded is bounded, since the program
//! decides how much is refused: the rest is counted.
//!
//! ```text
//! mod      what the supervisor has: what comes, within a budget
//! who      which process a socket belongs to
//! ```

mod who;

use super::connections::Socket;
use super::denial::{Denial, Who};
use super::denials::Denials;
use super::events::Events;
use super::rules::PacketRules;
use crate::netfilter::{self, RefusedPacket};
use crate::proxy::Budget;
use crate::proxy::names::ask::RefusedName;
use crate::spec::Protocol;
use crate::sys::{self, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
pub(super) use who::Lookups;

/// How many are recorded in a second, how many at once after a pause, and how many in all.
const EACH_SECOND: u32 = 100;
const AT_ONCE: u32 = 200;
const IN_ALL: u64 = 100_000;

/// How many messages about packets are read in one turn of the launcher's loop, and how many at the end.
const IN_A_TURN: usize = 32;
const AT_THE_END: usize = 1024;

/// How many messages are missing before the one with this number, where `next` was the number of the next one.
fn missed(next: &mut u32, number: u32) -> u64 {
    number.wrapping_sub(std::mem::replace(next, number.wrapping_add(1))).into()
}

/// How many messages are read at once.
fn most(at_the_end: bool) -> usize {
    if at_the_end { AT_THE_END } else { IN_A_TURN }
}

/// How many more there may be when reading goes on, after there were too many.
const AFTER_A_PAUSE: u32 = 20;

/// How long it is at least.
const PAUSE: Duration = Duration::from_millis(200);

/// First packets of connections of TCP that the kernel has refused and not answered: while they wait, it can be seen who has sent them.
pub(super) struct Unanswered {
    /// Tells of them.
    pub log: OwnedFd,
    /// The number of the next message.
    pub next: u32,
    /// Send packets of IPv4 and IPv6, if there is that.
    pub v4: OwnedFd,
    pub v6: Option<OwnedFd>,
}

/// Records refusals.
pub(super) struct Recorder {
    /// Tells of packets that are refused, where the kernel does.
    log: Option<OwnedFd>,
    /// Those that are answered here.
    answers: Option<Unanswered>,
    /// The number of the next message about a packet.
    next: u32,
    budget: Budget,
    /// When messages about packets are read again.
    paused: Option<Instant>,
    lookups: Lookups,
    total: Denials,
    /// How many names the forwarder has refused of which it told nothing else.
    uncounted_names: u64,
}

impl Recorder {
    /// Records what is refused in the sandbox with this first process.
    pub fn new(first: i32) -> Recorder {
        Recorder {
            log: None,
            answers: None,
            next: 0,
            budget: Budget::new(EACH_SECOND, AT_ONCE),
            paused: None,
            lookups: Lookups::new(first),
            total: Denials::default(),
            uncounted_names: 0,
        }
    }

    /// Takes the socket by which the kernel tells of packets.
    pub fn listen(&mut self, log: OwnedFd) {
        self.log = Some(log);
    }

    /// Answers connections that are refused by these.
    pub fn answer_with(&mut self, answers: Unanswered) {
        self.answers = Some(answers);
    }

    /// The descriptors that must stay open.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let answers = self.answers.iter().flat_map(|Unanswered { log, v4, v6, .. }| [log, v4].into_iter().chain(v6));
        self.log.iter().chain(answers).map(AsRawFd::as_raw_fd)
    }

    /// The descriptor that is ready to read when connections are refused that wait for an answer; negative if there is none.
    pub fn unanswered_fd(&self) -> RawFd {
        self.answers.as_ref().map_or(-1, |answers| answers.log.as_raw_fd())
    }

    /// Connections are refused that wait for an answer: they get it, whether they are recorded or not. The kernel lets no more of them come
    /// than can be answered. At the end, all that have come are recorded.
    ///
    /// # Errors
    ///
    /// The kernel tells of them no more.
    pub fn unanswered(
        &mut self,
        rules: &PacketRules,
        diag: Option<BorrowedFd<'_>>,
        at_the_end: bool,
        to: &mut dyn Events,
    ) -> Result<()> {
        let Some(mut answers) = self.answers.take() else { return Ok(()) };
        let mut seen: Vec<(RefusedPacket, Option<Who>)> = Vec::new();
        for (number, packet) in netfilter::logged(answers.log.as_fd(), most(at_the_end))? {
            self.total.add_unknown(missed(&mut answers.next, number));
            let Some(packet) = packet else {
                self.total.add_unknown(1);
                continue;
            };
            // It was sent again before it was answered.
            if seen.iter().any(|(other, _)| *other == packet) {
                continue;
            }
            let may = self.may_record();
            let socket = Socket { tcp: true, local: packet.from.into(), remote: packet.to.into() };
            let who = diag.filter(|_| may).and_then(|diag| self.lookups.who(diag, &socket));
            let by = if packet.from.0.is_ipv4() { Some(&answers.v4) } else { answers.v6.as_ref() };
            if let (Some(by), Some(reset)) = (by, netfilter::reset(&packet)) {
                // Who is not answered asks once more, and is told of again.
                let _ = sys::send_packet(by.as_fd(), &reset, packet.from.0);
            }
            match may {
                true => seen.push((packet, who)),
                false => self.total.add_unknown(1),
            }
        }
        self.answers = Some(answers);
        // Once all have their answers: who is told may take its time.
        for (packet, who) in seen {
            self.record(Denial::of_packet(&packet, who, rules.refuses_packet(&packet)), to);
        }
        Ok(())
    }

    /// The descriptor that is ready to read when packets are refused; negative if nothing is read now.
    pub fn fd(&self) -> RawFd {
        self.log.as_ref().filter(|_| self.paused.is_none()).map_or(-1, AsRawFd::as_raw_fd)
    }

    /// When reading goes on.
    pub fn next_look(&self) -> Option<Instant> {
        self.paused
    }

    /// Goes on reading once that is due.
    pub fn look(&mut self, now: Instant) {
        self.paused = self.paused.filter(|paused| *paused > now);
    }

    /// A name is refused.
    pub fn name(&mut self, name: &RefusedName, rules: &PacketRules, diag: Option<BorrowedFd<'_>>, to: &mut dyn Events) {
        if !self.may_record() {
            return self.total.add_unknown(1);
        }
        let forwarder = rules.forwarder();
        let socket = Socket { tcp: name.tcp, local: name.from, remote: forwarder };
        let who = diag.and_then(|diag| self.lookups.who(diag, &socket));
        self.record(Denial::of_name(name, who, rules.refuses_name(name)), to);
    }

    /// The forwarder has refused so many names since it was started of which it told nothing else.
    pub fn names(&mut self, count: u64) {
        self.total.add_unknown(count.saturating_sub(self.uncounted_names));
        self.uncounted_names = self.uncounted_names.max(count);
    }

    /// Packets are refused.
    ///
    /// # Errors
    ///
    /// The kernel tells of them no more.
    pub fn packets(
        &mut self,
        rules: &PacketRules,
        diag: Option<BorrowedFd<'_>>,
        at_the_end: bool,
        to: &mut dyn Events,
    ) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let logged = netfilter::logged(log.as_fd(), most(at_the_end)).inspect_err(|_| self.log = None)?;
        for (number, packet) in logged {
            self.total.add_unknown(missed(&mut self.next, number));
            if packet.is_some_and(|packet| packet.is_of_kernel()) {
                continue;
            }
            let Some(packet) = packet.filter(|_| self.may_record()) else {
                self.total.add_unknown(1);
                continue;
            };
            // A socket for TCP is gone by now: the kernel has reset it, since there were too many, or it was no first packet.
            let socket = Socket { tcp: false, local: packet.from.into(), remote: packet.to.into() };
            let udp = packet.known_protocol() == Some(Protocol::Udp);
            let who = diag.filter(|_| udp).and_then(|diag| self.lookups.who(diag, &socket));
            self.record(Denial::of_packet(&packet, who, rules.refuses_packet(&packet)), to);
        }
        Ok(())
    }

    /// What was refused in all.
    pub fn total(&self) -> &Denials {
        &self.total
    }

    fn may_record(&mut self) -> bool {
        let now = Instant::now();
        let may = self.total.count - self.total.only_counted < IN_ALL && self.budget.take(now);
        if !may && self.paused.is_none() {
            self.paused = Some(now + self.budget.until(AFTER_A_PAUSE).max(PAUSE));
        }
        may
    }

    fn record(&mut self, refusal: Denial, to: &mut dyn Events) {
        self.total.add(&refusal);
        to.refused(&refusal);
    }
}
