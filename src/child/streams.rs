//! Gives the program files that the caller has open for reading from read-only mounts.
//!
//! A descriptor leads to its file also by /proc/self/fd, on the mount on which the caller has opened it: whoever may
//! write to the file, or owns it, can open it again for writing, or change its permissions, whatever the view shows.

use super::failure::{At, Failure};
use super::prepared::{Prepared, ReadOnlyFile};
use super::report::{Call, Message, Place};
use super::view::reopen_in_own_namespace;
use crate::sys::{self, ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY, Propagation, Text, UnownedFd};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Opens these files again, and puts them in the place of the caller's descriptors. Called while the host's tree is
/// still visible.
pub(super) fn reopen(prepared: &Prepared, socket: BorrowedFd<'_>) -> Result<(), Failure> {
    prepared.descriptors.read_only.iter().try_for_each(|file| reopen_one(*file, socket))
}

fn reopen_one(file: ReadOnlyFile, socket: BorrowedFd<'_>) -> Result<(), Failure> {
    let place = Place::Stream(file.fd as u32);
    let given = UnownedFd::new(file.fd);
    let found = reopen_in_own_namespace(file.fd, place)?;
    let mount = sys::clone_tree(found.as_fd(), c"", false).at(place, Call::OpenTree)?;
    let set = |attributes| sys::set_attributes(mount.as_fd(), attributes, Propagation::Private, false);
    set(ATTR_RDONLY | ATTR_NOSUID).at(place, Call::MountSetattr)?;
    let path = Text::<32>::of_descriptor(mount.as_raw_fd());
    let path = path.text().at(place, Call::Open)?;
    let opened = sys::openat(sys::cwd(), path, file.flags | libc::O_NOCTTY, 0).at(place, Call::Open)?;
    // Not before: a read-only mount does not keep devices from being opened for writing again, and this does.
    if !file.device {
        set(ATTR_NODEV).at(place, Call::MountSetattr)?;
    }
    if let Some(offset) = file.offset {
        sys::seek(opened.as_fd(), offset).at(place, Call::Seek)?;
        // The caller's descriptor is moved as far as the program has read.
        sys::send(socket, &Message::Reopened(file.fd).encode(), Some(opened.as_fd())).at(place, Call::Send)?;
    }
    sys::dup2(opened.as_fd(), given).at(place, Call::Dup2)
}
