//! Probes of the sound servers: what a program can have them do that is neither playback nor what the profile grants.

use super::super::facts::{Facts, Granted, Verdict};
use super::Probe;
use super::tools::{each, not_run, verdict};
use crate::proxy::pulse::commands::number;
use crate::proxy::pulse::tags::{self, Reader, put_bytes, put_number, put_text};
use crate::proxy::pulse::{self, error};
use crate::sys::{self, Errno};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of PulseAudio's protocol in which the probes are written: the oldest with property lists.
const VERSION: u32 = 13;

const SET_SINK_MUTE: u32 = 39;
const GET_MODULE_INFO_LIST: u32 = 26;
const GET_CLIENT_INFO: u32 = 27;
const GET_CLIENT_INFO_LIST: u32 = 28;
const INVALID: u32 = u32::MAX;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "pipewire",
        title: "load code into PipeWire by its own socket",
        attempt: pipewire,
        granted: |granted| by(granted, &["unfiltered"]),
    },
    Probe {
        id: "pulse-module",
        title: "load code into the sound server (PulseAudio's LOAD_MODULE)",
        attempt: |facts| {
            // There is no such module, so that nothing is loaded; a server that tries answers with another error.
            asked(facts, number::LOAD_MODULE, |packet| {
                put_text(packet, Some(b"module-sbx-selftest"));
                put_text(packet, None);
            })
        },
        granted: |granted| by(granted, &["unfiltered"]),
    },
    Probe {
        id: "pulse-device",
        title: "mute or suspend a sound device",
        attempt: |facts| {
            asked(facts, SET_SINK_MUTE, |packet| {
                put_number(packet, INVALID);
                put_text(packet, Some(b"sbx-selftest"));
                packet.push(b'0');
            })
        },
        granted: |granted| by(granted, &["unfiltered"]),
    },
    Probe {
        id: "pulse-others",
        title: "see the sound server's modules and other programs",
        attempt: |facts| {
            on_servers(facts, |server| {
                for (list, what) in [(GET_MODULE_INFO_LIST, "modules"), (GET_CLIENT_INFO_LIST, "clients")] {
                    match server.request(list, |_| {}) {
                        Ok(Ok(answer)) if !answer.is_empty() => return Verdict::Open(format!("it names {what}")),
                        Ok(_) => {}
                        Err(errno) => return verdict("asking for them", Err::<(), _>(errno)),
                    }
                }
                Verdict::Closed("it names neither modules nor clients".into())
            })
        },
        granted: |granted| by(granted, &["unfiltered"]),
    },
    Probe {
        id: "pulse-name",
        title: "take another program's name, for which the sound server keeps volumes and devices",
        attempt: |facts| on_servers(facts, named),
        granted: |granted| by(granted, &["unfiltered"]),
    },
    Probe {
        id: "pulse-record",
        title: "record the microphone",
        attempt: |facts| record(facts, None),
        granted: |granted| by(granted, &["record", "monitor", "unfiltered"]),
    },
    Probe {
        id: "pulse-monitor",
        title: "record what other programs play",
        attempt: |facts| record(facts, Some(b"@DEFAULT_MONITOR@")),
        granted: |granted| by(granted, &["monitor", "unfiltered"]),
    },
];

fn by(granted: &Granted, words: &[&str]) -> Option<&'static str> {
    granted.sound.iter().any(|word| words.contains(&word.as_str())).then_some("desktop.sound names it")
}

fn runtime() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/run".into(), PathBuf::from)
}

/// The paths at which a service may be reached: those of the host's sockets of this kind, and more.
fn paths(facts: &Facts, kind: &str, more: PathBuf) -> Option<Vec<PathBuf>> {
    let there = facts.outside.sockets.iter().filter(|(other, _)| other == kind);
    let mut paths: Vec<PathBuf> = there.map(|(_, path)| path.clone()).collect();
    if paths.is_empty() {
        return None;
    }
    paths.push(more);
    paths.dedup();
    Some(paths)
}

fn pipewire(facts: &Facts) -> Verdict {
    let Some(paths) = paths(facts, "pipewire", runtime().join("pipewire-0")) else {
        return not_run("this host has none");
    };
    each(paths, |path| shared(facts, &path, verdict(path.display(), UnixStream::connect(&path).map_err(Errno::from))))
}

/// A verdict, unless the profile shows the path itself.
fn shared(facts: &Facts, path: &Path, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Open(_) if facts.granted.shows(path) => {
            Verdict::Shared(format!("the profile shows {}", path.display()))
        }
        other => other,
    }
}

/// Does something on each server that can be reached.
fn on_servers(facts: &Facts, attempt: impl Fn(&mut Server) -> Verdict) -> Verdict {
    let Some(paths) = paths(facts, "pulse", runtime().join("pulse/native")) else {
        return not_run("this host has none");
    };
    each(paths, |path| match UnixStream::connect(&path).map_err(Errno::from) {
        Err(errno) => verdict(path.display(), Err::<(), _>(errno)),
        Ok(stream) => {
            let mut server = Server { stream, tag: 0 };
            let verdict = match server.greet() {
                Ok(()) => attempt(&mut server),
                Err(errno) => not_run(format!("{} takes connections, and gives no answer: {errno}", path.display())),
            };
            shared(facts, &path, verdict)
        }
    })
}

/// Sends a command: closed if the answer is that access is denied.
fn asked(facts: &Facts, command: u32, values: impl Fn(&mut Vec<u8>)) -> Verdict {
    on_servers(facts, |server| match server.request(command, &values) {
        Ok(Err(error::ACCESS)) => Verdict::Closed("the answer is that access is denied".into()),
        Ok(Err(other)) => Verdict::Open(format!("the server tries, and answers with error {other}")),
        Ok(Ok(_)) => Verdict::Open("the server does it".into()),
        Err(errno) => verdict("asking for it", Err::<(), _>(errno)),
    })
}

/// Sets the properties by which servers know programs, and looks whether the server has them.
fn named(server: &mut Server) -> Verdict {
    const NAMES: [(&[u8], &[u8]); 2] =
        [(b"application.id", b"sbx-selftest.id\0"), (b"media.role", b"sbx-selftest.role\0")];
    let list = |packet: &mut Vec<u8>| {
        packet.push(b'P');
        for (key, value) in NAMES {
            put_text(packet, Some(key));
            put_number(packet, value.len() as u32);
            put_bytes(packet, value);
        }
        packet.push(b'N');
    };
    let number = match server.request(number::SET_CLIENT_NAME, list) {
        Ok(Ok(answer)) => Reader::new(&answer).number().map_err(|_| error::COMMAND),
        Ok(Err(error)) => Err(error),
        Err(errno) => return verdict("setting a name", Err::<(), _>(errno)),
    };
    let number = match number {
        Ok(number) => number,
        Err(error) => return not_run(format!("the server takes no name: error {error}")),
    };
    match server.request(GET_CLIENT_INFO, |packet| put_number(packet, number)) {
        Ok(Ok(answer)) => {
            let has = |(_, value): (&[u8], &[u8])| answer.windows(value.len()).any(|part| part == value);
            match NAMES.into_iter().find(|name| has(*name)) {
                Some((key, _)) => Verdict::Open(format!("{} is what the program says", String::from_utf8_lossy(key))),
                None => Verdict::Closed("the server has other names for it".into()),
            }
        }
        Ok(Err(error)) => not_run(format!("the server does not describe its client: error {error}")),
        Err(errno) => verdict("asking for its name", Err::<(), _>(errno)),
    }
}

/// Makes a record stream on the default source, or on one of this name.
fn record(facts: &Facts, source: Option<&[u8]>) -> Verdict {
    on_servers(facts, |server| {
        let answer = server.request(number::CREATE_RECORD_STREAM, |packet| {
            // Signed 16 bits, one channel, 8000 Hz; a map with one channel.
            packet.extend([b'a', 3, 1, 0, 0, 0x1f, 0x40, b'm', 1, 0]);
            put_number(packet, INVALID);
            put_text(packet, source);
            put_number(packet, INVALID);
            packet.push(b'0');
            put_number(packet, INVALID);
            packet.extend(b"000000000PN");
            put_number(packet, INVALID);
        });
        match answer {
            Ok(Ok(_)) => Verdict::Open("a record stream is made".into()),
            Ok(Err(error::ACCESS)) => Verdict::Closed("the answer is that access is denied".into()),
            Ok(Err(other)) => not_run(format!("the server has no source for it: error {other}")),
            Err(errno) => verdict("making a record stream", Err::<(), _>(errno)),
        }
    })
}

/// A connection to a server that speaks PulseAudio's protocol.
struct Server {
    stream: UnixStream,
    tag: u32,
}

impl Server {
    /// The greeting, and the client's name.
    fn greet(&mut self) -> Result<(), Errno> {
        self.stream.set_read_timeout(Some(Duration::from_millis(2500)))?;
        sys::attach_credentials(self.stream.as_fd())?;
        let greeted = self.request(number::AUTH, |packet| {
            put_number(packet, VERSION);
            put_bytes(packet, &[0; pulse::COOKIE]);
        })?;
        let name = |packet: &mut Vec<u8>| {
            packet.extend(b"Ptapplication.name\0L");
            packet.extend([0, 0, 0, 13, b'x', 0, 0, 0, 13]);
            packet.extend(b"sbx-selftest\0N");
        };
        let named = self.request(number::SET_CLIENT_NAME, name)?;
        if greeted.is_ok() && named.is_ok() { Ok(()) } else { Err(Errno(libc::EACCES)) }
    }

    /// Sends a command and waits for its answer: the values of a reply, or the number of an error.
    fn request(
        &mut self,
        command: u32,
        values: impl FnOnce(&mut Vec<u8>),
    ) -> Result<std::result::Result<Vec<u8>, u32>, Errno> {
        let broken = |tags::Malformed| Errno(libc::EPROTO);
        self.tag += 1;
        let mut packet = Vec::new();
        put_number(&mut packet, command);
        put_number(&mut packet, self.tag);
        values(&mut packet);
        let mut frame = Vec::new();
        pulse::put_packet(&mut frame, &packet);
        self.stream.write_all(&frame)?;
        loop {
            let mut descriptor = [0; pulse::DESCRIPTOR];
            self.stream.read_exact(&mut descriptor)?;
            let length = u32::from_be_bytes([descriptor[0], descriptor[1], descriptor[2], descriptor[3]]);
            let mut answer = vec![0; length.min(1 << 24) as usize];
            self.stream.read_exact(&mut answer)?;
            // Sound of a stream comes on its channel.
            if descriptor[4..8] != [0xff; 4] {
                continue;
            }
            let mut reader = Reader::new(&answer);
            let (kind, tag) = (reader.number().map_err(broken)?, reader.number().map_err(broken)?);
            match kind {
                number::REPLY if tag == self.tag => return Ok(Ok(reader.rest().to_vec())),
                number::ERROR if tag == self.tag => return Ok(Err(reader.number().map_err(broken)?)),
                _ => {}
            }
        }
    }
}
