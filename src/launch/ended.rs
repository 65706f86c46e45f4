//! Last stage: the program has ended.

use super::events::Events;
use super::outcome::Outcome;
use super::supervise::Supervisor;
use crate::error::Result;

/// A sandbox without processes, of which there is nothing left but figures.
pub(super) struct Ended<'p> {
    supervisor: Supervisor<'p>,
    outcome: Outcome,
}

impl<'p> Ended<'p> {
    /// Watches the sandbox to its end.
    pub(super) fn new(mut supervisor: Supervisor<'p>, status: &mut dyn Events) -> Result<Ended<'p>> {
        let outcome = supervisor.until_end(status)?;
        Ok(Ended { supervisor, outcome })
    }

    /// Tells what was used and how it ended.
    pub(super) fn tell(mut self, status: &mut dyn Events) -> Outcome {
        if let Some(used) = self.supervisor.used(status.wants_figures()) {
            status.figures(&used, true);
        }
        // What the program left is ended, and nothing is left of the cgroup when that is told.
        self.supervisor.take_cgroup_away();
        status.exited(&self.outcome);
        self.outcome
    }
}
