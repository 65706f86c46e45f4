//! What the child is given: everything it needs, in the form that system calls take it.

use crate::sys::Instruction;
use std::cell::Cell;
use std::ffi::{CString, c_char};
use std::os::fd::OwnedFd;

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
    /// Where.
    pub path: CString,
    /// What is there of it.
    pub point: Point,
    /// What is done.
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

/// Capabilities at the end. None leaves a set as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What stays in the bounding set.
    pub bounding: Option<u64>,
    /// The effective, permitted and inheritable set.
    pub sets: Option<u64>,
    /// What is raised in the ambient set; empty, it is cleared.
    pub ambient: u64,
    /// Root's id gives nothing: securebits.
    pub powerless_root: bool,
}

/// Our own file, which executes the program.
#[derive(Debug)]
pub struct Handover {
    /// Its path on the host.
    pub file: CString,
    /// Device and number of it.
    pub id: (u64, u64),
    /// What it is given.
    pub args: Strings,
    /// It tells an exec that failed: read and write end.
    pub pipe: (i32, i32),
}

/// A ruleset of Landlock.
#[derive(Debug)]
pub struct Landlock {
    /// Rights that need a rule.
    pub rights: u64,
    /// What does not reach beyond the sandbox.
    pub scoped: u64,
    /// Paths inside, and what is allowed there.
    pub rules: Vec<(CString, u64)>,
    /// Descriptors that the program is given: what they refer to may be opened again by them.
    pub descriptors: Vec<i32>,
}

/// Everything.
pub struct Prepared {
    /// Ids to change to in a namespace that was joined: uid and gid.
    pub switch_ids: Option<(Option<u32>, Option<u32>)>,
    /// Tell the launcher when the namespaces are there, and wait for what it has to do: the maps, or directories on the host.
    pub wait_for_launcher: bool,
    /// The maps, if the child writes them: user, group.
    pub maps: Option<(Vec<u8>, Vec<u8>)>,
    /// setgroups(2) with nothing.
    pub drop_groups: bool,
    /// sethostname(2)
    pub hostname: Option<CString>,
    /// A network namespace is made by a process beside this one, rather than by clone3(2), which would wait for it.
    pub network_beside: bool,
    /// Set `lo` up.
    pub loopback: bool,
    /// How many user namespaces can be made inside, by all: 0 forbids them, 1 leaves room for the inner one.
    pub limit_nested: Option<&'static [u8]>,
    /// The mounts are still tied to the host's, as they are without a user namespace of our own.
    pub untie: bool,
    /// What is laid over others. It lives in a directory that nobody sees.
    pub scratch: Vec<Scratch>,
    /// The view.
    pub steps: Vec<Step>,
    /// Label of what is made for the sandbox.
    pub file_label: Option<CString>,
    /// Tell the launcher when the view stands, and wait for its word.
    pub wait_for_go: bool,
    /// A user namespace to join once the view stands.
    pub join_last: Option<i32>,
    /// A second user namespace, which owns none of the others, with these maps.
    pub inner: Option<(Vec<u8>, Vec<u8>)>,
    /// Try to make a user namespace, and fail if it works.
    pub try_nested: bool,
    /// A cgroup namespace is made by this process: clone3(2) would take the launcher's cgroup for its root.
    pub new_cgroup_namespace: bool,
    /// Where this process goes then: below the root of that namespace, in which controllers can be handed on only if nobody is in it.
    pub cgroup_leaf: Cell<Option<OwnedFd>>,
    /// There is a pid namespace.
    pub own_pids: bool,
    /// There is a PID 1 of ours; otherwise this process becomes the program.
    pub init: bool,
    /// Others outside may look at this process.
    pub visible: bool,
    /// The user namespace is new: nobody in it is more than this process, and its owner outside is.
    pub alone: bool,
    /// What it is permitted beyond the program for that.
    pub guard: Cell<u64>,
    /// The caller, with which the sandbox is to end.
    pub caller: i32,
    /// Terminal and session.
    pub session: Session,
    /// The program's descriptors beside the three: these alone, sorted; none leaves all as they are.
    pub only_fds: Option<Vec<i32>>,
    /// Descriptors that the program does not get.
    pub drop_fds: Vec<i32>,
    /// Descriptors that PID 1 keeps, sorted; the program does not get them, unless there is no PID 1.
    pub sync_fds: Vec<i32>,
    /// Files that PID 1 locks.
    pub lock_files: Vec<CString>,
    /// Descriptors that stay open in PID 1: `sync_fds`, with room for those of the locks and two of its own.
    pub held: Cell<Vec<i32>>,
    /// Waited for before the program starts.
    pub block_fd: Option<i32>,
    /// setrlimit(2): resource, soft, hard.
    pub rlimits: Vec<(u32, Option<u64>, Option<u64>)>,
    /// Directories, the first that is there; none of them is an error.
    pub cwd: Vec<CString>,
    /// Paths of the program, the first that is there.
    pub programs: Vec<CString>,
    /// An open file that is executed instead.
    pub program_fd: Option<i32>,
    /// Arguments.
    pub args: Strings,
    /// Arguments for a shell to run the program with, if the kernel does not know what it is (execvp(3)): a list for each path.
    pub shell: Option<Strings>,
    /// Where the program is executed by our own file, from a read-only mount.
    pub handover: Option<Handover>,
    /// Environment: a list for each directory, if they differ.
    pub env: Strings,
    /// Whether the caller's session keyring is left for an empty one.
    pub own_keyring: bool,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Landlock's rules.
    pub landlock: Option<Landlock>,
    /// seccomp filters that bind PID 1, too.
    pub filters_for_all: Vec<Vec<Instruction>>,
    /// seccomp filters of the program, in this order.
    pub filters: Vec<Vec<Instruction>>,
    /// Label of the program.
    pub exec_label: Option<CString>,
    /// umask(2) of the program.
    pub umask: u32,
    /// Whether the caller ignores SIGPIPE, which the program then does, too.
    pub ignores_sigpipe: bool,
    /// What is left out.
    #[cfg(feature = "guards-off")]
    pub off: Vec<Guard>,
}

/// What a sandbox never lacks, but in programs that are built for tests (the feature `guards-off`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// No rights are gained by exec.
    NoNewPrivs,
    /// PID 1 cannot be looked into.
    Undumpable,
    /// PID 1 does not have the launcher's arguments.
    NoArguments,
}

impl Prepared {
    /// Whether this guard is on.
    #[cfg(feature = "guards-off")]
    pub(super) fn has(&self, guard: Guard) -> bool {
        !self.off.contains(&guard)
    }

    /// Whether this guard is on: always.
    #[cfg(not(feature = "guards-off"))]
    #[expect(clippy::unused_self, reason = "with the feature it is asked")]
    pub(super) fn has(&self, _guard: Guard) -> bool {
        true
    }
}

/// Lists of strings in the form that execve(2) takes, which differ in one place at most.
#[derive(Debug)]
pub struct Strings {
    _owned: Vec<CString>,
    lists: Vec<Vec<*const c_char>>,
}

impl Strings {
    /// One list.
    pub fn new(owned: Vec<CString>) -> Strings {
        let mut list: Vec<_> = owned.iter().map(|text| text.as_ptr()).collect();
        list.push(std::ptr::null());
        Strings { _owned: owned, lists: vec![list] }
    }

    /// A list for each of the variants, which take the place of what stands at `index`.
    pub fn with_variants(owned: Vec<CString>, index: usize, variants: Vec<CString>) -> Strings {
        let Strings { _owned: mut owned, lists } = Strings::new(owned);
        let base = lists.into_iter().next().unwrap_or_default();
        let variant = |text: &CString| {
            let mut list = base.clone();
            if let Some(place) = list.get_mut(index) {
                *place = text.as_ptr();
            }
            list
        };
        let lists = variants.iter().map(variant).collect();
        owned.extend(variants);
        Strings { _owned: owned, lists }
    }

    /// The list of this number, or the last.
    pub(super) fn pointers(&self, number: usize) -> &[*const c_char] {
        self.lists.get(number).or(self.lists.last()).map_or(&[], Vec::as_slice)
    }
}
