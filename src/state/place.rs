//! The directories that records lie in.

use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The directories of a user's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// What outlives a sandbox.
    pub state: PathBuf,
    /// What is there while one runs.
    pub runtime: PathBuf,
}

impl Places {
    /// The directories for these values of XDG_STATE_HOME and XDG_RUNTIME_DIR; none, or a relative path, stands for the default. A runtime
    /// directory that is not there, or belongs to somebody else, gives way to the usual one, and that to one below /tmp.
    pub fn of(state_home: Option<&str>, runtime_dir: Option<&str>, home: &Path) -> Places {
        Places { state: Places::state_of(state_home, home), runtime: Places::runtime_of(runtime_dir) }
    }

    /// The directory for what outlives a sandbox.
    pub fn state_of(state_home: Option<&str>, home: &Path) -> PathBuf {
        let base = state_home.filter(|path| path.starts_with('/')).map(PathBuf::from);
        base.unwrap_or_else(|| home.join(".local/state")).join("sbx")
    }

    /// The directories that records of a user's running sandboxes may be in, whatever is there now.
    pub fn all_runtime(runtime_dir: Option<&str>, uid: u32) -> Vec<PathBuf> {
        let named = runtime_dir.filter(|dir| dir.starts_with('/')).map(|dir| Path::new(dir).join("sbx"));
        let usual = PathBuf::from(format!("/run/user/{uid}/sbx"));
        let usual = Some(usual).filter(|usual| named.as_ref() != Some(usual));
        named.into_iter().chain(usual).chain([PathBuf::from(format!("/tmp/sbx-{uid}"))]).collect()
    }

    /// The directories that a monitor's may lie in: this one, if it is one, and those that commands take.
    pub(super) fn runtime_besides(&self, known: &str) -> Vec<PathBuf> {
        let known = Some(PathBuf::from(known)).filter(|dir| dir.is_absolute());
        let mut all: Vec<_> = known.into_iter().chain([self.runtime.clone()]).collect();
        all.extend(Places::all_runtime(None, sys::effective_uid()));
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|dir| seen.insert(dir.clone()));
        all
    }

    fn runtime_of(runtime_dir: Option<&str>) -> PathBuf {
        let uid = sys::effective_uid();
        let usual = format!("/run/user/{uid}");
        let own = |dir: &&str| {
            let found = sys::openat(sys::cwd(), &c(dir), libc::O_PATH | libc::O_DIRECTORY, 0);
            let owner = found.and_then(|dir| sys::owner(dir.as_fd()));
            owner.is_ok_and(|owner| owner.uid == uid && owner.mode & 0o022 == 0)
        };
        let named = runtime_dir.filter(|dir| dir.starts_with('/'));
        match named.into_iter().chain([usual.as_str()]).find(own) {
            Some(dir) => Path::new(dir).join("sbx"),
            None => PathBuf::from(format!("/tmp/sbx-{uid}")),
        }
    }
}

/// A name with the NUL that system calls want. Names here have none inside.
pub(super) fn c(text: impl AsRef<std::ffi::OsStr>) -> CString {
    CString::new(text.as_ref().as_bytes()).unwrap_or_default()
}

/// Opens the directory that records lie in; no link is followed in its last part, which is sbx's own. With `make`, it is made if it is not
/// there; without, there is none then.
///
/// # Errors
///
/// It cannot be opened or made, or others may write to it.
pub(super) fn open(path: &Path, make: bool) -> Result<Option<OwnedFd>> {
    let (base, name) = (path.parent().unwrap_or(path), c(path.file_name().unwrap_or_default()));
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let base_fd = match sys::openat(sys::cwd(), &c(base), flags, 0) {
        Err(Errno(libc::ENOENT)) if !make => return Ok(None),
        Err(Errno(libc::ENOENT)) => {
            sys::make_directories(base, 0o700).map_err(|errno| failed("make", base, errno))?;
            sys::openat(sys::cwd(), &c(base), flags, 0)
        }
        other => other,
    };
    let base_fd = base_fd.map_err(|errno| failed("open", base, errno))?;
    if make {
        match sys::mkdirat(base_fd.as_fd(), &name, 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(failed("make", path, errno)),
        }
    }
    match directory(base_fd.as_fd(), &name, 0o022) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno(libc::ENOENT)) if !make => Ok(None),
        Err(Errno(libc::EPERM)) => {
            Err(Error::new(format!("{} is another user's, or others may write to it", path.display()))
                .hint(format!("look at what is there, and close it: chmod 700 {}", path.display())))
        }
        Err(Errno(libc::ELOOP | libc::ENOTDIR)) => {
            Err(Error::new(format!("{} is no directory, and sbx keeps records of sandboxes there", path.display()))
                .hint(format!("a program may have left it: look at it, and remove it (rm {})", path.display())))
        }
        Err(errno) => Err(failed("open", path, errno)),
    }
}

/// Opens a directory of this user's that others have none of these permissions on (EPERM otherwise). No link is followed.
pub(super) fn directory(dir: BorrowedFd<'_>, name: &CStr, closed: u32) -> sys::Result<OwnedFd> {
    let fd = sys::openat(dir, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)?;
    let owner = sys::owner(fd.as_fd())?;
    if owner.uid == sys::effective_uid() && owner.mode & closed == 0 { Ok(fd) } else { Err(Errno(libc::EPERM)) }
}

/// Opens a regular file of this user's; no link is followed, and nothing else is opened.
pub(super) fn file(dir: BorrowedFd<'_>, name: &CStr, access: i32) -> sys::Result<OwnedFd> {
    let fd = sys::openat(dir, name, access | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY, 0)?;
    let own = sys::owner(fd.as_fd())?.uid == sys::effective_uid();
    if own && sys::file_type(fd.as_fd())? == libc::S_IFREG { Ok(fd) } else { Err(Errno(libc::EPERM)) }
}

pub(super) fn failed(what: &str, path: &Path, errno: Errno) -> Error {
    Error::new(format!("cannot {what} {}: {errno}", path.display()))
}

/// The error for something that could not be made, where a full disk is the usual cause.
pub(super) fn full(what: &str, path: &Path, errno: Errno) -> Error {
    let error = failed(what, path, errno);
    match errno.0 {
        libc::ENOSPC | libc::EDQUOT => error.hint("the disk, or the user's quota of it, is full: make room there"),
        _ => error,
    }
}
