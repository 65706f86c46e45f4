//! System calls that only the self-test makes: what a hostile program would try.
//!
//! Most are made with arguments that work where the call is allowed. Where success would harm the host, the arguments
//! are invalid in a way that the kernel notices only after the permission check: then the errno tells whether the
//! permission was there.

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

/// Judges a call with arguments that are invalid on purpose: success if the kernel complained about them with one of
/// these errnos, since it checks them only after the permission.
fn allowed(result: Result<()>, complaints: &[i32]) -> Result<()> {
    match result {
        Err(Errno(errno)) if complaints.contains(&errno) => Ok(()),
        other => other,
    }
}
