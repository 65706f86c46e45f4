//! procfs in the view: which of its paths are masked, and which are read-only.

use super::failure::{At, Failure};
use super::prepared::TargetState;
use super::report::Call;
use super::view::{SAFE, TargetKind, View};
use crate::sys::{self, ATTR_RDONLY, Errno, Propagation};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Files of procfs that are masked by default. These lists are those of the OCI's runtimes; paths that this kernel does
/// not have are skipped.
const MASKED_FILES: [&CStr; 6] = [c"kcore", c"keys", c"latency_stats", c"timer_list", c"timer_stats", c"sched_debug"];
const MASKED_DIRS: [&CStr; 3] = [c"acpi", c"asound", c"scsi"];
const READ_ONLY: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];
/// Paths of procfs that [`View::guard`] makes read-only, if they are writable.
const GUARDED: [&CStr; 4] = [c"sys", c"sysrq-trigger", c"irq", c"bus"];

/// Name in the scratch directory of the empty file that masks files of procfs.
pub const EMPTY_FILE: &CStr = c"empty-file";
/// Name in the scratch directory of the empty directory that masks directories of procfs.
pub const EMPTY_DIR: &CStr = c"empty-dir";

impl<'a> View<'a> {
    pub(super) fn proc(
        &mut self,
        path: &'a CStr,
        point: TargetState,
        masked: bool,
        guard: bool,
    ) -> Result<(), Failure> {
        let place = self.place;
        let proc = sys::new_filesystem(c"proc", &[(c"source", c"proc")], SAFE).at(place, Call::Fsmount)?;
        self.attach(&proc, path, point, TargetKind::Dir)?;
        // By the mount's descriptor, since its path may lead to something else by now.
        if guard {
            self.guard(proc.as_fd())?;
        }
        if !masked {
            return Ok(());
        }
        let proc = proc.as_fd();
        for (names, scratch) in [(&MASKED_FILES[..], EMPTY_FILE), (&MASKED_DIRS[..], EMPTY_DIR)] {
            for name in names {
                // Checked first: closing a copy that was never attached costs a grace period of RCU.
                match sys::openat(proc, name, libc::O_PATH | libc::O_NOFOLLOW, 0) {
                    Err(Errno(libc::ENOENT)) => continue,
                    found => drop(found.at(place, Call::Openat2)?),
                }
                let copy = sys::clone_tree(self.scratch, scratch, false).at(place, Call::OpenTree)?;
                self.put(&copy, proc, name)?;
            }
        }
        READ_ONLY.iter().try_for_each(|name| self.read_only(proc, name))
    }

    /// Makes those parts of a procfs read-only that this process could write, as root can without a user namespace of
    /// its own.
    pub(super) fn guard(&self, proc: BorrowedFd<'_>) -> Result<(), Failure> {
        for name in GUARDED {
            match sys::may_write(proc, name) {
                Err(Errno(libc::EACCES | libc::ENOENT | libc::EROFS)) => {}
                Err(errno) => return Err(errno).at(self.place, Call::Access),
                Ok(()) => self.read_only(proc, name)?,
            }
        }
        Ok(())
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
