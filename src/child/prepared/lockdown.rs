//! Data for the lock-down.

use super::process::Strings;
use super::view::Rule;
use crate::sys::BpfProgram;
use std::cell::Cell;
use std::ffi::CString;

/// The rights that are taken from PID 1 and the program.
pub struct Lockdown {
    /// Join a new, empty session keyring instead of the caller's.
    pub own_keyring: bool,
    /// The program's capabilities.
    pub capabilities: Capabilities,
    /// The Landlock ruleset, if Landlock is used.
    pub landlock: Option<Landlock>,
    /// seccomp filters for all processes of the sandbox, including PID 1.
    pub filters_for_all: Vec<BpfProgram>,
    /// seccomp filters for the program and its children only, in the order in which they are loaded.
    pub filters: Vec<BpfProgram>,
    /// SELinux context for the program.
    pub exec_label: Option<CString>,
    /// Processes outside of the sandbox may inspect PID 1, as by /proc/PID.
    pub visible: bool,
    /// Capabilities that PID 1 keeps and the program does not have, so that the program may not trace PID 1.
    pub tracer_barrier_caps: Cell<u64>,
    /// Set if the program is executed by way of sbx's own file on a read-only mount.
    pub handover: Option<Handover>,
}

/// The capability sets of the program, one bit for each capability. `None` leaves a set unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Capabilities that stay in the bounding set.
    pub bounding: Option<u64>,
    /// The effective, the permitted and the inheritable set, which are the same.
    pub sets: Option<u64>,
    /// Capabilities to add to the ambient set. If there are none, the set is cleared.
    pub ambient: u64,
    /// User id 0 gives no capabilities (securebits).
    pub powerless_root: bool,
}

/// sbx's own file, by way of which the program is executed (`child/handover.rs`).
#[derive(Debug)]
pub struct Handover {
    /// Path of sbx's file on the host.
    pub file: CString,
    /// Device and inode number of that file.
    pub id: (u64, u64),
    /// Arguments for that file's execution.
    pub args: Strings,
    /// A pipe for the errno of an exec that failed: read end and write end.
    pub pipe: (i32, i32),
}

/// A Landlock ruleset.
#[derive(Debug)]
pub struct Landlock {
    /// Access rights that are denied wherever no rule grants them.
    pub rights: u64,
    /// Scopes: kinds of IPC that cannot leave the sandbox.
    pub scoped: u64,
    /// Paths in the view, and the rights that are granted there, but for those whose rules steps of the view add.
    pub rules: Vec<(CString, Rule)>,
    /// Descriptors of files that the program gets, with the rights that are granted to open those again, as by
    /// /dev/stderr.
    pub descriptors: Vec<(i32, u64)>,
    /// The ports that TCP connections may go to; none if all may.
    pub tcp: Option<Vec<u16>>,
}
