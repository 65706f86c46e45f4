//! What a program of the host prints, read while it runs.

use super::helpers;
use crate::sys::{self, Errno, Poll, Waited};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// A program that prints. It is ended when this is dropped, and with this process.
pub struct Printed {
    output: OwnedFd,
    pid: Option<i32>,
}

impl Printed {
    /// Starts a program of the host with these arguments.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn by(program: &Path, words: &[String]) -> sys::Result<Printed> {
        let (output, write) = sys::pipe()?;
        let pid = helpers::print(program, words, write)?;
        Ok(Printed { output, pid: Some(pid) })
    }

    /// Reads what it has printed; 0 at its end. Without `wait`, EAGAIN if there is nothing.
    ///
    /// # Errors
    ///
    /// A call fails.
    pub fn read(&mut self, buffer: &mut [u8], wait: bool) -> sys::Result<usize> {
        let mut set = [Poll::read(self.output.as_raw_fd())];
        sys::poll(&mut set, if wait { None } else { Some(0) })?;
        if set[0].ready || wait { sys::read(self.output.as_fd(), buffer) } else { Err(Errno(libc::EAGAIN)) }
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// A call fails.
    pub fn end(mut self) -> sys::Result<Waited> {
        self.pid.take().map_or(Err(Errno(libc::ECHILD)), sys::wait_for)
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let _ = (sys::kill(pid, libc::SIGKILL), sys::wait_for(pid));
        }
    }
}
