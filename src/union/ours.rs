//! Which files of the host were changed last by commits of these layers: what the layers hold is no older than they are. Layers that
//! were frozen keep what was committed, so that a later change of it has to be told from one of somebody else's.

use super::Upper;
use super::node::Node;
use crate::sys;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// Name of the record, beside the layers: a line for each file, with its inode number, the times of its last change and of the last change of
/// its content, and the index of the layer that it was put there from, or `-`.
const NAME: &CStr = c"committed";

/// What a commit has left of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    changed: i128,
    /// A change within the same tick of the kernel's clock has the same time of change, and another one of this.
    modified: i128,
    /// The layer that it was put there from, if it was.
    layer: Option<usize>,
}

impl Left {
    fn parse(line: &str) -> Option<(u64, Left)> {
        let [inode, changed, modified, layer] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let layer = if layer == "-" { None } else { Some(layer.parse().ok()?) };
        Some((inode.parse().ok()?, Left { changed: changed.parse().ok()?, modified: modified.parse().ok()?, layer }))
    }

    fn line(&self, inode: u64) -> String {
        let layer = self.layer.map_or_else(|| "-".to_owned(), |layer| layer.to_string());
        format!("{inode} {} {} {layer}\n", self.changed, self.modified)
    }
}

/// Files of the host by their inode numbers, with what a commit has left of them.
#[derive(Debug, Default)]
pub(super) struct Ours {
    files: RefCell<HashMap<u64, Left>>,
    /// Index of the layer that files are compared with.
    layer: Cell<usize>,
    /// The record, for what is added.
    record: Option<OwnedFd>,
}

impl Ours {
    /// Those that are recorded; none if the record cannot be read, which makes conflicts of them.
    pub fn read(upper: &Upper) -> Ours {
        let Ok(file) = sys::openat(upper.directory(), NAME, libc::O_RDONLY | libc::O_NOFOLLOW, 0) else {
            return Ours::default();
        };
        let text = std::io::read_to_string(std::fs::File::from(file)).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        Ours { files: RefCell::new(lines.filter_map(Left::parse).collect()), ..Ours::default() }
    }

    /// Those that are recorded, to which others can be added.
    pub fn open(upper: &Upper) -> sys::Result<Ours> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_NOFOLLOW;
        let record = sys::openat(upper.directory(), NAME, flags, 0o600)?;
        Ok(Ours { record: Some(record), ..Ours::read(upper) })
    }

    /// Says that files are compared with what is in this layer from here on.
    pub fn enter(&self, layer: usize) {
        self.layer.set(layer);
    }

    /// Whether the last change of a host's file is one of ours, and none by which it was put there from another layer, which lies over
    /// the same directory of the host.
    pub fn has(&self, node: &Node) -> bool {
        let files = self.files.borrow();
        let known = files.get(&node.id.1).filter(|left| (left.changed, left.modified) == (node.changed, node.modified));
        known.is_some_and(|left| left.layer.is_none_or(|layer| layer == self.layer.get()))
    }

    /// Adds a file that was put onto the host from the layer, as it is now.
    pub fn add(&self, node: &Node) -> sys::Result<()> {
        self.insert(node, Some(self.layer.get()))
    }

    /// Adds a file of the host that only got a new time of change, since another name of it is gone.
    pub fn add_touched(&self, node: &Node) -> sys::Result<()> {
        self.insert(node, None)
    }

    fn insert(&self, node: &Node, layer: Option<usize>) -> sys::Result<()> {
        let (inode, left) = (node.id.1, Left { changed: node.changed, modified: node.modified, layer });
        self.files.borrow_mut().insert(inode, left);
        self.write(inode, &left)
    }

    /// Adds a line to the record, if it is open.
    fn write(&self, inode: u64, left: &Left) -> sys::Result<()> {
        // One write, which a signal does not tear.
        self.record.as_ref().map_or(Ok(()), |record| sys::write_all(record.as_fd(), left.line(inode).as_bytes()))
    }

    /// Notes that the layers hold nothing more: what is changed from here on is compared with a time after all of these.
    pub fn clear(upper: &Upper) {
        let _ = sys::unlink(upper.directory(), NAME, false);
    }

    /// Hands the record on to layers that hold the same.
    pub fn copy(&self, to: &Upper) -> sys::Result<()> {
        let to = Ours::open(to)?;
        self.files.borrow().iter().try_for_each(|(inode, left)| to.write(*inode, left))
    }
}

#[cfg(test)]
mod tests {
    use super::Left;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for layer in [None, Some(3)] {
            let left = Left { changed: 7, modified: -3, layer };
            assert_eq!(Left::parse(left.line(9).trim_end()), Some((9, left)));
        }
        for wrong in ["", "1 2", "1 2 3", "1 2 3 x", "1 2 3 4 5"] {
            assert_eq!(Left::parse(wrong), None, "{wrong}");
        }
    }
}
