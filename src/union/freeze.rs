//! Snapshots: an upper layer becomes one that nobody writes any more, below a new, empty one. Nothing is copied. A fork
//! is a second set of upper layers on the same ones below.

use super::ours::Ours;
use super::own::private;
use super::store::FROZEN;
use super::{Store, Upper, check_name, name, remove};
use crate::error::{Error, Result};
use crate::sys::{self, Errno};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

fn failed(what: &str, name: &str) -> impl Fn(Errno) -> Error {
    let text = format!("cannot {what} the upper layers `{name}`");
    move |errno| Error::new(format!("{text}: {errno}"))
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// The directory for layers that nobody writes any more.
fn frozen(store: &Store) -> Result<OwnedFd> {
    let dir = store.open()?;
    match sys::mkdirat(dir.as_fd(), &c(FROZEN), 0o700) {
        Ok(()) | Err(Errno(libc::EEXIST)) => {}
        Err(errno) => return Err(Error::new(format!("cannot make {FROZEN} in the store: {errno}"))),
    }
    private(dir.as_fd(), &c(FROZEN), &store.frozen(""))
}

/// Freezes the upper layers: what they hold from here on is what was changed after this. Gives how many there were.
///
/// # Errors
///
/// A directory cannot be moved. A snapshot that was interrupted is finished by the next use of the layers.
pub fn snapshot(upper: &mut Upper) -> Result<usize> {
    let (name, mut count) = (upper.name.clone(), 0);
    let failed = failed("freeze", &name);
    for index in 0..upper.state.layers.len() {
        let layer = super::node::open_dir(upper.directory(), &name::number(index)).map_err(&failed)?;
        let own = super::node::open_dir(layer.as_fd(), c"upper").map_err(&failed)?;
        if sys::entries(own.as_fd()).map_err(&failed)?.is_empty() {
            continue;
        }
        let id = format!("{}-{index}", sys::realtime_nanoseconds());
        // Recorded first: `finish_snapshot` makes and moves what is not there yet, and nothing exists that no state names.
        if let Some(layer) = upper.state.layers.get_mut(index) {
            layer.frozen.insert(0, id);
        }
        upper.save()?;
        count += 1;
    }
    finish_snapshot(upper)?;
    Ok(count)
}

/// Whether a snapshot was interrupted: what is recorded as frozen is still the upper layer.
pub fn is_half_frozen(upper: &Upper) -> bool {
    let first = |layer: &super::Layer| layer.frozen.first().map(|id| upper.store().frozen(id));
    upper.state.layers.iter().filter_map(first).any(|frozen| frozen.symlink_metadata().is_err())
}

/// Finishes a snapshot that was interrupted: moves upper layers to where they are recorded. Where ids are mapped, this has to be
/// called in a user namespace that maps them.
///
/// # Errors
///
/// A directory cannot be moved.
pub fn finish_snapshot(upper: &Upper) -> Result<()> {
    let (store, name) = (upper.store(), upper.name.clone());
    let failed = failed("freeze", &name);
    for index in 0..upper.state.layers.len() {
        let layer = upper.state.layers.get(index);
        let Some((id, lower)) = layer.and_then(|layer| Some((layer.frozen.first()?.clone(), layer.lower.clone())))
        else {
            continue;
        };
        let frozen = frozen(&store)?;
        match sys::mkdirat(frozen.as_fd(), &c(&id), 0o700) {
            Ok(()) | Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let place = super::node::open_dir(frozen.as_fd(), &c(&id)).map_err(&failed)?;
        if sys::stat_below(place.as_fd(), c"upper").is_ok() {
            continue;
        }
        let layer = super::node::open_dir(upper.directory(), &name::number(index)).map_err(&failed)?;
        sys::rename(layer.as_fd(), c"upper", place.as_fd(), c"upper", sys::RENAME_NOREPLACE).map_err(&failed)?;
        upper.directories(index, &lower)?;
    }
    Ok(())
}

/// Makes upper layers of a new name that lie over the same as these, and over what these hold now.
///
/// # Errors
///
/// The name is taken, or a directory cannot be made.
pub fn fork(upper: &mut Upper, new: &str) -> Result<()> {
    check_name(new).map_err(|why| Error::new(format!("`{new}` is no name of upper layers")).hint(why))?;
    // Before it is tried to lock them: these here are in use, by this process.
    if upper.store().names()?.iter().any(|name| name == new) {
        return Err(there_are(new));
    }
    snapshot(upper)?;
    let mut forked = upper.store().lock(new, Some(&upper.state.ids))?;
    if !forked.new {
        return Err(there_are(new));
    }
    forked.state.layers.clone_from(&upper.state.layers);
    for index in 0..forked.state.layers.len() {
        let lower = forked.state.layers.get(index).map(|layer| layer.lower.clone()).unwrap_or_default();
        forked.directories(index, &lower)?;
    }
    Ours::read(upper).copy(&forked).map_err(failed("fork", new))?;
    forked.touch();
    forked.save()
}

fn there_are(name: &str) -> Error {
    Error::new(format!("there are upper layers `{name}` already"))
        .hint("take another name, or remove them: sbx discard NAME")
}

/// Removes upper layers, and what they lie over if no others do. Where ids are mapped, this has to be called in a user
/// namespace that maps them.
///
/// # Errors
///
/// A file cannot be removed.
pub fn discard(upper: Upper) -> Result<()> {
    let store = upper.store();
    upper.remove(|state| {
        let frozen: Vec<_> = state.layers.iter().flat_map(|layer| layer.frozen.iter().cloned()).collect();
        release(&store, &frozen)
    })
}

/// Removes those of these frozen layers that no upper layers lie over any more.
///
/// # Errors
///
/// A file cannot be removed.
fn release(store: &Store, ids: &[String]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let states: Vec<_> = store.names()?.iter().map(|name| store.peek(name)).collect();
    // One whose state cannot be read may lie over any.
    if states.iter().any(Option::is_none) {
        return Ok(());
    }
    let used = |id: &String| states.iter().flatten().flat_map(|state| &state.layers).any(|l| l.frozen.contains(id));
    let dir = frozen(store)?;
    for id in ids.iter().filter(|id| !used(id)) {
        remove(dir.as_fd(), &c(id)).map_err(failed("remove a part of", id))?;
    }
    Ok(())
}
