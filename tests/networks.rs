//! Networks that several sandboxes share (`sbx network`, `--network NAME`): who reaches whom, by which names, what is not reached, and the end
//! of each process. What reaches the outside is tried against a network that the tests make (`tests/network/internet`).

mod common;

use common::network::{HELPERS, programs};
use common::shared::{ATTEMPTS, run};
use common::{Place, Ran, tun, until, userns};
use std::io::Read;
use std::process::{Child, Command, Stdio};

/// What these tests take besides user namespaces.
macro_rules! needs {
    () => {
        need!(userns(), programs(), tun());
    };
}

#[test]
fn two_sandboxes_reach_each_other_by_address_and_by_name_and_one_in_another_network_does_not() {
    needs!();
    for helper in HELPERS {
        let text = format!(
            "for n in one two; do \"$SBX\" network create $n; done; flags='--set network.helper={helper}'; \
             serves web --network one --network-alias db $flags; serves other --network two $flags; \
             \"$SBX\" -q --network one $flags -- python3 -c \"$TRY\" tcp,10.89.0.2,80 tcp,web,80 tcp,web.one,80 tcp,DB,80 tcp,db.one,80 \
                 name,none.one,80 name,other,80 tcp,10.89.1.2,80 tcp,203.0.113.10,80 name,one.example,80; \
             \"$SBX\" -q --network two $flags -- python3 -c \"$TRY\" tcp,other,80 name,web,80 tcp,10.89.0.2,80; kill $sbx_web $sbx_other; wait"
        );
        let ran = run(&text);
        let expected = "one\ntwo\n\
            tcp,10.89.0.2,80 reached 10.89.0.2 from 10.89.0.3\ntcp,web,80 reached 10.89.0.2 from 10.89.0.3\n\
            tcp,web.one,80 reached 10.89.0.2 from 10.89.0.3\ntcp,DB,80 reached 10.89.0.2 from 10.89.0.3\n\
            tcp,db.one,80 reached 10.89.0.2 from 10.89.0.3\nname,none.one,80 unknown\nname,other,80 unknown\n\
            tcp,10.89.1.2,80 ECONNREFUSED\ntcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\n\
            name,one.example,80 is 2001:db8:f::10 203.0.113.10\n\
            tcp,other,80 reached 10.89.1.2 from 10.89.1.3\nname,web,80 unknown\ntcp,10.89.0.2,80 ECONNREFUSED\nleft\n";
        assert_eq!(ran.out, expected, "{helper}: {ran:#?}");
    }
}

/// The rules of each sandbox hold on its own packets, as in a private network.
#[test]
fn what_a_profile_refuses_is_refused_in_a_network_that_sandboxes_share() {
    needs!();
    let text = "\"$SBX\" network create one; serves web --network one; \
        try() { \"$SBX\" -q --network one \"$@\" -- python3 -c \"$TRY\" tcp,web,80 tcp,203.0.113.10,80 tcp,203.0.113.20,80 tcp,198.51.100.2,7000 \
            tcp,10.9.9.9,80 tcp,169.254.169.254,80 tcp,10.89.0.1,80; }; \
        try; echo; try --set 'network.allow=[\"203.0.113.20:80\"]'; echo; try --set 'network.deny=[\"private\"]'; echo; \
        try --set 'network.deny=[\"10.89.0.0/24\"]' | head -n 1; \
        kill $sbx_web; wait";
    let ran = run(text);
    let refused = "tcp,198.51.100.2,7000 ECONNREFUSED\ntcp,10.9.9.9,80 ECONNREFUSED\ntcp,169.254.169.254,80 ECONNREFUSED\ntcp,10.89.0.1,80 ECONNREFUSED\n";
    let lines = |peer: &str, first: &str, second: &str| {
        format!("tcp,web,80 {peer}\ntcp,203.0.113.10,80 {first}\ntcp,203.0.113.20,80 {second}\n{refused}")
    };
    let (one, two) = ("reached 203.0.113.10 from 198.51.100.2", "reached 203.0.113.20 from 198.51.100.2");
    let expected = [
        lines("reached 10.89.0.2 from 10.89.0.3", one, two),
        lines("reached 10.89.0.2 from 10.89.0.4", "ECONNREFUSED", two),
        lines("ECONNREFUSED", one, two),
    ];
    let expected = format!("one\n{}\ntcp,web,80 ECONNREFUSED\nleft\n", expected.join("\n"));
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// A sandbox that refuses the others is not reached by them either.
#[test]
fn who_refuses_the_others_is_not_reached_by_them() {
    needs!();
    let text = "\"$SBX\" network create one; serves web --network one --set 'network.deny=[\"private\"]'; \
        \"$SBX\" -q --network one -- python3 -c \"$TRY\" within,1.5,- tcp,web,80 udp,web,80; kill $sbx_web; wait";
    let ran = run(text);
    assert_eq!(ran.out, "one\ntcp,web,80 timeout\nudp,web,80 timeout\nleft\n", "{ran:#?}");
}

/// Who is denied in part is neither reached nor let in by that part, by whatever protocol; the others are.
#[test]
fn whom_a_profile_denies_in_part_is_let_in_by_the_rest_alone() {
    needs!();
    let sends = r#"
import socket
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.connect(("10.89.0.2", 5000))
for port in 53, 54, 4000:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((own.getsockname()[0], port))
    sock.sendto(b"x", ("10.89.0.2", 5000))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
sock.settimeout(0.2)
try:
    sock.sendto(bytes([8, 0, 0, 0, 0, 1, 0, 1]), ("10.89.0.2", 0))
    print(sock.recv(99) and "echo", flush=True)
except socket.timeout:
    print("no echo", flush=True)
"#;
    let text = format!(
        "cat >sends <<'E'\n{sends}\nE\n\"$SBX\" network create --internal one; SERVER=$HEARS; \
         serves web --network one --set 'network.deny=[\"10.89.0.3\",\"10.89.0.4/udp\",\"10.89.0.0/28:53\",\"10.89.0.5/icmp\"]'; \
         for n in 3 4 5 6; do \"$SBX\" -q --network one --ro sends -- python3 sends; done; \
         n=0; until grep -q '10.89.0.6 4000' out-web || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; grep -v serves out-web; kill $sbx_web; wait"
    );
    let ran = run(&text);
    let heard = ["10.89.0.5 54 x", "10.89.0.5 4000 x", "10.89.0.6 54 x", "10.89.0.6 4000 x"].join("\n");
    assert_eq!(ran.out, format!("one\nno echo\necho\nno echo\necho\n{heard}\nleft\n"), "{ran:#?}");
}

#[test]
fn an_internal_network_has_no_way_to_the_outside_not_even_by_names() {
    needs!();
    let text = "\"$SBX\" network create --internal one; serves web --network one; \
        \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp,web,80 tcp,203.0.113.10,80 udp,203.0.113.10,9999 name,one.example,80 tcp,198.51.100.2,7000; \
        \"$SBX\" -q --network one --set network.dns=none -- python3 -c \"$TRY\" tcp,10.89.0.2,80 name,web,80; \
        \"$SBX\" --network one --set 'network.allow=[\"internet\"]' -- true 2>&1; helpers; cat \"$REACHED\"; kill $sbx_web; wait";
    let ran = run(text);
    let expected = "one\ntcp,web,80 reached 10.89.0.2 from 10.89.0.3\ntcp,203.0.113.10,80 ENETUNREACH\nudp,203.0.113.10,9999 ENETUNREACH\n\
        name,one.example,80 unknown\ntcp,198.51.100.2,7000 ENETUNREACH\ntcp,10.89.0.2,80 reached 10.89.0.2 from 10.89.0.4\nname,web,80 unknown\n";
    let rest = ran.out.strip_prefix(expected).unwrap_or_else(|| panic!("{ran:#?}"));
    assert!(rest.contains("network.allow has internet, and from the network `one`, which is internal"), "{ran:#?}");
    assert!(!rest.contains("asked one.example"), "{ran:#?}");
}

/// The program has no right over its network, whatever capabilities it holds in its own namespaces; and packets that it makes leave from its
/// own address alone.
#[test]
fn nobody_takes_the_address_of_another_sandbox() {
    needs!();
    let program = r#"
def sends(option, level=socket.IPPROTO_IP):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(level, option, 1)
    sock.bind(("10.89.0.2", 5000))
    sock.sendto(b"x", ("10.89.0.3", 9))
IP_FREEBIND, IP_TRANSPARENT = 15, 19
tries("freebind", lambda: sends(IP_FREEBIND))
tries("transparent", lambda: sends(IP_TRANSPARENT))
tries("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255))
tries("packet", lambda: socket.socket(17, socket.SOCK_RAW, 0))
refused("ip addr add 10.89.0.2/24 dev eth0", "ip link set eth0 address 02:00:0a:59:00:02", "ip link set eth0 down",
        "ip route del default", "ip link add x type bridge", "ip neigh add 10.89.0.2 lladdr 02:00:0a:59:00:09 dev eth0")
print("v6", [line.split()[-1] for line in open("/proc/net/if_inet6")])
"#;
    let text = format!(
        "cat >program <<'E'\n{ATTEMPTS}{program}\nE\n\"$SBX\" network create one; serves web --network one; serves watch --network one; \
         for user in self root; do \"$SBX\" -q --network one --ro program --user $user \
             --set 'security.capabilities=[\"CAP_NET_ADMIN\",\"CAP_NET_RAW\"]' --set security.seccomp=off -- python3 program; done; \
         kill $sbx_web $sbx_watch; wait"
    );
    let ran = run(&text);
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2 + 2 * 11, "{ran:#?}");
    for lines in lines[1..lines.len() - 1].chunks(11) {
        // The kernel lets nobody send from an address that the interface does not have, or the packet filter refuses it.
        assert!(
            ["EINVAL", "EPERM", "ENETUNREACH", "ECONNREFUSED"]
                .iter()
                .any(|errno| lines[0] == format!("freebind {errno}")),
            "{ran:#?}"
        );
        assert_eq!(lines[1..4], ["transparent EPERM", "raw EPERM", "packet EPERM"], "{ran:#?}");
        assert!(lines[4..10].iter().all(|line| line.ends_with("refused")), "{ran:#?}");
        assert_eq!(lines[10], "v6 ['lo']", "{ran:#?}");
    }
}

/// It ends as a helper does: nothing of it is left, and each sandbox is told. The next one makes the network anew.
#[test]
fn a_network_whose_holder_is_killed_is_over_and_is_made_anew_by_the_next_sandbox() {
    needs!();
    let text = "\"$SBX\" network create one; serves web --network one; serves stays --network one --set network.on_helper_death=report; \
        kill -9 $(holders); wait $sbx_web; echo status $?; cat err-web; until grep -q ended err-stays; do sleep 0.02; done; \
        until [ -z \"$(helpers)\" ]; do sleep 0.02; done; \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp,203.0.113.10,80 name,stays,80; \
        kill $sbx_stays; wait; cat err-stays";
    let ran = run(text);
    let reported = "the network `one` has ended (the process that holds it was killed)";
    assert!(ran.out.starts_with("one\nstatus 125\n"), "{ran:#?}");
    assert!(
        ran.out.contains(&format!("{reported}: network.on_helper_death is \"end\", so the sandbox was ended")),
        "{ran:#?}"
    );
    assert!(ran.out.contains(&format!("{reported}: the program has no network any more")), "{ran:#?}");
    assert!(
        ran.out.contains("\ntcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\nname,stays,80 unknown\n"),
        "{ran:#?}"
    );
}

#[test]
fn what_carries_packets_to_the_outside_may_be_killed_and_that_is_said() {
    needs!();
    for helper in HELPERS {
        let text = format!(
            "\"$SBX\" network create one; serves web --network one --set network.helper={helper}; \
             kill -9 $(helpers); \
             wait $sbx_web; echo status $?; cat err-web"
        );
        let ran = run(&text);
        assert!(ran.out.contains("status 125\n"), "{helper}: {ran:#?}");
        assert!(
            ran.out
                .contains("the network `one` has ended (what carries its packets to the outside has ended: signal: 9)"),
            "{ran:#?}"
        );
    }
}

#[test]
fn launchers_that_are_killed_leave_nothing_and_the_others_go_on() {
    needs!();
    let text = "\"$SBX\" network create one; serves web --network one; serves db --network one; first=$(holders); kill -9 $sbx_web; \
        n=0; until [ \"$(\"$SBX\" network ls --format '{{.Sandboxes}}')\" = 1 ]; do sleep 0.02; done; [ \"$first\" = \"$(holders)\" ] && echo same; \
        \"$SBX\" -q --network one -- python3 -c \"$TRY\" tcp,db,80 name,web,80 tcp,203.0.113.10,80; kill -9 $sbx_db; wait; \"$SBX\" prune -f >/dev/null";
    let ran = run(text);
    let expected = "one\nsame\ntcp,db,80 reached 10.89.0.3 from 10.89.0.4\nname,web,80 unknown\n\
        tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// Who has joined the network of a sandbox has no rules of its own on packets, and no address: it is out of the network with that sandbox.
#[test]
fn who_has_joined_a_sandboxs_network_is_cut_off_with_it() {
    needs!();
    let text = "\"$SBX\" network create one; serves web --network one; serves other --network one; mkfifo go; \
        \"$SBX\" -q --net join:$sbx_other -- sh -c 'python3 -c \"$1\" tcp,10.89.0.2,80; read go; \
            n=0; until python3 -c \"$1\" tcp,10.89.0.2,80 | grep ENETUNREACH || [ $n = 100 ]; do sleep 0.05; n=$((n + 1)); done' sh \"$TRY\" <go >out & joined=$!; exec 8>go; \
        n=0; until grep -q reached out || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; kill $sbx_other; wait $sbx_other; echo go >&8; \
        wait $joined; cat out; kill $sbx_web; wait";
    let ran = run(text);
    let expected = "one\ntcp,10.89.0.2,80 reached 10.89.0.2 from 10.89.0.3\ntcp,10.89.0.2,80 ENETUNREACH\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

#[test]
fn a_network_that_sandboxes_are_in_is_not_removed() {
    needs!();
    let text = "\"$SBX\" network create --internal one; serves web --network one; \"$SBX\" network rm one 2>&1; echo status $?; \
        \"$SBX\" network inspect one | grep -A1 names; kill $sbx_web; wait; ended; \"$SBX\" network rm one; echo status $?; \
        \"$SBX\" network rm one 2>&1; echo status $?; \"$SBX\" --network one -- true 2>&1; echo status $?";
    let ran = run(text);
    for says in [
        "sandboxes are in the network `one`, and it is not removed: web\n",
        "end them first; `sbx network inspect one` lists them\nstatus 2\n",
        "\"web\"",
        "one\nstatus 0\nsbx: there is no network `one`",
        "\nstatus 1\n",
        "there is no network `one` (asked for by --network one)",
        "make it: sbx network create one",
    ] {
        assert!(ran.out.contains(says), "{says}: {ran:#?}");
    }
}

/// Many at once: one of them starts what holds the network, and each gets an address of its own.
#[test]
fn twenty_sandboxes_that_start_at_once_are_in_one_network() {
    needs!();
    let text = "\"$SBX\" network create one; mkfifo go; exec 3<>go; \
        for n in $(seq 20); do \"$SBX\" -q --name s$n --rm --network one -- sh -c 'hostname -I 2>/dev/null || true; echo runs; read line' \
            <go >out-$n 2>err-$n & done; \
        for n in $(seq 20); do until grep -q runs out-$n; do [ ! -s err-$n ] || { cat err-$n; break; }; sleep 0.05; done; done; \
        holders | wc -l; \"$SBX\" network inspect one | grep '\"address\"' | sort -u | wc -l; \
        \"$SBX\" -q --network one -- python3 -c \"$TRY\" $(for n in $(seq 20); do echo name,s$n,80; done) | sort -u -k3 | wc -l; \
        for n in $(seq 20); do echo; done >&3; wait";
    let ran = run(text);
    assert_eq!(ran.out, "one\n1\n20\n20\nleft\n", "{ran:#?}");
}

#[test]
fn two_that_start_again_and_again_at_once_always_find_each_other_gone_or_there() {
    needs!();
    let text = "\"$SBX\" network create --internal one; \
        loop() { for n in $(seq 8); do \"$SBX\" -q --network one -- true || echo failed; done; }; loop & loop & loop & wait";
    let ran = run(text);
    assert_eq!(ran.out, "one\nleft\n", "{ran:#?}");
}

#[test]
fn ports_are_published_from_a_network_that_sandboxes_share() {
    needs!();
    let text = "\"$SBX\" network create one; serves web --network one --publish 8080:80 --publish 198.51.100.2:8081:80; \
        python3 -c \"$TRY\" tcp,127.0.0.1,8080 tcp,198.51.100.2,8081; kill $sbx_web; wait; \
        \"$SBX\" --network one --publish 0.0.0.0:8080:80/udp -- true 2>&1";
    let ran = run(text);
    let expected = "one\ntcp,127.0.0.1,8080 reached 127.0.0.1 from 127.0.0.1\ntcp,198.51.100.2,8081 reached 127.0.0.1 from 127.0.0.1\n";
    assert!(ran.out.starts_with(expected), "{ran:#?}");
    assert!(ran.out.contains("0.0.0.0:8080:80/udp cannot be published: in a network of several sandboxes"), "{ran:#?}");
}

fn network(place: &Place, args: &[&str]) -> Ran {
    place.run(&[&["network"], args].concat())
}

#[test]
fn subnet_and_gateway_are_as_asked_and_wrong_ones_are_refused() {
    let place = Place::new();
    let made = network(&place, &["create", "--subnet", "172.30.7.0/24", "--gateway", "172.30.7.254", "one"]);
    assert_eq!((made.status, made.out.as_str()), (Some(0), "one\n"), "{made:?}");
    network(&place, &["create", "--internal", "two"]).ok();
    let rows =
        network(&place, &["ls", "--format", "{{.Name}} {{.Subnet}} {{.Gateway}} {{.Internal}} {{.Sandboxes}}"]).ok();
    assert_eq!(rows.lines().next(), Some("one 172.30.7.0/24 172.30.7.254 false 0"));
    assert!(rows.contains("two 10.89."), "{rows}");
    assert_eq!(network(&place, &["ls", "-q"]).ok(), "one\ntwo\n");
    for args in [&["ls", "--json"][..], &["ls", "--format", "json"], &["inspect", "one", "two"]] {
        let all: serde_json::Value = serde_json::from_str(&network(&place, args).ok()).unwrap();
        assert_eq!(all[0]["subnets"][0]["gateway"], "172.30.7.254", "{all}");
        assert_eq!(
            (&all[1]["internal"], all[1]["sandboxes"].as_array().map(Vec::len)),
            (&true.into(), Some(0)),
            "{all}"
        );
    }
    for (args, says) in [
        (&["create", "one"][..], "there is a network `one` already"),
        (&["create", "--subnet", "172.30.0.0/16", "x"], "has addresses of 172.30.7.0/24, which the network `one` has"),
        (&["create", "--subnet", "10.0.2.0/24", "x"], "which slirp4netns has"),
        (&["create", "--subnet", "203.0.113.0/24", "x"], "is none of the private networks"),
        (
            &["create", "--subnet", "10.90.0.0/24", "--subnet", "10.91.0.0/24", "x"],
            "are of the same family of addresses",
        ),
        (&["create", "--subnet", "10.90.0.1/24", "x"], "is a machine in 10.90.0.0/24"),
        (
            &["create", "--subnet", "10.90.0.0/24", "--gateway", "10.91.0.1", "x"],
            "the gateway 10.91.0.1 is no machine of 10.90.0.0/24",
        ),
        (&["create", "host"], "`host` cannot be the name of a network"),
        (&["create", "A"], "`A` cannot be the name of a network"),
        (&["create", "../x"], "cannot be the name of a network"),
        (&["inspect", "missing"], "there is no network `missing`"),
    ] {
        let ran = network(&place, args);
        assert!(ran.status != Some(0) && ran.err.contains(says), "{says}: {ran:?}");
    }
}

#[test]
fn flags_and_keys_without_such_a_network_are_refused() {
    let place = Place::new();
    for (flags, says) in [
        (
            &["--net", "private", "--network-alias", "db"][..],
            "`network.aliases` has no effect without a network that sandboxes share",
        ),
        (&["--net", "net:A b"], "`A b` cannot be the name of a network"),
        (&["--network", "ns:/run/netns/x"], "--network ns:/run/netns/x: sbx does not know it"),
        (&["--network", "one", "--network-alias", "a b"], "`a b` cannot be the name of a machine"),
        (&["--network", "one", "--user", "range"], "there is no network `one`"),
    ] {
        let ran = place.run(&[flags, &["--", "true"]].concat());
        assert_eq!(ran.status, Some(125), "{ran:?}");
        assert!(ran.err.contains(says), "{says}: {ran:?}");
    }
}

/// Whatever a program has left in the place of a definition is not followed, not believed, and can be removed.
#[test]
fn hostile_definitions_are_refused_and_can_be_removed() {
    let place = Place::new();
    network(&place, &["create", "good"]).ok();
    let dir = place.home().join(".local/state/sbx/.networks");
    let good = std::fs::read_to_string(dir.join("good.json")).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        good.replace(from, to).replace("\"good\"", "\"bad\"")
    };
    let subnet = serde_json::from_str::<serde_json::Value>(&good).unwrap()["subnet"].as_str().unwrap().to_owned();
    let id = serde_json::from_str::<serde_json::Value>(&good).unwrap()["id"].as_str().unwrap().to_owned();
    let cases = [
        String::new(),
        "{".into(),
        "[".repeat(4000),
        "\0".repeat(1 << 20),
        good.clone(),
        changed(&subnet, "0.0.0.0/0"),
        changed(&subnet, "203.0.113.0/24"),
        changed(&subnet, "192.168.77.0/24"),
        changed(&id, "../../../../../../tmp/x"),
        changed("\"version\":1", "\"version\":2"),
    ];
    let bad = dir.join("bad.json");
    let check = |what: &str| {
        for args in [&["--network", "bad", "--", "true"][..], &["plan", "--network", "bad", "--", "true"]] {
            let ran = place.run(args);
            assert!(
                ran.status == Some(125) && ran.err.contains("the definition of the network `bad`"),
                "{what}: {ran:?}"
            );
            assert!(ran.err.contains("sbx network rm bad") && !ran.err.contains('\0'), "{what}: {ran:?}");
        }
        let listed = network(&place, &["ls", "-q"]);
        assert!(listed.out == "good\n" && listed.err.contains("`bad`"), "{what}: {listed:?}");
        assert_eq!(network(&place, &["rm", "bad"]).status, Some(0), "{what}");
        assert!(!bad.is_symlink(), "{what}");
    };
    for text in cases {
        std::fs::write(&bad, &text).unwrap();
        check(&text.chars().take(200).collect::<String>());
    }
    std::os::unix::fs::symlink(dir.join("good.json"), &bad).unwrap();
    check("a link");
    let made = Command::new("mkfifo").arg(&bad).status().unwrap();
    assert!(made.success());
    check("a pipe");
    assert_eq!(network(&place, &["rm", "good"]).status, Some(0));
    // In place of the directory.
    std::fs::remove_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink("/tmp", &dir).unwrap();
    let ran = network(&place, &["ls"]);
    assert!(ran.status == Some(125) && ran.err.contains("it has to be a directory of yours alone"), "{ran:?}");
}

/// `plan`, the summary and the receipt say the same of who is reached.
#[test]
fn plan_and_receipt_say_that_the_others_are_reached() {
    needs!();
    let text = "\"$SBX\" network create one; flags='--network one --network-alias db'; \"$SBX\" plan $flags -- true | grep ^network; \
        \"$SBX\" plan $flags --set 'network.deny=[\"private\"]' -- true | grep ^network; \"$SBX\" plan --verbose $flags -- true | grep -e net:one -e reached -e names; \
        \"$SBX\" -q $flags --receipt receipt -- true; grep -o 'network.allow: other sandboxes[^\"]*' receipt; grep -o 'packets leave[^\"]*' receipt; \
        \"$SBX\" -q $flags --set 'network.deny=[\"private\"]' --receipt receipt -- true; grep -o 'network.allow: other sandboxes[^\"]*' receipt";
    let ran = run(text);
    for says in [
        "it reaches the other sandboxes in `one` (10.89.0.0/24), and they reach it; outside, the Internet",
        "it is kept from the other sandboxes in `one`; outside",
        "net:one, 10.89.0.0/24 at 10.89.0.1, from which the outside is reached through",
        "reached",
        "by these names: db",
        "network.allow: other sandboxes in the network `one`, and these reach this one\npackets leave from the sandbox's own address alone\nleft\n",
    ] {
        assert!(ran.out.contains(says), "{says}: {ran:#?}");
    }
}

/// A terminal, pipe or file of the caller's is not kept open by what outlives it.
#[test]
fn what_holds_a_network_keeps_nothing_of_the_first_callers_open() {
    need!(userns());
    let place = Place::new();
    assert_eq!(network(&place, &["create", "--internal", "one"]).status, Some(0));
    let start = |name: &str| -> Child {
        let mut command = place.command();
        let flags = ["-q", "--name", name, "--rm", "--network", "one", "--", "/bin/sh", "-c", "echo runs; read line"];
        command.args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
        child
    };
    let (first, second) = (start("first"), start("second"));
    // The pipes of the first one are at their end when it has ended, although the network goes on.
    let out = first.wait_with_output().unwrap();
    assert!(out.stdout.is_empty() && out.stderr.is_empty(), "{out:?}");
    let members = || network(&place, &["ls", "--format", "{{.Sandboxes}}"]).out;
    assert!(until(|| members() == "1\n"), "{}", members());
    let second = second.wait_with_output().unwrap();
    assert!(second.stderr.is_empty(), "{second:?}");
    assert!(until(|| members() == "0\n"));
    assert!(until(|| network(&place, &["rm", "one"]).status == Some(0)));
}
