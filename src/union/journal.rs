//! What a commit is doing: recorded beside the layers, so that the next one can finish or undo it.

use super::Upper;
use super::node::{Node, NodeKind};
use crate::sys;
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Name of the file, beside the layers.
const NAME: &CStr = c"commit.json";

/// The start of the names under which files are copied to the host before they take their places.
pub(super) const BESIDE: &str = ".sbx-commit-";

/// What tells a file of the host from another. Not the time of its last change, which a renaming changes on some
/// filesystems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    id: (u64, u64),
    kind: u32,
    mode: u32,
    owner: (u32, u32),
    size: u64,
    modified: (i64, u32),
}

impl Facts {
    pub fn of(node: &Node) -> Facts {
        Facts {
            id: node.id,
            kind: match node.kind {
                NodeKind::Dir => 1,
                NodeKind::File => 2,
                NodeKind::Link => 3,
                NodeKind::Fifo => 4,
                NodeKind::Socket => 5,
                NodeKind::Device | NodeKind::Whiteout => 6,
            },
            mode: node.mode,
            owner: (node.uid, node.gid),
            size: node.size,
            modified: (node.modified.div_euclid(1_000_000_000) as i64, node.modified.rem_euclid(1_000_000_000) as u32),
        }
    }
}

/// How far a commit is with one path. What is beside the path on the host is ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// ... a copy of the layer's, or a part of one.
    Copying,
    /// ... that copy still, or already what the host had at the path.
    Moving,
    /// ... what the host had, compared and to be removed.
    Condemned,
}

/// What a commit was about to do with one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Index of the layer.
    pub index: usize,
    /// Path inside, as bytes: names need not be UTF-8.
    path: Vec<u8>,
    /// Name beside it on the host.
    pub beside: String,
    /// The host's file, as it was compared; none if there was none.
    pub old: Option<Facts>,
    /// When the program first changed it: nanoseconds since 1970.
    pub base: i64,
    /// Device and inode number of the copy, once it is complete.
    pub copy: Option<(u64, u64)>,
    /// That copy, if it is as the layer has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Facts>,
    /// How far it is.
    pub phase: Phase,
}

impl Entry {
    pub fn new(index: usize, path: &Path, beside: &CStr, old: Option<&Node>, base: i128) -> Entry {
        Entry {
            index,
            path: path.as_os_str().as_bytes().to_vec(),
            beside: beside.to_string_lossy().into_owned(),
            old: old.map(Facts::of),
            base: base.try_into().unwrap_or(0),
            copy: None,
            layers: None,
            phase: Phase::Copying,
        }
    }

    /// Path inside.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }
}

/// The journal of the layers' commits: one line for each phase of the path that is at work.
pub(super) struct Journal<'u> {
    dir: BorrowedFd<'u>,
}

impl<'u> Journal<'u> {
    pub fn of(upper: &'u Upper) -> Journal<'u> {
        Journal { dir: upper.directory() }
    }

    /// Records what is about to be done with the next path; nothing is being done with the one before any more.
    pub fn begin(&self, entry: &Entry) -> sys::Result<()> {
        self.write(entry, libc::O_TRUNC)
    }

    /// Records that the next phase of the same path begins.
    pub fn go_on(&self, entry: &Entry) -> sys::Result<()> {
        self.write(entry, libc::O_APPEND)
    }

    /// Writes a line, by one write, which a signal does not tear.
    fn write(&self, entry: &Entry, how: i32) -> sys::Result<()> {
        let text = serde_json::to_string(entry).map_err(|_| sys::Errno(libc::EILSEQ))? + "\n";
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_NOFOLLOW | how;
        let file = sys::openat(self.dir, NAME, flags, 0o600)?;
        sys::write_all(file.as_fd(), text.as_bytes())
    }

    /// What was being done when the last commit was interrupted.
    pub fn last(&self) -> Option<Entry> {
        let text = super::own::read(self.dir, "commit.json").ok()?;
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let entry: Entry = lines.filter_map(|line| serde_json::from_str(line).ok()).next_back()?;
        // A name of another kind is not one of ours.
        entry.beside.starts_with(BESIDE).then_some(entry).filter(|entry| !entry.beside.contains('/'))
    }

    /// Notes that nothing is being done.
    pub fn end(&self) {
        let _ = sys::unlink(self.dir, NAME, false);
    }
}
