//! Messages of the sandbox's first process, as they arrive.

use crate::child::{LENGTH_OF_MESSAGE, LENGTH_OF_TEXT, Message};
use crate::sys;
use std::os::fd::{BorrowedFd, OwnedFd};

/// One message of the child.
pub(super) struct Received {
    /// The message; none at the end, and if what came is no message.
    pub message: Option<Message>,
    /// The child has closed its socket: there will be no more.
    pub end: bool,
    /// The descriptor that came with the message.
    pub fd: Option<OwnedFd>,
    /// The text that followed the message.
    pub text: Option<String>,
}

/// Receives the next message; waits for it if there is none yet.
pub(super) fn receive(socket: BorrowedFd<'_>) -> sys::Result<Received> {
    let mut buffer = [0; LENGTH_OF_MESSAGE + LENGTH_OF_TEXT];
    let (length, fd) = sys::receive(socket, &mut buffer)?;
    let (message, text) = buffer.get(..length).unwrap_or_default().split_at(length.min(LENGTH_OF_MESSAGE));
    let text = (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned());
    Ok(Received { message: Message::decode(message), end: length == 0, fd, text })
}
