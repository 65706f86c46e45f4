//! A view as a list of operations, carried out in order on an empty root, each on the result of those before it: as the
//! `mounts` of an OCI runtime's configuration, and as bubblewrap's command line.

use super::Origin;
use serde::Serialize;
use std::path::PathBuf;

/// One operation. Missing directories above its destination are created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// What the operation makes.
    pub what: Make,
    /// The destination inside. Links above its last component are followed within the new root.
    pub dest: PathBuf,
    /// Permissions of directories that are created above the destination.
    pub parents: u32,
    /// The option or line that the operation comes from.
    pub origin: Origin,
}

/// The source of a bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An absolute path of the host.
    Path(PathBuf),
    /// The file or directory that a descriptor of the caller refers to.
    Descriptor(i32),
}

/// What the program may do with the files of a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Writable. Mounts that the host makes below it later propagate into the sandbox.
    Writable,
    /// Read-only, including all mounts below it. Later mounts do not propagate, since they would be writable.
    ReadOnly,
    /// Writable, and device files can be opened.
    Devices,
}

/// The upper layer of an overlay, which takes the changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upper {
    /// No upper layer: the overlay is read-only.
    None,
    /// A directory in the sandbox's memory.
    Memory,
    /// A directory of the host, with an empty one on the same filesystem as overlayfs's `workdir`.
    Host {
        /// `upperdir`: the directory that takes the changes.
        upper: PathBuf,
        /// `workdir`: the directory that overlayfs uses for itself.
        work: PathBuf,
    },
}

/// What an operation mounts, creates or changes at its destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Make {
    /// A recursive bind mount of files of the host.
    Bind {
        /// The files that are shown.
        source: Source,
        /// What the program may do with them.
        access: Access,
        /// A missing source is no error; the operation is skipped.
        optional: bool,
        /// What is mounted below the source may keep flags that it cannot be given.
        tolerant: bool,
    },
    /// Makes a mount read-only, without those below it.
    RemountReadOnly,
    /// An overlay filesystem (overlayfs).
    Overlay {
        /// Lower directories, the uppermost first.
        lower: Vec<PathBuf>,
        /// The layer that takes the changes.
        upper: Upper,
    },
    /// procfs: of the new pid namespace, or the host's if there is none.
    Proc,
    /// A minimal /dev in memory: null, zero, full, random, urandom, tty, shm, a devpts of its own, and the usual links.
    Dev {
        /// The terminal to show as /dev/console.
        console: Option<PathBuf>,
    },
    /// A tmpfs.
    Tmpfs {
        /// Permissions of its root directory.
        mode: u32,
        /// Size in bytes; none takes a directory of the tmpfs that the sandbox has anyway.
        size: Option<u64>,
    },
    /// POSIX message queues (mq_overview(7)).
    Mqueue,
    /// A directory; one that exists is kept.
    Dir {
        /// Permissions of a new directory.
        mode: u32,
    },
    /// A file with the contents read from a descriptor.
    File {
        /// Descriptor of the caller to read from.
        fd: i32,
        /// Permissions of the file.
        mode: u32,
    },
    /// A file with this content.
    Content {
        /// The content.
        data: Vec<u8>,
        /// Permissions of the file.
        mode: u32,
    },
    /// A file with the contents read from a descriptor, mounted over the destination instead of written into it.
    BindData {
        /// Descriptor of the caller to read from.
        fd: i32,
        /// Permissions of the file.
        mode: u32,
        /// Mount it read-only.
        read_only: bool,
    },
    /// A symbolic link; one with the same target is kept.
    Symlink {
        /// The text of the link.
        target: PathBuf,
    },
    /// Changes the permissions of what is at the destination.
    Chmod {
        /// The new permissions.
        mode: u32,
    },
}
