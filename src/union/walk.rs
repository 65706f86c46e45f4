//! Walks through layers and the directories of the host below them, and finds what differs.
//!
//! Each directory is opened below the one above, without following links. What the layers hold of a directory is merged
//! as the kernel does it: the topmost layer that has a name decides, a whiteout hides what is below, and an opaque
//! directory hides what is in those below.

use super::bases::Bases;
pub use super::change::{Change, Difference};
use super::compare;
use super::node::{self, Node, NodeKind, OPAQUE, REDIRECT, open_dir, open_path};
use super::reader::Reader;
use super::seen::{Mark, Seen};
use super::{Store, Upper, wanted};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The deepest level of directories that is looked at: the stack holds more, but not any number.
pub(super) const DEEPEST: usize = 400;

/// What is said of what lies deeper.
pub const TOO_DEEP: &str = "what is in it is left out: it is more than 400 directories deep";

/// Longest path in a message, in bytes.
const LONGEST: usize = 1000;

/// A path for a message: of one that is very long, the start and the end.
pub fn short(path: &Path) -> std::borrow::Cow<'_, str> {
    let bytes = path.as_os_str().as_bytes();
    match (bytes.get(..LONGEST / 2), bytes.len().checked_sub(LONGEST / 2).and_then(|at| bytes.get(at..))) {
        (Some(start), Some(end)) if bytes.len() > LONGEST => {
            format!("{}[...]{}", String::from_utf8_lossy(start), String::from_utf8_lossy(end)).into()
        }
        _ => path.to_string_lossy(),
    }
}

/// What is done at each difference.
pub trait Visitor {
    /// A path differs. What is in an added directory follows, one by one; what is in a deleted one does not.
    fn change(&mut self, change: &Change<'_>) -> Result<()>;

    /// The layers have deleted a path at which the host has nothing. It lies in the directory that the change names.
    fn gone(&mut self, _change: &Change<'_>) -> Result<()> {
        Ok(())
    }

    /// Both sides have made the same of a file since the program saw it. `shows`: without the layer's, the host's is seen inside.
    fn alike(&mut self, _change: &Change<'_>, _shows: bool) -> Result<()> {
        Ok(())
    }

    /// Whether the last change of a host's file is one of a commit of these layers.
    fn is_ours(&self, _node: &Node) -> bool {
        false
    }

    /// A directory of the layers is entered; `opaque` if the host has it, too, and what is in that does not show through.
    fn enter(&mut self, _path: &Path, _dir: (BorrowedFd<'_>, &Node), _opaque: bool) -> Result<()> {
        Ok(())
    }

    /// A directory of the layers is entered, and the host's is known to be the one that the program saw, though it has no
    /// mark yet.
    fn known(&mut self, _dir: BorrowedFd<'_>, _mark: &Mark) -> Result<()> {
        Ok(())
    }

    /// What is in a directory of the layers is not looked at: [`TOO_DEEP`].
    fn too_deep(&mut self, path: &Path);

    /// Whether it wants to be told of deletions alone, for which neither files nor directories are compared.
    fn deletions_alone(&self) -> bool {
        false
    }

    /// Whether it wants to be told of changes, for which files are compared.
    fn compares(&self) -> bool {
        true
    }

    /// Whether it wants to be told of the added directories, too, that a path which is wanted lies in.
    fn with_directories_above(&self) -> bool {
        false
    }
}

/// A directory in the layers, and on the host.
struct Place {
    /// In the layers, the topmost first.
    layers: Vec<OwnedFd>,
    /// On the host, the topmost first.
    host: Vec<OwnedFd>,
    /// What the host has in it does not show through.
    opaque: bool,
    /// What is known of the topmost directory on the host.
    seen: Seen,
    /// The outermost directory, at or above this one, which the program saw, and in whose place the host has another one or none.
    lost: Option<PathBuf>,
}

/// The topmost directory of the host in a list of them.
fn top(host: &[OwnedFd]) -> Option<BorrowedFd<'_>> {
    host.first().map(AsFd::as_fd)
}

/// An error at a path.
pub fn at(path: &Path, what: &str) -> impl Fn(Errno) -> Error {
    let text = format!("cannot {what} {}", short(path));
    move |errno| Error::new(format!("{text}: {errno}"))
}

/// Visits everything that differs in the overlay with this index, or only what is at or below one of `only`.
///
/// # Errors
///
/// A directory or a file cannot be read, the layer is of a kind that is not known, or the visitor fails.
pub fn walk(upper: &Upper, index: usize, only: &[PathBuf], visitor: &mut dyn Visitor) -> Result<()> {
    let Some(layer) = upper.state.layers.get(index) else { return Ok(()) };
    let store: Store = upper.store();
    let own = upper.path().join(index.to_string()).join("upper");
    let frozen = layer.frozen.iter().map(|id| store.frozen(id));
    let paths: Vec<PathBuf> = std::iter::once(own).chain(frozen).collect();
    let open = |path: &PathBuf| open_path(path).map_err(at(path, "open"));
    let layers = paths.iter().map(open).collect::<Result<Vec<_>>>()?;
    let host = layer.lower.iter().map(open).collect::<Result<Vec<_>>>()?;
    let root = host.first().map(|root| Node::dir(root.as_fd())).transpose().map_err(at(&layer.path, "look up"))?;
    let seen = |root: &Node| layer.root.as_deref().and_then(Mark::parse).is_none_or(|mark| mark.is(root));
    let seen = Seen { known: root.is_none_or(|root| seen(&root)), changed: root.map_or(0, |root| root.changed) };
    let place = Place { layers, host, opaque: false, seen, lost: (!seen.known).then(|| layer.path.clone()) };
    let (bases, reader) = (Bases::of(upper), Reader::of(layer));
    let mut walk = Walk { only, own: &layer.own, made: layer.made.into(), runs: &layer.runs, reader, bases, visitor };
    walk.directory(&place, &layer.path, 0)
}

struct Walk<'v> {
    only: &'v [PathBuf],
    /// Paths of files that the view made itself.
    own: &'v [PathBuf],
    /// When the layer was made.
    made: i128,
    /// When the runs started that used the layer.
    runs: &'v [u64],
    /// Who read the host's files for the program.
    reader: Reader,
    /// Files of the host that the program has changed.
    bases: Option<Bases>,
    visitor: &'v mut dyn Visitor,
}

impl Walk<'_> {
    /// Whether a path is one of those that are wanted, or lies below one.
    fn wanted(&self, path: &Path) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| path.starts_with(only))
    }

    /// Whether a path that is wanted lies at or below a path.
    fn on_the_way(&self, path: &Path) -> bool {
        self.wanted(path) || self.only.iter().any(|only| only.starts_with(path))
    }

    /// Whether the layers have a path that is wanted in these directories of theirs, which are at this path.
    fn is_above(&self, layers: &[OwnedFd], path: &Path) -> bool {
        let has = |rest: &Path| {
            let Ok(rest) = CString::new(rest.as_os_str().as_bytes()) else { return false };
            let found = |dir: &OwnedFd| sys::open_below(dir.as_fd(), &rest, libc::O_PATH | libc::O_NOFOLLOW).ok();
            let kind = layers.iter().find_map(found).map(|file| sys::file_type(file.as_fd()));
            kind.is_some_and(|kind| kind.is_ok_and(|kind| kind != libc::S_IFCHR))
        };
        self.only.iter().filter_map(|only| only.strip_prefix(path).ok()).any(has)
    }

    fn directory(&mut self, place: &Place, path: &Path, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            self.visitor.too_deep(path);
            return Ok(());
        }
        let names = names(place, path)?;
        for (name, layer) in &names {
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            if self.on_the_way(&path) && !self.own.contains(&path) {
                self.entry(place, name, *layer, &path, depth)?;
            }
        }
        if place.opaque && self.on_the_way(path) && self.visitor.compares() {
            self.hidden(place, &names, path)?;
        }
        Ok(())
    }

    /// Visits what the host has in an opaque directory, and the layers have not.
    fn hidden(&mut self, place: &Place, names: &BTreeMap<CString, usize>, path: &Path) -> Result<()> {
        let mut gone = BTreeSet::new();
        for dir in &place.host {
            let entries = sys::entries(dir.as_fd()).map_err(at(path, "list"))?;
            gone.extend(entries.into_iter().map(|(name, _)| name).filter(|name| !names.contains_key(name)));
        }
        for name in gone {
            let path = path.join(OsStr::from_bytes(name.to_bytes()));
            let old = on_host(&place.host, &name).map_err(at(&path, "look up"))?;
            if let Some((dir, node)) = old.filter(|_| self.wanted(&path)) {
                let host = top(&place.host);
                let old = Some((dir, node));
                let change = Change {
                    path: &path,
                    name: &name,
                    difference: Difference::Deleted,
                    new: None,
                    old,
                    host,
                    base: self.made,
                    known: place.seen.known,
                    lost: None,
                    attributes_seen: false,
                    reader: self.reader,
                };
                self.visitor.change(&change)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, wanted: bool, change: &Change<'_>) -> Result<()> {
        if wanted && self.visitor.compares() { self.visitor.change(change) } else { Ok(()) }
    }

    /// When the program first changed what has this name: the time at which the lowest of the layers' files was made, each
    /// of which was made of the one below.
    fn base(&self, place: &Place, name: &CStr, layer: usize, inner: &[OwnedFd]) -> sys::Result<i128> {
        if let Some(lowest) = inner.last() {
            return Ok(self.seen(Node::dir(lowest.as_fd())?.made));
        }
        let mut first: Option<Node> = None;
        for dir in place.layers.get(layer..).unwrap_or_default() {
            match Node::find(dir.as_fd(), name)? {
                None => {}
                Some(node) if node.kind == NodeKind::Whiteout || first.is_some_and(|first| first.kind != node.kind) => {
                    return Ok(self.made);
                }
                found => first = found,
            }
        }
        Ok(self.seen(first.and_then(|first| first.made)))
    }

    /// A time before which the program has not seen the host's file that a file of a layer, made at the time `made`, stands
    /// for: the start of the run. The program may have read the file long before it wrote to it, or to another that took its
    /// place; and the kernel goes on with a file of the host's that another has replaced. Whatever the host has changed since
    /// the run started is not known to be in what the layer has.
    fn seen(&self, made: Option<i128>) -> i128 {
        let made = made.unwrap_or(self.made);
        let starts = self.runs.iter().map(|start| i128::from(*start)).filter(|start| *start <= made);
        match (self.runs, starts.max()) {
            ([], _) => made,
            // A change of this very time was made later.
            (_, Some(start)) => start - 1,
            (_, None) => made.min(self.made),
        }
    }

    /// Visits a name that the layers have.
    fn entry(&mut self, place: &Place, name: &CStr, layer: usize, path: &Path, depth: usize) -> Result<()> {
        let failed = at(path, "look up");
        let Some(dir) = place.layers.get(layer).map(AsFd::as_fd) else { return Ok(()) };
        // It may have gone since the directory was listed: nobody else uses the layer, but a visitor may change it.
        let Some(new) = Node::find(dir, name).map_err(&failed)? else { return Ok(()) };
        let old = on_host(&place.host, name).map_err(&failed)?;
        let host = top(&place.host);
        let wanted = self.wanted(path);
        let is_dir = new.kind == NodeKind::Dir;
        let alone = self.visitor.deletions_alone();
        if !is_dir && (!self.visitor.compares() || alone && new.kind != NodeKind::Whiteout) {
            return Ok(());
        }
        let (inner, opaque) = if is_dir { layers_of(place, name, layer, path)? } else { (Vec::new(), place.opaque) };
        let base = match &old {
            // The host's was deleted before what is there now was made.
            Some((_, old)) if old.kind != new.kind => self.made,
            _ => self.base(place, name, layer, &inner).map_err(&failed)?,
        };
        let mark = inner.iter().map(|dir| Mark::read(dir.as_fd())).find_map(sys::Result::transpose);
        let mark = mark.transpose().map_err(&failed)?;
        let old_dir = old.as_ref().map(|(_, node)| *node).filter(|node| node.kind == NodeKind::Dir);
        let unchanged = |host: &Node| host.changed <= base;
        let attributes_seen =
            old_dir.is_some_and(|host| mark.map_or_else(|| unchanged(&host), |mark| mark.is_unchanged(&host)));
        let (known, reader) = (place.seen.known, self.reader);
        // A directory that is opaque, or in one, may have got its mark at another path.
        let had = || match is_dir {
            _ if opaque || place.opaque => false,
            true => mark.is_some(),
            false => new.kind != NodeKind::Whiteout && self.bases.as_ref().is_some_and(|bases| bases.had(path)),
        };
        let lost = match &old {
            None => place.lost.clone().or_else(|| had().then(|| path.to_owned())),
            Some(_) => None,
        };
        let change = |difference, new, old| Change {
            path,
            name,
            difference,
            new,
            old,
            host,
            base,
            known,
            lost: lost.as_deref(),
            attributes_seen,
            reader,
        };
        if new.kind == NodeKind::Whiteout {
            let change = change(Difference::Deleted, None, old);
            return match change.old {
                Some(_) => self.tell(wanted, &change),
                None if wanted => self.visitor.gone(&change),
                None => Ok(()),
            };
        }
        if !is_dir {
            if new.kind == NodeKind::File {
                reject_marks(dir, name, path)?;
            }
            return match &old {
                None => self.tell(wanted, &change(Difference::Added, Some((dir, new)), old)),
                Some((old_dir, before)) if before.kind == new.kind => {
                    let (one, other) = ((dir, name, &new), (*old_dir, name, before));
                    if compare::same(one, other, reader).map_err(at(path, "read"))? {
                        return Ok(());
                    }
                    let change = change(Difference::Modified, Some((dir, new)), old);
                    let both = change.is_conflict(|node| self.visitor.is_ours(node));
                    if !both || !compare::same_but_for_time(one, other, reader).map_err(at(path, "read"))? {
                        return self.tell(wanted, &change);
                    }
                    let told = wanted && self.visitor.compares();
                    if told { self.visitor.alike(&change, !place.opaque) } else { Ok(()) }
                }
                Some(_) => self.tell(wanted, &change(Difference::Modified, Some((dir, new)), old)),
            };
        }
        // Marked before anything is changed there, which changes its times.
        let seen = old_dir.map(|host| place.seen.inner(&host, mark.as_ref(), base));
        if let (Some(host), Some(seen), None, Some(topmost)) = (&old_dir, &seen, &mark, inner.first())
            && seen.known
        {
            self.visitor.known(topmost.as_fd(), &Mark::of(host, unchanged(host)))?;
        }
        match &old {
            _ if alone => {}
            None => {
                let above = !wanted && self.visitor.with_directories_above() && self.is_above(&inner, path);
                self.tell(wanted || above, &change(Difference::Added, Some((dir, new)), old))?;
            }
            Some((_, before)) if before.kind != NodeKind::Dir => {
                self.tell(wanted, &change(Difference::Modified, Some((dir, new)), old))?
            }
            Some((old_dir, before)) => {
                let failed = at(path, "open");
                let new_dir = open_dir(dir, name).map_err(&failed)?;
                let alike = |old: OwnedFd| wanted::is_alike(new_dir.as_fd(), old.as_fd(), reader);
                let alike = match reader.dir(*old_dir, name).and_then(alike) {
                    // What cannot be read of the host was shown without them.
                    Err(Errno(libc::EACCES)) => true,
                    other => other.map_err(&failed)?,
                };
                if new.mode != before.mode || !compare::same_owner(&new, before) || !alike {
                    self.tell(wanted, &change(Difference::Modified, Some((dir, new)), old))?;
                }
            }
        }
        let is_another = || old_dir.is_some_and(|host| !opaque && mark.is_some_and(|mark| !mark.is(&host)));
        let another = place.lost.clone().or_else(|| is_another().then(|| path.to_owned()));
        let inner = Place {
            lost: lost.or(another),
            layers: inner,
            host: hosts_of(place, name, path, self.reader)?,
            opaque,
            // What was made just now is no other's.
            seen: seen.unwrap_or(Seen { known: true, changed: 0 }),
        };
        if let (Some(topmost), true) = (inner.layers.first(), wanted) {
            self.visitor.enter(path, (topmost.as_fd(), &new), inner.opaque && !inner.host.is_empty())?;
        }
        self.directory(&inner, path, depth + 1)
    }
}

/// The names that the layers have in a directory, each with the index of the topmost layer that has it.
fn names(place: &Place, path: &Path) -> Result<BTreeMap<CString, usize>> {
    let mut names = BTreeMap::new();
    for (index, dir) in place.layers.iter().enumerate() {
        for (name, _) in sys::entries(dir.as_fd()).map_err(at(path, "list"))? {
            names.entry(name).or_insert(index);
        }
    }
    Ok(names)
}

/// The directories at a name in a directory of the layers: in the layer with this index, and in those below that show
/// through. And whether what the host has in them does not.
fn layers_of(place: &Place, name: &CStr, layer: usize, path: &Path) -> Result<(Vec<OwnedFd>, bool)> {
    let failed = at(path, "open");
    let (mut layers, mut opaque) = (Vec::new(), place.opaque);
    for dir in place.layers.get(layer..).unwrap_or_default() {
        match Node::find(dir.as_fd(), name).map_err(&failed)?.map(|node| node.kind) {
            None => continue,
            Some(NodeKind::Dir) => {}
            Some(_) => {
                opaque = true;
                break;
            }
        }
        let dir = open_dir(dir.as_fd(), name).map_err(&failed)?;
        let mark = |name: &CStr| sys::attribute_of(dir.as_fd(), name).map_err(&failed);
        if mark(REDIRECT)?.is_some() {
            return Err(unknown(path, "user.overlay.redirect"));
        }
        let cut = mark(OPAQUE)?.is_some_and(|value| value == b"y");
        layers.push(dir);
        if cut {
            opaque = true;
            break;
        }
    }
    Ok((layers, opaque))
}

/// The directories at a name in a directory of the host.
fn hosts_of(place: &Place, name: &CStr, path: &Path, reader: Reader) -> Result<Vec<OwnedFd>> {
    let failed = at(path, "open");
    let mut host = Vec::new();
    for dir in &place.host {
        match Node::find(dir.as_fd(), name).map_err(&failed)?.map(|node| node.kind) {
            None => continue,
            Some(NodeKind::Dir) => {}
            Some(_) => break,
        }
        let inner = match reader.dir(dir.as_fd(), name) {
            // What this user may not read was shown empty.
            Err(Errno(libc::EACCES)) => continue,
            other => other.map_err(&failed)?,
        };
        let cut = place.host.len() > 1
            && sys::attribute_of(inner.as_fd(), OPAQUE).map_err(&failed)?.is_some_and(|v| v == b"y");
        host.push(inner);
        if cut {
            break;
        }
    }
    Ok(host)
}

/// The file that the host has at a name, and the directory that has it. Of several, a whiteout hides what is below.
fn on_host<'p>(host: &'p [OwnedFd], name: &CStr) -> sys::Result<Option<(BorrowedFd<'p>, Node)>> {
    for dir in host {
        let found = match Node::find(dir.as_fd(), name) {
            // What this user may not search was shown empty.
            Err(Errno(libc::EACCES)) => None,
            other => other?,
        };
        match found {
            Some(node) if node.kind == NodeKind::Whiteout && host.len() > 1 => return Ok(None),
            Some(node) => return Ok(Some((dir.as_fd(), node))),
            None => {}
        }
    }
    Ok(None)
}

/// Refuses a file that has its content elsewhere: no layer of ours has such files, so somebody else has made it.
fn reject_marks(dir: BorrowedFd<'_>, name: &CStr, path: &Path) -> Result<()> {
    let failed = at(path, "open");
    let file = node::open_file(dir, name).map_err(&failed)?;
    for mark in [c"user.overlay.metacopy", REDIRECT] {
        if sys::attribute_of(file.as_fd(), mark).map_err(&failed)?.is_some() {
            return Err(unknown(path, mark.to_str().unwrap_or_default()));
        }
    }
    Ok(())
}

fn unknown(path: &Path, mark: &str) -> Error {
    Error::new(format!("{} has the attribute {mark} in the layer, which sbx does not make", path.display()))
        .hint("somebody else has written to the layer: look at it before anything of it is used")
}
