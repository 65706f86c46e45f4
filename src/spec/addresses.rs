//! Sets of IP addresses, and the classes of addresses that have a word in `network.allow` and `network.deny`.

use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A set of numbers as ranges: in order, and with a gap between two of them. The addresses of one family are such numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// The set of the numbers in these ranges, whose ends belong to them.
    pub fn new(ranges: impl IntoIterator<Item = (u128, u128)>) -> Ranges {
        let mut all: Vec<_> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        all.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged)
    }

    /// The ranges.
    pub fn ranges(&self) -> &[(u128, u128)] {
        &self.0
    }

    fn contains(&self, number: u128) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    fn without(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::new();
        for (first, last) in &self.0 {
            let mut next = Some(*first);
            for (from, to) in other.0.iter().filter(|(from, to)| from <= last && to >= first) {
                if let Some(begin) = next
                    && begin < *from
                {
                    left.push((begin, from - 1));
                }
                next = to.checked_add(1);
            }
            left.extend(next.filter(|begin| begin <= last).map(|begin| (begin, *last)));
        }
        Ranges(left)
    }

    fn covers(&self, other: &Ranges) -> bool {
        other.without(self).0.is_empty()
    }
}

/// A set of IP addresses of both families.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// Those of IPv4, as numbers of 32 bits.
    pub v4: Ranges,
    /// Those of IPv6, as numbers of 128 bits.
    pub v6: Ranges,
}

impl Addresses {
    /// All addresses.
    pub fn all() -> Addresses {
        Addresses { v4: Ranges(vec![(0, u32::MAX.into())]), v6: Ranges(vec![(0, u128::MAX)]) }
    }

    /// The addresses of a network, given by one of them and the length of its prefix; none if that is longer than an address.
    pub fn network(address: IpAddr, prefix: u8) -> Option<Addresses> {
        let (number, bits) = number(address);
        let host = match bits.checked_sub(prefix)? {
            128 => u128::MAX,
            free => (1 << free) - 1,
        };
        let range = Ranges(vec![(number & !host, number | host)]);
        Some(match address {
            IpAddr::V4(_) => Addresses { v4: range, v6: Ranges::default() },
            IpAddr::V6(_) => Addresses { v4: Ranges::default(), v6: range },
        })
    }

    /// The addresses of any of these sets.
    pub fn of(sets: &[Addresses]) -> Addresses {
        let all =
            |family: fn(&Addresses) -> &Ranges| Ranges::new(sets.iter().flat_map(|set| family(set).0.iter().copied()));
        Addresses { v4: all(|set| &set.v4), v6: all(|set| &set.v6) }
    }

    /// The addresses of either set.
    pub fn and(&self, other: &Addresses) -> Addresses {
        let both = |one: &Ranges, two: &Ranges| Ranges::new(one.0.iter().chain(&two.0).copied());
        Addresses { v4: both(&self.v4, &other.v4), v6: both(&self.v6, &other.v6) }
    }

    /// The addresses that are not in another set.
    pub fn without(&self, other: &Addresses) -> Addresses {
        Addresses { v4: self.v4.without(&other.v4), v6: self.v6.without(&other.v6) }
    }

    /// The addresses that are in another set, too.
    pub fn within(&self, other: &Addresses) -> Addresses {
        self.without(&self.without(other))
    }

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4.contains(number(address).0),
            IpAddr::V6(_) => self.v6.contains(number(address).0),
        }
    }

    /// Whether all addresses of another set are in this one.
    pub fn covers(&self, other: &Addresses) -> bool {
        self.v4.covers(&other.v4) && self.v6.covers(&other.v6)
    }

    /// This set with the addresses of IPv6 that stand for its addresses of IPv4: a translator of the network makes a packet to one of
    /// those (RFC 6052, 3056) a packet to one of these.
    pub fn with_translated(&self) -> Addresses {
        let map = |(network, behind): (u128, u32)| {
            let low = (1u128 << behind) - 1;
            self.v4.0.iter().map(move |(first, last)| (network | first << behind, network | last << behind | low))
        };
        let v6 = self.v6.0.iter().copied().chain(map(NAT64)).chain(map(SIX_TO_FOUR));
        Addresses { v4: self.v4.clone(), v6: Ranges::new(v6) }
    }

    /// Addresses that stand for the machine that sends to them, in whatever form: loopback, no address, and those of IPv4 in the forms of
    /// IPv6 that never leave a machine (RFC 6890, 4291).
    pub fn of_the_sender() -> Addresses {
        networks(&LOOPBACK).and(&networks(&[THIS_NETWORK])).with_translated().and(&networks(&IPV4_IN_IPV6))
    }

    /// Addresses of groups of machines, and those that are reserved: 224.0.0.0/3 has that of all machines of a network.
    pub fn of_groups() -> Addresses {
        networks(&[NOWHERE[1], (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8)]).with_translated()
    }

    /// Whether both sets have an address in common.
    pub fn meets(&self, other: &Addresses) -> bool {
        self.without(other) != *self
    }
}

/// An address as a number, and how many bits it has.
fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

/// A class of addresses. No address is in two of them, but that the host's own and those of networks that it is attached to, which are
/// known only when the sandbox starts, count as `host` and `private` whatever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressClass {
    /// Addresses that are routed in the Internet.
    Internet,
    /// Addresses of private networks, and of networks that the host is attached to.
    Private,
    /// Addresses that are used within one link: 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// Addresses at which clouds tell a machine its secrets.
    Metadata,
    /// The host's loopback.
    Loopback,
    /// The host's own addresses.
    Host,
}

/// Addresses at which clouds tell a machine its secrets: most of them, AWS (also for containers), Scaleway, Tencent, Azure, Alibaba, Oracle; of
/// IPv6 AWS, for whose services the whole network is, Google, Oracle, Scaleway, Alibaba, Linode, OpenStack.
const METADATA: [(IpAddr, u8); 15] = [
    (IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 32),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)), 32),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)), 32),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)), 32),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)), 32),
    (IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), 32),
    (IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), 32),
    (IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)), 32),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0)), 32),
    (IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200)), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1)), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)), 128),
];

const LINK_LOCAL: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16), (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10)];

const LOOPBACK: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8), (IpAddr::V6(Ipv6Addr::LOCALHOST), 128)];

/// RFC 1918, 6598 (carriers), 2544 (tests of devices), 6890 (protocols), 4193 (unique local), 3879 (site-local), 8215 (translation).
const PRIVATE: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(198, 18, 0, 0)), 15),
    (IpAddr::V4(Ipv4Addr::new(192, 0, 0, 0)), 24),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0)), 48),
];

/// What is not routed in the Internet besides, of IPv4: this network, and what is reserved or for groups.
const NOWHERE: [(IpAddr, u8); 2] = [THIS_NETWORK, (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 3)];

/// This host on this network (RFC 6890), which the kernel also takes for the machine itself.
const THIS_NETWORK: (IpAddr, u8) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8);

/// Addresses of IPv4 that IPv6 holds: compatible, with :: and ::1, and mapped.
const IPV4_IN_IPV6: [(IpAddr, u8); 2] =
    [(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 96), (IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), 96)];

/// What is routed in the Internet, of IPv6.
const GLOBAL: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0)), 3);

/// Networks of IPv6 whose addresses hold one of IPv4, with the number of bits behind that: RFC 6052 (NAT64) and 3056 (6to4). Teredo's
/// (RFC 4380) hold several.
const NAT64: (u128, u32) = (0x64_ff9b << 96, 0);
const SIX_TO_FOUR: (u128, u32) = (0x2002 << 112, 80);
const HOLD_IPV4: [(IpAddr, u8); 2] = [
    (IpAddr::V6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0)), 32),
];

fn networks(networks: &[(IpAddr, u8)]) -> Addresses {
    let found = networks.iter().filter_map(|(address, prefix)| Addresses::network(*address, *prefix));
    found.fold(Addresses::default(), |all, network| all.and(&network))
}

impl AddressClass {
    /// All classes.
    pub const ALL: [AddressClass; 6] = [
        AddressClass::Internet,
        AddressClass::Private,
        AddressClass::LinkLocal,
        AddressClass::Metadata,
        AddressClass::Loopback,
        AddressClass::Host,
    ];

    /// The word for it in a profile.
    pub fn word(self) -> &'static str {
        match self {
            AddressClass::Internet => "internet",
            AddressClass::Private => "private",
            AddressClass::LinkLocal => "link-local",
            AddressClass::Metadata => "metadata",
            AddressClass::Loopback => "loopback",
            AddressClass::Host => "host",
        }
    }

    /// The class with this word.
    pub fn named(word: &str) -> Option<AddressClass> {
        AddressClass::ALL.into_iter().find(|class| class.word() == word)
    }

    /// Its addresses, so far as they are the same on every host. Addresses of IPv6 that stand for one of IPv4 in a translated network are
    /// of the class of that.
    pub fn addresses(self) -> Addresses {
        let metadata = || networks(&METADATA);
        match self {
            AddressClass::Metadata => metadata().with_translated(),
            AddressClass::Loopback => networks(&LOOPBACK),
            AddressClass::Host => Addresses::default(),
            AddressClass::LinkLocal => {
                networks(&LINK_LOCAL).with_translated().without(&AddressClass::Metadata.addresses())
            }
            AddressClass::Private => networks(&PRIVATE).with_translated().without(&AddressClass::Metadata.addresses()),
            AddressClass::Internet => {
                let special = [&PRIVATE[..], &LINK_LOCAL, &LOOPBACK, &NOWHERE].map(networks);
                let special = special.iter().fold(metadata(), |all, some| all.and(some));
                let v4 = Addresses { v6: Ranges::default(), ..Addresses::all() }.without(&special);
                v4.with_translated().and(&networks(&[GLOBAL]).without(&networks(&HOLD_IPV4)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class that an address is of.
    fn class(address: &str) -> Option<&'static str> {
        let address = address.parse().unwrap();
        let all: Vec<_> = AddressClass::ALL.into_iter().filter(|class| class.addresses().contains(address)).collect();
        assert!(all.len() < 2, "{address}: {all:?}");
        all.first().map(|class| class.word())
    }

    #[test]
    fn each_address_is_of_one_class() {
        for (address, expected) in [
            ("1.1.1.1", "internet"),
            ("9.255.255.255", "internet"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("11.0.0.0", "internet"),
            ("100.64.0.1", "private"),
            ("100.100.100.200", "metadata"),
            ("127.0.0.1", "loopback"),
            ("169.254.0.1", "link-local"),
            ("169.254.169.254", "metadata"),
            ("172.16.0.1", "private"),
            ("172.32.0.1", "internet"),
            ("192.168.255.255", "private"),
            ("203.0.113.10", "internet"),
            ("223.255.255.255", "internet"),
            ("::1", "loopback"),
            ("2001:db8::1", "internet"),
            ("2606:4700::1111", "internet"),
            ("fd99::9", "private"),
            ("fd00:ec2::254", "metadata"),
            ("fd00:ec2::253", "metadata"),
            ("fd00:c1::a9fe:a9fe", "metadata"),
            ("fd00:42::42", "metadata"),
            ("fd00:100::100:200", "metadata"),
            ("fd00:a9fe:a9fe::1", "metadata"),
            ("fe80::a9fe:a9fe", "metadata"),
            ("169.254.42.42", "metadata"),
            ("169.254.0.23", "metadata"),
            ("fd00:42::43", "private"),
            ("fe80::1", "link-local"),
            // Translated: by the address of IPv4 that they stand for.
            ("64:ff9b::1.1.1.1", "internet"),
            ("64:ff9b::10.9.9.9", "private"),
            ("64:ff9b::169.254.169.254", "metadata"),
            ("2002:101:101::1", "internet"),
            ("2002:a09:909::1", "private"),
            ("2002:a9fe:a9fe::1", "metadata"),
        ] {
            assert_eq!(class(address), Some(expected), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.251",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:10.9.9.9",
            "::ffff:1.1.1.1",
            "::10.9.9.9",
            "64:ff9b::127.0.0.1",
            "64:ff9b::224.0.0.1",
            "2001:0:1::1",
            "2002:7f00:1::1",
            "ff02::fb",
            "ff0e::1",
        ] {
            assert_eq!(class(address), None, "{address}");
        }
    }

    #[test]
    fn what_stands_for_the_sender_has_many_forms() {
        let all = Addresses::of_the_sender();
        for address in [
            "0.0.0.0",
            "127.0.0.53",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::1",
            "2002:0:1::",
        ] {
            assert!(all.contains(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "128.0.0.0", "10.0.0.1", "64:ff9b::1.1.1.1", "2002:101:101::1", "fe80::1", "2606:4700::1111"]
        {
            assert!(!all.contains(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn sets_are_joined_and_taken_from_each_other() {
        let set = |ranges: &[(u128, u128)]| Ranges::new(ranges.iter().copied());
        assert_eq!(set(&[(5, 9), (1, 2), (3, 4), (20, 30), (25, 26)]).0, [(1, 9), (20, 30)]);
        let some = set(&[(0, 10), (20, 30)]);
        assert_eq!(some.without(&set(&[(0, 0), (5, 25), (30, 99)])).0, [(1, 4), (26, 29)]);
        assert_eq!(set(&[(0, u128::MAX)]).without(&set(&[(7, u128::MAX)])).0, [(0, 6)]);
        assert!(set(&[(0, u128::MAX)]).without(&set(&[(0, u128::MAX)])).0.is_empty());
        assert!(some.covers(&set(&[(3, 4), (20, 20)])) && !some.covers(&set(&[(10, 11)])));
        let all = Addresses::network("::".parse().unwrap(), 0).unwrap();
        assert_eq!(all.v6, Addresses::all().v6);
        assert_eq!(Addresses::network("10.1.2.3".parse().unwrap(), 33), None);
        let net = Addresses::network("10.1.2.3".parse().unwrap(), 24).unwrap();
        assert_eq!(net.v4.0, [(0x0a01_0200, 0x0a01_02ff)]);
        assert!(net.meets(&Addresses::all()) && !net.meets(&all));
        let half = Addresses::network("10.1.2.128".parse().unwrap(), 25).unwrap();
        assert_eq!(half.and(&all).within(&net), half);
        assert_eq!(all.within(&net), Addresses::default());
    }
}
