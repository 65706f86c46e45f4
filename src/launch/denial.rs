//! What is told of something that the rules on a private network have refused.

use crate::error::printable;
use crate::netfilter::RefusedPacket;
use crate::proxy::names::ask::RefusedName;
use crate::spec::Protocol;
use crate::sys;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

/// The process that was refused something, as it was a moment later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    /// Its number in the launcher's pid namespace.
    pub pid: i32,
    /// What it calls itself: comm of proc(5).
    pub program: String,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// When it was noticed.
    time: String,
    /// `dns`, `tcp`, `udp`, `icmp`, or the number of another protocol above IP.
    protocol: String,
    /// The name that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The type of the records that were asked for.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The address that the packet was to go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// The port, for TCP and UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The process, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    /// What the process calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    /// What refuses it.
    rule: String,
}

impl Denial {
    /// A name, refused by this rule.
    pub(super) fn of_name(name: &RefusedName, who: Option<Who>, rule: String) -> Denial {
        let refusal = Denial::by("dns".into(), who, rule);
        Denial { name: Some(printable(&name.name).into_owned()), kind: Some(type_of(name.kind)), ..refusal }
    }

    /// A packet, refused by this rule.
    pub(super) fn of_packet(packet: &RefusedPacket, who: Option<Who>, rule: String) -> Denial {
        let (protocol, has_ports) = match packet.known_protocol() {
            Some(Protocol::Tcp) => ("tcp".to_owned(), true),
            Some(Protocol::Udp) => ("udp".to_owned(), true),
            Some(Protocol::Icmp) => ("icmp".to_owned(), false),
            None => (packet.protocol.to_string(), false),
        };
        let (address, port) = packet.to;
        Denial { address: Some(address), port: has_ports.then_some(port), ..Denial::by(protocol, who, rule) }
    }

    fn by(protocol: String, who: Option<Who>, rule: String) -> Denial {
        let now = UNIX_EPOCH + Duration::from_nanos(sys::realtime_nanoseconds());
        let (pid, program) = match who {
            Some(Who { pid, program }) => (Some(pid), Some(printable(&program).into_owned())),
            None => (None, None),
        };
        Denial {
            time: humantime::format_rfc3339_millis(now).to_string(),
            protocol,
            name: None,
            kind: None,
            address: None,
            port: None,
            pid,
            program,
            rule,
        }
    }

    /// What was to be reached, and by which program.
    pub(super) fn target(&self) -> Target {
        let to = match (&self.name, self.address, self.port) {
            (Some(name), ..) => name.clone(),
            (None, Some(address), Some(port)) => format!("{}/{}", SocketAddr::from((address, port)), self.protocol),
            (None, Some(address), None) => format!("{address}/{}", self.protocol),
            (None, None, _) => self.protocol.clone(),
        };
        Target { to, program: self.program.clone(), rule: self.rule.clone() }
    }
}

/// What was refused, whenever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// A name, or an address with port and protocol.
    to: String,
    /// What the program calls itself, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    /// What refuses it.
    rule: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(f, "{} by {program}", self.to),
            None => f.write_str(&self.to),
        }
    }
}

/// The name of a type of records.
fn type_of(kind: u16) -> String {
    let known = [
        (1, "A"),
        (2, "NS"),
        (5, "CNAME"),
        (6, "SOA"),
        (12, "PTR"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (33, "SRV"),
        (64, "SVCB"),
        (65, "HTTPS"),
    ];
    known.iter().find(|(number, _)| *number == kind).map_or_else(|| format!("TYPE{kind}"), |(_, name)| (*name).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::names::ask::Why;
    use serde_json::json;

    #[test]
    fn what_a_program_calls_itself_is_escaped() {
        let who = || Some(Who { pid: 7, program: "\x1b]0;x\u{9b}".into() });
        let name = RefusedName {
            number: 0,
            tcp: false,
            from: "127.0.0.1:9".parse().unwrap(),
            kind: 28,
            why: Why::Unknown,
            name: "a.example".into(),
        };
        let refusal = Denial::of_name(&name, who(), "r".into());
        let mut told = json!(refusal);
        assert!(told["time"].take().is_string());
        let program = "\\u{1b}]0;x\\u{9b}";
        let expected = json!({"time": null, "protocol": "dns", "name": "a.example", "type": "AAAA", "pid": 7, "program": program, "rule": "r"});
        assert_eq!(told, expected);
        assert_eq!(refusal.target().to_string(), format!("a.example by {program}"));
        let packet = |protocol| RefusedPacket {
            from: ([192, 0, 2, 1].into(), 9),
            to: ("2001:db8::1".parse().unwrap(), 80),
            protocol,
            kind: 0,
            sequence: 0,
        };
        let text = |protocol| Denial::of_packet(&packet(protocol), None, String::new()).target().to_string();
        assert_eq!(
            [6, 17, 58, 132].map(text).join(" "),
            "[2001:db8::1]:80/tcp [2001:db8::1]:80/udp 2001:db8::1/icmp 2001:db8::1/132"
        );
        assert_eq!([1, 99].map(type_of), ["A", "TYPE99"]);
    }
}
