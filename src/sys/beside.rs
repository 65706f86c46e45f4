//! A network namespace, made by a process beside this one while this one does something else.

use super::clone::join_namespace;
use super::errno::{Errno, Result, check, done};
use super::fd::owned;
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use syscalls::raw;

/// Memory of the process: its stack, with its task at the lower end.
const MEMORY: usize = 32 * 1024;

/// What it is given, and what it gives back.
#[repr(C)]
struct Task {
    /// The directory /proc.
    proc: c_int,
    /// The namespace that was made.
    namespace: c_int,
}

/// A process that makes a network namespace. It shares this one's memory and descriptors, and ends by itself.
pub struct NetworkMaker {
    pid: i32,
    memory: *mut c_void,
    /// The directory /proc, open for as long as the process may need it.
    _proc: OwnedFd,
}

impl NetworkMaker {
    /// Starts it. `proc` is the directory /proc.
    ///
    /// Making a network namespace takes the kernel longer than everything else that a sandbox consists of, most of it under locks that
    /// nothing else needs.
    pub fn start(proc: OwnedFd) -> Result<NetworkMaker> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping of which nothing else knows; the task fits into its lower end, and the stack, which grows down from
        // its upper end, aligned to a page, does not come near that. Both live until the process has ended: see `ended`.
        unsafe {
            let memory = libc::mmap(std::ptr::null_mut(), MEMORY, protection, flags, -1, 0);
            if memory == libc::MAP_FAILED {
                return Err(Errno::last());
            }
            memory.cast::<Task>().write(Task { proc: proc.as_raw_fd(), namespace: -1 });
            let shared = libc::CLONE_VM | libc::CLONE_FILES;
            match check(libc::clone(make, memory.byte_add(MEMORY), shared, memory).into()) {
                Ok(pid) => Ok(NetworkMaker { pid: pid as i32, memory, _proc: proc }),
                Err(errno) => {
                    libc::munmap(memory, MEMORY);
                    Err(errno)
                }
            }
        }
    }

    /// Waits for it, and takes its namespace for this process.
    pub fn join(self) -> Result<()> {
        let namespace = self.ended()?;
        join_namespace(namespace.as_raw_fd(), libc::CLONE_NEWNET)
    }

    fn ended(self) -> Result<OwnedFd> {
        // SAFETY: waitid fills the struct, which is valid when zeroed. A process that was not asked to send a signal at its end is waited
        // for with __WALL. When it has ended, nobody uses the memory any more.
        unsafe {
            let mut info = std::mem::zeroed::<libc::siginfo_t>();
            loop {
                match done(libc::waitid(libc::P_PID, self.pid as u32, &raw mut info, libc::WEXITED | libc::__WALL)) {
                    Err(Errno(libc::EINTR)) => {}
                    other => break other?,
                }
            }
            let namespace = self.memory.cast::<Task>().read().namespace;
            libc::munmap(self.memory, MEMORY);
            match (info.si_code, info.si_status()) {
                (libc::CLD_EXITED, 0) => owned(namespace.into()),
                (libc::CLD_EXITED, errno) => Err(Errno(errno)),
                _ => Err(Errno(libc::EINTR)),
            }
        }
    }
}

/// The process's whole life; its status is an errno. Its thread-local storage, in which the C library keeps `errno`, is that of the process
/// beside it: so it makes system calls by itself alone, and nothing that could panic.
extern "C" fn make(task: *mut c_void) -> c_int {
    let task = task.cast::<Task>();
    // SAFETY: the task is this process's until it ends. The calls are given integers, and strings that end with a NUL.
    unsafe {
        let made = raw::syscall1(libc::SYS_unshare as usize, libc::CLONE_NEWNET as usize);
        if let Some(errno) = error(made) {
            return errno;
        }
        // `self` is the process that looks it up.
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

/// The errno of what a system call gave back.
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
        let told = NetworkMaker::start(dir.into()).unwrap().join();
        assert!(matches!(told, Err(Errno(libc::EPERM | libc::ENOENT))), "{told:?}");
    }
}
