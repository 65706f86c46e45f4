//! Loading a seccomp filter. What it says is decided in `plan::seccomp`; its type is that of the crate seccompiler.
//!
//! seccompiler's `apply_filter` allocates and panics as little as this, but goes by seccomp(2), which a filter that is loaded already
//! may refuse, and sets no_new_privs itself, which is decided in `child::lockdown` alone.

use crate::sys::errno::{Errno, Result, check};
use seccompiler::{BpfProgramRef, sock_filter};

/// PR_SET_SECCOMP, SECCOMP_MODE_FILTER; needs no_new_privs. EINVAL for a program that is empty or has more than 4096 instructions.
pub fn load_filter(filter: BpfProgramRef<'_>) -> Result<()> {
    #[repr(C)]
    struct Program {
        len: u16,
        filter: *const sock_filter,
    }
    let len = u16::try_from(filter.len()).map_err(|_| Errno(libc::EINVAL))?;
    let program = Program { len, filter: filter.as_ptr() };
    let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    // SAFETY: `program` has the layout of struct sock_fprog and points at `len` instructions with the layout of struct sock_filter,
    // which the kernel copies and checks.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) }.into())?;
    Ok(())
}
