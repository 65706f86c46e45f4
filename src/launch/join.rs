//! The first process of a sandbox that joins namespaces of another one.

use super::process::FirstProcess;
use super::wording;
use crate::error::{Error, Result};
use crate::host::{JoinedNamespace, joined_namespace};
use crate::plan::Plan;
use crate::spec::Namespace;
use crate::sys;
use std::os::fd::{AsFd, BorrowedFd};

/// Clones the first process in these namespaces, and with its other ones below the user namespace that they belong to: only from
/// there may they be joined.
pub(super) fn clone_first(
    plan: &Plan,
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    run: impl FnOnce() -> i32,
) -> Result<FirstProcess> {
    let wanted = &plan.namespaces;
    let network = wanted.joined.iter().map(|joined| (Namespace::Net, joined.pid, joined.number));
    let others = wanted.joined_too.iter().map(|joined| (joined.namespace, joined.pid, joined.number));
    let mut found = Vec::new();
    for (kind, pid, number) in network.chain(others) {
        found.push((find(kind, pid, number)?, kind, pid));
    }
    let [(first, kind, pid), ..] = found.as_slice() else { return Err(Error::new("there is no namespace to join")) };
    let joined: Vec<_> = found.iter().map(|(found, ..)| (found.namespace.as_fd(), found.flag)).collect();
    let cloned = sys::clone3_joined(flags, first.user.as_fd(), &joined, cgroup, run);
    cloned.map(FirstProcess::numbered_by).map_err(|errno| match errno.0 {
        libc::EPERM | libc::EINVAL => {
            Error::new(format!("the {} of process {pid} cannot be joined: {errno}", kind.noun()))
                .hint("it has to be one of a sandbox that you have started yourself, and sbx not be in a sandbox or a chroot itself")
        }
        _ => wording::clone(plan, "clone3", errno),
    })
}

/// The namespace that was planned for.
fn find(kind: Namespace, pid: i32, number: u64) -> Result<JoinedNamespace> {
    let found = joined_namespace(pid, kind).and_then(|found| match found.number == number {
        true => Ok(found),
        false => Err("the process is not that which it was a moment ago".to_owned()),
    });
    let key = if kind == Namespace::Net { "network.mode".to_owned() } else { format!("namespaces.{}", kind.word()) };
    found.map_err(|why| Error::new(format!("{key} = \"join:{pid}\": {why}")))
}
