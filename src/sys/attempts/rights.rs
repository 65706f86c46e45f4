//! Attempts to gain rights: ids, groups, namespaces, names, the clock.

use super::allowed;
use crate::sys::child::{netfilter_socket, receive, send};
use crate::sys::errno::{Errno, Result, check, done};
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// Asks the packet filter of this network namespace (nf_tables) for the number of its rules' generation, which only those are told who may
/// change the rules.
pub fn ask_packet_filter() -> Result<()> {
    // NFT_MSG_GETGEN of NFNL_SUBSYS_NFTABLES, as a request with an answer.
    let words: [u16; 10] = [20, 0, 10 << 8 | 16, 5, 1, 0, 0, 0, 0, 0];
    let message: Vec<u8> = words.into_iter().flat_map(u16::to_ne_bytes).collect();
    ask(netfilter_socket()?, &message)
}

/// Takes an address that nobody has (192.0.2.254) from loopback, by rtnetlink(7): the kernel looks at who asks first.
pub fn remove_address() -> Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
    // RTM_DELADDR, as a request with an answer; struct ifaddrmsg, and the attribute IFA_LOCAL.
    let words: [u16; 8] = [32, 0, libc::RTM_DELADDR, 5, 1, 0, 0, 0];
    let mut message: Vec<u8> = words.into_iter().flat_map(u16::to_ne_bytes).collect();
    message.extend([libc::AF_INET as u8, 32, 0, 0]);
    message.extend(1u32.to_ne_bytes());
    message.extend([8u16, libc::IFA_LOCAL].into_iter().flat_map(u16::to_ne_bytes));
    message.extend([192, 0, 2, 254]);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    match ask(socket, &message) {
        Err(Errno(libc::EADDRNOTAVAIL)) => Ok(()),
        other => other,
    }
}

/// Sends a message to the kernel by netlink(7), and gives its answer.
fn ask(socket: OwnedFd, message: &[u8]) -> Result<()> {
    send(socket.as_fd(), message, None)?;
    let mut answer = [0; 256];
    let (length, _) = receive(socket.as_fd(), &mut answer)?;
    // NLMSG_ERROR, with the errno behind the header.
    match (
        length >= 20 && answer[4..6] == 2u16.to_ne_bytes(),
        i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]),
    ) {
        (true, errno) if errno != 0 => Err(Errno(-errno)),
        _ => Ok(()),
    }
}

/// setresuid(2): sets the real, the effective and the saved user id.
pub fn become_user(id: u32) -> Result<()> {
    let id = Uid::from_raw(id);
    Ok(nix::unistd::setresuid(id, id, id)?)
}

/// setresgid(2): sets the real, the effective and the saved group id.
pub fn become_group(id: u32) -> Result<()> {
    let id = Gid::from_raw(id);
    Ok(nix::unistd::setresgid(id, id, id)?)
}

/// setgroups(2): makes this group the only supplementary one.
pub fn join_group(id: u32) -> Result<()> {
    Ok(nix::unistd::setgroups(&[Gid::from_raw(id)])?)
}

/// unshare(2) with these CLONE_* flags.
pub fn unshare(flags: i32) -> Result<()> {
    Ok(nix::sched::unshare(CloneFlags::from_bits_retain(flags))?)
}

/// setdomainname(2): sets the NIS domain name of this UTS namespace.
pub fn set_domain_name(name: &CStr) -> Result<()> {
    // SAFETY: the name may be read for the length that is passed.
    done(unsafe { libc::setdomainname(name.as_ptr(), name.count_bytes()) })
}

/// settimeofday(2) with an invalid time zone. The kernel complains about it (EINVAL) only to those who may set the
/// clock; nothing is set.
pub fn may_set_clock() -> Result<()> {
    let zone: [i32; 2] = [100_000, 0];
    let none = std::ptr::null::<libc::timeval>();
    // SAFETY: struct timezone, which the call reads, is two integers; null stands for no time.
    allowed(check(unsafe { libc::syscall(libc::SYS_settimeofday, none, zone.as_ptr()) }).map(drop), &[libc::EINVAL])
}

/// adjtimex(2) with an invalid tick. The kernel complains about it (EINVAL) only to those who may adjust the clock;
/// nothing is set.
pub fn may_adjust_clock() -> Result<()> {
    // SAFETY: all fields of the struct are integers, for which zeroes are values.
    let mut change = unsafe { std::mem::zeroed::<libc::timex>() };
    change.modes = libc::ADJ_TICK;
    change.tick = 1;
    // SAFETY: the call reads and writes one struct timex.
    allowed(done(unsafe { libc::adjtimex(&raw mut change) }), &[libc::EINVAL])
}
