//! What a private network lets the program reach: lines of `network.allow` and `network.deny`.

use super::addresses::{AddressClass, Addresses};
use super::names::NamePattern;
use super::origin::Origin;
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// What is reached from a private network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct NetworkRules {
    /// What is reached; none stands for the Internet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<NetworkRule>>,
    /// What is not reached, whatever is allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<NetworkRule>,
    /// The user is asked about names that no line is for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ask: bool,
}

/// One line: `WHERE[:PORTS][/PROTOCOL]`, or `:PORTS[/PROTOCOL]` for all addresses. WHERE is a word for a class of addresses, an address, a
/// network, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRule {
    /// Where the packets go.
    pub to: Destination,
    /// The protocol and ports.
    pub service: Service,
    /// The line that it comes from.
    pub origin: Origin,
    /// How it is written.
    text: String,
}

/// Addresses that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// All addresses.
    Any,
    /// Those of a class.
    Class(AddressClass),
    /// A single address.
    Address(IpAddr),
    /// A network: an address and the length of its prefix.
    Network(IpAddr, u8),
    /// The addresses that name servers tell for a name.
    Name(NamePattern),
}

/// A protocol above IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// tcp(7).
    Tcp,
    /// udp(7).
    Udp,
    /// ICMP, of the family that the address has: echo requests.
    Icmp,
}

/// What is asked for at an address: a protocol, and ports of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Default)]
pub struct Service {
    /// The protocol. None stands for all of them, or with ports for TCP and UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The first and the last port; none stands for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<(u16, u16)>,
}

impl Service {
    /// Whether all that another one stands for belongs to this one.
    pub fn covers(self, other: Service) -> bool {
        let protocol = match (self.protocol, self.ports) {
            (None, None) => true,
            // Ports are those of TCP and UDP.
            (None, Some(_)) => other.ports.is_some() || matches!(other.protocol, Some(Protocol::Tcp | Protocol::Udp)),
            (Some(protocol), _) => other.protocol == Some(protocol),
        };
        let (first, last) = other.ports.unwrap_or((0, u16::MAX));
        protocol && self.ports.is_none_or(|(from, to)| from <= first && last <= to)
    }

    /// Whether something belongs to this one and to another one.
    pub fn meets(self, other: Service) -> bool {
        let has = |service: Service, protocol| match service.protocol {
            Some(own) => own == protocol,
            // Ports are those of TCP and UDP.
            None => service.ports.is_none() || protocol != Protocol::Icmp,
        };
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp];
        let ports = match (self.ports, other.ports) {
            (Some((from, to)), Some((first, last))) => from <= last && first <= to,
            _ => true,
        };
        ports && protocols.into_iter().any(|protocol| has(self, protocol) && has(other, protocol))
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ports {
            None => {}
            Some((first, last)) if first == last => write!(f, ":{first}")?,
            Some((first, last)) => write!(f, ":{first}-{last}")?,
        }
        match self.protocol {
            None => Ok(()),
            Some(Protocol::Tcp) => f.write_str("/tcp"),
            Some(Protocol::Udp) => f.write_str("/udp"),
            Some(Protocol::Icmp) => f.write_str("/icmp"),
        }
    }
}

impl FromStr for NetworkRule {
    type Err = String;

    fn from_str(text: &str) -> Result<NetworkRule, String> {
        let (rest, protocol) = protocol(text)?;
        let (place, ports) = split(rest)?;
        let ports = ports.map(range).transpose()?;
        if protocol == Some(Protocol::Icmp) && ports.is_some() {
            return Err("ICMP has no ports".into());
        }
        let to = if place.is_empty() { Destination::Any } else { destination(place)? };
        if to == Destination::Any && ports.is_none() && protocol.is_none() {
            return Err("it names nothing".into());
        }
        let service = Service { protocol, ports };
        Ok(NetworkRule { to, service, origin: Origin::default(), text: text.to_owned() })
    }
}

/// Takes the protocol from the end of a line.
fn protocol(text: &str) -> Result<(&str, Option<Protocol>), String> {
    let Some((rest, word)) = text.rsplit_once('/') else { return Ok((text, None)) };
    Ok(match word {
        "tcp" => (rest, Some(Protocol::Tcp)),
        "udp" => (rest, Some(Protocol::Udp)),
        "icmp" => (rest, Some(Protocol::Icmp)),
        // The length of a prefix, and perhaps ports.
        other if other.starts_with(|c: char| c.is_ascii_digit()) => (text, None),
        other => {
            return Err(format!("`{other}` is neither a protocol (`tcp`, `udp`, `icmp`) nor the length of a prefix"));
        }
    })
}

/// Splits a line without its protocol into the place and the ports. An address of IPv6 with ports is in brackets.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    if address.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    match text.rsplit_once(':') {
        Some((place, ports)) if !ports.contains(']') => Ok((place, Some(ports))),
        _ => Ok((text, None)),
    }
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|digit| digit.is_ascii_digit()) => Ok(port),
        _ => Err(format!("`{text}` is no port: they are numbers from 1 to 65535")),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (port(first)?, port(last)?) {
        (first, last) if first <= last => Ok((first, last)),
        (first, last) => Err(format!("the range of ports {first}-{last} ends before it begins")),
    }
}

fn destination(text: &str) -> Result<Destination, String> {
    if let Some(class) = AddressClass::named(text) {
        return Ok(Destination::Class(class));
    }
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let parsed = match bare {
        Some(v6) => v6.parse().map(IpAddr::V6),
        None => address.parse::<IpAddr>(),
    };
    let address = match parsed {
        Ok(address) => address,
        Err(_)
            if text.contains(['[', ':', '/'])
                || text.bytes().all(|byte| !byte.is_ascii_alphabetic() && byte != b'*') =>
        {
            return Err(format!("`{text}` is no address"));
        }
        Err(_) => return text.parse().map(Destination::Name),
    };
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        return Err(format!("`{address}` is {v4}: programs that name it by IPv6 send IPv4"));
    }
    let Some(prefix) = prefix else { return Ok(Destination::Address(address)) };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = prefix.parse::<u8>().ok().filter(|length| *length <= bits && !prefix.starts_with('+'));
    let length =
        length.ok_or_else(|| format!("`{prefix}` is no length of a prefix: they are numbers from 0 to {bits}"))?;
    let network = Addresses::network(address, length).unwrap_or_default();
    let first = network.v4.ranges().iter().chain(network.v6.ranges()).next().map_or(0, |(first, _)| *first);
    let first = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(first as u32)),
        IpAddr::V6(_) => IpAddr::V6(first.into()),
    };
    if first != address {
        return Err(format!("`{text}` has bits behind its prefix: the network is {first}/{length}"));
    }
    Ok(if length == bits { Destination::Address(address) } else { Destination::Network(address, length) })
}

impl Destination {
    /// The names that it stands for.
    pub fn name(&self) -> Option<&NamePattern> {
        if let Destination::Name(name) = self { Some(name) } else { None }
    }

    /// Its addresses, so far as they are the same on every host, and known without asking name servers.
    pub fn addresses(&self) -> Addresses {
        match self {
            Destination::Any => Addresses::all(),
            Destination::Class(class) => class.addresses(),
            Destination::Address(address) => {
                Addresses::network(*address, if address.is_ipv4() { 32 } else { 128 }).unwrap_or_default()
            }
            Destination::Network(address, prefix) => Addresses::network(*address, *prefix).unwrap_or_default(),
            Destination::Name(_) => Addresses::default(),
        }
    }
}

/// How a line is written, for who has written another one.
pub const FORMS: &str = "write `internet`, `private:443`, `192.0.2.1:443/tcp`, `10.0.0.0/8`, `[2001:db8::]/32:80-90`, `example.org:443`, \
                         `*.example.org`, or `:53/udp` for all addresses; words are internet, private, link-local, metadata, loopback and host";

impl NetworkRules {
    /// Whether the profile says nothing of it.
    pub fn is_default(&self) -> bool {
        *self == NetworkRules::default()
    }

    /// Whether something is decided by name: some lines have names, or the user is asked about them.
    pub fn have_names(&self) -> bool {
        self.ask || self.allow.iter().flatten().chain(&self.deny).any(|rule| matches!(rule.to, Destination::Name(_)))
    }
}

impl NetworkRule {
    /// Why a line of `network.allow` has no effect, and what to do instead; none if it has one.
    pub fn has_no_effect(&self) -> Option<(String, &'static str)> {
        match self.to {
            Destination::Class(AddressClass::Loopback) => {
                Some(("the host's loopback is not reached by rules".to_owned(), "name its ports in `network.forward`"))
            }
            Destination::Address(_) | Destination::Network(..)
                if AddressClass::Loopback.addresses().covers(&self.to.addresses()) =>
            {
                Some((
                    format!("`{self}` is loopback, which is the sandbox's own, and always reached there"),
                    "leave it out",
                ))
            }
            _ => None,
        }
    }

    /// The rule, with the line that it comes from.
    pub fn from(self, origin: Origin) -> NetworkRule {
        NetworkRule { origin, ..self }
    }

    /// A rule for one service at one address.
    pub fn to_address(address: IpAddr, service: Service) -> NetworkRule {
        let text = match address {
            IpAddr::V4(_) => format!("{address}{service}"),
            IpAddr::V6(_) => format!("[{address}]{service}"),
        };
        NetworkRule { to: Destination::Address(address), service, origin: Origin::default(), text }
    }

    /// The rule for all of the Internet.
    pub fn internet() -> NetworkRule {
        let class = AddressClass::Internet;
        let text = class.word().to_owned();
        NetworkRule { to: Destination::Class(class), service: Service::default(), origin: Origin::default(), text }
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for NetworkRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let read = |text: &str| text.parse::<NetworkRule>().map(|rule| format!("{:?} {}", rule.to, rule.service));
        for (text, expected) in [
            ("internet", "Class(Internet) "),
            ("link-local:80/tcp", "Class(LinkLocal) :80/tcp"),
            ("host/icmp", "Class(Host) /icmp"),
            ("10.0.0.0/8", "Network(10.0.0.0, 8) "),
            ("10.0.0.0/8/udp", "Network(10.0.0.0, 8) /udp"),
            ("10.0.0.0/8:443/tcp", "Network(10.0.0.0, 8) :443/tcp"),
            ("0.0.0.0/0", "Network(0.0.0.0, 0) "),
            ("192.0.2.1:443/tcp", "Address(192.0.2.1) :443/tcp"),
            ("192.0.2.1/32", "Address(192.0.2.1) "),
            ("192.0.2.1:8000-8100", "Address(192.0.2.1) :8000-8100"),
            ("2001:db8::1", "Address(2001:db8::1) "),
            ("2001:db8::/32", "Network(2001:db8::, 32) "),
            ("2001:db8::/32/tcp", "Network(2001:db8::, 32) /tcp"),
            ("[2001:db8::]/32", "Network(2001:db8::, 32) "),
            ("[2001:db8::]/32:443", "Network(2001:db8::, 32) :443"),
            ("[2001:db8::1]:443/tcp", "Address(2001:db8::1) :443/tcp"),
            (":53/udp", "Any :53/udp"),
            ("/icmp", "Any /icmp"),
            ("example.org", "Name(NamePattern { name: \"example.org\", below: false }) "),
            ("*.Example.org:443/tcp", "Name(NamePattern { name: \"example.org\", below: true }) :443/tcp"),
            ("example.org/udp", "Name(NamePattern { name: \"example.org\", below: false }) /udp"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            ":",
            "/",
            ":0",
            ":65536",
            ":80-",
            ":90-80",
            "internet:+80",
            "lan",
            "*",
            "*:443",
            "example.org/24",
            "https://example.org",
            "example..org",
            "*.*.org",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "2001:db8::1/32",
            "[2001:db8::1",
            "[10.0.0.1]:80",
            "::ffff:10.0.0.1",
            "10.0.0.1:53/icmp",
            "10.0.0.1/sctp",
            "10.0.0.1:80:90",
        ] {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn a_service_covers_what_belongs_to_it() {
        let service = |text: &str| text.parse::<NetworkRule>().unwrap().service;
        let covers = |one: &str, other: &str| service(one).covers(service(other));
        assert!(covers("host", "host:80/tcp") && covers("host", "host/icmp"));
        assert!(covers("host/tcp", "host:80/tcp") && !covers("host/tcp", "host:80") && !covers("host/tcp", "host"));
        assert!(covers("host:80", "host:80/tcp") && !covers("host:80", "host/icmp") && !covers("host:80/tcp", "host"));
        assert!(covers("host:1-65535", "host:80") && !covers("host:80-90", "host:90-91"));
    }
}
