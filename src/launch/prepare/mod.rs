//! Turns a plan into what the child needs for its system calls: a file for each group of settings.

mod descriptors;
mod lockdown;
mod namespaces;
mod process;
mod strings;
mod view;

pub(super) use process::candidates;

use super::inherited::InheritedFile;
use crate::child::{Prepared, Session};
use crate::error::Result;
use crate::plan::Plan;
use crate::union::InUse;
use std::os::fd::RawFd;

/// What the plan does not have: the state of the launcher's process, and of its caller.
pub(super) struct CallerState {
    /// The caller ignores SIGPIPE, and the program is to do so as well.
    pub ignores_sigpipe: bool,
    /// SIGXFSZ, which the launcher ignores, has its default action for the program.
    pub defaults_sigxfsz: bool,
    /// The first process is reported while it waits in its namespaces.
    pub wants_child: bool,
    /// The start of the program is reported.
    pub wants_start: bool,
    /// Hints at the end are read, where standard error is a terminal.
    pub wants_hints: bool,
    /// A pidfd of the process that the sandbox ends with, or -1.
    pub caller: i32,
}

/// Prepares everything that the child needs. It holds `locks`, descriptors, too.
pub(super) fn prepare(
    plan: &Plan,
    session: Session,
    state: &CallerState,
    inherited: &[InheritedFile],
    uppers: Option<&InUse>,
    locks: &[RawFd],
) -> Result<Prepared> {
    let mut view = view::prepare(plan, session, uppers)?;
    Ok(Prepared {
        lockdown: lockdown::prepare(plan, inherited, &mut view.steps)?,
        view,
        namespaces: namespaces::prepare(plan, state)?,
        process: process::prepare(plan, session, state)?,
        descriptors: descriptors::prepare(plan, state, inherited, locks)?,
        #[cfg(feature = "guards-off")]
        off: Vec::new(),
    })
}
