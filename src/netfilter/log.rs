//! Packets that are refused, as the kernel tells of them: a rule that logs (nft_log), and the messages of nfnetlink_log. Constants are those
//! of linux/netfilter/nfnetlink_log.h.

use super::message::{self, Batch, Message, Refused};
use super::rule::{Compare, Family, REFUSE, Rule, Value};
use crate::spec::Protocol;
use crate::sys::{self, Errno};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

/// The groups that packets are told to: those that the kernel has answered, and those that it has not.
const ANSWERED: u16 = 0;
const UNANSWERED: u16 = 1;

/// The part of [`log_unanswered`] that kernels may lack.
pub const COUNTS: &str = "a rule that counts (nft_limit)";

/// How many packets of each family are left unanswered in a second, and at once: for those, the launcher looks who has sent them, and answers.
const EACH_SECOND: u64 = 50;
const AT_ONCE: u32 = 50;

/// Flags of TCP: those of a connection's first packet.
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Messages, and commands to a group.
const PACKET: u16 = 0;
const CONFIG: u16 = 1;
const BIND: u8 = 1;

/// The packet's first bytes are told, and how many: those of both headers, and of the options of IPv6 between them.
const COPY_PACKET: u8 = 2;
const COPIED: u32 = 192;

/// Messages are numbered, those that are lost among them.
const NUMBERED: u16 = 1;

/// Parts of a message about a packet.
const PAYLOAD: u16 = 9;
const NUMBER: u16 = 12;

/// The most headers of options of IPv6 that are looked behind.
const MOST_HEADERS: usize = 8;

/// A packet that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedPacket {
    /// Where it came from: an address, and a port for TCP and UDP.
    pub from: (IpAddr, u16),
    /// Where it was to go.
    pub to: (IpAddr, u16),
    /// The number of the protocol above IP: IPPROTO_*.
    pub protocol: u8,
    /// The type of a message of ICMP.
    pub kind: u8,
    /// The number that TCP has given the first byte.
    pub sequence: u32,
}

/// Messages of ICMP about members of groups, which only the kernel sends: RFC 2710, RFC 3810.
const OF_GROUPS: [u8; 3] = [131, 132, 143];

impl RefusedPacket {
    /// Whether the kernel sends it by itself, to tell routers of groups: no program was refused anything.
    pub fn is_of_kernel(&self) -> bool {
        match i32::from(self.protocol) {
            libc::IPPROTO_IGMP => true,
            libc::IPPROTO_ICMPV6 => OF_GROUPS.contains(&self.kind) && self.to.0.is_multicast(),
            _ => false,
        }
    }

    /// The protocol, if a rule may name it.
    pub fn known_protocol(&self) -> Option<Protocol> {
        match (i32::from(self.protocol), self.to.0) {
            (libc::IPPROTO_TCP, _) => Some(Protocol::Tcp),
            (libc::IPPROTO_UDP, _) => Some(Protocol::Udp),
            (libc::IPPROTO_ICMP, IpAddr::V4(_)) | (libc::IPPROTO_ICMPV6, IpAddr::V6(_)) => Some(Protocol::Icmp),
            _ => None,
        }
    }
}

/// Has the kernel tell a socket of nfnetlink of packets that are refused. The table is there.
///
/// # Errors
///
/// It cannot: what is missing is in the error.
pub fn log_refused(filter: BorrowedFd<'_>, log: BorrowedFd<'_>) -> Result<(), Refused> {
    bind(log, ANSWERED)?;
    let mut batch = Batch::default();
    batch.add("a rule that logs (nft_log)", Rule::first(REFUSE, |rule| rule.log(ANSWERED)));
    batch.send(filter)
}

/// Has the kernel tell a socket of nfnetlink of first packets of connections of TCP that are refused, and not answer them: whoever has the
/// socket does. If there are too many, the kernel answers the others. [`log_refused`] was called before. Without `v6`, all of IPv6 are
/// the kernel's to answer.
///
/// # Errors
///
/// It cannot, and answers all of them.
pub fn log_unanswered(filter: BorrowedFd<'_>, log: BorrowedFd<'_>, v6: bool) -> Result<(), Refused> {
    bind(log, UNANSWERED)?;
    let mut batch = Batch::default();
    for family in Family::BOTH.into_iter().filter(|family| v6 || *family == Family::V4) {
        let rule = Rule::first(REFUSE, |rule| {
            rule.load(Value::Family).only(Compare::Equal, &[family as u8]);
            rule.load(Value::Protocol).only(Compare::Equal, &[family.protocol(Protocol::Tcp)]);
            if family == Family::V6 {
                // An answer to an address of a link (fe80::/10) would have to name that.
                rule.load(Value::Network(24, 1)).only(Compare::NotEqual, &[0xfe]);
            }
            rule.load(Value::Transport(13, 1)).only_byte(SYN | ACK, SYN).at_most(EACH_SECOND, AT_ONCE);
            rule.log(UNANSWERED);
            rule.discard();
        });
        batch.add(COUNTS, rule);
    }
    batch.send(filter)
}

/// Has a socket be told of the packets of a group.
fn bind(log: BorrowedFd<'_>, group: u16) -> Result<(), Refused> {
    let refused = |errno| Refused { what: "telling of packets (nfnetlink_log)", errno };
    let mut bind = Message::of_log(CONFIG, group);
    bind.bytes(1, &[BIND]);
    message::ask(log, &bind).map_err(refused)?;
    let mut mode = Message::of_log(CONFIG, group);
    let [a, b, c, d] = COPIED.to_be_bytes();
    mode.bytes(2, &[a, b, c, d, COPY_PACKET, 0]);
    // Each packet at once, rather than many together.
    mode.number(5, 1).bytes(6, &NUMBERED.to_be_bytes());
    message::ask(log, &mode).map_err(refused)
}

/// Reads what there is, up to so many messages: the number of each, and the packet that it is about; none for one that is not understood.
/// Numbers between are of messages that were lost. It does not wait.
///
/// # Errors
///
/// The socket is of no use any more.
pub fn logged(log: BorrowedFd<'_>, most: usize) -> sys::Result<Vec<(u32, Option<RefusedPacket>)>> {
    let mut packets = Vec::new();
    let mut buffer = [0; 4096];
    for _ in 0..most {
        match sys::receive(log, &mut buffer) {
            Ok((length, _)) => {
                let messages = message::messages(buffer.get(..length).unwrap_or_default()).into_iter();
                packets.extend(
                    messages
                        .filter(|(kind, _)| message::is_of_log(*kind, PACKET))
                        .filter_map(|(_, content)| read(content)),
                );
            }
            Err(Errno(libc::EAGAIN)) => break,
            // Some were lost, as the next number says.
            Err(Errno(libc::ENOBUFS)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(packets)
}

/// The number of a message, and the packet that it is about; none for a packet that is not understood.
fn read(content: &[u8]) -> Option<(u32, Option<RefusedPacket>)> {
    // The family, a version and a number come before the attributes.
    let mut rest = content.get(4..)?;
    let (mut number, mut packet) = (None, None);
    while let Some([a, b, c, d]) = rest.first_chunk::<4>() {
        let (length, kind) = (usize::from(u16::from_ne_bytes([*a, *b])), u16::from_ne_bytes([*c, *d]) & 0x3fff);
        let Some(data) = rest.get(4..length) else { break };
        match kind {
            PAYLOAD => packet = headers(data),
            NUMBER => number = data.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some((number?, packet))
}

/// What the headers of a packet say.
fn headers(bytes: &[u8]) -> Option<RefusedPacket> {
    let (from, to, protocol, above) = match bytes.first()? >> 4 {
        4 => {
            let length = usize::from(bytes.first()? & 15) * 4;
            let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?)));
            let first = u16::from_be_bytes(*bytes.get(6..)?.first_chunk()?) & 0x1fff == 0;
            (address(12)?, address(16)?, *bytes.get(9)?, bytes.get(length..).filter(|_| first))
        }
        6 => {
            let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?)));
            let (protocol, above) = behind_options(*bytes.get(6)?, bytes.get(40..)?);
            (address(8)?, address(24)?, protocol, above)
        }
        _ => return None,
    };
    let ports = matches!(i32::from(protocol), libc::IPPROTO_TCP | libc::IPPROTO_UDP);
    let port = |at: usize| {
        let bytes = above.filter(|_| ports).and_then(|above| above.get(at..)?.first_chunk());
        bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
    };
    let kind = above.and_then(|above| above.first()).copied().unwrap_or(0);
    let sequence = above.and_then(|above| above.get(4..)?.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes));
    Some(RefusedPacket { from: (from, port(0)), to: (to, port(2)), protocol, kind, sequence })
}

/// The protocol behind the headers of options of IPv6, and what follows them; none in a fragment that is not the first.
fn behind_options(mut next: u8, mut bytes: &[u8]) -> (u8, Option<&[u8]>) {
    for _ in 0..MOST_HEADERS {
        let length = match (i32::from(next), bytes) {
            (libc::IPPROTO_HOPOPTS | libc::IPPROTO_ROUTING | libc::IPPROTO_DSTOPTS, [_, length, ..]) => {
                (usize::from(*length) + 1) * 8
            }
            (libc::IPPROTO_FRAGMENT, [_, _, high, low, ..]) => {
                if u16::from_be_bytes([*high, *low]) & 0xfff8 != 0 {
                    return (bytes.first().copied().unwrap_or(next), None);
                }
                8
            }
            _ => break,
        };
        next = bytes.first().copied().unwrap_or(next);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    (next, Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(protocol: u8, fragment: u16, above: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x46, 0, 0, 0, 0, 0];
        bytes.extend(fragment.to_be_bytes());
        bytes.extend([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        // Four bytes of options.
        bytes.extend([1; 4]);
        bytes.extend(above);
        bytes
    }

    fn v6(next: u8, above: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        bytes.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend(above);
        bytes
    }

    #[test]
    fn headers_are_read_whatever_is_between_them() {
        let ports = [0x12, 0x34, 0, 80, 0, 0, 0, 0];
        let to = |bytes: &[u8]| headers(bytes).map(|packet| (packet.protocol, packet.from.1, packet.to));
        let (four, six) = ([192, 0, 2, 2].into(), "2001:db8::2".parse().unwrap());
        assert_eq!(to(&v4(6, 0, &ports)), Some((6, 0x1234, (four, 80))));
        // A fragment that is not the first has no header of its own.
        assert_eq!(to(&v4(17, 5, &ports)), Some((17, 0, (four, 0))));
        assert_eq!(to(&v4(1, 0, &ports)), Some((1, 0, (four, 0))));
        assert_eq!(to(&v6(6, &ports)), Some((6, 0x1234, (six, 80))));
        let options = [&[44, 0, 0, 0, 0, 0, 0, 0][..], &[17, 0, 0, 1, 0, 0, 0, 0], &ports].concat();
        assert_eq!(to(&v6(60, &options)), Some((17, 0x1234, (six, 80))));
        let later = [&[17, 0, 0, 9, 0, 0, 0, 0][..], &ports].concat();
        assert_eq!(to(&v6(44, &later)), Some((17, 0, (six, 0))));
        for short in [&[][..], &[0x45], &v4(6, 0, &[])[..19], &v6(6, &[])[..39], &[0x70; 60]] {
            assert_eq!(headers(short), None);
        }
        // What is cut off has no ports.
        assert_eq!(to(&v4(6, 0, &ports[..3])), Some((6, 0x1234, (four, 0))));
        assert_eq!(to(&v6(60, &[6])), Some((60, 0, (six, 0))));
    }

    #[test]
    fn messages_are_taken_apart() {
        let attribute = |kind: u16, data: &[u8]| {
            let mut bytes = (data.len() as u16 + 4).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(data);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let packet = v4(6, 0, &[0, 1, 0, 80]);
        let whole = [&[2, 0, 0, 0][..], &attribute(10, b"x\0"), &attribute(9, &packet), &attribute(12, &[0, 0, 0, 7])];
        let whole = whole.concat();
        let (number, found) = read(&whole).unwrap();
        assert_eq!((number, found.unwrap().to), (7, ([192, 0, 2, 2].into(), 80)));
        for length in 0..whole.len() {
            let _ = read(&whole[..length]);
        }
        assert_eq!(read(&[2, 0, 0, 0]), None);
    }
}
