//! A message bus of the test's own.

use super::process::Daemon;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Starts a session bus with these arguments besides; gives its address, where it listens by then.
pub fn bus(more: &[&str]) -> (Daemon, String) {
    let mut command = Command::new("dbus-daemon");
    command.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]).args(more);
    let mut daemon = Daemon(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut address = String::new();
    BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (daemon, address.trim().to_owned())
}
