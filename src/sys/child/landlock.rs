//! Landlock: landlock(7). The types are those of the crate landlock. The three calls are made directly: the crate would
//! look up the type of each file (fstat(2)) and the version again, though the plan has decided already what a rule may
//! grant. docs/dependencies.md says what that would cost.

use super::descriptor::owned;
use crate::sys::errno::{Result, check};
use landlock::{AccessFs, AccessNet, Scope};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Right to execute a file.
pub const FS_EXECUTE: u64 = AccessFs::Execute as u64;
/// Right to open a file for writing.
pub const FS_WRITE_FILE: u64 = AccessFs::WriteFile as u64;
/// Right to open a file for reading.
pub const FS_READ_FILE: u64 = AccessFs::ReadFile as u64;
/// Right to list a directory.
pub const FS_READ_DIR: u64 = AccessFs::ReadDir as u64;
/// Right to create device files.
pub const FS_MAKE_DEVICES: u64 = AccessFs::MakeChar as u64 | AccessFs::MakeBlock as u64;
/// Right to link or rename a file from one directory to another (Landlock version 2).
pub const FS_REFER: u64 = AccessFs::Refer as u64;
/// Right to truncate a file (Landlock version 3).
pub const FS_TRUNCATE: u64 = AccessFs::Truncate as u64;
/// Right to use ioctl(2) on a device (Landlock version 5).
pub const FS_IOCTL_DEV: u64 = AccessFs::IoctlDev as u64;

/// Scope: no connection to abstract sockets of processes outside of the ruleset's domain (Landlock version 6).
pub const SCOPE_ABSTRACT: u64 = Scope::AbstractUnixSocket as u64;
/// Scope: no signals to processes outside of the ruleset's domain (Landlock version 6).
pub const SCOPE_SIGNAL: u64 = Scope::Signal as u64;

/// The version of Landlock that this kernel has: landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION.
pub fn landlock_version() -> Result<i32> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the call takes no attributes, and gives a number.
    Ok(check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, 1) })? as i32)
}

/// Right to connect a TCP socket to a port (Landlock version 4).
pub const NET_CONNECT_TCP: u64 = AccessNet::ConnectTcp as u64;

/// landlock_create_ruleset(2): a ruleset that denies these rights on files, and `net` on ports, where no rule grants them, and these scopes.
pub fn landlock_ruleset(rights: u64, net: u64, scoped: u64) -> Result<OwnedFd> {
    let attributes = [rights, net, scoped];
    // A kernel that does not know scopes, or ports, accepts the shorter struct, which ends before them.
    let known = match (net, scoped) {
        (0, 0) => 1,
        (_, 0) => 2,
        _ => attributes.len(),
    };
    let size = known * size_of::<u64>();
    // SAFETY: struct landlock_ruleset_attr begins with these three numbers, of which the first `size` bytes may be
    // read.
    owned(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes.as_ptr(), size, 0) })
}

/// landlock_add_rule(2): grants rights on the file that `object` refers to, and on everything below it.
pub fn landlock_allow(ruleset: BorrowedFd<'_>, object: BorrowedFd<'_>, rights: u64) -> Result<()> {
    #[repr(C, packed)]
    struct PathBeneath {
        rights: u64,
        object: i32,
    }
    let rule = PathBeneath { rights, object: object.as_raw_fd() };
    // SAFETY: `rule` has the layout of struct landlock_path_beneath_attr, which is packed, and which rules of type 1
    // are.
    check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), 1, &raw const rule, 0) })?;
    Ok(())
}

/// landlock_add_rule(2): grants rights on a port.
pub fn landlock_allow_port(ruleset: BorrowedFd<'_>, port: u16, rights: u64) -> Result<()> {
    let rule = [rights, u64::from(port)];
    // SAFETY: `rule` has the layout of struct landlock_net_port_attr, two numbers of 64 bits, which rules of type 2 are.
    check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), 2, rule.as_ptr(), 0) })?;
    Ok(())
}

/// landlock_restrict_self(2): restricts this process by a ruleset. Needs no_new_privs.
pub fn landlock_restrict(ruleset: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the call takes a descriptor that is open, and an integer.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })?;
    Ok(())
}
