//! Processes: exec, a child that shares this process's memory, wait, signals, sessions.

use crate::sys::errno::{Errno, Result, check, done};
use nix::unistd::Pid;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Lists of strings in the form that execve(2) takes; they differ in at most one string. Made by `Strings::new`, before
/// the clone.
#[derive(Debug)]
pub struct Strings {
    /// The strings that the lists point at. Moving a `CString` does not move its text.
    pub(in crate::sys) _owned: Vec<CString>,
    /// At least one list; each ends with a null pointer.
    pub(in crate::sys) lists: Vec<Vec<*const c_char>>,
}

/// One list of [`Strings`]: pointers to NUL-terminated strings that live as long as the list, and a null pointer at the
/// end.
#[derive(Debug, Clone, Copy)]
pub struct StringList<'a>(&'a [*const c_char]);

impl<'a> StringList<'a> {
    /// A list whose last pointer is null; the others point at strings that live as long as it does.
    pub(in crate::sys) fn of(list: &'a [*const c_char]) -> StringList<'a> {
        StringList(list)
    }
}

impl Strings {
    /// The list with this number, or the last one if there is none.
    pub fn list(&self, number: usize) -> StringList<'_> {
        const EMPTY: &[*const c_char] = &[std::ptr::null()];
        StringList(self.lists.get(number).or(self.lists.last()).map_or(EMPTY, Vec::as_slice))
    }
}

/// execve(2). Returns only if it failed.
pub fn execve(path: &CStr, args: StringList<'_>, env: StringList<'_>) -> Errno {
    // SAFETY: a `StringList` ends with a null pointer and points at strings that end with a NUL; all outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.0.as_ptr(), env.0.as_ptr()) };
    Errno::last()
}

/// execveat(2) of an open file. Returns only if it failed.
pub fn execveat(file: BorrowedFd<'_>, args: StringList<'_>, env: StringList<'_>) -> Errno {
    let (fd, flags) = (file.as_raw_fd(), libc::AT_EMPTY_PATH);
    // SAFETY: a `StringList` ends with a null pointer and points at strings that end with a NUL; all outlive the call.
    unsafe { libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), args.0.as_ptr(), env.0.as_ptr(), flags) };
    Errno::last()
}

/// _exit(2): exits without running exit handlers or destructors, which would be those of the parent.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: the call does not return, and runs no exit handlers.
    unsafe { libc::_exit(status) }
}

/// Stack size, in bytes, of a child that shares this process's memory until it calls exec.
const STACK: usize = 64 * 1024;

/// Starts a child as vfork(2) does, but with a stack of its own: it runs `body` in this process's memory, while this
/// process waits until the child has called exec or exited. If `body` returns, its value is the child's exit status.
/// Gives the child's process id.
pub fn spawn_shared<F: FnMut() -> i32>(body: F) -> Result<i32> {
    spawn_with(0, body)
}

/// As [`spawn_shared`], with additional flags of clone(2).
pub(in crate::sys) fn spawn_with<F: FnMut() -> i32>(more: c_int, mut body: F) -> Result<i32> {
    extern "C" fn run<F: FnMut() -> i32>(argument: *mut c_void) -> c_int {
        // SAFETY: the argument is `body` below, which nothing else uses until the parent goes on.
        let body = unsafe { &mut *argument.cast::<F>() };
        body()
    }
    let stack = Stack::new()?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | more;
    // SAFETY: the stack grows down from its end, which is aligned to a page. CLONE_VFORK suspends this process until
    // the child has left its memory, so `body` and the stack outlive it.
    let pid = unsafe { libc::clone(run::<F>, stack.highest(), flags, (&raw mut body).cast()) };
    Ok(check(pid.into())? as i32)
}

/// A stack for a child: an anonymous mapping of `STACK` bytes.
pub(super) struct Stack(*mut c_void);

impl Stack {
    pub(super) fn new() -> Result<Stack> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping at an address that the kernel chooses replaces no other.
        let stack = unsafe { libc::mmap(std::ptr::null_mut(), STACK, protection, flags, -1, 0) };
        if stack == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(Stack(stack)) }
    }

    /// The lowest address of the mapping.
    pub(super) fn lowest(&self) -> *mut c_void {
        self.0
    }

    /// The first address above the mapping, from which the stack grows down.
    pub(super) fn highest(&self) -> *mut c_void {
        self.0.wrapping_byte_add(STACK)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping has this size and belongs to this value, and the child that ran on it is gone.
        unsafe { libc::munmap(self.0, STACK) };
    }
}

/// A state change of a child: waitid(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The child exited with this status.
    Exited(i32),
    /// This signal killed the child.
    Signaled(i32),
    /// This signal stopped the child.
    Stopped(i32),
    /// The child was continued by SIGCONT.
    Continued,
}

/// The next state change of a child, and the child's process id, without waiting: `None` if there is none. ECHILD:
/// there are no children.
pub fn wait_any() -> Result<Option<(i32, Waited)>> {
    wait(libc::P_ALL, 0, libc::WNOHANG | libc::WSTOPPED | libc::WCONTINUED)
}

/// waitid(2) for the end of a child, and for what `flags` adds. (nix's fails if a real-time signal killed the child.)
pub(in crate::sys) fn wait(kind: libc::idtype_t, id: libc::id_t, flags: i32) -> Result<Option<(i32, Waited)>> {
    // SAFETY: all fields of the struct are integers and pointers, for which zeroes are values.
    let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
    // SAFETY: waitid writes one siginfo_t, which `info` has room for.
    done(unsafe { libc::waitid(kind, id, &raw mut info, flags | libc::WEXITED) })?;
    // SAFETY: waitid fills in the fields that SIGCHLD has; if it found no child, they are zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let waited = match info.si_code {
        _ if pid == 0 => return Ok(None),
        libc::CLD_EXITED => Waited::Exited(status),
        libc::CLD_STOPPED | libc::CLD_TRAPPED => Waited::Stopped(status),
        libc::CLD_CONTINUED => Waited::Continued,
        _ => Waited::Signaled(status),
    };
    Ok(Some((pid, waited)))
}

/// kill(2). (nix's takes no real-time signals.)
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: the call takes two integers and touches no memory.
    done(unsafe { libc::kill(pid, signal) })
}

/// The id of this process.
pub fn pid() -> i32 {
    Pid::this().as_raw()
}

/// getppid(2): the parent's process id; 0 if the parent is outside this pid namespace.
pub fn parent_pid() -> i32 {
    Pid::parent().as_raw()
}

/// setsid(2): makes this process the leader of a new session, which has no terminal.
pub fn setsid() -> Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// getpgrp(2): the process group of this process.
pub fn process_group() -> i32 {
    nix::unistd::getpgrp().as_raw()
}

/// setpgid(2): makes this process the leader of a new process group.
pub fn own_process_group() -> Result<()> {
    Ok(nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?)
}
