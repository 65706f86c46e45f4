//! Names that are refused, while the launcher finds out who has asked for them: it is told of a bounded number, and who has asked waits no
//! longer than a moment.

use super::ask::{Asked, RefusedName, Why};
use super::client::From;
use super::message::Query;
use crate::proxy::budget::Budget;
use crate::sys;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How many wait at a time for the launcher, and how many for the user.
const MOST: usize = 32;
const MOST_ASKED: usize = 64;

/// How many are told of in a second, and how many at once after a pause.
const EACH_SECOND: u32 = 100;
const AT_ONCE: u32 = 200;

/// How long the launcher may take, and how long if it asks the user: resolv.conf(5) has resolvers wait for longer.
const PATIENCE: Duration = Duration::from_secs(3);
const PATIENCE_OF_USER: Duration = Duration::from_secs(24);

/// How long the number of those that are only counted may be out of date.
const COUNTED_EACH: Duration = Duration::from_millis(100);

/// A question that is refused, and not answered yet.
pub(super) struct Held {
    number: u32,
    pub from: From,
    pub query: Query,
    pub why: Why,
    until: Instant,
    /// The user is asked about it.
    asked: bool,
}

/// What is told of.
pub(super) struct RefusedNames {
    held: Vec<Held>,
    number: u32,
    /// How many may be told of.
    budget: Budget,
    /// How many were not told of, and how many of those the launcher knows of.
    uncounted: u64,
    known: u64,
    next_count: Instant,
}

impl RefusedNames {
    pub fn new() -> RefusedNames {
        let now = Instant::now();
        RefusedNames {
            held: Vec::new(),
            number: 0,
            budget: Budget::new(EACH_SECOND, AT_ONCE),
            uncounted: 0,
            known: 0,
            next_count: now,
        }
    }

    /// Tells the launcher of a question that is refused, and keeps it until that has answered. Gives it back if it is to be answered at
    /// once.
    pub fn tell(
        &mut self,
        launcher: BorrowedFd<'_>,
        (from, asker): (From, SocketAddr),
        query: Query,
        why: Why,
    ) -> Option<Query> {
        let now = Instant::now();
        let waiting = self.held.iter().filter(|held| !held.asked).count();
        if waiting >= MOST || !self.budget.take(now) {
            self.uncounted += 1;
            return Some(query);
        }
        let number = self.number;
        let refused = RefusedName {
            number,
            tcp: matches!(from, From::Tcp(_)),
            from: asker,
            kind: query.kind(),
            why,
            name: query.name.clone(),
        };
        // A launcher that does not read has no room for more, and must not keep others waiting.
        if sys::send_now(launcher, &Asked::Refused(refused).encode()).is_err() {
            self.uncounted += 1;
            return Some(query);
        }
        self.number = self.number.wrapping_add(1);
        self.held.push(Held { number, from, query, why, until: now + PATIENCE, asked: false });
        None
    }

    /// The user is asked about the name of this question. Gives it back if too many wait for that already.
    pub fn waits(&mut self, number: u32) -> Option<Held> {
        let full = self.held.iter().filter(|held| held.asked).count() >= MOST_ASKED;
        let at = self.held.iter().position(|held| held.number == number)?;
        if full {
            return Some(self.held.remove(at));
        }
        let held = self.held.get_mut(at)?;
        (held.until, held.asked) = (Instant::now() + PATIENCE_OF_USER, true);
        None
    }

    /// The question that the launcher has answered for.
    pub fn decided(&mut self, number: u32) -> Option<Held> {
        let at = self.held.iter().position(|held| held.number == number)?;
        Some(self.held.remove(at))
    }

    /// Those that have waited for too long.
    pub fn late(&mut self, now: Instant) -> Vec<Held> {
        self.held.extract_if(.., |held| held.until <= now).collect()
    }

    /// Tells the launcher how many were only counted, once that is due.
    pub fn count(&mut self, launcher: BorrowedFd<'_>, now: Instant) {
        if self.uncounted > self.known && now >= self.next_count {
            self.next_count = now + COUNTED_EACH;
            if sys::send_now(launcher, &Asked::Uncounted(self.uncounted).encode()).is_ok() {
                self.known = self.uncounted;
            }
        }
    }

    /// When something is due.
    pub fn until(&self) -> Option<Instant> {
        let counted = (self.uncounted > self.known).then_some(self.next_count);
        self.held.iter().map(|held| held.until).chain(counted).min()
    }
}
