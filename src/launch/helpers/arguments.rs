//! The arguments of a helper, with the descriptors that they name.

use super::requests;
use crate::error::{Error, Result};
use crate::launch::inside;
use crate::plan::{Argument, Given, HelperSpec};
use crate::spec::{Published, Transport};
use crate::sys;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The arguments of a helper, and what they are about.
#[derive(Default)]
pub(super) struct Arguments {
    pub words: Vec<OsString>,
    /// Descriptors that the helper inherits, open here until it is started.
    pub inherited: Vec<OwnedFd>,
    /// The reading end of its pipe.
    pub pipe: Option<OwnedFd>,
    /// This end of the socket by which it asks.
    pub asks: Option<OwnedFd>,
    /// The directory of the socket by which it takes requests.
    pub requests: Option<OwnedFd>,
    /// This end of the socket by which it has the packet filter let addresses through.
    pub filter: Option<OwnedFd>,
}

/// Fills in the numbers of descriptors and process ids.
pub(super) fn arguments(spec: &HelperSpec, first: i32, given: &[OwnedFd], ports: &[Published]) -> Result<Arguments> {
    let mut out = Arguments::default();
    for arg in &spec.args {
        let word = match arg {
            Argument::Text(text) => text.clone(),
            Argument::FirstProcess => first.to_string(),
            Argument::Given(index) => {
                let fd = given.get(*index).ok_or(sys::Errno(libc::EBADF)).and_then(|fd| sys::dup_above(fd.as_fd(), 10));
                let fd = fd.and_then(inheritable).map_err(|errno| failed(spec, "dup", errno))?;
                let word = fd.as_raw_fd().to_string();
                out.inherited.push(fd);
                word
            }
            Argument::Pipe(prefix) => {
                let (ours, theirs) = sys::pipe().map_err(|errno| failed(spec, "pipe", errno))?;
                // The helper must have the only writing end, or the pipe would not show that it has ended.
                let theirs = inheritable(theirs).map_err(|errno| failed(spec, "dup", errno))?;
                let word = format!("{prefix}{}", theirs.as_raw_fd());
                out.pipe = Some(ours);
                out.inherited.push(theirs);
                word
            }
            Argument::Asks(_) => {
                let (ours, theirs) = sys::seqpacket_pair().map_err(|errno| failed(spec, "socketpair", errno))?;
                let theirs = inheritable(theirs).map_err(|errno| failed(spec, "dup", errno))?;
                let word = theirs.as_raw_fd().to_string();
                out.asks = Some(ours);
                out.inherited.push(theirs);
                word
            }
            Argument::Rules => {
                let (ours, theirs) = sys::seqpacket_pair().map_err(|errno| failed(spec, "socketpair", errno))?;
                let theirs = inheritable(theirs).map_err(|errno| failed(spec, "dup", errno))?;
                let word = theirs.as_raw_fd().to_string();
                out.filter = Some(ours);
                out.inherited.push(theirs);
                word
            }
            Argument::Published(index) => {
                ports.get(*index).map(published).ok_or_else(|| failed(spec, "a port", sys::Errno(libc::EINVAL)))?
            }
            Argument::Requests => {
                let index = spec.descriptors.iter().position(|(_, given)| *given == Given::Requests);
                let dir = index.and_then(|index| given.get(index)).ok_or(sys::Errno(libc::EBADF));
                let dup = |dir: &OwnedFd| sys::dup_above(dir.as_fd(), 10);
                let opened = dir.and_then(|dir| Ok((inheritable(dup(dir)?)?, dup(dir)?)));
                let (theirs, ours) = opened.map_err(|errno| failed(spec, "dup", errno))?;
                let word = format!("--api-socket=/proc/self/fd/{}/{}", theirs.as_raw_fd(), requests::SOCKET);
                out.requests = Some(ours);
                out.inherited.push(theirs);
                word
            }
            Argument::Inside(path) => {
                // A descriptor of the directory rather than its path: root inside may put a link where it was, and a
                // helper may remove its socket when it ends.
                let dir = inside::directory(path, first)
                    .and_then(inheritable)
                    .map_err(|errno| failed(spec, "the socket's directory inside cannot be opened", errno))?;
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let word = format!("/proc/self/fd/{}/{file}", dir.as_raw_fd());
                out.inherited.push(dir);
                word
            }
        };
        out.words.push(word.into());
    }
    out.words.extend(spec.rules.iter().map(OsString::from));
    Ok(out)
}

/// The option of pasta(1) that publishes a port.
fn published(port: &Published) -> String {
    let option = if port.transport == Transport::Tcp { "--tcp-ports" } else { "--udp-ports" };
    format!("{option}={}/{}:{}", port.address, port.host, port.inside)
}

/// A duplicate that started programs inherit: at a number that nothing else has, without close-on-exec, since the
/// standard library starts programs by fork and exec.
fn inheritable(fd: OwnedFd) -> sys::Result<OwnedFd> {
    let high = sys::dup_above(fd.as_fd(), 10)?;
    sys::set_cloexec(high.as_fd(), false)?;
    Ok(high)
}

/// The error for what a helper cannot have.
pub(super) fn failed(spec: &HelperSpec, what: &str, errno: sys::Errno) -> Error {
    Error::new(format!("{}: {what}: {errno}", spec.name)).origin(&spec.origin)
}
