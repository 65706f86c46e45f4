//! Counts what a program has changed in overlays whose upper layers are in memory, before these are gone.

use super::prepared::{MountSource, Overlay, Prepared, StepAction};
use crate::sys::{self, UnownedFd};
use std::os::fd::{AsFd, BorrowedFd};

/// How many changes are counted: there are this many, or more.
pub const MOST: u32 = 1000;

/// How deep directories are looked into. What is in one that is deeper, or closed, counts as one change.
const DEEPEST: u32 = 16;

/// The numbers of the descriptors of the upper directories whose entries are counted at the end.
pub(super) fn descriptors(prepared: &Prepared) -> impl Iterator<Item = &i32> {
    prepared.view.steps.iter().filter_map(|step| match &step.act {
        StepAction::Mount(MountSource::Overlay(overlay)) => counted(overlay),
        _ => None,
    })
}

fn counted(overlay: &Overlay) -> Option<&i32> {
    overlay.counted.as_ref().and_then(|fd| fd.get())
}

/// How many files the program has changed, made or removed, [`MOST`] at most. Nobody's way leads through links.
pub(super) fn count(prepared: &Prepared) -> u32 {
    descriptors(prepared).fold(0, |count, fd| in_directory(UnownedFd::new(*fd).as_fd(), 0, count))
}

/// Adds the changes in a directory of an upper layer to a number. A directory in which nothing was changed was changed itself.
fn in_directory(dir: BorrowedFd<'_>, depth: u32, before: u32) -> u32 {
    let mut count = before;
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = sys::read_entries(dir, &mut buffer) {
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((kind, name, more)) = sys::next_entry(rest) {
            rest = more;
            if count >= MOST {
                return MOST;
            }
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            let inner = match kind == libc::DT_DIR && depth < DEEPEST {
                true => sys::openat(dir, name, flags, 0).ok(),
                false => None,
            };
            let inside = inner.map_or(count, |inner| in_directory(inner.as_fd(), depth + 1, count));
            count = inside.max(count + 1);
        }
    }
    count
}
