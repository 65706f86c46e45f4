//! Rules that close names in a directory where they are there, as the long list of `base/worktree` does: for most of them, nothing is
//! there. The directory is read at once, and what is not in it takes no rule.

use super::builder::Builder;
use crate::profile::document::Text;
use crate::spec::{Mode, Unseen};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many such rules make it worth to read a directory.
const MANY: usize = 12;

/// The value of such a rule.
const CLOSES: &str = "ro,optional";

/// What such a rule's path begins with.
pub(super) const HERE: &str = "${CWD}/";

/// A directory whose names are known, and the lines that close what is not there.
pub(super) struct Ahead<'a> {
    pub dir: PathBuf,
    names: BTreeSet<OsString>,
    left_out: Vec<&'a Text>,
}

/// Whether a rule closes its path where that is there, and does nothing else.
pub(super) fn closes(value: &Text) -> bool {
    // Most are written so.
    let words = || value.text.split(',').map(str::trim).eq([Mode::Ro.word(), "optional"]);
    value.text == CLOSES || (value.text.len() > CLOSES.len() && words())
}

/// The first part of a path below the current directory, if it is written plainly.
fn first(inner: &[u8]) -> Option<&[u8]> {
    let is_plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    let plain = |byte: &u8| PLAIN[usize::from(*byte)];
    if !inner.iter().all(plain) {
        return None;
    }
    let mut parts = inner.split(|byte| *byte == b'/');
    let name = parts.next().filter(|name| is_plain(name))?;
    parts.all(is_plain).then_some(name)
}

/// The bytes of paths that are written plainly: nothing in them stands for something else.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let is = byte as u8;
        plain[byte] = is.is_ascii_alphanumeric() || matches!(is, b'.' | b'_' | b'-' | b'/');
        byte += 1;
    }
    plain
};

impl<'a> Ahead<'a> {
    /// Leaves a line out if it closes a name that is not there. Whether it was left out.
    pub fn takes(&mut self, name: &'a Text, inner: &str) -> bool {
        let Some(first) = first(inner.as_bytes()) else { return false };
        let has = match first.iter().any(u8::is_ascii_uppercase) {
            true => self.names.contains(OsStr::from_bytes(&first.to_ascii_lowercase())),
            false => self.names.contains(OsStr::from_bytes(first)),
        };
        if !has {
            self.left_out.push(name);
        }
        !has
    }

    /// Whether one of the lines that were left out is for this path.
    pub fn has(&self, path: &Path) -> bool {
        let inner = self.inner(path);
        inner.is_some_and(|inner| self.left_out.iter().any(|line| line.text.as_bytes()[HERE.len()..] == *inner))
    }

    /// Forgets the line for this path, which has a rule.
    pub fn forget(&mut self, path: &Path) {
        let Some(inner) = self.inner(path).map(<[u8]>::to_vec) else { return };
        self.left_out.retain(|line| line.text.as_bytes()[HERE.len()..] != *inner);
    }

    /// What a path is below the directory.
    fn inner<'p>(&self, path: &'p Path) -> Option<&'p [u8]> {
        path.as_os_str().as_bytes().strip_prefix(self.dir.as_os_str().as_bytes())?.strip_prefix(b"/")
    }
}

impl<'a> Builder<'a> {
    /// Reads a directory ahead of the rules for names in it; none if there are few, if it cannot be read or has too many names, or
    /// if a project's file has to be judged by each of them.
    pub(super) fn ahead(&self, dir: &Path) -> Option<Ahead<'a>> {
        let names_in = self.vars.names_in?;
        let rules = self.merged.map("filesystem.paths");
        if self.sources.has_project() || rules.iter().filter(|(name, _)| name.text.starts_with(HERE)).count() < MANY {
            return None;
        }
        Some(Ahead { dir: dir.to_owned(), names: names_in(dir)?, left_out: Vec::new() })
    }

    /// What was left out, with the places of the lines.
    pub(super) fn unseen(&self, ahead: impl IntoIterator<Item = Ahead<'a>>) -> Vec<Unseen> {
        let mut found: Vec<Unseen> = Vec::new();
        for Ahead { dir, mut left_out, .. } in ahead {
            left_out.sort_by_key(|line| line.at.source);
            for lines in left_out.chunk_by(|one, other| one.at.source == other.at.source) {
                let Some(source) = lines.first().and_then(|line| self.sources.get(line.at.source)) else { continue };
                let name = |line: &&Text| (line.text[HERE.len()..].to_owned(), source.line(&line.at));
                let names = lines.iter().map(name).collect();
                found.push(Unseen { dir: dir.clone(), source: source.name.clone(), names });
            }
        }
        found
    }
}
