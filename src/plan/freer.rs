//! Compares the view with a project's file with the view without it: the file comes with a repository that somebody cloned, so nothing
//! may be freer with it, and what it makes the caller lose is told.

use super::item::{Item, ItemKind, Items, own};
use super::note::Note;
use super::tree::moved;
use crate::error::{Error, Result};
use crate::profile::project::HELP;
use crate::spec::{Mode, Origin, PathRule, within};
use std::path::{Path, PathBuf};

/// Refuses rules of a project's file with which anything of the view is freer than without them: what sbx closes of its own accord
/// where no line names it, or what another rule would close.
pub(super) fn check(without: &Items, with: &Items, rules: &[PathRule]) -> Result<()> {
    let mode = |item: &Item| item.what.mode();
    let paths = without.iter().chain(with.iter()).map(|(path, _)| path);
    // Where nothing is, the view has an empty directory of its own.
    let nothing = own(ItemKind::Dir { mode: 0o755 });
    let freer = paths.filter_map(|path| Some((path, without.nearest(path), with.nearest(path)?))).find_map(
        |(path, old, (near, new))| {
            let (above, old) = old.unwrap_or((Path::new("/"), &nothing));
            if mode(new) < mode(old) {
                let (old, new) = (mode(old).word(), mode(new).word());
                return Some((path, format!("is `{old}` here, and a project's file cannot make it `{new}`")));
            }
            if let Some(option) = lost(old, new) {
                let why = format!("has the option `{option}` here, and a project's file cannot take that away");
                return Some((path, why));
            }
            // What shows the host's files has to show the same ones.
            let (old, new) = (sources(path, above, old), sources(path, near, new));
            let other = new.into_iter().find(|source| !old.contains(source))?;
            Some((path, format!("does not show {} here, and a project's file cannot change that", other.display())))
        },
    );
    let Some((path, why)) = freer else { return Ok(()) };
    let error = Error::new(format!("`{}` {why}", path.display())).hint(HELP);
    let mut around = rules.iter().rev().filter(|rule| rule.project && within(path, &rule.path));
    Err(error.origin(around.next().map_or(&Origin::default(), |rule| &rule.origin)))
}

/// The note on directories that are writable on the host without a project's file, and that the file makes ones whose changes are gone
/// at the end. `overlays`: changes in overlays are.
pub(super) fn discarded(without: &Items, with: &Items, rules: &[PathRule], overlays: bool) -> Option<Note> {
    let mode = |items: &Items, path: &Path| items.nearest(path).map(|(_, item)| item.what.mode());
    let goes = |item: &Item| match item.what.mode() {
        Mode::Overlay => overlays,
        mode => mode == Mode::Tmpfs && !matches!(item.what, ItemKind::Tmpfs { mode: 0o555, .. }),
    };
    let is_by_file = |item: &Item| rules.iter().any(|rule| rule.project && rule.origin == item.origin);
    let lost = with.iter().filter(|(_, item)| goes(item) && is_by_file(item));
    // Of an overlay that is discarded anyway, nothing is lost.
    let stays = |path: &Path, item: &Item| match mode(without, path) {
        Some(Mode::Rw) => true,
        Some(Mode::Overlay) => !overlays && item.what.mode() == Mode::Tmpfs,
        _ => false,
    };
    let lost = lost.filter(|(path, item)| stays(path, item));
    let lost: Vec<_> = lost.map(|(path, item)| (path.to_owned(), item.what.mode(), item.origin.clone())).collect();
    (!lost.is_empty()).then_some(Note::DiscardedByProject(lost))
}

/// An option that restricts, and that only the first of two items at a path has.
fn lost(old: &Item, new: &Item) -> Option<&'static str> {
    // A directory that was masked, with a service's socket in it, takes no programs.
    let is_sealed = matches!(new.what, ItemKind::Tmpfs { mode: 0o555, .. });
    let takes_programs = new.what.mode() <= Mode::Tmpfs && !is_sealed;
    if old.options.noexec && !new.options.noexec && takes_programs && new.asked {
        return Some("noexec");
    }
    let writable = new.what.mode() == Mode::Rw;
    (old.options.exclusive && !new.options.exclusive && writable).then_some("exclusive")
}

/// What of the host's is shown at a path by this item at `above`, the path itself or a directory above.
fn sources(path: &Path, above: &Path, item: &Item) -> Vec<PathBuf> {
    item.sources().iter().map(|source| moved(path, above, source)).collect()
}
