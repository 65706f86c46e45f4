//! Ports of the host at which servers in a sandbox are reached.

use super::origin::Origin;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A port of the host at which a server in the sandbox is reached: `[ADDRESS:]HOST:INSIDE[/tcp|udp]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The address of the host; without one it is that of loopback.
    pub address: IpAddr,
    /// The port of the host.
    pub host: u16,
    /// The port that the server listens at.
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

impl FromStr for Published {
    type Err = String;

    fn from_str(text: &str) -> Result<Published, String> {
        let (ports, transport) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), Transport::Tcp),
            Some((ports, "udp")) => (ports, Transport::Udp),
            Some((_, other)) => return Err(format!("`{other}` is neither `tcp` nor `udp`")),
        };
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
                (parsed.map_err(|_| format!("`{address}` is no address"))?, host)
            }
        };
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|digit| digit.is_ascii_digit()) => Ok(port),
            _ => Err(format!("`{text}` is no port: they are numbers from 1 to 65535")),
        };
        Ok(Published { address, host: port(host)?, inside: port(inside)?, transport, origin: Origin::default() })
    }
}

impl Published {
    /// Whether it takes the same port of the host as another one.
    pub fn collides(&self, other: &Published) -> bool {
        let overlap = self.address == other.address || self.address.is_unspecified() || other.address.is_unspecified();
        (self.host, self.transport) == (other.host, other.transport) && overlap
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.transport == Transport::Tcp { "tcp" } else { "udp" };
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}:{}/{transport}", self.host, self.inside),
            IpAddr::V6(address) => write!(f, "[{address}]:{}:{}/{transport}", self.host, self.inside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Published;

    #[test]
    fn ports_are_read_and_written() {
        let read = |text: &str| text.parse::<Published>().map(|published| published.to_string());
        for (text, expected) in [
            ("8080:80", "127.0.0.1:8080:80/tcp"),
            ("8080:80/udp", "127.0.0.1:8080:80/udp"),
            ("0.0.0.0:1:65535/tcp", "0.0.0.0:1:65535/tcp"),
            ("[::1]:8080:80", "[::1]:8080:80/tcp"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "",
            "80",
            "0:80",
            "80:0",
            "80:65536",
            "80:+1",
            "x:80:80",
            "::1:80:80",
            "80:80/sctp",
            "[127.0.0.1]:1:1",
            "1:2:3:4",
            "80-90:80",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
