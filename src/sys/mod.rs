//! System calls, one function for each. This is the only module with `unsafe` code and with constants of the kernel's
//! interface.
//!
//! - [`child`]: for the code between clone and exec, and for PID 1. Nothing there allocates, panics or logs.
//! - [`host`]: for the launcher alone.
//! - [`attempts`]: calls that only the self-test makes.
//!
//! The types of arguments and results say who owns a descriptor (`OwnedFd`, `BorrowedFd`, [`UnownedFd`]), so all
//! functions are safe.

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
pub use nix::sys::socket::SockType;
pub use seccompiler::{BpfProgram, sock_filter};

/// Whether something comes to be so within half a minute. What closing a descriptor brings about comes later if a child that another
/// test forks has a copy of it meanwhile.
#[cfg(test)]
pub fn soon(mut so: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !so() {
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}
