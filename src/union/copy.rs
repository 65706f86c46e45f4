//! Copies a file from a layer to the host, and gives it an owner, permissions and lists there.

use super::node::{self, Node, NodeKind, UNMAPPED};
use super::outside::{Outside, Take};
use super::state::Ids;
use super::wanted::Wanted;
use crate::sys::{self, Errno};
use std::ffi::CStr;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// How far a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next path begins.
    Path,
    /// So many bytes were copied.
    Bytes(u64),
}

/// What is copied of a file at once, in bytes.
const PART: u64 = 8 << 20;

/// Whose files become on the host, and with which permissions.
#[derive(Clone, Copy)]
pub(super) struct Giver<'g> {
    /// The ids of the sandbox are those of the host: root is the caller.
    root: bool,
    /// Whose the files are that this process makes.
    uid: u32,
    /// Gives what this process cannot.
    outside: &'g dyn Outside,
}

impl<'g> Giver<'g> {
    pub fn new(ids: &Ids, outside: &'g dyn Outside) -> Giver<'g> {
        let same =
            |map: &[(u32, u32, u32)]| map.iter().any(|(inside, host, count)| *inside == 0 && *host == 0 && *count > 1);
        Giver { root: same(&ids.uids) && same(&ids.gids), uid: sys::effective_uid(), outside }
    }

    /// The owner and the group that a file of a layer gets on the host, as far as they are known here. Where root commits, they are
    /// those of the layer. Else the file is the caller's, and keeps the group of the one that it replaces.
    pub fn owner(self, new: &Node, old: Option<&Node>) -> (Option<u32>, Option<u32>) {
        match self.root {
            true => (Some(new.uid), Some(new.gid)),
            // The number for groups that are not mapped may stand for one here, which has nothing to do with the file.
            false => (None, old.map(|old| old.gid).filter(|gid| *gid != UNMAPPED)),
        }
    }

    /// The permissions that a file of a layer gets on the host: without the set-user-ID and set-group-ID bits, unless it had them there
    /// before and stays that user's or that group's.
    pub fn permissions(self, new: &Node, old: Option<&Node>) -> u32 {
        // On a directory, the set-group-ID bit gives nobody any rights.
        if new.kind == NodeKind::Dir {
            return new.mode & !0o4000;
        }
        let kept = old.filter(|old| old.kind == new.kind).map_or(0, |old| {
            let (uid, gid) = self.owner(new, Some(old));
            let user = if uid.unwrap_or(self.uid) == old.uid { 0o4000 } else { 0 };
            let group = if gid == Some(old.gid) { 0o2000 } else { 0 };
            old.mode & (user | group)
        });
        (new.mode & !0o6000) | (new.mode & kept)
    }

    /// Whether a file that replaces an old one in a directory of the host can have its group.
    pub fn keeps_group(self, host: BorrowedFd<'_>, name: &CStr, old: &Node) -> bool {
        if self.root || old.gid != UNMAPPED {
            return true;
        }
        let Ok(old) = sys::openat(host, name, libc::O_PATH | libc::O_NOFOLLOW, 0) else { return false };
        let ask = |take| self.outside.take(take, old.as_fd(), host).is_ok();
        ask(Take::InGroup) || (is_handed_down(host) && ask(Take::SameGroup))
    }

    /// Whether the set-group-ID bit of a directory stays when its permissions or lists are set: chmod(2) takes it off without an error
    /// if its group is none of the caller's.
    pub fn keeps_group_bit(self, dir: BorrowedFd<'_>, node: &Node) -> bool {
        self.root || node.gid != UNMAPPED || self.outside.take(Take::InGroup, dir, dir).is_ok()
    }

    /// Gives an open file of the host its owner, group, extended attributes and permissions, in an order in which none is lost by the
    /// next. False if bits of the permissions did not stay.
    pub fn give(self, to: BorrowedFd<'_>, given: &Given<'_>) -> sys::Result<bool> {
        let has = sys::owner(to)?;
        let (uid, gid) = (given.owner.0.unwrap_or(has.uid), given.owner.1.unwrap_or(has.gid));
        if (uid, gid) != (has.uid, has.gid) {
            match sys::chown_of(to, uid, gid) {
                // The group may be one that this user cannot give away.
                Err(_) if !self.root => {}
                other => other?,
            }
        }
        if let Some(old) = given.group_of {
            let _ = self.outside.take(Take::Group, old, to);
        }
        given.wanted.give(to, self.outside)?;
        if sys::owner(to)?.mode == given.mode {
            return Ok(true);
        }
        sys::chmod(to, given.mode)?;
        Ok(sys::owner(to)?.mode == given.mode)
    }
}

/// Whether a directory hands its group down to what is made in it.
pub(super) fn is_handed_down(dir: BorrowedFd<'_>) -> bool {
    sys::owner(dir).is_ok_and(|dir| dir.mode & 0o2000 != 0)
}

/// What a file of the host gets.
pub(super) struct Given<'g> {
    /// User and group, where they are not what they are anyway.
    pub owner: (Option<u32>, Option<u32>),
    /// A file whose group it gets, if the caller may give it that.
    pub group_of: Option<BorrowedFd<'g>>,
    pub mode: u32,
    pub wanted: &'g Wanted,
}

/// Copies a file, which is no directory, to a new name in a directory of the host; `old` is what the host has in its place. False if bits
/// of its permissions did not stay. Sockets and devices cannot be copied: EOPNOTSUPP.
pub(super) fn copy(
    (from, name, new): (BorrowedFd<'_>, &CStr, &Node),
    old: Option<(&CStr, &Node)>,
    (to, target): (BorrowedFd<'_>, &CStr),
    wanted: &Wanted,
    (giver, step): (Giver<'_>, &dyn Fn(Step)),
) -> sys::Result<bool> {
    let node = old.map(|(_, node)| node);
    let owner = giver.owner(new, node);
    let old = old.filter(|(_, old)| !giver.root && old.gid == UNMAPPED);
    let old = old.and_then(|(name, _)| sys::openat(to, name, libc::O_PATH | libc::O_NOFOLLOW, 0).ok());
    let group_of = old.as_ref().map(AsFd::as_fd);
    let given = Given { owner, group_of, mode: giver.permissions(new, node), wanted };
    let whole = match new.kind {
        NodeKind::Link => {
            sys::symlinkat(&sys::link_text(from, name)?, to, target)?;
            let (uid, gid) = owner;
            match sys::chown(to, target, uid, gid) {
                Err(_) if !giver.root => true,
                other => other.map(|()| true)?,
            }
        }
        NodeKind::Fifo => {
            sys::make_node(to, target, libc::S_IFIFO | 0o600)?;
            giver.give(sys::openat(to, target, libc::O_PATH | libc::O_NOFOLLOW, 0)?.as_fd(), &given)?
        }
        NodeKind::File => {
            let mut file = node::open_file(from, name)?;
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let copied = std::fs::File::from(sys::openat(to, target, flags, 0o600)?);
            content(&mut file, &copied, step)?;
            giver.give(copied.as_fd(), &given)?
        }
        NodeKind::Dir | NodeKind::Socket | NodeKind::Device | NodeKind::Whiteout => {
            return Err(Errno(libc::EOPNOTSUPP));
        }
    };
    sys::set_modified(to, target, new.modified)?;
    Ok(whole)
}

/// Copies what is no hole. The kernel shares or copies the ranges itself where it can: copy_file_range(2).
fn content(from: &mut std::fs::File, to: &std::fs::File, step: &dyn Fn(Step)) -> sys::Result<()> {
    let size = from.metadata()?.len();
    let mut at = 0;
    let mut target = to;
    while let Some((start, end)) = sys::next_data(from.as_fd(), at)? {
        from.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        let mut left = end - start;
        while left > 0 {
            let copied = std::io::copy(&mut Read::by_ref(from).take(left.min(PART)), &mut target)?;
            step(Step::Bytes(copied));
            // It may be shorter by now.
            left = if copied == 0 { 0 } else { left - copied };
        }
        at = end;
    }
    to.set_len(size)?;
    // set_len(2) alone leaves an empty file of a filesystem without holes as it is.
    if size > 0 && at == 0 {
        to.write_at(&[0], size - 1)?;
    }
    Ok(())
}
