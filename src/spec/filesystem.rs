//! The sandbox's view of the filesystem as a profile requests it: a root and modes of paths.

use super::{Mount, Origin};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The tree that the view starts from, before the modes of paths are applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// The host's system, read-only (the top-level directories in [`SYSTEM`](super::SYSTEM)), with private /proc, /dev,
    /// /tmp, /run, /sys and empty homes. What else lies in the host's `/` is not shown.
    #[default]
    Host,
    /// An empty root: only the listed paths exist.
    Empty,
    /// The tree below this directory of the host.
    Dir(PathBuf),
    /// The trees below these directories of the host, merged: the topmost first. There are two or more.
    Stack(Vec<PathBuf>),
    /// An empty root that `Filesystem::mounts` fills, in their order; modes of paths are not used.
    Bare,
}

impl Root {
    /// The directories of the host whose trees the view starts from, the topmost first; empty for other roots.
    pub fn dirs(&self) -> &[PathBuf] {
        match self {
            Root::Dir(dir) => std::slice::from_ref(dir),
            Root::Stack(dirs) => dirs,
            Root::Host | Root::Empty | Root::Bare => &[],
        }
    }
}

/// What a path is inside, ordered from the most permissive to the strictest; on a tie the stricter mode wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The host's file or directory, writable.
    Rw,
    /// The host's directory, with changes kept in a layer above it: the host's files stay as they are.
    Overlay,
    /// The host's file or directory, read-only.
    Ro,
    /// A new, empty, writable directory in memory.
    Tmpfs,
    /// Present and empty.
    Masked,
    /// Absent: ENOENT.
    Hidden,
    /// Present and inaccessible: EACCES.
    Deny,
}

impl Mode {
    /// All modes, in the order in which messages list them.
    pub const ALL: [Mode; 7] = [Mode::Ro, Mode::Rw, Mode::Overlay, Mode::Tmpfs, Mode::Masked, Mode::Hidden, Mode::Deny];

    /// The mode's word in the profile language.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Rw => "rw",
            Mode::Overlay => "overlay",
            Mode::Ro => "ro",
            Mode::Tmpfs => "tmpfs",
            Mode::Masked => "masked",
            Mode::Hidden => "hidden",
            Mode::Deny => "deny",
        }
    }

    /// The mode with this word in the profile language.
    pub fn from_word(word: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.word() == word)
    }

    /// Whether a path of this mode shows files of the host.
    pub fn shows_host(self) -> bool {
        matches!(self, Mode::Rw | Mode::Overlay | Mode::Ro)
    }
}

/// Options of a path: what follows the mode after a comma.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Options {
    /// A missing source is no error; the path is left out.
    pub optional: bool,
    /// A missing source directory is created on the host.
    pub create: bool,
    /// Mount with MS_NOEXEC: no file there can be executed.
    pub noexec: bool,
    /// Set-user-id bits have no effect. Every mount of a sandbox is nosuid anyway.
    pub nosuid: bool,
    /// Mount with MS_NODEV: device files there cannot be opened.
    pub nodev: bool,
    /// A mode that cannot be applied is left out with a note, instead of an error.
    pub prefer: bool,
    /// One sandbox at a time shows it with this option: sbx holds a lock.
    pub exclusive: bool,
    /// Size of a tmpfs in bytes.
    pub size: Option<u64>,
    /// The path of the host to show, if it differs from the path inside.
    pub from: Option<PathBuf>,
}

/// One line of `[filesystem.paths]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathRule {
    /// The path inside.
    pub path: PathBuf,
    /// What the path is inside.
    pub mode: Mode,
    /// Options after the mode.
    pub options: Options,
    /// The line that the rule comes from.
    pub origin: Origin,
    /// The rule comes from a project's file, which may only tighten.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub project: bool,
    /// That file lies in a directory above the current one, and the path in the file's: it may be one that is not shown.
    #[serde(skip)]
    pub above: bool,
    /// The rule for this path that a project's file replaced; the planner checks that the new one is no looser.
    #[serde(skip)]
    pub below: Option<Box<PathRule>>,
}

/// A directory of the host that is shown writable, or is reached by links that can be replaced inside, and in which programs outside look for
/// code; or a file of a command that is reached so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// The real path of the directory or file.
    pub path: PathBuf,
    /// Its path as the variable names it, which may go through links.
    pub named: PathBuf,
    /// The caller's variable that names it, such as PATH.
    pub variable: String,
}

/// What becomes of the changes in paths of the mode `overlay` when the program has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Changes {
    /// They are gone.
    #[default]
    Discard,
    /// They stay on disk under this name, and the next run with it sees them.
    Keep(String),
    /// The user is asked, on a terminal; elsewhere they are gone.
    Ask,
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Changes::Discard => f.write_str("discard"),
            Changes::Keep(name) => write!(f, "keep:{name}"),
            Changes::Ask => f.write_str("ask"),
        }
    }
}

/// Files that the command line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// The program, if it is named by a path.
    Program,
    /// The program and the files among its arguments.
    All,
}

/// What merges the layers of paths of the mode `overlay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The kernel's overlay, over the view server's filesystem where it has to.
    Overlay,
    /// A FUSE filesystem that a server of sbx's own answers for.
    Fuse,
}

impl PathRule {
    /// A rule that no project's file has a part in.
    pub fn new(path: PathBuf, mode: Mode, options: Options, origin: Origin) -> PathRule {
        PathRule { path, mode, options, origin, project: false, above: false, below: None }
    }

    /// Whether it is the rule for `/`, the whole tree. Compared as text, since that is asked of each rule at each start.
    pub fn is_root(&self) -> bool {
        self.path.as_os_str() == "/"
    }

    /// The path of the host that is shown at the path inside, if the mode shows one.
    pub fn source(&self) -> &Path {
        self.options.from.as_ref().unwrap_or(&self.path)
    }

    /// The rule for this path that a project's file has no part in: this one, or the one that it replaced, if any.
    pub fn without_project(&self) -> Option<&PathRule> {
        if self.project { self.below.as_deref() } else { Some(self) }
    }
}

/// The sandbox's view of the filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Filesystem {
    /// The tree that the view starts from.
    pub root: Root,
    /// The line that the root comes from.
    pub root_origin: Origin,
    /// Modes of paths, sorted by path, each path once.
    pub paths: Vec<PathRule>,
    /// All rules of the same layers without a project's file, with which nothing may be freer; none if there is no such file.
    #[serde(skip)]
    pub without_project: Option<Vec<PathRule>>,
    /// The files of projects that are among the layers.
    #[serde(skip)]
    pub project_files: Vec<PathBuf>,
    /// The real paths of the files that profiles were read from, and the links on the way, if changes are kept in layers: what a
    /// program has changed of them is put onto the host only by name.
    #[serde(skip)]
    pub profiles: Vec<PathBuf>,
    /// The name of the private home that is kept, and the line that says so; without it, the home is in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<(String, Origin)>,
    /// Which files that the command line names are shown read-only if the view would not show them, and the line that
    /// says so; none of them without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<(Named, Origin)>,
    /// What becomes of the changes in paths of the mode `overlay`.
    pub changes: Changes,
    /// The line that says so.
    pub changes_origin: Origin,
    /// How many bytes these changes may take, and the line that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_size: Option<(u64, Origin)>,
    /// What merges the layers of paths of the mode `overlay`, and the line that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<(Mechanism, Origin)>,
    /// How many bytes each filesystem in memory that the view is made of may hold, and the line that says so. A `tmpfs`
    /// with a size of its own is none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<(u64, Origin)>,
    /// Directories of which is told at the end what has changed in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Watched>,
    /// What is to be read-only where it is there, and is not there: it has no rule among `paths`.
    #[serde(skip)]
    pub unseen: Vec<Unseen>,
    /// Operations that build the view of [`Root::Bare`]; empty for other roots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
}

/// Names that a profile has read-only in a directory where they are there, and that were not there when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unseen {
    /// The directory in which the names are not there.
    pub dir: PathBuf,
    /// The name of the profile's file.
    pub source: String,
    /// The names, each with the number of its line.
    pub names: Vec<(String, usize)>,
}

impl Unseen {
    /// The line that has a name read-only.
    pub fn origin(&self, line: usize) -> Origin {
        Origin(format!("{}:{line}", self.source))
    }
}

impl Filesystem {
    /// Adds rules that no layer has, whether a project's file counts or not.
    pub fn add(&mut self, rules: impl IntoIterator<Item = PathRule>) {
        let rules: Vec<_> = rules.into_iter().collect();
        for paths in std::iter::once(&mut self.paths).chain(&mut self.without_project) {
            paths.extend(rules.iter().cloned());
            paths.sort_by(|one, other| one.path.cmp(&other.path));
        }
    }

    /// Whether a path is shown in one sandbox at a time.
    pub fn is_exclusive(&self) -> bool {
        self.paths.iter().any(|rule| rule.options.exclusive)
    }
}
