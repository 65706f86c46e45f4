//! Files and directories of the host that are shown in one sandbox at a time: a program that may run once for each user,
//! since it locks its data by its host name and process number, would find neither in another sandbox.

use super::item::{ItemKind, Items};
use super::lines::{Lines, from};
use super::own;
use crate::error::Result;
use crate::host::Facts;
use crate::spec::{Origin, Sandbox};
use serde::Serialize;
use std::path::PathBuf;

/// What is locked while the sandbox lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExclusivePlan {
    /// The directory of private homes, by its real path: it also holds the files of locks.
    pub store: PathBuf,
    /// Files and directories of the host, sorted.
    pub paths: Vec<Exclusive>,
}

/// A file or directory of the host that one sandbox at a time shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exclusive {
    /// Path on the host.
    pub path: PathBuf,
    /// Path inside.
    pub inside: PathBuf,
    /// The line that asks for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl ExclusivePlan {
    pub(super) fn render(&self, lines: &mut Lines) {
        for Exclusive { path, origin, .. } in &self.paths {
            lines.add("exclusive", format!("{}: in one sandbox at a time{}", path.display(), from(origin)));
        }
    }

    /// The mechanism, for the receipt.
    pub(super) fn mechanism() -> String {
        "a lock that sbx holds: no second sandbox of this user shows it with `exclusive`".into()
    }
}

/// Finds what is to be locked; none of the view's parts is, if no path says `exclusive`.
///
/// # Errors
///
/// The locks lie where somebody else may have put a link.
pub(super) fn plan(items: &Items, sandbox: &Sandbox, facts: &Facts) -> Result<Option<ExclusivePlan>> {
    let Some(store) = facts.home_store.as_ref().filter(|_| sandbox.filesystem.is_exclusive()) else { return Ok(None) };
    let locked = items.iter().filter_map(|(inside, item)| match &item.what {
        ItemKind::Bind { source, .. } if item.options.exclusive => {
            Some(Exclusive { path: source.clone(), inside: inside.to_owned(), origin: item.origin.clone() })
        }
        _ => None,
    });
    let mut paths: Vec<_> = locked.collect();
    paths.sort_by(|one, other| one.path.cmp(&other.path));
    paths.dedup_by(|one, other| one.path == other.path);
    let Some(first) = paths.first() else { return Ok(None) };
    let store = own::store(facts, sandbox, store, &first.origin)?;
    Ok(Some(ExclusivePlan { store, paths }))
}
