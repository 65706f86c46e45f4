//! A bounded table of open files: a program in the sandbox must not make the server open as many as it likes.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

/// Open files by the number of their node. The one that was used longest ago makes room for a new one.
pub struct Recent {
    most: usize,
    clock: u64,
    open: HashMap<u64, (u64, OwnedFd)>,
}

impl Recent {
    /// An empty table of so many files at most.
    pub fn new(most: usize) -> Recent {
        Recent { most, clock: 0, open: HashMap::new() }
    }

    /// The open file of a node.
    pub fn get(&mut self, node: u64) -> Option<&OwnedFd> {
        self.clock += 1;
        let (used, fd) = self.open.get_mut(&node)?;
        *used = self.clock;
        Some(fd)
    }

    /// Adds the open file of a node.
    pub fn add(&mut self, node: u64, fd: OwnedFd) -> &OwnedFd {
        self.clock += 1;
        if self.open.len() >= self.most && !self.open.contains_key(&node) {
            // A quarter at once: so the search for the oldest is rare.
            let mut used: Vec<u64> = self.open.values().map(|(used, _)| *used).collect();
            used.sort_unstable();
            let limit = used.get(self.most / 4).copied().unwrap_or(u64::MAX);
            self.open.retain(|_, (used, _)| *used > limit);
        }
        let clock = self.clock;
        &self.open.entry(node).insert_entry((clock, fd)).into_mut().1
    }

    /// Closes the file of a node.
    pub fn remove(&mut self, node: u64) {
        self.open.remove(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_were_used_last_stay_open() {
        let file = || OwnedFd::from(std::fs::File::open("/").unwrap());
        let mut recent = Recent::new(8);
        for node in 0..8 {
            recent.add(node, file());
        }
        assert!(recent.get(0).is_some());
        recent.add(100, file());
        assert!(recent.open.len() <= 8);
        let open: Vec<bool> = [0, 1, 2, 7, 100].map(|node| recent.get(node).is_some()).to_vec();
        assert_eq!(open, [true, false, false, true, true]);
        recent.remove(100);
        assert!(recent.get(100).is_none());
    }
}
