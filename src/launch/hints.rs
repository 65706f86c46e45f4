//! Hints for somebody at a terminal, at the end of a run: what may have surprised the program in its sandbox.

use super::outcome::Outcome;
use crate::child::{self, Hints, Session};
use crate::error::Result;
use crate::plan::syscalls::{self, Decision};
use crate::plan::{Op, Plan};
use crate::spec::{Namespace, Tty};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Programs that trace others by ptrace(2), and say little of why they cannot.
const TRACERS: [&str; 6] = ["gdb", "lldb", "ltrace", "rr", "strace", "gdbserver"];

/// What PID 1 is to look at; nothing if nobody would read of it: standard error is no terminal.
pub(super) fn wanted(plan: &Plan, session: Session, reads: bool) -> Result<Option<Hints>> {
    let (true, Tty::Auto, Session::Pty([.., true]), true) = (reads, plan.process.tty, session, plan.process.init)
    else {
        return Ok(None);
    };
    let home = plan.process.variable("HOME").filter(|home| is_in_memory(plan, Path::new(home)));
    let home = home.map(|home| CString::new(home.as_bytes())).transpose().unwrap_or_default();
    Ok(Some(Hints {
        home,
        network: plan.namespaces.private.contains(&Namespace::Net) && plan.network_helper().is_none(),
    }))
}

/// Whether what is written to a directory of the view is gone at the end.
fn is_in_memory(plan: &Plan, dir: &Path) -> bool {
    let at = |op: &Op| matches!(op, Op::Tmpfs { path, .. } | Op::Dir { path, .. } if path == dir);
    plan.view.parts.iter().any(|placed| at(&placed.op))
}

/// The hints in words: `seen` is what PID 1 has seen, as bits.
pub(super) fn words(plan: &Plan, seen: u32, outcome: Outcome) -> Vec<String> {
    let mut hints = Vec::new();
    if seen & child::NETWORK != 0 {
        hints.push(
            "the program tried to reach the network, and this profile has none: --net private gives it one, --net host shares the host's".into(),
        );
    }
    let program = plan.process.args.first().map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
    let traces = program.is_some_and(|program| TRACERS.contains(&program));
    let refused = |policy| matches!(syscalls::decide(policy, "ptrace"), Ok(Decision::Errno(_)));
    if traces && outcome != Outcome::TimedOut && plan.lockdown.syscalls.as_ref().is_some_and(refused) {
        hints.push(format!(
            "{} traces by ptrace(2), which this profile refuses: --set 'security.syscalls.allow=[\"@debug\"]' allows it",
            program.unwrap_or_default()
        ));
    }
    if seen & child::HOME != 0 {
        let home = plan.process.variable("HOME").unwrap_or_default();
        hints.push(format!(
            "what was written to {} is gone, since the home is in memory: --rw DIRECTORY keeps what is written there",
            home.display()
        ));
    }
    hints
}
