//! How much a layer takes on disk.

use super::node::{open_dir, open_path};
use super::{Upper, name};
use crate::sys;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes on disk that the upper layers take, and those that the frozen ones take that they lie over, which others may lie over, too. What
/// cannot be read does not count.
pub fn size(upper: &Upper) -> (u64, u64) {
    let layer = |index: usize| {
        let dir = open_dir(upper.directory(), &name::number(index)).ok()?;
        let dir = open_dir(dir.as_fd(), c"upper").ok()?;
        Some(below(dir.as_fd(), 0))
    };
    let own = (0..upper.state.layers.len()).filter_map(layer).sum();
    let frozen = upper.state.layers.iter().flat_map(|layer| &layer.frozen).filter_map(|id| {
        let dir = open_path(&upper.store().frozen(id)).ok()?;
        Some(below(dir.as_fd(), 0))
    });
    (own, frozen.sum())
}

/// Adds to a number how many files differ in an upper directory, `most` at most in all. A directory in which nothing does, or that cannot
/// be read, counts as one.
pub fn changed(upper: &Path, most: u32, before: u32) -> u32 {
    let Ok(entries) = std::fs::read_dir(upper) else { return before.saturating_add(1) };
    let mut count = before;
    for entry in entries.flatten() {
        if count >= most {
            return most;
        }
        // Of an entry that is a link, this is not what it leads to.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let inside = if is_dir { changed(&entry.path(), most, count) } else { count };
        count = inside.max(count + 1);
    }
    count
}

fn below(dir: BorrowedFd<'_>, depth: u32) -> u64 {
    if depth > 1000 {
        return 0;
    }
    let mut sum = 0;
    for (entry, _) in sys::entries(dir).unwrap_or_default() {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let found = sys::openat(dir, &entry, flags, 0).ok().and_then(|fd| std::fs::File::from(fd).metadata().ok());
        let Some(facts) = found else { continue };
        // A file with several names counts for each, in part.
        sum += facts.blocks() * 512 / facts.nlink().max(1);
        if facts.is_dir()
            && let Ok(inner) = open_dir(dir, &entry)
        {
            sum += facts.blocks() * 512 - facts.blocks() * 512 / facts.nlink().max(1);
            sum += below(inner.as_fd(), depth + 1);
        }
    }
    sum
}
