//! Stand-ins on other architectures for the calls that only x86 has: all fail with ENOSYS.

use super::SetMode;
use crate::sys::errno::{Errno, Result};

const ELSEWHERE: Errno = Errno(libc::ENOSYS);

/// iopl(2), which only x86 has: ENOSYS.
pub fn io_ports() -> Result<()> {
    Err(ELSEWHERE)
}

/// ioperm(2), which only x86 has: ENOSYS.
pub fn io_port() -> Result<()> {
    Err(ELSEWHERE)
}

/// modify_ldt(2), which only x86 has: ENOSYS.
pub fn write_ldt() -> Result<()> {
    Err(ELSEWHERE)
}

/// A system call by the x32 ABI, which only x86-64 has: ENOSYS.
pub fn x32_call() -> Result<()> {
    Err(ELSEWHERE)
}

/// Calls that only older architectures have: none here.
pub const SET_MODE_OF_OLD: &[(&str, SetMode)] = &[];

/// A system call by the i386 ABI, which only x86 has: ENOSYS.
pub fn i386_call(_number: u32, _first: u32, _second: u32, _third: u32) -> Result<i32> {
    Err(ELSEWHERE)
}
