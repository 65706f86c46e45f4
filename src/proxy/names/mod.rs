//! The forwarder of names: answers questions of programs in a private network whose rules have names, by asking name servers from the
//! host's network. It refuses names that the rules do not allow, and has the packet filter let through what it tells before it tells it.
//!
//! ```text
//! server   the process: waits for all sockets
//! client   a program that asks by TCP
//! upstream a question that a name server is asked
//! message  questions and answers, and what passes of them
//! through  addresses that packets are let through to, for which the launcher is not asked again
//! rules    which names are answered
//! refused  names that are refused, while the launcher looks who has asked
//! notes    what the user is told
//! ask      what the launcher is asked, which has the packet filter
//! confine  what the process may do
//! ```

pub mod ask;
mod client;
mod confine;
pub mod message;
mod notes;
mod refused;
pub mod rules;
mod server;
mod through;
mod upstream;

pub use notes::names_note;

use super::{adopt, finished, number};
use rules::Rules;
use server::Server;
use std::ffi::OsString;

/// Argument 0 of the forwarder of names, by which sbx knows what it is executed for.
pub const NAMES: &str = "sbx-name-forwarder";

/// Runs the forwarder, with the arguments `sbx-name-forwarder PIPE FILTER UDP TCP [PEERS] WORD...`: PIPE is the descriptor of the launcher's pipe,
/// FILTER that of the socket by which the packet filter is asked, UDP and TCP those of the sockets at which programs ask, PEERS that of
/// the socket by which the names of others in a network that sandboxes share are asked for. Words are those
/// of [`Rules::read`]. Gives the exit status.
pub fn forward_names(args: &[OsString]) -> u8 {
    finished(NAMES, run(args))
}

fn run(args: &[OsString]) -> Result<(), String> {
    let by_hand = || "it is started by sbx for a sandbox whose network has rules for names, and not by hand".to_owned();
    let descriptor = |at: usize| adopt(number(args, at).ok_or_else(by_hand)?);
    let (pipe, filter, udp, tcp) = (descriptor(1)?, descriptor(2)?, descriptor(3)?, descriptor(4)?);
    // A number in the place of the first word is that of the socket by which the names of others in a network are asked for.
    let peers = number(args, 5).map(adopt).transpose()?;
    let words = args.get(5 + usize::from(peers.is_some())..).unwrap_or_default();
    let rules = Rules::read(words).ok_or_else(by_hand)?;
    let served = Server::new(pipe, filter, udp.into(), tcp.into(), rules, peers).run();
    served.map_err(|errno| errno.to_string())
}
