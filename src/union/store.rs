//! The directory in which upper layers are kept.
//!
//! ```text
//! uppers                  locked by the run that asks the user what becomes of its changes
//! uppers/NAME/lock        locked by whoever uses the layers
//! uppers/NAME/state.json  what they are layers of
//! uppers/NAME/0/upper     the upper directory of the first overlay
//! uppers/NAME/0/work      its work directory
//! uppers/NAME/commit.json what a commit is doing
//! uppers/NAME/committed   which files of the host were changed last by a commit
//! uppers/NAME/bases/...   what texts of the host were when a program changed them
//! uppers/.frozen/ID/upper layers that nobody writes any more
//! homes/NAME/...          private homes, as upper layers, with a directory `home`
//! homes/.locks/DEV-INODE  locked while a sandbox has that file or directory for itself
//! ```

use super::State;
use super::lock::{Lock, Refused};
use super::name::LAST;
use super::own::{c, failed, linked, open_to_others, private, read};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Directory of the store that holds layers which nobody writes any more.
pub(super) const FROZEN: &str = ".frozen";

/// Directory of the store of private homes that holds the files of locks.
const LOCKS: &str = ".locks";

/// The start of the names of upper layers that are removed at the end of a run.
pub(super) const TEMPORARY: &str = ".run-";

/// The start of the names of upper layers that are being removed.
pub(super) const GONE: &str = ".run-gone-";

/// The directory in which a user's upper layers are kept.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) dir: PathBuf,
    /// It holds private homes, rather than upper layers.
    pub(super) homes: bool,
}

impl Store {
    /// The path of the directory: below XDG_DATA_HOME if that is an absolute path, else below the home.
    pub fn place(data_home: Option<&str>, home: &Path) -> PathBuf {
        let data = data_home.filter(|path| path.starts_with('/')).map(PathBuf::from);
        data.unwrap_or_else(|| home.join(".local/share")).join("sbx/uppers")
    }

    /// The path of the directory of private homes, beside that of upper layers.
    pub fn place_of_homes(data_home: Option<&str>, home: &Path) -> PathBuf {
        Store::place(data_home, home).with_file_name("homes")
    }

    /// The store in this directory, which need not exist.
    pub fn new(dir: PathBuf) -> Store {
        Store { dir, homes: false }
    }

    /// The store of private homes in this directory, which need not exist. They have names, locks and a state as upper
    /// layers have, and a directory `home` instead of layers.
    pub fn homes(dir: PathBuf) -> Store {
        Store { dir, homes: true }
    }

    /// Takes the lock that keeps other sandboxes from a file or directory, whichever paths lead there. The store holds the
    /// locks because no sandbox sees it.
    ///
    /// # Errors
    ///
    /// The store cannot be made, or others may enter it. Then, in the inner result: somebody else has the lock.
    pub fn exclude(&self, what: &sys::Stat) -> Result<std::result::Result<Lock, Refused>> {
        self.make()?;
        let (store, dir) = (self.open()?, self.dir.join(LOCKS));
        match sys::mkdirat(store.as_fd(), &c(LOCKS), 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(failed("make", &dir, errno)),
        }
        let locks = private(store.as_fd(), &c(LOCKS), &dir)?;
        Ok(Lock::on(locks.as_fd(), what))
    }

    /// What one of this name is called in messages.
    pub(super) fn called(&self, name: &str) -> String {
        if self.homes { format!("the private home `{name}`") } else { format!("the upper layers `{name}`") }
    }

    /// The error for a name that there is nothing of.
    pub(super) fn unknown(&self, name: &str) -> Error {
        match self.homes {
            true => {
                Error::new(format!("there is no private home `{name}`")).hint("`sbx homes` lists those that there are")
            }
            false => Error::new(format!("there are no upper layers `{name}`"))
                .hint("`sbx uppers` lists those that there are"),
        }
    }

    /// Makes the directory. No link is followed on the way: a program in an earlier sandbox may have left one.
    ///
    /// # Errors
    ///
    /// It cannot be made, or others may enter it.
    pub fn make(&self) -> Result<()> {
        match sys::make_directories(&self.dir, 0o700) {
            Err(Errno(libc::ELOOP)) => return Err(linked(&self.dir)),
            Err(errno) => {
                return Err(failed("make", &self.dir, errno).hint("set XDG_DATA_HOME to a directory of yours"));
            }
            Ok(()) => {}
        }
        self.open().map(drop)
    }

    /// Opens the directory. No link is followed on the way.
    ///
    /// # Errors
    ///
    /// It cannot be opened, it or the directory that it lies in belongs to somebody else, or others may enter it.
    pub(super) fn open(&self) -> Result<OwnedFd> {
        let (parent, name) = (self.dir.parent().unwrap_or(&self.dir), self.dir.file_name().unwrap_or_default());
        let fd = match sys::open_resolved(&c(parent)) {
            Err(Errno(libc::ELOOP)) => return Err(linked(parent)),
            other => other.map_err(|errno| failed("open", parent, errno))?,
        };
        let owner = sys::owner(fd.as_fd()).map_err(|errno| failed("look up", parent, errno))?;
        if owner.uid != sys::effective_uid() || owner.mode & 0o022 != 0 {
            return Err(open_to_others(parent));
        }
        private(fd.as_fd(), &c(name), &self.dir)
            .map_err(|error| if self.dir.is_symlink() { linked(&self.dir) } else { error })
    }

    /// Path of a layer that nobody writes any more.
    pub(super) fn frozen(&self, id: &str) -> PathBuf {
        self.dir.join(FROZEN).join(id).join("upper")
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The names of the upper layers, sorted; none if there is no store yet.
    ///
    /// # Errors
    ///
    /// They cannot be read. What other layers lie over must not be taken for unused then.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = self.entries()?;
        names.retain(|name| super::check_name(name).is_ok());
        names.sort();
        Ok(names)
    }

    /// Whether there is no store yet, nor anything in its place.
    pub(super) fn is_missing(&self) -> bool {
        sys::open_resolved(&c(&self.dir)).is_err_and(|errno| errno == Errno(libc::ENOENT))
    }

    /// The names in the store's directory, as far as they are UTF-8: sbx makes no others.
    fn entries(&self) -> Result<Vec<String>> {
        if self.is_missing() {
            return Ok(Vec::new());
        }
        let entries = sys::entries(self.open()?.as_fd());
        let entries = entries.map_err(|errno| failed("read the names in", &self.dir, errno))?;
        Ok(entries.into_iter().filter_map(|(name, _)| name.into_string().ok()).collect())
    }

    /// The name itself, or for `LAST` that of the upper layers that were used last.
    ///
    /// # Errors
    ///
    /// It is no name, or there are no upper layers.
    pub fn named(&self, name: &str) -> Result<String> {
        if name != LAST || self.homes {
            return match super::check_name(name) {
                Ok(()) => Ok(name.to_owned()),
                Err(why) if self.homes => Err(Error::new(format!("`{name}` is no name of a private home")).hint(why)),
                Err(why) => Err(Error::new(format!("`{name}` is no name of upper layers")).hint(why)),
            };
        }
        let used = |name: &String| self.peek(name).map_or(0, |state| state.used);
        self.names()?.into_iter().max_by_key(used).ok_or_else(|| {
            Error::new("there are no upper layers")
                .hint("a run keeps its changes with --upper keep:NAME, or --upper ask")
        })
    }

    /// What is recorded of upper layers, without locking them.
    pub fn peek(&self, name: &str) -> Option<State> {
        let dir = sys::openat(self.open().ok()?.as_fd(), &c(name), libc::O_DIRECTORY | libc::O_NOFOLLOW, 0).ok()?;
        State::parse(&read(dir.as_fd(), "state.json").ok()?).ok()
    }

    /// A later run finds what cannot be found now.
    pub(super) fn temporary_names(&self) -> impl Iterator<Item = String> {
        self.entries().unwrap_or_default().into_iter().filter(|name| name.starts_with(TEMPORARY))
    }

    /// Removes what an interruption has left that belongs to no layers: directories without a state, and frozen layers that
    /// no layers lie over. (Every frozen layer is named by a state before it is made.) What cannot be removed stays.
    pub fn collect(&self) {
        let (Ok(store), Ok(names)) = (self.open(), self.names()) else { return };
        let mut stateless = false;
        let mut named = Vec::new();
        for name in names.into_iter().chain(self.temporary_names()) {
            let Some(state) = self.peek(&name) else {
                // The last files of one that was removed.
                match name.starts_with(GONE) && !self.dir.join(&name).join("state.json").exists() {
                    true => drop(super::remove(store.as_fd(), &c(&name))),
                    // It may lie over any.
                    false => stateless = true,
                }
                continue;
            };
            named.extend(state.layers.into_iter().flat_map(|layer| layer.frozen));
        }
        let Ok(frozen) = private(store.as_fd(), &c(FROZEN), &self.dir.join(FROZEN)) else { return };
        for (id, _) in sys::entries(frozen.as_fd()).unwrap_or_default().into_iter().filter(|_| !stateless) {
            if !named.iter().any(|name| name.as_bytes() == id.to_bytes()) {
                let _ = super::remove(frozen.as_fd(), &id);
            }
        }
    }

    /// Waits until no other run asks the user what becomes of its changes, and takes the right to do so, by a lock on the directory; none
    /// if it cannot be locked.
    pub fn question(&self) -> Option<OwnedFd> {
        let store = self.open().ok()?;
        loop {
            match sys::try_lock(store.as_fd()) {
                Ok(()) => return Some(store),
                Err(Errno(libc::EWOULDBLOCK)) => std::thread::sleep(Duration::from_millis(100)),
                Err(_) => return None,
            }
        }
    }
}
