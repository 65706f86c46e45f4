//! Maps from absolute paths to values, with look-ups of what lies above and below a path.

use crate::host::ByPath;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A map from absolute paths to values, in an order in which a directory comes before what lies in it.
///
/// Paths are compared byte by byte, so they have to be written as [`std::path::Path::components`] would write them: no
/// empty parts, no `.`, no slash at the end. `Path`'s own comparison goes part by part, which takes several times as
/// long and made up a third of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree<T>(BTreeMap<OsString, T>);

impl<T> Tree<T> {
    pub fn new() -> Tree<T> {
        Tree(BTreeMap::new())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, path: &Path) -> Option<&T> {
        self.0.get(path.as_os_str())
    }

    pub fn contains(&self, path: &Path) -> bool {
        self.0.contains_key(path.as_os_str())
    }

    pub fn insert(&mut self, path: impl Into<OsString>, value: T) {
        self.0.insert(path.into(), value);
    }

    /// Inserts a value if the path has none.
    pub fn insert_missing(&mut self, path: impl Into<OsString>, value: impl FnOnce() -> T) {
        if let Entry::Vacant(place) = self.0.entry(path.into()) {
            place.insert(value());
        }
    }

    /// Inserts a value, or has `join` make one of that and the value that the path has.
    pub fn insert_or(&mut self, path: impl Into<OsString>, value: T, join: impl FnOnce(&mut T, T)) {
        match self.0.entry(path.into()) {
            Entry::Vacant(place) => drop(place.insert(value)),
            Entry::Occupied(mut place) => join(place.get_mut(), value),
        }
    }

    /// Inserts many values at once, which takes a fraction of inserting each. Of two for one path, the later one stays.
    pub fn extend(&mut self, values: Vec<(OsString, T)>) {
        self.0.append(&mut BTreeMap::from_iter(values));
    }

    pub fn remove(&mut self, path: &Path) {
        self.0.remove(path.as_os_str());
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&Path, &T) -> bool) {
        self.0.retain(|path, value| keep(Path::new(path), value));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Path, &T)> {
        self.0.iter().map(|(path, value)| (Path::new(path), value))
    }

    /// The value at the path itself, or else at the nearest directory above it that has one.
    pub fn nearest<'p>(&self, path: &'p Path) -> Option<(&'p Path, &T)> {
        upwards(path).find_map(|above| Some((above, self.0.get(above.as_os_str())?)))
    }

    /// Whether anything lies below a path.
    pub fn has_below(&self, path: &Path) -> bool {
        self.below(path).next().is_some()
    }

    /// The paths below a path, with their values, without the path itself.
    pub fn below(&self, path: &Path) -> impl Iterator<Item = (&Path, &T)> {
        let mut first = path.as_os_str().as_bytes().to_vec();
        if first != b"/" {
            first.push(b'/');
        }
        // In this order, every path that begins with "PATH/" lies between "PATH/" and "PATH0": 0 follows / in ASCII.
        let mut end = first.clone();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let [first, end] = [first, end].map(OsString::from_vec);
        let range: (Bound<&OsStr>, Bound<&OsStr>) = (Bound::Excluded(first.borrow()), Bound::Excluded(end.borrow()));
        self.0.range::<OsStr, _>(range).map(|(path, value)| (Path::new(path), value))
    }
}

impl<T> IntoIterator for Tree<T> {
    type Item = (PathBuf, T);
    type IntoIter =
        std::iter::Map<std::collections::btree_map::IntoIter<OsString, T>, fn((OsString, T)) -> (PathBuf, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(path, value)| (path.into(), value))
    }
}

/// A hash map from absolute paths, written as those of a [`Tree`] are: faster, but it can only look up what lies above.
#[derive(Debug, Clone)]
pub(super) struct Places<T>(ByPath<T>);

impl<T> Places<T> {
    /// An empty map with room for `count` values.
    pub fn with_capacity(count: usize) -> Places<T> {
        Places(ByPath::with_capacity_and_hasher(count, Default::default()))
    }

    pub fn get(&self, path: &Path) -> Option<&T> {
        self.0.get(path.as_os_str())
    }

    pub fn contains(&self, path: &Path) -> bool {
        self.0.contains_key(path.as_os_str())
    }

    pub fn insert(&mut self, path: impl Into<OsString>, value: T) {
        self.0.insert(path.into(), value);
    }

    /// The value at the path itself, or else at the nearest directory above it that has one.
    pub fn nearest<'p>(&self, path: &'p Path) -> Option<(&'p Path, &T)> {
        upwards(path).find_map(|above| Some((above, self.get(above)?)))
    }
}

/// An absolute path, then each directory above it up to `/`.
pub(super) fn upwards(path: &Path) -> impl Iterator<Item = &Path> {
    let bytes = path.as_os_str().as_bytes();
    std::iter::successors(Some(bytes), |bytes| match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(0) if bytes.len() > 1 => bytes.get(..1),
        Some(0) | None => None,
        Some(slash) => bytes.get(..slash),
    })
    .map(|bytes| Path::new(OsStr::from_bytes(bytes)))
}

/// Replaces the directory `from`, which `path` is or lies below, by `to`.
pub(super) fn moved(path: &Path, from: &Path, to: &Path) -> PathBuf {
    let rest = path.as_os_str().as_bytes().strip_prefix(from.as_os_str().as_bytes()).unwrap_or_default();
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    if rest.is_empty() { to.to_owned() } else { to.join(OsStr::from_bytes(rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree<()> {
        let mut tree = Tree::new();
        paths.iter().for_each(|path| tree.insert(*path, ()));
        tree
    }

    #[test]
    fn what_lies_below_is_neither_the_path_itself_nor_what_has_a_longer_name() {
        let tree = tree(&["/a", "/a-b", "/a/b", "/a/b/c", "/a0", "/ab", "/"]);
        let below = |path: &str| tree.below(Path::new(path)).map(|(path, ())| path.to_owned()).collect::<Vec<_>>();
        assert_eq!(below("/a"), [Path::new("/a/b"), Path::new("/a/b/c")]);
        assert!(below("/a/b/c").is_empty());
        assert_eq!(below("/").len(), 6);
        assert!(!tree.has_below(Path::new("/a-b")));
    }

    #[test]
    fn the_nearest_is_the_path_itself_or_the_longest_above_it() {
        let tree = tree(&["/", "/a", "/a/b"]);
        for (path, nearest) in [("/a/b", "/a/b"), ("/a/b/c/d", "/a/b"), ("/a/bc", "/a"), ("/x", "/"), ("/", "/")] {
            assert_eq!(tree.nearest(Path::new(path)).map(|(path, ())| path), Some(Path::new(nearest)), "{path}");
        }
    }

    #[test]
    fn upwards_is_what_the_library_says() {
        for path in ["/", "/a", "/a/b", "/usr/lib/x86"] {
            let path = Path::new(path);
            assert!(upwards(path).eq(path.ancestors()), "{}", path.display());
        }
    }

    #[test]
    fn a_moved_path_keeps_what_follows_the_directory() {
        for (path, from, to, moved_path) in [
            ("/a/b", "/a", "/c", "/c/b"),
            ("/a", "/a", "/c", "/c"),
            ("/a", "/", "/c", "/c/a"),
            ("/a/b", "/a", "/", "/b"),
        ] {
            assert_eq!(moved(Path::new(path), Path::new(from), Path::new(to)), Path::new(moved_path));
        }
    }
}
