//! `sbx network create`: which addresses a network gets.

use super::args::NetworkCreate;
use crate::error::{Error, Result};
use crate::spec::{Address, Subnet, Subnet6};
use crate::state::Network;
use crate::sys;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that slirp4netns gives to its own end.
const OF_SLIRP4NETNS: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(10, 0, 2, 0), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0));

/// What the flags ask for.
pub(super) struct Asked {
    subnet: Option<Subnet>,
    gateway: Option<Ipv4Addr>,
    subnet6: Option<Subnet6>,
    gateway6: Option<Ipv6Addr>,
    /// Whether there are to be addresses of IPv6.
    v6: bool,
    internal: bool,
}

/// Networks whose addresses no new one may have, and whose they are.
struct Taken<A>(Vec<(Subnet<A>, String)>);

impl Asked {
    /// Reads the flags.
    pub fn read(args: &NetworkCreate) -> Result<Asked> {
        let is_v6 = |text: &&String| text.contains(':');
        let of = |all: &[String], v6: bool| all.iter().filter(|text| is_v6(text) == v6).cloned().collect::<Vec<_>>();
        let subnet6 = one("subnet", &of(&args.subnet, true), "write for example --subnet fd12:3456:789a::/64")?;
        let gateway6 = one("gateway", &of(&args.gateway, true), "an address in the subnet, or leave it out")?;
        let v6 = args.ipv6 || subnet6.is_some();
        if let (false, Some(gateway)) = (v6, gateway6) {
            return Err(Error::new(format!("--gateway {gateway} is an address of IPv6, and the network has none"))
                .hint("--ipv6 gives it some; --subnet says which"));
        }
        Ok(Asked {
            subnet: one("subnet", &of(&args.subnet, false), "write for example --subnet 10.90.0.0/24")?,
            gateway: one("gateway", &of(&args.gateway, false), "an address in the subnet, or leave it out")?,
            subnet6,
            gateway6,
            v6,
            internal: args.internal,
        })
    }

    /// The network, with addresses that none of the others has, nor a network that this host is attached to.
    pub fn chosen(&self, name: &str, others: &[Network]) -> Result<Network> {
        let host = sys::interface_addresses()
            .map_err(|errno| Error::new(format!("this host's addresses cannot be read: {errno}")))?;
        let (slirp, slirp6) = OF_SLIRP4NETNS;
        let v4 = |(address, prefix): &(IpAddr, u8)| match address {
            IpAddr::V4(address) => Some(Subnet::around(*address, *prefix)),
            IpAddr::V6(_) => None,
        };
        let of_others = others.iter().map(|other| (other.subnet, other.name.as_str()));
        let taken = Taken::new(of_others, host.iter().filter_map(v4), Subnet::around(slirp, 24));
        let subnet = match self.subnet {
            Some(subnet) => taken.free(subnet)?,
            None => {
                let mut all = (0..=255).map(|part| Subnet::around(Ipv4Addr::new(10, 89, part, 0), 24));
                all.find(|subnet| taken.whose(*subnet).is_none()).ok_or_else(|| {
                    Error::new("none of 10.89.0.0/24 to 10.89.255.0/24 is free").hint("name another one: --subnet CIDR")
                })?
            }
        };
        let v6 = |(address, prefix): &(IpAddr, u8)| match address {
            IpAddr::V6(address) => Some(Subnet::around(*address, *prefix)),
            IpAddr::V4(_) => None,
        };
        let of_others = others.iter().filter_map(|other| Some((other.v6?.subnet, other.name.as_str())));
        let taken = Taken::new(of_others, host.iter().filter_map(v6), Subnet::around(slirp6, 64));
        let subnet6 = match self.subnet6 {
            Some(subnet) => Some(taken.free(subnet)?),
            None if self.v6 => Some(random(&taken)?),
            None => None,
        };
        let v6 = subnet6.map(|subnet| (subnet, self.gateway6));
        Network::new(name, (subnet, self.gateway), v6, self.internal)
    }
}

/// What a flag says of a family, which it may do once.
fn one<T: FromStr<Err: ToString>>(flag: &str, texts: &[String], fix: &'static str) -> Result<Option<T>> {
    match texts {
        [] => Ok(None),
        [text] => text
            .parse()
            .map(Some)
            .map_err(|why: T::Err| Error::new(format!("--{flag} {text}: {}", why.to_string())).hint(fix)),
        [first, second, ..] => {
            Err(Error::new(format!("--{flag} {first} and --{flag} {second} are of the same family of addresses"))
                .hint("a network has one subnet and one gateway of IPv4, and may have one of IPv6"))
        }
    }
}

/// A network of IPv6 that nobody else has chosen, by the odds: its 40 bits behind fd00::/8 are random (RFC 4193).
fn random(taken: &Taken<Ipv6Addr>) -> Result<Subnet6> {
    const TRIES: usize = 16;
    for _ in 0..TRIES {
        let mut bytes = sys::random_bytes().map_err(|errno| Error::call("getrandom", errno))?;
        bytes[0] = 0xfd;
        let subnet = Subnet::around(Ipv6Addr::from(bytes), 48);
        let subnet = Subnet::around(subnet.first(), 64);
        // As it would be read again: not one of those that clouds use.
        if subnet.to_string().parse() == Ok(subnet) && taken.whose(subnet).is_none() {
            return Ok(subnet);
        }
    }
    Err(Error::new("no network of IPv6 is free").hint("name one: --subnet fd12:3456:789a::/64"))
}

impl<A: Address> Taken<A> {
    fn new<'a>(
        others: impl Iterator<Item = (Subnet<A>, &'a str)>,
        host: impl Iterator<Item = Subnet<A>>,
        slirp: Subnet<A>,
    ) -> Taken<A> {
        let others = others.map(|(subnet, name)| (subnet, format!("which the network `{name}` has")));
        let host = host.map(|subnet| (subnet, "which this host is attached to".to_owned()));
        Taken(others.chain(host).chain([(slirp, "which slirp4netns has".to_owned())]).collect())
    }

    fn whose(&self, subnet: Subnet<A>) -> Option<&(Subnet<A>, String)> {
        self.0.iter().find(|(other, _)| other.meets(subnet))
    }

    /// The network, if nobody has addresses of it.
    fn free(&self, subnet: Subnet<A>) -> Result<Subnet<A>> {
        match self.whose(subnet) {
            None => Ok(subnet),
            Some((other, whose)) => Err(Error::new(format!("--subnet {subnet} has addresses of {other}, {whose}"))
                .hint("name another one, or leave it out: then one that is free is found")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_ipv6_are_random() {
        let none = Taken(Vec::new());
        let all: std::collections::BTreeSet<_> = (0..20).map(|_| random(&none).unwrap()).collect();
        assert_eq!(all.len(), 20);
        for subnet in all {
            let octets = subnet.first().octets();
            assert!(octets[0] == 0xfd && octets[6..] == [0; 10] && subnet.prefix() == 64, "{subnet}");
        }
    }
}
