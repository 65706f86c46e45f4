//! Which files of a layer are files of the host under another name. Only the view server's matter: it shows no access control lists and
//! extended attributes, so that a renamed file has lost them, and has what a list's mask allowed as permissions of its group.
//!
//! The kernel marks what it has copied up from below, without saying from where. A renamed file has the size, the time of change, the
//! permissions and the content of one that the host has at a name where the layer has something else, or nothing.

use super::Upper;
use super::change::Change;
use super::compare::same_content;
use super::node::{Node, NodeKind, attributes, open_file};
use super::reader::Reader;
use super::walk::{DEEPEST, Visitor, walk};
use super::wanted::Known;
use crate::error::Result;
use crate::sys;
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// Files of the host that are kept open, at most.
const MOST: usize = 1000;

/// The mark of what was copied up.
const COPIED: &CStr = c"user.overlay.origin";

/// What tells a file from others before its content is compared: size, time of the last change, permissions.
type Facts = (u64, i128, u32);

fn facts(node: &Node) -> Facts {
    (node.size, node.modified, node.mode)
}

/// Files of the host that may have another name in a layer.
#[derive(Default)]
pub(super) struct Renamed {
    /// Those that have attributes, kept open; none for one that has no attributes.
    files: HashMap<Facts, Vec<Option<Rc<OwnedFd>>>>,
    /// Whether one of the files has attributes: without, nothing can have been lost.
    listed: bool,
    open: usize,
}

impl Renamed {
    /// Those of the layer with this index.
    pub fn of(upper: &Upper, index: usize, reader: Reader) -> Result<Renamed> {
        let mut renamed = Renamed::default();
        if reader == Reader::Server {
            walk(upper, index, &[], &mut renamed)?;
        }
        Ok(renamed)
    }

    /// The file of the host that a file of a layer is, if it was copied up from one of another name: none if it was not, or that is the
    /// one with its own name. An error: it was, and that file is not known, which may have had a list.
    pub fn find(&self, change: &Change<'_>) -> sys::Result<std::result::Result<Option<Known>, ()>> {
        let Some((dir, new)) = change.new.as_ref().filter(|(_, new)| new.kind == NodeKind::File && self.listed) else {
            return Ok(Ok(None));
        };
        let file = open_file(*dir, change.name)?;
        if sys::attribute_of(file.as_fd(), COPIED)?.is_none() {
            return Ok(Ok(None));
        }
        let alike = self.files.get(&facts(new)).map(Vec::as_slice).unwrap_or_default();
        for other in alike.iter().flatten() {
            if same_content(&file, &other.try_clone()?.into())? {
                return Ok(Ok(Some(Known::File(Rc::clone(other)))));
            }
        }
        match (alike.iter().any(Option::is_none), change.old.is_some()) {
            (true, _) => Ok(Ok(Some(Known::Plain))),
            (false, true) => Ok(Ok(None)),
            (false, false) => Ok(Err(())),
        }
    }

    fn add(&mut self, dir: BorrowedFd<'_>, name: &CStr, node: &Node, reader: Reader) {
        // Of what the server could not read, nobody has a copy.
        let Ok(file) = reader.file(dir, name) else { return };
        let has = attributes(file.as_fd()).is_ok_and(|attributes| !attributes.is_empty());
        self.listed |= has;
        self.open += usize::from(has);
        if !has || self.open <= MOST {
            self.files.entry(facts(node)).or_default().push(has.then(|| Rc::new(file.into())));
        }
    }

    fn add_all(&mut self, dir: BorrowedFd<'_>, reader: Reader, depth: usize) {
        for (name, _) in sys::entries(dir).unwrap_or_default() {
            match Node::find(dir, &name) {
                Ok(Some(node)) if node.kind == NodeKind::File => self.add(dir, &name, &node, reader),
                Ok(Some(node)) if node.kind == NodeKind::Dir && depth < DEEPEST => {
                    if let Ok(inner) = reader.dir(dir, &name) {
                        self.add_all(inner.as_fd(), reader, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Visitor for Renamed {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        let Some((dir, old)) = &change.old else { return Ok(()) };
        let replaced = change.new.as_ref().is_none_or(|(_, new)| new.kind != NodeKind::Dir);
        match old.kind {
            NodeKind::File => self.add(*dir, change.name, old, change.reader),
            NodeKind::Dir if replaced => {
                if let Ok(inner) = change.reader.dir(*dir, change.name) {
                    self.add_all(inner.as_fd(), change.reader, 0);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn too_deep(&mut self, _: &Path) {}
}
