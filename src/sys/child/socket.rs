//! The socket between launcher and PID 1.
//!
//! sendmsg(2) and recvmsg(2) are by hand: those of nix allocate the room for control messages.

use crate::sys::errno::{Errno, Result, check};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A connected pair that keeps message boundaries, close-on-exec.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    Ok(nix::sys::socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Room for control messages, aligned as struct cmsghdr wants it.
#[repr(align(8))]
struct Control([u8; CONTROL]);

const CONTROL: usize = 64;

/// A message header for one buffer, and for control messages of `control` bytes.
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

/// CMSG_SPACE of one descriptor.
// SAFETY: the macro computes with integers.
const ONE_DESCRIPTOR: usize = unsafe { libc::CMSG_SPACE(size_of::<i32>() as u32) } as usize;

/// Sends one message, with a descriptor beside it where one is given.
pub fn send(socket: BorrowedFd<'_>, message: &[u8], pass: Option<BorrowedFd<'_>>) -> Result<()> {
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
        let value = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
        match check(value as libc::c_long) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(drop),
        }
    }
}

/// Sends a message if there is room for it at once: a receiver that does not read must not hold us.
pub fn send_now(socket: BorrowedFd<'_>, message: &[u8]) -> Result<()> {
    nix::sys::socket::send(socket.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

/// Receives one message: its length (0 at the end) and a descriptor if one came with it.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; CONTROL]);
    let mut header = header(&mut iov, &mut control, CONTROL);
    let n = loop {
        // SAFETY: the header points at `buffer` and `control`, which may be written for their lengths and live until the call ends.
        let value = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        match check(value as libc::c_long) {
            // ECONNRESET: the other side is gone and has not read all of ours. Said once, before what it had sent.
            Err(Errno(libc::EINTR | libc::ECONNRESET)) => {}
            other => break other?,
        }
    };
    Ok((n as usize, passed(&header)))
}

/// The first descriptor of a message that was received. As many as came are ours; all others are closed again.
fn passed(header: &libc::msghdr) -> Option<OwnedFd> {
    let mut passed = None;
    // SAFETY: recvmsg has filled the header and the control messages that it points at; of those the first is asked for alone. Each
    // descriptor in it was made for this process by that call, and is taken once.
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
