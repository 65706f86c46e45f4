//! Data for the start of the program.

pub use crate::sys::Strings;

use crate::sys::{Resource, Termios, WindowSize};
use std::ffi::CString;

/// The program, and how it is started.
pub struct Process {
    /// sbx stays as PID 1 and starts the program as its child. Otherwise the first process becomes the program.
    pub init: bool,
    /// PID 1 tells the launcher when the program was executed. Otherwise it does so only on request.
    pub tells_start: bool,
    /// PID 1 lives as long as there are processes, rather than as long as the program.
    pub keeps_background: bool,
    /// Directories in memory of which PID 1 tells the launcher if they are full when the program has failed; 31 at most.
    pub looked_at: Vec<CString>,
    /// What PID 1 looks at for hints at the end; none if nobody would read them.
    pub hints: Option<Hints>,
    /// Mounts of the view of which PID 1 tells the launcher if they are gone when the program has ended: the index of the step, and the
    /// path inside.
    pub covers: Vec<(u32, CString)>,
    /// The program's session and terminal.
    pub session: Session,
    /// What the program's pseudo-terminal starts with; none if it starts as the kernel makes it.
    pub terminal: Option<Terminal>,
    /// Descriptor to read from before exec (`--block-fd`).
    pub block_fd: Option<i32>,
    /// Resource limits: resource, soft limit, hard limit. `None` is no limit.
    pub rlimits: Vec<(Resource, Option<u64>, Option<u64>)>,
    /// Candidates for the working directory: the first that can be entered is used. If none can, the start fails.
    pub cwd: Vec<CString>,
    /// Candidates for the program's path: the first that exists is executed.
    pub programs: Vec<CString>,
    /// Descriptor of a file that is executed instead of `programs`.
    pub program_fd: Option<i32>,
    /// The program's arguments.
    pub args: Strings,
    /// Arguments for a shell to run the program with, if the kernel does not know its format, as execvp(3) does: a list
    /// for each path in `programs`.
    pub shell: Option<Strings>,
    /// Environment of the program: a list for each directory in `cwd`, if they differ.
    pub env: Strings,
    /// The program's file mode creation mask: umask(2).
    pub umask: u32,
    /// The caller ignored SIGPIPE, so the program shall, too.
    pub ignores_sigpipe: bool,
    /// The launcher ignores SIGXFSZ, and the program shall not.
    pub defaults_sigxfsz: bool,
}

/// The session and the terminal of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// A new session on a new pseudo-terminal. Which of the standard streams are connected to it.
    Pty([bool; 3]),
    /// The caller's session and terminal.
    Inherit {
        /// Whether the program leads a process group of its own.
        own_group: bool,
        /// The standard stream that is the terminal, of which that group becomes the foreground group.
        terminal: Option<i32>,
    },
    /// A new session without a terminal.
    Detached {
        /// Whether the program leads a process group of its own, rather than being in that of PID 1.
        own_group: bool,
    },
}

/// The state in which a pseudo-terminal starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Its settings. Those of a line, such as its speed, are left alone.
    pub settings: Termios,
    /// The size of its window.
    pub size: WindowSize,
    /// The program's process group is the foreground group from the start.
    pub foreground: bool,
}

impl Terminal {
    /// How many bytes [`Terminal::to_bytes`] gives.
    pub const BYTES: usize = Termios::BYTES + WindowSize::BYTES;

    /// Its settings and its size, for a message between processes.
    pub fn to_bytes(&self) -> [u8; Terminal::BYTES] {
        let mut bytes = [0; Terminal::BYTES];
        let (settings, size) = bytes.split_at_mut(Termios::BYTES);
        settings.copy_from_slice(&self.settings.to_bytes());
        size.copy_from_slice(&self.size.to_bytes());
        bytes
    }

    /// What [`Terminal::to_bytes`] has told, of one in the foreground.
    pub fn from_bytes(bytes: &[u8; Terminal::BYTES]) -> Terminal {
        let (mut settings, mut size) = ([0; Termios::BYTES], [0; WindowSize::BYTES]);
        let (first, second) = bytes.split_at(Termios::BYTES);
        settings.copy_from_slice(first);
        size.copy_from_slice(second);
        let (settings, size) = (Termios::from_bytes(&settings), WindowSize::from_bytes(&size));
        Terminal { settings, size, foreground: true }
    }
}

/// What hints at the end of the program are about.
pub struct Hints {
    /// The home, if what is written to it is gone at the end.
    pub home: Option<CString>,
    /// The program has a network of its own, without a way to elsewhere.
    pub network: bool,
}
