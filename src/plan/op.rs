//! Operations that make the view, as a plan lists them.

use crate::spec::{Source, Upper};
use serde::{Serialize, Serializer};
use std::ffi::OsString;
use std::path::PathBuf;

/// Flags of a mount besides nosuid, which every mount has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Attributes {
    /// The mount is read-only.
    pub ro: bool,
    /// Device files on it do not work.
    pub nodev: bool,
    /// Files on it cannot be executed.
    pub noexec: bool,
}

impl Attributes {
    /// The flags as mount_setattr(2) takes them.
    pub fn bits(self) -> u64 {
        use crate::sys::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY};
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        ATTR_NOSUID | bit(self.ro, ATTR_RDONLY) | bit(self.nodev, ATTR_NODEV) | bit(self.noexec, ATTR_NOEXEC)
    }
}

/// A file of the view's own in an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnFile {
    /// Path below that of the overlay.
    pub path: PathBuf,
    /// Permissions, as chmod(2) takes them.
    pub mode: u32,
    /// The file's content.
    #[serde(serialize_with = "size_of_content")]
    pub data: Vec<u8>,
}

/// An operation that makes one part of the view. A `path` is one inside, a `source` one on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Op {
    /// A directory in a tmpfs of the view.
    Dir {
        /// Path inside.
        path: PathBuf,
        /// Permissions, as chmod(2) takes them.
        mode: u32,
    },
    /// A symbolic link in a tmpfs of the view.
    Symlink {
        /// Path inside.
        path: PathBuf,
        /// Text of the link.
        target: PathBuf,
    },
    /// A file with this content: in a tmpfs of the view, or mounted over an existing file.
    File {
        /// Path inside.
        path: PathBuf,
        /// Permissions, as chmod(2) takes them.
        mode: u32,
        /// The file's content.
        #[serde(serialize_with = "size_of_content")]
        data: Vec<u8>,
        /// Whether it is mounted over an existing file.
        over: bool,
    },
    /// A new tmpfs (tmpfs(5)).
    Tmpfs {
        /// Path inside.
        path: PathBuf,
        /// Permissions of its root directory, as chmod(2) takes them.
        mode: u32,
        /// Size in bytes at most. None: a directory of the tmpfs that such paths share, whose size the plan has for all of them.
        size: Option<u64>,
        /// Flags of the mount.
        attributes: Attributes,
    },
    /// A bind mount of a path of the host that is known to exist.
    Bind {
        /// Path on the host.
        source: PathBuf,
        /// Path inside.
        path: PathBuf,
        /// Flags of the mount and of all mounts below it.
        attributes: Attributes,
        /// Whether the mount point has to be made.
        make: bool,
    },
    /// An overlay over directories of the host whose links are resolved. Changes go to an upper layer, if there is one.
    Layers {
        /// Path inside.
        path: PathBuf,
        /// Directories of the host, the uppermost first.
        lower: Vec<PathBuf>,
        /// The trees of the view server that stand for these directories; none if the overlay lies over the directories
        /// themselves.
        #[serde(skip_serializing_if = "Option::is_none")]
        served: Option<Vec<usize>>,
        /// Whether the FUSE union merges them rather than the kernel's overlay.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        fuse: bool,
        /// Whether there is no upper layer.
        ro: bool,
        /// Names in it that are absent.
        #[serde(serialize_with = "names", skip_serializing_if = "Vec::is_empty")]
        without: Vec<OsString>,
        /// Files of the view's own in place of the host's: a layer in memory above the directories, of which nothing is ever
        /// put onto the host.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        own: Vec<OwnFile>,
        /// Mount points for other parts of the view, below its path, that none of the directories has: whether each is a
        /// directory. They are made in memory, below all others.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        points: Vec<(PathBuf, bool)>,
        /// Whether files on it cannot be executed.
        noexec: bool,
        /// Whether the mount point has to be made.
        make: bool,
    },
    /// A mount of a directory of the view onto itself, so that it cannot be renamed.
    Pin {
        /// Path inside.
        path: PathBuf,
    },
    /// A read-only mount over a file or a directory that is either empty or cannot be opened (`closed`).
    Mask {
        /// Path inside.
        path: PathBuf,
        /// Whether it covers a directory rather than a file.
        dir: bool,
        /// Whether opening it is refused (EACCES); otherwise it is empty.
        closed: bool,
    },
    /// procfs of the new pid namespace.
    Proc {
        /// Path inside.
        path: PathBuf,
        /// Whether the OCI's lists of masked and read-only paths are applied.
        masked: bool,
        /// Whether the caller is root, for whom more of it is masked and read-only.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        root: bool,
        /// Whether its writable parts become read-only, as in bubblewrap.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        guard: bool,
    },
    /// A new instance of devpts.
    Devpts {
        /// Path inside.
        path: PathBuf,
    },
    /// Makes a mount read-only once everything in it is made.
    Seal {
        /// Path inside.
        path: PathBuf,
    },
    /// A bind mount whose source is looked up only when the operation is carried out.
    Show {
        /// Path on the host, or a descriptor of the caller's.
        source: Source,
        /// Path inside.
        path: PathBuf,
        /// Flags of the mount and of all mounts below it. Mounts that the host makes later appear in a writable one.
        attributes: Attributes,
        /// Whether a source that does not exist is no error.
        optional: bool,
        /// Whether it is no error if mounts below it do not get the flags.
        tolerant: bool,
        /// Whether the source is a procfs, whose writable parts become read-only.
        guard: bool,
    },
    /// An overlay filesystem (Documentation/filesystems/overlayfs.rst).
    Overlay {
        /// Path inside.
        path: PathBuf,
        /// Lower directories, the uppermost first.
        lower: Vec<PathBuf>,
        /// Where changes are kept.
        upper: Upper,
    },
    /// A cgroup2 filesystem that shows the sandbox's own cgroup and those below it.
    Cgroup {
        /// Path inside.
        path: PathBuf,
        /// Whether it is read-only.
        ro: bool,
    },
    /// The mqueue filesystem, with the POSIX message queues of the ipc namespace (mq_overview(7)).
    Mqueue {
        /// Path inside.
        path: PathBuf,
        /// Whether a kernel without message queues is no error.
        optional: bool,
    },
    /// A file with the content that is read from a descriptor.
    Data {
        /// Path inside.
        path: PathBuf,
        /// Permissions, as chmod(2) takes them.
        mode: u32,
        /// The caller's descriptor.
        fd: i32,
        /// The file is bind-mounted at the path with these flags; none writes it into the directory instead.
        mounted: Option<Attributes>,
    },
    /// Adds flags to an existing mount.
    Remount {
        /// Path inside.
        path: PathBuf,
        /// Flags that are added.
        attributes: Attributes,
    },
    /// Changes permissions of a file or directory in the view.
    Chmod {
        /// Path inside.
        path: PathBuf,
        /// New permissions, as chmod(2) takes them.
        mode: u32,
    },
}

/// Serializes names of files as text.
fn names<S: Serializer>(names: &[OsString], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().map(|name| name.to_string_lossy()))
}

/// Serializes a file's content as its size.
fn size_of_content<S: Serializer>(data: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} bytes", data.len()))
}

impl Op {
    /// Path inside that the operation makes or changes.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Op::Dir { path, .. }
            | Op::Symlink { path, .. }
            | Op::File { path, .. }
            | Op::Tmpfs { path, .. }
            | Op::Bind { path, .. }
            | Op::Layers { path, .. }
            | Op::Pin { path }
            | Op::Mask { path, .. }
            | Op::Proc { path, .. }
            | Op::Devpts { path }
            | Op::Seal { path }
            | Op::Show { path, .. }
            | Op::Overlay { path, .. }
            | Op::Mqueue { path, .. }
            | Op::Cgroup { path, .. }
            | Op::Data { path, .. }
            | Op::Remount { path, .. }
            | Op::Chmod { path, .. } => path,
        }
    }
}
