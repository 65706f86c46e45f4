//! The socket between launcher and PID 1, and the loopback interface.

use super::errno::{Errno, Result, check, done};
use super::fd::owned;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A connected pair that keeps message boundaries, close-on-exec.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the array takes two descriptors, which are then ours.
    unsafe {
        done(libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

const CONTROL: usize = 64;

#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Sends one message, with a descriptor beside it where one is given.
pub fn send(socket: BorrowedFd<'_>, message: &[u8], pass: Option<BorrowedFd<'_>>) -> Result<()> {
    // SAFETY: the header points at buffers that live until the call ends; the control message is written by the
    // macros that the kernel's layout comes with, into a buffer with room for it.
    unsafe {
        let mut iov = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
        let mut control = Control([0; CONTROL]);
        let mut header = std::mem::zeroed::<libc::msghdr>();
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        if let Some(fd) = pass {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(4) as _;
            let part = libc::CMSG_FIRSTHDR(&raw const header);
            (*part).cmsg_level = libc::SOL_SOCKET;
            (*part).cmsg_type = libc::SCM_RIGHTS;
            (*part).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(part).cast::<i32>().write_unaligned(fd.as_raw_fd());
        }
        loop {
            match check(libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) as libc::c_long) {
                Err(Errno(libc::EINTR)) => {}
                other => return other.map(drop),
            }
        }
    }
}

/// Sends a message if there is room for it at once: a receiver that does not read must not hold us.
pub fn send_now(socket: BorrowedFd<'_>, message: &[u8]) -> Result<()> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the buffer is valid for its length.
    check(unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), flags) } as libc::c_long)?;
    Ok(())
}

/// Receives one message: its length (0 at the end) and a descriptor if one came with it.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    // SAFETY: as in `send`; a descriptor that arrives is ours alone.
    unsafe {
        let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut control = Control([0; CONTROL]);
        let mut header = std::mem::zeroed::<libc::msghdr>();
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL as _;
        let n = loop {
            match check(libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) as libc::c_long) {
                // ECONNRESET: the other side is gone and has not read all of ours. Said once, before what it had sent.
                Err(Errno(libc::EINTR | libc::ECONNRESET)) => {}
                other => break other?,
            }
        };
        let part = libc::CMSG_FIRSTHDR(&raw const header);
        let mut passed = None;
        if !part.is_null() && (*part).cmsg_type == libc::SCM_RIGHTS {
            // As many as came; all but the first are closed again.
            let bytes = ((*part).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            for index in 0..bytes / size_of::<i32>() {
                let fd = OwnedFd::from_raw_fd(libc::CMSG_DATA(part).cast::<i32>().add(index).read_unaligned());
                passed.get_or_insert(fd);
            }
        }
        Ok((n as usize, passed))
    }
}

/// Sets the loopback interface of this network namespace up; the kernel then gives it 127.0.0.1/8 and ::1 itself.
pub fn loopback_up() -> Result<()> {
    // SAFETY: a zeroed ifreq is valid; the name is shorter than its field.
    unsafe {
        let socket = owned(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into())?;
        let mut request = std::mem::zeroed::<libc::ifreq>();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        done(libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
