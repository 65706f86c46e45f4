//! Assembles the view: mounts a tmpfs where it does not get in the way of the host's tree, builds the new root in it,
//! and enters that.

use super::failure::{At, Failure};
use super::prepared::{Prepared, Scratch};
use super::report::{Call, Place};
use super::view::{MEMORY, SAFE, View, part};
use crate::sys::{self, ATTR_RDONLY, Propagation};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Builds the view and enters it. Gives the slave end of the program's pseudo-terminal, if it has one.
pub(super) fn assemble(
    prepared: &Prepared,
    socket: BorrowedFd<'_>,
    proc: BorrowedFd<'_>,
) -> Result<Option<OwnedFd>, Failure> {
    sys::umask(0);
    if prepared.view.untie {
        let root = sys::openat(sys::cwd(), c"/", libc::O_PATH, 0).at(Place::Root, Call::Open)?;
        sys::set_attributes(root.as_fd(), 0, Propagation::Slave, true).at(Place::Root, Call::MountSetattr)?;
    }
    let memory = memory(prepared, proc)?;
    let scratch = if prepared.view.scratch.is_empty() { None } else { Some(scratch(prepared, memory.as_fd())?) };
    let root = part(memory.as_fd(), c"root", 0o755, MEMORY, Place::Root)?;
    sys::attach_at(root.as_fd(), memory.as_fd(), c"root").at(Place::Root, Call::MoveMount)?;
    sys::phase("the view's memory");
    let mut terminal = None;
    let scratch = scratch.as_ref().unwrap_or(&memory).as_fd();
    let mut view = View { root, memory: memory.as_fd(), scratch, place: Place::Root, last: None };
    for (index, step) in prepared.view.steps.iter().enumerate() {
        view.place = Place::Step(index as u32);
        view.step(step, socket, &mut terminal)?;
    }
    sys::phase("view");
    let root = view.root;
    sys::enter_root(root.as_fd()).at(Place::Enter, Call::PivotRoot)?;
    Ok(terminal)
}

/// Makes the one tmpfs of the sandbox. Each directory that is in memory is a directory of it, mounted by itself. A
/// tmpfs for each would take longer to make and to tear down than everything else, and each could fill half of the
/// memory. The tmpfs's own mount goes away with the host's tree when the new root is entered; the mounts of its
/// directories stay.
///
/// Before Linux 6.15, only attached mounts can be copied. So the tmpfs has to be attached somewhere in the host's tree,
/// of which this mount namespace has its own copy. `/proc/self/task` exists on every host, and nothing but itself is hidden
/// by that: a bind of it is the one that fails. The root itself will not do: `..` out of a mount leads to what is mounted on the root, and one unmount of the
/// old root would remove the tmpfs and leave the host's tree visible.
///
/// A copy of the host's root or of its /proc contains what is mounted in them, except for unbindable mounts. So the
/// tmpfs is made unbindable, and is used through a second mount in it, which can be copied.
fn memory(prepared: &Prepared, proc: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let place = Place::Root;
    let mut options = [(c"source", c"tmpfs"), (c"mode", c"0755"), (c"", c"")];
    let mut count = 2;
    if let Some(label) = &prepared.view.file_label {
        options[2] = (c"context", label);
        count = 3;
    }
    let options = options.get(..count).unwrap_or_default();
    let outer = sys::new_filesystem(c"tmpfs", options, MEMORY).at(place, Call::Fsmount)?;
    let outer = outer.as_fd();
    sys::attach_at(outer, proc, c"task").at(place, Call::MoveMount)?;
    let memory = part(outer, c"memory", 0o755, MEMORY, place)?;
    sys::attach_at(memory.as_fd(), outer, c"memory").at(place, Call::MoveMount)?;
    sys::set_attributes(outer, 0, Propagation::Unbindable, false).at(place, Call::MountSetattr)?;
    Ok(memory)
}

/// Creates the files and directories that mask others, in a read-only mount: copies of it inherit that.
fn scratch(prepared: &Prepared, memory: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let place = Place::Root;
    let mount = part(memory, c"scratch", 0o755, SAFE, place)?;
    let fd = mount.as_fd();
    for Scratch { name, mode, data } in &prepared.view.scratch {
        match data {
            Some(data) => super::view::create(fd, name, *mode, data, place)?,
            None => sys::mkdirat(fd, name, *mode).at(place, Call::Mkdir)?,
        }
    }
    sys::set_attributes(fd, ATTR_RDONLY, Propagation::Keep, false).at(place, Call::MountSetattr)?;
    sys::attach_at(fd, memory, c"scratch").at(place, Call::MoveMount)?;
    Ok(mount)
}
