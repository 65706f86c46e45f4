//! Puts changes of a layer onto the host.
//!
//! Each file is copied beside its place, under a name of its own, and then takes that place at once (`place`). So at every moment the
//! host has the old file or the new one, and the layer keeps the new one until all of it is written. A commit that was interrupted
//! leaves at most one such name, which its journal has; the next commit removes it, or what is left of it, and goes on.

use super::bases::Bases;
use super::copy::{Giver, Step};
use super::deleted;
use super::journal::Journal;
use super::node::{Node, open_path};
use super::ours::Ours;
use super::outside::Outside;
use super::place::Placer;
use super::prune::prune;
use super::put::Commit;
use super::reader::Reader;
use super::recover::recover;
use super::renamed::Renamed;
use super::walk::{at, walk};
use super::{Committed, How, Upper};
use crate::error::{Error, Result};
use crate::sys;
use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// A layer that lies over nothing.
const NONE: sys::Errno = sys::Errno(libc::ENOENT);

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
        let host = |index: usize| {
            let root = open_path(upper.state.layers.get(index).and_then(|layer| layer.lower.first()).ok_or(NONE)?)?;
            sys::sync_filesystem(root.as_fd()).map(|()| root)
        };
        deleted::finish(upper, &host).map_err(at(upper.path(), "finish an interrupted commit of"))?;
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
            held: None,
            chosen: only,
            before,
            settled: Vec::new(),
        };
        // What was deleted may be under another name by now, which has to be there first.
        walk(upper, index, only, &mut commit)?;
        commit.deletes = true;
        walk(upper, index, only, &mut commit)?;
        commit.close().map_err(at(lower, "set permissions in"))?;
        let (settled, frozen) = (std::mem::take(&mut commit.settled), commit.is_frozen());
        if !dry {
            sys::sync_filesystem(root.as_fd()).map_err(at(lower, "write"))?;
            let out_of_the_layer = || {
                settled.iter().try_for_each(|path| deleted::take_out(upper, index, path, root.as_fd()))?;
                // A path at which nothing differs is no part of it.
                let chosen = only.iter().filter(|path| !committed.unchanged.contains(path));
                let chosen: Vec<_> = chosen.filter_map(|path| within(&layer.path, path)).collect();
                prune(upper, index, root.as_fd(), (!only.is_empty()).then_some(&chosen))
            };
            let pruned = if frozen { Ok(false) } else { out_of_the_layer() };
            rest |= !pruned.map_err(at(&layer.path, "take what is on the host out of the layer of"))?;
        }
    }
    committed.done.sort_by(|one, other| one.1.cmp(&other.1));
    if !dry {
        if let Some(bases) = &bases {
            bases.sweep(&|path| upper.has(path)).map_err(at(upper.path(), "write to"))?;
        }
        journal.end();
        deleted::end(upper);
        if !rest {
            Ours::clear(upper);
        }
    }
    Ok(committed)
}

/// What a path names in the directory of an overlay, if that is anything.
fn within<'p>(overlay: &Path, path: &'p Path) -> Option<&'p Path> {
    if overlay.starts_with(path) { Some(Path::new("")) } else { path.strip_prefix(overlay).ok() }
}

/// Whether a layer lies over what an earlier one lies over as well.
fn overlaps(upper: &Upper, index: usize) -> bool {
    let (earlier, rest) = upper.state.layers.split_at(index);
    let Some(lower) = rest.first().and_then(|layer| layer.lower.first()) else { return false };
    earlier.iter().flat_map(|layer| &layer.lower).any(|other| other.starts_with(lower) || lower.starts_with(other))
}
