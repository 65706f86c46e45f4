//! What the forwarder of names asks the launcher, and what that says: messages of a socket between them. Both have the same program, but the
//! forwarder has read what a hostile program sent: the launcher believes nothing of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The most addresses of an answer; further ones are left out.
pub const MOST_ADDRESSES: usize = 64;

/// The longest message in bytes.
pub const LONGEST: usize = 2048;

/// The longest name in text.
const LONGEST_NAME: usize = 255;

/// What the forwarder asks or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Packets are to be let through. It waits for [`Told::Became`].
    Wanted(Wanted),
    /// A name is refused. Who has asked waits for [`Told::Decided`]; for long, if [`Told::Waits`] comes first.
    Refused(RefusedName),
    /// So many were refused in all of which nothing else is told: they were too many at a time.
    Uncounted(u64),
}

/// Packets to these addresses are to be let through for as long, by the rules of these lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Lists of names, by their indices.
    pub lists: Vec<u16>,
    /// The addresses.
    pub addresses: Vec<(IpAddr, Duration)>,
}

/// A name that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedName {
    /// The number by which the answer names it.
    pub number: u32,
    /// Whether it was asked for by TCP.
    pub tcp: bool,
    /// Who has asked: a socket in the sandbox's network.
    pub from: SocketAddr,
    /// The type of the records that were asked for.
    pub kind: u16,
    /// Why.
    pub why: Why,
    /// The name in small letters: visible letters of ASCII.
    pub name: String,
}

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// No rule allows it.
    Unknown = 1,
    /// It is denied, or is another name for one that is.
    Denied = 2,
    /// All of its addresses are such that no name may have.
    Elsewhere = 3,
}

/// What the launcher says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What became of each address of [`Asked::Wanted`].
    Became(Vec<Became>),
    /// Somebody is told of names that are refused: from now on, [`Asked::Refused`] is wanted.
    Tell,
    /// The launcher has done what it does about a refused name: that is answered, as it is allowed by then or not.
    Decided(u32),
    /// The user is asked about a name that was refused: who has asked for it waits.
    Waits(u32),
    /// These names are allowed from now on, each for the list with this index.
    Allow(Vec<(u16, String)>),
    /// All names that are not denied are answered from now on.
    AllowAll,
    /// The sandbox is in a further network, by the interface with this index. With this message comes the socket by which names of others there
    /// are asked for.
    Connected(u32),
    /// It is not in that one any more.
    Disconnected(u32),
}

/// What became of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Became {
    /// It is reached.
    Reached = 1,
    /// It is none that a name may have.
    Refused = 2,
    /// The packet filter did not take it.
    Failed = 3,
}

/// First bytes of messages.
mod first {
    pub const WANTED: u8 = 1;
    pub const REFUSED: u8 = 2;
    pub const UNCOUNTED: u8 = 3;
    pub const BECAME: u8 = 1;
    pub const TELL: u8 = 2;
    pub const DECIDED: u8 = 3;
    pub const ALLOW: u8 = 4;
    pub const ALLOW_ALL: u8 = 5;
    pub const WAITS: u8 = 6;
    pub const CONNECTED: u8 = 7;
    pub const DISCONNECTED: u8 = 8;
}

impl Asked {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Asked::Wanted(wanted) => [&[first::WANTED][..], &wanted.encode()].concat(),
            Asked::Refused(refused) => [&[first::REFUSED][..], &refused.encode()].concat(),
            Asked::Uncounted(count) => [&[first::UNCOUNTED][..], &count.to_be_bytes()].concat(),
        }
    }

    /// Reads a message; none if it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Asked> {
        let (kind, rest) = bytes.split_first()?;
        Some(match *kind {
            first::WANTED => Asked::Wanted(Wanted::decode(rest)?),
            first::REFUSED => Asked::Refused(RefusedName::decode(rest)?),
            first::UNCOUNTED => Asked::Uncounted(u64::from_be_bytes(rest.try_into().ok()?)),
            _ => return None,
        })
    }
}

impl Told {
    /// Messages that say that these names are allowed, each for a list: no one of them is too long.
    pub fn allow(names: &[(u16, String)]) -> impl Iterator<Item = Told> {
        // Behind the first byte, each takes three bytes and its own.
        const MOST: usize = (LONGEST - 1) / (3 + LONGEST_NAME);
        names.chunks(MOST).map(|names| Told::Allow(names.to_vec()))
    }

    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Told::Became(became) => {
                std::iter::once(first::BECAME).chain(became.iter().map(|became| *became as u8)).collect()
            }
            Told::Tell => vec![first::TELL],
            Told::Decided(number) => [&[first::DECIDED][..], &number.to_be_bytes()].concat(),
            Told::Waits(number) => [&[first::WAITS][..], &number.to_be_bytes()].concat(),
            Told::Allow(names) => {
                let mut bytes = vec![first::ALLOW];
                for (list, name) in names {
                    let name = name.as_bytes().get(..LONGEST_NAME).unwrap_or(name.as_bytes());
                    bytes.extend(list.to_be_bytes());
                    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
                    bytes.extend(name);
                }
                bytes
            }
            Told::AllowAll => vec![first::ALLOW_ALL],
            Told::Connected(number) => [&[first::CONNECTED][..], &number.to_be_bytes()].concat(),
            Told::Disconnected(number) => [&[first::DISCONNECTED][..], &number.to_be_bytes()].concat(),
        }
    }

    /// Reads a message; none if it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Told> {
        let (kind, rest) = bytes.split_first()?;
        Some(match (*kind, rest) {
            (first::BECAME, rest) => Told::Became(rest.iter().copied().map(Became::decode).collect()),
            (first::TELL, []) => Told::Tell,
            (first::DECIDED, rest) => Told::Decided(u32::from_be_bytes(rest.try_into().ok()?)),
            (first::WAITS, rest) => Told::Waits(u32::from_be_bytes(rest.try_into().ok()?)),
            (first::ALLOW, mut rest) => {
                let mut names = Vec::new();
                while let [high, low, length, more @ ..] = rest {
                    let (name, more) = more.split_at_checked(usize::from(*length))?;
                    names.push((u16::from_be_bytes([*high, *low]), std::str::from_utf8(name).ok()?.to_owned()));
                    rest = more;
                }
                rest.is_empty().then_some(Told::Allow(names))?
            }
            (first::ALLOW_ALL, []) => Told::AllowAll,
            (first::CONNECTED, rest) => Told::Connected(u32::from_be_bytes(rest.try_into().ok()?)),
            (first::DISCONNECTED, rest) => Told::Disconnected(u32::from_be_bytes(rest.try_into().ok()?)),
            _ => return None,
        })
    }
}

/// An address in 17 bytes: its family, and its bytes.
fn address_bytes(address: IpAddr) -> [u8; 17] {
    let mut bytes = [0; 17];
    let (family, octets) = match address {
        IpAddr::V4(v4) => (4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (6, v6.octets().to_vec()),
    };
    bytes[0] = family;
    bytes.iter_mut().skip(1).zip(octets).for_each(|(to, octet)| *to = octet);
    bytes
}

fn address(bytes: &[u8; 17]) -> Option<IpAddr> {
    let (family, octets) = bytes.split_first()?;
    Some(match family {
        4 => IpAddr::from(*octets.first_chunk::<4>()?),
        6 => IpAddr::from(*octets.first_chunk::<16>()?),
        _ => return None,
    })
}

impl Wanted {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.lists.len() as u8];
        self.lists.iter().for_each(|list| bytes.extend(list.to_be_bytes()));
        for (address, lifetime) in self.addresses.iter().take(MOST_ADDRESSES) {
            bytes.extend(address_bytes(*address));
            bytes.extend(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Wanted> {
        let (count, rest) = bytes.split_first()?;
        let (lists, rest) = rest.split_at_checked(2 * usize::from(*count))?;
        let lists = lists.as_chunks::<2>().0.iter().map(|list| u16::from_be_bytes(*list)).collect();
        let (all, []) = rest.as_chunks::<21>() else { return None };
        let one = |bytes: &[u8; 21]| {
            let (at, lifetime) = bytes.split_first_chunk::<17>()?;
            Some((address(at)?, Duration::from_secs(u32::from_be_bytes(lifetime.try_into().ok()?).into())))
        };
        let addresses: Option<Vec<_>> = all.iter().map(one).collect();
        let addresses = addresses.filter(|all| all.len() <= MOST_ADDRESSES)?;
        Some(Wanted { lists, addresses })
    }
}

impl RefusedName {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.number.to_be_bytes().to_vec();
        bytes.extend([u8::from(self.tcp), self.why as u8]);
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend(address_bytes(self.from.ip()));
        bytes.extend(self.from.port().to_be_bytes());
        bytes.extend(self.name.bytes().take(LONGEST_NAME));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<RefusedName> {
        let (number, rest) = bytes.split_first_chunk()?;
        let ([tcp, why, a, b], rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk::<17>()?;
        let (port, name) = rest.split_first_chunk()?;
        let visible = name.len() <= LONGEST_NAME && name.iter().all(|byte| (b'!'..=b'~').contains(byte));
        let why = [Why::Unknown, Why::Denied, Why::Elsewhere].into_iter().find(|known| *known as u8 == *why)?;
        Some(RefusedName {
            number: u32::from_be_bytes(*number),
            tcp: *tcp != 0,
            from: SocketAddr::from((address(at)?, u16::from_be_bytes(*port))),
            kind: u16::from_be_bytes([*a, *b]),
            why,
            name: visible.then(|| String::from_utf8_lossy(name).into_owned())?,
        })
    }
}

impl Became {
    /// Reads one of the bytes of an answer, which has one for each address.
    fn decode(byte: u8) -> Became {
        [Became::Reached, Became::Refused].into_iter().find(|became| *became as u8 == byte).unwrap_or(Became::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_again() {
        let seconds = Duration::from_secs;
        let wanted = Wanted {
            lists: vec![0, 700],
            addresses: vec![([192, 0, 2, 1].into(), seconds(60)), ("2001:db8::1".parse().unwrap(), seconds(3600))],
        };
        let refused = RefusedName {
            number: 70_000,
            tcp: true,
            from: "127.0.0.1:4000".parse().unwrap(),
            kind: 28,
            why: Why::Denied,
            name: "a.example".into(),
        };
        let most = Wanted { lists: (0..64).collect(), addresses: vec![wanted.addresses[0]; MOST_ADDRESSES] };
        let long = RefusedName { name: "x".repeat(300), ..refused.clone() };
        let asked = [Asked::Wanted(wanted), Asked::Refused(refused), Asked::Uncounted(1 << 40), Asked::Wanted(most)];
        for asked in &asked {
            assert_eq!(Asked::decode(&asked.encode()).as_ref(), Some(asked));
            assert!(asked.encode().len() <= LONGEST);
        }
        let Some(Asked::Refused(cut)) = Asked::decode(&Asked::Refused(long).encode()) else { panic!() };
        assert_eq!(cut.name.len(), LONGEST_NAME);
        let [bytes, name, ..] = asked.map(|asked| asked.encode());
        let odd = [&name[..], b"\x1b"].concat();
        for wrong in [&bytes[..bytes.len() - 1], &[], &[9], &[1, 9], &[1, 0, 5], &name[..20], &odd, &[3, 0]] {
            assert_eq!(Asked::decode(wrong), None);
        }
    }

    #[test]
    fn what_is_said_is_read_again() {
        let became = vec![Became::Reached, Became::Refused, Became::Failed];
        let names = vec![(700, "*.a.example".to_owned()), (0, "x".repeat(LONGEST_NAME))];
        let numbers = [Told::Decided(7), Told::Waits(8), Told::Connected(70_000), Told::Disconnected(2)];
        for told in numbers.into_iter().chain([Told::Became(became), Told::Tell, Told::Allow(names), Told::AllowAll]) {
            assert_eq!(Told::decode(&told.encode()), Some(told));
        }
        let many: Vec<_> = (0..100).map(|list| (list, "x".repeat(100))).collect();
        let parts: Vec<_> = Told::allow(&many).collect();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.encode().len() <= LONGEST));
        let read = parts.iter().flat_map(|part| match part {
            Told::Allow(names) => names.clone(),
            _ => Vec::new(),
        });
        assert_eq!(read.collect::<Vec<_>>(), many);
        for wrong in [&[][..], &[2, 0], &[3, 0, 0], &[9], &[4, 0], &[4, 0, 0, 2, b'x'], &[5, 0]] {
            assert_eq!(Told::decode(wrong), None);
        }
    }
}
