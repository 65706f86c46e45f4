//! Loading a seccomp filter. `plan::seccomp` makes the filter; its type is that of the crate seccompiler.
//!
//! seccompiler's `apply_filter` does not allocate or panic either. But it uses seccomp(2), which a filter loaded before
//! may refuse, and it sets no_new_privs, which is for `child::lockdown` alone to decide.

use crate::sys::errno::{Errno, Result, check};
use seccompiler::{BpfProgramRef, sock_filter};

/// Loads a filter: PR_SET_SECCOMP of prctl(2), SECCOMP_MODE_FILTER. Needs no_new_privs. EINVAL: the filter is empty or
/// has more than 4096 instructions.
pub fn load_filter(filter: BpfProgramRef<'_>) -> Result<()> {
    #[repr(C)]
    struct Program {
        len: u16,
        filter: *const sock_filter,
    }
    let len = u16::try_from(filter.len()).map_err(|_| Errno(libc::EINVAL))?;
    let program = Program { len, filter: filter.as_ptr() };
    let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    // SAFETY: `program` has the layout of struct sock_fprog and points at `len` instructions with the layout of struct
    // sock_filter, which the kernel copies and checks.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0) }.into())?;
    Ok(())
}
