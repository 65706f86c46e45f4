//! The files that the kernel knows, by their numbers.
//!
//! A node is a path, and not an inode of the host: what replaces a file there is the same node. Its attributes are those
//! that it had when it was first seen, for as long as the kernel remembers it; those of a file are renewed.

use super::super::serving::{Numbers, TOP};
use crate::sys::FileStatus;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

/// What is known of a file.
pub struct Node {
    /// Number of the directory that it lies in.
    pub parent: u64,
    /// Its name there.
    pub name: Arc<CStr>,
    /// Index of the tree that it lies in.
    pub tree: usize,
    /// Its attributes when it was last looked at. The size of a file that cannot be read is 0.
    pub status: FileStatus,
    /// Nothing of what it holds is shown.
    pub closed: bool,
    /// A part of its content was given out.
    pub read: bool,
    /// How often it was found changed.
    pub version: u64,
    /// The version that was opened last: the kernel may keep content of it, and of no other.
    pub opened: u64,
    /// The last opening was refused, so that the kernel asks for its attributes first.
    pub refused: bool,
    /// How often the kernel was told of it, without how often it forgot it.
    lookups: u64,
    /// How many nodes lie in it.
    children: u64,
}

/// All files that the kernel knows, by their numbers.
#[derive(Default)]
pub struct Nodes {
    /// In boxes, since half of a table is empty at times.
    nodes: HashMap<u64, Box<Node>, RandomState>,
    names: HashMap<(u64, Arc<CStr>), u64, RandomState>,
    numbers: Numbers<u64>,
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

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The number of the node at a name.
    pub fn find(&self, parent: u64, name: &CStr) -> Option<u64> {
        self.names.get(&(parent, Arc::from(name))).copied()
    }

    /// Adds a node that the kernel has not been told of yet.
    pub fn add(&mut self, parent: u64, name: &CStr, tree: usize, (status, closed): (FileStatus, bool)) -> u64 {
        let name: Arc<CStr> = Arc::from(name);
        let number = self.number(&status);
        let node = Node {
            parent,
            name: name.clone(),
            tree,
            status,
            closed,
            read: false,
            version: 0,
            refused: false,
            opened: 0,
            lookups: 0,
            children: 0,
        };
        self.nodes.insert(number, Box::new(node));
        self.names.insert((parent, name), number);
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children += 1;
        }
        number
    }

    /// A number that no node has: the host's inode number, unless that belongs to another node (a hard link).
    fn number(&mut self, status: &FileStatus) -> u64 {
        let number = self.numbers.shown(status.dev, status.ino);
        number
            .filter(|number| !self.nodes.contains_key(number))
            .unwrap_or_else(|| self.numbers.own(|number| self.nodes.contains_key(&number)))
    }

    /// Notes that the kernel was told of a node.
    pub fn told(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.lookups += 1;
        }
    }

    /// Notes that the kernel has forgotten a node so many times. Gives whether the node is gone.
    pub fn forget(&mut self, number: u64, times: u64) -> bool {
        let Some(node) = self.nodes.get_mut(&number) else { return true };
        node.lookups = node.lookups.saturating_sub(times);
        self.sweep(number)
    }

    /// Removes a node that the kernel was not told of, and then the directories above that are not needed either.
    pub fn sweep(&mut self, mut number: u64) -> bool {
        let first = number;
        while let Some(node) = self.nodes.get(&number).filter(|node| node.lookups == 0 && node.children == 0) {
            let parent = node.parent;
            let name = node.name.clone();
            self.nodes.remove(&number);
            self.names.remove(&(parent, name));
            match self.nodes.get_mut(&parent) {
                Some(above) => above.children = above.children.saturating_sub(1),
                None => break,
            }
            number = parent;
        }
        !self.nodes.contains_key(&first)
    }

    /// The path of a node below its tree, without a slash at either end, and the tree; none if a directory above it is not known any
    /// more.
    pub fn path(&self, number: u64) -> Option<(usize, Vec<u8>)> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut node = self.nodes.get(&number)?;
        let tree = node.tree;
        while node.parent != TOP {
            parts.push(node.name.to_bytes());
            node = self.nodes.get(&node.parent)?;
        }
        parts.reverse();
        Some((tree, parts.join(&b'/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(dev: u64, ino: u64) -> FileStatus {
        let root = crate::sys::status_of(crate::sys::cwd(), c"/").unwrap();
        FileStatus { dev, ino, ..root }
    }

    #[test]
    fn a_node_is_a_path_and_is_forgotten_when_the_kernel_forgets_it_and_all_in_it() {
        let mut nodes = Nodes::default();
        let tree = nodes.add(TOP, c"0", 0, (status(7, 100), false));
        let dir = nodes.add(tree, c"dir", 0, (status(7, 101), false));
        let file = nodes.add(dir, c"file", 0, (status(7, 102), false));
        [tree, dir, file].iter().for_each(|node| nodes.told(*node));
        nodes.told(file);
        assert_eq!((tree, dir, file), (100, 101, 102), "the host's inode numbers");
        assert_eq!(nodes.path(file), Some((0, b"dir/file".to_vec())));
        assert_eq!(nodes.path(tree), Some((0, Vec::new())));
        assert_eq!(nodes.find(dir, c"file"), Some(file));
        nodes.forget(dir, 1);
        assert_eq!(nodes.path(file), Some((0, b"dir/file".to_vec())), "its directory is needed");
        assert!(!nodes.forget(file, 1));
        assert!(nodes.forget(file, 1));
        assert_eq!((nodes.len(), nodes.find(dir, c"file")), (1, None));
        assert!(nodes.forget(tree, 9) && nodes.len() == 0);
    }

    #[test]
    fn numbers_are_unique_across_hard_links_and_devices() {
        let mut nodes = Nodes::default();
        let tree = nodes.add(TOP, c"0", 0, (status(7, 100), false));
        let files = [(c"a", 7, 5), (c"b", 7, 5), (c"c", 8, 5), (c"d", 7, 1), (c"e", 7, 1 << 50)];
        let numbers = files.map(|(name, dev, ino)| nodes.add(tree, name, 0, (status(dev, ino), false)));
        assert_eq!(numbers[0], 5);
        assert_eq!(numbers.iter().collect::<std::collections::HashSet<_>>().len(), numbers.len());
        assert!(numbers.iter().all(|number| *number > TOP && *number < 1 << 59));
    }
}
