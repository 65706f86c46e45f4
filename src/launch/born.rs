//! Second stage of a start: the sandbox's first process exists, in its namespaces.

use super::cgroup::Cgroup;
use super::exclusive::Locks;
use super::inherited::InheritedFile;
use super::named::Membership;
use super::ports::Ports;
use super::prepared::Prepared;
use super::process::FirstProcess;
use super::signals::Signals;
use super::uppers::Uppers;
use super::{join, namespaces, wording};
use crate::child;
use crate::error::Result;
use crate::plan::Plan;
use crate::spec::Namespace;
use crate::sys::{self, UnownedFd};
use crate::union::Upper;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

/// A sandbox whose first process exists. Its fields are dropped in this order: the first process is killed and reaped,
/// which ends all other processes; the signal mask is
/// restored; the cgroup is removed; upper layers that are not kept are; locks are given back.
pub(super) struct Born<'p> {
    pub plan: &'p Plan,
    pub given: ManuallyDrop<child::Prepared>,
    /// The files that the program inherits as descriptors.
    pub inherited: Vec<InheritedFile>,
    pub first: FirstProcess,
    /// The socket to the first process. It is at its end once that process has executed another program, or has ended.
    pub socket: OwnedFd,
    pub signals: Signals,
    /// A pidfd of the caller if the sandbox is to end with it; none once the caller has ended.
    pub caller: Option<OwnedFd>,
    pub cgroup: Option<Cgroup>,
    pub uppers: Option<Uppers>,
    /// The private home that is kept: locked until this is dropped.
    pub _home: Option<Upper>,
    /// The locks on what is shown in one sandbox at a time: held until this is dropped.
    pub locks: Locks,
    /// The ports at which servers inside are reached.
    pub ports: Ports,
    /// The sandbox's place in a network that it shares with others: given up once its processes have ended.
    pub membership: Option<Membership>,
    pub began: Instant,
}

impl<'p> Born<'p> {
    /// Clones the first process.
    pub(super) fn new(prepared: Prepared<'p>) -> Result<Born<'p>> {
        let first = clone_first(&prepared)?;
        sys::phase("clone3 returns");
        let Prepared {
            plan,
            given,
            inherited,
            socket,
            socket_of_child,
            signals,
            caller,
            cgroup,
            uppers,
            home,
            locks,
            ports,
            membership,
            began,
        } = prepared;
        // From here on the child ends with the launcher: it has a parent-death signal, and it sees the end of this
        // socket.
        let mut born = Born {
            plan,
            given,
            inherited,
            first,
            socket,
            signals,
            caller,
            cgroup,
            uppers,
            _home: home,
            locks,
            ports,
            membership,
            began,
        };
        drop(socket_of_child);
        if let Some(handover) = &born.given.lockdown.handover {
            // Only the child may hold the pipe, since it waits for the pipe's end.
            UnownedFd::new(handover.pipe.0).close();
            UnownedFd::new(handover.pipe.1).close();
        }
        born.signals.open()?;
        Ok(born)
    }
}

fn clone_first(prepared: &Prepared<'_>) -> Result<FirstProcess> {
    let Prepared { plan, given, socket, socket_of_child, signals, cgroup, membership, .. } = prepared;
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
        // Closes the child's copy by its number: the owner is not dropped in the child, since this closure never
        // returns.
        UnownedFd::new(socket.as_raw_fd()).close();
        child::run(given, socket_of_child, &mask)
    };
    if plan.namespaces.joined.is_some() || !plan.namespaces.joined_too.is_empty() {
        return join::clone_first(plan, flags, cgroup.as_ref().map(Cgroup::fd), run);
    }
    if let Some(membership) = membership {
        return membership.clone_first(plan, flags, cgroup.as_ref().map(Cgroup::fd), run);
    }
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
