//! The program, and how it is started.

pub use crate::sys::Strings;

use crate::sys::Resource;
use std::ffi::CString;

/// What becomes the program.
pub struct Process {
    /// There is a PID 1 of ours; otherwise this process becomes the program.
    pub init: bool,
    /// PID 1 says when the program was executed. Otherwise it does so only when it is asked.
    pub tells_start: bool,
    /// How it stands to a terminal.
    pub session: Session,
    /// Descriptor to read from before exec (`--block-fd`).
    pub block_fd: Option<i32>,
    /// setrlimit(2): resource, soft, hard.
    pub rlimits: Vec<(Resource, Option<u64>, Option<u64>)>,
    /// Directories, the first that is there; none of them is an error.
    pub cwd: Vec<CString>,
    /// Paths of the program, the first that is there.
    pub programs: Vec<CString>,
    /// An open file that is executed instead.
    pub program_fd: Option<i32>,
    /// The program's arguments.
    pub args: Strings,
    /// Arguments for a shell to run the program with, if the kernel does not know what it is (execvp(3)): a list for each path.
    pub shell: Option<Strings>,
    /// Environment: a list for each directory, if they differ.
    pub env: Strings,
    /// umask(2) of the program.
    pub umask: u32,
    /// The caller ignores SIGPIPE, which the program then does, too.
    pub ignores_sigpipe: bool,
}

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
