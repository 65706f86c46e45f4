//! What a union consists of, as the launcher says it.

use super::super::view::Trees;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file of the view's own, in place of the one that the directories of the host have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFile {
    /// Its path below that of the union.
    pub path: PathBuf,
    /// Permissions, as chmod(2) takes them.
    pub mode: u32,
    /// Content of the file.
    pub data: Vec<u8>,
}

/// The upper layer of a union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpperPlace {
    /// The upper directory.
    pub upper: PathBuf,
    /// The work directory, on the same filesystem.
    pub work: PathBuf,
    /// It is kept: what is copied up is on the disk before it takes its place.
    pub kept: bool,
}

/// One union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Layers {
    /// Directories of the host by their index in [`Trees`], the topmost first.
    pub trees: Vec<usize>,
    /// Layers that nobody writes any more, above those directories, the topmost first.
    #[serde(default)]
    pub frozen: Vec<PathBuf>,
    /// The upper layer; none: it is read-only.
    #[serde(default)]
    pub upper: Option<UpperPlace>,
    /// Files of the view's own, above the directories of the host.
    #[serde(default)]
    pub own: Vec<OwnFile>,
    /// Names that are absent, although the directories of the host have them.
    #[serde(default)]
    pub without: Vec<PathBuf>,
    /// Mount points below everything else, and whether each is a directory.
    #[serde(default)]
    pub points: Vec<(PathBuf, bool)>,
}

/// Everything that a server serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Unions {
    /// The directories of the host, and the translation of owners: ids of the host are those that are seen from within the
    /// user namespace of the sandbox.
    pub trees: Trees,
    /// How many bytes all changes may take; none: there is no limit but that of the disk.
    #[serde(default)]
    pub size: Option<u64>,
    /// The Nth is named N at the top of the filesystem, from 0 on.
    pub unions: Vec<Layers>,
}
