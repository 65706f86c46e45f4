//! Lists what differs in the layers from the host.

use super::Upper;
use super::below::changed_below;
use super::node::{Node, NodeKind};
use super::ours::Ours;
use super::walk::{Change, Difference, Visitor, at, walk};
use crate::error::Result;
use crate::sys;
use serde::{Serialize, Serializer};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The path inside.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// The path as bytes, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Vec<u8>>,
    /// How it differs.
    pub change: Difference,
    /// What it is, or was if it was deleted.
    pub kind: NodeKind,
    /// What the host has there, if that is of another kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind_on_host: Option<NodeKind>,
    /// Its permissions, unless it was deleted or is a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The permissions of what the host has there, if they are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode_on_host: Option<u32>,
    /// Its size in bytes, if it is a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The size in bytes of the host's file, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_on_host: Option<u64>,
    /// The text of a link that is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The same as bytes, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_bytes: Option<Vec<u8>>,
    /// The host's file has changed since it was copied up, or since the layer was made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.to_string_lossy())
}

/// What JSON has beside a text that would lose something: its bytes.
fn lost(text: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(text).is_err().then(|| text.to_vec())
}

impl Entry {
    /// The letter for the difference, as in `docker diff` and `git diff --name-status`.
    pub fn letter(&self) -> char {
        match self.change {
            Difference::Added => 'A',
            Difference::Modified => 'M',
            Difference::Deleted => 'D',
        }
    }

    /// Whether it is a program, or becomes one: a file that somebody may execute.
    pub fn is_program(&self) -> bool {
        self.kind == NodeKind::File && self.mode.is_some_and(|mode| mode & 0o111 != 0)
    }
}

/// Everything that differs in all overlays of these layers, or what is at or below one of `only`; sorted by path. And the
/// directories that are too deep to look into.
///
/// # Errors
///
/// A layer or what lies below it cannot be read.
pub fn differences(upper: &Upper, only: &[PathBuf]) -> Result<(Vec<Entry>, Vec<PathBuf>)> {
    let mut list = List { entries: Vec::new(), deep: Vec::new(), ours: Ours::read(upper) };
    for index in 0..upper.state.layers.len() {
        list.ours.enter(index);
        walk(upper, index, only, &mut list)?;
    }
    list.entries.sort_by(|one, other| one.path.as_os_str().as_bytes().cmp(other.path.as_os_str().as_bytes()));
    Ok((list.entries, list.deep))
}

struct List {
    entries: Vec<Entry>,
    deep: Vec<PathBuf>,
    /// Files of the host that were changed last by a commit of these layers.
    ours: Ours,
}

impl Visitor for List {
    fn is_ours(&self, node: &Node) -> bool {
        self.ours.has(node)
    }

    fn too_deep(&mut self, path: &Path) {
        self.deep.push(path.to_owned());
    }

    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        let node = |side: &Option<(BorrowedFd<'_>, Node)>| side.as_ref().map(|(_, node)| *node);
        let (new, old) = (node(&change.new), node(&change.old));
        let size = |node: Option<Node>| node.filter(|node| node.kind == NodeKind::File).map(|node| node.size);
        let mode = |node: Option<Node>| node.filter(|node| node.kind != NodeKind::Link).map(|node| node.mode);
        let target = match &change.new {
            Some((dir, node)) if node.kind == NodeKind::Link => {
                Some(sys::link_text(*dir, change.name).map_err(at(change.path, "read"))?.into_bytes())
            }
            _ => None,
        };
        self.entries.push(Entry {
            path: change.path.to_owned(),
            path_bytes: lost(change.path.as_os_str().as_bytes()),
            change: change.difference,
            kind: new.or(old).map_or(NodeKind::File, |node| node.kind),
            kind_on_host: old.map(|old| old.kind).filter(|old| new.is_some_and(|new| new.kind != *old)),
            mode: mode(new),
            mode_on_host: mode(old).filter(|old| mode(new).is_some_and(|new| new != *old)),
            size: size(new),
            size_on_host: size(old),
            target: target.as_deref().map(|text| String::from_utf8_lossy(text).into_owned()),
            target_bytes: target.as_deref().and_then(lost),
            conflict: change.is_conflict(|node| self.ours.has(node)) || changed_in_it(change, &self.ours)?,
        });
        Ok(())
    }
}

/// Whether a directory of the host that was deleted, or replaced by something else, has changed; or a file was deleted that this user
/// may not read.
fn changed_in_it(change: &Change<'_>, ours: &Ours) -> Result<bool> {
    match (&change.new, &change.old) {
        (new, Some((dir, old)))
            if old.kind == NodeKind::Dir && new.is_none_or(|(_, new)| new.kind != NodeKind::Dir) =>
        {
            let changed = changed_below(*dir, change.name, change.base, change.reader, &|node| ours.has(node));
            Ok(changed.map_err(at(change.path, "look at"))?.is_some())
        }
        // The program saw it empty, and has no copy of it.
        (None, Some((dir, old))) => Ok(old.kind == NodeKind::File && change.reader.is_closed(*dir, change.name)),
        _ => Ok(false),
    }
}
