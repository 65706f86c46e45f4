//! What the forwarder of names asks the launcher, and the answers: messages of a socket between them. Both have the same program, but the
//! forwarder has read what a hostile program sent: the launcher believes nothing of it.

use std::net::IpAddr;
use std::time::Duration;

/// The most addresses of an answer; further ones are left out.
pub const MOST_ADDRESSES: usize = 64;

/// The longest message in bytes.
pub const LONGEST: usize = 2048;

/// Packets to these addresses are to be let through for as long, by the rules of these lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Lists of names, by their indices.
    pub lists: Vec<u16>,
    /// The addresses.
    pub addresses: Vec<(IpAddr, Duration)>,
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

impl Wanted {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.lists.len() as u8];
        self.lists.iter().for_each(|list| bytes.extend(list.to_be_bytes()));
        for (address, lifetime) in self.addresses.iter().take(MOST_ADDRESSES) {
            match address {
                IpAddr::V4(v4) => {
                    bytes.push(4);
                    bytes.extend(v4.octets());
                    bytes.extend([0; 12]);
                }
                IpAddr::V6(v6) => {
                    bytes.push(6);
                    bytes.extend(v6.octets());
                }
            }
            bytes.extend(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).to_be_bytes());
        }
        bytes
    }

    /// Reads a message; none if it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Wanted> {
        let (count, rest) = bytes.split_first()?;
        let (lists, rest) = rest.split_at_checked(2 * usize::from(*count))?;
        let lists = lists.as_chunks::<2>().0.iter().map(|list| u16::from_be_bytes(*list)).collect();
        let (all, []) = rest.as_chunks::<21>() else { return None };
        let one = |bytes: &[u8; 21]| {
            let (kind, rest) = bytes.split_first()?;
            let (address, lifetime) = rest.split_first_chunk::<16>()?;
            let address = match kind {
                4 => IpAddr::from(*address.first_chunk::<4>()?),
                6 => IpAddr::from(*address),
                _ => return None,
            };
            Some((address, Duration::from_secs(u32::from_be_bytes(lifetime.try_into().ok()?).into())))
        };
        let addresses: Option<Vec<_>> = all.iter().map(one).collect();
        let addresses = addresses.filter(|all| all.len() <= MOST_ADDRESSES)?;
        Some(Wanted { lists, addresses })
    }
}

impl Became {
    /// Reads one of the bytes of an answer, which has one for each address.
    pub fn decode(byte: u8) -> Became {
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
        let bytes = wanted.encode();
        assert_eq!(Wanted::decode(&bytes), Some(wanted.clone()));
        let most = Wanted { lists: (0..64).collect(), addresses: vec![wanted.addresses[0]; MOST_ADDRESSES] };
        assert!(most.encode().len() <= LONGEST);
        for wrong in [&bytes[..bytes.len() - 1], &[], &[9], &[0, 5]] {
            assert_eq!(Wanted::decode(wrong), None);
        }
        for became in [Became::Reached, Became::Refused, Became::Failed] {
            assert_eq!(Became::decode(became as u8), became);
        }
    }
}
