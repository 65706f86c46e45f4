//! Puts one file or directory into its place on the host, or takes one away. It is made beside its place, takes that at once
//! (renameat2(2)), and what it replaces is looked at once more after that: if it is not what was compared before, the exchange is undone.

use super::below::changed_below;
use super::copy::{self, Given, Giver, Step};
use super::journal::{Entry, Facts, Journal, Phase};
use super::node::{Node, NodeKind, open_dir};
use super::ours::Ours;
use super::reader::Reader;
use super::remove;
use super::stop::{MOUNTED, Stop, cannot, conflict};
use super::wanted::Wanted;
use crate::sys::{self, Errno};
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How files of a layer get onto the host.
pub(super) struct Placer<'p> {
    pub journal: &'p Journal<'p>,
    /// Who read the host's files for the program.
    pub reader: Reader,
    pub giver: Giver<'p>,
    /// Is told how much was copied.
    pub step: &'p dyn Fn(Step),
    /// Files of the host that were changed last by a commit.
    pub ours: &'p Ours,
    /// Directories that get their permissions at the end, with the directory of the host that each is in.
    pub closed: RefCell<Vec<Closed>>,
}

/// A directory that its owner may not use: it gets its permissions when everything is in it.
pub(super) struct Closed {
    pub host: OwnedFd,
    pub name: CString,
    pub new: Node,
    pub wanted: Wanted,
}

/// What is being done with one path.
pub(super) struct Work<'w> {
    /// The directory of the host that the path lies in.
    pub host: BorrowedFd<'w>,
    pub name: &'w CStr,
    /// Name in the same directory, for a copy or for what is replaced.
    pub beside: &'w CStr,
    /// When the program first changed it.
    pub base: i128,
    /// The layer has what is put there: the next change of it is no conflict.
    pub is_layers: bool,
    pub entry: Entry,
}

/// A directory with all rights for its owner: what is in it follows.
pub(super) fn open(node: &Node) -> Node {
    Node { mode: node.mode | 0o700, ..*node }
}

/// Whether a file is the one that was looked at before.
fn is(dir: BorrowedFd<'_>, name: &CStr, before: &Node) -> sys::Result<bool> {
    Ok(Node::find(dir, name)?.is_some_and(|now| Facts::of(&now) == Facts::of(before)))
}

/// Notes that the layer's file is at its place, unless somebody else has changed it since. Its time of change is that of its new name.
pub(super) fn is_placed(host: BorrowedFd<'_>, name: &CStr, entry: &Entry, ours: &Ours) -> sys::Result<()> {
    let Some(layers) = &entry.layers else { return Ok(()) };
    match Node::find(host, name)? {
        Some(now) if Facts::of(&now) == *layers && !ours.has(&now) => ours.add(&now),
        _ => Ok(()),
    }
}

/// Removes what was moved aside and compared.
pub(super) fn discard(host: BorrowedFd<'_>, beside: &CStr, old: &Node, ours: &Ours) -> sys::Result<()> {
    let linked = (old.kind != NodeKind::Dir && old.names > 1)
        .then(|| sys::openat(host, beside, libc::O_PATH | libc::O_NOFOLLOW, 0));
    remove(host, beside)?;
    // Its other names have a new time of change by this.
    if let Some(Ok(file)) = linked {
        ours.add_touched(&Node::dir(file.as_fd())?)?;
    }
    Ok(())
}

impl Placer<'_> {
    /// Gives a directory of the host what one of a layer has. False if bits of its permissions did not stay.
    pub fn like(&self, to: (BorrowedFd<'_>, &CStr), new: &Node, wanted: &Wanted) -> sys::Result<bool> {
        let to = open_dir(to.0, to.1)?;
        let (owner, mode) = (self.giver.owner(new, None), self.giver.permissions(new, None));
        self.giver.give(to.as_fd(), &Given { owner, group_of: None, mode, wanted })
    }

    /// Notes a directory that its owner may not use: it gets these permissions when everything is in it.
    pub fn close_later(&self, host: BorrowedFd<'_>, name: &CStr, new: &Node, wanted: &Wanted) -> sys::Result<()> {
        if open(new).mode != new.mode {
            let host = host.try_clone_to_owned().map_err(Errno::from)?;
            let closed = Closed { host, name: name.to_owned(), new: *new, wanted: wanted.clone() };
            self.closed.borrow_mut().push(closed);
        }
        Ok(())
    }

    /// Makes a directory like one of a layer. False if bits of its permissions did not stay.
    fn make(&self, host: BorrowedFd<'_>, beside: &CStr, new: &Node, wanted: &Wanted) -> sys::Result<bool> {
        let new = open(new);
        // What it inherits of a group that is none of the caller's, chmod(2) would take away.
        let inherits = copy::is_handed_down(host) && !self.giver.keeps_group_bit(host, &Node::dir(host)?);
        if inherits && new.mode & 0o2000 != 0 {
            let before = sys::umask(0);
            let made = sys::mkdirat(host, beside, new.mode & 0o1777);
            sys::umask(before);
            made?;
        } else {
            sys::mkdirat(host, beside, 0o700)?;
        }
        self.like((host, beside), &new, wanted)
    }

    /// Puts a file or a directory into its place. False if bits of its permissions did not stay.
    pub fn place(
        &self,
        work: &mut Work<'_>,
        (from, new): (BorrowedFd<'_>, &Node),
        old: Option<&Node>,
        wanted: &Wanted,
    ) -> std::result::Result<bool, Stop> {
        let (host, name, beside) = (work.host, work.name, work.beside);
        self.journal.begin(&work.entry)?;
        let copied = match new.kind {
            NodeKind::Dir => {
                self.close_later(host, name, new, wanted)?;
                self.make(host, beside, new, wanted)
            }
            _ => copy::copy(
                (from, name, new),
                old.map(|old| (name, old)),
                (host, beside),
                wanted,
                (self.giver, self.step),
            ),
        };
        let whole = match copied {
            Ok(whole) => whole,
            Err(errno) => {
                remove(host, beside)?;
                return Err(cannot(errno));
            }
        };
        let copy = Node::find(host, beside)?;
        work.entry.copy = copy.map(|copy| copy.id);
        work.entry.layers = copy.filter(|_| work.is_layers).map(|copy| Facts::of(&copy));
        work.entry.phase = Phase::Moving;
        self.journal.go_on(&work.entry)?;
        self.take_place(work, new, old)?;
        // Its time of change is that of its new name, unless somebody else has changed it since.
        is_placed(host, name, &work.entry, self.ours)?;
        Ok(whole)
    }

    /// Moves what was made beside a place into it.
    fn take_place(&self, work: &mut Work<'_>, new: &Node, old: Option<&Node>) -> std::result::Result<(), Stop> {
        let (host, name, beside) = (work.host, work.name, work.beside);
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
    pub fn take_away(&self, work: &mut Work<'_>, old: &Node) -> std::result::Result<(), Stop> {
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

    /// Why a directory of the host that is to go, or what is in it, is not what it was.
    pub fn changed_below(&self, dir: BorrowedFd<'_>, name: &CStr, base: i128) -> sys::Result<Option<String>> {
        changed_below(dir, name, base, self.reader, &|node| self.ours.has(node))
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
        Ok(discard(work.host, work.beside, old, self.ours)?)
    }
}
