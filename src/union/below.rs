//! Whether a directory of the host, which is to be deleted, is as it was.

use super::node::{Node, NodeKind, open_dir};
use crate::sys;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

/// The deepest level of directories that is looked at.
const DEEPEST: u32 = 1000;

/// Why a directory may not be deleted, if anything in it has changed since the time `base`, or something is mounted in it.
/// The directory itself is not compared: moving it aside changes its time. `ours` are files of which the last change is
/// our own.
pub(super) fn changed_below(
    dir: BorrowedFd<'_>,
    name: &CStr,
    base: i128,
    ours: &dyn Fn(&Node) -> bool,
) -> sys::Result<Option<String>> {
    let mount = Node::dir(dir)?.mount;
    let dir = open_dir(dir, name)?;
    match Node::dir(dir.as_fd())?.mount == mount {
        true => changed(dir.as_fd(), &Look { base, mount, ours }, 0),
        false => Ok(Some("something is mounted there on the host".into())),
    }
}

struct Look<'l> {
    base: i128,
    mount: (u64, u64),
    ours: &'l dyn Fn(&Node) -> bool,
}

fn changed(dir: BorrowedFd<'_>, look: &Look<'_>, depth: u32) -> sys::Result<Option<String>> {
    if depth > DEEPEST {
        return Ok(Some("its directories are too deep to look at all of them".into()));
    }
    for (name, _) in sys::entries(dir)? {
        let Some(node) = Node::find(dir, &name)? else { continue };
        let shown = OsStr::from_bytes(name.to_bytes()).display();
        if node.mount != look.mount {
            return Ok(Some(format!("something is mounted on {shown} in it on the host")));
        }
        if node.kind == NodeKind::Dir {
            let inner = open_dir(dir, &name)?;
            if let Some(why) = changed(inner.as_fd(), look, depth + 1)? {
                return Ok(Some(why));
            }
        }
        if node.changed > look.base && !(look.ours)(&node) {
            return Ok(Some(format!("{shown} in it has changed on the host since the layer was made")));
        }
    }
    Ok(None)
}
