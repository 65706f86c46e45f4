//! What the verbs tell `sbx events` of what they have done. The rest is told by the monitors.

use super::{output, store};
use crate::state::{Entry, Happened};
use std::sync::atomic::{AtomicBool, Ordering};

/// It was said that something cannot be told.
static SAID: AtomicBool = AtomicBool::new(false);

/// Tells what has happened to a sandbox. It has happened, whether that can be written or not.
pub(super) fn tell(entry: &Entry, what: &Happened) {
    let told =
        store::store().and_then(|store| store.journal().add((&entry.id, entry.name.as_deref(), &entry.spec), what));
    if let Err(error) = told
        && !SAID.swap(true, Ordering::Relaxed)
    {
        output::tell(&format!("sbx: note: what is done cannot be told to `sbx events`: {}\n", error.message));
    }
}
