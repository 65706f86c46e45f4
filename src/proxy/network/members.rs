//! Who is in a network.

use super::message::{Known, MOST_ADDRESSES, MOST_NAMES, Member, is_name};
use crate::spec::Subnet;
use std::net::Ipv4Addr;

/// The most sandboxes in a network: each takes descriptors.
const MOST: usize = 400;

/// The sandboxes of a network, by numbers that no other one has had.
#[derive(Debug)]
pub(super) struct Members {
    /// The network's name, which names of machines in it may end with.
    zone: String,
    subnet: Subnet,
    gateway: Ipv4Addr,
    all: Vec<(u64, Member)>,
    /// The number of the machine that got the last address. One that was given back is given out late: its network may not be gone yet.
    last: u32,
    counted: u64,
}

impl Members {
    pub fn new(zone: &str, subnet: Subnet, gateway: Ipv4Addr) -> Members {
        Members { zone: zone.to_ascii_lowercase(), subnet, gateway, all: Vec::new(), last: 0, counted: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.all.iter().map(|(_, member)| member)
    }

    /// Adds a sandbox with these names. Gives its number and its address, or why it cannot be added.
    pub fn add(&mut self, names: Vec<String>, pid: i32) -> Result<(u64, Ipv4Addr), String> {
        if names.len() > MOST_NAMES || !names.iter().all(|name| is_name(name)) {
            return Err("it has names that no machine can have, or too many".into());
        }
        let machines = self.subnet.machines();
        let numbers = (self.last + 1..=machines).chain(1..=self.last);
        let free = |address: &Ipv4Addr| *address != self.gateway && self.all().all(|member| member.address != *address);
        let found = numbers
            .filter_map(|number| Some((number, self.subnet.machine(number)?)))
            .find(|(_, address)| free(address));
        let Some((number, address)) = found.filter(|_| self.all.len() < MOST) else {
            return Err(format!("the network has no address left: {} sandboxes are in it", self.all.len()));
        };
        self.last = number;
        self.counted += 1;
        let names = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        self.all.push((self.counted, Member { address, names, pid }));
        Ok((self.counted, address))
    }

    pub fn remove(&mut self, number: u64) {
        self.all.retain(|(other, _)| *other != number);
    }

    /// What is known of a name: those who have it, also with the network's name behind it.
    pub fn known(&self, name: &str) -> Known {
        let name = name.to_ascii_lowercase();
        let with = |name: &str| -> Vec<Ipv4Addr> {
            let has = |member: &&Member| member.names.iter().any(|own| own == name);
            self.all().filter(has).map(|member| member.address).take(MOST_ADDRESSES).collect()
        };
        let plain = with(&name);
        if !plain.is_empty() {
            return Some(plain);
        }
        let below = name.strip_suffix(self.zone.as_str()).and_then(|rest| rest.strip_suffix('.'));
        below.map(with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(subnet: &str) -> Members {
        let subnet: Subnet = subnet.parse().unwrap();
        Members::new("net", subnet, subnet.machine(1).unwrap())
    }

    #[test]
    fn addresses_are_given_in_turn_and_never_twice_at_a_time() {
        let mut members = members("10.89.0.0/29");
        let add = |members: &mut Members| {
            members.add(vec!["web".into()], 1).map(|(number, address)| (number, address.octets()[3]))
        };
        let got: Vec<_> = (0..5).map(|_| add(&mut members).unwrap().1).collect();
        assert_eq!(got, [2, 3, 4, 5, 6]);
        assert!(add(&mut members).is_err());
        members.remove(2);
        assert_eq!(add(&mut members), Ok((6, 3)));
        members.remove(1);
        members.remove(6);
        // The one that was given back last comes last.
        assert_eq!(add(&mut members), Ok((7, 2)));
    }

    #[test]
    fn names_are_found_with_and_without_that_of_the_network() {
        let mut members = members("10.89.0.0/24");
        let (_, first) = members.add(vec!["Web".into(), "a.b".into()], 1).unwrap();
        let (number, second) = members.add(vec!["web".into()], 2).unwrap();
        assert_eq!(members.known("WEB"), Some(vec![first, second]));
        assert_eq!(members.known("web.net"), Some(vec![first, second]));
        assert_eq!(members.known("a.b.net"), Some(vec![first]));
        assert_eq!(members.known("other.net"), Some(Vec::new()));
        for name in ["other", "net", "webnet", "web.net.example", ""] {
            assert_eq!(members.known(name), None, "{name}");
        }
        members.remove(number);
        assert_eq!(members.known("web"), Some(vec![first]));
        assert!(members.add(vec!["a b".into()], 1).is_err());
    }
}
