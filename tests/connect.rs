//! `sbx network connect` and `disconnect`: who reaches whom of the networks that a sandbox is in, by which names, what is not reached by it, what
//! is told of it, and the end of each process.

mod common;

use common::network::programs;
use common::shared::{ATTEMPTS, run};
use common::{Ran, tun, userns};

/// What these tests take besides user namespaces.
macro_rules! needs {
    () => {
        need!(userns(), programs(), tun());
    };
}

/// `tries NAME ADDRESS...` tries these from the sandbox with this name, `joins NETWORK NAME FLAGS...` connects it without a word, and `holder NETWORK`
/// is the process that holds one.
const TRIES: &str = r#"
tries() { name=$1; shift; "$SBX" exec -w / "$name" python3 -c "$TRY" "$@" </dev/null; }
joins() { "$SBX" network connect "$@" >/dev/null; }
members() { "$SBX" network ls --format '{{.Name}} {{.Sandboxes}}'; }
holder() { for each in $(holders); do tr '\0' '\n' </proc/$each/cmdline | grep -qx "$1" && echo $each; done; }
seen() { n=0; until grep -q "$1" "$2" || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; }
"#;

/// Runs a script where there are the networks `one` and `two`.
#[track_caller]
fn with_networks(text: &str) -> Ran {
    run(&format!("{TRIES}\nfor n in one two; do \"$SBX\" network create $n; done >/dev/null; {text}"))
}

#[test]
fn a_sandbox_reaches_others_in_a_network_that_it_is_connected_to_and_is_reached_by_them() {
    needs!();
    let text = "serves web --network two; serves peer --network one; serves middle --network one --network-alias first; \
        tries middle tcp,10.89.1.2,80 name,web,80; \
        \"$SBX\" network connect --alias Db two middle; \
        tries middle tcp,10.89.1.2,80 tcp,web,80 tcp,web.two,80 tcp,peer,80 tcp,203.0.113.10,80 name,one.example,80; \
        tries web tcp,middle,80 name,db.two,80 name,first,80 name,peer,80; \
        \"$SBX\" network inspect two | grep -c -e '\"middle\"' -e \"\\\"pid\\\": $sbx_middle\"; \
        \"$SBX\" network disconnect two middle; \
        tries middle tcp,10.89.1.2,80 name,web,80 tcp,peer,80 tcp,203.0.113.10,80; tries web name,middle,80; \
        \"$SBX\" network connect two middle; tries middle tcp,web,80; kill $sbx_middle $sbx_web $sbx_peer; wait";
    let ran = with_networks(text);
    let expected = "tcp,10.89.1.2,80 ECONNREFUSED\nname,web,80 unknown\n\
        middle is in the network two as 10.89.1.3 until this run ends, by eth1\n\
        tcp,10.89.1.2,80 reached 10.89.1.2 from 10.89.1.3\ntcp,web,80 reached 10.89.1.2 from 10.89.1.3\n\
        tcp,web.two,80 reached 10.89.1.2 from 10.89.1.3\ntcp,peer,80 reached 10.89.0.2 from 10.89.0.3\n\
        tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\nname,one.example,80 is 2001:db8:f::10 203.0.113.10\n\
        tcp,middle,80 reached 10.89.1.3 from 10.89.1.2\nname,db.two,80 is 10.89.1.3\nname,first,80 unknown\nname,peer,80 unknown\n2\n\
        tcp,10.89.1.2,80 ECONNREFUSED\nname,web,80 unknown\ntcp,peer,80 reached 10.89.0.2 from 10.89.0.3\n\
        tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\nname,middle,80 unknown\n\
        middle is in the network two as 10.89.1.4 until this run ends, by eth1\ntcp,web,80 reached 10.89.1.2 from 10.89.1.4\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// A name that somebody has in each of the networks is told with both addresses; resolvers try that of the first network behind it before.
#[test]
fn names_of_all_networks_are_told_and_each_network_keeps_its_own() {
    needs!();
    let text = "\"$SBX\" network create three >/dev/null; serves a --network one --network-alias db; serves b --network two --network-alias db; \
        serves middle --network one; joins two middle; joins --alias x three middle; \
        tries middle name,db.,80 name,db,80 name,db.one,80 name,db.two,80 name,x,80; tries a name,b,80; tries b name,a,80 name,x,80; members; \
        \"$SBX\" network disconnect three middle; tries middle name,x,80 name,db.,80; kill $sbx_middle $sbx_a $sbx_b; wait";
    let ran = with_networks(text);
    let expected = "name,db.,80 is 10.89.0.2 10.89.1.2\nname,db,80 is 10.89.0.2\nname,db.one,80 is 10.89.0.2\nname,db.two,80 is 10.89.1.2\nname,x,80 is 10.89.2.2\n\
        name,b,80 unknown\nname,a,80 unknown\nname,x,80 unknown\none 2\nthree 1\ntwo 2\n\
        name,x,80 unknown\nname,db.,80 is 10.89.0.2 10.89.1.2\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// The rules of the profile hold there, too, and nothing but the others in the network is reached by it: neither the outside, nor where it is
/// reached by, nor what was allowed since.
#[test]
fn what_a_profile_denies_is_denied_in_each_network_and_all_else_stays_where_it_was() {
    needs!();
    let by = r#"
import socket, sys
for device, source, address in [("eth1", None, "203.0.113.10"), ("eth1", "SELF", "203.0.113.10"), ("eth1", None, "10.89.0.2"),
        ("eth1", "SELF", "10.89.1.2"), ("eth0", None, "10.89.1.2"), ("eth1", None, "10.89.1.1"), ("eth1", None, "10.89.1.2")]:
    sock = socket.socket()
    sock.settimeout(2 if (device, source, address) != ("eth1", None, "10.89.1.2") else 60)
    sock.setsockopt(socket.SOL_SOCKET, 25, device.encode())
    try:
        if source:
            sock.bind((sys.argv[1], 0))
        sock.connect((address, 80))
        print(device, address, sock.recv(99).decode().strip())
    except OSError as error:
        print(device, address, "refused")
"#;
    let text = format!(
        "cat >by <<'E'\n{by}\nE\nserves web --network two; serves db --network two; serves peer --network one; \
         serves middle --network one; joins two middle; \"$SBX\" exec -w / middle python3 -c \"$(cat by)\" 10.89.0.3; \
         \"$SBX\" network allow middle 10.0.0.0/8 >/dev/null; tries middle tcp,web,80 tcp,peer,80; \
         \"$SBX\" exec -w / middle python3 -c \"$(cat by)\" 10.89.0.3 | sed -n '1,4p;7p'; \
         serves part --network one --set 'network.deny=[\"10.89.1.2\",\"10.89.1.3:81\"]'; joins two part; tries part tcp,web,80 tcp,db,80; \
         tries web tcp,part,80; tries db tcp,part,80; \
         serves all --network one --set 'network.deny=[\"private\"]'; joins two all; tries all tcp,web,80; tries web tcp,all,80; \
         kill $sbx_web $sbx_db $sbx_peer $sbx_middle $sbx_part $sbx_all; wait"
    );
    let ran = with_networks(&text);
    let refused =
        "eth1 203.0.113.10 refused\neth1 203.0.113.10 refused\neth1 10.89.0.2 refused\neth1 10.89.1.2 refused\n";
    let expected = format!(
        "{refused}eth0 10.89.1.2 refused\neth1 10.89.1.1 refused\neth1 10.89.1.2 10.89.1.2 from 10.89.1.4\n\
         tcp,web,80 reached 10.89.1.2 from 10.89.1.4\ntcp,peer,80 reached 10.89.0.2 from 10.89.0.3\n{refused}eth1 10.89.1.2 10.89.1.2 from 10.89.1.4\n\
         tcp,web,80 ECONNREFUSED\ntcp,db,80 reached 10.89.1.3 from 10.89.1.5\ntcp,part,80 timeout\ntcp,part,80 reached 10.89.1.5 from 10.89.1.3\n\
         tcp,web,80 ECONNREFUSED\ntcp,all,80 timeout\nleft\n"
    );
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// Others in either network do not reach each other by a sandbox that is in both, whatever that holds in its own namespaces; and it has no right
/// over the further interface.
#[test]
fn a_sandbox_in_two_networks_is_no_way_between_them() {
    needs!();
    let program = r#"
refused("sysctl -w net.ipv4.ip_forward=1", "ip link set eth1 down", "ip addr add 10.89.1.2/24 dev eth1", "ip link del eth1",
        "ip route add 203.0.113.0/24 dev eth1", "ip link add x type bridge", "ip neigh add 10.89.1.2 lladdr 02:00:0a:59:00:09 dev eth1",
        "ip link set eth1 netns 1", "nft add table inet x")
"#;
    let rights =
        "--user root --set 'security.capabilities=[\"CAP_NET_ADMIN\",\"CAP_NET_RAW\"]' --set security.seccomp=off";
    let text = format!(
        "cat >program <<'E'\n{ATTEMPTS}{program}\nE\nserves web --network two --set 'network.allow=[\"internet\",\"private\"]'; \
         serves peer --network one --set 'network.allow=[\"internet\",\"private\"]'; serves middle --network one {rights} --ro program; joins two middle; \
         tries middle tcp,web,80 tcp,peer,80; \
         for from in peer,10.89.1.2 peer,10.89.1.3 web,10.89.0.2 web,10.89.0.3; do tries ${{from%,*}} tcp,${{from#*,}},80 >from-$from & all=\"$all $!\"; done; \
         wait $all; cat from-* | wc -l; cat from-* | grep -c reached; \
         \"$SBX\" exec -w / middle python3 \"$PWD/program\"; tries middle tcp,web,80; kill $sbx_web $sbx_peer $sbx_middle; wait"
    );
    let ran = with_networks(&text);
    let lines: Vec<_> = ran.out.lines().collect();
    let reached = "tcp,web,80 reached 10.89.1.2 from 10.89.1.3";
    assert_eq!(lines.first(), Some(&reached), "{ran:#?}");
    assert_eq!(lines[1..4], ["tcp,peer,80 reached 10.89.0.2 from 10.89.0.3", "4", "0"], "{ran:#?}");
    assert_eq!(lines.len(), 4 + 9 + 2, "{ran:#?}");
    assert!(lines[4..13].iter().all(|line| line.ends_with("refused")), "{ran:#?}");
    assert_eq!(lines[13..], [reached, "left"], "{ran:#?}");
}

/// What carries a network's packets to the outside can send what it wants into its own network. A sandbox that is in another one besides
/// takes nothing of that which is for its address there, and the other way round.
#[test]
fn what_comes_by_one_network_for_the_address_in_another_is_dropped() {
    needs!();
    // Where the bridge is, as the helper is there: the user's own processes get the namespaces from the process that holds the network.
    let inside = r#"
import ctypes, glob, os, socket, sys
for control in glob.glob("run/sbx/.networks/*/ctl"):
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    holder.connect(control)
    holder.send(b'{"join":["x"]}')
    said, (user,), _, _ = socket.recv_fds(holder, 4096, 1)
    bridge = socket.recv_fds(holder, 4096, 1)[1][0]
    if sys.argv[1] in said.decode():
        break
libc = ctypes.CDLL(None, use_errno=True)
for namespace, kind in (user, 0x10000000), (bridge, 0x40000000):
    assert libc.setns(namespace, kind) == 0, os.strerror(ctypes.get_errno())
for address in sys.argv[2:]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 25, b"bridge")
    sock.sendto(("%s from %s" % (address, sys.argv[1])).encode(), (address, 5000))
"#;
    let text = format!(
        "cat >inside <<'E'\n{inside}\nE\nSERVER=$HEARS; serves middle --network one; joins two middle; \
         for n in 0 1; do python3 inside 10.89.$n. 10.89.$((1 - n)).2 10.89.$n.2; done; \
         seen '10.89.0.2 from' out-middle; seen '10.89.1.2 from' out-middle; grep -v serves out-middle | cut -d ' ' -f 3- | sort; kill $sbx_middle; wait"
    );
    let ran = with_networks(&text);
    assert_eq!(ran.out, "10.89.0.2 from 10.89.0.\n10.89.1.2 from 10.89.1.\nleft\n", "{ran:#?}");
}

/// An internal network stays one for those in it, and where a sandbox in one is connected to another that is not, that leads nowhere else either.
#[test]
fn an_internal_network_is_no_way_to_the_outside_nor_gets_one() {
    needs!();
    let text = "\"$SBX\" network create --internal in >/dev/null; serves inner --network in; serves web --network one; \
        serves middle --network in; joins one middle; tries middle tcp,inner,80 tcp,web,80 tcp,203.0.113.10,80 name,one.example,80; \
        tries inner tcp,middle,80 tcp,203.0.113.10,80; \
        serves outer --network one; joins in outer; tries outer tcp,inner,80 tcp,203.0.113.10,80; \
        kill $sbx_inner $sbx_web $sbx_middle $sbx_outer; wait";
    let ran = with_networks(text);
    let expected = "tcp,inner,80 reached 10.89.2.2 from 10.89.2.3\ntcp,web,80 reached 10.89.0.2 from 10.89.0.3\n\
        tcp,203.0.113.10,80 ENETUNREACH\nname,one.example,80 unknown\n\
        tcp,middle,80 reached 10.89.2.3 from 10.89.2.2\ntcp,203.0.113.10,80 ENETUNREACH\n\
        tcp,inner,80 reached 10.89.2.2 from 10.89.2.4\ntcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

#[test]
fn whom_nobody_can_connect_is_told_why() {
    needs!();
    let text = "serves web --network one; serves alone --net private; \"$SBX\" run -d --name quiet --net none -- sleep 1000 >/dev/null 2>&1; mkfifo go; \
        \"$SBX\" create --name made --network one -- true >/dev/null; \
        says() { echo \"- $*\"; \"$SBX\" network \"$@\" 2>&1; echo status $?; }; \
        says connect two alone; says connect two quiet; says connect two nobody; says connect two made; says connect three web; \
        \"$SBX\" network create --ipv6 six >/dev/null; serves inner --network six; says connect six web; says connect two inner; \
        says connect one web; says disconnect one web; says disconnect two web; says connect --alias 'a b' two web; \
        joins two web; says connect two web; says disconnect two web; says disconnect two web; members; \"$SBX\" rm -f made quiet >/dev/null; \
        kill $sbx_web $sbx_alone $sbx_inner; wait";
    let ran = with_networks(text);
    let none = "it was not started in a network that sandboxes share, and cannot be connected to one while it runs\n\
        help: run it with --network NAME, in a network of `sbx network create`: then others can be added\nstatus 125\n";
    for says in [
        &format!("- connect two alone\nsbx: alone: {none}"),
        &format!("- connect two quiet\nsbx: quiet: {none}"),
        "- connect two nobody\nsbx: there is no sandbox with the name or id `nobody`",
        "- connect two made\nsbx: made is created, and only a running sandbox can be connected to a further network\n",
        "- connect three web\nsbx: there is no network `three`\n",
        "- connect six web\nsbx: web: the network `six` has addresses of IPv6, and a running sandbox is connected from and to networks of IPv4 alone\n",
        "- connect two inner\nsbx: inner: the network `six` has addresses of IPv6, and",
        "- connect one web\nsbx: web: it is in the network `one` already\nstatus 125\n",
        "- disconnect one web\nsbx: web: it was started in the network `one`, by which it reaches all else, and stays in it until this run ends\n",
        "- disconnect two web\nsbx: web: it is not in the network `two`\n",
        "- connect --alias a b two web\nsbx: --alias `a b` cannot be the name of a machine\n",
        "- connect two web\nsbx: web: it is in the network `two` already\nstatus 125\n- disconnect two web\nstatus 0\n- disconnect two web\nsbx: web: it is not",
        "status 125\none 1\nsix 1\ntwo 0\nleft\n",
    ] {
        assert!(ran.out.contains(says), "{says}: {ran:#?}");
    }
}

#[test]
fn what_is_connected_is_shown_by_inspect_and_events_until_the_run_ends() {
    needs!();
    let text = "serves web --network two; serves middle --network one; joins two middle; \
        nets() { \"$SBX\" inspect middle | python3 -c 'import json,sys
for name, net in sorted(json.load(sys.stdin)[0][\"NetworkSettings\"][\"Networks\"].items()):
    print(name, net[\"IPAddress\"], net[\"IPPrefixLen\"], net[\"Gateway\"], net[\"Interface\"])'; }; \
        nets; \"$SBX\" network rm two 2>&1 | head -n 1; \"$SBX\" network disconnect two middle; nets; joins two middle; kill $sbx_middle; wait $sbx_middle; \
        n=0; until [ \"$(members)\" = \"one 0\ntwo 1\" ] || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; members; \
        \"$SBX\" events --stream=false --filter type=network --format '{{.Type}} {{.Status}} {{.Name}} {{.Network}}'; \
        \"$SBX\" events --stream=false --filter network=two --filter event=disconnect | cut -d ' ' -f 5,6,8-; \
        kill $sbx_web; wait";
    let ran = with_networks(text);
    let expected = "one 10.89.0.2 24 10.89.0.1 eth0\ntwo 10.89.1.3 24  eth1\n\
        sbx: sandboxes are in the network `two`, and it is not removed: web, middle\n\
        one 10.89.0.2 24 10.89.0.1 eth0\none 0\ntwo 1\n\
        network connect middle two\nnetwork disconnect middle two\nnetwork connect middle two\n";
    let rest = ran.out.strip_prefix(expected).unwrap_or_else(|| panic!("{ran:#?}"));
    assert!(rest.starts_with("network disconnect (container=") && rest.ends_with(", name=two)\nleft\n"), "{ran:#?}");
}

/// The network lives while somebody is in it, whoever that is, and is started by whoever comes first. A run begins where its command line says.
#[test]
fn a_network_lives_while_a_sandbox_is_connected_to_it_and_a_run_begins_without() {
    needs!();
    let text = "\"$SBX\" run -d --name middle --network one -- sleep 1000 >/dev/null; joins two middle; members; \
        serves web --network two; tries web name,middle,80; \"$SBX\" network disconnect two middle; tries web name,middle,80; \
        joins two middle; kill $sbx_web; wait $sbx_web; n=0; until [ \"$(members | tail -n 1)\" = 'two 1' ] || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; \
        \"$SBX\" restart middle >/dev/null; members; \"$SBX\" inspect middle | grep -c IPAddress; \"$SBX\" rm -f middle >/dev/null";
    let ran = with_networks(text);
    let expected = "one 1\ntwo 1\nname,middle,80 is 10.89.1.2\nname,middle,80 unknown\none 1\ntwo 0\n1\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// Whoever waits for an answer by a network that is gone, or whose sandbox has left it, gets an error, and does not wait for hours.
#[test]
fn connections_by_a_network_end_with_it_and_the_sandbox_goes_on() {
    needs!();
    let waits = r#"
import socket
sock = socket.create_connection(("web", 81))
print("waits", flush=True)
try:
    print("end" if not sock.recv(9) else "data", flush=True)
except OSError:
    print("error", flush=True)
"#;
    let silent = "import socket\nown = socket.create_server((\"0.0.0.0\", 81))\nprint(\"serves\", flush=True)\nkept = []\nwhile True:\n    kept.append(own.accept())";
    let text = format!(
        "cat >waits <<'E'\n{waits}\nE\nserves middle --network one; SERVER='{silent}'; serves web --network two --set network.on_helper_death=report; \
         joins two middle; hangs() {{ : >out-$1; \"$SBX\" exec -w / middle python3 -c \"$(cat waits)\" >out-$1 & eval hangs_$1=$!; seen waits out-$1; }}; \
         hangs a; \"$SBX\" network disconnect two middle; wait $hangs_a; cat out-a; \
         joins two middle; hangs b; \
         kill -9 $(holder two); wait $hangs_b; cat out-b; \
         seen 'is not connected' err-middle; grep ended err-middle; tries middle tcp,203.0.113.10,80 name,web,80; \
         \"$SBX\" network connect two middle; kill $sbx_web $sbx_middle; wait"
    );
    let ran = with_networks(&text);
    let expected = "waits\nerror\nwaits\nerror\n\
        sbx: note: the network `two` has ended (the process that holds it was killed): the sandbox is not connected to it any more\n\
        tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\nname,web,80 unknown\n\
        middle is in the network two as 10.89.1.2 until this run ends, by eth1\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

/// The process that holds a network is still there when it tells of the end of what carries its packets.
#[test]
fn what_a_network_has_left_goes_at_its_end_and_not_with_the_sandboxes_that_were_in_it() {
    needs!();
    let text = "places() { ls run/sbx/.networks | wc -l; }; carrier() { cat /proc/$1/task/$1/children; }; \"$SBX\" network create three >/dev/null; \
        reports() { serves \"$@\" --set network.on_helper_death=report; }; \
        serves middle --network one; reports web --network two; reports alone --network three; joins two middle; places; \
        kill -9 $(carrier $(holder two)) $(carrier $(holder three)); \
        seen 'is not connected' err-middle; seen 'has ended' err-web; seen 'has ended' err-alone; \
        n=0; until [ \"$(places)\" = 1 ] || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; places; \
        tries middle tcp,203.0.113.10,80; kill $sbx_web $sbx_alone $sbx_middle; wait";
    let ran = with_networks(text);
    let expected = "3\n1\ntcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\nleft\n";
    assert_eq!(ran.out, expected, "{ran:#?}");
}

#[test]
fn a_launcher_that_is_killed_is_out_of_all_its_networks() {
    needs!();
    let text = "serves web --network two; serves middle --network one; joins two middle; members; kill -9 $sbx_middle; wait $sbx_middle; \
        n=0; until [ \"$(members)\" = \"one 0\ntwo 1\" ] || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; members; \
        tries web name,middle,80; kill $sbx_web; wait; \"$SBX\" prune -f >/dev/null";
    let ran = with_networks(text);
    assert_eq!(ran.out, "one 1\ntwo 2\none 0\ntwo 1\nname,middle,80 unknown\nleft\n", "{ran:#?}");
}

/// Many commands at once leave a sandbox in each network once, or in none.
#[test]
fn commands_at_once_connect_and_disconnect_one_after_the_other() {
    needs!();
    let text = "serves middle --network one; serves web --network two; \
        loop() { for n in 1 2 3 4; do joins two middle 2>>said; \"$SBX\" network disconnect two middle 2>>said; done; }; \
        loop & a=$!; loop & b=$!; loop & c=$!; wait $a $b $c; members; grep ^sbx: said | sort -u >why; \
        grep -v -x -e 'sbx: middle: it is in the network `two` already' -e 'sbx: middle: it is not in the network `two`' why; \
        joins two middle; tries middle tcp,web,80 | cut -d ' ' -f 1-3; kill $sbx_middle $sbx_web; wait";
    let ran = with_networks(text);
    assert_eq!(ran.out, "one 1\ntwo 1\ntcp,web,80 reached 10.89.1.2\nleft\n", "{ran:#?}");
}
