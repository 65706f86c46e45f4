//! What a sandbox's user is told while it is started and runs.

use super::cgroup::figures::Figures;
use super::outcome::Outcome;
use crate::error::Result;
use std::os::fd::RawFd;

/// Is told what happens to a sandbox.
pub trait Events {
    /// The first process is to wait in its namespaces until `cloned` has been called.
    fn wants_child(&self) -> bool {
        false
    }

    /// The sandbox's first process is there, in its namespaces, and waits. `pid` is as the caller numbers it.
    fn cloned(&mut self, _pid: i32) -> Result<()> {
        Ok(())
    }

    /// `started` is to be called. To learn of it costs a start a message and a turn of the launcher's.
    fn wants_start(&self) -> bool {
        true
    }

    /// The program was executed; `pid` is that of the sandbox's first process. Not called for everybody who does not want it.
    fn started(&mut self, pid: i32);

    /// Something that the user should know.
    fn note(&mut self, note: &str);

    /// A part of the view, by its number, does not have all of its flags.
    fn partly(&mut self, _index: usize) {}

    /// A limit that was only preferred, and could not be had after all.
    fn not_enforced(&mut self, _limit: &str, _why: &str) {}

    /// Whether somebody wants all that was used, rather than what limits did.
    fn wants_figures(&self) -> bool {
        false
    }

    /// What was used, so far or in all.
    fn figures(&mut self, _figures: &Figures, _ended: bool) {}

    /// The sandbox ended, in this way; nothing is left of it.
    fn exited(&mut self, outcome: &Outcome);

    /// Descriptors that later events are written to, which must stay open.
    fn descriptors(&self) -> Vec<RawFd>;
}
