//! Starting processes (clone3(2), fork(2)), waiting for their end, pidfds.
//!
//! This program starts no threads (`clippy.toml` forbids it), so the memory that a child copies is consistent: no lock
//! is held by a thread that the child does not have.

use crate::sys::child::owned;
use crate::sys::child::{Waited, cwd, exit_now, join_namespace, openat, read, spawn_with, wait, write_file};
use crate::sys::errno::{Errno, Result, check};
use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// CLONE_NEWTIME of clone3(2): a new time namespace.
pub const CLONE_NEWTIME: u64 = 0x80;
/// CLONE_CLEAR_SIGHAND of clone3(2): libc's constant overflows to 0 on this target.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// CLONE_INTO_CGROUP of clone3(2): libc's constant is truncated to 32 bits.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// struct clone_args of clone3(2).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

impl CloneArgs {
    /// clone3(2). Gives 0 in the child, and the child's process id in this process.
    ///
    /// # Safety
    ///
    /// The flags must not contain CLONE_VM, so that the child has its own copy of all memory; `pidfd` must be the
    /// address of an int.
    unsafe fn clone(&mut self) -> Result<i32> {
        debug_assert!(has_one_thread(), "clone with more than one thread");
        // SAFETY: the struct has the layout and the size of clone_args; the caller guarantees the rest.
        Ok(check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut *self, size_of::<CloneArgs>()) })? as i32)
    }
}

/// clone3(2) of a child in new namespaces (CLONE_NEW* flags), with its memory copied as by fork(2). If `cgroup` is
/// given, the child starts in that cgroup (CLONE_INTO_CGROUP, Linux 5.7). The child runs `child` and exits with its
/// value. Gives the child's process id in this process's pid namespace, and a pidfd, close-on-exec.
pub fn clone3(namespaces: u64, cgroup: Option<BorrowedFd<'_>>, child: impl FnOnce() -> i32) -> Result<(i32, OwnedFd)> {
    let mut pidfd: c_int = -1;
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let mut args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND | into,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: the flags do not contain CLONE_VM; `pidfd` outlives the call.
    match unsafe { args.clone() }? {
        0 => exit_now(child()),
        pid => Ok((pid, owned(pidfd.into())?)),
    }
}

/// clone3(2) of a child whose new pid namespace is below the one that this process has joined with setns(2). The kernel
/// makes a pid namespace only below that of the calling process, and setns(2) changes only the one that later children
/// are born in. So a helper process, which shares this one's memory and descriptors, makes the child, as a child of
/// this process (CLONE_PARENT). Gives the child's pidfd.
pub fn clone3_below(namespaces: u64, child: impl FnOnce() -> i32) -> Result<OwnedFd> {
    clone3_by_helper(namespaces, None, |clone| clone(), child)
}

/// Makes a child of this process by a helper process, which shares this one's memory and descriptors, and nothing else: what it joins
/// is the child's alone. `make` does that, and makes the child by what it is given. Gives the child's pidfd.
fn clone3_by_helper(
    namespaces: u64,
    cgroup: Option<BorrowedFd<'_>>,
    make: impl FnOnce(&mut dyn FnMut() -> Result<i32>) -> Result<i32>,
    child: impl FnOnce() -> i32,
) -> Result<OwnedFd> {
    let (mut pidfd, mut result) = (-1 as c_int, Ok(0));
    let (mut make, mut child) = (Some(make), Some(child));
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let helper = spawn_with(libc::CLONE_FILES, || {
        let mut clone = || {
            let mut args = CloneArgs {
                flags: namespaces | (libc::CLONE_PIDFD | libc::CLONE_PARENT) as u64 | CLONE_CLEAR_SIGHAND | into,
                cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
                pidfd: &raw mut pidfd as u64,
                ..CloneArgs::default()
            };
            // SAFETY: the flags do not contain CLONE_VM; `pidfd` outlives the call.
            unsafe { args.clone() }
        };
        if let Some(make) = make.take() {
            result = make(&mut clone);
        }
        if let (Ok(0), Some(child)) = (result, child.take()) {
            exit_now(child());
        }
        0
    })?;
    wait(libc::P_PID, helper as libc::id_t, 0)?;
    result?;
    owned(pidfd.into())
}

/// clone3(2) of a child, as a child of this process, in namespaces, each with its CLONE_NEW* flag, that a user namespace below this process's owns,
/// or one below that: only from there may they be joined, so that the child's user namespace is below that one. If `cgroup` is given, the child
/// starts in that cgroup. Gives the child's pidfd.
///
/// Where that one allows no user namespace below it (user.max_user_namespaces), it allows one more while this one is made. EDEADLK: a program
/// in there keeps others from that, by a lock on the user namespace.
pub fn clone3_joined(
    namespaces: u64,
    user: BorrowedFd<'_>,
    joined: &[(BorrowedFd<'_>, c_int)],
    cgroup: Option<BorrowedFd<'_>>,
    child: impl FnOnce() -> i32,
) -> Result<OwnedFd> {
    let make = |clone: &mut dyn FnMut() -> Result<i32>| {
        join_namespace(user, libc::CLONE_NEWUSER)?;
        joined.iter().try_for_each(|(namespace, kind)| join_namespace(*namespace, *kind))?;
        match clone() {
            Err(Errno(libc::ENOSPC)) => with_one_more(user, clone),
            cloned => cloned,
        }
    };
    clone3_by_helper(namespaces, cgroup, make, child)
}

/// The most sandboxes that join one network.
const MOST_JOINED: u32 = 64;

/// Makes a user namespace by `clone` while this process's user namespace, of which `user` is a descriptor, allows one more below it
/// than there are. How many there are cannot be looked up.
fn with_one_more(user: BorrowedFd<'_>, clone: &mut dyn FnMut() -> Result<i32>) -> Result<i32> {
    const LIMIT: &std::ffi::CStr = c"/proc/sys/user/max_user_namespaces";
    // Another one that does the same would take the higher limit for the one to go back to. Descriptors of a namespace that were opened
    // by different processes are of the same file. That of a program in the namespace is, too.
    lock_soon(user)?;
    let mut text = [0; 24];
    let mut cloned = Err(Errno(libc::ENOSPC));
    let changed = (|| -> Result<()> {
        let file = openat(cwd(), LIMIT, libc::O_RDONLY, 0)?;
        let length = read(file.as_fd(), &mut text)?;
        drop(file);
        let old = text.get(..length).unwrap_or_default().trim_ascii();
        let number =
            std::str::from_utf8(old).ok().and_then(|old| old.parse::<u32>().ok()).ok_or(Errno(libc::EINVAL))?;
        for more in 1..=MOST_JOINED {
            let mut higher = [0; 24];
            let mut rest = &mut higher[..];
            let _ = std::io::Write::write_fmt(&mut rest, format_args!("{}", number.saturating_add(more)));
            let length = 24 - rest.len();
            write_file(LIMIT, higher.get(..length).unwrap_or_default())?;
            cloned = clone();
            match cloned {
                Err(Errno(libc::ENOSPC)) => {}
                // The child, which comes back from the same call, leaves the rest to this process.
                Ok(0) => return Ok(()),
                _ => break,
            }
        }
        write_file(LIMIT, old)
    })();
    if cloned == Ok(0) {
        return cloned;
    }
    super::file::unlock(user)?;
    changed.and(cloned)
}

/// How often a lock is tried, and how long after each other: others have it for less than a millisecond.
const ATTEMPTS: u32 = 400;
const AGAIN: std::time::Duration = std::time::Duration::from_millis(5);

/// flock(2) of what no other sbx locks for long. EDEADLK if somebody does.
fn lock_soon(fd: BorrowedFd<'_>) -> Result<()> {
    for _ in 0..ATTEMPTS {
        match super::file::try_lock(fd) {
            Err(Errno(libc::EWOULDBLOCK)) => std::thread::sleep(AGAIN),
            other => return other,
        }
    }
    Err(Errno(libc::EDEADLK))
}

fn has_one_thread() -> bool {
    std::fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// fork(2): the child runs `child` and exits with its value. Gives the child's process id.
pub fn fork(child: impl FnOnce() -> i32) -> Result<i32> {
    // SAFETY: there is one thread, so the child's copy of memory is consistent; the child leaves by _exit(2), below.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => exit_now(child()),
        nix::unistd::ForkResult::Parent { child } => Ok(child.as_raw()),
    }
}

/// Waits for the end of the child with this process id.
pub fn wait_for(pid: i32) -> Result<Waited> {
    wait_through(libc::P_PID, pid as libc::id_t)
}

/// Reaps the children in a process group that have ended.
pub fn reap_group(group: i32) {
    while let Ok(Some(_)) = wait(libc::P_PGID, group as libc::id_t, libc::WNOHANG) {}
}

/// Waits for the end of the child that a pidfd refers to.
pub fn wait_end(pidfd: BorrowedFd<'_>) -> Result<Waited> {
    wait_through(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t)
}

fn wait_through(kind: libc::idtype_t, id: libc::id_t) -> Result<Waited> {
    loop {
        match wait(kind, id, 0) {
            Ok(Some((_, waited))) => return Ok(waited),
            Ok(None) | Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// pidfd_open(2): a pidfd of this process, which the kernel makes close-on-exec.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// pidfd_send_signal(2): sends a signal to the process that a pidfd refers to.
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: null stands for the siginfo that kill(2) would send; the rest are integers.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) })?;
    Ok(())
}
