//! Writes what a tar stream holds below a directory. Every part of a path is opened by itself and no link is followed, whatever takes the place of a directory
//! meanwhile; a file is complete before it has its name; set-user-ID bits and devices are never made.

use super::entry::{Head, Kind, entries};
use super::{At, LeftOut, OF_THE_STREAM, failed, leave_out, reason};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, CString, OsStr};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How the names in the stream are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// One file or tree: into the directory at the path, or with the path's name if there is nothing yet.
    Into,
    /// What is in one directory: into that at the path.
    Contents,
    /// All of them, below the directory at the path.
    All,
}

/// Writes the stream to a path. Gives what is left out.
///
/// # Errors
///
/// The path is not what the stream can be written to, the stream is damaged, or something cannot be written.
pub fn put(at: &At<'_>, how: How, input: impl Read) -> Result<LeftOut> {
    let mut put: Option<Put> = None;
    let mut left_out = Vec::new();
    entries(input, |mut head, content| {
        if put.is_none() {
            put = Some(Put::new(at, how, &head)?);
        }
        let Some(put) = &mut put else { return Ok(()) };
        if let Kind::Other(why) = head.kind {
            leave_out(&mut left_out, &joined(&head.path), why);
            return Ok(());
        }
        put.place(&mut head.path);
        if let Kind::Name(path) = &mut head.kind {
            put.place(path);
        }
        match put.entry(&head, content) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => {
                leave_out(&mut left_out, &joined(&head.path), why);
                Ok(())
            }
            Err(Failure::Errno(errno)) => {
                Err(failed("write", &put.base_path.join(Path::new(&joined(&head.path))), errno))
            }
            Err(Failure::Stream(error)) => {
                Err(Error::new(format!("the copy ended early: {}", reason(&error))).status(OF_THE_STREAM))
            }
        }
    })?;
    match put {
        Some(put) => put.finish().map(|()| left_out),
        None if how == How::All => Ok(left_out),
        None => Err(Error::new("there is nothing to copy").status(OF_THE_STREAM)),
    }
}

fn joined(path: &[CString]) -> std::ffi::OsString {
    let parts: Vec<_> = path.iter().map(|part| part.to_bytes()).collect();
    OsStr::from_bytes(&parts.join(&b'/')).to_owned()
}

/// Why an entry is not written.
enum Failure {
    Errno(Errno),
    /// The stream cannot be read.
    Stream(std::io::Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Errno(errno)
    }
}

struct Put {
    base: OwnedFd,
    base_path: PathBuf,
    how: How,
    /// What the first part of each path is replaced by, which is dropped for none.
    renamed: Option<CString>,
    /// The directory that the last entry lay in, and which one that is.
    last: Option<(Vec<CString>, OwnedFd, usize)>,
    dirs: Dirs,
    /// Files that were made, by the directory and the name: device and inode number.
    files: HashMap<(usize, CString), (u64, u64)>,
    count: u64,
}

impl Put {
    /// Decides where the stream goes, by what is at the path and by the first entry.
    fn new(at: &At<'_>, how: How, first: &Head) -> Result<Put> {
        let path = at.path;
        let of = |base: OwnedFd, base_path: &Path, renamed: Option<CString>| {
            let (base_path, last, dirs, files) = (base_path.to_owned(), None, Dirs::default(), HashMap::new());
            Ok(Put { base, base_path, how, renamed, last, dirs, files, count: 0 })
        };
        let is_dir = first.kind == Kind::Dir || first.path.len() > 1;
        let top = || first.path.first().cloned();
        match at.open(libc::O_PATH | libc::O_DIRECTORY) {
            Ok(base) if how == How::Into => of(base, path, top()),
            Ok(base) => of(base, path, None),
            Err(errno) if how == How::All => Err(failed("open the directory", path, errno)),
            // A slash at its end says that it is a directory.
            Err(errno @ Errno(libc::ENOENT | libc::ENOTDIR))
                if !is_dir && path.as_os_str().as_bytes().ends_with(b"/") =>
            {
                Err(failed("open the directory", path, errno))
            }
            Err(Errno(libc::ENOTDIR)) if !is_dir => Put::beside(at, of),
            Err(Errno(libc::ENOTDIR)) => {
                Err(Error::new(format!("{} is no directory, and a directory is copied there", path.display()))
                    .hint("name a directory, or remove the file first"))
            }
            Err(Errno(libc::ENOENT)) => Put::beside(at, of),
            Err(errno) => Err(failed("open", path, errno)),
        }
    }

    /// The stream's top gets the name of the path, in the directory that it lies in.
    fn beside(at: &At<'_>, of: impl Fn(OwnedFd, &Path, Option<CString>) -> Result<Put>) -> Result<Put> {
        let name = at.path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
        let name = name.ok_or_else(|| Error::new(format!("{} has no name to copy to", at.path.display())))?;
        let dir = at.above();
        let base = at.open_above().map_err(|errno| failed("open the directory", dir, errno))?;
        let mut put = of(base, dir, Some(name))?;
        // What is in a directory goes into one that is made with this name.
        put.how = How::Into;
        Ok(put)
    }

    /// Gives a path of the stream the place that it has below the base.
    fn place(&self, path: &mut Vec<CString>) {
        match (self.how, &self.renamed) {
            (How::All, _) => {}
            (_, Some(name)) => match path.first_mut() {
                Some(first) => first.clone_from(name),
                None => path.push(name.clone()),
            },
            (_, None) if !path.is_empty() => drop(path.remove(0)),
            _ => {}
        }
    }

    /// Writes an entry; a text says why it is left out.
    fn entry(&mut self, head: &Head, content: &mut dyn Read) -> std::result::Result<Option<&'static str>, Failure> {
        let Some((name, dirs)) = head.path.split_last() else {
            // The base itself.
            return Ok(None);
        };
        let (dir, at) = match self.directory(dirs) {
            Ok(found) => found,
            Err(Errno(libc::ELOOP | libc::ENOTDIR)) => {
                return Ok(Some("a directory above it is a link or a file there, and no link is followed"));
            }
            Err(errno) => return Err(errno.into()),
        };
        let dir = dir.as_fd();
        let there = match sys::status_of(dir, name) {
            Ok(status) => Some(status.mode & libc::S_IFMT),
            Err(Errno(libc::ENOENT)) => None,
            Err(errno) => return Err(errno.into()),
        };
        if there == Some(libc::S_IFDIR) && head.kind != Kind::Dir {
            return Ok(Some("a directory has its name there"));
        }
        match &head.kind {
            Kind::Dir => match there {
                Some(libc::S_IFDIR) => {}
                Some(_) => return Ok(Some("a file has its name there")),
                None => {
                    // It may be read-only once all is in it.
                    sys::mkdirat(dir, name, 0o700)?;
                    let made = self.dirs.below(at, name)?;
                    self.dirs.made(made, head.mode, head.modified);
                }
            },
            Kind::File => {
                let id = self.file(dir, name, head, content)?;
                if self.files.len() < MOST {
                    self.files.insert((at, name.clone()), id);
                }
            }
            Kind::Link(text) => self.replacing(dir, name, |temporary| {
                sys::symlinkat(text, dir, temporary)?;
                sys::set_times(dir, temporary, None, Some(of(head.modified)))
            })?,
            Kind::Name(path) => return self.further_name(dir, name, path),
            Kind::Other(why) => return Ok(Some(why)),
        }
        Ok(None)
    }

    /// The directory with this path below the base, and which one it is; those that are missing are made.
    fn directory(&mut self, dirs: &[CString]) -> sys::Result<(OwnedFd, usize)> {
        if let Some((path, dir, at)) = &self.last
            && path == dirs
        {
            return Ok((sys::dup_above(dir.as_fd(), 3)?, *at));
        }
        let (mut dir, mut at) = (sys::dup_above(self.base.as_fd(), 3)?, Dirs::BASE);
        for name in dirs {
            let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            at = self.dirs.below(at, name)?;
            dir = match sys::openat(dir.as_fd(), name, flags, 0) {
                Err(Errno(libc::ENOENT)) => {
                    sys::mkdirat(dir.as_fd(), name, 0o700)?;
                    self.dirs.made(at, 0o755, now());
                    sys::openat(dir.as_fd(), name, flags, 0)?
                }
                other => other?,
            };
        }
        self.last = Some((dirs.to_vec(), sys::dup_above(dir.as_fd(), 3)?, at));
        Ok((dir, at))
    }

    /// Makes something under another name first, and gives it its own, by which it takes the place of what has it.
    fn replacing(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        make: impl FnOnce(&CStr) -> sys::Result<()>,
    ) -> sys::Result<()> {
        self.count += 1;
        let temporary = format!(".sbx-cp-{:x}-{:x}", sys::monotonic_nanoseconds(), self.count);
        let temporary = CString::new(temporary).map_err(|_| Errno(libc::EINVAL))?;
        let made = make(&temporary).and_then(|()| sys::rename(dir, &temporary, dir, name, 0));
        if made.is_err() {
            let _ = sys::unlink(dir, &temporary, false);
        }
        made
    }

    /// Writes a file; gives its device and inode number.
    fn file(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        head: &Head,
        content: &mut dyn Read,
    ) -> std::result::Result<(u64, u64), Failure> {
        let mut stream = None;
        let mut id = (0, 0);
        let mut fill = |open: &OwnedFd| -> sys::Result<()> {
            let written = write(open, head.size, content).and_then(|()| {
                set_mode(open, head.mode)?;
                let status = sys::status_of(open.as_fd(), c"")?;
                id = (status.dev, status.ino);
                Ok(())
            });
            written.map_err(|failure| match failure {
                Failure::Errno(errno) => errno,
                Failure::Stream(error) => {
                    stream = Some(error);
                    Errno(libc::EIO)
                }
            })
        };
        let flags = libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
        let mut begun = false;
        let mut done = self.replacing(dir, name, |temporary| {
            // What cannot be renamed to its place would have to be read again: a mount point has its own way.
            if is_mount_point(dir, name) {
                return Err(Errno(libc::EBUSY));
            }
            if let Some(open) = unnamed(dir) {
                begun = true;
                fill(&open)?;
                sys::link_descriptor(open.as_fd(), dir, temporary)?;
            } else {
                let open = sys::openat(dir, temporary, flags | libc::O_CREAT | libc::O_EXCL, 0o600)?;
                begun = true;
                fill(&open)?;
            }
            sys::set_times(dir, temporary, None, Some(of(head.modified)))
        });
        // One that is shown writable alone, in a directory that is not: it is written where it is.
        if matches!(done, Err(Errno(libc::EBUSY | libc::EROFS | libc::EACCES | libc::EPERM))) && !begun {
            let first = done;
            done = match in_place(dir, name, flags) {
                Ok(open) => fill(&open).and_then(|()| sys::set_times(dir, name, None, Some(of(head.modified)))),
                // There is none yet, and none can be made.
                Err(_) => first,
            };
        }
        match (done, stream) {
            (_, Some(error)) => Err(Failure::Stream(error)),
            (Err(errno), None) => Err(errno.into()),
            (Ok(()), None) => Ok(id),
        }
    }

    /// Gives a file of the stream another name.
    fn further_name(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        path: &[CString],
    ) -> std::result::Result<Option<&'static str>, Failure> {
        const MISSING: &str = "the file that it is another name of was not copied";
        let Some((old, dirs)) = path.split_last() else { return Ok(Some(MISSING)) };
        let id = self.dirs.find(dirs).and_then(|at| self.files.get(&(at, old.clone())).copied());
        let Some(id) = id else { return Ok(Some(MISSING)) };
        let (from, _) = match self.directory(dirs) {
            Err(Errno(libc::ELOOP | libc::ENOTDIR | libc::ENOENT)) => return Ok(Some(MISSING)),
            other => other?,
        };
        self.replacing(dir, name, |temporary| {
            sys::link(from.as_fd(), old, dir, temporary)?;
            // Another file may have that name by now.
            let status = sys::status_of(dir, temporary)?;
            if (status.dev, status.ino) == id { Ok(()) } else { Err(Errno(libc::ESTALE)) }
        })?;
        Ok(None)
    }

    /// Gives the directories that were made their permissions and times, those inside of others first.
    fn finish(mut self) -> Result<()> {
        let made = std::mem::take(&mut self.dirs.made);
        for (at, (mode, modified)) in made.into_iter().rev() {
            let path = self.dirs.path(at);
            let Some((name, dirs)) = path.split_last() else { continue };
            let set = || -> sys::Result<()> {
                let (above, _) = self.directory(dirs)?;
                let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
                let dir = sys::openat(above.as_fd(), name, flags, 0)?;
                set_mode(&dir, mode)?;
                sys::set_times(above.as_fd(), name, None, Some(of(modified)))
            };
            let mut set = set;
            match set() {
                // Somebody has removed or replaced it.
                Ok(()) | Err(Errno(libc::ENOENT | libc::ELOOP | libc::ENOTDIR)) => {}
                Err(errno) => {
                    return Err(failed("set the permissions of", &self.base_path.join(joined(&path)), errno));
                }
            }
        }
        Ok(())
    }
}

/// How many files and directories are kept in mind: some hundred bytes each.
const MOST: usize = 1 << 20;

/// The directories that entries lie in, each once, however deep: a stream of few bytes may name many in each other.
#[derive(Default)]
struct Dirs {
    /// That which each lies in, and its name there. The base has none.
    all: Vec<(usize, CString)>,
    by_name: HashMap<(usize, CString), usize>,
    /// Those that were made: permissions and times are set when all is in them. One in another one comes later than that.
    made: BTreeMap<usize, (u32, (i64, u32))>,
}

impl Dirs {
    /// What the stream is written below. The first of the others is 1.
    const BASE: usize = 0;

    /// The directory of this name in another one. EMFILE: there are too many.
    fn below(&mut self, at: usize, name: &CString) -> sys::Result<usize> {
        if let Some(known) = self.by_name.get(&(at, name.clone())) {
            return Ok(*known);
        }
        if self.all.len() >= MOST {
            return Err(Errno(libc::EMFILE));
        }
        self.all.push((at, name.clone()));
        self.by_name.insert((at, name.clone()), self.all.len());
        Ok(self.all.len())
    }

    fn find(&self, path: &[CString]) -> Option<usize> {
        path.iter().try_fold(Dirs::BASE, |at, name| self.by_name.get(&(at, name.clone())).copied())
    }

    fn made(&mut self, at: usize, mode: u32, modified: (i64, u32)) {
        self.made.insert(at, (mode, modified));
    }

    fn path(&self, mut at: usize) -> Vec<CString> {
        let mut path = Vec::new();
        while let Some((above, name)) = at.checked_sub(1).and_then(|place| self.all.get(place)) {
            path.push(name.clone());
            at = *above;
        }
        path.reverse();
        path
    }
}

/// A time as utimensat(2) takes it.
fn of((seconds, nanoseconds): (i64, u32)) -> (i64, i64) {
    (seconds, i64::from(nanoseconds))
}

fn now() -> (i64, u32) {
    let now = sys::realtime_nanoseconds();
    (i64::try_from(now / 1_000_000_000).unwrap_or(0), u32::try_from(now % 1_000_000_000).unwrap_or(0))
}

/// A file that has no name yet, so that nothing is left of a copy that is interrupted. None where the filesystem has no such, or a sandbox no /proc, by which
/// it gets its name.
fn unnamed(dir: BorrowedFd<'_>) -> Option<OwnedFd> {
    sys::openat(sys::cwd(), c"/proc/self/fd", libc::O_PATH, 0).ok()?;
    sys::openat(dir, c".", libc::O_WRONLY | libc::O_TMPFILE, 0o600).ok()
}

/// Whether something is mounted there, which nothing else can take the place of.
fn is_mount_point(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    let root = u64::try_from(libc::STATX_ATTR_MOUNT_ROOT).unwrap_or(0);
    sys::statx(dir, name).is_ok_and(|found| found.stx_attributes & root != 0)
}

/// fchmod(2), which needs no /proc, as not every sandbox has one.
fn set_mode(file: &OwnedFd, mode: u32) -> sys::Result<()> {
    let file = std::fs::File::from(file.try_clone()?);
    Ok(file.set_permissions(std::fs::Permissions::from_mode(mode))?)
}

/// Opens a regular file to be written anew where it is.
fn in_place(dir: BorrowedFd<'_>, name: &CStr, flags: i32) -> sys::Result<OwnedFd> {
    let open = sys::openat(dir, name, flags, 0)?;
    if sys::file_type(open.as_fd())? != libc::S_IFREG {
        return Err(Errno(libc::EINVAL));
    }
    sys::truncate(open.as_fd(), 0)?;
    Ok(open)
}

/// How much is written at once, in bytes.
const PIECE: usize = 1 << 16;

/// Writes the content of a file. What is all zeros becomes a hole, so that a large file of nothing takes no room.
fn write(to: &OwnedFd, size: u64, content: &mut dyn Read) -> std::result::Result<(), Failure> {
    let mut buffer = vec![0; PIECE];
    let mut at: u64 = 0;
    loop {
        let count = content.read(&mut buffer).map_err(Failure::Stream)?;
        if count == 0 {
            break;
        }
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.iter().any(|byte| *byte != 0) {
            let mut done = 0;
            while done < count {
                done += sys::write_at(to.as_fd(), piece.get(done..).unwrap_or_default(), at + done as u64)?;
            }
        }
        at += count as u64;
    }
    if at != size {
        return Err(Failure::Stream(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(sys::truncate(to.as_fd(), size)?)
}
