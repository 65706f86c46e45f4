//! Locks on files that no sandbox sees. The kernel gives a lock back when its holder has ended, however that came about, so
//! what a file holds is only a note for messages: who has the lock, and since when.

use crate::error::printable;
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a lock is waited for whose launcher has ended: the kernel is about to end its sandbox.
const ENDING: Duration = Duration::from_secs(2);

/// The longest command line in a message, in characters.
const LONGEST: usize = 60;

/// Why a lock was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// Somebody has it.
    Held(Holder),
    /// A call failed.
    Failed(Errno),
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Refused {
        Refused::Failed(errno)
    }
}

/// Who has a lock, as far as the lock's file says. `Display` continues a sentence: ` by ... (process 4711), for 3m`,
/// or nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Holder(Option<Noted>);

/// What a lock's file says.
#[derive(Debug, PartialEq, Eq)]
struct Noted {
    /// The process that took the lock.
    pid: u32,
    /// When that was: seconds since 1970.
    since: u64,
    /// The pid namespace in which that is the process's number.
    namespace: u64,
}

impl Holder {
    fn read(file: &File) -> Holder {
        let mut text = String::new();
        if file.take(64).read_to_string(&mut text).is_err() {
            return Holder(None);
        }
        let mut words = text.split_whitespace();
        let mut number = || words.next()?.parse::<u64>().ok();
        let mut noted = || {
            Some(Noted {
                pid: u32::try_from(number()?).ok().filter(|pid| *pid > 0)?,
                since: number()?,
                namespace: number()?,
            })
        };
        Holder(noted())
    }

    /// Whether the process that noted itself is not there any more.
    fn has_ended(&self) -> bool {
        let gone = |pid| !std::fs::exists(format!("/proc/{pid}")).unwrap_or(true);
        self.0.as_ref().is_some_and(|noted| noted.namespace == namespace() && gone(noted.pid))
    }
}

/// The pid namespace of this process, as a number of the kernel's.
fn namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino())
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(Noted { pid, since, namespace: theirs }) = &self.0 else { return Ok(()) };
        let line = match *theirs == namespace() {
            true => std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default(),
            false => Vec::new(),
        };
        let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
        // The program's name is enough of its path.
        let (program, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
        let line = format!("{}{rest}", program.rsplit('/').next().unwrap_or(program));
        let short: String = line.chars().take(LONGEST).collect();
        let more = if short.len() < line.len() { "..." } else { "" };
        match short.as_str() {
            "" if *theirs != namespace() => write!(f, " by process {pid} in another pid namespace")?,
            "" => write!(f, " by process {pid}")?,
            _ => write!(f, " by `{}{more}` (process {pid})", printable(&short))?,
        }
        let age = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(*since)).unwrap_or_default();
        write!(f, ", for {}", humantime::format_duration(Duration::from_secs(age.as_secs().max(1))))
    }
}

/// Opens a file of this name in a directory of the user's own, makes it if it is not there, and locks it. Nobody else has
/// the lock until the descriptor and all copies of it are closed.
///
/// # Errors
///
/// Somebody else has the lock, or the file cannot be opened.
pub(super) fn take(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Refused> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let end = Instant::now() + ENDING;
    loop {
        let file = File::from(sys::openat(dir, name, flags, 0o600)?);
        match sys::try_lock(file.as_fd()) {
            Ok(()) => return Ok(file.into()),
            Err(Errno(libc::EWOULDBLOCK)) => {
                let holder = Holder::read(&file);
                if !holder.has_ended() || Instant::now() >= end {
                    return Err(Refused::Held(holder));
                }
            }
            Err(errno) => return Err(errno.into()),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Notes in a locked file that this process has it. A file that has another name, too, stays as it is: it may be one of the
/// user's that somebody has put there.
pub(super) fn note(lock: BorrowedFd<'_>) {
    use std::os::unix::fs::MetadataExt;
    let Ok(mut file) = lock.try_clone_to_owned().map(File::from) else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let note = format!("{} {now} {}\n", std::process::id(), namespace());
    // A note that cannot be written, on a full disk, is missing from messages.
    if file.metadata().is_ok_and(|found| found.is_file() && found.nlink() == 1) && file.set_len(0).is_ok() {
        let _ = file.write_all(note.as_bytes());
    }
}

/// A lock that keeps other sandboxes from a file or directory of the host. It is on a file of its own, whose name says which
/// file or directory is meant, whatever path leads there; the file is removed when this is dropped.
#[derive(Debug)]
pub struct Lock {
    dir: OwnedFd,
    name: CString,
    file: OwnedFd,
}

impl Lock {
    /// Takes the lock for what is described by this, with its file in `dir`.
    pub(super) fn on(dir: BorrowedFd<'_>, what: &sys::Stat) -> Result<Lock, Refused> {
        let name = CString::new(format!("{:x}-{}", what.dev, what.ino)).unwrap_or_default();
        for _ in 0..100 {
            let file = take(dir, &name)?;
            let lock = Lock { dir: dir.try_clone_to_owned().map_err(Errno::from)?, name: name.clone(), file };
            // The holder before may have removed the file after it was opened here.
            if lock.is_there() {
                note(lock.file.as_fd());
                return Ok(lock);
            }
        }
        Err(Refused::Failed(Errno(libc::ESTALE)))
    }

    /// Whether the file that is locked is the one that others find.
    fn is_there(&self) -> bool {
        sys::stat_below(self.dir.as_fd(), &self.name).is_ok_and(|found| Ok(found) == sys::stat(self.file.as_fd()))
    }

    /// The descriptor, by its number.
    pub fn number(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = sys::unlink_in(self.dir.as_fd(), &self.name);
        }
    }
}
