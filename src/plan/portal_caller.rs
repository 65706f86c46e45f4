//! Who calls portals, as xdg-desktop-portal is told it: as of Flatpak's sandboxes, which is the form of sandbox that it
//! knows.

use super::lines::Lines;
use crate::host::Facts;
use crate::spec::{BusPolicy, Sandbox};
use serde::Serialize;
use std::path::PathBuf;

/// A file outside by which xdg-desktop-portal from version 1.19 on finds the sandbox's processes
/// (src/xdp-app-info-flatpak.c, `load_bwrap_info`). It is there while the sandbox is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortalCaller {
    /// The directory of the file, `bwrapinfo.json`, which is made for it.
    pub dir: PathBuf,
}

impl PortalCaller {
    pub(super) fn render(&self, lines: &mut Lines) {
        lines.add("portals", format!("{}/bwrapinfo.json says which processes are the sandbox's", self.dir.display()));
    }
}

/// Plans the file for a sandbox that calls portals, where the caller has a runtime directory, as portals need one.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts) -> Option<PortalCaller> {
    let names_portals = |rule: &String| rule.contains("=*") || rule.contains("org.freedesktop.portal");
    let calls = !sandbox.desktop.portals.is_empty() || sandbox.session_bus.rules.iter().any(names_portals);
    if sandbox.session_bus.policy != BusPolicy::Filter || !calls || facts.desktop.session_bus.is_none() {
        return None;
    }
    let runtime = facts.desktop.portals_in.as_ref()?;
    Some(PortalCaller { dir: runtime.join(".flatpak").join(instance_id(facts)) })
}

/// The name of a sandbox among those that portals know, as in `.flatpak-info`.
pub(super) fn instance_id(facts: &Facts) -> String {
    format!("sbx-{}", facts.pid)
}
