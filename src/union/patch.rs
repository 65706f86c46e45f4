//! Changes as a patch that git applies: differences of texts, and for a file the whole of what is no text.

use super::export::Handed;
use super::git_names;
use super::guarded::Guarded;
use super::node::{Node, NodeKind, open_dir};
use super::reader::Reader;
use super::run_outside::RunOutside;
use super::walk::{Change, DEEPEST, TOO_DEEP, Visitor, at, walk};
use super::{Layer, Upper};
use crate::error::Result;
use crate::sys::{self, Errno};
use sha1::{Digest, Sha1};
use std::ffi::{CStr, OsStr};
use std::fmt::Write;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Size in bytes of the largest file of which a difference is shown as text.
const LARGEST_TEXT: u64 = 4 << 20;

/// Size in bytes of the largest file that a patch holds whole.
const LARGEST: u64 = 32 << 20;

/// How long one difference of texts may take to find. What is found by then is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a file is left out that git refuses to touch.
const REFUSED: &str = "git applies no patch to this name";

/// Gives a patch for each file that differs, one by one: all of them together may be larger than the memory. With `whole`, files that
/// are no texts are in it. Names are those below the overlay's directory, or, of several overlays, those below /. What a commit would not put
/// onto the host unless it is named has a remark.
///
/// # Errors
///
/// A layer or what lies below it cannot be read; and those of `sink`.
pub fn patches(
    upper: &Upper,
    only: &[PathBuf],
    whole: bool,
    guarded: &Guarded,
    sink: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<Handed> {
    let root = match upper.state.layers.as_slice() {
        [layer] => &layer.path,
        _ => Path::new("/"),
    };
    let outside = RunOutside::new(guarded);
    let mut patches = Patches { sink, whole, root, left_out: Vec::new(), outside, layer: None };
    for (index, layer) in upper.state.layers.iter().enumerate() {
        patches.layer = Some(layer);
        walk(upper, index, only, &mut patches)?;
    }
    Ok(Handed { left_out: patches.left_out, run_outside: patches.outside.found })
}

struct Patches<'s> {
    sink: &'s mut dyn FnMut(&str) -> Result<()>,
    whole: bool,
    root: &'s Path,
    left_out: Vec<(PathBuf, &'static str)>,
    outside: RunOutside<'s>,
    /// The layer that is walked through.
    layer: Option<&'s Layer>,
}

/// A file on one side: the directory that has it, and who reads it.
#[derive(Clone, Copy)]
struct Side<'s> {
    dir: BorrowedFd<'s>,
    node: Node,
    reader: Reader,
}

impl Visitor for Patches<'_> {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        let old = change.old.map(|(dir, node)| Side { dir, node, reader: change.reader });
        let new = change.new.map(|(dir, node)| Side { dir, node, reader: Reader::Overlay });
        let name = quoted(b"", self.name(change.path));
        (self.sink)(&remark(change, &name))?;
        if let Some(outermost) = self.layer.and_then(|layer| self.outside.name(layer, change)) {
            let is_link = change.new.is_some_and(|(_, node)| node.kind == NodeKind::Link);
            // What is left out needs no remark.
            if !self.whole || !git_names::refuses(self.name(change.path), is_link) {
                self.outside.count(outermost);
                (self.sink)(&format!("# {name}: tools outside may run what it names\n"))?;
            }
        }
        if let (Some(old), Some(new)) = (old, new)
            && old.node.kind == new.node.kind
        {
            return match is_plain(&new.node) {
                true => self.file(change.path, change.name, Some(old), Some(new)),
                false => Ok(()),
            };
        }
        if let Some(old) = old {
            self.gone(change.path, change.name, old, 0)?;
        }
        match new {
            Some(new) if is_plain(&new.node) => self.file(change.path, change.name, None, Some(new)),
            Some(new) if new.node.kind == NodeKind::Dir => {
                let dir = open_dir(new.dir, change.name).map_err(at(change.path, "open"))?;
                if sys::entries(dir.as_fd()).map_err(at(change.path, "list"))?.is_empty() {
                    self.leave_out(change.path, "a patch has no empty directories");
                }
                Ok(())
            }
            Some(_) => {
                self.leave_out(change.path, "a patch has files and links only");
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn too_deep(&mut self, path: &Path) {
        self.leave_out(path, TOO_DEEP);
    }
}

/// Whether a patch of git's has a file of this kind.
fn is_plain(node: &Node) -> bool {
    matches!(node.kind, NodeKind::File | NodeKind::Link)
}

impl Patches<'_> {
    fn leave_out(&mut self, path: &Path, why: &'static str) {
        self.left_out.push((path.to_owned(), why));
    }

    fn name<'p>(&self, path: &'p Path) -> &'p [u8] {
        path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_bytes()
    }

    /// What the host has, and is deleted: a directory with all that is in it.
    fn gone(&mut self, path: &Path, name: &CStr, old: Side<'_>, depth: usize) -> Result<()> {
        let closed = "you cannot read it on the host";
        match old.node.kind {
            NodeKind::File if old.reader.is_closed(old.dir, name) => self.leave_out(path, closed),
            NodeKind::File | NodeKind::Link => return self.file(path, name, Some(old), None),
            NodeKind::Dir if depth > DEEPEST => self.leave_out(path, TOO_DEEP),
            NodeKind::Dir => {
                let dir = match old.reader.dir(old.dir, name) {
                    Err(Errno(libc::EACCES)) => {
                        self.leave_out(path, closed);
                        return Ok(());
                    }
                    other => other.map_err(at(path, "open"))?,
                };
                for (name, _) in sys::entries(dir.as_fd()).map_err(at(path, "list"))? {
                    let path = path.join(OsStr::from_bytes(name.to_bytes()));
                    let Some(node) = Node::find(dir.as_fd(), &name).map_err(at(&path, "look up"))? else { continue };
                    let side = Side { dir: dir.as_fd(), node, ..old };
                    self.gone(&path, &name, side, depth + 1)?;
                }
            }
            _ => self.leave_out(path, "a patch has files and links only"),
        }
        Ok(())
    }

    /// A file or a link, of the same kind on both sides, or on one of them alone.
    fn file(&mut self, path: &Path, name: &CStr, old: Option<Side<'_>>, new: Option<Side<'_>>) -> Result<()> {
        let failed = at(path, "read");
        let (a, b) = (quoted(b"a/", self.name(path)), quoted(b"b/", self.name(path)));
        let mode = |side: &Side<'_>| match side.node.kind {
            NodeKind::Link => "120000",
            _ if side.node.mode & 0o100 != 0 => "100755",
            _ => "100644",
        };
        let kind = new.or(old).map(|side| side.node.kind);
        let mut out = format!("diff --git {a} {b}\n");
        let mut same_mode = None;
        match (&old, &new) {
            (None, Some(new)) => out.push_str(&format!("new file mode {}\n", mode(new))),
            (Some(old), None) => out.push_str(&format!("deleted file mode {}\n", mode(old))),
            (Some(old), Some(new)) if mode(old) != mode(new) => {
                out.push_str(&format!("old mode {}\nnew mode {}\n", mode(old), mode(new)));
            }
            (Some(old), _) => same_mode = Some(mode(old)),
            (None, None) => {}
        }
        let largest = if self.whole { LARGEST } else { LARGEST_TEXT };
        let read = |side: &Option<Side<'_>>| match side {
            Some(side) => content(side, name, largest).map_err(&failed),
            None => Ok(Some(Vec::new())),
        };
        match (read(&old)?, read(&new)?) {
            // Another time, or permissions that a patch does not have.
            (Some(before), Some(now)) if before == now && same_mode.is_some() => return Ok(()),
            (Some(before), Some(now)) if before == now => {}
            (Some(before), Some(now)) => match (text(&before), text(&now)) {
                (Some(before), Some(now)) => {
                    let none = || "/dev/null".to_owned();
                    let (a, b) = (if old.is_some() { a } else { none() }, if new.is_some() { b } else { none() });
                    lines(before, now, [&a, &b], &mut out);
                }
                _ if self.whole => {
                    let known = |side: &Option<Side<'_>>, content: &[u8]| match side {
                        Some(_) => object_name(content),
                        None => "0".repeat(40),
                    };
                    let _ = write!(out, "index {}..{}", known(&old, &before), known(&new, &now));
                    let _ = same_mode.map(|mode| write!(out, " {mode}"));
                    out.push_str("\nGIT binary patch\n");
                    literal(&now, &mut out);
                }
                _ => out.push_str(&format!("Binary files {a} and {b} differ\n")),
            },
            _ if self.whole => {
                self.leave_out(path, "it is larger than 32 MiB: a tar file has it");
                return Ok(());
            }
            _ => out.push_str(&format!("Binary files {a} and {b} differ\n")),
        }
        if git_names::refuses(self.name(path), kind == Some(NodeKind::Link)) {
            self.leave_out(path, REFUSED);
            return match self.whole {
                true => Ok(()),
                false => (self.sink)(&comment(&out)),
            };
        }
        (self.sink)(&out)
    }
}

/// The lines of a patch as ones that git skips, for whoever reads it.
fn comment(patch: &str) -> String {
    patch.split_inclusive('\n').flat_map(|line| ["# ", line]).collect()
}

/// The difference of two texts, by the names of their files. Lines end with a line feed alone, as git and patch have it.
fn lines(before: &str, now: &str, [a, b]: [&str; 2], out: &mut String) {
    let (before, now): (Vec<_>, Vec<_>) = (before.split_inclusive('\n').collect(), now.split_inclusive('\n').collect());
    let difference = similar::TextDiff::configure().timeout(PATIENCE).diff_slices(&before, &now);
    let mut header = Some(format!("--- {a}\n+++ {b}\n"));
    for hunk in difference.unified_diff().iter_hunks() {
        out.push_str(&header.take().unwrap_or_default());
        let _ = writeln!(out, "{}", hunk.header());
        for change in hunk.iter_changes() {
            let (tag, line) = (change.tag(), change.value());
            let _ = write!(out, "{tag}{line}");
            if !line.ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
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

/// The content of a file, or the text of a link; none if it is larger than this.
fn content(side: &Side<'_>, name: &CStr, largest: u64) -> sys::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match side.node.kind {
        NodeKind::Link => bytes = sys::link_text(side.dir, name)?.into_bytes(),
        _ if side.node.size > largest => return Ok(None),
        _ => {
            match side.reader.file(side.dir, name) {
                // What this user may not read of the host was shown empty.
                Err(Errno(libc::EACCES)) => {}
                file => drop(file?.take(largest).read_to_end(&mut bytes)?),
            }
        }
    }
    Ok(Some(bytes))
}

/// The content as a text; none if it is none, or too long for a difference of texts.
fn text(bytes: &[u8]) -> Option<&str> {
    let short = bytes.len() as u64 <= LARGEST_TEXT;
    std::str::from_utf8(bytes).ok().filter(|text| short && !text.contains('\0'))
}

/// The name of a blob in repositories of git's, of those that use SHA-1.
fn object_name(content: &[u8]) -> String {
    let hash = Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A content as `git apply` reads it: zlib's format, here with blocks that are not compressed, in base85 (git's base85.c).
fn literal(content: &[u8], out: &mut String) {
    let mut zlib = vec![0x78, 0x01];
    let mut blocks = content.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        zlib.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        zlib.push(u8::from(blocks.peek().is_none()));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(block);
    }
    let sums = content.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    zlib.extend((sums.1 << 16 | sums.0).to_be_bytes());
    let _ = writeln!(out, "literal {}", content.len());
    const DIGITS: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    for line in zlib.chunks(52) {
        let length = line.len() as u8;
        out.push(char::from(if length <= 26 { b'A' + length - 1 } else { b'a' + length - 27 }));
        for word in line.chunks(4) {
            let mut value = (0..4).fold(0_u32, |sum, at| sum << 8 | u32::from(word.get(at).copied().unwrap_or(0)));
            let mut digits = [b'0'; 5];
            for digit in digits.iter_mut().rev() {
                *digit = DIGITS.get((value % 85) as usize).copied().unwrap_or(b'0');
                value /= 85;
            }
            out.extend(digits.map(char::from));
        }
        out.push('\n');
    }
    out.push('\n');
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
    use super::*;

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        assert_eq!(quoted(b"a/", b"plain name"), "a/plain name");
        assert_eq!(quoted(b"a/", b"q\"\\\n\xc3\xa9"), r#""a/q\"\\\n\303\251""#);
    }

    #[test]
    fn blobs_have_the_names_that_git_gives_them() {
        assert_eq!(object_name(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(object_name(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
