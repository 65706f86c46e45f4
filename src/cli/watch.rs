//! Directories in which programs outside look for code, and that are writable inside: what is new or changed in them when the program has ended.

use crate::spec::Watched;
use crate::sys;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::{DirEntryExt, MetadataExt};

/// How many names of a directory are told.
const NAMED: usize = 5;

/// How many names of a directory are looked at: that takes some ten milliseconds.
const MOST: usize = 10_000;

/// The directories as they were when the program started.
pub(super) struct Watch<'p> {
    dirs: Vec<(&'p Watched, Before)>,
    /// The time of changes that are made from then on.
    since: u64,
}

/// A directory before the program started.
struct Before {
    /// Which one it was; none if there was none.
    id: Option<(u64, u64)>,
    /// The directories in it, each with its number: their times change with what is in them.
    inner: HashMap<OsString, u64>,
}

impl Watch<'_> {
    pub(super) fn begin(watched: &[Watched]) -> Watch<'_> {
        let before = |dir: &Watched| {
            let entries = std::fs::read_dir(&dir.path).into_iter().flatten().flatten().take(MOST);
            let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            Before {
                id: dir.path.metadata().ok().map(|found| (found.dev(), found.ino())),
                inner: inner.map(|entry| (entry.file_name(), entry.ino())).collect(),
            }
        };
        let since = if watched.is_empty() { 0 } else { sys::file_clock_nanoseconds() };
        Watch { dirs: watched.iter().map(|dir| (dir, before(dir))).collect(), since }
    }

    /// What has changed, as sentences.
    pub(super) fn end(self) -> Vec<String> {
        self.dirs.iter().filter_map(|(dir, before)| self.changed(dir, before)).collect()
    }

    fn changed(&self, Watched { path, variable }: &Watched, before: &Before) -> Option<String> {
        let shown = path.display();
        let look = format!("{variable} outside names this directory, so look at it before the next command");
        let found = match path.metadata() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return None,
            other => other.and_then(|found| Ok((found, std::fs::read_dir(path)?))),
        };
        let (found, entries) = match found {
            Ok(found) => found,
            Err(error) => {
                return Some(format!("{shown} cannot be read any more ({}): {look}", sys::Errno::from(error)));
            }
        };
        if before.id.is_some_and(|id| id != (found.dev(), found.ino())) {
            return Some(format!("{shown} is another directory than when the program started: {look}"));
        }
        let (mut names, mut count) = (Vec::new(), 0);
        for entry in entries.flatten() {
            count += 1;
            if count > MOST {
                return Some(format!(
                    "{shown} holds more than {MOST} names, and what has changed in it was not found: {look}"
                ));
            }
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_new = match is_dir {
                true => before.inner.get(&entry.file_name()) != Some(&entry.ino()),
                false => entry.metadata().is_ok_and(|found| changed_at(&found) >= self.since),
            };
            if is_new {
                names.push(entry.file_name());
            }
        }
        names.sort();
        let some: Vec<_> = names.iter().take(NAMED).map(|name| name.to_string_lossy()).collect();
        let more = names.len().saturating_sub(NAMED);
        let (more, verb) = (
            if more > 0 { format!(" and {more} more") } else { String::new() },
            if names.len() == 1 { "is" } else { "are" },
        );
        (!names.is_empty()).then(|| {
            format!("in {shown}, {}{more} {verb} new or changed since the program started: {look}", some.join(", "))
        })
    }
}

/// When a file was last changed in any way, in nanoseconds since 1970. Programs cannot set that time.
fn changed_at(found: &Metadata) -> u64 {
    (found.ctime() as u64).saturating_mul(1_000_000_000).saturating_add(found.ctime_nsec() as u64)
}
