//! The first process of a sandbox that joins the network of another one.

use super::process::FirstProcess;
use super::wording;
use crate::error::{Error, Result};
use crate::host::joined_namespaces;
use crate::plan::{JoinedNetwork, Plan};
use crate::sys;
use std::os::fd::{AsFd, BorrowedFd};

/// Clones the first process in that network, and with its other namespaces below the user namespace that it belongs to: only from
/// there may a network be joined.
pub(super) fn clone_first(
    plan: &Plan,
    joined: &JoinedNetwork,
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    run: impl FnOnce() -> i32,
) -> Result<FirstProcess> {
    let pid = joined.pid;
    let found = joined_namespaces(pid)
        .and_then(|found| match found.number == joined.number {
            true => Ok(found),
            false => Err("the process is not that which it was a moment ago".to_owned()),
        })
        .map_err(|why| Error::new(format!("network.mode = \"join:{pid}\": {why}")))?;
    let cloned = sys::clone3_joined(flags, found.user.as_fd(), found.network.as_fd(), cgroup, run);
    cloned.map(FirstProcess::numbered_by).map_err(|errno| match errno.0 {
        libc::EPERM | libc::EINVAL => {
            Error::new(format!("the network of process {pid} cannot be joined: {errno}"))
                .hint("it has to be one of a sandbox that you have started yourself, and sbx not be in a sandbox or a chroot itself")
        }
        _ => wording::clone(plan, "clone3", errno),
    })
}
