//! Names in `network.allow` and `network.deny`: what is reached of them, what name servers are asked, and what a program does not reach
//! whatever it asks or is told.

mod common;

use common::network::{HELPERS, found, on_network, programs, script, tried};
use common::{Place, Ran, ran, tun, userns};

/// Flags of a sandbox with these rules.
fn flags(helper: &str, rules: &[&str]) -> String {
    let rules: Vec<_> = rules.iter().map(|rule| format!("--set 'network.{rule}'")).collect();
    format!("--net private --set network.helper={helper} {}", rules.join(" "))
}

/// What a program finds under rules, with each helper.
#[track_caller]
fn under(rules: &[&str], expected: &[(&str, &str)]) {
    for helper in HELPERS {
        found(&[], &flags(helper, rules), expected);
    }
}

/// What name servers answer a program under rules, in order, and what was asked of the host's.
#[track_caller]
fn answers(settings: &[(&str, &str)], rules: &[&str], questions: &[&str]) -> (Vec<String>, Vec<String>, Ran) {
    let place = Place::new();
    let text = format!(
        "\"$SBX\" {} -- python3 -c \"$ASK\" {}; echo status $?; grep asked \"$REACHED\" | sort -u",
        flags("auto", rules),
        questions.join(" ")
    );
    let mut command = on_network(&place, settings, &text);
    let ran = ran(command.env("ASK", std::fs::read_to_string(script("ask")).unwrap()).output().unwrap());
    let (answered, asked) = ran.out.split_once("status 0\n").unwrap_or_else(|| panic!("{ran:?}"));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let found = (lines(answered), lines(asked));
    (found.0, found.1, ran)
}

const ONE: (&str, &str) = ("tcp,one.example,80", "reached 203.0.113.10 from 198.51.100.2");
const ONE_6: (&str, &str) = ("tcp6,one.example,80", "reached 2001:db8:f::10 from 2001:db8::2");

#[test]
fn a_name_is_reached_and_no_other_is_known() {
    need!(userns(), programs(), tun());
    let expected = [
        // Before it was asked for.
        ("tcp,203.0.113.10,80", "ECONNREFUSED"),
        ("tcp,2001:db8:f::10,80", "ECONNREFUSED"),
        ("name,one.example,80", "is 2001:db8:f::10 203.0.113.10"),
        ONE,
        ONE_6,
        ("udp,one.example,9999", "reached 203.0.113.10 from 198.51.100.2"),
        ("udp6,one.example,9999", "reached 2001:db8:f::10 from 2001:db8::2"),
        ("icmp,203.0.113.10,0", "reached"),
        ("tcp,203.0.113.10,80", "reached 203.0.113.10 from 198.51.100.2"),
        ("tcp,203.0.113.20,80", "ECONNREFUSED"),
        ("tcp,2001:db8:f::20,80", "ECONNREFUSED"),
        ("udp,203.0.113.20,9999", "EPERM"),
        ("name,two.example,80", "unknown"),
        ("name,sub.one.example,80", "unknown"),
        ("name,alias.example,80", "unknown"),
        ("name,example,80", "unknown"),
    ];
    under(&["allow=[\"one.example\"]"], &expected);
    under(&["allow=[\"ONE.example\"]", "dns=[\"203.0.113.53\"]"], &expected);
}

#[test]
fn ports_and_protocols_of_a_name_are_those_of_its_line() {
    need!(userns(), programs(), tun());
    under(
        &["allow=[\"one.example:80/tcp\",\"two.example:9999/udp\",\"*.one.example:80\"]"],
        &[
            ONE,
            ONE_6,
            ("udp,one.example,9999", "EPERM"),
            ("tcp,one.example,81", "ECONNREFUSED"),
            ("icmp,203.0.113.10,0", "EPERM"),
            ("udp,two.example,9999", "reached 203.0.113.20 from 198.51.100.2"),
            ("tcp,two.example,80", "ECONNREFUSED"),
            // The same address by another name, whose line has another port.
            ("tcp,sub.one.example,80", "reached 203.0.113.20 from 198.51.100.2"),
            ("name,a.sub.two.example,80", "unknown"),
        ],
    );
}

#[test]
fn a_name_below_another_is_reached_by_a_star_and_the_other_is_not() {
    need!(userns(), programs(), tun());
    under(
        &["allow=[\"*.one.example\"]"],
        &[
            ("tcp,sub.one.example,80", "reached 203.0.113.20 from 198.51.100.2"),
            ("name,one.example,80", "unknown"),
            ("name,aone.example,80", "unknown"),
        ],
    );
}

#[test]
fn a_name_that_is_another_name_for_one_is_reached_and_the_other_is_not_asked_for() {
    need!(userns(), programs(), tun());
    under(
        &["allow=[\"alias.example:80\"]"],
        &[("tcp,alias.example,80", "reached 203.0.113.20 from 198.51.100.2"), ("name,two.example,80", "unknown")],
    );
    // One that is denied is not reached by another name.
    under(
        &["allow=[\"alias.example\",\"one.example\"]", "deny=[\"two.example\"]"],
        &[("name,alias.example,80", "unknown"), ("tcp,203.0.113.20,80", "ECONNREFUSED"), ONE],
    );
}

#[test]
fn what_is_denied_is_not_known_and_all_else_is() {
    need!(userns(), programs(), tun());
    under(
        &["deny=[\"two.example\",\"*.one.example\"]"],
        &[
            ONE,
            ONE_6,
            ("name,two.example,80", "unknown"),
            ("name,sub.one.example,80", "unknown"),
            ("name,near.example,80", "unknown"),
            ("tcp,10.9.9.9,80", "ECONNREFUSED"),
            // By another name server, it would be told.
            ("tcp,203.0.113.53,53", "ECONNREFUSED"),
            ("udp,203.0.113.53,53", "EPERM"),
            ("tcp,203.0.113.53,853", "ECONNREFUSED"),
        ],
    );
}

/// Whoever owns a name says what its addresses are.
#[test]
fn a_name_has_addresses_of_the_internet_alone() {
    need!(userns(), programs(), tun());
    let names = "allow=[\"near.example\",\"host.example\",\"lan.example\",\"cloud.example\",\"loopback.example\",\"mixed.example\"]";
    under(
        &[names, "forward=[7777]"],
        &[
            ("name,near.example,80", "unknown"),
            ("tcp,10.9.9.9,80", "ECONNREFUSED"),
            ("tcp,fd99::9,80", "ECONNREFUSED"),
            ("name,host.example,80", "unknown"),
            ("tcp,203.0.113.3,7000", "ECONNREFUSED"),
            ("tcp,2001:db8:f::3,7000", "ECONNREFUSED"),
            ("name,lan.example,80", "unknown"),
            ("tcp,198.51.100.1,82", "ECONNREFUSED"),
            ("name,cloud.example,80", "unknown"),
            ("tcp,169.254.169.254,80", "ECONNREFUSED"),
            ("name,loopback.example,80", "unknown"),
            ("name,mixed.example,80", "is 203.0.113.10"),
            ("tcp,203.0.113.10,80", "reached 203.0.113.10 from 198.51.100.2"),
            ("tcp,10.9.9.9,80", "ECONNREFUSED"),
        ],
    );
    // What the profile names by address is told, and reached by the lines for addresses alone.
    under(
        &["allow=[\"near.example:81\",\"10.9.9.9:80\",\"private:9999/udp\"]"],
        &[
            ("tcp,near.example,80", "reached 10.9.9.9 from 198.51.100.2"),
            ("tcp,near.example,81", "ECONNREFUSED"),
            ("udp6,near.example,9999", "reached fd99::9 from 2001:db8::2"),
        ],
    );
}

#[test]
fn a_note_says_that_an_address_of_a_name_was_left_out() {
    need!(userns(), programs(), tun());
    let ran = tried(&[], &flags("auto", &["allow=[\"mixed.example\"]"]), &["name,mixed.example,80"]);
    assert!(
        ran.err.contains("note: names: a name that is allowed has an address that is not in the Internet"),
        "{ran:?}"
    );
}

#[test]
fn names_that_are_not_allowed_are_asked_of_nobody() {
    need!(userns(), programs(), tun());
    let questions =
        ["two.example,1", "secret.one.example,16", "one.example.two.example,28", "one.example,1", "example,2", ".,2"];
    let (answered, asked, ran) = answers(&[], &["allow=[\"one.example\"]"], &questions);
    let expected = [
        "two.example,1 NXDOMAIN",
        "secret.one.example,16 NXDOMAIN",
        "one.example.two.example,28 NXDOMAIN",
        "one.example,1 NOERROR 203.0.113.10",
        "example,2 NXDOMAIN",
        ".,2 NXDOMAIN",
    ];
    assert_eq!(answered, expected, "{ran:?}");
    assert_eq!(asked, ["asked one.example"], "{ran:?}");
}

#[test]
fn other_name_servers_are_not_reached_where_rules_have_names() {
    need!(userns(), programs(), tun());
    let other = ["one.example,1,203.0.113.53", "one.example,1,203.0.113.53,tcp", "one.example,1,203.0.113.10"];
    let (answered, ..) = answers(&[], &["allow=[\"one.example\",\"internet\"]"], &other);
    assert_eq!(
        answered,
        [
            "one.example,1,203.0.113.53 EPERM",
            "one.example,1,203.0.113.53,tcp ECONNREFUSED",
            "one.example,1,203.0.113.10 EPERM"
        ]
    );
    let (answered, ..) = answers(&[], &["allow=[\"one.example\",\"203.0.113.53:53\"]"], &other[..2]);
    assert_eq!(
        answered,
        ["one.example,1,203.0.113.53 NOERROR 203.0.113.10", "one.example,1,203.0.113.53,tcp NOERROR 203.0.113.10"]
    );
}

#[test]
fn questions_are_answered_by_tcp_too_and_what_is_long_is_asked_for_so() {
    need!(userns(), programs(), tun());
    let (answered, asked, ran) = answers(
        &[],
        &["allow=[\"many.example\",\"one.example\"]"],
        &[
            "one.example,28,127.0.0.53,tcp",
            "many.example,1",
            "many.example,1,127.0.0.53,tcp",
            "two.example,1,127.0.0.53,tcp",
        ],
    );
    assert_eq!(answered[0], "one.example,28,127.0.0.53,tcp NOERROR 2001:db8:f::10", "{ran:?}");
    assert_eq!(answered[1], "many.example,1 NOERROR TC", "{ran:?}");
    assert_eq!(answered[2].split(' ').filter(|word| word.starts_with("203.0.113.")).count(), 50, "{ran:?}");
    assert_eq!(answered[3], "two.example,1,127.0.0.53,tcp NXDOMAIN", "{ran:?}");
    assert_eq!(asked, ["asked many.example", "asked one.example"], "{ran:?}");
}

#[test]
fn hints_in_records_of_services_are_not_passed_on() {
    need!(userns(), programs(), tun());
    let (answered, ..) = answers(&[], &["allow=[\"one.example\"]"], &["one.example,65"]);
    // One record: priority 1, the name itself, and port 80. The other one leads to a name that is not allowed.
    assert_eq!(answered, ["one.example,65 NOERROR 0001000003000200 50".replace("00 50", "0050")]);
}

#[test]
fn names_of_the_hosts_file_have_the_addresses_that_it_says() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let text = "echo '10.9.9.9 near.test' >hosts; echo \"mount --bind $PWD/hosts /etc/hosts\" >\"$AS_ROOT\"; \
                until grep -q near.test /etc/hosts; do sleep 0.02; done; \
                \"$SBX\" --net private --set 'network.allow=[\"near.test:80\"]' -- python3 -c \"$TRY\" tcp,near.test,80 udp,near.test,9999 tcp,fd99::9,80";
    let ran = ran(on_network(&place, &[], text).output().unwrap());
    let expected = [
        "tcp,near.test,80 reached 10.9.9.9 from 198.51.100.2",
        "udp,near.test,9999 EPERM",
        "tcp,fd99::9,80 ECONNREFUSED",
    ];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{ran:?}");
}

#[test]
fn names_in_search_lists_are_found() {
    need!(userns(), programs(), tun());
    let settings = [("NAME_SERVER", "127.0.0.53\nsearch nowhere.test example")];
    found(
        &settings,
        &flags("auto", &["allow=[\"one.example\"]"]),
        &[("tcp,one,80", "reached 203.0.113.10 from 198.51.100.2"), ("name,two,80", "unknown")],
    );
}

#[test]
fn lines_with_names_that_would_have_no_effect_are_errors() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    for (lines, says) in [
        (&["allow=[\"one.example\"]", "dns=none"][..], "network.dns is \"none\", so that nobody tells its addresses"),
        (&["allow=[\"one.example:53\"]"], "name servers are asked by sbx alone"),
        (&["deny=[\"one.example:80\"]"], "a name is refused as a whole"),
        (
            &["allow=[\"one.example:80\"]", "deny=[\"*.example\"]"],
            "network.allow has one.example:80, which network.deny refuses by *.example",
        ),
        (&["allow=[\"bücher.example\"]"], "begins with `xn--`"),
        (&["allow=[\"one*.example\"]"], "`*` stands for whole names"),
        (&["allow=[\"localnet\"]"], "neither a word for addresses nor a name, which has a dot"),
    ] {
        let mut flags = vec!["--net".to_owned(), "private".to_owned()];
        lines.iter().for_each(|line| flags.extend(["--set".to_owned(), format!("network.{line}")]));
        let flags: Vec<_> = flags.iter().map(String::as_str).chain(["--", "true"]).collect();
        let ran = place.run(&flags);
        assert!(ran.err.contains(says), "{lines:?}: {ran:?}");
        assert_eq!(ran.status, Some(125), "{ran:?}");
    }
}

/// Of a run with one name, whose addresses were told: other addresses of the Internet, each way that a program may try.
#[test]
fn no_program_goes_around_rules_for_names() {
    need!(userns(), programs(), tun());
    let flags =
        ["", "--publish 198.51.100.2:9999:9999/udp", "--set namespaces.nested=allow --set security.seccomp=off"];
    for (helper, more) in HELPERS.iter().flat_map(|helper| flags.map(|flags| (helper, flags))) {
        let place = Place::new();
        let rules = crate::flags(helper, &["allow=[\"one.example\"]"]);
        let text = format!(
            "\"$SBX\" {rules} {more} -- sh -c 'python3 -c \"$1\" tcp,one.example,80 udp6,one.example,9999 udp,one.example,9999; \
             python3 -c \"$2\" 203.0.113.20 2001:db8:f::20 203.0.113.10 2001:db8:f::10' sh \"$TRY\" \"$EVADE\"; echo status $?; sort -u \"$REACHED\""
        );
        let mut command = on_network(&place, &[], &text);
        let ran = ran(command.env("EVADE", std::fs::read_to_string(script("evade")).unwrap()).output().unwrap());
        let (tries, reached) = ran.out.split_once("status 0\n").unwrap_or_else(|| panic!("{helper}: {ran:?}"));
        assert!(tries.lines().count() > 25, "{helper}: {ran:?}");
        assert!(reached.contains("udp 2001:db8:f::10"), "{helper} {more}: {ran:?}");
        assert!(!reached.contains("203.0.113.20") && !reached.contains("2001:db8:f::20"), "{helper} {more}: {ran:?}");
    }
}

/// The lifetime of an address is a minute at least, and some seconds: a program connects some time after it has asked. The forwarder has been at
/// rest when it is asked again.
#[test]
fn a_connection_goes_on_when_its_address_is_not_let_through_any_more() {
    need!(userns(), programs(), tun());
    let program = "import socket, sys, time
def connect(address):
    try: return socket.create_connection((address, 80), 5)
    except OSError as error: return type(error).__name__
def udp():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(2); one.connect((\"203.0.113.10\", 9999))
    return one
held = connect(\"one.example\"); print(held.recv(99).decode().strip())
datagrams = udp(); datagrams.send(b\"x\"); print(datagrams.recv(99).decode())
time.sleep(50)
print(datagrams.send(b\"x\"), datagrams.recv(99).decode())
time.sleep(20)
print(connect(\"203.0.113.10\"))
try: print(udp().send(b\"x\"))
except OSError as error: print(error.errno)
held.sendall(b\"on\"); print(held.recv(99).decode().strip())
print(datagrams.send(b\"x\"), datagrams.recv(99).decode())
print(connect(\"one.example\").recv(99).decode().strip(), flush=True)";
    let place = Place::new();
    let text = format!("\"$SBX\" {} -- python3 -c '{program}'", flags("auto", &["allow=[\"one.example\"]"]));
    let ran = ran(on_network(&place, &[("LIFETIME", "1")], &text).output().unwrap());
    let line = "203.0.113.10 from 198.51.100.2";
    let expected =
        [line, line, &format!("1 {line}"), "ConnectionRefusedError", "1", "more", &format!("1 {line}"), line];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{ran:?}");
}

#[test]
fn a_name_whose_addresses_change_is_reached_at_those_that_it_was_answered_with() {
    need!(userns(), programs(), tun());
    let ten = "reached 203.0.113.10 from 198.51.100.2";
    let twenty = "reached 203.0.113.20 from 198.51.100.2";
    under(
        &["allow=[\"changing.example\"]"],
        &[
            ("tcp,changing.example,80", ten),
            ("tcp,203.0.113.20,80", "ECONNREFUSED"),
            ("tcp,changing.example,80", twenty),
            ("tcp,203.0.113.10,80", ten),
        ],
    );
}

/// What becomes of a run whose forwarder is killed while the program is busy with `script`.
fn forwarder_killed(death: &str, script: &str) -> Ran {
    let place = Place::new();
    let rules = format!("{} --set network.on_helper_death={death}", flags("auto", &["allow=[\"one.example\"]"]));
    let text = format!(
        "\"$SBX\" {rules} -- sh -c '{script}' sh \"$TRY\" >out 2>err & sbx=$!; until grep -q runs out || [ ! -e /proc/$sbx ]; do sleep 0.02; done; \
         forwarders() {{ grep -lz ^sbx-name-forwarder /proc/[0-9]*/cmdline 2>/dev/null; }}; \
         kill -9 $(forwarders | cut -d/ -f3); wait $sbx; echo status $?; cat out; forwarders; cat err >&2"
    );
    ran(on_network(&place, &[], &text).output().unwrap())
}

#[test]
fn the_end_of_the_forwarder_is_told_and_opens_nothing() {
    need!(userns(), programs(), tun());
    let busy = "(while :; do python3 -c \"$1\" name,one.example,80 name,two.example,80 >/dev/null; done) & sleep 0.5; echo runs; sleep 20; exit 7";
    let ended = forwarder_killed("end", busy);
    assert_eq!(ended.out, "status 125\nruns\n", "{ended:?}");
    let says =
        "sbx-name-forwarder ended (signal: 9 (SIGKILL)): network.on_helper_death is \"end\", so the sandbox was ended";
    assert!(ended.err.contains(says), "{ended:?}");
    let goes_on = "python3 -c \"$1\" tcp,one.example,80; echo runs; sleep 5; \
                   python3 -c \"$1\" name,one.example,80 tcp,203.0.113.20,80 tcp,203.0.113.53,53 tcp,10.9.9.9,80 tcp,203.0.113.10,80; exit 7";
    let noted = forwarder_killed("report", goes_on);
    let expected = "status 7\ntcp,one.example,80 reached 203.0.113.10 from 198.51.100.2\nruns\nname,one.example,80 unknown\n\
                    tcp,203.0.113.20,80 ECONNREFUSED\ntcp,203.0.113.53,53 ECONNREFUSED\ntcp,10.9.9.9,80 ECONNREFUSED\n\
                    tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\n";
    assert_eq!(noted.out, expected, "{noted:?}");
    assert!(
        noted.err.contains("note: sbx-name-forwarder ended (signal: 9 (SIGKILL)): names are not answered any more"),
        "{noted:?}"
    );
}

#[test]
fn the_forwarder_ends_with_sbx_however_that_ends() {
    need!(userns(), programs(), tun());
    for signal in ["KILL", "TERM"] {
        let place = Place::new();
        let rules = flags("auto", &["allow=[\"one.example\"]"]);
        let text = format!(
            "\"$SBX\" {rules} -- sh -c 'echo runs; while :; do python3 -c \"$1\" name,one.example,80; done' sh \"$TRY\" >out & sbx=$!; \
             until grep -q runs out; do sleep 0.02; done; forwarders() {{ grep -lz ^sbx-name-forwarder /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }}; \
             forwarders; kill -{signal} $sbx; wait $sbx; for try in $(seq 100); do [ $(forwarders) = 0 ] && break; sleep 0.05; done; forwarders; ls"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        assert_eq!(ran.out, "1\n0\nout\n", "{signal}: {ran:?}");
    }
}

/// Questions by the thousands, of names that are allowed and others, what is no message, and connections that say nothing.
#[test]
fn a_flood_of_questions_takes_bounded_memory_and_opens_nothing() {
    need!(userns(), programs(), tun());
    let program = "import os, random, socket, struct
random.seed(1)
def question(name, kind=1):
    return struct.pack(\">HHHHHH\", random.randrange(65536), 256, 1, 0, 0, 0) + b\"\".join(bytes([len(l)]) + l for l in name.split(b\".\")) + b\"\\0\" + struct.pack(\">HH\", kind, 1)
udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
idle = []
for _ in range(100):
    one = socket.socket(); one.settimeout(0.05)
    try: one.connect((\"127.0.0.53\", 53))
    except OSError: break
    idle.append(one)
for n in range(20000):
    good = question(b\"n%d.one.example\" % n if n % 2 else b\"%d.b.two.example\" % n, random.choice([1, 28, 16, 65]))
    bad = bytearray(good); bad[random.randrange(len(bad))] = random.randrange(256)
    what = [good, bytes(bad), os.urandom(random.randrange(600)), good + os.urandom(40)][n % 4]
    try: udp[n % 50].sendto(what, socket.MSG_DONTWAIT, (\"127.0.0.53\", 53))
    except OSError: pass
print(\"sent\", len(idle) >= 32)";
    let place = Place::new();
    let rules = flags("auto", &["allow=[\"one.example\",\"*.one.example\"]"]);
    let text = format!(
        "\"$SBX\" {rules} -- sh -c 'python3 -c \"$2\"; python3 -c \"$1\" tcp,one.example,80 tcp,203.0.113.20,80; echo runs; sleep 2' sh \"$TRY\" '{program}' >out & \
         sbx=$!; until grep -q runs out || [ ! -e /proc/$sbx ]; do sleep 0.05; done; \
         for pid in $(grep -lz ^sbx-name-forwarder /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3); do grep RssAnon /proc/$pid/status; done; wait $sbx; echo status $?; cat out"
    );
    let ran = ran(on_network(&place, &[], &text).output().unwrap());
    let (memory, rest) = ran.out.split_once("status 0\n").unwrap_or_else(|| panic!("{ran:?}"));
    let lines = [
        "sent True",
        "tcp,one.example,80 reached 203.0.113.10 from 198.51.100.2",
        "tcp,203.0.113.20,80 ECONNREFUSED",
        "runs",
    ];
    assert_eq!(rest.lines().collect::<Vec<_>>(), lines, "{ran:?}");
    let size: u64 =
        memory.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or_else(|| panic!("{ran:?}"));
    // Without optimization, frames are larger, and so are tables of the program that are filled in at its start (.got, .data.rel.ro), four
    // fifths of it all, which grow with every function.
    assert!(size <= if cfg!(debug_assertions) { 1408 } else { 1024 }, "{size} KiB: {ran:?}");
}

/// Whoever owns a name may answer with more addresses than anybody has.
#[test]
fn a_flood_of_addresses_ends_where_the_set_does() {
    need!(userns(), programs(), tun());
    let program = "import socket, struct
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(5); one.connect((\"127.0.0.53\", 53))
codes = []
for n in range(4200):
    one.send(struct.pack(\">HHHHHH\", n, 256, 1, 0, 0, 0) + b\"\".join(bytes([len(l)]) + l for l in (b\"%d\" % (n + 65536), b\"any\", b\"example\")) + b\"\\0\\0\\1\\0\\1\")
    codes.append(one.recv(999)[3] & 15)
print(codes.count(0), codes.count(2), codes.index(2))";
    let place = Place::new();
    let rules = flags("auto", &["allow=[\"*.any.example\",\"one.example:80\"]"]);
    let text = format!(
        "\"$SBX\" {rules} -- sh -c 'python3 -c \"$2\"; python3 -c \"$1\" tcp,one.example,80' sh \"$TRY\" '{program}'"
    );
    let ran = ran(on_network(&place, &[], &text).output().unwrap());
    // Another line has sets of its own.
    let expected = ["4096 104 4096", "tcp,one.example,80 reached 203.0.113.10 from 198.51.100.2"];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{ran:?}");
    assert!(ran.err.contains("a name has more addresses than the packet filter takes"), "{ran:?}");
}

#[test]
fn the_plan_and_the_receipt_say_what_is_decided_by_name() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let set = [
        "--set",
        "network.allow=[\"one.example:443\",\"*.two.example:443\"]",
        "--set",
        "network.deny=[\"three.example\"]",
    ];
    let plan = place.run(&[&["plan", "--verbose", "--net", "private"][..], &set, &["--", "true"]].concat());
    for line in [
        "reached     one.example:443 *.two.example:443",
        "refused     other name servers, at port 53",
        "refused     three.example",
        "names       sbx-name-forwarder answers questions for names, by asking ",
        "network.allow: one.example:443: nf_tables in the sandbox's network, which the program has no right over, for addresses that \
         sbx-name-forwarder tells for the name",
        "network.deny: three.example: sbx-name-forwarder, which tells no address for it",
    ] {
        assert!(plan.out.contains(line), "{line}: {plan:?}");
    }
}
