//! Attempts on parts of the kernel that programs seldom need, and exploits often do.

use super::allowed;
use crate::sys::child::{Strings, owned};
use crate::sys::errno::{Errno, Result, check, done};
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags};
use nix::sys::personality::Persona;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// io_uring_setup(2) with room for one entry.
pub fn io_uring() -> Result<OwnedFd> {
    // struct io_uring_params has 120 bytes; all zeroes are the defaults.
    let mut parameters = [0u64; 15];
    // SAFETY: the buffer is as large as the struct, which the kernel fills.
    owned(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) })
}

/// bpf(2), BPF_PROG_LOAD of a socket filter that lets nothing through.
pub fn bpf_program() -> Result<OwnedFd> {
    const LOAD: i32 = 5;
    const SOCKET_FILTER: u32 = 1;
    // r0 = 0; exit
    let program: [u64; 2] = [0xb7, 0x95];
    let license = c"GPL";
    let mut attributes = [0u64; 16];
    attributes[0] = u64::from(SOCKET_FILTER) | (program.len() as u64) << 32;
    attributes[1] = program.as_ptr() as u64;
    attributes[2] = license.as_ptr() as u64;
    // SAFETY: the first words are type and length, the addresses of the instructions and of the licence; the rest is
    // zero.
    owned(unsafe { libc::syscall(libc::SYS_bpf, LOAD, attributes.as_ptr(), size_of_val(&attributes)) })
}

/// bpf(2), BPF_MAP_CREATE of an array with one element.
pub fn bpf_map() -> Result<OwnedFd> {
    const CREATE: i32 = 0;
    const ARRAY: u32 = 2;
    let mut attributes = [0u32; 32];
    attributes[..4].copy_from_slice(&[ARRAY, 4, 4, 1]);
    // SAFETY: type, size of key and value, and count; the rest is zero.
    owned(unsafe { libc::syscall(libc::SYS_bpf, CREATE, attributes.as_ptr(), size_of_val(&attributes)) })
}

/// perf_event_open(2): a software counter (task clock) of this process, user mode alone.
pub fn perf_counter() -> Result<OwnedFd> {
    // struct perf_event_attr, version 0: 64 bytes.
    let mut attributes = [0u64; 8];
    attributes[0] = 1 | 64 << 32; // PERF_TYPE_SOFTWARE, size
    attributes[1] = 1; // PERF_COUNT_SW_TASK_CLOCK
    attributes[5] = 1 << 5 | 1 << 6; // exclude_kernel, exclude_hv
    // SAFETY: the struct has the size that it names.
    owned(unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0) })
}

/// userfaultfd(2), for faults in user mode alone or for all.
pub fn userfault(user_mode_only: bool) -> Result<OwnedFd> {
    // SAFETY: the call takes flags, of which 1 is UFFD_USER_MODE_ONLY, and gives a new descriptor.
    owned(unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | i32::from(user_mode_only)) })
}

/// fanotify_init(2) of a group that may allow or deny accesses of other processes (FAN_CLASS_CONTENT).
pub fn watch_accesses() -> Result<OwnedFd> {
    // SAFETY: the call takes two integers and gives a new descriptor.
    owned(unsafe { libc::fanotify_init(libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC, libc::O_RDONLY as u32) }.into())
}

/// init_module(2) with an empty image. The kernel complains about the image (ENOEXEC) only to those who may load
/// modules.
pub fn may_load_module() -> Result<()> {
    allowed(nix::kmod::init_module(&[], c"").map_err(Errno::from), &[libc::ENOEXEC, libc::EINVAL])
}

/// finit_module(2) of a file that is no module. The kernel complains about the file (ENOEXEC) only to those who may
/// load modules.
pub fn may_load_module_file(file: BorrowedFd<'_>) -> Result<()> {
    let tried = nix::kmod::finit_module(file, c"", ModuleInitFlags::empty());
    allowed(tried.map_err(Errno::from), &[libc::ENOEXEC, libc::EINVAL])
}

/// delete_module(2) of a module that does not exist. The kernel says so (ENOENT) only to those who may unload modules.
pub fn may_unload_module() -> Result<()> {
    let tried = nix::kmod::delete_module(c"sbx-there-is-no-such-module", DeleteModuleFlags::O_NONBLOCK);
    allowed(tried.map_err(Errno::from), &[libc::ENOENT])
}

/// kexec_load(2) with invalid flags. The kernel complains about them (EINVAL) only to those who may replace it.
pub fn may_replace_kernel() -> Result<()> {
    let none = std::ptr::null::<libc::c_void>();
    let flags: libc::c_ulong = 0x4000;
    // SAFETY: no segments are passed.
    let value = unsafe { libc::syscall(libc::SYS_kexec_load, 0, 0, none, flags) };
    allowed(check(value).map(drop), &[libc::EINVAL])
}

/// reboot(2) with a wrong magic number. The kernel complains about it (EINVAL) only to those who may reboot.
pub fn may_reboot() -> Result<()> {
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with these numbers the kernel does nothing but check the right.
    allowed(check(unsafe { libc::syscall(libc::SYS_reboot, 1, 2, 3, none) }).map(drop), &[libc::EINVAL])
}

/// swapon(2) of a file that does not exist. The kernel says so (ENOENT) only to those who may add swap space.
pub fn may_swap() -> Result<()> {
    // SAFETY: the path ends with a NUL.
    allowed(done(unsafe { libc::swapon(c"/sbx-there-is-no-such-file".as_ptr(), 0) }), &[libc::ENOENT])
}

/// acct(2) into a file that does not exist. The kernel says so (ENOENT) only to those who may start process accounting.
pub fn may_account() -> Result<()> {
    allowed(nix::unistd::acct::enable(c"/sbx-there-is-no-such-file").map_err(Errno::from), &[libc::ENOENT])
}

/// syslog(2), SYSLOG_ACTION_READ_ALL: reads the kernel's messages; gives how many bytes were read.
pub fn kernel_log(buffer: &mut [u8]) -> Result<usize> {
    const READ_ALL: i32 = 3;
    // SAFETY: the buffer is valid for its length.
    let n = unsafe { libc::syscall(libc::SYS_syslog, READ_ALL, buffer.as_mut_ptr(), buffer.len()) };
    Ok(check(n)? as usize)
}

/// personality(2), ADDR_NO_RANDOMIZE: switches address space randomization off for later programs of this process.
pub fn predictable_addresses() -> Result<()> {
    // The flag takes effect with the next exec.
    nix::sys::personality::set(Persona::ADDR_NO_RANDOMIZE)?;
    Ok(())
}

/// execve(2) of a file with one argument and an empty environment. Returns only if it failed.
pub fn execute(path: &CStr, argument: &CStr) -> Errno {
    let args = Strings::new(vec![path.to_owned(), argument.to_owned()]);
    crate::sys::execve(path, args.list(0), Strings::new(Vec::new()).list(0))
}
