//! The code between clone and exec, and PID 1. No panic path, no log, no stdio, no unwinding; it leaves by `_exit`.
//!
//! The launcher prepares everything. A failure is reported to it as place, call and errno, and it makes the message.

mod assemble;
mod changes;
mod confine;
mod exec;
mod failure;
mod handover;
mod hints;
mod init;
mod launcher;
mod lockdown;
mod memory;
mod overlay;
mod prepared;
mod procfs;
mod reaper;
mod report;
mod search;
mod source;
mod streams;
mod trial;
mod view;

pub use changes::MOST as MOST_CHANGES;
pub use handover::{NAME as EXEC, run as execute};
pub use hints::{HOME, NETWORK};
pub use prepared::{
    Capabilities, Descriptors, Guard, Handover, Hints, Landlock, Lockdown, Lower, MountSource, Namespaces, Overlay,
    OwnFile, Prepared, ProcCover, Process, ReadOnlyFile, Rule, Scratch, Served, Session, Step, StepAction, Strings,
    TargetState, Terminal, UpperDirs, ViewSteps,
};
pub use procfs::{EMPTY_DIR, EMPTY_FILE};
pub use reaper::BEFORE_REST;
pub use report::{Call, LENGTH as LENGTH_OF_MESSAGE, LENGTH_OF_TEXT, Message, Place};
pub use trial::{Trial, attempt};

use crate::sys::{self, Mask};
use failure::Failure;
use std::os::fd::{AsFd, OwnedFd};

/// Runs the child from clone to exit.
pub fn run(prepared: &Prepared, socket: &OwnedFd, mask: &Mask) -> ! {
    sys::forbid_allocation();
    let status = match init::live(prepared, socket, mask) {
        Ok(status) => status,
        Err(failure) => {
            let Failure { place, call, errno } = failure;
            let _ = sys::send(socket.as_fd(), &Message::Failed { place, call, errno }.encode(), None);
            i32::from(crate::exit::FAILED)
        }
    };
    sys::exit_now(status)
}
