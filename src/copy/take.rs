//! Reads a file or a tree, and writes it as a tar stream. Links in it are not followed, and neither is what takes their place meanwhile: every directory is
//! opened below the descriptor of the one that it lies in.

use super::{At, DEEPEST, LeftOut, OF_THE_STREAM, failed, leave_out, permissions, reason};
use crate::archive::append_link;
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Writes the file or the tree at this path, by the last name of that.
/// Gives what is left out.
///
/// # Errors
///
/// It is not there, cannot be read, or nobody reads the stream.
pub fn take(at: &At<'_>, output: impl Write) -> Result<LeftOut> {
    let path = at.path;
    let top = at.open(libc::O_PATH).map_err(|errno| failed("open", path, errno))?;
    let name = path.file_name().unwrap_or(OsStr::new("root"));
    let mut take = Take { tar: Builder::new(output), left_out: Vec::new() };
    let kind = sys::file_type(top.as_fd()).map_err(|errno| failed("look at", path, errno))?;
    let shown = Shown { path, inside: PathBuf::from(name) };
    match kind {
        libc::S_IFDIR => {
            let dir = sys::openat(top.as_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
            take.directory(&dir.map_err(|errno| failed("read", path, errno))?, &shown, 0)?;
        }
        libc::S_IFREG => {
            // The path once more: a descriptor of O_PATH is opened by /proc only, which a sandbox need not have.
            let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
            let open = at.open(flags).map_err(|errno| failed("read", path, errno))?;
            take.file(open, &shown)?;
        }
        _ => {
            return Err(Error::new(format!("{} is neither a file nor a directory, and is not copied", path.display())));
        }
    }
    take.tar.finish().and_then(|()| take.tar.get_mut().flush()).map_err(|error| written(&error))?;
    Ok(take.left_out)
}

/// A path, as the user names it and as the stream does.
struct Shown<'p> {
    path: &'p Path,
    inside: PathBuf,
}

struct Take<W: Write> {
    tar: Builder<W>,
    left_out: LeftOut,
}

pub(super) fn written(error: &std::io::Error) -> Error {
    Error::new(format!("cannot write the copy: {}", reason(error))).status(OF_THE_STREAM)
}

impl<W: Write> Take<W> {
    fn directory(&mut self, dir: &OwnedFd, at: &Shown<'_>, depth: usize) -> Result<()> {
        let failed = |errno| failed("read", at.path, errno);
        let status = sys::status_of(dir.as_fd(), c"").map_err(failed)?;
        self.append(&status, EntryType::Directory, 0, &at.inside, &mut std::io::empty())?;
        for (name, _) in sys::entries(dir.as_fd()).map_err(failed)? {
            let part = OsStr::from_bytes(name.to_bytes());
            let path = at.path.join(part);
            let below = Shown { path: &path, inside: at.inside.join(part) };
            if depth >= DEEPEST {
                leave_out(&mut self.left_out, path.as_os_str(), "its directories lie too deep in each other");
                continue;
            }
            match self.entry(dir.as_fd(), &name, &below, depth) {
                // It is gone by now, or another one.
                Ok(Err(Errno(libc::ENOENT | libc::ELOOP | libc::ENOTDIR))) => {
                    leave_out(&mut self.left_out, path.as_os_str(), "it was changed while it was read");
                }
                Ok(Err(errno)) => leave_out(&mut self.left_out, path.as_os_str(), &errno.to_string()),
                Ok(Ok(())) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What cannot be read is an errno, and what ends the copy an error.
    fn entry(&mut self, dir: BorrowedFd<'_>, name: &CStr, at: &Shown<'_>, depth: usize) -> Result<sys::Result<()>> {
        let status = match sys::status_of(dir, name) {
            Ok(status) => status,
            Err(errno) => return Ok(Err(errno)),
        };
        match status.mode & libc::S_IFMT {
            libc::S_IFDIR => match sys::openat(dir, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0) {
                Ok(below) => self.directory(&below, at, depth + 1).map(Ok),
                Err(errno) => Ok(Err(errno)),
            },
            libc::S_IFREG => {
                let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
                match sys::openat(dir, name, flags, 0) {
                    Ok(open) => self.file(open, at).map(Ok),
                    Err(errno) => Ok(Err(errno)),
                }
            }
            libc::S_IFLNK => match sys::link_text(dir, name) {
                Ok(text) => {
                    self.times(&status)?;
                    let mut header = header(&status, EntryType::Symlink, 0);
                    let text = OsStr::from_bytes(text.to_bytes());
                    append_link(&mut self.tar, &mut header, &at.inside, text).map_err(|error| written(&error)).map(Ok)
                }
                Err(errno) => Ok(Err(errno)),
            },
            kind => {
                let what = match kind {
                    libc::S_IFSOCK => "a socket, which is not copied",
                    libc::S_IFIFO => "a named pipe, which is not copied",
                    _ => "a device, which is not copied",
                };
                leave_out(&mut self.left_out, at.path.as_os_str(), what);
                Ok(Ok(()))
            }
        }
    }

    /// An open file, which may have been another one when it was looked at.
    fn file(&mut self, open: OwnedFd, at: &Shown<'_>) -> Result<()> {
        let status = sys::status_of(open.as_fd(), c"").map_err(|errno| failed("read", at.path, errno))?;
        if status.mode & libc::S_IFMT != libc::S_IFREG {
            leave_out(&mut self.left_out, at.path.as_os_str(), "it was changed while it was read");
            return Ok(());
        }
        // Exactly as long as it says, even if it becomes shorter or longer meanwhile.
        let mut content = Content { file: File::from(open), left: status.size, short: false, failed: None };
        self.append(&status, EntryType::Regular, status.size, &at.inside, &mut content)?;
        match (content.failed, content.short) {
            (Some(error), _) => Err(failed("read", at.path, Errno::from(error))),
            (None, true) => {
                leave_out(&mut self.left_out, at.path.as_os_str(), "it became shorter while it was read");
                Ok(())
            }
            (None, false) => Ok(()),
        }
    }

    fn append(
        &mut self,
        status: &sys::FileStatus,
        kind: EntryType,
        size: u64,
        inside: &Path,
        content: &mut dyn Read,
    ) -> Result<()> {
        self.times(status)?;
        let mut header = header(status, kind, size);
        self.tar.append_data(&mut header, inside, content).map_err(|error| written(&error))
    }

    /// The exact time of the entry that follows.
    fn times(&mut self, status: &sys::FileStatus) -> Result<()> {
        let (seconds, nanoseconds) = status.modified;
        // Before 1970, a fraction counts the other way.
        let text = match (seconds, nanoseconds) {
            (..0, 1..) => format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
            _ => format!("{seconds}.{nanoseconds:09}"),
        };
        self.tar.append_pax_extensions([("mtime", text.as_bytes())]).map_err(|error| written(&error))
    }
}

/// The content of a file, exactly as long as was said; zeros for what is not there any more.
struct Content {
    file: File,
    left: u64,
    short: bool,
    failed: Option<std::io::Error>,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = if self.short { 0 } else { self.file.read(buffer).unwrap_or_else(|error| self.fail(error)) };
        if count > 0 {
            self.left -= count as u64;
            return Ok(count);
        }
        self.short = true;
        buffer.fill(0);
        self.left -= most as u64;
        Ok(most)
    }
}

impl Content {
    fn fail(&mut self, error: std::io::Error) -> usize {
        self.failed = Some(error);
        0
    }
}

fn header(status: &sys::FileStatus, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(permissions(status.mode, kind == EntryType::Directory));
    header.set_uid(status.uid.into());
    header.set_gid(status.gid.into());
    header.set_mtime(u64::try_from(status.modified.0).unwrap_or(0));
    header.set_size(size);
    header
}
