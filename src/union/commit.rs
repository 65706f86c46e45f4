//! Puts changes of a layer onto the host.
//!
//! Each file is copied beside its place, under a name of its own, and then takes that place at once (renameat2(2)). What
//! it replaces is looked at once more after that: if it is not what was compared before, the exchange is undone. So at
//! every moment the host has the old file or the new one, and the layer keeps the new one until all of it is written. A
//! commit that was interrupted leaves at most one such name, which its journal has; the next commit removes it, or what is
//! left of it, and goes on.

use super::below::changed_below;
use super::compare;
use super::copy;
use super::journal::{BESIDE, Entry, Facts, Journal, Phase};
use super::node::{Attributes, Node, NodeKind, open_dir};
use super::prune::prune;
use super::reader::Reader;
use super::recover::recover;
use super::seen::Mark;
use super::stop::{Stop, cannot, conflict, may_copy, may_write};
use super::walk::{Change, Difference, TOO_DEEP, Visitor, at, walk};
use super::{Upper, remove};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What was, or would be, done.
#[derive(Debug, Default)]
pub struct Committed {
    /// Paths on the host that are now as they are in the layer, or no longer there.
    pub done: Vec<(char, PathBuf)>,
    /// Paths that were left as they are on the host, since that has changed meanwhile, with the reason.
    pub conflicts: Vec<(PathBuf, String)>,
    /// What was not put onto the host of a path, and why.
    pub left_out: Vec<(PathBuf, String)>,
    /// Whether some of these paths are not on the host at all.
    pub incomplete: bool,
}

/// Puts everything that differs in the layers onto the host, or what is at or below one of `only`. With `dry`, nothing is
/// changed. `step` is called before each path.
///
/// # Errors
///
/// A layer lies over several directories, or a file cannot be read or written. What was done until then stays done.
pub fn commit(upper: &Upper, only: &[PathBuf], dry: bool, step: &mut dyn FnMut()) -> Result<Committed> {
    if let Some(layer) = upper.state.layers.iter().find(|layer| layer.lower.len() > 1) {
        return Err(Error::new(format!("{} lies over several directories of the host", layer.path.display()))
            .hint(format!("`sbx export {}` writes the changes to a file", upper.name)));
    }
    let journal = Journal::of(upper);
    if !dry {
        recover(upper, &journal)?;
    }
    let mut committed = Committed::default();
    for (index, layer) in upper.state.layers.iter().enumerate() {
        let Some(lower) = layer.lower.first() else { continue };
        let root = CString::new(lower.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL));
        let root = root.and_then(|root| sys::open_resolved(&root)).and_then(|root| open_dir(root.as_fd(), c"."));
        let root = root.map_err(at(lower, "open"))?;
        let mount = Node::dir(root.as_fd()).map_err(at(lower, "look up"))?.mount;
        let mut commit = Commit {
            out: &mut committed,
            dry,
            mount,
            reader: Reader::of(layer),
            changed: RefCell::default(),
            would_be: HashSet::new(),
            count: 0,
            index,
            places: (&layer.path, lower),
            journal: &journal,
            step: &mut *step,
            closed: RefCell::default(),
            deletes: false,
            added_all: true,
            chosen: only,
        };
        // What was deleted may be under another name by now, which has to be there first.
        walk(upper, index, only, &mut commit)?;
        commit.deletes = true;
        walk(upper, index, only, &mut commit)?;
        for (host, name, node, wanted) in commit.closed.take().iter().rev() {
            // One that could not be made is not there.
            let found = Node::find(host.as_fd(), name).map_err(at(lower, "look up what is in"))?;
            if found.is_some_and(|found| found.kind == NodeKind::Dir) {
                like((host.as_fd(), name), node, wanted).map_err(at(lower, "set permissions in"))?;
            }
        }
        if !dry {
            sys::sync_filesystem(root.as_fd()).map_err(at(lower, "write"))?;
            if layer.frozen.is_empty() {
                prune(upper, index, root.as_fd())
                    .map_err(at(&layer.path, "take what is on the host out of the layer of"))?;
            }
        }
    }
    committed.done.sort_by(|one, other| one.1.cmp(&other.1));
    if !dry {
        journal.end();
    }
    Ok(committed)
}

struct Commit<'c> {
    out: &'c mut Committed,
    dry: bool,
    /// The mount of the host's directory: what is mounted below it is not written to.
    mount: (u64, u64),
    /// Who read the host's files for the program.
    reader: Reader,
    /// Files of the host with several names, of which this commit has taken one, and the time of change that this made.
    changed: RefCell<HashMap<(u64, u64), i128>>,
    /// Directories that a dry run would have made, by their paths inside.
    would_be: HashSet<PathBuf>,
    count: u32,
    /// Index of the layer.
    index: usize,
    /// Path of the overlay inside, and its directory on the host.
    places: (&'c Path, &'c Path),
    journal: &'c Journal<'c>,
    step: &'c mut dyn FnMut(),
    /// Directories that get their permissions at the end, with the directory of the host that each is in.
    closed: RefCell<Vec<(OwnedFd, CString, Node, Attributes)>>,
    /// Deletions are carried out, rather than everything else.
    deletes: bool,
    /// Everything that was added is on the host.
    added_all: bool,
    /// The paths that were asked for by name.
    chosen: &'c [PathBuf],
}

impl Visitor for Commit<'_> {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        if change.new.is_none() != self.deletes {
            return Ok(());
        }
        if self.deletes && !self.added_all && !self.chosen.iter().any(|path| change.path.starts_with(path)) {
            let why = "it may have another name in the layer, which could not be put there; name it to delete it";
            self.out.left_out.push((self.on_host(change.path), why.into()));
            self.out.incomplete = true;
            return Ok(());
        }
        let letter = match change.difference {
            Difference::Added => 'A',
            Difference::Modified => 'M',
            Difference::Deleted => 'D',
        };
        (self.step)();
        match self.put(change) {
            Ok(()) => {
                if self.dry && change.new.is_some_and(|(_, new)| new.kind == NodeKind::Dir) {
                    self.would_be.insert(change.path.to_owned());
                }
                self.out.done.push((letter, self.on_host(change.path)));
            }
            Err(Stop::Conflict(why)) => {
                self.added_all &= !may_be_moved(change);
                self.out.conflicts.push((self.on_host(change.path), why));
            }
            Err(Stop::LeftOut(why)) => {
                self.added_all &= !may_be_moved(change);
                self.out.left_out.push((self.on_host(change.path), why));
                self.out.incomplete = true;
            }
            Err(Stop::Broken(errno)) => return Err(at(change.path, "commit")(errno)),
        }
        Ok(())
    }

    fn deletions_alone(&self) -> bool {
        self.deletes
    }

    fn too_deep(&mut self, path: &Path) {
        if !self.deletes {
            self.added_all = false;
            self.out.conflicts.push((self.on_host(path), TOO_DEEP.into()));
        }
    }

    fn known(&mut self, dir: BorrowedFd<'_>, mark: &Mark) -> Result<()> {
        // Without the mark, what is not committed today is compared by times alone.
        let _ = if self.dry { Ok(()) } else { mark.write(dir) };
        Ok(())
    }
}

/// A directory with all rights for its owner: what is in it follows.
fn open(node: &Node) -> Node {
    Node { mode: node.mode | 0o700, ..*node }
}

/// Whether this is a file or a directory at a name that the host has not, which may have had another name there.
fn may_be_moved(change: &Change<'_>) -> bool {
    let is_content = |node: &Node| matches!(node.kind, NodeKind::File | NodeKind::Dir | NodeKind::Link);
    change.old.is_none() && change.new.as_ref().is_some_and(|(_, node)| is_content(node))
}

impl Commit<'_> {
    /// Whether the last change of a host's file is that of this commit, which has taken another name of it.
    fn is_ours(&self, node: &Node) -> bool {
        self.changed.borrow().get(&node.id) == Some(&node.changed)
    }

    /// The path on the host of a path inside.
    fn on_host(&self, path: &Path) -> PathBuf {
        let (inside, host) = self.places;
        path.strip_prefix(inside).map_or_else(|_| path.to_owned(), |rest| host.join(rest))
    }

    fn put(&mut self, change: &Change<'_>) -> std::result::Result<(), Stop> {
        // The directory that it lies in is one of the host's, unless that could not be made.
        let Some(host) = change.host else {
            let would_be = change.path.parent().is_some_and(|dir| self.would_be.contains(dir));
            return if would_be { may_copy(change).map(drop) } else { conflict("the host has no such directory") };
        };
        let dir = Node::dir(host).map_err(cannot)?;
        if dir.mount != self.mount {
            return conflict(MOUNTED);
        }
        let node = |side: &Option<(BorrowedFd<'_>, Node)>| side.as_ref().map(|(_, node)| *node);
        let (new, old) = (node(&change.new), node(&change.old));
        if let (Some((from, new)), Some((dir, old))) = (&change.new, &change.old)
            && self.is_there((*from, change.name, new), (*dir, change.name, old)).map_err(cannot)?
        {
            self.out.left_out.push((self.on_host(change.path), "it is there but for its owner and set-ID bits".into()));
            return Ok(());
        }
        if let Some((dir, old)) = &change.old
            && old.kind == NodeKind::File
            && self.reader.is_closed(*dir, change.name)
        {
            let why = match new {
                Some(_) => "you cannot read the host's file, and the program saw an empty one in its place",
                // A copy that it made, under another name, is empty.
                None => {
                    "you cannot read the host's file, so that nobody has a copy of it: delete it yourself if that is meant"
                }
            };
            return Err(Stop::LeftOut(why.into()));
        }
        if old.is_some_and(|old| old.mount != self.mount) {
            return conflict(MOUNTED);
        }
        if old.is_some_and(|old| old.kind == NodeKind::Dir)
            && new.is_none_or(|new| new.kind != NodeKind::Dir)
            && let Some(why) = self.changed_below(host, change.name, change.base).map_err(cannot)?
        {
            return conflict(&why);
        }
        if change.is_conflict(|node| self.is_ours(node)) {
            return conflict(match (new, old) {
                _ if !change.known => "the directory that it lies in may be another one on the host by now",
                (Some(new), Some(old)) if new.kind == NodeKind::Dir && old.kind == NodeKind::Dir => {
                    "the host's directory has changed since, and may have got its permissions there"
                }
                (_, Some(old)) if old.kind == NodeKind::Dir => {
                    "the host's directory has changed since the layer was made"
                }
                _ => "the host's file has changed since the program saw it",
            });
        }
        let wanted = may_copy(change)?;
        may_write(host, &dir, new.as_ref(), old.as_ref())?;
        if let Some(new) = &new
            && copy::permissions(new, old.as_ref()) != new.mode
        {
            let what = "the set-user-ID and set-group-ID bits are left out";
            self.out.left_out.push((self.on_host(change.path), what.into()));
        }
        if self.dry {
            return Ok(());
        }
        let beside = CString::new(format!("{BESIDE}{}-{}", std::process::id(), self.count)).unwrap_or_default();
        self.count += 1;
        let mut work = Work {
            host,
            name: change.name,
            beside: &beside,
            base: change.base,
            entry: Entry::new(self.index, change.path, &beside, old.as_ref(), change.base),
        };
        match (change.new, old) {
            (None, None) => Ok(()),
            (None, Some(old)) => self.take_away(&mut work, &old),
            (Some((_, new)), Some(old)) if new.kind == NodeKind::Dir && old.kind == NodeKind::Dir => {
                self.close_later(host, change.name, &new, &wanted)?;
                like((host, change.name), &open(&new), &wanted).map_err(cannot)
            }
            (Some((from, new)), old) => self.place(&mut work, (from, &new), old.as_ref(), &wanted),
        }
    }

    fn changed_below(&self, dir: BorrowedFd<'_>, name: &CStr, base: i128) -> sys::Result<Option<String>> {
        changed_below(dir, name, base, self.reader, &|node| self.is_ours(node))
    }

    /// Whether the host has what a commit would put there.
    fn is_there(
        &self,
        one: (BorrowedFd<'_>, &CStr, &Node),
        other: (BorrowedFd<'_>, &CStr, &Node),
    ) -> sys::Result<bool> {
        let ((from, name, new), (_, _, old)) = (one, other);
        if new.kind != old.kind || new.kind == NodeKind::Dir {
            return Ok(false);
        }
        let put = Node { mode: copy::permissions(new, Some(old)), uid: old.uid, gid: old.gid, ..*new };
        compare::same((from, name, &put), other, self.reader)
    }

    /// Notes a directory that its owner may not use: it gets these permissions when everything is in it.
    fn close_later(&self, host: BorrowedFd<'_>, name: &CStr, new: &Node, wanted: &Attributes) -> sys::Result<()> {
        if open(new).mode != new.mode {
            let host = host.try_clone_to_owned().map_err(Errno::from)?;
            self.closed.borrow_mut().push((host, name.to_owned(), *new, wanted.clone()));
        }
        Ok(())
    }

    /// Puts a file or a directory into its place.
    fn place(
        &self,
        work: &mut Work<'_>,
        (from, new): (BorrowedFd<'_>, &Node),
        old: Option<&Node>,
        wanted: &Attributes,
    ) -> std::result::Result<(), Stop> {
        let (host, name, beside) = (work.host, work.name, work.beside);
        self.journal.begin(&work.entry)?;
        let copied = match new.kind {
            NodeKind::Dir => {
                self.close_later(host, name, new, wanted)?;
                sys::mkdirat(host, beside, 0o700).and_then(|()| like((host, beside), &open(new), wanted))
            }
            _ => copy::copy((from, name, new), old, (host, beside), wanted),
        };
        if let Err(errno) = copied {
            remove(host, beside)?;
            return Err(cannot(errno));
        }
        work.entry.copy = Node::find(host, beside)?.map(|copy| copy.id);
        work.entry.phase = Phase::Moving;
        self.journal.go_on(&work.entry)?;
        let refused = |why: &str| {
            remove(host, beside)?;
            conflict(why)
        };
        // The copy has not taken its place.
        let failed = |errno: Errno| {
            remove(host, beside)?;
            Err(cannot(errno))
        };
        let Some(old) = old else {
            return match sys::rename(host, beside, host, name, sys::RENAME_NOREPLACE) {
                Err(Errno(libc::EEXIST)) => refused("the host has something there by now"),
                // A filesystem without that flag (NFS).
                Err(Errno(libc::EINVAL)) if Node::find(host, name)?.is_none() => {
                    sys::rename(host, beside, host, name, 0).or_else(failed)
                }
                other => other.or_else(failed),
            };
        };
        match sys::rename(host, beside, host, name, sys::RENAME_EXCHANGE) {
            Err(Errno(libc::ENOENT)) => return refused("the host's file was removed meanwhile"),
            Err(Errno(libc::EBUSY)) => return refused(MOUNTED),
            // Without that flag, what is compared last is what is replaced, but for a moment.
            Err(Errno(libc::EINVAL)) if new.kind == NodeKind::Dir || old.kind == NodeKind::Dir => {
                return refused("its filesystem cannot exchange a directory and a file: remove the host's");
            }
            Err(Errno(libc::EINVAL)) => {
                if !is(host, name, old)? {
                    return refused("the host's file was changed meanwhile");
                }
                return sys::rename(host, beside, host, name, 0).or_else(failed);
            }
            Err(errno) => return failed(errno),
            Ok(()) => {}
        }
        if let Some(why) = self.changed_aside(work, old)? {
            sys::rename(host, beside, host, name, sys::RENAME_EXCHANGE)?;
            return refused(&why);
        }
        self.condemn(work, old)
    }

    /// Removes what the host has at a name.
    fn take_away(&self, work: &mut Work<'_>, old: &Node) -> std::result::Result<(), Stop> {
        let (host, name, beside) = (work.host, work.name, work.beside);
        work.entry.phase = Phase::Moving;
        self.journal.begin(&work.entry)?;
        match sys::rename(host, name, host, beside, sys::RENAME_NOREPLACE) {
            Err(Errno(libc::ENOENT)) => return Ok(()),
            Err(Errno(libc::EBUSY)) => return conflict(MOUNTED),
            Err(Errno(libc::EINVAL)) => sys::rename(host, name, host, beside, 0).map_err(cannot)?,
            other => other.map_err(cannot)?,
        }
        if let Some(why) = self.changed_aside(work, old)? {
            sys::rename(host, beside, host, name, sys::RENAME_NOREPLACE)?;
            return Err(Stop::Conflict(why));
        }
        self.condemn(work, old)
    }

    /// Why what was moved aside is not what was compared before.
    fn changed_aside(&self, work: &Work<'_>, old: &Node) -> sys::Result<Option<String>> {
        if !is(work.host, work.beside, old)? {
            return Ok(Some("the host's file was changed meanwhile".into()));
        }
        match old.kind {
            NodeKind::Dir => self.changed_below(work.host, work.beside, work.base),
            _ => Ok(None),
        }
    }

    /// Removes what was moved aside and compared. From here on, an interruption leaves nothing to decide.
    fn condemn(&self, work: &mut Work<'_>, old: &Node) -> std::result::Result<(), Stop> {
        work.entry.phase = Phase::Condemned;
        self.journal.go_on(&work.entry)?;
        let linked = (old.kind != NodeKind::Dir && old.names > 1)
            .then(|| sys::openat(work.host, work.beside, libc::O_PATH | libc::O_NOFOLLOW, 0));
        remove(work.host, work.beside)?;
        if let Some(Ok(file)) = linked {
            self.changed.borrow_mut().insert(old.id, Node::dir(file.as_fd())?.changed);
        }
        Ok(())
    }
}

/// Why nothing is written where something is mounted.
const MOUNTED: &str = "something is mounted there on the host";

/// What is being done with one path.
struct Work<'w> {
    /// The host's directory.
    host: BorrowedFd<'w>,
    name: &'w CStr,
    /// Name in the same directory, for a copy or for what is replaced.
    beside: &'w CStr,
    /// When the program first changed it.
    base: i128,
    entry: Entry,
}

/// Whether a file is the one that was looked at before.
fn is(dir: BorrowedFd<'_>, name: &CStr, before: &Node) -> sys::Result<bool> {
    Ok(Node::find(dir, name)?.is_some_and(|now| Facts::of(&now) == Facts::of(before)))
}

/// Gives a directory of the host the permissions of one of a layer, and these extended attributes.
fn like(to: (BorrowedFd<'_>, &CStr), new: &Node, wanted: &Attributes) -> sys::Result<()> {
    let to = open_dir(to.0, to.1)?;
    copy::attributes(wanted, to.as_fd())?;
    sys::chmod(to.as_fd(), copy::permissions(new, None))
}
