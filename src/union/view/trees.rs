//! What a view server serves, as the planner decides it.

use super::super::serving::TOP;
use crate::sys::FileStatus;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// So many ids of the host from `outside` on are shown as those from `inside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// First id on the host.
    pub outside: u32,
    /// First id in the sandbox.
    pub inside: u32,
    /// Number of ids.
    pub count: u32,
}

/// The translation of user ids or of group ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Owners {
    /// Ranges; the first that has an id decides.
    pub ranges: Vec<IdRange>,
    /// What all other ids are shown as.
    pub others: u32,
}

impl Owners {
    /// The id in the sandbox for one of the host.
    pub fn inside(&self, outside: u32) -> u32 {
        let found = self.ranges.iter().find_map(|range| {
            let at = outside.checked_sub(range.outside)?;
            (at < range.count).then(|| range.inside.saturating_add(at))
        });
        found.unwrap_or(self.others)
    }
}

/// A directory of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Its path, without links.
    pub source: PathBuf,
    /// Directories below it that are shown empty: interfaces to the kernel, and other sandboxes' layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<PathBuf>,
}

/// Everything that a view server serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Trees {
    /// Directories; the Nth is named N at the top of the filesystem, from 0 on.
    pub trees: Vec<Tree>,
    /// The translation of user ids.
    pub uids: Owners,
    /// The translation of group ids.
    pub gids: Owners,
}

impl Trees {
    /// The attributes of the directory at the top of the filesystem, and of what is shown without looking at the host.
    pub fn top(&self) -> FileStatus {
        let none = (0, 0);
        FileStatus {
            dev: 0,
            ino: TOP,
            mode: libc::S_IFDIR | 0o555,
            links: 2,
            uid: self.uids.inside(0),
            gid: self.gids.inside(0),
            rdev: 0,
            size: 0,
            blocks: 0,
            block_size: 4096,
            accessed: none,
            modified: none,
            changed: none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_range_that_has_an_id_decides() {
        let range = |outside, inside, count| IdRange { outside, inside, count };
        let owners =
            Owners { ranges: vec![range(1000, 0, 1), range(0, 0, 2000), range(u32::MAX, 7, 1)], others: 65534 };
        let ids = [0, 33, 1000, 1001, 1999, 2000, u32::MAX];
        assert_eq!(ids.map(|id| owners.inside(id)), [0, 33, 0, 1001, 1999, 65534, 7]);
        assert_eq!(Owners::default().inside(5), 0);
    }
}
