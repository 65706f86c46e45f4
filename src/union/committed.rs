//! How a commit is done, and what it has done.

use super::Guarded;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What was, or would be, done.
#[derive(Debug, Default)]
pub struct Committed {
    /// Paths on the host that are now as they are in the layer, or no longer there.
    pub done: Vec<(char, PathBuf)>,
    /// Paths that were left as they are on the host, since that has changed meanwhile, with the reason.
    pub conflicts: Vec<(PathBuf, String)>,
    /// What was not put onto the host of a path, and why.
    pub left_out: Vec<(PathBuf, String)>,
    /// Paths of guarded names that nobody named, each with the number of changes at or below it that were left out.
    pub guarded: BTreeMap<PathBuf, usize>,
    /// How many of the paths that were left out are deletions which wait for what was not put there.
    pub waiting: usize,
    /// Whether some of these paths are not on the host at all.
    pub incomplete: bool,
    /// Paths of which the host has both changes now.
    pub merged: Vec<PathBuf>,
    /// Paths on the host of deletions that are done without a commit: the host has nothing there any more, by somebody else.
    pub gone: Vec<PathBuf>,
    /// Paths that were asked for by name, and at which nothing differs.
    pub unchanged: Vec<PathBuf>,
}

/// How a commit is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How<'g> {
    /// It is only told what would be done: nothing is changed.
    pub dry: bool,
    /// A text that the host has changed, too, is merged, if no line was changed by both.
    pub merge: bool,
    /// What is at or below one of these names is put onto the host only if a path is named that is at or below the same name.
    pub guarded: Option<&'g Guarded>,
}
