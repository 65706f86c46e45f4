//! What PID 1 sees at the end of the program that may explain its failure to somebody at a terminal.

use super::prepared::Process;
use crate::sys;
use std::ffi::CStr;
use std::os::fd::AsFd;

/// The program has tried to reach addresses to which its network namespace has no way.
pub const NETWORK: u32 = 1;
/// Something was made in the home, which is in memory.
pub const HOME: u32 = 2;

/// What is compared at the end with how it was when the program started. Where nobody reads hints, nothing is looked at.
pub(super) struct Watch<'p> {
    process: &'p Process,
    /// When the home was changed before the program started.
    home: Option<(i64, i64)>,
}

impl Watch<'_> {
    pub fn new(process: &Process) -> Watch<'_> {
        let home = process.hints.as_ref().and_then(|hints| hints.home.as_deref());
        Watch { process, home: home.and_then(|home| sys::modified(home).ok()) }
    }

    /// The hints, as bits, for a program that has `failed` or has not.
    pub fn seen(&self, failed: bool) -> u32 {
        let Some(hints) = &self.process.hints else { return 0 };
        let home = hints.home.as_deref().and_then(|home| sys::modified(home).ok());
        let home = if home.is_some() && home != self.home { HOME } else { 0 };
        let network = if failed && hints.network && has_tried_to_connect() { NETWORK } else { 0 };
        home | network
    }
}

/// Whether packets were to be sent somewhere to which there is no way, or to a port on the loopback interface where nobody
/// listens by UDP, such as that of a resolver of names: counters of the network namespace (proc_pid_net(5)).
#[inline(never)]
fn has_tried_to_connect() -> bool {
    let mut buffer = [0; 4096];
    let ipv4 = read(c"/proc/net/snmp", &mut buffer);
    if column(ipv4, b"Ip: ", b"OutNoRoutes") || column(ipv4, b"Udp: ", b"NoPorts") {
        return true;
    }
    line(read(c"/proc/net/snmp6", &mut buffer), b"Ip6OutNoRoutes")
}

fn read<'b>(path: &CStr, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut length = 0;
    if let Ok(file) = sys::openat(sys::cwd(), path, libc::O_RDONLY, 0) {
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty())
            && let Ok(more @ 1..) = sys::read(file.as_fd(), rest)
        {
            length += more;
        }
    }
    buffer.get(..length).unwrap_or_default()
}

/// Whether a column of a table is not zero, which has a line of names and one of numbers, both with this beginning.
fn column(text: &[u8], table: &[u8], name: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(table));
    let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else { return false };
    let mut columns = names.split(|byte| *byte == b' ').zip(numbers.split(|byte| *byte == b' '));
    columns.any(|(known, number)| known == name && number != b"0")
}

/// Whether the number in the line that begins with this name is not zero.
fn line(text: &[u8], name: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(name));
    lines.any(|rest| rest.trim_ascii() != b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_in_both_files() {
        let text =
            b"Ip: Forwarding OutNoRoutes ReasmFails\nIp: 1 3 0\nIcmp: A\nIcmp: 1\nUdp: InDatagrams NoPorts\nUdp: 7 0\n";
        assert!(column(text, b"Ip: ", b"OutNoRoutes") && !column(text, b"Ip: ", b"ReasmFails"));
        assert!(
            !column(text, b"Udp: ", b"NoPorts") && !column(text, b"Tcp: ", b"A") && !column(b"Ip: A", b"Ip: ", b"A")
        );
        let text = b"Ip6InReceives                   \t0\nIp6OutNoRoutes                  \t2\n";
        assert!(line(text, b"Ip6OutNoRoutes") && !line(text, b"Ip6InReceives") && !line(text, b"Ip6None"));
    }
}
