//! What the view shows even without the rules that go through links, for which it does not matter who put the links there.

use super::ids::IdPlan;
use super::item::{Item, ItemKind, Items, base, own};
use super::root;
use crate::error::Result;
use crate::host::Facts;
use crate::spec::{Mode, PathRule, Sandbox};
use std::path::Path;

/// The view without the rules that go through links: made once it is asked for.
#[derive(Default)]
pub(super) struct WithoutLinks(Option<Items>);

impl WithoutLinks {
    /// Whether the view shows a file of the host at its own path as freely as this rule does. At another path (`from`), it must show
    /// everything below it as freely, too: what is closed there is not closed here.
    ///
    /// # Errors
    ///
    /// Those of the root's defaults.
    pub(super) fn show(
        &mut self,
        (sandbox, facts, ids): (&Sandbox, &Facts, &IdPlan),
        rule: &PathRule,
        source: &Path,
    ) -> Result<bool> {
        let items = match &mut self.0 {
            Some(items) => items,
            made => made.insert(view(sandbox, facts, ids)?),
        };
        let as_free = |at: &Path, item: &Item| match &item.what {
            ItemKind::Bind { source: shown, ro, .. } => shown == at && (rule.mode != Mode::Rw || !ro),
            _ => false,
        };
        let elsewhere = rule.options.from.is_some();
        Ok(items.nearest(source).is_some_and(|(above, item)| as_free(above, item))
            && !(elsewhere && items.below(source).any(|(path, item)| !as_free(path, item))))
    }
}

fn view(sandbox: &Sandbox, facts: &Facts, ids: &IdPlan) -> Result<Items> {
    let mut items = Items::new();
    root::add(&mut items, sandbox, facts, ids)?;
    let base = base(&sandbox.filesystem.root);
    let mut shown = Vec::with_capacity(sandbox.filesystem.paths.len());
    for rule in &sandbox.filesystem.paths {
        let Some((real, links)) = facts.paths.resolve(base, &rule.path) else { continue };
        let what = match (rule.mode, &rule.options.from) {
            (Mode::Ro | Mode::Rw | Mode::Overlay, _) if !links.is_empty() => continue,
            // An overlay shows the host's files, and lets nobody write to them.
            (Mode::Ro | Mode::Rw | Mode::Overlay, None) => {
                ItemKind::Bind { source: real.clone(), ro: rule.mode != Mode::Rw, device: false }
            }
            _ => ItemKind::Masked,
        };
        shown.push((real.into(), own(what)));
    }
    items.extend(shown);
    root::empty_private(&mut items, sandbox, facts);
    Ok(items)
}
