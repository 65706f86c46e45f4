//! Ports of the host at which servers in a sandbox are reached.

use super::origin::Origin;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

/// A port of the host at which a server in the sandbox is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The address of the host; without one it is that of loopback.
    pub address: IpAddr,
    /// The port of the host; 0 stands for any that is free.
    pub host: u16,
    /// The port that the server listens at.
    pub inside: u16,
    /// The protocol that both ports are of.
    pub transport: Transport,
    /// The line that it comes from.
    pub origin: Origin,
}

/// A port of the host's loopback that the program reaches at the sandbox's loopback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forwarded {
    /// The port of the host.
    pub host: u16,
    /// The port inside.
    pub inside: u16,
    /// The protocol that both ports are of.
    pub transport: Transport,
    /// The line that it comes from.
    pub origin: Origin,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Connections: tcp(7).
    Tcp,
    /// Datagrams: udp(7).
    Udp,
}

impl Transport {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

/// Splits the protocol off the end of a text: `/tcp`, `/udp`, or nothing, which is TCP.
fn transport(text: &str) -> Result<(&str, Transport), String> {
    match text.split_once('/') {
        None => Ok((text, Transport::Tcp)),
        Some((ports, "tcp")) => Ok((ports, Transport::Tcp)),
        Some((ports, "udp")) => Ok((ports, Transport::Udp)),
        Some((_, other)) => Err(format!("`{other}` is neither `tcp` nor `udp`")),
    }
}

/// A port that has a number.
fn port(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|digit| digit.is_ascii_digit()) => Ok(port),
        _ => Err(format!("`{text}` is no port: they are numbers from 1 to 65535")),
    }
}

/// A port, or several that follow each other: `FIRST-LAST`.
fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(format!("`{text}` begins with the higher port")) } else { Ok(first..=last) }
}

impl Published {
    /// Reads `[ADDRESS:]HOST:INSIDE[/tcp|udp]`, where HOST and INSIDE are ports or as many in a row, or HOST is 0.
    ///
    /// # Errors
    ///
    /// The text does not say that; the message says why.
    pub fn read(text: &str, origin: &Origin) -> Result<Vec<Published>, String> {
        let (ports, transport) = transport(text)?;
        let (rest, inside) = ports
            .rsplit_once(':')
            .ok_or_else(|| format!("`{text}` does not name a port of the host and one inside"))?;
        let (address, host) = match rest.rsplit_once(':') {
            None => (Ipv4Addr::LOCALHOST.into(), rest),
            Some((address, host)) => {
                let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
                let parsed = match bare {
                    Some(v6) => v6.parse().map(IpAddr::V6),
                    None => address.parse().map(IpAddr::V4),
                };
                let parsed: IpAddr = parsed.map_err(|_| format!("`{address}` is no address"))?;
                if let (IpAddr::V4(v4), true) = (parsed.to_canonical(), parsed.is_ipv6()) {
                    return Err(format!("`{address}` is {v4}: name that"));
                }
                (parsed, host)
            }
        };
        let inside = range(inside)?;
        let published = |(host, inside)| Published { address, host, inside, transport, origin: origin.clone() };
        if host == "0" {
            return Ok(inside.map(|inside| published((0, inside))).collect());
        }
        let host = range(host)?;
        if host.len() != inside.len() {
            return Err(format!("`{text}` names {} ports of the host and {} inside", host.len(), inside.len()));
        }
        Ok(host.zip(inside).map(published).collect())
    }

    /// Whether it takes the same port of the host as another one.
    pub fn collides(&self, other: &Published) -> bool {
        // pasta(1) takes a port that is published at all addresses for one of both families.
        let overlap = self.address == other.address || self.address.is_unspecified() || other.address.is_unspecified();
        self.host != 0 && (self.host, self.transport) == (other.host, other.transport) && overlap
    }
}

impl Forwarded {
    /// Reads `PORT` or `HOST:INSIDE`, with `/tcp` or `/udp` behind it or nothing.
    ///
    /// # Errors
    ///
    /// The text does not say that; the message says why.
    pub fn read(text: &str, origin: &Origin) -> Result<Forwarded, String> {
        let (ports, transport) = transport(text)?;
        let (host, inside) = ports.split_once(':').unwrap_or((ports, ports));
        Ok(Forwarded { host: port(host)?, inside: port(inside)?, transport, origin: origin.clone() })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Transport::Tcp { "tcp" } else { "udp" })
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}:{}/{}", self.host, self.inside, self.transport),
            IpAddr::V6(address) => write!(f, "[{address}]:{}:{}/{}", self.host, self.inside, self.transport),
        }
    }
}

impl fmt::Display for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.inside, self.transport)
    }
}

#[cfg(test)]
mod tests {
    use super::{Forwarded, Origin, Published};

    fn read(text: &str) -> Result<String, String> {
        let all = Published::read(text, &Origin::default())?;
        Ok(all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn ports_are_read_and_written() {
        for (text, expected) in [
            ("8080:80", "127.0.0.1:8080:80/tcp"),
            ("8080:80/udp", "127.0.0.1:8080:80/udp"),
            ("0.0.0.0:1:65535/tcp", "0.0.0.0:1:65535/tcp"),
            ("[::1]:8080:80", "[::1]:8080:80/tcp"),
            ("8000-8001:80-81", "127.0.0.1:8000:80/tcp 127.0.0.1:8001:81/tcp"),
            ("65535-65535:1", "127.0.0.1:65535:1/tcp"),
            ("0:80", "127.0.0.1:0:80/tcp"),
            ("[::1]:0:80-81/udp", "[::1]:0:80/udp [::1]:0:81/udp"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "",
            "80",
            "80:0",
            "0:0",
            "80:65536",
            "80:+1",
            "x:80:80",
            "::1:80:80",
            "80:80/sctp",
            "80:80/tcp/tcp",
            "[127.0.0.1]:1:1",
            "1:2:3:4",
            "[::ffff:127.0.0.1]:1:1",
            "80-90:80",
            "80-90:80-89",
            "90-80:90-80",
            "0-1:80-81",
            "80-:80-81",
            "-80:80",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn forwarded_ports_are_read_and_written() {
        let read = |text: &str| Forwarded::read(text, &Origin::default()).map(|port| port.to_string());
        assert_eq!(read("5432").as_deref(), Ok("5432:5432/tcp"));
        assert_eq!(read("5432:1/udp").as_deref(), Ok("5432:1/udp"));
        for text in ["", "0", "1:0", "0:1", "1-2", "1:2:3", "127.0.0.1:1:2", "1/sctp"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn any_free_port_collides_with_none() {
        let one = |text: &str| Published::read(text, &Origin::default()).unwrap().remove(0);
        assert!(one("0.0.0.0:80:80").collides(&one("80:81")) && one("80:80").collides(&one("80:80")));
        assert!(!one("0:80").collides(&one("0:80")) && !one("80:80").collides(&one("80:80/udp")));
    }
}
