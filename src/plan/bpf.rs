//! What seccomp filters are made of: seccomp(2), linux/filter.h.

use crate::sys::Instruction;

pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(super) const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
pub(super) const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
pub(super) const ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K

pub(super) const ALLOW: u32 = 0x7fff_0000; // SECCOMP_RET_ALLOW
pub(super) const ERRNO: u32 = 0x0005_0000; // SECCOMP_RET_ERRNO

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

pub(super) fn op(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}
