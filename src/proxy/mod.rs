//! Filtering proxies: a program in the sandbox connects to a socket of sbx's, and what it may say to a server outside is
//! passed on.
//!
//! ```text
//! mod      the entry, from a command line to a proxy
//! serve    accepts connections, with a process for each
//! relay    one connection: bytes from each side through the filter to the other
//! confine  what the processes may do
//! filter   what a filter is: bytes in, bytes out
//! pulse    the filter for PulseAudio's protocol
//! ```
//!
//! A proxy is a helper of a sandbox: sbx executes itself with the argument 0 [`SOUND`], so that the process has nothing of the
//! launcher's memory and descriptors. What parses the program's bytes is a process of its own for each connection, which may
//! only read and write the two sockets that it has: it can neither open nor connect to anything.

pub(crate) mod confine;
pub mod filter;
pub mod pulse;
mod relay;
mod serve;

use crate::exit;
use crate::sys::{self, UnownedFd};
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

/// Runs the sound proxy, with the arguments `sbx-sound-proxy LISTENER PIPE SERVER COOKIE GRANT...`: LISTENER is the
/// descriptor of the socket that programs connect to, PIPE that of the launcher's pipe, SERVER the path of the server's
/// socket, COOKIE the path of a file with its cookie, or nothing. Gives the exit status.
pub fn sound(args: &[OsString]) -> u8 {
    match run(args) {
        Ok(()) => 0,
        Err(message) => {
            let _ = sys::write_all(sys::STREAMS[2].as_fd(), format!("sbx: {SOUND}: {message}\n").as_bytes());
            exit::FAILED
        }
    }
}

fn run(args: &[OsString]) -> Result<(), String> {
    let number = |at: usize| args.get(at)?.to_str()?.parse::<i32>().ok();
    let (Some(listener), Some(pipe), Some(server)) = (number(1), number(2), args.get(3)) else {
        return Err("it is started by sbx for a sandbox with desktop.sound, and not by hand".into());
    };
    let adopt = |fd: i32| UnownedFd::new(fd).adopt().map_err(|errno| format!("descriptor {fd}: {errno}"));
    let (listener, pipe): (OwnedFd, OwnedFd) = (adopt(listener)?, adopt(pipe)?);
    let granted = |word: &str| args.iter().skip(5).any(|arg| arg == word);
    let grants = Grants { play: granted("play"), record: granted("record"), monitor: granted("monitor") };
    let cookie = cookie(args.get(4).map(Path::new).unwrap_or(Path::new("")));
    let proxy = serve::Proxy {
        listener: listener.into(),
        launcher: pipe,
        server: PathBuf::from(server),
        filter: || Pulse::new(grants, cookie),
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
