//! What each path of the view is to be, as data.

use super::project::InForce;
use super::tree::Tree;
use crate::spec::{Mode, Options, Origin, Root};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What one path of the view is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ItemKind {
    /// Directories of the host, merged, the topmost first. Changes go to a layer above them, unless it is read-only.
    /// The names in `without` are absent.
    Layers { lower: Vec<PathBuf>, ro: bool, without: Vec<OsString> },
    /// The host's file or directory `source`. Device files work only if `device` is set.
    Bind { source: PathBuf, ro: bool, device: bool },
    /// A new tmpfs with these permissions, of `size` bytes at most.
    Tmpfs { mode: u32, size: Option<u64> },
    /// The private home that is kept in this directory of the host. What goes below it is made there.
    Kept { source: PathBuf },
    /// A directory in a tmpfs that the view has made already: not a mount of its own.
    Dir { mode: u32 },
    /// A symbolic link with this text.
    Link(PathBuf),
    /// A file with this content.
    File { mode: u32, data: Vec<u8> },
    /// An empty file or directory, mounted over what is there.
    Masked,
    /// Absent: left out of its directory.
    Hidden,
    /// A file or directory that cannot be opened (EACCES), mounted over what is there.
    Deny,
    /// procfs of the sandbox's pid namespace.
    Proc,
    /// The sandbox's own cgroup.
    Cgroup { ro: bool },
    /// A minimal /dev.
    Dev,
}

impl ItemKind {
    /// The profile's mode that is as strict as this: `tmpfs` for everything that the view makes itself.
    pub fn mode(&self) -> Mode {
        match self {
            ItemKind::Bind { ro: false, .. } => Mode::Rw,
            ItemKind::Layers { ro: false, .. } => Mode::Overlay,
            ItemKind::Bind { ro: true, .. } | ItemKind::Layers { ro: true, .. } => Mode::Ro,
            ItemKind::Masked => Mode::Masked,
            ItemKind::Hidden => Mode::Hidden,
            ItemKind::Deny => Mode::Deny,
            ItemKind::Tmpfs { .. }
            | ItemKind::Kept { .. }
            | ItemKind::Dir { .. }
            | ItemKind::Link(_)
            | ItemKind::File { .. }
            | ItemKind::Proc
            | ItemKind::Cgroup { .. }
            | ItemKind::Dev => Mode::Tmpfs,
        }
    }
}

/// What one path is to be, with the options of its mode and the line that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub what: ItemKind,
    pub options: Options,
    pub origin: Origin,
    /// Whether the profile names it, rather than a default of sbx.
    pub asked: bool,
}

impl Item {
    /// The host's directories and files that the item shows.
    pub fn sources(&self) -> &[PathBuf] {
        match &self.what {
            ItemKind::Bind { source, .. } => std::slice::from_ref(source),
            ItemKind::Layers { lower, .. } => lower,
            _ => &[],
        }
    }

    /// This item as what a rule of a project's file is compared with.
    pub fn in_force(&self) -> InForce<'_> {
        let size = match self.what {
            ItemKind::Tmpfs { size, .. } => size,
            _ => None,
        };
        InForce { mode: self.what.mode(), options: &self.options, size }
    }
}

/// Items by path: a directory comes before what lies in it.
pub(super) type Items = Tree<Item>;

/// An item from sbx's defaults, without an origin.
pub(super) fn own(what: ItemKind) -> Item {
    Item { what, options: Options::default(), origin: Origin::default(), asked: false }
}

/// The directory of the host in which the view's paths are looked up.
pub(super) fn base(root: &Root) -> &Path {
    root.dirs().first().map_or(Path::new("/"), PathBuf::as_path)
}
