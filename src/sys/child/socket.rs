//! The socket between launcher and PID 1, and sockets to the kernel.
//!
//! sendmsg(2) and recvmsg(2) are called without nix, whose versions allocate the buffer for control messages.

use super::limits::with_most_descriptors;
use crate::sys::errno::{Errno, Result, check};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A connected pair of sockets that keep message boundaries, close-on-exec: socketpair(2), SOCK_SEQPACKET.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    Ok(nix::sys::socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// A socket to the packet filter of this network namespace, close-on-exec, that does not block: netlink(7), NETLINK_NETFILTER.
pub fn netfilter_socket() -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(nix::sys::socket::socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)?)
}

/// A buffer for control messages, aligned as struct cmsghdr requires.
#[repr(align(8))]
struct Control([u8; CONTROL]);

const CONTROL: usize = 64;

/// A message header for one buffer, with `length` bytes of `control` for control messages.
fn header(iov: &mut libc::iovec, control: &mut Control, length: usize) -> libc::msghdr {
    // SAFETY: all fields of the struct are integers and pointers, for which zeroes are values.
    let mut header = unsafe { std::mem::zeroed::<libc::msghdr>() };
    header.msg_iov = iov;
    header.msg_iovlen = 1;
    if length > 0 {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = length as _;
    }
    header
}

/// Bytes that a control message with one descriptor takes: CMSG_SPACE of cmsg(3).
// SAFETY: the macro only computes with integers.
const ONE_DESCRIPTOR: usize = unsafe { libc::CMSG_SPACE(size_of::<i32>() as u32) } as usize;

/// Sends one message, and with it a descriptor if one is given: sendmsg(2), SCM_RIGHTS.
pub fn send(socket: BorrowedFd<'_>, message: &[u8], pass: Option<BorrowedFd<'_>>) -> Result<()> {
    send_with(socket, message, pass, 0)
}

fn send_with(socket: BorrowedFd<'_>, message: &[u8], pass: Option<BorrowedFd<'_>>, flags: i32) -> Result<()> {
    match send_once(socket, message, pass, flags) {
        // All programs of a user count together here, and one of them may have sent as many as it could (unix(7)).
        Err(Errno(libc::ETOOMANYREFS)) => with_most_descriptors(|| send_once(socket, message, pass, flags)),
        sent => sent,
    }
}

fn send_once(socket: BorrowedFd<'_>, message: &[u8], pass: Option<BorrowedFd<'_>>, flags: i32) -> Result<()> {
    let mut iov = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
    let mut control = Control([0; CONTROL]);
    let header = header(&mut iov, &mut control, if pass.is_some() { ONE_DESCRIPTOR } else { 0 });
    if let Some(fd) = pass {
        // SAFETY: `control` has room for the header that the macro points at, and for one descriptor behind it.
        unsafe {
            let part = libc::CMSG_FIRSTHDR(&raw const header);
            (*part).cmsg_level = libc::SOL_SOCKET;
            (*part).cmsg_type = libc::SCM_RIGHTS;
            (*part).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(part).cast::<i32>().write_unaligned(fd.as_raw_fd());
        }
    }
    loop {
        // SAFETY: the header points at `message`, which is only read, and at `control`; both live until the call ends.
        let value = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL | flags) };
        match check(value as libc::c_long) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(drop),
        }
    }
}

/// Sends one message with a descriptor, without waiting: EAGAIN if the socket's buffer is full.
pub fn pass_now(socket: BorrowedFd<'_>, message: &[u8], pass: BorrowedFd<'_>) -> Result<()> {
    send_with(socket, message, Some(pass), libc::MSG_DONTWAIT)
}

/// Sends a message without waiting: EAGAIN if the socket's buffer is full, so that a receiver that does not read cannot
/// block this process.
pub fn send_now(socket: BorrowedFd<'_>, message: &[u8]) -> Result<()> {
    nix::sys::socket::send(socket.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

/// Receives one message: its length (0 if the other end is closed), and a descriptor if one came with it.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; CONTROL]);
    let mut header = header(&mut iov, &mut control, CONTROL);
    let n = loop {
        // SAFETY: the header points at `buffer` and `control`, which may be written for their lengths and live until
        // the call ends.
        let value = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        match check(value as libc::c_long) {
            // ECONNRESET: the other end is closed and had not read all messages. It is reported once, before the
            // messages that came from there.
            Err(Errno(libc::EINTR | libc::ECONNRESET)) => {}
            other => break other?,
        }
    };
    Ok((n as usize, passed(&header)))
}

/// Takes the first descriptor that came with a message, and closes all others that came.
fn passed(header: &libc::msghdr) -> Option<OwnedFd> {
    let mut passed = None;
    // SAFETY: recvmsg has filled the header and the control messages that it points at, of which only the first is
    // read. Each descriptor in it was made for this process by that call, and is taken once.
    unsafe {
        let part = libc::CMSG_FIRSTHDR(header);
        if !part.is_null() && (*part).cmsg_type == libc::SCM_RIGHTS {
            let bytes = ((*part).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            for index in 0..bytes / size_of::<i32>() {
                let fd = OwnedFd::from_raw_fd(libc::CMSG_DATA(part).cast::<i32>().add(index).read_unaligned());
                passed.get_or_insert(fd);
            }
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_are_passed_although_others_of_the_user_are_on_their_way() {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (socket, _other) = seqpacket_pair().unwrap();
        let pid = crate::sys::fork(|| {
            let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1 };
            // More than so many of the user's on their way are refused, root's apart.
            if setrlimit(Resource::RLIMIT_NOFILE, 8, hard).is_err() {
                return 2;
            }
            let passed = (0..16).all(|_| send(socket.as_fd(), b"x", Some(socket.as_fd())).is_ok());
            let stays = getrlimit(Resource::RLIMIT_NOFILE) == Ok((8, hard));
            if passed && stays { 0 } else { 3 }
        });
        assert_eq!(crate::sys::wait_for(pid.unwrap()).unwrap(), crate::sys::Waited::Exited(0));
    }

    #[test]
    fn what_was_sent_arrives_when_the_sender_is_gone_and_has_not_read() {
        let (ours, theirs) = seqpacket_pair().unwrap();
        send(ours.as_fd(), b"unread", None).unwrap();
        send(theirs.as_fd(), b"last", None).unwrap();
        drop(theirs);
        let mut buffer = [0; 16];
        assert_eq!(receive(ours.as_fd(), &mut buffer).unwrap().0, 4);
        assert_eq!(receive(ours.as_fd(), &mut buffer).unwrap().0, 0);
    }
}
