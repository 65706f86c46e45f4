//! Who is in a network.

use super::message::{Known, MOST_ADDRESSES, MOST_NAMES, Member, is_name};
use crate::spec::{OwnAddresses, Range6, Subnet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most sandboxes in a network: each takes descriptors.
const MOST: usize = 400;

/// The sandboxes of a network, by numbers that no other one has had.
#[derive(Debug)]
pub(super) struct Members {
    /// The network's name, which names of machines in it may end with.
    zone: String,
    subnet: Subnet,
    gateway: Ipv4Addr,
    v6: Option<Range6>,
    all: Vec<(u64, Member)>,
    /// The number of the machine that got the last address. One that was given back is given out late: its network may not be gone yet.
    last: u32,
    counted: u64,
}

impl Members {
    pub fn new(zone: &str, subnet: Subnet, gateway: Ipv4Addr, v6: Option<Range6>) -> Members {
        Members { zone: zone.to_ascii_lowercase(), subnet, gateway, v6, all: Vec::new(), last: 0, counted: 0 }
    }

    /// Whether they have addresses of IPv6.
    pub fn have_v6(&self) -> bool {
        self.v6.is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.all.iter().map(|(_, member)| member)
    }

    /// Adds a sandbox with these names, and with this address of IPv6, if one is named. Gives its number and its addresses, or why it
    /// cannot be added.
    pub fn add(
        &mut self,
        names: Vec<String>,
        pid: i32,
        wanted: Option<Ipv6Addr>,
    ) -> Result<(u64, OwnAddresses), String> {
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
        let address6 = self.v6.map(|range| self.free6(range, number, wanted)).transpose()?;
        self.last = number;
        self.counted += 1;
        let names = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        self.all.push((self.counted, Member { address, address6, names, pid }));
        Ok((self.counted, OwnAddresses { v4: address, v6: address6 }))
    }

    /// The address of IPv6 of the machine with this number, or another one if somebody has asked for that; or the one that is wanted.
    fn free6(&self, range: Range6, number: u32, wanted: Option<Ipv6Addr>) -> Result<Ipv6Addr, String> {
        let (subnet, gateway) = (range.given(), range.gateway);
        let free =
            |address: &Ipv6Addr| *address != gateway && self.all().all(|member| member.address6 != Some(*address));
        match wanted {
            Some(wanted) if !subnet.has_machine(wanted) => {
                Err(format!("{wanted} is no machine's address of {subnet}, which its sandboxes have addresses of"))
            }
            Some(wanted) if wanted == gateway => {
                Err(format!("{wanted} is the address by which the outside is reached from it"))
            }
            Some(wanted) if !free(&wanted) => Err(format!("another sandbox in it has the address {wanted}")),
            Some(wanted) => Ok(wanted),
            None => {
                let mut all = std::iter::once(number).chain(1..=subnet.machines());
                all.find_map(|number| subnet.machine(number).filter(free))
                    .ok_or_else(|| format!("the network has no address of IPv6 left: {subnet} has no more"))
            }
        }
    }

    /// Says that this process is the launcher of a sandbox.
    pub fn launched_by(&mut self, number: u64, pid: i32) {
        self.all.iter_mut().filter(|(other, _)| *other == number).for_each(|(_, member)| member.pid = pid);
    }

    pub fn remove(&mut self, number: u64) {
        self.all.retain(|(other, _)| *other != number);
    }

    /// What is known of a name: those who have it, also with the network's name behind it.
    pub fn known(&self, name: &str) -> Known {
        let name = name.to_ascii_lowercase();
        let with = |name: &str| -> Vec<IpAddr> {
            let has = |member: &&Member| member.names.iter().any(|own| own == name);
            let found: Vec<_> = self.all().filter(has).take(MOST_ADDRESSES).collect();
            let v4 = found.iter().map(|member| IpAddr::V4(member.address));
            v4.chain(found.iter().filter_map(|member| member.address6).map(IpAddr::V6)).collect()
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
        Members::new("net", subnet, subnet.machine(1).unwrap(), None)
    }

    #[test]
    fn addresses_are_given_in_turn_and_never_twice_at_a_time() {
        let mut members = members("10.89.0.0/29");
        let add = |members: &mut Members| {
            members.add(vec!["web".into()], 1, None).map(|(number, own)| (number, own.v4.octets()[3]))
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
        let (_, first) = members.add(vec!["Web".into(), "a.b".into()], 1, None).unwrap();
        let (number, second) = members.add(vec!["web".into()], 2, None).unwrap();
        let (first, second) = (IpAddr::V4(first.v4), IpAddr::V4(second.v4));
        assert_eq!(members.known("WEB"), Some(vec![first, second]));
        assert_eq!(members.known("web.net"), Some(vec![first, second]));
        assert_eq!(members.known("a.b.net"), Some(vec![first]));
        assert_eq!(members.known("other.net"), Some(Vec::new()));
        for name in ["other", "net", "webnet", "web.net.example", ""] {
            assert_eq!(members.known(name), None, "{name}");
        }
        members.launched_by(number, 7);
        assert_eq!(members.all().map(|member| member.pid).collect::<Vec<_>>(), [1, 7]);
        members.remove(number);
        assert_eq!(members.known("web"), Some(vec![first]));
        assert!(members.add(vec!["a b".into()], 1, None).is_err());
    }

    #[test]
    fn addresses_of_ipv6_are_those_of_the_same_numbers_unless_somebody_has_asked_for_them() {
        let range = Range6 { subnet: "fd12::/120".parse().unwrap(), gateway: "fd12::1".parse().unwrap() };
        let mut members = Members { v6: Some(range), ..members("10.89.0.0/24") };
        let mut add = |wanted: Option<&str>| {
            let added = members.add(vec!["web".into()], 1, wanted.map(|wanted| wanted.parse().unwrap()));
            added.map(|(_, own)| (own.v4.octets()[3], own.v6.unwrap().to_string()))
        };
        assert_eq!(add(None), Ok((2, "fd12::2".into())));
        assert_eq!(add(Some("fd12::4")), Ok((3, "fd12::4".into())));
        assert_eq!(add(None), Ok((4, "fd12::3".into())));
        assert_eq!(add(None), Ok((5, "fd12::5".into())));
        for (wanted, why) in [
            ("fd12::4", "another sandbox in it has"),
            ("fd12::1", "by which the outside is reached"),
            ("fd12::", "no machine's address of fd12::/120"),
            ("fd13::2", "no machine's address of fd12::/120"),
        ] {
            assert!(add(Some(wanted)).unwrap_err().contains(why), "{wanted}");
        }
        let found: Vec<_> = members.known("web.net").unwrap().iter().map(IpAddr::to_string).collect();
        let expected = ["10.89.0.2", "10.89.0.3", "10.89.0.4", "10.89.0.5", "fd12::2", "fd12::4", "fd12::3", "fd12::5"];
        assert_eq!(found, expected);
        // One that cannot be added takes nothing.
        assert_eq!(members.all.len(), 4);
    }

    #[test]
    fn a_network_of_ipv6_that_is_smaller_than_the_other_one_may_be_full_first() {
        let range = Range6 { subnet: "fd12::/120".parse().unwrap(), gateway: "fd12::1".parse().unwrap() };
        let mut members = Members { v6: Some(range), ..members("10.89.0.0/16") };
        for _ in 0..254 {
            assert!(members.add(Vec::new(), 1, None).is_ok());
        }
        let full = members.add(Vec::new(), 1, None).unwrap_err();
        assert!(full.contains("no address of IPv6 left"), "{full}");
    }
}
