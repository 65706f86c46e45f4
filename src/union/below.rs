//! Whether a directory of the host, which is to be deleted, is as it was.

use super::node::{Node, NodeKind};
use super::reader::Reader;
use super::stop::MOUNTED;
use crate::sys::{self, Errno};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

/// The deepest level of directories that is looked at.
const DEEPEST: u32 = 1000;

/// Why a directory may not be deleted, if anything in it has changed since the time `base`, or something is mounted in it.
/// The directory itself is not compared: moving it aside changes its time. `reader`
/// has read it for the program; `ours` are files of which the last change is our own.
pub(super) fn changed_below(
    dir: BorrowedFd<'_>,
    name: &CStr,
    base: i128,
    reader: Reader,
    ours: &dyn Fn(&Node) -> bool,
) -> sys::Result<Option<String>> {
    let mount = Node::dir(dir)?.mount;
    let dir = match reader.dir(dir, name) {
        Err(Errno(libc::EACCES)) => return Ok(Some("you cannot read the host's directory".into())),
        dir => dir?,
    };
    match Node::dir(dir.as_fd())?.mount == mount {
        true if !can_be_emptied(dir.as_fd())? => Ok(Some("you may not remove what is in it on the host".into())),
        true => changed(dir.as_fd(), &Look { base, mount, reader, ours }, 0),
        false => Ok(Some(MOUNTED.into())),
    }
}

/// Whether a name in a directory of the host, or in one of those in it, is `wanted`. What is too deep, or cannot be read, is not looked at:
/// [`changed_below`] has such a directory stay.
pub(super) fn holds(dir: BorrowedFd<'_>, name: &CStr, reader: Reader, wanted: &dyn Fn(&OsStr) -> bool) -> bool {
    fn search(dir: BorrowedFd<'_>, name: &CStr, reader: Reader, wanted: &dyn Fn(&OsStr) -> bool, depth: u32) -> bool {
        let Ok(dir) = reader.dir(dir, name) else { return false };
        let entries = sys::entries(dir.as_fd()).unwrap_or_default();
        entries.iter().any(|(name, _)| {
            let is_dir = || matches!(Node::find(dir.as_fd(), name), Ok(Some(Node { kind: NodeKind::Dir, .. })));
            wanted(OsStr::from_bytes(name.to_bytes()))
                || (depth < DEEPEST && is_dir() && search(dir.as_fd(), name, reader, wanted, depth + 1))
        })
    }
    search(dir, name, reader, wanted, 0)
}

struct Look<'l> {
    base: i128,
    mount: (u64, u64),
    reader: Reader,
    ours: &'l dyn Fn(&Node) -> bool,
}

/// Whether a directory is empty, or can be emptied.
fn can_be_emptied(dir: BorrowedFd<'_>) -> sys::Result<bool> {
    Ok(sys::may_effectively(dir, c".", libc::W_OK | libc::X_OK).is_ok() || sys::entries(dir)?.is_empty())
}

fn changed(dir: BorrowedFd<'_>, look: &Look<'_>, depth: u32) -> sys::Result<Option<String>> {
    if depth > DEEPEST {
        return Ok(Some("its directories are too deep to look at all of them".into()));
    }
    let entries = match sys::entries(dir) {
        Err(Errno(libc::EACCES)) => return Ok(Some("you cannot read a directory in it on the host".into())),
        entries => entries?,
    };
    for (name, _) in entries {
        let node = match Node::find(dir, &name) {
            // It may be listed, and not searched.
            Err(Errno(libc::EACCES)) => return Ok(Some("you cannot read a directory in it on the host".into())),
            node => node?,
        };
        let Some(node) = node else { continue };
        let shown = OsStr::from_bytes(name.to_bytes()).display();
        if node.mount != look.mount {
            return Ok(Some(format!("something is mounted on `{shown}` in it on the host")));
        }
        // The program saw it empty: what it has kept of it is nothing.
        let closed = || Ok(Some(format!("you cannot read `{shown}` in it on the host")));
        if node.kind == NodeKind::File && look.reader.is_closed(dir, &name) {
            return closed();
        }
        if node.kind == NodeKind::Dir {
            let inner = match look.reader.dir(dir, &name) {
                Err(Errno(libc::EACCES)) => return closed(),
                inner => inner?,
            };
            // A directory that is not empty, and cannot be emptied, would be left half removed.
            if !can_be_emptied(inner.as_fd())? {
                return Ok(Some(format!("you may not remove what is in `{shown}` in it on the host")));
            }
            if let Some(why) = changed(inner.as_fd(), look, depth + 1)? {
                return Ok(Some(why));
            }
        }
        if node.changed > look.base && !(look.ours)(&node) {
            return Ok(Some(format!("`{shown}` in it has changed on the host since the layer was made")));
        }
    }
    Ok(None)
}
