//! Plans how much the sandbox's filesystems in memory may hold: what it writes to its private directories.

use super::lines::{Lines, from};
use super::{Op, Placed};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Capabilities, Origin, Sandbox, format_size};
use serde::Serialize;
use std::path::PathBuf;

/// A filesystem in memory may have an inode for each page of its size: a file that is not empty takes one at least.
const PAGE: u64 = 4096;
/// The filesystem's own directory takes one.
const LEAST_FILES: u64 = 16;
/// Less than this would not do for the view itself.
const LEAST: u64 = 1 << 20;
/// CAP_SYS_ADMIN of capabilities(7).
const SYS_ADMIN: u64 = 1 << 21;

/// How much each of the sandbox's filesystems in memory may hold. There are two at most, since programs tell a mount by
/// its device number: of two nested directories in memory, one lies in each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// Size in bytes.
    pub size: u64,
    /// The number of files, directories and links.
    pub inodes: u64,
    /// The size is half of this machine's memory: the profile asks for more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub halved: bool,
    /// Directories in memory that the program may fill. Whether one is full is looked at when the program has failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub looked_at: Vec<PathBuf>,
    /// The line that asked for it.
    pub origin: Origin,
}

/// The plan for the memory of a view of these parts.
///
/// # Errors
///
/// The size is too small for the view itself.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, parts: &[Placed]) -> Result<Option<MemoryPlan>> {
    let Some((asked, origin)) = &sandbox.filesystem.memory else { return Ok(None) };
    check(*asked, origin)?;
    // Nothing is known of it where a test has no such facts.
    let half = Some(facts.memory / 2 / PAGE * PAGE).filter(|half| *half > 0).unwrap_or(u64::MAX);
    let size = (*asked).min(half);
    // Whoever may mount things inside can put a filesystem there that does not answer.
    let mounts = match sandbox.security.capabilities {
        Capabilities::None => false,
        Capabilities::Held(held) => held & SYS_ADMIN != 0,
        Capabilities::Callers => true,
    };
    let sealed =
        |path: &PathBuf| parts.iter().any(|part| matches!(&part.op, Op::Seal { path: other } if other == path));
    let in_memory = parts.iter().filter_map(|part| match &part.op {
        Op::Tmpfs { path, size: None, .. } => Some(path),
        _ => None,
    });
    Ok(Some(MemoryPlan {
        size,
        inodes: inodes(size),
        halved: size < *asked,
        looked_at: in_memory.filter(|path| !mounts && !sealed(path)).cloned().collect(),
        origin: origin.clone(),
    }))
}

/// Refuses a size that is too small for the view itself.
pub(super) fn check(asked: u64, origin: &Origin) -> Result<()> {
    if asked >= LEAST {
        return Ok(());
    }
    let message = format!("filesystem.memory: {asked} bytes are too few: the view itself takes up to {LEAST}");
    Err(Error::new(message).origin(origin).hint("a size such as 512M or 2G"))
}

/// How many files, directories and links a filesystem in memory of this size may have.
pub fn inodes(size: u64) -> u64 {
    (size / PAGE).max(LEAST_FILES)
}

impl MemoryPlan {
    pub(super) fn render(&self, lines: &mut Lines) {
        let half = if self.halved { " (half of this machine's memory)" } else { "" };
        let text = format!(
            "each filesystem in memory without a size of its own holds {} at most{half}, in {} files{}",
            format_size(self.size),
            self.inodes,
            from(&self.origin)
        );
        lines.add("memory", text);
    }

    /// What the receipt says of it.
    pub(super) fn mechanism(&self) -> String {
        format!("tmpfs: size={}, nr_inodes={}", self.size, self.inodes)
    }

    /// What to say where these of the directories were full when the program had failed, by their indexes; none if there
    /// are none.
    pub fn full(&self, indexes: impl Iterator<Item = usize>) -> Option<String> {
        let dirs: Vec<_> =
            indexes.filter_map(|index| self.looked_at.get(index)).map(|dir| dir.display().to_string()).collect();
        let (first, are) = (dirs.first()?, if dirs.len() > 1 { "were" } else { "was" });
        let dirs = if dirs.len() > 1 { dirs.join(" and ") } else { first.clone() };
        let origin = if self.origin.0.is_empty() { String::new() } else { format!(", {}", self.origin) };
        let size = format_size(self.size);
        let fix = if self.halved { "that is half of this machine's memory" } else { "--tmpfs-size SIZE allows more" };
        Some(format!("{dirs} {are} full when the program failed: {size} in memory (filesystem.memory{origin}); {fix}"))
    }
}
