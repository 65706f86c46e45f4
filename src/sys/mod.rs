//! One function per system call: the only `unsafe` of the program, and the only place that knows numbers of the kernel.
//!
//! - [`child`]: what may run between clone and exec and in PID 1. Nothing there allocates, panics or logs.
//! - [`host`]: the launcher's side.
//! - [`attempts`]: what the self-test tries, and nothing else does.
//!
//! Functions take and give what says who owns a descriptor (`OwnedFd`, `BorrowedFd`, [`UnownedFd`]), so that all of them are safe.

mod arena;
pub mod attempts;
pub mod child;
mod errno;
pub mod host;

pub use arena::{Arena, forbid_allocation};
pub use child::*;
pub use errno::{Errno, Result};
pub use host::*;
pub use nix::sys::resource::Resource;
pub use seccompiler::{BpfProgram, sock_filter};
