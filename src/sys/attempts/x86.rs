//! Attempts with system calls and ABIs that only x86-64 has.

use super::SetMode;
use crate::sys::errno::{Errno, Result, check};

/// iopl(2): access to all I/O ports.
pub fn io_ports() -> Result<()> {
    // SAFETY: the call takes integers; no port is touched.
    check(unsafe { libc::syscall(libc::SYS_iopl, 3) }).map(drop)
}

/// ioperm(2): access to one I/O port, 0x80, which is used only for delays.
pub fn io_port() -> Result<()> {
    // SAFETY: the call takes integers; no port is touched.
    check(unsafe { libc::syscall(libc::SYS_ioperm, 0x80, 1, 1) }).map(drop)
}

/// modify_ldt(2): writes an empty entry to this process's local descriptor table.
pub fn write_ldt() -> Result<()> {
    // struct user_desc: entry 0, no base, no limit; read_exec_only and seg_not_present make it an empty one.
    let entry: [u32; 4] = [0, 0, 0, 1 << 3 | 1 << 5];
    // SAFETY: struct user_desc, which the call reads, has the 16 bytes whose length is passed.
    check(unsafe { libc::syscall(libc::SYS_modify_ldt, 1, entry.as_ptr(), size_of_val(&entry)) }).map(drop)
}

/// getpid(2) by its number in the x32 ABI.
pub fn x32_call() -> Result<()> {
    // SAFETY: getpid(2) takes nothing.
    check(unsafe { libc::syscall(0x4000_0000 | libc::SYS_getpid) }).map(drop)
}

/// As [`SET_MODE`](super::SET_MODE), the calls that newer architectures do without.
pub const SET_MODE_OF_OLD: &[(&str, SetMode)] = &[
    ("chmod", |path, mode| {
        // SAFETY: the path ends with a NUL.
        check(unsafe { libc::syscall(libc::SYS_chmod, path.as_ptr(), mode) }).map(drop)
    }),
    ("open", |path, mode| {
        // SAFETY: the path ends with a NUL. The descriptor is left open: the process ends with the attempt.
        check(unsafe { libc::syscall(libc::SYS_open, path.as_ptr(), libc::O_CREAT | libc::O_WRONLY, mode) }).map(drop)
    }),
    ("creat", |path, mode| {
        // SAFETY: as above.
        check(unsafe { libc::syscall(libc::SYS_creat, path.as_ptr(), mode) }).map(drop)
    }),
    ("mknod", |path, mode| {
        // SAFETY: the path ends with a NUL; a regular file needs no device.
        check(unsafe { libc::syscall(libc::SYS_mknod, path.as_ptr(), libc::S_IFREG | mode, 0) }).map(drop)
    }),
];

/// A system call by the i386 ABI (`int 0x80`). A kernel without that ABI sends SIGSEGV. Addresses have to be below 4
/// GiB.
pub fn i386_call(number: u32, first: u32, second: u32, third: u32) -> Result<i32> {
    let result: i64;
    // SAFETY: the calls made this way take integers, or addresses that are not mapped here; rbx is reserved by the
    // compiler and is restored. The kernel may change r8 to r11.
    unsafe {
        std::arch::asm!(
            "xchg {first:r}, rbx",
            "int 0x80",
            "xchg {first:r}, rbx",
            first = inout(reg) u64::from(first) => _,
            inout("rax") u64::from(number) => result,
            in("rcx") u64::from(second),
            in("rdx") u64::from(third),
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let result = result as i32;
    if (-4095..0).contains(&result) { Err(Errno(-result)) } else { Ok(result) }
}
