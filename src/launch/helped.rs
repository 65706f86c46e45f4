//! Fourth stage of a start: helpers are ready, and the launcher has no more rights and descriptors than it needs from
//! here on.

use super::events::Events;
use super::mapped::Mapped;
use super::supervise::Supervisor;
use super::wording;
use crate::error::{Error, Result};
use crate::plan::{Phase, Plan};
use crate::spec::Descriptors;
use crate::sys;
use std::os::fd::AsFd;

/// A sandbox that is complete but for its program.
pub(super) struct Helped<'p>(pub Supervisor<'p>);

impl<'p> Helped<'p> {
    /// Starts the helpers, and lets the first process go on once those are ready that it waits for.
    pub(super) fn new(mapped: Mapped<'p>, status: &mut dyn Events) -> Result<Helped<'p>> {
        let Mapped(mut supervisor) = mapped;
        let plan = supervisor.sandbox().plan;
        if supervisor.sandbox().given.namespaces.wait_for_launcher {
            // Before there is a way out.
            supervisor.filter_packets()?;
            supervisor.help(Phase::Namespaces, status)?;
            supervisor.go()?;
        }
        if !plan.namespaces.user.is_private() || plan.namespaces.user_last.is_some() {
            give_up_rights(plan)?;
        }
        if let Descriptors::AllBut(_) = plan.process.descriptors {
            // The launcher must not hold pipes of the caller open: they are to end with the program.
            let mut keep = status.descriptors();
            keep.extend([0, 1, 2]);
            keep.extend(supervisor.descriptors());
            keep.sort_unstable();
            sys::close_all_but(&keep).map_err(|errno| Error::call("close_range", errno))?;
        }
        if supervisor.sandbox().given.view.served.is_some() {
            supervisor.expect_ready(status)?;
            supervisor.help(Phase::Overlays, status)?;
            supervisor.go()?;
        }
        if supervisor.sandbox().given.view.wait_for_go {
            supervisor.expect_ready(status)?;
            supervisor.show_wayland()?;
            supervisor.show_to_portals()?;
            supervisor.await_demand()?;
            supervisor.help(Phase::View, status)?;
            supervisor.go()?;
        }
        supervisor.tell_ports(status);
        Ok(Helped(supervisor))
    }
}

/// Gives up root's capabilities, or those over a namespace that was joined: only the start needed them.
fn give_up_rights(plan: &Plan) -> Result<()> {
    if let Some(fd) = plan.namespaces.user_last {
        sys::join_namespace(sys::UnownedFd::new(fd).as_fd(), libc::CLONE_NEWUSER)
            .map_err(|errno| wording::join("userns2", errno))?;
    }
    match sys::set_capabilities(0) {
        // A seccomp filter around sbx may refuse capset(2) to root (systemd-nspawn's does).
        Err(sys::Errno(libc::EPERM)) => {}
        other => other.map_err(|errno| Error::call("capset", errno))?,
    }
    // The program may have the launcher's user and as few capabilities: it must not reach the host through the
    // launcher's files in /proc.
    sys::set_dumpable(false).map_err(|errno| Error::call("prctl PR_SET_DUMPABLE", errno))
}
