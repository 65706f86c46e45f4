//! A record of a sandbox, as it is found.

use super::held::{STATE, is_free};
use super::log::SIZE;
use super::place::{Places, c, directory, file, open};
use super::record::{Begun, LARGEST, Live, Spec, Status};
use super::request::{Monitor, Silence};
use super::slot::{self, Read};
use super::{Id, Reader};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

pub(super) const SPEC: &str = "spec.json";
pub(super) const EXIT: &str = "exit.json";
/// It is not to be started again by itself.
const STOP: &str = "stop";
/// What that file holds where the next boot starts it again.
const UNTIL_BOOT: &[u8] = b"until-boot";
/// Locked by the process that starts it again by itself.
const KEEPER: &str = "keeper";

/// How often it is looked whether a monitor is alive that seems to have been killed.
const LOOKS: u32 = 3;

/// How long it is waited until the end of a run is looked at again.
const AGAIN: Duration = Duration::from_millis(10);

/// How long a program has that is asked to end, in seconds, where it is not known what was asked for.
const STOP_TIMEOUT: u64 = 10;

/// A record. Its directory stays the same one whatever is renamed.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: Id,
    /// Its name; none for one that lost it when a command was killed.
    pub name: Option<String>,
    /// What was asked for; where that cannot be read, what is known all the same.
    pub spec: Spec,
    /// Why what was asked for cannot be read.
    damage: Option<String>,
    /// The directories that its monitor's may lie in.
    pub(super) runtime: Vec<PathBuf>,
    pub(super) dir: OwnedFd,
}

impl Entry {
    /// A record; none if there is none any more.
    pub(super) fn open(
        store: BorrowedFd<'_>,
        places: &Places,
        id: Id,
        names: &mut BTreeMap<Id, String>,
    ) -> Option<Entry> {
        let dir = directory(store, &c(id.as_str()), 0o077).ok()?;
        let name = names.remove(&id);
        let (spec, damage) = match read_spec(dir.as_fd()) {
            Ok(spec) => (spec, None),
            Err(why) => (unknown(dir.as_fd()), Some(why)),
        };
        let runtime = match damage {
            None => vec![PathBuf::from(&spec.runtime)],
            // Wherever it may run: what cannot be read has not ended for that.
            Some(_) => places.runtime_besides(&spec.runtime),
        };
        Some(Entry { id, name, spec, damage, runtime, dir })
    }

    /// Why what was asked for is not known any more; none if it is.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Nothing but that it is whole.
    ///
    /// # Errors
    ///
    /// What was asked for is not known any more.
    pub fn whole(&self) -> Result<()> {
        self.damage.as_ref().map_or(Ok(()), |why| Err(broken(self.called(), why)))
    }

    /// The name, or what else people can call it by.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.short())
    }

    /// The directory of its monitor, if there is one.
    fn running(&self) -> Option<OwnedFd> {
        let below = |dir: &PathBuf| {
            let above = open(dir, false).ok()??;
            directory(above.as_fd(), &c(self.id.as_str()), 0o077).ok()
        };
        self.runtime.iter().find_map(below)
    }

    /// The stage that it is in, as far as that can be told.
    pub fn status(&self) -> Status {
        // Before the lock is looked at, since it says how it ended by the time that the lock is free.
        let exit = file(self.dir.as_fd(), &c(EXIT), libc::O_RDONLY);
        let mut found = Status::Broken;
        // One that is started again by itself may have begun its next run between the two looks.
        for _ in 0..LOOKS {
            if let Some(running) = self.running()
                && is_free(running.as_fd(), Some(Duration::ZERO)) == Ok(false)
            {
                let live = file(running.as_fd(), &c(STATE), libc::O_RDONLY);
                return Status::Running(match live.map(|live| slot::read(live.as_fd())) {
                    Ok(Read::Value(live)) => live,
                    _ => Live::default(),
                });
            }
            let Ok(exit) = &exit else { break };
            found = Entry::status_in(exit.as_fd());
            if !matches!(found, Status::Lost { .. }) {
                break;
            }
        }
        match found {
            // Where it would run is not known.
            Status::Lost { rebooted: false, .. } if self.damage.is_some() && self.spec.runtime.is_empty() => {
                Status::Broken
            }
            found => found,
        }
    }

    /// Waits until its monitor has ended, and gives how that was, of the run that it found or of a later one. `exit` is the file of [`Entry::exit`].
    ///
    /// # Errors
    ///
    /// That cannot be told.
    pub fn end(&self, exit: Option<&OwnedFd>) -> Result<Status> {
        let Some(exit) = exit else { return self.wait(None).map(|_| Status::Broken) };
        loop {
            self.wait(None)?;
            let found = Entry::status_in(exit.as_fd());
            // The next run may have begun, in which nothing is written of the end.
            if !matches!(found, Status::Lost { .. }) || !self.status().is_running() {
                let again = Entry::status_in(exit.as_fd());
                return Ok(if matches!(again, Status::Lost { .. }) { found } else { again });
            }
            std::thread::sleep(AGAIN);
            let found = Entry::status_in(exit.as_fd());
            if let Status::Exited(_) = found {
                return Ok(found);
            }
        }
    }

    /// Says that it is not to be started again by itself; or not before the machine has been started anew.
    ///
    /// # Errors
    ///
    /// That cannot be written.
    pub fn ask_to_stop(&self, until_boot: bool) -> Result<()> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let made = sys::openat(self.dir.as_fd(), &c(STOP), flags, 0o600);
        let text: &[u8] = if until_boot { UNTIL_BOOT } else { b"" };
        let written = made.and_then(|file| sys::write_all(file.as_fd(), text));
        if written.is_err() && until_boot {
            // An empty one says more than was asked for.
            self.ask_to_go_on();
        }
        written.map_err(|errno| Error::new(format!("cannot note that {} is to stop: {errno}", self.called())))
    }

    /// Takes back what [`Entry::ask_to_stop`] has said.
    pub fn ask_to_go_on(&self) {
        let _ = sys::unlink(self.dir.as_fd(), &c(STOP), false);
    }

    /// Whether it is not to be started again by itself.
    pub fn is_to_stop(&self) -> bool {
        sys::stat_below(self.dir.as_fd(), &c(STOP)).is_ok()
    }

    /// Whether it is to be started after a boot: as `--restart` says, and whether somebody has stopped it since.
    pub fn starts_at_boot(&self) -> bool {
        let until_boot = || {
            let mut text = [0; UNTIL_BOOT.len()];
            let file = file(self.dir.as_fd(), &c(STOP), libc::O_RDONLY);
            file.and_then(|file| sys::read(file.as_fd(), &mut text))
                .is_ok_and(|length| text.get(..length) == Some(UNTIL_BOOT))
        };
        match self.spec.restart.as_str() {
            "always" => true,
            "unless-stopped" => !self.is_to_stop() || until_boot(),
            _ => false,
        }
    }

    /// The lock of the process that starts it again by itself, for as long as the descriptor is open. None if somebody has it, or it cannot be
    /// made.
    pub fn keep(&self) -> Option<OwnedFd> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let lock = sys::openat(self.dir.as_fd(), &c(KEEPER), flags, 0o600).ok()?;
        // Others share it for a moment, to look.
        for _ in 0..100 {
            match sys::try_lock(lock.as_fd()) {
                Ok(()) => return Some(lock),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        None
    }

    /// Whether a process is there that starts it again by itself.
    pub fn is_kept(&self) -> bool {
        let lock = file(self.dir.as_fd(), &c(KEEPER), libc::O_RDONLY);
        lock.is_ok_and(|lock| sys::share_lock(lock.as_fd(), false) == Err(Errno(libc::EWOULDBLOCK)))
    }

    /// A connection to its monitor.
    ///
    /// # Errors
    ///
    /// In the inner result: there is none, or it takes no more.
    pub fn monitor(&self) -> std::result::Result<Monitor, Silence> {
        let dir = self.running().ok_or(Silence::Gone)?;
        Monitor::connect(dir.as_fd())
    }

    /// Waits until its monitor has ended, at most for this time; none is for ever. Gives whether it has.
    ///
    /// # Errors
    ///
    /// That cannot be told.
    pub fn wait(&self, time: Option<Duration>) -> Result<bool> {
        let Some(running) = self.running() else { return Ok(true) };
        is_free(running.as_fd(), time)
            .map_err(|errno| Error::new(format!("cannot tell whether {} runs: {errno}", self.called())))
    }

    /// Its log.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn log(&self) -> Result<Reader> {
        let dir = sys::open_again(self.dir.as_fd(), libc::O_RDONLY | libc::O_DIRECTORY);
        dir.map(|dir| Reader::new(dir, self.spec.log_size))
            .map_err(|errno| Error::new(format!("cannot open the log of {}: {errno}", self.called())))
    }

    /// The exit status of the program, once its monitor has ended: from the file that was there when this record was opened, so that it is known
    /// of a sandbox that has been removed since, too.
    pub fn exit(&self) -> Option<OwnedFd> {
        file(self.dir.as_fd(), &c(EXIT), libc::O_RDONLY).ok()
    }

    /// What an open file of [`Entry::exit`] says by now.
    pub fn status_in(exit: BorrowedFd<'_>) -> Status {
        match slot::read::<Begun>(exit) {
            Read::Nothing => Status::Created,
            Read::Broken => Status::Broken,
            Read::Value(begun) if begun.finished.is_some() => Status::Exited(begun),
            Read::Value(begun) => {
                let rebooted = begun.boot != boot_id();
                Status::Lost { begun, rebooted }
            }
        }
    }
}

/// What was asked for, or why that cannot be read.
pub(super) fn read_spec(dir: BorrowedFd<'_>) -> std::result::Result<Spec, String> {
    use std::io::Read;
    let open = file(dir, &c(SPEC), libc::O_RDONLY).map_err(|errno| match errno {
        Errno(libc::ENOENT) => format!("there is no {SPEC}"),
        // What a pipe, a socket, a link or another user's file gives.
        Errno(libc::EPERM | libc::ELOOP | libc::ENXIO) => format!("{SPEC} is no file that sbx has written"),
        errno => format!("{SPEC} cannot be opened: {errno}"),
    })?;
    let failed = |errno: Errno| format!("{SPEC} cannot be read: {errno}");
    // A file without blocks may be of any size.
    if sys::status_of(open.as_fd(), c"").map_err(failed)?.size > LARGEST {
        return Err(format!("{SPEC} is larger than {} MiB", LARGEST >> 20));
    }
    let mut text = Vec::new();
    let read = std::fs::File::from(open).take(LARGEST).read_to_end(&mut text);
    read.map_err(|error| failed(Errno::from(error)))?;
    serde_json::from_slice(&text).map_err(|_| format!("{SPEC} is not what sbx has written"))
}

/// What is known of a sandbox without what was asked for.
fn unknown(dir: BorrowedFd<'_>) -> Spec {
    let begun = file(dir, &c(EXIT), libc::O_RDONLY).map(|exit| slot::read::<Begun>(exit.as_fd()));
    let begun = if let Ok(Read::Value(begun)) = begun { begun } else { Begun::default() };
    Spec {
        created: begun.started,
        runtime: begun.runtime,
        // Its log is shown if there is one.
        detached: true,
        log_size: SIZE,
        stop_timeout: STOP_TIMEOUT,
        ..Spec::default()
    }
}

/// The error for a record that does not say what was asked for.
pub(super) fn broken(called: &str, why: &str) -> Error {
    Error::new(format!("the record of {called} is damaged ({why}), and does not say any more what was asked for"))
        .hint(format!("end and remove the sandbox, and run the program anew: sbx rm -f {called}"))
}

/// Which run of the machine this is.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
