//! The unions, and where their files are now.
//!
//! Everything is opened below the directory of its layer, and no link is followed on the way.

use super::super::serving::{Descriptors, TOP};
use super::super::view::Trees;
use super::budget::Budget;
use super::layers::Unions;
use super::listing::Listings;
use super::nodes::{FileId, Lower, Map, Node, Nodes};
use super::opened::{Union, UpperLayer};
use crate::sys::{self, Errno, FileStatus, Resource, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Open directories, and open files, at most: each takes a descriptor and some memory of the kernel's.
const MOST_OPEN: u64 = 512;

/// The unions, and what is known of their files.
pub struct Server {
    /// The translation of owners.
    owners: Trees,
    /// The unions.
    pub(super) unions: Vec<Union>,
    /// What is known of files.
    pub(super) nodes: Nodes,
    /// Open directories of the upper layer, by their nodes.
    dirs: Descriptors<u64>,
    /// Open directories of lower layers: union, layer, path.
    lower_dirs: Descriptors<(usize, usize, Arc<CStr>)>,
    /// Open files, by their nodes; those of the upper layer for reading and writing.
    pub(super) files: Descriptors<u64>,
    /// Names in directories that are being listed.
    pub(super) listings: Listings,
    /// Files of the upper layer that have a name in the directory of links: that name.
    pub(super) linked: Map<(usize, FileId), CString>,
    /// How many names files have, if that is another number than the file on disk has.
    pub(super) counts: Map<(usize, FileId), u32>,
    /// How much the changes may take.
    pub(super) budget: Budget,
    /// The pipe that notes are written to.
    pipe: OwnedFd,
    /// The ids that new files get by themselves.
    pub(super) ids: (u32, u32),
    /// Counts names in work directories.
    made: u64,
}

impl Server {
    /// Opens the layers. The pipe is what notes are written to.
    ///
    /// # Errors
    ///
    /// A directory cannot be opened or made.
    pub fn new(unions: Unions, pipe: OwnedFd) -> std::result::Result<Server, String> {
        sys::raise_descriptors();
        let limit = sys::rlimit(Resource::RLIMIT_NOFILE).map_or(256, |(soft, _)| soft);
        let most = (limit.saturating_sub(128) / 4).clamp(8, MOST_OPEN) as usize;
        let limit = unions.size;
        let made = unions.unions.iter().map(|layers| Union::new(layers, &unions.trees));
        Ok(Server {
            unions: made.collect::<std::result::Result<_, _>>()?,
            owners: unions.trees,
            nodes: Nodes::default(),
            dirs: Descriptors::new(most),
            lower_dirs: Descriptors::new(most),
            files: Descriptors::new(most),
            listings: Listings::default(),
            linked: Map::default(),
            counts: Map::default(),
            budget: Budget::new(limit),
            pipe,
            ids: (sys::effective_uid(), sys::effective_gid()),
            made: 0,
        })
    }

    /// The directories that are read, and those that are written to.
    pub fn roots(&self) -> (Vec<BorrowedFd<'_>>, Vec<BorrowedFd<'_>>) {
        let lower = self.unions.iter().flat_map(|union| union.lower.iter().map(|layer| layer.root.as_fd()));
        let upper = self.unions.iter().filter_map(|union| union.upper.as_ref());
        (
            lower.collect(),
            upper.flat_map(|upper| [upper.root.as_fd(), upper.work.as_fd(), upper.links.as_fd()]).collect(),
        )
    }

    /// The descriptors that it needs.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let (lower, upper) = self.roots();
        lower.into_iter().chain(upper).map(|fd| fd.as_raw_fd()).chain([self.pipe.as_raw_fd()]).collect()
    }

    /// The node with this number.
    pub(super) fn node(&self, number: u64) -> Result<&Node> {
        self.nodes.get(number).ok_or(Errno(libc::ESTALE))
    }

    /// The node with this number, to be changed.
    pub(super) fn node_mut(&mut self, number: u64) -> Result<&mut Node> {
        self.nodes.get_mut(number).ok_or(Errno(libc::ESTALE))
    }

    /// The upper layer that a node may be changed in.
    pub(super) fn upper(&self, number: u64) -> Result<UpperLayer> {
        let union = self.unions.get(self.node(number)?.union);
        union.and_then(|union| union.upper.clone()).ok_or(Errno(libc::EROFS))
    }

    /// A new name in the work directory.
    pub(super) fn work_name(&mut self) -> CString {
        self.made += 1;
        CString::new(format!("#{}", self.made)).unwrap_or_default()
    }

    /// The attributes of a file as they are shown: with the node's number, and the owner inside.
    pub(super) fn shown(&self, number: u64, status: &FileStatus) -> FileStatus {
        let (uid, gid) = (self.owners.uids.inside(status.uid), self.owners.gids.inside(status.gid));
        let mut shown = FileStatus { ino: number, uid, gid, ..*status };
        if let Some(node) = self.nodes.get(number) {
            match node {
                // The number of directories in a merged one is not known.
                Node { kind: libc::S_IFDIR, lower, .. } if !lower.is_empty() => shown.links = 1,
                Node { union, id, .. } => shown.links = self.names_of((*union, *id), node, status),
            }
            if node.closed {
                (shown.size, shown.blocks) = (0, 0);
            }
        }
        shown
    }

    /// The attributes of the directory at the top.
    pub(super) fn top(&self) -> FileStatus {
        self.owners.top()
    }

    /// The directory of the upper layer that a node has there.
    pub(super) fn upper_dir(&mut self, number: u64) -> Result<Arc<OwnedFd>> {
        // Down from the nearest directory that is open, one by one: a path may be longer than the kernel takes.
        let mut way = Vec::new();
        let mut at = number;
        let mut dir = loop {
            if let Some(open) = self.dirs.get(&at) {
                break open;
            }
            let node = self.node(at)?;
            if let Some(kept) = &node.kept {
                break kept.clone();
            }
            let (parent, name) = node.names.first().cloned().ok_or(Errno(libc::ENOENT))?;
            if parent == TOP {
                break self.upper(at)?.root;
            }
            way.push((at, name));
            at = parent;
        };
        for (at, name) in way.into_iter().rev() {
            let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            dir = self.dirs.add(at, sys::openat(dir.as_fd(), &name, flags, 0)?);
        }
        Ok(dir)
    }

    /// A directory of a lower layer.
    pub(super) fn lower_dir(&mut self, union: usize, layer: usize, path: &Arc<CStr>) -> Result<Arc<OwnedFd>> {
        let key = (union, layer, path.clone());
        if let Some(open) = self.lower_dirs.get(&key) {
            return Ok(open);
        }
        let layers = self.unions.get(union).map(|union| &union.lower);
        let root = layers.and_then(|layers| layers.get(layer)).ok_or(Errno(libc::ESTALE))?.root.clone();
        if path.is_empty() {
            return Ok(root);
        }
        let opened = open_long(root.as_fd(), path.to_bytes(), libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
        Ok(self.lower_dirs.add(key, opened))
    }

    /// The directory and the name by which a node is reached now; the name is empty if the descriptor is the file itself.
    pub(super) fn place(&mut self, number: u64) -> Result<(Arc<OwnedFd>, Arc<CStr>)> {
        let node = self.node(number)?;
        let union = node.union;
        if let Some(kept) = &node.kept {
            return Ok((kept.clone(), Arc::from(c"")));
        }
        if node.upper {
            if node.is_dir() {
                return Ok((self.upper_dir(number)?, Arc::from(c"")));
            }
            let (parent, name) = node.names.first().cloned().ok_or(Errno(libc::ESTALE))?;
            return Ok((self.upper_dir(parent)?, name));
        }
        let Lower { layer, dir, name } = node.lower.first().cloned().ok_or(Errno(libc::ESTALE))?;
        Ok((self.lower_dir(union, layer, &dir)?, name))
    }

    /// What stat(2) says of a node now.
    pub(super) fn status(&mut self, number: u64) -> Result<FileStatus> {
        let (dir, name) = self.place(number)?;
        let status = sys::status_of(dir.as_fd(), &name)?;
        let node = self.node_mut(number)?;
        if status.mode & libc::S_IFMT != node.kind {
            return Err(Errno(libc::ESTALE));
        }
        node.privileged = status.mode & 0o6000 != 0;
        Ok(status)
    }

    /// Forgets what is open of a node.
    pub(super) fn close(&mut self, number: u64) {
        self.dirs.remove(&number);
        self.files.remove(&number);
    }

    /// Notes that the kernel has forgotten a node so many times.
    pub fn forget(&mut self, number: u64, times: u64) {
        for gone in self.nodes.forget(number, times) {
            self.close(gone);
            // It may have been the last of a file without a name.
            self.budget.freed();
        }
    }

    /// Tells the launcher that a file of the host has changed. Gives the error for the program.
    pub(super) fn changed(&self) -> Errno {
        // A pipe that is full has told it often enough.
        let _ = sys::write_some(self.pipe.as_fd(), &[super::super::view::CHANGED]);
        Errno(libc::EIO)
    }
}

/// Opens a path below a directory, which may be longer than the kernel takes, without following a link.
fn open_long(root: BorrowedFd<'_>, path: &[u8], flags: i32) -> Result<OwnedFd> {
    const MOST: usize = 4000;
    let open = |dir: BorrowedFd<'_>, path: &[u8]| {
        sys::open_below(dir, &CString::new(path).map_err(|_| Errno(libc::EINVAL))?, flags)
    };
    let mut dir: Option<OwnedFd> = None;
    let mut rest = path;
    while rest.len() > MOST {
        let cut = rest.get(..MOST).and_then(|start| start.iter().rposition(|byte| *byte == b'/'));
        let cut = cut.ok_or(Errno(libc::ENAMETOOLONG))?;
        let (start, end) = rest.split_at(cut);
        dir = Some(open(dir.as_ref().map_or(root, |fd| fd.as_fd()), start)?);
        rest = end.get(1..).unwrap_or_default();
    }
    open(dir.as_ref().map_or(root, |fd| fd.as_fd()), rest)
}
