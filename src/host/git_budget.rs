//! How much is done for what repositories of git's hold. Whoever wrote a project decides what is in them, and neither a limit of the
//! sandbox nor its timeout counts yet.

use crate::sys::{self, Errno};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much is read of configuration, in bytes, for all repositories of a project. What costs time or memory otherwise
/// is counted in bytes, too.
const WORK: usize = 32 << 20;
/// How much of indices is read, in bytes: those of a million files.
const INDICES: usize = 128 << 20;

/// What a path that is looked up, a file that is opened and a directory that is read count as.
pub(super) const LOOKUP: usize = 1 << 10;
/// What a line of a configuration counts as.
pub(super) const LINE: usize = 1 << 8;
/// What a name in a directory counts as.
pub(super) const NAME: usize = 1 << 6;

/// What is left of that, for one search.
#[derive(Debug)]
pub(super) struct Budget {
    work: usize,
    indices: usize,
    exceeded: bool,
}

impl Budget {
    pub fn new() -> Budget {
        Budget { work: WORK, indices: INDICES, exceeded: false }
    }

    /// Whether the search has to stop.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded
    }

    /// Takes this much. False if there is no more.
    pub fn spend(&mut self, bytes: usize) -> bool {
        take(&mut self.work, bytes, &mut self.exceeded)
    }

    /// Opens an index, and takes its size. Gives that, too; none if there is no more.
    pub fn index(&mut self, file: &Path) -> Result<Option<(File, usize)>, Errno> {
        let file = File::from(sys::open_regular(file)?);
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        Ok(take(&mut self.indices, size, &mut self.exceeded).then_some((file, size)))
    }

    /// Reads a file of at most this many bytes: none if it is larger, or there is no more.
    pub fn read(&mut self, file: &Path, most: usize) -> Result<Option<Vec<u8>>, Errno> {
        if !self.spend(LOOKUP) {
            return Ok(None);
        }
        let mut text = Vec::new();
        File::from(sys::open_regular(file)?).take(most as u64 + 1).read_to_end(&mut text)?;
        Ok((self.spend(text.len()) && text.len() <= most).then_some(text))
    }
}

fn take(left: &mut usize, bytes: usize, exceeded: &mut bool) -> bool {
    *exceeded |= *left < bytes;
    *left = left.saturating_sub(bytes);
    !*exceeded
}
