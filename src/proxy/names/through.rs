//! Addresses that packets are let through to, as the launcher has said: it is not asked for each of many questions for a name.

use super::ask::{Became, Wanted};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How much longer packets are let through than a program is told: the launcher is not asked again for as long.
const SPARE: Duration = Duration::from_secs(5);

/// The most addresses that are kept in mind.
const MOST: usize = 1024;

/// The addresses, each with the lists by whose rules, and until when.
#[derive(Default)]
pub(super) struct Through(HashMap<IpAddr, (Vec<u16>, Instant)>);

impl Through {
    /// Whether packets to all of these addresses are let through for as long, by all of these lists.
    pub fn has(&self, wanted: &Wanted, now: Instant) -> bool {
        let lasts = |(address, lifetime): &(IpAddr, Duration)| match self.0.get(address) {
            Some((lists, until)) => *lists == wanted.lists && now + *lifetime <= *until,
            None => false,
        };
        wanted.addresses.iter().all(lasts)
    }

    /// What the launcher is asked for.
    pub fn with_spare(wanted: &Wanted) -> Wanted {
        let addresses = wanted.addresses.iter().map(|(address, lifetime)| (*address, *lifetime + SPARE));
        Wanted { lists: wanted.lists.clone(), addresses: addresses.collect() }
    }

    /// Keeps in mind what became of it; `asked` is when the launcher was asked.
    pub fn add(&mut self, wanted: &Wanted, became: &[Became], asked: Instant) {
        if self.0.len() + wanted.addresses.len() > MOST {
            self.0.clear();
        }
        let reached = wanted.addresses.iter().zip(became).filter(|(_, became)| **became == Became::Reached);
        self.0.extend(
            reached.map(|((address, lifetime), _)| (*address, (wanted.lists.clone(), asked + *lifetime + SPARE))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_is_not_asked_for_what_lasts_long_enough() {
        let wanted = |lists: &[u16], last: u8, seconds: u64| Wanted {
            lists: lists.to_vec(),
            addresses: vec![([192, 0, 2, last].into(), Duration::from_secs(seconds))],
        };
        let now = Instant::now();
        let mut through = Through::default();
        let first = wanted(&[1], 1, 60);
        assert!(!through.has(&first, now));
        assert_eq!(Through::with_spare(&first), wanted(&[1], 1, 65));
        through.add(&first, &[Became::Reached], now);
        through.add(&wanted(&[1], 2, 60), &[Became::Refused], now);
        assert!(through.has(&first, now + SPARE));
        // Too late, for longer, by other rules, and another address.
        assert!(!through.has(&first, now + SPARE + Duration::from_millis(1)));
        for other in [wanted(&[1], 1, 66), wanted(&[2], 1, 60), wanted(&[1, 2], 1, 60), wanted(&[1], 2, 60)] {
            assert!(!through.has(&other, now), "{other:?}");
        }
        for round in 0..2 * MOST {
            let [high, low] = u16::try_from(round).unwrap().to_be_bytes();
            let one = Wanted { lists: vec![1], addresses: vec![([198, 51, high, low].into(), SPARE)] };
            through.add(&one, &[Became::Reached], now);
            assert!(through.has(&one, now) && through.0.len() <= MOST);
        }
    }
}
