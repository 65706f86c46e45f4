//! The descriptors that the program gets, and those that are closed or held for it.

use super::CallerState;
use super::strings::cstrings;
use crate::child::Descriptors;
use crate::error::Result;
use crate::launch::inherited::InheritedFile;
use crate::plan::Plan;
use crate::spec;
use std::cell::Cell;
use std::os::fd::RawFd;

pub(super) fn prepare(
    plan: &Plan,
    state: &CallerState,
    inherited: &[InheritedFile],
    locks: &[RawFd],
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
    let mut held =
        Vec::with_capacity(wanted.sync_fds.len() + wanted.lock_files.len() + locks.len() + plan.view.lost().len() + 5);
    held.extend(&wanted.sync_fds);
    held.extend(locks);
    Ok(Descriptors {
        caller: state.caller,
        moves: Vec::new(),
        locks: locks.to_vec(),
        only_fds,
        read_only: inherited.iter().filter_map(|file| file.read_only).collect(),
        drop_fds,
        sync_fds: wanted.sync_fds.clone(),
        lock_files: cstrings(&wanted.lock_files)?,
        held: Cell::new(held),
    })
}
