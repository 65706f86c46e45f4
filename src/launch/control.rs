//! Requests to the launcher of a sandbox with a record: other commands of the same user connect to its socket.

use crate::state::{Answer, LONGEST, Request};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The most connections at a time.
const MOST: usize = 64;

/// The most of them that may be of commands in front of a program, which stay: others, such as that which ends the sandbox, find a place.
const MOST_IN_FRONT: usize = 48;

/// The listening socket, and those who are connected.
pub(super) struct Control {
    listener: OwnedFd,
    clients: Vec<Client>,
    next: u64,
}

/// Somebody who is connected.
struct Client {
    /// What it is called by here.
    number: u64,
    socket: OwnedFd,
    /// Streams that it has sent for a further program, and the file of that.
    streams: [Option<OwnedFd>; 4],
}

/// What has come from those who are connected.
#[derive(Default)]
pub(super) struct Came {
    /// Requests, each with who has sent it, and with the file that came with it. None for one that is not known.
    pub requests: Vec<(u64, Option<Request>, Option<OwnedFd>)>,
    /// Who has gone.
    pub gone: Vec<u64>,
}

impl Control {
    pub(super) fn new(listener: OwnedFd) -> Control {
        Control { listener, clients: Vec::new(), next: 0 }
    }

    /// The descriptors to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        // Who comes when there are too many waits until one of them has gone.
        let listener = (self.clients.len() < MOST).then(|| self.listener.as_raw_fd());
        self.clients.iter().map(|client| client.socket.as_raw_fd()).chain(listener)
    }

    /// What has come.
    pub(super) fn came(&mut self) -> Came {
        while self.clients.len() < MOST
            && let Ok(socket) = sys::accept(self.listener.as_fd())
        {
            if is_user(socket.as_fd()) {
                self.next += 1;
                self.clients.push(Client { number: self.next, socket, streams: Default::default() });
            }
        }
        let (mut came, mut buffer) = (Came::default(), [0; LONGEST]);
        self.clients.retain_mut(|client| {
            loop {
                match sys::receive(client.socket.as_fd(), &mut buffer) {
                    Ok((length @ 1.., file)) => {
                        match serde_json::from_slice(buffer.get(..length).unwrap_or_default()).ok() {
                            Some(Request::Stream { number }) => {
                                if let Some(stream) = client.streams.get_mut(number) {
                                    *stream = file;
                                }
                            }
                            request => came.requests.push((client.number, request, file)),
                        }
                    }
                    Err(Errno(libc::EAGAIN)) => return true,
                    Ok((0, _)) | Err(_) => {
                        came.gone.push(client.number);
                        return false;
                    }
                }
            }
        });
        came
    }

    /// Takes somebody who is connected already. Gives what it is called by.
    pub(super) fn adopt(&mut self, socket: OwnedFd) -> u64 {
        self.next += 1;
        self.clients.push(Client { number: self.next, socket, streams: Default::default() });
        self.next
    }

    /// The connection of somebody, once more.
    pub(super) fn socket(&self, number: u64) -> Option<OwnedFd> {
        self.clients.iter().find(|client| client.number == number)?.socket.try_clone().ok()
    }

    /// Whether no more commands in front of a program are let in.
    pub(super) fn is_crowded(&self) -> bool {
        self.clients.len() > MOST_IN_FRONT
    }

    /// The streams that somebody has sent.
    pub(super) fn streams(&mut self, number: u64) -> [Option<OwnedFd>; 4] {
        let client = self.clients.iter_mut().find(|client| client.number == number);
        client.map(|client| std::mem::take(&mut client.streams)).unwrap_or_default()
    }

    pub(super) fn answer(&self, number: u64, answer: &Answer) {
        if let Some(client) = self.clients.iter().find(|client| client.number == number) {
            let _ = sys::send_now(client.socket.as_fd(), &answer.encode());
        }
    }

    /// Answers with a descriptor.
    pub(super) fn hand(&self, number: u64, answer: &Answer, file: BorrowedFd<'_>) {
        if let Some(client) = self.clients.iter().find(|client| client.number == number) {
            let _ = sys::pass_now(client.socket.as_fd(), &answer.encode(), file);
        }
    }
}

/// Whether a program of this user is at the other end, or root. One in another user namespace is in a sandbox, and no sandbox has this socket in its
/// view: this is the second line of defence.
fn is_user(client: BorrowedFd<'_>) -> bool {
    let Ok(peer) = sys::peer(client) else { return false };
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/user")).ok();
    peer.uid == 0 && sys::effective_uid() != 0
        || peer.uid == sys::effective_uid()
            && namespace(&peer.pid.to_string()).is_some_and(|theirs| Some(theirs) == namespace("self"))
}
