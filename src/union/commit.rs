//! Puts changes of a layer onto the host.
//!
//! Each file is copied beside its place, under a name of its own, and then takes that place at once (renameat2(2)). What
//! it replaces is looked at once more after that: if it is not what was compared before, the exchange is undone. So at
//! every moment the host has the old file or the new one, and the layer keeps the new one until all of it is written. A
//! commit that was interrupted leaves at most one such name, which its journal has; the next commit removes it, and goes
//! on.

use super::copy;
use super::diff::is_conflict;
use super::journal::{BESIDE, Facts, Journal};
use super::node::{self, Node, NodeKind, open_dir};
use super::prune::prune;
use super::walk::{Change, Difference, Visitor, at, walk};
use super::{Upper, remove};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
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
        let device = sys::stat(root.as_fd()).map_err(at(lower, "look up"))?.dev;
        let mut commit = Commit {
            out: &mut committed,
            dry,
            made: layer.made,
            device,
            count: 0,
            index,
            places: (&layer.path, lower),
            journal: &journal,
            step: &mut *step,
        };
        walk(upper, index, only, &mut commit)?;
        if !dry {
            sys::sync_filesystem(root.as_fd()).map_err(at(lower, "write"))?;
            if layer.frozen.is_empty() {
                prune(upper, index, root.as_fd())
                    .map_err(at(&layer.path, "take what is on the host out of the layer of"))?;
            }
        }
    }
    if !dry {
        journal.end();
    }
    Ok(committed)
}

struct Commit<'c> {
    out: &'c mut Committed,
    dry: bool,
    /// When the layer was made.
    made: u64,
    /// The device of the host's directory: what is mounted below it is another filesystem.
    device: u64,
    count: u32,
    /// Index of the layer.
    index: usize,
    /// Path of the overlay inside, and its directory on the host.
    places: (&'c Path, &'c Path),
    journal: &'c Journal<'c>,
    step: &'c mut dyn FnMut(),
}

/// Why a file was not put onto the host.
enum Stop {
    /// The host's file is not what it was.
    Conflict(String),
    /// The path is among those that are left out.
    LeftOut,
    Failed(Errno),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Failed(errno)
    }
}

fn conflict<T>(why: &str) -> std::result::Result<T, Stop> {
    Err(Stop::Conflict(why.to_owned()))
}

impl Visitor for Commit<'_> {
    fn change(&mut self, change: &Change<'_>) -> Result<()> {
        let letter = match change.difference {
            Difference::Added => 'A',
            Difference::Modified => 'M',
            Difference::Deleted => 'D',
        };
        (self.step)();
        match self.put(change) {
            Ok(()) => self.out.done.push((letter, self.on_host(change.path))),
            Err(Stop::Conflict(why)) => self.out.conflicts.push((self.on_host(change.path), why)),
            Err(Stop::LeftOut) => {}
            Err(Stop::Failed(Errno(libc::EOPNOTSUPP))) => {
                self.out.left_out.push((self.on_host(change.path), "a socket or a device cannot be copied".into()));
            }
            Err(Stop::Failed(errno)) => return Err(at(change.path, "commit")(errno)),
        }
        Ok(())
    }
}

impl Commit<'_> {
    /// The path on the host of a path inside.
    fn on_host(&self, path: &Path) -> PathBuf {
        let (inside, host) = self.places;
        path.strip_prefix(inside).map_or_else(|_| path.to_owned(), |rest| host.join(rest))
    }

    fn put(&mut self, change: &Change<'_>) -> std::result::Result<(), Stop> {
        // The directory that it lies in is one of the host's, unless that could not be made.
        let Some(host) = change.host else {
            return if self.dry { Ok(()) } else { conflict("the host has no such directory") };
        };
        if sys::stat(host)?.dev != self.device {
            return conflict("something is mounted there on the host");
        }
        let node = |side: &Option<(BorrowedFd<'_>, Node)>| side.as_ref().map(|(_, node)| *node);
        let (new, old) = (node(&change.new), node(&change.old));
        if let (Some((from, new)), Some((dir, old))) = (&change.new, &change.old)
            && self.is_there((*from, change.name, new), (*dir, change.name, old))?
        {
            self.out.left_out.push((self.on_host(change.path), "it is there but for its owner and set-ID bits".into()));
            return Ok(());
        }
        if let (Some(_), Some((dir, old))) = (&change.new, &change.old)
            && old.kind == NodeKind::File
            && node::is_closed(*dir, change.name)
        {
            let why = "you cannot read the host's file, and the program saw an empty one in its place";
            self.out.left_out.push((self.on_host(change.path), why.into()));
            return Err(Stop::LeftOut);
        }
        if is_conflict(new.as_ref(), old.as_ref(), self.made) {
            return conflict("the host's file has changed since the program saw it");
        }
        if old.is_some_and(|old| old.kind == NodeKind::Dir) && new.is_none_or(|new| new.kind != NodeKind::Dir) {
            unchanged_below(host, change.name, self.made, 0)?;
        }
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
        self.journal.begin(self.index, change.path, &beside, old.as_ref())?;
        let Some((from, new)) = change.new else {
            return self.take_away(host, change.name, &beside, old.as_ref());
        };
        match (new.kind, old) {
            (NodeKind::Dir, None) => Ok(make_like(from, host, change.name, &new)?),
            (NodeKind::Dir, Some(old)) if old.kind == NodeKind::Dir => Ok(like(from, host, change.name, &new)?),
            (NodeKind::Dir, Some(old)) => {
                self.take_away(host, change.name, &beside, Some(&old))?;
                Ok(make_like(from, host, change.name, &new)?)
            }
            (_, Some(old)) if old.kind == NodeKind::Dir => {
                self.take_away(host, change.name, &beside, Some(&old))?;
                self.place((from, change.name, &new), None, host, &beside)
            }
            (_, old) => self.place((from, change.name, &new), old.as_ref(), host, &beside),
        }
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
        node::same((from, name, &put), other)
    }

    /// Puts a file into its place.
    fn place(
        &self,
        (from, name, new): (BorrowedFd<'_>, &CStr, &Node),
        old: Option<&Node>,
        host: BorrowedFd<'_>,
        beside: &CStr,
    ) -> std::result::Result<(), Stop> {
        let copied = copy::copy((from, name, new), old, (host, beside));
        if let Err(errno) = copied {
            let _ = sys::unlink(host, beside, false);
            return Err(errno.into());
        }
        let Some(old) = old else {
            return match sys::rename(host, beside, host, name, sys::RENAME_NOREPLACE) {
                Err(Errno(libc::EEXIST)) => {
                    sys::unlink(host, beside, false)?;
                    conflict("the host has something there by now")
                }
                other => Ok(other?),
            };
        };
        match sys::rename(host, beside, host, name, sys::RENAME_EXCHANGE) {
            Err(Errno(libc::ENOENT)) => {
                sys::unlink(host, beside, false)?;
                return conflict("the host's file was removed meanwhile");
            }
            // A filesystem without that flag (NFS): what is compared last is what is replaced, but for a moment.
            Err(Errno(libc::EINVAL)) => {
                if !is(host, name, old)? {
                    sys::unlink(host, beside, false)?;
                    return conflict("the host's file was changed meanwhile");
                }
                return Ok(sys::rename(host, beside, host, name, 0)?);
            }
            other => other?,
        }
        if is(host, beside, old)? {
            return Ok(sys::unlink(host, beside, false)?);
        }
        sys::rename(host, beside, host, name, sys::RENAME_EXCHANGE)?;
        sys::unlink(host, beside, false)?;
        conflict("the host's file was changed meanwhile")
    }

    /// Removes what the host has at a name.
    fn take_away(
        &self,
        host: BorrowedFd<'_>,
        name: &CStr,
        beside: &CStr,
        old: Option<&Node>,
    ) -> std::result::Result<(), Stop> {
        let Some(old) = old else { return Ok(()) };
        match sys::rename(host, name, host, beside, sys::RENAME_NOREPLACE) {
            Err(Errno(libc::ENOENT)) => return Ok(()),
            Err(Errno(libc::EINVAL)) => sys::rename(host, name, host, beside, 0)?,
            other => other?,
        }
        let same = match old.kind {
            NodeKind::Dir => unchanged_below(host, beside, self.made, 0),
            _ if is(host, beside, old)? => Ok(()),
            _ => conflict("the host's file was changed meanwhile"),
        };
        if let Err(stop) = same {
            let _ = sys::rename(host, beside, host, name, sys::RENAME_NOREPLACE);
            return Err(stop);
        }
        Ok(remove(host, beside)?)
    }
}

/// Whether a file is the one that was looked at before.
fn is(dir: BorrowedFd<'_>, name: &CStr, before: &Node) -> sys::Result<bool> {
    Ok(Node::find(dir, name)?.is_some_and(|now| Facts::of(&now) == Facts::of(before)))
}

/// A conflict if anything in a directory of the host has changed since the layer was made.
fn unchanged_below(dir: BorrowedFd<'_>, name: &CStr, made: u64, depth: u32) -> std::result::Result<(), Stop> {
    if depth > 1000 {
        return conflict("its directories are too deep to look at all of them");
    }
    let dir = open_dir(dir, name)?;
    for (name, _) in sys::entries(dir.as_fd())? {
        let Some(node) = Node::find(dir.as_fd(), &name)? else { continue };
        if node.kind == NodeKind::Dir {
            unchanged_below(dir.as_fd(), &name, made, depth + 1)?;
        } else if node.changed > i128::from(made) {
            let name = OsStr::from_bytes(name.to_bytes());
            return conflict(&format!("{} in it has changed on the host since the layer was made", name.display()));
        }
    }
    Ok(())
}

/// Finishes or undoes what a commit was doing when it was interrupted.
fn recover(upper: &Upper, journal: &Journal) -> Result<()> {
    let Some(entry) = journal.last() else { return Ok(()) };
    let failed = at(entry.path(), "finish the interrupted commit of");
    let Some(layer) = upper.state.layers.get(entry.index) else { return Ok(()) };
    let (Ok(inside), Some(lower)) = (entry.path().strip_prefix(&layer.path), layer.lower.first()) else {
        return Ok(());
    };
    let c = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Errno(libc::EINVAL));
    let there = lower.join(inside);
    let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { return Ok(()) };
    let host = match c(parent.as_os_str()).and_then(|parent| sys::open_resolved(&parent)) {
        Err(Errno(libc::ENOENT | libc::ELOOP)) => return Ok(()),
        other => other.and_then(|host| open_dir(host.as_fd(), c".")).map_err(&failed)?,
    };
    let (host, name, beside) =
        (host.as_fd(), c(name).map_err(&failed)?, c(OsStr::new(&entry.beside)).map_err(&failed)?);
    let undo = || -> sys::Result<()> {
        let (Some(left), old) = (Node::find(host, &beside)?, entry.old.as_ref()) else { return Ok(()) };
        let was = |name: &CStr| Ok::<_, Errno>(Node::find(host, name)?.map(|now| Facts::of(&now)).as_ref() == old);
        match old {
            // A copy that has not taken its place.
            None => remove(host, &beside),
            // What was replaced or is to be deleted, and is what was compared.
            Some(_) if left.kind != NodeKind::Dir && was(&beside)? => remove(host, &beside),
            // A copy that has not taken its place.
            Some(_) if was(&name)? => remove(host, &beside),
            // The host's, which has changed meanwhile: back to its place, whose copy is in the layer.
            Some(_) => match sys::rename(host, &beside, host, &name, sys::RENAME_NOREPLACE) {
                Err(Errno(libc::EEXIST)) => {
                    sys::rename(host, &beside, host, &name, sys::RENAME_EXCHANGE)?;
                    remove(host, &beside)
                }
                other => other,
            },
        }
    };
    undo().map_err(failed)
}

/// Makes a directory of the host with the permissions and attributes of one of a layer.
fn make_like(from: BorrowedFd<'_>, host: BorrowedFd<'_>, name: &CStr, new: &Node) -> sys::Result<()> {
    sys::mkdirat(host, name, 0o700)?;
    like(from, host, name, new)
}

/// Gives a directory of the host the permissions and attributes of one of a layer.
fn like(from: BorrowedFd<'_>, host: BorrowedFd<'_>, name: &CStr, new: &Node) -> sys::Result<()> {
    let (from, to) = (open_dir(from, name)?, open_dir(host, name)?);
    copy::attributes(from.as_fd(), to.as_fd())?;
    sys::chmod(to.as_fd(), copy::permissions(new, None))
}
