//! Networks of the sandbox's own under load: many connections at once, the same port inside in two sandboxes, and processes that are killed
//! while data passes, by each helper.

mod common;

use common::network::{HELPERS, on_network, programs};
use common::{Place, Ran, ran, tun, userns};

/// 200 connections that are open at once, each of which gets its own answers.
#[test]
fn two_hundred_connections_at_once_survive() {
    need!(userns(), tun(), programs());
    let client = "import socket, sys
all = []
for n in range(100):
    for address in (\"203.0.113.10\", \"2001:db8:f::10\"):
        c = socket.create_connection((address, 80), 30); c.settimeout(30); all.append(c)
def line(c):
    got = b\"\"
    while not got.endswith(b\"\\n\"):
        more = c.recv(99)
        if not more: break
        got += more
    return got
first = [line(c) for c in all]
for c in all: c.sendall(b\"x\")
second = [line(c) for c in all]
print(len(all), sum(b\" from \" in one for one in first), second.count(b\"more\\n\"))";
    for helper in HELPERS {
        let place = Place::new();
        let text = format!("\"$SBX\" --net private --set network.helper={helper} -- python3 -c '{client}'");
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        assert_eq!(ran.out, "200 200 200\n", "{helper}: {ran:?}");
    }
}

/// Each is reached at its own port of the host, at loopback and at another address.
#[test]
fn two_sandboxes_publish_the_same_port_inside() {
    need!(userns(), tun(), programs());
    let server = "import socket, sys
s = socket.create_server((\"0.0.0.0\", 80), backlog=64)
print(\"listens\", flush=True)
while True:
    c, peer = s.accept(); c.settimeout(0.5)
    try: c.recv(9)
    except OSError: pass
    try: c.sendall(sys.argv[1].encode())
    except OSError: pass
    c.close()";
    for helper in HELPERS {
        let place = Place::new();
        let text = format!(
            "start() {{ \"$SBX\" --net private --set network.helper={helper} --publish $2:80 --publish 198.51.100.2:$3:80 -- \
                 python3 -c '{server}' $1 >out-$1 2>err-$1 & until grep -q listens out-$1 || [ ! -e /proc/$! ]; do sleep 0.05; done; }}; \
             start one 8080 8180; one=$!; start two 8081 8181; \
             python3 -c \"$TRY\" tcp,127.0.0.1,8080 tcp,127.0.0.1,8081 from,tcp/198.51.100.2/8180,81 from,tcp/198.51.100.2/8181,81; \
             kill $one; wait $one; python3 -c \"$TRY\" tcp,127.0.0.1,8080 tcp,127.0.0.1,8081; kill $!; cat err-* >&2"
        );
        let ran = ran(on_network(&place, &[], &text).output().unwrap());
        let expected = [
            "tcp,127.0.0.1,8080 reached one",
            "tcp,127.0.0.1,8081 reached two",
            "from,tcp/198.51.100.2/8180,81 reached one",
            "from,tcp/198.51.100.2/8181,81 reached two",
            "tcp,127.0.0.1,8080 ECONNREFUSED",
            "tcp,127.0.0.1,8081 reached two",
        ];
        assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "{helper}: {ran:?}");
    }
}

/// Data passes in both directions: by the helper to the other machine, by the relay from the host. It says how each connection ended.
const LOAD: &str = "import errno, socket, sys, threading, time
ends = []
def serve():
    s = socket.create_server((\"127.0.0.1\", 80), backlog=64)
    while True:
        c = s.accept()[0]
        threading.Thread(target=pump, args=(c,), daemon=True).start()
def pump(c):
    try:
        while True:
            data = c.recv(65536)
            if not data: break
            c.sendall(data)
    except OSError: pass
def ask(address):
    try:
        c = socket.create_connection((address, 80), 20); c.settimeout(20)
        while True:
            c.sendall(b\"x\" * 1000)
            if not c.recv(65536): break
        ends.append(\"end\")
    except OSError as error: ends.append(errno.errorcode.get(error.errno, repr(error)))
threading.Thread(target=serve, daemon=True).start()
threads = [threading.Thread(target=ask, args=(address,)) for address in [\"203.0.113.10\", \"2001:db8:f::10\"] * 10]
[t.start() for t in threads]
time.sleep(0.5)
print(\"runs\", flush=True)
[t.join() for t in threads]
print(len(ends), \"hung\" if any(\"timed\" in end for end in ends) else \"told\", flush=True)
sys.exit(7)";

/// Runs [`LOAD`], with connections from the host to what it publishes, and kills one of the processes. Prints the status, what the program
/// said, how the host's connections ended, and which processes are left.
fn killed(helper: &str, flags: &str, which: &str) -> Ran {
    let client = "import socket, sys, threading
ends = []
def one():
    try:
        c = socket.create_connection((\"127.0.0.1\", 8080)); c.settimeout(20)
        while True:
            c.sendall(b\"y\" * 1000)
            if not c.recv(65536): break
        ends.append(\"end\")
    except OSError as error: ends.append(\"hung\" if isinstance(error, socket.timeout) else \"error\")
threads = [threading.Thread(target=one) for _ in range(10)]
[t.start() for t in threads]; print(\"clients\", flush=True); [t.join() for t in threads]
print(\"hung\" if \"hung\" in ends else \"clients told\")";
    let text = format!(
        "\"$SBX\" --net private --set network.helper={helper} --publish 8080:80 --forward 7777 {flags} -- python3 -c '{LOAD}' >out 2>err & \
         sbx=$!; until grep -q runs out || [ ! -e /proc/$sbx ]; do sleep 0.05; done; python3 -c '{client}' >clients & client=$!; \
         until grep -q clients clients; do sleep 0.05; done; sleep 0.3; \
         children() {{ for pid in $(cat /proc/$sbx/task/$sbx/children); do \
             echo $pid $(cat /proc/$pid/comm) $(tr '\\0' ' ' </proc/$pid/cmdline); done; }}; \
         case {which} in helper) victim=$(children | awk '$2 ~ /^(pas|slirp)/ {{print $1}}');; \
             relay) victim=$(children | awk '/sbx-port-relay/ {{print $1; exit}}');; launcher) victim=$sbx;; esac; \
         [ -n \"$victim\" ] || echo no victim; kill -9 $victim; wait $sbx; echo status $?; wait $client; cat out clients; \
         left() {{ for dir in /proc/[0-9]*; do name=$(cat $dir/comm 2>/dev/null); \
             case $name in sbx*|pasta*|slirp*) echo left $name;; esac; done; }}; \
         for try in $(seq 100); do [ -z \"$(left)\" ] && break; sleep 0.05; done; left; \
         python3 -c \"$TRY\" tcp,127.0.0.1,8080; ls; cat err >&2"
    );
    let place = Place::new();
    ran(on_network(&place, &[], &text).output().unwrap())
}

#[test]
fn a_process_that_is_killed_under_load_is_told_and_leaves_nothing() {
    need!(userns(), tun(), programs());
    for helper in HELPERS {
        for (which, name) in [("helper", helper), ("relay", "sbx-port-relay")] {
            let ended = killed(helper, "", which);
            let expected =
                "status 125\nruns\nclients\nclients told\ntcp,127.0.0.1,8080 ECONNREFUSED\nclients\nerr\nout\n";
            // Its connections are ended first, of which the program may tell before it is ended, too.
            assert_eq!(ended.out.replace("20 told\n", ""), expected, "{helper}, {which}: {ended:?}");
            assert!(ended.err.contains(&format!("{name} ended (signal: 9")), "{helper}, {which}: {ended:?}");
            assert!(ended.err.contains("network.on_helper_death is \"end\""), "{helper}, {which}: {ended:?}");
        }
        let ended = killed(helper, "", "launcher");
        let expected = "status 137\nruns\nclients\nclients told\ntcp,127.0.0.1,8080 ECONNREFUSED\nclients\nerr\nout\n";
        assert_eq!(ended.out, expected, "{helper}, launcher: {ended:?}");
        // The program goes on, and each of its connections is told.
        let noted = killed(helper, "--set network.on_helper_death=report", "helper");
        assert!(noted.out.starts_with("status 7\nruns\n20 told\nclients\nclients told\n"), "{helper}: {noted:?}");
        assert!(!noted.out.contains("left") && noted.err.contains("its connections were ended"), "{helper}: {noted:?}");
    }
}
