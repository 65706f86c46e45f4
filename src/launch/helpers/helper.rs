//! A helper of a sandbox: started, waited for until it is ready, watched, and ended.

use super::arguments::{Arguments, arguments, failed};
use super::command;
use super::confined::{Confined, high};
use super::joined::{Joined, words};
use super::requests;
use crate::error::{Error, Result};
use crate::launch::inside;
use crate::plan::{Argument, Carrier, Confinement, Given, HelperSpec, Loss, Plan, Readiness, Tells};
use crate::proxy::names::ask::{LONGEST, Told};
use crate::spec::Published;
use crate::sys::{self, Poll};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long a helper may take to be ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// Interval between looks for a file that says that a helper is ready.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until a descriptor is ready, for this time at most; false when that is over. An error ends the start.
pub(in crate::launch) type Wait<'a> = &'a mut dyn FnMut(RawFd, Duration) -> Result<bool>;

/// A running helper. It ends with sbx: it is killed and reaped when this is dropped, and if sbx itself is killed, a
/// helper with a pipe can see that nobody reads that any more.
pub(in crate::launch) struct Helper<'p> {
    spec: &'p HelperSpec,
    process: Process,
    /// The reading end of its pipe.
    pipe: Option<OwnedFd>,
    /// The socket by which it hands over those that ask the user, and the program that is asked with.
    asks: Option<(OwnedFd, &'p Path)>,
    /// The directory of the socket by which it takes requests, if it does.
    requests: Option<OwnedFd>,
    /// The socket by which it has the packet filter let addresses through.
    filter: Option<OwnedFd>,
    /// Reasons for notes that it has told.
    told: BTreeSet<u8>,
}

/// The process of a helper.
enum Process {
    /// A program with the caller's rights, and its pidfd.
    Caller(Child, OwnedFd),
    /// A program that joins the sandbox's namespaces.
    Joined(Joined),
    /// A program in a sandbox of its own.
    Confined(Box<Confined>),
}

impl<'p> Helper<'p> {
    /// Starts a helper. `confined` is the plan of its own sandbox, if it has one; `first` the process id of the sandbox's
    /// first process, and `mask` the signal mask of programs. `given` are its descriptors, from [`given`]; `ports` those
    /// that are published.
    pub(in crate::launch) fn start(
        spec: &'p HelperSpec,
        confined: Option<&Plan>,
        first: i32,
        mask: &sys::Mask,
        given: &[OwnedFd],
        ports: &[Published],
    ) -> Result<Helper<'p>> {
        let Arguments { words, inherited, pipe, asks, requests, filter } = arguments(spec, first, given, ports)?;
        let numbers = spec.descriptors.iter().map(|(number, _)| *number);
        let moves: Vec<_> = given.iter().map(AsRawFd::as_raw_fd).zip(numbers).collect();
        let process = match &spec.confinement {
            Confinement::Sandbox(_) => {
                let plan = confined.ok_or_else(|| failed(spec, "it has no plan", sys::Errno(libc::EINVAL)))?;
                let started = Confined::start(plan.clone(), words, &inherited, &moves, mask);
                let started = started.map_err(|error| Error {
                    message: format!("{} cannot be started: {}", spec.name, error.message),
                    ..error
                });
                Process::Confined(Box::new(started?))
            }
            Confinement::Joined(joined) => {
                let mut command = command::helper(&spec.program);
                command.args(words).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
                let started = Joined::start(command, given, joined, requests.as_ref());
                Process::Joined(started.map_err(|errno| failed(spec, "cannot be started", errno))?)
            }
            Confinement::Caller | Confinement::Own => {
                let mut command = command::helper(&spec.program);
                command.args(words).stdout(Stdio::null());
                let mut child = command.spawn().map_err(|error| failed(spec, "cannot be started", error.into()))?;
                // The child is not reaped before it is waited for, so the process id is still its own.
                match sys::pidfd_open(child.id() as i32) {
                    Ok(pidfd) => Process::Caller(child, pidfd),
                    Err(errno) => {
                        let _ = (child.kill(), child.wait());
                        return Err(failed(spec, "pidfd_open", errno));
                    }
                }
            }
        };
        drop(inherited);
        let program = spec.args.iter().find_map(|arg| match arg {
            Argument::Asks(program) => Some(program.as_path()),
            _ => None,
        });
        Ok(Helper { spec, process, pipe, asks: asks.zip(program), requests, filter, told: BTreeSet::new() })
    }

    /// Has the helper publish the ports that it carries, if it takes requests.
    pub(in crate::launch) fn publish(&self, plan: &Plan, ports: &[Published]) -> Result<()> {
        let Some(requests) = &self.requests else { return Ok(()) };
        let carried = plan.ports.iter().zip(ports).filter(|(planned, _)| planned.carrier != Carrier::Relay);
        for (_, port) in carried {
            requests::publish(requests.as_fd(), port).map_err(|why| {
                Error::new(format!("{port} cannot be published by {}: {why}", self.spec.name)).origin(&port.origin)
            })?;
        }
        // What it says about requests is no reason for its end.
        let _ = self.failure();
        Ok(())
    }

    /// Waits until the helper is ready, as its [`Readiness`] defines it. An error if it ends, or takes longer than
    /// [`PATIENCE`].
    pub(in crate::launch) fn expect_ready(&self, wait: Wait<'_>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        let left = || end.saturating_duration_since(Instant::now());
        match &self.spec.readiness {
            Readiness::Started => Ok(()),
            Readiness::Byte | Readiness::Line => {
                // The helper has no pipe to report on.
                let Some(pipe) = self.pipe.as_ref().map(AsFd::as_fd) else { return Err(self.late()) };
                loop {
                    if !wait(pipe.as_raw_fd(), left())? {
                        return Err(self.late());
                    }
                    let mut byte = [0];
                    match sys::read(pipe, &mut byte) {
                        Ok(1) if self.spec.readiness == Readiness::Byte || byte == *b"\n" => {
                            if let Process::Joined(joined) = &self.process {
                                // slirp4netns(1) says what it does while it starts.
                                let _ = joined.failure();
                            }
                            return Ok(());
                        }
                        Ok(1) => {}
                        _ => return Err(self.ended_early()),
                    }
                }
            }
            Readiness::Number => {
                let Process::Joined(joined) = &self.process else { return Err(self.late()) };
                let mut said = Vec::new();
                let is_number = |line: &[u8]| !line.is_empty() && line.iter().all(u8::is_ascii_digit);
                loop {
                    if !wait(joined.said().as_raw_fd(), left())? {
                        return Err(self.late());
                    }
                    let mut bytes = [0; 512];
                    match sys::read(joined.said().as_fd(), &mut bytes) {
                        Ok(length @ 1..) => said.extend_from_slice(bytes.get(..length).unwrap_or_default()),
                        _ => return Err(self.ended_saying(words(&said))),
                    }
                    let complete = said.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                    if said.get(..complete).unwrap_or_default().split(|byte| *byte == b'\n').any(is_number) {
                        return Ok(());
                    }
                }
            }
            Readiness::File(path) => loop {
                if path.exists() {
                    return Ok(());
                }
                if left().is_zero() {
                    return Err(self.late());
                }
                if wait(self.fd(), LOOK)? {
                    return Err(self.ended_early());
                }
            },
        }
    }

    fn late(&self) -> Error {
        let HelperSpec { name, program, words, origin, .. } = self.spec;
        Error::new(format!("{name} is not ready after {} s", PATIENCE.as_secs()))
            .origin(origin)
            .hint(format!("see whether {program} works; {}", words.without))
    }

    fn ended_early(&self) -> Error {
        self.ended_saying(self.failure())
    }

    /// What it has said and nobody has read yet; none if the caller sees that.
    fn failure(&self) -> Option<String> {
        match &self.process {
            Process::Caller(..) => None,
            Process::Joined(joined) => joined.failure(),
            Process::Confined(confined) => confined.failure(),
        }
    }

    /// The error for a helper that has ended before it was ready, with what it said.
    fn ended_saying(&self, said: Option<String>) -> Error {
        let HelperSpec { name, words, origin, .. } = self.spec;
        Error::new(format!("{name} ended before {}", words.ready)).origin(origin).hint(match (&self.process, said) {
            (Process::Caller(..), _) => format!("see what it wrote above; {}", words.needs),
            (_, Some(why)) => format!("it says: {why}"),
            (_, None) => words.needs.to_owned(),
        })
    }

    /// The helper's pidfd, ready to read when it has ended.
    pub(in crate::launch) fn fd(&self) -> RawFd {
        match &self.process {
            Process::Caller(_, pidfd) => pidfd.as_raw_fd(),
            Process::Joined(joined) => joined.fd(),
            Process::Confined(confined) => confined.fd(),
        }
    }

    /// Kills the helper, if it has no sandbox of its own, and does not wait for its end.
    pub(in crate::launch) fn kill(&mut self) {
        match &mut self.process {
            Process::Caller(child, _) => {
                let _ = child.kill();
            }
            Process::Joined(joined) => joined.kill(),
            Process::Confined(_) => {}
        }
    }

    /// Descriptors that must stay open while the helper runs: its pidfd first, then the pipe that one writes to that joins namespaces.
    pub(in crate::launch) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let own = match &self.process {
            Process::Caller(_, pidfd) => vec![pidfd.as_raw_fd()],
            Process::Joined(joined) => joined.descriptors().to_vec(),
            Process::Confined(confined) => confined.descriptors().to_vec(),
        };
        let asks = self.asks.as_ref().map(|(socket, _)| socket.as_raw_fd());
        let filter = self.filter.as_ref().map(AsRawFd::as_raw_fd);
        own.into_iter().chain(self.pipe.as_ref().map(AsRawFd::as_raw_fd)).chain(asks).chain(filter)
    }

    /// The socket that those come by who ask the user; negative if there is none.
    pub(in crate::launch) fn asks_fd(&self) -> RawFd {
        self.asks.as_ref().map_or(-1, |(socket, _)| socket.as_raw_fd())
    }

    /// One who asks the user, if one has come: its socket, and the program to ask with.
    pub(in crate::launch) fn asker(&mut self) -> Option<(OwnedFd, &'p Path)> {
        let (socket, program) = self.asks.as_ref()?;
        let mut set = [Poll::read(socket.as_raw_fd())];
        sys::poll(&mut set, Some(0)).ok().filter(|()| set.iter().any(|socket| socket.ready))?;
        match sys::receive(socket.as_fd(), &mut [0; 1]) {
            Ok((1.., asker)) => asker.map(|asker| (asker, *program)),
            // It has ended.
            _ => {
                self.asks = None;
                None
            }
        }
    }

    /// The socket by which it has the packet filter let addresses through; negative if there is none.
    pub(in crate::launch) fn filter_fd(&self) -> RawFd {
        self.filter.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Says something to the forwarder of names, if it is that.
    pub(in crate::launch) fn say(&mut self, told: &Told) {
        if let Some(socket) = &self.filter
            && sys::send_now(socket.as_fd(), &told.encode()).is_err()
        {
            self.filter = None;
        }
    }

    /// The same, with a descriptor.
    pub(in crate::launch) fn hand(&mut self, told: &Told, with: BorrowedFd<'_>) {
        if let Some(socket) = &self.filter
            && sys::pass_now(socket.as_fd(), &told.encode(), with).is_err()
        {
            self.filter = None;
        }
    }

    /// Takes one message that the forwarder of names has sent, and answers it. It does not wait: whether there was one.
    pub(in crate::launch) fn filter(&mut self, answer: impl FnOnce(&[u8]) -> Option<Told>) -> bool {
        let Some(socket) = &self.filter else { return false };
        let mut set = [Poll::read(socket.as_raw_fd())];
        if sys::poll(&mut set, Some(0)).is_err() || !set.iter().any(|socket| socket.ready) {
            return false;
        }
        let mut message = [0; LONGEST];
        let answered = match sys::receive(socket.as_fd(), &mut message) {
            Ok((length @ 1.., _)) => match answer(message.get(..length).unwrap_or_default()) {
                Some(told) => sys::send_now(socket.as_fd(), &told.encode()),
                None => Ok(()),
            },
            _ => Err(sys::Errno(libc::EPIPE)),
        };
        // It has ended, or does not wait for the answer.
        if answered.is_err() {
            self.filter = None;
        }
        true
    }

    /// The pipe that reasons for notes come by; negative if there is none, or it is at its end.
    pub(in crate::launch) fn notes_fd(&self) -> RawFd {
        self.pipe.as_ref().filter(|_| self.spec.tells != Tells::Nothing).map_or(-1, AsRawFd::as_raw_fd)
    }

    /// The notes whose reasons have come, each once. It does not wait if there is nothing to read, or nothing any more.
    pub(in crate::launch) fn notes(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let Some(pipe) = self.pipe.as_ref().filter(|_| self.spec.tells != Tells::Nothing) else { return found };
        let mut bytes = [0; 256];
        let mut set = [Poll::read(pipe.as_raw_fd())];
        while sys::poll(&mut set, Some(0)).is_ok() && set.iter().any(|pipe| pipe.ready) {
            let length = sys::read(pipe.as_fd(), &mut bytes).unwrap_or(0);
            if length == 0 {
                self.pipe = None;
                break;
            }
            for byte in bytes.get(..length).unwrap_or_default() {
                if self.told.insert(*byte) {
                    found.extend(self.spec.tells.note(*byte));
                }
            }
        }
        found
    }

    /// The part of the plan that the helper was started from.
    pub(in crate::launch) fn spec(&self) -> &'p HelperSpec {
        self.spec
    }

    /// How the helper ended and what is lost with it, as a sentence; none while it runs.
    pub(in crate::launch) fn exit_description(&mut self) -> Option<String> {
        let how = match &mut self.process {
            Process::Caller(child, _) => match child.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => status.to_string(),
                Err(error) => error.to_string(),
            },
            Process::Joined(joined) => joined.ended()?,
            Process::Confined(confined) => confined.ended()?,
        };
        let said = self.failure();
        let how = said.map_or_else(|| how.clone(), |why| format!("{how}: {why}"));
        let (Loss::Note(loss) | Loss::End(loss)) = self.spec.loss;
        Some(format!("{} ended ({how}): {loss}", self.spec.program))
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The process of a confined one is killed and reaped when it is dropped itself.
        if let Process::Caller(child, _) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Makes the descriptors that a helper gets, in the order of its plan: when the view is complete, and before the program
/// could put something else at the paths in it.
pub(in crate::launch) fn given(spec: &HelperSpec, first: i32) -> Result<Vec<OwnedFd>> {
    let connect = |path: &Path| -> sys::Result<OwnedFd> {
        let address = SocketAddr::from_pathname(path)?;
        Ok(sys::connect_within(&address, PATIENCE)?.into())
    };
    let make = |given: &Given| match given {
        Given::Listener(path) => inside::listen(path, first),
        Given::Connection(path) => connect(path),
        Given::ConnectionInside(path) => inside::reach(path, first, connect),
        // The first process has sent it.
        Given::Filesystem
        | Given::Layers
        | Given::UserNamespace
        | Given::NetworkNamespace
        | Given::Port(_)
        | Given::Forwarded(..)
        | Given::NameServer(_)
        | Given::Peers
        | Given::Requests => Err(sys::Errno(libc::EBADF)),
    };
    let all = spec.descriptors.iter().map(|(_, given)| {
        let fd = make(given).and_then(high);
        fd.map_err(|errno| {
            let what = match given {
                Given::Listener(path) | Given::Connection(path) | Given::ConnectionInside(path) => {
                    format!("the socket {}", path.display())
                }
                _ => "/dev/fuse".to_owned(),
            };
            failed(spec, &what, errno)
        })
    });
    all.collect()
}

/// Opens the user and the network namespace of the sandbox's first process.
pub(in crate::launch) fn namespaces(spec: &HelperSpec, first: i32) -> Result<(OwnedFd, OwnedFd)> {
    let open = |name: &str| {
        let path = CString::new(format!("/proc/{first}/ns/{name}")).unwrap_or_default();
        let opened = sys::openat(sys::cwd(), &path, libc::O_RDONLY, 0).and_then(high);
        opened.map_err(|errno| failed(spec, &format!("the {name} namespace of the sandbox cannot be opened"), errno))
    };
    Ok((open("user")?, open("net")?))
}
