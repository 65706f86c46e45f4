//! The port relay: what comes to sockets on one side goes to a port of the loopback on the other side, and the answers back. It looks
//! at nothing of what passes.
//!
//! ```text
//! server   the process: waits for all sockets
//! target   where what comes is carried
//! tcp      one connection
//! udp      datagrams, by whoever sends them
//! confine  what the process may do
//! ```
//!
//! The sockets that it listens at are made by the launcher. For published ports they are the host's, and the process joins the sandbox's
//! network before it confines itself, so that the sockets by which it connects are the sandbox's. For forwarded ports it is the reverse:
//! it stays in the host's network, and the sockets that it listens at are the sandbox's.

mod confine;
mod server;
mod target;
mod tcp;
mod udp;

use super::{adopt, finished, number};
use crate::sys;
use server::{Listener, Server};
use std::ffi::OsString;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;

/// Argument 0 of the port relay, by which sbx knows what it is executed for.
pub const RELAY: &str = "sbx-port-relay";

/// Runs the port relay, with the arguments `sbx-port-relay PIPE USER NETWORK [LISTENER tcp|udp PORT]...`: PIPE is the descriptor of the
/// launcher's pipe, USER and NETWORK those of the namespaces to join, or nothing; LISTENER that of a socket, and PORT where what comes
/// there goes. Gives the exit status.
pub fn relay_ports(args: &[OsString]) -> u8 {
    finished(RELAY, run(args))
}

fn run(args: &[OsString]) -> Result<(), String> {
    let by_hand = || "it is started by sbx for a sandbox with published or forwarded ports, and not by hand".to_owned();
    let pipe = adopt(number(args, 1).ok_or_else(by_hand)?)?;
    if let (Some(user), Some(network)) = (number(args, 2), number(args, 3)) {
        for (fd, kind) in [(user, libc::CLONE_NEWUSER), (network, libc::CLONE_NEWNET)] {
            let joined = sys::join_namespace(adopt(fd)?.as_fd(), kind);
            joined.map_err(|errno| format!("the sandbox's network cannot be joined: {errno}"))?;
        }
    }
    let mut listeners = Vec::new();
    for words in args.get(4..).unwrap_or_default().chunks(3) {
        let (Some(fd), Some(port)) = (number(words, 0), number(words, 2)) else { return Err(by_hand()) };
        let (fd, port) = (adopt(fd)?, u16::try_from(port).map_err(|_| by_hand())?);
        let made = match words.get(1).and_then(|word| word.to_str()) {
            Some("tcp") => Listener::tcp(TcpListener::from(fd), port),
            Some("udp") => Listener::udp(UdpSocket::from(fd), port),
            _ => return Err(by_hand()),
        };
        listeners.push(made.map_err(|error| sys::Errno::from(error).to_string())?);
    }
    Server::new(pipe, listeners).run().map_err(|errno| errno.to_string())
}
