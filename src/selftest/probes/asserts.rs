//! Probes for the lines of the profile's `[assert]`.

use super::super::facts::{Facts, Verdict};
use super::tools::{each, id, make_file, mounts, not_run, open_to_read, open_to_write};
use crate::sys::Errno;
use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The group of these probes.
pub(crate) const GROUP: &str = "the profile's [assert]";

/// How long to wait for a host that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an `[assert]` line tries, in words.
pub(crate) fn title(kind: &str, value: &str) -> String {
    match kind {
        "cannot_read" => format!("read {value}"),
        "cannot_write" => format!("write to {value}"),
        "cannot_reach" => format!("reach {value}"),
        _ => format!("{kind} {value}"),
    }
}

/// Tries what the `[assert]` line with this index forbids.
pub(crate) fn attempt(facts: &Facts, index: usize) -> Verdict {
    let Some((kind, value)) = facts.granted.asserts.get(index) else { return not_run("there is no such line") };
    match kind.as_str() {
        "cannot_read" => each(names(facts, Path::new(value), index), |path| read(facts, &path, index)),
        "cannot_write" => each(names(facts, Path::new(value), index), |path| write(facts, &path)),
        "cannot_reach" => reach(facts, value),
        _ => not_run(format!("`{kind}` is not known")),
    }
}

/// The paths inside by which what is at a path of the host could be reached: the path itself; where the view shows it,
/// something above it or something in it (`from=`); and mounts of the same file or directory.
fn names(facts: &Facts, path: &Path, index: usize) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    for place in facts.granted.view.iter().filter(|place| place.host) {
        let Some(source) = &place.source else { continue };
        names.extend(match (path.strip_prefix(source), source.starts_with(path)) {
            (Ok(rest), _) if rest.as_os_str().is_empty() => Some(place.path.clone()),
            (Ok(rest), _) => Some(place.path.join(rest)),
            (Err(_), true) => Some(place.path.clone()),
            (Err(_), false) => None,
        });
    }
    let outside = facts.outside.asserted.get(index).copied().flatten();
    let mounted = mounts().unwrap_or_default().into_iter().map(|mount| mount.path);
    names.extend(mounted.filter(|mount| outside.is_some() && id(mount) == outside));
    names.sort();
    names.dedup();
    names
}

/// `cannot_read`. An empty file or directory that is not the host's counts as closed.
fn read(facts: &Facts, path: &Path, index: usize) -> Verdict {
    let shown = path.display();
    let empty = match path.is_dir() {
        true => std::fs::read_dir(path).map(|mut entries| entries.next().is_none()).map_err(Errno::from),
        false => open_to_read(path).map(|_| path.metadata().is_ok_and(|found| found.is_file() && found.len() == 0)),
    };
    let outside = facts.outside.asserted.get(index).copied().flatten();
    // What a service grants is no file of the profile's.
    let public = |name: &str| ["pubring.kbx", "pubring.gpg", "trustdb.gpg"].contains(&name);
    let names = || std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_granted = match path.file_name().and_then(|name| name.to_str()) {
        Some(".gnupg") => id(path) != outside && names().all(|name| name.to_str().is_some_and(public)),
        Some(name) => public(name) && path.parent().is_some_and(|dir| dir.ends_with(".gnupg")),
        None => false,
    };
    match empty {
        Err(errno) => Verdict::Closed(format!("{shown}: {errno}")),
        Ok(false) if facts.granted.gpg_agent && is_granted => {
            Verdict::Shared(format!("{shown} has the public keys, as services.gpg-agent says"))
        }
        Ok(true) if outside.is_none() || id(path) != outside => Verdict::Closed(format!("{shown} is empty")),
        Ok(_) => Verdict::Open(format!("{shown} can be read")),
    }
}

/// `cannot_write`. The sandbox's own memory counts as closed: what is written there goes with it.
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
        Ok(()) if facts.granted.layers(path) => Verdict::Closed(format!("{shown}: changes go to a layer above it")),
        Ok(()) if facts.granted.shows(path) => Verdict::Open(format!("{shown} can be written to")),
        Ok(()) => Verdict::Closed(format!("{shown} is memory of the sandbox's own")),
    }
}

/// `cannot_reach`. By the addresses that the host name has outside: a hostile program needs no name server.
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

#[cfg(test)]
mod tests {
    use super::super::super::facts::Place;
    use super::*;
    use std::net::TcpListener;

    fn attempt(kind: &str, value: &str, writable: bool) -> Verdict {
        let mut facts = Facts::default();
        facts.granted.asserts = vec![(kind.into(), value.into())];
        facts.granted.view = vec![Place {
            path: "/".into(),
            host: writable,
            source: Some("/".into()),
            writable,
            devices: false,
            overlay: false,
        }];
        facts.outside.asserted = vec![id(Path::new(value))];
        super::attempt(&facts, 0)
    }

    fn is_open(verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Open(_) => true,
            Verdict::Closed(_) => false,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_can_be_read_is_told_from_what_cannot() {
        let dir = tempfile::tempdir().unwrap();
        let (file, empty) = (dir.path().join("file"), dir.path().join("empty"));
        std::fs::write(&file, "text").unwrap();
        std::fs::write(&empty, "").unwrap();
        let read = |path: &Path| is_open(&attempt("cannot_read", path.to_str().unwrap(), true));
        assert!(read(&file) && read(dir.path()));
        assert!(read(&empty), "it is the host's");
        assert!(!read(&dir.path().join("none")));
        let mut facts = Facts::default();
        facts.granted.asserts = vec![("cannot_read".into(), empty.to_str().unwrap().into())];
        facts.outside.asserted = vec![Some((1, 1))];
        assert!(!is_open(&super::attempt(&facts, 0)), "it is empty, and another than outside");
    }

    #[test]
    fn what_is_written_to_memory_is_not_written_to_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        assert!(is_open(&attempt("cannot_write", path, true)));
        assert!(!is_open(&attempt("cannot_write", path, false)));
        let file = format!("{path}/none/file");
        assert!(!is_open(&attempt("cannot_write", &file, true)), "its directory is not there");
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
    }

    #[test]
    fn a_host_that_answers_is_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(is_open(&attempt("cannot_reach", &address, false)));
        drop(listener);
        assert!(crate::sys::soon(|| !is_open(&attempt("cannot_reach", &address, false))));
        assert!(matches!(attempt("cannot_reach", "nobody", false), Verdict::NotRun(_)));
    }
}
