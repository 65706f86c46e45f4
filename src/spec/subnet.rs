//! The addresses of a network that several sandboxes share.

use super::addresses::{AddressClass, Addresses};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A family of addresses, and which of them such a network may have.
pub trait Address: 'static + Copy + Ord + fmt::Display + FromStr + Into<IpAddr> {
    /// How many bits an address has.
    const BITS: u8;
    /// The family.
    const FAMILY: &'static str;
    /// A network, as it is written.
    const EXAMPLE: &'static str;
    /// The prefixes that such a network may have.
    const PREFIXES: RangeInclusive<u8>;
    /// Networks that nobody reaches by the Internet, in one of which it lies.
    const PRIVATE: &'static [Subnet<Self>];
    /// The same as a noun, for `is none of` and `is not in`.
    const IN_PRIVATE: &'static str;
    /// Whether a network's last address is that of all of its machines.
    const HAS_BROADCAST: bool;

    /// The address as a number.
    fn number(self) -> u128;
    /// The address that is a number's last bits.
    fn of(number: u128) -> Self;
}

impl Address for Ipv4Addr {
    const BITS: u8 = 32;
    const FAMILY: &'static str = "IPv4";
    const EXAMPLE: &'static str = "10.90.0.0/24";
    /// The longest one has six addresses for others than the network itself.
    const PREFIXES: RangeInclusive<u8> = 8..=29;
    /// RFC 1918.
    const PRIVATE: &'static [Subnet] = &[
        Subnet { address: Ipv4Addr::new(10, 0, 0, 0), prefix: 8 },
        Subnet { address: Ipv4Addr::new(172, 16, 0, 0), prefix: 12 },
        Subnet { address: Ipv4Addr::new(192, 168, 0, 0), prefix: 16 },
    ];
    const IN_PRIVATE: &'static str = "is none of the private networks 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16";
    const HAS_BROADCAST: bool = true;

    fn number(self) -> u128 {
        u32::from(self).into()
    }

    fn of(number: u128) -> Ipv4Addr {
        let [.., a, b, c, d] = number.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    }
}

impl Address for Ipv6Addr {
    const BITS: u8 = 128;
    const FAMILY: &'static str = "IPv6";
    const EXAMPLE: &'static str = "fd12:3456:789a::/64";
    const PREFIXES: RangeInclusive<u8> = 16..=120;
    /// RFC 4193: those that anybody gives out.
    const PRIVATE: &'static [Subnet6] = &[Subnet { address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), prefix: 8 }];
    const IN_PRIVATE: &'static str = "is not in fd00::/8, which is for private networks";
    const HAS_BROADCAST: bool = false;

    fn number(self) -> u128 {
        self.into()
    }

    fn of(number: u128) -> Ipv6Addr {
        number.into()
    }
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet<A = Ipv4Addr> {
    address: A,
    prefix: u8,
}

/// Addresses of IPv6 that begin with the same bits.
pub type Subnet6 = Subnet<Ipv6Addr>;

/// The addresses of IPv6 of a network that has some, besides those of IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range6 {
    /// The addresses.
    pub subnet: Subnet6,
    /// The one by which the outside is reached.
    pub gateway: Ipv6Addr,
}

/// All addresses of such a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnets {
    /// Those of IPv4.
    pub v4: Subnet,
    /// Those of IPv6, if it has some.
    pub v6: Option<Subnet6>,
}

impl Range6 {
    /// How many bits name the part whose addresses sandboxes get: 511 machines are in it.
    const GIVEN: u8 = 119;

    /// The part of it whose addresses sandboxes get. Nothing is sent to others: each would take a place in the one table of neighbours that
    /// the kernel has for all networks of the host, those of the host itself among them, and it holds a thousand by default.
    pub fn given(self) -> Subnet6 {
        given(self.subnet)
    }
}

fn given(subnet: Subnet6) -> Subnet6 {
    Subnet::around(subnet.first(), subnet.prefix().max(Range6::GIVEN))
}

impl Subnets {
    /// The addresses that sandboxes may have, of both families.
    pub fn given(self) -> Addresses {
        Subnets { v4: self.v4, v6: self.v6.map(given) }.addresses()
    }

    /// The addresses of both families.
    pub fn addresses(self) -> Addresses {
        let v6 = self.v6.map(Subnet::addresses).unwrap_or_default();
        self.v4.addresses().and(&v6)
    }
}

impl fmt::Display for Subnets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.v4.fmt(f)?;
        self.v6.map_or(Ok(()), |v6| write!(f, " and {v6}"))
    }
}

impl Serialize for Subnets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The addresses of a sandbox in such a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnAddresses {
    /// The one of IPv4.
    pub v4: Ipv4Addr,
    /// The one of IPv6, if the network has some.
    pub v6: Option<Ipv6Addr>,
}

impl<A: Address> Subnet<A> {
    /// The network that an address lies in, if as many bits name it.
    pub fn around(address: A, prefix: u8) -> Subnet<A> {
        let prefix = prefix.min(A::BITS);
        Subnet { address: A::of(address.number() & !rest::<A>(prefix)), prefix }
    }

    /// How many bits name it.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The address that stands for all of it, and has no machine.
    pub fn first(self) -> A {
        self.address
    }

    /// The last address. Of IPv4, all machines have it besides their own.
    pub fn last(self) -> A {
        A::of(self.address.number() | rest::<A>(self.prefix))
    }

    /// Whether it has an address that a machine may have.
    pub fn has_machine(self, address: A) -> bool {
        let of_all = A::HAS_BROADCAST && address == self.last();
        Subnet::around(address, self.prefix) == self && address != self.first() && !of_all
    }

    /// Whether an address belongs to both.
    pub fn meets(self, other: Subnet<A>) -> bool {
        let prefix = self.prefix.min(other.prefix);
        Subnet::around(self.address, prefix) == Subnet::around(other.address, prefix)
    }

    /// The address of a machine, by its number from 1 on; none if it has not so many.
    pub fn machine(self, number: u32) -> Option<A> {
        let address = A::of(self.address.number().checked_add(number.into())?);
        self.has_machine(address).then_some(address)
    }

    /// How many machines it has addresses for, as far as they have numbers.
    pub fn machines(self) -> u32 {
        let all = rest::<A>(self.prefix).saturating_sub(A::HAS_BROADCAST.into());
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// All of its addresses.
    pub fn addresses(self) -> Addresses {
        Addresses::network(self.address.into(), self.prefix).unwrap_or_default()
    }
}

/// The bits of an address that do not name its network.
fn rest<A: Address>(prefix: u8) -> u128 {
    u128::MAX.checked_shr(u32::from(128 - A::BITS.min(128) + prefix.min(A::BITS))).unwrap_or(0)
}

impl<A: fmt::Display> fmt::Display for Subnet<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl<A: Address> FromStr for Subnet<A> {
    type Err = String;

    fn from_str(text: &str) -> Result<Subnet<A>, String> {
        let shape =
            || format!("`{text}` is no network of {} with the number of its bits, as {} is", A::FAMILY, A::EXAMPLE);
        let (address, prefix) = text.split_once('/').ok_or_else(shape)?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let address: A = address.parse().map_err(|_| shape())?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| digits && *prefix <= A::BITS).ok_or_else(shape)?;
        let subnet = Subnet::around(address, prefix);
        if !A::PREFIXES.contains(&prefix) {
            let (least, most) = (A::PREFIXES.start().to_owned(), A::PREFIXES.end().to_owned());
            return Err(format!("`{text}`: the number of bits is from {least} to {most}"));
        }
        if subnet.address != address {
            return Err(format!("`{text}` is a machine in {subnet}"));
        }
        if !A::PRIVATE.iter().any(|private| private.prefix <= prefix && private.meets(subnet)) {
            return Err(format!("`{text}` {}", A::IN_PRIVATE));
        }
        if AddressClass::Metadata.addresses().meets(&subnet.addresses()) {
            return Err(format!("`{text}` has addresses at which clouds tell a machine its secrets"));
        }
        Ok(subnet)
    }
}

impl<A: Address> Serialize for Subnet<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, A: Address> Deserialize<'de> for Subnet<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Subnet<A>, D::Error> {
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
    fn networks_of_ipv6_are_those_that_anybody_gives_out() {
        for text in ["fd12:3456:789a::/64", "fd12::/16", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120"] {
            assert_eq!(text.parse::<Subnet6>().map(|subnet| subnet.to_string()), Ok(text.to_owned()));
        }
        for (text, why) in [
            ("10.0.0.0/24", "no network of IPv6"),
            ("fd12::", "no network of IPv6"),
            ("fd12::/129", "no network of IPv6"),
            ("fd12::/121", "from 16 to 120"),
            ("fd00::/8", "from 16 to 120"),
            ("fd12::1/64", "is a machine in fd12::/64"),
            ("fc12::/64", "is not in fd00::/8"),
            ("2001:db8::/64", "is not in fd00::/8"),
            ("::ffff:10.0.0.0/112", "is not in fd00::/8"),
            ("fe80::/64", "is not in fd00::/8"),
            ("fd00:ec2::/64", "clouds"),
            ("fd20::/16", "clouds"),
        ] {
            let refused = text.parse::<Subnet6>().unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn machines_of_ipv6_have_the_last_address_too() {
        let subnet: Subnet6 = "fd12::100/120".parse().unwrap();
        assert_eq!(subnet.machines(), 255);
        assert_eq!(subnet.machine(1), Some("fd12::101".parse().unwrap()));
        assert_eq!(subnet.machine(255), Some(subnet.last()));
        assert!(subnet.machine(256).is_none() && subnet.machine(0).is_none());
        let whole: Subnet6 = "fd12::/64".parse().unwrap();
        assert_eq!((whole.machines(), whole.machine(u32::MAX)), (u32::MAX, Some("fd12::ffff:ffff".parse().unwrap())));
        assert!(whole.meets(subnet) && !whole.meets("fd12:0:0:1::/64".parse().unwrap()));
        assert!(whole.addresses().contains("fd12::ffff:ffff:ffff:ffff".parse().unwrap()));
    }

    #[test]
    fn machines_lie_between_the_first_address_and_the_last() {
        let subnet: Subnet = "10.89.0.8/29".parse().unwrap();
        let machines: Vec<_> = (1..).map_while(|number| subnet.machine(number)).collect();
        assert_eq!(machines.len() as u32, subnet.machines());
        assert_eq!(machines.first(), Some(&Ipv4Addr::new(10, 89, 0, 9)));
        assert_eq!(machines.last(), Some(&Ipv4Addr::new(10, 89, 0, 14)));
        assert!(!subnet.has_machine(subnet.first()) && !subnet.has_machine(subnet.last()));
        assert!(!subnet.has_machine(Ipv4Addr::new(10, 89, 0, 17)) && subnet.machine(u32::MAX).is_none());
        let meets = |other: &str| subnet.meets(other.parse().unwrap());
        assert!(meets("10.0.0.0/8") && meets("10.89.0.8/29") && !meets("10.89.0.16/29") && !meets("192.168.0.0/16"));
    }
}
