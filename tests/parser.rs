//! Any text as a profile, and any words as bubblewrap's command line: no panic on the way to a plan, and every error
//! can be printed. Any bytes on a connection to a sound server or an SSH agent: none gets through that must not. Any
//! requests to a server of a filesystem: each is answered, and the host stays as it is. The fuzz targets do the same for longer.

use proptest::prelude::*;
use sbx::profile::schema::{self, Kind};

#[path = "../fuzz/ways/agent.rs"]
mod agent;
#[path = "../fuzz/ways/bwrap.rs"]
mod bwrap;
#[path = "../fuzz/ways/names.rs"]
mod names;
#[path = "../fuzz/ways/profile.rs"]
mod profile;
#[path = "../fuzz/ways/requests.rs"]
mod requests;
#[path = "../fuzz/ways/sound.rs"]
mod sound;

use profile::way;

/// Words that stand in profiles, and some that do not.
fn word() -> impl Strategy<Value = String> {
    let mut words: Vec<String> = [
        "/",
        "/usr",
        "~",
        "~/x",
        "${CWD}",
        "${HOME",
        "$${x}",
        "xdg-download",
        "!",
        "!net",
        "..",
        "/a/../b",
        "",
        "\\u001b",
        "1:2",
    ]
    .map(String::from)
    .into();
    for list in [schema::MODES, schema::DEVICES, schema::NAMESPACES, schema::PORTALS, schema::PATH_OPTIONS] {
        words.extend(list.iter().map(|word| (*word).to_owned()));
    }
    prop_oneof![
        prop::sample::select(words.clone()),
        (prop::sample::select(words.clone()), prop::sample::select(words)).prop_map(|(a, b)| format!("{a},{b}")),
        "[ -~]{0,12}",
        "\\PC{0,4}",
    ]
}

/// A value of the form that a key has, or of another.
fn value() -> impl Strategy<Value = String> {
    let text = || word().prop_map(|word| format!("{word:?}"));
    prop_oneof![
        text(),
        Just("true".to_owned()),
        (0u64..5_000_000_000).prop_map(|number| number.to_string()),
        prop::collection::vec(text(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
        prop::collection::vec((text(), text()), 0..4).prop_map(|map| {
            let map: Vec<_> = map.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            format!("{{ {} }}", map.join(", "))
        }),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let keys: Vec<&str> = schema::KEYS.iter().map(|key| key.name).collect();
    (prop::sample::select(keys), value()).prop_map(|(key, value)| format!("{key} = {value}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_of_known_keys_and_odd_values_never_panic(lines in prop::collection::vec(line(), 0..8)) {
        way(&lines.concat());
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,60}(\n\\PC{0,40}){0,4}") {
        way(&text);
    }

    #[test]
    fn a_shipped_profile_with_a_part_cut_out_never_panics(which in 0usize..8, from in 0usize..1500, length in 0usize..40, put in "[ -~]{0,5}") {
        let (_, text) = sbx::profile::load::BUILT_IN[which % sbx::profile::load::BUILT_IN.len()];
        let from = from % text.len();
        let to = (from + length).min(text.len());
        if text.is_char_boundary(from) && text.is_char_boundary(to) {
            way(&format!("{}{put}{}", &text[..from], &text[to..]));
        }
    }
}

/// A word of a command line of bubblewrap's: options most of all, and values that fit now and then.
fn argument() -> impl Strategy<Value = String> {
    let names: Vec<&str> = sbx::bwrap::OPTIONS.iter().map(|entry| entry.name).collect();
    let values = [
        "/",
        "/a",
        "a/../b//c",
        "/..",
        "3",
        "4",
        "19",
        "20",
        "-1",
        "0x10",
        "0755",
        "ALL",
        "cap_kill",
        "",
        "x=y",
        "--",
        "\u{1b}[m",
    ];
    prop_oneof![
        4 => prop::sample::select(names).prop_map(str::to_owned),
        5 => prop::sample::select(values.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_of_any_kind_to_a_server_of_a_filesystem_are_answered(
        which in 0_u8..2,
        requests in prop::collection::vec(any::<[u8; 5]>(), 0..100),
    ) {
        requests::way(&[&[which][..], &requests.concat()].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_command_line_of_bubblewraps_and_any_file_of_options_never_panic(
        args in prop::collection::vec(argument(), 0..12),
        files in prop::collection::vec(prop::collection::vec(argument(), 0..8), 0..3),
    ) {
        let mut bytes = args.join("\0").into_bytes();
        for file in files {
            bytes.push(0xff);
            bytes.extend(file.join("\0").into_bytes());
        }
        bwrap::way(&bytes);
    }

    #[test]
    fn options_with_values_that_fit_reach_a_plan(picked in prop::collection::vec(0..sbx::bwrap::OPTIONS.len(), 0..8)) {
        let mut words = Vec::new();
        for index in picked {
            let entry = &sbx::bwrap::OPTIONS[index];
            words.push(entry.name.to_owned());
            for value in entry.values {
                words.push(match *value {
                    "FD" => (words.len() % 20).to_string(),
                    "OCTAL" => "0700".to_owned(),
                    "BYTES" | "UID" | "GID" => "4096".to_owned(),
                    "CAP" => "CAP_KILL".to_owned(),
                    _ => "/a/b".to_owned(),
                });
            }
        }
        words.push("true".to_owned());
        bwrap::way(words.join("\0").as_bytes());
    }
}

#[test]
fn a_command_line_goes_as_far_as_it_should() {
    assert_eq!(bwrap::way(b"--bogus"), 0);
    assert_eq!(bwrap::way(b"--as-pid-1\0true"), 1);
    assert_eq!(bwrap::way(b"--ro-bind\0/\0/\0--args\x003\0true\xff--dir\0/tmp/x"), 3);
    assert_eq!(bwrap::way(b"--args\x003\0--args\x003\0true\xff--dir\0/tmp/x"), 0, "read twice");
}

#[test]
fn the_dictionary_of_the_fuzz_target_has_every_option() {
    let dictionary = include_str!("../fuzz/bwrap.dict");
    let missing: Vec<_> =
        sbx::bwrap::OPTIONS.iter().filter(|entry| !dictionary.contains(&format!("\"{}\\x00\"", entry.name))).collect();
    assert!(missing.is_empty(), "{:?}", missing.iter().map(|entry| entry.name).collect::<Vec<_>>());
}

#[test]
fn the_strategies_reach_what_is_right_as_well() {
    assert_eq!(way("schema = 1\n[rlimits]\ncore = 1\n"), 0);
    assert!(way("schema = 1\n[rlimits]\ncore = 5\n") > 0, "a project's file may not raise a limit");
    assert!(schema::KEYS.iter().any(|key| key.kind == Kind::Paths));
}

/// A profile of thousands of lines costs as much for each line as a short one: with a cost that grew with the number of
/// lines, each of these would take many minutes. `benches/lines` measures it.
#[test]
fn a_long_profile_takes_no_time_to_speak_of() {
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().join("\n");
    let list = |key: &str| format!("{key} = [\n{}\n]\n", lines(60_000, &|at| format!("\"!x{at}\", \"/{at}\",")));
    let paths = |line: &dyn Fn(usize) -> String| format!("[filesystem.paths]\n{}\n", lines(20_000, line));
    for text in [
        list("assert.cannot_read"),
        list("devices.allow"),
        paths(&|at| format!("\"/usr/x{at}/y\" = \"tmpfs,prefer\"")),
        paths(&|at| format!("\"/tmp/x{at}\" = \"tmpfs\"")),
        paths(&|at| format!("\"/usr/bin/x{at}\" = \"hidden\"")),
    ] {
        let started = std::time::Instant::now();
        way(&format!("schema = 1\n{text}"));
        assert!(started.elapsed().as_secs() < 60, "{} {:?}", &text[..40], started.elapsed());
    }
}

/// A packet of PulseAudio's protocol: a command and a tag, and values of types that may be the right ones.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        prop_oneof![0u32..9, Just(44), Just(u32::MAX), any::<u32>()]
            .prop_map(|n| [&b"L"[..], &n.to_be_bytes()].concat()),
        prop_oneof![Just("mic"), Just("speaker.monitor"), Just("filter.want")].prop_map(|text| [
            b"t",
            text.as_bytes(),
            b"\0"
        ]
        .concat()),
        prop::sample::select(vec![
            &b"N"[..],
            b"0",
            b"1",
            b"PN",
            b"Ptfilter.want\0L\0\0\0\x02x\0\0\0\x02a\0N",
            b"Ptmedia.name\0L\0\0\0\x02x\0\0\0\x02a\0N",
            b"a\x03\x01\0\0\x1f\x40m\x01\0",
            b"v\x01\0\x01\0\0",
            b"fB\x01PN",
            b"T\0\0\0\0\0\0\0\0",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    let values = prop::collection::vec(value, 0..4).prop_map(|values| values.concat());
    (0u32..110, 0u32..12, values).prop_map(|(command, tag, values)| framed(command, tag, &values))
}

fn framed(command: u32, tag: u32, values: &[u8]) -> Vec<u8> {
    let packet = [b"L", &command.to_be_bytes()[..], b"L", &tag.to_be_bytes(), values].concat();
    [&(packet.len() as u32).to_be_bytes()[..], &[0xff; 4], &[0; 12], &packet].concat()
}

/// Pieces as [`sound::way`] takes them: whose the bytes are and a quarter of their number.
fn pieces(client: bool, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let side = u8::from(!client);
    bytes.chunks(4 * 127).flat_map(|part| [&[((part.len() / 4) << 1) as u8 | side][..], part].concat()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_sound_server_gets_what_is_granted_and_no_more(
        granted in 0u8..8,
        packets in prop::collection::vec((any::<bool>(), packet()), 0..12),
    ) {
        let greeting = framed(8, 900, &[b"L\0\0\0\x23x\0\0\x01\0", &[0; 256][..]].concat());
        let mut bytes = vec![granted];
        let mut client = greeting;
        let mut server = Vec::new();
        for (side, packet) in packets {
            if side { client.extend(packet) } else { server.extend(packet) }
        }
        bytes.extend(pieces(true, client));
        bytes.extend(pieces(false, server));
        sound::way(&bytes);
    }

    #[test]
    fn any_bytes_on_a_sound_connection_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        sound::way(&bytes);
    }
}

/// A name as messages have it: a part of it may be a pointer to another place.
fn name_in_message() -> impl Strategy<Value = Vec<u8>> {
    let label = prop_oneof![
        Just(b"\x01a".to_vec()),
        Just(b"\x07example".to_vec()),
        Just(b"\x06denied".to_vec()),
        Just(b"\x02\x1b.".to_vec()),
    ];
    let end = prop_oneof![Just(vec![0]), Just(vec![0xc0, 12]), Just(vec![0xc0, 40]), Just(vec![0xff, 0xff])];
    (prop::collection::vec(label, 0..4), end).prop_map(|(labels, end)| [labels.concat(), end].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_for_a_name_is_what_may_be_told(
        asked in name_in_message(),
        kind in prop_oneof![Just(1u16), Just(28), Just(65), Just(16), any::<u16>()],
        records in prop::collection::vec(
            (name_in_message(), prop_oneof![Just(1u16), Just(28), Just(5), Just(65)], prop::collection::vec(any::<u8>(), 0..20), name_in_message()),
            0..6,
        ),
    ) {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend(asked);
        question.extend(kind.to_be_bytes());
        question.extend([0, 1]);
        let count = records.len() as u8;
        let record = |(name, kind, data, target): (Vec<u8>, u16, Vec<u8>, Vec<u8>)| {
            let data = match kind {
                1 => vec![192, 0, 2, data.len() as u8],
                28 => vec![data.len() as u8; 16],
                5 => target,
                _ => data,
            };
            let length = (data.len() as u16).to_be_bytes();
            [&name[..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &length, &data].concat()
        };
        let records: Vec<u8> = records.into_iter().flat_map(record).collect();
        names::way(&[&[question.len() as u8, count][..], &question, &records].concat());
    }

    #[test]
    fn any_bytes_about_names_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        names::way(&bytes);
    }
}

/// A message of an agent's protocol, as [`agent::way`] takes it: whose it is and its length, and the message.
fn agent_message() -> impl Strategy<Value = Vec<u8>> {
    use sbx::proxy::agent::message::{put, put_string};
    let strings = |parts: &[&[u8]], end: &[u8]| {
        let mut values = Vec::new();
        parts.iter().for_each(|part| put_string(&mut values, part));
        [&values[..], end].concat()
    };
    let signed = [b"SSHSIG".to_vec(), strings(&[b"git", b"", b"sha", b"h"], b"")].concat();
    let list = [&[0, 0, 0, 1][..], &strings(&[b"key", b"alice"], b"")].concat();
    let messages = [
        (0, 11, Vec::new()),
        (0, 13, strings(&[b"key", &signed], &[0; 4])),
        (0, 27, strings(&[b"session-bind@openssh.com", b"k", b"s", b"g"], &[1])),
        (0, 17, b"x".to_vec()),
        (2, 12, list),
        (2, 14, strings(&[b"signature"], b"")),
        (2, 5, Vec::new()),
        (2, 6, Vec::new()),
    ];
    let whole = messages.map(|(side, kind, values)| {
        let mut out = Vec::new();
        put(&mut out, kind, &values);
        [&[(out.len() as u8) << 2 | side][..], &out].concat()
    });
    prop_oneof![
        9 => prop::sample::select(whole.to_vec()),
        2 => Just(vec![3]),
        2 => Just(vec![1 << 2 | 3, 0]),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_agent_gets_what_is_granted_and_no_more(
        settings in 0u8..4,
        messages in prop::collection::vec(agent_message(), 0..16),
    ) {
        agent::way(&[vec![settings], messages.concat()].concat());
    }
}
