//! The protocol of SSH agents (draft-ietf-sshm-ssh-agent, and PROTOCOL.agent of OpenSSH): keys are listed and sign; nothing else is
//! passed on.
//!
//! ```text
//! message  messages and the values in them                       (bytes)
//! keys     public keys, and which of them the profile names      (data)
//! purpose  what a signature is for                               (data)
//! notes    what the user is told                                 (data)
//! filter   the filter of a connection
//! ```
//!
//! One request is under way at a time: agents answer in order, and none of the messages says what it answers. Nothing is
//! passed on as it came but a key, the data to be signed and the signature: a message is read and made anew.

mod filter;
mod keys;
pub mod message;
mod notes;
mod purpose;
#[cfg(test)]
mod tests;

pub use filter::Agent;
pub use keys::Choice;
pub use notes::note;
