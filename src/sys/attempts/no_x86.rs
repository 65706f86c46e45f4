//! What there is on x86 alone, on other machines: no such calls.

use crate::sys::errno::{Errno, Result};

const ELSEWHERE: Errno = Errno(libc::ENOSYS);

/// iopl(2)
pub fn io_ports() -> Result<()> {
    Err(ELSEWHERE)
}

/// ioperm(2)
pub fn io_port() -> Result<()> {
    Err(ELSEWHERE)
}

/// modify_ldt(2)
pub fn write_ldt() -> Result<()> {
    Err(ELSEWHERE)
}

/// Calls of x32
pub fn x32_call() -> Result<()> {
    Err(ELSEWHERE)
}

/// Calls of i386
pub fn i386_call(_number: u32, _first: u32, _second: u32, _third: u32) -> Result<i32> {
    Err(ELSEWHERE)
}
