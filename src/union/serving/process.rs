//! A server as a process: sbx executes itself for it, with descriptors of the launcher's as arguments.

use crate::exit;
use crate::sys::{self, Poll, UnownedFd};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The exit status of a server that has ended so, and says why on stderr.
pub fn exit_status(server: &str, ended: Result<(), String>) -> u8 {
    match ended {
        Ok(()) => 0,
        Err(message) => {
            let _ = sys::write_all(sys::STREAMS[2].as_fd(), format!("sbx: {server}: {message}\n").as_bytes());
            exit::FAILED
        }
    }
}

/// Takes a descriptor that the launcher has left open, by its number.
///
/// # Errors
///
/// It is not open.
pub fn adopt(number: i32) -> Result<OwnedFd, String> {
    UnownedFd::new(number).adopt().map_err(|errno| format!("descriptor {number}: {errno}"))
}

/// Lets this process end with the launcher. The pipe has no reader any more once that has ended; until then, its death ends this process.
/// Gives whether it has ended already.
///
/// # Errors
///
/// The kernel refuses that.
pub fn ends_with_launcher(pipe: &OwnedFd) -> Result<bool, String> {
    sys::set_parent_death_signal(libc::SIGKILL).map_err(|errno| format!("prctl: {errno}"))?;
    if ended(pipe, Some(0)) {
        return Ok(true);
    }
    sys::set_nonblocking(pipe.as_fd(), true).map_err(|errno| format!("fcntl: {errno}"))?;
    Ok(false)
}

/// Whether the launcher has ended; waits for so many milliseconds, or for ever.
pub fn ended(pipe: &OwnedFd, timeout: Option<i32>) -> bool {
    let mut set = [Poll::end(pipe.as_raw_fd())];
    sys::poll(&mut set, timeout).is_err() || set[0].ready
}
