//! Lists what differs in the layers from the host, and shows differences of texts.

use super::Upper;
use super::below::changed_below;
use super::node::{Node, NodeKind};
use super::ours::Ours;
use super::reader::Reader;
use super::walk::{Change, Difference, Visitor, at, walk};
use crate::error::Result;
use crate::sys::{self, Errno};
use serde::{Serialize, Serializer};
use std::ffi::CStr;
use std::fmt::Write;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Size in bytes of the largest file of which a difference is shown as text.
const LARGEST: u64 = 4 << 20;

/// How long one difference of texts may take to find. What is found by then is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The path inside.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
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
    /// The host's file has changed since it was copied up, or since the layer was made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.to_string_lossy())
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
        walk(upper, index, only, &mut list)?;
    }
    list.entries.sort_by(|one, other| one.path.as_os_str().as_bytes().cmp(other.path.as_os_str().as_bytes()));
    Ok((list.entries, list.deep))
}

/// Gives a patch for each file that differs, one by one: all of them together may be larger than the memory.
///
/// # Errors
///
/// A layer or what lies below it cannot be read; and those of `sink`.
pub fn patches(upper: &Upper, only: &[PathBuf], sink: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    (0..upper.state.layers.len()).try_for_each(|index| walk(upper, index, only, &mut Patches { sink }))
}

struct Patches<'s> {
    sink: &'s mut dyn FnMut(&str) -> Result<()>,
}

impl Visitor for Patches<'_> {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        (self.sink)(&patch(change)?)
    }

    fn too_deep(&mut self, _: &Path) {}
}

struct List {
    entries: Vec<Entry>,
    deep: Vec<PathBuf>,
    /// Files of the host that were changed last by a commit of these layers.
    ours: Ours,
}

impl Visitor for List {
    fn too_deep(&mut self, path: &Path) {
        self.deep.push(path.to_owned());
    }

    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        let node = |side: &Option<(BorrowedFd<'_>, Node)>| side.as_ref().map(|(_, node)| *node);
        let (new, old) = (node(&change.new), node(&change.old));
        let size = |node: Option<Node>| node.filter(|node| node.kind == NodeKind::File).map(|node| node.size);
        let mode = |node: Option<Node>| node.filter(|node| node.kind != NodeKind::Link).map(|node| node.mode);
        self.entries.push(Entry {
            path: change.path.to_owned(),
            change: change.difference,
            kind: new.or(old).map_or(NodeKind::File, |node| node.kind),
            kind_on_host: old.map(|old| old.kind).filter(|old| new.is_some_and(|new| new.kind != *old)),
            mode: mode(new),
            mode_on_host: mode(old).filter(|old| mode(new).is_some_and(|new| new != *old)),
            size: size(new),
            size_on_host: size(old),
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

/// A change as a patch that git applies.
fn patch(change: &Change<'_>) -> Result<String> {
    let failed = at(change.path, "read");
    let name = change.path.strip_prefix("/").unwrap_or(change.path).as_os_str().as_bytes();
    let (a, b) = (quoted(b"a/", name), quoted(b"b/", name));
    let mode = |node: &Node| match node.kind {
        NodeKind::Link => "120000",
        _ if node.mode & 0o100 != 0 => "100755",
        _ => "100644",
    };
    let text = |side: &Option<(BorrowedFd<'_>, Node)>, reader: Reader| match side {
        Some((dir, node)) => content((*dir, change.name), node, reader).map_err(&failed),
        None => Ok(Some(String::new())),
    };
    let plain = |side: &Option<(BorrowedFd<'_>, Node)>| {
        side.as_ref().is_none_or(|(_, node)| matches!(node.kind, NodeKind::File | NodeKind::Link))
    };
    let mut out = remark(change, &quoted(b"", name));
    if !plain(&change.new) || !plain(&change.old) {
        return Ok(out);
    }
    let _ = writeln!(out, "diff --git {a} {b}");
    match (&change.old, &change.new) {
        (None, Some((_, new))) => out.push_str(&format!("new file mode {}\n", mode(new))),
        (Some((_, old)), None) => out.push_str(&format!("deleted file mode {}\n", mode(old))),
        (Some((_, old)), Some((_, new))) if mode(old) != mode(new) => {
            out.push_str(&format!("old mode {}\nnew mode {}\n", mode(old), mode(new)));
        }
        _ => {}
    }
    match (text(&change.old, change.reader)?, text(&change.new, Reader::Overlay)?) {
        (Some(old), Some(new)) if old == new => {}
        (Some(old), Some(new)) => {
            let none = "/dev/null".to_owned();
            let (a, b) =
                (if change.old.is_some() { a } else { none.clone() }, if change.new.is_some() { b } else { none });
            // Lines end with a line feed alone, as git and patch have it.
            let (old, new): (Vec<_>, Vec<_>) =
                (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
            let mut configured = similar::TextDiff::configure();
            let difference = configured.timeout(PATIENCE).newline_terminated(true).diff_slices(&old, &new);
            out.push_str(&difference.unified_diff().header(&a, &b).to_string());
        }
        _ => out.push_str(&format!("Binary files {a} and {b} differ\n")),
    }
    Ok(out)
}

/// What a patch of git's does not hold, in a line that git skips: kinds of files other than files and links, and
/// permissions beyond those of execution.
fn remark(change: &Change<'_>, name: &str) -> String {
    let other = |kind: NodeKind| !matches!(kind, NodeKind::File | NodeKind::Link | NodeKind::Dir);
    match (&change.old, &change.new) {
        (Some((_, old)), Some((_, new))) if old.kind != new.kind => {
            format!("# {name}: {} instead of {}\n", new.kind.word(), old.kind.word())
        }
        (Some((_, old)), Some((_, new))) if old.mode != new.mode && new.kind != NodeKind::Link => {
            format!("# {name}: mode {:04o} → {:04o}\n", old.mode, new.mode)
        }
        (None, Some((_, new))) if other(new.kind) => format!("# {name}: {}\n", new.kind.word()),
        (Some((_, old)), None) if other(old.kind) => format!("# {name}: {}, deleted\n", old.kind.word()),
        _ => String::new(),
    }
}

/// The text of a file or of a link; none if it is too large, or no text.
fn content((dir, name): (BorrowedFd<'_>, &CStr), node: &Node, reader: Reader) -> sys::Result<Option<String>> {
    let mut bytes = Vec::new();
    match node.kind {
        NodeKind::Link => bytes = sys::link_text(dir, name)?.into_bytes(),
        _ if node.size > LARGEST => return Ok(None),
        _ => match reader.file(dir, name) {
            // What this user may not read of the host was shown empty.
            Err(Errno(libc::EACCES)) => {}
            file => drop(file?.take(LARGEST).read_to_end(&mut bytes)?),
        },
    }
    Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
}

/// A name as git writes it: in quotes, with escapes, if it has control characters, quotes, backslashes, or bytes beyond
/// ASCII.
fn quoted(start: &[u8], name: &[u8]) -> String {
    let odd = |byte: &u8| !(b' '..=b'~').contains(byte) || matches!(byte, b'"' | b'\\');
    let all = [start, name].concat();
    if !all.iter().any(odd) {
        return String::from_utf8_lossy(&all).into_owned();
    }
    let mut out = String::from("\"");
    for byte in all {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            byte if odd(&byte) => drop(write!(out, "\\{byte:03o}")),
            byte => out.push(char::from(byte)),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        assert_eq!(quoted(b"a/", b"plain name"), "a/plain name");
        assert_eq!(quoted(b"a/", b"q\"\\\n\xc3\xa9"), r#""a/q\"\\\n\303\251""#);
    }
}
