//! Removes and changes files.

use super::super::serving::Attributes;
use super::find::is_whiteout;
use super::opened::UpperLayer;
use super::server::Server;
use crate::sys::{self, Errno, FileStatus, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// What the upper layer has at a name.
pub(super) enum There {
    Nothing,
    Whiteout,
    Other,
}

pub(super) fn there(dir: BorrowedFd<'_>, name: &CStr) -> Result<There> {
    match sys::status_of(dir, name) {
        Err(Errno(libc::ENOENT)) => Ok(There::Nothing),
        Err(errno) => Err(errno),
        Ok(status) if is_whiteout(dir, name, &status)? => Ok(There::Whiteout),
        Ok(_) => Ok(There::Other),
    }
}

impl Server {
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
        // A file that had no name is reached by this one.
        self.node_mut(number)?.kept = None;
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
        self.budget.freed();
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
        self.budget.freed();
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
    pub fn change(&mut self, number: u64, change: &Attributes) -> Result<FileStatus> {
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
