//! Hard links of lower layers, which are kept when a file is copied up.
//!
//! A file with several names in a lower layer is copied up by one of them. The others are to lead to the copy, too, whenever
//! somebody comes to look for them: in a later run, and after the kernel and the server have forgotten the file. So the copy has
//! one more name in a directory of the work directory, by which it is found there: the layer, and the device, the inode number
//! and the time of the last change of the file that it is a copy of. If the host changes that file, it is another one.

use super::copy_up::set_times_of;
use super::find::Found;
use super::nodes::{FileId, Lower, Node};
use super::opened::{Union, UpperLayer};
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

fn name(layer: usize, status: &FileStatus) -> CString {
    let FileStatus { dev, ino, changed: (seconds, rest), .. } = status;
    CString::new(format!("{layer}-{dev:x}-{ino:x}-{seconds:x}.{rest:x}")).unwrap_or_default()
}

impl Server {
    /// Reads the names in the directories of links.
    pub(super) fn read_links(&mut self) -> Result<()> {
        let dirs = |(at, union): (usize, &Union)| Some((at, union.upper.as_ref()?.links.clone()));
        let dirs: Vec<_> = self.unions.iter().enumerate().filter_map(dirs).collect();
        for (union, links) in dirs {
            for (name, _) in sys::entries(links.as_fd())? {
                let status = sys::status_of(links.as_fd(), &name)?;
                self.linked.insert((union, (status.dev, status.ino)), name);
            }
        }
        Ok(())
    }

    fn layer_id(&self, union: usize, layer: usize) -> Option<usize> {
        self.unions.get(union)?.lower.get(layer)?.id
    }

    /// Notes that a file of a lower layer with several names was copied up.
    pub(super) fn remember(
        &mut self,
        (union, layer): (usize, usize),
        status: &FileStatus,
        (upper, number): (&UpperLayer, u64),
    ) -> Result<()> {
        let Some(layer) = self.layer_id(union, layer) else { return Ok(()) };
        let name = name(layer, status);
        let (from, old) = self.place(number)?;
        if old.is_empty() {
            // It has no name, and the others are of another file now.
            return Ok(());
        }
        match sys::link(from.as_fd(), &old, upper.links.as_fd(), &name) {
            Ok(()) => {}
            Err(Errno(libc::EEXIST)) => {
                sys::unlink(upper.links.as_fd(), &name, false)?;
                sys::link(from.as_fd(), &old, upper.links.as_fd(), &name)?;
            }
            Err(errno) => return Err(errno),
        }
        let copy = sys::status_of(upper.links.as_fd(), &name)?;
        let id = (copy.dev, copy.ino);
        self.linked.insert((union, id), name);
        if let Some(count) = self.counts.remove(&(union, (status.dev, status.ino))) {
            self.counts.insert((union, id), count);
        }
        Ok(())
    }

    /// Notes that a file got another name, or lost one.
    pub(super) fn count_names(&mut self, number: u64, by: i32) {
        let Some(node) = self.nodes.get(number) else { return };
        let key = (node.union, node.id);
        let Some(count) = self.counts.get_mut(&key) else { return };
        *count = count.saturating_add_signed(by);
        if *count > 0 {
            return;
        }
        // No layer has a name of it any more.
        self.counts.remove(&key);
        let Some(name) = self.linked.remove(&key) else { return };
        if let Some(upper) = self.unions.get(key.0).and_then(|union| union.upper.as_ref()) {
            let _ = sys::unlink(upper.links.as_fd(), &name, false);
        }
    }

    /// What was found in a lower layer, or the copy of it in the upper layer, which then gets this name, too.
    pub(super) fn with_links(&mut self, parent: u64, at: &CStr, found: Found) -> Result<Found> {
        let union = self.node(parent)?.union;
        let is_dir = found.status.mode & libc::S_IFMT == libc::S_IFDIR;
        let several = !found.upper && !is_dir && found.status.links > 1 && !self.linked.is_empty();
        let Some(Lower { layer, .. }) = found.lower.first().filter(|_| several) else { return Ok(found) };
        let Some(layer) = self.layer_id(union, *layer) else { return Ok(found) };
        let Ok(upper) = self.upper(parent) else { return Ok(found) };
        let name = name(layer, &found.status);
        if sys::status_of(upper.links.as_fd(), &name).is_err() {
            return Ok(found);
        }
        self.copy_up(parent, false)?;
        let dir = self.upper_dir(parent)?;
        let before = sys::status_of(dir.as_fd(), c"")?;
        sys::link(upper.links.as_fd(), &name, dir.as_fd(), at)?;
        set_times_of(dir.as_fd(), &before)?;
        let status = sys::status_of(dir.as_fd(), at)?;
        Ok(Found { status, upper: true, closed: false, ..found })
    }

    /// The number of names that a file is shown with.
    pub(super) fn names_of(&self, key: (usize, FileId), node: &Node, status: &FileStatus) -> u32 {
        if let Some(count) = self.counts.get(&key) {
            return *count;
        }
        match node.upper {
            // Without the one in the directory of links.
            true => status.links - u32::from(status.links > 0 && self.linked.contains_key(&key)),
            false if node.names.is_empty() => 0,
            false => status.links,
        }
    }
}
