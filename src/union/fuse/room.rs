//! Keeps changes within what they may take.
//!
//! What a call needs is asked for before, and what it took is measured afterwards by the blocks of the file. What is freed is not followed
//! one by one: once there seems to be no room, and something was removed since, everything is counted anew.

use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// What each file, directory or link counts besides its blocks, so that there is an end of empty ones.
const FILE: u64 = 1024;

/// The unit of `st_blocks`.
const BLOCK: u64 = 512;

fn size(status: &FileStatus) -> u64 {
    FILE + status.blocks * BLOCK
}

impl Server {
    /// Asks for so many bytes.
    ///
    /// # Errors
    ///
    /// ENOSPC: that is more than is left.
    pub(super) fn room_for(&mut self, bytes: u64) -> Result<()> {
        let Some(limit) = self.budget.limit else { return Ok(()) };
        if self.budget.used.saturating_add(bytes) > limit && std::mem::take(&mut self.budget.stale) {
            self.budget.used = self.count()?;
        }
        match self.budget.used.saturating_add(bytes) > limit {
            true => Err(Errno(libc::ENOSPC)),
            false => Ok(()),
        }
    }

    /// The limit, and how much of it is left.
    pub(super) fn left(&mut self) -> Option<(u64, u64)> {
        let limit = self.budget.limit?;
        // Counts, if that is due.
        let _ = self.room_for(limit);
        Some((limit, limit.saturating_sub(self.budget.used)))
    }

    /// Notes that a file, directory or link was made.
    pub(super) fn took(&mut self, status: &FileStatus) {
        self.budget.used = self.budget.used.saturating_add(size(status));
    }

    /// Makes a call that may make a file grow by so many bytes.
    pub(super) fn growing<T>(
        &mut self,
        file: BorrowedFd<'_>,
        bytes: u64,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.budget.limit.is_none() {
            return call();
        }
        self.room_for(bytes)?;
        let before = sys::status_of(file, c"")?.blocks;
        let done = call();
        let after = sys::status_of(file, c"")?.blocks;
        self.budget.used = self.budget.used.saturating_add(after * BLOCK).saturating_sub(before * BLOCK);
        done
    }

    /// How much a write of a range may make a file grow: nothing where it has all of it.
    pub(super) fn missing(&self, file: BorrowedFd<'_>, offset: u64, length: u64) -> u64 {
        match self.budget.limit {
            Some(_) if sys::seek_next(file, offset, true).is_ok_and(|hole| hole >= offset.saturating_add(length)) => 0,
            _ => length,
        }
    }

    /// Counts what the upper layers have, and the files that are open and have no name any more.
    fn count(&self) -> Result<u64> {
        let mut sum = 0;
        let mut several = HashSet::new();
        let uppers = self.unions.iter().filter_map(|union| union.upper.as_ref());
        let mut waiting: Vec<Arc<OwnedFd>> = uppers.map(|upper| upper.root.clone()).collect();
        while let Some(dir) = waiting.pop() {
            for (name, _) in sys::entries(dir.as_fd())? {
                let Ok(status) = sys::status_of(dir.as_fd(), &name) else { continue };
                let is_dir = status.mode & libc::S_IFMT == libc::S_IFDIR;
                if is_dir || status.links < 2 || several.insert((status.dev, status.ino)) {
                    sum += size(&status);
                }
                if is_dir {
                    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
                    waiting.push(Arc::new(sys::openat(dir.as_fd(), &name, flags, 0)?));
                }
            }
        }
        for kept in self.nodes.kept() {
            sum += sys::status_of(kept.as_fd(), c"")
                .ok()
                .filter(|status| status.links == 0)
                .map_or(0, |status| size(&status));
        }
        Ok(sum)
    }
}
