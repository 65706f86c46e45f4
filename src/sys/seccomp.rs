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

/// seccomp(2), SECCOMP_SET_MODE_FILTER; needs no_new_privs.
pub fn load_filter(filter: &[Instruction]) -> Result<()> {
    let program = Program { len: filter.len() as u16, filter: filter.as_ptr() };
    // SAFETY: the program has the layout of struct sock_fprog; the kernel copies and checks it.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })?;
    Ok(())
}
