//! Fifth stage: the first process is on its own, and becomes the program or starts it.

use super::ended::Ended;
use super::events::Events;
use super::helped::Helped;
use super::outcome::Outcome;
use super::supervise::Supervisor;
use crate::error::Result;

/// A sandbox that was started: to be waited for, and ended where it is dropped. Its program may still fail to start.
pub struct Running<'p>(Supervisor<'p>);

impl<'p> Running<'p> {
    pub(super) fn new(helped: Helped<'p>) -> Running<'p> {
        let Helped(mut supervisor) = helped;
        supervisor.begin();
        Running(supervisor)
    }

    /// Waits for the program's end, hands signals and the terminal's input on to it meanwhile, and takes away what is left.
    ///
    /// # Errors
    ///
    /// The program could not be started, or can no longer be watched. The sandbox is ended then, too.
    pub fn wait(self, status: &mut dyn Events) -> Result<Outcome> {
        Ok(Ended::new(self.0, status)?.tell(status))
    }
}
