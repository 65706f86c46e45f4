//! A minimal Wayland client: asks a compositor what it offers, and has it restrict a socket by the protocol
//! security-context-v1 (wayland-protocols, staging/security-context). The wire format is in the book "The Wayland
//! Protocol", "Wire Format".
//!
//! The compositor is not trusted to answer: all reading ends at a deadline, the amount of data is bounded, and nothing
//! that is received is used as an index without a check.

use crate::socket::Socket;
use crate::sys::{self, Errno};
use std::io::{BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Time that everything on a connection may take where a start waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How many bytes a compositor may send before it has answered. Some 60 globals take 3 KiB.
const MOST: usize = 1 << 20;

/// The interface by which a client has the compositor restrict others.
const MANAGER: &str = "wp_security_context_manager_v1";

/// Object ids of this client; each is used once.
const DISPLAY: u32 = 1;
const REGISTRY: u32 = 2;
const ALL_TOLD: u32 = 3;
const CONTEXT_MANAGER: u32 = 4;
const CONTEXT: u32 = 5;
const COMMITTED: u32 = 6;

/// A connection to a compositor, and what that offers.
pub(crate) struct Compositor {
    socket: BufReader<Socket>,
    /// Bytes received so far.
    received: usize,
    /// Names (numbers) and interfaces of the globals.
    globals: Vec<(u32, String)>,
}

/// Who the clients of a restricted socket are, for the compositor and the user (security-context-v1).
pub(crate) struct Client<'a> {
    /// `set_sandbox_engine`: what made the sandbox.
    pub engine: &'a str,
    /// `set_app_id`: the application, in the engine's own names.
    pub app_id: &'a str,
    /// `set_instance_id`: this sandbox.
    pub instance_id: &'a str,
}

/// A message of the compositor: the object that it is from, its number among the object's events, and its arguments.
struct Event {
    object: u32,
    opcode: u16,
    arguments: Vec<u8>,
}

impl Compositor {
    /// Connects to a compositor's socket, and waits for the list of its globals. `patience` is the time that everything
    /// on the connection may take.
    pub fn connect(path: &Path, patience: Duration) -> std::io::Result<Compositor> {
        let socket = Socket::connect(&SocketAddr::from_pathname(path)?, patience)?;
        let mut compositor = Compositor { socket: BufReader::new(socket), received: 0, globals: Vec::new() };
        // wl_display.get_registry and wl_display.sync: the callback comes after all globals.
        let asked = [request(DISPLAY, 1, &number(REGISTRY)), request(DISPLAY, 0, &number(ALL_TOLD))].concat();
        compositor.socket.get_mut().write_all(&asked)?;
        compositor.until(ALL_TOLD)?;
        Ok(compositor)
    }

    /// Whether it can restrict what others do.
    pub fn restricts(&self) -> bool {
        self.globals.iter().any(|(_, interface)| interface == MANAGER)
    }

    /// The interfaces by which a client may act on other clients, or on the whole desktop.
    pub fn powers(&self) -> impl Iterator<Item = &str> {
        self.globals.iter().map(|(_, interface)| interface.as_str()).filter(|interface| is_power(interface))
    }

    /// Has the compositor accept connections on `listener`, and restrict what they may do, until nobody has the other
    /// end of `close` (the reading end of a pipe) any more.
    pub fn restrict(
        mut self,
        listener: BorrowedFd<'_>,
        close: BorrowedFd<'_>,
        client: &Client<'_>,
    ) -> std::io::Result<()> {
        let manager = self.globals.iter().find(|(_, interface)| interface == MANAGER);
        let manager = manager.map(|(name, _)| *name).ok_or_else(|| other("it has no wp_security_context_v1"))?;
        // wl_registry.bind: an untyped new_id is written with interface and version.
        let bind = [number(manager), string(MANAGER), number(1), number(CONTEXT_MANAGER)].concat();
        self.socket.get_mut().write_all(&request(REGISTRY, 0, &bind))?;
        // wp_security_context_manager_v1.create_listener. Descriptors go beside the bytes, in their order, so those of
        // one message may come with two writes.
        let create = request(CONTEXT_MANAGER, 1, &number(CONTEXT));
        let (first, second) = create.split_at(4);
        sys::send(self.socket.get_ref().as_fd(), first, Some(listener)).map_err(std::io::Error::from)?;
        sys::send(self.socket.get_ref().as_fd(), second, Some(close)).map_err(std::io::Error::from)?;
        let rest = [
            request(CONTEXT, 1, &string(client.engine)),
            request(CONTEXT, 2, &string(client.app_id)),
            request(CONTEXT, 3, &string(client.instance_id)),
            request(CONTEXT, 4, &[]),
            request(DISPLAY, 0, &number(COMMITTED)),
        ];
        self.socket.get_mut().write_all(&rest.concat())?;
        self.until(COMMITTED)
    }

    /// Reads events until this callback is called.
    fn until(&mut self, callback: u32) -> std::io::Result<()> {
        loop {
            let event = self.event()?;
            match (event.object, event.opcode) {
                // wl_display.error: object, code, text.
                (DISPLAY, 0) => {
                    let text = event.arguments.get(8..).and_then(text_of).unwrap_or_default();
                    return Err(other(&format!("it answers with an error: {text}")));
                }
                // wl_registry.global: name, interface, version.
                (REGISTRY, 0) => {
                    let name = word(&event.arguments, 0);
                    let interface = event.arguments.get(4..).and_then(text_of);
                    let (Some(name), Some(interface)) = (name, interface) else { return Err(garbled()) };
                    self.globals.push((name, interface));
                }
                (object, 0) if object == callback => return Ok(()),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> std::io::Result<Event> {
        let mut head = [0; 8];
        self.socket.read_exact(&mut head)?;
        let (Some(object), Some(second)) = (word(&head, 0), word(&head, 4)) else { return Err(garbled()) };
        let length = ((second >> 16) as usize).checked_sub(head.len()).ok_or_else(garbled)?;
        self.received += head.len() + length;
        if self.received > MOST {
            return Err(other("it sends data without end"));
        }
        let mut arguments = vec![0; length];
        self.socket.read_exact(&mut arguments)?;
        Ok(Event { object, opcode: second as u16, arguments })
    }
}

/// Whether a client that has this interface may act on other clients (type, point, take pictures, read and set the
/// clipboard, see and move windows) or on the desktop (lock it, cover it, set its screens up).
///
/// Families of protocols that are for a client's own windows are known by their prefix, and what is privileged in them by
/// name; everything else counts as privileged, since each compositor has interfaces of its own.
fn is_power(interface: &str) -> bool {
    const OWN_WINDOWS: [&str; 9] =
        ["wl_", "wp_", "xdg_", "zxdg_", "zwp_", "gtk_", "xx_color_", "ext_idle_notif", "ext_background_effect_"];
    const AMONG_THEM: [&str; 5] = [
        "zwp_virtual_keyboard_",
        "zwp_input_method_",
        "zwp_input_panel_",
        "zwp_fullscreen_shell_",
        "wp_security_context_",
    ];
    let starts = |prefix: &&str| interface.starts_with(prefix);
    !OWN_WINDOWS.iter().any(starts) || AMONG_THEM.iter().any(starts)
}

/// An error of this module as the end of a sentence.
pub(crate) fn describe(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| Errno(errno).to_string())
}

fn garbled() -> std::io::Error {
    Errno(libc::EPROTO).into()
}

fn other(text: &str) -> std::io::Error {
    std::io::Error::other(text.to_owned())
}

/// A request to an object: Wayland's numbers have the byte order of the machine.
fn request(object: u32, opcode: u16, arguments: &[u8]) -> Vec<u8> {
    let length = 8 + arguments.len() as u32;
    [&number(object), &number(length << 16 | u32::from(opcode)), arguments].concat()
}

fn number(number: u32) -> Vec<u8> {
    number.to_ne_bytes().to_vec()
}

/// A string: its length with a NUL at the end, the bytes, and zeroes up to a multiple of four.
fn string(text: &str) -> Vec<u8> {
    let mut out = number(text.len() as u32 + 1);
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The string at the start of these bytes, as far as it is UTF-8; `None` if it is longer than they are.
fn text_of(bytes: &[u8]) -> Option<String> {
    let length = (word(bytes, 0)? as usize).checked_sub(1)?;
    Some(String::from_utf8_lossy(bytes.get(4..)?.get(..length)?).into_owned())
}

#[cfg(test)]
mod tests;
