//! What the process that holds a network is asked, and what it answers: by launchers and commands of the same user, a message of JSON each;
//! by forwarders of names, which have read what a hostile program sent, a name, and addresses for it.

use crate::sys::{self, Errno, Poll};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// The longest message in bytes.
pub const LONGEST: usize = 16 * 1024;

/// The most names that a sandbox has in a network.
pub const MOST_NAMES: usize = 16;
/// The longest one in bytes.
pub const LONGEST_NAME: usize = 128;

/// The most addresses of a family that are told for a name.
pub const MOST_ADDRESSES: usize = 32;

/// The longest answer to a question for a name in bytes.
pub const LONGEST_KNOWN: usize = 2 + MOST_ADDRESSES * (4 + 16);

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// A sandbox with these names joins. It is in the network for as long as the connection is open.
    Join(Vec<String>),
    /// The same for a network with IPv6, of which the sandbox has this address; any, if none is named.
    Join6(Vec<String>, Option<Ipv6Addr>),
    /// The launcher of the sandbox that has joined by this connection is this process: another one has made the connection for it.
    Launcher(i32),
    /// Who is in the network?
    List,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The sandbox has this address, and the outside is reached through this program; it is empty if it is not. With this message comes the user namespace that owns the network, with the next one the network
    /// namespace of the bridge, and with the third a socket by which names are asked for.
    Joined(Ipv4Addr, String),
    /// The same in a network with IPv6, with an address of either family.
    Joined6(Ipv4Addr, Ipv6Addr, String),
    /// What comes with the next message.
    More,
    /// It cannot join.
    Refused(String),
    /// Somebody who is in the network.
    Member(Member),
    /// There are no more.
    End,
    /// The network has ended, and why.
    Ended(String),
}

/// A sandbox in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its address.
    pub address: Ipv4Addr,
    /// The one of IPv6, if the network has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address6: Option<Ipv6Addr>,
    /// Its names.
    pub names: Vec<String>,
    /// The process id of its sbx.
    pub pid: i32,
}

/// What has come from the process that holds a network.
pub enum Next {
    /// An answer, and the descriptor that came with it.
    Answer(Answer, Option<OwnedFd>),
    /// A message that this version of sbx does not know.
    Unknown,
    /// The process has closed the connection.
    Ended,
    /// Nothing, in time.
    Late,
}

/// Waits until then for what comes next on a connection, which does not block.
pub fn next(connection: BorrowedFd<'_>, end: Instant) -> Next {
    let mut buffer = vec![0; LONGEST];
    loop {
        match sys::receive(connection, &mut buffer) {
            Ok((length @ 1.., fd)) => {
                let answer = serde_json::from_slice(buffer.get(..length).unwrap_or_default());
                return answer.map_or(Next::Unknown, |answer| Next::Answer(answer, fd));
            }
            Err(Errno(libc::EAGAIN)) => {}
            _ => return Next::Ended,
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Next::Late;
        }
        let mut set = [Poll::read(connection.as_raw_fd())];
        let _ = sys::poll(&mut set, Some(i32::try_from(left.as_millis()).unwrap_or(i32::MAX)));
    }
}

/// What is known of a name: none if it is not the network's; no addresses if nobody has it.
pub type Known = Option<Vec<IpAddr>>;

/// First bytes of answers to a question for a name: it is not the network's; addresses of IPv4 follow; the number of those follows, and
/// addresses of IPv6 follow them.
mod first {
    pub const UNKNOWN: u8 = 0;
    pub const V4: u8 = 1;
    pub const BOTH: u8 = 2;
}

/// The answer to a question for a name.
pub fn encode(known: &Known) -> Vec<u8> {
    let Some(known) = known else { return vec![first::UNKNOWN] };
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in known {
        match address {
            IpAddr::V4(address) => v4.push(address.octets()),
            IpAddr::V6(address) => v6.push(address.octets()),
        }
    }
    v4.truncate(MOST_ADDRESSES);
    v6.truncate(MOST_ADDRESSES);
    let mut bytes = match (v6.is_empty(), u8::try_from(v4.len())) {
        (false, Ok(count)) => vec![first::BOTH, count],
        _ => vec![first::V4],
    };
    bytes.extend(v4.as_flattened());
    bytes.extend(v6.as_flattened());
    bytes
}

/// Reads such an answer; none if it is not one.
pub fn decode(bytes: &[u8]) -> Option<Known> {
    let (v4, v6) = match bytes.split_first()? {
        (&first::UNKNOWN, []) => return Some(None),
        (&first::V4, v4) => (v4, &[][..]),
        (&first::BOTH, [count, addresses @ ..]) => addresses.split_at_checked(usize::from(*count) * 4)?,
        _ => return None,
    };
    let ((v4, []), (v6, [])) = (v4.as_chunks::<4>(), v6.as_chunks::<16>()) else { return None };
    let few = v4.len() <= MOST_ADDRESSES && v6.len() <= MOST_ADDRESSES;
    let v4 = v4.iter().copied().map(IpAddr::from);
    few.then(|| Some(v4.chain(v6.iter().copied().map(IpAddr::from)).collect()))
}

/// Whether a text can be a sandbox's name in a network: parts of letters, digits, `-` and `_`, with dots between them.
pub fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let part = |part: &str| (1..=63).contains(&part.len()) && part.bytes().all(good);
    name.len() <= LONGEST_NAME && name.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_name_is_read_again() {
        let v4 = [2, 3].map(|last| IpAddr::from([10, 89, 0, last]));
        let v6 = [2, 3].map(|last| IpAddr::from([0xfd12, 0, 0, 0, 0, 0, 0, last]));
        for known in [None, Some(vec![]), Some(v4.to_vec()), Some(v6.to_vec()), Some([v4, v6].concat())] {
            assert_eq!(decode(&encode(&known)), Some(known));
        }
        let many = vec![v4[0]; 2 * MOST_ADDRESSES].into_iter().chain(vec![v6[0]; 2 * MOST_ADDRESSES]).collect();
        let encoded = encode(&Some(many));
        assert_eq!(encoded.len(), LONGEST_KNOWN);
        assert_eq!(decode(&encoded).flatten().map(|all| all.len()), Some(2 * MOST_ADDRESSES));
        for wrong in [&[][..], &[3], &[0, 1, 2, 3, 4], &[1, 1, 2, 3], &[1; 4 * (MOST_ADDRESSES + 1) + 1]] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
        for wrong in [&[2][..], &[2, 1, 1, 2, 3], &[2, 0, 1], &[2; 2 + 8 + 16 * (MOST_ADDRESSES + 1)]] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn names_have_parts_that_name_servers_know() {
        assert!(["web", "Web-1", "a_b", "a.b"].iter().all(|name| is_name(name)));
        let long = "x".repeat(64);
        assert!(["", ".", "a..b", "a.", "a b", "ä", "a\n", &long].iter().all(|name| !is_name(name)));
    }
}
