//! The parts of the view, as a plan has them.

use crate::spec::{Source, Upper};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// Flags of a mount besides nosuid, which all have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Attributes {
    /// Read-only.
    pub ro: bool,
    /// No device files.
    pub nodev: bool,
    /// No execution.
    pub noexec: bool,
}

impl Attributes {
    /// As mount_setattr(2) takes them.
    pub fn bits(self) -> u64 {
        use crate::sys::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY};
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        ATTR_NOSUID | bit(self.ro, ATTR_RDONLY) | bit(self.nodev, ATTR_NODEV) | bit(self.noexec, ATTR_NOEXEC)
    }
}

/// A part of the view. Paths are those inside; a source is the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Op {
    /// A directory in memory of ours.
    Dir {
        /// Where.
        path: PathBuf,
        /// Permissions.
        mode: u32,
    },
    /// A symbolic link in memory of ours.
    Symlink {
        /// Where.
        path: PathBuf,
        /// Its text.
        target: PathBuf,
    },
    /// A file with this content: in memory of ours, or laid over one that is there.
    File {
        /// Where.
        path: PathBuf,
        /// Permissions.
        mode: u32,
        /// Content.
        #[serde(serialize_with = "size_of_content")]
        data: Vec<u8>,
        /// Whether a file is there to be covered.
        over: bool,
    },
    /// A new filesystem in memory.
    Tmpfs {
        /// Where.
        path: PathBuf,
        /// Permissions of its top.
        mode: u32,
        /// Bytes; none shares the one filesystem of the sandbox, which takes half of the memory at most (tmpfs(5)).
        size: Option<u64>,
        /// Flags.
        attributes: Attributes,
    },
    /// The host's files.
    Bind {
        /// The host's path.
        source: PathBuf,
        /// Where.
        path: PathBuf,
        /// Flags, on all mounts below it too.
        attributes: Attributes,
        /// Whether the mount point has to be made.
        make: bool,
    },
    /// Something read-only that cannot be read (`closed`) or is just empty, laid over a file or a directory.
    Mask {
        /// Where.
        path: PathBuf,
        /// A directory.
        dir: bool,
        /// EACCES instead of emptiness.
        closed: bool,
    },
    /// procfs of the new pid namespace.
    Proc {
        /// Where.
        path: PathBuf,
        /// Whether the OCI's lists of masked and read-only paths are applied.
        masked: bool,
        /// Whether parts that are writable become read-only.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        guard: bool,
    },
    /// A new instance of devpts.
    Devpts {
        /// Where.
        path: PathBuf,
    },
    /// A mount made read-only once everything in it is there.
    Seal {
        /// Where.
        path: PathBuf,
    },
    /// The host's files, looked for when it is carried out.
    Show {
        /// Which.
        source: Source,
        /// Where.
        path: PathBuf,
        /// Flags, on all mounts below it too. What is writable receives what the host mounts later.
        attributes: Attributes,
        /// A source that is not there is no error.
        optional: bool,
        /// What is mounted below may keep its flags.
        tolerant: bool,
        /// It is procfs, of which writable parts become read-only.
        guard: bool,
    },
    /// The kernel's overlay filesystem.
    Overlay {
        /// Where.
        path: PathBuf,
        /// Lower directories, the uppermost first.
        lower: Vec<PathBuf>,
        /// Where changes go.
        upper: Upper,
    },
    /// The sandbox's own cgroup and what is below.
    Cgroup {
        /// Where.
        path: PathBuf,
        /// The program may not change it.
        ro: bool,
    },
    /// POSIX message queues.
    Mqueue {
        /// Where.
        path: PathBuf,
        /// A kernel without them is no error.
        optional: bool,
    },
    /// A file with what a descriptor gives.
    Data {
        /// Where.
        path: PathBuf,
        /// Permissions.
        mode: u32,
        /// The descriptor.
        fd: i32,
        /// Mounted over what is there, with these flags; otherwise written into it.
        mounted: Option<Attributes>,
    },
    /// Flags that a mount gets from here on.
    Remount {
        /// Where.
        path: PathBuf,
        /// Which.
        attributes: Attributes,
    },
    /// Permissions changed.
    Chmod {
        /// Of what.
        path: PathBuf,
        /// To these.
        mode: u32,
    },
}

fn size_of_content<S: Serializer>(data: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} bytes", data.len()))
}

impl Op {
    /// Where it is, inside.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Op::Dir { path, .. }
            | Op::Symlink { path, .. }
            | Op::File { path, .. }
            | Op::Tmpfs { path, .. }
            | Op::Bind { path, .. }
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
