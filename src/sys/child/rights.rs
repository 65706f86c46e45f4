//! Rights of a process: capabilities, securebits, no_new_privs, the dumpable flag, keyrings; and the parent-death
//! signal.
//!
//! The crate caps is used only by the launcher: its sets are hash sets, which allocate, and its errors are strings.

use crate::sys::errno::{Errno, Result, check};

fn prctl(option: i32, a: libc::c_ulong, b: libc::c_ulong) -> Result<i32> {
    // SAFETY: every option that is used in this file takes integers, and touches none of this process's memory.
    Ok(check(unsafe { libc::prctl(option, a, b, 0, 0) }.into())? as i32)
}

/// PR_SET_PDEATHSIG of prctl(2): the kernel sends this signal to this process when its parent dies.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong, 0).map(drop)
}

/// PR_SET_CHILD_SUBREAPER of prctl(2): whether orphans among the descendants of this process become its children.
pub fn set_child_subreaper(on: bool) -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, on.into(), 0).map(drop)
}

/// PR_SET_NO_NEW_PRIVS of prctl(2): exec gives no new privileges from here on.
pub fn set_no_new_privs() -> Result<()> {
    Ok(nix::sys::prctl::set_no_new_privs()?)
}

/// PR_SET_DUMPABLE of prctl(2): whether other processes of this user may trace this one, and read its files in /proc.
pub fn set_dumpable(on: bool) -> Result<()> {
    Ok(nix::sys::prctl::set_dumpable(on)?)
}

/// Drops every capability that this kernel has from the bounding set, but for those in `keep`: PR_CAPBSET_DROP of
/// prctl(2).
pub fn shrink_bounding_set(keep: u64) -> Result<()> {
    for capability in (0..64).filter(|capability| keep >> capability & 1 == 0) {
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            Err(Errno(libc::EINVAL)) if capability > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Securebits that take all meaning from user id 0: exec gives it no capabilities, and none can be made ambient. They are
/// locked. capabilities(7), "The securebits flags".
///
/// SECBIT_KEEP_CAPS is left to the program. Programs that give up root set it (PR_SET_KEEPCAPS) and end if they cannot.
/// Where the permitted set is empty it keeps nothing, exec clears it, and a new user namespace begins without it.
const POWERLESS_ROOT: i32 = libc::SECBIT_NOROOT
    | libc::SECBIT_NOROOT_LOCKED
    | libc::SECBIT_NO_SETUID_FIXUP_LOCKED
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

/// PR_SET_SECUREBITS of prctl(2), with `POWERLESS_ROOT`: user id 0 is like any other.
pub fn lock_securebits() -> Result<()> {
    prctl(libc::PR_SET_SECUREBITS, POWERLESS_ROOT as libc::c_ulong, 0).map(drop)
}

/// Whether this process has the securebits of [`lock_securebits`].
pub fn securebits_locked() -> Result<bool> {
    Ok(prctl(libc::PR_GET_SECUREBITS, 0, 0)? & !libc::SECBIT_KEEP_CAPS == POWERLESS_ROOT)
}

/// PR_CAP_AMBIENT_CLEAR_ALL of prctl(2): empties the ambient set.
pub fn clear_ambient() -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0).map(drop)
}

/// PR_CAP_AMBIENT_RAISE of prctl(2): adds those of these capabilities to the ambient set that the kernel has and that
/// are both permitted and inheritable; the others are skipped.
pub fn raise_ambient(capabilities: u64) -> Result<()> {
    for capability in (0..64).filter(|capability| capabilities >> capability & 1 == 1) {
        match prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, capability) {
            Ok(_) | Err(Errno(libc::EPERM)) => {}
            Err(Errno(libc::EINVAL)) if capability > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sets the effective, the permitted and the inheritable set to `set`, one bit for each capability: capset(2), version
/// 3.
pub fn set_capabilities(set: u64) -> Result<()> {
    set_capability_sets(set, set, set)
}

/// Sets the effective, the permitted and the inheritable set, one bit for each capability: capset(2), version 3.
pub fn set_capability_sets(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let half = |shift: u32| [effective, permitted, inheritable].map(|set| (set >> shift) as u32);
    let data = [half(0), half(32)];
    // SAFETY: the kernel reads a header and, for version 3, two elements of three words: `header` and `data` have that
    // layout.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) })?;
    Ok(())
}

/// PR_SET_KEEPCAPS of prctl(2): permitted capabilities survive a change of the user id.
pub fn keep_capabilities() -> Result<()> {
    Ok(nix::sys::prctl::set_keepcaps(true)?)
}

/// The effective and the permitted set of this process, one bit for each capability: capget(2), version 3.
pub fn capabilities() -> Result<(u64, u64)> {
    let mut header: [u32; 2] = [0x2008_0522, 0];
    let mut data = [0u32; 6];
    // SAFETY: the kernel writes a header and, for version 3, two elements of three words: `header` and `data` have room
    // for that.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) })?;
    let set = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((set(data[0], data[3]), set(data[1], data[4])))
}

/// Runs `work` without effective capabilities, in a process with a single thread. They come back afterwards.
pub fn without_capabilities<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (effective, permitted) = capabilities()?;
    set_capability_sets(0, permitted, 0)?;
    let done = work();
    set_capability_sets(effective, permitted, 0)?;
    done
}

/// Joins a new, empty session keyring: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING without a name.
pub fn new_session_keyring() -> Result<()> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING (1) takes a name, or null for none.
    check(unsafe { libc::syscall(libc::SYS_keyctl, 1, none) })?;
    Ok(())
}
