//! Descriptors that the caller had open, and files to lock.

use std::cell::Cell;
use std::ffi::CString;

/// Which descriptors the program and PID 1 get, and which are closed.
pub struct Descriptors {
    /// A pidfd of the caller, if the sandbox is to end when the caller does; else -1.
    pub caller: i32,
    /// Descriptors that are duplicated to other numbers before anything else is done, in this order. No number to
    /// duplicate from is one that is duplicated to.
    pub moves: Vec<(i32, i32)>,
    /// Locks of the launcher's that PID 1 holds, too, until the mounts are about to go: on upper layers, on a private home, on
    /// what is shown in one sandbox at a time.
    pub locks: Vec<i32>,
    /// The descriptors that the program gets beside the standard streams, sorted. `None` leaves all descriptors open.
    pub only_fds: Option<Vec<i32>>,
    /// Files that are opened again from read-only mounts.
    pub read_only: Vec<ReadOnlyFile>,
    /// Descriptors that are closed, so that the program does not get them.
    pub drop_fds: Vec<i32>,
    /// Descriptors that PID 1 keeps open, sorted (`--sync-fd`). The program gets them only if there is no separate PID
    /// 1.
    pub sync_fds: Vec<i32>,
    /// Files that PID 1 locks for reading (`--lock-file`).
    pub lock_files: Vec<CString>,
    /// Descriptors that stay open in PID 1: at first `sync_fds` and `locks`. Its capacity suffices for the lock files, for
    /// the overlays whose changes are counted, and for five more, since PID 1 must not allocate.
    pub held: Cell<Vec<i32>>,
}

/// A file that the caller has open and the program gets from a read-only mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOnlyFile {
    /// The descriptor by which the program gets the file.
    pub fd: i32,
    /// Flags for openat(2).
    pub flags: i32,
    /// The offset of the caller's descriptor; `None` for a device without one.
    pub offset: Option<i64>,
    /// It is a device, and may be opened again inside, such as /dev/null.
    pub device: bool,
}
