//! Sockets between programs of one user that keep message boundaries (unix(7), SOCK_SEQPACKET), and who is at the other end.

use crate::sys::child::owned;
use crate::sys::errno::{Errno, Result, done};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt, listen, socket, sockopt,
};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Who is at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The process that connected, or listened, in this pid namespace.
    pub pid: i32,
    /// Its effective user id at that time.
    pub uid: u32,
}

fn new() -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?)
}

/// Makes a socket with this name in a directory, and listens at it: close-on-exec, without blocking. By /proc/self/fd, since the address of a socket
/// has room for 107 bytes only.
pub fn listen_in(dir: BorrowedFd<'_>, name: &CStr, waiting: i32) -> Result<OwnedFd> {
    let socket = new()?;
    let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(OsStr::from_bytes(name.to_bytes()));
    bind(socket.as_raw_fd(), &UnixAddr::new(&path)?)?;
    listen(&socket, Backlog::new(waiting)?)?;
    Ok(socket)
}

/// Takes the next connection of a listening socket, close-on-exec, without blocking; EAGAIN if there is none.
pub fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd> {
    Ok(accept4(listener, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?)
}

/// Connects to the socket that a descriptor of its file (O_PATH) names: close-on-exec, without blocking; EAGAIN if no more may wait there.
pub fn connect_to(file: BorrowedFd<'_>) -> Result<OwnedFd> {
    let socket = new()?;
    let path = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
    connect(socket.as_raw_fd(), &UnixAddr::new(&path)?)?;
    Ok(socket)
}

/// SO_PEERCRED: who connected to a socket, or, for who has connected, who listened.
pub fn peer(socket: BorrowedFd<'_>) -> Result<Peer> {
    let found = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Peer { pid: found.pid(), uid: found.uid() })
}

/// SO_PEERPIDFD (Linux 6.5): a pidfd of that process.
pub fn peer_pidfd(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    const SO_PEERPIDFD: i32 = 77;
    let mut fd: i32 = -1;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the kernel writes one int, for which `fd` has room, as `length` says.
    done(unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, (&raw mut fd).cast(), &raw mut length)
    })?;
    if fd < 0 { Err(Errno(libc::ENOPROTOOPT)) } else { owned(fd.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child::{openat, receive, send};
    use std::os::fd::AsFd;

    #[test]
    fn a_socket_is_reached_by_the_descriptor_of_its_file_however_long_its_path_is() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let open = std::fs::File::open(&long).unwrap();
        let listener = listen_in(open.as_fd(), c"ctl", 4).unwrap();
        assert_eq!(accept(listener.as_fd()).unwrap_err(), Errno(libc::EAGAIN));
        let file = openat(open.as_fd(), c"ctl", libc::O_PATH, 0).unwrap();
        let client = connect_to(file.as_fd()).unwrap();
        let server = accept(listener.as_fd()).unwrap();
        let own = Peer { pid: std::process::id() as i32, uid: crate::sys::effective_uid() };
        assert_eq!((peer(client.as_fd()), peer(server.as_fd())), (Ok(own), Ok(own)));
        send(client.as_fd(), b"hello", None).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(receive(server.as_fd(), &mut buffer).unwrap().0, 5);
    }
}
