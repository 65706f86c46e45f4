//! What access to the desktop's services needs, collected service by service.

use super::HelperSpec;
use super::item::{Item, ItemKind, base, own};
use super::links::resolved;
use super::wayland::WaylandPlan;
use crate::error::Result;
use crate::host::Facts;
use crate::spec::{Origin, Sandbox};
use std::path::{Path, PathBuf};

/// What access to the desktop needs: paths in the view, and helpers outside.
#[derive(Default)]
pub(super) struct DesktopPlan {
    pub items: Vec<(PathBuf, Item)>,
    pub wayland: Option<WaylandPlan>,
    pub helpers: Vec<HelperSpec>,
}

impl DesktopPlan {
    /// The real path inside of a socket that is made in the runtime directory once the view is complete. That is done
    /// from outside of the sandbox: a link on the way would lead through the host's tree.
    pub fn inside(&mut self, sandbox: &Sandbox, facts: &Facts, runtime: &Path, name: &str) -> PathBuf {
        if sandbox.filesystem.root.dirs().is_empty() {
            self.items.push((runtime.to_owned(), own(ItemKind::Dir { mode: 0o700 })));
        }
        let socket = runtime.join(name);
        let inside = facts.paths.resolve(base(&sandbox.filesystem.root), &socket);
        inside.map_or(socket, |(real, _)| real)
    }

    /// Shows a socket of the host at a path inside.
    pub fn socket(&mut self, facts: &Facts, source: &Path, path: PathBuf) -> Result<()> {
        let source = resolved(facts, source, &Origin::default())?;
        // A socket is connected to, which needs no writable mount; read-only keeps its inode from being changed.
        self.items.push((path, own(ItemKind::Bind { source, ro: true, device: false })));
        Ok(())
    }
}
