//! A view as a list of operations, carried out one after the other on what is there by then: the OCI's `mounts`, and what
//! bubblewrap's command line says. Nothing is there but what the list makes.

use super::Origin;
use serde::Serialize;
use std::path::PathBuf;

/// One operation. Directories above its destination are made where they are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// What is done.
    pub what: Make,
    /// Where, inside. Links above the last part are followed within the new root.
    pub dest: PathBuf,
    /// Permissions of directories that are made above it.
    pub parents: u32,
    /// Who asked.
    pub origin: Origin,
}

/// The files that a bind shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A path of the host, absolute.
    Path(PathBuf),
    /// What a descriptor of the caller refers to.
    Descriptor(i32),
}

/// How a bind shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Writable. What the host mounts below it later arrives inside.
    Writable,
    /// Read-only, with all below it. Nothing arrives later, since that would be writable.
    ReadOnly,
    /// Writable, and device files open.
    Devices,
}

/// Where the changes of an overlay go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upper {
    /// There are none: it is read-only.
    None,
    /// To memory of the sandbox.
    Memory,
    /// To a directory of the host, with an empty one beside it for the kernel's work.
    Host {
        /// For the changes.
        upper: PathBuf,
        /// For the kernel.
        work: PathBuf,
    },
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Make {
    /// Shows files of the host, with all that is mounted below them.
    Bind {
        /// Which.
        source: Source,
        /// How.
        access: Access,
        /// A source that is not there is no error.
        optional: bool,
        /// What is mounted below the source may keep flags that it cannot be given.
        tolerant: bool,
    },
    /// Makes a mount read-only, without those below it.
    RemountReadOnly,
    /// The kernel's overlay filesystem.
    Overlay {
        /// Lower directories, the uppermost first.
        lower: Vec<PathBuf>,
        /// Where changes go.
        upper: Upper,
    },
    /// procfs: of the new pid namespace, or the host's where there is none.
    Proc,
    /// A minimal /dev in memory.
    Dev {
        /// The terminal that becomes its console.
        console: Option<PathBuf>,
    },
    /// A filesystem in memory.
    Tmpfs {
        /// Permissions of its top.
        mode: u32,
        /// Bytes; none is a part of the sandbox's one filesystem in memory.
        size: Option<u64>,
    },
    /// POSIX message queues (mq_overview(7)).
    Mqueue,
    /// A directory, unless there is one.
    Dir {
        /// Permissions.
        mode: u32,
    },
    /// A file with what a descriptor gives.
    File {
        /// The descriptor.
        fd: i32,
        /// Permissions.
        mode: u32,
    },
    /// The same, not written into what is there but mounted over it.
    BindData {
        /// The descriptor.
        fd: i32,
        /// Permissions.
        mode: u32,
        /// Read-only.
        read_only: bool,
    },
    /// A symbolic link, unless there is one with the same text.
    Symlink {
        /// Its text.
        target: PathBuf,
    },
    /// Changes permissions.
    Chmod {
        /// To these.
        mode: u32,
    },
}
