//! What the rules on a private network refuse, and whom: recorded for who is told of it. How much is recorded is bounded, since the program
//! decides how much is refused: the rest is counted.
//!
//! ```text
//! mod      what the supervisor has: what comes, within a budget
//! who      which process a socket belongs to
//! ```

mod who;

use super::connections::Socket;
use super::denial::Denial;
use super::denials::Denials;
use super::events::Events;
use super::rules::PacketRules;
use crate::netfilter;
use crate::proxy::Budget;
use crate::proxy::names::ask::RefusedName;
use crate::spec::Protocol;
use crate::sys::Result;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
use who::Lookups;

/// How many are recorded in a second, how many at once after a pause, and how many in all.
const EACH_SECOND: u32 = 100;
const AT_ONCE: u32 = 200;
const IN_ALL: u64 = 100_000;

/// How many messages about packets are read in one turn of the launcher's loop, and how many at the end.
const IN_A_TURN: usize = 32;
const AT_THE_END: usize = 1024;

/// How many more there may be when reading goes on, after there were too many.
const AFTER_A_PAUSE: u32 = 20;

/// How long it is at least.
const PAUSE: Duration = Duration::from_millis(200);

/// Records refusals.
pub(super) struct Recorder {
    /// Tells of packets that are refused, where the kernel does.
    log: Option<OwnedFd>,
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

    /// The descriptor that must stay open.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.log.as_ref().map(AsRawFd::as_raw_fd)
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
        let most = if at_the_end { AT_THE_END } else { IN_A_TURN };
        let logged = netfilter::logged(log.as_fd(), most).inspect_err(|_| self.log = None)?;
        for (number, packet) in logged {
            self.total.add_unknown(number.wrapping_sub(self.next).into());
            self.next = number.wrapping_add(1);
            if packet.is_some_and(|packet| packet.is_of_kernel()) {
                continue;
            }
            let Some(packet) = packet.filter(|_| self.may_record()) else {
                self.total.add_unknown(1);
                continue;
            };
            // A socket for TCP is gone by now: the kernel has reset it.
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
