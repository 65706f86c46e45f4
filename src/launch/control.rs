//! Requests to the launcher of a sandbox with a record: other commands of the same user connect to its socket.

use crate::state::{Answer, LONGEST, Request};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The most connections at a time.
const MOST: usize = 64;

/// The listening socket, and those who are connected.
pub(super) struct Control {
    listener: OwnedFd,
    clients: Vec<OwnedFd>,
}

impl Control {
    pub(super) fn new(listener: OwnedFd) -> Control {
        Control { listener, clients: Vec::new() }
    }

    /// The descriptors to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        // Who comes when there are too many waits until one of them has gone.
        let listener = (self.clients.len() < MOST).then(|| self.listener.as_raw_fd());
        self.clients.iter().map(AsRawFd::as_raw_fd).chain(listener)
    }

    /// The requests that have come, each with the place of who has sent it.
    pub(super) fn requests(&mut self) -> Vec<(usize, Option<Request>)> {
        while self.clients.len() < MOST
            && let Ok(client) = sys::accept(self.listener.as_fd())
        {
            if is_user(client.as_fd()) {
                self.clients.push(client);
            }
        }
        let (mut requests, mut buffer) = (Vec::new(), [0; LONGEST]);
        let mut index = 0;
        while let Some(client) = self.clients.get(index) {
            match sys::receive(client.as_fd(), &mut buffer) {
                Ok((length @ 1.., _)) => {
                    requests.push((index, serde_json::from_slice(buffer.get(..length).unwrap_or_default()).ok()));
                }
                Err(Errno(libc::EAGAIN)) => {}
                Ok((0, _)) | Err(_) => {
                    self.clients.remove(index);
                    continue;
                }
            }
            index += 1;
        }
        requests
    }

    pub(super) fn answer(&self, index: usize, answer: &Answer) {
        if let Some(client) = self.clients.get(index) {
            let _ = sys::send_now(client.as_fd(), &serde_json::to_vec(answer).unwrap_or_default());
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
