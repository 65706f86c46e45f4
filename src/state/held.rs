//! The lock of a monitor, and what the monitor writes.

use super::event::{Happened, Journal};
use super::output::Output;
use super::place::{c, directory, failed, file, full};
use super::record::{Begun, Live, Spec};
use super::request::SOCKET;
use super::{Id, slot};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) const LOCK: &str = "lock";
pub(super) const STATE: &str = "state.json";

/// How many connections wait until the monitor takes them.
const WAITING: i32 = 64;

/// How long a lock is tried for that others hold for a moment, to look whether the monitor is alive.
const MOMENT: Duration = Duration::from_secs(2);

/// A sandbox whose monitor this process is. Dropping it gives the lock back, and removes what was there only while it ran.
#[derive(Debug)]
pub struct Held {
    pub(super) id: Id,
    path: PathBuf,
    /// The directory that the sandbox's own lies in.
    above: OwnedFd,
    dir: OwnedFd,
    lock: OwnedFd,
    listener: OwnedFd,
    state: OwnedFd,
    /// The file that says how it ended.
    exit: OwnedFd,
    begun: Begun,
    log: Option<Output>,
    /// Where what happens to it is told, and the profile and labels that are told with it.
    told: Option<(Journal, Spec)>,
}

impl Held {
    /// Makes the directory of a running sandbox below `runtime`, locks it, and listens there. `exit` is the file of its record that says how it
    /// ended.
    ///
    /// # Errors
    ///
    /// It runs already, or something cannot be made.
    pub(super) fn take(
        id: Id,
        runtime: &Path,
        above: OwnedFd,
        exit: OwnedFd,
        begun: Begun,
        log: Option<Output>,
    ) -> Result<Held> {
        let path = runtime.join(id.as_str());
        let end = Instant::now() + MOMENT;
        let (dir, lock) = loop {
            match locked(above.as_fd(), &id, &path)? {
                Some(locked) => break locked,
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                None => return Err(Error::new(format!("the sandbox {} runs already", id.short()))),
            }
        };
        // Whatever a monitor has left that was killed.
        let fresh = || -> Result<_> {
            for name in [STATE, SOCKET] {
                match sys::unlink(dir.as_fd(), &c(name), false) {
                    Ok(()) | Err(Errno(libc::ENOENT)) => {}
                    Err(errno) => return Err(failed("remove", &path.join(name), errno)),
                }
            }
            let state = slot::make(dir.as_fd(), &c(STATE)).map_err(|errno| full("make", &path.join(STATE), errno))?;
            let listener = sys::listen_in(dir.as_fd(), &c(SOCKET), WAITING);
            Ok((state, listener.map_err(|errno| full("make", &path.join(SOCKET), errno))?))
        };
        let (state, listener) = fresh().inspect_err(|_| clear(dir.as_fd(), above.as_fd(), &id))?;
        let held = Held { id, path, above, dir, lock, listener, state, exit, begun, log, told: None };
        held.write_exit(&held.begun)?;
        Ok(held)
    }

    /// Has what happens to it told there, with what its record says.
    pub(super) fn told_by(mut self, journal: Journal, spec: &Spec) -> Held {
        let spec = Spec { profile: spec.profile.clone(), labels: spec.labels.clone(), ..Spec::default() };
        self.told = Some((journal, spec));
        self
    }

    /// Tells what has happened to it.
    ///
    /// # Errors
    ///
    /// That cannot be written.
    pub fn tell(&self, what: &Happened) -> Result<()> {
        self.told.as_ref().map_or(Ok(()), |(journal, spec)| journal.add_by_id(&self.id, spec, what))
    }

    /// The id of the sandbox.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// The socket that requests come to.
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// The descriptors that have to stay open.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        use std::os::fd::AsRawFd;
        [&self.above, &self.dir, &self.lock, &self.listener, &self.state, &self.exit]
            .map(AsRawFd::as_raw_fd)
            .into_iter()
    }

    /// Where what the program writes is kept, if it is.
    pub fn log(&mut self) -> Option<&mut Output> {
        self.log.as_mut()
    }

    /// Writes what is so while it runs.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&self, live: &Live) -> Result<()> {
        slot::write(self.state.as_fd(), live).map_err(|errno| failed("write", &self.path.join(STATE), errno))
    }

    /// Writes how it ended.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn ended(&self, how: &Begun) -> Result<()> {
        let Begun { started, boot, runtime, .. } = self.begun.clone();
        let how = Begun { started, boot, runtime, ..how.clone() };
        self.write_exit(&how)
    }

    /// The last run has ended so, and the next one has not begun.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn rests(&mut self, last: &Begun) -> Result<()> {
        self.begun.started = last.started;
        self.write_exit(last)
    }

    fn write_exit(&self, begun: &Begun) -> Result<()> {
        slot::write(self.exit.as_fd(), begun)
            .map_err(|errno| Error::new(format!("cannot write how the sandbox {} ended: {errno}", self.id.short())))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        clear(self.dir.as_fd(), self.above.as_fd(), &self.id);
    }
}

/// Removes the directory of a sandbox whose lock this process has, with what is in it. The lock goes last, with its descriptor: until then nobody else takes
/// the sandbox for ended, or starts it.
fn clear(dir: BorrowedFd<'_>, above: BorrowedFd<'_>, id: &Id) {
    for name in [SOCKET, STATE, LOCK] {
        let _ = sys::unlink(dir, &c(name), false);
    }
    let _ = sys::unlink(above, &c(id.as_str()), true);
}

/// Makes the directory of a running sandbox, and locks it. None if somebody holds the lock, or has just removed the directory.
fn locked(above: BorrowedFd<'_>, id: &Id, path: &Path) -> Result<Option<(OwnedFd, OwnedFd)>> {
    match sys::mkdirat(above, &c(id.as_str()), 0o700) {
        Ok(()) | Err(Errno(libc::EEXIST)) => {}
        Err(errno) => return Err(full("make", path, errno)),
    }
    let dir = match directory(above, &c(id.as_str()), 0o077) {
        Err(Errno(libc::ENOENT)) => return Ok(None),
        other => other.map_err(|errno| failed("open", path, errno))?,
    };
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let lock = match sys::openat(dir.as_fd(), &c(LOCK), flags, 0o600) {
        Err(Errno(libc::ENOENT)) => return Ok(None),
        other => other.map_err(|errno| {
            // One that holds a lock or anything else stays.
            let _ = sys::unlink(above, &c(id.as_str()), true);
            full("make", &path.join(LOCK), errno)
        })?,
    };
    match sys::try_lock(lock.as_fd()) {
        // The one who had it may have removed the file since it was opened.
        Ok(()) if sys::stat_below(dir.as_fd(), &c(LOCK)) == sys::stat(lock.as_fd()) => Ok(Some((dir, lock))),
        Ok(()) | Err(Errno(libc::EWOULDBLOCK)) => Ok(None),
        Err(errno) => Err(failed("lock", &path.join(LOCK), errno)),
    }
}

/// Whether nobody holds the lock in the directory of a running sandbox. With `wait`, it is waited for until nobody does, at most for that time; an
/// empty time is one look.
///
/// # Errors
///
/// That cannot be told.
pub fn is_free(dir: BorrowedFd<'_>, wait: Option<Duration>) -> sys::Result<bool> {
    let lock = match file(dir, &c(LOCK), libc::O_RDONLY) {
        Err(Errno(libc::ENOENT)) => return Ok(true),
        other => other?,
    };
    let Some(wait) = wait else { return sys::share_lock(lock.as_fd(), true).map(|()| true) };
    let end = Instant::now() + wait;
    let mut pause = Duration::from_millis(1);
    loop {
        match sys::share_lock(lock.as_fd(), false) {
            Ok(()) => return Ok(true),
            Err(Errno(libc::EWOULDBLOCK)) => {}
            Err(errno) => return Err(errno),
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
