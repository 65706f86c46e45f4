//! Finds files in the layers.

use super::super::node::{OPAQUE, REDIRECT, is_marked_deleted};
use super::super::serving::TOP;
use super::nodes::{Lower, Lowers, Node};
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// A file as the layers have it.
pub struct Found {
    /// What stat(2) says of it.
    pub status: FileStatus,
    /// The upper layer has it.
    pub upper: bool,
    /// Lower layers that have it, as in [`Node`].
    pub lower: Lowers,
    /// Its content is hidden, or cannot be read: the file is shown empty.
    pub closed: bool,
}

impl Server {
    /// Looks for a name in the layers of a directory.
    pub(super) fn search(&mut self, parent: u64, name: &CStr) -> Result<Option<Found>> {
        let node = self.node(parent)?;
        if node.closed || node.kept.is_some() || node.names.is_empty() {
            return Ok(None);
        }
        let (union, upper, lower) = (node.union, node.upper, node.lower.clone());
        let mut found: Option<Found> = None;
        if upper {
            let dir = self.upper_dir(parent)?;
            match sys::status_of(dir.as_fd(), name) {
                Err(Errno(libc::ENOENT)) => {}
                Err(errno) => return Err(errno),
                Ok(status) if is_whiteout(dir.as_fd(), name, &status)? => return Ok(None),
                Ok(status) => {
                    let is_dir = status.mode & libc::S_IFMT == libc::S_IFDIR;
                    let whole = !is_dir || lower.is_empty() || is_opaque(dir.as_fd(), name)?;
                    found = Some(Found { status, upper: true, lower: Lowers::new(), closed: false });
                    if whole {
                        return Ok(found);
                    }
                }
            }
        }
        for (at, above) in lower.iter().enumerate() {
            let Some(closed) = self.is_hidden(union, above, name) else { continue };
            let dir = match self.lower_dir(union, above.layer, &above.dir) {
                // What has gone, or may not be searched, is empty.
                Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::ELOOP)) => continue,
                other => other?,
            };
            let status = match sys::status_of(dir.as_fd(), name) {
                Err(Errno(libc::ENOENT | libc::EACCES)) => continue,
                other => other?,
            };
            let is_dir = status.mode & libc::S_IFMT == libc::S_IFDIR;
            if is_whiteout(dir.as_fd(), name, &status)? || (found.is_some() && !is_dir) {
                break;
            }
            let place = match is_dir {
                true => Lower { layer: above.layer, dir: join(&above.dir, name), name: Arc::from(c"") },
                false => Lower { layer: above.layer, dir: above.dir.clone(), name: Arc::from(name) },
            };
            if closed && found.is_some() {
                break;
            }
            let cut = closed;
            let closed = closed || !is_dir && self.is_unreadable(dir.as_fd(), name, &status);
            let found = found.get_or_insert(Found { status, upper: false, lower: Lowers::new(), closed });
            found.lower.push(place);
            if !is_dir || cut || at + 1 < lower.len() && is_opaque(dir.as_fd(), name)? {
                break;
            }
        }
        Ok(found)
    }

    /// Whether what a lower layer has of this name is shown empty.
    fn is_hidden(&self, union: usize, above: &Lower, name: &CStr) -> Option<bool> {
        let layer = self.unions.get(union)?.lower.get(above.layer)?;
        Some(!layer.hidden.is_empty() && layer.hidden.contains(join(&above.dir, name).to_bytes()))
    }

    fn is_unreadable(&self, dir: BorrowedFd<'_>, name: &CStr, status: &FileStatus) -> bool {
        let readable = || sys::may_effectively(dir, name, libc::R_OK).is_ok();
        status.mode & libc::S_IFMT == libc::S_IFREG && status.mode & 0o004 == 0 && !readable()
    }

    /// The number of the node at a name, which is added if it is not known yet.
    pub(super) fn find(&mut self, parent: u64, name: &CStr) -> Result<Option<u64>> {
        if let Some(number) = self.nodes.find(parent, name) {
            return Ok(Some(number));
        }
        if parent == TOP {
            return self.find_union(name);
        }
        let Some(found) = self.search(parent, name)? else { return Ok(None) };
        Ok(Some(self.known(parent, name, found)?.0))
    }

    /// As [`Server::find`], with the attributes that are shown.
    pub(super) fn find_shown(&mut self, parent: u64, name: &CStr) -> Result<Option<(u64, FileStatus)>> {
        if parent == TOP || self.nodes.find(parent, name).is_some() {
            let Some(number) = self.find(parent, name)? else { return Ok(None) };
            return Ok(Some((number, self.attributes(number)?)));
        }
        let Some(found) = self.search(parent, name)? else { return Ok(None) };
        let (number, status) = self.known(parent, name, found)?;
        Ok(Some((number, self.shown(number, &status))))
    }

    /// Adds the node of a file that was found. Gives it with what stat(2) says of the file.
    fn known(&mut self, parent: u64, name: &CStr, found: Found) -> Result<(u64, FileStatus)> {
        let union = self.node(parent)?.union;
        let name: Arc<CStr> = Arc::from(name);
        let found = self.with_links(parent, &name, found)?;
        let Found { status, upper, lower, closed } = found;
        if let Some(number) = self.nodes.alias(union, &status) {
            self.nodes.add_name(number, parent, name.clone());
            return Ok((number, status));
        }
        // One copy of the name in memory.
        let name = lower.first().map(|lower| &lower.name).filter(|other| **other == name).unwrap_or(&name).clone();
        let kind = status.mode & libc::S_IFMT;
        // A directory has the number of the topmost one below: it stays when the directory is copied up.
        let id = match lower.first() {
            Some(Lower { layer, dir, .. }) if upper && kind == libc::S_IFDIR => {
                let below = self.lower_dir(union, *layer, dir).and_then(|dir| sys::status_of(dir.as_fd(), c""));
                below.map_or((status.dev, status.ino), |below| (below.dev, below.ino))
            }
            _ => (status.dev, status.ino),
        };
        let mut node = Node::new(union, kind, id);
        (node.upper, node.lower, node.closed) = (upper, lower, closed);
        node.privileged = status.mode & 0o6000 != 0;
        if !upper && kind == libc::S_IFREG {
            node.see(&status);
        }
        if !upper && kind != libc::S_IFDIR && status.links > 1 {
            self.counts.entry((union, id)).or_insert(status.links);
        }
        Ok((self.nodes.add(node, Some((parent, name))), status))
    }

    fn find_union(&mut self, name: &CStr) -> Result<Option<u64>> {
        let text = name.to_str().unwrap_or_default();
        let Some(index) = text.parse::<usize>().ok().filter(|index| index.to_string() == text) else { return Ok(None) };
        let Some(union) = self.unions.get(index) else { return Ok(None) };
        let lower: Lowers =
            (0..union.lower.len()).map(|layer| Lower { layer, dir: Arc::from(c""), name: Arc::from(c"") }).collect();
        // The layers of a mark or of mount points come first or last; the host's directory is the one that is numbered.
        let root = union.lower.first().map(|layer| layer.root.clone());
        let root = root.or_else(|| union.upper.as_ref().map(|upper| upper.root.clone())).ok_or(Errno(libc::ENOENT))?;
        let status = sys::status_of(root.as_fd(), c"")?;
        let mut node = Node::new(index, libc::S_IFDIR, (status.dev, status.ino));
        (node.upper, node.lower) = (union.upper.is_some(), lower);
        Ok(Some(self.nodes.add(node, Some((TOP, Arc::from(name))))))
    }

    /// Whether lower layers have something of this name that would show if the upper layer had nothing.
    pub(super) fn is_below(&mut self, parent: u64, name: &CStr) -> Result<bool> {
        let node = self.node(parent)?;
        let (union, lower) = (node.union, node.lower.clone());
        for above in &lower {
            let dir = match self.lower_dir(union, above.layer, &above.dir) {
                Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::ELOOP)) => continue,
                other => other?,
            };
            match sys::status_of(dir.as_fd(), name) {
                Err(Errno(libc::ENOENT | libc::EACCES)) => {}
                Err(errno) => return Err(errno),
                Ok(status) => return Ok(!is_whiteout(dir.as_fd(), name, &status)?),
            }
        }
        Ok(false)
    }
}

/// The path of a name in a directory.
fn join(dir: &CStr, name: &CStr) -> Arc<CStr> {
    if dir.is_empty() {
        return Arc::from(name);
    }
    let path = [dir.to_bytes(), b"/", name.to_bytes()].concat();
    CString::new(path).map_or_else(|_| Arc::from(name), Arc::from)
}

/// Whether a file is the mark of a name that was deleted.
pub(super) fn is_whiteout(dir: BorrowedFd<'_>, name: &CStr, status: &FileStatus) -> Result<bool> {
    match status.mode & libc::S_IFMT {
        libc::S_IFCHR => Ok(status.rdev == 0),
        libc::S_IFREG if status.size == 0 && status.mode & 0o7777 == 0 => is_marked_deleted(dir, name),
        _ => Ok(false),
    }
}

/// Whether a directory of a layer hides what the layers below it have.
fn is_opaque(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let fd = sys::openat(dir, name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)?;
    let mark = |name: &CStr| match sys::attribute_at(fd.as_fd(), name) {
        Err(Errno(libc::ENODATA | libc::EOPNOTSUPP | libc::EACCES)) => Ok(None),
        other => other.map(Some),
    };
    if mark(REDIRECT)?.is_some() {
        return Err(Errno(libc::EPERM));
    }
    Ok(mark(OPAQUE)?.is_some_and(|value| value == b"y"))
}
