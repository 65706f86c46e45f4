//! A Wayland compositor of a few messages: what it offers, and whether it restricts a socket, is the test's.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

/// A socket that the compositor was asked to restrict.
pub struct Context {
    /// The listening socket that it was given.
    pub listener: UnixListener,
    /// The end of a pipe that tells it when to stop.
    pub close: OwnedFd,
    /// All bytes that the client sent, as text.
    pub said: String,
}

impl Context {
    /// Whether the other end of `close` is gone.
    pub fn is_over(&self) -> bool {
        let mut set = libc::pollfd { fd: self.close.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: the kernel writes to this one structure.
        unsafe { libc::poll(&raw mut set, 1, 0) };
        set.revents & libc::POLLHUP != 0
    }
}

fn message(object: u32, opcode: u32, arguments: &[u8]) -> Vec<u8> {
    let head = [object, (8 + arguments.len() as u32) << 16 | opcode];
    head.iter().flat_map(|word| word.to_ne_bytes()).chain(arguments.iter().copied()).collect()
}

fn global(name: u32, interface: &str) -> Vec<u8> {
    let mut text = interface.as_bytes().to_vec();
    text.push(0);
    let length = text.len() as u32;
    text.resize(text.len().next_multiple_of(4), 0);
    let parts = [&name.to_ne_bytes()[..], &length.to_ne_bytes(), &text, &1u32.to_ne_bytes()];
    message(2, 0, &parts.concat())
}

/// Starts a compositor at a path that offers these interfaces. What it is asked to restrict is received.
pub fn compositor(path: &Path, interfaces: &'static [&'static str]) -> Receiver<Context> {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(path).unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            if let Some(context) = serve(stream, interfaces) {
                let _ = sender.send(context);
            }
        }
    });
    receiver
}

/// Serves one client until it is gone.
fn serve(mut stream: UnixStream, interfaces: &[&str]) -> Option<Context> {
    // wl_display.get_registry(2), wl_display.sync(3).
    stream.read_exact(&mut [0; 24]).ok()?;
    let globals = interfaces.iter().enumerate().map(|(index, interface)| global(index as u32, interface));
    let all: Vec<u8> = globals.flatten().chain(message(3, 0, &[0; 4])).collect();
    stream.write_all(&all).ok()?;
    let mut said = Vec::new();
    let mut descriptors = Vec::new();
    // The last message is wl_display.sync(6).
    while !said.ends_with(&message(1, 0, &6u32.to_ne_bytes())) {
        if receive(&stream, &mut said, &mut descriptors) == 0 {
            return None;
        }
    }
    stream.write_all(&message(6, 0, &[0; 4])).ok()?;
    let mut descriptors = descriptors.into_iter();
    let listener = UnixListener::from(descriptors.next()?);
    Some(Context { listener, close: descriptors.next()?, said: String::from_utf8_lossy(&said).into_owned() })
}

/// Receives bytes, and the descriptors that came with them.
fn receive(stream: &UnixStream, said: &mut Vec<u8>, descriptors: &mut Vec<OwnedFd>) -> usize {
    let mut bytes = [0u8; 4096];
    let mut control = [0u64; 16];
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all fields are integers and pointers, for which zeroes are values.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header points at buffers that live until the call ends, with their lengths.
    let length = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    let Ok(length) = usize::try_from(length) else { return 0 };
    said.extend(&bytes[..length]);
    // SAFETY: recvmsg has filled the control messages, and each descriptor in them is taken once.
    unsafe {
        let mut part = libc::CMSG_FIRSTHDR(&raw const header);
        while !part.is_null() {
            let count = ((*part).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<i32>();
            for index in 0..count {
                let fd = libc::CMSG_DATA(part).cast::<i32>().add(index).read_unaligned();
                descriptors.push(OwnedFd::from_raw_fd(fd));
            }
            part = libc::CMSG_NXTHDR(&raw const header, part);
        }
    }
    length
}
