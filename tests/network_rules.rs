//! What is reached from a network of the sandbox's own, as `network.allow` and `network.deny` say, by each helper; and what a program does
//! not reach, whatever it tries (`tests/network/evade`).

mod common;

use common::network::{HELPERS, found, on_network, programs, script};
use common::{Place, landlock, ran, tun, userns};

/// What a program finds under rules: flags, and what comes of each address.
#[track_caller]
fn under(rules: &[&str], expected: &[(&str, &str)]) {
    for helper in HELPERS {
        let rules: Vec<_> = rules.iter().map(|rule| format!("--set 'network.{rule}'")).collect();
        found(&[], &format!("--net private --set network.helper={helper} {}", rules.join(" ")), expected);
    }
}

const INTERNET: [(&str, &str); 6] = [
    ("tcp,203.0.113.10,80", "reached 203.0.113.10 from 198.51.100.2"),
    ("tcp,2001:db8:f::10,80", "reached 2001:db8:f::10 from 2001:db8::2"),
    ("udp,203.0.113.10,9999", "reached 203.0.113.10 from 198.51.100.2"),
    ("udp,2001:db8:f::10,9999", "reached 2001:db8:f::10 from 2001:db8::2"),
    ("icmp,203.0.113.10,0", "reached"),
    ("name,one.example,80", "is 2001:db8:f::10 203.0.113.10"),
];

/// The kernel has a packet that a rule refuses be an error of the call that sends it, where it is no connection.
const PRIVATE_REFUSED: [(&str, &str); 6] = [
    ("tcp,10.9.9.9,80", "ECONNREFUSED"),
    ("tcp,fd99::9,80", "ECONNREFUSED"),
    ("udp,10.9.9.9,9999", "EPERM"),
    ("udp,fd99::9,9999", "EPERM"),
    ("icmp,10.9.9.9,0", "EPERM"),
    ("icmp,fd99::9,0", "ECONNREFUSED"),
];

const HOST_REFUSED: [(&str, &str); 6] = [
    ("tcp,198.51.100.2,7000", "ECONNREFUSED"),
    ("tcp,2001:db8::2,7000", "ECONNREFUSED"),
    ("tcp,198.51.100.3,7000", "ECONNREFUSED"),
    ("tcp,2001:db8:f::3,7000", "ECONNREFUSED"),
    ("tcp,203.0.113.3,7000", "ECONNREFUSED"),
    ("udp,203.0.113.3,7000", "EPERM"),
];

/// The gateway stands for the machines of networks that the host is attached to.
const REST_REFUSED: [(&str, &str); 5] = [
    ("tcp,169.254.169.254,80", "ECONNREFUSED"),
    ("udp,169.254.169.254,9999", "EPERM"),
    ("tcp,198.51.100.1,81", "ECONNREFUSED"),
    ("tcp,2001:db8::1,80", "ECONNREFUSED"),
    ("udp,224.0.0.251,5353", "EPERM"),
];

#[test]
fn a_private_network_reaches_the_internet_and_nothing_nearer() {
    need!(userns(), programs(), tun());
    let all = [&INTERNET[..], &PRIVATE_REFUSED, &HOST_REFUSED, &REST_REFUSED].concat();
    under(&[], &all);
}

#[test]
fn what_is_allowed_is_reached_and_all_else_refused() {
    need!(userns(), programs(), tun());
    let one = [
        ("tcp,203.0.113.10,80", "reached 203.0.113.10 from 198.51.100.2"),
        ("tcp,203.0.113.10,81", "ECONNREFUSED"),
        ("udp,203.0.113.10,9999", "EPERM"),
        ("icmp,203.0.113.10,0", "EPERM"),
        ("tcp,2001:db8:f::10,80", "ECONNREFUSED"),
        // Name servers are asked all the same, but no others.
        ("name,one.example,80", "is 2001:db8:f::10 203.0.113.10"),
        ("udp,203.0.113.53,53", "EPERM"),
        ("tcp,203.0.113.53,53", "ECONNREFUSED"),
    ];
    under(&["allow=[\"203.0.113.10:80/tcp\"]"], &one);
    let networks = [
        ("tcp,203.0.113.10,80", "ECONNREFUSED"),
        ("tcp,2001:db8:f::10,80", "reached 2001:db8:f::10 from 2001:db8::2"),
        ("udp,2001:db8:f::10,9999", "reached 2001:db8:f::10 from 2001:db8::2"),
        ("udp,203.0.113.10,9999", "reached 203.0.113.10 from 198.51.100.2"),
        ("udp,203.0.113.53,53", "EPERM"),
        ("tcp,fd99::9,80", "reached fd99::9 from 2001:db8::2"),
        ("udp,fd99::9,9999", "EPERM"),
    ];
    under(
        &[
            "allow=[\"[2001:db8:f::]/48/tcp\",\":9000-9999/udp\",\"fd99::9:80\"]"
                .replace("fd99::9:80", "[fd99::9]:80")
                .as_str(),
            "deny=[\"fd00::/8/udp\"]",
        ],
        &networks,
    );
    under(
        &["allow=[]"],
        &[("tcp,203.0.113.10,80", "ECONNREFUSED"), ("name,one.example,80", "is 2001:db8:f::10 203.0.113.10")],
    );
    under(&["allow=[\"internet\"]", "dns=none"], &[("name,one.example,80", "unknown"), INTERNET[0]]);
}

/// A word stands for its class, and a network for neither the host nor the metadata in it.
#[test]
fn what_is_near_is_reached_if_the_profile_names_it() {
    need!(userns(), programs(), tun());
    under(
        &["allow=[\"private\"]"],
        &[
            ("tcp,10.9.9.9,80", "reached 10.9.9.9 from 198.51.100.2"),
            ("udp,fd99::9,9999", "reached fd99::9 from 2001:db8::2"),
            ("tcp,203.0.113.10,80", "ECONNREFUSED"),
            ("tcp,169.254.169.254,80", "ECONNREFUSED"),
            ("tcp,203.0.113.3,7000", "ECONNREFUSED"),
            // A network that the host is attached to is one of these.
            ("tcp,198.51.100.1,82", "reached 198.51.100.1 from 198.51.100.2"),
        ],
    );
    under(
        &["allow=[\"metadata:80\"]"],
        &[
            ("tcp,169.254.169.254,80", "reached 169.254.169.254 from 198.51.100.2"),
            ("udp,169.254.169.254,9999", "EPERM"),
        ],
    );
    let everything = [
        ("tcp,169.254.169.254,80", "ECONNREFUSED"),
        ("tcp,203.0.113.3,7000", "ECONNREFUSED"),
        ("tcp,10.9.9.9,80", "reached 10.9.9.9 from 198.51.100.2"),
        ("tcp,198.51.100.1,82", "reached 198.51.100.1 from 198.51.100.2"),
    ];
    under(&["allow=[\"0.0.0.0/0\"]"], &everything);
    under(&["allow=[\"host\"]"], &[("tcp,203.0.113.3,7000", "reached 203.0.113.3 from 203.0.113.3"), INTERNET_REFUSED]);
    under(
        &["allow=[\"203.0.113.3\"]"],
        &[("tcp,203.0.113.3,7000", "reached 203.0.113.3 from 203.0.113.3"), INTERNET_REFUSED],
    );
}

const INTERNET_REFUSED: (&str, &str) = ("tcp,203.0.113.10,80", "ECONNREFUSED");

#[test]
fn what_is_denied_is_refused_whatever_is_allowed() {
    need!(userns(), programs(), tun());
    under(
        &[
            "allow=[\"internet\",\"private\",\"host\"]",
            "deny=[\"203.0.113.10:80\",\"[2001:db8:f::]/48/udp\",\"private/tcp\"]",
        ],
        &[
            INTERNET_REFUSED,
            ("udp,203.0.113.10,9999", "reached 203.0.113.10 from 198.51.100.2"),
            ("tcp,2001:db8:f::10,80", "reached 2001:db8:f::10 from 2001:db8::2"),
            ("udp,2001:db8:f::10,9999", "EPERM"),
            ("tcp,10.9.9.9,80", "ECONNREFUSED"),
            ("udp,10.9.9.9,9999", "reached 10.9.9.9 from 198.51.100.2"),
            ("tcp,198.51.100.1,82", "ECONNREFUSED"),
        ],
    );
}

/// Each way that a program may try, by what the other side has seen of it. Without rules, what is refused is reached.
#[test]
fn no_program_goes_around_the_rules() {
    need!(userns(), programs(), tun());
    // What is published lets answers leave; nested namespaces and no filter let more be tried.
    let flags = [
        "",
        "--publish 198.51.100.2:9999:9999/udp --publish 198.51.100.2:8080:80",
        "--set namespaces.nested=allow --set security.seccomp=off",
    ];
    for (helper, flags) in HELPERS.iter().flat_map(|helper| flags.map(|flags| (helper, flags))) {
        let place = Place::new();
        let text = format!(
            "\"$SBX\" --net private --set network.helper={helper} {flags} -- python3 -c \"$EVADE\" 10.9.9.9 fd99::9 203.0.113.10 2001:db8:f::10; \
             echo status $?; sort -u \"$REACHED\""
        );
        let mut command = on_network(&place, &[], &text);
        let ran = ran(command.env("EVADE", std::fs::read_to_string(script("evade")).unwrap()).output().unwrap());
        let (tries, reached) = ran.out.split_once("status 0\n").unwrap_or_else(|| panic!("{helper}: {ran:?}"));
        assert!(tries.lines().count() > 25, "{helper}: {ran:?}");
        // What is allowed arrives: the other side would tell.
        assert!(reached.contains("udp 2001:db8:f::10"), "{helper} {flags}: {ran:?}");
        assert!(!reached.contains("10.9.9.9") && !reached.contains("fd99::9"), "{helper} {flags}: {ran:?}");
        for barred in ["raw", "raw6", "packet", "delete the table", "flush the rules", "add an address"] {
            assert!(tries.contains(&format!("{barred}: E")), "{helper} {flags}: {barred}: {ran:?}");
        }
    }
}

/// Root in a user namespace of the program's own has no right over the network that it is in.
#[test]
fn rights_in_a_namespace_below_change_no_rule() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let text = "\"$SBX\" --net private --set namespaces.nested=allow --set security.seccomp=off -- unshare --user --map-root-user \
                python3 -c \"$EVADE\" 10.9.9.9 fd99::9 203.0.113.10 2001:db8:f::10; sort -u \"$REACHED\"";
    let mut command = on_network(&place, &[], text);
    let ran = ran(command.env("EVADE", std::fs::read_to_string(script("evade")).unwrap()).output().unwrap());
    for line in
        ["raw: EPERM", "packet: EPERM", "delete the table: EPERM", "flush the rules: EPERM", "add an address: EPERM"]
    {
        assert!(ran.out.lines().any(|other| other == line), "{line}: {ran:?}");
    }
    assert!(!ran.out.contains(" 10.9.9.9\n") && !ran.out.contains(" fd99::9\n"), "{ran:?}");
}

/// A packet to 127.0.0.1 that leaves by the network's interface is the helper's to send on, to the host's own loopback.
#[test]
fn no_line_and_no_socket_option_reach_the_hosts_loopback() {
    need!(userns(), programs(), tun());
    let code = r#"
import socket, struct
name = [name for _, name in socket.if_nameindex() if name != "lo"][0]
index = struct.pack(">I", socket.if_nametoindex(name))
for kind, port in (socket.SOCK_DGRAM, 9999), (socket.SOCK_DGRAM, 7000), (socket.SOCK_STREAM, 7777), (socket.SOCK_STREAM, 7000):
    for to in "127.0.0.1", "127.0.0.53", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1":
        six = ":" in to
        for option in (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode() + b"\0"), (41, 76, index) if six else (0, 50, index):
            sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)
            sock.settimeout(0.1)
            try:
                sock.setsockopt(*option)
                sock.connect((to, port))
                sock.send(b"hello")
            except OSError:
                pass
print("tried")
"#;
    let allow = [r#"":7000-9999""#, r#""0.0.0.0/0", "::/0""#, r#""/udp", "/tcp""#, r#""126.0.0.0/7", "::/1""#];
    for (helper, allow) in HELPERS.iter().flat_map(|helper| allow.map(|allow| (helper, allow))) {
        let place = Place::new();
        let text = format!(
            "\"$SBX\" -q --net private --set network.helper={helper} --set 'network.allow=[{allow}]' -- python3 -c \"$CODE\"; \
             sleep 0.2; cat \"$REACHED\""
        );
        let ran = ran(on_network(&place, &[("CODE", code)], &text).output().unwrap());
        assert_eq!(ran.out, "tried\n", "{helper} {allow}: {ran:?}");
    }
}

/// A helper gives the program all that comes to the port of the host by which a datagram of it has left: from the host and from everywhere.
#[test]
fn nobody_reaches_the_program_by_the_port_that_it_sends_from() {
    need!(userns(), programs(), tun());
    let inside = r#"
import socket, struct, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 5555)); s.settimeout(3)
for to in "::ffff:203.0.113.10", "2001:db8:f::10":
    s.sendto(b"hello", (to, 9999)); s.recvfrom(99)
# An entry of connection tracking for a neighbour, as if it had begun: its datagram and the answer to it go by loopback.
def by_loopback(source, to):
    one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); one.setsockopt(41, 78, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    one.bind(source); one.sendto(b"forged", to); one.close()
try:
    own = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); own.connect(("2001:db8:f::10", 9)); own = own.getsockname()[0]
    by_loopback(("2001:db8::1", 4444), (own, 5555))
    by_loopback((own, 5555), ("2001:db8::1", 4444))
except OSError as error: print(error, file=sys.stderr)
print("ready", flush=True)
s.settimeout(0.3)
end = time.monotonic() + 1.2
while time.monotonic() < end:
    try: data, (address, *_) = s.recvfrom(99)
    except socket.timeout: continue
    if data != b"forged" and b" from " not in data: print(data.decode(), "by", address, flush=True)
"#;
    let world = r#"
import socket, time
def bound(family, *address):
    s = socket.socket(family, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(address); return s
all = [(bound(socket.AF_INET, "10.9.9.9", 0), "198.51.100.2"), (bound(socket.AF_INET6, "fd99::9", 0), "2001:db8::2"),
       (bound(socket.AF_INET6, "2001:db8::1", 4444), "2001:db8::2"), (bound(socket.AF_INET, "203.0.113.10", 0), "198.51.100.2")]
while True:
    for s, to in all:
        for port in (5555, 6000):
            try: s.sendto(b"world%d" % port, (to, port))
            except OSError: pass
    time.sleep(0.1)
"#;
    let host = r#"
import socket
for line in open("/proc/net/udp").readlines()[1:] + open("/proc/net/udp6").readlines()[1:]:
    port = int(line.split()[1].split(":")[1], 16)
    if port in (53, 7000, 9999, 6000): continue
    for to in "127.0.0.1", "198.51.100.2", "::1", "2001:db8::2":
        s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
        try: s.sendto(b"host", (to, port))
        except OSError: pass
"#;
    for (helper, published) in HELPERS.iter().flat_map(|helper| [(helper, false), (helper, true)]) {
        let place = Place::new();
        let publish = if published { "--publish 198.51.100.2:6000:5555/udp" } else { "" };
        let text = format!(
            "\"$SBX\" -q --net private --set network.helper={helper} {publish} -- python3 -c \"$INSIDE\" >out & sbx=$!; \
             until grep -q ready out || ! kill -0 $sbx; do sleep 0.02; done; python3 -c \"$HOST\"; wait $sbx; sort -u out"
        );
        let settings = [("INSIDE", inside), ("HOST", host), ("BESIDE", world)];
        let ran = ran(on_network(&place, &settings, &text).output().unwrap());
        assert!(ran.out.contains("ready\n"), "{helper}: {ran:?}");
        let heard: Vec<_> = ran.out.lines().filter(|line| *line != "ready").collect();
        // A port that is published is heard at by all, and no other one of the host's leads there.
        let only = if published { "world6000 by" } else { "nothing" };
        assert!(
            heard.iter().all(|line| line.starts_with(only)) && heard.is_empty() != published,
            "{helper}: {heard:?} {ran:?}"
        );
    }
}

/// A translator of the network (NAT64) makes a packet to such an address one to the address of IPv4 that it holds.
#[test]
fn what_is_refused_is_refused_in_its_translated_forms() {
    need!(userns(), programs(), tun());
    // A server that is denied, the host, and a neighbour.
    let translated =
        ["64:ff9b::cb00:710a", "2002:cb00:710a::1", "64:ff9b::c633:6402", "2002:c633:6402::2", "64:ff9b::c633:6401"];
    let setup: String = translated
        .iter()
        .chain(&["64:ff9b::cb00:7135"])
        .map(|address| format!("echo there ip addr add {address}/128 dev lo nodad >\"$AS_ROOT\"; "))
        .collect();
    let tries: String = translated.iter().map(|address| format!("tcp,{address},8099 ")).collect();
    for helper in HELPERS {
        let place = Place::new();
        let beside = "import socket, time\ns = socket.create_server(('::', 8099), family=socket.AF_INET6)\nwhile True: s.accept()[0].send(b'here')";
        let text = format!(
            "{setup} until python3 -c \"$TRY\" tcp,64:ff9b::cb00:7135,8099 | grep -q here; do sleep 0.05; done; \
             \"$SBX\" -q --net private --set network.helper={helper} --set 'network.deny=[\"203.0.113.10/31\"]' -- \
             python3 -c \"$TRY\" tcp,64:ff9b::cb00:7135,8099 {tries}"
        );
        let ran = ran(on_network(&place, &[("BESIDE", beside)], &text).output().unwrap());
        let mut lines = ran.out.lines();
        // What is not refused is reached by such an address.
        assert_eq!(lines.next(), Some("tcp,64:ff9b::cb00:7135,8099 reached here"), "{helper}: {ran:?}");
        let refused: Vec<_> = lines.filter(|line| line.ends_with("ECONNREFUSED")).collect();
        assert_eq!(refused.len(), translated.len(), "{helper}: {ran:?}");
    }
}

#[test]
fn an_address_that_the_host_gets_later_is_refused_from_then_on() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let place = Place::new();
        let text = format!(
            "mkfifo go; exec 3<>go; \"$SBX\" --net private --set network.helper={helper} -- sh -c 'python3 -c \"$0\" within,1.5,- tcp,203.0.113.77,80; echo first; \
             read line; n=0; until python3 -c \"$0\" within,1.5,- tcp,203.0.113.77,7000 | tee last | grep -q ECONNREFUSED || [ $((n+=1)) = 20 ]; do :; done; cat last; \
             python3 -c \"$0\" tcp,203.0.113.10,80' \"$TRY\" <go >out & sbx=$!; until grep -q first out; do sleep 0.05; done; \
             echo ip addr add 203.0.113.77/32 dev lo >\"$AS_ROOT\"; until ip addr show lo | grep -q 203.0.113.77; do sleep 0.05; done; echo go >&3; wait $sbx; cat out"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let lines: Vec<_> = ran.out.lines().collect();
        let [first, _, host, internet] = &lines[..] else { panic!("{helper}: {ran:?}") };
        assert!(first.starts_with("tcp,203.0.113.77,80 "), "{helper}: {ran:?}");
        assert_eq!(*host, "tcp,203.0.113.77,7000 ECONNREFUSED", "{helper}: {ran:?}");
        assert_eq!(*internet, "tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2", "{helper}: {ran:?}");
    }
}

/// What a host is attached to, or is itself, may be told by routes alone: as by DHCPv6, at clouds, for virtual machines and by AnyIP.
#[test]
fn networks_and_addresses_that_routes_tell_are_near() {
    need!(userns(), programs(), tun());
    let before = [
        "ip -6 addr del 2001:db8::2/64 dev eth0",
        "ip -6 addr add 2001:db8::2/128 dev eth0 nodad",
        "ip -6 route add 2001:db8::/64 dev eth0",
        "ip -6 route replace default via 2001:db8::1",
        "ip route add 203.0.114.0/24 dev eth0",
        "ip route add local 203.0.117.0/24 dev lo",
        // What a transparent proxy needs makes not everything the host.
        "ip route add local 0.0.0.0/0 dev lo table 100",
        "ip route add 203.0.118.0/24 via 198.51.100.1",
    ];
    let before: String = before.iter().map(|line| format!("echo {line} >\"$AS_ROOT\"; ")).collect();
    for helper in HELPERS {
        let place = Place::new();
        let text = format!(
            "{before} until ip route show 203.0.118.0/24 | grep -q via; do sleep 0.05; done; mkfifo go; exec 3<>go; \
             \"$SBX\" --net private --set network.helper={helper} -- sh -c 'python3 -c \"$0\" udp,2001:db8::1,9999 udp,203.0.114.9,9999 \
             tcp,203.0.117.9,7000 tcp,203.0.113.10,80 tcp,2001:db8:f::10,80; echo first; \
             read line; n=0; until python3 -c \"$0\" within,0.5,- udp,203.0.115.9,9999 | tee last | grep -q EPERM || [ $((n+=1)) = 40 ]; do :; done; cat last; \
             n=0; while python3 -c \"$0\" within,0.5,- udp,203.0.114.9,9999 | tee last | grep -q EPERM && [ $((n+=1)) != 40 ]; do :; done; cat last' \
             \"$TRY\" <go >out & sbx=$!; \
             until grep -q first out; do sleep 0.05; done; echo ip route add 203.0.115.0/24 dev eth0 >\"$AS_ROOT\"; \
             echo ip route del 203.0.114.0/24 >\"$AS_ROOT\"; until ip route | grep -q 203.0.115.0; do sleep 0.05; done; \
             echo go >&3; wait $sbx; cat out"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let lines: Vec<_> = ran.out.lines().collect();
        let expected = [
            "udp,2001:db8::1,9999 EPERM",
            "udp,203.0.114.9,9999 EPERM",
            "tcp,203.0.117.9,7000 ECONNREFUSED",
            "tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2",
            "tcp,2001:db8:f::10,80 reached 2001:db8:f::10 from 2001:db8::2",
            "first",
            "udp,203.0.115.9,9999 EPERM",
        ];
        assert_eq!(lines.get(..7), Some(&expected[..]), "{helper}: {ran:?}");
        assert!(lines.get(7).is_some_and(|last| !last.ends_with("EPERM")), "{helper}: {ran:?}");
    }
}

/// `allow` for all addresses names no groups: the host is in some of them, and answers.
#[test]
fn groups_are_reached_if_they_are_named() {
    need!(userns(), programs(), tun());
    let refused = ("udp,224.0.0.251,9999", "EPERM");
    let reached = ("udp,203.0.113.10,9999", "reached 203.0.113.10 from 198.51.100.2");
    under(&["allow=[\":9999/udp\"]"], &[refused, reached]);
    under(&["allow=[\"224.0.0.251:9999/udp\"]"], &[("within,1.5,-", ""), ("udp,224.0.0.251,9999", "timeout")]);
}

/// The whole of a cloud's metadata, also where a class or a network has it.
#[test]
fn no_class_stands_for_metadata() {
    need!(userns(), programs(), tun());
    let all = [
        "fd00:ec2::253",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
        "fd00:100::100:200",
        "fd00:a9fe:a9fe::1",
        "169.254.42.42",
        "169.254.0.23",
    ];
    let refused: Vec<_> = all.iter().map(|address| format!("udp,{address},9999")).collect();
    let refused: Vec<_> = refused.iter().map(|tried| (tried.as_str(), "EPERM")).collect();
    under(&["allow=[\"private\",\"link-local\",\"fc00::/7\"]"], &refused);
}

#[test]
fn rights_by_which_a_program_would_go_around_the_rules_are_refused() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    for (capability, user) in [("CAP_NET_ADMIN", "self"), ("CAP_NET_RAW", "root")] {
        let held = format!("security.capabilities=[\"{capability}\"]");
        let ran = place.run(&["--net", "private", "--user", user, "--set", &held, "--", "true"]);
        assert!(ran.err.contains(&format!("{capability} cannot be held in a private network")), "{ran:?}");
        assert_eq!(ran.status, Some(125), "{ran:?}");
    }
}

#[test]
fn lines_that_would_have_no_effect_are_errors() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    for (mode, lines, says) in [
        ("none", "allow=[\"internet\"]", "`network.allow` has no effect without a private network"),
        ("host", "deny=[\"private\"]", "`network.deny` has no effect without a private network"),
        ("private", "allow=[\"loopback\"]", "the host's loopback is not reached by rules"),
        ("private", "allow=[\"127.0.0.1:80\"]", "is loopback, which is the sandbox's own"),
        ("private", "allow=[\"10.0.0.1/8\"]", "the network is 10.0.0.0/8"),
    ] {
        let ran = place.run(&["--net", mode, "--set", &format!("network.{lines}"), "--", "true"]);
        assert!(ran.err.contains(says), "{mode}, {lines}: {ran:?}");
    }
    let both = ["--set", "network.allow=[\"10.0.0.1:80\"]", "--set", "network.deny=[\"10.0.0.0/8\"]"];
    let ran = place.run(&[&["--net", "private"], &both[..], &["--", "true"]].concat());
    assert!(ran.err.contains("network.allow has 10.0.0.1:80, which network.deny refuses by 10.0.0.0/8"), "{ran:?}");
}

#[test]
fn hundreds_of_rules_are_rules_too() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let lines: Vec<_> =
        (0..2000).map(|n| format!("\"203.0.{}.{}\",\"2001:db8:{n:x}::1\"", 114 + n / 250, n % 250)).collect();
    let profile = format!(
        "schema = 1\nextends = [\"default\"]\n[network]\nmode = \"private\"\nallow = [\"203.0.113.10:80\", {}]\n",
        lines.join(", ")
    );
    let file = place.work().join("many.toml");
    std::fs::write(&file, profile).unwrap();
    let text = format!(
        "\"$SBX\" --profile {} -- python3 -c \"$TRY\" tcp,203.0.113.10,80 tcp,2001:db8:f::10,80 tcp,203.0.113.53,53 tcp,10.9.9.9,80",
        file.display()
    );
    let ran = ran(on_network(&place, &[], &text).output().unwrap());
    let expected = [
        "tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2",
        "tcp,2001:db8:f::10,80 ECONNREFUSED",
        "tcp,203.0.113.53,53 ECONNREFUSED",
        "tcp,10.9.9.9,80 ECONNREFUSED",
    ];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{ran:?}");
}

/// Landlock, which knows ports and no addresses, refuses what the rules on packets would refuse too, and first: with another errno. It
/// holds at loopback inside as well.
#[test]
fn landlock_holds_the_ports_of_tcp_a_second_time() {
    need!(userns(), programs(), tun(), landlock(4));
    let second = "allow=[\"203.0.113.10:80/tcp\",\":9999/udp\"]";
    let flags =
        format!("--net private --forward 7777:8000 --set 'network.{second}' --set security.landlock_tcp=require");
    for helper in HELPERS {
        found(
            &[],
            &format!("{flags} --set network.helper={helper}"),
            &[
                ("tcp,203.0.113.10,80", "reached 203.0.113.10 from 198.51.100.2"),
                ("tcp,203.0.113.10,81", "EACCES"),
                ("tcp,127.0.0.1,81", "EACCES"),
                // The address is for the other rules.
                ("tcp,198.51.100.1,80", "ECONNREFUSED"),
                ("tcp,127.0.0.1,8000", "reached 127.0.0.1 from 127.0.0.1"),
                ("udp,203.0.113.10,9999", "reached 203.0.113.10 from 198.51.100.2"),
                ("name,one.example,80", "is 2001:db8:f::10 203.0.113.10"),
            ],
        );
    }
    let place = Place::new();
    let plan =
        |flags: &[&str]| place.run(&[&["plan", "--verbose", "--net", "private"], flags, &["--", "true"]].concat());
    let tcp = ["--set", "security.landlock_tcp=prefer", "--set"];
    let told = plan(&[&tcp[..], &["network.allow=[\":443-445/tcp\", \"/icmp\"]"]].concat());
    assert!(told.out.contains("TCP connections to port 53, 443-445 alone"), "{told:?}");
    for (flags, says) in [
        (&tcp[..2], "without network.allow the Internet is reached at all of them"),
        (
            &[&tcp[..], &["network.allow=[\"internet\"]"]].concat(),
            "network.allow has internet, which is for all of them",
        ),
        (&[&tcp[..], &["network.allow=[\":1-2000\"]"]].concat(), "takes 1024 ports at most"),
        (
            &[
                &["--set", "security.landlock=off"],
                &tcp[..1],
                &["security.landlock_tcp=require", "--set", "network.allow=[\":80\"]"],
            ]
            .concat(),
            "security.landlock_tcp is `require`: security.landlock is off",
        ),
    ] {
        let told = plan(flags);
        assert!(told.status == Some(125) && told.err.contains(says), "{says}: {told:?}");
    }
    let none = place.run(&["plan", "--set", "security.landlock_tcp=require", "--", "true"]);
    assert!(none.err.contains("`security.landlock_tcp` has no effect without a private network"), "{none:?}");
}
