//! What leaves the layers otherwise than by a commit and tools outside may run on their own: whoever uses it is told.

use super::Layer;
use super::guarded::Guarded;
use super::node::NodeKind;
use super::walk::Change;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Finds what a commit would leave alone unless it is named, and counts it.
pub(super) struct RunOutside<'g> {
    guarded: &'g Guarded,
    /// The names that it is at or below, by their paths inside, each with the number of files.
    pub found: BTreeMap<PathBuf, usize>,
}

impl<'g> RunOutside<'g> {
    pub fn new(guarded: &'g Guarded) -> RunOutside<'g> {
        RunOutside { guarded, found: BTreeMap::new() }
    }

    /// The name that a file or link which is there now is at or below; none if it is not, or is no file or link.
    pub fn name(&self, layer: &Layer, change: &Change<'_>) -> Option<PathBuf> {
        let (_, node) = change.new.as_ref()?;
        if !matches!(node.kind, NodeKind::File | NodeKind::Link) {
            return None;
        }
        let host = layer.lower.first().unwrap_or(&layer.path);
        self.guarded.unnamed_of((&layer.path, host), change.path, Some(node.kind), &[])
    }

    pub fn count(&mut self, name: PathBuf) {
        *self.found.entry(name).or_default() += 1;
    }
}
