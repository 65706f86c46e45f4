//! Makes, removes and changes files.

use super::copy_up::CAREFUL;
use super::find::is_whiteout;
use super::nodes::Node;
use super::opened::{UpperLayer, mark_opaque};
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

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

/// What is to be changed of a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// Permissions.
    pub mode: Option<u32>,
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
    /// Size.
    pub size: Option<u64>,
    /// Time of the last access.
    pub accessed: sys::NewTime,
    /// Time of the last change.
    pub modified: sys::NewTime,
}

/// What the upper layer has at a name.
enum There {
    Nothing,
    Whiteout,
    Other,
}

fn there(dir: BorrowedFd<'_>, name: &CStr) -> Result<There> {
    match sys::status_of(dir, name) {
        Err(Errno(libc::ENOENT)) => Ok(There::Nothing),
        Err(errno) => Err(errno),
        Ok(status) if is_whiteout(dir, name, &status)? => Ok(There::Whiteout),
        Ok(_) => Ok(There::Other),
    }
}

impl Server {
    /// Makes a file. Gives its attributes, and counts that the kernel was told of it.
    pub fn make(&mut self, parent: u64, name: &CStr, kind: Kind<'_>, mode: u32, maker: Maker) -> Result<FileStatus> {
        if self.find(parent, name)?.is_some() {
            return Err(Errno(libc::EEXIST));
        }
        self.copy_up(parent, false)?;
        let upper = self.upper(parent)?;
        let dir = self.upper_dir(parent)?;
        let opened = match there(dir.as_fd(), name)? {
            There::Other => return Err(Errno(libc::EEXIST)),
            There::Nothing => {
                let made = self.make_at(dir.as_fd(), name, kind, mode, maker);
                made.inspect_err(|errno| {
                    if *errno != Errno(libc::EEXIST) {
                        let _ = sys::unlink(dir.as_fd(), name, matches!(kind, Kind::Dir));
                    }
                })?
            }
            There::Whiteout => {
                let scratch = self.scratch(dir.as_fd(), &upper)?;
                let place = scratch.as_ref().map_or(upper.work.as_fd(), |(_, dir)| dir.as_fd());
                let temporary = self.work_name();
                let made = self.make_at(place, &temporary, kind, mode, maker).and_then(|opened| {
                    if let Kind::Dir = kind {
                        let made = sys::openat(place, &temporary, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
                        mark_opaque(made.as_fd())?;
                    }
                    over_whiteout(place, &temporary, (dir.as_fd(), name), matches!(kind, Kind::Dir))?;
                    Ok(opened)
                });
                if made.is_err() {
                    let _ = super::super::remove(place, &temporary);
                }
                if let Some((scratch, _)) = scratch {
                    let _ = super::super::remove(upper.work.as_fd(), &scratch);
                }
                made?
            }
        };
        let status = sys::status_of(dir.as_fd(), name)?;
        let union = self.node(parent)?.union;
        // Whatever had this inode number before has gone.
        self.nodes.vanished((status.dev, status.ino));
        let mut node = Node::new(union, status.mode & libc::S_IFMT, (status.dev, status.ino));
        node.upper = true;
        node.privileged = status.mode & 0o6000 != 0;
        let number = self.nodes.add(node, Some((parent, Arc::from(name))));
        if let Some(opened) = opened {
            self.files.add(number, opened);
        }
        self.nodes.told(number);
        Ok(self.shown(number, &status))
    }

    /// Makes a file at a name where nothing is.
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
        if (maker.uid, maker.gid) != self.ids {
            let inherits = sys::status_of(dir, c"")?.mode & libc::S_ISGID != 0;
            let gid = (!inherits).then_some(maker.gid);
            sys::chown(dir, name, Some(maker.uid), gid)?;
            if let (Kind::File, Some(file), true) = (kind, &made, mode & 0o6000 != 0) {
                sys::chmod(file.as_fd(), mode & 0o7777 & !maker.umask)?;
            }
        }
        Ok(made)
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

    /// Gives a file another name.
    pub fn link(&mut self, number: u64, parent: u64, name: &CStr) -> Result<FileStatus> {
        if self.node(number)?.is_dir() {
            return Err(Errno(libc::EPERM));
        }
        if self.node(number)?.union != self.node(parent)?.union {
            return Err(Errno(libc::EXDEV));
        }
        if self.find(parent, name)?.is_some() {
            return Err(Errno(libc::EEXIST));
        }
        self.copy_up(number, false)?;
        self.link_on_disk(number, parent, name)?;
        self.nodes.add_name(number, parent, Arc::from(name));
        self.count_names(number, 1);
        self.nodes.told(number);
        self.attributes(number)
    }

    /// Makes another name of a file in the upper layer.
    pub(super) fn link_on_disk(&mut self, number: u64, parent: u64, name: &CStr) -> Result<()> {
        self.copy_up(parent, false)?;
        let upper = self.upper(parent)?;
        let dir = self.upper_dir(parent)?;
        let (from, old) = self.place(number)?;
        let make = |to: BorrowedFd<'_>, new: &CStr| match old.is_empty() {
            true => sys::link_descriptor(from.as_fd(), to, new),
            false => sys::link(from.as_fd(), &old, to, new),
        };
        match there(dir.as_fd(), name)? {
            There::Other => Err(Errno(libc::EEXIST)),
            There::Nothing => make(dir.as_fd(), name),
            There::Whiteout => {
                let temporary = self.work_name();
                make(upper.work.as_fd(), &temporary)?;
                over_whiteout(upper.work.as_fd(), &temporary, (dir.as_fd(), name), false)
                    .inspect_err(|_| discard(&upper, &temporary))
            }
        }
    }

    /// Removes a name.
    pub fn unlink(&mut self, parent: u64, name: &CStr) -> Result<()> {
        let number = self.find(parent, name)?.ok_or(Errno(libc::ENOENT))?;
        if self.node(number)?.is_dir() {
            return Err(Errno(libc::EISDIR));
        }
        let below = self.is_below(parent, name)?;
        self.copy_up(parent, false)?;
        let upper = self.upper(parent)?;
        let dir = self.upper_dir(parent)?;
        let node = self.node(number)?;
        let last = node.names.len() <= 1;
        let kept = match node.upper && last && node.kept.is_none() {
            true => Some(self.keep(number)?),
            false => None,
        };
        match there(dir.as_fd(), name)? {
            There::Other if below => self.cover(&upper, (dir.as_fd(), name))?,
            There::Other => sys::unlink(dir.as_fd(), name, false)?,
            There::Nothing => self.cover(&upper, (dir.as_fd(), name))?,
            There::Whiteout => return Err(Errno(libc::ENOENT)),
        }
        self.nodes.remove_name(number, parent, name);
        if kept.is_some() {
            self.node_mut(number)?.kept = kept;
        }
        self.count_names(number, -1);
        self.nodes.sweep(number).into_iter().for_each(|gone| self.close(gone));
        Ok(())
    }

    /// A descriptor of a file whose name is about to be removed.
    pub(super) fn keep(&mut self, number: u64) -> Result<Arc<OwnedFd>> {
        if let Some(open) = self.files.get(&number) {
            return Ok(open);
        }
        self.handle(number).map(Arc::new)
    }

    /// Puts a whiteout in place of what the upper layer has at a name.
    pub(super) fn cover(&mut self, upper: &UpperLayer, (dir, name): (BorrowedFd<'_>, &CStr)) -> Result<()> {
        let temporary = self.work_name();
        if !upper.no_devices && matches!(there(dir, name)?, There::Nothing) {
            return sys::whiteout(dir, name);
        }
        upper.whiteout(&temporary)?;
        sys::rename(upper.work.as_fd(), &temporary, dir, name, 0).inspect_err(|_| discard(upper, &temporary))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&mut self, parent: u64, name: &CStr) -> Result<()> {
        let number = self.find(parent, name)?.ok_or(Errno(libc::ENOENT))?;
        if !self.node(number)?.is_dir() {
            return Err(Errno(libc::ENOTDIR));
        }
        if !self.is_empty(number)? {
            return Err(Errno(libc::ENOTEMPTY));
        }
        let below = self.is_below(parent, name)?;
        self.copy_up(parent, false)?;
        let upper = self.upper(parent)?;
        let dir = self.upper_dir(parent)?;
        let kept = match self.node(number)?.upper {
            true => self.upper_dir(number)?,
            false => {
                let (dir, _) = self.place(number)?;
                dir
            }
        };
        match (self.node(number)?.upper, below) {
            (false, _) => self.cover(&upper, (dir.as_fd(), name))?,
            (true, false) => match sys::unlink(dir.as_fd(), name, true) {
                // Whiteouts are in it.
                Err(Errno(libc::ENOTEMPTY | libc::EEXIST)) => {
                    let temporary = self.work_name();
                    sys::rename(dir.as_fd(), name, upper.work.as_fd(), &temporary, 0)?;
                    let _ = super::super::remove(upper.work.as_fd(), &temporary);
                }
                other => other?,
            },
            (true, true) => {
                let temporary = self.work_name();
                upper.whiteout(&temporary)?;
                self.exchange_out(&upper, &temporary, (dir.as_fd(), name))?;
            }
        }
        self.nodes.remove_name(number, parent, name);
        self.close(number);
        let node = self.node_mut(number)?;
        node.lower.clear();
        node.kept = Some(kept);
        self.nodes.sweep(number).into_iter().for_each(|gone| self.close(gone));
        Ok(())
    }

    /// Puts something of the work directory in place of an empty directory of the upper layer, which is then removed.
    pub(super) fn exchange_out(
        &mut self,
        upper: &UpperLayer,
        temporary: &CStr,
        (dir, name): (BorrowedFd<'_>, &CStr),
    ) -> Result<()> {
        let work = upper.work.as_fd();
        let exchanged = match sys::rename(work, temporary, dir, name, sys::RENAME_EXCHANGE) {
            // A filesystem without that flag.
            Err(Errno(libc::EINVAL)) => {
                let old = self.work_name();
                sys::rename(dir, name, work, &old, 0)?;
                let moved = sys::rename(work, temporary, dir, name, 0);
                let _ = super::super::remove(work, &old);
                moved
            }
            other => other,
        };
        let _ = super::super::remove(work, temporary);
        exchanged
    }

    /// Changes the attributes of a file.
    pub fn change(&mut self, number: u64, change: &Change) -> Result<FileStatus> {
        if let Some(size) = change.size {
            if self.node(number)?.kind != libc::S_IFREG {
                return Err(Errno(libc::EINVAL));
            }
            self.resize(number, size)?;
        }
        self.copy_up(number, false)?;
        let kind = self.node(number)?.kind;
        let (dir, name) = self.place(number)?;
        if change.uid.is_some() || change.gid.is_some() {
            sys::chown(dir.as_fd(), &name, change.uid, change.gid)?;
        }
        if let Some(mode) = change.mode {
            if kind == libc::S_IFLNK {
                return Err(Errno(libc::EOPNOTSUPP));
            }
            let file = self.handle(number)?;
            sys::chmod(file.as_fd(), mode & 0o7777)?;
        }
        if change.accessed.is_some() || change.modified.is_some() {
            match name.is_empty() && kind == libc::S_IFLNK {
                // A link without a name, whose times nobody sees.
                true => {}
                false => sys::set_times(dir.as_fd(), &name, change.accessed, change.modified)?,
            }
        }
        self.attributes(number)
    }
}

/// Removes a file of the work directory that has not come to its place. What cannot be removed goes with the directory.
fn discard(upper: &UpperLayer, temporary: &CStr) {
    let _ = sys::unlink(upper.work.as_fd(), temporary, false);
}

/// Renames a file of the work directory over a whiteout.
pub(super) fn over_whiteout(
    work: BorrowedFd<'_>,
    temporary: &CStr,
    (dir, name): (BorrowedFd<'_>, &CStr),
    is_dir: bool,
) -> Result<()> {
    if !is_dir {
        return sys::rename(work, temporary, dir, name, 0);
    }
    match sys::rename(work, temporary, dir, name, sys::RENAME_EXCHANGE) {
        Ok(()) => sys::unlink(work, temporary, false),
        // A filesystem without that flag: for a moment, there is neither.
        Err(Errno(libc::EINVAL)) => {
            sys::unlink(dir, name, false)?;
            sys::rename(work, temporary, dir, name, 0)
        }
        Err(errno) => Err(errno),
    }
}
