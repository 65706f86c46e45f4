//! Networks that sandboxes share and that have IPv6 (`sbx network create --ipv6`): who reaches whom, by which names, what is not reached, and
//! what no program inside can tell the others. What reaches the outside is tried against a network that the tests make
//! (`tests/network/internet`).

mod common;

use common::network::{HELPERS, programs};
use common::shared::{ATTEMPTS, run, run_with};
use common::{Place, Ran, tun, userns};

/// What these tests take besides user namespaces.
macro_rules! needs {
    () => {
        need!(userns(), programs(), tun());
    };
}

/// Makes the network `one`, with addresses that the tests know.
const CREATE: &str = "\"$SBX\" network create --ipv6 --subnet fd12::/64 one; ";

#[test]
fn two_sandboxes_reach_each_other_by_both_families_and_one_in_another_network_does_not() {
    needs!();
    for helper in HELPERS {
        let text = format!(
            "{CREATE}\"$SBX\" network create --ipv6 --subnet fd13::/64 --gateway fd13::99 two; flags='--set network.helper={helper}'; \
             serves web --network one --network-alias db $flags; serves other --network two $flags; \
             \"$SBX\" -q --network one $flags -- python3 -c \"$TRY\" tcp,fd12::2,80 tcp6,web,80 tcp6,web.one,80 tcp6,DB,80 icmp,fd12::2,0 \
                 tcp,10.89.0.2,80 name,web,80 name,db.one,80 name,none.one,80 name,other,80 tcp,fd13::1,80 \
                 tcp,2001:db8:f::10,80 udp,2001:db8:f::10,9999 tcp6,one.example,80 tcp,203.0.113.10,80; \
             \"$SBX\" -q --network two $flags -- python3 -c \"$TRY\" tcp6,other,80 name,web,80 tcp,fd12::2,80 tcp,2001:db8:f::10,80; \
             kill $sbx_web $sbx_other; wait"
        );
        let ran = run(&text);
        let expected = "one\ntwo\n\
            tcp,fd12::2,80 reached fd12::2 from fd12::3\ntcp6,web,80 reached fd12::2 from fd12::3\n\
            tcp6,web.one,80 reached fd12::2 from fd12::3\ntcp6,DB,80 reached fd12::2 from fd12::3\nicmp,fd12::2,0 reached\n\
            tcp,10.89.0.2,80 reached 10.89.0.2 from 10.89.0.3\nname,web,80 is 10.89.0.2 fd12::2\nname,db.one,80 is 10.89.0.2 fd12::2\n\
            name,none.one,80 unknown\nname,other,80 unknown\ntcp,fd13::1,80 ECONNREFUSED\n\
            tcp,2001:db8:f::10,80 reached 2001:db8:f::10 from 2001:db8::2\n\
            udp,2001:db8:f::10,9999 reached 2001:db8:f::10 from 2001:db8::2\n\
            tcp6,one.example,80 reached 2001:db8:f::10 from 2001:db8::2\n\
            tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\n\
            tcp6,other,80 reached fd13::2 from fd13::3\nname,web,80 unknown\ntcp,fd12::2,80 ECONNREFUSED\n\
            tcp,2001:db8:f::10,80 reached 2001:db8:f::10 from 2001:db8::2\nleft\n";
        assert_eq!(ran.out, expected, "{helper}: {ran:#?}");
    }
}

/// What one sandbox is refused is refused whatever form its address has. The others in the network are what they are by IPv4, and a line may
/// be for one family alone.
#[test]
fn what_a_profile_refuses_is_refused_by_ipv6_too() {
    needs!();
    let text = format!(
        "{CREATE}serves web --network one; \
         try() {{ \"$SBX\" -q --network one \"$@\" -- python3 -c \"$TRY\" tcp,fd12::2,80 tcp,10.89.0.2,80 tcp,2001:db8:f::10,80 tcp,2001:db8:f::20,80; }}; \
         \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp,2001:db8:f::3,7000 tcp,fd99::9,80 tcp,fd12::1,80 tcp,fd00:ec2::254,80 tcp,fe80::aff:fe59:2%eth0,80 \
             tcp,::ffff:10.9.9.9,80 tcp,::ffff:169.254.169.254,80 tcp,64:ff9b::a9fe:a9fe,80 tcp,64:ff9b::a09:909,80 tcp,2002:a09:909::1,80 \
             udp,fd99::9,9999 icmp,fd99::9,0 tcp,fd12::200,80 udp,fd12:0:0:0:1::,9; \
         echo; try --set 'network.allow=[\"[2001:db8:f::20]:80\"]'; echo; try --set 'network.deny=[\"private\"]'; \
         echo; try --set 'network.deny=[\"fd12::/64\"]'; echo; try --set 'network.deny=[\"10.89.0.0/24\",\"2001:db8:f::10\"]'; kill $sbx_web; wait"
    );
    let ran = run(&text);
    let parts: Vec<_> = ran.out.split("\n\n").collect();
    assert_eq!(parts.len(), 5, "{ran:#?}");
    let refused: Vec<_> = parts[0].lines().skip(1).collect();
    assert_eq!(refused.len(), 14, "{ran:#?}");
    // The address of a link needs an interface's number, which such a program does not name.
    let is_refused =
        |line: &&str| ["ECONNREFUSED", "EPERM", "EACCES", "EINVAL"].iter().any(|errno| line.ends_with(errno));
    assert!(refused.iter().all(is_refused), "{ran:#?}");
    let of = |part: &str| -> Vec<bool> { part.lines().take(4).map(|line| line.contains(" reached ")).collect() };
    let found: Vec<_> = parts[1..].iter().map(|part| of(part)).collect();
    let expected =
        [[true, true, false, true], [false, false, true, true], [false, true, true, true], [true, false, false, true]];
    assert_eq!(found, expected.map(|part| part.to_vec()), "{ran:#?}");
}

/// A sandbox that refuses the others, or what comes from some of them, is not reached by them either.
#[test]
fn who_refuses_the_others_is_not_reached_by_ipv6_either() {
    needs!();
    let text = format!(
        "{CREATE}serves whole --network one --set 'network.deny=[\"private\"]'; serves part --network one --set 'network.deny=[\"[fd12::]/64:1-65535/udp\",\"fd12::5\"]'; \
         try() {{ \"$SBX\" -q --network one -- python3 -c \"$TRY\" \"$@\"; }}; \
         try tcp,fd12::3,80 icmp,fd12::3,0 within,1.5,- tcp,fd12::2,80 udp,fd12::2,80 icmp,fd12::2,0 udp,fd12::3,80; \
         echo; try tcp,10.89.0.3,80 within,1.5,- tcp,fd12::3,80 icmp,fd12::3,0; \
         kill $sbx_whole $sbx_part; wait"
    );
    let ran = run(&text);
    let expected = "one\ntcp,fd12::3,80 reached fd12::3 from fd12::4\nicmp,fd12::3,0 reached\n\
        tcp,fd12::2,80 timeout\nudp,fd12::2,80 timeout\nicmp,fd12::2,0 timeout\nudp,fd12::3,80 timeout\n\n\
        tcp,10.89.0.3,80 reached 10.89.0.3 from 10.89.0.5\ntcp,fd12::3,80 timeout\nicmp,fd12::3,0 timeout\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

#[test]
fn an_internal_network_has_ipv6_among_its_sandboxes_alone() {
    needs!();
    let text = "\"$SBX\" network create --internal --subnet fd12::/64 one; serves web --network one; \
        \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp,fd12::2,80 tcp6,web,80 tcp,2001:db8:f::10,80 udp,2001:db8:f::10,9999 tcp,fd12::1,80; \
        helpers; kill $sbx_web; wait";
    let ran = run(text);
    let expected = "one\ntcp,fd12::2,80 reached fd12::2 from fd12::3\ntcp6,web,80 reached fd12::2 from fd12::3\n\
        tcp,2001:db8:f::10,80 ENETUNREACH\nudp,2001:db8:f::10,9999 ENETUNREACH\ntcp,fd12::1,80 ECONNREFUSED\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// The network starts all the same, its sandboxes reach each other, and what is outside is said to be out of reach at once.
#[test]
fn a_host_without_a_network_or_without_ipv6_has_such_networks_too() {
    needs!();
    for helper in HELPERS {
        let text = format!(
            "{CREATE}serves web --network one --set network.helper={helper}; \"$SBX\" -q --network one --set network.helper={helper} -- \
                 python3 -c \"$TRY\" tcp,fd12::2,80 tcp6,web,80 tcp,10.89.0.2,80; kill $sbx_web; wait"
        );
        let ran = run_with(&[("OFFLINE", "1")], &text);
        let expected = "one\ntcp,fd12::2,80 reached fd12::2 from fd12::3\ntcp6,web,80 reached fd12::2 from fd12::3\n\
            tcp,10.89.0.2,80 reached 10.89.0.2 from 10.89.0.3\nleft\n";
        assert_eq!(ran.out, expected, "{helper}: {ran:#?}");
        let text = format!(
            "echo ip -6 addr flush dev eth0 >\"$AS_ROOT\"; echo ip -6 route del default >\"$AS_ROOT\"; n=0; until [ -z \"$(ip -6 route show default)\" ] || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; \
             {CREATE}serves web --network one --set network.helper={helper}; \"$SBX\" -q --network one --set network.helper={helper} -- \
                 python3 -c \"$TRY\" tcp,fd12::2,80 tcp,203.0.113.10,80 tcp,2001:db8:f::10,80; kill $sbx_web; wait"
        );
        let ran = run(&text);
        let expected = "one\ntcp,fd12::2,80 reached fd12::2 from fd12::3\ntcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\n";
        let rest = ran.out.strip_prefix(expected).unwrap_or_else(|| panic!("{helper}: {ran:#?}"));
        assert_eq!(rest, "tcp,2001:db8:f::10,80 ENETUNREACH\nleft\n", "{helper}: {ran:#?}");
    }
}

/// The program has no right over its network, whatever capabilities it holds in its own namespaces; packets leave from its own addresses
/// alone; and its kernel believes no router, and makes up no address.
#[test]
fn nobody_takes_the_address_of_another_sandbox_or_says_that_it_is_a_router() {
    needs!();
    let program = r#"
def sends(option, own="fd12::2", to="fd12::3"):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, option, 1)
    sock.bind((own, 5000, 0, 2 if own.startswith("fe80") else 0))
    sock.sendto(b"x", (to, 9))
def says(own):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    info = socket.inet_pton(socket.AF_INET6, own) + struct.pack("i", 2)
    sock.sendmsg([b"x"], [(socket.IPPROTO_IPV6, 50, info)], 0, ("fd12::3", 9))
def advertises(kind):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)
    sock.sendto(bytes([kind, 0]) + bytes(22), ("fd12::3", 0))
link = [line.split()[0] for line in open("/proc/net/if_inet6") if line.startswith("fe80")][0]
link = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(link))
IPV6_TRANSPARENT, IPV6_FREEBIND = 75, 78
tries("freebind", lambda: sends(IPV6_FREEBIND))
tries("gateway", lambda: sends(IPV6_FREEBIND, "fd12::1"))
tries("link", lambda: sends(IPV6_FREEBIND, link))
tries("info", lambda: says("fd12::2"))
tries("transparent", lambda: sends(IPV6_TRANSPARENT))
tries("raw", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58))
tries("header", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255))
tries("packet", lambda: socket.socket(17, socket.SOCK_RAW, 0))
tries("router", lambda: advertises(134))
tries("neighbour", lambda: advertises(136))
refused("ip -6 addr add fd12::2/64 dev eth0", "ip -6 route del default", "ip -6 neigh add fd12::2 lladdr 02:00:0a:59:00:09 dev eth0",
        "ip -6 route add fd12::2/128 via fd12::1")
for name in "accept_ra", "autoconf", "accept_redirects", "proxy_ndp", "use_tempaddr", "accept_source_route":
    print(name, open("/proc/sys/net/ipv6/conf/eth0/" + name).read().strip())
try:
    open("/proc/sys/net/ipv6/conf/eth0/accept_ra", "w").write("2"); print("set")
except OSError:
    print("kept")
print("own", *sorted(line.split()[0] for line in open("/proc/net/if_inet6") if "eth0" in line))
"#;
    let text = format!(
        "cat >program <<'E'\n{ATTEMPTS}{program}\nE\n{CREATE}serves web --network one; serves watch --network one; \
         for user in self root; do \"$SBX\" -q --network one --ro program --user $user \
             --set 'security.capabilities=[\"CAP_NET_ADMIN\",\"CAP_NET_RAW\"]' --set security.seccomp=off -- python3 program; done; \
         kill $sbx_web $sbx_watch; wait"
    );
    let ran = run(&text);
    let lines: Vec<_> = ran.out.lines().collect();
    const LINES: usize = 22;
    assert_eq!(lines.len(), 2 + 2 * LINES, "{ran:#?}");
    for (lines, last) in lines[1..lines.len() - 1].chunks(LINES).zip([4, 5]) {
        // The kernel lets nobody send from an address that the interface does not have, or the packet filter refuses it.
        for line in &lines[..4] {
            assert!(
                ["EINVAL", "EPERM", "EADDRNOTAVAIL", "ECONNREFUSED"].iter().any(|errno| line.ends_with(errno)),
                "{ran:#?}"
            );
        }
        assert_eq!(lines[4..8], ["transparent EPERM", "raw EPERM", "header EPERM", "packet EPERM"], "{ran:#?}");
        assert_eq!(lines[8..10], ["router EINVAL", "neighbour EINVAL"], "{ran:#?}");
        assert!(lines[10..14].iter().all(|line| line.ends_with("refused")), "{ran:#?}");
        let settings = [
            "accept_ra 0",
            "autoconf 0",
            "accept_redirects 0",
            "proxy_ndp 0",
            "use_tempaddr 0",
            "accept_source_route -1",
        ];
        assert_eq!(lines[14..20], settings, "{ran:#?}");
        let own = format!("own fd12000000000000000000000000000{last} fe8000000000000000000afffe59000{last}");
        assert_eq!(lines[20..], ["kept", own.as_str()], "{ran:#?}");
    }
}

/// An address that is asked for is the sandbox's, or it does not start: nobody has one twice.
#[test]
fn an_address_that_is_asked_for_is_given_to_one_alone() {
    needs!();
    let text = format!(
        "{CREATE}\"$SBX\" network create old; serves web --network one --ip6 fd12::99; serves db --network one --set network.ip6=fd12::4; serves next --network one; \
         \"$SBX\" -q --network one --ip6 fd12::123 -- python3 -c \"$TRY\" tcp6,web,80 tcp6,db,80 tcp6,next,80 tcp,fd12::99,80 tcp,10.89.0.4,80; \
         \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp6,web,80; \
         for address in fd12::99 fd12::1 fd12:: fd13::7 10.89.0.7 x; do \"$SBX\" -q --network one --ip6 $address -- true 2>&1; echo status $?; done; \
         \"$SBX\" -q --network old --ip6 fd12::7 -- true 2>&1; \"$SBX\" -q --net private --ip6 fd12::7 -- true 2>&1; kill $sbx_web $sbx_db $sbx_next; wait"
    );
    let ran = run(&text);
    // The third one had the number of an address that somebody has asked for.
    let expected = "one\nold\ntcp6,web,80 reached fd12::99 from fd12::123\ntcp6,db,80 reached fd12::4 from fd12::123\n\
        tcp6,next,80 reached fd12::2 from fd12::123\ntcp,fd12::99,80 reached fd12::99 from fd12::123\n\
        tcp,10.89.0.4,80 reached 10.89.0.4 from 10.89.0.5\ntcp6,web,80 reached fd12::99 from fd12::6\n";
    assert!(ran.out.starts_with(expected), "{ran:#?}");
    for says in [
        "the network `one` cannot be joined: another sandbox in it has the address fd12::99",
        "`sbx network inspect one` shows who has which address",
        "the sandbox cannot have the address fd12::1: it is that by which the outside is reached",
        "the sandbox cannot have the address fd12::: it is no machine's address of fd12::/119",
        "the sandbox cannot have the address fd13::7: it is no machine's address of fd12::/119",
        "`10.89.0.7` is no address of IPv6",
        "`x` is no address of IPv6",
        "the network `old` has no addresses of IPv6",
        "`network.ip6` has no effect without a network that sandboxes share",
    ] {
        assert!(ran.out.contains(says), "{says}: {ran:#?}");
    }
    assert_eq!(ran.out.matches("status 125").count(), 6, "{ran:#?}");
}

/// What a network had that an older sbx made: no IPv6, by whatever a program tries; and so by default.
#[test]
fn a_network_without_ipv6_has_none() {
    needs!();
    let text = "\"$SBX\" network create one; file=$HOME/.local/state/sbx/.networks/one.json; grep -c v6 \"$file\"; serves web --network one; \
        \"$SBX\" -q --network one -- sh -c 'python3 -c \"$1\" tcp,web,80 tcp6,web,80 tcp,2001:db8:f::10,80; grep -c eth0 /proc/net/if_inet6' sh \"$TRY\"; kill $sbx_web; wait";
    let ran = run(text);
    let expected = "one\n0\ntcp,web,80 reached 10.89.0.2 from 10.89.0.3\ntcp6,web,80 unknown\ntcp,2001:db8:f::10,80 ENETUNREACH\n0\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

#[test]
fn launchers_that_are_killed_give_their_addresses_back() {
    needs!();
    let text = "\"$SBX\" network create --internal --subnet fd12::/120 --subnet 10.90.0.0/29 one; serves web --network one; serves db --network one; kill -9 $sbx_web; \
        n=0; until [ \"$(\"$SBX\" network ls --format '{{.Sandboxes}}')\" = 1 ] || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; \
        for n in 1 2 3 4 5 6 7; do \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp6,db,80 name,web,80; done | sort | uniq -c; \
        kill -9 $sbx_db; wait; \"$SBX\" prune -f >/dev/null";
    let ran = run(text);
    assert!(ran.out.contains(" 7 name,web,80 unknown\n"), "{ran:#?}");
    let addresses: Vec<_> =
        ran.out.lines().filter(|line| line.contains("tcp6,db,80 reached fd12::3 from fd12::")).collect();
    // Those of 10.90.0.0/29 but the gateway's and that of `db`, in turn.
    assert_eq!(addresses.len(), 4, "{ran:#?}");
}

fn network(place: &Place, args: &[&str]) -> Ran {
    place.run(&[&["network"], args].concat())
}

#[test]
fn subnets_and_gateways_are_as_asked_and_wrong_ones_are_refused() {
    let place = Place::new();
    network(&place, &["create", "--subnet", "fd12::/64", "--subnet", "172.30.7.0/24", "--gateway", "fd12::99", "one"])
        .ok();
    network(&place, &["create", "--ipv6", "two"]).ok();
    network(&place, &["create", "three"]).ok();
    let all: serde_json::Value =
        serde_json::from_str(&network(&place, &["inspect", "one", "two", "three"]).ok()).unwrap();
    let one = serde_json::json!([
        { "subnet": "172.30.7.0/24", "gateway": "172.30.7.1" },
        { "subnet": "fd12::/64", "gateway": "fd12::99" },
    ]);
    assert_eq!((&all[0]["subnets"], &all[0]["ipv6_enabled"]), (&one, &true.into()), "{all}");
    let random = all[1]["subnets"][1]["subnet"].as_str().unwrap();
    assert!(random.starts_with("fd") && random.ends_with("::/64") && random != "fd12::/64", "{all}");
    assert_eq!(
        (all[2]["subnets"].as_array().map(Vec::len), &all[2]["ipv6_enabled"]),
        (Some(1), &false.into()),
        "{all}"
    );
    let row = network(&place, &["ls", "--format", "{{.Name}} {{.Subnet}} {{.Gateway}} {{.IPv6Enabled}}"]).ok();
    assert_eq!(row.lines().next(), Some("one 172.30.7.0/24,fd12::/64 172.30.7.1,fd12::99 true"));
    for (args, says) in [
        (&["create", "--subnet", "fd12::/64", "--subnet", "fd13::/64", "x"][..], "are of the same family of addresses"),
        (&["create", "--subnet", "fd12::/32", "x"], "has addresses of fd12::/64, which the network `one` has"),
        (&["create", "--subnet", "fd00::/64", "x"], "has addresses of fd00::/64"),
        (&["create", "--subnet", "fd00:ec2::/64", "x"], "addresses at which clouds tell a machine its secrets"),
        (&["create", "--subnet", "2001:db8::/64", "x"], "is not in fd00::/8"),
        (&["create", "--subnet", "fd14::1/64", "x"], "is a machine in fd14::/64"),
        (&["create", "--subnet", "fd14::/127", "x"], "the number of bits is from 16 to 120"),
        (&["create", "--ipv6", "--gateway", "fd99::1", "x"], "the gateway fd99::1 is no machine of fd"),
        (&["create", "--gateway", "fd14::1", "x"], "the network has none"),
    ] {
        let ran = network(&place, args);
        assert!(ran.status != Some(0) && ran.err.contains(says), "{says}: {ran:?}");
    }
    assert_eq!(network(&place, &["ls", "-q"]).ok(), "one\nthree\ntwo\n");
}

/// Addresses that no command has chosen are not believed.
#[test]
fn hostile_definitions_are_refused() {
    let place = Place::new();
    network(&place, &["create", "--subnet", "fd12::/64", "good"]).ok();
    let dir = place.home().join(".local/state/sbx/.networks");
    let good = std::fs::read_to_string(dir.join("good.json")).unwrap().replace("\"good\"", "\"bad\"");
    for (from, to) in [
        ("\"fd12::/64\"", "\"2001:db8::/64\""),
        ("\"fd12::/64\"", "\"fd00:ec2::/64\""),
        ("\"fd12::/64\"", "\"::/0\""),
        ("\"fd12::/64\"", "\"10.0.0.0/24\""),
        ("\"fd12::1\"", "\"fd13::1\""),
        ("\"fd12::1\"", "\"10.89.0.1\""),
        ("\"fd12::1\"", "null"),
    ] {
        assert!(good.contains(from), "{good}");
        std::fs::write(dir.join("bad.json"), good.replace(from, to)).unwrap();
        let ran = place.run(&["--network", "bad", "--", "true"]);
        assert!(ran.status == Some(125) && ran.err.contains("the definition of the network `bad`"), "{to}: {ran:?}");
    }
}

/// `plan`, the summary and the rules name the addresses of both families.
#[test]
fn plan_says_that_the_others_are_reached_by_both_families() {
    needs!();
    let text = format!(
        "{CREATE}\"$SBX\" plan --network one -- true | grep ^network; \"$SBX\" plan --verbose --network one -- true | grep -e net:one -e reached; \
         \"$SBX\" plan --verbose --network one --set 'network.deny=[\"private\"]' -- true | grep 'what comes'"
    );
    let ran = run(&text);
    for says in [
        "it reaches the other sandboxes in `one` (10.89.0.0/24 and fd12::/64), and they reach it; outside, the Internet",
        "net:one, 10.89.0.0/24 at 10.89.0.1, fd12::/64 at fd12::1, from which the outside is reached through",
        "other sandboxes in the network `one` (10.89.0.0/24 and fd12::/64)",
        "what comes from 10.89.0.0/24 and fd12::/64",
    ] {
        assert!(ran.out.contains(says), "{says}: {ran:#?}");
    }
}
