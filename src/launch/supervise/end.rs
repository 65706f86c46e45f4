//! The end of the first process and of its helpers, terminal and cgroup.

use super::{State, Supervisor};
use crate::child;
use crate::error::{Error, Result};
use crate::launch::born::Born;
use crate::launch::cgroup::figures::Figures;
use crate::launch::denials::Denials;
use crate::launch::events::Events;
use crate::launch::helpers::Helper;
use crate::launch::outcome::Outcome;
use crate::launch::refusals::Recorder;
use crate::launch::uppers::Uppers;
use crate::launch::wording;
use crate::launch::{hints, inherited};
use crate::plan::Phase;
use crate::sys::{self, Poll, Waited};
use std::os::fd::RawFd;

/// How long the end of a process that was killed may take before a note says what it waits for.
const STUCK: i32 = 5000;

/// Tells the user if a process that was killed does not end.
fn note_if_stuck(pidfd: RawFd, status: &mut dyn Events) {
    let mut set = [Poll::read(pidfd)];
    if sys::poll(&mut set, Some(STUCK)).is_ok() && !set.iter().any(|ended| ended.ready) {
        status.note("a process of the sandbox cannot be ended while it waits for a filesystem of the host that does not answer: end that filesystem's server, or unmount it (umount -f)");
    }
}

impl Supervisor<'_> {
    /// Supervises the sandbox until all of its processes have ended, or PID 1 goes on with what the program left, and
    /// returns how the program ended. Its cgroup still exists then.
    pub(in crate::launch) fn until_end(&mut self, status: &mut dyn Events) -> Result<Outcome> {
        self.hand_on_early_signals(status);
        while self.state != State::Over {
            self.turn(status)?;
        }
        self.note_last_signals(status);
        let init = self.sandbox.given.process.init;
        let goes_on = self.goes_on && self.outcome.is_some();
        // PID 1 only has to end now. It must not keep the launcher waiting, should the program have made it send its
        // last message.
        if init && !goes_on {
            self.sandbox.first.signal(libc::SIGKILL);
        }
        // What carries the network's packets takes long to end, and ends while the rest is undone.
        if !goes_on {
            let carriers = self.helpers.iter_mut().filter(|helper| helper.spec().phase == Phase::Namespaces);
            carriers.for_each(Helper::kill);
        }
        if let Some(victims) = &mut self.victims {
            victims.last();
        }
        // A process that waits for the view server cannot be killed while that hangs, and PID 1 waits for all of them.
        self.on_helper_note(status)?;
        for helper in self.helpers.iter_mut().filter(|helper| helper.spec().phase == Phase::Overlays) {
            helper.kill();
            note_if_stuck(helper.fd(), status);
        }
        self.helpers.retain(|helper| helper.spec().phase != Phase::Overlays);
        let end = if goes_on {
            self.sandbox.first.leave();
            None
        } else {
            // Elsewhere the program, and so what it waited for, has ended by itself.
            if self.timed_out || self.skip_final_output {
                note_if_stuck(self.sandbox.first.fd(), status);
            }
            let end = self.sandbox.first.wait().map_err(|errno| Error::call("waitid", errno))?;
            self.tell_further_ends(status);
            Some(end)
        };
        inherited::move_offsets(&self.sandbox.inherited, &self.reopened);
        inherited::put_access_back(&self.sandbox.inherited).iter().for_each(|note| status.note(note));
        sys::phase("the end of PID 1 and the mounts");
        self.take_back();
        self.finish(status);
        if let Some(terminal) = self.handed_over.take() {
            terminal.put_back();
        }
        if let Some(shared) = self.shared.take() {
            shared.take_back();
        }
        self.record_last(status);
        // What the program did last may be worth a note.
        self.on_helper_note(status)?;
        self.helpers.clear();
        // Without an init the program was the first process itself. Whether that had become the program is not known.
        if !init
            && end == Some(Waited::Signaled(libc::SIGSEGV))
            && let Some(kib) = wording::low_stack()
        {
            status.note(&format!(
                "the limit of the stack is {kib} KiB, which may be too low for the program, or for sbx before it: `ulimit -s 8192`"
            ));
        }
        Ok(match (self.outcome, end) {
            _ if self.timed_out => Outcome::TimedOut,
            (Some(Outcome::Signaled(signal)), _) | (None, Some(Waited::Signaled(signal)))
                if self.interrupted == Some(signal) =>
            {
                Outcome::Interrupted(signal)
            }
            (Some(outcome), _) => outcome,
            (None, Some(Waited::Exited(status))) if !init => Outcome::Exited(status),
            (None, Some(Waited::Signaled(signal))) if !init => Outcome::Signaled(signal),
            // The program cannot have done it: its filters are not those of PID 1.
            (None, Some(Waited::Signaled(libc::SIGSYS))) => return Err(wording::filtered()),
            // Nobody but the kernel can end it by another signal than SIGKILL. Where the program is known to run, that is
            // for its exit status to say.
            (None, Some(Waited::Signaled(signal))) if signal != libc::SIGKILL && !self.program_ran => {
                return Err(wording::fault(signal));
            }
            (None, _) => Outcome::Killed,
        })
    }

    /// Resources used so far.
    pub(super) fn figures(&self) -> Figures {
        let Born { cgroup, began, .. } = &self.sandbox;
        let figures = match cgroup {
            Some(cgroup) => cgroup.figures(*began),
            None => Figures::of_children(began.elapsed()),
        };
        figures.naming(self.victims.as_ref())
    }

    /// The figures of the whole run: `all` of them, or only what limits did. None if there is no cgroup and no figures
    /// were asked for.
    pub(in crate::launch) fn used(&self, all: bool) -> Option<Figures> {
        match &self.sandbox.cgroup {
            Some(cgroup) if !all => Some(cgroup.verdict(self.sandbox.began).naming(self.victims.as_ref())),
            None if !self.sandbox.plan.resources.stats => None,
            _ => Some(self.figures()),
        }
    }

    /// What the rules on the sandbox's network have refused, if that was recorded.
    pub(in crate::launch) fn refused(&self) -> Option<&Denials> {
        self.recorder.as_ref().map(Recorder::total)
    }

    /// Hints for somebody at a terminal on how the program ended.
    pub(in crate::launch) fn hints(&self, outcome: Outcome) -> Vec<String> {
        match self.sandbox.given.process.hints {
            Some(_) => hints::words(self.sandbox.plan, self.hints, outcome),
            None => Vec::new(),
        }
    }

    /// What is said of changes that are discarded though the profile would have the user asked; nothing if there are none.
    pub(in crate::launch) fn discarded(&self) -> Option<String> {
        let plan = self.sandbox.plan;
        let union = plan.view.union.as_ref()?;
        let on_disk = self.sandbox.uppers.as_ref().map(|uppers| uppers.changed(child::MOST_CHANGES));
        // What PID 1 has counted comes before its word that the program has ended.
        let counted = (plan.process.init && self.outcome.is_some()).then_some(self.changed);
        union.discarded(on_disk.or(counted), child::MOST_CHANGES)
    }

    /// The name of the upper layers that stay on disk; none if there are none, or they have no name.
    pub(in crate::launch) fn kept(&self) -> Option<&str> {
        self.sandbox.uppers.as_ref().and_then(Uppers::name)
    }

    /// Kills what is left in the sandbox's cgroup, and removes that.
    pub(in crate::launch) fn take_cgroup_away(&mut self) {
        if let Some(mut cgroup) = self.sandbox.cgroup.take() {
            cgroup.end();
        }
    }
}
