//! One file of a layer or of the host, as stat(2) describes it.

use crate::sys::{self, Errno};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The id that an id which is not mapped shows as: user_namespaces(7).
pub const UNMAPPED: u32 = 65534;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device, which an ordinary user's layer cannot hold.
    Device,
    /// The mark of a file that was deleted: a character device 0:0, or an empty file with an attribute.
    Whiteout,
}

impl NodeKind {
    /// The kind in words.
    pub fn word(self) -> &'static str {
        match self {
            NodeKind::Dir => "a directory",
            NodeKind::File => "a file",
            NodeKind::Link => "a link",
            NodeKind::Fifo => "a named pipe",
            NodeKind::Socket => "a socket",
            NodeKind::Device | NodeKind::Whiteout => "a device",
        }
    }
}

/// A file, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Kind of the file.
    pub kind: NodeKind,
    /// Permissions, as chmod(2) takes them.
    pub mode: u32,
    /// User id, as it is mapped here.
    pub uid: u32,
    /// Group id, as it is mapped here.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the content: nanoseconds since 1970.
    pub modified: i128,
    /// Time of the last change of the content or the attributes; where the filesystem keeps times in coarse units, the last moment that
    /// it may have been. A program cannot set it.
    pub changed: i128,
    /// When the file was made, if its filesystem knows it. A program cannot set it.
    pub made: Option<i128>,
    /// Device and inode number.
    pub id: (u64, u64),
    /// Device and number of the mount that it is reached through.
    pub mount: (u64, u64),
    /// Number of names.
    pub names: u64,
}

impl Node {
    /// The file at a name in a directory, or with an empty name the directory itself; none if there is none. A link is not
    /// followed.
    pub fn find(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<Option<Node>> {
        match sys::statx(dir, name) {
            Ok(facts) => {
                let node = Node::of(&facts);
                let closed = (node.kind, node.size, node.mode) == (NodeKind::File, 0, 0);
                let deleted = closed && is_marked_deleted(dir, name)?;
                Ok(Some(if deleted { Node { kind: NodeKind::Whiteout, ..node } } else { node }))
            }
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// An open directory.
    pub fn dir(fd: BorrowedFd<'_>) -> sys::Result<Node> {
        sys::statx(fd, c"").map(|facts| Node::of(&facts))
    }

    fn of(facts: &libc::statx) -> Node {
        let mode = u32::from(facts.stx_mode);
        let kind = match mode & libc::S_IFMT {
            libc::S_IFDIR => NodeKind::Dir,
            libc::S_IFREG => NodeKind::File,
            libc::S_IFLNK => NodeKind::Link,
            libc::S_IFIFO => NodeKind::Fifo,
            libc::S_IFSOCK => NodeKind::Socket,
            libc::S_IFCHR if (facts.stx_rdev_major, facts.stx_rdev_minor) == (0, 0) => NodeKind::Whiteout,
            _ => NodeKind::Device,
        };
        let time = |time: &libc::statx_timestamp| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
        let device = libc::makedev(facts.stx_dev_major, facts.stx_dev_minor);
        Node {
            kind,
            mode: mode & 0o7777,
            uid: facts.stx_uid,
            gid: facts.stx_gid,
            size: if kind == NodeKind::File { facts.stx_size } else { 0 },
            modified: time(&facts.stx_mtime),
            changed: sys::last_moment(time(&facts.stx_ctime)),
            made: (facts.stx_mask & libc::STATX_BTIME != 0).then(|| time(&facts.stx_btime)),
            id: (device, facts.stx_ino),
            // Before Linux 5.8 the kernel does not tell: then mounts of other filesystems are noticed alone.
            mount: (device, if facts.stx_mask & libc::STATX_MNT_ID != 0 { facts.stx_mnt_id } else { 0 }),
            names: facts.stx_nlink.into(),
        }
    }
}

/// The mark of a directory that hides what the layers below have: Documentation/filesystems/overlayfs.rst, `userxattr`.
pub const OPAQUE: &CStr = c"user.overlay.opaque";

/// The mark of a directory that was renamed while its content is elsewhere in the layers below. sbx makes none, and the kernel refuses it
/// to ordinary users.
pub const REDIRECT: &CStr = c"user.overlay.redirect";

/// The mark of an empty file, without any permissions, that stands for a deleted one where a filesystem takes no devices
/// (Documentation/filesystems/overlayfs.rst, "xattr whiteouts").
pub(super) const DELETED: &CStr = c"user.overlay.whiteout";

/// Whether an empty file without permissions is the mark of one that was deleted.
pub(super) fn is_marked_deleted(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<bool> {
    let file = match sys::openat(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0) {
        Err(Errno(libc::ENOENT)) => return Ok(false),
        other => other?,
    };
    match sys::attribute_at(file.as_fd(), DELETED) {
        Ok(_) => Ok(true),
        // Nothing can be said of a file of the host that may not be read: it is one.
        Err(Errno(libc::ENODATA | libc::EOPNOTSUPP | libc::EACCES | libc::EPERM | libc::ENOSYS)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Opens a regular file for reading, and nothing else: not by way of a link, and without waiting for a pipe's writer.
pub fn open_file(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<std::fs::File> {
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let fd = sys::openat(dir, name, flags, 0)?;
    match sys::file_type(fd.as_fd())? {
        libc::S_IFREG => Ok(fd.into()),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// Opens a directory for reading, and nothing else.
pub fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> sys::Result<OwnedFd> {
    sys::openat(dir, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
}

/// Extended attributes: names and values, sorted by name.
pub type Attributes = Vec<(std::ffi::CString, Vec<u8>)>;

/// Opens a directory by its path, on which no link is followed.
pub fn open_path(path: &Path) -> sys::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))?;
    open_dir(sys::open_resolved(&path)?.as_fd(), c".")
}

/// The extended attributes of an open file that belong to its content, rather than to a layer's format or to the system:
/// `user.*` and access control lists.
pub fn attributes(fd: BorrowedFd<'_>) -> sys::Result<Attributes> {
    let mut names = match sys::attribute_names(fd) {
        Err(Errno(libc::EOPNOTSUPP)) => Vec::new(),
        other => other?,
    };
    names.retain(|name| {
        let name = name.to_bytes();
        (name.starts_with(b"user.") && !is_mark(name)) || name.starts_with(b"system.posix_acl_")
    });
    names.sort_unstable();
    names.into_iter().map(|name| sys::attribute_of(fd, &name).map(|value| (name, value.unwrap_or_default()))).collect()
}

/// Whether an attribute belongs to the format of overlays: of the kernel's, or of fuse-overlayfs.
pub(super) fn is_mark(name: &[u8]) -> bool {
    [&b"user.overlay."[..], b"user.fuseoverlayfs.", b"user.containers."].iter().any(|start| name.starts_with(start))
}
