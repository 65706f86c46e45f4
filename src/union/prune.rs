//! Takes out of a layer what the host has in the same way: the view does not change by that, and later changes on the host
//! show through again.

use super::compare;
use super::node::{Node, NodeKind, OPAQUE, open_dir};
use super::reader::Reader;
use super::{Upper, name, wanted};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, BorrowedFd};

/// Takes out of the upper layer with this index what the host's directory has in the same way. Gives whether nothing is left of it.
pub(super) fn prune(upper: &Upper, index: usize, host: BorrowedFd<'_>) -> sys::Result<bool> {
    let layer = open_dir(upper.directory(), &name::number(index))?;
    let layer = open_dir(layer.as_fd(), c"upper")?;
    let reader = upper.state.layers.get(index).map_or(Reader::Overlay, Reader::of);
    directory(layer.as_fd(), host, reader, 0)?;
    Ok(sys::entries(layer.as_fd())?.is_empty())
}

fn directory(layer: BorrowedFd<'_>, host: BorrowedFd<'_>, reader: Reader, depth: u32) -> sys::Result<()> {
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
                let below = match reader.dir(host, &name) {
                    Err(Errno(libc::EACCES)) => continue,
                    other => other?,
                };
                if sys::attribute_of(inner.as_fd(), OPAQUE)?.is_some() {
                    // What is taken out of it would be missing.
                    if !identical(inner.as_fd(), below.as_fd(), reader, depth)? {
                        continue;
                    }
                    sys::remove_attribute_of(inner.as_fd(), OPAQUE)?;
                }
                directory(inner.as_fd(), below.as_fd(), reader, depth + 1)?;
                let alike = new.mode == old.mode
                    && compare::same_owner(&new, &old)
                    && wanted::is_alike(inner.as_fd(), below.as_fd(), reader)?;
                if alike && sys::entries(inner.as_fd())?.is_empty() {
                    sys::unlink(layer, &name, true)?;
                }
            }
            (kind, Some(old))
                if kind == old.kind && compare::same((layer, &name, &new), (host, &name, &old), reader)? =>
            {
                sys::unlink(layer, &name, false)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether two directories have the same in them.
fn identical(layer: BorrowedFd<'_>, host: BorrowedFd<'_>, reader: Reader, depth: u32) -> sys::Result<bool> {
    let (names, others) = (sys::entries(layer)?, sys::entries(host)?);
    if depth > 1000 || !names.iter().map(|(name, _)| name).eq(others.iter().map(|(name, _)| name)) {
        return Ok(false);
    }
    for (name, _) in names {
        let (Some(new), Some(old)) = (Node::find(layer, &name)?, Node::find(host, &name)?) else { return Ok(false) };
        let same = match (new.kind, old.kind) {
            (NodeKind::Dir, NodeKind::Dir) => {
                let below = match reader.dir(host, &name) {
                    Err(Errno(libc::EACCES)) => return Ok(false),
                    other => other?,
                };
                identical(open_dir(layer, &name)?.as_fd(), below.as_fd(), reader, depth + 1)?
            }
            _ => compare::same((layer, &name, &new), (host, &name, &old), reader)?,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}
