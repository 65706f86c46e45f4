//! What ties a sandbox to a network: a connection to the process that holds it, by whose end each of the two learns that the other has ended.

use crate::proxy::network::message::{Answer, LONGEST};
use crate::state::{Network, Networks};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A tie to a network. The place in it is given up when this is dropped.
pub(super) struct Tie {
    pub networks: Networks,
    pub network: Network,
    /// The connection; none once the network has ended.
    connection: Option<OwnedFd>,
}

impl Tie {
    pub fn new(networks: Networks, network: Network, connection: OwnedFd) -> Tie {
        Tie { networks, network, connection: Some(connection) }
    }

    /// The connection; negative once the network has ended.
    pub fn fd(&self) -> RawFd {
        self.connection.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// How the network has ended, told once; none if it has not. What its process has left, which may have been killed, is removed.
    pub fn ended(&mut self) -> Option<String> {
        let how = end(self.connection.as_ref()?.as_fd())?;
        self.connection = None;
        self.networks.tidy(&self.network);
        Some(how)
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        // It may have ended, and nobody has looked.
        let _ = self.ended();
    }
}

/// How the network has ended that a connection leads to; none if it has not.
fn end(connection: BorrowedFd<'_>) -> Option<String> {
    let mut buffer = vec![0; LONGEST];
    match sys::receive(connection, &mut buffer) {
        Err(Errno(libc::EAGAIN)) => None,
        Ok((length @ 1.., _)) => match serde_json::from_slice(buffer.get(..length).unwrap_or_default()) {
            Ok(Answer::Ended(how)) => Some(format!("what carries its packets to the outside has ended: {how}")),
            _ => None,
        },
        _ => Some("the process that holds it was killed".to_owned()),
    }
}
