//! What seccomp filters are made of: seccomp(2), linux/filter.h. A filter is a `BpfProgram` of the crate seccompiler.

use crate::sys::sock_filter;

/// Load a word of struct seccomp_data into the accumulator.
pub(super) const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
/// Skip `k` instructions.
pub(super) const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
/// Compare the accumulator: is it `k`?
pub(super) const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
/// Compare the accumulator: is it `k` or more?
pub(super) const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
/// Compare the accumulator: has it any bit of `k`?
pub(super) const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
/// End with the verdict `k`.
pub(super) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The verdict that lets a call be made.
pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// The verdict that refuses a call, with an errno in its lower half.
pub(super) const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

// Offsets in struct seccomp_data.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCH: u32 = 4;

/// The offset of the lower half of an argument, counted from 0: it comes first on little-endian machines.
pub(super) const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The bit of x32's numbers, which carry the architecture of x86-64.
pub(super) const X32: u32 = 0x4000_0000;

/// The sign of a descriptor, which is an int.
pub(super) const NEGATIVE: u32 = 1 << 31;

pub(super) const TIOCSTI: u32 = 0x5412;
pub(super) const TIOCLINUX: u32 = 0x541c;

pub(super) fn op(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
