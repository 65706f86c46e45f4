//! Attempts on other processes, and on this one's priority.

use crate::sys::child::owned;
use crate::sys::errno::{Result, check, done};
use nix::sys::ptrace::Options;
use nix::sys::uio::RemoteIoVec;
use nix::unistd::Pid;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// ptrace(2), PTRACE_SEIZE: traces a process without stopping it. The kernel detaches it when this process ends.
pub fn trace(pid: i32) -> Result<()> {
    Ok(nix::sys::ptrace::seize(Pid::from_raw(pid), Options::empty())?)
}

/// process_vm_readv(2): fills a buffer from an address in another process; gives how many bytes were read.
pub fn read_memory(pid: i32, address: usize, buffer: &mut [u8]) -> Result<usize> {
    let remote = [RemoteIoVec { base: address, len: buffer.len() }];
    Ok(nix::sys::uio::process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(buffer)], &remote)?)
}

/// pidfd_getfd(2): a copy of descriptor `number` of another process.
pub fn take_descriptor(pidfd: BorrowedFd<'_>, number: i32) -> Result<OwnedFd> {
    // SAFETY: the call takes integers, and gives a new descriptor.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })
}

/// kcmp(2), KCMP_VM: compares the memory of two processes.
pub fn compare_processes(one: i32, other: i32) -> Result<()> {
    // SAFETY: the call takes integers; KCMP_VM (1) reads none of this process's memory.
    check(unsafe { libc::syscall(libc::SYS_kcmp, one, other, 1, 0, 0) })?;
    Ok(())
}

/// kill(2) with signal 0: whether this process may send signals to a process group.
pub fn reach_group(group: i32) -> Result<()> {
    Ok(nix::sys::signal::kill(Pid::from_raw(-group), None)?)
}

/// getpgrp(2): the process group of this process.
pub fn group() -> i32 {
    nix::unistd::getpgrp().as_raw()
}

/// getsid(2): the session of this process; 0 if the session's leader is outside this pid namespace.
pub fn session() -> i32 {
    nix::unistd::getsid(None).map_or(0, Pid::as_raw)
}

/// Waits until a signal ends this process: pause(2).
pub fn rest() -> ! {
    loop {
        nix::unistd::pause();
    }
}

/// sched_setscheduler(2), SCHED_FIFO with the lowest priority, of this process.
pub fn run_in_real_time() -> Result<()> {
    // SAFETY: all fields of the struct are integers, for which zeroes are values.
    let mut parameters = unsafe { std::mem::zeroed::<libc::sched_param>() };
    parameters.sched_priority = 1;
    // SAFETY: the call reads one struct sched_param.
    done(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) })
}

/// setpriority(2): sets the nice value of this process.
pub fn set_nice(value: i32) -> Result<()> {
    // SAFETY: the call takes three integers and touches no memory.
    done(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) })
}

/// ioprio_set(2) of this process: the real-time class, at its lowest level.
pub fn set_io_priority() -> Result<()> {
    const WHO_PROCESS: i32 = 1;
    const CLASS_REAL_TIME: i32 = 1;
    // SAFETY: the call takes three integers and touches no memory.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_REAL_TIME << 13 | 7) })?;
    Ok(())
}

/// Fills a pipe, so that the next write to it blocks.
pub fn fill(pipe: BorrowedFd<'_>) -> Result<()> {
    crate::sys::set_nonblocking(pipe, true)?;
    while crate::sys::write_some(pipe, &[b' '; 4096]).is_ok() {}
    crate::sys::set_nonblocking(pipe, false)
}
