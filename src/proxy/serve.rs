//! The process that accepts a proxy's connections. It reads nothing that a program in the sandbox sends: each connection
//! is a process of its own.

use super::confine;
use super::filter::Filter;
use super::relay::{Asker, End, relay};
use crate::sys::{self, Poll, PollSet, Waited};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

/// Connections at a time. Further ones wait. PulseAudio takes 64 in all, from all programs.
const MOST_CONNECTIONS: usize = 16;

/// How long a server may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reasons for notes that all proxies have; the filters' own are below.
mod reason {
    pub const NO_SERVER: u8 = 250;
    pub const BROKEN_BY_CLIENT: u8 = 251;
    pub const BROKEN_BY_SERVER: u8 = 252;
    pub const FAILED: u8 = 253;
    pub const KILLED: u8 = 254;
    pub const FULL: u8 = 255;
}

/// The sentence for a reason that all proxies have.
pub fn note(reason: u8) -> Option<&'static str> {
    Some(match reason {
        reason::NO_SERVER => "no server answers at its socket",
        reason::BROKEN_BY_CLIENT => "the program broke the protocol, and its connection was ended",
        reason::BROKEN_BY_SERVER => "the server broke the protocol, and the connection was ended",
        reason::FAILED => "a connection could not be served: the kernel refused a call",
        reason::KILLED => "the process of a connection was killed by a signal",
        reason::FULL => "the program has as many connections as it may have, and further ones wait",
        _ => return None,
    })
}

/// A proxy.
pub struct Proxy<M> {
    /// The socket that programs in the sandbox connect to.
    pub listener: UnixListener,
    /// The writing end of the launcher's pipe: each byte is the reason for a note. The pipe has no reader any more once the launcher has ended.
    pub launcher: OwnedFd,
    /// Path of the server's socket.
    pub server: PathBuf,
    /// The socket to the launcher by which connections get one of their own to ask the user, if they ask.
    pub asks: Option<OwnedFd>,
    /// Makes the filter of a connection.
    pub filter: M,
}

/// The process of a connection.
struct Connection {
    pid: i32,
    pidfd: OwnedFd,
}

impl<M: Fn() -> F, F: Filter> Proxy<M> {
    /// Serves until the launcher has ended.
    ///
    /// # Errors
    ///
    /// The process cannot be confined, or cannot wait any more.
    pub fn run(self) -> sys::Result<()> {
        sys::set_nonblocking(self.launcher.as_fd(), true)?;
        let asks = self.asks.as_ref().map(AsRawFd::as_raw_fd);
        let keep: Vec<_> = [self.listener.as_raw_fd(), self.launcher.as_raw_fd()].into_iter().chain(asks).collect();
        confine::proxy(&keep)?;
        let mut connections = Vec::<Connection>::new();
        let mut set = PollSet::default();
        loop {
            set.clear();
            set.add(Poll::end(self.launcher.as_raw_fd()));
            let full = connections.len() >= MOST_CONNECTIONS;
            set.add(Poll::read(if full { -1 } else { self.listener.as_raw_fd() }));
            connections.iter().for_each(|connection| set.add(Poll::read(connection.pidfd.as_raw_fd())));
            set.wait(None)?;
            if set.is_ready(0) {
                return Ok(());
            }
            let mut index = 2;
            connections.retain(|connection| {
                index += 1;
                let ended = set.is_ready(index - 1);
                if ended && matches!(sys::wait_for(connection.pid), Ok(Waited::Signaled(_))) {
                    self.tell(reason::KILLED);
                }
                !ended
            });
            if set.is_ready(1) {
                self.accept(&mut connections);
                if connections.len() >= MOST_CONNECTIONS {
                    self.tell(reason::FULL);
                }
            }
        }
    }

    /// Takes a connection, and starts its process.
    fn accept(&self, connections: &mut Vec<Connection>) {
        let Ok((client, _)) = self.listener.accept() else { return };
        let proxy = sys::pid();
        let child = || -> i32 {
            // It ends with the proxy. Had that ended before, nothing would tell.
            if sys::set_parent_death_signal(libc::SIGKILL).is_err() || sys::parent_pid() != proxy {
                return 1;
            }
            if let Some(reason) = self.serve(client.as_fd()) {
                self.tell(reason);
            }
            0
        };
        let Ok(pid) = sys::fork(child) else { return };
        // It is not reaped before it is waited for, so the process id is still its own.
        match sys::pidfd_open(pid) {
            Ok(pidfd) => connections.push(Connection { pid, pidfd }),
            Err(_) => drop((sys::kill(pid, libc::SIGKILL), sys::wait_for(pid))),
        }
    }

    /// Serves one connection, in its process. Gives the reason for a note.
    fn serve(&self, client: BorrowedFd<'_>) -> Option<u8> {
        let connected = || -> std::io::Result<(UnixStream, UnixStream)> {
            let client = UnixStream::from(client.try_clone_to_owned()?);
            let address = SocketAddr::from_pathname(&self.server)?;
            let server = sys::connect_within(&address, PATIENCE)?;
            sys::attach_credentials(server.as_fd())?;
            client.set_nonblocking(true)?;
            server.set_nonblocking(true)?;
            Ok((client, server))
        };
        let Ok((client, server)) = connected() else { return Some(reason::NO_SERVER) };
        let asker = match self.asks.as_ref().map(|launcher| asker(launcher.as_fd())).transpose() {
            Ok(asker) => asker,
            Err(_) => return Some(reason::FAILED),
        };
        let mut keep = vec![client.as_raw_fd(), server.as_raw_fd(), self.launcher.as_raw_fd()];
        keep.extend(asker.iter().map(|asker| asker.0.as_raw_fd()));
        if confine::connection(&keep).is_err() {
            return Some(reason::FAILED);
        }
        match relay(client, server, asker.as_ref(), &mut (self.filter)(), |reason| self.tell(reason)) {
            Ok(End::Closed) => None,
            Ok(End::BrokenByClient) => Some(reason::BROKEN_BY_CLIENT),
            Ok(End::BrokenByServer) => Some(reason::BROKEN_BY_SERVER),
            Err(_) => Some(reason::FAILED),
        }
    }

    /// Tells the launcher the reason for a note. Should the pipe be full, the note is lost and nothing else.
    fn tell(&self, reason: u8) {
        let _ = sys::write_all(self.launcher.as_fd(), &[reason]);
    }
}

/// Hands the launcher one end of a new connection by which the user is asked.
fn asker(launcher: BorrowedFd<'_>) -> sys::Result<Asker> {
    let (ours, theirs) = sys::seqpacket_pair()?;
    sys::send(launcher, &[0], Some(theirs.as_fd()))?;
    Ok(Asker(ours))
}
