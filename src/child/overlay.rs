//! Mounts overlays: Documentation/filesystems/overlayfs.rst of the kernel.

use super::failure::{At, Failure};
use super::memory;
use super::prepared::{Lower, Overlay, OwnFile, Served, TargetState, UpperDirs};
use super::report::{Call, LENGTH, Message, Place};
use super::view::{MountTarget, TargetKind, View};
use crate::sys::{self, Errno, Propagation, Text, UnownedFd};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// The id that an id which is not mapped shows as: user_namespaces(7).
const OVERFLOW: u32 = 65534;

/// Name of the mount point of the view server's filesystem in the sandbox's own tmpfs.
const VIEW: &CStr = c"view";

/// Mounts the filesystem of the view server at a directory of the sandbox's own tmpfs, hands its device to the launcher,
/// and waits until the server runs. Nobody but this process has that device open then: when the server ends, all that
/// waits for it fails (ENOTCONN). The mount is read-only, as is all that the server does.
pub(super) fn serve(served: &Served, memory: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> Result<(), Failure> {
    let place = Place::Root;
    let device = sys::openat(sys::cwd(), c"/dev/fuse", libc::O_RDWR, 0).at(place, Call::OpenFuse)?;
    let mut number = Text::<32>::default();
    let number = number.decimal(device.as_raw_fd() as u32).text().at(place, Call::MountFuse)?;
    let mut options = [
        (c"source", c"sbx"),
        (c"fd", number),
        (c"rootmode", c"40000"),
        (c"user_id", served.uid.as_c_str()),
        (c"group_id", served.gid.as_c_str()),
        (c"ro", c""),
        (c"default_permissions", c""),
    ];
    let (mut count, mut attributes) = (options.len() - 1, sys::ATTR_RDONLY | sys::ATTR_NOSUID | sys::ATTR_NODEV);
    if served.writable {
        options[5] = (c"allow_other", c"");
        (count, attributes) = (options.len(), sys::ATTR_NOSUID | sys::ATTR_NODEV);
    }
    let options = options.get(..count).unwrap_or_default();
    let mount = sys::new_filesystem(c"fuse", options, attributes).at(place, Call::MountFuse)?;
    sys::mkdirat(memory, VIEW, 0o755).at(place, Call::Mkdir)?;
    // Attached, since before Linux 6.15 an overlay takes no directory of a detached mount.
    sys::attach_at(mount.as_fd(), memory, VIEW).at(place, Call::MoveMount)?;
    sys::send(socket, &Message::Served.encode(), Some(device.as_fd())).at(place, Call::Send)?;
    drop(device);
    let mut buffer = [0; LENGTH];
    match sys::receive(socket, &mut buffer).at(place, Call::Receive)? {
        (LENGTH, _) if Message::decode(&buffer) == Some(Message::Go) => Ok(()),
        _ => Err(Errno(libc::EPIPE)).at(place, Call::Receive),
    }
}

impl<'a> View<'a> {
    /// A mount of a directory of the server's filesystem.
    pub(super) fn served(&self, name: &CStr, attributes: u64) -> Result<OwnedFd, Failure> {
        let place = self.place;
        let view = sys::openat(self.memory.first(), VIEW, libc::O_PATH, 0).at(place, Call::Open)?;
        let tree = sys::clone_tree(view.as_fd(), name, false).at(place, Call::OpenTree)?;
        sys::set_attributes(tree.as_fd(), attributes, Propagation::Keep, false).at(place, Call::MountSetattr)?;
        Ok(tree)
    }

    /// Mounts an overlay. Its directories are opened first, and named by their descriptors: so no path is resolved
    /// twice, and names need no escapes. By mount(2), since fsconfig(2) takes no string of more than 256 bytes.
    #[inline(never)]
    pub(super) fn overlay(&mut self, overlay: &'a Overlay, path: &'a CStr, point: TargetState) -> Result<(), Failure> {
        let place = self.place;
        let Overlay { lower, without, own, points, upper, resolved, flags, options: more, counted } = overlay;
        let mut opened = Opened { fds: [-1; 512], count: 0 };
        let mut lowers = Text::<4096>::default();
        let mut topmost = None;
        for (index, dir) in lower.iter().enumerate() {
            let fd = match dir {
                Lower::Host(dir) if *resolved => sys::open_resolved(dir).at(place, Call::Openat2)?,
                Lower::Host(dir) => sys::openat(sys::cwd(), dir, libc::O_PATH, 0).at(place, Call::Open)?,
                Lower::Served(name) => {
                    let view = sys::openat(self.memory.first(), VIEW, libc::O_PATH, 0).at(place, Call::Open)?;
                    sys::openat(view.as_fd(), name, libc::O_PATH, 0).at(place, Call::Open)?
                }
            };
            if index == 0 {
                topmost = Some(sys::owner(fd.as_fd()).at(place, Call::Fstat)?);
            }
            if let (0, Some((name, absent))) = (index, without) {
                let dir = self.directory_in(self.memory.first(), name, topmost)?;
                for name in absent {
                    sys::whiteout(dir.as_fd(), name).at(place, Call::Mknod)?;
                }
                lowers.push(b"/proc/self/fd/").decimal(opened.keep(dir).at(place, Call::Open)?).push(b":");
            } else if index > 0 {
                lowers.push(b":");
            }
            if let (0, Some((name, files))) = (index, own) {
                let dir = self.directory_in(self.memory.first(), name, topmost)?;
                for file in files {
                    self.own_file(dir.as_fd(), file)?;
                }
                lowers.push(b"/proc/self/fd/").decimal(opened.keep(dir).at(place, Call::Open)?).push(b":");
            }
            lowers.push(b"/proc/self/fd/");
            lowers.decimal(opened.keep(fd).at(place, Call::Open)?);
        }
        if let Some((name, points)) = points {
            let dir = self.directory_in(self.memory.first(), name, topmost)?;
            for (path, is_dir) in points {
                self.mount_point(dir.as_fd(), path, *is_dir)?;
            }
            lowers.push(b":/proc/self/fd/").decimal(opened.keep(dir).at(place, Call::Open)?);
        }
        let mut options = Text::<4096>::default();
        if let Some((upper, work)) = self.upper(upper, topmost, *resolved)? {
            if let Some(counted) = counted {
                // Open for reading from the start: the program may take that permission away.
                let dir = sys::openat(upper.as_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY, 0);
                let _ = counted.set(dir.at(place, Call::Open)?.into_raw_fd());
            }
            options.push(b"upperdir=/proc/self/fd/").decimal(opened.keep(upper).at(place, Call::Open)?);
            options.push(b",workdir=/proc/self/fd/").decimal(opened.keep(work).at(place, Call::Open)?).push(b",");
        }
        options.push(b"lowerdir=").push(lowers.bytes());
        let options = options.push(more.to_bytes()).text().at(place, Call::Mount)?;
        let MountTarget { dir, name, .. } = self.node(path, point, TargetKind::Dir, 0o755)?;
        let whole = name == c".";
        let target = sys::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0).at(place, Call::Open)?;
        let target = Text::<32>::of_descriptor(target.as_raw_fd());
        let target = target.text().at(place, Call::Open)?;
        sys::mount(c"overlay", target, *flags, options).at(place, Call::Mount)?;
        self.covered(whole)
    }

    /// Opens the upper and the work directory, and makes them where they are in memory.
    fn upper(
        &self,
        upper: &UpperDirs,
        like: Option<sys::Owner>,
        resolved: bool,
    ) -> Result<Option<(OwnedFd, OwnedFd)>, Failure> {
        let place = self.place;
        Ok(Some(match upper {
            UpperDirs::None => return Ok(None),
            UpperDirs::Host(upper, work) => {
                let open = |dir: &CStr| match resolved {
                    true => sys::open_resolved(dir).at(place, Call::Openat2),
                    false => sys::openat(sys::cwd(), dir, libc::O_PATH, 0).at(place, Call::Open),
                };
                (open(upper)?, open(work)?)
            }
            UpperDirs::Memory { upper, work, like: false } => (
                self.directory_in(self.memory.first(), upper, None)?,
                self.directory_in(self.memory.first(), work, None)?,
            ),
            UpperDirs::Memory { upper, work, like: true } => (
                self.directory_in(self.memory.first(), upper, like)?,
                self.directory_in(self.memory.first(), work, None)?,
            ),
            UpperDirs::Sized { upper, work, size } => {
                let memory = self.sized(size)?;
                (self.directory_in(memory.as_fd(), upper, like)?, self.directory_in(memory.as_fd(), work, None)?)
            }
        }))
    }

    /// A new directory, with this mode and owner if the owner is mapped.
    fn directory_in(&self, parent: BorrowedFd<'_>, name: &CStr, like: Option<sys::Owner>) -> Result<OwnedFd, Failure> {
        let place = self.place;
        sys::mkdirat(parent, name, 0o755).at(place, Call::Mkdir)?;
        let dir = sys::openat(parent, name, libc::O_PATH, 0).at(place, Call::Open)?;
        if let Some(like) = like {
            // A merged directory has the attributes of the upper one. An id that is not mapped, which shows as the
            // overflow id, cannot be had.
            let mapped = |id: u32| (id != OVERFLOW).then_some(id);
            let _ = sys::chown(parent, name, mapped(like.uid), mapped(like.gid));
            sys::chmod(dir.as_fd(), like.mode).at(place, Call::Chmod)?;
        }
        Ok(dir)
    }

    /// Makes a file below a directory of the sandbox's own tmpfs, with the directories above it.
    fn own_file(&self, root: BorrowedFd<'_>, file: &OwnFile) -> Result<(), Failure> {
        let (place, OwnFile { path, mode, data }) = (self.place, file);
        self.mount_point(root, path, false)?;
        // Not before it is there: the directories above were made now, and hold no links.
        let file = sys::openat(root, path, libc::O_WRONLY | libc::O_NOFOLLOW, 0).at(place, Call::Open)?;
        sys::write_all(file.as_fd(), data).at(place, Call::Write)?;
        sys::chmod(file.as_fd(), *mode).at(place, Call::Chmod)
    }

    /// Makes a directory or a file below a directory of the sandbox's own tmpfs, with the directories above it.
    fn mount_point(&self, root: BorrowedFd<'_>, path: &CStr, is_dir: bool) -> Result<(), Failure> {
        let place = self.place;
        let mut above: Option<OwnedFd> = None;
        let mut parts = path.to_bytes().split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            let mut name = Text::<256>::default();
            let name = name.push(part).text().at(place, Call::Mkdir)?;
            let dir = above.as_ref().map_or(root, |fd| fd.as_fd());
            if parts.peek().is_none() && !is_dir {
                let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
                return sys::openat(dir, name, flags, 0o444).map(drop).at(place, Call::Create);
            }
            match sys::mkdirat(dir, name, 0o755) {
                Ok(()) | Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(errno).at(place, Call::Mkdir),
            }
            above = Some(sys::openat(dir, name, libc::O_PATH | libc::O_DIRECTORY, 0).at(place, Call::Open)?);
        }
        Ok(())
    }

    /// The tmpfs of limited size for upper layers. The first call makes it. It has to be attached: before Linux 6.15, an
    /// overlay takes no directory of a detached mount.
    fn sized(&self, size: &CStr) -> Result<OwnedFd, Failure> {
        let (place, name) = (self.place, c"uppers");
        match sys::mkdirat(self.memory.first(), name, 0o755) {
            Ok(()) => {
                let options = [(c"source", c"tmpfs"), (c"mode", c"0755"), (c"size", size)];
                let mount = sys::new_filesystem(c"tmpfs", &options, memory::ATTRIBUTES).at(place, Call::Fsmount)?;
                sys::attach_at(mount.as_fd(), self.memory.first(), name).at(place, Call::MoveMount)?;
            }
            Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(errno).at(place, Call::Mkdir),
        }
        sys::openat(self.memory.first(), name, libc::O_PATH | libc::O_DIRECTORY, 0).at(place, Call::Open)
    }
}

/// Descriptors that are named in a mount's options, and have to stay open until it is made.
struct Opened {
    fds: [RawFd; 512],
    count: usize,
}

impl Opened {
    fn keep(&mut self, fd: OwnedFd) -> sys::Result<u32> {
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
