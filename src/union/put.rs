//! What becomes of each change of a layer on the host: it is put there, is a conflict, or is left out for a reason that is told.

use super::bases::Bases;
use super::below::holds;
use super::change::{Change, Difference};
use super::compare;
use super::copy::Step;
use super::deleted;
use super::journal::{BESIDE, Entry};
use super::node::{Node, NodeKind, open_dir};
use super::place::{Placer, Work, open};
use super::renamed::Renamed;
use super::seen::Mark;
use super::stop::{MOUNTED, Stop, THERE_BUT_FOR_IDS, cannot, conflict, may_copy, may_set, may_write};
use super::walk::{TOO_DEEP, Visitor, at, short};
use super::wanted::Known;
use super::{Committed, Guarded, Upper};
use crate::error::Result;
use crate::sys;
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// What puts the changes of one layer onto the host, one by one.
pub(super) struct Commit<'c> {
    pub out: &'c mut Committed,
    pub dry: bool,
    pub merge: bool,
    pub guarded: Option<&'c Guarded>,
    pub upper: &'c Upper,
    /// Texts of the host that the program saw.
    pub bases: Option<&'c Bases>,
    /// The mount of the host's directory: what is mounted below it is not written to.
    pub mount: (u64, u64),
    pub placer: Placer<'c>,
    /// Files of the host that may have another name in the layer.
    pub renamed: Renamed,
    /// Directories that a dry run would have made, by their paths inside.
    pub would_be: HashSet<PathBuf>,
    pub count: u32,
    /// Index of the layer.
    pub index: usize,
    /// Path of the overlay inside, and its directory on the host.
    pub places: (&'c Path, &'c Path),
    pub step: &'c dyn Fn(Step),
    /// Deletions are carried out, rather than everything else.
    pub deletes: bool,
    /// The first path that could not be put there, and may be a renamed file of the host: what was deleted waits for it.
    pub held: Option<PathBuf>,
    /// The paths that were asked for by name.
    pub chosen: &'c [PathBuf],
    /// Paths of the host that were changed from layers that lie over the same directory.
    pub before: HashSet<PathBuf>,
    /// What is done and goes out of the layer, in the directory of the overlay: deletions, and what both sides have made the same.
    pub settled: Vec<PathBuf>,
}

impl Visitor for Commit<'_> {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        self.out.unchanged.retain(|path| !change.path.starts_with(path));
        if change.new.is_none() != self.deletes {
            return Ok(());
        }
        if let Some(name) = self.guarded.and_then(|guarded| self.unnamed(guarded, change)) {
            // What was deleted elsewhere may have been moved there.
            if change.path == name && change.old.is_none() {
                self.hold(change);
            }
            *self.out.guarded.entry(self.on_host(&name)).or_default() += 1;
            self.out.incomplete = true;
            return Ok(());
        }
        let waits = self.deletes && !self.chosen.iter().any(|path| change.path.starts_with(path));
        let other = self.held.clone().filter(|_| waits);
        let letter = match change.difference {
            Difference::Added => 'A',
            Difference::Modified => 'M',
            Difference::Deleted => 'D',
        };
        (self.step)(Step::Path);
        let put = match self.before.contains(&self.on_host(change.path)) {
            true => Err(Stop::Conflict("another overlay shows the same file, and its change is on the host".into())),
            false => self.put(change, self.dry || other.is_some()),
        };
        if let (Ok(()), Some(other)) = (&put, other) {
            let other = self.on_host(&other);
            let other = short(&other);
            let why = format!("`{other}` could not be put there, and may be its other name; name it to delete it");
            self.note(change, &why);
            self.out.waiting += 1;
            self.out.incomplete = true;
            return Ok(());
        }
        match put {
            Ok(()) => {
                if self.dry && change.new.is_some_and(|(_, new)| new.kind == NodeKind::Dir) {
                    self.would_be.insert(change.path.to_owned());
                }
                if self.deletes {
                    self.settled.extend(self.inside(change.path));
                }
                self.out.done.push((letter, self.on_host(change.path)));
            }
            Err(Stop::Conflict(why)) => {
                self.hold(change);
                self.out.conflicts.push((self.on_host(change.path), why));
            }
            Err(Stop::LeftOut(why)) => {
                self.hold(change);
                self.out.left_out.push((self.on_host(change.path), why));
                self.out.incomplete = true;
            }
            Err(Stop::Broken(errno)) => return Err(at(change.path, "commit")(errno)),
        }
        Ok(())
    }

    fn alike(&mut self, change: &Change<'_>, shows: bool) -> Result<()> {
        self.out.unchanged.retain(|path| !change.path.starts_with(path));
        let shows = shows && change.old.is_some_and(|(_, old)| old.mount == self.mount);
        self.settled.extend(self.inside(change.path).filter(|_| shows && !self.is_frozen()));
        Ok(())
    }

    fn is_ours(&self, node: &Node) -> bool {
        self.placer.ours.has(node)
    }

    fn gone(&mut self, change: &Change<'_>) -> Result<()> {
        let Some(host) = change.host.filter(|_| self.deletes && change.known && !self.is_frozen()) else {
            return Ok(());
        };
        // In another directory than the one that the program saw, that says nothing.
        if Node::dir(host).map_err(at(change.path, "look at"))?.mount != self.mount {
            return Ok(());
        }
        self.out.unchanged.retain(|path| !change.path.starts_with(path));
        self.out.gone.push(self.on_host(change.path));
        self.settled.extend(self.inside(change.path));
        Ok(())
    }

    fn deletions_alone(&self) -> bool {
        self.deletes
    }

    fn with_directories_above(&self) -> bool {
        true
    }

    fn too_deep(&mut self, path: &Path) {
        self.out.unchanged.retain(|only| !path.starts_with(only) && !only.starts_with(path));
        if !self.deletes {
            self.held.get_or_insert_with(|| path.to_owned());
            self.out.conflicts.push((self.on_host(path), TOO_DEEP.into()));
        }
    }

    fn known(&mut self, dir: BorrowedFd<'_>, mark: &Mark) -> Result<()> {
        // Without the mark, what is not committed today is compared by times alone.
        let _ = if self.dry { Ok(()) } else { mark.write(dir) };
        Ok(())
    }
}

/// Whether this may have had another name on the host: it is at a name that the host has not, or was not written since the program saw
/// what is there.
fn may_be_moved(change: &Change<'_>) -> bool {
    let is_content = |node: &Node| matches!(node.kind, NodeKind::File | NodeKind::Dir | NodeKind::Link);
    let is_old = |node: &Node| node.kind != NodeKind::Dir && node.modified <= change.base;
    change.new.as_ref().is_some_and(|(_, node)| is_content(node) && (change.old.is_none() || is_old(node)))
}

impl Commit<'_> {
    /// Gives directories that their owners may not use their permissions: everything is in them.
    pub(super) fn close(&mut self) -> sys::Result<()> {
        for closed in self.placer.closed.take().iter().rev() {
            let (host, name) = (closed.host.as_fd(), closed.name.as_c_str());
            // One that could not be made is not there.
            let found = Node::find(host, name)?;
            if found.is_some_and(|found| found.kind == NodeKind::Dir) {
                self.placer.like((host, name), &closed.new, &closed.wanted)?;
            }
        }
        Ok(())
    }

    /// Has deletions wait for a path that is not put there, if it may be a renamed file of the host.
    fn hold(&mut self, change: &Change<'_>) {
        if self.held.is_none() && may_be_moved(change) {
            self.held = Some(change.path.to_owned());
        }
    }

    /// The path that would have to be named for this change to be put onto the host.
    fn unnamed(&self, guarded: &Guarded, change: &Change<'_>) -> Option<PathBuf> {
        let now = change.new.as_ref().map(|(_, node)| node.kind);
        let name = guarded.unnamed_of(self.places, change.path, now, self.chosen);
        if name.is_some() {
            return name;
        }
        let (dir, old) = change.old.as_ref()?;
        let goes = old.kind == NodeKind::Dir && now != Some(NodeKind::Dir);
        let is_named = || self.chosen.iter().any(|path| path == change.path);
        (goes && !is_named() && holds(*dir, change.name, change.reader, &Guarded::keeps))
            .then(|| change.path.to_owned())
    }

    /// The path on the host of a path inside.
    pub(super) fn on_host(&self, path: &Path) -> PathBuf {
        let (inside, host) = self.places;
        path.strip_prefix(inside).map_or_else(|_| path.to_owned(), |rest| host.join(rest))
    }

    /// A path inside, in the directory of the overlay.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(self.places.0).ok().map(Path::to_owned)
    }

    /// Whether the layer lies over frozen ones, which nothing is taken out of.
    pub(super) fn is_frozen(&self) -> bool {
        self.upper.state.layers.get(self.index).is_none_or(|layer| !layer.frozen.is_empty())
    }

    /// `dry`: it is only found out what would be done.
    fn put(&mut self, change: &Change<'_>, dry: bool) -> std::result::Result<(), Stop> {
        // The directory that it lies in is one of the host's, unless that could not be made.
        let Some(host) = change.host else {
            let would_be = change.path.parent().is_some_and(|dir| self.would_be.contains(dir));
            return if would_be {
                may_copy(change, self.other_name(change)?.as_ref()).map(drop)
            } else {
                conflict("the host has no such directory")
            };
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
            self.note(change, THERE_BUT_FOR_IDS);
            return Ok(());
        }
        if let Some((dir, old)) = &change.old
            && old.kind == NodeKind::File
            && self.placer.reader.is_closed(*dir, change.name)
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
            && let Some(why) = self.placer.changed_below(host, change.name, change.base).map_err(cannot)?
        {
            return conflict(&why);
        }
        if change.is_conflict(|node| self.placer.ours.has(node)) && !self.is_wanted_back(change) {
            if let Some((text, wanted)) = self.merged(change).map_err(cannot)? {
                return match self.merge {
                    true => self.put_merged(change, &dir, &text, &wanted),
                    false => conflict(
                        "the host's file has changed since the program saw it; no line was changed by both, and --merge merges them",
                    ),
                };
            }
            return conflict(match (new, old) {
                (Some(_), None) if !change.known => {
                    "the directory that it lies in may be another one on the host by now; name it to put it there"
                }
                (Some(new), None) if new.kind == NodeKind::Dir => {
                    "the host's directory is gone since the program saw it; name it to put it there again"
                }
                (Some(_), None) => "the host's file is gone since the program saw it; name it to put it there again",
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
        let wanted = may_copy(change, self.other_name(change)?.as_ref())?;
        let giver = self.placer.giver;
        may_write(host, &dir, new.as_ref(), old.as_ref())?;
        let stays_dir = may_set(change, &wanted, giver)?;
        if let Some(new) = &new
            && giver.permissions(new, old.as_ref()) != new.mode
        {
            self.note(change, LOST_BITS);
        }
        if let (Some(new), Some(old)) = (&new, &old)
            && new.kind == old.kind
            && !stays_dir
            && !giver.keeps_group(host, change.name, old)
        {
            self.note(change, "you cannot give it the group that the host's file has: it gets yours");
        }
        if dry {
            return Ok(());
        }
        let beside = self.beside();
        let mut work = self.work(host, change, &beside, old.as_ref(), true);
        let whole = match (change.new, old) {
            (None, None) => true,
            (None, Some(old)) => {
                if let Some(inside) = self.inside(change.path) {
                    deleted::note(self.upper, self.index, &inside)?;
                }
                self.placer.take_away(&mut work, &old).map(|()| true)?
            }
            (Some((from, new)), Some(_)) if stays_dir => {
                self.placer.close_later(host, change.name, &new, &wanted)?;
                let whole = self.placer.like((host, change.name), &open(&new), &wanted).map_err(cannot)?;
                self.remember((from, change.name), (host, change.name), giver.permissions(&new, None));
                whole
            }
            (Some((from, new)), old) => self.placer.place(&mut work, (from, &new), old.as_ref(), &wanted)?,
        };
        if !whole {
            self.note(change, LOST_BITS);
        }
        self.bases.map_or(Ok(()), |bases| bases.forget(change.path))?;
        Ok(())
    }

    /// A name beside a place on the host that nothing else has.
    pub(super) fn beside(&mut self) -> CString {
        self.count += 1;
        CString::new(format!("{BESIDE}{}-{}", std::process::id(), self.count)).unwrap_or_default()
    }

    /// What is to be done at a path, under a name beside its place until it is complete. `is_layers`: with a file of the layer.
    pub(super) fn work<'w>(
        &self,
        host: BorrowedFd<'w>,
        change: &Change<'w>,
        beside: &'w CStr,
        old: Option<&Node>,
        is_layers: bool,
    ) -> Work<'w> {
        let entry = Entry::new(self.index, change.path, beside, old, change.base);
        Work { host, name: change.name, beside, base: change.base, is_layers, entry }
    }

    /// Notes what is not put onto the host of a path.
    pub(super) fn note(&mut self, change: &Change<'_>, what: &str) {
        self.out.left_out.push((self.on_host(change.path), what.into()));
    }

    /// The file of the host that a file of the layer is by another name.
    fn other_name(&self, change: &Change<'_>) -> std::result::Result<Option<Known>, Stop> {
        match self.renamed.find(change).map_err(cannot)? {
            Ok(known) => Ok(known),
            Err(()) if self.chosen.iter().any(|path| path == change.path) => Ok(None),
            Err(()) => Err(Stop::LeftOut(
                "it was renamed and changed, and may have had an access control list, which the program was not shown: \
                 name it to put it there without"
                    .into(),
            )),
        }
    }

    /// Marks a directory of the layer: the permissions that the host's has now are known. Without that, a later change is a conflict.
    fn remember(&self, layer: (BorrowedFd<'_>, &CStr), host: (BorrowedFd<'_>, &CStr), mode: u32) {
        let (Ok(layer), Ok(Some(host))) = (open_dir(layer.0, layer.1), Node::find(host.0, host.1)) else { return };
        let _ = Mark::of(&Node { mode, ..host }, true).write(layer.as_fd());
    }

    /// Whether a path that the host has no longer was named, so that it is put there again.
    fn is_wanted_back(&self, change: &Change<'_>) -> bool {
        let (Some(lost), None) = (change.lost, &change.old) else { return false };
        let is_it = |chosen: &PathBuf| change.path.starts_with(chosen) || chosen.starts_with(change.path);
        self.chosen.iter().any(|chosen| chosen.starts_with(lost) && is_it(chosen))
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
        let mode = self.placer.giver.permissions(new, Some(old));
        let owner = self.placer.giver.owner(new, Some(old));
        let (uid, gid) = (owner.0.unwrap_or(old.uid), owner.1.unwrap_or(old.gid));
        let put = Node { mode, uid, gid, ..*new };
        compare::same((from, name, &put), other, self.placer.reader)
    }
}

/// What is noted of a file whose set-ID bits do not stay.
pub(super) const LOST_BITS: &str = "the set-user-ID and set-group-ID bits are left out";
