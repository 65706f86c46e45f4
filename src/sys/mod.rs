//! One function per system call: the only `unsafe` of the program, and the only place that knows numbers of the kernel.
//!
//! Nothing here allocates, panics or logs, so that `child` may call all of it between clone and exec.

mod arena;
pub mod attempts;
mod beside;
mod clone;
mod errno;
mod fd;
mod landlock;
mod mount;
mod phases;
mod poll_set;
mod prctl;
mod seccomp;
mod signal;
mod socket;
mod tty;

pub use arena::Arena;
pub use beside::NetworkMaker;
pub use clone::*;
pub use errno::*;
pub use fd::*;
pub use landlock::*;
pub use mount::*;
pub use phases::*;
pub use poll_set::*;
pub use prctl::*;
pub use seccomp::*;
pub use signal::*;
pub use socket::*;
pub use tty::*;

mod memory;
pub use memory::*;
