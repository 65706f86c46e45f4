//! Renames files, within a layer and across layers.

use super::copy_up::set_times_of;
use super::find::is_whiteout;
use super::opened::{UpperLayer, mark_opaque};
use super::server::Server;
use crate::sys::{self, Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A name in a directory, and what has it.
struct Place<'n> {
    parent: u64,
    name: &'n CStr,
    node: Option<u64>,
    /// Its directory in the upper layer.
    dir: Arc<OwnedFd>,
    /// Lower layers have something of this name.
    below: bool,
}

impl Place<'_> {
    fn at(&self) -> (BorrowedFd<'_>, &CStr) {
        (self.dir.as_fd(), self.name)
    }
}

impl Server {
    fn name_at<'n>(&mut self, parent: u64, name: &'n CStr) -> Result<Place<'n>> {
        let node = self.find(parent, name)?;
        self.copy_up(parent, false)?;
        let below = self.is_below(parent, name)?;
        Ok(Place { parent, name, node, dir: self.upper_dir(parent)?, below })
    }

    /// renameat2(2), with RENAME_NOREPLACE and RENAME_EXCHANGE.
    pub fn rename(&mut self, (from, old): (u64, &CStr), (to, new): (u64, &CStr), flags: u32) -> Result<()> {
        if flags & !(sys::RENAME_NOREPLACE | sys::RENAME_EXCHANGE) != 0 {
            return Err(Errno(libc::EINVAL));
        }
        if self.node(from)?.union != self.node(to)?.union {
            return Err(Errno(libc::EXDEV));
        }
        let moved = self.find(from, old)?.ok_or(Errno(libc::ENOENT))?;
        let replaced = self.find(to, new)?;
        if replaced.is_some() && flags & sys::RENAME_NOREPLACE != 0 {
            return Err(Errno(libc::EEXIST));
        }
        if replaced == Some(moved) {
            return Ok(());
        }
        if self.node(moved)?.is_dir() && self.nodes.is_within(to, moved) {
            return Err(Errno(libc::EINVAL));
        }
        let upper = self.upper(from)?;
        if flags & sys::RENAME_EXCHANGE != 0 {
            return self.exchange((from, old, moved), (to, new, replaced.ok_or(Errno(libc::ENOENT))?));
        }
        if let Some(replaced) = replaced {
            match (self.node(moved)?.is_dir(), self.node(replaced)?.is_dir()) {
                (true, false) => return Err(Errno(libc::ENOTDIR)),
                (false, true) => return Err(Errno(libc::EISDIR)),
                (true, true) if !self.is_empty(replaced)? => return Err(Errno(libc::ENOTEMPTY)),
                _ => {}
            }
        }
        self.movable(moved)?;
        let from = self.name_at(from, old)?;
        let to = self.name_at(to, new)?;
        self.hide_below(moved, to.below)?;
        let kept = self.make_room(&upper, &to)?;
        self.move_name(&upper, &from, &to, self.node(moved)?.is_dir())?;
        if let Some(replaced) = replaced {
            self.budget.freed();
            self.nodes.remove_name(replaced, to.parent, to.name);
            self.count_names(replaced, -1);
            let node = self.node_mut(replaced)?;
            if node.is_dir() {
                node.lower.clear();
            }
            if node.names.is_empty() && (node.upper || node.is_dir()) {
                node.kept = kept.or(node.kept.take());
            }
            self.nodes.sweep(replaced).into_iter().for_each(|gone| self.close(gone));
        }
        self.nodes.remove_name(moved, from.parent, from.name);
        self.nodes.add_name(moved, to.parent, Arc::from(to.name));
        Ok(())
    }

    /// Makes a file one that can be renamed in the upper layer: one of that layer alone.
    fn movable(&mut self, number: u64) -> Result<()> {
        match self.node(number)?.is_dir() {
            true => self.copy_whole(number),
            false => self.copy_up(number, false),
        }
    }

    /// Marks a directory that comes to a name which lower layers have, too.
    fn hide_below(&mut self, number: u64, below: bool) -> Result<()> {
        match below && self.node(number)?.is_dir() {
            true => self.make_opaque(number),
            false => Ok(()),
        }
    }

    /// Makes what has a name replaceable: an empty directory has no whiteouts in it then. Gives a descriptor of what will be
    /// replaced.
    fn make_room(&mut self, upper: &UpperLayer, to: &Place<'_>) -> Result<Option<Arc<OwnedFd>>> {
        let Some(replaced) = to.node else { return Ok(None) };
        let node = self.node(replaced)?;
        if !node.upper {
            return match node.is_dir() {
                true => self.place(replaced).map(|(dir, _)| Some(dir)),
                false => Ok(None),
            };
        }
        if !node.is_dir() {
            return match node.names.len() <= 1 {
                true => self.keep(replaced).map(Some),
                false => Ok(None),
            };
        }
        let dir = self.upper_dir(replaced)?;
        if sys::entries(dir.as_fd())?.is_empty() {
            return Ok(Some(dir));
        }
        // An empty directory with the same attributes takes its place first, so that whiteouts never go while it is there.
        let status = sys::status_of(dir.as_fd(), c"")?;
        let temporary = self.work_name();
        sys::mkdirat(upper.work.as_fd(), &temporary, 0o700)?;
        let made = sys::openat(upper.work.as_fd(), &temporary, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)?;
        sys::chown(made.as_fd(), c"", Some(status.uid), Some(status.gid))?;
        sys::chmod(made.as_fd(), status.mode & 0o7777)?;
        mark_opaque(made.as_fd())?;
        set_times_of(made.as_fd(), &status)?;
        self.exchange_out(upper, &temporary, to.at())?;
        self.close(replaced);
        Ok(Some(Arc::new(made)))
    }

    /// Renames in the upper layer, and leaves a whiteout at the old name if lower layers have that.
    fn move_name(&mut self, upper: &UpperLayer, from: &Place<'_>, to: &Place<'_>, is_dir: bool) -> Result<()> {
        let whiteout = match sys::status_of(to.dir.as_fd(), to.name) {
            Ok(status) => is_whiteout(to.dir.as_fd(), to.name, &status)?,
            Err(_) => false,
        };
        let ((old_dir, old), (new_dir, new)) = (from.at(), to.at());
        if is_dir && whiteout {
            return match sys::rename(old_dir, old, new_dir, new, sys::RENAME_EXCHANGE) {
                Ok(()) if from.below => Ok(()),
                Ok(()) => sys::unlink(old_dir, old, false),
                Err(Errno(libc::EINVAL)) => {
                    sys::unlink(new_dir, new, false)?;
                    self.rename_plain(upper, from, to)
                }
                Err(errno) => Err(errno),
            };
        }
        self.rename_plain(upper, from, to)
    }

    fn rename_plain(&mut self, upper: &UpperLayer, from: &Place<'_>, to: &Place<'_>) -> Result<()> {
        let ((old_dir, old), (new_dir, new)) = (from.at(), to.at());
        if !from.below {
            return sys::rename(old_dir, old, new_dir, new, 0);
        }
        let at_once = match upper.no_devices {
            true => Err(Errno(libc::EINVAL)),
            false => sys::rename(old_dir, old, new_dir, new, sys::RENAME_WHITEOUT),
        };
        match at_once {
            // A filesystem without that flag.
            Err(Errno(libc::EINVAL | libc::EPERM)) => {
                let temporary = self.work_name();
                upper.whiteout(&temporary)?;
                if to.node.is_none() {
                    // The whiteout comes to the new name first, where nothing is: so the old one is never without a file.
                    sys::rename(upper.work.as_fd(), &temporary, new_dir, new, 0)?;
                    return match sys::rename(old_dir, old, new_dir, new, sys::RENAME_EXCHANGE) {
                        Err(Errno(libc::EINVAL)) => {
                            sys::rename(old_dir, old, new_dir, new, 0)?;
                            self.cover(upper, (old_dir, old))
                        }
                        other => other,
                    };
                }
                sys::rename(old_dir, old, new_dir, new, 0)?;
                sys::rename(upper.work.as_fd(), &temporary, old_dir, old, 0)
            }
            other => other,
        }
    }

    fn exchange(&mut self, from: (u64, &CStr, u64), to: (u64, &CStr, u64)) -> Result<()> {
        if self.node(to.2)?.is_dir() && self.nodes.is_within(from.0, to.2) {
            return Err(Errno(libc::EINVAL));
        }
        self.movable(from.2)?;
        self.movable(to.2)?;
        let (old, new) = (self.name_at(from.0, from.1)?, self.name_at(to.0, to.1)?);
        self.hide_below(from.2, new.below)?;
        self.hide_below(to.2, old.below)?;
        let ((old_dir, old_name), (new_dir, new_name)) = (old.at(), new.at());
        sys::rename(old_dir, old_name, new_dir, new_name, sys::RENAME_EXCHANGE)?;
        self.nodes.remove_name(from.2, from.0, from.1);
        self.nodes.remove_name(to.2, to.0, to.1);
        self.nodes.add_name(from.2, to.0, Arc::from(to.1));
        self.nodes.add_name(to.2, from.0, Arc::from(from.1));
        Ok(())
    }
}
