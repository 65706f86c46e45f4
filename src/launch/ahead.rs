//! Namespaces that are made while the plan is made: that takes the kernel as long as the planner takes, and most machines have more
//! than one processor.

use super::namespaces;
use crate::plan::Plan;
use crate::spec::{Namespace, Sandbox, UserNamespace};
use crate::sys::{self, Mask};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// Namespaces of a sandbox that may be planned to have them. If the plan is another one, or they cannot be made, they are made when the
/// plan is there, as those of all other sandboxes: what is wrong is said then.
pub struct Ahead {
    made: sys::NamespacesAhead,
    /// Those that the first process is born in.
    namespaces: Vec<Namespace>,
}

/// What unshare(2) makes for the process that calls it, and takes time. Those of pids and time are for its children.
const EARLY: [Namespace; 3] = [Namespace::Net, Namespace::Ipc, Namespace::Uts];

impl Ahead {
    /// Starts making the namespaces that this sandbox asks for; `None` where there is nothing to gain.
    pub fn of(sandbox: &Sandbox) -> Option<Ahead> {
        let wanted = &sandbox.namespaces;
        // On one processor, what is done at once takes as long as one after the other.
        if !sys::has_processors() {
            return None;
        }
        if wanted.user != UserNamespace::New || wanted.user_last.is_some() || wanted.pid.is_some() {
            return None;
        }
        let private = wanted.private();
        // The others take no longer than starting a process that makes them.
        if !private.contains(&Namespace::Net) {
            return None;
        }
        let namespaces: Vec<_> = EARLY.into_iter().filter(|namespace| private.contains(namespace)).collect();
        let others = namespaces.iter().copied().filter(|namespace| *namespace != Namespace::Net);
        let flags = namespaces::flags(others) & !(libc::CLONE_NEWUSER as u64);
        let made = sys::NamespacesAhead::start(flags).ok()?;
        Some(Ahead { made, namespaces })
    }

    /// Whether this plan's namespaces are those that were made.
    pub(super) fn fits(&self, plan: &Plan) -> bool {
        plan.namespaces.user.is_private()
            && plan.namespaces.pid_join.is_none()
            && EARLY.iter().all(|early| plan.namespaces.private.contains(early) == self.namespaces.contains(early))
    }

    /// Says that the first process is cloned in a moment.
    pub(super) fn soon(&self) {
        self.made.soon();
    }

    /// The socket from which the first process receives its network namespace, and the socket's other end.
    pub(super) fn network(&self) -> Option<(RawFd, RawFd)> {
        self.made.network()
    }

    /// Clones the first process with this signal mask. `flags` are the CLONE_NEW* flags of the whole plan. The end of `socket` tells the
    /// first process that the launcher has ended.
    pub(super) fn clone(
        &mut self,
        flags: u64,
        cgroup: Option<BorrowedFd<'_>>,
        mask: Mask,
        socket: BorrowedFd<'_>,
        child: impl FnOnce() -> i32,
    ) -> sys::Result<(i32, OwnedFd)> {
        let made = namespaces::flags(self.namespaces.iter().copied());
        self.made.clone3(flags & !made, cgroup, mask, socket, child)
    }

    /// Whether the processes that made the namespaces have ended.
    pub(super) fn has_ended(&mut self) -> bool {
        self.made.has_ended()
    }
}
