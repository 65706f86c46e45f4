//! Assembles the view: mounts a tmpfs where it does not get in the way of the host's tree, builds the new root in it,
//! and enters that.

use super::failure::{At, Failure};
use super::memory::{self, Memory, part};
use super::overlay;
use super::prepared::{Prepared, Scratch};
use super::report::{Call, Place};
use super::view::{SAFE, View};
use crate::sys::{self, ATTR_RDONLY, Propagation};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Builds the view and enters it. Gives the slave end of the program's pseudo-terminal, if it has one. `ruleset` gets the
/// Landlock rules of the steps.
pub(super) fn assemble(
    prepared: &Prepared,
    socket: BorrowedFd<'_>,
    proc: BorrowedFd<'_>,
    ruleset: Option<BorrowedFd<'_>>,
) -> Result<Option<OwnedFd>, Failure> {
    sys::umask(0);
    if prepared.view.untie {
        let root = sys::openat(sys::cwd(), c"/", libc::O_PATH, 0).at(Place::Root, Call::Open)?;
        sys::set_attributes(root.as_fd(), 0, Propagation::Slave, true).at(Place::Root, Call::MountSetattr)?;
    }
    let options = memory::Options { label: prepared.view.file_label.as_deref(), limits: prepared.view.memory.as_ref() };
    let memory = Memory::new(options, proc)?;
    let first = memory.first();
    let scratch = if prepared.view.scratch.is_empty() { None } else { Some(scratch(prepared, first)?) };
    let root = part(first, c"root", 0o755, memory::ATTRIBUTES, Place::Root)?;
    sys::attach_at(root.as_fd(), first, c"root").at(Place::Root, Call::MoveMount)?;
    sys::phase("the view's memory");
    if let Some(served) = &prepared.view.served {
        overlay::serve(served, first, socket)?;
    }
    let mut terminal = None;
    let scratch = scratch.as_ref().map_or(first, AsFd::as_fd);
    let mut view =
        View { root, memory: &memory, scratch, place: Place::Root, last: None, last_source: None, ruleset, rule: None };
    for (index, step) in prepared.view.steps.iter().enumerate() {
        view.place = Place::Step(index as u32);
        view.step(step, socket, &mut terminal)?;
    }
    sys::phase("view");
    let root = view.root;
    sys::enter_root(root.as_fd()).at(Place::Enter, Call::PivotRoot)?;
    Ok(terminal)
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
