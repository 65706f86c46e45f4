//! Last stage of a run: the program has ended.

use super::events::Events;
use super::outcome::Outcome;
use super::supervise::Supervisor;
use crate::error::Result;

/// A sandbox whose processes have all ended. Its cgroup and figures are what is left.
pub(super) struct Ended<'p> {
    supervisor: Supervisor<'p>,
    outcome: Outcome,
}

impl<'p> Ended<'p> {
    /// Supervises the sandbox until all of its processes have ended.
    pub(super) fn new(mut supervisor: Supervisor<'p>, status: &mut dyn Events) -> Result<Ended<'p>> {
        let outcome = supervisor.until_end(status)?;
        Ok(Ended { supervisor, outcome })
    }

    /// Reports the resources used, removes the cgroup, and reports how the sandbox ended.
    pub(super) fn tell(mut self, status: &mut dyn Events) -> Outcome {
        if let Some(refused) = self.supervisor.refused() {
            status.refused_in_all(refused);
        }
        if let Some(used) = self.supervisor.used(status.wants_figures()) {
            status.figures(&used, true);
        }
        if let Some(name) = self.supervisor.kept() {
            status.kept(name);
        }
        if let Some(text) = self.supervisor.discarded() {
            status.note(&text);
        }
        self.supervisor.hints(self.outcome).iter().for_each(|hint| status.note(hint));
        // By the time that the end is reported, what the program left is killed, and the cgroup is gone.
        self.supervisor.take_cgroup_away();
        status.exited(&self.outcome);
        // Somebody may be asked about what is kept, and is not after a signal that asks for the end, however late.
        if self.supervisor.kept().is_some() {
            self.supervisor.note_last_signals(status);
        }
        self.outcome
    }
}
