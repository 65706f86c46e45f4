//! Attempts on the filesystem: mounts, roots, device files, file handles, terminals.

use crate::sys::child::owned;
use crate::sys::errno::{Errno, Result, check, done};
use nix::fcntl::{AtFlags, OFlag};
use nix::mount::{MntFlags, MsFlags};
use nix::sys::stat::{Mode, SFlag};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Bind-mounts one path onto another, or, with MS_REMOUNT, changes the flags of the mount at `target`: mount(2),
/// MS_BIND.
pub fn bind(source: &CStr, target: &CStr, flags: libc::c_ulong) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::from_bits_retain(flags);
    Ok(nix::mount::mount(Some(source), target, None::<&CStr>, flags, None::<&CStr>)?)
}

/// umount2(2) with these MNT_* and UMOUNT_* flags.
pub fn unmount(target: &CStr, flags: i32) -> Result<()> {
    Ok(nix::mount::umount2(target, MntFlags::from_bits_retain(flags))?)
}

/// mount_setattr(2): clears MOUNT_ATTR_* attributes of the mount at a path.
pub fn clear_attributes(path: &CStr, attributes: u64) -> Result<()> {
    let change: [u64; 4] = [0, attributes, 0, 0];
    // SAFETY: the path ends with a NUL; struct mount_attr, which the call reads, is four 64-bit words, the second of
    // which is cleared.
    check(unsafe {
        libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, path.as_ptr(), 0, change.as_ptr(), size_of_val(&change))
    })?;
    Ok(())
}

/// pivot_root(2): makes the mount at `root` the root, with the old root at `old`.
pub fn pivot_root(root: &CStr, old: &CStr) -> Result<()> {
    Ok(nix::unistd::pivot_root(root, old)?)
}

/// setxattr(2): sets an extended attribute.
pub fn set_attribute(path: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: path and name end with a NUL; the value may be read for the length that is passed.
    done(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
}

/// mknod(2) of a character or block device (`kind`: S_IFCHR or S_IFBLK), readable and writable for its owner.
pub fn make_device(path: &CStr, kind: u32, device: u64) -> Result<()> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    Ok(nix::sys::stat::mknod(path, SFlag::from_bits_retain(kind), mode, device)?)
}

/// Largest size of a file handle in bytes: MAX_HANDLE_SZ of name_to_handle_at(2).
const HANDLE: usize = 128;

#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    data: [u8; HANDLE],
}

/// name_to_handle_at(2): type and content of a handle for the file at a path.
pub fn handle(path: &CStr) -> Result<(i32, Vec<u8>)> {
    let mut handle = Handle { bytes: HANDLE as u32, kind: 0, data: [0; HANDLE] };
    let mut mount: i32 = 0;
    // SAFETY: the path ends with a NUL; `handle` has the layout of struct file_handle with room for as many bytes as it
    // says.
    check(unsafe {
        libc::syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, path.as_ptr(), &raw mut handle, &raw mut mount, 0)
    })?;
    let data = handle.data.get(..handle.bytes as usize).ok_or(Errno(libc::EOVERFLOW))?;
    Ok((handle.kind, data.to_vec()))
}

/// open_by_handle_at(2), for reading, on the filesystem that the descriptor `mount` is on.
pub fn open_handle(mount: BorrowedFd<'_>, kind: i32, data: &[u8]) -> Result<OwnedFd> {
    let mut handle = Handle { bytes: data.len() as u32, kind, data: [0; HANDLE] };
    handle.data.get_mut(..data.len()).ok_or(Errno(libc::EOVERFLOW))?.copy_from_slice(data);
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: `handle` has the layout of struct file_handle with as many bytes as it says, of `HANDLE` at most.
    owned(unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const handle, flags) })
}

/// ioctl(2) with a pointer to one byte: TIOCSTI (the byte is typed), or TIOCLINUX (the byte is the subcode).
pub fn push_input(terminal: BorrowedFd<'_>, request: u64, byte: u8) -> Result<()> {
    // SAFETY: the byte outlives the call; the requests that are passed here read no more than it.
    check(unsafe { libc::syscall(libc::SYS_ioctl, terminal.as_raw_fd(), request, &raw const byte) })?;
    Ok(())
}

/// renameat(2) within a directory.
pub fn rename(dir: BorrowedFd<'_>, from: &CStr, to: &CStr) -> Result<()> {
    Ok(nix::fcntl::renameat(dir, from, dir, to)?)
}

/// fcntl(2), F_SETLEASE: a lease for reading on an open file, which is given back at once.
pub fn lease(file: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: the calls take an open descriptor and integers.
    unsafe {
        check(libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK).into())?;
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK);
    }
    Ok(())
}

/// A call that gives the file at a path this mode: one that is there, or one that it makes.
pub type SetMode = fn(&CStr, u32) -> Result<()>;

/// The calls that give a file its mode, by name. The file has to be there for those whose names say chmod, and must not
/// be there for the others.
pub const SET_MODE: &[(&str, SetMode)] = &[
    ("fchmod", |path, mode| {
        let file = nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        // SAFETY: the call takes an open descriptor and an integer.
        done(unsafe { libc::fchmod(file.as_raw_fd(), mode) })
    }),
    ("fchmodat", |path, mode| {
        // SAFETY: the path ends with a NUL.
        check(unsafe { libc::syscall(libc::SYS_fchmodat, libc::AT_FDCWD, path.as_ptr(), mode) }).map(drop)
    }),
    ("fchmodat2", |path, mode| {
        // SAFETY: the path ends with a NUL.
        check(unsafe { libc::syscall(libc::SYS_fchmodat2, libc::AT_FDCWD, path.as_ptr(), mode, 0) }).map(drop)
    }),
    ("openat", |path, mode| {
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        Ok(nix::fcntl::open(path, flags, Mode::from_bits_retain(mode)).map(drop)?)
    }),
    ("openat with O_TMPFILE", |path, mode| {
        let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let bytes = path.to_bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/').ok_or(Errno(libc::EINVAL))?;
        let dir = std::ffi::CString::new(bytes.get(..slash).unwrap_or_default()).map_err(|_| Errno(libc::EINVAL))?;
        let file = nix::fcntl::open(dir.as_c_str(), flags, Mode::from_bits_retain(mode))?;
        let link = crate::sys::Text::<32>::of_descriptor(file.as_raw_fd());
        let (cwd, follow) = (crate::sys::cwd(), AtFlags::AT_SYMLINK_FOLLOW);
        Ok(nix::unistd::linkat(cwd, link.text()?, cwd, path, follow)?)
    }),
    ("openat2", |path, mode| {
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let how = nix::fcntl::OpenHow::new().flags(flags).mode(Mode::from_bits_retain(mode));
        Ok(nix::fcntl::openat2(crate::sys::cwd(), path, how).map(drop)?)
    }),
    ("mknodat", |path, mode| {
        // SAFETY: the path ends with a NUL; a regular file needs no device.
        done(unsafe { libc::mknodat(libc::AT_FDCWD, path.as_ptr(), libc::S_IFREG | mode, 0) })
    }),
];
