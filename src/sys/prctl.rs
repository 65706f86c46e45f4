//! Attributes of a process: capabilities, no_new_privs, parent-death signal, keyring, host name.

use super::errno::{Result, check, done};
use std::ffi::CStr;

/// Names of the capabilities, in the order of their numbers: capabilities(7). The kernel may know more.
pub const CAPABILITIES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

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

/// Takes every capability but these out of the bounding set, whatever this kernel's last one is.
pub fn shrink_bounding_set(keep: u64) -> Result<()> {
    for capability in (0..64).filter(|capability| keep >> capability & 1 == 0) {
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            Err(super::Errno(libc::EINVAL)) if capability > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Bits that keep root's user id from meaning anything: exec gives it no capability, capabilities are not kept when it is given up,
/// and none becomes ambient. Locked, as is the rest. capabilities(7), "The securebits flags".
const POWERLESS_ROOT: i32 = libc::SECBIT_NOROOT
    | libc::SECBIT_NOROOT_LOCKED
    | libc::SECBIT_NO_SETUID_FIXUP_LOCKED
    | libc::SECBIT_KEEP_CAPS_LOCKED
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

/// PR_SET_SECUREBITS: root is a user like any other.
pub fn lock_securebits() -> Result<()> {
    prctl(libc::PR_SET_SECUREBITS, POWERLESS_ROOT as libc::c_ulong, 0).map(drop)
}

/// Whether that holds for this process.
pub fn securebits_locked() -> Result<bool> {
    Ok(prctl(libc::PR_GET_SECUREBITS, 0, 0)? == POWERLESS_ROOT)
}

/// PR_CAP_AMBIENT_CLEAR_ALL
pub fn clear_ambient() -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0).map(drop)
}

/// PR_CAP_AMBIENT_RAISE of each of these that the kernel has and this process may hand on: those both permitted and inheritable.
pub fn raise_ambient(capabilities: u64) -> Result<()> {
    for capability in (0..64).filter(|capability| capabilities >> capability & 1 == 1) {
        match prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, capability) {
            Ok(_) | Err(super::Errno(libc::EPERM)) => {}
            Err(super::Errno(libc::EINVAL)) if capability > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sets the effective, permitted and inheritable sets: capset(2), version 3.
pub fn set_capabilities(set: u64) -> Result<()> {
    set_capability_sets(set, set, set)
}

/// The same for each of the three.
pub fn set_capability_sets(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let half = |shift: u32| [effective, permitted, inheritable].map(|set| (set >> shift) as u32);
    let data = [half(0), half(32)];
    // SAFETY: the header and the data have the layout of version 3 (two elements of three words).
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) })?;
    Ok(())
}

/// PR_SET_KEEPCAPS: permitted capabilities survive a change of the user id.
pub fn keep_capabilities() -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, 1, 0).map(drop)
}

/// The effective set of this process.
pub fn effective_capabilities() -> Result<u64> {
    capabilities().map(|(effective, _)| effective)
}

/// The effective and the permitted set of this process: capget(2), version 3.
pub fn capabilities() -> Result<(u64, u64)> {
    let mut header: [u32; 2] = [0x2008_0522, 0];
    let mut data = [0u32; 6];
    // SAFETY: the header and the data have the layout of version 3 (two elements of three words).
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) })?;
    let set = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((set(data[0], data[3]), set(data[1], data[4])))
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

/// Release of the kernel: uname(2).
pub fn release() -> String {
    // SAFETY: the call fills the struct with strings that end with a NUL.
    unsafe {
        let mut names = std::mem::zeroed::<libc::utsname>();
        libc::uname(&raw mut names);
        CStr::from_ptr(names.release.as_ptr()).to_string_lossy().into_owned()
    }
}
