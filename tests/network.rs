//! A network of the sandbox's own, by each helper, against a network that the tests make (`tests/network/internet`): what is
//! reached and what is not, and the end of helper, launcher and program.

mod common;

use common::network::{HELPERS, found, on_network, programs, tried};
use common::process::Mark;
use common::{Place, Ran, ran, sbx, tun, until, userns};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[test]
fn the_outside_is_reached_by_each_helper_protocol_and_family() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        found(
            &[],
            &format!("--net private --set network.helper={helper}"),
            &[
                ("tcp,203.0.113.10,80", "reached 203.0.113.10 from 198.51.100.2"),
                ("tcp,2001:db8:f::10,80", "reached 2001:db8:f::10 from 2001:db8::2"),
                ("udp,203.0.113.10,9999", "reached 203.0.113.10 from 198.51.100.2"),
                ("udp,2001:db8:f::10,9999", "reached 2001:db8:f::10 from 2001:db8::2"),
                ("name,one.example,80", "is 2001:db8:f::10 203.0.113.10"),
                ("name,none.example,80", "unknown"),
            ],
        );
    }
}

#[test]
fn a_name_server_elsewhere_is_asked_as_the_host_asks_it() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        found(
            &[("NAME_SERVER", "203.0.113.53")],
            &format!("--net private --set network.helper={helper}"),
            &[("name,one.example,80", "is 2001:db8:f::10 203.0.113.10"), ("name,none.example,80", "unknown")],
        );
    }
}

#[test]
fn other_name_servers_or_none_are_asked_as_the_profile_says() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let flags = |dns: &str| format!("--net private --set network.helper={helper} --set 'network.dns={dns}'");
        found(&[], &flags("[\"203.0.113.53\"]"), &[("name,one.example,80", "is 2001:db8:f::10 203.0.113.10")]);
        found(&[], &flags("none"), &[("name,one.example,80", "unknown")]);
        let own = tried(&[], &flags("[\"198.51.100.2\"]"), &["name,one.example,80"]);
        assert!(own.err.contains("the name server 198.51.100.2 is this host itself"), "{own:?}");
    }
}

/// The host's loopback has no way in: by the sandbox's own, by the gateway's address, which pasta has for it by default, or by
/// the address that slirp4netns has for it.
#[test]
fn the_hosts_loopback_is_not_reached() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let addresses = [
            "tcp,127.0.0.1,7777",
            "tcp,::1,7777",
            "tcp,198.51.100.1,7777",
            "tcp,2001:db8::1,7777",
            "tcp,10.0.2.2,7777",
            "tcp,fd00::2,7777",
            "udp,127.0.0.53,53",
        ];
        let ran = tried(&[], &format!("--net private --set network.helper={helper}"), &addresses);
        let lines: Vec<_> = ran.out.lines().collect();
        assert_eq!(lines.len(), addresses.len(), "{helper}: {ran:?}");
        assert!(!ran.out.contains("reached"), "{helper}: {ran:?}");
        // What is not reached is there.
        let host = tried(&[], "--net host", &addresses[..2]);
        assert_eq!(host.out.matches("reached").count(), 2, "{host:?}");
    }
}

/// Without publishing, nobody reaches a server inside: pasta mirrors ports by default.
#[test]
fn a_server_inside_is_not_reached_from_the_host() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let place = Place::new();
        let text = format!(
            "mkfifo go; exec 3<>go; \
             \"$SBX\" --net private --set network.helper={helper} -- python3 -c 'import socket
s = socket.create_server((\"0.0.0.0\", 80)); print(\"listens\", flush=True); s.accept()' >out & \
             until grep -q listens out; do sleep 0.05; done; sleep 0.3; \
             python3 -c \"$TRY\" tcp,127.0.0.1,80 tcp,198.51.100.2,80; kill $!"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        assert_eq!(ran.out, "tcp,127.0.0.1,80 ECONNREFUSED\ntcp,198.51.100.2,80 ECONNREFUSED\n", "{helper}: {ran:?}");
    }
}

#[test]
fn the_network_is_as_on_a_machine_of_ones_own() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let place = Place::new();
        let text = format!(
            "\"$SBX\" --net private --set network.helper={helper} -- sh -c 'ip -br link | cut -d\" \" -f1; \
             ip link show eth0 | grep -o \"mtu 65520\"; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; \
             python3 -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)\" && echo echo; \
             ip link set eth0 down 2>/dev/null || echo refused'"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let lines: Vec<_> = ran.out.lines().collect();
        assert_eq!(lines, ["lo", "eth0", "mtu 65520", "0", "echo", "refused"], "{helper}: {ran:?}");
    }
}

#[test]
fn a_host_that_is_offline_does_not_fail() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let ran = tried(
            &[("OFFLINE", "1")],
            &format!("--net private --set network.helper={helper}"),
            &["within,2,-", "tcp,203.0.113.10,80"],
        );
        assert_eq!(ran.status, Some(0), "{helper}: {ran:?}");
        assert!(!ran.out.contains("reached"), "{helper}: {ran:?}");
    }
}

/// A sandbox that waits, and what is done to one of its processes meanwhile. `$1` is sbx, `$2` its helper.
fn killed(helper: &str, flags: &str, script: &str) -> (Ran, Mark) {
    let (place, mark) = (Place::new(), Mark::new());
    let text = format!(
        "\"$SBX\" --net private --set network.helper={helper} {flags} -- sh -c 'echo runs; sleep 6; echo went on; exit 7 # {}' \
         >out 2>err & sbx=$!; until grep -q runs out; do sleep 0.02; done; \
         helper=$(cat /proc/$sbx/task/$sbx/children | tr ' ' '\\n' | while read pid; do \
             [ \"$(cat /proc/$pid/comm)\" = sbx ] || echo $pid; done); \
         [ -n \"$helper\" ] || echo no helper; {script}; wait $sbx; echo status $?; cat out err; \
         for try in $(seq 100); do [ -e /proc/$helper ] || break; sleep 0.1; done; [ ! -e /proc/$helper ] || echo left",
        mark.0
    );
    (ran(on_network(&place, &[], &text).output().unwrap()), mark)
}

#[test]
fn a_sandbox_whose_helper_is_killed_is_ended_or_goes_on_with_a_note() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let (ended, mark) = killed(helper, "", "kill -9 $helper");
        assert!(ended.out.starts_with("status 125\nruns\n"), "{helper}: {ended:?}");
        let says = format!("/usr/bin/{helper} ended (signal: 9): network.on_helper_death is \"end\"");
        assert!(ended.out.contains(&says), "{helper}: {ended:?}");
        assert!(!ended.out.contains("went on") && !ended.out.contains("left"), "{helper}: {ended:?}");
        mark.gone("after the end of its helper");
        let (noted, _) = killed(helper, "--set network.on_helper_death=report", "kill -9 $helper");
        assert!(noted.out.starts_with("status 7\nruns\nwent on\n"), "{helper}: {noted:?}");
        let says = format!("/usr/bin/{helper} ended (signal: 9): the program has no network any more");
        assert!(noted.out.contains(&says), "{helper}: {noted:?}");
    }
}

#[test]
fn a_helper_ends_with_sbx_however_that_ends() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        for (script, status) in [("kill -9 $sbx", 137), ("kill $sbx", 143), (":", 7)] {
            let (ran, mark) = killed(helper, "", script);
            assert!(ran.out.starts_with(&format!("status {status}\n")), "{helper}, {script}: {ran:?}");
            assert!(!ran.out.contains("left") && !ran.out.contains("no helper"), "{helper}, {script}: {ran:?}");
            mark.gone("after the end of sbx");
        }
    }
}

/// What the plan says of it, on a host that has what is needed.
#[test]
fn the_plan_and_the_receipt_name_the_helper_and_how_far_it_is_confined() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let place = Place::new();
        let set = format!("network.helper={helper}");
        // A host that is offline may have another plan.
        let text = format!("\"$SBX\" plan --verbose --net private --set {set} -- true");
        let plan = ran(on_network(&place, &[], &text).output().unwrap());
        let lines = [format!("/usr/bin/{helper} carries packets of eth0"), format!("{helper} has your user id")];
        assert!(lines.iter().all(|line| plan.out.contains(line)), "{plan:?}");
        assert!(
            plan.out.contains(&format!("network.mode = \"private\": /usr/bin/{helper}, which has your user id")),
            "{plan:?}"
        );
        let check = place.run(&["check"]);
        let row = check.out.lines().find(|line| line.starts_with(helper)).unwrap_or_default();
        assert!(row.contains(&format!("/usr/bin/{helper}")), "{check:?}");
    }
}

/// `none` has loopback, and nothing else.
#[test]
fn without_a_network_there_is_loopback() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let text = "\"$SBX\" --net none -- sh -c 'ip -br addr; python3 -c \"$1\" tcp,203.0.113.10,80 tcp,127.0.0.1,7777' sh \"$TRY\"";
    let ran = ran(on_network(&place, &[], text).output().unwrap());
    let lines: Vec<_> = ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected =
        ["lo UNKNOWN 127.0.0.1/8 ::1/128", "tcp,203.0.113.10,80 ENETUNREACH", "tcp,127.0.0.1,7777 ECONNREFUSED"];
    assert_eq!(lines, expected, "{ran:?}");
}

/// Two sandboxes have two networks: the same port can be listened at in both.
#[test]
fn two_sandboxes_do_not_share_a_tun() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let place = Place::new();
        let mut command = on_network(
            &place,
            &[],
            &format!(
                "for name in one two; do \"$SBX\" --net private --set network.helper={helper} -- python3 -c 'import socket, sys
s = socket.create_server((\"0.0.0.0\", 80)); print(\"listens\", flush=True); sys.stdin.read()' & done; wait"
            ),
        );
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines: Vec<_> =
            BufReader::new(child.stdout.take().unwrap()).lines().take(2).map_while(Result::ok).collect();
        assert_eq!(lines, ["listens", "listens"], "{helper}");
        drop(child.stdin.take());
        assert!(until(|| child.try_wait().unwrap().is_some()), "{helper}");
    }
}

/// An old pasta does not wait for its children, and PID 1 of a container may wait for nobody's.
#[test]
fn no_child_of_a_helper_is_left_to_be_waited_for() {
    need!(userns(), programs(), tun());
    for helper in HELPERS {
        let place = Place::new();
        let script = "import os, sys
status = os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:])
left = []
try:
    while True:
        left.append(os.waitpid(-1, 0)[0])
except ChildProcessError:
    print(status, left)";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(sbx()).args(["--net", "private", "--set"]);
        command.args([&format!("network.helper={helper}"), "--", "/bin/true"]);
        command.current_dir(place.work()).env_clear().env("HOME", place.home()).env("PATH", "/usr/bin:/bin");
        // SAFETY: prctl is async-signal-safe, and this option takes integers.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let ran = ran(command.output().unwrap());
        assert_eq!(ran.out, "0 []\n", "{helper}: {ran:?}");
    }
}

/// What a server inside answers, which listens at tcp 80 and udp 53 of an address: who asks. For TCP, not before it was asked: an
/// old pasta shows it a connection only then.
const SERVER: &str = "import socket, sys, threading
t = socket.create_server((sys.argv[1], 80), backlog=512)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((sys.argv[1], 53))
def udp():
    while True:
        peer = u.recvfrom(99)[1]
        u.sendto(b\"udp from \" + peer[0].encode(), peer)
threading.Thread(target=udp, daemon=True).start()
print(\"listens\", flush=True)
while True:
    c, peer = t.accept(); c.settimeout(0.3)
    try: c.recv(9)
    except OSError: pass
    try: c.sendall(b\"tcp from \" + peer[0].encode())
    except OSError: pass
    c.close()";

/// The command line of a sandbox with these flags in which [`SERVER`] runs at an address; then, once it listens, a script.
fn served(helper: &str, flags: &str, address: &str, script: &str) -> Ran {
    let place = Place::new();
    let text = format!(
        "\"$SBX\" --net private --set network.helper={helper} {flags} -- python3 -c '{SERVER}' {address} >out 2>err & sbx=$!; \
         until grep -q listens out || [ ! -e /proc/$sbx ]; do sleep 0.05; done; {script}; kill $sbx; cat err >&2"
    );
    ran(on_network(&place, &[], &text).output().unwrap())
}

/// Which source address a server inside sees: the same with either helper.
#[test]
fn a_published_port_reaches_the_server_inside_and_no_other_does() {
    need!(userns(), tun(), programs());
    let flags = "--publish 8080:80 --publish '[::1]:8080:80' --publish 5353:53/udp \
                 --publish 198.51.100.2:8081:80 --publish 198.51.100.2:5354:53/udp";
    for helper in HELPERS {
        let ran = served(
            helper,
            flags,
            "0.0.0.0",
            "python3 -c \"$TRY\" tcp,127.0.0.1,8080 tcp,::1,8080 udp,127.0.0.1,5353 udp,127.0.0.1,5353 \
                 from,tcp/198.51.100.2/8081,81 from,udp/198.51.100.2/5354,81 \
                 from,tcp/198.51.100.2/8080,81 tcp,127.0.0.1,80 tcp,127.0.0.1,8081",
        );
        let expected = [
            "tcp,127.0.0.1,8080 reached tcp from 127.0.0.1",
            "tcp,::1,8080 reached tcp from 127.0.0.1",
            "udp,127.0.0.1,5353 reached udp from 127.0.0.1",
            "udp,127.0.0.1,5353 reached udp from 127.0.0.1",
            "from,tcp/198.51.100.2/8081,81 reached tcp from 198.51.100.1",
            "from,udp/198.51.100.2/5354,81 reached udp from 198.51.100.1",
            "from,tcp/198.51.100.2/8080,81 ConnectionRefusedError",
            "tcp,127.0.0.1,80 ECONNREFUSED",
            "tcp,127.0.0.1,8081 ECONNREFUSED",
        ];
        assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{helper}: {ran:?}");
    }
}

/// One that listens at the loopback of the sandbox alone, as servers for development do.
#[test]
fn a_server_at_the_loopback_inside_is_reached_from_the_hosts() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        let ran = served(
            helper,
            "--publish 8080-8081:79-80 --publish 5353:53/udp",
            "127.0.0.1",
            "python3 -c \"$TRY\" tcp,127.0.0.1,8081 udp,127.0.0.1,5353 tcp,127.0.0.1,8080",
        );
        let expected = [
            "tcp,127.0.0.1,8081 reached tcp from 127.0.0.1",
            "udp,127.0.0.1,5353 reached udp from 127.0.0.1",
            // Nobody listens at port 79 inside.
            "tcp,127.0.0.1,8080 ECONNRESET",
        ];
        assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{helper}: {ran:?}");
    }
}

/// What comes from other machines is not what servers at the loopback inside take for their own machine's, and `[::]` is IPv6 alone.
#[test]
fn a_port_published_at_all_addresses_of_ipv6_leads_neither_to_loopback_nor_from_ipv4() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        let tries = "python3 -c \"$TRY\" from,tcp/2001:db8::2/8080,81 from,tcp/198.51.100.2/8080,81";
        let at_loopback = served(helper, "--publish '[::]:8080:80'", "127.0.0.1", tries);
        // The helper may take a connection that nobody takes inside, and close it.
        assert!(
            at_loopback.out.lines().count() == 2 && !at_loopback.out.contains("reached tcp"),
            "{helper}: {at_loopback:?}"
        );
        let server = SERVER.replace("(sys.argv[1], 80)", "(\"::\", 80), family=socket.AF_INET6");
        let place = Place::new();
        let text = format!(
            "\"$SBX\" -q --net private --set network.helper={helper} --publish '[::]:8080:80' -- python3 -c '{server}' \
             127.0.0.1 >out 2>err & sbx=$!; until grep -q listens out || [ ! -e /proc/$sbx ]; do sleep 0.05; done; {tries}; kill $sbx; cat err >&2"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let [v6, v4] = ran.out.lines().collect::<Vec<_>>()[..] else { panic!("{helper}: {ran:?}") };
        assert!(v6.contains(" reached tcp from ") && !v6.ends_with("from ::1"), "{helper}: {ran:?}");
        assert!(!v4.contains("reached"), "{helper}: {ran:?}");
    }
}

/// Where nobody listens at a port of those that the kernel chooses from, it chooses it for who connects, sooner or later.
#[test]
fn nobody_is_connected_to_the_relay_itself() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    let inside = r#"
import socket
for kind, port in [(socket.SOCK_STREAM, 5432)] * 100 + [(socket.SOCK_DGRAM, 5433)] * 20:
    s = socket.socket(socket.AF_INET, kind); s.settimeout(0.5 if kind == socket.SOCK_STREAM else 0.05)
    try:
        s.connect(("127.0.0.1", port)); s.send(b"hello")
        got = s.recv(9)
        if got: print("got", got, port); break
    except OSError: pass
print("tried")
"#;
    std::fs::write(place.work().join("few"), "echo '40000 40003' >/proc/sys/net/ipv4/ip_local_port_range\n").unwrap();
    let text = "echo bash $PWD/few >\"$AS_ROOT\"; until grep -q 40003 /proc/sys/net/ipv4/ip_local_port_range; do sleep 0.05; done; \
                \"$SBX\" -q --net private --forward 40000:5432 --forward 40001:5433/udp -- python3 -c \"$CODE\"";
    let ran = ran(on_network(&place, &[("CODE", inside)], text).output().unwrap());
    assert_eq!(ran.out, "tried\n", "{ran:?}");
}

/// A program has the helper take a port of the host for each that it sends datagrams from; and why the helper ended is not what it had said
/// of requests before.
#[test]
fn a_helper_has_a_limit_of_descriptors_and_its_end_a_reason() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        let place = Place::new();
        let text = format!(
            "\"$SBX\" --net private --set network.helper={helper} --publish 198.51.100.2:8080:80 -- sh -c 'echo ready; sleep 60' >out 2>err & sbx=$!; \
             until grep -q ready out || [ ! -e /proc/$sbx ]; do sleep 0.05; done; \
             for pid in $(cat /proc/$sbx/task/$sbx/children); do case $(cat /proc/$pid/comm) in passt*|pasta*|slirp*) grep 'Max open files' /proc/$pid/limits; \
             kill -9 $pid;; esac; done; wait $sbx; cat err >&2"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let hard = ran.out.split_whitespace().nth(4).and_then(|hard| hard.parse::<u64>().ok());
        assert!(hard.is_some_and(|hard| hard <= 8192), "{helper}: {ran:?}");
        assert!(ran.err.contains(" ended (signal: 9") && !ran.err.contains("api_handler"), "{helper}: {ran:?}");
    }
}

/// A port that is not free is an error before the program starts, also one of many; and nothing is left of the others.
#[test]
fn a_port_that_is_taken_is_an_error_before_the_program_starts() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        for address in ["127.0.0.1", "198.51.100.2"] {
            let place = Place::new();
            let text = format!(
                "python3 -c 'import socket, sys
t = socket.create_server((\"{address}\", 8003)); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); u.bind((\"{address}\", 8003)); print(\"taken\", flush=True)
sys.stdin.read()' <go >out & exec 3>go; until grep -q taken out; do sleep 0.05; done; \
                 for what in tcp udp; do \"$SBX\" --net private --set network.helper={helper} \
                     --publish {address}:8000-8005:80-85/$what -- echo runs; echo $?; done; ls; \
                 \"$SBX\" plan --net private --set network.helper={helper} --publish {address}:8003:80 -- true; exec 3>&-; \
                 wait; \"$SBX\" -q --net private --set network.helper={helper} --publish {address}:8000-8005:80-85 -- echo free"
            );
            let ran = ran(on_network(&place, &[], &format!("mkfifo go; {text}")).output().unwrap());
            assert_eq!(ran.out, "125\n125\ngo\nout\nfree\n", "{helper}: {ran:?}");
            for what in ["83/tcp", "83/udp", "80/tcp"] {
                let says = format!(
                    "{address}:8003:{what} cannot be published: listening at port 8003 of the host: address already"
                );
                assert!(ran.err.contains(&says), "{helper}: {ran:?}");
            }
        }
    }
}

/// Which port was found is told on stderr, on `--status-fd`, and in the receipt.
#[test]
fn host_port_0_is_any_free_one_that_is_told() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        let ran = served(
            helper,
            "--publish 0:80 --publish 198.51.100.2:0:53/udp --publish 8080:80 --status-fd 7 7>status --receipt receipt",
            "0.0.0.0",
            "python3 -c 'import json
events = [json.loads(line) for line in open(\"status\")]
for event in events:
    if event[\"event\"] == \"published\": print(event[\"address\"], event[\"host\"], event[\"inside\"], event[\"transport\"])
for line in json.load(open(\"receipt\"))[\"lines\"]:
    if line[\"setting\"].startswith(\"network.publish\"): print(line[\"setting\"], line[\"enforced\"])' >told; \
             cat told; set -- $(cat told); python3 -c \"$TRY\" tcp,127.0.0.1,$2 from,udp/198.51.100.2/$6,81",
        );
        let lines: Vec<_> = ran.out.lines().collect();
        let port = |line: usize| lines.get(line).and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let (tcp, udp) = (port(0), port(1));
        let expected = [
            format!("127.0.0.1 {tcp} 80 tcp"),
            format!("198.51.100.2 {udp} 53 udp"),
            "127.0.0.1 8080 80 tcp".into(),
            format!("network.publish: 127.0.0.1:{tcp}:80/tcp full"),
            format!("network.publish: 198.51.100.2:{udp}:53/udp full"),
            "network.publish: 127.0.0.1:8080:80/tcp full".into(),
            format!("tcp,127.0.0.1,{tcp} reached tcp from 127.0.0.1"),
            format!("from,udp/198.51.100.2/{udp},81 reached udp from 198.51.100.1"),
        ];
        let mut found: Vec<_> = lines.iter().map(ToString::to_string).collect();
        found[3..6].sort();
        let mut expected = expected.to_vec();
        expected[3..6].sort();
        assert_eq!(found, expected, "{helper}: {ran:?}");
        assert!(tcp != "0" && udp != "0");
        for says in [
            format!("port 80/tcp is published at 127.0.0.1:{tcp}"),
            format!("53/udp is published at 198.51.100.2:{udp}"),
        ] {
            assert!(ran.err.contains(&says), "{helper}: {ran:?}");
        }
        assert!(!ran.err.contains("127.0.0.1:8080"), "{helper}: {ran:?}");
    }
}

/// What passes at a published port of loopback is whole in both directions, however one side ends, with many at once.
#[test]
fn connections_through_the_relay_are_whole() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    // The server sends back what it got once the other side has ended its direction.
    let server = "import hashlib, socket, threading
s = socket.create_server((\"127.0.0.1\", 80), backlog=512)
def serve(c):
    got = b\"\"
    while True:
        more = c.recv(65536)
        if not more: break
        got += more
    c.sendall(got); c.close()
print(\"listens\", flush=True)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()";
    let client = "import os, socket, threading
right = []
def one(n):
    c = socket.create_connection((\"127.0.0.1\", 8080)); c.settimeout(30)
    data = os.urandom(n)
    c.sendall(data); c.shutdown(socket.SHUT_WR)
    got = b\"\"
    while True:
        more = c.recv(65536)
        if not more: break
        got += more
    right.append(got == data)
one(20_000_000)
threads = [threading.Thread(target=one, args=(n * 1000,)) for n in range(200)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(right), all(right))";
    let text = format!(
        "\"$SBX\" --net private --publish 8080:80 -- python3 -c '{server}' >out 2>err & \
         until grep -q listens out; do sleep 0.05; done; python3 -c '{client}'; kill $!; cat err >&2"
    );
    let ran = ran(on_network(&place, &[], &text).output().unwrap());
    assert_eq!(ran.out, "201 True\n", "{ran:?}");
}

/// Exactly the ports that are named, at either family of loopback.
#[test]
fn a_forwarded_port_of_the_hosts_loopback_is_reached_and_no_other_is() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        let ports = "--forward 7777 --forward 7777:80 --forward 9999:53/udp";
        let flags = format!("--net private --set network.helper={helper} {ports}");
        found(
            &[],
            &flags,
            &[
                ("tcp,127.0.0.1,7777", "reached 127.0.0.1 from 127.0.0.1"),
                ("tcp,127.0.0.1,80", "reached 127.0.0.1 from 127.0.0.1"),
                ("tcp,::1,80", "reached ::1 from ::1"),
                ("tcp,127.0.0.1,7000", "ECONNREFUSED"),
                ("tcp,127.0.0.1,53", "ECONNREFUSED"),
                ("udp,127.0.0.1,53", "reached 127.0.0.1 from 127.0.0.1"),
                ("udp,127.0.0.1,9999", "ECONNREFUSED"),
            ],
        );
        let plan = Place::new().run(&["plan", "--net", "private", "--forward", "5432", "--", "true"]);
        assert!(plan.out.contains("5432:5432/tcp of the host's loopback"), "{plan:?}");
    }
}

/// Its connections are told that it has ended.
#[test]
fn a_connection_whose_helper_is_killed_fails_instead_of_hanging() {
    need!(userns(), tun(), programs());
    let program = "import errno, socket, sys
t = socket.create_connection((\"203.0.113.10\", 80)); t.recv(99); t.settimeout(20)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect((\"203.0.113.10\", 9999)); u.settimeout(20)
l = socket.create_server((\"127.0.0.1\", 80)); c = socket.create_connection((\"127.0.0.1\", 80)); s = l.accept()[0]
six = socket.create_connection((\"2001:db8:f::10\", 80)); six.recv(99); six.settimeout(20)
print(\"runs\", flush=True)
for one in (t, u, six):
    try: print(one.recv(9))
    except OSError as error: print(errno.errorcode.get(error.errno, error))
c.sendall(b\"local\"); print(s.recv(9).decode())";
    for helper in HELPERS {
        let place = Place::new();
        let text = format!(
            "\"$SBX\" --net private --set network.helper={helper} --set network.on_helper_death=report -- \
                 python3 -c '{program}' >out 2>err & sbx=$!; until grep -q runs out || [ ! -e /proc/$sbx ]; do sleep 0.02; done; \
             helper=$(cat /proc/$sbx/task/$sbx/children | tr ' ' '\\n' | while read pid; do \
                 case \"$(cat /proc/$pid/comm)\" in pas*|slirp*) echo $pid;; esac; done); \
             kill -9 $helper; wait $sbx; echo status $?; cat out; cat err >&2"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let expected = ["status 0", "runs", "ECONNABORTED", "ECONNABORTED", "ECONNABORTED", "local"];
        assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{helper}: {ran:?}");
    }
}

#[test]
fn the_end_of_a_relay_is_told_as_that_of_a_helper() {
    need!(userns(), tun(), programs());
    for flags in ["--publish 8080:80", "--forward 7777"] {
        for (death, status) in [("end", 125), ("report", 7)] {
            let place = Place::new();
            let text = format!(
                "\"$SBX\" --net private --set network.on_helper_death={death} {flags} -- sh -c 'echo runs; sleep 5; exit 7' \
                     >out 2>err & sbx=$!; until grep -q runs out; do sleep 0.02; done; \
                 relay=$(cat /proc/$sbx/task/$sbx/children | tr ' ' '\\n' | while read pid; do \
                     grep -qz sbx-port-relay /proc/$pid/cmdline 2>/dev/null && echo $pid; done); \
                 kill -9 $relay; wait $sbx; echo status $?; cat err >&2"
            );
            let ran = ran(on_network(&place, &[], &text).output().unwrap());
            assert_eq!(ran.out, format!("status {status}\n"), "{flags}: {ran:?}");
            assert!(ran.err.contains("sbx-port-relay ended (signal: 9"), "{flags}: {ran:?}");
        }
    }
}

/// A relay ends with sbx, however that ends, and with it what it listens at.
#[test]
fn relays_and_their_ports_are_gone_with_sbx() {
    need!(userns(), tun(), programs());
    for signal in ["KILL", "TERM"] {
        let place = Place::new();
        let text = format!(
            "\"$SBX\" -q --net private --publish 8080-8090:80-90 --publish 5353:53/udp --publish 198.51.100.2:0:80 --forward 7777 -- \
                 sh -c 'echo runs; sleep 60' >out & sbx=$!; until grep -q runs out; do sleep 0.02; done; \
             relays() {{ grep -lz ^sbx-port-relay /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }}; relays; kill -{signal} $sbx; wait $sbx; \
             for try in $(seq 100); do [ $(relays) = 0 ] && break; sleep 0.05; done; relays; ls; \
             python3 -c \"$TRY\" tcp,127.0.0.1,8080 udp,127.0.0.1,5353"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let expected = "2\n0\nout\ntcp,127.0.0.1,8080 ECONNREFUSED\nudp,127.0.0.1,5353 ECONNREFUSED\n";
        assert_eq!(ran.out, expected, "{signal}: {ran:?}");
    }
}

/// Its loopback, its way to the outside and its name servers; and no right over it, nor over its user namespace.
#[test]
fn a_sandbox_joins_the_network_of_a_running_one() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        for user in ["self", "root"] {
            let script = format!(
                "limit() {{ grep -o '[0-9]*' limit; }}; inner=$(cat /proc/$sbx/task/$sbx/children | tr ' ' '\\n' | while read pid; do \
                     [ \"$(cat /proc/$pid/comm)\" = sbx ] && cat /proc/$pid/task/$pid/children; done); \
                 [ -n \"$inner\" ] || echo no program; \
                 for pid in $sbx $inner; do \"$SBX\" -q --net join:$pid --user {user} -- sh -c 'python3 -c \"$1\" tcp,127.0.0.1,80 \
                     tcp,203.0.113.10,80 name,one.example,80; ip link set lo down 2>/dev/null || echo refused; \
                     cat /proc/sys/user/max_user_namespaces; unshare -U true 2>/dev/null || echo not nested; id -u' sh \"$TRY\"; done; \
                 touch work/look; until [ -e work/limit ]; do sleep 0.05; done; cat work/limit"
            );
            let place = Place::new();
            let server = SERVER.replace(
                "print(\"listens\", flush=True)",
                "print(\"listens\", flush=True)
import os, time
def limit():
    while not os.path.exists(\"look\"): time.sleep(0.05)
    open(\"limit.new\", \"w\").write(open(\"/proc/sys/user/max_user_namespaces\").read()); os.rename(\"limit.new\", \"limit\")
threading.Thread(target=limit, daemon=True).start()",
            );
            let text = format!(
                "mkdir work; \"$SBX\" --net private --set network.helper={helper} --user {user} --rw work --cwd \"$PWD/work\" -- \
                     python3 -c '{server}' 127.0.0.1 >out 2>err & sbx=$!; \
                 until grep -q listens out || [ ! -e /proc/$sbx ]; do sleep 0.05; done; {script}; kill $sbx; cat err >&2"
            );
            let ran = ran(on_network(&place, &[], &text).output().unwrap());
            let id = if user == "root" { "0" } else { "1000" };
            let one = [
                "tcp,127.0.0.1,80 reached tcp from 127.0.0.1",
                "tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2",
                "name,one.example,80 is 2001:db8:f::10 203.0.113.10",
                "refused",
                "0",
                "not nested",
                id,
            ];
            let lines: Vec<_> = ran.out.lines().collect();
            assert_eq!(lines.len(), 2 * one.len() + 1, "{helper}: {ran:?}");
            assert_eq!(lines[..one.len()], one, "{helper}: {ran:?}");
            assert_eq!(lines[one.len()..2 * one.len()], one, "{helper}: {ran:?}");
            // The limit of the other sandbox is what it was.
            assert_eq!(lines.last(), Some(&"0"), "{helper}: {ran:?}");
        }
    }
}

#[test]
fn what_is_no_network_of_a_sandbox_of_ones_own_is_not_joined() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    for (pid, says) in [
        (std::process::id().to_string(), "has the same network as sbx itself"),
        ("4194303".into(), "there is no process 4194303"),
        ("x".into(), "`join:x` names no process"),
        ("-1".into(), "`join:-1` names no process"),
    ] {
        let ran = place.run(&["--net", &format!("join:{pid}"), "--", "true"]);
        assert_eq!(ran.status, Some(125), "{ran:?}");
        assert!(ran.err.contains(says), "{says}: {ran:?}");
    }
    // A process below it that has ended, and that it has not waited for.
    let text = "sh -c 'sleep 0 & exec sleep 9' & until grep -qs '^State:.Z' $(cat /proc/$!/task/$!/children | sed 's|[0-9]*|/proc/&/status|'); do \
                    sleep 0.05; done; \"$SBX\" --net join:$! -- echo joined; kill $!";
    let ended = ran(on_network(&place, &[], text).output().unwrap());
    assert!(ended.err.contains("has the same network as sbx itself"), "{ended:?}");
    // A network that belongs to the caller's own user namespace, and one that another user's does not let in.
    let text = "unshare --user --map-root-user --net sh -c 'unshare --net sleep 9 & echo $! >pid; \
                    until [ \"$(readlink /proc/$!/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.02; done; \
                    \"$SBX\" --net join:$! -- echo joined; kill $!'; \
                \"$SBX\" --net join:$$ -- echo joined";
    let ran = ran(on_network(&place, &[], text).output().unwrap());
    assert!(!ran.out.contains("joined"), "{ran:?}");
    assert!(ran.err.contains("its network is not one that a sandbox of yours made"), "{ran:?}");
}

/// User namespaces below that of the other sandbox count against its limit: `sbx plan` and the run say so alike.
#[test]
fn a_sandbox_that_joins_a_network_has_namespaces_inside_only_if_the_other_one_has() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    for (other, inside, says) in [
        ("deny", "--set namespaces.nested=allow", "namespaces.nested = \"allow\" cannot be carried out"),
        ("deny", "--set namespaces.nested=no-mount", "namespaces.nested = \"no-mount\" cannot be carried out"),
        (
            "deny",
            "--user root --set security.capabilities=[\\\"CAP_SYS_ADMIN\\\"]",
            "CAP_SYS_ADMIN and CAP_SYS_RESOURCE cannot be held",
        ),
        ("deny", "--set namespaces.nested=deny", ""),
        ("allow", "--set namespaces.nested=allow", ""),
    ] {
        let text = format!(
            "mkfifo go; exec 3<>go; \"$SBX\" -q --net private --set namespaces.nested={other} -- sh -c 'echo runs; read line' <go >out & sbx=$!; \
             until grep -q runs out; do sleep 0.02; done; flags=\"--net join:$sbx {inside}\"; \
             \"$SBX\" plan $flags -- true >plan 2>err || cat err; \
             \"$SBX\" -q $flags -- sh -c 'unshare -U true 2>/dev/null && echo nested || echo not nested' 2>&1; echo go >&3; wait; rm go out"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        if says.is_empty() {
            let nested = if inside.ends_with("allow") { "nested\n" } else { "not nested\n" };
            assert_eq!(ran.out, nested, "{inside}: {ran:?}");
        } else {
            assert_eq!(ran.out.matches(says).count(), 2, "{inside}: {ran:?}");
            assert!(!ran.out.contains("nested\n"), "{inside}: {ran:?}");
        }
    }
}

/// While the joining sandbox is made, the limit of user namespaces of the other one is higher; its filter holds meanwhile.
#[test]
fn a_network_whose_programs_a_limit_alone_keeps_from_namespaces_is_not_joined() {
    need!(userns(), tun(), programs());
    let place = Place::new();
    let text = "mkfifo go; exec 3<>go; for limit in 0 100000; do \
            unshare --user --map-root-user --net sh -c \"echo $limit >/proc/sys/user/max_user_namespaces; echo runs; read line\" \
                <go >out-$limit & \
            until grep -q runs out-$limit; do sleep 0.05; done; \"$SBX\" -q --net join:$! -- echo joined $limit; echo go >&3; wait; \
        done";
    let ran = ran(on_network(&place, &[], text).output().unwrap());
    assert_eq!(ran.out, "joined 100000\n", "{ran:?}");
    assert!(ran.err.contains("has no filter of system calls that would refuse it one"), "{ran:?}");
}
