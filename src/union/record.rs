//! Marks the directories of the host that the program saw, as soon as it has ended: what changes there later is then told
//! from another directory in its place.

use super::Upper;
use super::bases::Bases;
use super::change::Change;
use super::ours::Ours;
use super::seen::Mark;
use super::walk::{Visitor, at, walk};
use crate::error::Result;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Marks the directories in all layers whose directory on the host is known, and keeps texts of the host that the program has changed.
///
/// # Errors
///
/// A layer cannot be read.
pub fn record(upper: &Upper) -> Result<()> {
    (0..upper.state.layers.len()).try_for_each(|index| walk(upper, index, &[], &mut Record))?;
    let bases = Bases::open(upper).map_err(at(upper.path(), "write to"))?;
    bases.sweep(&|path| upper.has(path)).map_err(at(upper.path(), "write to"))?;
    let mut keep = Keep { bases, ours: Ours::read(upper), started: 0 };
    upper.state.layers.iter().enumerate().try_for_each(|(index, layer)| {
        keep.ours.enter(index);
        keep.started = layer.runs.last().copied().unwrap_or(0).into();
        walk(upper, index, &[], &mut keep)
    })
}

/// Keeps texts of the host that the program has changed.
struct Keep {
    bases: Bases,
    ours: Ours,
    /// When the last run started.
    started: i128,
}

impl Visitor for Keep {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        // What is not kept cannot be merged, and is a conflict as it is.
        let _ = self.bases.keep(change, self.started, &|node| self.ours.has(node));
        Ok(())
    }

    fn too_deep(&mut self, _: &Path) {}
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
