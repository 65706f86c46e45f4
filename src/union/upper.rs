//! Upper layers that are locked: nobody else uses or removes them meanwhile.

use super::lock::{self, Refused};
use super::own::{c, failed, private, read};
use super::store::{GONE, Store, TEMPORARY};
use super::{Ids, State};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Upper layers that this process has locked.
#[derive(Debug)]
pub struct Upper {
    /// Their name.
    pub name: String,
    /// What is recorded of them.
    pub state: State,
    /// Whether this process has made them.
    pub new: bool,
    /// Their directory, by its path.
    dir: PathBuf,
    /// Their directory.
    fd: OwnedFd,
    /// The lock.
    lock: OwnedFd,
}

impl Store {
    /// Locks upper layers of this name. With `ids`, they are made if there are none yet.
    ///
    /// # Errors
    ///
    /// Somebody else uses them, there are none, they are of other ids, or they cannot be read.
    pub fn lock(&self, name: &str, ids: Option<&Ids>) -> Result<Upper> {
        let store = self.open().map_err(|error| match ids.is_none() && self.is_missing() {
            true => self.unknown(name),
            false => error,
        })?;
        let dir = self.dir.join(name);
        // Whoever removes layers renames them first; the lock of what was renamed is of no use.
        for _ in 0..100 {
            let new = ids.is_some() && sys::mkdirat(store.as_fd(), &c(name), 0o700).is_ok();
            let fd = match private(store.as_fd(), &c(name), &dir) {
                Err(_) if ids.is_none() && !dir.exists() => return Err(self.unknown(name)),
                other => other?,
            };
            let lock = match lock::take(fd.as_fd(), c"lock") {
                Err(Refused::Held(holder)) => {
                    let used = if self.homes { "is in use" } else { "are in use" };
                    return Err(Error::new(format!("{} {used}{holder}", self.called(name))).hint(match self.homes {
                        true => "wait until the sandbox that uses it has ended; or take another name",
                        false => "wait until the sandbox that uses them has ended; or take another name",
                    }));
                }
                Err(Refused::Failed(errno)) => return Err(failed("lock", &dir, errno)),
                Ok(lock) => lock,
            };
            let same = |found: sys::Result<sys::Stat>| found == sys::stat(fd.as_fd());
            if !same(sys::stat_below(store.as_fd(), &c(name))) {
                continue;
            }
            lock::note(lock.as_fd());
            let text = match read(fd.as_fd(), "state.json") {
                Ok(text) => Some(text),
                Err(Errno(libc::ENOENT)) if ids.is_some() => None,
                Err(errno) => return Err(failed("read", &dir.join("state.json"), errno)),
            };
            let recorded = text.is_some();
            let state = match (text, ids) {
                (Some(text), _) => State::parse(&text).map_err(|why| {
                    Error::new(format!("{}: {why}", dir.join("state.json").display()))
                        .hint(format!("`sbx discard {name}` removes the layers"))
                })?,
                (None, ids) => State::new(ids.cloned().unwrap_or_default()),
            };
            if ids.is_some_and(|ids| *ids != state.ids) {
                let message = format!("the upper layers `{name}` are of a sandbox with other ids");
                let hint = format!(
                    "run with the ids of before (--user {}), or take another name",
                    state.ids.word(sys::ids().0)
                );
                return Err(Error::new(message).hint(hint));
            }
            return Ok(Upper { name: name.to_owned(), state, new: new || !recorded, dir, fd, lock });
        }
        Err(Error::new(format!("the upper layers `{name}` are made and removed again and again")))
    }

    /// Layers that nobody has any use for: of a run that was killed, or whose removal was interrupted.
    pub fn stale(&self) -> Vec<Upper> {
        // One that is being made has no state yet, and is not even locked: whoever makes it would find it in use. Then it is locked.
        let recorded = self.temporary_names().filter(|name| self.peek(name).is_some());
        recorded.filter_map(|name| self.lock(&name, None).ok()).collect()
    }

    /// New upper layers for one run, with a name that nobody chooses.
    ///
    /// # Errors
    ///
    /// They cannot be made.
    pub fn temporary(&self, ids: &Ids) -> Result<Upper> {
        self.lock(&format!("{TEMPORARY}{}-{}", std::process::id(), sys::realtime_nanoseconds()), Some(ids))
    }

    /// New upper layers with a name by the time, for a run of which the user says at the end what becomes of them. Of two runs that
    /// start at once, each has its own.
    ///
    /// # Errors
    ///
    /// They cannot be made.
    pub fn unnamed(&self, ids: &Ids) -> Result<Upper> {
        let seconds = sys::realtime_nanoseconds() / 1_000_000_000;
        let stamp = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        let stamp: String = stamp.chars().filter(char::is_ascii_digit).collect();
        let base = format!("run-{stamp}");
        let store = self.open()?;
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        for name in std::iter::once(base.clone()).chain(numbered) {
            match sys::mkdirat(store.as_fd(), &c(&name), 0o700) {
                Ok(()) => return self.lock(&name, Some(ids)),
                Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(failed("make", &self.dir.join(name), errno)),
            }
        }
        self.lock(&base, Some(ids))
    }
}

impl Upper {
    /// The descriptor of the lock, by its number.
    pub fn lock_number(&self) -> RawFd {
        self.lock.as_raw_fd()
    }

    /// The directory of these layers.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Path of that directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The store that these layers are in.
    pub fn store(&self) -> Store {
        Store { dir: self.dir.parent().unwrap_or(&self.dir).to_owned(), homes: false }
    }

    /// Notes that the layers are used now.
    pub fn touch(&mut self) {
        self.state.used = sys::realtime_nanoseconds() / 1_000_000;
    }

    /// Writes what is recorded of the layers, at once or not at all.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn save(&self) -> Result<()> {
        let path = self.dir.join("state.json");
        let text = serde_json::to_string(&self.state).map_err(|error| {
            Error::new(format!("{}: {error}", path.display())).hint("paths of layers must be UTF-8")
        })?;
        let write = || -> sys::Result<()> {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW;
            let file = sys::openat(self.fd.as_fd(), c"state.new", flags, 0o600)?;
            sys::write_all(file.as_fd(), text.as_bytes())?;
            sys::rename(self.fd.as_fd(), c"state.new", self.fd.as_fd(), c"state.json", 0)
        };
        write().map_err(|errno| failed("write", &path, errno))
    }

    /// Removes the layers; `release` removes what they lie over. Nobody finds the name any more from the start, and if this is
    /// interrupted, what is left is among [`Store::stale`].
    ///
    /// # Errors
    ///
    /// A file cannot be removed.
    pub(super) fn remove(self, release: impl FnOnce(&State) -> Result<()>) -> Result<()> {
        let store = self.store();
        let fd = store.open()?;
        let gone = format!("{GONE}{}-{}", std::process::id(), sys::realtime_nanoseconds());
        sys::rename(fd.as_fd(), &c(&self.name), fd.as_fd(), &c(&gone), sys::RENAME_NOREPLACE)
            .map_err(|errno| failed("remove", &self.dir, errno))?;
        // The state goes last: it says which ids the rest is of, and what they lie over.
        for index in 0..self.state.layers.len() {
            super::remove(self.fd.as_fd(), &c(index.to_string()))
                .map_err(|errno| failed("remove", &self.dir, errno))?;
        }
        release(&self.state)?;
        super::remove(fd.as_fd(), &c(&gone)).map_err(|errno| failed("remove", &self.dir, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::DirBuilderExt;

    #[test]
    fn layers_that_are_being_made_are_left_alone_by_whoever_looks_for_those_of_nobody() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::new(place.path().join("uppers"));
        store.make().unwrap();
        let made = store.dir.join(".run-1-1");
        std::fs::DirBuilder::new().mode(0o700).create(&made).unwrap();
        assert!(store.stale().is_empty());
        assert_eq!(std::fs::read_dir(&made).unwrap().count(), 0, "it was locked");
        // One of a run that was killed.
        let upper = store.temporary(&Ids::default()).unwrap();
        upper.save().unwrap();
        assert!(store.stale().is_empty());
        drop(upper);
        assert_eq!(store.stale().len(), 1);
    }
}
