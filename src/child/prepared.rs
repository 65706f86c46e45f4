//! What the child is given: everything it needs, in the form that system calls take it.

use crate::sys::Instruction;
use std::ffi::{CString, c_char};

/// How the program stands to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// A session of its own on a pseudo-terminal of its own; these of the standard streams are put on it.
    Pty([bool; 3]),
    /// The caller's session; perhaps with a process group of its own, and with the stream that is the terminal to take.
    Inherit {
        /// Whether the program leads a process group of its own.
        own_group: bool,
        /// The stream that is the terminal, for that group to take.
        terminal: Option<i32>,
    },
    /// A session of its own without a terminal.
    Detached,
}

/// What the new root is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootMount {
    /// A filesystem in memory.
    Tmpfs,
    /// A copy of this tree's mounts, with these attributes.
    Bind(CString, u64),
}

/// Something to lay over others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Its name.
    pub name: CString,
    /// Permissions.
    pub mode: u32,
    /// Content of a file; a directory has none.
    pub data: Option<Vec<u8>>,
}

/// One part of the view. Paths inside are relative to the new root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of the call that each variant names")]
pub enum Step {
    /// mkdirat
    Dir { path: CString, mode: u32 },
    /// symlinkat
    Symlink { path: CString, target: CString },
    /// A file made in memory of ours.
    File { path: CString, mode: u32, data: Vec<u8> },
    /// The scratch file of this name, laid over what is there.
    Cover { scratch: CString, path: CString },
    /// A new tmpfs of a size of its own.
    Tmpfs { path: CString, mode: CString, size: CString, attributes: u64 },
    /// A directory of this name in the sandbox's one tmpfs, mounted.
    Memory { path: CString, name: CString, mode: u32, attributes: u64 },
    /// A copy of the mounts at a path of the host.
    Bind { source: CString, path: CString, attributes: u64, make: bool },
    /// procfs
    Proc { path: CString, masked: bool },
    /// devpts
    Devpts { path: CString },
    /// The program's terminal, out of the devpts at this path; a copy of it at the second path.
    Terminal { ptmx: CString, console: CString },
    /// Read-only from here on.
    Seal { path: CString },
}

/// Everything.
#[derive(Debug)]
pub struct Prepared {
    /// Tell the launcher when the namespaces are there, and wait for what it has to do: the maps, or directories on the host.
    pub wait_for_launcher: bool,
    /// The maps, if the child writes them: user, group.
    pub maps: Option<(Vec<u8>, Vec<u8>)>,
    /// setgroups(2) with nothing.
    pub drop_groups: bool,
    /// sethostname(2)
    pub hostname: Option<CString>,
    /// Set `lo` up.
    pub loopback: bool,
    /// Forbid user namespaces inside.
    pub deny_nested: bool,
    /// Directory of the host that the view is assembled on. Nothing below it is a source.
    pub stage: CString,
    /// The new root.
    pub root: RootMount,
    /// What is laid over others. It lives in a directory that nobody sees.
    pub scratch: Vec<Scratch>,
    /// The view.
    pub steps: Vec<Step>,
    /// Tell the launcher when the view stands, and wait for its word.
    pub wait_for_go: bool,
    /// There is a pid namespace.
    pub own_pids: bool,
    /// No init: the program is PID 1.
    pub as_pid_1: bool,
    /// Terminal and session.
    pub session: Session,
    /// Descriptors for the program beside the three, sorted.
    pub keep_fds: Vec<i32>,
    /// setrlimit(2): resource, soft, hard.
    pub rlimits: Vec<(u32, Option<u64>, Option<u64>)>,
    /// Directories, the first that is there; `None` of them is an error.
    pub cwd: Vec<CString>,
    /// Paths of the program, the first that is there.
    pub programs: Vec<CString>,
    /// Arguments.
    pub args: Strings,
    /// Environment.
    pub env: Strings,
    /// seccomp filter.
    pub seccomp: Vec<Instruction>,
    /// umask(2) of the program.
    pub umask: u32,
}

/// A list of strings in the form that execve(2) takes.
#[derive(Debug)]
pub struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    /// Takes the strings over.
    pub fn new(owned: Vec<CString>) -> Strings {
        let mut pointers: Vec<_> = owned.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Strings { _owned: owned, pointers }
    }

    pub(super) fn pointers(&self) -> &[*const c_char] {
        &self.pointers
    }
}
