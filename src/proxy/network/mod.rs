//! The process that holds a network of several sandboxes: it keeps the namespaces of the network's bridge and of what reaches the outside,
//! gives each sandbox an address, and knows their names. It lives while one of them does.
//!
//! ```text
//! server   the process: waits for all sockets
//! members  who is in the network: addresses and names
//! message  what is asked of it, and what it answers
//! confine  what the process may do
//! ```

mod confine;
mod members;
pub mod message;
mod server;

use super::{adopt, finished, number};
use crate::spec::Range6;
use crate::sys::Links;
use server::{Held, Server};
use std::ffi::OsString;

/// Argument 0 of the process, by which sbx knows what it is executed for.
pub const HOLDER: &str = "sbx-network-holder";

/// Holds a network, with the arguments `sbx-network-holder READY LISTENER LOCK DIR ABOVE USER NETWORK LINKS HELPER SAID NAME SUBNET GATEWAY PROGRAM ID SUBNET6 GATEWAY6`: the
/// first ten are descriptors: of a pipe that it writes a byte to once it answers, of the socket at which it is asked, of the file that it
/// has locked, of the directory that these two lie in, and of the one above it, of the user and the network namespace, of a socket by which interfaces are removed, and of the helper's
/// process and what that says, or nothing; PROGRAM is the helper's name; SUBNET6 and GATEWAY6 are empty if there is no IPv6. Gives the exit status.
pub fn hold_network(args: &[OsString]) -> u8 {
    finished(HOLDER, run(args))
}

fn run(args: &[OsString]) -> Result<(), String> {
    let by_hand = || "it is started by sbx for sandboxes with network.mode = \"net:NAME\", and not by hand".to_owned();
    let descriptor = |at: usize| adopt(number(args, at).ok_or_else(by_hand)?);
    let optional = |at: usize| match args.get(at) {
        Some(word) if word.is_empty() => Ok(None),
        _ => descriptor(at).map(Some),
    };
    let text = |at: usize| args.get(at).and_then(|word| word.to_str()).ok_or_else(by_hand);
    let held = Held {
        listener: descriptor(2)?,
        lock: descriptor(3)?,
        dir: descriptor(4)?,
        above: descriptor(5)?,
        user: descriptor(6)?,
        network: descriptor(7)?,
        links: Links::from(descriptor(8)?),
        helper: optional(9)?,
        said: optional(10)?,
        carries: text(14)?.to_owned(),
        id: text(15)?.to_owned(),
    };
    let ready = descriptor(1)?;
    let subnet = text(12)?.parse()?;
    let gateway = text(13)?.parse().map_err(|_| by_hand())?;
    let v6 = match (text(16)?, text(17)?) {
        ("", "") => None,
        (subnet, gateway) => Some(Range6 { subnet: subnet.parse()?, gateway: gateway.parse().map_err(|_| by_hand())? }),
    };
    Server::new(held, text(11)?, subnet, gateway, v6).run(ready).map_err(|errno| errno.to_string())
}
