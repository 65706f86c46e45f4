//! One difference between layers and the host.

use super::node::{Node, NodeKind};
use super::reader::Reader;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// How a path differs from what the host has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The host has nothing there.
    Added,
    /// The host has something else there.
    Modified,
    /// The host has something there that was deleted.
    Deleted,
}

/// One difference, with what is needed to look at both sides.
pub struct Change<'w> {
    /// The path inside.
    pub path: &'w Path,
    /// Its last component.
    pub name: &'w CStr,
    /// How it differs.
    pub difference: Difference,
    /// The file in the layers, and the directory of the layer that has it; none if it was deleted.
    pub new: Option<(BorrowedFd<'w>, Node)>,
    /// The file of the host, and the directory that has it; none if it was added.
    pub old: Option<(BorrowedFd<'w>, Node)>,
    /// The topmost directory of the host at the path above, if there is one.
    pub host: Option<BorrowedFd<'w>>,
    /// When the program first changed it; when the layer was made, if that is not known.
    pub base: i128,
    /// The host's directory at the path above is the one that the program saw.
    pub known: bool,
    /// Where the host has nothing at the path: the outermost path, at or above it, that is not there by somebody else's doing. The host had
    /// a file or a directory there when the program changed it, or another directory.
    pub lost: Option<&'w Path>,
    /// Of a directory on both sides: whether the host's has the permissions and attributes that the program saw.
    pub attributes_seen: bool,
    /// Who read the host's files for the program.
    pub reader: Reader,
}

impl Change<'_> {
    /// Whether the host's file may have changed since the program saw it, or be another one. `ours` are files of which the
    /// last change is our own. The times of a directory change with every file in it, and are no conflict.
    pub fn is_conflict(&self, ours: impl Fn(&Node) -> bool) -> bool {
        match (&self.new, &self.old) {
            (_, None) => self.lost.is_some(),
            (Some((_, new)), Some((_, old))) if new.kind == NodeKind::Dir && old.kind == NodeKind::Dir => {
                !self.known || !self.attributes_seen
            }
            (_, Some((_, old))) => !self.known || (old.changed > self.base && !ours(old)),
        }
    }
}
