//! The end of the first process, and of what was there for it.

use super::{State, Supervisor};
use crate::error::{Error, Result};
use crate::launch::cgroup::figures::Figures;
use crate::launch::events::Events;
use crate::launch::outcome::Outcome;
use crate::sys::{self, Waited};

impl Supervisor<'_> {
    /// Watches the sandbox until all of its processes have ended. Its cgroup is still there then.
    pub(in crate::launch) fn until_end(&mut self, status: &mut dyn Events) -> Result<Outcome> {
        self.hand_on_early_signals(status);
        while self.state != State::Over {
            self.turn(status)?;
        }
        let init = self.sandbox.given.process.init;
        // What is left to do is to end; whoever has made PID 1 say that it does must not hold us.
        if init {
            self.sandbox.first.signal(libc::SIGKILL);
        }
        if let Some(victims) = &mut self.victims {
            victims.last();
        }
        let end = self.sandbox.first.wait().map_err(|errno| Error::new(format!("waitid: {errno}")))?;
        sys::phase("the end of PID 1 and the mounts");
        self.take_back();
        self.finish();
        if let Some((tty, settings)) = self.settings.take().filter(|(tty, _)| sys::in_foreground(*tty)) {
            let _ = sys::set_terminal(tty, &settings);
        }
        self.helpers.clear();
        // A program without an init was the first process itself, so its end is that one's.
        Ok(match (self.outcome, end) {
            _ if self.timed_out => Outcome::TimedOut,
            (Some(outcome), _) => outcome,
            (None, Waited::Exited(status)) if !init => Outcome::Exited(status),
            (None, Waited::Signaled(signal)) if !init => Outcome::Signaled(signal),
            (None, _) => Outcome::Killed,
        })
    }

    /// What was used in all, where somebody wants to know: `all`, or what limits did.
    pub(in crate::launch) fn used(&self, all: bool) -> Option<Figures> {
        match &self.sandbox.cgroup {
            Some(cgroup) if !all => Some(cgroup.verdict(self.sandbox.began).naming(self.victims.as_ref())),
            None if !self.sandbox.plan.resources.stats => None,
            _ => Some(self.figures()),
        }
    }

    /// Ends what is left in the sandbox's cgroup, and takes that away.
    pub(in crate::launch) fn take_cgroup_away(&mut self) {
        if let Some(mut cgroup) = self.sandbox.cgroup.take() {
            cgroup.end();
        }
    }
}
