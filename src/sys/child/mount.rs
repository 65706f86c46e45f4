//! Mounts and root directories. Neither libc nor nix wraps the mount API with descriptors (fsopen, fsmount, open_tree,
//! move_mount of Linux 5.2; mount_setattr of Linux 5.12).

use super::descriptor::{cwd, owned};
use super::file::fchdir;
use crate::sys::errno::{Result, check};
use nix::mount::{MntFlags, MsFlags};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const OPEN_TREE_CLONE: u32 = 1;
const AT_RECURSIVE: i32 = 0x8000;
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;

/// MOUNT_ATTR_RDONLY of mount_setattr(2): read-only.
pub const ATTR_RDONLY: u64 = 0x1;
/// MOUNT_ATTR_NOSUID of mount_setattr(2): set-user-id and set-group-id bits and file capabilities are ignored.
pub const ATTR_NOSUID: u64 = 0x2;
/// MOUNT_ATTR_NODEV of mount_setattr(2): device files cannot be opened.
pub const ATTR_NODEV: u64 = 0x4;
/// MOUNT_ATTR_NOEXEC of mount_setattr(2): files cannot be executed.
pub const ATTR_NOEXEC: u64 = 0x8;

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// A new filesystem of the type `kind`, as a detached mount: fsopen(2), fsconfig(2), fsmount(2). An option with an
/// empty value is a flag.
pub fn new_filesystem(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> Result<OwnedFd> {
    // SAFETY: the type ends with a NUL and outlives the call.
    let fs = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    for (key, value) in options {
        match value.is_empty() {
            true => configure(&fs, FSCONFIG_SET_FLAG, Some(key), None)?,
            false => configure(&fs, FSCONFIG_SET_STRING, Some(key), Some(value))?,
        }
    }
    configure(&fs, FSCONFIG_CMD_CREATE, None, None)?;
    // SAFETY: the call takes a descriptor that is open, and integers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), FSMOUNT_CLOEXEC, attributes) })
}

fn configure(fs: &OwnedFd, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    let (key, value) = (pointer(key), pointer(value));
    // SAFETY: key and value are null or end with a NUL, and outlive the call; each command used here takes a string or
    // nothing.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, key, value, 0) })?;
    Ok(())
}

/// open_tree(2), OPEN_TREE_CLONE: a detached copy of the mount at a path, with `recursive` also of those below. A link
/// at the end of the path is not followed.
pub fn clone_tree(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    clone_with(dir, path, libc::AT_SYMLINK_NOFOLLOW | if recursive { AT_RECURSIVE } else { 0 })
}

/// The same with all mounts below. What is mounted when somebody opens it (autofs) is not mounted by that.
pub fn clone_below(dir: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    clone_with(dir, path, libc::AT_SYMLINK_NOFOLLOW | AT_RECURSIVE | libc::AT_NO_AUTOMOUNT)
}

/// open_tree(2), OPEN_TREE_CLONE: a detached copy of the mount at a path, links followed, and of all mounts below.
pub fn clone_followed(path: &CStr) -> Result<OwnedFd> {
    clone_with(cwd(), path, AT_RECURSIVE)
}

fn clone_with(dir: BorrowedFd<'_>, path: &CStr, more: i32) -> Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE as i32 | libc::O_CLOEXEC | libc::AT_EMPTY_PATH | more;
    // SAFETY: the path ends with a NUL and outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) })
}

/// Propagation type of a mount: mount_namespaces(7), "Shared subtrees".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Leave the type unchanged.
    Keep,
    /// Later mounts below the original do not appear in the copy, nor the other way round: MS_PRIVATE.
    Private,
    /// Later mounts below the original appear in the copy, but not the other way round: MS_SLAVE.
    Slave,
    /// As [`Propagation::Private`], and recursive copies of the tree that the mount is in leave it out: MS_UNBINDABLE.
    Unbindable,
}

/// mount_setattr(2): adds MOUNT_ATTR_* attributes to a mount and sets its propagation; with `recursive`, also for all
/// mounts below it.
pub fn set_attributes(mount: BorrowedFd<'_>, attributes: u64, propagation: Propagation, recursive: bool) -> Result<()> {
    let attr = MountAttr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: match propagation {
            Propagation::Keep => 0,
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Unbindable => libc::MS_UNBINDABLE,
        },
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: `attr` has the layout and size of struct mount_attr; the path is the empty string.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}

/// move_mount(2): attaches a detached mount at a path below a directory.
pub fn attach_at(mount: BorrowedFd<'_>, dir: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths end with a NUL.
    check(unsafe {
        libc::syscall(libc::SYS_move_mount, mount.as_raw_fd(), c"".as_ptr(), dir.as_raw_fd(), path.as_ptr(), flags)
    })?;
    Ok(())
}

/// mount(2) of a new filesystem at a path, for options longer than the 256 bytes that fsconfig(2) takes.
pub fn mount(kind: &CStr, target: &CStr, flags: libc::c_ulong, options: &CStr) -> Result<()> {
    Ok(nix::mount::mount(Some(kind), target, Some(kind), MsFlags::from_bits_retain(flags), Some(options))?)
}

/// pivot_root(2): makes the mount at `root` the root of this mount namespace, and attaches the old root at the
/// directory `old` in it.
pub fn pivot(root: BorrowedFd<'_>, old: &CStr) -> Result<()> {
    fchdir(root)?;
    Ok(nix::unistd::pivot_root(c".", old)?)
}

/// chroot(2): makes a directory this process's root directory, and its current directory.
pub fn chroot(dir: BorrowedFd<'_>) -> Result<()> {
    fchdir(dir)?;
    Ok(nix::unistd::chroot(c".")?)
}

/// Makes the mount at `root` the root of this mount namespace, and detaches the old root: pivot_root(".", ".") stacks
/// the old root on top of the new one, and umount2(2) removes it from there (pivot_root(2), NOTES).
pub fn enter_root(root: BorrowedFd<'_>) -> Result<()> {
    pivot(root, c".")?;
    nix::mount::umount2(c".", MntFlags::MNT_DETACH)?;
    super::file::chdir(c"/")
}
