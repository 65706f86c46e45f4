//! Files that the command line names: the program, and its arguments. What the view does not show of them is shown read-only where the
//! profile wants that (`filesystem.arguments`), and told otherwise: the program would say that there is no such file.

use super::item::{Item, ItemKind, Items, own};
use super::links::{self, writable_sources};
use super::note::Note;
use crate::host::{Facts, NamedFile};
use crate::spec::{Assert, Descriptors, Named, Promise, Root, Sandbox, within};
use std::path::Path;

/// Adds the items of files that are shown since they are arguments, and a note on the others.
pub(super) fn collect(items: &mut Items, sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) {
    let kept = match &sandbox.process.descriptors {
        Descriptors::Only(kept) => kept.as_slice(),
        Descriptors::AllBut(_) => facts.paths.descriptors(),
    };
    let closed: Vec<_> = facts.paths.descriptors().iter().filter(|fd| !kept.contains(fd)).copied().collect();
    if !closed.is_empty() {
        notes.push(Note::DescriptorsLeftOut(closed));
    }
    // Another root has files of its own at these paths.
    if !matches!(sandbox.filesystem.root, Root::Host | Root::Empty) {
        return;
    }
    if facts.paths.arguments().is_empty() {
        return;
    }
    let mut hidden = Vec::new();
    let mut wanted = Vec::new();
    for file in facts.paths.arguments() {
        let Some((real, links)) = facts.paths.resolve(Path::new("/"), &file.path) else { continue };
        if !is_left_out(items, &real) {
            continue;
        }
        match &sandbox.filesystem.arguments {
            Some((named, origin))
                if file.regular
                    && (file.program || *named == Named::All)
                    && !is_asserted(sandbox, &[&file.path, &real]) =>
            {
                wanted.push((file, real, links, origin));
            }
            // That it is not there says the error of its start.
            _ if file.program => {}
            _ => hidden.push(file.path.clone()),
        }
    }
    let linked = wanted.iter().any(|(_, _, links, _)| !links.is_empty());
    let writable = if linked { writable_sources(sandbox, facts) } else { Vec::new() };
    for (NamedFile { path, program, .. }, real, links, origin) in wanted {
        let refused = links::check_source(facts, &writable, &links, &real).is_err();
        if refused || !program && links.iter().any(|(link, _)| leaves_own_directory(facts, link, &real)) {
            hidden.extend((!program).then(|| path.clone()));
            continue;
        }
        for (link, text) in links {
            if is_left_out(items, &link) {
                items.insert_missing(link, || own(ItemKind::Link(text)));
            }
        }
        let what = ItemKind::Bind { source: real.clone(), ro: true, device: false };
        items.insert(real, Item { origin: origin.clone(), ..own(what) });
    }
    if !hidden.is_empty() {
        notes.push(Note::ArgumentsLeftOut(hidden));
    }
}

/// Whether a link leads out of the directory of a home that it lies in, also a hidden one. Where a profile's line goes through
/// a link below `~/.config`, that is the user's own; a file that an argument names may lie anywhere, such as in what a
/// program in another sandbox has left in `~/.cache`.
fn leaves_own_directory(facts: &Facts, link: &Path, real: &Path) -> bool {
    let homes = facts.own_homes().filter_map(|home| facts.paths.resolve(Path::new("/"), home));
    homes.into_iter().any(|(home, _)| {
        let mut names = link.strip_prefix(&home).unwrap_or(Path::new("")).iter();
        // A link in the home itself is the user's own.
        let dir = names.next().filter(|_| names.next().is_some());
        dir.is_some_and(|dir| !within(real, &home.join(dir)))
    })
}

/// Whether the profile says of a file, by any of these names, that it cannot be read.
fn is_asserted(sandbox: &Sandbox, names: &[&Path]) -> bool {
    let closed = sandbox.asserts.iter().filter(|assert| assert.promise == Promise::CannotRead);
    closed.flat_map(Assert::paths).any(|closed| names.iter().any(|name| within(name, closed)))
}

/// Whether nothing of the host is at this path inside, and nobody has asked for that in particular.
fn is_left_out(items: &Items, real: &Path) -> bool {
    match items.nearest(real) {
        // What the view itself has at the path is what is meant: /tmp, /etc/passwd.
        Some((above, _)) if above == real => false,
        // Some of what is in a directory is there, and so is the directory: `/` always is.
        _ if items.has_below(real) => false,
        Some((_, Item { what: ItemKind::Tmpfs { .. } | ItemKind::Kept { .. } | ItemKind::Dir { .. }, .. })) | None => {
            true
        }
        Some(_) => false,
    }
}
