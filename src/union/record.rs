//! Marks the directories of the host that the program saw, as soon as it has ended: what changes there later is then told
//! from another directory in its place.

use super::Upper;
use super::seen::Mark;
use super::walk::{Change, Visitor, walk};
use crate::error::Result;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Marks the directories in all layers whose directory on the host is known.
///
/// # Errors
///
/// A layer cannot be read.
pub fn record(upper: &Upper) -> Result<()> {
    (0..upper.state.layers.len()).try_for_each(|index| walk(upper, index, &[], &mut Record))
}

struct Record;

impl Visitor for Record {
    fn change(&mut self, _: &Change<'_>) -> Result<()> {
        Ok(())
    }

    fn too_deep(&mut self, _: &Path) {}

    fn known(&mut self, dir: BorrowedFd<'_>, mark: &Mark) -> Result<()> {
        // One that cannot be marked is known by times alone.
        let _ = mark.write(dir);
        Ok(())
    }

    fn compares(&self) -> bool {
        false
    }
}
