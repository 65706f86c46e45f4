//! What files of the host were when a program changed them. The kernel does not keep that: it is noted when the program has ended, of
//! files that the host has not changed since the run began, so that it is what the program saw; of texts, with a copy. Two changes of one
//! text can be merged by it later, and a file that the host has deleted since is told from a new one.

use super::Upper;
use super::change::Change;
use super::node::{self, Node, NodeKind, open_dir};
use crate::sys::{self, Errno};
use sha2::{Digest, Sha256};
use std::ffi::{CStr, CString, OsStr};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Name of the directory, beside the layers: a file for each file of the host, named after its path: with the path, which file of the
/// host it was, and the text, if it was one.
const NAME: &CStr = c"bases";

/// The largest text that is kept, in bytes.
const LARGEST: u64 = 1 << 20;

/// A file that is noted.
struct Kept {
    path: PathBuf,
    /// Which file of the host it was.
    host: String,
    text: Option<Vec<u8>>,
}

/// What tells a file of the host from another, and from itself after a change.
fn facts(node: &Node) -> String {
    format!("{} {}", node.id.1, node.changed)
}

/// The files of the host that are noted beside layers.
pub(super) struct Bases(OwnedFd);

impl Bases {
    /// Those that are kept; none if there are none.
    pub fn of(upper: &Upper) -> Option<Bases> {
        open_dir(upper.directory(), NAME).ok().map(Bases)
    }

    /// Those that are kept, to which others can be added.
    pub fn open(upper: &Upper) -> sys::Result<Bases> {
        match sys::mkdirat(upper.directory(), NAME, 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(errno),
        }
        open_dir(upper.directory(), NAME).map(Bases)
    }

    /// Keeps what the host has, if that is a text which the host has not changed since the program saw it. What was kept before stays:
    /// the program has gone on with its own. Unless both have changed it since: in the run that began at `started`, the program may have
    /// seen another file of the host's.
    pub fn keep(&self, change: &Change<'_>, started: i128, ours: &dyn Fn(&Node) -> bool) -> sys::Result<()> {
        let (Some((_, new)), Some((dir, old))) = (&change.new, &change.old) else { return Ok(()) };
        if new.kind == NodeKind::Dir || old.kind == NodeKind::Dir {
            return self.forget(change.path);
        }
        if let Some(kept) = self.read(&name(change.path)) {
            let same = kept.host == facts(old);
            return if same || new.changed < started { Ok(()) } else { self.forget(change.path) };
        }
        if change.is_conflict(ours) {
            return Ok(());
        }
        let text = match (new.kind, old.kind) {
            (NodeKind::File, NodeKind::File) => change.reader.file(*dir, change.name).and_then(|file| text(file, old)),
            _ => Ok(None),
        };
        if Node::find(*dir, change.name)?.is_none_or(|now| facts(&now) != facts(old)) {
            return Ok(());
        }
        let (beside, file) = sys::create_beside(self.0.as_fd(), ".new")?;
        let path = change.path.as_os_str().as_bytes();
        sys::write_all(file.as_fd(), &[path, b"\0", facts(old).as_bytes()].concat())?;
        if let Ok(Some(text)) = text {
            sys::write_all(file.as_fd(), &[b"\0", text.as_bytes()].concat())?;
        }
        sys::rename(self.0.as_fd(), &beside, self.0.as_fd(), &name(change.path), 0)
    }

    /// The text that the program saw at a path, if it is known.
    pub fn get(&self, path: &Path) -> Option<String> {
        let kept = self.read(&name(path))?;
        if kept.path == path { String::from_utf8(kept.text?).ok() } else { None }
    }

    /// Whether the host had a file at a path that the program has changed or replaced.
    pub fn had(&self, path: &Path) -> bool {
        self.read(&name(path)).is_some_and(|kept| kept.path == path)
    }

    fn read(&self, name: &CStr) -> Option<Kept> {
        let mut all = Vec::new();
        let file = node::open_file(self.0.as_fd(), name).ok()?;
        file.take(LARGEST + (64 << 10)).read_to_end(&mut all).ok()?;
        let mut parts = all.splitn(3, |byte| *byte == 0);
        let (path, host, text) = (parts.next()?, parts.next()?, parts.next().map(<[u8]>::to_vec));
        let path = Path::new(OsStr::from_bytes(path)).to_owned();
        Some(Kept { path, host: String::from_utf8(host.to_vec()).ok()?, text })
    }

    /// Forgets the texts of paths that the layers have no longer: what they have there next is made of another.
    pub fn sweep(&self, is_there: &dyn Fn(&Path) -> bool) -> sys::Result<()> {
        for (name, _) in sys::entries(self.0.as_fd())? {
            if !self.read(&name).is_some_and(|kept| is_there(&kept.path)) {
                sys::unlink(self.0.as_fd(), &name, false)?;
            }
        }
        Ok(())
    }

    /// Forgets the text of a path.
    pub fn forget(&self, path: &Path) -> sys::Result<()> {
        match sys::unlink(self.0.as_fd(), &name(path), false) {
            Err(Errno(libc::ENOENT)) => Ok(()),
            other => other,
        }
    }
}

/// The name of the file for a path.
fn name(path: &Path) -> CString {
    let hash = Sha256::digest(path.as_os_str().as_bytes());
    CString::new(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).unwrap_or_default()
}

/// The text of an open file; none if it is no text, or too long.
pub(super) fn text(file: std::fs::File, node: &Node) -> sys::Result<Option<String>> {
    if node.size > LARGEST {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    let whole = bytes.len() as u64 == node.size;
    Ok(String::from_utf8(bytes).ok().filter(|text| whole && !text.contains('\0')))
}
