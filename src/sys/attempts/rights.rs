//! Ids, capabilities, namespaces, names, the clock.

use super::allowed;
use crate::sys::errno::{Result, check, done};
use std::ffi::CStr;

/// setresuid(2), all three.
pub fn become_user(id: u32) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, id, id, id) })?;
    Ok(())
}

/// setresgid(2), all three.
pub fn become_group(id: u32) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, id, id, id) })?;
    Ok(())
}

/// setgroups(2) with one group.
pub fn join_group(id: u32) -> Result<()> {
    // SAFETY: a list of one element.
    check(unsafe { libc::syscall(libc::SYS_setgroups, 1, &raw const id) })?;
    Ok(())
}

/// unshare(2)
pub fn unshare(flags: i32) -> Result<()> {
    // SAFETY: plain integers.
    done(unsafe { libc::unshare(flags) })
}

/// setdomainname(2)
pub fn set_domain_name(name: &CStr) -> Result<()> {
    // SAFETY: the pointer is valid for the length.
    done(unsafe { libc::setdomainname(name.as_ptr(), name.count_bytes()) })
}

/// settimeofday(2) with a time zone that there is not: the right to set the clock is asked for before (EPERM), and nothing is set.
pub fn may_set_clock() -> Result<()> {
    let zone: [i32; 2] = [100_000, 0];
    let none = std::ptr::null::<libc::timeval>();
    // SAFETY: struct timezone is two integers; no time is passed.
    allowed(check(unsafe { libc::syscall(libc::SYS_settimeofday, none, zone.as_ptr()) }).map(drop), &[libc::EINVAL])
}

/// adjtimex(2) with a tick that there is not: the right is asked for before (EPERM), and nothing is set.
pub fn may_adjust_clock() -> Result<()> {
    // SAFETY: the struct is plain data.
    unsafe {
        let mut change = std::mem::zeroed::<libc::timex>();
        change.modes = libc::ADJ_TICK;
        change.tick = 1;
        allowed(done(libc::adjtimex(&raw mut change)), &[libc::EINVAL])
    }
}
