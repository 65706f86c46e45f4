//! What has happened to sandboxes that have a record: a line of JSON each, which whoever did it, or saw it, appends by one write. There is no
//! process that all of them tell it to.
//!
//! There are two files, as of a [log](super::log): once the newer is as large as it may be, it takes the place of the older. Who appends shares a lock
//! on the file for that moment, and who turns it has it alone: so a reader that has read a file to its end after it was turned has all of it.

use super::Id;
use super::name::names_of;
use super::place::{c, directory, failed, file, full, open};
use super::reader::Reader;
use super::record::Spec;
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// The directory of the files.
const DIR: &str = ".events";

/// The files, the newer first.
const NAMES: [&str; 2] = ["events", "events.1"];

/// How large each file may become, in bytes.
const SIZE: u64 = 1 << 20;

/// How large a file may become that could not be turned, in bytes.
const LARGEST: u64 = 4 * SIZE;

/// The longest line, in bytes. One that labels make longer is written without them.
const LONGEST: usize = 16 << 10;

/// How often the lock on a file is tried that is being turned, a millisecond apart.
const ATTEMPTS: u32 = 200;

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// Its record was made.
    Create,
    /// The program runs.
    Start,
    /// The program has ended, with this exit status.
    Died(i32),
    /// It was ended for memory.
    Oom,
    /// It was stopped.
    Stop,
    /// It was sent this signal.
    Kill(i32),
    /// It is started again, by itself or by `restart`.
    Restart,
    /// Its processes are frozen.
    Pause,
    /// They go on.
    Unpause,
    /// A further program runs.
    Exec,
    /// A further program has ended, with this exit status.
    ExecDied(i32),
    /// Somebody is attached to the program.
    Attach,
    /// It has other limits.
    Update,
    /// It had this name before.
    Rename(String),
    /// It is in this network besides.
    Connect(String),
    /// It is not in this network any more, to which it was connected while it ran.
    Disconnect(String),
    /// Its record was removed.
    Remove,
}

impl Happened {
    /// All words.
    pub const WORDS: [&str; 17] = [
        "attach",
        "connect",
        "create",
        "died",
        "disconnect",
        "exec",
        "exec_died",
        "kill",
        "oom",
        "pause",
        "remove",
        "rename",
        "restart",
        "start",
        "stop",
        "unpause",
        "update",
    ];

    /// The word for it: podman's, and docker's where podman has none.
    fn word(&self) -> &'static str {
        match self {
            Happened::Create => "create",
            Happened::Start => "start",
            Happened::Died(_) => "died",
            Happened::Oom => "oom",
            Happened::Stop => "stop",
            Happened::Kill(_) => "kill",
            Happened::Restart => "restart",
            Happened::Pause => "pause",
            Happened::Unpause => "unpause",
            Happened::Exec => "exec",
            Happened::ExecDied(_) => "exec_died",
            Happened::Attach => "attach",
            Happened::Update => "update",
            Happened::Rename(_) => "rename",
            Happened::Connect(_) => "connect",
            Happened::Disconnect(_) => "disconnect",
            Happened::Remove => "remove",
        }
    }
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// When it was, in nanoseconds since 1970.
    pub time: u64,
    /// The word for it.
    pub event: String,
    /// The id of the sandbox.
    pub id: String,
    /// Its name; empty for one that has none.
    pub name: String,
    /// Its profile.
    pub profile: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The exit status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The signal that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The name that it had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_name: Option<String>,
    /// The network that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl Event {
    fn new(id: &Id, name: Option<&str>, spec: &Spec, what: &Happened) -> Event {
        Event {
            time: sys::realtime_nanoseconds(),
            event: what.word().to_owned(),
            id: id.to_string(),
            name: name.unwrap_or_default().to_owned(),
            profile: spec.profile.clone(),
            labels: spec.labels.clone(),
            status: match what {
                Happened::Died(status) | Happened::ExecDied(status) => Some(*status),
                _ => None,
            },
            signal: if let Happened::Kill(signal) = what { Some(*signal) } else { None },
            old_name: if let Happened::Rename(old) = what { Some(old.clone()) } else { None },
            network: match what {
                Happened::Connect(network) | Happened::Disconnect(network) => Some(network.clone()),
                _ => None,
            },
        }
    }

    /// Reads a line, without its line feed; none if it is none.
    pub fn read(line: &[u8]) -> Option<Event> {
        let event: Event = serde_json::from_slice(line).ok()?;
        let whole = !event.event.is_empty() && Id::parse(&event.id).is_some();
        whole.then_some(event)
    }

    /// The line for it, in which there is no line feed.
    fn line(&self) -> Vec<u8> {
        let line = serde_json::to_vec(self).unwrap_or_default();
        if line.len() <= LONGEST {
            return line;
        }
        let profile = self.profile.chars().take(1000).collect();
        serde_json::to_vec(&Event { labels: BTreeMap::new(), profile, ..self.clone() }).unwrap_or_default()
    }
}

/// The files of what has happened to a user's sandboxes.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The directory of the user's records.
    state: PathBuf,
}

impl Journal {
    pub(super) fn new(state: PathBuf) -> Journal {
        Journal { state }
    }

    /// Appends what has happened to the sandbox with this id, name and record.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn add(&self, (id, name, spec): (&Id, Option<&str>, &Spec), what: &Happened) -> Result<()> {
        self.append(&Event::new(id, name, spec, what))
    }

    /// The same, with the name that it has by now.
    pub(super) fn add_by_id(&self, id: &Id, spec: &Spec, what: &Happened) -> Result<()> {
        let store = open(&self.state, false).ok().flatten();
        let name = store.and_then(|store| names_of(store.as_fd()).remove(id));
        self.append(&Event::new(id, name.as_deref(), spec, what))
    }

    fn append(&self, event: &Event) -> Result<()> {
        let dir = self.dir()?;
        write(dir.as_fd(), &event.line()).map_err(|errno| full("write", &self.state.join(DIR).join(NAMES[0]), errno))
    }

    /// The directory of the files, which is made if it is not there.
    fn dir(&self) -> Result<OwnedFd> {
        let path = self.state.join(DIR);
        let state = open(&self.state, true)?.ok_or_else(|| failed("open", &self.state, Errno(libc::ENOENT)))?;
        match sys::mkdirat(state.as_fd(), &c(DIR), 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(full("make", &path, errno)),
        }
        directory(state.as_fd(), &c(DIR), 0o077).map_err(|errno| match errno {
            Errno(libc::EPERM | libc::ELOOP | libc::ENOTDIR) => {
                Error::new(format!("{} is no directory of this user's that is closed to others", path.display()))
                    .hint(format!("a program may have left it: look at it, and remove it (rm -r {})", path.display()))
            }
            errno => failed("open", &path, errno),
        })
    }

    /// A reader of all that there is, and what is told when there is more: a descriptor of inotify(7).
    ///
    /// # Errors
    ///
    /// The files cannot be read or watched.
    pub fn follow(&self) -> Result<(Reader, sys::Watched)> {
        let dir = self.dir()?;
        let watched = sys::Watched::directory(dir.as_fd()).map_err(|errno| {
            let error = failed("watch", &self.state.join(DIR), errno);
            match errno.0 {
                // Not the limit of open descriptors.
                libc::EMFILE => Error { hints: vec!["this user watches too much already (inotify): as root, sysctl -w fs.inotify.max_user_instances=1024".into()], ..error },
                libc::ENOSPC => error.hint("this user watches too much already (inotify): as root, sysctl -w fs.inotify.max_user_watches=524288"),
                _ => error.hint("without that: sbx events --no-stream"),
            }
        })?;
        Ok((Reader::of(dir, NAMES, LARGEST), watched))
    }

    /// A reader of all that there is.
    ///
    /// # Errors
    ///
    /// The files cannot be read.
    pub fn read(&self) -> Result<Reader> {
        Ok(Reader::of(self.dir()?, NAMES, LARGEST))
    }
}

/// Appends a line to the newer file.
fn write(dir: BorrowedFd<'_>, line: &[u8]) -> sys::Result<()> {
    let size_of = |file: &OwnedFd| sys::status_of(file.as_fd(), c"").map(|status| status.size);
    let mut file = shared(dir)?;
    let mut size = size_of(&file)?;
    if size > LARGEST {
        // It could not be turned for so long: whoever should have was stopped at that.
        turn(dir, file.as_fd());
        file = shared(dir)?;
        size = size_of(&file)?;
    }
    if size > LARGEST {
        return Err(Errno(libc::EFBIG));
    }
    let mut last = [b'\n'];
    let halved = size > 0 && sys::read_at(file.as_fd(), &mut last, size - 1) == Ok(1) && last != [b'\n'];
    // A full disk may have left half of a line. What follows is one of its own.
    let text = [if halved { b"\n" } else { &b""[..] }, line, b"\n"].concat();
    let written = sys::write_some(file.as_fd(), &text)?;
    if size + text.len() as u64 > SIZE {
        turn(dir, file.as_fd());
    }
    if written == text.len() { Ok(()) } else { Err(Errno(libc::ENOSPC)) }
}

/// The newer file, with a lock that others may share, by which it is not turned meanwhile.
fn shared(dir: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
    let new = c(NAMES[0]);
    for _ in 0..ATTEMPTS {
        let file = appending(dir, &new)?;
        match sys::share_lock(file.as_fd(), false) {
            Ok(()) if sys::stat_below(dir, &new) == sys::stat(file.as_fd()) => return Ok(file),
            // It was turned meanwhile.
            Ok(()) => {}
            Err(Errno(libc::EWOULDBLOCK)) => std::thread::sleep(Duration::from_millis(1)),
            Err(errno) => return Err(errno),
        }
    }
    // Who turns it was stopped at that.
    appending(dir, &new)
}

fn appending(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_APPEND;
    match file(dir, name, flags) {
        Err(Errno(libc::ENOENT)) => {
            match sys::openat(dir, name, flags | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW, 0o600) {
                Err(Errno(libc::EEXIST)) => file(dir, name, flags),
                other => other,
            }
        }
        other => other,
    }
}

/// Has a file take the place of the older, unless somebody writes to it, or it was turned already. The next who writes tries it again then.
fn turn(dir: BorrowedFd<'_>, file: BorrowedFd<'_>) {
    let [new, old] = NAMES.map(c);
    if sys::try_lock(file).is_ok() && sys::stat_below(dir, &new) == sys::stat(file) {
        let _ = sys::rename(dir, &new, dir, &old, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;
    use std::os::unix::fs::PermissionsExt;

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path().join("sbx"));
        (dir, journal)
    }

    fn event(number: i32) -> Event {
        let spec = Spec { profile: "p".to_owned(), ..Spec::default() };
        Event::new(&Id::random().unwrap(), Some("x"), &spec, &Happened::Died(number))
    }

    /// The exit statuses of all that is read, and how many lines could not be.
    fn all(reader: &mut Reader) -> (Vec<i32>, u32) {
        let (mut read, mut damaged) = (Vec::new(), 0);
        while reader.next(&mut |line| {
            match Event::read(line) {
                Some(event) => read.extend(event.status),
                None => damaged += 1,
            }
            ControlFlow::Continue(())
        }) {}
        (read, damaged)
    }

    #[test]
    fn what_is_appended_is_read_and_damaged_lines_cost_no_others() {
        let (dir, journal) = journal();
        journal.append(&event(1)).unwrap();
        let mut reader = journal.read().unwrap();
        assert_eq!(all(&mut reader), (vec![1], 0));
        // Half of a line, as a full disk leaves it; and what nobody of ours has written.
        let path = dir.path().join("sbx/.events/events");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"\xff{\"time\":\"x\"}\n[1]\n{}\n{\"time\":1,\"ev");
        std::fs::write(&path, text).unwrap();
        journal.append(&event(2)).unwrap();
        assert_eq!(all(&mut journal.read().unwrap()), (vec![1, 2], 4));
    }

    #[test]
    fn files_are_turned_and_a_reader_that_keeps_up_misses_nothing() {
        let (dir, journal) = journal();
        let long = Event { profile: "x".repeat(900), ..event(0) };
        let (mut reader, mut read) = (journal.read().unwrap(), Vec::new());
        let mut wanted = Vec::new();
        for number in 0..3000 {
            journal.append(&Event { status: Some(number), ..long.clone() }).unwrap();
            wanted.push(number);
            read.extend(all(&mut reader).0);
        }
        assert_eq!(read, wanted);
        for name in NAMES {
            assert!(std::fs::metadata(dir.path().join("sbx/.events").join(name)).unwrap().len() <= SIZE + 2000);
        }
    }

    #[test]
    fn lines_of_many_at_once_stay_whole() {
        let (_dir, journal) = journal();
        let long = Event { profile: "x".repeat(2000), ..event(7) };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..300).for_each(|_| journal.append(&long).unwrap()));
            }
        });
        let (read, damaged) = all(&mut journal.read().unwrap());
        // 2.4 MB are more than the files hold, but none of the lines in them is damaged.
        assert!(damaged == 0 && read.len() > 450 && read.iter().all(|status| *status == 7), "{damaged} {}", read.len());
    }

    #[test]
    fn labels_that_are_too_long_are_left_out_and_what_is_in_the_way_is_not_followed() {
        let (dir, journal) = journal();
        let labels = BTreeMap::from([("a".to_owned(), "x".repeat(LONGEST))]);
        journal.append(&Event { labels, ..event(3) }).unwrap();
        assert_eq!(all(&mut journal.read().unwrap()), (vec![3], 0));
        let path = dir.path().join("sbx/.events/events");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(dir.path().join("other"), "").unwrap();
        std::os::unix::fs::symlink(dir.path().join("other"), &path).unwrap();
        assert!(journal.append(&event(4)).is_err());
        assert_eq!(std::fs::read(dir.path().join("other")).unwrap(), b"");
    }
}
