//! Processes: clone3(2), exec, wait, ids.

use super::errno::{Errno, Result, check, done};
use super::fd::owned;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// CLONE_NEWTIME of clone3(2).
pub const CLONE_NEWTIME: u64 = 0x80;
/// CLONE_CLEAR_SIGHAND: libc's constant overflows to 0 on this target.
pub const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

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

/// The library's constant is cut off to 32 bits.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// The two sides of a clone.
pub enum Cloned {
    /// In the parent: the child's process id and a descriptor for it.
    Parent {
        /// As the parent's pid namespace numbers it.
        pid: i32,
        /// pidfd_open(2)'s kind of descriptor, close-on-exec.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

/// clone3(2) with these CLONE_NEW* flags, a pidfd and SIGCHLD; memory is copied as by fork.
/// The process must have one thread, since only the calling one lives on in the child.
pub fn clone3(namespaces: u64) -> Result<Cloned> {
    clone3_into(namespaces, None)
}

/// The same, born in a cgroup (Linux 5.7).
pub fn clone3_into(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    debug_assert!(has_one_thread(), "clone with more than one thread");
    let mut pidfd: c_int = -1;
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let mut args = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND | into,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM the child has its own copy of everything; the struct has the size that is passed.
    let value = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    match check(value)? {
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent { pid: pid as i32, pidfd: owned(pidfd.into())? }),
    }
}

/// The same from within a pid namespace that was joined, of which the new one becomes a child: the kernel makes one only below that
/// of the process that asks. So a helper that shares our memory and descriptors is in between, and makes our child (CLONE_PARENT).
pub fn clone3_below<F: FnOnce() -> std::convert::Infallible>(namespaces: u64, child: F) -> Result<OwnedFd> {
    let (mut pidfd, mut result) = (-1 as c_int, Ok(0));
    let mut child = Some(child);
    let helper = spawn_with(libc::CLONE_FILES, || {
        let mut args = CloneArgs {
            flags: namespaces | (libc::CLONE_PIDFD | libc::CLONE_PARENT) as u64 | CLONE_CLEAR_SIGHAND,
            pidfd: &raw mut pidfd as u64,
            ..CloneArgs::default()
        };
        // SAFETY: as in `clone3`.
        result = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) });
        if let (Ok(0), Some(child)) = (result, child.take()) {
            match child() {}
        }
        0
    })?;
    wait(libc::P_PID, helper as libc::id_t, 0)?;
    result?;
    owned(pidfd.into())
}

fn has_one_thread() -> bool {
    std::fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// A stack for a child that shares our memory until it executes something.
const SPAWN_STACK: usize = 64 * 1024;

/// Starts a child as vfork(2) does, with a stack of its own: it runs `body` in our memory, and we wait until it has
/// called exec or exited. `body`'s value is its exit status if it comes back.
pub fn spawn_shared<F: FnMut() -> i32>(body: F) -> Result<i32> {
    spawn_with(0, body)
}

fn spawn_with<F: FnMut() -> i32>(more: c_int, mut body: F) -> Result<i32> {
    extern "C" fn run<F: FnMut() -> i32>(argument: *mut c_void) -> c_int {
        // SAFETY: the argument is the closure below, which lives until the parent goes on.
        let body = unsafe { &mut *argument.cast::<F>() };
        body()
    }
    // SAFETY: an anonymous mapping; the stack grows down from its end, which is aligned to a page. CLONE_VFORK stops us
    // until the child has left this memory, so the closure and the stack outlive it.
    unsafe {
        let stack = libc::mmap(
            std::ptr::null_mut(),
            SPAWN_STACK,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
            -1,
            0,
        );
        if stack == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | more;
        let pid = libc::clone(run::<F>, stack.byte_add(SPAWN_STACK), flags, (&raw mut body).cast());
        let result = check(pid.into());
        libc::munmap(stack, SPAWN_STACK);
        Ok(result? as i32)
    }
}

/// execve(2). Comes back only with an error.
pub fn execve(path: &CStr, args: &[*const c_char], env: &[*const c_char]) -> Errno {
    debug_assert!(args.last().is_some_and(|p| p.is_null()) && env.last().is_some_and(|p| p.is_null()));
    // SAFETY: both lists end with a null pointer and point at strings that end with a NUL.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    Errno::last()
}

/// execveat(2) of an open file. Comes back only with an error.
pub fn execveat(fd: i32, args: &[*const c_char], env: &[*const c_char]) -> Errno {
    debug_assert!(args.last().is_some_and(|p| p.is_null()) && env.last().is_some_and(|p| p.is_null()));
    // SAFETY: both lists end with a null pointer and point at strings that end with a NUL; the path is empty.
    unsafe {
        libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), args.as_ptr(), env.as_ptr(), libc::AT_EMPTY_PATH);
    }
    Errno::last()
}

/// fork(2) of a process with one thread: the child's process id, and none in the child, which must leave by `exit_now`.
pub fn fork() -> Result<Option<i32>> {
    // SAFETY: there is one thread, so the child's memory is consistent.
    match check(unsafe { libc::fork() }.into())? {
        0 => Ok(None),
        pid => Ok(Some(pid as i32)),
    }
}

/// Waits for the end of a child of this number.
pub fn wait_for(pid: i32) -> Result<Waited> {
    loop {
        match wait(libc::P_PID, pid as libc::id_t, 0) {
            Ok(Some((_, waited))) => return Ok(waited),
            Ok(None) | Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// alarm(2): SIGALRM, which ends a process that does not expect it, after so many seconds.
pub fn end_after(seconds: u32) {
    // SAFETY: plain integers.
    unsafe { libc::alarm(seconds) };
}

/// _exit(2): leaves without running anything of the parent's.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: never comes back.
    unsafe { libc::_exit(status) }
}

/// What waitid(2) told of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// This signal stopped it.
    Stopped(i32),
    /// It goes on.
    Continued,
}

/// The next change of a child, without waiting: none if nothing changed. ECHILD: there are no children.
pub fn wait_any() -> Result<Option<(i32, Waited)>> {
    wait(libc::P_ALL, 0, libc::WNOHANG | libc::WSTOPPED | libc::WCONTINUED)
}

/// Waits for the end of a child, by its pidfd.
pub fn wait_end(pidfd: BorrowedFd<'_>) -> Result<Waited> {
    loop {
        match wait(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, 0) {
            Ok(Some((_, waited))) => return Ok(waited),
            Ok(None) | Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> Result<Option<(i32, Waited)>> {
    // SAFETY: waitid fills the struct, which is valid when zeroed; the accessors read fields that SIGCHLD sets.
    unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        done(libc::waitid(kind, id, &raw mut info, flags | libc::WEXITED))?;
        let pid = info.si_pid();
        if pid == 0 {
            return Ok(None);
        }
        let status = info.si_status();
        let waited = match info.si_code {
            libc::CLD_EXITED => Waited::Exited(status),
            libc::CLD_STOPPED | libc::CLD_TRAPPED => Waited::Stopped(status),
            libc::CLD_CONTINUED => Waited::Continued,
            _ => Waited::Signaled(status),
        };
        Ok(Some((pid, waited)))
    }
}

/// pidfd_open(2), close-on-exec as always.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: plain integers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// pidfd_send_signal(2)
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: no siginfo is passed.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) })?;
    Ok(())
}

/// kill(2)
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::kill(pid, signal) })
}

/// This process's real ids.
pub fn ids() -> (u32, u32) {
    // SAFETY: these cannot fail.
    unsafe { (libc::getuid(), libc::getgid()) }
}

/// This process's effective user id.
pub fn effective_uid() -> u32 {
    // SAFETY: cannot fail.
    unsafe { libc::geteuid() }
}

/// The process id.
pub fn pid() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getpid() }
}

/// setgroups(2) with an empty list.
pub fn drop_groups() -> Result<()> {
    // SAFETY: a list of no elements.
    check(unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) })?;
    Ok(())
}

/// The supplementary groups.
pub fn groups() -> Vec<u32> {
    // SAFETY: a size of 0 asks for the count; the second call has room for it.
    unsafe {
        let count = libc::getgroups(0, std::ptr::null_mut());
        let mut list = vec![0; count.max(0) as usize];
        let count = libc::getgroups(list.len() as c_int, list.as_mut_ptr());
        list.truncate(count.max(0) as usize);
        list
    }
}

/// setns(2): joins the namespace behind a descriptor, which is of this CLONE_NEW* kind.
pub fn join_namespace(fd: i32, kind: i32) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::setns(fd, kind) })
}

/// unshare(2), CLONE_NEWCGROUP: the cgroup that this process is in becomes the root of what it sees.
pub fn new_cgroup_namespace() -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) })
}

/// unshare(2), CLONE_NEWUSER
pub fn new_user_namespace() -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::unshare(libc::CLONE_NEWUSER) })
}

/// setgid(2) and setuid(2) to those that are given, in this order: the first needs a right that goes with the second.
pub fn set_ids(uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    // There is one thread, so the kernel's own calls will do.
    for (call, id) in [(libc::SYS_setgid, gid), (libc::SYS_setuid, uid)] {
        if let Some(id) = id {
            // SAFETY: plain integers.
            check(unsafe { libc::syscall(call, id) })?;
        }
    }
    Ok(())
}

/// getppid(2)
pub fn parent_pid() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getppid() }
}

/// setsid(2)
pub fn setsid() -> Result<()> {
    // SAFETY: no arguments.
    done(unsafe { libc::setsid() })
}

/// setpgid(0, 0)
pub fn own_process_group() -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::setpgid(0, 0) })
}

/// Resources of setrlimit(2), by their names in lower case.
pub const RLIMITS: [(&str, u32); 9] = [
    ("as", libc::RLIMIT_AS),
    ("core", libc::RLIMIT_CORE),
    ("cpu", libc::RLIMIT_CPU),
    ("data", libc::RLIMIT_DATA),
    ("fsize", libc::RLIMIT_FSIZE),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("nofile", libc::RLIMIT_NOFILE),
    ("nproc", libc::RLIMIT_NPROC),
    ("stack", libc::RLIMIT_STACK),
];

/// setrlimit(2) by prlimit64, so that values are 64 bits everywhere. `None` is no limit.
pub fn set_rlimit(resource: u32, soft: Option<u64>, hard: Option<u64>) -> Result<()> {
    let limit = [soft.unwrap_or(u64::MAX), hard.unwrap_or(u64::MAX)];
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: two 64-bit values, as struct rlimit64 has.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, limit.as_ptr(), none) })?;
    Ok(())
}

/// The soft and the hard limit of a resource.
pub fn rlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = [0u64; 2];
    let none = std::ptr::null::<u64>();
    // SAFETY: two 64-bit values, as struct rlimit64 has.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, none, limit.as_mut_ptr()) })?;
    Ok((limit[0], limit[1]))
}

/// CLOCK_MONOTONIC.
pub fn monotonic_nanoseconds() -> u64 {
    // SAFETY: the struct is the call's to fill; this clock is always there.
    let now = unsafe {
        let mut now = std::mem::zeroed::<libc::timespec>();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
        now
    };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// What children used that were waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time in programs.
    pub user_usec: u64,
    /// And in the kernel.
    pub system_usec: u64,
    /// Page faults that read nothing from a disk.
    pub minor_faults: u64,
    /// And those that did.
    pub major_faults: u64,
    /// Voluntary and other ones.
    pub context_switches: u64,
}

/// getrusage(2), RUSAGE_CHILDREN
pub fn usage_of_children() -> Usage {
    // SAFETY: the struct is the call's to fill.
    let used = unsafe {
        let mut used = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut used);
        used
    };
    let usec = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Usage {
        user_usec: usec(used.ru_utime),
        system_usec: usec(used.ru_stime),
        minor_faults: used.ru_minflt as u64,
        major_faults: used.ru_majflt as u64,
        context_switches: (used.ru_nvcsw + used.ru_nivcsw) as u64,
    }
}
