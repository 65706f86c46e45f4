//! What a running sandbox is allowed to reach besides (`sbx network allow`).

mod common;

use common::network::{on_network, programs};
use common::{Place, Ran, ran, tun, userns};

/// Runs a script on the test network. In it, `begin FLAGS` starts a sandbox `web` with a private network, whose program tries what is
/// written to `ask`; `try WHAT...` has it do so, and prints what comes of it; `allow WHERE...` allows more.
fn script(text: &str) -> (Ran, Place) {
    let place = Place::new();
    let begin = "begin() { mkfifo ~/ask ~/told; \
        eval \"\\\"\\$SBX\\\" run --net private --name web $1 -- python3 -c \\\"\\$LOOP\\\" <~/ask >~/told\" & exec 7>~/ask 8<~/told; }
try() { echo \"$@\" >&7; for what in \"$@\"; do read -r line <&8; echo \"$line\"; done; }
allow() { \"$SBX\" network allow web \"$@\" 2>&1; echo \"status $?\"; }
end() { exec 7>&-; wait; }
";
    let program = "import sys
code = compile(sys.stdin.readline().replace(chr(1), chr(10)), 'try', 'exec')
while line := sys.stdin.readline():
    sys.argv[1:] = line.split()
    exec(code, {})
    sys.stdout.flush()
";
    let first = "send() { printf '%s' \"$TRY\" | tr '\\n' '\\1' >&7; echo >&7; }\n";
    let mut command = on_network(&place, &[], &[begin, first, text].concat());
    (ran(command.env("LOOP", program).output().unwrap()), place)
}

const ONE: &str = "tcp,one.example,80 reached 203.0.113.10 from 198.51.100.2\n";

#[test]
fn names_and_addresses_are_reached_from_then_on_and_no_others() {
    need!(userns(), programs(), tun());
    let (ran, place) = script(
        "begin \"--set 'network.allow=[\\\"one.example:80\\\"]' --set 'network.deny=[\\\"10.9.0.0/16\\\",\\\"sub.one.example\\\"]' --receipt ~/receipt --status-fd 5 5>~/events\"; send; \
         try tcp,one.example,80 name,two.example,80 tcp,203.0.113.20,80 udp,203.0.113.10,9999; \
         allow two.example:80/tcp 203.0.113.10:9999/udp; try tcp,two.example,80 udp,203.0.113.10,9999 tcp,one.example,80 tcp,203.0.113.53,853 name,sub.one.example,80; \
         allow '*.one.example' one.example:80; try name,sub.one.example,80; allow 10.9.9.9:80; allow alias.example 10.9.9.9; try name,alias.example,80 tcp,10.9.9.9,80; \
         allow private; try tcp,fd99::9,80 tcp,10.9.9.9,80 tcp,one.example,80; end",
    );
    let expected = [
        ONE,
        "name,two.example,80 unknown\ntcp,203.0.113.20,80 ECONNREFUSED\nudp,203.0.113.10,9999 EPERM\n",
        "web: two.example:80/tcp is allowed from now on\nweb: 203.0.113.10:9999/udp is allowed from now on\n\
         web: that holds until this run ends; for the next one, write into its profile: network.allow = [\"two.example:80/tcp\", \"203.0.113.10:9999/udp\"]\nstatus 0\n",
        "tcp,two.example,80 reached 203.0.113.20 from 198.51.100.2\nudp,203.0.113.10,9999 reached 203.0.113.10 from 198.51.100.2\n",
        ONE,
        "tcp,203.0.113.53,853 ECONNREFUSED\nname,sub.one.example,80 unknown\n",
        "web: *.one.example is allowed from now on, but for what network.deny refuses: sub.one.example\nweb: one.example:80 was allowed already\n\
         web: that holds until this run ends; for the next one, write into its profile: network.allow = [\"*.one.example\"]\nstatus 0\n",
        "name,sub.one.example,80 unknown\n",
        "sbx: web: 10.9.9.9:80: network.deny refuses it by 10.9.0.0/16, whatever is allowed\nhelp: start the sandbox without that line: `\"!10.9.0.0/16\"` in network.deny\nstatus 125\n",
        // All or none.
        "sbx: web: 10.9.9.9: network.deny refuses it by 10.9.0.0/16, whatever is allowed\nhelp: start the sandbox without that line: `\"!10.9.0.0/16\"` in network.deny\nstatus 125\n",
        "name,alias.example,80 unknown\ntcp,10.9.9.9,80 ECONNREFUSED\n",
        "web: private is allowed from now on, but for what network.deny refuses: 10.9.0.0/16\n\
         web: that holds until this run ends; for the next one, write into its profile: network.allow = [\"private\"]\nstatus 0\n",
        "tcp,fd99::9,80 reached fd99::9 from 2001:db8::2\ntcp,10.9.9.9,80 ECONNREFUSED\n",
        ONE,
    ];
    assert_eq!(ran.out, expected.concat(), "{ran:?}");
    let receipt: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(place.home().join("receipt")).unwrap()).unwrap();
    let lines: Vec<_> = receipt["allowed_later"].as_array().unwrap().iter().map(|line| &line["line"]).collect();
    assert_eq!(lines, ["two.example:80/tcp", "203.0.113.10:9999/udp", "*.one.example", "private"]);
    let events = std::fs::read_to_string(place.home().join("events")).unwrap();
    assert_eq!(events.matches("\"event\":\"allowed\"").count(), 3, "{events}");
}

/// What was begun goes on while the rules change: the program notices nothing.
#[test]
fn a_connection_goes_on_while_the_rules_change() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let program = "import socket, sys
one = socket.create_connection((\"one.example\", 80)); one.settimeout(10)
one.recv(100); print(\"runs\", flush=True)
for line in sys.stdin:
    one.send(b\"x\"); print(one.recv(100), flush=True)";
    let text = format!(
        "mkfifo ask; \"$SBX\" run --net private --set 'network.allow=[\"one.example:80\"]' --name web -- python3 -c '{program}' <ask >~/told & exec 7>ask; \
         told() {{ until [ $(wc -l <~/told) = $1 ]; do sleep 0.02; done; }}; told 1; \
         for n in 2 3 4 5; do \"$SBX\" network allow web 203.0.113.20:$n n$n.example:$n >&2; echo >&7; told $n; done; exec 7>&-; wait $!; echo $?; cat ~/told"
    );
    let ran = ran(on_network(&place, &[], &text).output().unwrap());
    assert_eq!(ran.out, format!("0\nruns\n{}", "b'more\\n'\n".repeat(4)), "{ran:?}");
}

#[test]
fn what_cannot_be_allowed_to_a_sandbox_says_why() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let text = "begin() { name=$1; shift; mkfifo $name; \"$SBX\" run --name $name \"$@\" -- sh -c 'echo runs; cat' <$name >~/$name & eval \"exec $n>$name\"; until grep -q runs ~/$name; do sleep 0.02; done; }; \
         n=6; begin none --net none; n=7; begin plain --net private; n=8; begin held --net private --set security.landlock_tcp=prefer --set 'network.allow=[\"one.example:80\"]'; \
         for what in 'none one.example' 'plain one.example' 'held two.example:81' 'held two.example:80/tcp' 'held two.example:81/udp' 'plain 10.9.9.9:80' 'gone one.example' 'plain a..b'; do \
         \"$SBX\" network allow $what 2>&1; echo \"status $?\"; done; exec 6>&- 7>&- 8>&-; wait; \"$SBX\" network allow plain one.example 2>&1; echo status $?";
    let ran = ran(on_network(&place, &[], text).output().unwrap());
    let mut expected = vec![
        "sbx: none: it has no private network, whose rules alone say what is reached\nhelp: start it with a network that has some",
        "started without names in its rules",
    ];
    if available!(common::landlock(4)) {
        expected
            .push("sbx: held: two.example:81: security.landlock_tcp holds the running program to other ports than 81");
    }
    expected.extend([
        "held: two.example:80/tcp is allowed from now on",
        "held: two.example:81/udp is allowed from now on",
        "plain: 10.9.9.9:80 is allowed from now on\n",
        // Without a line, there is the Internet.
        "write into its profile: network.allow = [\"internet\", \"10.9.9.9:80\"]\n",
        "sbx: plain: a..b: ",
        "sbx: there is no sandbox with the name or id `gone`",
    ]);
    for text in expected {
        assert!(ran.out.contains(text), "{text}: {ran:?}");
    }
    assert_eq!(ran.out.matches("status 125").count() + ran.out.matches("status 0").count(), 9, "{ran:?}");
}

/// What `sbx inspect` says of the rules.
const RULES: &str = r#"rules() { "$SBX" inspect "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["NetworkSettings"]["Rules"])'; }
"#;

#[test]
fn the_rules_of_now_are_shown_and_those_of_the_profile_count_at_the_next_start() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let text = "\"$SBX\" run -d --name web --net private --set 'network.allow=[\"one.example\"]' --set 'network.deny=[\"10.0.0.0/8\"]' -- sleep 1000 >&2
        try() { \"$SBX\" exec web python3 -c \"$TRY\" \"$@\"; }
        rules web; try name,two.example,80; \"$SBX\" network allow web two.example internet:443 >&2; rules web; try tcp,two.example,80
        \"$SBX\" network allow web $(seq -f 192.0.2.%g:443 1 200); rules web | tr , '\\n' | wc -l
        \"$SBX\" restart web >&2; rules web; try name,two.example,80; \"$SBX\" stop -t 0 web >&2; rules web
        \"$SBX\" network allow web two.example 2>&1; \"$SBX\" rm web >&2";
    let ran = ran(on_network(&place, &[], &[RULES, text].concat()).output().unwrap());
    let first = "{'Allow': ['one.example'], 'Deny': ['10.0.0.0/8']}\nname,two.example,80 unknown\n";
    let expected = [
        first,
        "{'Allow': ['one.example', 'two.example', 'internet:443'], 'Deny': ['10.0.0.0/8']}\n",
        "tcp,two.example,80 reached 203.0.113.20 from 198.51.100.2\n",
        "web: all of it is allowed from now on, but for what network.deny refuses\nweb: that holds until this run ends; for the next one, write into \
         its profile, as network.allow, what `sbx inspect` has as NetworkSettings.Rules.Allow\n204\n",
        first,
        "None\nsbx: web is exited, and only a running sandbox can be allowed more\nhelp: start it first: sbx start web\n",
    ];
    assert_eq!(ran.out, expected.concat(), "{ran:?}");
}

/// All addresses and names at once: no name that the program knows to be allowed is refused, however busy the forwarder is.
#[test]
fn a_name_is_answered_from_the_moment_that_it_is_allowed() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    // Others ask all the time.
    let ask = "import socket, threading, sys
def ask():
    while True:
        try: socket.getaddrinfo(\"none.example\", 80)
        except socket.gaierror: pass
[threading.Thread(target=ask, daemon=True).start() for _ in range(4)]
print(\"runs\", flush=True)
sys.stdin.read()";
    let text = format!(
        "mkfifo ask; \"$SBX\" run --name web --net private --set 'network.allow=[\"other.example\"]' -- python3 -c '{ask}' <ask >~/told & exec 7>ask
         until grep -q runs ~/told; do sleep 0.02; done
         names=$(seq -f n%g.example 1 60); \"$SBX\" network allow web $names two.example >&2; \"$SBX\" exec web python3 -c \"$TRY\" name,two.example,80
         \"$SBX\" network allow web internet >&2; \"$SBX\" exec web python3 -c \"$TRY\" name,one.example,80 tcp,203.0.113.10,80; exec 7>&-; wait"
    );
    let ran = ran(on_network(&place, &[], &text).output().unwrap());
    let expected = "name,two.example,80 is 2001:db8:f::20 203.0.113.20\nname,one.example,80 is 2001:db8:f::10 203.0.113.10\n\
        tcp,203.0.113.10,80 reached 203.0.113.10 from 198.51.100.2\n";
    assert_eq!(ran.out, expected, "{ran:?}");
}

/// In a network that sandboxes share, the others stay reached, and each sandbox has its own rules.
#[test]
fn a_sandbox_in_a_network_that_others_share_is_allowed_more_and_the_others_are_not() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let server = "import socket
own = socket.create_server((\"0.0.0.0\", 80))
print(\"serves\", flush=True)
while True:
    other, peer = own.accept()
    other.sendall(b\"served\")
    other.close()";
    let text = format!(
        "\"$SBX\" network create lan >&2; \"$SBX\" network create --internal closed >&2
         for name in web other; do \"$SBX\" run -d --name $name --network lan --set 'network.allow=[\"203.0.113.53:53\"]' -- python3 -c '{server}' >&2; done
         \"$SBX\" run -d --name in --network closed -- sleep 1000 >&2
         for name in web other; do until \"$SBX\" logs $name | grep -q serves; do sleep 0.02; done; done
         try() {{ name=$1; shift; \"$SBX\" exec $name python3 -c \"$TRY\" \"$@\"; }}
         try web tcp,203.0.113.10,80; \"$SBX\" network allow web one.example 203.0.113.20:80
         try web tcp,one.example,80 tcp,203.0.113.20,80 tcp,other,80 tcp,203.0.113.53,853; try other tcp,203.0.113.10,80 tcp,web,80
         \"$SBX\" network allow in one.example 2>&1
         \"$SBX\" stop -t 0 web other in >&2; \"$SBX\" rm web other in >&2; \"$SBX\" network rm lan closed >&2"
    );
    let mut command = on_network(&place, &[], &text);
    let runtime = place.home().join("run");
    std::fs::create_dir(&runtime).unwrap();
    let ran = ran(command.env("XDG_RUNTIME_DIR", runtime).output().unwrap());
    let expected = "tcp,203.0.113.10,80 ECONNREFUSED\nweb: one.example is allowed from now on\nweb: 203.0.113.20:80 is allowed from now on\n\
        web: that holds until this run ends; for the next one, write into its profile: network.allow = [\"one.example\", \"203.0.113.20:80\"]\n\
        tcp,one.example,80 reached 203.0.113.10 from 198.51.100.2\ntcp,203.0.113.20,80 reached 203.0.113.20 from 198.51.100.2\n\
        tcp,other,80 reached served\ntcp,203.0.113.53,853 ECONNREFUSED\ntcp,203.0.113.10,80 ECONNREFUSED\ntcp,web,80 reached served\n\
        sbx: in: one.example: from the network `closed`, which is internal, nothing but other sandboxes in it is reached\n\
        help: make the network without --internal\n";
    assert_eq!(ran.out, expected, "{ran:?}");
}
