//! A bounded table of open files, whose entries can be used while others are added: a program in the sandbox must not make a server open
//! as many as it likes.

use std::collections::HashMap;
use std::hash::Hash;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Open files by a key. Those that were used longest ago make room for new ones.
pub struct Descriptors<K> {
    most: usize,
    clock: u64,
    open: HashMap<K, (u64, Arc<OwnedFd>), foldhash::fast::RandomState>,
}

impl<K: Hash + Eq> Descriptors<K> {
    /// An empty table of so many files at most.
    pub fn new(most: usize) -> Descriptors<K> {
        Descriptors { most, clock: 0, open: HashMap::default() }
    }

    /// The open file of this key.
    pub fn get(&mut self, key: &K) -> Option<Arc<OwnedFd>> {
        self.clock += 1;
        let (used, fd) = self.open.get_mut(key)?;
        *used = self.clock;
        Some(fd.clone())
    }

    /// Adds an open file.
    pub fn add(&mut self, key: K, fd: OwnedFd) -> Arc<OwnedFd> {
        self.clock += 1;
        if self.open.len() >= self.most && !self.open.contains_key(&key) {
            // A quarter at once: so the search for the oldest is rare.
            let mut used: Vec<u64> = self.open.values().map(|(used, _)| *used).collect();
            used.sort_unstable();
            let limit = used.get(self.most / 4).copied().unwrap_or(u64::MAX);
            self.open.retain(|_, (used, _)| *used > limit);
        }
        let fd = Arc::new(fd);
        self.open.insert(key, (self.clock, fd.clone()));
        fd
    }

    /// Closes the file of this key, once nobody uses it.
    pub fn remove(&mut self, key: &K) {
        self.open.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_were_used_last_stay_open() {
        let file = || OwnedFd::from(std::fs::File::open("/").unwrap());
        let mut table = Descriptors::new(8);
        for key in 0..8 {
            table.add(key, file());
        }
        assert!(table.get(&0).is_some());
        // What is there already takes no room.
        table.add(3, file());
        assert!((0..8).all(|key| table.open.contains_key(&key)));
        table.add(100, file());
        assert!(table.open.len() <= 8);
        assert_eq!([0, 1, 2, 7, 100].map(|key| table.get(&key).is_some()), [true, false, false, true, true]);
        table.remove(&100);
        assert!(table.get(&100).is_none());
    }
}
