//! The parts of the view, as a plan has them.

use crate::spec::{Source, Upper};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// Flags of a mount besides nosuid, which all have.
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

/// A part of the view. Paths are those inside; a source is the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Op {
    /// A directory in memory of ours.
    Dir {
        /// Path inside.
        path: PathBuf,
        /// Permissions, as chmod(2) takes them.
        mode: u32,
    },
    /// A symbolic link in memory of ours.
    Symlink {
        /// Path inside.
        path: PathBuf,
        /// Path that the link holds.
        target: PathBuf,
    },
    /// A file with this content: in memory of ours, or laid over one that is there.
    File {
        /// Path inside.
        path: PathBuf,
        /// Permissions, as chmod(2) takes them.
        mode: u32,
        /// What is in it.
        #[serde(serialize_with = "size_of_content")]
        data: Vec<u8>,
        /// Whether a file is there to be covered.
        over: bool,
    },
    /// A new filesystem in memory.
    Tmpfs {
        /// Path inside.
        path: PathBuf,
        /// Permissions of its top.
        mode: u32,
        /// Bytes; none shares the one filesystem of the sandbox, which takes half of the memory at most (tmpfs(5)).
        size: Option<u64>,
        /// Flags of the mount.
        attributes: Attributes,
    },
    /// The host's files.
    Bind {
        /// Path on the host.
        source: PathBuf,
        /// Path inside.
        path: PathBuf,
        /// Flags, on all mounts below it too.
        attributes: Attributes,
        /// Whether the mount point has to be made.
        make: bool,
    },
    /// Something read-only that cannot be read (`closed`) or is just empty, laid over a file or a directory.
    Mask {
        /// Path inside.
        path: PathBuf,
        /// It is laid over a directory.
        dir: bool,
        /// Opening it is refused (EACCES); otherwise it is empty.
        closed: bool,
    },
    /// procfs of the new pid namespace.
    Proc {
        /// Path inside.
        path: PathBuf,
        /// Whether the OCI's lists of masked and read-only paths are applied.
        masked: bool,
        /// Whether parts that are writable become read-only.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        guard: bool,
    },
    /// A new instance of devpts.
    Devpts {
        /// Path inside.
        path: PathBuf,
    },
    /// A mount made read-only once everything in it is there.
    Seal {
        /// Path inside.
        path: PathBuf,
    },
    /// The host's files, looked for when it is carried out.
    Show {
        /// Path on the host, or a descriptor of the caller's.
        source: Source,
        /// Path inside.
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
        /// Path inside.
        path: PathBuf,
        /// Lower directories, the uppermost first.
        lower: Vec<PathBuf>,
        /// Directory that changes go to.
        upper: Upper,
    },
    /// The sandbox's own cgroup and what is below.
    Cgroup {
        /// Path inside.
        path: PathBuf,
        /// The program may not change it.
        ro: bool,
    },
    /// POSIX message queues.
    Mqueue {
        /// Path inside.
        path: PathBuf,
        /// A kernel without them is no error.
        optional: bool,
    },
    /// A file with what a descriptor gives.
    Data {
        /// Path inside.
        path: PathBuf,
        /// Permissions, as chmod(2) takes them.
        mode: u32,
        /// The caller's descriptor.
        fd: i32,
        /// Mounted over what is there, with these flags; otherwise written into it.
        mounted: Option<Attributes>,
    },
    /// Flags that a mount gets once what is below it is made.
    Remount {
        /// Path inside.
        path: PathBuf,
        /// Flags that are added.
        attributes: Attributes,
    },
    /// Other permissions for something in the view.
    Chmod {
        /// Path inside.
        path: PathBuf,
        /// New permissions, as chmod(2) takes them.
        mode: u32,
    },
}

fn size_of_content<S: Serializer>(data: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} bytes", data.len()))
}

impl Op {
    /// Its path inside.
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
