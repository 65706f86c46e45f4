//! The records of a user's sandboxes: making, finding, naming and removing them.

use super::entry::{EXIT, Entry, SPEC, boot_id, broken, read_spec};
use super::event::Journal;
use super::held::Held;
use super::journald::Journald;
use super::log::Log;
use super::name::{NAMES, check_name, names_of, random_name};
use super::output::Output;
use super::place::{c, directory, failed, file, full, open};
use super::record::{Begun, Spec, VERSION};
use super::slot;
use super::{Id, Places};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use crate::union::remove;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often what another command removes, too, is removed again.
const AGAIN: u32 = 100;

/// How long a record is waited for that another command works on.
const PATIENCE: Duration = Duration::from_secs(15);

/// The records of a user.
#[derive(Debug)]
pub struct Store {
    places: Places,
}

/// The lock on a record that is being started or removed.
pub struct Locked(#[expect(dead_code, reason = "the lock is given back when it is dropped")] OwnedFd);

impl Store {
    /// The records in these directories, which need not exist.
    pub fn new(places: Places) -> Store {
        Store { places }
    }

    /// What has happened to them.
    pub fn journal(&self) -> Journal {
        Journal::new(self.places.state.clone())
    }

    /// Makes a record, with this name or a random one, and gives its monitor's lock on it.
    ///
    /// # Errors
    ///
    /// The name is taken, or something cannot be made: nothing is left then.
    pub fn begin(&self, spec: Spec, name: Option<&str>, id: Option<Id>) -> Result<Held> {
        self.add(spec, name, id, true)?.ok_or_else(|| Error::new("the record has no monitor"))
    }

    /// Makes a record, with this id, of a sandbox that is not started yet.
    ///
    /// # Errors
    ///
    /// As of [`Store::begin`].
    pub fn create(&self, spec: Spec, name: Option<&str>, id: Id) -> Result<()> {
        self.add(spec, name, Some(id), false).map(drop)
    }

    fn add(&self, spec: Spec, name: Option<&str>, id: Option<Id>, starts: bool) -> Result<Option<Held>> {
        let id = id.map_or_else(Id::random, Ok)?;
        let spec = Spec {
            version: VERSION,
            created: sys::realtime_nanoseconds(),
            runtime: self.places.runtime.display().to_string(),
            ..spec
        };
        let store = self.made(&self.places.state)?;
        let new = c(format!(".new-{id}"));
        let path = self.places.state.join(id.as_str());
        sys::mkdirat(store.as_fd(), &new, 0o700).map_err(|errno| full("make", &path, errno))?;
        let made = self.fill(&store, &new, (&id, &spec, name), &path, starts);
        if made.is_err() {
            let _ = remove(store.as_fd(), &new);
            let _ = remove(store.as_fd(), &c(id.as_str()));
        }
        made.map(|held| held.map(|held| called(held, store.as_fd())))
    }

    fn fill(
        &self,
        store: &OwnedFd,
        new: &std::ffi::CStr,
        (id, spec, name): (&Id, &Spec, Option<&str>),
        path: &Path,
        starts: bool,
    ) -> Result<Option<Held>> {
        let dir = directory(store.as_fd(), new, 0o077).map_err(|errno| failed("open", path, errno))?;
        // Held until all is there: who sweeps leaves it alone, and who would remove it waits.
        share(dir.as_fd(), path)?;
        let exit = slot::make(dir.as_fd(), &c(EXIT)).map_err(|errno| full("make", &path.join(EXIT), errno))?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let text = spec.encode()?;
        let write = || -> sys::Result<()> {
            let file = sys::openat(dir.as_fd(), &c(SPEC), flags, 0o600)?;
            sys::write_all(file.as_fd(), &text)?;
            sys::sync_file(file.as_fd(), true)
        };
        write().map_err(|errno| full("write", &path.join(SPEC), errno))?;
        // Locked before it can be seen: nobody takes it for one that has ended.
        let held = if starts { Some(self.hold(id, &dir, exit, spec)?) } else { None };
        sys::rename(store.as_fd(), new, store.as_fd(), &c(id.as_str()), sys::RENAME_NOREPLACE)
            .map_err(|errno| full("make", path, errno))?;
        match name {
            Some(name) => self.give(store.as_fd(), id, name)?,
            None => self.give_random(store.as_fd(), id)?,
        }
        Ok(held)
    }

    /// The monitor's lock on a record whose directory is open.
    fn hold(&self, id: &Id, dir: &OwnedFd, exit: OwnedFd, spec: &Spec) -> Result<Held> {
        let path = self.places.state.join(id.as_str());
        let log = match spec.log_driver.as_str() {
            "file" => {
                let dir = sys::open_again(dir.as_fd(), libc::O_RDONLY | libc::O_DIRECTORY);
                let log = dir.and_then(|dir| Log::open(dir, spec.log_size));
                Some(Output::Log(log.map_err(|errno| full("make", &path.join("log"), errno))?))
            }
            "journald" => Some(Output::Journal(Journald::new(id))),
            _ => None,
        };
        let runtime = Some(&spec.runtime).filter(|dir| is_short(dir)).cloned().unwrap_or_default();
        let begun = Begun { started: sys::realtime_nanoseconds(), boot: boot_id(), runtime, ..Begun::default() };
        let held = Held::take(id.clone(), &self.places.runtime, self.made(&self.places.runtime)?, exit, begun, log)?;
        Ok(held.told_by(self.journal(), spec))
    }

    /// The monitor's lock on a sandbox that is started again.
    ///
    /// # Errors
    ///
    /// It runs, or its record cannot be read or written.
    pub fn resume(&self, id: &Id) -> Result<Held> {
        let store = self.made(&self.places.state)?;
        let path = self.places.state.join(id.as_str());
        let dir = directory(store.as_fd(), &c(id.as_str()), 0o077).map_err(|errno| failed("open", &path, errno))?;
        let mut spec = read_spec(dir.as_fd()).map_err(|why| broken(id.short(), &why))?;
        let exit = match file(dir.as_fd(), &c(EXIT), libc::O_RDWR) {
            Err(Errno(libc::ENOENT)) => slot::make(dir.as_fd(), &c(EXIT)),
            other => other,
        };
        let exit = exit.map_err(|errno| failed("open", &path.join(EXIT), errno))?;
        let runtime = self.places.runtime.display().to_string();
        if spec.runtime != runtime || !spec.detached {
            spec.runtime = runtime;
            spec.detached = true;
            let text = spec.encode()?;
            let replace = || -> sys::Result<()> {
                let (new, open) = sys::create_beside(dir.as_fd(), ".spec")?;
                sys::write_all(open.as_fd(), &text)?;
                sys::chmod(open.as_fd(), 0o600)?;
                sys::rename_in(dir.as_fd(), &new, &c(SPEC))
            };
            replace().map_err(|errno| full("write", &path.join(SPEC), errno))?;
        }
        Ok(called(self.hold(id, &dir, exit, &spec)?, store.as_fd()))
    }

    /// Opens a directory, and makes it if it is not there.
    fn made(&self, path: &Path) -> Result<OwnedFd> {
        open(path, true)?.ok_or_else(|| failed("open", path, Errno(libc::ENOENT)))
    }

    fn names(&self, store: BorrowedFd<'_>) -> Result<OwnedFd> {
        let path = self.places.state.join(NAMES);
        match sys::mkdirat(store, &c(NAMES), 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(full("make", &path, errno)),
        }
        directory(store, &c(NAMES), 0o077).map_err(|errno| failed("open", &path, errno))
    }

    fn give_random(&self, store: BorrowedFd<'_>, id: &Id) -> Result<()> {
        let names = self.names(store)?;
        for round in 0..1000 {
            let name = random_name(round)?;
            match sys::symlinkat(&c(id.as_str()), names.as_fd(), &c(&name)) {
                Err(Errno(libc::EEXIST)) => {}
                other => return other.map_err(|errno| full("make", &self.places.state.join(NAMES).join(name), errno)),
            }
        }
        Err(Error::new("no random name is free").hint("give one: --name NAME"))
    }

    /// Gives a sandbox a name that nobody else has.
    fn give(&self, store: BorrowedFd<'_>, id: &Id, name: &str) -> Result<()> {
        check_name(name)?;
        let names = self.names(store)?;
        for _ in 0..10 {
            match sys::symlinkat(&c(id.as_str()), names.as_fd(), &c(name)) {
                Err(Errno(libc::EEXIST)) => self.free(store, &names, name)?,
                other => return other.map_err(|errno| full("make", &self.places.state.join(NAMES).join(name), errno)),
            }
        }
        Err(in_use(name, None))
    }

    /// Takes a name from a sandbox that is not there any more.
    ///
    /// # Errors
    ///
    /// A sandbox has it.
    fn free(&self, store: BorrowedFd<'_>, names: &OwnedFd, name: &str) -> Result<()> {
        // Two commands that find it free would else take it from one another.
        share(names.as_fd(), &self.places.state)?;
        let path = self.places.state.join(NAMES).join(name);
        let text = match sys::link_text(names.as_fd(), &c(name)) {
            Err(Errno(libc::ENOENT)) => return Ok(()),
            // No link of ours: a program may have left it.
            Err(Errno(libc::EINVAL)) => return Err(in_use(name, None).hint(format!("look at {}", path.display()))),
            other => other.map_err(|errno| failed("read", &path, errno))?,
        };
        if let Some(id) = text.to_str().ok().and_then(Id::parse)
            && sys::stat_below(store, &c(id.as_str())).is_ok()
        {
            return Err(in_use(name, Some(&id)));
        }
        match sys::unlink(names.as_fd(), &c(name), false) {
            Ok(()) | Err(Errno(libc::ENOENT)) => Ok(()),
            Err(errno) => Err(failed("remove", &path, errno)),
        }
    }

    /// All records, the newest first.
    ///
    /// # Errors
    ///
    /// The directory of the records cannot be read.
    pub fn all(&self) -> Result<Vec<Entry>> {
        let Some(store) = open(&self.places.state, false)? else { return Ok(Vec::new()) };
        let found = sys::entries(store.as_fd()).map_err(|errno| failed("read", &self.places.state, errno))?;
        let mut names = names_of(store.as_fd());
        let ids = found.into_iter().filter_map(|(name, _)| Id::parse(name.to_str().ok()?));
        let open = |id| Entry::open(store.as_fd(), &self.places, id, &mut names);
        let mut all: Vec<_> = ids.filter_map(open).collect();
        all.sort_by(|a, b| (b.spec.created, &a.id).cmp(&(a.spec.created, &b.id)));
        Ok(all)
    }

    /// The sandbox with this name, or with an id that this is the beginning of.
    ///
    /// # Errors
    ///
    /// There is none, or there are several.
    pub fn find(&self, word: &str) -> Result<Entry> {
        // As docker prints names.
        let word = word.strip_prefix('/').unwrap_or(word);
        let Some(store) = open(&self.places.state, false)? else { return Err(unknown(word)) };
        if check_name(word).is_ok()
            && let Ok(names) = directory(store.as_fd(), &c(NAMES), 0o077)
            && let Some(id) = sys::link_text(names.as_fd(), &c(word)).ok().and_then(|id| Id::parse(id.to_str().ok()?))
            && let Some(entry) =
                Entry::open(store.as_fd(), &self.places, id.clone(), &mut BTreeMap::from([(id, word.to_owned())]))
        {
            return Ok(entry);
        }
        let is_start = !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_start {
            return Err(unknown(word));
        }
        let mut found: Vec<_> = self.all()?.into_iter().filter(|entry| entry.id.as_str().starts_with(word)).collect();
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(unknown(word)),
            (Some(entry), true) => Ok(entry),
            (Some(_), false) => Err(Error::new(format!("`{word}` is the beginning of the ids of several sandboxes"))
                .hint("write more of it; `sbx ps -a` lists them")),
        }
    }

    /// Gives a sandbox another name.
    ///
    /// # Errors
    ///
    /// The name is none, or taken.
    pub fn rename(&self, entry: &Entry, name: &str) -> Result<()> {
        check_name(name)?;
        let store = self.made(&self.places.state)?;
        let _locked = self.lock(entry)?;
        let names = self.names(store.as_fd())?;
        let Some(old) = names_of(store.as_fd()).remove(&entry.id) else {
            return self.give(store.as_fd(), &entry.id, name);
        };
        if old == name {
            return Ok(());
        }
        for _ in 0..10 {
            match sys::rename(names.as_fd(), &c(&old), names.as_fd(), &c(name), sys::RENAME_NOREPLACE) {
                Err(Errno(libc::EEXIST)) => self.free(store.as_fd(), &names, name)?,
                // A filesystem without that flag.
                Err(Errno(libc::EINVAL)) => {
                    self.give(store.as_fd(), &entry.id, name)?;
                    let _ = sys::unlink(names.as_fd(), &c(&old), false);
                    return Ok(());
                }
                other => return other.map_err(|errno| full("make", &self.places.state.join(NAMES).join(name), errno)),
            }
        }
        Err(in_use(name, None))
    }

    /// Locks a record, so that nobody else starts or removes the sandbox meanwhile.
    ///
    /// # Errors
    ///
    /// Another command works on it.
    pub fn lock(&self, entry: &Entry) -> Result<Locked> {
        let fd = sys::open_again(entry.dir.as_fd(), libc::O_RDONLY | libc::O_DIRECTORY);
        let fd = fd.map_err(|errno| failed("open", &self.places.state.join(entry.id.as_str()), errno))?;
        share(fd.as_fd(), &self.places.state.join(entry.id.as_str()))?;
        Ok(Locked(fd))
    }

    /// Removes the record of a sandbox that does not run, and what its monitor may have left. The caller has locked it, or holds its monitor's
    /// lock.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn remove(&self, entry: &Entry) -> Result<()> {
        self.forget(&entry.id)?;
        for dir in &entry.runtime {
            if let Ok(Some(runtime)) = open(dir, false) {
                let _ = remove(runtime.as_fd(), &c(entry.id.as_str()));
            }
        }
        Ok(())
    }

    /// Removes a record.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn forget(&self, id: &Id) -> Result<()> {
        let Some(store) = open(&self.places.state, false)? else { return Ok(()) };
        let path = self.places.state.join(id.as_str());
        let gone = c(format!(".gone-{id}"));
        match sys::rename(store.as_fd(), &c(id.as_str()), store.as_fd(), &gone, 0) {
            Ok(()) | Err(Errno(libc::ENOENT)) => {}
            Err(errno) => return Err(failed("remove", &path, errno)),
        }
        if let Ok(names) = directory(store.as_fd(), &c(NAMES), 0o077)
            && let Some(name) = names_of(store.as_fd()).remove(id)
        {
            let _ = sys::unlink(names.as_fd(), &c(name), false);
        }
        // Another command may sweep it away meanwhile, file by file.
        let mut removed = remove(store.as_fd(), &gone);
        for _ in 0..AGAIN {
            if removed != Err(Errno(libc::ENOENT)) {
                break;
            }
            removed = remove(store.as_fd(), &gone);
        }
        removed.map_err(|errno| failed("remove", &path, errno))
    }

    /// Removes what commands have left that were killed while they made or removed a record.
    pub fn sweep(&self) {
        let Ok(Some(store)) = open(&self.places.state, false) else { return };
        for (name, _) in sys::entries(store.as_fd()).unwrap_or_default() {
            let text = name.to_str().unwrap_or_default();
            let is_id = |start: &str| text.strip_prefix(start).and_then(Id::parse).is_some();
            let gone = is_id(".gone-") || is_id(".new-") && is_abandoned(store.as_fd(), &name);
            if gone {
                let _ = remove(store.as_fd(), &name);
            }
        }
    }
}

/// Has what the program writes kept under the name that the sandbox has.
fn called(mut held: Held, store: BorrowedFd<'_>) -> Held {
    let name = names_of(store).remove(held.id());
    if let Some(output) = held.log() {
        output.name(name);
    }
    held
}

/// Whether nobody fills a record that is not complete yet.
fn is_abandoned(store: BorrowedFd<'_>, name: &std::ffi::CStr) -> bool {
    const OLD: u64 = 60_000_000_000;
    let Ok(dir) = directory(store, name, 0o077) else { return true };
    // Between its making and its lock there is a moment.
    let made = sys::status_of(store, name).map_or(0, |status| status.changed.0 as u64 * 1_000_000_000);
    sys::realtime_nanoseconds().abs_diff(made) > OLD && sys::try_lock(dir.as_fd()).is_ok()
}

/// Takes the lock on an open directory for as long as that stays open.
pub(super) fn share(dir: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match sys::try_lock(dir) {
            Ok(()) => return Ok(()),
            Err(Errno(libc::EWOULDBLOCK)) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            Err(Errno(libc::EWOULDBLOCK)) => {
                return Err(Error::new(format!("another command works on {}", path.display()))
                    .hint(format!("look which one: fuser -v {}", path.display())));
            }
            Err(errno) => return Err(failed("lock", path, errno)),
        }
    }
}

/// Whether a path takes little room in a file of fixed size.
fn is_short(path: &str) -> bool {
    const LONGEST: usize = 1000;
    path.len() <= LONGEST && !path.chars().any(char::is_control)
}

fn unknown(word: &str) -> Error {
    Error::new(format!("there is no sandbox with the name or id `{word}`")).hint("`sbx ps -a` lists all that there are")
}

fn in_use(name: &str, id: Option<&Id>) -> Error {
    let by = id.map(|id| format!(" by {}", id.short())).unwrap_or_default();
    Error::new(format!("the name `{name}` is in use{by}"))
        .hint(format!(
            "take another one, or give it free: sbx rm -f {name} ends the sandbox if it runs, and removes it, as --replace does; sbx rename {name} OTHER keeps it"
        ))
}
