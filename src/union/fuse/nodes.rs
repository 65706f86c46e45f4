//! The files that the kernel knows, by their numbers.
//!
//! A node is a file with all its names, so that what is written by one name is read by the other. It stays the same node,
//! with the same number, when it is copied up or renamed.

use super::super::serving::{Numbers, TOP, is_same};
use crate::sys::FileStatus;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A map by keys that a program may choose: its seed is random.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A name of a file: the number of the directory, and the name there.
pub type Name = (u64, Arc<CStr>);

/// Device and inode number of a file of the host.
pub type FileId = (u64, u64);

/// A file of a lower layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lower {
    /// Index of the layer, from the topmost.
    pub layer: usize,
    /// Path of the directory below the layer's, without a slash at either end.
    pub dir: Arc<CStr>,
    /// Name in it; empty for the directory itself.
    pub name: Arc<CStr>,
}

/// What stat(2) said of a file of the host, without what is known of it otherwise.
pub struct Seen {
    size: u64,
    blocks: u64,
    /// Times of the last access, of the last change of the content, and of the last change.
    seconds: [i64; 3],
    rests: [u32; 3],
    mode: u32,
    links: u32,
    uid: u32,
    gid: u32,
    block_size: u32,
}

impl Seen {
    fn new(status: &FileStatus) -> Seen {
        let FileStatus { size, blocks, mode, links, uid, gid, block_size, .. } = *status;
        let times = [status.accessed, status.modified, status.changed];
        Seen {
            size,
            blocks,
            seconds: times.map(|at| at.0),
            rests: times.map(|at| at.1),
            mode,
            links,
            uid,
            gid,
            block_size,
        }
    }

    fn status(&self, (dev, ino): FileId) -> FileStatus {
        let Seen { size, blocks, seconds, rests, mode, links, uid, gid, block_size } = *self;
        let (accessed, modified) = ((seconds[0], rests[0]), (seconds[1], rests[1]));
        let changed = (seconds[2], rests[2]);
        FileStatus { dev, ino, mode, links, uid, gid, rdev: 0, size, blocks, block_size, accessed, modified, changed }
    }
}

/// What is known of a file. There are as many as a program has looked at, so it is kept small.
pub struct Node {
    /// Index of the union.
    pub union: usize,
    /// The bits of the file's type (`S_IFMT`).
    pub kind: u32,
    /// Its names that are known; none: it was deleted.
    pub names: SmallVec<[Name; 1]>,
    /// The upper layer has it.
    pub upper: bool,
    /// Lower layers that have it: of a directory all that are merged, of a file at most one, which is where it was before it was
    /// copied up.
    pub lower: Lowers,
    /// The file itself, if no name leads to it any more.
    pub kept: Option<Arc<OwnedFd>>,
    /// Device and inode number where it is now.
    pub id: FileId,
    /// See [`Node::seen`].
    seen: Option<Box<Seen>>,
    /// How often a file of a lower layer was found changed.
    pub version: u32,
    /// The version that was opened last: the kernel may keep content of it, and of no other.
    pub opened: u32,
    /// The last opening was refused, so that the kernel asks for its attributes first.
    pub refused: bool,
    /// It has a set-ID bit, as far as is known.
    pub privileged: bool,
    /// Its content is hidden, or cannot be read: the file is shown empty.
    pub closed: bool,
    /// A file of the upper layer that has no file capabilities: the kernel asks for them before each first write.
    pub without_capabilities: bool,
    /// How often the kernel was told of it, without how often it forgot it.
    lookups: u64,
    /// How many known names lie in it.
    children: u32,
}

/// What lower layers have of a file: mostly, it is one.
pub type Lowers = SmallVec<[Lower; 1]>;

impl Node {
    /// A node of a union that the kernel was not told of yet.
    pub fn new(union: usize, kind: u32, id: FileId) -> Node {
        Node {
            union,
            kind,
            names: SmallVec::new(),
            upper: false,
            lower: SmallVec::new(),
            kept: None,
            id,
            seen: None,
            version: 0,
            opened: 0,
            refused: false,
            privileged: false,
            closed: false,
            without_capabilities: false,
            lookups: 0,
            children: 0,
        }
    }

    /// A file of a lower layer as it was when it was opened: what is read later has to be of this one.
    pub fn seen(&self) -> Option<FileStatus> {
        self.seen.as_deref().map(|seen| seen.status(self.id))
    }

    /// Notes what a file of a lower layer is now.
    pub fn see(&mut self, status: &FileStatus) {
        self.id = (status.dev, status.ino);
        self.seen = Some(Box::new(Seen::new(status)));
    }

    /// Notes what a file of a lower layer is now, if it has changed. What was opened before is another version. Gives whether it is.
    pub fn see_again(&mut self, status: &FileStatus) -> bool {
        let changed = !self.seen().is_some_and(|seen| is_same(status, &seen));
        if changed {
            self.see(status);
            self.version = self.version.wrapping_add(1);
        }
        changed
    }

    /// It is no file of a lower layer any more.
    pub fn unsee(&mut self) {
        self.seen = None;
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == libc::S_IFDIR
    }
}

/// All files that the kernel or the server knows, by their numbers.
#[derive(Default)]
pub struct Nodes {
    /// In boxes, since half of a table is empty at times.
    nodes: Map<u64, Box<Node>>,
    names: Map<Name, u64>,
    /// Numbers of files of the upper layer that had them before they were copied up.
    moved: Map<FileId, u64>,
    numbers: Numbers<(usize, u64)>,
}

impl Nodes {
    /// The node with this number.
    pub fn get(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number).map(Box::as_ref)
    }

    /// The node with this number, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&number).map(Box::as_mut)
    }

    /// The number of the node at a name.
    pub fn find(&self, parent: u64, name: &CStr) -> Option<u64> {
        self.names.get(&(parent, Arc::from(name))).copied()
    }

    /// The node of a file that is known by another name.
    pub fn alias(&mut self, union: usize, status: &FileStatus) -> Option<u64> {
        if status.links < 2 || status.mode & libc::S_IFMT == libc::S_IFDIR {
            return None;
        }
        let id = (status.dev, status.ino);
        let number = self.moved.get(&id).copied().or_else(|| self.numbers.shown((union, id.0), id.1))?;
        let node = self.nodes.get(&number)?;
        (node.union == union && node.id == id && !node.is_dir()).then_some(number)
    }

    /// Adds a node with a number of its own, by the identity that it had first.
    pub fn add(&mut self, node: Node, name: Option<Name>) -> u64 {
        let number = self.number(&node);
        self.nodes.insert(number, Box::new(node));
        if let Some((parent, name)) = name {
            self.add_name(number, parent, name);
        }
        number
    }

    /// Adds a name of a node.
    pub fn add_name(&mut self, number: u64, parent: u64, name: Arc<CStr>) {
        let Some(node) = self.nodes.get_mut(&number) else { return };
        node.names.push((parent, name.clone()));
        self.names.insert((parent, name), number);
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children += 1;
        }
    }

    /// Removes a name of a node, which stays known. Gives whether it was its last one.
    pub fn remove_name(&mut self, number: u64, parent: u64, name: &CStr) -> bool {
        let key: Name = (parent, Arc::from(name));
        if self.names.get(&key) != Some(&number) {
            return false;
        }
        self.names.remove(&key);
        let Some(node) = self.nodes.get_mut(&number) else { return true };
        node.names.retain(|name| *name != key);
        let last = node.names.is_empty();
        if let Some(above) = self.nodes.get_mut(&parent) {
            above.children = above.children.saturating_sub(1);
        }
        last
    }

    /// A number that no node has: the one that the file had before it was copied up, else the host's inode number, unless that
    /// belongs to another node.
    fn number(&mut self, node: &Node) -> u64 {
        let before = self.moved.get(&node.id).copied();
        let number = before.or_else(|| self.numbers.shown((node.union, node.id.0), node.id.1));
        number
            .filter(|number| !self.nodes.contains_key(number))
            .unwrap_or_else(|| self.numbers.own(|number| self.nodes.contains_key(&number)))
    }

    /// Notes that a node is now another file of the host, of the upper layer.
    pub fn moved(&mut self, number: u64, id: FileId) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.id = id;
            self.moved.insert(id, number);
        }
    }

    /// Notes that a file of the upper layer is gone from the disk, whose inode number may be used again.
    pub fn vanished(&mut self, id: FileId) {
        self.moved.remove(&id);
    }

    /// Notes that the kernel was told of a node.
    pub fn told(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.lookups += 1;
        }
    }

    /// Notes that the kernel has forgotten a node so many times. Gives the numbers of the nodes that are gone.
    pub fn forget(&mut self, number: u64, times: u64) -> Vec<u64> {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.lookups = node.lookups.saturating_sub(times);
        }
        self.sweep(number)
    }

    /// Removes a node that the kernel was not told of, and then the directories above that are not needed either.
    pub fn sweep(&mut self, number: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        let mut check = vec![number];
        while let Some(number) = check.pop() {
            if number == TOP || !self.nodes.get(&number).is_some_and(|node| node.lookups == 0 && node.children == 0) {
                continue;
            }
            let Some(node) = self.nodes.remove(&number) else { continue };
            if node.names.is_empty() && node.upper {
                self.moved.remove(&node.id);
            }
            for name in node.names {
                self.names.remove(&name);
                if let Some(above) = self.nodes.get_mut(&name.0) {
                    above.children = above.children.saturating_sub(1);
                    check.push(name.0);
                }
            }
            gone.push(number);
        }
        gone
    }

    /// Whether a directory lies in another one, or is it.
    pub fn is_within(&self, mut number: u64, above: u64) -> bool {
        loop {
            if number == above {
                return true;
            }
            match self.nodes.get(&number).and_then(|node| node.names.first()) {
                Some((parent, _)) if *parent != number => number = *parent,
                _ => return false,
            }
        }
    }

    /// The files that have no name any more.
    pub fn kept(&self) -> impl Iterator<Item = &Arc<OwnedFd>> {
        self.nodes.values().filter_map(|node| node.kept.as_ref())
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// What 100,000 files take: see the test in `tests/fuse.rs`.
const _: () = assert!(size_of::<Node>() <= 152 && size_of::<Seen>() <= 72);

#[cfg(test)]
mod tests {
    use super::*;

    fn node(dev: u64, ino: u64, kind: u32) -> Node {
        Node::new(0, kind, (dev, ino))
    }

    fn name(parent: u64, name: &CStr) -> Option<Name> {
        Some((parent, Arc::from(name)))
    }

    #[test]
    fn a_file_keeps_its_number_when_it_is_copied_up_and_forgotten() {
        let mut nodes = Nodes::default();
        let dir = nodes.add(node(7, 100, libc::S_IFDIR), name(TOP, c"0"));
        let file = nodes.add(node(7, 101, libc::S_IFREG), name(dir, c"file"));
        nodes.told(dir);
        nodes.told(file);
        assert_eq!((dir, file), (100, 101));
        nodes.moved(file, (7, 500));
        assert_eq!(nodes.forget(file, 1), [file]);
        assert_eq!(nodes.add(node(7, 500, libc::S_IFREG), name(dir, c"file")), file);
        nodes.vanished((7, 500));
        assert_eq!(nodes.forget(file, 0), [file]);
        assert_eq!(nodes.add(node(7, 500, libc::S_IFREG), name(dir, c"new")), 500, "the inode number was used again");
        assert_eq!(nodes.forget(500, 0), [500]);
        assert_eq!(nodes.forget(dir, 1), [dir]);
        assert_eq!(nodes.len(), 0);
    }

    #[test]
    fn names_of_one_file_lead_to_one_node_until_the_last_is_removed() {
        let mut nodes = Nodes::default();
        let dir = nodes.add(node(7, 100, libc::S_IFDIR), name(TOP, c"0"));
        let file = nodes.add(node(7, 5, libc::S_IFREG), name(dir, c"a"));
        let root = crate::sys::status_of(crate::sys::cwd(), c"/").unwrap();
        let status = FileStatus { dev: 7, ino: 5, links: 2, mode: libc::S_IFREG, ..root };
        assert_eq!(nodes.alias(0, &status), Some(file));
        assert_eq!(nodes.alias(1, &status), None, "another union");
        assert_eq!(nodes.alias(0, &FileStatus { links: 1, ..status }), None, "another file of the same number");
        nodes.add_name(file, dir, Arc::from(c"b"));
        assert!(!nodes.remove_name(file, dir, c"a") && nodes.find(dir, c"b") == Some(file));
        assert!(nodes.remove_name(file, dir, c"b") && nodes.find(dir, c"b").is_none());
        assert_eq!(nodes.forget(file, 0), [file]);
    }

    #[test]
    fn a_directory_lies_in_those_above_it() {
        let mut nodes = Nodes::default();
        let top = nodes.add(node(7, 100, libc::S_IFDIR), name(TOP, c"0"));
        let dir = nodes.add(node(7, 101, libc::S_IFDIR), name(top, c"dir"));
        assert!(nodes.is_within(dir, top) && nodes.is_within(dir, dir) && !nodes.is_within(top, dir));
    }
}
