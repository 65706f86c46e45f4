//! The process of the port relay: waits for all of its sockets, and gives each what has come to it.

use super::confine;
use super::target::Target;
use super::tcp::{Connection, State};
use super::udp::Datagrams;
use crate::sys::{self, Poll, PollSet};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Connections at a time. Further ones wait.
const MOST_CONNECTIONS: usize = 1024;

/// Descriptors that are not for connections: the pipe, streams, and some room.
const OTHERS: usize = 16;

/// How long to wait before connections are accepted again that could not be accepted, in milliseconds.
const AGAIN: i32 = 100;

/// A socket that others come to.
pub(super) enum Listener {
    /// For connections.
    Tcp { listener: TcpListener, target: Target },
    /// For datagrams.
    Udp(Datagrams),
}

impl Listener {
    pub(super) fn tcp(listener: TcpListener, port: u16) -> std::io::Result<Listener> {
        listener.set_nonblocking(true)?;
        let target = Target::of(&listener.local_addr()?, port);
        Ok(Listener::Tcp { listener, target })
    }

    pub(super) fn udp(socket: UdpSocket, port: u16) -> std::io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let target = Target::of(&socket.local_addr()?, port);
        Ok(Listener::Udp(Datagrams::new(socket, target)))
    }

    fn fd(&self) -> RawFd {
        match self {
            Listener::Tcp { listener, .. } => listener.as_raw_fd(),
            Listener::Udp(datagrams) => datagrams.fd(),
        }
    }
}

/// What is waited for, in the order in which it is added to a set.
enum Source {
    Listener(usize),
    /// A peer of a listener's, by its number there.
    Peer(usize, usize),
    /// Both sides of a connection.
    Connection(usize),
}

/// The relay.
pub(super) struct Server {
    /// The writing end of the launcher's pipe, which has no reader any more once the launcher has ended.
    launcher: OwnedFd,
    listeners: Vec<Listener>,
    connections: Vec<Connection>,
    /// Connections that there may be.
    most: usize,
}

impl Server {
    pub(super) fn new(launcher: OwnedFd, listeners: Vec<Listener>) -> Server {
        Server { launcher, listeners, connections: Vec::new(), most: 0 }
    }

    /// Relays until the launcher has ended.
    pub(super) fn run(mut self) -> sys::Result<()> {
        let keep = self.listeners.iter().map(Listener::fd).chain([self.launcher.as_raw_fd()]);
        let descriptors = confine::confine(keep)?;
        // Half of the room is for peers that send datagrams.
        let room = descriptors.saturating_sub(self.listeners.len() + OTHERS) / 2;
        self.most = (room / 2).clamp(1, MOST_CONNECTIONS);
        let datagrams = self.listeners.iter().filter(|listener| matches!(listener, Listener::Udp(_))).count();
        for listener in &mut self.listeners {
            if let Listener::Udp(each) = listener {
                each.allow(room / datagrams.max(1));
            }
        }
        sys::write_all(self.launcher.as_fd(), b"r")?;
        let mut buffer = vec![0; super::tcp::PIECE];
        let (mut set, mut sources) = (PollSet::default(), Vec::new());
        let mut pause = false;
        loop {
            set.clear();
            sources.clear();
            set.add(Poll::end(self.launcher.as_raw_fd()));
            self.watch(&mut set, &mut sources, pause);
            let idle = self.listeners.iter().filter_map(|listener| match listener {
                Listener::Udp(datagrams) => datagrams.next_look(),
                Listener::Tcp { .. } => None,
            });
            set.wait(idle.chain(pause.then_some(AGAIN)).min())?;
            if set.is_ready(0) {
                return Ok(());
            }
            pause = self.serve(&set, &sources, &mut buffer);
        }
    }

    fn watch(&self, set: &mut PollSet, sources: &mut Vec<Source>, pause: bool) {
        let full = pause || self.connections.len() >= self.most;
        for (index, listener) in self.listeners.iter().enumerate() {
            let fd = if full && matches!(listener, Listener::Tcp { .. }) { -1 } else { listener.fd() };
            set.add(Poll::read(fd));
            sources.push(Source::Listener(index));
            if let Listener::Udp(datagrams) = listener {
                for (peer, fd) in datagrams.peers().enumerate() {
                    set.add(Poll::read(fd));
                    sources.push(Source::Peer(index, peer));
                }
            }
        }
        for (index, connection) in self.connections.iter().enumerate() {
            connection.wants().into_iter().for_each(|poll| set.add(poll));
            sources.push(Source::Connection(index));
        }
    }

    /// Handles what has come. Whether connections cannot be accepted for the moment.
    fn serve(&mut self, set: &PollSet, sources: &[Source], buffer: &mut [u8]) -> bool {
        let (mut index, mut pause) = (1, false);
        let mut come = Vec::new();
        for source in sources {
            let ready = set.is_ready(index);
            index += 1;
            match source {
                Source::Listener(at) if ready => match self.listeners.get_mut(*at) {
                    Some(Listener::Tcp { listener, target }) => {
                        while self.connections.len() + come.len() < self.most {
                            match listener.accept() {
                                Ok((stream, _)) => come.extend(Connection::new(stream, &target.addresses())),
                                Err(error) => {
                                    let errno = error.raw_os_error();
                                    pause |= matches!(
                                        errno,
                                        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
                                    );
                                    break;
                                }
                            }
                        }
                    }
                    Some(Listener::Udp(datagrams)) => datagrams.receive(buffer),
                    None => {}
                },
                Source::Peer(at, peer) if ready => {
                    if let Some(Listener::Udp(datagrams)) = self.listeners.get(*at) {
                        datagrams.answer(*peer, buffer);
                    }
                }
                Source::Connection(at) => {
                    let sides = [ready, set.is_ready(index)];
                    index += 1;
                    if let Some(connection) = self.connections.get_mut(*at).filter(|_| sides != [false, false]) {
                        connection.go_on(sides, buffer);
                    }
                }
                _ => {}
            }
        }
        for listener in &mut self.listeners {
            if let Listener::Udp(datagrams) = listener {
                datagrams.forget();
            }
        }
        self.connections.retain(|connection| connection.state() != State::Over);
        self.connections.extend(come);
        pause
    }
}
