//! Sockets of other programs: socket(2), connect(2), recvmsg(2).

use crate::sys::child::file_type;
use crate::sys::errno::{Errno, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect, getpeername,
    getsockname, getsockopt, recvmsg, setsockopt, socket, sockopt,
};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd};
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

/// Receives bytes from a stream socket without waiting; 0 if the other end is closed. And whether descriptors came with
/// them: recvmsg(2) has no room for any here, so that the kernel closes them.
pub fn receive_bytes(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, bool)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, MsgFlags::MSG_DONTWAIT)?;
    Ok((received.bytes, received.flags.contains(MsgFlags::MSG_CTRUNC)))
}

/// Has the kernel attach this process's credentials to all that is sent on a socket (SO_PASSCRED of unix(7)), whether or
/// not the other end has asked for them before it was sent.
pub fn attach_credentials(socket: BorrowedFd<'_>) -> Result<()> {
    Ok(setsockopt(&socket, sockopt::PassCred, &true)?)
}

/// Whether this is a socket, and whoever holds it can send by it to others than those it is connected to. A socket belongs to the network namespace that
/// it was made in: one of IP, in whatever state, can be connected to another address there (AF_UNSPEC of connect(2)) or bound to one,
/// and one of unix(7) reaches its abstract sockets. Stream sockets of unix(7) that are connected, or listen, stay what they are.
pub fn can_connect_anew(socket: BorrowedFd<'_>) -> bool {
    if file_type(socket) != Ok(libc::S_IFSOCK) {
        return false;
    }
    let fd = socket.as_raw_fd();
    let named = getsockname::<SockaddrStorage>(fd).ok();
    if named.and_then(|name| name.family()) != Some(AddressFamily::Unix) {
        return true;
    }
    let connects = matches!(getsockopt(&socket, sockopt::SockType), Ok(SockType::Stream | SockType::SeqPacket));
    let used =
        || getpeername::<SockaddrStorage>(fd).is_ok() || matches!(getsockopt(&socket, sockopt::AcceptConn), Ok(true));
    !(connects && used())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{Backlog, bind, listen, socketpair};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::{AsFd, OwnedFd};

    #[test]
    fn sockets_that_stay_what_they_are_are_told_from_others() {
        let flags = SockFlag::SOCK_CLOEXEC;
        for (kind, stays) in [(SockType::Stream, true), (SockType::SeqPacket, true), (SockType::Datagram, false)] {
            let (one, other) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
            assert_eq!(can_connect_anew(one.as_fd()), !stays, "{kind:?}");
            drop(other);
            assert_eq!(can_connect_anew(one.as_fd()), !stays, "{kind:?}, whose other end is closed");
            let new = socket(AddressFamily::Unix, kind, flags, None).unwrap();
            assert!(can_connect_anew(new.as_fd()), "{kind:?}");
            if stays {
                bind(new.as_raw_fd(), &UnixAddr::new_unnamed()).unwrap();
                listen(&new, Backlog::new(1).unwrap()).unwrap();
                assert!(!can_connect_anew(new.as_fd()), "{kind:?}");
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let others: [OwnedFd; 3] = [listener.into(), connected.into(), UdpSocket::bind("[::1]:0").unwrap().into()];
        assert!(others.iter().all(|socket| can_connect_anew(socket.as_fd())));
    }
}
