//! Namespaces as flags of clone(2), and joining existing ones before that call.

use super::wording;
use crate::error::Result;
use crate::plan::Plan;
use crate::spec::{Namespace, UserNamespace};
use crate::sys;
use std::os::fd::AsFd;

/// The CLONE_NEW* flags of these namespaces, and of the user and mount namespaces, which are always private.
pub(super) fn flags(namespaces: impl IntoIterator<Item = Namespace>) -> u64 {
    let always = (libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u64;
    namespaces.into_iter().fold(always, |flags, namespace| flags | flag(namespace))
}

fn flag(namespace: Namespace) -> u64 {
    match namespace {
        Namespace::Pid => libc::CLONE_NEWPID as u64,
        Namespace::Net => libc::CLONE_NEWNET as u64,
        Namespace::Ipc => libc::CLONE_NEWIPC as u64,
        Namespace::Uts => libc::CLONE_NEWUTS as u64,
        Namespace::Cgroup => libc::CLONE_NEWCGROUP as u64,
        Namespace::Time => sys::CLONE_NEWTIME,
    }
}

/// Joins the namespaces that the sandbox's first process is to be made in.
pub(super) fn join(plan: &Plan) -> Result<()> {
    let user = if let UserNamespace::Join(fd) = plan.namespaces.user { Some(fd) } else { None };
    for (fd, kind, option) in
        [(user, libc::CLONE_NEWUSER, "userns"), (plan.namespaces.pid_join, libc::CLONE_NEWPID, "pidns")]
    {
        if let Some(fd) = fd {
            sys::join_namespace(sys::UnownedFd::new(fd).as_fd(), kind).map_err(|errno| wording::join(option, errno))?;
        }
    }
    Ok(())
}
