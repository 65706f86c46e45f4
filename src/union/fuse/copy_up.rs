//! Copies files of lower layers to the upper one, before they are changed.
//!
//! A copy is made in the work directory and renamed to its place when it is complete: whenever the server ends, the upper
//! layer has a whole file, or none.

use super::super::serving::is_same;
use super::find::is_whiteout;
use super::nodes::Lower;
use super::opened::{UpperLayer, mark_opaque};
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Files in a directory of a lower layer that are copied up at most so that it can be renamed.
const MOST_COPIED: usize = 200_000;

/// Flags that open nothing but a file of the kind that is expected, and do not wait for anybody.
pub(super) const CAREFUL: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;

impl Server {
    /// Makes a node one of the upper layer, with the directories above it. With `empty`, the content of a file is left out.
    pub(super) fn copy_up(&mut self, number: u64, empty: bool) -> Result<()> {
        if self.node(number)?.upper {
            return Ok(());
        }
        self.upper(number)?;
        let mut way = vec![number];
        let mut at = number;
        while let Some((parent, _)) = self.node(at)?.names.first() {
            at = *parent;
            if self.node(at)?.upper {
                break;
            }
            way.push(at);
        }
        while let Some(number) = way.pop() {
            self.copy_one(number, empty && way.is_empty())?;
        }
        Ok(())
    }

    /// Copies a file whose directory is in the upper layer.
    fn copy_one(&mut self, number: u64, empty: bool) -> Result<()> {
        let upper = self.upper(number)?;
        let node = self.node(number)?;
        let (union, closed, names) = (node.union, node.closed, node.names.clone());
        let Lower { layer, dir, name } = node.lower.first().cloned().ok_or(Errno(libc::ESTALE))?;
        let dir = self.lower_dir(union, layer, &dir)?;
        let status = sys::status_of(dir.as_fd(), &name)?;
        if status.mode & libc::S_IFMT != self.node(number)?.kind {
            return Err(self.changed());
        }
        if status.mode & libc::S_IFMT == libc::S_IFREG && !closed && self.node_mut(number)?.see_again(&status) {
            self.files.remove(&number);
        }
        self.room_for(if empty || closed { 0 } else { status.blocks * 512 })?;
        let temporary = self.work_name();
        let from = (dir.as_fd(), name.as_ref());
        let made = self.duplicate(number, from, &status, (&upper, &temporary), empty || closed);
        if closed && status.mode & libc::S_IFMT == libc::S_IFDIR {
            // Nothing of what it hides may show through later.
            if let Ok(dir) = &made {
                mark_opaque(dir.as_fd())?;
            }
        }
        let made = made.and_then(|file| self.settle(number, &upper, &temporary, &names).map(|()| file));
        let file = match made {
            Ok(file) => file,
            Err(errno) => {
                let _ = super::super::remove(upper.work.as_fd(), &temporary);
                return Err(errno);
            }
        };
        self.close(number);
        let id = sys::status_of(file.as_fd(), c"")?;
        self.took(&id);
        let is_dir = id.mode & libc::S_IFMT == libc::S_IFDIR;
        let node = self.node_mut(number)?;
        if node.closed && is_dir {
            node.lower.clear();
        }
        (node.upper, node.closed) = (true, false);
        node.unsee();
        if names.is_empty() {
            node.kept = Some(Arc::new(file));
        }
        if !is_dir {
            self.nodes.moved(number, (id.dev, id.ino));
            if status.links > 1 {
                self.remember((union, layer), &status, (&upper, number))?;
            }
            // All names that the file is known by are names of the copy.
            for (parent, name) in names.iter().skip(1) {
                self.copy_up(*parent, false)?;
                self.link_on_disk(number, *parent, name)?;
            }
        }
        Ok(())
    }

    /// Moves a copy to its first name, or if it has none lets it be without a name. The directory keeps its times.
    fn settle(
        &mut self,
        number: u64,
        upper: &UpperLayer,
        temporary: &CStr,
        names: &[super::nodes::Name],
    ) -> Result<()> {
        let Some((parent, name)) = names.first() else {
            let is_dir = self.node(number)?.is_dir();
            return sys::unlink(upper.work.as_fd(), temporary, is_dir);
        };
        let parent = self.upper_dir(*parent)?;
        let before = sys::status_of(parent.as_fd(), c"")?;
        sys::rename(upper.work.as_fd(), temporary, parent.as_fd(), name, 0)?;
        set_times_of(parent.as_fd(), &before)
    }

    /// Makes a copy in the work directory. Gives it open.
    fn duplicate(
        &mut self,
        number: u64,
        (dir, name): (BorrowedFd<'_>, &CStr),
        status: &FileStatus,
        (upper, temporary): (&UpperLayer, &CStr),
        empty: bool,
    ) -> Result<OwnedFd> {
        let work = upper.work.as_fd();
        let open = |flags| sys::openat(work, temporary, flags | libc::O_NOFOLLOW, 0);
        let kind = status.mode & libc::S_IFMT;
        let made = match kind {
            libc::S_IFREG => {
                let made = sys::openat(work, temporary, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600)?;
                if !empty {
                    let from = sys::openat(dir, name, libc::O_RDONLY | CAREFUL, 0)?;
                    let before = sys::status_of(from.as_fd(), c"")?;
                    content(from.as_fd(), made.as_fd(), before.size)?;
                    let seen = self.node(number)?.seen();
                    let after = sys::status_of(from.as_fd(), c"")?;
                    if !is_same(&before, &after) || seen.is_some_and(|seen| !is_same(&seen, &after)) {
                        return Err(self.changed());
                    }
                }
                made
            }
            libc::S_IFDIR => {
                sys::mkdirat(work, temporary, 0o700)?;
                open(libc::O_RDONLY | libc::O_DIRECTORY)?
            }
            libc::S_IFLNK => {
                sys::symlinkat(&sys::link_text(dir, name)?, work, temporary)?;
                open(libc::O_PATH)?
            }
            libc::S_IFIFO | libc::S_IFSOCK => {
                sys::make_node(work, temporary, kind | 0o600)?;
                open(libc::O_PATH)?
            }
            // No device comes into a layer.
            _ => return Err(Errno(libc::EPERM)),
        };
        self.dress((dir, name), status, made.as_fd())?;
        if upper.kept && kind == libc::S_IFREG && !empty {
            sys::sync_file(made.as_fd(), false)?;
        }
        Ok(made)
    }

    /// Gives a copy the owner, the attributes, the permissions and the times of what it is a copy of.
    fn dress(&self, (dir, name): (BorrowedFd<'_>, &CStr), status: &FileStatus, made: BorrowedFd<'_>) -> Result<()> {
        let shown = self.shown(0, status);
        if (shown.uid, shown.gid) != self.ids {
            match sys::chown(made, c"", Some(shown.uid), Some(shown.gid)) {
                // An owner that is not known inside cannot be had.
                Ok(()) | Err(Errno(libc::EINVAL)) => {}
                Err(errno) => return Err(errno),
            }
        }
        let kind = status.mode & libc::S_IFMT;
        if kind == libc::S_IFREG || kind == libc::S_IFDIR {
            match name.is_empty() {
                true => copy_attributes(dir, made)?,
                false => copy_attributes(sys::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?.as_fd(), made)?,
            }
        }
        if kind != libc::S_IFLNK {
            sys::chmod(made, status.mode & 0o7777)?;
        }
        set_times_of(made, status).or_else(|errno| match kind {
            // /proc does not lead to a link itself.
            libc::S_IFLNK => Ok(()),
            _ => Err(errno),
        })
    }

    /// Makes a directory, with everything in it, one of the upper layer alone, so that it can be renamed. EXDEV: there is too
    /// much in it; programs copy it themselves then.
    ///
    /// The kernel follows no mark of a renamed directory (`redirect`) for an ordinary user, so that a layer with one could not be
    /// used by it.
    pub(super) fn copy_whole(&mut self, number: u64) -> Result<()> {
        self.copy_up(number, false)?;
        if self.node(number)?.lower.is_empty() {
            return Ok(());
        }
        let mut dirs = Vec::new();
        let mut waiting = vec![number];
        let mut copied = 0;
        while let Some(dir) = waiting.pop() {
            dirs.push(dir);
            // So that it is not forgotten meanwhile.
            self.nodes.told(dir);
            let names = self.names(dir);
            let inner = names.and_then(|names| {
                for name in names {
                    copied += 1;
                    if copied > MOST_COPIED {
                        return Err(Errno(libc::EXDEV));
                    }
                    let Some(child) = self.find(dir, &name)? else { continue };
                    self.copy_up(child, false)?;
                    match self.node(child)?.is_dir() {
                        true => waiting.push(child),
                        false => drop(self.nodes.sweep(child)),
                    }
                }
                Ok(())
            });
            if let Err(errno) = inner {
                dirs.iter().rev().for_each(|dir| self.forget(*dir, 1));
                return Err(errno);
            }
        }
        let marked = self.make_opaque(number);
        for dir in dirs.into_iter().rev() {
            if marked.is_ok() {
                if let Some(node) = self.nodes.get_mut(dir) {
                    node.lower.clear();
                }
                let _ = self.remove_whiteouts(dir);
            }
            self.forget(dir, 1);
        }
        marked
    }

    /// Removes whiteouts from a directory of the upper layer that has nothing below any more: the kernel lists them where it merges
    /// nothing.
    fn remove_whiteouts(&mut self, number: u64) -> Result<()> {
        let dir = self.upper_dir(number)?;
        let before = sys::status_of(dir.as_fd(), c"")?;
        let mut removed = false;
        for (name, _) in sys::entries(dir.as_fd())? {
            let status = sys::status_of(dir.as_fd(), &name)?;
            if is_whiteout(dir.as_fd(), &name, &status)? {
                sys::unlink(dir.as_fd(), &name, false)?;
                removed = true;
            }
        }
        match removed {
            true => set_times_of(dir.as_fd(), &before),
            false => Ok(()),
        }
    }

    /// Marks a directory of the upper layer: what the layers below have of it does not show through.
    pub(super) fn make_opaque(&mut self, number: u64) -> Result<()> {
        let dir = self.upper_dir(number)?;
        mark_opaque(dir.as_fd())
    }
}

/// Copies what is no hole. The kernel shares or copies the ranges itself where it can.
fn content(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> Result<()> {
    if size == 0 || sys::clone_file(from, to).is_ok() {
        return Ok(());
    }
    let mut at = 0;
    loop {
        let (start, end) = match sys::next_data(from, at) {
            Ok(Some((start, end))) => (start, end.min(size)),
            Ok(None) => break,
            // A filesystem that knows nothing of holes.
            Err(Errno(libc::EINVAL)) => (at, size),
            Err(errno) => return Err(errno),
        };
        if start >= end {
            break;
        }
        range(from, to, (start, end))?;
        if end == size {
            return Ok(());
        }
        at = end;
    }
    sys::truncate(to, size)
}

fn range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, (mut at, end): (u64, u64)) -> Result<()> {
    while at < end {
        let length = (end - at).min(1 << 30) as usize;
        match sys::copy_range((from, at), (to, at), length) {
            Ok(0) | Err(Errno(libc::EXDEV | libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS | libc::EBADF)) => break,
            Ok(copied) => at += copied as u64,
            Err(errno) => return Err(errno),
        }
    }
    let mut buffer = vec![0; 256 * 1024];
    while at < end {
        let length = (end - at).min(buffer.len() as u64) as usize;
        let read = sys::read_at(from, buffer.get_mut(..length).unwrap_or_default(), at)?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = buffer.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            let written = sys::write_at(to, rest, at)?;
            rest = rest.get(written..).unwrap_or_default();
            at += written as u64;
        }
    }
    Ok(())
}

/// Copies the extended attributes that belong to the file rather than to a layer or to the system.
fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let names = match sys::attribute_names_at(from) {
        Err(Errno(libc::EOPNOTSUPP | libc::EACCES | libc::ENOSYS)) => return Ok(()),
        other => other?,
    };
    for name in names {
        let bytes = name.to_bytes();
        if !super::attributes::is_own(bytes) || bytes.starts_with(b"security.") {
            continue;
        }
        match sys::attribute_at(from, &name) {
            // It has gone, or may not be read.
            Err(Errno(libc::ENODATA | libc::EACCES)) => {}
            Err(errno) => return Err(errno),
            Ok(value) => sys::set_attribute_at(to, &name, &value, 0)?,
        }
    }
    Ok(())
}

/// Gives an open file the times of a status.
pub(super) fn set_times_of(file: BorrowedFd<'_>, status: &FileStatus) -> Result<()> {
    sys::set_times(file, c"", time(status.accessed), time(status.modified))
}

/// A time of a status, for [`sys::set_times`].
fn time((seconds, rest): (i64, u32)) -> sys::NewTime {
    Some((seconds, rest.into()))
}
