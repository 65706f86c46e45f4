//! Datagrams of the port relay: each sender gets a socket of its own on the other side, so that answers find their way back.

use super::target::Target;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How long a sender is remembered from whom, and for whom, nothing comes. As long as the kernel's own translation of addresses
/// remembers one that has got answers (nf_conntrack_udp_timeout_stream).
const IDLE: Duration = Duration::from_secs(120);

/// Datagrams that are taken from a socket before others get their turn.
const TURN: usize = 64;

/// One who sends.
struct Peer {
    address: SocketAddr,
    /// The socket on the other side, connected to where what is sent goes.
    socket: UdpSocket,
    last: std::cell::Cell<Instant>,
}

/// A socket that datagrams come to, and those who have sent some.
pub(super) struct Datagrams {
    socket: UdpSocket,
    target: Target,
    peers: Vec<Peer>,
    by_address: HashMap<SocketAddr, usize>,
    /// Peers that there may be.
    most: usize,
}

impl Datagrams {
    pub(super) fn new(socket: UdpSocket, target: Target) -> Datagrams {
        Datagrams { socket, target, peers: Vec::new(), by_address: HashMap::new(), most: 1 }
    }

    /// Sets how many peers there may be.
    pub(super) fn allow(&mut self, most: usize) {
        self.most = most.max(1);
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The sockets of its peers, in the order of their numbers.
    pub(super) fn peers(&self) -> impl Iterator<Item = RawFd> {
        self.peers.iter().map(|peer| peer.socket.as_raw_fd())
    }

    /// Milliseconds until a peer may be forgotten; none if there is no peer.
    pub(super) fn next_look(&self) -> Option<i32> {
        let last = self.peers.iter().map(|peer| peer.last.get()).min()?;
        let left = (last + IDLE).saturating_duration_since(Instant::now());
        Some(i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1))
    }

    /// Sends on what has come. Datagrams may be lost: one that cannot be sent on is.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) {
        for _ in 0..TURN {
            let (length, address) = match self.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(_) => return,
            };
            if let Some(peer) = self.peer(address) {
                peer.last.set(Instant::now());
                let _ = peer.socket.send(buffer.get(..length).unwrap_or_default());
            }
        }
    }

    /// Sends back what has come for a peer.
    pub(super) fn answer(&self, peer: usize, buffer: &mut [u8]) {
        let Some(peer) = self.peers.get(peer) else { return };
        for _ in 0..TURN {
            match peer.socket.recv(buffer) {
                Ok(length) => {
                    peer.last.set(Instant::now());
                    let _ = self.socket.send_to(buffer.get(..length).unwrap_or_default(), peer.address);
                }
                // Nothing more, or nobody listens there: the error has been taken.
                Err(_) => return,
            }
        }
    }

    /// Forgets those who have been idle for long.
    pub(super) fn forget(&mut self) {
        let now = Instant::now();
        let count = self.peers.len();
        self.peers.retain(|peer| now.saturating_duration_since(peer.last.get()) < IDLE);
        if self.peers.len() != count {
            self.count();
        }
    }

    fn count(&mut self) {
        self.by_address = self.peers.iter().enumerate().map(|(index, peer)| (peer.address, index)).collect();
    }

    /// The peer with this address. If there is no room for another one, the one that has been idle for longest makes it.
    fn peer(&mut self, address: SocketAddr) -> Option<&Peer> {
        if let Some(known) = self.by_address.get(&address) {
            return self.peers.get(*known);
        }
        if self.peers.len() >= self.most {
            let oldest = self.peers.iter().enumerate().min_by_key(|(_, peer)| peer.last.get())?.0;
            self.peers.remove(oldest);
            self.count();
        }
        let socket = self.connect().ok()?;
        let last = std::cell::Cell::new(Instant::now());
        self.by_address.insert(address, self.peers.len());
        self.peers.push(Peer { address, socket, last });
        self.peers.last()
    }

    fn connect(&self) -> std::io::Result<UdpSocket> {
        let target = self.target.addresses().first().copied().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        let socket = UdpSocket::from(crate::sys::connected_datagrams(target)?);
        // Where nobody has the port, the kernel may choose it for the socket itself.
        if socket.local_addr()? == target { Err(std::io::ErrorKind::AddrInUse.into()) } else { Ok(socket) }
    }
}
