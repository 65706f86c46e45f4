//! sbx's own directories in the user's home, in a view that shows a directory above them: what is kept of sandboxes is masked, and the user's
//! profiles are read-only.

use super::item::{Item, ItemKind, Items, own};
use super::links::{check_source, writable_sources};
use super::tree::moved;
use crate::error::{Error, Result};
use crate::host::{Facts, Keeps, Kind, OwnDir, PARTS};
use crate::spec::{Options, Origin, PathRule, Sandbox, within};
use crate::union::link_to_store;
use std::path::{Path, PathBuf};

/// Closes sbx's own directories wherever a directory above them is shown, by whatever path. Stores that are not there are made first, since
/// another run may make them while the program sees what is above them; profiles, where the program could make them. A line that names one,
/// or what is in it, shows that.
///
/// # Errors
///
/// A link leads there, or is there in its place, that the program could replace.
pub(super) fn close(items: &mut Items, sandbox: &Sandbox, facts: &Facts) -> Result<()> {
    for dir in &facts.own_dirs {
        for link in dir.links.iter().filter(|link| !is_named(sandbox, link)) {
            if let Some((above, item)) = shown_in(items, link).into_iter().find(|(_, item)| writable(item)) {
                return Err(replaceable(link, &above, &item.origin, dir));
            }
        }
        close_one(items, facts, dir, &dir.path)?;
        if dir.keeps == Keeps::Stores {
            // Where a line shows the directory that holds them.
            if items
                .iter()
                .any(|(_, item)| item.sources().iter().any(|source| source.as_os_str() == dir.path.as_os_str()))
            {
                PARTS.iter().try_for_each(|part| close_one(items, facts, dir, &dir.path.join(part)))?;
            }
        }
    }
    Ok(())
}

fn close_one(items: &mut Items, facts: &Facts, dir: &OwnDir, path: &Path) -> Result<()> {
    for (above, item) in shown_in(items, path) {
        let Some(source) = item.sources().iter().find(|source| within(path, source)) else { continue };
        let inside = moved(path, source, &above);
        // A rule of the profile, or another default, may have put something else there.
        if items.nearest(&inside).is_none_or(|(nearest, _)| nearest != above) {
            continue;
        }
        let missing = match facts.paths.kind(path) {
            Some(Kind::Dir) => false,
            // A profile may be a link's target.
            Some(Kind::File) if dir.keeps == Keeps::Profiles => false,
            None if facts.paths.is_shut(path) => return Err(shut(path, &above, &item.origin, dir)),
            // Nobody makes it as long as nobody sets these permissions.
            None if dir.kept_by.is_some() && !writable(&item) => continue,
            None if let Some(kept_by) = &dir.kept_by => return Err(not_made(kept_by, &above, &item.origin, dir)),
            None => true,
            Some(_) if writable(&item) => return Err(in_the_place(path, &above, &item.origin)),
            Some(_) => continue,
        };
        let mut closed = match dir.keeps {
            Keeps::Stores | Keeps::Records if items.has_below(&inside) => {
                own(ItemKind::Tmpfs { mode: 0o555, size: None })
            }
            Keeps::Stores | Keeps::Records => own(ItemKind::Masked),
            Keeps::Profiles if !writable(&item) => continue,
            Keeps::Profiles => own(ItemKind::Bind { source: path.to_owned(), ro: true, device: false }),
        };
        closed.options = match &closed.what {
            // It is made read-only once it is complete.
            ItemKind::Tmpfs { .. } => Options { prefer: true, ..Options::default() },
            ItemKind::Bind { .. } => Options { create: missing, ..Options::default() },
            _ => Options::default(),
        };
        items.insert(inside, closed);
    }
    Ok(())
}

/// The items that show a directory above a path of the host, with their paths inside.
fn shown_in(items: &Items, path: &Path) -> Vec<(PathBuf, Item)> {
    let shows = |item: &Item| {
        item.sources().iter().any(|source| within(path, source) && source.as_os_str() != path.as_os_str())
    };
    items.iter().filter(|(_, item)| shows(item)).map(|(above, item)| (above.to_owned(), item.clone())).collect()
}

/// Whether the program can make and remove names in what an item shows, on the host.
fn writable(item: &Item) -> bool {
    matches!(item.what, ItemKind::Bind { ro: false, device: false, .. })
}

/// Whether a line names a path or something in it.
fn is_named(sandbox: &Sandbox, path: &Path) -> bool {
    sandbox.filesystem.paths.iter().any(|rule: &PathRule| within(&rule.path, path))
}

fn what(dir: &OwnDir) -> &'static str {
    match dir.keeps {
        Keeps::Stores => "private homes and upper layers",
        Keeps::Records => "records of sandboxes",
        Keeps::Profiles => "profiles",
    }
}

/// The error for a link on the way to a directory of sbx's own, in a directory that is shown writable.
fn replaceable(link: &Path, above: &Path, origin: &Origin, dir: &OwnDir) -> Error {
    let (what, shown) = (what(dir), above.display());
    Error::new(format!(
        "{} is a link in {shown}, which is writable: a program that replaces it decides what later sandboxes take for the user's {what}",
        link.display()
    ))
    .origin(origin)
    .hint(format!("show what the program needs in {shown}, rather than all of it; a line for {} itself goes on", link.display()))
}

/// The error for a directory of sbx's own that cannot be looked up by the permissions of the one that it lies in, which its owner sets.
fn shut(path: &Path, above: &Path, origin: &Origin, dir: &OwnDir) -> Error {
    let (path, above) = (path.display(), above.display());
    Error::new(format!("{path} cannot be looked up, so that {} there cannot be closed in {above}", what(dir)))
        .origin(origin)
        .hint(format!(
            "give yourself the permission to search what it lies in: namei -l {path} shows it, chmod u+rwx sets it"
        ))
}

/// The error for a directory of sbx's own that cannot be made first by the permissions of the one that it would lie in, which its owner sets.
fn not_made(kept_by: &Path, above: &Path, origin: &Origin, dir: &OwnDir) -> Error {
    let (kept_by, above) = (kept_by.display(), above.display());
    Error::new(format!(
        "{kept_by} is yours and not writable, so that {} there cannot be made and closed; a program that may write to {above} could set \
         its permissions, and make them",
        what(dir)
    ))
    .origin(origin)
    .hint(format!("give yourself the permission to write there: chmod u+rwx {kept_by}; or show {above} read-only"))
}

/// The error for a link, or a file, in the place of a directory of sbx's own.
fn in_the_place(path: &Path, above: &Path, origin: &Origin) -> Error {
    Error::new(format!(
        "{} is no directory, and lies in {}, which is writable: a program could make what later sandboxes take for the user's",
        path.display(),
        above.display()
    ))
    .origin(origin)
    .hint(format!("an earlier program may have left it: look at it, and remove it (rm {})", path.display()))
}

/// The real path of a directory of stores that this sandbox uses.
///
/// # Errors
///
/// A link is on the way that somebody else may have put there, or there is one in sbx's own part of the way.
pub(super) fn store(facts: &Facts, sandbox: &Sandbox, store: &Path, origin: &Origin) -> Result<PathBuf> {
    let own = store.parent().unwrap_or(store);
    let base = own.parent().unwrap_or(own);
    let resolve =
        |path: &Path| facts.paths.resolve(Path::new("/"), path).ok_or_else(|| super::links::circle(path, origin));
    let (real, links) = resolve(base)?;
    let wanted = real.join(store.strip_prefix(base).unwrap_or(store));
    if resolve(store)?.0 != wanted {
        let link = wanted.ancestors().find(|path| matches!(facts.paths.kind(path), Some(Kind::Link(_))));
        return Err(link_to_store(link.unwrap_or(&wanted)).origin(origin));
    }
    if !links.is_empty() {
        check_source(facts, &writable_sources(sandbox, facts), &links, &real).map_err(|error| error.origin(origin))?;
    }
    Ok(wanted)
}
