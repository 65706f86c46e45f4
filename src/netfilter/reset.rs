//! The answer to a connection's first packet that was refused and not answered: what TCP says where nobody listens (RFC 9293, 3.10.7.1).

use super::RefusedPacket;
use std::net::IpAddr;

/// Length of the header of TCP.
const TCP: usize = 20;

/// How many routers a packet may pass.
const HOPS: u8 = 64;

/// Flags: reset, and the acknowledgement counts.
const RST_ACK: u8 = 4 | 16;

/// The packet, with its header of IP, which comes from where the first one was to go. None if that is of no known form.
#[must_use]
pub fn reset(to: &RefusedPacket) -> Option<Vec<u8>> {
    let mut tcp = Vec::with_capacity(TCP);
    tcp.extend(to.to.1.to_be_bytes());
    tcp.extend(to.from.1.to_be_bytes());
    tcp.extend(0u32.to_be_bytes());
    // The first packet takes a number of its own.
    tcp.extend(to.sequence.wrapping_add(1).to_be_bytes());
    // Five words of header; no window, no checksum yet, nothing urgent.
    tcp.extend([5 << 4, RST_ACK, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(TCP).ok()?;
    let protocol = u8::try_from(libc::IPPROTO_TCP).ok()?;
    let (header, addresses) = match (to.to.0, to.from.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            let mut header = vec![0x45, 0];
            header.extend((20 + length).to_be_bytes());
            // The kernel fills in the number and the checksum: raw(7).
            header.extend([0, 0, 0, 0, HOPS, protocol, 0, 0]);
            header.extend(&addresses);
            (header, addresses)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let addresses = [from.octets(), to.octets()].concat();
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length.to_be_bytes());
            header.extend([protocol, HOPS]);
            header.extend(&addresses);
            (header, addresses)
        }
        _ => return None,
    };
    // The checksum is also one of the addresses, the protocol and the length.
    let counted = [&addresses[..], &[0, protocol], &length.to_be_bytes(), &tcp].concat();
    let sum = checksum(&counted).to_be_bytes();
    tcp.iter_mut().skip(16).zip(sum).for_each(|(to, byte)| *to = byte);
    Some([header, tcp].concat())
}

/// The checksum of the Internet (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_goes_back_with_the_next_number_and_a_checksum_that_holds() {
        for (from, to, header) in [("192.0.2.1", "198.51.100.7", 20), ("2001:db8::1", "2001:db8::2", 40)]
            .map(|(from, to, header)| (from.parse::<IpAddr>().unwrap(), to.parse::<IpAddr>().unwrap(), header))
        {
            let first = RefusedPacket { from: (from, 40000), to: (to, 443), protocol: 6, kind: 0, sequence: u32::MAX };
            let packet = reset(&first).unwrap();
            assert_eq!(packet.len(), header + TCP);
            let tcp = &packet[header..];
            assert_eq!((&tcp[..4], &tcp[8..12], tcp[13]), (&[1, 187, 0x9c, 0x40][..], &[0; 4][..], RST_ACK));
            let addresses = &packet[if header == 20 { 12..20 } else { 8..40 }];
            let counted = [addresses, &[0, 6, 0, 20], tcp].concat();
            assert_eq!(checksum(&counted), 0);
        }
        let odd = RefusedPacket {
            from: ([192, 0, 2, 1].into(), 1),
            to: ("2001:db8::2".parse().unwrap(), 1),
            protocol: 6,
            kind: 0,
            sequence: 0,
        };
        assert_eq!(reset(&odd), None);
    }
}
