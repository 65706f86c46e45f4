//! The lock-down.

use super::process::Strings;
use crate::sys::BpfProgram;
use std::cell::Cell;
use std::ffi::CString;

/// What is taken from the program before it runs.
pub struct Lockdown {
    /// The caller's session keyring is left for an empty one.
    pub own_keyring: bool,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// Rules of Landlock, if it is used.
    pub landlock: Option<Landlock>,
    /// seccomp filters that bind PID 1, too.
    pub filters_for_all: Vec<BpfProgram>,
    /// seccomp filters of the program, in this order.
    pub filters: Vec<BpfProgram>,
    /// SELinux context of the program.
    pub exec_label: Option<CString>,
    /// Others outside may look at this process.
    pub visible: bool,
    /// Capabilities that this process is permitted beyond the program, so that the program may not trace it.
    pub tracer_barrier_caps: Cell<u64>,
    /// Where the program is executed by our own file, from a read-only mount.
    pub handover: Option<Handover>,
}

/// Sets of capabilities of the program. None leaves a set as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What stays in the bounding set.
    pub bounding: Option<u64>,
    /// The effective, permitted and inheritable set.
    pub sets: Option<u64>,
    /// What is raised in the ambient set; empty, it is cleared.
    pub ambient: u64,
    /// Root's id gives nothing: securebits.
    pub powerless_root: bool,
}

/// Our own file, which executes the program (`child/handover.rs`).
#[derive(Debug)]
pub struct Handover {
    /// Its path on the host.
    pub file: CString,
    /// Device and number of it.
    pub id: (u64, u64),
    /// What it is given.
    pub args: Strings,
    /// It tells an exec that failed: read and write end.
    pub pipe: (i32, i32),
}

/// A ruleset of Landlock.
#[derive(Debug)]
pub struct Landlock {
    /// Rights that need a rule.
    pub rights: u64,
    /// What does not reach beyond the sandbox.
    pub scoped: u64,
    /// Paths inside, and what is allowed there.
    pub rules: Vec<(CString, u64)>,
    /// Descriptors that the program is given: what they refer to may be opened again by them.
    pub descriptors: Vec<i32>,
}
