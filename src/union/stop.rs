//! Why a commit does not put a path onto the host. What the kernel would refuse is known before anything is begun, so that a dry
//! run says the same.

use super::change::Change;
use super::copy::Giver;
use super::node::{Node, NodeKind, UNMAPPED, open_dir};
use super::wanted;
use super::wanted::{Known, Wanted};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, BorrowedFd};

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

/// Why nothing is written where something is mounted.
pub(super) const MOUNTED: &str = "something is mounted there on the host";

/// What is said of a path that the host has as well as it can have it.
pub(super) const THERE_BUT_FOR_IDS: &str = "it is there but for its owner and set-ID bits";

/// The extended attributes that a path gets on the host. Refuses what cannot be copied, whatever the host has.
pub(super) fn may_copy(change: &Change<'_>, known: Option<&Known>) -> std::result::Result<Wanted, Stop> {
    let Some((from, new)) = &change.new else { return Ok(Wanted::default()) };
    match new.kind {
        NodeKind::Socket | NodeKind::Device | NodeKind::Whiteout => Err(Stop::LeftOut(NOT_COPIED.into())),
        _ => wanted::of(change.name, (*from, new), change.old, known, change.reader).map_err(cannot),
    }
}

/// Whether a directory stays, and gets other permissions or attributes. Refuses what the kernel would do in part.
pub(super) fn may_set(change: &Change<'_>, wanted: &Wanted, giver: Giver<'_>) -> std::result::Result<bool, Stop> {
    let (Some((_, new)), Some((dir, old))) = (&change.new, &change.old) else { return Ok(false) };
    if new.kind != NodeKind::Dir || old.kind != NodeKind::Dir {
        return Ok(false);
    }
    let there = open_dir(*dir, change.name).map_err(cannot)?;
    let mode = giver.permissions(new, Some(old));
    let (uid, gid) = giver.owner(new, None);
    let same_owner = uid.is_none_or(|uid| uid == old.uid) && gid.is_none_or(|gid| gid == old.gid);
    if mode == old.mode && same_owner && wanted.is_given(there.as_fd()).map_err(cannot)? {
        return Err(Stop::LeftOut(THERE_BUT_FOR_IDS.into()));
    }
    let sets = mode != old.mode || wanted.changes_list(there.as_fd()).map_err(cannot)?;
    if sets && mode & 0o2000 != 0 && !giver.keeps_group_bit(there.as_fd(), old) {
        return Err(Stop::LeftOut(
            "you are not in the group of the host's directory: setting its permissions would take its set-group-ID bit"
                .into(),
        ));
    }
    Ok(true)
}

/// Refuses what the kernel would refuse, so that a dry run says the same.
pub(super) fn may_write(
    host: BorrowedFd<'_>,
    dir: &Node,
    new: Option<&Node>,
    old: Option<&Node>,
) -> std::result::Result<(), Stop> {
    let is_dir = |node: Option<&Node>| node.is_some_and(|node| node.kind == NodeKind::Dir);
    let foreign = |node: &Node| node.uid == UNMAPPED;
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
