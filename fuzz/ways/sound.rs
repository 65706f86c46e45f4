//! Bytes of any kind from a program and from a sound server: no panic in the filter between them, and the server gets
//! nothing but what the filter lets through.

use sbx::proxy::filter::{Filter, Output};
use sbx::proxy::pulse::commands::{COMMANDS, Rule};
use sbx::proxy::pulse::tags::Reader;
use sbx::proxy::pulse::{COOKIE, Grants, Pulse};

/// The cookie of the proxy, which the program must not see.
const SECRET: [u8; COOKIE] = [0xa5; COOKIE];

/// Bytes that the program may have the filter keep back.
const MOST_KEPT: usize = 512 * 1024;

/// One side: what it has sent and the filter has not consumed; what the filter has sent it and was not looked at.
#[derive(Default)]
struct Side {
    sent: Vec<u8>,
    gets: Vec<u8>,
    broken: bool,
}

/// The whole way. The first byte says what is granted; after it, pieces of bytes: one that says whose they are and how
/// many there are, and these.
pub fn way(bytes: &[u8]) {
    let [granted, rest @ ..] = bytes else { return };
    let grants = Grants { play: granted & 1 != 0, record: granted & 2 != 0, monitor: granted & 4 != 0 };
    let (mut filter, mut client, mut server) =
        (Pulse::new(grants, SECRET, "sbx.tool"), Side::default(), Side::default());
    let mut rest = rest;
    while let [head, behind @ ..] = rest {
        let (piece, behind) = behind.split_at(behind.len().min(usize::from(head >> 1) * 4));
        rest = behind;
        let mut out = Output::default();
        let side = if head & 1 == 0 { &mut client } else { &mut server };
        if side.broken {
            continue;
        }
        side.sent.extend(piece);
        let taken = match head & 1 {
            0 => filter.client_sent(&side.sent, &mut out),
            _ => filter.server_sent(&side.sent, &mut out),
        };
        match taken {
            Ok(taken) => drop(side.sent.drain(..taken)),
            // A connection of which one side is broken is ended; what came before it may have been passed on.
            Err(_) => side.broken = true,
        }
        assert!(client.sent.len() <= MOST_KEPT && filter.waiting() <= MOST_KEPT);
        for reason in &out.notes {
            assert!(sbx::proxy::pulse::note(*reason).is_some(), "{reason}");
        }
        server.gets.extend(out.to_server);
        client.gets.extend(out.to_client);
        checked(&mut server.gets, |packet| for_server(packet, grants), grants.play);
        checked(&mut client.gets, for_client, grants.record || grants.monitor);
        if client.broken || server.broken {
            return;
        }
    }
}

/// Checks the whole frames at the beginning of these bytes, and takes them away.
fn checked(bytes: &mut Vec<u8>, packet: impl Fn(&[u8]), sound: bool) {
    let mut rest = bytes.as_slice();
    while let Some((descriptor, behind)) = rest.split_first_chunk::<20>() {
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| descriptor[4 * at + byte]));
        let (length, channel, flags) = (number(0) as usize, number(1), number(4));
        assert!(length > 0 && flags <= 3, "no frame refers to shared memory");
        let Some((content, behind)) = behind.split_at_checked(length) else { break };
        match channel {
            u32::MAX => packet(content),
            _ => assert!(sound, "sound is granted"),
        }
        rest = behind;
    }
    *bytes = rest.to_vec();
}

fn for_server(packet: &[u8], grants: Grants) {
    let mut reader = Reader::new(packet);
    let command = reader.number().expect("a command");
    let known = COMMANDS.get(command as usize).expect("a known command");
    let record = grants.record || grants.monitor;
    let granted = match known.rule {
        Rule::Play => grants.play,
        Rule::Record => record,
        Rule::SeeSources => record,
        Rule::Create(direction) => direction.is_granted(grants),
        Rule::Nothing | Rule::Absent | Rule::NoExtension | Rule::Refuse | Rule::Wrong => false,
        _ => true,
    };
    assert!(granted, "{}", known.name);
    reader.number().expect("a tag");
    while !reader.is_empty() {
        reader.value().expect("what is passed on can be read");
    }
    for text in [&b"filter.want"[..], b"filter.apply", b"library.name", b"target.object", b"remote.name"] {
        // In the name of a device or a stream such a text does nothing: it is no key.
        let key = [b"t", text, b"\0L"].concat();
        assert!(!packet.windows(key.len()).any(|part| part == key), "{}", String::from_utf8_lossy(text));
    }
}

fn for_client(packet: &[u8]) {
    let mut reader = Reader::new(packet);
    let command = reader.number().expect("a command");
    assert!([0, 2].contains(&command) || COMMANDS[command as usize].rule == Rule::Wrong, "{command}");
    assert!(!packet.windows(COOKIE).any(|part| part == SECRET), "the cookie stays outside");
}
