//! What the rules on a private network refuse: what is recorded of it, who is told, and that a hostile program gets nothing by it but a
//! count.

mod common;

use common::network::{on_network, programs};
use common::terminal::Session;
use common::{Place, Ran, ran, tun, userns};
use serde_json::{Value, json};

/// What came of a run on the test network.
struct Told {
    ran: Ran,
    place: Place,
}

impl Told {
    /// A file in the home, which the program does not have.
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.place.home().join(name)).unwrap_or_default()
    }

    /// Lines of JSON in a file, without what differs from run to run.
    #[track_caller]
    fn lines(&self, name: &str) -> Vec<Value> {
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {:?}", self.ran));
            let fields = line.as_object_mut().unwrap();
            fields.remove("time");
            if let Some(pid) = fields.remove("pid") {
                assert!(pid.as_i64() > Some(1), "{:?}", self.ran);
            }
            line
        };
        self.file(name).lines().map(line).collect()
    }

    #[track_caller]
    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.file(name)).unwrap_or_else(|_| panic!("{name}: {:?}", self.ran))
    }
}

/// Runs a script on the test network: in it, $RUN is sbx with a private network, and $TRY and $ASK are programs for python3.
fn told(script: &str) -> Told {
    let place = Place::new();
    let mut command = on_network(&place, &[], &format!("RUN=\"$SBX run --net private\"; {script}"));
    let ask = std::fs::read_to_string(common::network::script("ask")).unwrap();
    Told { ran: ran(command.env("ASK", ask).output().unwrap()), place }
}

const ONE: &str = "--set 'network.allow=[\"one.example\"]' --set 'network.deny=[\"*.two.example\",\"10.9.0.0/16\"]'";

#[test]
fn what_is_refused_is_written_with_who_was_refused_and_by_which_rule() {
    need!(userns(), programs(), tun());
    let told = told(&format!(
        "$RUN {ONE} --network-log ~/log --status-fd 7 --receipt ~/receipt -- python3 -c \"$TRY\" tcp,one.example,80 name,two.example,80 \
         tcp,10.9.9.9,81 udp,10.9.9.9,9999 tcp,2001:db8:f::20,80 icmp,203.0.113.20,0 tcp,169.254.169.254,80 7>~/events; \
         $RUN {ONE} --network-log ~/log -- python3 -c \"$ASK\" a.two.example,16 ONE.example.,33,127.0.0.53,tcp three.example,15,127.0.0.53,tcp"
    ));
    let name = |name: &str, kind: &str, rule: &str| json!({"protocol": "dns", "name": name, "type": kind, "program": "python3", "rule": rule});
    let packet = |protocol: &str, address: &str, port: u16, rule: &str| json!({"protocol": protocol, "address": address, "port": port, "rule": rule});
    let unnamed = "not in network.allow";
    let by = |mut line: Value| {
        line["program"] = "python3".into();
        line
    };
    let first = [
        name("two.example", "A", unnamed),
        name("two.example", "AAAA", unnamed),
        by(packet("tcp", "10.9.9.9", 81, "10.9.0.0/16")),
        // The socket is there a moment later.
        by(packet("udp", "10.9.9.9", 9999, "10.9.0.0/16")),
        by(packet("tcp", "2001:db8:f::20", 80, unnamed)),
        json!({"protocol": "icmp", "address": "203.0.113.20", "rule": unnamed}),
        by(packet("tcp", "169.254.169.254", 80, "metadata")),
    ];
    let then = [name("a.two.example", "TXT", "*.two.example"), name("three.example", "MX", unnamed)];
    let mut lines = told.lines("log");
    // Who has sent a datagram and ended since is not known.
    lines.iter_mut().filter(|line| line["protocol"] == "udp").for_each(|line| line["program"] = "python3".into());
    assert_eq!(lines, [&first[..], &then].concat(), "{:?}", told.ran);
    let events: Vec<_> = told.lines("events").into_iter().filter(|event| event["event"] == "refused").collect();
    assert_eq!(events.len(), first.len(), "{events:?}");
    for (mut event, line) in events.into_iter().zip(told.lines("log")) {
        event.as_object_mut().unwrap().remove("event");
        assert_eq!(event, line);
    }
    let receipt = told.json("receipt");
    assert_eq!((&receipt["refused"]["count"], &receipt["refused"]["only_counted"]), (&json!(7), &json!(0)));
    // A name is one target, whatever is asked of it.
    let targets: Vec<_> = receipt["refused"]["first"].as_array().unwrap().iter().map(|target| &target["to"]).collect();
    let expected = [
        "two.example",
        "10.9.9.9:81/tcp",
        "10.9.9.9:9999/udp",
        "[2001:db8:f::20]:80/tcp",
        "203.0.113.20/icmp",
        "169.254.169.254:80/tcp",
    ];
    assert_eq!(targets, expected);
    // Nobody sits at a terminal.
    assert!(!told.ran.err.contains("refused"), "{:?}", told.ran);
}

#[test]
fn a_name_without_an_address_that_a_name_may_have_is_refused_and_said_to_be() {
    need!(userns(), programs(), tun());
    let told =
        told("$RUN --set 'network.allow=[\"near.example\"]' --network-log ~/log -- python3 -c \"$ASK\" near.example,1");
    let rule = "addresses of names that are not in the Internet, or the host's own";
    let line = json!({"protocol": "dns", "name": "near.example", "type": "A", "program": "python3", "rule": rule});
    assert_eq!(told.lines("log"), [line], "{:?}", told.ran);
    assert!(told.ran.out.contains("near.example,1 NXDOMAIN"), "{:?}", told.ran);
}

#[test]
fn somebody_at_a_terminal_is_told_in_one_line() {
    need!(userns(), programs(), tun());
    let place = Place::new();
    let internet = common::network::script("internet");
    let shown = |flags: &str, addresses: &str| {
        let script = format!(
            "export SBX=$SBX; bash {internet} sh -c '$SBX run --net private {flags} -- python3 -c \"$1\" {addresses}' sh \"$(cat {})\"; echo end-$?",
            common::network::script("try")
        );
        let mut session = Session::start(&place, &script);
        session.expect("end-");
        session.before.replace("\r\n", " ")
    };
    let allow = "--set \"network.allow=[\\\"one.example\\\"]\"";
    let text = shown(allow, "name,two.example,80 name,two.example,80 tcp,10.9.9.9,81 tcp,10.9.9.9,82 tcp,10.9.9.9,83");
    let line = "sbx: network: 4 destinations refused (two.example by python3, 10.9.9.9:81/tcp by python3, 10.9.9.9:82/tcp by python3, ...); --network-log FILE has all";
    assert_eq!(text.matches("sbx: network:").count(), 1, "{text}");
    assert!(text.contains(line), "{text}");
    let text = shown("--network-log ~/log", "tcp,10.9.9.9,81");
    let line =
        format!("1 destination refused (10.9.9.9:81/tcp by python3); {} has all", place.home().join("log").display());
    assert!(text.contains(&line), "{text}");
    for (flags, addresses) in [("-q", "tcp,10.9.9.9,81"), ("", "tcp,203.0.113.10,80")] {
        let text = shown(flags, addresses);
        assert!(!text.contains("sbx: network:"), "{flags}: {text}");
    }
}

/// A program may call itself whatever it likes.
#[test]
fn what_a_program_calls_itself_is_escaped_wherever_it_is_told() {
    need!(userns(), programs(), tun());
    let program = "import socket
open(\"/proc/self/comm\", \"w\").write(\"\\x1b[31m\\x9b\\u202e\")
try: socket.getaddrinfo(\"two.example\", 80)
except OSError: pass";
    let told = told(&format!("$RUN {ONE} --network-log ~/log -- python3 -c '{program}'"));
    let lines = told.lines("log");
    assert!(!lines.is_empty(), "{:?}", told.ran);
    for line in &lines {
        assert_eq!(line["program"], "\\u{1b}[31m\\u{9b}\\u{202e}", "{:?}", told.ran);
    }
    assert!(told.file("log").bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\n'), "{lines:?}");
}

#[test]
fn a_flood_of_refusals_is_counted_and_costs_a_bounded_log() {
    need!(userns(), programs(), tun());
    let program = "import socket, struct
names = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(20000):
    question = struct.pack(\">HHHHHH\", n % 65536, 256, 1, 0, 0, 0) + b\"\".join(bytes([len(l)]) + l for l in (b\"n%d\" % n, b\"two\", b\"example\")) + b\"\\0\\0\\1\\0\\1\"
    try: names[n % 20].sendto(question, socket.MSG_DONTWAIT, (\"127.0.0.53\", 53))
    except OSError: pass
    try: other.sendto(b\"x\", (\"10.9.9.9\", 1 + n % 60000))
    except OSError: pass
print(\"sent\")";
    let told = told(&format!(
        "$RUN {ONE} --network-log ~/log --receipt ~/receipt -- sh -c 'python3 -c \"$1\"; python3 -c \"$2\" tcp,one.example,80' sh '{program}' \"$TRY\""
    ));
    let reached = "sent\ntcp,one.example,80 reached 203.0.113.10 from 198.51.100.2\n";
    assert_eq!((told.ran.status, told.ran.out.as_str()), (Some(0), reached), "{:?}", told.ran);
    let refused = &told.json("receipt")["refused"];
    let (count, only) = (refused["count"].as_u64().unwrap(), refused["only_counted"].as_u64().unwrap());
    let lines = told.file("log").lines().count() as u64;
    assert_eq!(lines, count - only, "{refused}");
    // Each packet has a number, those that were lost among them, but that those behind the last one that came are not known of.
    assert!(count > 250 && only > 0, "{refused}");
    assert!(refused["first"].as_array().unwrap().len() <= 50 && refused["more"] == json!(true), "{refused}");
    assert!(told.ran.err.contains("refusals came too fast, or were too many, and were only counted"), "{:?}", told.ran);
}

#[test]
fn a_log_is_no_file_that_the_program_or_another_run_could_change() {
    need!(userns(), programs(), tun());
    let told = told(
        "mkdir ~/w ~/d; ln -s ~/w ~/to; touch ~/target ~/w/hard; ln ~/w/hard ~/hard; ln -s ~/target ~/symbolic; mkfifo ~/fifo; \
         for log in w/log to/log hard symbolic fifo d none/log; do $RUN --rw ~/w --network-log ~/$log -- echo runs; echo $log $?; done; \
         $SBX run --net none --network-log ~/log -- echo runs; echo none $?; $RUN --network-log 9 -- echo runs; echo 9 $?; \
         ls ~/w ~/d; wc -c <~/target",
    );
    let refused = ["w/log", "to/log", "hard", "symbolic", "fifo", "d", "none/log", "none", "9"];
    let expected: String = refused.iter().map(|log| format!("{log} 125\n")).collect();
    let home = told.place.home();
    let listed = format!("{0}/d:\n\n{0}/w:\nhard\n0\n", home.display());
    assert_eq!(told.ran.out, expected + &listed, "{:?}", told.ran);
    for error in [
        "w/log: the program could change it, since ",
        "hard: it is there already, and is no regular file of yours alone",
        "symbolic: it is there already, and is no regular file",
        "fifo: it is there already, and is no regular file",
        "none/log",
    ] {
        let error = format!("--network-log {}/{error}", home.display());
        assert!(told.ran.err.contains(&error), "{error}: {:?}", told.ran);
    }
    for error in
        ["the sandbox has no private network, whose rules alone refuse", "--network-log 9: there is no such descriptor"]
    {
        assert!(told.ran.err.contains(error), "{error}: {:?}", told.ran);
    }
}

#[test]
fn one_run_at_a_time_writes_to_a_log() {
    need!(userns(), programs(), tun());
    let told = told(
        "mkfifo held; $RUN --network-log ~/log -- sh -c 'echo runs; cat' <held >out & exec 8>held; until grep -q runs out; do sleep 0.02; done; \
         $RUN --network-log ~/log -- echo second; echo status $?; exec 8>&-; wait; $RUN --network-log ~/log -- echo third",
    );
    assert_eq!(told.ran.out, "status 125\nthird\n", "{:?}", told.ran);
    assert!(told.ran.err.contains("another run of sbx writes there"), "{:?}", told.ran);
}

#[test]
fn a_full_disk_at_the_log_is_told_at_the_end_and_the_program_goes_on() {
    need!(userns(), programs(), tun());
    let told = told(
        "mkdir ~/small; echo \"mount -t tmpfs -o size=8k,mode=777 none $HOME/small\" >\"$AS_ROOT\"; \
         until mountpoint -q ~/small; do sleep 0.02; done; \
         $RUN --network-log ~/small/log -- python3 -c \"$TRY\" $(for n in $(seq 100); do echo tcp,10.9.9.9,$n; done); echo status $?; \
         $RUN --network-log 7 -- python3 -c \"$TRY\" tcp,10.9.9.9,80 tcp,10.9.9.9,81 7>/dev/full; echo status $?; cp ~/small/log ~/log",
    );
    assert_eq!(told.ran.out.matches("ECONNREFUSED").count(), 102, "{:?}", told.ran);
    assert_eq!(told.ran.out.matches("status 0").count(), 2, "{:?}", told.ran);
    let lines = told.lines("log").len();
    assert!(lines > 10 && lines < 100, "{:?}", told.ran);
    let small = told.place.home().join("small/log");
    let lost = 100 - lines;
    let note = format!(
        "network log: {}: {lost} of 100 refusals could not be written: no space left on device (ENOSPC)",
        small.display()
    );
    assert!(told.ran.err.contains(&note), "{note}: {:?}", told.ran);
    assert!(told.ran.err.contains("network log: descriptor 7: 2 of 2 refusals could not be written"), "{:?}", told.ran);
}

/// Some hundred connections at once: the first ones are answered by sbx, and all others by the kernel.
#[test]
fn each_connection_is_refused_at_once_however_many_there_are() {
    need!(userns(), programs(), tun());
    let program = "import errno, socket, threading, time
found, began = [], time.monotonic()
def one(family, address):
    for port in range(1, 41):
        sock = socket.socket(family, socket.SOCK_STREAM); sock.settimeout(20)
        found.append(sock.connect_ex((address, port)))
threads = [threading.Thread(target=one, args=what) for what in [(socket.AF_INET, \"10.9.9.9\"), (socket.AF_INET6, \"fd99::9\")] * 5]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(len(found), found.count(errno.ECONNREFUSED))
# Nothing of it keeps what is allowed from being reached, and nothing refuses it.
print(socket.create_connection((\"203.0.113.10\", 80), 10).recv(100))";
    let told = told(&format!("$RUN --network-log ~/log --receipt ~/receipt -- python3 -c '{program}'"));
    assert_eq!(told.ran.out, "400 400\nb'203.0.113.10 from 198.51.100.2\\n'\n", "{:?}", told.ran);
    let refused = &told.json("receipt")["refused"];
    assert!(refused["count"].as_u64().unwrap() >= 400, "{refused}");
    let lines = told.lines("log");
    // As many as the kernel leaves to sbx at once: by whom is known, and they are reset in time.
    let known = lines.iter().filter(|line| line["program"] == "python3").count();
    assert!(known >= 10, "{known} of {}: {refused}", lines.len());
}

#[test]
fn what_is_refused_last_is_counted_though_the_program_has_ended() {
    need!(userns(), programs(), tun());
    let program = "import os, socket
kept = []
for family, address in (socket.AF_INET, \"10.9.9.9\"), (socket.AF_INET6, \"fd99::9\"):
    for port in range(1, 46):
        kept.append(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)); kept[-1].connect_ex((address, port))
os._exit(0)";
    let told = told(&format!("$RUN --network-log ~/log --receipt ~/receipt -- python3 -c '{program}'"));
    let refused = &told.json("receipt")["refused"];
    assert!(refused["count"].as_u64().unwrap() >= 90, "{refused} {:?}", told.ran);
}
