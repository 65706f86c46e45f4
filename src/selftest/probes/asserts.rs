//! The lines of the profile's `[assert]`, each tried as it says.

use super::super::facts::{Facts, Verdict};
use super::tools::{each, id, make_file, not_run, open_to_read, open_to_write};
use crate::sys::Errno;
use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// What they belong to.
pub(crate) const GROUP: &str = "the profile's [assert]";

/// For who does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is tried, in words.
pub(crate) fn title(kind: &str, value: &str) -> String {
    match kind {
        "cannot_read" => format!("read {value}"),
        "cannot_write" => format!("write to {value}"),
        "cannot_reach" => format!("reach {value}"),
        _ => format!("{kind} {value}"),
    }
}

/// Tries the one of this number.
pub(crate) fn attempt(facts: &Facts, index: usize) -> Verdict {
    let Some((kind, value)) = facts.granted.asserts.get(index) else { return not_run("there is no such line") };
    match kind.as_str() {
        "cannot_read" => read(facts, Path::new(value), index),
        "cannot_write" => write(facts, Path::new(value)),
        "cannot_reach" => reach(facts, value),
        _ => not_run(format!("`{kind}` is not known")),
    }
}

/// What is empty, and not the host's, tells nothing.
fn read(facts: &Facts, path: &Path, index: usize) -> Verdict {
    let shown = path.display();
    let empty = match path.is_dir() {
        true => std::fs::read_dir(path).map(|mut entries| entries.next().is_none()).map_err(Errno::from),
        false => open_to_read(path).map(|_| path.metadata().is_ok_and(|found| found.is_file() && found.len() == 0)),
    };
    let outside = facts.outside.asserted.get(index).copied().flatten();
    match empty {
        Err(errno) => Verdict::Closed(format!("{shown}: {errno}")),
        Ok(true) if outside.is_none() || id(path) != outside => Verdict::Closed(format!("{shown} is empty")),
        Ok(_) => Verdict::Open(format!("{shown} can be read")),
    }
}

/// What is written to the sandbox's own memory goes with it.
fn write(facts: &Facts, path: &Path) -> Verdict {
    let shown = path.display();
    let result = match path.metadata() {
        Ok(found) if found.is_dir() => make_file(path),
        Ok(_) => open_to_write(path).map(drop),
        Err(_) => {
            let made = OpenOptions::new().write(true).create_new(true).open(path).map(drop).map_err(Errno::from);
            if made.is_ok() {
                let _ = std::fs::remove_file(path);
            }
            made
        }
    };
    match result {
        Err(errno) => Verdict::Closed(format!("{shown}: {errno}")),
        Ok(()) if facts.granted.shows(path) => Verdict::Open(format!("{shown} can be written to")),
        Ok(()) => Verdict::Closed(format!("{shown} is memory of the sandbox's own")),
    }
}

/// By the addresses that the name has outside: who is hostile needs no name server.
fn reach(facts: &Facts, value: &str) -> Verdict {
    let addresses: Vec<SocketAddr> = match value.parse() {
        Ok(address) => vec![address],
        Err(_) => facts.outside.addresses.get(value).cloned().unwrap_or_default(),
    };
    if addresses.is_empty() {
        return not_run(format!("{value} has no address, and is no HOST:PORT"));
    }
    each(addresses.iter().take(2), |address| match TcpStream::connect_timeout(address, PATIENCE) {
        Ok(_) => Verdict::Open(format!("{address} answers")),
        Err(error) if error.raw_os_error().is_none() => Verdict::Closed(format!("{address}: no answer in 2 s")),
        Err(error) => Verdict::Closed(format!("{address}: {}", Errno::from(error))),
    })
}
