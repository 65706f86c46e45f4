//! A private home that is kept: a directory of the user's data that stands for the home inside.

use super::ids::IdPlan;
use super::item::{Item, ItemKind, Items, own};
use super::lines::{Lines, from};
use super::own as own_dirs;
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Origin, Root, Sandbox};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A private home that is kept under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HomePlan {
    /// The directory of all private homes, by its real path.
    pub store: PathBuf,
    /// The name.
    pub name: String,
    /// The line that asks for it.
    #[serde(skip)]
    pub origin: Origin,
}

impl HomePlan {
    /// The directory on the host that is the home inside.
    pub fn dir(&self) -> PathBuf {
        self.store.join(&self.name).join("home")
    }

    pub(super) fn render(&self, lines: &mut Lines) {
        lines.add("home", format!("{}, kept{}", self.dir().display(), from(&self.origin)));
    }
}

/// Puts the private home in the place of the one in memory.
///
/// # Errors
///
/// The home is shown by a rule, is not one that the view makes, or the sandbox has further ids.
pub(super) fn add(items: &mut Items, sandbox: &Sandbox, facts: &Facts, ids: &IdPlan) -> Result<Option<HomePlan>> {
    let (Some((name, origin)), Some(store)) = (&sandbox.filesystem.home, &facts.home_store) else { return Ok(None) };
    let refused = |why: String, hint: &str| Err(Error::new(why).origin(origin).hint(hint));
    if sandbox.filesystem.root == Root::Empty || facts.home.parent().is_none() {
        return refused("a private home needs a root that has one".into(), "filesystem.root = \"host\"");
    }
    if !ids.is_single() {
        let why = "a private home cannot hold files of subordinate ids".into();
        return refused(why, "process.user = \"self\", or filesystem.home = \"tmpfs\"");
    }
    let resolve = |path: &Path| facts.paths.resolve(Path::new("/"), path).map(|(real, _)| real);
    let store = own_dirs::store(facts, sandbox, store, origin)?;
    let Some(home) = resolve(&facts.home) else { return Ok(None) };
    if let Some(rule) = sandbox.filesystem.paths.iter().find(|rule| resolve(&rule.path).as_ref() == Some(&home)) {
        let why = format!("{} is to be a private home, and has a rule of its own ({})", home.display(), rule.origin);
        return refused(why, "take one of the two away");
    }
    if !matches!(items.get(&home), Some(Item { what: ItemKind::Tmpfs { .. }, .. })) {
        return refused(format!("{} is a directory of the system", home.display()), "filesystem.home = \"tmpfs\"");
    }
    let plan = HomePlan { store, name: name.clone(), origin: origin.clone() };
    items.insert(home, Item { origin: origin.clone(), ..own(ItemKind::Kept { source: plan.dir() }) });
    Ok(Some(plan))
}
