//! Writes the changes of layers as a tar file, as a layer of an OCI image: a deleted file is a file named `.wh.NAME`, and a
//! directory that hides what was in it before has a file `.wh..wh..opq` (OCI image-spec, layer.md).

use super::guarded::Guarded;
use super::node::{self, Node, NodeKind, open_dir};
use super::run_outside::RunOutside;
use super::walk::{Change, Difference, TOO_DEEP, Visitor, at, walk};
use super::{Layer, Upper};
use crate::archive;
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{CStr, OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// What was handed out.
#[derive(Debug, Default)]
pub struct Handed {
    /// What is left out, and why.
    pub left_out: Vec<(PathBuf, &'static str)>,
    /// Names that are in it, and from which tools outside may run something, each with the number of files at or below it.
    pub run_outside: BTreeMap<PathBuf, usize>,
}

/// Writes everything that differs in all overlays of these layers.
///
/// # Errors
///
/// A file cannot be read, or the output not written.
pub fn export(upper: &Upper, guarded: &Guarded, output: impl Write) -> Result<Handed> {
    let (names, known) = (HashMap::new(), HashSet::new());
    let outside = RunOutside::new(guarded);
    let mut export = Export { tar: Builder::new(output), names, known, left_out: Vec::new(), outside, layer: None };
    for (index, layer) in upper.state.layers.iter().enumerate() {
        export.layer = Some(layer);
        walk(upper, index, &[], &mut export)?;
    }
    let Export { tar, left_out, outside, .. } = export;
    tar.into_inner().and_then(|mut output| output.flush()).map_err(|error| written(&error))?;
    Ok(Handed { left_out, run_outside: outside.found })
}

fn written(error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().map_or(Errno(libc::EIO), Errno);
    Error::new(format!("cannot write the tar file: {errno}"))
}

struct Export<'e, W: Write> {
    tar: Builder<W>,
    /// The first name of each file with several, by device and inode number.
    names: HashMap<(u64, u64), PathBuf>,
    /// Directories that have an entry.
    known: HashSet<PathBuf>,
    left_out: Vec<(PathBuf, &'static str)>,
    outside: RunOutside<'e>,
    /// The layer that is walked through.
    layer: Option<&'e Layer>,
}

impl<W: Write> Visitor for Export<'_, W> {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        let path = change.path.strip_prefix("/").unwrap_or(change.path);
        if is_whiteout(path) {
            if change.name.to_bytes().starts_with(WHITEOUT) {
                self.left_out
                    .push((change.path.to_owned(), "its name would be the mark of a deletion in the tar file"));
            }
            return Ok(());
        }
        match (change.difference, change.new) {
            // In an opaque directory nothing of the host's is left anyway.
            (Difference::Deleted, _) | (_, None) if path.parent().is_some_and(|dir| self.is_opaque(dir)) => Ok(()),
            (Difference::Deleted, _) | (_, None) => {
                let name = [WHITEOUT, change.name.to_bytes()].concat();
                self.empty(&path.with_file_name(OsStr::from_bytes(&name)))
            }
            (_, Some((dir, node))) => {
                if let Some(name) = self.layer.and_then(|layer| self.outside.name(layer, change)) {
                    self.outside.count(name);
                }
                self.file(dir, change.name, &node, path).map_err(at(change.path, "export"))
            }
        }
    }

    fn too_deep(&mut self, path: &Path) {
        self.left_out.push((path.to_owned(), TOO_DEEP));
    }

    fn enter(&mut self, path: &Path, (dir, node): (BorrowedFd<'_>, &Node), opaque: bool) -> Result<()> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        if is_whiteout(inside) {
            return Ok(());
        }
        self.directory(dir, node, inside).map_err(at(path, "export"))?;
        // The topmost directory that hides what is below has the mark.
        if opaque && !self.is_opaque(inside) {
            self.known.insert(inside.join(OPAQUE));
            self.empty(&inside.join(OPAQUE))?;
        }
        Ok(())
    }
}

/// What is said of a file of which attributes are left out.
const NO_KEY: &str = "it has extended attributes whose names would come out of a tar file as others (with `=`, `%3D`, `%25`, or not UTF-8): the file is in it without these";

/// The start of the names that mark deleted files.
const WHITEOUT: &[u8] = b".wh.";

/// Whether a path has a name that would be taken for the mark of a deletion.
fn is_whiteout(path: &Path) -> bool {
    path.iter().any(|name| name.as_bytes().starts_with(WHITEOUT))
}

/// Name of the file that marks an opaque directory.
const OPAQUE: &str = ".wh..wh..opq";

impl<W: Write> Export<'_, W> {
    /// Whether a directory, or one above it, has the mark of an opaque one.
    fn is_opaque(&self, dir: &Path) -> bool {
        dir.ancestors().any(|dir| self.known.contains(&dir.join(OPAQUE)))
    }

    fn empty(&mut self, path: &Path) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(0o600);
        self.tar.append_data(&mut header, path, std::io::empty()).map_err(|error| written(&error))
    }

    /// Adds a directory, unless it has an entry.
    fn directory(&mut self, dir: BorrowedFd<'_>, node: &Node, path: &Path) -> sys::Result<()> {
        if !self.known.insert(path.to_owned()) {
            return Ok(());
        }
        self.extended(dir, path)?;
        let mut header = header(node, EntryType::Directory);
        Ok(self.tar.append_data(&mut header, path, std::io::empty())?)
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &CStr, node: &Node, path: &Path) -> sys::Result<()> {
        let mut plain = header(node, EntryType::Regular);
        if node.kind == NodeKind::Dir {
            let dir = open_dir(dir, name)?;
            return self.directory(dir.as_fd(), node, path);
        }
        if node.names > 1 && node.kind == NodeKind::File {
            if let Some(first) = self.names.get(&node.id) {
                let mut header = header(node, EntryType::Link);
                header.set_size(0);
                return Ok(self.tar.append_link(&mut header, path, first)?);
            }
            self.names.insert(node.id, path.to_owned());
        }
        match node.kind {
            NodeKind::File => {
                let mut file = node::open_file(dir, name)?;
                self.extended(file.as_fd(), path)?;
                // One with holes is written as such, and may be of any size.
                let sparse = node.size > 0 && sys::next_data(file.as_fd(), 0)? != Some((0, node.size));
                // Looking for holes has moved the offset.
                std::io::Seek::rewind(&mut file)?;
                if sparse {
                    return Ok(self.tar.append_file(path, &mut file)?);
                }
                plain.set_size(node.size);
                // Exactly as long as it says, even if the file is another by now.
                let content = std::io::Read::take(std::io::Read::chain(file, std::io::repeat(0)), node.size);
                Ok(self.tar.append_data(&mut plain, path, content)?)
            }
            NodeKind::Link => {
                let text = OsString::from_vec(sys::link_text(dir, name)?.into_bytes());
                let mut header = header(node, EntryType::Symlink);
                Ok(archive::append_link(&mut self.tar, &mut header, path, &text)?)
            }
            NodeKind::Fifo => {
                let mut header = header(node, EntryType::Fifo);
                Ok(self.tar.append_data(&mut header, path, std::io::empty())?)
            }
            _ => {
                self.left_out.push((Path::new("/").join(path), "a tar file of layers has no sockets and devices"));
                Ok(())
            }
        }
    }

    /// Adds the extended attributes of a file as a header of the entry that follows.
    fn extended(&mut self, fd: BorrowedFd<'_>, path: &Path) -> sys::Result<()> {
        let attributes = node::attributes(fd)?;
        let named =
            attributes.iter().filter_map(|(name, value)| Some((archive::attribute_key(name.to_bytes())?, value)));
        let named: Vec<_> = named.collect();
        if named.len() < attributes.len() {
            self.left_out.push((Path::new("/").join(path), NO_KEY));
        }
        if named.is_empty() {
            return Ok(());
        }
        Ok(self.tar.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?)
    }
}

fn header(node: &Node, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(node.mode);
    header.set_uid(node.uid.into());
    header.set_gid(node.gid.into());
    header.set_mtime(u64::try_from(node.modified / 1_000_000_000).unwrap_or(0));
    header.set_size(0);
    header
}
