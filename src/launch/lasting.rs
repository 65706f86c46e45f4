//! How long packets are let through to addresses of names: an address that several names have stays for the longest of what was told for it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The most addresses that are kept in mind: no set holds more that last.
const MOST: usize = 8192;

/// Until when packets to an address are let through by a list.
#[derive(Default)]
pub(super) struct Lasting(BTreeMap<(u16, IpAddr), Instant>);

impl Lasting {
    /// How long packets to these addresses are to be let through by a list: for as long as it is asked, and no shorter than they are already.
    pub fn by(&self, list: u16, addresses: &[(IpAddr, Duration)], now: Instant) -> Vec<(IpAddr, Duration)> {
        let left = |address: &IpAddr| {
            self.0.get(&(list, *address)).map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
        };
        addresses.iter().map(|(address, lifetime)| (*address, left(address).max(*lifetime))).collect()
    }

    /// They are let through.
    pub fn add(&mut self, list: u16, addresses: &[(IpAddr, Duration)], now: Instant) {
        if self.0.len() + addresses.len() > MOST {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() + addresses.len() <= MOST {
            self.0.extend(addresses.iter().map(|(address, lifetime)| ((list, *address), now + *lifetime)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays_for_the_longest_time_that_was_told_for_it() {
        let seconds = Duration::from_secs;
        let now = Instant::now();
        let (one, two): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut lasting = Lasting::default();
        lasting.add(0, &[(one, seconds(3600))], now);
        let later = now + seconds(600);
        assert_eq!(
            lasting.by(0, &[(one, seconds(60)), (two, seconds(60))], later),
            [(one, seconds(3000)), (two, seconds(60))]
        );
        assert_eq!(lasting.by(0, &[(one, seconds(3600))], later), [(one, seconds(3600))]);
        // By another list, it is another matter; and what is over is over.
        assert_eq!(lasting.by(1, &[(one, seconds(60))], later), [(one, seconds(60))]);
        assert_eq!(lasting.by(0, &[(one, seconds(60))], now + seconds(7200)), [(one, seconds(60))]);
    }

    #[test]
    fn no_more_is_kept_than_lasts_and_than_there_is_room_for() {
        let now = Instant::now();
        let address = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        let many: Vec<_> = (0..MOST).map(|number| (address(number), Duration::from_secs(60))).collect();
        let mut lasting = Lasting::default();
        lasting.add(0, &many, now);
        lasting.add(1, &many[..1], now);
        assert_eq!(lasting.0.len(), MOST);
        lasting.add(1, &many[..1], now + Duration::from_secs(61));
        assert_eq!(lasting.0.len(), 1);
    }
}
