//! The names in directories that are being listed.
//!
//! A place in a listing is a number that depends on the name alone: whoever goes on listing a directory that has changed
//! meanwhile sees each name that has stayed, and sees it once.

use std::ffi::{CStr, CString};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Listings that are remembered: a directory with many names is asked for in parts.
const MOST: usize = 8;

/// Places of `.` and `..`, and the first one of other names.
pub const FIRST: u64 = 3;

/// A name, and its place.
pub type Entry = (u64, CString);

/// Listings that are being read.
#[derive(Default)]
pub struct Listings {
    seed: foldhash::quality::RandomState,
    /// Directories that were listed last, by their numbers, with their names; the newest last.
    recent: Vec<(u64, Arc<[Entry]>)>,
}

impl Listings {
    /// The listing of a directory that was begun before.
    pub fn get(&self, dir: u64) -> Option<Arc<[Entry]>> {
        self.recent.iter().find(|(other, _)| *other == dir).map(|(_, names)| names.clone())
    }

    /// Begins a listing of these names, of which each may occur several times.
    pub fn begin(&mut self, dir: u64, names: Vec<CString>) -> Arc<[Entry]> {
        let mut entries: Vec<Entry> = names.into_iter().map(|name| (self.place(&name), name)).collect();
        entries.sort_unstable();
        entries.dedup();
        let entries: Arc<[Entry]> = entries.into();
        self.end(dir);
        if self.recent.len() >= MOST {
            self.recent.remove(0);
        }
        self.recent.push((dir, entries.clone()));
        entries
    }

    /// Forgets the listing of a directory.
    pub fn end(&mut self, dir: u64) {
        self.recent.retain(|(other, _)| *other != dir);
    }

    fn place(&self, name: &CStr) -> u64 {
        // Positive as a signed number, and none of the first ones.
        (self.seed.hash_one(name.to_bytes()) >> 2) + FIRST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_depends_on_the_name_alone() {
        let mut listings = Listings::default();
        let all = listings.begin(7, [c"a", c"b", c"c", c"b"].map(CStr::to_owned).to_vec());
        assert_eq!(all.len(), 3);
        let fewer = listings.begin(7, [c"a", c"c"].map(CStr::to_owned).to_vec());
        assert!(fewer.iter().all(|entry| all.contains(entry)));
        assert!(all.iter().all(|(place, _)| *place >= FIRST && *place < 1 << 63));
        assert_eq!(listings.get(7), Some(fewer));
        (0..20).for_each(|dir| drop(listings.begin(dir, Vec::new())));
        assert!(listings.get(0).is_none() && listings.get(19).is_some());
    }
}
