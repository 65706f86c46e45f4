//! Which files of the host were changed last by commits of these layers: what the layers hold is no older than they are. Layers that
//! were frozen keep what was committed, so that a later change of it has to be told from one of somebody else's.

use super::Upper;
use super::node::Node;
use crate::sys;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// Name of the record, beside the layers: a line for each file, with its inode number, the time of its last change, and the index of the
/// layer that it was put there from, if it was.
const NAME: &CStr = c"committed";

/// Files of the host by their inode numbers, with the time of change that a commit has left, and the layer that they were put there from.
#[derive(Debug, Default)]
pub(super) struct Ours {
    files: RefCell<HashMap<u64, (i128, Option<usize>)>>,
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
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.split_once(' '));
        let files = lines.filter_map(|(inode, rest)| {
            let (changed, layer) = rest.split_once(' ').map_or((rest, None), |(changed, layer)| (changed, Some(layer)));
            Some((inode.parse().ok()?, (changed.parse().ok()?, layer.map(str::parse).transpose().ok()?)))
        });
        Ours { files: RefCell::new(files.collect()), ..Ours::default() }
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
        let known = files.get(&node.id.1).filter(|(changed, _)| *changed == node.changed);
        known.is_some_and(|(_, layer)| layer.is_none_or(|layer| layer == self.layer.get()))
    }

    /// Adds a file that was put onto the host from the layer, as it is now.
    pub fn add(&self, node: &Node) -> sys::Result<()> {
        self.insert(node.id.1, (node.changed, Some(self.layer.get())))
    }

    /// Adds a file of the host that only got a new time of change, since another name of it is gone.
    pub fn add_touched(&self, node: &Node) -> sys::Result<()> {
        self.insert(node.id.1, (node.changed, None))
    }

    fn insert(&self, inode: u64, file: (i128, Option<usize>)) -> sys::Result<()> {
        self.files.borrow_mut().insert(inode, file);
        self.write(inode, file)
    }

    /// Adds a line to the record, if it is open.
    fn write(&self, inode: u64, (changed, layer): (i128, Option<usize>)) -> sys::Result<()> {
        // One write, which a signal does not tear.
        let layer = layer.map(|layer| format!(" {layer}")).unwrap_or_default();
        let line = format!("{inode} {changed}{layer}\n");
        self.record.as_ref().map_or(Ok(()), |record| sys::write_all(record.as_fd(), line.as_bytes()))
    }

    /// Notes that the layers hold nothing more: what is changed from here on is compared with a time after all of these.
    pub fn clear(upper: &Upper) {
        let _ = sys::unlink(upper.directory(), NAME, false);
    }

    /// Hands the record on to layers that hold the same.
    pub fn copy(&self, to: &Upper) -> sys::Result<()> {
        let to = Ours::open(to)?;
        self.files.borrow().iter().try_for_each(|(inode, file)| to.write(*inode, *file))
    }
}
