//! Descriptors that were open before the sandbox was made.

use std::cell::Cell;
use std::ffi::CString;

/// What becomes of descriptors.
pub struct Descriptors {
    /// A pidfd of the caller, with which the sandbox is to end, or -1.
    pub caller: i32,
    /// The program's descriptors beside the three: these alone, sorted; none leaves all as they are.
    pub only_fds: Option<Vec<i32>>,
    /// Descriptors that the program does not get.
    pub drop_fds: Vec<i32>,
    /// Descriptors that PID 1 keeps, sorted; the program does not get them, unless there is no PID 1.
    pub sync_fds: Vec<i32>,
    /// Files that PID 1 locks.
    pub lock_files: Vec<CString>,
    /// Descriptors that stay open in PID 1: `sync_fds`, with room for those of the locks and three of its own.
    pub held: Cell<Vec<i32>>,
}
