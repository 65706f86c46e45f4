//! Loading a seccomp filter. What it says is decided in `plan::seccomp`.

use super::errno::{Result, check};
use serde::Serialize;

/// One instruction of classic BPF, as struct sock_filter has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

#[repr(C)]
struct Program {
    len: u16,
    filter: *const Instruction,
}

/// PR_SET_SECCOMP, SECCOMP_MODE_FILTER; needs no_new_privs. By prctl(2), since a filter that is loaded already may refuse seccomp(2).
pub fn load_filter(filter: &[Instruction]) -> Result<()> {
    let program = Program { len: filter.len() as u16, filter: filter.as_ptr() };
    let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    // SAFETY: the program has the layout of struct sock_fprog; the kernel copies and checks it.
    let value = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) };
    check(value.into())?;
    Ok(())
}

/// A filter as it lies in a file: instructions of eight bytes in this machine's order. None where the length is no multiple of that.
pub fn filter_from_bytes(bytes: &[u8]) -> Option<Vec<Instruction>> {
    let (whole, rest) = bytes.as_chunks::<8>();
    let one = |b: &[u8; 8]| Instruction {
        code: u16::from_ne_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    };
    rest.is_empty().then(|| whole.iter().map(one).collect())
}
