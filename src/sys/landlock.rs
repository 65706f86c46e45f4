//! Landlock: landlock(7). Rights of files by their bits in `handled_access_fs`.

use super::errno::{Result, check};
use super::fd::owned;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Execute a file.
pub const FS_EXECUTE: u64 = 1 << 0;
/// Open a file for writing.
pub const FS_WRITE_FILE: u64 = 1 << 1;
/// Open a file for reading.
pub const FS_READ_FILE: u64 = 1 << 2;
/// List a directory.
pub const FS_READ_DIR: u64 = 1 << 3;
/// Make device files.
pub const FS_MAKE_DEVICES: u64 = 1 << 6 | 1 << 11;
/// Link or rename from or to another directory (version 2).
pub const FS_REFER: u64 = 1 << 13;
/// Truncate a file (version 3).
pub const FS_TRUNCATE: u64 = 1 << 14;
/// ioctl(2) of a device (version 5).
pub const FS_IOCTL_DEV: u64 = 1 << 15;

/// Connecting to abstract sockets of processes that are not restricted by this (version 6).
pub const SCOPE_ABSTRACT: u64 = 1 << 0;
/// Signals to them (version 6).
pub const SCOPE_SIGNAL: u64 = 1 << 1;

/// The rights of files that a version knows.
pub fn landlock_rights(version: i32) -> u64 {
    match version {
        ..1 => 0,
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3..5 => (1 << 15) - 1,
        5.. => (1 << 16) - 1,
    }
}

/// The version of Landlock's interface that this kernel has: landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION.
pub fn landlock_version() -> Result<i32> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag no attributes are passed.
    Ok(check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, 1) })? as i32)
}

/// landlock_create_ruleset(2): the rights that it governs, and the scopes.
pub fn landlock_ruleset(rights: u64, scoped: u64) -> Result<OwnedFd> {
    let attributes = [rights, 0, scoped];
    // A kernel that does not know scopes takes the part that it knows.
    let size = if scoped == 0 { size_of::<u64>() } else { size_of_val(&attributes) };
    // SAFETY: struct landlock_ruleset_attr is these three numbers, of which the first `size` bytes are passed.
    owned(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes.as_ptr(), size, 0) })
}

/// landlock_add_rule(2): rights for what a descriptor refers to, and all below it.
pub fn landlock_allow(ruleset: BorrowedFd<'_>, object: BorrowedFd<'_>, rights: u64) -> Result<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        rights: u64,
        object: i32,
    }
    let rule = PathBeneath { rights, object: object.as_raw_fd() };
    // SAFETY: the struct has the layout of landlock_path_beneath_attr, which is packed.
    check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), 1, &raw const rule, 0) })?;
    Ok(())
}

/// landlock_restrict_self(2): needs no_new_privs.
pub fn landlock_restrict(ruleset: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })?;
    Ok(())
}
