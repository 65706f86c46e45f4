//! Carries out the steps of the view: detached mounts are made, and attached to targets below the new root.

use super::failure::{At, Failure};
use super::memory::{Memory, part};
use super::prepared::{MountSource, Rule, Step, StepAction, TargetState};
use super::report::{Call, LENGTH, LENGTH_OF_TEXT, Message, Place};
use crate::sys::{self, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, Errno, Propagation, Text, UnownedFd};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Mount attributes of procfs, cgroup2, and of files and directories that mask others.
pub(super) const SAFE: u64 = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;

/// Creates a file with this content; it must not exist.
pub(super) fn create(dir: BorrowedFd<'_>, path: &CStr, mode: u32, data: &[u8], place: Place) -> Result<(), Failure> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let file = sys::openat(dir, path, flags, mode).at(place, Call::Create)?;
    sys::write_all(file.as_fd(), data).at(place, Call::Write)
}

/// Makes sure that what is at a name is a link with this text; otherwise tells the launcher what its text is.
///
/// Not inlined, as others here that have room for a path: the stack of one that is used for all steps would hold all of
/// these at once, and the caller's limit of the stack may be low.
#[inline(never)]
fn same_link(
    dir: BorrowedFd<'_>,
    name: &CStr,
    target: &CStr,
    socket: BorrowedFd<'_>,
    place: Place,
) -> Result<(), Failure> {
    let mut buffer = [0; libc::PATH_MAX as usize];
    let text = sys::read_link(dir, name, &mut buffer).at(place, Call::Readlink)?;
    if text == target {
        return Ok(());
    }
    let mut found = Text::<{ LENGTH + LENGTH_OF_TEXT }>::default();
    found.push(&Message::Found.encode()).push(text.to_bytes());
    let _ = sys::send_now(socket, found.bytes());
    Err(Errno(libc::EEXIST)).at(place, Call::Symlink)
}

pub(super) struct View<'a> {
    /// The topmost mount at the new root.
    pub root: OwnedFd,
    pub memory: &'a Memory<'a>,
    pub scratch: BorrowedFd<'a>,
    pub place: Place,
    /// The parent directory of the last target, and its path. Consecutive targets often have the same one.
    pub last: Option<(&'a [u8], OwnedFd)>,
    /// The same of the last source on the host.
    pub last_source: Option<(&'a [u8], OwnedFd)>,
    /// The Landlock ruleset, to which steps add the rules for what they mount.
    pub ruleset: Option<BorrowedFd<'a>>,
    /// The rule of the current step.
    pub rule: Option<Rule>,
}

/// A place to mount on: its directory, its name there, and whether it was just created.
pub(super) struct MountTarget<'v> {
    pub dir: BorrowedFd<'v>,
    pub name: &'v CStr,
    made: bool,
}

impl<'a> View<'a> {
    pub(super) fn step(
        &mut self,
        step: &'a Step,
        socket: BorrowedFd<'_>,
        terminal: &mut Option<OwnedFd>,
    ) -> Result<(), Failure> {
        let (place, path) = (self.place, step.path.as_c_str());
        self.rule = step.rule;
        match &step.act {
            StepAction::Dir { mode } => self.node(path, step.point, TargetKind::Dir, *mode).map(drop),
            StepAction::Symlink { target } => {
                let (dir, name) = self.parent(path, step.point)?;
                match sys::symlinkat(target, dir, name) {
                    Err(Errno(libc::EEXIST)) if matches!(step.point, TargetState::Ensure(_)) => {
                        same_link(dir, name, target, socket, place)
                    }
                    other => other.at(place, Call::Symlink),
                }
            }
            StepAction::File { mode, data } => {
                let (dir, name) = self.parent(path, step.point)?;
                match create(dir, name, *mode, data, place) {
                    // An empty file is a mount point, which an earlier run has made in a private home.
                    Err(failure)
                        if failure.errno == Errno(libc::EEXIST)
                            && data.is_empty()
                            && matches!(step.point, TargetState::Ensure(_)) =>
                    {
                        Ok(())
                    }
                    other => other,
                }
            }
            StepAction::Copy { mode, fd } => {
                let (dir, name) = self.parent(path, step.point)?;
                // O_NONBLOCK: opening a pipe that nobody reads must not block.
                let own = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
                let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | own;
                let file = sys::openat(dir, name, flags, *mode).at(place, Call::Create)?;
                sys::copy_data(UnownedFd::new(*fd).as_fd(), file.as_fd()).at(place, Call::Read)
            }
            StepAction::Mount(source) => self.mount(source, path, step.point, socket),
            StepAction::Terminal { console } => {
                let flags = libc::O_RDWR | libc::O_NOCTTY;
                let master = sys::open_in_root(self.root.as_fd(), path, flags).at(place, Call::OpenPtmx)?;
                let peer = sys::open_peer(master.as_fd()).at(place, Call::OpenPeer)?;
                sys::send(socket, &Message::Terminal.encode(), Some(master.as_fd())).at(place, Call::Send)?;
                let copy = sys::clone_tree(peer.as_fd(), c"", false).at(place, Call::OpenTree)?;
                let (dir, name) = self.parent(console, TargetState::Make)?;
                create(dir, name, 0o620, &[], place)?;
                sys::attach_at(copy.as_fd(), dir, name).at(place, Call::MoveMount)?;
                *terminal = Some(peer);
                Ok(())
            }
            StepAction::Attributes(attributes) if path.is_empty() => {
                sys::set_attributes(self.root.as_fd(), *attributes, Propagation::Keep, false)
                    .at(place, Call::MountSetattr)
            }
            StepAction::Attributes(attributes) => {
                let (dir, name) = self.parent(path, step.point)?;
                let fd = sys::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0).at(place, Call::Openat2)?;
                sys::set_attributes(fd.as_fd(), *attributes, Propagation::Keep, false).at(place, Call::MountSetattr)
            }
            StepAction::Chmod { mode } => {
                let fd = self.existing(path)?;
                sys::chmod(fd.as_fd(), *mode).at(place, Call::Chmod)
            }
        }
    }

    fn mount(
        &mut self,
        source: &'a MountSource,
        path: &'a CStr,
        point: TargetState,
        socket: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        let place = self.place;
        let (mount, kind) = match source {
            // Whether the mount point becomes a directory or a file depends on what was opened now, not on what was
            // there at planning.
            MountSource::Resolved { source, attributes } => self.resolved(source, *attributes)?,
            MountSource::Path { source, attributes, private, optional, tolerant, guard } => {
                let tree = match follow(source, place) {
                    Err(failure) if *optional && failure.errno == Errno(libc::ENOENT) => return Ok(()),
                    other => other?,
                };
                let propagation = if *private { Propagation::Private } else { Propagation::Keep };
                match sys::set_attributes(tree.as_fd(), *attributes, propagation, true) {
                    // The recursive call changes all mounts or none. If it failed for one below, the topmost one can
                    // still be changed.
                    Err(_) if *tolerant => {
                        sys::set_attributes(tree.as_fd(), *attributes, propagation, false)
                            .at(place, Call::MountSetattr)?;
                        let index = if let Place::Step(index) = place { index } else { 0 };
                        let _ = sys::send_now(socket, &Message::Partly(index).encode());
                    }
                    other => other.at(place, Call::MountSetattr)?,
                }
                let (tree, kind) = self.tree(tree)?;
                self.attach(&tree, path, point, kind)?;
                return if *guard { self.guard(tree.as_fd()) } else { Ok(()) };
            }
            MountSource::Descriptor { fd, attributes, private } => {
                let object = reopen_in_own_namespace(*fd, place)?;
                let tree = sys::clone_tree(object.as_fd(), c"", true).at(place, Call::OpenTree)?;
                let propagation = if *private { Propagation::Private } else { Propagation::Keep };
                sys::set_attributes(tree.as_fd(), *attributes, propagation, true).at(place, Call::MountSetattr)?;
                self.tree(tree)?
            }
            MountSource::Scratch(name) => {
                let tree = sys::clone_tree(self.scratch, name, false).at(place, Call::OpenTree)?;
                match point {
                    TargetState::Ensure(_) => self.tree(tree)?,
                    // Something of its kind is there, or was made by a step before.
                    _ => (tree, TargetKind::Other),
                }
            }
            MountSource::Data { name, mode, fd, attributes } => {
                let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
                let file = sys::openat(self.memory.first(), name, flags, *mode).at(place, Call::Create)?;
                sys::copy_data(UnownedFd::new(*fd).as_fd(), file.as_fd()).at(place, Call::Read)?;
                let mount = sys::clone_tree(self.memory.first(), name, false).at(place, Call::OpenTree)?;
                sys::set_attributes(mount.as_fd(), *attributes, Propagation::Keep, false)
                    .at(place, Call::MountSetattr)?;
                (mount, TargetKind::Other)
            }
            MountSource::Tmpfs { mode, size, inodes, attributes } => {
                let inodes = inodes.as_ref().map_or(c"", |inodes| inodes.as_c_str());
                let options = [
                    (c"source", c"tmpfs"),
                    (c"mode", mode.as_c_str()),
                    (c"size", size.as_c_str()),
                    (c"nr_inodes", inodes),
                ];
                let count = if inodes.is_empty() { options.len() - 1 } else { options.len() };
                let options = options.get(..count).unwrap_or_default();
                (sys::new_filesystem(c"tmpfs", options, *attributes).at(place, Call::Fsmount)?, TargetKind::Dir)
            }
            MountSource::Memory { name, mode, attributes } => {
                let memory = self.memory;
                let (dir, _) = self.parent(path, point)?;
                let memory = memory.beside(dir, place)?;
                (part(memory, name, *mode, *attributes, place)?, TargetKind::Dir)
            }
            MountSource::Overlay(overlay) => return self.overlay(overlay, path, point),
            MountSource::Served { name, attributes } => (self.served(name, *attributes)?, TargetKind::Dir),
            MountSource::Own => {
                let there = self.existing(path)?;
                (sys::clone_tree(there.as_fd(), c"", true).at(place, Call::OpenTree)?, TargetKind::Dir)
            }
            MountSource::Proc(cover) => return self.proc(path, point, *cover),
            MountSource::Devpts => {
                // Of those that the kernel has for all of the machine's containers: 3,072 by default (kernel.pty.max less kernel.pty.reserve).
                let most = (c"max", c"256");
                let options = [(c"source", c"devpts"), (c"mode", c"0620"), (c"ptmxmode", c"0666"), most];
                let mount = sys::new_filesystem(c"devpts", &options, ATTR_NOSUID | ATTR_NOEXEC);
                (mount.at(place, Call::Fsmount)?, TargetKind::Dir)
            }
            MountSource::Cgroup { ro } => {
                let attributes = SAFE | if *ro { sys::ATTR_RDONLY } else { 0 };
                let mount = sys::new_filesystem(c"cgroup2", &[(c"source", c"cgroup2")], attributes);
                (mount.at(place, Call::Fsmount)?, TargetKind::Dir)
            }
            MountSource::Mqueue { optional } => {
                let attributes = if *optional { ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC } else { 0 };
                match sys::new_filesystem(c"mqueue", &[(c"source", c"mqueue")], attributes) {
                    Err(Errno(libc::ENODEV)) if *optional => return Ok(()),
                    mount => (mount.at(place, Call::Fsmount)?, TargetKind::Dir),
                }
            }
        };
        self.attach(&mount, path, point, kind)
    }

    pub(super) fn tree(&self, tree: OwnedFd) -> Result<(OwnedFd, TargetKind), Failure> {
        let kind = sys::file_type(tree.as_fd()).at(self.place, Call::Fstat)?;
        Ok((tree, if kind == libc::S_IFDIR { TargetKind::Dir } else { TargetKind::Other }))
    }

    /// Opens the file at a path in the view (O_PATH). A link at the end of the path is not followed.
    fn existing(&mut self, path: &'a CStr) -> Result<OwnedFd, Failure> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        sys::open_in_root(self.root.as_fd(), path_or_dot(path), flags).at(self.place, Call::Openat2)
    }

    /// The directory that a path is in, and its name there. Links on the way cannot leave the new root.
    fn parent(&mut self, path: &'a CStr, point: TargetState) -> Result<(BorrowedFd<'_>, &'a CStr), Failure> {
        let bytes = path.to_bytes_with_nul();
        if bytes == b"\0" {
            return Ok((self.root.as_fd(), c"."));
        }
        let slash = bytes.iter().rposition(|byte| *byte == b'/');
        let name = bytes.get(slash.map_or(0, |slash| slash + 1)..).unwrap_or_default();
        // A path that ends in `..` is a directory as a whole.
        let up = name == b"..\0";
        let (dir, name) = match (up, slash) {
            (true, _) => (path.to_bytes(), c"."),
            (false, None) => return Ok((self.root.as_fd(), path)),
            (false, Some(slash)) => {
                (bytes.get(..slash).unwrap_or_default(), CStr::from_bytes_with_nul(name).unwrap_or(c"."))
            }
        };
        if self.last.as_ref().is_none_or(|(last, _)| *last != dir) {
            self.last = Some((dir, self.directory(dir, point)?));
        }
        Ok((self.last.as_ref().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()), name))
    }

    #[inline(never)]
    fn directory(&self, path: &[u8], point: TargetState) -> Result<OwnedFd, Failure> {
        let mut text = Text::<{ libc::PATH_MAX as usize }>::default();
        let whole = text.push(path).text().at(self.place, Call::Openat2)?;
        match (self.open_directory(whole), point) {
            (Err(Errno(libc::ENOENT)), TargetState::Ensure(mode)) => self.made_directory(path, mode),
            (other, TargetState::Ensure(_)) => other.at(self.place, Call::Parents),
            (other, _) => other.at(self.place, Call::Openat2),
        }
    }

    fn open_directory(&self, path: &CStr) -> sys::Result<OwnedFd> {
        sys::open_in_root(self.root.as_fd(), path, libc::O_PATH | libc::O_DIRECTORY)
    }

    /// From the top down: directories that exist are opened, missing ones are created.
    #[inline(never)]
    fn made_directory(&self, path: &[u8], mode: u32) -> Result<OwnedFd, Failure> {
        let mut above: Option<OwnedFd> = None;
        let mut text = Text::<{ libc::PATH_MAX as usize }>::default();
        for part in path.split(|byte| *byte == b'/') {
            let mut name = Text::<256>::default();
            let name = name.push(part).text().at(self.place, Call::Parents)?;
            let so_far = text.push(part).text().at(self.place, Call::Parents)?;
            let dir = match self.open_directory(so_far) {
                Err(Errno(libc::ENOENT)) => {
                    let above = above.as_ref().map_or(self.root.as_fd(), |fd| fd.as_fd());
                    match sys::mkdirat(above, name, mode) {
                        Ok(()) | Err(Errno(libc::EEXIST)) => self.open_directory(so_far),
                        Err(errno) => Err(errno),
                    }
                }
                other => other,
            };
            above = Some(dir.at(self.place, Call::Parents)?);
            text.push(b"/");
        }
        above.ok_or(Errno(libc::ENOENT)).at(self.place, Call::Parents)
    }

    /// Makes sure that there is a directory or a file at a path, for a mount or as part of the view.
    pub(super) fn node(
        &mut self,
        path: &'a CStr,
        point: TargetState,
        kind: TargetKind,
        mode: u32,
    ) -> Result<MountTarget<'_>, Failure> {
        let place = self.place;
        let (dir, name) = self.parent(path, point)?;
        let mut made = false;
        if point != TargetState::There {
            let result = match kind {
                TargetKind::Dir => sys::mkdirat(dir, name, mode),
                // In the view's own memory. A file server may have no such call.
                TargetKind::Other if point == TargetState::Make => sys::make_file(dir, name, mode),
                TargetKind::Other => {
                    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_NOCTTY;
                    sys::openat(dir, name, flags, mode).map(drop)
                }
            };
            made = match (result, point, kind) {
                (Ok(()), ..) => true,
                (Err(Errno(libc::EEXIST)), TargetState::Make, TargetKind::Dir) => false,
                // EISDIR: the path is a directory that has no name of its own, such as the root.
                (Err(Errno(libc::EEXIST | libc::EISDIR)), TargetState::Ensure(_), _) => {
                    let found = sys::stat_below(dir, name).at(place, Call::Point)?.kind;
                    let errno = match (found, kind) {
                        (libc::S_IFLNK, _) => libc::ELOOP,
                        (libc::S_IFDIR, TargetKind::Other) => libc::EISDIR,
                        (libc::S_IFDIR, TargetKind::Dir) => 0,
                        (_, TargetKind::Dir) => libc::ENOTDIR,
                        _ => 0,
                    };
                    if errno != 0 {
                        return Err(Errno(errno)).at(place, Call::Point);
                    }
                    false
                }
                (Err(errno), _, TargetKind::Dir) => return Err(errno).at(place, Call::Mkdir),
                (Err(errno), _, TargetKind::Other) => return Err(errno).at(place, Call::Create),
            };
        }
        Ok(MountTarget { dir, name, made })
    }

    /// Attaches a mount at a path. A link at the end of the path is not followed, since move_mount(2) does not.
    pub(super) fn attach(
        &mut self,
        mount: &OwnedFd,
        path: &'a CStr,
        point: TargetState,
        kind: TargetKind,
    ) -> Result<(), Failure> {
        let place = self.place;
        let MountTarget { dir, name, made } = match kind {
            TargetKind::Dir => self.node(path, point, kind, 0o755)?,
            TargetKind::Other => self.node(path, point, kind, 0o444)?,
        };
        let whole = name == c".";
        sys::attach_at(mount.as_fd(), dir, name).at(place, Call::MoveMount)?;
        if let (Some(ruleset), Some(Rule { index, rights })) = (self.ruleset, self.rule) {
            sys::landlock_allow(ruleset, mount.as_fd(), rights).at(Place::Landlock(index), Call::LandlockRule)?;
        }
        if made { Ok(()) } else { self.covered(whole) }
    }

    /// Closes the cached directory, which the new mount may have covered, by whatever path. With `whole`, the mount
    /// covered the root: opens the new topmost one.
    pub(super) fn covered(&mut self, whole: bool) -> Result<(), Failure> {
        self.last = None;
        if whole {
            let flags = libc::O_PATH | libc::O_DIRECTORY;
            self.root = sys::openat(self.memory.first(), c"root", flags, 0).at(self.place, Call::Open)?;
        }
        Ok(())
    }
}

/// Whether a mount, and so its mount point, is a directory or another kind of file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetKind {
    Dir,
    Other,
}

fn path_or_dot(path: &CStr) -> &CStr {
    if path.is_empty() { c"." } else { path }
}

/// A detached copy of the mounts at a path of the host, links followed: one lookup by the kernel decides what is shown.
fn follow(source: &CStr, place: Place) -> Result<OwnedFd, Failure> {
    match sys::clone_followed(source) {
        // A magic link of /proc led to a mount of another mount namespace, which cannot be copied. The same file is in
        // this one, too.
        Err(Errno(libc::EINVAL)) => {
            let there = sys::openat(sys::cwd(), source, libc::O_PATH, 0).at(place, Call::OpenTree)?;
            let here = reopen_in_own_namespace(there.as_raw_fd(), place)?;
            sys::clone_tree(here.as_fd(), c"", true).at(place, Call::OpenTree)
        }
        other => other.at(place, Call::OpenTree),
    }
}

/// Opens the file that a descriptor of the caller refers to in this mount namespace: by its name, and only if it is the
/// same file (device and inode). If it is renamed at that moment, the new name is tried.
pub(super) fn reopen_in_own_namespace(fd: RawFd, place: Place) -> Result<OwnedFd, Failure> {
    let wanted = sys::stat(UnownedFd::new(fd).as_fd()).at(place, Call::Fstat)?;
    // Somebody who keeps renaming the file must not delay the start for ever.
    for _ in 0..100 {
        if let Ok(found) = open_by_name(fd, wanted, place) {
            return Ok(found);
        }
    }
    open_by_name(fd, wanted, place)
}

/// Tries once to open the file by the name that the descriptor has now. ESTALE: another file has that name.
#[inline(never)]
fn open_by_name(fd: RawFd, wanted: sys::Stat, place: Place) -> Result<OwnedFd, Failure> {
    let link = Text::<32>::of_descriptor(fd);
    let mut buffer = [0; libc::PATH_MAX as usize];
    let path = sys::read_link(sys::cwd(), link.text().at(place, Call::Readlink)?, &mut buffer);
    let path = path.at(place, Call::Readlink)?;
    let found = sys::openat(sys::cwd(), path, libc::O_PATH | libc::O_NOFOLLOW, 0).at(place, Call::Open)?;
    if sys::stat(found.as_fd()).at(place, Call::Fstat)? != wanted {
        return Err(Errno(libc::ESTALE)).at(place, Call::Replaced);
    }
    Ok(found)
}
