//! The parts of the view, with the lines of profiles that asked for them.

use super::op::Op;
use crate::spec::Origin;
use serde::Serialize;
use std::path::PathBuf;

/// A directory to make on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Create {
    /// Path on the host.
    pub path: PathBuf,
    /// The line that asked for it.
    pub origin: Origin,
}

/// A part of the view with the line that asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// The operation that makes it.
    #[serde(flatten)]
    pub op: Op,
    /// The line that asked for it.
    pub origin: Origin,
    /// In a bare root: make the mount point if it is missing, and the directories above it with these permissions.
    /// Elsewhere the plan has an operation for each, and this is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ensure: Option<u32>,
}

/// A path that is to be read-only in a writable directory, or hidden in one that is shown, and is not there yet: the program can make it, or
/// sees what others make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// Path on the host.
    pub path: PathBuf,
    /// The line that has it read-only, or hides it.
    pub origin: Origin,
    /// The text of the link that is there, and leads nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<PathBuf>,
    /// The mode that does not hide it, as a profile writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hides: Option<&'static str>,
}

/// A path whose optional mask is left out, because the program cannot open it anyway: nothing is there, or this user
/// may not open it on the host either and no other id is mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// Path on the host.
    pub path: PathBuf,
    /// The line that asked for it.
    pub origin: Origin,
    /// Why nothing is mounted over it.
    pub why: &'static str,
}
