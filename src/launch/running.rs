//! Fifth stage of a start: the first process needs the launcher no more, and becomes the program or starts it.

use super::ended::Ended;
use super::events::Events;
use super::helped::Helped;
use super::outcome::Outcome;
use super::supervise::Supervisor;
use crate::error::Result;

/// A sandbox that was started. [`Running::wait`] waits for its end; dropping it ends it. Its program may still fail to
/// start.
pub struct Running<'p>(Supervisor<'p>);

impl<'p> Running<'p> {
    pub(super) fn new(helped: Helped<'p>, status: &mut dyn Events) -> Result<Running<'p>> {
        let Helped(mut supervisor) = helped;
        supervisor.begin(status)?;
        Ok(Running(supervisor))
    }

    /// Waits for the program's end, forwards signals and the terminal's input meanwhile, and removes what is left.
    ///
    /// # Errors
    ///
    /// The program could not be started, or can no longer be supervised. The sandbox is ended in both cases.
    pub fn wait(self, status: &mut dyn Events) -> Result<Outcome> {
        Ok(Ended::new(self.0, status)?.tell(status))
    }
}
