//! The view as it is asked for: a root and modes of paths.

use super::{Mount, Origin};
use serde::Serialize;
use std::path::PathBuf;

/// What the view starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Root {
    /// The host's own tree, read-only, with private /proc, /dev, /tmp, /run, /sys and empty homes.
    #[default]
    Host,
    /// Nothing but what paths name.
    Empty,
    /// That tree.
    Dir(PathBuf),
    /// Nothing at all but what `mounts` makes, in their order.
    Bare,
}

/// What a path is inside. From free to strict; on a tie the stricter wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The host's, writable.
    Rw,
    /// The host's, read-only.
    Ro,
    /// A new, empty, writable directory in memory.
    Tmpfs,
    /// There, and empty.
    Masked,
    /// Not there (ENOENT).
    Hidden,
    /// There, and closed (EACCES).
    Deny,
}

impl Mode {
    /// All of them, in the order in which they are listed for people.
    pub const ALL: [Mode; 6] = [Mode::Ro, Mode::Rw, Mode::Tmpfs, Mode::Masked, Mode::Hidden, Mode::Deny];

    /// The word of the profile language.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Rw => "rw",
            Mode::Ro => "ro",
            Mode::Tmpfs => "tmpfs",
            Mode::Masked => "masked",
            Mode::Hidden => "hidden",
            Mode::Deny => "deny",
        }
    }

    /// The mode of this word.
    pub fn from_word(word: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.word() == word)
    }

    /// Whether the host's own files show there.
    pub fn shows_host(self) -> bool {
        matches!(self, Mode::Rw | Mode::Ro)
    }
}

/// What stands after the comma.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Options {
    /// A source that is missing is no error.
    pub optional: bool,
    /// A source directory that is missing is made on the host.
    pub create: bool,
    /// Nothing there is executed.
    pub noexec: bool,
    /// Set-user-id bits have no effect. (They never have one inside; this sets the flag on an exec-free host too.)
    pub nosuid: bool,
    /// Device files there do not open.
    pub nodev: bool,
    /// A mode that cannot be had is left out, and said.
    pub prefer: bool,
    /// Size of a tmpfs in bytes.
    pub size: Option<u64>,
    /// Another path of the host to show here.
    pub from: Option<PathBuf>,
}

/// One line of `[filesystem.paths]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathRule {
    /// Where, inside.
    pub path: PathBuf,
    /// What.
    pub mode: Mode,
    /// How.
    pub options: Options,
    /// Who asked.
    pub origin: Origin,
    /// A project's file asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub project: bool,
    /// What holds for this very path without a project's file.
    #[serde(skip)]
    pub below: Option<Box<PathRule>>,
}

/// The view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Filesystem {
    /// What it starts from.
    pub root: Root,
    /// Who asked for the root.
    pub root_origin: Origin,
    /// Modes of paths, sorted by path, each path once.
    pub paths: Vec<PathRule>,
    /// Operations of a bare root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
}
