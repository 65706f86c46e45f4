//! The process that started sbx, if the sandbox is to end with it.

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::sys;
use std::os::fd::OwnedFd;

/// A pidfd of the caller if the sandbox is to end with it. A pidfd, because the kernel's parent-death signal is tied to
/// the thread that started sbx (PR_SET_PDEATHSIG(2const)), which may end before its process does.
pub(super) fn pidfd(plan: &Plan) -> Result<Option<OwnedFd>> {
    if !plan.process.dies_with_caller {
        return Ok(None);
    }
    let parent = sys::parent_pid();
    // A program in sbx's process group may stop sbx, and the kernel's signal ends it even then. It is as good as the
    // pidfd if the caller has only one thread.
    if std::fs::read_dir(format!("/proc/{parent}/task")).map_or(0, Iterator::count) == 1 {
        end_with_parent()?;
    }
    match sys::pidfd_open(parent) {
        Ok(pidfd) if sys::parent_pid() == parent => Ok(Some(pidfd)),
        // Our parent is out of sight, in a pid namespace above, or gone.
        _ if parent == 0 => end_with_parent().map(|()| None),
        _ => Err(Error::new("the caller ended before the sandbox was started, and the sandbox was to end with it")),
    }
}

fn end_with_parent() -> Result<()> {
    let done = sys::set_parent_death_signal(libc::SIGKILL);
    done.map_err(|errno| Error::new(format!("cannot end with the caller: prctl: {errno}")))
}
