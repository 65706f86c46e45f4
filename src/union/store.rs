//! The directory in which upper layers are kept, and their locks.
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

use super::lock::{self, Lock, Refused};
use super::name::LAST;
use super::node::Node;
use super::seen::Mark;
use super::{Ids, Layer, State};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Directory of the store that holds layers which nobody writes any more.
pub(super) const FROZEN: &str = ".frozen";

/// Directory of the store of private homes that holds the files of locks.
const LOCKS: &str = ".locks";

/// The start of the names of upper layers that are removed at the end of a run.
const TEMPORARY: &str = ".run-";

/// How long the start of a run, or the end of a commit, waits until later changes of files have later times. A tick of the kernel's clock is
/// no longer.
const TICK: Duration = Duration::from_millis(20);

/// Runs of which a layer lists the start.
const MOST_RUNS: usize = 1000;

/// The start of the names of upper layers that are being removed.
const GONE: &str = ".run-gone-";

/// The directory in which a user's upper layers are kept.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    /// It holds private homes, rather than upper layers.
    homes: bool,
}

/// The directories of one overlay in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpperDirectories {
    /// The upper directory.
    pub upper: PathBuf,
    /// The work directory.
    pub work: PathBuf,
    /// Directories to lie between the upper one and those of the host, the topmost first.
    pub frozen: Vec<PathBuf>,
}

/// The directories of the overlays of a sandbox, and the lock on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The descriptor of the lock.
    pub lock: RawFd,
    /// Path inside and directories of each overlay.
    pub layers: Vec<(PathBuf, UpperDirectories)>,
}

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

fn c(text: impl AsRef<std::ffi::OsStr>) -> CString {
    CString::new(text.as_ref().as_bytes()).unwrap_or_default()
}

fn failed(what: &str, path: &Path, errno: impl Into<Errno>) -> Error {
    Error::new(format!("cannot {what} {}: {}", path.display(), errno.into()))
}

/// The time in nanoseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
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
    fn called(&self, name: &str) -> String {
        if self.homes { format!("the private home `{name}`") } else { format!("the upper layers `{name}`") }
    }

    /// The error for a name that there is nothing of.
    fn unknown(&self, name: &str) -> Error {
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
    fn is_missing(&self) -> bool {
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
        // One that is being made has no state yet, or is locked.
        self.temporary_names().filter_map(|name| self.lock(&name, None).ok()).collect()
    }

    /// A later run finds what cannot be found now.
    fn temporary_names(&self) -> impl Iterator<Item = String> {
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

    /// New upper layers for one run, with a name that nobody chooses.
    ///
    /// # Errors
    ///
    /// They cannot be made.
    pub fn temporary(&self, ids: &Ids) -> Result<Upper> {
        self.lock(&format!("{TEMPORARY}{}-{}", std::process::id(), now()), Some(ids))
    }

    /// New upper layers with a name by the time, for a run of which the user says at the end what becomes of them. Of two runs that
    /// start at once, each has its own.
    ///
    /// # Errors
    ///
    /// They cannot be made.
    pub fn unnamed(&self, ids: &Ids) -> Result<Upper> {
        let seconds = now() / 1_000_000_000;
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

/// Opens a directory that belongs to this user alone.
pub(super) fn private(dir: BorrowedFd<'_>, name: &std::ffi::CStr, path: &Path) -> Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let fd = match sys::openat(dir, name, flags, 0) {
        Err(Errno(libc::ELOOP | libc::ENOTDIR)) => {
            return Err(Error::new(format!(
                "{} is no directory, and sbx makes none but directories there",
                path.display()
            ))
            .hint(format!("a program may have left it: rm {}", path.display())));
        }
        other => other.map_err(|errno| failed("open", path, errno))?,
    };
    let owner = sys::owner(fd.as_fd()).map_err(|errno| failed("look up", path, errno))?;
    if owner.uid != sys::effective_uid() || owner.mode & 0o077 != 0 {
        return Err(open_to_others(path));
    }
    Ok(fd)
}

fn open_to_others(path: &Path) -> Error {
    Error::new(format!("{} is open to others, or another user's", path.display()))
        .hint(format!("close it: chmod 700 {}", path.display()))
}

/// The error for a directory of the store that a link is on the way to.
fn linked(dir: &Path) -> Error {
    let ways: Vec<_> = dir.ancestors().collect();
    link_to_store(ways.into_iter().rev().find(|path| path.is_symlink()).unwrap_or(dir))
}

/// The error for a link in sbx's part of the way to a store.
pub fn link_to_store(link: &Path) -> Error {
    let link = link.display();
    Error::new(format!(
        "{link} is a link, and sbx follows none to its own directories: a program may have put it there"
    ))
    .hint(format!(
        "look at what it leads to; remove it, or move that directory to {link}; XDG_DATA_HOME names another place"
    ))
}

/// The text of a small file of this user's own.
pub(super) fn read(dir: BorrowedFd<'_>, name: &str) -> sys::Result<String> {
    use std::io::Read;
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = sys::openat(dir, &c(name), flags, 0)?;
    let mut text = String::new();
    std::fs::File::from(file).take(1 << 20).read_to_string(&mut text)?;
    Ok(text)
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

    /// The directories for an overlay, which are made if it has none yet. `own` are the paths inside of the view's own files
    /// in it; `served`: it is about to lie over the view server's filesystem.
    ///
    /// # Errors
    ///
    /// They cannot be made, or the overlay lies over other directories of the host than before.
    pub fn layer(&mut self, path: &Path, lower: &[PathBuf], own: &[PathBuf], served: bool) -> Result<UpperDirectories> {
        // Nobody compares what does not outlast the run.
        let patience = if self.name.starts_with(TEMPORARY) { Duration::ZERO } else { TICK };
        let start = sys::time_between_changes(lower.first().map_or(path, PathBuf::as_path), patience);
        let index = match self.state.layers.iter().position(|layer| layer.path == path) {
            Some(index) => {
                let before = self.state.layers.get(index).map(|layer| layer.lower.as_slice()).unwrap_or_default();
                if before != lower {
                    let names = |dirs: &[PathBuf]| dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>();
                    return Err(Error::new(format!(
                        "the upper layer of {} in `{}` lies over {}, and is now to lie over {}",
                        path.display(),
                        self.name,
                        names(before).join(", "),
                        names(lower).join(", ")
                    ))
                    .hint("take another name: --upper keep:NAME"));
                }
                index
            }
            None => {
                let layer = Layer {
                    path: path.to_owned(),
                    lower: lower.to_vec(),
                    frozen: Vec::new(),
                    own: Vec::new(),
                    root: lower.first().and_then(|root| identity(root)),
                    made: start.saturating_sub(1),
                    runs: Vec::new(),
                    served: false,
                };
                self.state.layers.push(layer);
                self.state.layers.len() - 1
            }
        };
        if let Some(layer) = self.state.layers.get_mut(index) {
            let new: Vec<_> = own.iter().filter(|path| !layer.own.contains(path)).cloned().collect();
            layer.own.extend(new);
            layer.served |= served;
            // What was copied in a run that is not listed counts as of one before.
            if layer.runs.len() >= MOST_RUNS {
                layer.runs.remove(1);
            }
            layer.runs.push(start);
        }
        self.directories(index, lower)
    }

    pub(super) fn directories(&self, index: usize, lower: &[PathBuf]) -> Result<UpperDirectories> {
        let dir = self.dir.join(index.to_string());
        let make = |parent: BorrowedFd<'_>, name: &str, path: &Path| {
            match sys::mkdirat(parent, &c(name), 0o700) {
                Ok(()) | Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(failed("make", path, errno)),
            }
            let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_PATH;
            sys::openat(parent, &c(name), flags, 0).map_err(|errno| failed("open", path, errno))
        };
        let parent = make(self.fd.as_fd(), &index.to_string(), &dir)?;
        let there = sys::stat_below(parent.as_fd(), c"upper").is_ok();
        let upper = make(parent.as_fd(), "upper", &dir)?;
        if !there && let Some(lower) = lower.first() {
            alike(upper.as_fd(), parent.as_fd(), lower).map_err(|errno| failed("look up", lower, errno))?;
        }
        make(parent.as_fd(), "work", &dir)?;
        let store = self.store();
        let frozen = self.state.layers.get(index).map(|layer| layer.frozen.as_slice()).unwrap_or_default();
        Ok(UpperDirectories {
            upper: dir.join("upper"),
            work: dir.join("work"),
            frozen: frozen.iter().map(|id| store.frozen(id)).collect(),
        })
    }

    /// Whether the layers have a file at a path inside.
    pub(super) fn has(&self, path: &Path) -> bool {
        let (own, store) = (&self.dir, self.store());
        self.state.layers.iter().enumerate().any(|(index, layer)| {
            let Ok(rest) = path.strip_prefix(&layer.path) else { return false };
            let own = own.join(index.to_string()).join("upper");
            let mut all = std::iter::once(own).chain(layer.frozen.iter().map(|id| store.frozen(id)));
            all.any(|dir| sys::open_resolved(&c(dir.join(rest))).is_ok())
        })
    }

    /// Notes that all changes are on the host: what changes there from here on is compared with this moment.
    ///
    /// # Errors
    ///
    /// That cannot be written.
    pub fn settled(&mut self) -> Result<()> {
        for layer in &mut self.state.layers {
            let lower = layer.lower.first().unwrap_or(&layer.path);
            layer.made = sys::time_between_changes(lower, TICK).saturating_sub(1);
        }
        self.save()
    }

    /// Notes that the layers are used now.
    pub fn touch(&mut self) {
        self.state.used = now() / 1_000_000;
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
        let gone = format!("{GONE}{}-{}", std::process::id(), now());
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

/// Which directory is at a path of the host, as a mark.
fn identity(path: &Path) -> Option<String> {
    let dir = sys::open_resolved(&c(path)).ok()?;
    Some(Mark::of(&Node::dir(dir.as_fd()).ok()?, false).text())
}

/// Gives a new upper directory the mode and, as far as it may, the group of the directory below it: a merged directory has
/// the attributes of the upper one.
fn alike(upper: BorrowedFd<'_>, parent: BorrowedFd<'_>, lower: &Path) -> sys::Result<()> {
    let like = sys::owner(sys::open_resolved(&c(lower))?.as_fd())?;
    let _ = sys::chown(parent, c"upper", None, Some(like.gid));
    sys::chmod(upper, like.mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_starts_later_than_what_was_changed_just_before_it_and_not_later_than_what_is_changed_then() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let (lower, file) = (place.path().join("lower"), place.path().join("lower/file"));
        std::fs::create_dir(&lower).unwrap();
        std::fs::write(&file, "").unwrap();
        let change = || {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            Node::find(sys::cwd(), &c(&file)).unwrap().unwrap().changed
        };
        let store = Store::new(place.path().join("sbx/uppers"));
        store.make().unwrap();
        let mut upper = store.lock("one", Some(&Ids::default())).unwrap();
        for run in 0..20 {
            // Since Linux 6.13, the second has an exact time, which is later than the kernel's clock says.
            let before = change().max(change());
            upper.layer(Path::new("/p"), std::slice::from_ref(&lower), &[], false).unwrap();
            let (made, start) = (upper.state.layers[0].made, upper.state.layers[0].runs[run]);
            let after = change();
            assert!(before < start.into() && i128::from(start) <= after, "{before} {start} {after}");
            assert!(run > 0 || before <= made.into() && made < start);
            let before = change().max(change());
            upper.settled().unwrap();
            let made = upper.state.layers[0].made;
            assert!(before <= made.into() && i128::from(made) < change(), "{before} {made}");
        }
    }
}
