//! Second stage: the sandbox's first process is there, in its namespaces.

use super::cgroup::Cgroup;
use super::prepared::Prepared;
use super::process::FirstProcess;
use super::signals::Signals;
use super::{namespaces, wording};
use crate::child;
use crate::error::Result;
use crate::plan::Plan;
use crate::spec::Namespace;
use crate::sys::{self, UnownedFd};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// A sandbox as long as there is one. What it has to undo is undone in this order: the first process is ended and reaped, and with it
/// all others; signals are as they were; the cgroup is taken away.
pub(super) struct Born<'p> {
    pub plan: &'p Plan,
    pub given: ManuallyDrop<child::Prepared>,
    pub first: FirstProcess,
    /// The socket to the first process. It ends when that process has executed something else, or is gone.
    pub socket: OwnedFd,
    pub signals: Signals,
    /// A pidfd of the process that the sandbox ends with; none where it does not, or when it has ended.
    pub caller: Option<OwnedFd>,
    pub cgroup: Option<Cgroup>,
    pub began: Instant,
}

impl<'p> Born<'p> {
    /// Makes the first process.
    pub(super) fn new(prepared: Prepared<'p>) -> Result<Born<'p>> {
        let first = clone_first(&prepared)?;
        sys::phase("clone3 returns");
        let Prepared { plan, given, socket, socket_of_child, signals, caller, cgroup, began } = prepared;
        // From here on the child dies with us: it asked the kernel for that, and it sees this socket end.
        let mut born = Born { plan, given, first, socket, signals, caller, cgroup, began };
        drop(socket_of_child);
        if let Some(handover) = &born.given.lockdown.handover {
            // The child's alone: it waits for their end.
            UnownedFd::new(handover.pipe.0).close();
            UnownedFd::new(handover.pipe.1).close();
        }
        born.signals.open()?;
        Ok(born)
    }
}

fn clone_first(prepared: &Prepared<'_>) -> Result<FirstProcess> {
    let Prepared { plan, given, socket, socket_of_child, signals, cgroup, .. } = prepared;
    namespaces::join(plan)?;
    let mut flags = namespaces::flags(plan.namespaces.private.iter().copied());
    if !plan.namespaces.user.is_private() {
        flags &= !(libc::CLONE_NEWUSER as u64);
    }
    if given.namespaces.network_beside {
        flags &= !(libc::CLONE_NEWNET as u64);
    }
    if given.namespaces.new_cgroup {
        flags &= !(libc::CLONE_NEWCGROUP as u64);
    }
    let mask = signals.before();
    let mask = if plan.is_bare() { mask.without(libc::SIGCHLD) } else { mask };
    let run = || -> i32 {
        // The child's copy of the number: what owns it is not dropped here, since this does not come back.
        UnownedFd::new(socket.as_raw_fd()).close();
        child::run(given, socket_of_child, &mask)
    };
    let cloned = match plan.namespaces.pid_join {
        Some(_) if plan.namespaces.private.contains(&Namespace::Pid) => {
            sys::clone3_below(flags, run).map(FirstProcess::numbered_by)
        }
        _ => {
            let cloned = sys::clone3(flags, cgroup.as_ref().map(Cgroup::fd), run);
            cloned.map(|(pid, pidfd)| FirstProcess::new(pid, pidfd))
        }
    };
    cloned.map_err(|errno| wording::clone(plan, "clone3", errno))
}
