//! Finishes or undoes what a commit was doing when it was interrupted.

use super::below::changed_below;
use super::journal::{Entry, Facts, Journal, Phase};
use super::node::{Node, NodeKind, open_path};
use super::ours::Ours;
use super::place::{discard, is_placed};
use super::reader::Reader;
use super::walk::at;
use super::{Upper, remove};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

/// Finishes or undoes what a commit was doing when it was interrupted.
///
/// # Errors
///
/// A file cannot be removed or renamed, or the host has changed so that it cannot be known what is whose.
pub(super) fn recover(upper: &Upper, journal: &Journal, ours: &Ours) -> Result<()> {
    let Some(entry) = journal.last() else { return Ok(()) };
    let failed = at(entry.path(), "finish the interrupted commit of");
    let Some(layer) = upper.state.layers.get(entry.index) else { return Ok(()) };
    let (Ok(inside), Some(lower)) = (entry.path().strip_prefix(&layer.path), layer.lower.first()) else {
        return Ok(());
    };
    let c = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Errno(libc::EINVAL));
    let there = lower.join(inside);
    let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { return Ok(()) };
    let host = match open_path(parent) {
        Err(Errno(libc::ENOENT | libc::ELOOP)) => return Ok(()),
        other => other.map_err(&failed)?,
    };
    let root = open_path(lower).map_err(&failed)?;
    let mount = |dir: BorrowedFd<'_>| Node::dir(dir).map(|node| node.mount).map_err(&failed);
    if mount(host.as_fd())? != mount(root.as_fd())? {
        return Err(Error::new(format!(
            "an interrupted commit wrote to {}, where something is mounted by now",
            parent.display()
        ))
        .hint("unmount it, and commit again"));
    }
    let (name, beside) = (c(name).map_err(&failed)?, c(OsStr::new(&entry.beside)).map_err(&failed)?);
    ours.enter(entry.index);
    match undo(host.as_fd(), &name, &beside, (entry.clone(), journal), Reader::of(layer), ours).map_err(&failed)? {
        true => is_placed(host.as_fd(), &name, &entry, ours).map_err(&failed),
        false => Err(Error::new(format!(
            "{} was changed on the host after a commit was interrupted; {} is what was there before",
            there.display(),
            parent.join(&entry.beside).display()
        ))
        .hint("keep one of the two under the first name, remove the second, and commit again")),
    }
}

/// Whether what is beside could be removed, or put back.
fn undo(
    host: BorrowedFd<'_>,
    name: &CStr,
    beside: &CStr,
    (mut entry, journal): (Entry, &Journal<'_>),
    reader: Reader,
    ours: &Ours,
) -> sys::Result<bool> {
    let Some(left) = Node::find(host, beside)? else { return Ok(true) };
    let (copy, base) = (entry.copy, i128::from(entry.base));
    let is_copy = |node: &Node| copy.is_some_and(|copy| copy == node.id);
    match entry.phase {
        Phase::Condemned => return discard(host, beside, &left, ours).map(|()| true),
        // A copy that has not taken its place.
        Phase::Copying => return remove(host, beside).map(|()| true),
        Phase::Moving if is_copy(&left) => return remove(host, beside).map(|()| true),
        Phase::Moving => {}
    }
    // What the host had, compared as the commit would have.
    let same = entry.old.as_ref() == Some(&Facts::of(&left));
    if same
        && (left.kind != NodeKind::Dir || changed_below(host, beside, base, reader, &|node| ours.has(node))?.is_none())
    {
        entry.phase = Phase::Condemned;
        journal.go_on(&entry)?;
        return discard(host, beside, &left, ours).map(|()| true);
    }
    // It has changed: back to its place, whose copy is in the layer.
    match Node::find(host, name)? {
        None => sys::rename(host, beside, host, name, sys::RENAME_NOREPLACE).map(|()| true),
        Some(node) if is_copy(&node) => {
            sys::rename(host, beside, host, name, sys::RENAME_EXCHANGE)?;
            remove(host, beside).map(|()| true)
        }
        Some(_) => Ok(false),
    }
}
