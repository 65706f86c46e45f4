//! The descriptors that the program gets, and those that are closed or held for it.

use super::CallerState;
use super::strings::cstrings;
use crate::child::Descriptors;
use crate::error::Result;
use crate::launch::inherited::InheritedFile;
use crate::plan::Plan;
use crate::spec;
use crate::union::InUse;
use std::cell::Cell;

pub(super) fn prepare(
    plan: &Plan,
    state: &CallerState,
    inherited: &[InheritedFile],
    uppers: Option<&InUse>,
) -> Result<Descriptors> {
    let wanted = &plan.process;
    let (only_fds, drop_fds) = match &wanted.descriptors {
        spec::Descriptors::Only(fds) => {
            let mut fds = fds.clone();
            fds.sort_unstable();
            fds.dedup();
            (Some(fds), Vec::new())
        }
        spec::Descriptors::AllBut(fds) => (None, fds.clone()),
    };
    let mut held = Vec::with_capacity(wanted.sync_fds.len() + wanted.lock_files.len() + 5);
    held.extend(&wanted.sync_fds);
    let upper_lock = uppers.map_or(-1, |uppers| uppers.lock);
    held.extend(uppers.map(|uppers| uppers.lock));
    Ok(Descriptors {
        caller: state.caller,
        moves: Vec::new(),
        upper_lock,
        only_fds,
        read_only: inherited.iter().filter_map(|file| file.read_only).collect(),
        drop_fds,
        sync_fds: wanted.sync_fds.clone(),
        lock_files: cstrings(&wanted.lock_files)?,
        held: Cell::new(held),
    })
}
