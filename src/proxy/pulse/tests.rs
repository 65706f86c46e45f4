//! The filter, packet by packet; `tests/parser.rs` and `fuzz/` give it bytes of any kind.

use super::commands::{COMMANDS, Event, Rule, number};
use super::connection::{INVALID, MOST_STREAMS};
use super::streams::{MOST, NO_TAG};
use super::tags::{Reader, put_bytes, put_number, put_text};
use super::{COOKIE, Grants, Pulse, error, note, put_packet};
use crate::proxy::filter::{Broken, Filter, Output};

const ALL: Grants = Grants { play: true, record: true, monitor: true };
const PLAY: Grants = Grants { play: true, record: false, monitor: false };
const BOTH: Grants = Grants { play: true, record: true, monitor: false };

const ID: &str = "sbx.tool";

fn number_of(name: &str) -> u32 {
    COMMANDS.iter().position(|command| command.name == name).unwrap_or_else(|| panic!("{name}")) as u32
}

/// A packet of a command, with values that are added to it.
fn packet(command: u32, tag: u32, values: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = Vec::new();
    put_number(&mut packet, command);
    put_number(&mut packet, tag);
    values(&mut packet);
    let mut frame = Vec::new();
    put_packet(&mut frame, &packet);
    frame
}

fn command(name: &str, tag: u32, values: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    packet(number_of(name), tag, values)
}

/// The packets in these bytes: command, tag, and the bytes of the values.
fn packets(mut bytes: &[u8]) -> Vec<(u32, u32, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        assert_eq!(bytes[4..8], [0xff; 4], "it is a packet");
        let mut reader = Reader::new(&bytes[20..20 + length]);
        found.push((reader.number().unwrap(), reader.number().unwrap(), reader.rest().to_vec()));
        bytes = &bytes[20 + length..];
    }
    found
}

/// A connection with its filter.
struct Connection {
    filter: Pulse,
}

/// What the two sides and the user get.
#[derive(Debug, Default, PartialEq, Eq)]
struct Got {
    client: Vec<(u32, u32, Vec<u8>)>,
    server: Vec<(u32, u32, Vec<u8>)>,
    notes: Vec<u8>,
}

impl Connection {
    /// A connection on which the greeting has been exchanged, and the client is number 7.
    fn new(grants: Grants) -> Connection {
        let mut connection = Connection { filter: Pulse::new(grants, [7; COOKIE], ID) };
        connection.client(&greeting(35));
        connection.server(&reply(0, |packet| put_number(packet, 35)));
        connection.client(&command("SET_CLIENT_NAME", 1, |packet| packet.extend(b"PN")));
        connection.server(&reply(1, |packet| put_number(packet, 7)));
        connection
    }

    fn raw(&mut self, bytes: &[u8], client: bool) -> Result<Output, Broken> {
        let mut out = Output::default();
        let taken = match client {
            true => self.filter.client_sent(bytes, &mut out)?,
            false => self.filter.server_sent(bytes, &mut out)?,
        };
        assert_eq!(taken, bytes.len());
        Ok(out)
    }

    fn got(out: &Output) -> Got {
        Got { client: packets(&out.to_client), server: packets(&out.to_server), notes: out.notes.clone() }
    }

    /// What the client sends, and what comes of it. Requests to the server are shown with the client's tags.
    #[track_caller]
    fn client(&mut self, bytes: &[u8]) -> Got {
        let mut got = Connection::got(&self.raw(bytes, true).unwrap());
        self.name(&mut got);
        got
    }

    /// What the server sends, with the client's tags or the proxy's own.
    #[track_caller]
    fn server(&mut self, bytes: &[u8]) -> Got {
        let mut bytes = bytes.to_vec();
        let tag = u32::from_be_bytes(bytes[26..30].try_into().unwrap());
        if let Some((own, _)) = self.filter.requests.tags().into_iter().find(|(_, client)| *client == Some(tag)) {
            bytes[26..30].copy_from_slice(&own.to_be_bytes());
        }
        let mut got = Connection::got(&self.raw(&bytes, false).unwrap());
        self.name(&mut got);
        got
    }

    fn name(&self, got: &mut Got) {
        let tags = self.filter.requests.tags();
        for (_, tag, _) in &mut got.server {
            if let Some((_, Some(client))) = tags.iter().find(|(own, _)| own == tag) {
                *tag = *client;
            }
        }
    }

    /// Asserts that this breaks the protocol.
    #[track_caller]
    fn breaks(&mut self, bytes: &[u8]) {
        assert_eq!(self.filter.client_sent(bytes, &mut Output::default()), Err(Broken));
    }

    /// Makes a playback stream with this channel and number of the server's.
    fn plays(&mut self, tag: u32, channel: u32, index: u32) {
        self.client(&command("CREATE_PLAYBACK_STREAM", tag, |packet| playback(packet, INVALID, None, &[])));
        self.server(&reply(tag, |packet| created(packet, channel, index)));
    }
}

fn greeting(version: u32) -> Vec<u8> {
    packet(number::AUTH, 0, |packet| {
        put_number(packet, version);
        put_bytes(packet, &[1; COOKIE]);
    })
}

fn reply(tag: u32, values: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    packet(number::REPLY, tag, values)
}

fn properties(packet: &mut Vec<u8>, list: &[(&str, &str)]) {
    packet.push(b'P');
    for (key, value) in list {
        put_text(packet, Some(key.as_bytes()));
        put_number(packet, value.len() as u32 + 1);
        put_bytes(packet, &[value.as_bytes(), b"\0"].concat());
    }
    packet.push(b'N');
}

/// Sample specification and channel map: signed 16 bits, one channel, 8000 Hz.
const SPECIFICATION: [u8; 10] = [b'a', 3, 1, 0, 0, 0x1f, 0x40, b'm', 1, 0];

/// The values of CREATE_PLAYBACK_STREAM of version 13.
fn playback(packet: &mut Vec<u8>, index: u32, name: Option<&str>, list: &[(&str, &str)]) {
    packet.extend(SPECIFICATION);
    put_number(packet, index);
    put_text(packet, name.map(str::as_bytes));
    put_number(packet, INVALID);
    packet.push(b'0');
    (0..4).for_each(|_| put_number(packet, INVALID));
    packet.extend([b'v', 1, 0, 1, 0, 0]);
    packet.extend(b"000000000");
    properties(packet, list);
}

/// The values of CREATE_RECORD_STREAM of version 13.
fn recording(packet: &mut Vec<u8>, index: u32, name: Option<&str>, direct: u32) {
    packet.extend(SPECIFICATION);
    put_number(packet, index);
    put_text(packet, name.map(str::as_bytes));
    put_number(packet, INVALID);
    packet.push(b'0');
    put_number(packet, INVALID);
    packet.extend(b"000000000PN");
    put_number(packet, direct);
}

/// The answer to CREATE_PLAYBACK_STREAM, as far as it is looked at.
fn created(packet: &mut Vec<u8>, channel: u32, index: u32) {
    [channel, index, 0].iter().for_each(|number| put_number(packet, *number));
}

/// The answer to CREATE_RECORD_STREAM.
fn recorded(packet: &mut Vec<u8>, channel: u32, index: u32, source: &str) {
    [channel, index, 9, 9].iter().for_each(|number| put_number(packet, *number));
    packet.extend(SPECIFICATION);
    put_number(packet, 3);
    put_text(packet, Some(source.as_bytes()));
}

/// The description of a source, and of the sink that it is a monitor of.
fn source(packet: &mut Vec<u8>, name: &str, monitor_of: u32) {
    put_number(packet, 3);
    put_text(packet, Some(name.as_bytes()));
    put_text(packet, None);
    packet.extend(SPECIFICATION);
    put_number(packet, 1);
    packet.extend([b'v', 1, 0, 1, 0, 0, b'0']);
    put_number(packet, monitor_of);
    put_text(packet, None);
}

fn number_value(number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, number);
    out
}

#[test]
fn the_greeting_has_the_proxys_cookie_and_no_shared_memory_in_either_direction() {
    let mut connection = Connection { filter: Pulse::new(ALL, [7; COOKIE], ID) };
    let got = connection.client(&greeting(0xc000_0000 | 99));
    let mut expected = number_value(35);
    put_bytes(&mut expected, &[7; COOKIE]);
    assert_eq!(got.server, [(number::AUTH, 0, expected)]);
    let got = connection.server(&reply(0, |packet| put_number(packet, 0xc000_0000 | 36)));
    assert_eq!(got.client, [(number::REPLY, 0, number_value(35))]);
}

#[test]
fn nothing_goes_before_the_greeting_and_it_comes_once() {
    let mut connection = Connection { filter: Pulse::new(ALL, [7; COOKIE], ID) };
    connection.breaks(&command("GET_SERVER_INFO", 0, |_| {}));
    let sound = [4, 0, 0].map(u32::to_be_bytes).concat();
    connection.breaks(&[&sound[..], &[0; 8], &[1; 4]].concat());
    let old = connection.client(&greeting(12));
    assert_eq!(old.client, [(number::ERROR, 0, number_value(error::VERSION))]);
    assert!(old.server.is_empty());
    Connection::new(ALL).breaks(&greeting(35));
}

#[test]
fn commands_that_are_refused_are_refused_whatever_is_granted_and_by_their_names() {
    let mut refused = Vec::new();
    for (number, known) in COMMANDS.iter().enumerate().filter(|(_, known)| known.rule == Rule::Refuse) {
        let mut connection = Connection::new(ALL);
        let got = connection.client(&packet(number as u32, 9, |packet| put_text(packet, Some(b"module-x"))));
        assert_eq!(got.client, [(number::ERROR, 9, number_value(error::ACCESS))], "{}", known.name);
        assert!(got.server.is_empty(), "{}", known.name);
        assert!(note(got.notes[0]).unwrap().contains(known.name));
        refused.push(known.name);
    }
    for name in [
        "LOAD_MODULE",
        "UNLOAD_MODULE",
        "EXIT",
        "KILL_CLIENT",
        "KILL_SINK_INPUT",
        "KILL_SOURCE_OUTPUT",
        "CREATE_UPLOAD_STREAM",
        "REMOVE_SAMPLE",
        "SET_DEFAULT_SINK",
        "SET_SINK_VOLUME",
        "SUSPEND_SINK",
        "SET_CARD_PROFILE",
        "REGISTER_MEMFD_SHMID",
        "ENABLE_SRBCHANNEL",
        "SEND_OBJECT_MESSAGE",
    ] {
        assert!(refused.contains(&name), "{name}");
    }
    let unknown = Connection::new(ALL).client(&packet(105, 9, |_| {}));
    assert_eq!(unknown.client, [(number::ERROR, 9, number_value(error::COMMAND))]);
    assert!(unknown.server.is_empty());
}

#[test]
fn commands_of_servers_break_the_protocol_if_they_come_from_a_client() {
    for (number, known) in COMMANDS.iter().enumerate().filter(|(_, known)| known.rule == Rule::Wrong) {
        assert!(!matches!(known.event, Event::Drop) || number < 3, "{}", known.name);
        Connection::new(ALL).breaks(&packet(number as u32, 9, |_| {}));
    }
}

#[test]
fn what_others_do_is_not_shown() {
    let mut connection = Connection::new(ALL);
    for (tag, list) in [
        "GET_MODULE_INFO_LIST",
        "GET_CLIENT_INFO_LIST",
        "GET_SINK_INPUT_INFO_LIST",
        "GET_SOURCE_OUTPUT_INFO_LIST",
        "GET_SAMPLE_INFO_LIST",
        "GET_CARD_INFO_LIST",
    ]
    .iter()
    .enumerate()
    {
        let got = connection.client(&command(list, tag as u32 + 10, |_| {}));
        assert_eq!(
            (got.client, got.server),
            (vec![(number::REPLY, tag as u32 + 10, Vec::new())], Vec::new()),
            "{list}"
        );
    }
    for (tag, one) in
        ["GET_MODULE_INFO", "GET_CLIENT_INFO", "GET_SINK_INPUT_INFO", "GET_SOURCE_OUTPUT_INFO"].iter().enumerate()
    {
        let got = connection.client(&command(one, tag as u32 + 20, |packet| put_number(packet, 6)));
        assert_eq!(got.client, [(number::ERROR, tag as u32 + 20, number_value(error::NO_ENTITY))], "{one}");
        assert!(got.server.is_empty(), "{one}");
    }
    assert_eq!(connection.client(&command("GET_CLIENT_INFO", 30, |packet| put_number(packet, 7))).server.len(), 1);
    // Events: of all kinds that there are, only those of devices and of the server itself may be asked for, and of streams.
    let got = connection.client(&command("SUBSCRIBE", 31, |packet| put_number(packet, 0x2ff)));
    assert_eq!(got.server[0].2, number_value(0x8f));
    let only_plays = Connection::new(PLAY).client(&command("SUBSCRIBE", 31, |packet| put_number(packet, 0x2ff)));
    assert_eq!(only_plays.server[0].2, number_value(0x85));
    connection.plays(32, 0, 44);
    let event = |kind: u32, index: u32| {
        packet(number_of("SUBSCRIBE_EVENT"), NO_TAG, |packet| {
            put_number(packet, kind);
            put_number(packet, index);
        })
    };
    for (kind, index, passes) in
        [(0x10, 0, true), (0x12, 44, true), (0x12, 43, false), (0x15, 7, false), (0x17, 0, true)]
    {
        assert_eq!(connection.server(&event(kind, index)).client.len(), usize::from(passes), "{kind:x} {index}");
    }
}

#[test]
fn the_users_and_the_hosts_name_are_left_out() {
    let mut connection = Connection::new(PLAY);
    connection.client(&command("GET_SERVER_INFO", 9, |_| {}));
    let got = connection.server(&reply(9, |packet| {
        for text in ["pulseaudio", "16.1", "alice", "laptop"] {
            put_text(packet, Some(text.as_bytes()));
        }
        packet.extend(SPECIFICATION);
    }));
    let values = String::from_utf8_lossy(&got.client[0].2).into_owned();
    assert!(values.contains("16.1") && !values.contains("alice") && !values.contains("laptop"), "{values:?}");
}

#[test]
fn properties_that_are_commands_to_the_server_are_left_out() {
    let list = [
        ("media.name", "a song"),
        ("filter.want", "ladspa-sink"),
        ("filter.apply.ladspa-sink.parameters", "plugin=/home/u/evil.so"),
        ("remote.name", "/run/user/1000/pipewire-0-manager"),
        ("target.object", "77"),
        ("audioconvert.filter-graph", "{}"),
        ("application.name", "bell\u{7}"),
        ("module-stream-restore.id", "x"),
    ];
    let (mut expected, mut whole) = (Vec::new(), Vec::new());
    properties(&mut expected, &[list[0], ("application.id", ID)]);
    properties(&mut whole, &list);
    let mut connection = Connection::new(ALL);
    let mut stream = Vec::new();
    playback(&mut stream, INVALID, None, &list);
    let carriers = [
        ("CREATE_PLAYBACK_STREAM", stream),
        ("SET_CLIENT_NAME", whole.clone()),
        ("UPDATE_CLIENT_PROPLIST", [&number_value(1), &whole[..]].concat()),
        ("UPDATE_PLAYBACK_STREAM_PROPLIST", [&number_value(0), &number_value(1), &whole[..]].concat()),
    ];
    for (tag, (name, values)) in carriers.iter().enumerate() {
        let got = connection.client(&command(name, tag as u32 + 9, |packet| packet.extend(values)));
        let sent = &got.server[0].2;
        assert!(sent.windows(expected.len()).any(|part| part == expected), "{name}: {}", String::from_utf8_lossy(sent));
        assert!(!String::from_utf8_lossy(sent).contains("filter"), "{name}");
    }
    let got = connection.client(&command("REMOVE_CLIENT_PROPLIST", 20, |packet| {
        put_text(packet, Some(b"application.name"));
        put_text(packet, Some(b"module-stream-restore.id"));
        put_text(packet, None);
    }));
    assert_eq!(got.server[0].2, b"tapplication.name\0N");
    // Of a device, its description is seen, and its serial number is not.
    connection.client(&command("GET_SINK_INFO_LIST", 21, |_| {}));
    let got = connection.server(&reply(21, |packet| {
        properties(packet, &[("device.description", "Speaker"), ("device.serial", "00:11:22:33:44:55")]);
    }));
    let mut seen = Vec::new();
    properties(&mut seen, &[("device.description", "Speaker")]);
    assert_eq!(got.client[0].2, seen);
}

#[test]
fn the_server_knows_a_program_by_the_proxys_id_alone() {
    let list = [
        ("application.name", "Firefox"),
        ("application.id", "org.mozilla.firefox"),
        ("media.role", "phone"),
        ("application.name", "sbx: Firefox"),
    ];
    let (mut expected, mut empty, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let name = ("application.name", "sbx: Firefox");
    properties(&mut expected, &[name, name, ("application.id", ID)]);
    properties(&mut empty, &[("application.id", ID)]);
    properties(&mut whole, &list);
    let mut connection = Connection::new(ALL);
    connection.plays(9, 0, 44);
    let carriers = |list: &[(&str, &str)]| {
        let (mut plain, mut playing) = (Vec::new(), Vec::new());
        properties(&mut plain, list);
        playback(&mut playing, INVALID, None, list);
        let update = [&number_value(0), &number_value(0), &plain[..]].concat();
        [
            ("CREATE_PLAYBACK_STREAM", playing),
            ("SET_CLIENT_NAME", plain.clone()),
            ("UPDATE_CLIENT_PROPLIST", [&number_value(0), &plain[..]].concat()),
            ("UPDATE_PLAYBACK_STREAM_PROPLIST", update.clone()),
            ("UPDATE_RECORD_STREAM_PROPLIST", update),
        ]
    };
    for (list, expected, first) in [(&list[..], &expected, 20), (&[], &empty, 40)] {
        for (tag, (name, values)) in carriers(list).iter().enumerate() {
            let got = connection.client(&command(name, first + tag as u32, |packet| packet.extend(values)));
            let sent = &got.server[0].2;
            assert!(sent.ends_with(expected), "{name}: {}", String::from_utf8_lossy(sent));
        }
    }
    for (tag, name, channel) in [
        (60, "REMOVE_CLIENT_PROPLIST", Vec::new()),
        (61, "REMOVE_PLAYBACK_STREAM_PROPLIST", number_value(0)),
        (62, "REMOVE_RECORD_STREAM_PROPLIST", number_value(0)),
    ] {
        let got = connection.client(&command(name, tag, |packet| {
            packet.extend(&channel);
            for key in ["application.id", "media.role", "media.name"] {
                put_text(packet, Some(key.as_bytes()));
            }
            put_text(packet, None);
        }));
        assert_eq!(got.server[0].2, [&channel[..], b"tmedia.name\0N"].concat(), "{name}");
    }
}

#[test]
fn a_stream_of_another_program_is_out_of_reach() {
    let mut connection = Connection::new(ALL);
    connection.plays(9, 0, 44);
    for (tag, name) in ["SET_SINK_INPUT_VOLUME", "SET_SINK_INPUT_MUTE", "MOVE_SINK_INPUT"].iter().enumerate() {
        let values = |index: u32| {
            move |packet: &mut Vec<u8>| {
                put_number(packet, index);
                match *name {
                    "SET_SINK_INPUT_VOLUME" => packet.extend([b'v', 1, 0, 1, 0, 0]),
                    "SET_SINK_INPUT_MUTE" => packet.push(b'1'),
                    _ => packet.extend([&number_value(INVALID), &b"tnull\0"[..]].concat()),
                }
            }
        };
        let own = connection.client(&command(name, tag as u32 + 20, values(44)));
        assert_eq!(own.server.len(), 1, "{name}");
        let other = connection.client(&command(name, tag as u32 + 30, values(45)));
        assert_eq!(other.client, [(number::ERROR, tag as u32 + 30, number_value(error::NO_ENTITY))], "{name}");
        assert!(other.server.is_empty(), "{name}");
    }
    // Its own is no longer its own once it has ended.
    connection.client(&command("DELETE_PLAYBACK_STREAM", 40, |packet| put_number(packet, 0)));
    let mute = command("SET_SINK_INPUT_MUTE", 41, |packet| packet.extend([&number_value(44), &b"1"[..]].concat()));
    assert!(connection.client(&mute).server.is_empty());
}

#[test]
fn a_stream_goes_to_a_device_that_the_server_knows_for_one() {
    let mut connection = Connection::new(PLAY);
    let got = connection.client(&command("CREATE_PLAYBACK_STREAM", 9, |packet| playback(packet, 77, None, &[])));
    let (lookup, tag, values) = &got.server[0];
    assert_eq!((*lookup, &values[..5]), (number::GET_SINK_INFO, &number_value(77)[..]));
    let unknown = connection.server(&packet(number::ERROR, *tag, |packet| put_number(packet, error::NO_ENTITY)));
    assert_eq!(unknown.client, [(number::ERROR, 9, number_value(error::NO_ENTITY))]);
    assert!(unknown.server.is_empty());
    // It is then named as the server names it.
    let got = connection.client(&command("CREATE_PLAYBACK_STREAM", 10, |packet| playback(packet, 77, None, &[])));
    let got = connection.server(&reply(got.server[0].1, |packet| source(packet, "speaker", INVALID)));
    let mut device = number_value(INVALID);
    put_text(&mut device, Some(b"speaker"));
    assert_eq!((got.server[0].0, got.server[0].1, &got.server[0].2[10..10 + device.len()]), (3, 10, &device[..]));
}

#[test]
fn recording_is_granted_apart_and_monitors_apart_from_that() {
    let default = |tag: u32| command("CREATE_RECORD_STREAM", tag, |packet| recording(packet, INVALID, None, INVALID));
    let refused = Connection::new(PLAY).client(&default(9));
    assert_eq!(refused.client, [(number::ERROR, 9, number_value(error::ACCESS))]);
    assert!(refused.server.is_empty() && note(refused.notes[0]).unwrap().contains("`record`"));
    assert!(Connection::new(PLAY).client(&command("GET_SOURCE_INFO_LIST", 9, |_| {})).server.is_empty());

    let mut connection = Connection::new(BOTH);
    let asked = connection.client(&default(9)).server[0].1;
    let got = connection.server(&reply(asked, |packet| source(packet, "speaker.monitor", 3)));
    assert_eq!(got.client, [(number::ERROR, 9, number_value(error::ACCESS))]);
    assert!(got.server.is_empty() && note(got.notes[0]).unwrap().contains("`monitor`"));
    let asked = connection.client(&default(10)).server[0].1;
    assert_eq!(connection.server(&reply(asked, |packet| source(packet, "mic", INVALID))).server[0].0, 5);
    // The default source may have become another one meanwhile.
    let got = connection.server(&reply(10, |packet| recorded(packet, 0, 50, "speaker.monitor")));
    assert_eq!(got.client, [(number::ERROR, 10, number_value(error::ACCESS))]);
    assert_eq!((got.server[0].0, &got.server[0].2), (number::DELETE_RECORD_STREAM, &number_value(0)));
    // One stream of another program.
    let direct = command("CREATE_RECORD_STREAM", 11, |packet| recording(packet, INVALID, None, 3));
    assert!(connection.client(&direct).server.is_empty());
    // Where monitors are granted, nothing is asked.
    assert_eq!(Connection::new(ALL).client(&default(9)).server[0].0, 5);
}

#[test]
fn a_record_stream_that_is_moved_to_a_monitor_is_ended_and_not_heard() {
    let mut connection = Connection::new(BOTH);
    let create = command("CREATE_RECORD_STREAM", 9, |packet| recording(packet, INVALID, None, INVALID));
    let asked = connection.client(&create).server[0].1;
    connection.server(&reply(asked, |packet| source(packet, "mic", INVALID)));
    connection.server(&reply(9, |packet| recorded(packet, 4, 50, "mic")));
    let sound = [&[0, 0, 0, 4, 0, 0, 0, 4][..], &[0; 12], b"loud"].concat();
    assert_eq!(connection.raw(&sound, false).unwrap().to_client, sound);
    let moved = |to: &str| {
        packet(number_of("RECORD_STREAM_MOVED"), NO_TAG, |packet| {
            put_number(packet, 4);
            put_number(packet, 1);
            put_text(packet, Some(to.as_bytes()));
            packet.push(b'0');
        })
    };
    assert_eq!(connection.server(&moved("other")).client[0].0, number_of("RECORD_STREAM_MOVED"));
    let got = connection.server(&moved("speaker.monitor"));
    assert_eq!(got.client, [(number::RECORD_STREAM_KILLED, NO_TAG, number_value(4))]);
    assert_eq!((got.server[0].0, &got.server[0].2), (number::DELETE_RECORD_STREAM, &number_value(4)));
    assert!(connection.raw(&sound, false).unwrap().to_client.is_empty());
}

#[test]
fn shared_memory_is_refused_from_clients_and_not_passed_on_from_servers() {
    for flags in [0x8000_0000u32, 0x4000_0000, 0xc000_0000, 0x2000_0000, 0x0080_0000, 4] {
        let frame = [&16u32.to_be_bytes()[..], &[0; 12], &flags.to_be_bytes(), &[0; 16]].concat();
        Connection::new(ALL).breaks(&frame);
    }
    let mut connection = Connection::new(ALL);
    for name in ["ENABLE_SRBCHANNEL", "DISABLE_SRBCHANNEL", "REGISTER_MEMFD_SHMID"] {
        let got = connection.server(&packet(number_of(name), NO_TAG, |packet| put_number(packet, 1)));
        assert_eq!(got, Got::default(), "{name}");
    }
}

#[test]
fn sound_passes_to_streams_of_this_connection_alone_and_without_anything_between() {
    let mut connection = Connection::new(PLAY);
    connection.plays(9, 2, 44);
    let frame = |channel: u8| [&[0, 0, 0, 8, 0, 0, 0, channel][..], &[0; 12], b"12345678"].concat();
    assert_eq!(connection.raw(&frame(2), true).unwrap().to_server, frame(2));
    assert!(connection.raw(&frame(3), true).unwrap().to_server.is_empty());
    // A stream that waits for its device goes on in the middle of a frame, and is sent behind it.
    let create = command("CREATE_PLAYBACK_STREAM", 10, |packet| playback(packet, 77, None, &[]));
    let asked = connection.client(&create).server[0].1;
    let (first, rest) = (&frame(2)[..22], &frame(2)[22..]);
    assert_eq!(connection.raw(first, true).unwrap().to_server, first);
    assert!(connection.raw(&reply(asked, |packet| source(packet, "a", INVALID)), false).unwrap().to_server.is_empty());
    assert!(connection.filter.waiting() > 0);
    let out = connection.raw(rest, true).unwrap().to_server;
    assert!(out.starts_with(rest) && packets(&out[rest.len()..])[0].0 == number_of("CREATE_PLAYBACK_STREAM"));
    assert_eq!(connection.filter.waiting(), 0);
}

#[test]
fn hostile_packets_break_the_protocol() {
    let greeted = || Connection::new(ALL);
    // Lengths: none, too large for a frame, too large for a packet.
    for length in [0u32, 16 * 1024 * 1024 + 1, 256 * 1024 + 1] {
        greeted().breaks(&[&length.to_be_bytes()[..], &[0xff; 4], &[0; 12]].concat());
    }
    let values: [(&str, &[u8]); 12] = [
        ("GET_SERVER_INFO", b"L"),
        ("GET_SERVER_INFO", b"?"),
        ("GET_SINK_INFO", b"L\0\0\0\0"),
        ("GET_SINK_INFO", b"L\0\0\0\0t"),
        ("GET_SINK_INFO", b"L\0\0\0\0tunterminated"),
        ("GET_SINK_INFO", b"tname\0L\0\0\0\0"),
        ("SET_CLIENT_NAME", b"P"),
        ("SET_CLIENT_NAME", b"Ptkey\0L\0\0\0\x01x\0\0\0\x02ab"),
        ("SET_CLIENT_NAME", b"Ptkey\0L\xff\xff\xff\xffx\xff\xff\xff\xff"),
        ("SET_CLIENT_NAME", b"PPPN"),
        ("SET_CLIENT_NAME", b"PNN"),
        ("SET_SINK_INPUT_VOLUME", b"L\0\0\0\0v\xff"),
    ];
    for (name, bytes) in values {
        greeted().breaks(&command(name, 9, |packet| packet.extend(bytes)));
    }
    // Formats in formats, and lists without an end.
    let nested = [b"fB\0".repeat(80_000), b"PN".to_vec()].concat();
    greeted().breaks(&command("PLAY_SAMPLE", 9, |packet| packet.extend(&nested)));
    greeted().breaks(&command("PLAY_SAMPLE", 9, |packet| packet.extend([b'0'; 100_000])));
    let long = b"tk\0L\0\0\0\0x\0\0\0\0".repeat(300);
    greeted().breaks(&command("SET_CLIENT_NAME", 9, |packet| packet.extend([b"P", &long[..], b"N"].concat())));
    // A tag that is taken, and that of no request.
    let mut connection = greeted();
    connection.client(&command("GET_SERVER_INFO", 9, |_| {}));
    connection.breaks(&command("GET_SINK_INFO_LIST", 9, |_| {}));
    greeted().breaks(&command("GET_SERVER_INFO", NO_TAG, |_| {}));
    // A server's answer that nobody asked for is not passed on.
    assert_eq!(greeted().server(&reply(77, |packet| put_number(packet, 1))), Got::default());
}

/// A client that uses a tag again would have one answer taken for another's, if the first request had been forgotten.
#[test]
fn no_answer_is_taken_for_that_of_another_request() {
    let attributes = |tag: u32| {
        command("SET_PLAYBACK_STREAM_BUFFER_ATTR", tag, |packet| {
            [0, 100, 44, INVALID, INVALID].iter().for_each(|number| put_number(packet, *number));
            packet.extend(b"00");
        })
    };
    let create = command("CREATE_PLAYBACK_STREAM", 50, |packet| playback(packet, INVALID, None, &[]));
    let fill = |connection: &mut Connection, name: &str| {
        for tag in 0..MOST as u32 - 1 {
            connection.client(&command(name, 100 + tag, |packet| {
                if name.starts_with("DRAIN") {
                    put_number(packet, 0);
                }
            }));
        }
    };
    let mut connection = Connection::new(PLAY);
    connection.plays(9, 0, 30);
    assert_eq!(connection.client(&attributes(50)).server.len(), 1);
    fill(&mut connection, "GET_SERVER_INFO");
    connection.breaks(&command("GET_SERVER_INFO", 99, |_| {}));
    // Drains that are never answered are forgotten, and an answer that comes all the same is for nobody.
    let mut connection = Connection::new(PLAY);
    connection.plays(9, 0, 30);
    let drain = connection.raw(&command("DRAIN_PLAYBACK_STREAM", 50, |packet| put_number(packet, 0)), true).unwrap();
    let forgotten = packets(&drain.to_server)[0].1;
    fill(&mut connection, "DRAIN_PLAYBACK_STREAM");
    connection.client(&command("DRAIN_PLAYBACK_STREAM", 99, |packet| put_number(packet, 0)));
    assert_eq!(connection.client(&create).server[0].1, 50);
    let late = connection.raw(&reply(forgotten, |packet| created(packet, 100, 44)), false).unwrap();
    assert_eq!(Connection::got(&late), Got::default());
    assert!(!connection.filter.streams.owns(super::commands::Direction::Playback, 44));
    // A tag of the client's that comes again is another one towards the server.
    let mut seen = Vec::new();
    for _ in 0..3 {
        let asked = connection.raw(&command("GET_SERVER_INFO", 60, |_| {}), true).unwrap();
        let tag = packets(&asked.to_server)[0].1;
        connection.raw(&packet(number::ERROR, tag, |packet| put_number(packet, error::ACCESS)), false).unwrap();
        assert!(!seen.contains(&tag));
        seen.push(tag);
    }
}

#[test]
fn a_connection_has_so_many_streams_and_no_more() {
    let mut connection = Connection::new(PLAY);
    let create = |tag: u32| command("CREATE_PLAYBACK_STREAM", tag, |packet| playback(packet, INVALID, None, &[]));
    for tag in 0..MOST_STREAMS as u32 {
        assert_eq!(connection.client(&create(10 + tag)).server.len(), 1);
    }
    let more = connection.client(&create(100));
    assert_eq!(more.client, [(number::ERROR, 100, number_value(error::TOO_LARGE))]);
}

#[test]
fn however_the_bytes_are_cut_the_result_is_the_same() {
    let bytes = [
        greeting(35),
        command("SET_CLIENT_NAME", 1, |packet| properties(packet, &[("application.name", "x")])),
        command("LOAD_MODULE", 2, |packet| packet.extend(b"tx\0N")),
        command("CREATE_PLAYBACK_STREAM", 3, |packet| playback(packet, INVALID, None, &[("media.name", "y")])),
        [&[0, 0, 0, 8, 0, 0, 0, 2][..], &[0; 12], b"12345678"].concat(),
        command("GET_SERVER_INFO", 4, |_| {}),
    ]
    .concat();
    let run = |size: usize| {
        let (mut filter, mut out, mut kept) = (Pulse::new(PLAY, [7; COOKIE], ID), Output::default(), Vec::new());
        for piece in bytes.chunks(size) {
            kept.extend(piece);
            let taken = filter.client_sent(&kept, &mut out).unwrap();
            kept.drain(..taken);
        }
        assert!(kept.is_empty());
        (out.to_server, out.to_client, out.notes)
    };
    let whole = run(bytes.len());
    for size in [1, 2, 3, 7, 19, 20, 21, 100] {
        assert_eq!(run(size), whole, "{size}");
    }
}
