//! Rules for paths, in the order of directories and what is in them.

use crate::spec::PathRule;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

/// A sort key that orders paths as `Path` does, part by part, so that a directory's contents follow it directly.
/// Comparing the bytes is faster than comparing `Path`s.
pub(super) fn by_parts(path: &Path) -> Vec<u8> {
    let part_end = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    path.as_os_str().as_encoded_bytes().iter().map(part_end).collect()
}

/// Rules by their path as [`by_parts`] orders it, each with the source of its path.
pub(super) type Rules = BTreeMap<Vec<u8>, (usize, PathRule)>;

/// The rule for a path, or for the nearest directory above it that has one.
pub(super) fn nearest<'r>(paths: &'r Rules, path: &Path) -> Option<&'r PathRule> {
    path.ancestors().find_map(|above| paths.get(&by_parts(above))).map(|(_, rule)| rule)
}

/// Adds a rule, unless there is one for its path.
pub(super) fn add(paths: &mut Rules, rule: PathRule) {
    paths.entry(by_parts(&rule.path)).or_insert((0, rule));
}

/// Adds a rule that closes its path. A project's rule for that path stands, and is judged by this one.
pub(super) fn close(paths: &mut Rules, rule: PathRule) {
    match paths.entry(by_parts(&rule.path)) {
        Entry::Vacant(place) => drop(place.insert((0, rule))),
        Entry::Occupied(mut place) => {
            let old = &mut place.get_mut().1;
            if old.project && old.below.is_none() {
                old.below = Some(Box::new(rule));
            }
        }
    }
}
