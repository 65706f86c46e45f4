//! The parts of the view: detached mounts, moved onto targets below the new root.

use super::failure::{At, Failure};
use super::prepared::{Act, Point, Source, Step};
use super::report::{Call, LENGTH, LENGTH_OF_TEXT, Message, Place};
use crate::sys::{self, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, Errno, Propagation, Text, UnownedFd};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Attributes of the sandbox's tmpfs, which its parts inherit.
pub(super) const MEMORY: u64 = ATTR_NOSUID | ATTR_NODEV;

/// Flags of what is laid over other files.
pub(super) const SAFE: u64 = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;

/// A new directory of that tmpfs as a mount of its own.
pub(super) fn part(
    memory: BorrowedFd<'_>,
    name: &CStr,
    mode: u32,
    attributes: u64,
    place: Place,
) -> Result<OwnedFd, Failure> {
    sys::mkdirat(memory, name, mode).at(place, Call::Mkdir)?;
    let mount = sys::clone_tree(memory, name, false).at(place, Call::OpenTree)?;
    // mkdir(2) takes no set-id bits.
    if mode & 0o6000 != 0 {
        sys::chmod(mount.as_fd(), mode).at(place, Call::Chmod)?;
    }
    if attributes != MEMORY {
        sys::set_attributes(mount.as_fd(), attributes, Propagation::Keep, false).at(place, Call::MountSetattr)?;
    }
    Ok(mount)
}

/// A new file with this content.
pub(super) fn create(dir: BorrowedFd<'_>, path: &CStr, mode: u32, data: &[u8], place: Place) -> Result<(), Failure> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let file = sys::openat(dir, path, flags, mode).at(place, Call::Create)?;
    sys::write_all(file.as_fd(), data).at(place, Call::Write)
}

pub(super) struct View<'a> {
    /// The topmost mount of the new root.
    pub root: OwnedFd,
    pub memory: BorrowedFd<'a>,
    pub scratch: BorrowedFd<'a>,
    pub place: Place,
    /// The directory that something was made in last, by its path: most things come in groups.
    pub last: Option<(&'a [u8], OwnedFd)>,
}

/// The directory of a place, its name there, and whether it was just made.
struct Spot<'v> {
    dir: BorrowedFd<'v>,
    name: &'v CStr,
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
        match &step.act {
            Act::Dir { mode } => self.node(path, step.point, Kind::Dir, *mode).map(drop),
            Act::Symlink { target } => {
                let (dir, name) = self.parent(path, step.point)?;
                match sys::symlinkat(target, dir, name) {
                    Err(Errno(libc::EEXIST)) if matches!(step.point, Point::Ensure(_)) => {
                        let mut buffer = [0; libc::PATH_MAX as usize];
                        match sys::read_link(dir, name, &mut buffer) {
                            Ok(text) if text == target.as_c_str() => Ok(()),
                            Ok(text) => {
                                let mut found = Text::<{ LENGTH + LENGTH_OF_TEXT }>::default();
                                found.push(&Message::Found.encode()).push(text.to_bytes());
                                let _ = sys::send_now(socket, found.bytes());
                                Err(Errno(libc::EEXIST)).at(place, Call::Symlink)
                            }
                            Err(errno) => Err(errno).at(place, Call::Readlink),
                        }
                    }
                    other => other.at(place, Call::Symlink),
                }
            }
            Act::File { mode, data } => {
                let (dir, name) = self.parent(path, step.point)?;
                create(dir, name, *mode, data, place)
            }
            Act::Copy { mode, fd } => {
                let (dir, name) = self.parent(path, step.point)?;
                // A pipe that nobody reads must not hold us.
                let own = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
                let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | own;
                let file = sys::openat(dir, name, flags, *mode).at(place, Call::Create)?;
                sys::copy_data(UnownedFd::new(*fd).as_fd(), file.as_fd()).at(place, Call::Read)
            }
            Act::Mount(source) => self.mount(source, path, step.point, socket),
            Act::Terminal { console } => {
                let flags = libc::O_RDWR | libc::O_NOCTTY;
                let master = sys::open_in_root(self.root.as_fd(), path, flags, 0).at(place, Call::OpenPtmx)?;
                let peer = sys::open_peer(master.as_fd()).at(place, Call::OpenPeer)?;
                sys::send(socket, &Message::Terminal.encode(), Some(master.as_fd())).at(place, Call::Send)?;
                let copy = sys::clone_tree(peer.as_fd(), c"", false).at(place, Call::OpenTree)?;
                let (dir, name) = self.parent(console, Point::Make)?;
                create(dir, name, 0o620, &[], place)?;
                sys::attach_at(copy.as_fd(), dir, name).at(place, Call::MoveMount)?;
                *terminal = Some(peer);
                Ok(())
            }
            Act::Attributes(attributes) if path.is_empty() => {
                sys::set_attributes(self.root.as_fd(), *attributes, Propagation::Keep, false)
                    .at(place, Call::MountSetattr)
            }
            Act::Attributes(attributes) => {
                let (dir, name) = self.parent(path, step.point)?;
                let fd = sys::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0).at(place, Call::Openat2)?;
                sys::set_attributes(fd.as_fd(), *attributes, Propagation::Keep, false).at(place, Call::MountSetattr)
            }
            Act::Chmod { mode } => {
                let fd = self.existing(path)?;
                sys::chmod(fd.as_fd(), *mode).at(place, Call::Chmod)
            }
        }
    }

    fn mount(
        &mut self,
        source: &'a Source,
        path: &'a CStr,
        point: Point,
        socket: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        let place = self.place;
        let (mount, kind) = match source {
            // The mount point is made after what has been opened, not after what was there when it was planned.
            Source::Resolved { source, attributes } => self.tree(copy(source, *attributes, place)?)?,
            Source::Path { source, attributes, private, optional, tolerant, guard } => {
                let tree = match follow(source, place) {
                    Err(failure) if *optional && failure.errno == Errno(libc::ENOENT) => return Ok(()),
                    other => other?,
                };
                let propagation = if *private { Propagation::Private } else { Propagation::Keep };
                match sys::set_attributes(tree.as_fd(), *attributes, propagation, true) {
                    // All or none: where one below cannot be given them, the one that is asked for still can.
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
            Source::Descriptor { fd, attributes, private } => {
                let object = here(*fd, place)?;
                let tree = sys::clone_tree(object.as_fd(), c"", true).at(place, Call::OpenTree)?;
                let propagation = if *private { Propagation::Private } else { Propagation::Keep };
                sys::set_attributes(tree.as_fd(), *attributes, propagation, true).at(place, Call::MountSetattr)?;
                self.tree(tree)?
            }
            Source::Scratch(name) => {
                (sys::clone_tree(self.scratch, name, false).at(place, Call::OpenTree)?, Kind::Other)
            }
            Source::Data { name, mode, fd, attributes } => {
                let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
                let file = sys::openat(self.memory, name, flags, *mode).at(place, Call::Create)?;
                sys::copy_data(UnownedFd::new(*fd).as_fd(), file.as_fd()).at(place, Call::Read)?;
                let mount = sys::clone_tree(self.memory, name, false).at(place, Call::OpenTree)?;
                sys::set_attributes(mount.as_fd(), *attributes, Propagation::Keep, false)
                    .at(place, Call::MountSetattr)?;
                (mount, Kind::Other)
            }
            Source::Tmpfs { mode, size, attributes } => {
                let options = [(c"source", c"tmpfs"), (c"mode", mode.as_c_str()), (c"size", size.as_c_str())];
                (sys::new_filesystem(c"tmpfs", &options, *attributes).at(place, Call::Fsmount)?, Kind::Dir)
            }
            Source::Memory { name, mode, attributes } => {
                (part(self.memory, name, *mode, *attributes, place)?, Kind::Dir)
            }
            Source::Overlay { lower, upper, memory } => {
                return self.overlay(lower, upper.as_ref(), *memory, path, point);
            }
            Source::Proc { masked, guard } => return self.proc(path, point, *masked, *guard),
            Source::Devpts => {
                let options = [(c"source", c"devpts"), (c"mode", c"0620"), (c"ptmxmode", c"0666")];
                let mount = sys::new_filesystem(c"devpts", &options, ATTR_NOSUID | ATTR_NOEXEC);
                (mount.at(place, Call::Fsmount)?, Kind::Dir)
            }
            Source::Cgroup { ro } => {
                let attributes = SAFE | if *ro { sys::ATTR_RDONLY } else { 0 };
                let mount = sys::new_filesystem(c"cgroup2", &[(c"source", c"cgroup2")], attributes);
                (mount.at(place, Call::Fsmount)?, Kind::Dir)
            }
            Source::Mqueue { optional } => {
                let attributes = if *optional { ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC } else { 0 };
                match sys::new_filesystem(c"mqueue", &[(c"source", c"mqueue")], attributes) {
                    Err(Errno(libc::ENODEV)) if *optional => return Ok(()),
                    mount => (mount.at(place, Call::Fsmount)?, Kind::Dir),
                }
            }
        };
        self.attach(&mount, path, point, kind)
    }

    fn tree(&self, tree: OwnedFd) -> Result<(OwnedFd, Kind), Failure> {
        let kind = sys::file_type(tree.as_fd()).at(self.place, Call::Fstat)?;
        Ok((tree, if kind == libc::S_IFDIR { Kind::Dir } else { Kind::Other }))
    }

    /// What lies at a path, itself.
    fn existing(&mut self, path: &'a CStr) -> Result<OwnedFd, Failure> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        sys::open_in_root(self.root.as_fd(), path_or_dot(path), flags, 0).at(self.place, Call::Openat2)
    }

    /// The directory that a path lies in, and its name there. Links on the way stay below the new root.
    fn parent(&mut self, path: &'a CStr, point: Point) -> Result<(BorrowedFd<'_>, &'a CStr), Failure> {
        let bytes = path.to_bytes_with_nul();
        if bytes == b"\0" {
            return Ok((self.root.as_fd(), c"."));
        }
        let slash = bytes.iter().rposition(|byte| *byte == b'/');
        let name = bytes.get(slash.map_or(0, |slash| slash + 1)..).unwrap_or_default();
        // Where the path goes up at its end, all of it is a directory.
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

    fn directory(&self, path: &[u8], point: Point) -> Result<OwnedFd, Failure> {
        let mut text = Text::<{ libc::PATH_MAX as usize }>::default();
        let whole = text.push(path).text().at(self.place, Call::Openat2)?;
        let open = |path: &CStr| sys::open_in_root(self.root.as_fd(), path, libc::O_PATH | libc::O_DIRECTORY, 0);
        let mode = match (open(whole), point) {
            (Err(Errno(libc::ENOENT)), Point::Ensure(mode)) => mode,
            (other, Point::Ensure(_)) => return other.at(self.place, Call::Parents),
            (other, _) => return other.at(self.place, Call::Openat2),
        };
        // From the top down: what is there is entered, what is missing is made.
        let mut above: Option<OwnedFd> = None;
        let mut text = Text::<{ libc::PATH_MAX as usize }>::default();
        for part in path.split(|byte| *byte == b'/') {
            let mut name = Text::<256>::default();
            let name = name.push(part).text().at(self.place, Call::Parents)?;
            let so_far = text.push(part).text().at(self.place, Call::Parents)?;
            let dir = match open(so_far) {
                Err(Errno(libc::ENOENT)) => {
                    let above = above.as_ref().map_or(self.root.as_fd(), |fd| fd.as_fd());
                    match sys::mkdirat(above, name, mode) {
                        Ok(()) | Err(Errno(libc::EEXIST)) => open(so_far),
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

    /// Readies a directory, or a file, to mount on or as such.
    fn node(&mut self, path: &'a CStr, point: Point, kind: Kind, mode: u32) -> Result<Spot<'_>, Failure> {
        let place = self.place;
        let (dir, name) = self.parent(path, point)?;
        let mut made = false;
        if point != Point::There {
            let result = match kind {
                Kind::Dir => sys::mkdirat(dir, name, mode),
                Kind::Other => {
                    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_NOCTTY;
                    sys::openat(dir, name, flags, mode).map(drop)
                }
            };
            made = match (result, point, kind) {
                (Ok(()), ..) => true,
                (Err(Errno(libc::EEXIST)), Point::Make, Kind::Dir) => false,
                // The root and the like are there, too.
                (Err(Errno(libc::EEXIST | libc::EISDIR)), Point::Ensure(_), _) => {
                    let found = sys::stat_below(dir, name).at(place, Call::Point)?.kind;
                    let errno = match (found, kind) {
                        (libc::S_IFLNK, _) => libc::ELOOP,
                        (libc::S_IFDIR, Kind::Other) => libc::EISDIR,
                        (libc::S_IFDIR, Kind::Dir) => 0,
                        (_, Kind::Dir) => libc::ENOTDIR,
                        _ => 0,
                    };
                    if errno != 0 {
                        return Err(Errno(errno)).at(place, Call::Point);
                    }
                    false
                }
                (Err(errno), _, Kind::Dir) => return Err(errno).at(place, Call::Mkdir),
                (Err(errno), _, Kind::Other) => return Err(errno).at(place, Call::Create),
            };
        }
        Ok(Spot { dir, name, made })
    }

    /// Puts a mount at a path. A link at its end is not followed: move_mount(2) does not.
    pub(super) fn attach(&mut self, mount: &OwnedFd, path: &'a CStr, point: Point, kind: Kind) -> Result<(), Failure> {
        let place = self.place;
        let Spot { dir, name, made } = match kind {
            Kind::Dir => self.node(path, point, kind, 0o755)?,
            Kind::Other => self.node(path, point, kind, 0o444)?,
        };
        let whole = name == c".";
        sys::attach_at(mount.as_fd(), dir, name).at(place, Call::MoveMount)?;
        if made { Ok(()) } else { self.covered(whole) }
    }

    /// What is open may be covered now, under whatever name.
    fn covered(&mut self, whole: bool) -> Result<(), Failure> {
        self.last = None;
        if whole {
            let flags = libc::O_PATH | libc::O_DIRECTORY;
            self.root = sys::openat(self.memory, c"root", flags, 0).at(self.place, Call::Open)?;
        }
        Ok(())
    }

    /// The directories are opened first and named by their descriptors: no path is resolved twice, and names need no escapes. By
    /// mount(2), since fsconfig(2) takes 256 bytes a string.
    fn overlay(
        &mut self,
        lower: &[CString],
        upper: Option<&(CString, CString)>,
        memory: bool,
        path: &'a CStr,
        point: Point,
    ) -> Result<(), Failure> {
        let place = self.place;
        let mut options = Text::<4096>::default();
        let mut opened = Opened { fds: [-1; 512], count: 0 };
        if let Some((upper, work)) = upper {
            let directory = |dir: &CStr| match memory {
                true => {
                    sys::mkdirat(self.memory, dir, 0o755).at(place, Call::Mkdir)?;
                    sys::openat(self.memory, dir, libc::O_PATH, 0).at(place, Call::Open)
                }
                false => sys::openat(sys::cwd(), dir, libc::O_PATH, 0).at(place, Call::Open),
            };
            let (upper, work) = (directory(upper)?, directory(work)?);
            options.push(b"upperdir=/proc/self/fd/").decimal(opened.keep(upper).at(place, Call::Open)?);
            options.push(b",workdir=/proc/self/fd/").decimal(opened.keep(work).at(place, Call::Open)?).push(b",");
        }
        for (index, dir) in lower.iter().enumerate() {
            let fd = sys::openat(sys::cwd(), dir, libc::O_PATH, 0).at(place, Call::Open)?;
            options.push(if index == 0 { b"lowerdir=/proc/self/fd/" } else { b":/proc/self/fd/" });
            options.decimal(opened.keep(fd).at(place, Call::Open)?);
        }
        let options = options.push(b",userxattr").text().at(place, Call::Mount)?;
        let Spot { dir, name, .. } = self.node(path, point, Kind::Dir, 0o755)?;
        let whole = name == c".";
        let target = sys::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0).at(place, Call::Open)?;
        let target = Text::<32>::of_descriptor(target.as_raw_fd());
        let target = target.text().at(place, Call::Open)?;
        sys::mount(c"overlay", target, libc::MS_NOSUID | libc::MS_NODEV, options).at(place, Call::Mount)?;
        self.covered(whole)
    }
}

/// What is mounted, and so what it is mounted on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dir,
    Other,
}

/// Descriptors that stay open for the length of a call.
struct Opened {
    fds: [RawFd; 512],
    count: usize,
}

impl Opened {
    fn keep(&mut self, fd: OwnedFd) -> sys::Result<u32> {
        use std::os::fd::IntoRawFd;
        let place = self.fds.get_mut(self.count).ok_or(Errno(libc::E2BIG))?;
        *place = fd.into_raw_fd();
        self.count += 1;
        Ok(*place as u32)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.fds.iter().take(self.count).for_each(|fd| UnownedFd::new(*fd).close());
    }
}

fn path_or_dot(path: &CStr) -> &CStr {
    if path.is_empty() { c"." } else { path }
}

/// A copy of the mounts at a source. The planner has followed the links; one that is there now was put there by somebody
/// else.
fn copy(source: &CStr, attributes: u64, place: Place) -> Result<OwnedFd, Failure> {
    let found = sys::open_resolved(source).at(place, Call::Openat2)?;
    let tree = sys::clone_tree(found.as_fd(), c"", true).at(place, Call::OpenTree)?;
    sys::set_attributes(tree.as_fd(), attributes, Propagation::Private, true).at(place, Call::MountSetattr)?;
    Ok(tree)
}

/// The same, links followed: what the kernel finds in this one look is what is shown.
fn follow(source: &CStr, place: Place) -> Result<OwnedFd, Failure> {
    match sys::clone_followed(source) {
        // A link of /proc leads to a mount of another namespace, of which there are no copies: the same file is here, too.
        Err(Errno(libc::EINVAL)) => {
            let there = sys::openat(sys::cwd(), source, libc::O_PATH, 0).at(place, Call::OpenTree)?;
            let here = here(there.as_raw_fd(), place)?;
            sys::clone_tree(here.as_fd(), c"", true).at(place, Call::OpenTree)
        }
        other => other.at(place, Call::OpenTree),
    }
}

/// What a descriptor of the caller's refers to, in our own mount namespace: found by its name, and compared before it is used.
/// One that is renamed in that moment is looked for under the name that it has then.
fn here(fd: RawFd, place: Place) -> Result<OwnedFd, Failure> {
    let wanted = sys::stat(UnownedFd::new(fd).as_fd()).at(place, Call::Fstat)?;
    // Somebody who goes on renaming it cannot hold the start up without end.
    for _ in 0..100 {
        if let Ok(found) = named(fd, wanted, place) {
            return Ok(found);
        }
    }
    named(fd, wanted, place)
}

/// One look at what has the descriptor's name.
fn named(fd: RawFd, wanted: sys::Stat, place: Place) -> Result<OwnedFd, Failure> {
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
