//! `--expose` and `--publish-all`.

use crate::cli::args::Sandbox;
use crate::error::{Error, Result, printable};
use crate::spec::{Origin, Published};
use std::ffi::OsString;

/// What `--publish-all` adds to `--publish`: each port that `--expose` names, at any free port of the host, unless `--publish` has it.
///
/// # Errors
///
/// A value of `--expose` is no port, or none is given to publish.
pub(in crate::cli) fn published(args: &Sandbox) -> Result<Vec<OsString>> {
    let origin = Origin(String::new());
    let mut exposed = Vec::new();
    for text in &args.familiar.expose {
        let ports = Published::read(&format!("0:{text}"), &origin).ok().filter(|_| !text.contains(':'));
        exposed.extend(ports.ok_or_else(|| {
            Error::new(format!("--expose {}: it is no port", printable(text)))
                .hint("write a port inside, or several in a row: --expose 80, --expose 8000-8010/udp")
        })?);
    }
    if !args.familiar.publish_all {
        return Ok(Vec::new());
    }
    if exposed.is_empty() {
        return Err(Error::new("--publish-all: nothing says which ports the program listens at")
            .hint("name each: --expose 80; or --publish 8080:80, and --publish 0:80 for any free port of the host"));
    }
    let named = args.publish.iter().filter_map(|text| Published::read(text.to_str()?, &origin).ok());
    let named: Vec<_> = named.flatten().collect();
    let same = |a: &Published, b: &Published| (a.inside, a.transport) == (b.inside, b.transport);
    let mut all: Vec<Published> = Vec::new();
    for port in exposed {
        if !named.iter().chain(&all).any(|other| same(other, &port)) {
            all.push(port);
        }
    }
    Ok(all.iter().map(|port| format!("0:{}/{}", port.inside, port.transport.word()).into()).collect())
}
