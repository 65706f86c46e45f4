//! procfs in the view: which of its paths are masked, and which are read-only.

use super::failure::{At, Failure};
use super::prepared::{ProcCover, TargetState};
use super::report::Call;
use super::view::{SAFE, TargetKind, View};
use crate::host::procfs::{MASKED_DIRS, MASKED_FILES, MASKED_FOR_ROOT, READ_ONLY, READ_ONLY_FOR_ROOT};
use crate::sys::{self, ATTR_RDONLY, Errno, Propagation};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Name in the scratch directory of the empty file that masks files of procfs.
pub const EMPTY_FILE: &CStr = c"empty-file";
/// Name in the scratch directory of the empty directory that masks directories of procfs.
pub const EMPTY_DIR: &CStr = c"empty-dir";

impl<'a> View<'a> {
    pub(super) fn proc(&mut self, path: &'a CStr, point: TargetState, cover: ProcCover) -> Result<(), Failure> {
        let place = self.place;
        let proc = sys::new_filesystem(c"proc", &[(c"source", c"proc")], SAFE).at(place, Call::Fsmount)?;
        self.attach(&proc, path, point, TargetKind::Dir)?;
        // By the mount's descriptor, since its path may lead to something else by now.
        let proc = proc.as_fd();
        match cover {
            ProcCover::Nothing => return Ok(()),
            ProcCover::Writable => return self.guard(proc),
            ProcCover::Masks { .. } => {}
        }
        let root = cover == ProcCover::Masks { root: true };
        let masks = [(&MASKED_FILES[..], EMPTY_FILE), (&MASKED_DIRS, EMPTY_DIR)];
        for (names, scratch) in masks.into_iter().chain(root.then_some((&MASKED_FOR_ROOT[..], EMPTY_FILE))) {
            for name in names {
                // Checked first: closing a copy that was never attached costs a grace period of RCU.
                match sys::stat_below(proc, name) {
                    Err(Errno(libc::ENOENT)) => continue,
                    found => drop(found.at(place, Call::Stat)?),
                }
                let copy = sys::clone_tree(self.scratch, scratch, false).at(place, Call::OpenTree)?;
                self.put(&copy, proc, name)?;
            }
        }
        let more = if root { &READ_ONLY_FOR_ROOT[..] } else { &[] };
        READ_ONLY.iter().chain(more).try_for_each(|name| self.read_only(proc, name))
    }

    /// Makes those parts of a procfs read-only that this process could write. Root can by its id, in any user namespace
    /// and without a capability: nobody may write to /proc/sys itself, so what counts is whose it is. Others can by
    /// CAP_DAC_OVERRIDE, which applies to all of it.
    pub(super) fn guard(&self, proc: BorrowedFd<'_>) -> Result<(), Failure> {
        let writable = sys::is_own(proc, c"sys").at(self.place, Call::Access)?
            || match sys::may_write(proc, c"fs") {
                Err(Errno(libc::EACCES | libc::ENOENT | libc::EROFS)) => false,
                other => other.map(|()| true).at(self.place, Call::Access)?,
            };
        let all = READ_ONLY.iter().chain(&MASKED_DIRS).chain(&READ_ONLY_FOR_ROOT).filter(|_| writable);
        all.into_iter().try_for_each(|name| self.read_only(proc, name))
    }

    fn read_only(&self, proc: BorrowedFd<'_>, name: &CStr) -> Result<(), Failure> {
        match sys::clone_tree(proc, name, false) {
            Err(Errno(libc::ENOENT)) => Ok(()),
            Err(errno) => Err(errno).at(self.place, Call::OpenTree),
            Ok(copy) => {
                sys::set_attributes(copy.as_fd(), SAFE | ATTR_RDONLY, Propagation::Keep, false)
                    .at(self.place, Call::MountSetattr)?;
                self.put(&copy, proc, name)
            }
        }
    }

    fn put(&self, mount: &OwnedFd, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Failure> {
        match sys::attach_at(mount.as_fd(), dir, name) {
            Err(Errno(libc::ENOENT)) => Ok(()),
            other => other.at(self.place, Call::MoveMount),
        }
    }
}
