//! What the view server may do: read the directories that it serves, and answer the kernel. It parses no bytes of the
//! program's but names, which the kernel has put into requests.

use super::super::serving::{LIMIT, allow};
use super::server::Server;
use crate::proxy::confine::{Call, NO_FILES, landlock, limited};
use crate::sys::Result;
use std::os::fd::{AsRawFd, RawFd};

/// What it opens files with. The flags of openat2(2) are in memory; Landlock refuses what would write.
const OPENING: &[Call] = &[(libc::SYS_openat, Some((2, WRITING, 0)))];

/// Flags of open(2) that change something.
const WRITING: u64 =
    (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u64;

/// Confines this process, which keeps the standard streams, the server's directories and these descriptors.
///
/// # Errors
///
/// The kernel refuses to confine it. A missing Landlock is no error: then files outside of the served directories are kept
/// from being written by the filter, but not from being read.
pub fn confine(server: &Server, keep: &[RawFd]) -> Result<()> {
    limited(keep.iter().copied().chain(server.descriptors()), 0, &[LIMIT, NO_FILES])?;
    landlock(server.roots(), [])?;
    allow(OPENING)
}

impl Server {
    /// The descriptors that it needs.
    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.roots().map(|root| root.as_raw_fd()).chain([self.pipe().as_raw_fd()])
    }
}
