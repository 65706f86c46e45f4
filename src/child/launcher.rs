//! Waiting for the launcher during the set-up.

use super::failure::{At, Failure};
use super::report::{Call, LENGTH, Message, Place};
use crate::sys::{self, Errno};
use std::os::fd::BorrowedFd;

/// Sends a message to the launcher and waits for [`Message::Go`].
pub(super) fn ask(socket: BorrowedFd<'_>, message: Message) -> Result<(), Failure> {
    sys::send(socket, &message.encode(), None).at(Place::Setup, Call::Send)?;
    let mut buffer = [0; LENGTH];
    match sys::receive(socket, &mut buffer).at(Place::Setup, Call::Receive)? {
        (LENGTH, _) if Message::decode(&buffer) == Some(Message::Go) => Ok(()),
        _ => Err(Errno(libc::EPIPE)).at(Place::Setup, Call::Receive),
    }
}
