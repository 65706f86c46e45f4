//! Data for the view: the steps that build it.

use std::cell::OnceCell;
use std::ffi::CString;

/// The steps that build the view, and what they need.
pub struct ViewSteps {
    /// Make all mounts slaves of the host's first. Without a new user namespace, the kernel has not done so.
    pub untie: bool,
    /// Files and directories that mask others. They are made in a directory outside of the view.
    pub scratch: Vec<Scratch>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Options of tmpfs(5) for the filesystems in memory: `size` and `nr_inodes`.
    pub memory: Option<[CString; 2]>,
    /// SELinux context of the files that are made for the sandbox.
    pub file_label: Option<CString>,
    /// Tell the launcher that the view is built, and wait until it says to go on.
    pub wait_for_go: bool,
    /// The filesystem of the view server, which overlays lie over; it is mounted first.
    pub served: Option<Served>,
}

/// A FUSE filesystem whose requests a server outside of the sandbox answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// User id inside that may use it, as text.
    pub uid: CString,
    /// Group id inside that may use it, as text.
    pub gid: CString,
    /// It is written to, and shown to all ids of the sandbox itself, without an overlay over it.
    pub writable: bool,
}

/// A file or directory that masks others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Its name in the scratch directory.
    pub name: CString,
    /// Permissions, as chmod(2) takes them.
    pub mode: u32,
    /// Content of a file; `None` for a directory.
    pub data: Option<Vec<u8>>,
}

/// An overlay filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Lower directories, the uppermost first.
    pub lower: Vec<Lower>,
    /// Names in it that are absent, and the name of a new directory in the sandbox's own tmpfs that makes them so.
    pub without: Option<(CString, Vec<CString>)>,
    /// Files of the view's own that stand in place of those of the directories, and the name of a new directory in the
    /// sandbox's own tmpfs that has them.
    pub own: Option<(CString, Vec<OwnFile>)>,
    /// Mount points that none of the directories has, whether each is a directory, and the name of a new directory in
    /// the sandbox's own tmpfs that has them.
    pub points: Option<(CString, Vec<(CString, bool)>)>,
    /// The upper and the work directory.
    pub upper: UpperDirs,
    /// The links of the directories are resolved already, and none may be found now.
    pub resolved: bool,
    /// MS_* flags of mount(2).
    pub flags: u64,
    /// Further options of the filesystem, each after a comma.
    pub options: CString,
    /// Where changes are in memory and counted at the end: the number of the upper directory's descriptor, once it is there.
    pub counted: Option<OnceCell<i32>>,
}

/// A file of the view's own in an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFile {
    /// Its path below that of the overlay.
    pub path: CString,
    /// Permissions, as chmod(2) takes them.
    pub mode: u32,
    /// Content of the file that is made.
    pub data: Vec<u8>,
}

/// A lower directory of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lower {
    /// A directory of the host.
    Host(CString),
    /// The directory of this name in the filesystem of the view server.
    Served(CString),
}

/// The upper and the work directory of an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpperDirs {
    /// There are none: it is read-only.
    None,
    /// Directories of the host.
    Host(CString, CString),
    /// New directories of these names in the sandbox's own tmpfs; the upper one with the mode and the owner of the
    /// topmost lower directory if `like` is set.
    Memory {
        /// Name of the upper directory.
        upper: CString,
        /// Name of the work directory.
        work: CString,
        /// Whether it has the topmost lower directory's mode and owner; otherwise the mode is 0755.
        like: bool,
    },
    /// As [`UpperDirs::Memory`], in a tmpfs of this size that all such overlays of the sandbox share.
    Sized {
        /// Name of the upper directory.
        upper: CString,
        /// Name of the work directory.
        work: CString,
        /// Size of the tmpfs in bytes.
        size: CString,
    },
}

/// Whether the target of a step exists, or has to be created. Paths in the view are relative to the new root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// The target exists.
    There,
    /// The target does not exist, but its parent directory does.
    Make,
    /// The target is created if it is missing, and so are its parent directories, with these permissions.
    Ensure(u32),
}

/// One step of building the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Path of the target in the view.
    pub path: CString,
    /// Whether the target exists, or has to be created.
    pub point: TargetState,
    /// What is done at the target.
    pub act: StepAction,
    /// The Landlock rule for what is mounted there, which is added by the mount's descriptor.
    pub rule: Option<Rule>,
}

/// A Landlock rule without its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The rule's index in the plan.
    pub index: u32,
    /// The rights that it grants.
    pub rights: u64,
}

/// What a step does at its target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of the call that each variant names")]
pub enum StepAction {
    /// Creates a directory: mkdirat(2).
    Dir { mode: u32 },
    /// Creates a symbolic link with this text: symlinkat(2).
    Symlink { target: CString },
    /// Creates a file with this content.
    File { mode: u32, data: Vec<u8> },
    /// Creates or overwrites a file with what can be read from a descriptor.
    Copy { mode: u32, fd: i32 },
    /// Mounts something.
    Mount(MountSource),
    /// Opens the program's pseudo-terminal by the ptmx at the target, and mounts its slave end at the path `console`,
    /// too.
    Terminal { console: CString },
    /// Adds attributes to the mount at the target: mount_setattr(2).
    Attributes(u64),
    /// Changes permissions: chmod(2).
    Chmod { mode: u32 },
}

/// What is mounted at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of the call that each variant names")]
pub enum MountSource {
    /// The file or directory of this name in the scratch directory.
    Scratch(CString),
    /// A new tmpfs with a size limit of its own, and one of its files unless the kernel's default is meant.
    Tmpfs { mode: CString, size: CString, inodes: Option<CString>, attributes: u64 },
    /// A new directory of this name in a tmpfs of the sandbox.
    Memory { name: CString, mode: u32, attributes: u64 },
    /// A copy of the mounts at a path of the host whose links are resolved already.
    Resolved { source: CString, attributes: u64 },
    /// A copy of the mounts at a path of the host, links followed. With `optional`, a missing source is skipped. With
    /// `tolerant`, mounts below may lack the attributes. With `guard`, the source is a procfs, and its writable parts
    /// become read-only.
    Path { source: CString, attributes: u64, private: bool, optional: bool, tolerant: bool, guard: bool },
    /// A copy of the mounts at the file that a descriptor of the caller refers to.
    Descriptor { fd: i32, attributes: u64, private: bool },
    /// A new file of this name in the sandbox's own tmpfs, with what can be read from a descriptor.
    Data { name: CString, mode: u32, fd: i32, attributes: u64 },
    /// An overlay filesystem.
    Overlay(Box<Overlay>),
    /// The directory of this name in the filesystem of the server that [`ViewSteps::served`] describes.
    Served { name: CString, attributes: u64 },
    /// A copy of the mounts at the target itself, which becomes a mount point so.
    Own,
    /// A new procfs.
    Proc(ProcCover),
    /// A new instance of devpts.
    Devpts,
    /// The POSIX message queues of this ipc namespace. With `optional`, it is skipped if the kernel has none.
    Mqueue { optional: bool },
    /// A cgroup v2 filesystem.
    Cgroup { ro: bool },
}

/// What is mounted over parts of a procfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcCover {
    /// Nothing.
    Nothing,
    /// Those parts become read-only that this process could write to.
    Writable,
    /// Parts are masked or read-only: the lists of `host/procfs.rs`.
    Masks {
        /// Whether these are also parts that only root may read or write.
        root: bool,
    },
}
