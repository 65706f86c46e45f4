//! Takes out of a layer what the host has in the same way: the view does not change by that, and later changes on the host
//! show through again.

use super::node::{self, Node, NodeKind, open_dir};
use super::{Upper, name};
use crate::sys::{self, Errno};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

/// The attribute of a directory through which the ones below do not show.
const OPAQUE: &CStr = c"user.overlay.opaque";

/// Takes out of the upper layer with this index what the host's directory has in the same way.
pub(super) fn prune(upper: &Upper, index: usize, host: BorrowedFd<'_>) -> sys::Result<()> {
    let layer = open_dir(upper.directory(), &name::number(index))?;
    let layer = open_dir(layer.as_fd(), c"upper")?;
    directory(layer.as_fd(), host, 0)
}

fn directory(layer: BorrowedFd<'_>, host: BorrowedFd<'_>, depth: u32) -> sys::Result<()> {
    if depth > 1000 {
        return Ok(());
    }
    let mount = Node::dir(host)?.mount;
    for (name, _) in sys::entries(layer)? {
        let Some(new) = Node::find(layer, &name)? else { continue };
        match (new.kind, Node::find(host, &name)?) {
            // What is mounted there is not what the layer lies over.
            (_, Some(old)) if old.mount != mount => {}
            (NodeKind::Whiteout, None) => sys::unlink(layer, &name, false)?,
            (NodeKind::Dir, Some(old)) if old.kind == NodeKind::Dir => {
                let inner = open_dir(layer, &name)?;
                let below = match open_dir(host, &name) {
                    Err(Errno(libc::EACCES)) => continue,
                    other => other?,
                };
                if sys::attribute_of(inner.as_fd(), OPAQUE)?.is_some() {
                    // What is taken out of it would be missing.
                    if !identical(inner.as_fd(), below.as_fd(), depth)? {
                        continue;
                    }
                    sys::remove_attribute_of(inner.as_fd(), OPAQUE)?;
                }
                directory(inner.as_fd(), below.as_fd(), depth + 1)?;
                let alike = new.mode == old.mode
                    && node::same_owner(&new, &old)
                    && node::attributes(inner.as_fd())? == node::attributes(below.as_fd())?;
                if alike && sys::entries(inner.as_fd())?.is_empty() {
                    sys::unlink(layer, &name, true)?;
                }
            }
            (kind, Some(old)) if kind == old.kind && node::same((layer, &name, &new), (host, &name, &old))? => {
                sys::unlink(layer, &name, false)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether two directories have the same in them.
fn identical(layer: BorrowedFd<'_>, host: BorrowedFd<'_>, depth: u32) -> sys::Result<bool> {
    let (names, others) = (sys::entries(layer)?, sys::entries(host)?);
    if depth > 1000 || !names.iter().map(|(name, _)| name).eq(others.iter().map(|(name, _)| name)) {
        return Ok(false);
    }
    for (name, _) in names {
        let (Some(new), Some(old)) = (Node::find(layer, &name)?, Node::find(host, &name)?) else { return Ok(false) };
        let same = match (new.kind, old.kind) {
            (NodeKind::Dir, NodeKind::Dir) => {
                let (inner, below) = (open_dir(layer, &name)?, open_dir(host, &name)?);
                identical(inner.as_fd(), below.as_fd(), depth + 1)?
            }
            _ => node::same((layer, &name, &new), (host, &name, &old))?,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}
