//! What a sandbox uses now, for `sbx stats`.

use super::cgroup::Cgroup;
use crate::state::Usage;

/// What is used, as far as it is known: by the cgroup, and by the interfaces of a network of the sandbox's own.
pub(super) fn usage(cgroup: Option<&Cgroup>, own_network: bool, first: i32) -> Usage {
    let mut usage = cgroup.map(Cgroup::usage).unwrap_or_default();
    if own_network && first > 0 {
        // The first process is not reaped yet: the number is its own.
        usage.network = std::fs::read_to_string(format!("/proc/{first}/net/dev")).ok().map(|text| interfaces(&text));
    }
    usage
}

/// The bytes that all interfaces but loopback have received and sent: proc_pid_net(5), /proc/net/dev.
fn interfaces(text: &str) -> [u64; 2] {
    // Two lines of heads. A name may hold any character but a slash and white space.
    let lines = text.lines().skip(2).filter_map(|line| line.rsplit_once(':'));
    lines.filter(|(name, _)| name.trim() != "lo").fold([0, 0], |[received, sent]: [u64; 2], (_, counts)| {
        let count = |index| counts.split_whitespace().nth(index).and_then(|count| count.parse().ok()).unwrap_or(0);
        [received.saturating_add(count(0)), sent.saturating_add(count(8))]
    })
}

#[cfg(test)]
mod tests {
    use super::interfaces;

    #[test]
    fn the_bytes_of_all_interfaces_but_loopback_are_added_up() {
        let text = "Inter-|   Receive                                                |  Transmit\n face |bytes packets\n\
                    \x20   lo: 500 5 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n  tap0: 1000 9 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n a:b:7 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n";
        assert_eq!(interfaces(text), [1007, 23]);
        assert_eq!(interfaces(""), [0, 0]);
    }
}
