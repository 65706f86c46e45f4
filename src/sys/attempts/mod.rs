//! System calls that only the self-test makes: what a hostile program would try.
//!
//! Each takes arguments that work where the call is allowed, or, where it working would harm the host, arguments that the kernel
//! looks at only after it has asked for the right: then the error tells whether the right was there.

mod files;
mod ipc;
mod kernel;
mod process;
mod rights;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_x86.rs")]
mod x86;

pub use files::*;
pub use ipc::*;
pub use kernel::*;
pub use process::*;
pub use rights::*;
pub use x86::*;

use super::errno::{Errno, Result};

/// What a call tells that was made with arguments that are wrong in a way which is seen after the right was asked for: allowed if
/// the kernel complained about them.
fn allowed(result: Result<()>, complaints: &[i32]) -> Result<()> {
    match result {
        Err(Errno(errno)) if complaints.contains(&errno) => Ok(()),
        other => other,
    }
}
