//! `sbx rm`, `sbx prune` and `sbx rename`.

use super::{args, ending, happened, listed, output, store};
use crate::error::{Error, Result};
use crate::exit;
use crate::state::{Entry, Happened, Store};
use std::io::BufRead;

/// The exit status if there is no such sandbox, and if one runs: podman's.
const MISSING: u8 = 1;
const RUNNING: u8 = 2;

/// Removes one sandbox. One that runs is ended first with `force`.
pub(super) fn one(store: &Store, entry: &Entry, force: bool, time: Option<u64>) -> Result<()> {
    let _locked = store.lock(entry)?;
    let status = entry.status();
    if status.is_running() {
        if !force {
            return Err(Error::new(format!("{} is {}, and is not removed", entry.called(), status.word()))
                .hint(format!("end it first: sbx stop {0}; or sbx rm -f {0}", entry.called()))
                .status(RUNNING));
        }
        ending::stop(entry, time)?;
    }
    store.remove(entry)?;
    happened::tell(entry, &Happened::Remove);
    Ok(())
}

pub(super) fn main(args: &args::Rm) -> Result<u8> {
    let names = args.latest.or(&args.names)?;
    let store = store::store()?;
    let filters = listed::filters(&args.filter)?;
    let (entries, mut status) = if args.all || !filters.is_empty() {
        let all = store.all()?.into_iter().filter(|entry| listed::matches(&filters, entry, &entry.status()));
        (all.map(|entry| (entry.id.to_string(), entry)).collect(), 0)
    } else {
        store::named(&store, &names, args.ignore || args.force, MISSING)
    };
    for (name, entry) in entries {
        match one(&store, &entry, args.force, args.time) {
            Ok(()) => output::print(&format!("{name}\n"))?,
            Err(error) => {
                output::complain(&error);
                status = error.status;
            }
        }
    }
    store.sweep();
    Ok(status)
}

pub(super) fn prune(args: &args::Prune) -> Result<u8> {
    let store = store::store()?;
    let filters = listed::filters(&args.filter)?;
    if !args.force {
        output::tell("sbx: this removes all sandboxes that do not run. Go on? [y/N] ");
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(0);
        }
    }
    let mut status = 0;
    for entry in store.all()? {
        let found = entry.status();
        if found.is_running() || !listed::matches(&filters, &entry, &found) {
            continue;
        }
        match one(&store, &entry, false, None) {
            Ok(()) => output::print(&format!("{}\n", entry.id))?,
            // It was started meanwhile.
            Err(error) if error.status == RUNNING => {}
            Err(error) => {
                output::complain(&error);
                status = exit::FAILED;
            }
        }
    }
    store.sweep();
    Ok(status)
}

pub(super) fn rename(args: &args::Rename) -> Result<u8> {
    let store = store::store()?;
    let mut entry = store.find(&args.name)?;
    store.rename(&entry, &args.new)?;
    let old = entry.called().to_owned();
    entry.name = Some(args.new.clone());
    happened::tell(&entry, &Happened::Rename(old));
    Ok(0)
}
