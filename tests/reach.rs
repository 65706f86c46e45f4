//! What is reached from each kind of network, by each helper, family and protocol: one table. The other side is a network that the test makes
//! (`tests/network/internet`).

mod common;

use common::network::{HELPERS, on_network, programs};
use common::{Place, ran, tun, userns};

/// What is tried in each network, in the order of the table's letters.
const TRIED: [(&str, [&str; 6]); 3] = [
    (
        "the Internet",
        [
            "tcp,203.0.113.10,80",
            "tcp,2001:db8:f::10,80",
            "udp,203.0.113.10,9999",
            "udp,2001:db8:f::10,9999",
            "icmp,203.0.113.10,0",
            "icmp,2001:db8:f::10,0",
        ],
    ),
    (
        "a private network",
        [
            "tcp,10.9.9.9,80",
            "tcp,fd99::9,80",
            "udp,10.9.9.9,9999",
            "udp,fd99::9,9999",
            "icmp,10.9.9.9,0",
            "icmp,fd99::9,0",
        ],
    ),
    (
        "the host",
        [
            "tcp,203.0.113.3,7000",
            "tcp,2001:db8:f::3,7000",
            "udp,203.0.113.3,7000",
            "udp,2001:db8:f::3,7000",
            "icmp,203.0.113.3,0",
            "icmp,2001:db8:f::3,0",
        ],
    ),
];

/// Flags, and what comes of [`TRIED`] with them: `+` it is reached, `-` a rule refuses it at once, `.` there is no way there, `x` no such
/// socket is made. A letter for each
/// protocol and family: TCP, UDP and ICMP, each by IPv4 and by IPv6.
#[rustfmt::skip]
const TABLE: [(&str, [&str; 3]); 18] = [
    //                                                                   Internet  private   host
    ("--net none",                                                     ["....xx", "....xx", "....xx"]),
    ("--net host",                                                     ["++++++", "++++++", "++++++"]),
    ("--net private",                                                  ["++++++", "------", "------"]),
    ("--net join:$OTHER",                                              ["++++++", "------", "------"]),
    ("--net private --set network.allow=[]",                           ["------", "------", "------"]),
    ("--net private --set network.allow=[\"private\"]",                ["------", "++++++", "------"]),
    ("--net private --set network.allow=[\"host\"]",                   ["------", "------", "++++++"]),
    ("--net private --set network.allow=[\"/tcp\"]",                   ["++----", "++----", "------"]),
    ("--net private --set network.allow=[\"0.0.0.0/0/udp\"]",          ["--+---", "--+---", "------"]),
    ("--net private --set network.allow=[\"::/0\",\"10.9.9.9/icmp\"]", ["-+-+-+", "-+-+++", "------"]),
    ("--net private --set network.deny=[\"203.0.113.10/tcp\",\"2001:db8:f::10/icmp\"]",
                                                                       ["-++++-", "------", "------"]),
    ("--net private --set network.allow=[\"internet:9999\",\"private\"] --set network.deny=[\"private/udp\"]",
                                                                       ["--++--", "++--++", "------"]),
    ("--network one",                                                  ["+.+.+.", "-.-.-.", "-.-.-."]),
    ("--network one --set network.deny=[\"internet/udp\"]",            ["+.-.+.", "-.-.-.", "-.-.-."]),
    ("--network inner",                                                ["......", "......", "......"]),
    ("--network six",                                                  ["++++++", "------", "------"]),
    ("--network six --set network.allow=[\"private:80/tcp\",\"::/0/icmp\"]",
                                                                       ["-----+", "++---+", "------"]),
    ("--network six --set network.deny=[\"2001:db8:f::10\"]",          ["+-+-+-", "------", "------"]),
];

/// What a line of `tests/network/try` says, as a letter of the table.
fn letter(line: &str) -> char {
    match line.split(' ').nth(1) {
        Some("reached") => '+',
        Some("ECONNREFUSED" | "EPERM") => '-',
        Some("ENETUNREACH") => '.',
        Some("EACCES") => 'x',
        Some("timeout") => 't',
        _ => '?',
    }
}

/// slirp4netns answers no echo requests of IPv6 but its own; what leaves for there is lost.
fn carried(helper: &str, letters: &str, flags: &str) -> String {
    let lost = helper == "slirp4netns" && !flags.contains("--net host") && letters.ends_with('+');
    if lost { format!("{}t", &letters[..5]) } else { letters.to_owned() }
}

#[test]
fn each_network_reaches_by_each_helper_family_and_protocol_what_its_profile_says() {
    need!(userns(), programs(), tun());
    // What is lost by slirp4netns (see `carried`) is not waited for as long as an answer.
    let tries: Vec<_> = TRIED
        .iter()
        .flat_map(|(_, [most @ .., last])| most.iter().copied().chain(["within,1.5,-", last, "within,20,-"]))
        .collect();
    let one = |helper: &str| {
        let rows = TABLE.iter().map(|(flags, _)| {
            let own = ["private", "--network"].iter().any(|word| flags.contains(word));
            let with = if own { format!("--set network.helper={helper}") } else { String::new() };
            let flags = flags.replace('[', "'[").replace(']', "]'");
            format!("\"$SBX\" -q {flags} {with} -- python3 -c \"$TRY\" {}; echo end; ", tries.join(" "))
        });
        let text = format!(
            "\"$SBX\" network create one >/dev/null; \"$SBX\" network create --internal inner >/dev/null; \"$SBX\" network create --ipv6 six >/dev/null; mkfifo go; exec 3<>go; \
             \"$SBX\" -q --net private --set network.helper={helper} -- sh -c 'echo runs; read line' <go >other & OTHER=$!; \
             until grep -q runs other || ! kill -0 $OTHER; do sleep 0.02; done; {} echo go >&3; wait",
            rows.collect::<String>()
        );
        let place = Place::new();
        let runtime = place.work().join("run");
        std::fs::create_dir(&runtime).unwrap();
        ran(on_network(&place, &[], &text).env("XDG_RUNTIME_DIR", runtime).output().unwrap())
    };
    // Both at once: each has a network of its own.
    let all = std::thread::scope(|scope| {
        let started = HELPERS.map(|helper| (helper, scope.spawn(move || one(helper))));
        started.map(|(helper, thread)| (helper, thread.join().unwrap()))
    });
    let mut wrong = Vec::new();
    for (helper, ran) in all {
        let rows: Vec<_> = ran.out.split_terminator("end\n").collect();
        assert_eq!(rows.len(), TABLE.len(), "{helper}: {ran:?}");
        for ((flags, expected), row) in TABLE.iter().zip(rows) {
            let found: Vec<_> = row.lines().map(letter).collect();
            let found: Vec<String> = found.chunks(6).map(|letters| letters.iter().collect()).collect();
            let expected = expected.map(|letters| carried(helper, letters, flags));
            if found != expected {
                wrong.push(format!("{helper} {flags}: {found:?} in place of {expected:?}: {row}"));
            }
        }
        wrong.extend((!wrong.is_empty()).then_some(ran.err));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
