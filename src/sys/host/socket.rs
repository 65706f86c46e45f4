//! Sockets of other programs: socket(2), connect(2).

use crate::sys::errno::{Errno, Result};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::{Duration, Instant};

/// Interval between attempts to connect to a socket whose backlog is full.
const AGAIN: Duration = Duration::from_millis(5);

/// Connects to a stream socket, close-on-exec: ETIMEDOUT if its backlog stays full for this time.
pub fn connect_within(address: &SocketAddr, patience: Duration) -> Result<UnixStream> {
    let end = Instant::now() + patience;
    let address = match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => UnixAddr::new(path)?,
        (None, Some(name)) => UnixAddr::new_abstract(name)?,
        (None, None) => return Err(Errno(libc::EINVAL)),
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    loop {
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(nix::Error::EINTR) => {}
            // unix(7): a socket that must not block gives EAGAIN where connect(2) would wait for the backlog.
            Err(nix::Error::EAGAIN) if Instant::now() < end => std::thread::sleep(AGAIN),
            Err(nix::Error::EAGAIN) => return Err(Errno(libc::ETIMEDOUT)),
            Err(errno) => return Err(errno.into()),
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false).map_err(Errno::from)?;
    Ok(stream)
}
