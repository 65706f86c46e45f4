//! Why a commit does not put a path onto the host. What the kernel would refuse is known before anything is begun, so that a dry
//! run says the same.

use super::node::{Attributes, Node, NodeKind};
use super::walk::Change;
use super::{compare, wanted};
use crate::sys::{self, Errno};
use std::os::fd::BorrowedFd;

/// Why a file was not put onto the host.
pub(super) enum Stop {
    /// The host's file is not what it was.
    Conflict(String),
    /// It cannot be put there, for this reason. The host has what it had.
    LeftOut(String),
    /// What was begun could be neither finished nor undone: the next commit does that first, and nothing else can be begun.
    Broken(Errno),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Broken(errno)
    }
}

/// What failed before anything was changed, or was undone.
pub(super) fn cannot(errno: Errno) -> Stop {
    Stop::LeftOut(match errno {
        Errno(libc::EOPNOTSUPP) => NOT_COPIED.into(),
        errno => format!("it cannot be put there: {errno}"),
    })
}

/// Why a socket or a device is left out.
const NOT_COPIED: &str = "a socket or a device cannot be copied";

pub(super) fn conflict<T>(why: &str) -> std::result::Result<T, Stop> {
    Err(Stop::Conflict(why.to_owned()))
}

/// The extended attributes that a path gets on the host. Refuses what cannot be copied, whatever the host has.
pub(super) fn may_copy(change: &Change<'_>) -> std::result::Result<Attributes, Stop> {
    let Some((from, new)) = &change.new else { return Ok(Vec::new()) };
    match new.kind {
        NodeKind::Socket | NodeKind::Device | NodeKind::Whiteout => Err(Stop::LeftOut(NOT_COPIED.into())),
        _ => {
            let wanted = wanted::of(change.name, (*from, new), change.old, change.reader).map_err(cannot)?;
            wanted.ok_or_else(|| Stop::LeftOut(FOREIGN_LIST.into()))
        }
    }
}

/// Why a file with such an access control list is left out.
const FOREIGN_LIST: &str =
    "its access control list names users or groups that cannot be given to a file from the sandbox's ids";

/// Refuses what the kernel would refuse, so that a dry run says the same.
pub(super) fn may_write(
    host: BorrowedFd<'_>,
    dir: &Node,
    new: Option<&Node>,
    old: Option<&Node>,
) -> std::result::Result<(), Stop> {
    let is_dir = |node: Option<&Node>| node.is_some_and(|node| node.kind == NodeKind::Dir);
    let foreign = |node: &Node| node.uid == compare::UNMAPPED;
    if is_dir(new) && is_dir(old) {
        return match old.is_some_and(foreign) {
            true => Err(Stop::LeftOut("the host's directory is another user's".into())),
            false => Ok(()),
        };
    }
    if let Err(errno) = sys::may_effectively(host, c".", libc::W_OK | libc::X_OK) {
        return Err(Stop::LeftOut(format!("you may not write to its directory on the host: {errno}")));
    }
    match dir.mode & 0o1000 != 0 && foreign(dir) && old.is_some_and(foreign) {
        true => {
            Err(Stop::LeftOut("the host's is another user's, in a directory where only they may replace it".into()))
        }
        false => Ok(()),
    }
}
