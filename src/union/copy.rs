//! Copies a file from a layer to the host.

use super::node::{self, Attributes, Node, NodeKind};
use crate::sys::{self, Errno};
use std::ffi::CStr;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// The permissions that a file of a layer gets on the host: without the set-user-ID and set-group-ID bits, unless it had
/// them there before.
pub(super) fn permissions(new: &Node, old: Option<&Node>) -> u32 {
    let kept = old.filter(|old| old.kind == new.kind).map_or(0, |old| old.mode & 0o6000);
    match new.kind {
        // On a directory, the set-group-ID bit gives nobody any rights.
        NodeKind::Dir => new.mode & !0o4000,
        _ => (new.mode & !0o6000) | (new.mode & kept),
    }
}

/// Copies a file, which is no directory, to a new name in a directory of the host, with these extended attributes. Sockets and
/// devices cannot be copied: EOPNOTSUPP.
pub(super) fn copy(
    (from, name, new): (BorrowedFd<'_>, &CStr, &Node),
    old: Option<&Node>,
    (to, target): (BorrowedFd<'_>, &CStr),
    wanted: &Attributes,
) -> sys::Result<()> {
    let mode = permissions(new, old);
    match new.kind {
        NodeKind::Link => sys::symlinkat(&sys::link_text(from, name)?, to, target)?,
        NodeKind::Fifo => sys::make_fifo(to, target, mode)?,
        NodeKind::File => {
            let mut file = node::open_file(from, name)?;
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let copied = std::fs::File::from(sys::openat(to, target, flags, 0o600)?);
            content(&mut file, &copied)?;
            attributes(wanted, copied.as_fd())?;
            sys::chmod(copied.as_fd(), mode)?;
        }
        NodeKind::Dir | NodeKind::Socket | NodeKind::Device | NodeKind::Whiteout => {
            return Err(Errno(libc::EOPNOTSUPP));
        }
    }
    if let Some(old) = old {
        // The group may be one that this user cannot give away.
        // The number for groups that are not mapped may stand for one here, which has nothing to do with the file.
        if old.gid != super::compare::UNMAPPED {
            let _ = sys::chown(to, target, None, Some(old.gid));
        }
    }
    sys::set_modified(to, target, new.modified)
}

/// Copies what is no hole. The kernel shares or copies the ranges itself where it can: copy_file_range(2).
fn content(from: &mut std::fs::File, to: &std::fs::File) -> sys::Result<()> {
    let size = from.metadata()?.len();
    let mut at = 0;
    let mut target = to;
    while let Some((start, end)) = sys::next_data(from.as_fd(), at)? {
        from.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        std::io::copy(&mut Read::by_ref(from).take(end - start), &mut target)?;
        at = end;
    }
    to.set_len(size)?;
    // set_len(2) alone leaves an empty file of a filesystem without holes as it is.
    if size > 0 && at == 0 {
        to.write_at(&[0], size - 1)?;
    }
    Ok(())
}

/// Gives a file these extended attributes, and takes away all others.
pub(super) fn attributes(wanted: &Attributes, to: BorrowedFd<'_>) -> sys::Result<()> {
    let there = node::attributes(to)?;
    for (name, _) in &there {
        if !wanted.iter().any(|(other, _)| other == name) {
            sys::remove_attribute_of(to, name)?;
        }
    }
    let missing = wanted.iter().filter(|attribute| !there.contains(attribute));
    missing.into_iter().try_for_each(|(name, value)| sys::set_attribute_of(to, name, value))
}
