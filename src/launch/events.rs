//! What is reported of a sandbox while it is started and runs.

use super::attached::Joining;
use super::cgroup::figures::Figures;
use super::denial::Denial;
use super::denials::Denials;
use super::outcome::Outcome;
use crate::error::Result;
use crate::spec::Published;
use crate::state::Happened;
use crate::sys::Poll;
use std::os::fd::{OwnedFd, RawFd};

/// Receives the events of a sandbox.
pub trait Events {
    /// Whether the first process is to wait in its namespaces until [`Events::cloned`] has been called.
    fn wants_child(&self) -> bool {
        false
    }

    /// The sandbox's first process exists in its namespaces, and waits. `pid` is its number in the caller's pid
    /// namespace. An error ends the start.
    fn cloned(&mut self, _pid: i32) -> Result<()> {
        Ok(())
    }

    /// Whether [`Events::started`] is to be called. That costs each start a message, and a turn of the launcher's loop.
    fn wants_start(&self) -> bool {
        true
    }

    /// The listening socket of those who may ask the launcher for something while the program runs; none if nobody may.
    fn requests(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Descriptors whose readiness [`Events::output`] is called for while the program runs: it writes there.
    fn outputs(&self) -> Vec<RawFd> {
        Vec::new()
    }

    /// The program has written something.
    fn output(&mut self) {}

    /// Somebody who is to be attached to the program from its start.
    fn joining(&mut self) -> Option<Joining> {
        None
    }

    /// Attaches somebody to the program, whom requests call so. Gives whether what is typed there goes to the program; or why it cannot be.
    fn attach(&mut self, _client: u64, _joining: Joining) -> std::result::Result<bool, String> {
        Err("this sandbox has nothing that could be attached to".to_owned())
    }

    /// These are attached no more, if they were.
    fn detach(&mut self, _gone: &[u64]) {}

    /// The input of somebody who is attached is at its end.
    fn end_of_input(&mut self, _client: u64) {}

    /// What is waited for on behalf of those who are attached, for [`Events::attend`].
    fn attended(&self) -> Vec<Poll> {
        Vec::new()
    }

    /// Passes on what those who are attached have typed, and what they are shown.
    fn attend(&mut self) {}

    /// Something has happened that is told to those who follow what happens to sandboxes.
    fn happened(&mut self, _what: &Happened) {}

    /// Somebody has asked for the program's end.
    fn stopped(&mut self) {}

    /// All processes of the sandbox are frozen, or go on.
    fn paused(&mut self, _on: bool) {}

    /// The program was executed; `pid` is that of the sandbox's first process. It may not be called where
    /// [`Events::wants_start`] is false.
    fn started(&mut self, pid: i32);

    /// This signal has come for the launcher, which passes it to the program, or ends because of it.
    fn signal(&mut self, _signal: i32) {}

    /// Servers inside are reached at these ports of the host, each with the number that it was asked for by: 0 stands for any.
    fn published(&mut self, _ports: &[(u16, &Published)]) {}

    /// These lines of `network.allow` count from now on, besides those of the profile.
    fn allowed(&mut self, _lines: &[String]) {}

    /// The user is asked about names that no rule is for in this way, or is not, for this reason.
    fn asks(&mut self, _how: std::result::Result<&str, &str>) {}

    /// The user was asked about a name, and has said this; with the line for the profile, if it is to hold for good.
    fn asked(&mut self, _name: &str, _answer: &str, _line: Option<&str>) {}

    /// Whether what the rules on a private network refuse is to be recorded.
    fn wants_refusals(&self) -> bool {
        false
    }

    /// Something was refused.
    fn refused(&mut self, _refusal: &Denial) {}

    /// The sandbox has ended, and this was refused in all.
    fn refused_in_all(&mut self, _all: &Denials) {}

    /// Something that the user should know.
    fn note(&mut self, note: &str);

    /// The part of the plan's view with this index does not have all of its mount flags.
    fn partly(&mut self, _index: usize) {}

    /// Whether hints at the end are read, where standard error is a terminal.
    fn wants_hints(&self) -> bool {
        false
    }

    /// A limit that was only preferred could not be set after all.
    fn not_enforced(&mut self, _limit: &str, _why: &str) {}

    /// Whether all figures are wanted, rather than only what limits did.
    fn wants_figures(&self) -> bool {
        false
    }

    /// Resources used: so far, or in all if the sandbox has `ended`.
    fn figures(&mut self, _figures: &Figures, _ended: bool) {}

    /// Changes that the program made in overlays are kept under this name.
    fn kept(&mut self, _name: &str) {}

    /// The sandbox has ended in this way; nothing is left of it.
    fn exited(&mut self, outcome: &Outcome);

    /// Descriptors that later events are written to, which must stay open.
    fn descriptors(&self) -> Vec<RawFd>;
}
