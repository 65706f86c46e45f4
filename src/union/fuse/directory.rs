//! Lists directories.

use super::super::serving::{Add, LIFETIME, Listed, TOP};
use super::listing::{Entry, FIRST};
use super::server::Server;
use crate::sys::{self, Errno, Result};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::sync::Arc;

impl Server {
    /// The names that the layers have in a directory, with whiteouts and what they hide; one may occur several times.
    pub(super) fn names(&mut self, number: u64) -> Result<Vec<CString>> {
        if number == TOP {
            return Ok((0..self.unions.len()).filter_map(|union| CString::new(union.to_string()).ok()).collect());
        }
        let node = self.node(number)?;
        if node.closed || node.kept.is_some() || node.names.is_empty() {
            return Ok(Vec::new());
        }
        let (union, upper, lower) = (node.union, node.upper, node.lower.clone());
        let mut names = Vec::new();
        if upper {
            let dir = self.upper_dir(number)?;
            names.extend(sys::entries(dir.as_fd())?.into_iter().map(|(name, _)| name));
        }
        for place in &lower {
            let listed = self.lower_dir(union, place.layer, &place.dir).and_then(|dir| sys::entries(dir.as_fd()));
            match listed {
                // What has gone, or may not be read, is empty.
                Err(Errno(libc::EACCES | libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => {}
                listed => names.extend(listed?.into_iter().map(|(name, _)| name)),
            }
        }
        Ok(names)
    }

    /// Whether nothing is shown in a directory.
    pub(super) fn is_empty(&mut self, number: u64) -> Result<bool> {
        for name in self.names(number)? {
            if self.search(number, &name)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives what is in a directory, from a place on, to `add` until that says that it has no room.
    pub fn list(&mut self, number: u64, offset: u64, add: Add<'_>) -> Result<()> {
        if offset < FIRST {
            let own = self.attributes(number)?;
            let parent = self.nodes.get(number).and_then(|node| node.names.first()).map_or(TOP, |(parent, _)| *parent);
            let above = self.attributes(parent).unwrap_or(own);
            // These are not counted as told.
            for (next, status, name) in [(1, &own, c"."), (2, &above, c"..")] {
                if offset < next && add(Listed { status, lifetime: LIFETIME, name, next }) {
                    return Ok(());
                }
            }
        }
        let known = self.listings.get(number).filter(|_| offset >= FIRST);
        let entries: Arc<[Entry]> = match known {
            Some(entries) => entries,
            None => {
                let names = self.names(number)?;
                self.listings.begin(number, names)
            }
        };
        let start = entries.partition_point(|(place, _)| *place <= offset);
        for (place, name) in entries.iter().skip(start) {
            let Ok(Some((found, status))) = self.find_shown(number, name) else { continue };
            if add(Listed { status: &status, lifetime: self.lifetime(&status), name, next: *place }) {
                self.nodes.sweep(found).into_iter().for_each(|gone| self.close(gone));
                return Ok(());
            }
            self.nodes.told(found);
        }
        Ok(())
    }
}
