//! Namespaces, and what is set in them: ids, groups, host name, the loopback interface.

use crate::sys::errno::{Result, done};
use nix::sched::CloneFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType};
use nix::unistd::{Gid, Uid};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

/// setns(2): joins the namespace that a descriptor refers to. `kind` is the CLONE_NEW* type that it must have; 0 allows
/// any.
pub fn join_namespace(fd: BorrowedFd<'_>, kind: i32) -> Result<()> {
    Ok(nix::sched::setns(fd, CloneFlags::from_bits_retain(kind))?)
}

/// unshare(2), CLONE_NEWCGROUP: a new cgroup namespace, whose root is the cgroup that this process is in.
pub fn new_cgroup_namespace() -> Result<()> {
    Ok(nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)?)
}

/// unshare(2), CLONE_NEWNET: a new network namespace.
pub fn new_network_namespace() -> Result<()> {
    Ok(nix::sched::unshare(CloneFlags::CLONE_NEWNET)?)
}

/// unshare(2), CLONE_NEWUSER: a new user namespace.
pub fn new_user_namespace() -> Result<()> {
    Ok(nix::sched::unshare(CloneFlags::CLONE_NEWUSER)?)
}

/// unshare(2), CLONE_NEWNS: a copy of this process's mounts.
pub fn new_mount_namespace() -> Result<()> {
    Ok(nix::sched::unshare(CloneFlags::CLONE_NEWNS)?)
}

/// setgroups(2) with an empty list: drops all supplementary groups.
pub fn drop_groups() -> Result<()> {
    Ok(nix::unistd::setgroups(&[])?)
}

/// setgid(2), then setuid(2), for those ids that are given: after setuid(2), the right to call setgid(2) may be gone.
pub fn set_ids(uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    if let Some(gid) = gid {
        nix::unistd::setgid(Gid::from_raw(gid))?;
    }
    if let Some(uid) = uid {
        nix::unistd::setuid(Uid::from_raw(uid))?;
    }
    Ok(())
}

/// sethostname(2): sets the host name of this UTS namespace.
pub fn set_hostname(name: &CStr) -> Result<()> {
    Ok(nix::unistd::sethostname(OsStr::from_bytes(name.to_bytes()))?)
}

/// setdomainname(2): sets the NIS domain name of this UTS namespace.
pub fn set_domainname(name: &CStr) -> Result<()> {
    let bytes = name.to_bytes();
    // SAFETY: setdomainname reads `len` bytes of `name`, which are there.
    done(unsafe { libc::setdomainname(bytes.as_ptr().cast(), bytes.len()) })
}

/// The ioctl(2) argument for the interface `lo`, with these flags: netdevice(7).
pub(in crate::sys) fn loopback(flags: libc::c_short) -> libc::ifreq {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    (ifr_name[0], ifr_name[1]) = (b'l' as libc::c_char, b'o' as libc::c_char);
    libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } }
}

/// Sets the loopback interface of this network namespace up; the kernel then gives it 127.0.0.1/8 and ::1 itself.
pub fn loopback_up() -> Result<()> {
    let socket = nix::sys::socket::socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let request = loopback((libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short);
    // SAFETY: SIOCSIFFLAGS reads one ifreq, whose name ends with a NUL.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) })
}
