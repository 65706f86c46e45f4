//! The names in a directory, read at once instead of looked up one by one.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// How many names of a directory are read at most.
const MOST: usize = 500;

/// The names in a directory, by which it can be told that others are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(BTreeSet<OsString>);

impl Names {
    /// Those of a directory. None if it cannot be read, has too many, or has some that a filesystem without a distinction of
    /// upper and lower case may find by another name.
    pub fn of(dir: &Path) -> Option<Names> {
        let entries = crate::sys::read_dir(dir).ok()?.take(MOST + 1);
        let names = entries.map(|entry| entry.ok().map(|entry| entry.file_name()).filter(|name| name.is_ascii()));
        let names = names.map(|name| name.map(|name| name.to_ascii_lowercase())).collect::<Option<BTreeSet<_>>>()?;
        (names.len() <= MOST).then_some(Names(names))
    }

    /// All of them, in lower case.
    pub fn into_set(self) -> BTreeSet<OsString> {
        self.0
    }

    /// Whether there is no such name, in upper or lower case.
    pub fn lack(&self, name: &OsStr) -> bool {
        !self.0.contains(&name.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_found_by_another_name_is_not_told_to_be_absent() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".GIT"), "").unwrap();
        let names = Names::of(dir.path()).unwrap();
        assert!(!names.lack(OsStr::new(".git")) && names.lack(OsStr::new(".envrc")));
        std::fs::write(dir.path().join(".v\u{17f}code"), "").unwrap();
        assert_eq!(Names::of(dir.path()), None);
        assert_eq!(Names::of(&dir.path().join("none")), None);
    }
}
