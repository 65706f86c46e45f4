//! The addresses of this network namespace, and changes of them: getifaddrs(3), rtnetlink(7).

use crate::sys::errno::{Errno, Result};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, recv, socket,
};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The addresses of all interfaces, each with the length of its network's prefix.
pub fn interface_addresses() -> Result<Vec<(IpAddr, u8)>> {
    let address = |address: &SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    let all = nix::ifaddrs::getifaddrs()?.filter_map(|interface| {
        let own = address(&interface.address?)?;
        let prefix = match (own, interface.netmask.as_ref().and_then(address)) {
            (_, Some(IpAddr::V4(mask))) => u32::from(mask).leading_ones(),
            (_, Some(IpAddr::V6(mask))) => u128::from(mask).leading_ones(),
            (IpAddr::V4(_), None) => 32,
            (IpAddr::V6(_), None) => 128,
        };
        Some((own, prefix as u8))
    });
    Ok(all.collect())
}

/// A socket that is ready to read once an address has come or gone. It does not block.
pub fn watch_addresses() -> Result<OwnedFd> {
    const GROUPS: i32 = libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let watch = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(watch.as_raw_fd(), &NetlinkAddr::new(0, GROUPS as u32))?;
    Ok(watch)
}

/// Reads all that there is to read from a socket of [`watch_addresses`].
pub fn drain_addresses(watch: BorrowedFd<'_>) -> Result<()> {
    loop {
        match recv(watch.as_raw_fd(), &mut [0; 4096], MsgFlags::MSG_DONTWAIT) {
            Err(nix::Error::EAGAIN) => return Ok(()),
            // Messages were lost; that there were some is all that matters.
            Ok(1..) | Err(nix::Error::EINTR | nix::Error::ENOBUFS) => {}
            Ok(0) => return Err(Errno(libc::EPIPE)),
            Err(errno) => return Err(errno.into()),
        }
    }
}
