//! A network namespace made by a helper process, in parallel with the work of this one.

use super::descriptor::owned;
use super::file::write_file_at;
use super::namespace::join_namespace;
use super::process::Stack;
use crate::sys::errno::{Errno, Result, check, done};
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use syscalls::raw;

/// Argument and result of the helper process, in the memory that it shares with this one.
#[repr(C)]
struct Task {
    /// Argument: a descriptor of the directory /proc.
    proc: c_int,
    /// Result: a descriptor of the new network namespace.
    namespace: c_int,
}

/// A helper process that makes a network namespace. It shares this process's memory and descriptors, and exits by
/// itself.
pub struct NetworkMaker {
    pid: i32,
    /// The helper's stack, with its `Task` at the lower end. It is unmapped only after the helper was waited for.
    stack: ManuallyDrop<Stack>,
    /// The directory /proc, open for as long as the helper may need it.
    proc: OwnedFd,
}

impl NetworkMaker {
    /// Starts the helper process. `proc` is the directory /proc.
    ///
    /// Making a network namespace takes the kernel longer than making all the rest of a sandbox, and most of that time
    /// it holds locks that nothing else here needs.
    pub fn start(proc: OwnedFd) -> Result<NetworkMaker> {
        let stack = Stack::new()?;
        // SAFETY: nothing else knows of the mapping yet; the task fits into its lower end.
        unsafe { stack.lowest().cast::<Task>().write(Task { proc: proc.as_raw_fd(), namespace: -1 }) };
        let shared = libc::CLONE_VM | libc::CLONE_FILES;
        // SAFETY: the stack grows down from the mapping's end and does not come near the task. Both live until the
        // process has ended: see `ended`.
        let pid = check(unsafe { libc::clone(make, stack.highest(), shared, stack.lowest()) }.into())?;
        Ok(NetworkMaker { pid: pid as i32, stack: ManuallyDrop::new(stack), proc })
    }

    /// Waits for the helper, and moves this process into the new network namespace. With `reuse_pid`, the next process
    /// gets the helper's process id, so that in a pid namespace of its own the program has the id after that of PID 1.
    pub fn join(self, reuse_pid: bool) -> Result<()> {
        let (namespace, proc) = self.ended()?;
        if reuse_pid {
            // Needs CONFIG_CHECKPOINT_RESTORE and a writable /proc/sys: proc_sys_kernel(5). Nothing depends on it.
            let _ = write_file_at(proc.as_fd(), c"sys/kernel/ns_last_pid", b"1");
        }
        join_namespace(namespace.as_fd(), libc::CLONE_NEWNET)
    }

    /// Waits until the helper has ended; gives descriptors of the new namespace and of the directory /proc.
    fn ended(self) -> Result<(OwnedFd, OwnedFd)> {
        // SAFETY: all fields of the struct are integers and pointers, for which zeroes are values.
        let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
        // The helper was cloned without an exit signal; waitid(2) finds such a child only with __WALL.
        let flags = libc::WEXITED | libc::__WALL;
        loop {
            // SAFETY: waitid writes one siginfo_t, which `info` has room for.
            match done(unsafe { libc::waitid(libc::P_PID, self.pid as u32, &raw mut info, flags) }) {
                Err(Errno(libc::EINTR)) => {}
                other => break other?,
            }
        }
        // SAFETY: the helper has ended, and nobody else uses the memory.
        let namespace = unsafe { self.stack.lowest().cast::<Task>().read() }.namespace;
        drop(ManuallyDrop::into_inner(self.stack));
        // SAFETY: waitid has filled in the fields that SIGCHLD has.
        match (info.si_code, unsafe { info.si_status() }) {
            (libc::CLD_EXITED, 0) => Ok((owned(namespace.into())?, self.proc)),
            (libc::CLD_EXITED, errno) => Err(Errno(errno)),
            _ => Err(Errno(libc::EINTR)),
        }
    }
}

/// The helper process from start to end; its exit status is an errno. It shares the thread-local storage, in which the
/// C library keeps `errno`, with the process that started it. So it makes raw system calls only, and nothing that could
/// panic.
extern "C" fn make(task: *mut c_void) -> c_int {
    let task = task.cast::<Task>();
    // SAFETY: only the helper uses the task until it ends. The calls take integers, and strings that end with a NUL.
    unsafe {
        let made = raw::syscall1(libc::SYS_unshare as usize, libc::CLONE_NEWNET as usize);
        if let Some(errno) = error(made) {
            return errno;
        }
        // `self` is the process that resolves the path: the helper.
        let path = c"self/ns/net".as_ptr() as usize;
        let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
        let opened = raw::syscall4(libc::SYS_openat as usize, (*task).proc as usize, path, flags, 0);
        if let Some(errno) = error(opened) {
            return errno;
        }
        (*task).namespace = opened as c_int;
        0
    }
}

/// The errno in the return value of a raw system call; `None` if the call succeeded.
fn error(value: usize) -> Option<c_int> {
    let value = value as isize;
    (-4095..0).contains(&value).then_some(-value as c_int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_there_is_told_here() {
        // No directory in which there is a `self`.
        let dir = std::fs::File::open("/").unwrap();
        let told = NetworkMaker::start(dir.into()).unwrap().join(false);
        assert!(matches!(told, Err(Errno(libc::EPERM | libc::ENOENT))), "{told:?}");
    }
}
