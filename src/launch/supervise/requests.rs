//! What other commands ask of the launcher of a sandbox with a record.

use super::Supervisor;
use crate::error::Result;
use crate::launch::events::Events;
use crate::state::{Answer, Request};

impl Supervisor<'_> {
    /// Requests have come.
    pub(super) fn on_request(&mut self, status: &mut dyn Events) -> Result<()> {
        let Some(mut control) = self.control.take() else { return Ok(()) };
        for (client, request) in control.requests() {
            let error = match request {
                Some(Request::Signal { signal, stop }) if (1..=64).contains(&signal) => {
                    if stop {
                        status.stopped();
                    }
                    self.kill(signal);
                    None
                }
                Some(Request::Signal { signal, .. }) => Some(format!("there is no signal {signal}")),
                None => Some("this version of sbx does not know the request".to_owned()),
            };
            control.answer(client, &Answer { error });
        }
        self.control = Some(control);
        Ok(())
    }
}
