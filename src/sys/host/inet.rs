//! Sockets of IPv4 and IPv6, and the socket that lists and ends those of others: sock_diag(7).

use crate::sys::errno::Result;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, listen, sendto,
    setsockopt, socket, sockopt,
};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

fn family(address: &SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// A socket that is bound to an address, close-on-exec: bind(2). Another socket of the host must not have the address. From then on
/// one that allows it (SO_REUSEADDR) may, as long as neither listens.
pub fn bound(kind: SockType, address: SocketAddr) -> Result<OwnedFd> {
    let made = socket(family(&address), kind, SockFlag::SOCK_CLOEXEC, None)?;
    // With the option, a port that a connection used until a moment ago is free; two sockets for datagrams would share one.
    let stream = kind == SockType::Stream;
    setsockopt(&made, sockopt::ReuseAddr, &stream)?;
    if address.is_ipv6() {
        // The addresses of IPv4 are others', although they have a form in IPv6.
        setsockopt(&made, sockopt::Ipv6V6Only, &true)?;
    }
    bind(made.as_raw_fd(), &SockaddrStorage::from(address))?;
    setsockopt(&made, sockopt::ReuseAddr, &true)?;
    Ok(made)
}

/// Has no other socket be bound to the address of one for datagrams, whatever it allows (SO_REUSEADDR).
pub fn alone_at_address(socket: BorrowedFd<'_>) -> Result<()> {
    Ok(setsockopt(&socket, sockopt::ReuseAddr, &false)?)
}

/// Has a bound socket listen: listen(2), with the longest queue that the kernel allows.
pub fn listen_at(socket: BorrowedFd<'_>) -> Result<()> {
    Ok(listen(&socket, Backlog::MAXCONN)?)
}

/// Begins to connect to an address, without waiting: the socket is writable once that has succeeded or failed.
pub fn connect_without_waiting(address: SocketAddr) -> Result<TcpStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(family(&address), SockType::Stream, flags, None)?;
    match connect(made.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(nix::Error::EINPROGRESS) => Ok(made.into()),
        Err(errno) => Err(errno.into()),
    }
}

/// A socket that sends datagrams to this address and receives those from there, and does not wait.
pub fn connected_datagrams(address: SocketAddr) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(family(&address), SockType::Datagram, flags, None)?;
    connect(made.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(made)
}

/// Has the kernel reset a connection when it is closed (SO_LINGER), so that the other side gets an error rather than an end.
pub fn reset_on_close(socket: BorrowedFd<'_>) -> Result<()> {
    Ok(setsockopt(&socket, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?)
}

/// Undoes [`reset_on_close`]: the other side gets all that was written, and the end.
pub fn end_on_close(socket: BorrowedFd<'_>) -> Result<()> {
    Ok(setsockopt(&socket, sockopt::Linger, &libc::linger { l_onoff: 0, l_linger: 0 })?)
}

/// A socket that lists and ends the sockets of the network namespace that it is made in, close-on-exec: sock_diag(7).
pub fn diag_socket() -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag)?)
}

/// A socket that sends whole packets of a family, with their headers (raw(7)), in the network namespace that it is made in, and does not wait.
pub fn raw_socket(v6: bool) -> Result<OwnedFd> {
    let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(family, SockType::Raw, flags, SockProtocol::Raw)?)
}

/// Sends a packet to an address by such a socket.
pub fn send_packet(socket: BorrowedFd<'_>, packet: &[u8], to: IpAddr) -> Result<()> {
    let to = SockaddrStorage::from(SocketAddr::from((to, 0)));
    sendto(socket.as_raw_fd(), packet, &to, MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};
    use std::os::fd::AsFd;

    #[test]
    fn a_port_that_is_taken_cannot_be_bound() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(bound(SockType::Stream, tcp.local_addr().unwrap()).is_err());
        assert!(bound(SockType::Datagram, udp.local_addr().unwrap()).is_err());
        // Nor one whose owner would share it.
        setsockopt(&udp.as_fd(), sockopt::ReuseAddr, &true).unwrap();
        assert!(bound(SockType::Datagram, udp.local_addr().unwrap()).is_err());
    }

    #[test]
    fn a_port_that_is_held_can_be_listened_at_by_one_who_allows_it() {
        let held = bound(SockType::Stream, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let held = TcpListener::from(held);
        // The standard library sets SO_REUSEADDR.
        TcpListener::bind(held.local_addr().unwrap()).unwrap();
    }
}
