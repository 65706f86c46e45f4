//! Makes files.

use super::change::{There, over_whiteout, there};
use super::copy_up::CAREFUL;
use super::nodes::Node;
use super::opened::{UpperLayer, mark_opaque};
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// What a new file, directory or link is expected to take.
const NEW: u64 = 4096;

/// Who makes a file, and with which umask(2).
#[derive(Debug, Clone, Copy)]
pub struct Maker {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permissions that new files do not get, unless the directory has a default access control list.
    pub umask: u32,
}

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'k> {
    /// A regular file, which stays open.
    File,
    /// A directory.
    Dir,
    /// A named pipe or a socket: its type (`S_IFMT`).
    Special(u32),
    /// A symbolic link with this text.
    Link(&'k CStr),
}

impl Server {
    /// Makes a file. Gives its attributes, and counts that the kernel was told of it.
    pub fn make(&mut self, parent: u64, name: &CStr, kind: Kind<'_>, mode: u32, maker: Maker) -> Result<FileStatus> {
        let node = self.node(parent)?;
        // Where nothing is merged, the upper layer itself says whether there is something.
        let whole = node.upper && node.lower.is_empty() && node.kept.is_none() && !node.names.is_empty();
        let known = match whole {
            true => self.nodes.find(parent, name),
            false => self.find(parent, name)?,
        };
        if known.is_some() {
            return Err(Errno(libc::EEXIST));
        }
        self.copy_up(parent, false)?;
        let upper = self.upper(parent)?;
        let dir = self.upper_dir(parent)?;
        self.room_for(NEW)?;
        let made = self.make_at(dir.as_fd(), name, kind, mode, maker);
        let opened = match made {
            Err(Errno(libc::EEXIST)) => match there(dir.as_fd(), name)? {
                There::Whiteout => self.make_over_whiteout(&upper, (dir.as_fd(), name), kind, mode, maker)?,
                _ => return Err(Errno(libc::EEXIST)),
            },
            Err(errno) => return Err(errno),
            Ok(opened) => opened,
        };
        let status = sys::status_of(dir.as_fd(), name)?;
        self.took(&status);
        let union = self.node(parent)?.union;
        // Whatever had this inode number before has gone.
        self.nodes.vanished((status.dev, status.ino));
        let mut node = Node::new(union, status.mode & libc::S_IFMT, (status.dev, status.ino));
        node.upper = true;
        node.privileged = status.mode & 0o6000 != 0;
        node.without_capabilities = true;
        let number = self.nodes.add(node, Some((parent, Arc::from(name))));
        if let Some(opened) = opened {
            self.files.add(number, opened);
        }
        self.nodes.told(number);
        Ok(self.shown(number, &status))
    }

    /// Makes a file in place of a whiteout.
    fn make_over_whiteout(
        &mut self,
        upper: &UpperLayer,
        (dir, name): (BorrowedFd<'_>, &CStr),
        kind: Kind<'_>,
        mode: u32,
        maker: Maker,
    ) -> Result<Option<OwnedFd>> {
        let scratch = self.scratch(dir, upper)?;
        let place = scratch.as_ref().map_or(upper.work.as_fd(), |(_, dir)| dir.as_fd());
        let temporary = self.work_name();
        let made = self.make_at(place, &temporary, kind, mode, maker).and_then(|opened| {
            if let Kind::Dir = kind {
                let made = sys::openat(place, &temporary, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
                mark_opaque(made.as_fd())?;
            }
            over_whiteout(place, &temporary, (dir, name), matches!(kind, Kind::Dir))?;
            Ok(opened)
        });
        if made.is_err() {
            let _ = super::super::remove(place, &temporary);
        }
        if let Some((scratch, _)) = scratch {
            let _ = super::super::remove(upper.work.as_fd(), &scratch);
        }
        made
    }

    /// Makes a file at a name where nothing is. EEXIST: something is there; after another error, nothing is.
    fn make_at(
        &self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        kind: Kind<'_>,
        mode: u32,
        maker: Maker,
    ) -> Result<Option<OwnedFd>> {
        sys::umask(maker.umask);
        let made = match kind {
            Kind::File => {
                sys::openat(dir, name, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | CAREFUL, mode & 0o7777).map(Some)
            }
            Kind::Dir => sys::mkdirat(dir, name, mode & 0o7777).map(|()| None),
            Kind::Special(kind) => sys::make_node(dir, name, kind | mode & 0o7777).map(|()| None),
            Kind::Link(text) => sys::symlinkat(text, dir, name).map(|()| None),
        };
        sys::umask(0);
        let made = made?;
        let given = match (&made, kind) {
            _ if (maker.uid, maker.gid) == self.ids => Ok(()),
            (Some(file), _) => self.give((file.as_fd(), c""), dir, mode, maker),
            (None, _) => self.give((dir, name), dir, 0, maker),
        };
        given.map(|()| made).inspect_err(|_| {
            let _ = sys::unlink(dir, name, matches!(kind, Kind::Dir));
        })
    }

    /// Makes a file without a name, which may get one later, open for reading and writing. Gives its attributes, and counts that the
    /// kernel was told of it. EOPNOTSUPP: the filesystem of the upper layer has no such files.
    pub fn make_temporary(&mut self, parent: u64, flags: i32, mode: u32, maker: Maker) -> Result<FileStatus> {
        self.copy_up(parent, false)?;
        self.upper(parent)?;
        let node = self.node(parent)?;
        let union = node.union;
        if !node.is_dir() || node.kept.is_some() || node.names.is_empty() {
            return Err(Errno(libc::ENOENT));
        }
        let dir = self.upper_dir(parent)?;
        self.room_for(NEW)?;
        let flags = libc::O_RDWR | libc::O_TMPFILE | libc::O_NONBLOCK | flags & libc::O_EXCL;
        sys::umask(maker.umask);
        let made = sys::openat(dir.as_fd(), c".", flags, mode & 0o7777);
        sys::umask(0);
        let file = made.map_err(|errno| match errno {
            // What filesystems answer that do not know the flag.
            Errno(libc::EISDIR | libc::EINVAL | libc::ENOENT) => Errno(libc::EOPNOTSUPP),
            other => other,
        })?;
        if (maker.uid, maker.gid) != self.ids {
            self.give((file.as_fd(), c""), dir.as_fd(), mode, maker)?;
        }
        let status = sys::status_of(file.as_fd(), c"")?;
        self.took(&status);
        self.nodes.vanished((status.dev, status.ino));
        let mut node = Node::new(union, libc::S_IFREG, (status.dev, status.ino));
        node.upper = true;
        node.privileged = status.mode & 0o6000 != 0;
        let number = self.nodes.add(node, None);
        let file = self.files.add(number, file);
        self.node_mut(number)?.kept = Some(file);
        self.nodes.told(number);
        Ok(self.shown(number, &status))
    }

    /// Gives what was made in a directory to its maker. An open file keeps the set-ID bits of its mode.
    fn give(&self, (at, name): (BorrowedFd<'_>, &CStr), dir: BorrowedFd<'_>, mode: u32, maker: Maker) -> Result<()> {
        let inherits = sys::status_of(dir, c"")?.mode & libc::S_ISGID != 0;
        sys::chown(at, name, Some(maker.uid), (!inherits).then_some(maker.gid))?;
        match mode & 0o6000 {
            0 => Ok(()),
            // Another owner takes them away.
            _ => sys::chmod(at, mode & 0o7777 & !maker.umask),
        }
    }

    /// A directory in the work directory from which new files inherit what they do from this one; none if that is nothing.
    fn scratch(&mut self, like: BorrowedFd<'_>, upper: &UpperLayer) -> Result<Option<(CString, OwnedFd)>> {
        const DEFAULT: &CStr = c"system.posix_acl_default";
        let status = sys::status_of(like, c"")?;
        let list = sys::attribute_at(like, DEFAULT).ok();
        if list.is_none() && status.mode & libc::S_ISGID == 0 {
            return Ok(None);
        }
        let name = self.work_name();
        sys::mkdirat(upper.work.as_fd(), &name, 0o700)?;
        let dir = sys::openat(upper.work.as_fd(), &name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)?;
        sys::chown(dir.as_fd(), c"", None, Some(status.gid))?;
        sys::chmod(dir.as_fd(), 0o700 | status.mode & libc::S_ISGID)?;
        if let Some(list) = list {
            sys::set_attribute_at(dir.as_fd(), DEFAULT, &list, 0)?;
        }
        Ok(Some((name, dir)))
    }
}
