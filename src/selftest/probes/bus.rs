//! As much of D-Bus as it takes to ask a question: D-Bus Specification, "Message Protocol".

use crate::sys;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

/// A connection that has said hello.
pub(crate) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Its own name.
    pub name: String,
}

/// What came back: the first string of a reply, or the name of an error.
pub(crate) type Answer = Result<String, String>;

/// Connects to the first address of a list that is a path or an abstract name.
pub(crate) fn connect(address: &str) -> Result<Bus, String> {
    let mut last = "the address names no socket".to_owned();
    for part in address.split(';') {
        let Some(options) = part.strip_prefix("unix:") else { continue };
        let option = |name: &str| options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        let stream = match (option("path"), option("abstract")) {
            (Some(path), _) => UnixStream::connect(path),
            (None, Some(name)) => {
                SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address))
            }
            (None, None) => continue,
        };
        match stream.map_err(|error| sys::Errno::from(error).to_string()).and_then(Bus::greet) {
            Ok(bus) => return Ok(bus),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Bus {
    fn greet(mut stream: UnixStream) -> Result<Bus, String> {
        let text = |error: std::io::Error| sys::Errno::from(error).to_string();
        stream.set_read_timeout(Some(Duration::from_secs(1))).map_err(text)?;
        // The user's number in decimal digits, in hexadecimal.
        let uid: String = sys::effective_uid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes()).map_err(text)?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).map_err(text)? == 0 {
                return Err("it hung up".into());
            }
            line.extend(byte);
        }
        if !line.starts_with(b"OK") {
            return Err(format!("it said {}", String::from_utf8_lossy(&line).trim()));
        }
        stream.write_all(b"BEGIN\r\n").map_err(text)?;
        let mut bus = Bus { stream, serial: 0, name: String::new() };
        bus.name = bus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", None)?;
        Ok(bus)
    }

    /// Who has a name.
    pub fn owner(&mut self, name: &str) -> Answer {
        let bus = "org.freedesktop.DBus";
        self.call(bus, "/org/freedesktop/DBus", bus, "GetNameOwner", Some(name))
    }

    /// Calls a method with one string, or nothing.
    pub fn call(&mut self, to: &str, path: &str, interface: &str, method: &str, argument: Option<&str>) -> Answer {
        self.serial += 1;
        let mut body = Vec::new();
        if let Some(text) = argument {
            string(&mut body, text);
        }
        let mut fields = Vec::new();
        for (code, kind, value) in [(1, b'o', path), (2, b's', interface), (3, b's', method), (6, b's', to)] {
            pad(&mut fields, 8);
            fields.extend([code, 1, kind, 0]);
            string(&mut fields, value);
        }
        if argument.is_some() {
            pad(&mut fields, 8);
            // A signature has one byte for its length.
            fields.extend([8, 1, b'g', 0, 1, b's', 0]);
        }
        // Little-endian, method call, NO_AUTO_START (nothing is to be started by a question), version 1.
        let mut message = vec![b'l', 1, 2, 1];
        for number in [body.len() as u32, self.serial, fields.len() as u32] {
            message.extend(number.to_le_bytes());
        }
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        let text = |error: std::io::Error| sys::Errno::from(error).to_string();
        self.stream.write_all(&message).map_err(text)?;
        // Signals may come before the reply.
        for _ in 0..100 {
            if let Some(answer) = self.message().map_err(text)? {
                return answer;
            }
        }
        Err("no reply".into())
    }

    /// The next message: an answer if it is one to the last call.
    fn message(&mut self) -> std::io::Result<Option<Answer>> {
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        let number = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; 4]);
            (if head[0] == b'l' { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }) as usize
        };
        let (length, fields) = (number(4), number(12));
        if length + fields > 1 << 20 {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut rest = vec![0; fields.next_multiple_of(8) + length];
        self.stream.read_exact(&mut rest)?;
        let (fields, body) = rest.split_at(fields.next_multiple_of(8));
        let replies = serial_of(fields) == Some(self.serial);
        Ok(match head[1] {
            2 if replies => Some(Ok(first_string(body))),
            3 if replies => Some(Err(error_name(fields))),
            _ => None,
        })
    }
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn first_string(body: &[u8]) -> String {
    let length = body.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
    String::from_utf8_lossy(body.get(4..4 + length).unwrap_or_default()).into_owned()
}

/// Field 5 is the serial of the call, a number: its code, the signature `u`, and the value at the next multiple of 4.
fn serial_of(fields: &[u8]) -> Option<u32> {
    let at = fields.chunks(8).position(|chunk| chunk.starts_with(&[5, 1, b'u', 0]))? * 8;
    Some(u32::from_le_bytes(fields.get(at + 4..at + 8)?.try_into().ok()?))
}

/// Field 4 is the name of an error.
fn error_name(fields: &[u8]) -> String {
    let found = fields.chunks(8).position(|chunk| chunk.starts_with(&[4, 1, b's', 0]));
    let name = found.and_then(|at| fields.get(at * 8 + 4..)).map(first_string);
    name.unwrap_or_else(|| "an error without a name".into())
}
