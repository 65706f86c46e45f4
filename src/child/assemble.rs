//! The view: detached mounts, moved onto targets below the new root, which is then entered.

use super::report::{Call, Message, Place};
use super::{At, Failure, Prepared, RootMount, Scratch, Step};
use crate::sys::{self, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, Errno};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const SAFE: u64 = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;

/// Masked and read-only paths of procfs, as the OCI's runtimes have them by default. Those of other kernels are skipped.
const MASKED_FILES: [&CStr; 6] = [c"kcore", c"keys", c"latency_stats", c"timer_list", c"timer_stats", c"sched_debug"];
const MASKED_DIRS: [&CStr; 3] = [c"acpi", c"asound", c"scsi"];
const READ_ONLY: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];

/// Names in the scratch directory of what is laid over the masked parts of procfs.
pub const EMPTY_FILE: &CStr = c"empty-file";
/// The same, for directories.
pub const EMPTY_DIR: &CStr = c"empty-dir";

/// Builds the view and enters it. Gives the slave of the program's terminal if it has one.
pub(super) fn assemble(prepared: &Prepared, socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    sys::umask(0);
    // The tree of a root by bind is copied before anything is mounted on the host's tree of ours.
    let tree = match &prepared.root {
        RootMount::Tmpfs => None,
        RootMount::Bind(source, attributes) => Some(copy(source, *attributes, Place::Root)?),
    };
    let memory = memory(prepared)?;
    let scratch = if prepared.scratch.is_empty() { None } else { Some(scratch(prepared, memory.as_fd())?) };
    let root = match tree {
        Some(tree) => tree,
        None => part(memory.as_fd(), c"root", 0o755, MEMORY, Place::Root)?,
    };
    sys::attach_at(root.as_fd(), sys::cwd(), &prepared.stage).at(Place::Root, Call::MoveMount)?;
    let mut terminal = None;
    let scratch = scratch.as_ref().unwrap_or(&memory).as_fd();
    let mut view = View { root: root.as_fd(), memory: memory.as_fd(), scratch, place: Place::Root, last: None };
    for (index, step) in prepared.steps.iter().enumerate() {
        view.place = Place::Step(index as u32);
        view.step(step, socket, &mut terminal)?;
    }
    drop(view);
    if prepared.wait_for_go {
        super::init::ask(socket, Message::Ready)?;
    }
    sys::enter_root(&root).at(Place::Enter, Call::PivotRoot)?;
    Ok(terminal)
}

/// Attributes of the sandbox's tmpfs, which its parts inherit.
const MEMORY: u64 = ATTR_NOSUID | ATTR_NODEV;

/// The sandbox's one tmpfs. Each directory in memory is a part of it, mounted by itself: a filesystem each would take longer to
/// make and to take down than everything else, and could hold half of the memory each. It lies below the new root's mount
/// on the host's tree of ours and goes away with that; the parts stay.
fn memory(prepared: &Prepared) -> Result<OwnedFd, Failure> {
    let options = [(c"source", c"tmpfs"), (c"mode", c"0755")];
    let mount = sys::new_filesystem(c"tmpfs", &options, MEMORY).at(Place::Root, Call::Fsmount)?;
    sys::attach_at(mount.as_fd(), sys::cwd(), &prepared.stage).at(Place::Root, Call::MoveMount)?;
    Ok(mount)
}

/// A new directory of that tmpfs as a mount of its own.
fn part(memory: BorrowedFd<'_>, name: &CStr, mode: u32, attributes: u64, place: Place) -> Result<OwnedFd, Failure> {
    sys::mkdirat(memory, name, mode).at(place, Call::Mkdir)?;
    let mount = sys::clone_tree(memory, name, false).at(place, Call::OpenTree)?;
    if attributes != MEMORY {
        sys::set_attributes(mount.as_fd(), attributes, false, false).at(place, Call::MountSetattr)?;
    }
    Ok(mount)
}

/// What is laid over other files, read-only: copies of this mount inherit that.
fn scratch(prepared: &Prepared, memory: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let place = Place::Root;
    let mount = part(memory, c"scratch", 0o755, SAFE, place)?;
    let fd = mount.as_fd();
    for Scratch { name, mode, data } in &prepared.scratch {
        match data {
            Some(data) => create(fd, name, *mode, data, place)?,
            None => sys::mkdirat(fd, name, *mode).at(place, Call::Mkdir)?,
        }
    }
    sys::set_attributes(fd, ATTR_RDONLY, false, false).at(place, Call::MountSetattr)?;
    sys::attach_at(fd, memory, c"scratch").at(place, Call::MoveMount)?;
    Ok(mount)
}

/// A copy of the mounts at a source. The planner has followed the links; one that is there now was put there by somebody
/// else.
fn copy(source: &CStr, attributes: u64, place: Place) -> Result<OwnedFd, Failure> {
    let found = sys::open_resolved(source).at(place, Call::Openat2)?;
    let tree = sys::clone_tree(found.as_fd(), c"", true).at(place, Call::OpenTree)?;
    sys::set_attributes(tree.as_fd(), attributes, true, true).at(place, Call::MountSetattr)?;
    Ok(tree)
}

fn create(dir: BorrowedFd<'_>, path: &CStr, mode: u32, data: &[u8], place: Place) -> Result<(), Failure> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let file = sys::openat(dir, path, flags, mode).at(place, Call::Create)?;
    sys::write_all(file.as_fd(), data).at(place, Call::Write)
}

struct View<'a> {
    root: BorrowedFd<'a>,
    memory: BorrowedFd<'a>,
    scratch: BorrowedFd<'a>,
    place: Place,
    /// The directory that something was made in last, by its path: most things come in groups.
    last: Option<(&'a [u8], OwnedFd)>,
}

impl<'a> View<'a> {
    fn step(&mut self, step: &'a Step, socket: BorrowedFd<'_>, terminal: &mut Option<OwnedFd>) -> Result<(), Failure> {
        let place = self.place;
        match step {
            Step::Dir { path, mode } => {
                let (dir, name) = self.parent(path)?;
                match sys::mkdirat(dir, name, *mode) {
                    Err(Errno(libc::EEXIST)) => Ok(()),
                    other => other.at(place, Call::Mkdir),
                }
            }
            Step::Symlink { path, target } => {
                let (dir, name) = self.parent(path)?;
                sys::symlinkat(target, dir, name).at(place, Call::Symlink)
            }
            Step::File { path, mode, data } => {
                let (dir, name) = self.parent(path)?;
                create(dir, name, *mode, data, place)
            }
            Step::Cover { scratch, path } => {
                let copy = sys::clone_tree(self.scratch, scratch, false).at(place, Call::OpenTree)?;
                self.attach(&copy, path)
            }
            Step::Tmpfs { path, mode, size, attributes } => {
                let options = [(c"source", c"tmpfs"), (c"mode", mode.as_c_str()), (c"size", size.as_c_str())];
                let mount = sys::new_filesystem(c"tmpfs", &options, *attributes).at(place, Call::Fsmount)?;
                self.attach(&mount, path)
            }
            Step::Memory { path, name, mode, attributes } => {
                let mount = part(self.memory, name, *mode, *attributes, place)?;
                self.attach(&mount, path)
            }
            Step::Bind { source, path, attributes, make } => {
                let tree = copy(source, *attributes, place)?;
                if !make {
                    return self.attach(&tree, path);
                }
                // The mount point is made after what has been opened, not after what was there when it was planned.
                let is_dir = sys::file_type(tree.as_fd()).at(place, Call::Fstat)? == libc::S_IFDIR;
                let (dir, name) = self.parent(path)?;
                if is_dir {
                    sys::mkdirat(dir, name, 0o755).at(place, Call::Mkdir)?;
                } else {
                    create(dir, name, 0o444, &[], place)?;
                }
                sys::attach_at(tree.as_fd(), dir, name).at(place, Call::MoveMount)
            }
            Step::Proc { path, masked } => self.proc(path, *masked),
            Step::Devpts { path } => {
                let options = [(c"mode", c"0620"), (c"ptmxmode", c"0666")];
                let mount = sys::new_filesystem(c"devpts", &options, ATTR_NOSUID | ATTR_NOEXEC);
                self.attach(&mount.at(place, Call::Fsmount)?, path)
            }
            Step::Terminal { ptmx, console } => {
                let flags = libc::O_RDWR | libc::O_NOCTTY;
                let master = sys::open_in_root(self.root, ptmx, flags, 0).at(place, Call::OpenPtmx)?;
                let peer = sys::open_peer(master.as_fd()).at(place, Call::OpenPeer)?;
                sys::send(socket, &Message::Terminal.encode(), Some(master.as_fd())).at(place, Call::Send)?;
                let copy = sys::clone_tree(peer.as_fd(), c"", false).at(place, Call::OpenTree)?;
                let (dir, name) = self.parent(console)?;
                create(dir, name, 0o620, &[], place)?;
                sys::attach_at(copy.as_fd(), dir, name).at(place, Call::MoveMount)?;
                *terminal = Some(peer);
                Ok(())
            }
            Step::Seal { path } if path.is_empty() => {
                sys::set_attributes(self.root, ATTR_RDONLY, false, false).at(place, Call::MountSetattr)
            }
            Step::Seal { path } => {
                let flags = libc::O_PATH | libc::O_NOFOLLOW;
                let fd = sys::open_in_root(self.root, path, flags, 0).at(place, Call::Openat2)?;
                sys::set_attributes(fd.as_fd(), ATTR_RDONLY, false, false).at(place, Call::MountSetattr)
            }
        }
    }

    /// The directory that a path lies in, and its name there. Links on the way stay below the new root: while the view is made,
    /// the process's own root is still the host's.
    fn parent(&mut self, path: &'a CStr) -> Result<(BorrowedFd<'_>, &'a CStr), Failure> {
        let bytes = path.to_bytes_with_nul();
        let Some(slash) = bytes.iter().rposition(|byte| *byte == b'/') else { return Ok((self.root, path)) };
        let (dir, name) = bytes.split_at(slash);
        let name = name.get(1..).and_then(|name| CStr::from_bytes_with_nul(name).ok()).unwrap_or(c".");
        if self.last.as_ref().is_none_or(|(last, _)| *last != dir) {
            let mut text = [0; libc::PATH_MAX as usize];
            let fd = match text.get_mut(..dir.len()) {
                Some(place) => {
                    place.copy_from_slice(dir);
                    let text = CStr::from_bytes_until_nul(&text).map_err(|_| Errno(libc::ENAMETOOLONG));
                    text.and_then(|dir| sys::open_in_root(self.root, dir, libc::O_PATH | libc::O_DIRECTORY, 0))
                }
                None => Err(Errno(libc::ENAMETOOLONG)),
            };
            self.last = Some((dir, fd.at(self.place, Call::Openat2)?));
        }
        Ok((self.last.as_ref().map_or(self.root, |(_, fd)| fd.as_fd()), name))
    }

    /// Puts a mount where something is already. A link at the end of the path is not followed: move_mount(2) does not.
    fn attach(&mut self, mount: &OwnedFd, path: &'a CStr) -> Result<(), Failure> {
        let place = self.place;
        let (dir, name) = self.parent(path)?;
        sys::attach_at(mount.as_fd(), dir, name).at(place, Call::MoveMount)?;
        // What was opened below may be covered now.
        if self.last.as_ref().is_some_and(|(last, _)| last.starts_with(path.to_bytes())) {
            self.last = None;
        }
        Ok(())
    }

    fn proc(&mut self, path: &'a CStr, masked: bool) -> Result<(), Failure> {
        let place = self.place;
        let proc = sys::new_filesystem(c"proc", &[], SAFE).at(place, Call::Fsmount)?;
        self.attach(&proc, path)?;
        if !masked {
            return Ok(());
        }
        let proc = proc.as_fd();
        for (names, scratch) in [(&MASKED_FILES[..], EMPTY_FILE), (&MASKED_DIRS[..], EMPTY_DIR)] {
            for name in names {
                // Looked for first: a copy that is not attached costs a grace period of RCU when it is closed.
                match sys::openat(proc, name, libc::O_PATH | libc::O_NOFOLLOW, 0) {
                    Err(Errno(libc::ENOENT)) => continue,
                    found => drop(found.at(place, Call::Openat2)?),
                }
                let copy = sys::clone_tree(self.scratch, scratch, false).at(place, Call::OpenTree)?;
                self.put(&copy, proc, name)?;
            }
        }
        for name in READ_ONLY {
            match sys::clone_tree(proc, name, false) {
                Err(Errno(libc::ENOENT)) => {}
                Err(errno) => return Err(errno).at(place, Call::OpenTree),
                Ok(copy) => {
                    sys::set_attributes(copy.as_fd(), SAFE | ATTR_RDONLY, false, false)
                        .at(place, Call::MountSetattr)?;
                    self.put(&copy, proc, name)?;
                }
            }
        }
        Ok(())
    }

    fn put(&self, mount: &OwnedFd, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Failure> {
        match sys::attach_at(mount.as_fd(), dir, name) {
            Err(Errno(libc::ENOENT)) => Ok(()),
            other => other.at(self.place, Call::MoveMount),
        }
    }
}
