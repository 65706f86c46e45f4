//! Filtering proxies: a program in the sandbox connects to a socket of sbx's, and what it may say to a server outside is
//! passed on. The relay of ports between the networks of host and sandbox, which passes everything on. And the forwarder of names, which
//! answers for name servers.
//!
//! ```text
//! mod      the entry, from a command line to a proxy
//! serve    accepts connections, with a process for each
//! relay    one connection: bytes from each side through the filter to the other
//! confine  what the processes may do
//! budget   how often something is done that a program asks for
//! filter   what a filter is: bytes in, bytes out
//! pulse    the filter for PulseAudio's protocol
//! agent    the filter for the protocol of SSH agents
//! ports    the port relay, which has no filter
//! names    the forwarder of names, which makes messages anew
//! network  the process that holds a network of several sandboxes
//! ```
//!
//! A proxy is a helper of a sandbox: sbx executes itself with the argument 0 [`SOUND`] or [`AGENT`], so that the process has nothing of the
//! launcher's memory and descriptors. What parses the program's bytes is a process of its own for each connection, which may
//! only read and write the two sockets that it has: it can neither open nor connect to anything.

pub mod agent;
mod budget;
pub(crate) mod confine;
pub mod filter;
pub mod names;
pub mod network;
mod ports;
pub mod pulse;
mod relay;
mod serve;

pub use budget::Budget;
pub use names::{NAMES, forward_names, names_note};
pub use network::{HOLDER, hold_network};
pub use ports::{RELAY, relay_ports};

use crate::exit;
use crate::sys::{self, UnownedFd};
use agent::{Agent, Choice};
use pulse::{COOKIE, Grants, Pulse};
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Argument 0 of the sound proxy, by which sbx knows what it is executed for.
pub const SOUND: &str = "sbx-sound-proxy";

/// The sentence for a reason that the sound proxy gives.
pub fn sound_note(reason: u8) -> Option<String> {
    serve::note(reason).map(str::to_owned).or_else(|| pulse::note(reason))
}

/// Argument 0 of the proxy for SSH agents.
pub const AGENT: &str = "sbx-ssh-agent-proxy";

/// The longest question that a proxy asks the user, in bytes.
pub const LONGEST_QUESTION: usize = relay::LONGEST_QUESTION;

/// The sentence for a reason that the proxy for SSH agents gives.
pub fn agent_note(reason: u8) -> Option<String> {
    serve::note(reason).map(str::to_owned).or_else(|| agent::note(reason))
}

/// Runs the sound proxy, with the arguments `sbx-sound-proxy LISTENER PIPE SERVER COOKIE ID GRANT...`: LISTENER is the
/// descriptor of the socket that programs connect to, PIPE that of the launcher's pipe, SERVER the path of the server's
/// socket, COOKIE the path of a file with its cookie, or nothing, ID what the server is to know the program by. Gives the
/// exit status.
pub fn sound(args: &[OsString]) -> u8 {
    finished(SOUND, run_sound(args))
}

/// Runs the proxy for SSH agents, with the arguments `sbx-ssh-agent-proxy LISTENER PIPE AGENT ASKS PROFILE WORD...`: LISTENER and
/// PIPE as for the sound proxy, AGENT the path of the agent's socket, ASKS the descriptor of the socket by which the
/// user is asked, or nothing, PROFILE the name of the profile. A word `key:NAME` names a key that may be used. Gives the exit
/// status.
pub fn ssh_agent(args: &[OsString]) -> u8 {
    finished(AGENT, run_agent(args))
}

fn finished(name: &str, ended: Result<(), String>) -> u8 {
    match ended {
        Ok(()) => 0,
        Err(message) => {
            let _ = sys::write_all(sys::STREAMS[2].as_fd(), format!("sbx: {name}: {message}\n").as_bytes());
            exit::FAILED
        }
    }
}

/// The number in an argument.
fn number(args: &[OsString], at: usize) -> Option<i32> {
    args.get(at)?.to_str()?.parse().ok()
}

/// The descriptor with this number, which the launcher has handed over.
fn adopt(fd: i32) -> Result<OwnedFd, String> {
    UnownedFd::new(fd).adopt().map_err(|errno| format!("descriptor {fd}: {errno}"))
}

fn run_sound(args: &[OsString]) -> Result<(), String> {
    let id = args.get(5).and_then(|id| id.to_str());
    let (Some(listener), Some(pipe), Some(server), Some(id)) = (number(args, 1), number(args, 2), args.get(3), id)
    else {
        return Err("it is started by sbx for a sandbox with desktop.sound, and not by hand".into());
    };
    let granted = |word: &str| args.iter().skip(6).any(|arg| arg == word);
    let grants = Grants { play: granted("play"), record: granted("record"), monitor: granted("monitor") };
    let cookie = cookie(args.get(4).map(Path::new).unwrap_or(Path::new("")));
    let proxy = serve::Proxy {
        listener: adopt(listener)?.into(),
        launcher: adopt(pipe)?,
        server: PathBuf::from(server),
        asks: None,
        filter: || Pulse::new(grants, cookie, id),
    };
    proxy.run().map_err(|errno| errno.to_string())
}

fn run_agent(args: &[OsString]) -> Result<(), String> {
    let text = |at: usize| args.get(at).and_then(|arg| arg.to_str());
    let (Some(listener), Some(pipe), Some(server), Some(asks), Some(profile)) =
        (number(args, 1), number(args, 2), args.get(3), text(4), text(5))
    else {
        return Err("it is started by sbx for a sandbox with services.ssh-agent, and not by hand".into());
    };
    let asks = match asks {
        "" => None,
        _ => Some(adopt(number(args, 4).ok_or("the descriptor to ask by is no number")?)?),
    };
    let names = args.iter().skip(6).filter_map(|arg| arg.to_str()?.strip_prefix("key:").map(str::to_owned));
    let choice = Choice { names: names.collect() };
    let confirm = asks.as_ref().map(|_| profile.to_owned());
    let proxy = serve::Proxy {
        listener: adopt(listener)?.into(),
        launcher: adopt(pipe)?,
        server: PathBuf::from(server),
        asks,
        filter: || Agent::new(choice.clone(), confirm.clone()),
    };
    proxy.run().map_err(|errno| errno.to_string())
}

/// The cookie in a file, or zeroes: a server that knows the user by the socket's credentials does not ask for one.
fn cookie(file: &Path) -> [u8; COOKIE] {
    let mut cookie = [0; COOKIE];
    // What lies there may be something else than a file, such as a pipe, which is not waited for.
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(file);
    if let Ok(mut opened) = opened
        && opened.metadata().is_ok_and(|found| found.is_file())
        && opened.read_exact(&mut cookie).is_err()
    {
        return [0; COOKIE];
    }
    cookie
}
