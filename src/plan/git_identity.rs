//! The user's identity for git: files in the home that the view makes, with what git of the user's configuration shows.

use super::item::{Item, ItemKind, Items, base, own};
use super::note::Note;
use crate::host::Facts;
use crate::spec::{Origin, Sandbox};

/// Adds the files, where the home is one in memory: one that is shown has the user's own. A file that a rule names stays
/// what the rule says.
pub(super) fn add(items: &mut Items, sandbox: &Sandbox, facts: &Facts, notes: &mut Vec<Note>) {
    let Some(identity) = facts.git_identity.as_ref().filter(|_| sandbox.services.git_identity) else { return };
    if let Some(why) = &identity.failed {
        notes.push(Note::NoGitIdentity(why.clone()));
        return;
    }
    let Some((home, _)) = facts.paths.resolve(base(&sandbox.filesystem.root), &facts.home) else { return };
    let origin = sandbox.origins.of("services.git-identity", "");
    match items.nearest(&home) {
        Some((at, Item { what: ItemKind::Tmpfs { .. }, .. })) if at == home => {}
        // What is made there stays for later runs, which may have another identity, or none.
        Some((_, Item { what: ItemKind::Kept { .. }, .. })) if !identity.files.is_empty() => {
            let why = "the private home is kept, and has a configuration of its own: `git config --global`, run inside, sets it";
            notes.push(Note::NoGitIdentity(why.into()));
            return;
        }
        _ => return,
    }
    let file = |data: &Vec<u8>, origin: &Origin| {
        let what = ItemKind::File { mode: 0o644, data: data.clone() };
        Item { origin: origin.clone(), ..own(what) }
    };
    for (name, data) in &identity.files {
        items.insert_missing(home.join(name), || file(data, &origin));
    }
}
