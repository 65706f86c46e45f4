//! Attributes of a process: capabilities, no_new_privs, parent-death signal, keyring, host name.

use super::errno::{Result, check, done};
use std::ffi::CStr;

/// The highest capability this program has a name for (CAP_CHECKPOINT_RESTORE); the kernel may know more.
pub const LAST_KNOWN_CAPABILITY: u32 = 40;

fn prctl(option: i32, a: libc::c_ulong, b: libc::c_ulong) -> Result<i32> {
    // SAFETY: every option used here takes integers.
    Ok(check(unsafe { libc::prctl(option, a, b, 0, 0) }.into())? as i32)
}

/// PR_SET_PDEATHSIG
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong, 0).map(drop)
}

/// PR_SET_NO_NEW_PRIVS
pub fn set_no_new_privs() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// PR_SET_DUMPABLE
pub fn set_dumpable(on: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(on), 0).map(drop)
}

/// Takes every capability out of the bounding set, whatever this kernel's last one is.
pub fn empty_bounding_set() -> Result<()> {
    for capability in 0..64 {
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            Err(super::Errno(libc::EINVAL)) if capability > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// PR_CAP_AMBIENT_CLEAR_ALL
pub fn clear_ambient() -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0).map(drop)
}

/// Empties the effective, permitted and inheritable sets: capset(2), version 3.
pub fn drop_capabilities() -> Result<()> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let data = [0u32; 6];
    // SAFETY: the header and the data have the layout of version 3 (two elements of three words).
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) })?;
    Ok(())
}

/// The effective set of this process: capget(2), version 3.
pub fn effective_capabilities() -> Result<u64> {
    let mut header: [u32; 2] = [0x2008_0522, 0];
    let mut data = [0u32; 6];
    // SAFETY: the header and the data have the layout of version 3 (two elements of three words).
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) })?;
    Ok(u64::from(data[0]) | u64::from(data[3]) << 32)
}

/// Joins a new, empty session keyring: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING without a name.
pub fn new_session_keyring() -> Result<()> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: no name is passed.
    check(unsafe { libc::syscall(libc::SYS_keyctl, 1, none) })?;
    Ok(())
}

/// sethostname(2)
pub fn set_hostname(name: &CStr) -> Result<()> {
    // SAFETY: the pointer is valid for the length.
    done(unsafe { libc::sethostname(name.as_ptr(), name.count_bytes()) })
}

/// The version of Landlock's interface that this kernel has: landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION.
pub fn landlock_version() -> Result<i32> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag no attributes are passed.
    Ok(check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, 1) })? as i32)
}

/// Release of the kernel: uname(2).
pub fn release() -> String {
    // SAFETY: the call fills the struct with strings that end with a NUL.
    unsafe {
        let mut names = std::mem::zeroed::<libc::utsname>();
        libc::uname(&raw mut names);
        CStr::from_ptr(names.release.as_ptr()).to_string_lossy().into_owned()
    }
}
