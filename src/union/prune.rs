//! Takes out of a layer what the host has in the same way: the view does not change by that, and later changes on the host
//! show through again. Deletions are not looked at: that the host has not what was deleted does not make it done (`deleted`).

use super::compare;
use super::node::{Node, NodeKind, OPAQUE, open_dir};
use super::reader::Reader;
use super::{Upper, name, wanted};
use crate::sys::{self, Errno};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Takes out of the upper layer with this index what the host's directory has in the same way: all of it, or what is at or below one of
/// the paths in `chosen`, which are those in the directory of the overlay. Gives whether nothing is left of the layer.
pub(super) fn prune(upper: &Upper, index: usize, host: BorrowedFd<'_>, chosen: Option<&[&Path]>) -> sys::Result<bool> {
    let layer = open_dir(upper.directory(), &name::number(index))?;
    let layer = open_dir(layer.as_fd(), c"upper")?;
    let reader = upper.state.layers.get(index).map_or(Reader::Overlay, Reader::of);
    Prune { reader, chosen }.directory(layer.as_fd(), host, Path::new(""), 0)?;
    Ok(sys::entries(layer.as_fd())?.is_empty())
}

struct Prune<'c> {
    reader: Reader,
    chosen: Option<&'c [&'c Path]>,
}

impl Prune<'_> {
    fn is_chosen(&self, path: &Path) -> bool {
        self.chosen.is_none_or(|chosen| chosen.iter().any(|chosen| path.starts_with(chosen)))
    }

    /// Whether something that was chosen lies below a path.
    fn is_above(&self, path: &Path) -> bool {
        self.chosen.is_some_and(|chosen| chosen.iter().any(|chosen| chosen.starts_with(path)))
    }

    /// Whether something was taken out.
    fn directory(&self, layer: BorrowedFd<'_>, host: BorrowedFd<'_>, path: &Path, depth: u32) -> sys::Result<bool> {
        let (reader, mut taken) = (self.reader, false);
        if depth > 1000 {
            return Ok(taken);
        }
        let mount = Node::dir(host)?.mount;
        for (name, _) in sys::entries(layer)? {
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let chosen = self.is_chosen(&path);
            if !chosen && !self.is_above(&path) {
                continue;
            }
            let Some(new) = Node::find(layer, &name)? else { continue };
            match (new.kind, Node::find(host, &name)?) {
                // What is mounted there is not what the layer lies over.
                (_, Some(old)) if old.mount != mount => {}
                (NodeKind::Dir, Some(old)) if old.kind == NodeKind::Dir => {
                    let inner = open_dir(layer, &name)?;
                    let below = match reader.dir(host, &name) {
                        Err(Errno(libc::EACCES)) => continue,
                        other => other?,
                    };
                    if sys::attribute_of(inner.as_fd(), OPAQUE)?.is_some() {
                        // What is taken out of it would be missing.
                        if !chosen || !identical(inner.as_fd(), below.as_fd(), reader, depth)? {
                            continue;
                        }
                        sys::remove_attribute_of(inner.as_fd(), OPAQUE)?;
                    }
                    let within = self.directory(inner.as_fd(), below.as_fd(), &path, depth + 1)?;
                    taken |= within;
                    let alike = new.mode == old.mode
                        && compare::same_owner(&new, &old)
                        && wanted::is_alike(inner.as_fd(), below.as_fd(), reader)?;
                    if (chosen || within) && alike && sys::entries(inner.as_fd())?.is_empty() {
                        sys::unlink(layer, &name, true)?;
                        taken = true;
                    }
                }
                (kind, Some(old))
                    if chosen
                        && kind == old.kind
                        && compare::same((layer, &name, &new), (host, &name, &old), reader)? =>
                {
                    sys::unlink(layer, &name, false)?;
                    taken = true;
                }
                _ => {}
            }
        }
        Ok(taken)
    }
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
