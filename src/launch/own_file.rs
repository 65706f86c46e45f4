//! A file that a flag names for what sbx writes: `--receipt`, `--network-log` and `--cidfile`. No link or FIFO that somebody else has put at its path is
//! written to, and the program has it not.

use crate::error::{Error, Result};
use crate::plan::{Op, Plan};
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a receipt, and what else a flag has sbx write, is written.
#[derive(Debug)]
pub enum ReceiptTarget {
    /// A descriptor of the caller: the figures at the end of a receipt are a second document.
    Descriptor(OwnedFd),
    /// A file; that of a receipt is replaced at the end by one with the figures.
    File(OwnFile),
}

/// A file of sbx's own.
#[derive(Debug)]
pub struct OwnFile {
    /// The flag, as errors name it.
    flag: &'static str,
    /// The directory, opened once: what its path leads to later does not matter.
    dir: OwnedFd,
    /// The directory's real path.
    real: PathBuf,
    name: CString,
}

impl OwnFile {
    /// The file `name` in the directory whose real path is `dir`. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// The directory cannot be opened or written to, or something that is no regular file has the name.
    pub fn new(flag: &'static str, dir: &Path, name: &OsStr) -> Result<OwnFile> {
        let path = dir.join(name);
        let failed = |what: String| Error::new(format!("{flag} {}: {what}", path.display()));
        let c = |text: &OsStr| CString::new(text.as_bytes()).unwrap_or_default();
        let opened = sys::open_resolved(&c(dir.as_os_str())).map_err(|errno| {
            failed(format!("its directory cannot be opened: {errno}")).hint("create it, or name another file")
        })?;
        let found = path.symlink_metadata();
        if found.as_ref().is_ok_and(|found| !found.is_file()) {
            return Err(failed("it is there already, and is no regular file".into())
                .hint(format!("name another file; or hand a descriptor over: {flag} 3 ... 3>{}", path.display())));
        }
        let refused = |errno| {
            failed(format!("its directory cannot be written to: {errno}"))
                .hint("name a file in a directory that can be written, or the number of a descriptor")
        };
        // Written by a file's owner or its group, not by capabilities: root's are given up when the program starts.
        sys::may_write(opened.as_fd(), c".").map_err(refused)?;
        let directory = dir.metadata().map_err(|error| refused(error.into()))?;
        let (uid, mode) = (sys::ids().0, directory.mode());
        let others = directory.uid() != uid;
        let sticky = others && mode & libc::S_ISVTX != 0 && found.is_ok_and(|found| found.uid() != uid);
        if sticky || (uid == 0 && others && mode & 0o002 == 0) {
            return Err(refused(sys::Errno(libc::EPERM)));
        }
        Ok(OwnFile { flag, dir: opened, real: dir.to_owned(), name: c(name) })
    }

    /// Refuses a file that the program could change: the view shows its directory writable.
    ///
    /// # Errors
    ///
    /// The plan binds the file, its directory or one above it writable.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        let path = self.real.join(OsStr::from_bytes(self.name.as_bytes()));
        let id = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
        // By their files, too: a directory may have several paths, by mounts of the host.
        let above: Vec<_> = self.real.ancestors().filter_map(id).collect();
        for placed in &plan.view.parts {
            let Op::Bind { source, attributes, path: inside, .. } = &placed.op else { continue };
            if attributes.ro || !attributes.nodev {
                continue;
            }
            let shown = path.starts_with(source) || id(source).is_some_and(|id| above.contains(&id));
            if shown {
                let (flag, path, inside) = (self.flag, path.display(), inside.display());
                let message = format!("{flag} {path}: the program could change it, since {inside} is writable");
                return Err(Error::new(message)
                    .origin(&placed.origin)
                    .hint(format!("name a file elsewhere, or the number of a descriptor: {flag} 3 ... 3>FILE")));
            }
        }
        Ok(())
    }

    /// Opens the file to write at its end; it is made if it is not there. No other run of sbx writes there, until the file is closed.
    ///
    /// # Errors
    ///
    /// It is no file of the user's alone, or cannot be written to.
    pub fn append(&self) -> Result<File> {
        let path = self.real.join(OsStr::from_bytes(self.name.as_bytes()));
        let failed = |why: String| Error::new(format!("{} {}: {why}", self.flag, path.display()));
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = sys::openat(self.dir.as_fd(), &self.name, flags, 0o600);
        let file = File::from(opened.map_err(|errno| {
            failed(format!("it cannot be opened: {errno}"))
                .hint("name a file that is not there, or one that can be written")
        })?);
        let found = file.metadata().map_err(|error| failed(sys::Errno::from(error).to_string()))?;
        if !found.is_file() || found.uid() != sys::effective_uid() || found.nlink() != 1 {
            return Err(failed("it is there already, and is no regular file of yours alone".into())
                .hint("a file with other names (hard links) may be one that the program has: name another file"));
        }
        sys::try_lock(file.as_fd()).map_err(|errno| match errno.0 {
            libc::EWOULDBLOCK => failed("another run of sbx writes there".into()).hint("name another file"),
            _ => failed(errno.to_string()),
        })?;
        Ok(file)
    }

    /// Its path, to show.
    pub fn path(&self) -> String {
        self.real.join(OsStr::from_bytes(self.name.as_bytes())).display().to_string()
    }

    /// Whether a file has its name already.
    pub(super) fn is_there(&self) -> bool {
        sys::stat_below(self.dir.as_fd(), &self.name).is_ok()
    }

    /// Replaces the file as a whole: a new one is written beside it and renamed, so that nobody reads half of it.
    pub(super) fn write(&self, text: &str) -> sys::Result<()> {
        let name = self.beside(text)?;
        sys::rename_in(self.dir.as_fd(), &name, &self.name).inspect_err(|_| self.discard(&name))
    }

    /// Writes a file beside it; gives its name.
    pub(super) fn beside(&self, text: &str) -> sys::Result<CString> {
        let (name, file) = sys::create_beside(self.dir.as_fd(), ".sbx-new")?;
        sys::write_all(file.as_fd(), text.as_bytes()).inspect_err(|_| self.discard(&name))?;
        Ok(name)
    }

    /// Gives a file beside it its name, which no other has.
    pub(super) fn take_name(&self, beside: &CStr) -> sys::Result<()> {
        let dir = self.dir.as_fd();
        match sys::rename(dir, beside, dir, &self.name, sys::RENAME_NOREPLACE) {
            // Filesystems that cannot do that at once, such as NFS.
            Err(Errno(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP)) => {
                sys::link(dir, beside, dir, &self.name).map(|()| self.discard(beside))
            }
            renamed => renamed,
        }
    }

    /// Removes a file beside it.
    pub(super) fn discard(&self, beside: &CStr) {
        let _ = sys::unlink_in(self.dir.as_fd(), beside);
    }
}
