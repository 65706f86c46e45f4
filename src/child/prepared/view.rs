//! The view, as steps.

use std::ffi::CString;

/// What the view is made of.
pub struct ViewSteps {
    /// The mounts are still tied to the host's, as they are without a user namespace of our own.
    pub untie: bool,
    /// What is laid over others. It lives in a directory that nobody sees.
    pub scratch: Vec<Scratch>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// SELinux context of what is made for the sandbox.
    pub file_label: Option<CString>,
    /// Tell the launcher when the view stands, and wait for its word.
    pub wait_for_go: bool,
}

/// A file or directory to lay over others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Its name in the directory that nobody sees.
    pub name: CString,
    /// Permissions, as chmod(2) takes them.
    pub mode: u32,
    /// Content of a file; a directory has none.
    pub data: Option<Vec<u8>>,
}

/// Whether a place in the view has to be made. Paths inside are relative to the new root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// It is there.
    There,
    /// It is not, but the directory that it lies in is.
    Make,
    /// It is made where it is missing, and so are directories above it, with these permissions.
    Ensure(u32),
}

/// One part of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Path inside.
    pub path: CString,
    /// Whether something is there, or has to be made.
    pub point: Point,
    /// What is done there.
    pub act: Act,
}

/// What is done at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of the call that each variant names")]
pub enum Act {
    /// mkdirat
    Dir { mode: u32 },
    /// symlinkat
    Symlink { target: CString },
    /// A file made in memory of ours.
    File { mode: u32, data: Vec<u8> },
    /// A file with what a descriptor gives.
    Copy { mode: u32, fd: i32 },
    /// A mount.
    Mount(Source),
    /// The program's terminal, out of the devpts here; a copy of it at the second path.
    Terminal { console: CString },
    /// Attributes that are added to a mount from here on.
    Attributes(u64),
    /// chmod
    Chmod { mode: u32 },
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of the call that each variant names")]
pub enum Source {
    /// The scratch file of this name.
    Scratch(CString),
    /// A new tmpfs of a size of its own.
    Tmpfs { mode: CString, size: CString, attributes: u64 },
    /// A directory of this name in the sandbox's one tmpfs.
    Memory { name: CString, mode: u32, attributes: u64 },
    /// A copy of the mounts at a path of the host, on which there is no link.
    Resolved { source: CString, attributes: u64 },
    /// A copy of the mounts at a path of the host, links followed. With `guard`, it is procfs, and writable parts become read-only.
    Path { source: CString, attributes: u64, private: bool, optional: bool, tolerant: bool, guard: bool },
    /// A copy of the mounts at what a descriptor of the caller's refers to.
    Descriptor { fd: i32, attributes: u64, private: bool },
    /// A file of this name in the sandbox's one tmpfs, with what a descriptor gives.
    Data { name: CString, mode: u32, fd: i32, attributes: u64 },
    /// The kernel's overlay filesystem. With `memory`, changes go to directories of these names in the sandbox's one tmpfs.
    Overlay { lower: Vec<CString>, upper: Option<(CString, CString)>, memory: bool },
    /// procfs; as above.
    Proc { masked: bool, guard: bool },
    /// devpts
    Devpts,
    /// mqueue
    Mqueue { optional: bool },
    /// cgroup2
    Cgroup { ro: bool },
}
