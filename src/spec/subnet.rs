//! The addresses of a network that several sandboxes share.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Networks that nobody reaches by the Internet: RFC 1918.
const PRIVATE: [Subnet; 3] = [
    Subnet { address: Ipv4Addr::new(10, 0, 0, 0), prefix: 8 },
    Subnet { address: Ipv4Addr::new(172, 16, 0, 0), prefix: 12 },
    Subnet { address: Ipv4Addr::new(192, 168, 0, 0), prefix: 16 },
];

/// The prefixes that such a network may have: the longest one has six addresses for others than itself.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=29;

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    address: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// The network that an address lies in, if as many bits name it.
    pub fn around(address: Ipv4Addr, prefix: u8) -> Subnet {
        let prefix = prefix.min(32);
        Subnet { address: Ipv4Addr::from(u32::from(address) & mask(prefix)), prefix }
    }

    /// How many bits name it.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The address that stands for all of it, and has no machine.
    pub fn first(self) -> Ipv4Addr {
        self.address
    }

    /// The address that all machines of it have besides their own.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) | !mask(self.prefix))
    }

    /// Whether it has an address that a machine may have.
    pub fn has_machine(self, address: Ipv4Addr) -> bool {
        Subnet::around(address, self.prefix) == self && address != self.first() && address != self.broadcast()
    }

    /// Whether an address belongs to both.
    pub fn meets(self, other: Subnet) -> bool {
        let prefix = self.prefix.min(other.prefix);
        Subnet::around(self.address, prefix) == Subnet::around(other.address, prefix)
    }

    /// The address of a machine, by its number from 1 on; none if it has not so many.
    pub fn machine(self, number: u32) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from(u32::from(self.address).checked_add(number)?);
        self.has_machine(address).then_some(address)
    }

    /// How many machines it has addresses for.
    pub fn machines(self) -> u32 {
        (!mask(self.prefix)).saturating_sub(1)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Subnet, String> {
        let shape = || format!("`{text}` is no network of IPv4 with the number of its bits, as 10.90.0.0/24 is");
        let (address, prefix) = text.split_once('/').ok_or_else(shape)?;
        if address.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(format!("`{text}` is a network of IPv6, and networks of sandboxes have addresses of IPv4"));
        }
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let address: Ipv4Addr = address.parse().map_err(|_| shape())?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| digits && *prefix <= 32).ok_or_else(shape)?;
        let subnet = Subnet::around(address, prefix);
        if !PREFIXES.contains(&prefix) {
            return Err(format!("`{text}`: the number of bits is from {} to {}", PREFIXES.start(), PREFIXES.end()));
        }
        if subnet.address != address {
            return Err(format!("`{text}` is a machine in {subnet}"));
        }
        if !PRIVATE.iter().any(|private| private.prefix <= prefix && private.meets(subnet)) {
            return Err(format!(
                "`{text}` is none of the private networks 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16"
            ));
        }
        Ok(subnet)
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Subnet, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_read_and_others_are_not() {
        for text in ["10.89.0.0/24", "172.16.0.0/12", "192.168.1.0/29", "10.0.0.0/8"] {
            assert_eq!(text.parse::<Subnet>().map(|subnet| subnet.to_string()), Ok(text.to_owned()));
        }
        let wrong = [
            "",
            "10.0.0.0",
            "10.0.0.1/24",
            "10.0.0.0/30",
            "0.0.0.0/0",
            "203.0.113.0/24",
            "fd00::/64",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
        ];
        for text in wrong.into_iter().chain(["172.0.0.0/8", "172.32.0.0/16", "10.0.0.0/33", "a/24", "127.0.0.0/8"]) {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn machines_lie_between_the_first_address_and_the_last() {
        let subnet: Subnet = "10.89.0.8/29".parse().unwrap();
        let machines: Vec<_> = (1..).map_while(|number| subnet.machine(number)).collect();
        assert_eq!(machines.len() as u32, subnet.machines());
        assert_eq!(machines.first(), Some(&Ipv4Addr::new(10, 89, 0, 9)));
        assert_eq!(machines.last(), Some(&Ipv4Addr::new(10, 89, 0, 14)));
        assert!(!subnet.has_machine(subnet.first()) && !subnet.has_machine(subnet.broadcast()));
        assert!(!subnet.has_machine(Ipv4Addr::new(10, 89, 0, 17)) && subnet.machine(u32::MAX).is_none());
        let meets = |other: &str| subnet.meets(other.parse().unwrap());
        assert!(meets("10.0.0.0/8") && meets("10.89.0.8/29") && !meets("10.89.0.16/29") && !meets("192.168.0.0/16"));
    }
}
