//! As much of D-Bus as it takes to ask a question and to wait for a signal: D-Bus Specification, "Message Protocol". A library for it
//! brings an event loop and threads, of which the launcher may have none before the sandbox is cloned.

use crate::sys;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::{Duration, Instant};

/// A connection that has said hello.
pub(crate) struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Its own name.
    pub name: String,
    /// Signals that came meanwhile: member and body.
    signals: Vec<(String, Vec<u8>)>,
    /// When the whole talk has to be over.
    deadline: Instant,
}

/// A method of an object.
pub(crate) struct Method<'a> {
    /// Name of the service.
    pub to: &'a str,
    /// Path of the object.
    pub path: &'a str,
    /// Interface.
    pub interface: &'a str,
    /// Name of the method.
    pub method: &'a str,
    /// Types of its arguments.
    pub signature: &'a str,
}

/// Arguments, little-endian.
#[derive(Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// `s`
    pub fn string(&mut self, text: &str) {
        string(&mut self.0, text);
    }

    /// `u`
    pub fn number(&mut self, number: u32) {
        pad(&mut self.0, 4);
        self.0.extend(number.to_le_bytes());
    }

    /// `b`
    pub fn switch(&mut self, on: bool) {
        self.number(u32::from(on));
    }

    /// `v`: the signature of what follows.
    pub fn variant(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// `a`: its elements, which lie at multiples of that.
    pub fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Body)) {
        self.number(0);
        let length = self.0.len() - 4;
        pad(&mut self.0, alignment);
        let start = self.0.len();
        fill(self);
        let bytes = ((self.0.len() - start) as u32).to_le_bytes();
        if let Some(place) = self.0.get_mut(length..length + 4) {
            place.copy_from_slice(&bytes);
        }
    }

    /// `(…)`: what follows starts one.
    pub fn structure(&mut self) {
        pad(&mut self.0, 8);
    }
}

/// What came back: the first string of a reply, or the name of an error.
pub(crate) type Answer = Result<String, String>;

/// Connects to the first address of a list that is a path or an abstract name.
pub(crate) fn connect(address: &str, patience: Duration) -> Result<Bus, String> {
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
        let stream = stream.map_err(|error| sys::Errno::from(error).to_string());
        match stream.and_then(|stream| Bus::greet(stream, patience)).and_then(Bus::hello) {
            Ok(bus) => return Ok(bus),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects to a socket of systemd's own, which speaks D-Bus without a bus: nobody has names there.
pub(crate) fn connect_directly(socket: &std::path::Path, patience: Duration) -> Result<Bus, String> {
    let connected = UnixStream::connect(socket).map_err(|error| sys::Errno::from(error).to_string());
    connected.and_then(|stream| Bus::greet(stream, patience))
}

/// How long the whole talk may take where nobody needs the answer.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

/// And where the other one may have much to do.
pub(crate) const LONG: Duration = Duration::from_secs(30);

impl Bus {
    /// Says who we are, and waits for the answer: systemd 252 never looks at a message that it has read together with this.
    fn greet(mut stream: UnixStream, patience: Duration) -> Result<Bus, String> {
        let text = |error: std::io::Error| sys::Errno::from(error).to_string();
        stream.set_read_timeout(Some(patience)).map_err(text)?;
        // The user's number in decimal digits, in hexadecimal.
        let uid: String = sys::effective_uid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").as_bytes()).map_err(text)?;
        let deadline = Instant::now() + patience;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            // read_exact goes on after a stop: signal(7), "Interruption of system calls".
            stream.read_exact(&mut byte).map_err(text)?;
            if line.len() > 1024 || Instant::now() >= deadline {
                return Err("it does not say who it is".into());
            }
            line.extend(byte);
        }
        if !line.starts_with(b"OK") {
            return Err("it does not accept us".into());
        }
        Ok(Bus { stream, serial: 0, name: String::new(), signals: Vec::new(), deadline })
    }

    fn hello(mut self) -> Result<Bus, String> {
        self.name =
            self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", None)?;
        Ok(self)
    }

    /// Who has a name.
    pub fn owner(&mut self, name: &str) -> Answer {
        let bus = "org.freedesktop.DBus";
        self.call(bus, "/org/freedesktop/DBus", bus, "GetNameOwner", Some(name))
    }

    /// Calls a method with one string, or nothing.
    pub fn call(&mut self, to: &str, path: &str, interface: &str, method: &str, argument: Option<&str>) -> Answer {
        let mut body = Body::default();
        if let Some(text) = argument {
            body.string(text);
        }
        let signature = if argument.is_some() { "s" } else { "" };
        self.call_with(&Method { to, path, interface, method, signature }, &body)
    }

    /// Calls a method.
    pub fn call_with(&mut self, method: &Method<'_>, body: &Body) -> Answer {
        self.serial += 1;
        let text = |error: std::io::Error| sys::Errno::from(error).to_string();
        self.send(method, body).map_err(text)?;
        // Signals may come before the reply.
        for _ in 0..1000 {
            if let Some(answer) = self.message().map_err(text)? {
                return answer;
            }
        }
        Err("no reply".into())
    }

    /// Calls a method in the place of a process that shared this connection and is gone, after all that it has sent. It may have read a
    /// part of what comes: the answer is recognised, and not read.
    pub fn call_after(&mut self, method: &Method<'_>, body: &Body) {
        // A number that nothing else has in it.
        self.serial = 0x5b78_a5c3;
        self.deadline = Instant::now() + LONG;
        let mut end = vec![5, 1, b'u', 0];
        end.extend(self.serial.to_le_bytes());
        let mut seen: Vec<u8> = Vec::new();
        let mut sent = self.send(method, body).is_ok();
        while sent && !seen.windows(end.len()).any(|bytes| bytes == end) && Instant::now() < self.deadline {
            let mut more = [0; 4096];
            let read = match self.stream.read(&mut more) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.unwrap_or(0),
            };
            sent = read > 0;
            seen.drain(..seen.len().saturating_sub(end.len()));
            seen.extend(more.iter().take(read));
        }
    }

    fn send(&mut self, method: &Method<'_>, body: &Body) -> std::io::Result<()> {
        let mut fields = Vec::new();
        for (code, kind, value) in
            [(1, b'o', method.path), (2, b's', method.interface), (3, b's', method.method), (6, b's', method.to)]
        {
            pad(&mut fields, 8);
            fields.extend([code, 1, kind, 0]);
            string(&mut fields, value);
        }
        if !method.signature.is_empty() {
            pad(&mut fields, 8);
            // A signature has one byte for its length.
            fields.extend([8, 1, b'g', 0, method.signature.len() as u8]);
            fields.extend(method.signature.as_bytes());
            fields.push(0);
        }
        // Little-endian, method call, NO_AUTO_START (nothing is to be started by a question), version 1.
        let mut message = vec![b'l', 1, 2, 1];
        for number in [body.0.len() as u32, self.serial, fields.len() as u32] {
            message.extend(number.to_le_bytes());
        }
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(&body.0);
        self.stream.write_all(&message)
    }

    /// The body of the next signal of that name.
    pub fn signal(&mut self, name: &str) -> Result<Vec<u8>, String> {
        for _ in 0..1000 {
            if let Some(at) = self.signals.iter().position(|(member, _)| member == name) {
                return Ok(self.signals.remove(at).1);
            }
            self.message().map_err(|error| sys::Errno::from(error).to_string())?;
        }
        Err(format!("no signal {name}"))
    }

    /// The next message: an answer if it is one to the last call.
    fn message(&mut self) -> std::io::Result<Option<Answer>> {
        if Instant::now() >= self.deadline {
            return Err(std::io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
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
            3 if replies => Some(Err(error_text(fields, body))),
            4 => {
                self.signals.push((text_field(fields, 3).unwrap_or_default(), body.to_vec()));
                None
            }
            _ => None,
        })
    }
}

impl std::os::fd::AsFd for Bus {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
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

/// A field whose value is a string: 3 is the member, 4 the name of an error.
fn text_field(fields: &[u8], code: u8) -> Option<String> {
    let at = fields.chunks(8).position(|chunk| chunk.starts_with(&[code, 1, b's', 0]))?;
    fields.get(at * 8 + 4..).map(first_string)
}

fn error_text(fields: &[u8], body: &[u8]) -> String {
    let name = text_field(fields, 4).unwrap_or_else(|| "an error without a name".into());
    match first_string(body) {
        said if said.is_empty() => name,
        said => format!("{name}: {said}"),
    }
}

/// The strings and object paths with which a body starts, all of them of one form, after numbers of that many bytes.
pub(crate) fn strings(body: &[u8], skip: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = skip;
    while let Some(length) = body.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes) {
        let Some(text) = body.get(at + 4..at + 4 + length as usize) else { break };
        found.push(String::from_utf8_lossy(text).into_owned());
        at = (at + 5 + length as usize).next_multiple_of(4);
    }
    found
}
