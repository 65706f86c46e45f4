//! The frame of the view: a tmpfs that becomes the root with the host's tree below it, the new root built in it, and entered.

use super::report::{Call, Message, Place};
use super::view::{MEMORY, View, part};
use super::{At, Failure, Prepared, Scratch};
use crate::sys::{self, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, Propagation};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Flags of what is laid over other files.
pub(super) const SAFE: u64 = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;

/// Builds the view and enters it. Gives the slave of the program's terminal if it has one.
pub(super) fn assemble(prepared: &Prepared, socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    sys::umask(0);
    if prepared.untie {
        let root = sys::openat(sys::cwd(), c"/", libc::O_PATH, 0).at(Place::Root, Call::Open)?;
        sys::set_attributes(root.as_fd(), 0, Propagation::Slave, true).at(Place::Root, Call::MountSetattr)?;
    }
    let memory = memory(prepared)?;
    let scratch = if prepared.scratch.is_empty() { None } else { Some(scratch(prepared, memory.as_fd())?) };
    let root = part(memory.as_fd(), c"root", 0o755, MEMORY, Place::Root)?;
    sys::attach_at(root.as_fd(), memory.as_fd(), c"root").at(Place::Root, Call::MoveMount)?;
    let host = host(memory.as_fd())?;
    let mut terminal = None;
    let scratch = scratch.as_ref().unwrap_or(&memory).as_fd();
    let mut view = View { root, memory: memory.as_fd(), scratch, place: Place::Root, last: None };
    for (index, step) in prepared.steps.iter().enumerate() {
        view.place = Place::Step(index as u32);
        view.step(step, socket, &mut terminal)?;
    }
    let root = view.root;
    drop(host);
    sys::chroot(memory.as_fd()).at(Place::Enter, Call::Chroot)?;
    sys::enter_root(root.as_fd()).at(Place::Enter, Call::PivotRoot)?;
    if prepared.wait_for_go {
        super::init::ask(socket, Message::Ready)?;
    }
    Ok(terminal)
}

/// The sandbox's one tmpfs. Each directory in memory is a part of it, mounted by itself: a filesystem each would take longer to
/// make and to take down than everything else, and could hold half of the memory each. It goes away with the host's tree when
/// the new root is entered; the parts stay.
fn memory(prepared: &Prepared) -> Result<OwnedFd, Failure> {
    let mut options = [(c"source", c"tmpfs"), (c"mode", c"0755"), (c"", c"")];
    let mut count = 2;
    if let Some(label) = &prepared.file_label {
        options[2] = (c"context", label);
        count = 3;
    }
    let options = options.get(..count).unwrap_or_default();
    let mount = sys::new_filesystem(c"tmpfs", options, MEMORY).at(Place::Root, Call::Fsmount)?;
    // On top of the root, which every host has. Who has that for a root already does not see what lies on it.
    sys::attach_at(mount.as_fd(), sys::cwd(), c"/").at(Place::Root, Call::MoveMount)?;
    Ok(mount)
}

/// Puts the host's tree into that tmpfs and makes it this process's root again: nothing of it is hidden by what is built, whatever
/// is copied from it holds nothing of what is built, and the kernel follows the links in its paths as it does for everybody.
fn host(memory: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let place = Place::Root;
    sys::mkdirat(memory, c"host", 0o755).at(place, Call::Mkdir)?;
    sys::pivot(memory, c"host").at(place, Call::PivotRoot)?;
    let host = sys::openat(memory, c"host", libc::O_PATH | libc::O_DIRECTORY, 0).at(place, Call::Open)?;
    sys::chroot(host.as_fd()).at(place, Call::Chroot)?;
    Ok(host)
}

/// What is laid over other files, read-only: copies of this mount inherit that.
fn scratch(prepared: &Prepared, memory: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let place = Place::Root;
    let mount = part(memory, c"scratch", 0o755, SAFE, place)?;
    let fd = mount.as_fd();
    for Scratch { name, mode, data } in &prepared.scratch {
        match data {
            Some(data) => super::view::create(fd, name, *mode, data, place)?,
            None => sys::mkdirat(fd, name, *mode).at(place, Call::Mkdir)?,
        }
    }
    sys::set_attributes(fd, ATTR_RDONLY, Propagation::Keep, false).at(place, Call::MountSetattr)?;
    sys::attach_at(fd, memory, c"scratch").at(place, Call::MoveMount)?;
    Ok(mount)
}
