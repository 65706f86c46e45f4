//! Facts about this process and this kernel: ids, groups, capabilities, kernel release, resource usage of children.

use crate::sys::errno::{Errno, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::{Gid, Uid};
use std::sync::LazyLock;

/// Names of the capabilities, in lower case, in the order of their numbers: capabilities(7). The kernel may know more.
pub static CAPABILITIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut all: Vec<caps::Capability> = caps::all().into_iter().collect();
    all.sort_unstable_by_key(|capability| capability.index());
    all.iter().map(|capability| capability.to_string().to_lowercase()).collect()
});

/// The effective capabilities of this process, one bit for each.
pub fn effective_capabilities() -> Result<u64> {
    crate::sys::child::capabilities().map(|(effective, _)| effective)
}

/// 16 bytes from the kernel's random number generator: getrandom(2).
pub fn random_bytes() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: the pointer and the length are those of `bytes`, which is writable.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    // The kernel gives up to 256 bytes at once, and is not interrupted.
    if got == 16 { Ok(bytes) } else { Err(Errno::last()) }
}

/// The real user id and the real group id of this process.
pub fn ids() -> (u32, u32) {
    (Uid::current().as_raw(), Gid::current().as_raw())
}

/// The effective user id of this process.
pub fn effective_uid() -> u32 {
    Uid::effective().as_raw()
}

/// The effective group id of this process.
pub fn effective_gid() -> u32 {
    Gid::effective().as_raw()
}

/// Whether the kernel gave this process more rights than its caller has when it was executed: AT_SECURE, getauxval(3).
pub fn is_elevated() -> bool {
    // SAFETY: it takes a number, and reads the auxiliary vector that the kernel has handed over.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// PR_GET_NO_NEW_PRIVS of prctl(2): whether exec gives this process no new privileges.
pub fn has_no_new_privs() -> bool {
    nix::sys::prctl::get_no_new_privs().unwrap_or(false)
}

/// getgroups(2): the supplementary groups of this process. (nix's calls sysconf(3) first, which opens a file of /proc.)
pub fn groups() -> Vec<u32> {
    // SAFETY: a size of 0 asks for the count, and nothing is written.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut list = vec![0; count.max(0) as usize];
    // SAFETY: the list may be written for the length that is passed.
    let count = unsafe { libc::getgroups(list.len() as libc::c_int, list.as_mut_ptr()) };
    list.truncate(count.max(0) as usize);
    list
}

/// The machine's memory in bytes: sysinfo(2). 0 if it is not known.
pub fn memory() -> u64 {
    nix::sys::sysinfo::sysinfo().map_or(0, |info| info.ram_total())
}

/// The size of a page of memory, in bytes.
pub fn page_size() -> u64 {
    configured(libc::_SC_PAGESIZE).unwrap_or(4096)
}

/// How many ticks of the clock a second has, in which /proc counts times.
pub fn clock_ticks() -> u64 {
    configured(libc::_SC_CLK_TCK).unwrap_or(100)
}

/// sysconf(3), if it says more than 0.
fn configured(name: i32) -> Option<u64> {
    // SAFETY: it takes a number, and changes nothing.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|value| *value > 0)
}

/// The kernel's release, such as `6.12.1`: uname(2).
pub fn release() -> String {
    nix::sys::utsname::uname().map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Resource usage of those children that were waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// CPU time in user mode, in microseconds.
    pub user_usec: u64,
    /// CPU time in the kernel, in microseconds.
    pub system_usec: u64,
    /// Page faults that needed no I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Context switches, voluntary and involuntary.
    pub context_switches: u64,
}

/// getrusage(2), RUSAGE_CHILDREN: resource usage of those children that were waited for.
pub fn usage_of_children() -> Usage {
    let Ok(used) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Usage::default() };
    let usec = |time: TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Usage {
        user_usec: usec(used.user_time()),
        system_usec: usec(used.system_time()),
        minor_faults: used.minor_page_faults() as u64,
        major_faults: used.major_page_faults() as u64,
        context_switches: (used.voluntary_context_switches() + used.involuntary_context_switches()) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_stand_at_their_numbers() {
        assert_eq!(CAPABILITIES.len(), 41);
        for (name, number) in [("cap_chown", 0), ("cap_sys_admin", 21), ("cap_checkpoint_restore", 40)] {
            assert_eq!(CAPABILITIES[number], name);
        }
    }
}
