//! A minimal D-Bus client, which can call methods and wait for signals: D-Bus Specification, "Message Protocol". The
//! crates for D-Bus cost more, and trust the other end of the socket: docs/dependencies.md.
//!
//! The other end is not trusted here. All reading ends at a deadline, the amount of data kept is bounded, and nothing
//! that is received is used as an index without a check.

use crate::socket::Socket;
use crate::sys;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::time::{Duration, Instant};

/// Largest message that is accepted, in bytes. systemd's signals have less than 1 KiB.
const LONGEST: usize = 1 << 20;

/// How many bytes of signals are kept. It is enough for the ten signals that a manager sends for each start, with
/// thousands at once.
const MOST_KEPT: usize = 16 << 20;

/// An authenticated D-Bus connection, to a bus or directly to a systemd manager.
pub(crate) struct Bus {
    socket: BufReader<Socket>,
    /// Serial number of the last call.
    serial: u32,
    /// The unique name that the bus gave to this connection; empty on a direct connection.
    pub name: String,
    /// Signals that came while another message was waited for.
    signals: Vec<Signal>,
    /// Total size of the bodies in `signals`, in bytes.
    kept: usize,
}

/// A signal.
pub(crate) struct Signal {
    /// Its name.
    pub member: String,
    /// The unique name of who has sent it, as the bus says; empty on a direct connection.
    pub sender: String,
    /// Its arguments.
    pub body: Vec<u8>,
}

/// A method to call, and the types of its arguments.
pub(crate) struct Method<'a> {
    /// Bus name of the service.
    pub to: &'a str,
    /// Object path.
    pub path: &'a str,
    /// Name of the interface.
    pub interface: &'a str,
    /// Name of the method.
    pub method: &'a str,
    /// D-Bus signature of the arguments.
    pub signature: &'a str,
    /// Whether the call may start the service (NO_AUTO_START is not set).
    pub starts: bool,
}

/// The body of a method call: its arguments, marshalled in little-endian order.
#[derive(Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// Appends a string (`s`).
    pub fn string(&mut self, text: &str) {
        string(&mut self.0, text);
    }

    /// Appends a 32-bit number (`u`).
    pub fn number(&mut self, number: u32) {
        pad(&mut self.0, 4);
        self.0.extend(number.to_le_bytes());
    }

    /// Appends a byte (`y`).
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Appends a boolean (`b`).
    pub fn switch(&mut self, on: bool) {
        self.number(u32::from(on));
    }

    /// Starts a variant (`v`): appends the signature of the value that follows.
    pub fn variant(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// Appends an array (`a`), whose elements `fill` appends. `alignment` is that of the elements, in bytes.
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

    /// Starts a structure (`(…)`): the values that follow are its fields.
    pub fn structure(&mut self) {
        pad(&mut self.0, 8);
    }
}

/// The answer to a call: the first string of the reply, or the name and the text of the error.
pub(crate) type Answer = Result<String, String>;

/// Connects to a bus: to the first address of the list that works, of those with a path or an abstract name. `patience`
/// is the time that everything on the connection may take.
pub(crate) fn connect(address: &str, patience: Duration) -> Result<Bus, String> {
    let mut last = "the address names no socket".to_owned();
    for part in address.split(';') {
        let Some(options) = part.strip_prefix("unix:") else { continue };
        let option = |name: &str| options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        let address = match (option("path"), option("abstract")) {
            (Some(path), _) => SocketAddr::from_pathname(path),
            (None, Some(name)) => SocketAddr::from_abstract_name(name),
            (None, None) => continue,
        };
        match reach(address, patience).and_then(Bus::greet).and_then(Bus::hello) {
            Ok(bus) => return Ok(bus),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects directly to a systemd manager by its own socket, where there is no bus and so no names. `patience` is the
/// time that everything on the connection may take.
pub(crate) fn connect_directly(socket: &std::path::Path, patience: Duration) -> Result<Bus, String> {
    reach(SocketAddr::from_pathname(socket), patience).and_then(Bus::greet)
}

fn reach(address: std::io::Result<SocketAddr>, patience: Duration) -> Result<Socket, String> {
    let socket = address.and_then(|address| Socket::connect(&address, patience));
    socket.map_err(|error| sys::Errno::from(error).to_string())
}

/// Time that everything on a connection may take if no start depends on the answer.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

/// Time that everything on a connection may take if a service may have to be started for the answer.
pub(crate) const START: Duration = Duration::from_secs(5);

/// Time that everything on a connection may take if a start depends on the answer: the manager may be busy.
pub(crate) const LONG: Duration = Duration::from_secs(30);

impl Bus {
    /// Authenticates this user, and waits for the answer before anything else is sent: systemd 252 ignores a message
    /// that it reads together with the authentication.
    fn greet(mut socket: Socket) -> Result<Bus, String> {
        let text = |error: std::io::Error| sys::Errno::from(error).to_string();
        // EXTERNAL takes the user id as decimal digits, each encoded in hexadecimal.
        let uid: String = sys::effective_uid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        socket.write_all(format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").as_bytes()).map_err(text)?;
        // A manager's signals may follow the answer at once: they stay in the buffer.
        let mut socket = BufReader::with_capacity(4096, socket);
        let mut line = Vec::new();
        (&mut socket).take(1024).read_until(b'\n', &mut line).map_err(text)?;
        if !line.ends_with(b"\r\n") {
            return Err("it does not answer the authentication".into());
        }
        if !line.starts_with(b"OK") {
            return Err("it rejects the authentication".into());
        }
        Ok(Bus { socket, serial: 0, name: String::new(), signals: Vec::new(), kept: 0 })
    }

    fn hello(mut self) -> Result<Bus, String> {
        self.name =
            self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", None)?;
        Ok(self)
    }

    /// The unique name of the connection that owns a bus name.
    pub fn owner(&mut self, name: &str) -> Answer {
        let bus = "org.freedesktop.DBus";
        self.call(bus, "/org/freedesktop/DBus", bus, "GetNameOwner", Some(name))
    }

    /// Calls a method with one string or no argument, and waits for its answer.
    pub fn call(&mut self, to: &str, path: &str, interface: &str, method: &str, argument: Option<&str>) -> Answer {
        let mut body = Body::default();
        if let Some(text) = argument {
            body.string(text);
        }
        let signature = if argument.is_some() { "s" } else { "" };
        self.call_with(&Method { to, path, interface, method, signature, starts: false }, &body)
    }

    /// Calls a method, and waits for its answer.
    pub fn call_with(&mut self, method: &Method<'_>, body: &Body) -> Answer {
        self.body_of(method, body).map(|body| first_string(&body))
    }

    /// Calls a method, and waits for the body of its answer.
    pub fn body_of(&mut self, method: &Method<'_>, body: &Body) -> Result<Vec<u8>, String> {
        self.serial += 1;
        let text = |error: std::io::Error| sys::Errno::from(error).to_string();
        self.send(method, body).map_err(text)?;
        // Signals may come before the reply: hundreds, if many sandboxes start at once.
        loop {
            if let Some(answer) = self.message().map_err(text)? {
                return answer;
            }
        }
    }

    /// Calls a method on a connection that was shared with a process that is gone, after all that it has sent, and
    /// waits for the answer. That process may have read part of a message, so messages are not parsed: the answer is
    /// recognised by its serial number.
    pub fn call_after(&mut self, method: &Method<'_>, body: &Body) {
        // A serial number that is unlikely to appear in other data.
        self.serial = 0x5b78_a5c3;
        self.socket.get_mut().wait_until(Instant::now() + LONG);
        let mut end = vec![5, 1, b'u', 0];
        end.extend(self.serial.to_le_bytes());
        let mut seen: Vec<u8> = Vec::new();
        let mut sent = self.send(method, body).is_ok();
        while sent && !seen.windows(end.len()).any(|bytes| bytes == end) {
            let mut more = [0; 4096];
            let read = match self.socket.get_mut().read(&mut more) {
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
        // Little-endian, method call, NO_AUTO_START or no flag, version 1.
        let mut message = vec![b'l', 1, if method.starts { 0 } else { 2 }, 1];
        for number in [body.0.len() as u32, self.serial, fields.len() as u32] {
            message.extend(number.to_le_bytes());
        }
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(&body.0);
        self.socket.get_mut().write_all(&message)
    }

    /// Waits for the next signal of this name (member); gives its body.
    pub fn signal(&mut self, name: &str) -> Result<Vec<u8>, String> {
        loop {
            if let Some(at) = self.signals.iter().position(|signal| signal.member == name) {
                return Ok(self.take(at).body);
            }
            self.message().map_err(|error| sys::Errno::from(error).to_string())?;
        }
    }

    /// The next signal that has come.
    pub fn next_signal(&mut self) -> Option<Signal> {
        (!self.signals.is_empty()).then(|| self.take(0))
    }

    fn take(&mut self, at: usize) -> Signal {
        let signal = self.signals.remove(at);
        self.kept -= signal.body.len();
        signal
    }

    /// Sets the time that everything on the connection may take from now on.
    pub fn wait_for(&mut self, patience: Duration) {
        self.socket.get_mut().wait_until(Instant::now() + patience);
    }

    /// Whether there is something to read that has come already.
    pub fn has_more(&self) -> bool {
        !self.socket.buffer().is_empty()
    }

    /// Reads what has come to the connection, which is ready to read. Whether that goes on.
    pub fn read(&mut self) -> bool {
        loop {
            if self.message().is_err() {
                return false;
            }
            if !self.has_more() {
                return true;
            }
        }
    }

    /// Reads the next message. Gives the answer if the message answers the last call; keeps it if it is a signal.
    fn message(&mut self) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
        let mut head = [0; 16];
        self.socket.read_exact(&mut head)?;
        // The other end runs on the same machine, and all architectures that sbx supports are little-endian.
        if head[0] != b'l' {
            return Err(std::io::Error::from_raw_os_error(libc::EPROTO));
        }
        let length = |at| u64::from(u32_at(&head, at).unwrap_or(u32::MAX));
        // Fields are padded to a multiple of 8; the body is not.
        let (fields, body) = (length(12).next_multiple_of(8), length(4));
        if fields + body > LONGEST as u64 {
            return Err(std::io::Error::from_raw_os_error(libc::EPROTO));
        }
        let (fields, body) = (fields as usize, body as usize);
        let mut rest = vec![0; fields + body];
        self.socket.read_exact(&mut rest)?;
        let (fields, body) = rest.split_at(fields);
        let fields = Fields::of(fields);
        let replies = fields.reply == Some(self.serial);
        Ok(match head[1] {
            2 if replies => Some(Ok(body.to_vec())),
            3 if replies => Some(Err(error_text(fields.error, body))),
            4 => {
                self.kept += body.len();
                if self.kept > MOST_KEPT {
                    return Err(std::io::Error::from_raw_os_error(libc::EPROTO));
                }
                let (member, sender) = (fields.member.unwrap_or_default(), fields.sender.unwrap_or_default());
                self.signals.push(Signal { member, sender, body: body.to_vec() });
                None
            }
            _ => None,
        })
    }
}

impl std::os::fd::AsFd for Bus {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
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

/// The 32-bit little-endian number at an offset, if it is within bounds.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// The string, without its length and its NUL, at an offset, if it is within bounds.
fn string_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let start = at.checked_add(4)?;
    bytes.get(start..start.checked_add(u32_at(bytes, at)? as usize)?)
}

/// The string at the start of a body; empty if there is none.
fn first_string(body: &[u8]) -> String {
    String::from_utf8_lossy(string_at(body, 0).unwrap_or_default()).into_owned()
}

/// The header fields of a message that this client uses.
#[derive(Default)]
struct Fields {
    /// Field 3: the name of a signal.
    member: Option<String>,
    /// Field 4: the name of an error.
    error: Option<String>,
    /// Field 5: the serial number of the call that is answered.
    reply: Option<u32>,
    /// Field 7: the unique name of the sender.
    sender: Option<String>,
}

impl Fields {
    /// Parses header fields, `a(yv)`: each is a field code, a signature and a value, and starts at a multiple of 8
    /// bytes.
    fn of(bytes: &[u8]) -> Fields {
        let mut fields = Fields::default();
        let mut at = 0;
        while let Some(&[code, length, kind, 0]) = bytes.get(at..at + 4) {
            at += 4;
            let end = match (length, kind) {
                (1, b'u') => {
                    if code == 5 {
                        fields.reply = u32_at(bytes, at);
                    }
                    at + 4
                }
                (1, b's' | b'o') => {
                    let Some(text) = string_at(bytes, at) else { break };
                    let owned = || Some(String::from_utf8_lossy(text).into_owned());
                    match code {
                        3 => fields.member = owned(),
                        4 => fields.error = owned(),
                        7 => fields.sender = owned(),
                        _ => {}
                    }
                    at + 4 + text.len() + 1
                }
                // A signature has one byte for its length.
                (1, b'g') => at + 2 + bytes.get(at).map_or(0, |length| usize::from(*length)),
                // A field of another type, which the specification does not have yet: its length is not known.
                _ => break,
            };
            at = end.next_multiple_of(8);
        }
        fields
    }
}

fn error_text(name: Option<String>, body: &[u8]) -> String {
    let name = name.unwrap_or_else(|| "an error without a name".into());
    match first_string(body) {
        said if said.is_empty() => name,
        said => format!("{name}: {said}"),
    }
}

/// The number at the start of a body.
pub(crate) fn number(body: &[u8]) -> Option<u32> {
    u32_at(body, 0)
}

/// The strings and object paths at the start of a body, after `skip` bytes of numbers.
pub(crate) fn strings(body: &[u8], skip: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = skip;
    while let Some(text) = string_at(body, at) {
        found.push(String::from_utf8_lossy(text).into_owned());
        at = (at + 5 + text.len()).next_multiple_of(4);
    }
    found
}

#[cfg(test)]
mod tests;
