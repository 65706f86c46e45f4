//! Instructions and constants of seccomp filters (seccomp(2), linux/filter.h). A filter is a `BpfProgram` of the crate
//! seccompiler.

use crate::sys::sock_filter;

/// Loads the 32-bit word at offset `k` of struct seccomp_data into the accumulator.
pub(super) const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
/// Skips `k` instructions.
pub(super) const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
/// Compares: skips `jt` instructions if the accumulator is `k`, else `jf`.
pub(super) const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
/// Compares: skips `jt` instructions if the accumulator is `k` or more, else `jf`.
pub(super) const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
/// Tests bits: skips `jt` instructions if the accumulator has any bit of `k`, else `jf`.
pub(super) const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
/// Ends the filter with the verdict `k`.
pub(super) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The verdict that allows a call.
pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// The verdict that refuses a call, with an errno in its lower half.
pub(super) const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

/// Offset of the system call's number in struct seccomp_data.
pub(super) const NUMBER: u32 = 0;
/// Offset of the architecture (an AUDIT_ARCH_ number) in struct seccomp_data.
pub(super) const ARCH: u32 = 4;

/// Offset in struct seccomp_data of the lower 32 bits of an argument; arguments count from 0. On little-endian machines
/// the lower half comes first.
pub(super) const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// Offset in struct seccomp_data of the upper 32 bits of an argument.
pub(super) const fn upper_half(index: u32) -> u32 {
    argument(index) + 4
}

/// The bit that marks a number of x32. The architecture of such calls is that of x86-64.
pub(super) const X32: u32 = 0x4000_0000;

/// The sign bit of a descriptor, which is an int.
pub(super) const NEGATIVE: u32 = 1 << 31;

/// The ioctl that inserts a byte into a terminal's input (ioctl_tty(2)).
pub(super) const TIOCSTI: u32 = 0x5412;
/// The ioctl of the Linux console that can paste into its input (ioctl_console(2)).
pub(super) const TIOCLINUX: u32 = 0x541c;

/// An instruction: `code` on the operand `k`; a comparison skips `jt` instructions if true, `jf` if false.
pub(super) const fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
