//! Directories in which programs outside look for code, and that are writable inside: what is new or changed in them when the program has ended.

use crate::spec::Watched;
use crate::sys;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{DirEntry, Metadata};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

/// How many names of a directory are told.
const NAMED: usize = 5;

/// How many names of a directory are looked at: that takes some ten milliseconds.
const MOST: usize = 10_000;

/// The directories as they were when the program started.
pub(super) struct Watch<'p> {
    dirs: Vec<(&'p Watched, Before)>,
}

/// A directory or file before the program started.
#[derive(Default)]
struct Before {
    /// A time that changes made from then on have, or a later one.
    since: u64,
    /// Where its name led; none if that led nowhere.
    real: Option<PathBuf>,
    /// The device and the inode number of the directory or file; none if nothing was there.
    id: Option<(u64, u64)>,
    /// The directories in it, each with its number: their times change with what is in them.
    inner: HashMap<OsString, u64>,
    /// The links in it, each with the file that it led to.
    targets: HashMap<OsString, Option<(u64, u64)>>,
}

impl Before {
    fn of(Watched { named, .. }: &Watched) -> Before {
        let Ok(found) = named.metadata() else { return Before::default() };
        let since = sys::time_between_changes(named, Duration::ZERO);
        let mut before = Before { since, real: named.canonicalize().ok(), id: Some(id(&found)), ..Before::default() };
        for entry in std::fs::read_dir(named).into_iter().flatten().flatten().take(MOST) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    before.inner.insert(entry.file_name(), entry.ino());
                }
                Ok(kind) if kind.is_symlink() => {
                    before.targets.insert(entry.file_name(), target(&entry).map(|found| id(&found)));
                }
                _ => {}
            }
        }
        before
    }

    /// Whether a file may have changed since.
    fn is_new(&self, found: &Metadata) -> bool {
        changed_at(found) >= self.since.into()
    }
}

/// Which file is described.
fn id(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// What a link in a directory leads to.
fn target(entry: &DirEntry) -> Option<Metadata> {
    entry.path().metadata().ok()
}

impl Watch<'_> {
    pub(super) fn begin(watched: &[Watched]) -> Watch<'_> {
        Watch { dirs: watched.iter().map(|dir| (dir, Before::of(dir))).collect() }
    }

    /// What has changed, as sentences.
    pub(super) fn end(self) -> Vec<String> {
        self.dirs.iter().filter_map(|(dir, before)| before.changed(dir)).collect()
    }
}

impl Before {
    /// What has changed of it, as a sentence.
    fn changed(&self, Watched { path, named, variable }: &Watched) -> Option<String> {
        let shown = path.display();
        let look = |what: &str| format!("{variable} outside names this {what}, so look at it before the next command");
        let found = match named.metadata() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return None,
            other => other.and_then(|found| Ok((named.canonicalize()?, found))),
        };
        let unread =
            |error| Some(format!("{shown} cannot be read any more ({}): {}", sys::Errno::from(error), look("path")));
        let (real, found) = match found {
            Ok(found) => found,
            Err(error) => return unread(error),
        };
        let what = if found.is_dir() { "directory" } else { "file" };
        if self.real.as_ref().is_some_and(|was| *was != real) || self.id.is_some_and(|was| was != id(&found)) {
            return Some(format!(
                "{} is another {what} than when the program started: {}",
                named.display(),
                look(what)
            ));
        }
        if !found.is_dir() {
            let is_new = self.id.is_none() || self.is_new(&found);
            return is_new.then(|| format!("{shown} is new or changed since the program started: {}", look(what)));
        }
        let entries = match std::fs::read_dir(named) {
            Ok(entries) => entries,
            Err(error) => return unread(error),
        };
        let (mut names, mut count) = (Vec::new(), 0);
        for entry in entries.flatten() {
            count += 1;
            if count > MOST {
                let all = format!("{shown} holds more than {MOST} names, and what has changed in it was not found");
                return Some(format!("{all}: {}", look(what)));
            }
            // What is moved into place has times of before.
            if self.id.is_none() || self.is_changed(&entry) {
                names.push(entry.file_name());
            }
        }
        names.sort();
        let some: Vec<_> = names.iter().take(NAMED).map(|name| name.to_string_lossy()).collect();
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let verb = if names.len() == 1 { "is" } else { "are" };
        (!names.is_empty()).then(|| {
            let what_is =
                format!("in {shown}, {}{more} {verb} new or changed since the program started", some.join(", "));
            format!("{what_is}: {}", look(what))
        })
    }

    /// Whether a name in a directory is new, or what it stands for has changed.
    fn is_changed(&self, entry: &DirEntry) -> bool {
        let Ok(kind) = entry.file_type() else { return false };
        if kind.is_dir() {
            return self.inner.get(&entry.file_name()) != Some(&entry.ino());
        }
        if entry.metadata().is_ok_and(|found| self.is_new(&found)) {
            return true;
        }
        if !kind.is_symlink() {
            return false;
        }
        let found = target(entry);
        let is_other = self.targets.get(&entry.file_name()) != Some(&found.as_ref().map(id));
        is_other || found.is_some_and(|found| !found.is_dir() && self.is_new(&found))
    }
}

/// When a file was last changed in any way, at the latest, in nanoseconds since 1970. Programs cannot set that time.
fn changed_at(found: &Metadata) -> i128 {
    sys::last_moment(i128::from(found.ctime()) * 1_000_000_000 + i128::from(found.ctime_nsec()))
}
