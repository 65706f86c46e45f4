//! What belongs to the sandbox's network and is used from outside: sockets, made by a process that joins the network for that alone.

use crate::plan::FORWARDER;
use crate::spec::Transport;
use crate::sys::{self, Errno, SockType};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Something that is made inside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Made {
    /// A socket at a port of the sandbox's loopback. For connections, it listens.
    Port(Transport, IpAddr, u16),
    /// A socket of the port of name servers, at an address of loopback. No other socket can have its address as well.
    NameServer(Transport),
    /// A socket that lists and ends others.
    Diag,
    /// A socket by which the packet filter tells of packets.
    Log,
    /// A socket that sends whole packets, of IPv6 or of IPv4.
    Raw { v6: bool },
    /// A directory in memory that nobody else sees.
    Directory,
}

/// Makes these in the user and the network namespace of a sandbox, in this order; each of them, or the errno.
pub(super) fn make(
    user: BorrowedFd<'_>,
    network: BorrowedFd<'_>,
    wanted: &[Made],
) -> sys::Result<Vec<sys::Result<OwnedFd>>> {
    let (ours, theirs) = sys::seqpacket_pair()?;
    let pid = sys::fork(|| {
        let sent = join(user, network).and_then(|()| {
            wanted.iter().try_for_each(|wanted| match wanted.make() {
                Ok(made) => sys::send(theirs.as_fd(), &0_i32.to_ne_bytes(), Some(made.as_fd())),
                Err(errno) => sys::send(theirs.as_fd(), &errno.0.to_ne_bytes(), None),
            })
        });
        match sent {
            Ok(()) => 0,
            Err(errno) => errno.0,
        }
    })?;
    drop(theirs);
    let mut made = Vec::new();
    while made.len() < wanted.len() {
        let mut errno = [0; 4];
        match sys::receive(ours.as_fd(), &mut errno) {
            Ok((4, Some(fd))) => made.push(sys::dup_above(fd.as_fd(), 10)),
            Ok((4, None)) => made.push(Err(Errno(i32::from_ne_bytes(errno)))),
            _ => break,
        }
    }
    match sys::wait_for(pid)? {
        sys::Waited::Exited(0) if made.len() == wanted.len() => Ok(made),
        sys::Waited::Exited(errno) if errno != 0 => Err(Errno(errno)),
        _ => Err(Errno(libc::EIO)),
    }
}

/// Joins the namespaces, and sets loopback up, which is needed before a socket can have an address of it.
fn join(user: BorrowedFd<'_>, network: BorrowedFd<'_>) -> sys::Result<()> {
    sys::join_namespace(user, libc::CLONE_NEWUSER)?;
    sys::join_namespace(network, libc::CLONE_NEWNET)?;
    sys::loopback_up()
}

impl Made {
    fn make(self) -> sys::Result<OwnedFd> {
        match self {
            Made::Port(transport, address, port) => {
                let address = SocketAddr::from((address, port));
                let kind = if transport == Transport::Tcp { SockType::Stream } else { SockType::Datagram };
                let made = sys::bound(kind, address)?;
                if transport == Transport::Tcp {
                    sys::listen_at(made.as_fd())?;
                }
                Ok(made)
            }
            Made::NameServer(Transport::Tcp) => Made::Port(Transport::Tcp, FORWARDER.into(), 53).make(),
            Made::NameServer(Transport::Udp) => {
                let made = Made::Port(Transport::Udp, FORWARDER.into(), 53).make()?;
                sys::alone_at_address(made.as_fd())?;
                Ok(made)
            }
            Made::Diag => sys::diag_socket(),
            Made::Log => sys::netfilter_socket(),
            Made::Raw { v6 } => sys::raw_socket(v6),
            Made::Directory => {
                sys::new_mount_namespace()?;
                // The owner is the first id inside; the caller's is one of those that are mapped.
                sys::new_filesystem(c"tmpfs", &[(c"mode", c"0777"), (c"size", c"64k")], 0)
            }
        }
    }
}
