//! System calls for the code between clone and exec, and for PID 1. The launcher uses them, too.
//!
//! Nothing here allocates, panics, logs or starts a thread. `tests/layering.rs` searches the source for what would, and
//! the allocator of a debug build aborts a child that allocates ([`Arena`](super::Arena)).
//!
//! nix is used where its function is the call itself and no more, which was read in its source for each: with a `CStr`, `NixPath`
//! copies nothing, and its results are made by `Errno::result`. Not used, since they allocate or may panic: `readlinkat`, `sendmsg`,
//! `recvmsg`, `umask`, `SignalFd::read_signal`; since they leave values out (real-time signals): `waitid`, `kill`, `signal`, `SigSet`.

mod beside;
mod block;
mod clock;
mod descriptor;
mod file;
mod landlock;
mod limits;
mod memory;
mod mount;
mod namespace;
mod needed;
mod phases;
mod poll;
mod process;
mod rights;
mod seccomp;
mod signal;
mod socket;
mod terminal;
mod text;
mod walk;

pub use beside::NetworkMaker;
pub use block::*;
pub use clock::*;
pub use descriptor::*;
pub use file::*;
pub use landlock::*;
pub use limits::*;
pub use memory::*;
pub use mount::*;
pub use namespace::*;
pub use needed::*;
pub use phases::*;
pub use poll::*;
pub use process::*;
pub use rights::*;
pub use seccomp::*;
pub use signal::*;
pub use socket::*;
pub use terminal::*;
pub use text::*;
pub use walk::*;
