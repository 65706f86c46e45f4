//! The memory of the sandbox: the tmpfs that the new root lies in, and its parts.

use super::failure::{At, Failure};
use super::report::{Call, Place};
use crate::sys::{self, ATTR_NODEV, ATTR_NOSUID, Errno, Propagation};
use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Mount attributes of the sandbox's tmpfs, which copies of it inherit.
pub(super) const ATTRIBUTES: u64 = ATTR_NOSUID | ATTR_NODEV;

/// Where the sandbox keeps what is in memory. Each part is a directory of a tmpfs, mounted by itself: a tmpfs for each
/// would take longer to make and to tear down, and each could fill half of the memory.
///
/// Programs tell a filesystem by its device number: Python's `ismount`, `find -xdev`, `du -x`. So that each part has
/// another one than the directory that it is mounted in, there is a second tmpfs, made once it is needed.
///
/// The mount of each tmpfs as a whole goes away with the host's tree when the new root is entered; the mounts of the
/// parts stay.
pub(super) struct Memory<'a> {
    first: OwnedFd,
    second: OnceCell<OwnedFd>,
    /// The device numbers of both, once somebody asked.
    numbers: [OnceCell<u64>; 2],
    options: Options<'a>,
}

/// Options of each tmpfs.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    /// SELinux context of the files.
    pub label: Option<&'a CStr>,
    /// Its size in bytes, and the number of its inodes.
    pub limits: Option<&'a [CString; 2]>,
}

impl<'a> Memory<'a> {
    /// Makes the first tmpfs. `proc` is the directory /proc/self.
    ///
    /// Before Linux 6.15, only attached mounts can be copied. So the tmpfs has to be attached somewhere in the host's
    /// tree, of which this mount namespace has its own copy. `/proc/self/task` exists on every host, and nothing but itself
    /// is hidden by that: a bind of it is the one that fails. The root itself will not do: `..` out of a mount leads to
    /// what is mounted on the root, and one unmount of the old root would remove the tmpfs and leave the host's tree
    /// visible.
    ///
    /// A copy of the host's root or of its /proc contains what is mounted in them, except for unbindable mounts and what
    /// is mounted in those. So the tmpfs is made unbindable, and is used through a second mount in it, which can be copied.
    pub(super) fn new(options: Options<'a>, proc: BorrowedFd<'_>) -> Result<Memory<'a>, Failure> {
        let place = Place::Root;
        let outer = tmpfs(options, place)?;
        let outer = outer.as_fd();
        sys::attach_at(outer, proc, c"task").at(place, Call::MoveMount)?;
        let first = part(outer, c"memory", 0o755, ATTRIBUTES, place)?;
        sys::attach_at(first.as_fd(), outer, c"memory").at(place, Call::MoveMount)?;
        sys::set_attributes(outer, 0, Propagation::Unbindable, false).at(place, Call::MountSetattr)?;
        Ok(Memory { first, second: OnceCell::new(), numbers: [const { OnceCell::new() }; 2], options })
    }

    /// The first tmpfs.
    pub(super) fn first(&self) -> BorrowedFd<'_> {
        self.first.as_fd()
    }

    /// The tmpfs for a part that is mounted in this directory: one with another device number; the second, if there are
    /// two of them.
    pub(super) fn beside(&self, dir: BorrowedFd<'_>, place: Place) -> Result<BorrowedFd<'_>, Failure> {
        let outside = sys::stat(dir).at(place, Call::Fstat)?.dev;
        let [first, second] = &self.numbers;
        if outside == number(first, self.first(), place)? {
            return self.second(place);
        }
        match self.second.get() {
            Some(fd) if outside != number(second, fd.as_fd(), place)? => Ok(fd.as_fd()),
            _ => Ok(self.first()),
        }
    }

    /// The second tmpfs. It is attached on top of the first, in which it is in nobody's way: nothing is looked up through
    /// that place but by descriptors.
    fn second(&self, place: Place) -> Result<BorrowedFd<'_>, Failure> {
        if self.second.get().is_none() {
            let second = tmpfs(self.options, place)?;
            sys::attach_at(second.as_fd(), self.first(), c".").at(place, Call::MoveMount)?;
            let _ = self.second.set(second);
        }
        self.second.get().map(AsFd::as_fd).ok_or(Errno(libc::EBADF)).at(place, Call::Fsmount)
    }
}

/// The device number of a filesystem, looked up once.
fn number(known: &OnceCell<u64>, fd: BorrowedFd<'_>, place: Place) -> Result<u64, Failure> {
    if let Some(number) = known.get() {
        return Ok(*number);
    }
    let number = sys::stat(fd).at(place, Call::Fstat)?.dev;
    let _ = known.set(number);
    Ok(number)
}

/// A new tmpfs. Its own root directory is nobody's: only directories in it are shown.
fn tmpfs(Options { label, limits }: Options<'_>, place: Place) -> Result<OwnedFd, Failure> {
    let size = limits.map(|[size, _]| (c"size", size.as_c_str()));
    let inodes = limits.map(|[_, inodes]| (c"nr_inodes", inodes.as_c_str()));
    let label = label.map(|label| (c"context", label));
    let mut options = [(c"source", c"tmpfs"); 4];
    let mut count = 1;
    for option in [size, inodes, label].into_iter().flatten() {
        if let Some(place) = options.get_mut(count) {
            *place = option;
            count += 1;
        }
    }
    sys::new_filesystem(c"tmpfs", options.get(..count).unwrap_or_default(), ATTRIBUTES).at(place, Call::Fsmount)
}

/// Creates a directory in a tmpfs of the sandbox, and gives it as a detached mount.
pub(super) fn part(
    memory: BorrowedFd<'_>,
    name: &CStr,
    mode: u32,
    attributes: u64,
    place: Place,
) -> Result<OwnedFd, Failure> {
    sys::mkdirat(memory, name, mode).at(place, Call::Mkdir)?;
    let mount = sys::clone_tree(memory, name, false).at(place, Call::OpenTree)?;
    // mkdir(2) ignores set-user-id and set-group-id bits.
    if mode & 0o6000 != 0 {
        sys::chmod(mount.as_fd(), mode).at(place, Call::Chmod)?;
    }
    if attributes != ATTRIBUTES {
        sys::set_attributes(mount.as_fd(), attributes, Propagation::Keep, false).at(place, Call::MountSetattr)?;
    }
    Ok(mount)
}
