//! PulseAudio's native protocol, which pipewire-pulse serves, too: playback and, where it is granted, recording pass;
//! nothing else does.
//!
//! ```text
//! tags        values of a packet                                   (bytes)
//! frame       packets and sound                                    (bytes)
//! properties  which properties pass                                (data)
//! commands    which commands pass                                  (data)
//! lane        one direction: whole packets between frames of sound
//! streams     the streams of a connection, and what was asked for
//! notes       what the user is told                                (data)
//! connection  the filter: what both directions share
//! client      what a client sends
//! server      what a server sends
//! ```
//!
//! Nothing is passed on as it came: a packet is read into values, the values are checked against the types that the command
//! has, and a new packet is made of them.

mod client;
pub mod commands;
mod connection;
pub mod error;
mod frame;
mod lane;
mod notes;
mod properties;
mod server;
mod streams;
pub mod tags;
#[cfg(test)]
mod tests;

pub use commands::Grants;
pub use connection::{COOKIE, Pulse};
pub use frame::{DESCRIPTOR, put_packet};
pub use notes::note;
