//! Other processes.

use crate::sys::errno::{Result, check, done};
use crate::sys::fd::owned;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// ptrace(2), PTRACE_SEIZE: traces a process without stopping it. It is let go when this process ends.
pub fn trace(pid: i32) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) })?;
    Ok(())
}

/// process_vm_readv(2): how much of the buffer was filled from that address of another process.
pub fn read_memory(pid: i32, address: usize, buffer: &mut [u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: the local buffer is valid for its length; the other address belongs to the other process.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    Ok(check(read as libc::c_long)? as usize)
}

/// pidfd_getfd(2): a copy of another process's descriptor.
pub fn take_descriptor(pidfd: BorrowedFd<'_>, number: i32) -> Result<OwnedFd> {
    // SAFETY: plain integers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })
}

/// kcmp(2), KCMP_VM: compares the memory of two processes.
pub fn compare_processes(one: i32, other: i32) -> Result<()> {
    // SAFETY: plain integers; KCMP_VM (1) takes no further ones.
    check(unsafe { libc::syscall(libc::SYS_kcmp, one, other, 1, 0, 0) })?;
    Ok(())
}

/// kill(2) with signal 0 of a process group: whether it may be signalled.
pub fn reach_group(group: i32) -> Result<()> {
    // SAFETY: signal 0 is sent to nobody.
    done(unsafe { libc::kill(-group, 0) })
}

/// getpgid(2) of this process.
pub fn group() -> i32 {
    // SAFETY: cannot fail.
    unsafe { libc::getpgrp() }
}

/// getsid(2) of this process: 0 where its leader is in no pid namespace of ours.
pub fn session() -> i32 {
    // SAFETY: cannot fail for the caller itself.
    unsafe { libc::getsid(0) }
}

/// Waits until a signal ends this process.
pub fn rest() -> ! {
    loop {
        // SAFETY: no arguments.
        unsafe { libc::pause() };
    }
}

/// sched_setscheduler(2), SCHED_FIFO with the lowest priority, of this process.
pub fn run_in_real_time() -> Result<()> {
    // SAFETY: the struct is plain data.
    unsafe {
        let mut parameters = std::mem::zeroed::<libc::sched_param>();
        parameters.sched_priority = 1;
        done(libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters))
    }
}

/// setpriority(2) of this process.
pub fn set_nice(value: i32) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) })
}

/// ioprio_set(2) of this process: the real-time class, at its lowest level.
pub fn set_io_priority() -> Result<()> {
    const WHO_PROCESS: i32 = 1;
    const CLASS_REAL_TIME: i32 = 1;
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_REAL_TIME << 13 | 7) })?;
    Ok(())
}

/// Fills a pipe, so that the next write to it waits.
pub fn fill(pipe: BorrowedFd<'_>) -> Result<()> {
    crate::sys::set_nonblocking(pipe, true)?;
    while crate::sys::write_some(pipe, &[b' '; 4096]).is_ok() {}
    crate::sys::set_nonblocking(pipe, false)
}
