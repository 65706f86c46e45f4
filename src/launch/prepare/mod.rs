//! Plan → what the child is given, in the form of system calls: a file for each group of it.

mod descriptors;
mod lockdown;
mod namespaces;
mod process;
mod strings;
mod view;

use crate::child::{Prepared, Session};
use crate::error::Result;
use crate::plan::Plan;

/// What is not the plan's: the state of the process that carries it out, and of its caller.
pub(super) struct CallerState {
    /// The caller ignores SIGPIPE, and so is the program to do.
    pub ignores_sigpipe: bool,
    /// Somebody is told of the first process while that waits in its namespaces.
    pub wants_child: bool,
    /// Somebody is told when the program was executed.
    pub wants_start: bool,
    /// A pidfd of the process that the sandbox ends with, or -1.
    pub caller: i32,
}

/// Prepares everything that the child does.
pub(super) fn prepare(plan: &Plan, session: Session, state: &CallerState) -> Result<Prepared> {
    Ok(Prepared {
        view: view::prepare(plan, session)?,
        namespaces: namespaces::prepare(plan, state)?,
        process: process::prepare(plan, session, state)?,
        descriptors: descriptors::prepare(plan, state)?,
        lockdown: lockdown::prepare(plan)?,
        #[cfg(feature = "guards-off")]
        off: Vec::new(),
    })
}
