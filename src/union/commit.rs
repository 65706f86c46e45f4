//! Puts changes of a layer onto the host.
//!
//! Each file is copied beside its place, under a name of its own, and then takes that place at once (`place`). So at every moment the
//! host has the old file or the new one, and the layer keeps the new one until all of it is written. A commit that was interrupted
//! leaves at most one such name, which its journal has; the next commit removes it, or what is left of it, and goes on.

use super::bases::{self, Bases};
use super::below::holds;
use super::compare;
use super::copy::{Giver, Step};
use super::guarded::Guarded;
use super::journal::{BESIDE, Entry, Journal};
use super::merge;
use super::node::{self, Node, NodeKind, open_dir, open_path};
use super::ours::Ours;
use super::outside::Outside;
use super::place::{Placer, Work, open};
use super::prune::prune;
use super::reader::Reader;
use super::recover::recover;
use super::renamed::Renamed;
use super::seen::Mark;
use super::stop::{MOUNTED, Stop, THERE_BUT_FOR_IDS, cannot, conflict, may_copy, may_set, may_write};
use super::walk::{Change, Difference, TOO_DEEP, Visitor, at, walk};
use super::wanted::{self, Known, Wanted};
use super::{Upper, remove};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::collections::{BTreeMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
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
    /// Paths of guarded names that nobody named, each with the number of changes at or below it that were left out.
    pub guarded: BTreeMap<PathBuf, usize>,
    /// How many of the paths that were left out are deletions which wait for what was not put there.
    pub waiting: usize,
    /// Whether some of these paths are not on the host at all.
    pub incomplete: bool,
    /// Paths of which the host has both changes now.
    pub merged: Vec<PathBuf>,
    /// Paths that were asked for by name, and at which nothing differs.
    pub unchanged: Vec<PathBuf>,
}

/// How a commit is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How<'g> {
    /// It is only told what would be done: nothing is changed.
    pub dry: bool,
    /// A text that the host has changed, too, is merged, if no line was changed by both.
    pub merge: bool,
    /// What is at or below one of these names is put onto the host only if a path is named that is at or below the same name.
    pub guarded: Option<&'g Guarded>,
}

/// Puts everything that differs in the layers onto the host, or what is at or below one of `only`. `outside` gives files what this process cannot; `step` is called before each path, and after each part of a file.
///
/// # Errors
///
/// A layer lies over several directories, or a file cannot be read or written. What was done until then stays done.
pub fn commit(
    upper: &Upper,
    only: &[PathBuf],
    how: How<'_>,
    outside: &dyn Outside,
    step: &dyn Fn(Step),
) -> Result<Committed> {
    if let Some(layer) = upper.state.layers.iter().find(|layer| layer.lower.len() > 1) {
        return Err(Error::new(format!("{} lies over several directories of the host", layer.path.display()))
            .hint(format!("`sbx export {}` writes the changes to a file", upper.name)));
    }
    let How { dry, merge, guarded } = how;
    let journal = Journal::of(upper);
    let ours = if dry { Ok(Ours::read(upper)) } else { Ours::open(upper) };
    let ours = ours.map_err(at(upper.path(), "write to"))?;
    if !dry {
        recover(upper, &journal, &ours)?;
    }
    let mut committed = Committed { unchanged: only.to_vec(), ..Committed::default() };
    let bases = Bases::of(upper);
    let mut rest = false;
    for (index, layer) in upper.state.layers.iter().enumerate() {
        let Some(lower) = layer.lower.first() else { continue };
        ours.enter(index);
        let root = open_path(lower).map_err(at(lower, "open"))?;
        let mount = Node::dir(root.as_fd()).map_err(at(lower, "look up"))?.mount;
        let reader = Reader::of(layer);
        let placer = Placer {
            journal: &journal,
            reader,
            giver: Giver::new(&upper.state.ids, outside),
            step,
            ours: &ours,
            closed: Default::default(),
        };
        let before = if overlaps(upper, index) {
            committed.done.iter().map(|(_, path)| path.clone()).collect()
        } else {
            HashSet::new()
        };
        let mut commit = Commit {
            out: &mut committed,
            dry,
            merge,
            guarded,
            upper,
            bases: bases.as_ref(),
            mount,
            placer,
            renamed: Renamed::of(upper, index, reader)?,
            would_be: HashSet::new(),
            count: 0,
            index,
            places: (&layer.path, lower),
            step,
            deletes: false,
            added_all: true,
            chosen: only,
            before,
        };
        // What was deleted may be under another name by now, which has to be there first.
        walk(upper, index, only, &mut commit)?;
        commit.deletes = true;
        walk(upper, index, only, &mut commit)?;
        commit.close().map_err(at(lower, "set permissions in"))?;
        if !dry {
            sys::sync_filesystem(root.as_fd()).map_err(at(lower, "write"))?;
            let pruned = if layer.frozen.is_empty() { prune(upper, index, root.as_fd()) } else { Ok(false) };
            rest |= !pruned.map_err(at(&layer.path, "take what is on the host out of the layer of"))?;
        }
    }
    committed.done.sort_by(|one, other| one.1.cmp(&other.1));
    if !dry {
        if let Some(bases) = &bases {
            bases.sweep(&|path| upper.has(path)).map_err(at(upper.path(), "write to"))?;
        }
        journal.end();
        if !rest {
            Ours::clear(upper);
        }
    }
    Ok(committed)
}

struct Commit<'c> {
    out: &'c mut Committed,
    dry: bool,
    merge: bool,
    guarded: Option<&'c Guarded>,
    upper: &'c Upper,
    /// Texts of the host that the program saw.
    bases: Option<&'c Bases>,
    /// The mount of the host's directory: what is mounted below it is not written to.
    mount: (u64, u64),
    placer: Placer<'c>,
    /// Files of the host that may have another name in the layer.
    renamed: Renamed,
    /// Directories that a dry run would have made, by their paths inside.
    would_be: HashSet<PathBuf>,
    count: u32,
    /// Index of the layer.
    index: usize,
    /// Path of the overlay inside, and its directory on the host.
    places: (&'c Path, &'c Path),
    step: &'c dyn Fn(Step),
    /// Deletions are carried out, rather than everything else.
    deletes: bool,
    /// Everything that was added is on the host.
    added_all: bool,
    /// The paths that were asked for by name.
    chosen: &'c [PathBuf],
    /// Paths of the host that were changed from layers that lie over the same directory.
    before: HashSet<PathBuf>,
}

/// A path below a directory, or the directory itself.
fn join(dir: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { dir.to_owned() } else { dir.join(rest) }
}

/// Whether a layer lies over what an earlier one lies over as well.
fn overlaps(upper: &Upper, index: usize) -> bool {
    let (earlier, rest) = upper.state.layers.split_at(index);
    let Some(lower) = rest.first().and_then(|layer| layer.lower.first()) else { return false };
    earlier.iter().flat_map(|layer| &layer.lower).any(|other| other.starts_with(lower) || lower.starts_with(other))
}

impl Visitor for Commit<'_> {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        self.out.unchanged.retain(|path| !change.path.starts_with(path));
        if change.new.is_none() != self.deletes {
            return Ok(());
        }
        if let Some(name) = self.guarded.and_then(|guarded| self.unnamed(guarded, change)) {
            // What was deleted elsewhere may have been moved there.
            self.added_all &= change.path != name || change.old.is_some() || !may_be_moved(change);
            *self.out.guarded.entry(self.on_host(&name)).or_default() += 1;
            self.out.incomplete = true;
            return Ok(());
        }
        if self.deletes && !self.added_all && !self.chosen.iter().any(|path| change.path.starts_with(path)) {
            let why = "it may have another name in the layer, which could not be put there; name it to delete it";
            self.note(change, why);
            self.out.waiting += 1;
            self.out.incomplete = true;
            return Ok(());
        }
        let letter = match change.difference {
            Difference::Added => 'A',
            Difference::Modified => 'M',
            Difference::Deleted => 'D',
        };
        (self.step)(Step::Path);
        let put = match self.before.contains(&self.on_host(change.path)) {
            true => Err(Stop::Conflict("another overlay shows the same file, and its change is on the host".into())),
            false => self.put(change),
        };
        match put {
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

    fn with_directories_above(&self) -> bool {
        true
    }

    fn too_deep(&mut self, path: &Path) {
        self.out.unchanged.retain(|only| !path.starts_with(only) && !only.starts_with(path));
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

/// Whether this may have had another name on the host: it is at a name that the host has not, or was not written since the program saw
/// what is there.
fn may_be_moved(change: &Change<'_>) -> bool {
    let is_content = |node: &Node| matches!(node.kind, NodeKind::File | NodeKind::Dir | NodeKind::Link);
    let is_old = |node: &Node| node.kind != NodeKind::Dir && node.modified <= change.base;
    change.new.as_ref().is_some_and(|(_, node)| is_content(node) && (change.old.is_none() || is_old(node)))
}

impl Commit<'_> {
    /// Gives directories that their owners may not use their permissions: everything is in them.
    fn close(&mut self) -> sys::Result<()> {
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

    /// The path that would have to be named for this change to be put onto the host.
    fn unnamed(&self, guarded: &Guarded, change: &Change<'_>) -> Option<PathBuf> {
        let now = change.new.as_ref().map(|(_, node)| node.kind);
        let (inside, host) = self.places;
        let name = guarded.unnamed(inside, change.path, now, self.chosen);
        if name.is_some() {
            return name;
        }
        // The host may have it at another path, by whose names tools find it.
        if inside != host {
            let chosen: Vec<_> = self.chosen.iter().map(|path| self.on_host(path)).collect();
            if let Some(name) = guarded.unnamed(host, &self.on_host(change.path), now, &chosen) {
                return Some(name.strip_prefix(host).map_or_else(|_| inside.to_owned(), |rest| join(inside, rest)));
            }
        }
        let (dir, old) = change.old.as_ref()?;
        let goes = old.kind == NodeKind::Dir && now != Some(NodeKind::Dir);
        let is_named = || self.chosen.iter().any(|path| path == change.path);
        (goes && !is_named() && holds(*dir, change.name, change.reader, &Guarded::keeps))
            .then(|| change.path.to_owned())
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
        if change.is_conflict(|node| self.placer.ours.has(node)) {
            if let Some((text, wanted)) = self.merged(change).map_err(cannot)? {
                return match self.merge {
                    true => self.put_merged(change, &dir, &text, &wanted),
                    false => conflict(
                        "the host's file has changed since the program saw it; no line was changed by both, and --merge merges them",
                    ),
                };
            }
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
        if self.dry {
            return Ok(());
        }
        let beside = self.beside();
        let mut work = self.work(host, change, &beside, old.as_ref(), true);
        let whole = match (change.new, old) {
            (None, None) => true,
            (None, Some(old)) => self.placer.take_away(&mut work, &old).map(|()| true)?,
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

    /// The text with the changes of the program and those of the host, and the attributes that it gets; none if the two cannot be
    /// merged: what the program saw is not known, both have changed the same lines, or something else than lines.
    fn merged(&self, change: &Change<'_>) -> sys::Result<Option<(String, Wanted)>> {
        let (Some((from, new)), Some((dir, old))) = (&change.new, &change.old) else { return Ok(None) };
        let frozen = self.upper.state.layers.get(self.index).is_none_or(|layer| !layer.frozen.is_empty());
        // A file with several names would be another one under this name.
        if !change.known
            || (new.kind, old.kind) != (NodeKind::File, NodeKind::File)
            || frozen
            || new.mode != old.mode
            || !compare::same_owner(new, old)
            || old.names > 1
        {
            return Ok(None);
        }
        let Some(base) = self.bases.and_then(|bases| bases.get(change.path)) else { return Ok(None) };
        let file = match self.placer.reader.file(*dir, change.name) {
            Err(Errno(libc::EACCES)) => return Ok(None),
            other => other?,
        };
        let wanted = wanted::of(change.name, (*from, new), change.old, None, change.reader)?;
        if !wanted.is_given(file.as_fd())? {
            return Ok(None);
        }
        let ours = bases::text(node::open_file(*from, change.name)?, new)?;
        let (Some(ours), Some(theirs)) = (ours, bases::text(file, old)?) else { return Ok(None) };
        Ok(merge::merge(&base, &theirs, &ours).map(|text| (text, wanted)))
    }

    /// Puts a text with both changes onto the host, and takes the file out of the layer: the host shows through.
    fn put_merged(
        &mut self,
        change: &Change<'_>,
        dir: &Node,
        text: &str,
        wanted: &Wanted,
    ) -> std::result::Result<(), Stop> {
        let (Some(host), Some((from, new)), Some((_, old))) = (change.host, &change.new, &change.old) else {
            return Ok(());
        };
        may_write(host, dir, Some(new), Some(old))?;
        if self.dry {
            self.out.merged.push(self.on_host(change.path));
            return Ok(());
        }
        // Under its own name in a directory of its own, as what is put in place is found.
        let place = self.upper.directory();
        remove(place, MERGED).map_err(cannot)?;
        sys::mkdirat(place, MERGED, 0o700).map_err(cannot)?;
        let made = open_dir(place, MERGED).map_err(cannot)?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let file = sys::openat(made.as_fd(), change.name, flags, 0o600).map_err(cannot)?;
        sys::write_all(file.as_fd(), text.as_bytes()).map_err(cannot)?;
        let found = Node::dir(file.as_fd()).map_err(cannot)?;
        let node = Node { mode: old.mode, uid: new.uid, gid: new.gid, ..found };
        let beside = self.beside();
        let mut work = self.work(host, change, &beside, Some(old), false);
        let whole = self.placer.place(&mut work, (made.as_fd(), &node), Some(old), wanted)?;
        // From here on, an interruption leaves two texts that are merged to the same again.
        sys::unlink(*from, change.name, false)?;
        self.bases.map_or(Ok(()), |bases| bases.forget(change.path))?;
        remove(place, MERGED)?;
        if !whole {
            self.note(change, LOST_BITS);
        }
        self.out.merged.push(self.on_host(change.path));
        Ok(())
    }

    /// A name beside a place on the host that nothing else has.
    fn beside(&mut self) -> CString {
        self.count += 1;
        CString::new(format!("{BESIDE}{}-{}", std::process::id(), self.count)).unwrap_or_default()
    }

    /// What is to be done at a path, under a name beside its place until it is complete. `is_layers`: with a file of the layer.
    fn work<'w>(
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
    fn note(&mut self, change: &Change<'_>, what: &str) {
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

/// Name of a directory beside the layers, for a text that is about to be put onto the host.
const MERGED: &CStr = c"merged";

/// What is noted of a file whose set-ID bits do not stay.
const LOST_BITS: &str = "the set-user-ID and set-group-ID bits are left out";
