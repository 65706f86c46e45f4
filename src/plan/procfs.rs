//! What is closed and read-only of the host's procfs, wherever the view shows it: as in a procfs of the sandbox's own.

use super::item::{ItemKind, Items, own};
use crate::error::{Error, Result};
use crate::host::{Facts, procfs};
use crate::spec::within;
use std::path::{Path, PathBuf};

const PROC: &str = "/proc";

/// Adds items for what is closed and read-only below each place that shows the host's procfs.
///
/// # Errors
///
/// A line shows a part of it writable that is read-only in every sandbox.
pub(super) fn cover(items: &mut Items, facts: &Facts) -> Result<()> {
    let root = facts.uid == 0;
    let mut shown: Vec<(PathBuf, bool)> = Vec::new();
    for (at, item) in items.iter() {
        let (sources, ro) = match &item.what {
            ItemKind::Bind { source, ro, device: false } => (std::slice::from_ref(source), *ro),
            ItemKind::Layers { lower, .. } => (&lower[..], true),
            _ => continue,
        };
        for source in sources {
            // By their text: there may be thousands.
            if source.as_os_str() == PROC {
                shown.push((at.to_owned(), ro));
            } else if source.as_os_str() == "/" && !items.contains(&at.join("proc")) {
                shown.push((at.join("proc"), ro));
            } else if !ro && let Some(part) = procfs::read_only(root).find(|part| within(source, part)) {
                let (source, part) = (source.display(), part.display());
                return Err(Error::new(format!(
                    "{source} cannot be shown writable: {part} is read-only in every sandbox"
                ))
                .origin(&item.origin)
                .hint("it sets the kernel, for everybody: use \"ro\""));
            }
        }
    }
    for (proc, ro) in shown {
        let there = |path: &PathBuf| facts.paths.kind(path).is_some();
        let inside = |path: &Path| proc.join(path.strip_prefix(PROC).unwrap_or(path));
        for path in procfs::masked(root).filter(there) {
            items.insert_missing(inside(&path), || own(ItemKind::Masked));
        }
        for path in procfs::read_only(root).filter(|_| !ro).filter(there) {
            let at = inside(&path);
            items.insert_missing(at, || own(ItemKind::Bind { source: path, ro: true, device: false }));
        }
    }
    Ok(())
}
