//! How many neighbours a program sends to: machines that are reached without a router, each of which takes a place in the host's one table of them.

mod common;

use common::network::programs;
use common::shared::run;
use common::{tun, userns};

/// `MANY` is a program that sends a datagram to 300 addresses with each prefix, or to 230 where there are no more, and prints how many left.
const MANY: &str = r#"
MANY='import socket, sys
for prefix in sys.argv[1:]:
    own = socket.socket(socket.AF_INET6 if ":" in prefix else socket.AF_INET, socket.SOCK_DGRAM)
    left = 0
    last = prefix.count(".") == 3
    for n in range(230 if last else 300):
        address = prefix + ("%x" % (n + 16) if ":" in prefix else "%d" % (n + 20) if last else "%d.%d" % (n // 200, n % 200 + 20))
        try:
            own.sendto(b"x", (address, 9))
            left += 1
        except OSError:
            pass
    print(prefix, left)'
"#;

/// The one that was sent to before is in the count, and goes on to be reached. What is refused for another reason does not count.
#[test]
fn a_program_sends_to_so_many_others_in_its_network_and_no_more() {
    need!(userns(), programs(), tun());
    let text = format!(
        "{MANY}\"$SBX\" network create --ipv6 --subnet 10.90.0.0/20 --subnet fd12::/64 one >/dev/null; serves web --network one; serves last --network one; \
         \"$SBX\" --network one --network-log log --set 'network.deny=[\"10.90.8.0/24\"]' -- sh -c \
           'python3 -c \"$1\" tcp,10.90.0.2,80 tcp6,web,80; python3 -c \"$0\" 10.90.8. 10.90. fd12::; python3 -c \"$1\" tcp,10.90.0.2,80 tcp6,web,80 tcp,10.90.0.3,80' \
           \"$MANY\" \"$TRY\" 2>/dev/null; \
         \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp,10.90.0.3,80 tcp6,last,80; grep -v 10.90.8. log | grep -o '\"rule\":\"[^\"]*' | sort -u; \
         kill $sbx_web $sbx_last; wait"
    );
    let ran = run(&text);
    let (web, web6) =
        ("tcp,10.90.0.2,80 reached 10.90.0.2 from 10.90.0.4\n", "tcp6,web,80 reached fd12::2 from fd12::4\n");
    let counts = "10.90.8. 0\n10.90. 127\nfd12:: 127\n";
    let rest = "tcp,10.90.0.3,80 reached 10.90.0.3 from 10.90.0.5\ntcp6,last,80 reached fd12::3 from fd12::5\n";
    let why = "\"rule\":\"more than 128 machines that no router is between, in a minute\n";
    let expected = format!("{web}{web6}{counts}{web}{web6}tcp,10.90.0.3,80 ECONNREFUSED\n{rest}{why}left\n");
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// All networks of a sandbox have one bound.
#[test]
fn what_a_sandbox_was_connected_to_counts_with_the_rest() {
    need!(userns(), programs(), tun());
    let text = format!(
        "{MANY}\"$SBX\" network create --subnet 10.90.0.0/20 one >/dev/null; \"$SBX\" network create --subnet 10.90.16.0/20 two >/dev/null; \
         serves web --network two; serves middle --network one; \"$SBX\" network connect two middle >/dev/null; \
         \"$SBX\" exec -w / middle python3 -c \"$TRY\" tcp,10.90.16.2,80; \
         \"$SBX\" exec -w / middle python3 -c \"$MANY\" 10.90.17. 10.90.; \
         \"$SBX\" exec -w / middle python3 -c \"$TRY\" tcp,10.90.16.2,80; kill $sbx_web $sbx_middle; wait"
    );
    let ran = run(&text);
    let reached = "tcp,10.90.16.2,80 reached 10.90.16.2 from 10.90.16.3\n";
    assert_eq!(ran.out, format!("{reached}10.90.17. 127\n10.90. 0\n{reached}left\n"), "{ran:#?}");
}

/// It is the host whose neighbours these are, or what carries the packets, whichever that is.
#[test]
fn a_program_that_may_reach_the_hosts_network_sends_to_so_many_machines_there() {
    need!(userns(), programs(), tun());
    for helper in ["pasta", "slirp4netns"] {
        let text = format!(
            "{MANY}\"$SBX\" -q --network private --set network.helper={helper} --set 'network.allow=[\"private\", \"internet\"]' -- \
             sh -c 'python3 -c \"$1\" tcp,203.0.113.10,80; python3 -c \"$0\" 198.51.100.; python3 -c \"$1\" tcp,203.0.113.10,80' \"$MANY\" \"$TRY\""
        );
        let ran = run(&text);
        // The router is one of them where it is in that network.
        let reached = "tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\n";
        let count = format!("{reached}198.51.100. 127\n{reached}left\n");
        assert_eq!(ran.out, count, "{helper}: {ran:#?}");
    }
}
