//! Upper layers on disk: made and locked before a sandbox is, and removed after it unless they are kept.

use super::worker;
use crate::error::Result;
use crate::plan::{IdMapping, Op, Plan, UnionPlan, UpperPlace};
use crate::sys;
use crate::union::{self, Ids, InUse, Store, Upper};

/// The upper layers of a sandbox, locked. Those that are not kept are removed when this is dropped, and so are new ones of a
/// sandbox that was not started.
pub(super) struct Uppers {
    upper: Option<Upper>,
    in_use: InUse,
    keep: bool,
}

/// The maps of a plan, as they are recorded.
pub(super) fn ids(plan: &Plan) -> Ids {
    let map = |map: &[IdMapping]| map.iter().map(|e| (e.inside, e.outside, e.count)).collect();
    Ids { uids: map(&plan.namespaces.ids.uid_map), gids: map(&plan.namespaces.ids.gid_map) }
}

impl Uppers {
    /// Makes and locks the upper layers that the plan has on disk; none if they are in memory.
    pub(super) fn open(plan: &Plan, union: &UnionPlan) -> Result<Option<Uppers>> {
        let Some(store) = union.upper.store() else { return Ok(None) };
        let store = Store::new(store.to_owned());
        store.make().map_err(|error| error.origin(&union.origin))?;
        let ids = ids(plan);
        let (upper, keep) = match &union.upper {
            UpperPlace::Kept { name, .. } => (store.lock(name, Some(&ids)), true),
            UpperPlace::Asked { .. } => (store.unnamed(&ids), true),
            _ => {
                store.stale().into_iter().for_each(|stale| drop(discard(stale)));
                (store.temporary(&ids), false)
            }
        };
        let upper = upper.map_err(|error| error.origin(&union.origin))?;
        if crate::union::is_half_frozen(&upper) {
            worker::within(&ids, |_| crate::union::finish_snapshot(&upper).map(|()| 0))?;
        }
        // Until the sandbox has been started, new ones are not kept.
        let mut uppers = Uppers {
            keep: keep && !upper.new,
            in_use: InUse { lock: upper.lock_number(), layers: Vec::new() },
            upper: Some(upper),
        };
        uppers.make(plan)?;
        Ok(Some(uppers))
    }

    fn make(&mut self, plan: &Plan) -> Result<()> {
        let Some(upper) = &mut self.upper else { return Ok(()) };
        for placed in &plan.view.parts {
            if let Op::Layers { path, lower, own, served, fuse, ro: false, .. } = &placed.op {
                let own: Vec<_> = own.iter().map(|file| path.join(&file.path)).collect();
                // The server of the FUSE union reads as the kernel's overlay does.
                let served = served.is_some() && !fuse;
                let made = upper.layer(path, lower, &own, served).map_err(|error| error.origin(&placed.origin))?;
                self.in_use.layers.push((path.clone(), made));
            }
        }
        for profile in plan.view.union.iter().flat_map(|union| &union.profiles) {
            // What cannot be written down was refused as a profile's name before.
            if profile.to_str().is_some() && !upper.state.profiles.contains(profile) {
                upper.state.profiles.push(profile.clone());
            }
        }
        upper.touch();
        upper.save()
    }

    /// The directories, for the first process.
    pub(super) fn in_use(&self) -> &InUse {
        &self.in_use
    }

    /// The name that the user gave these upper layers, or that is to be asked about.
    pub(super) fn name(&self) -> Option<&str> {
        let name = self.upper.as_ref().map(|upper| upper.name.as_str());
        name.filter(|name| crate::union::check_name(name).is_ok())
    }

    /// How many files the program has changed, `most` at most. What cannot be read counts as one.
    pub(super) fn changed(&self, most: u32) -> u32 {
        self.in_use.layers.iter().fold(0, |count, (_, dirs)| union::changed(&dirs.upper, most, count))
    }

    /// Notes that the program is about to run: upper layers that have a name stay from here on.
    pub(super) fn keep_from_now(&mut self) {
        self.keep |= self.name().is_some();
    }

    /// Notes that the program was not executed after all.
    pub(super) fn never_used(&mut self) {
        self.keep = self.upper.as_ref().is_some_and(|upper| !upper.new) && self.name().is_some();
    }
}

impl Drop for Uppers {
    fn drop(&mut self) {
        match self.upper.take() {
            // What cannot be marked is compared by times alone.
            Some(upper) if self.keep => drop(record(upper)),
            // What cannot be removed now is tried again by the next sandbox.
            Some(upper) => drop(discard(upper)),
            None => {}
        }
    }
}

/// Marks the directories of the host that the program saw.
fn record(upper: Upper) -> Result<u8> {
    let ids = upper.state.ids.clone();
    worker::within(&ids, move |_| {
        sys::raise_descriptors();
        union::record(&upper).map(|()| 0)
    })
}

/// Removes upper layers, in a user namespace if they hold files of subordinate ids.
///
/// # Errors
///
/// A file cannot be removed, or the ids cannot be mapped.
pub fn discard(upper: Upper) -> Result<()> {
    match upper.state.ids.is_single() {
        true => union::discard(upper),
        false => {
            let ids = upper.state.ids.clone();
            worker::within(&ids, move |_| union::discard(upper).map(|()| 0)).map(drop)
        }
    }
}
