//! What the view is before any path of the profile is applied: the defaults of its root.

use super::etc;
use super::ids::IdPlan;
use super::item::{Item, ItemKind, Items, base, own};
use super::links::followed;
use super::note::Note;
use super::tree::moved;
use super::union;
use crate::error::{Error, Result};
use crate::host::procfs::SYS_MASKED_FOR_ROOT;
use crate::host::{Facts, Kind, RUN_LINKS, below};
use crate::spec::{Namespace, Options, Origin, Root, SYSTEM, Sandbox, is_needed, lies_in_system, within};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Adds the defaults of the sandbox's root.
///
/// # Errors
///
/// The root is to be a directory that holds nothing, or a link to one.
pub(super) fn add(items: &mut Items, sandbox: &Sandbox, facts: &Facts, ids: &IdPlan) -> Result<()> {
    let private_pid = !sandbox.namespaces.share.contains_key(&Namespace::Pid);
    let mut put = |path: &str, what: ItemKind| items.insert(path, own(what));
    put(
        "/proc",
        if private_pid { ItemKind::Proc } else { ItemKind::Bind { source: "/proc".into(), ro: true, device: false } },
    );
    put("/dev", ItemKind::Dev);
    put("/tmp", ItemKind::Tmpfs { mode: 0o1777, size: None });
    let filesystem = &sandbox.filesystem;
    match &filesystem.root {
        Root::Empty | Root::Bare => return Ok(()),
        Root::Host => listed(facts, Path::new("/"), &Origin::default())?,
        Root::Dir(_) | Root::Stack(_) => {
            filesystem.root.dirs().iter().try_for_each(|dir| check_tree(facts, dir, &filesystem.root_origin))?;
        }
    }
    let merged = union::is_merged(sandbox);
    if merged {
        put("/", union::merged(sandbox));
    }
    let whole = filesystem.root != Root::Host;
    let mut view = Defaults { root: base(&filesystem.root), whole, merged, facts, items };
    for (name, kind) in &facts.top {
        view.top(name, kind);
    }
    view.running_system();
    view.homes();
    // A root of `dir:` is read-only and may have no tmpfs at /run, and the services' sockets are made here.
    let runtime = match filesystem.root {
        Root::Dir(_) | Root::Stack(_) => ItemKind::Tmpfs { mode: 0o700, size: None },
        _ => ItemKind::Dir { mode: 0o700 },
    };
    view.put(Path::new(&format!("/run/user/{}", ids.uid)), runtime);
    for (path, data) in etc::files(sandbox, facts, ids) {
        if let Some((real, _)) = facts.paths.resolve(view.root, Path::new(path)) {
            view.items.insert(real, own(ItemKind::File { mode: 0o644, data: data.into_bytes() }));
        }
    }
    Ok(())
}

/// Refuses a root whose names cannot be read: what is in it would be missing inside.
fn listed(facts: &Facts, dir: &Path, origin: &Origin) -> Result<()> {
    match facts.paths.unlisted(dir) {
        None => Ok(()),
        Some(errno) => Err(Error::new(format!("cannot read the names in {}: {errno}", dir.display()))
            .why_refused("getdents64", errno)
            .origin(origin)),
    }
}

/// Refuses a directory that cannot be the root.
fn check_tree(facts: &Facts, dir: &Path, origin: &Origin) -> Result<()> {
    let (real, links) = followed(facts, dir, origin)?;
    if !links.is_empty() {
        let message = format!("the root {} leads through a link, to {}", dir.display(), real.display());
        return Err(Error::new(message).origin(origin).hint(format!("write `dir:{}`", real.display())));
    }
    listed(facts, dir, origin)?;
    if facts.top.is_empty() {
        return Err(Error::new(format!("{}: it is no directory with a tree in it", dir.display()))
            .origin(origin)
            .hint("`dir:` takes a directory that holds bin, usr and so on"));
    }
    Ok(())
}

/// The defaults of a root that starts from a tree of the host.
struct Defaults<'a> {
    /// The directory of the host in which the view's paths are looked up.
    root: &'a Path,
    /// Whether everything in the tree is shown, rather than the system alone.
    whole: bool,
    /// Whether the tree is one overlay, over which the private directories are mounted.
    merged: bool,
    facts: &'a Facts,
    items: &'a mut Items,
}

impl Defaults<'_> {
    /// The real path in the view of a path, with the links on the way; none if these go in a circle.
    fn resolve(&self, path: &Path) -> Option<(PathBuf, Vec<(PathBuf, PathBuf)>)> {
        self.facts.paths.resolve(self.root, path)
    }

    /// What the host has at a path of the view.
    fn kind(&self, path: &Path) -> Option<&Kind> {
        self.facts.paths.kind(&below(self.root, path))
    }

    /// Adds an item at the real path, and the links that lead there: a home (or /run) that is a link must be covered
    /// where it leads, and the link must not be followed when the mount is made.
    fn put(&mut self, path: &Path, what: ItemKind) {
        let Some((real, links)) = self.resolve(path) else { return };
        for (link, text) in links {
            self.items.insert_missing(link, || own(ItemKind::Link(text)));
        }
        self.items.insert(real, own(what));
    }

    /// Adds an entry of the tree's root directory, if it is shown.
    fn top(&mut self, name: &OsStr, kind: &Kind) {
        let path = Path::new("/").join(name);
        let system = SYSTEM.iter().any(|known| name == *known);
        let what = match (name.to_str().unwrap_or_default(), kind) {
            ("proc" | "dev" | "tmp" | "lost+found", _) => return,
            (_, Kind::Link(text)) => {
                self.link(path, text, system);
                return;
            }
            ("run", _) => ItemKind::Tmpfs { mode: 0o755, size: None },
            ("sys" | "home", _) => ItemKind::Dir { mode: 0o755 },
            ("root", _) => ItemKind::Dir { mode: 0o700 },
            (_, Kind::File) if !self.whole => return,
            _ if !system && !self.whole => return,
            _ if self.merged => return,
            _ => ItemKind::Bind { source: self.root.join(name), ro: true, device: false },
        };
        let what = match what {
            ItemKind::Dir { mode } if self.merged => ItemKind::Tmpfs { mode, size: None },
            what => what,
        };
        self.items.insert(path, own(what));
    }

    /// Adds a link of the tree's root directory. A directory of the system is shown where the link leads; one that is
    /// private inside, or that holds homes or mounted disks, is emptied there.
    fn link(&mut self, path: PathBuf, text: &Path, system: bool) {
        let target = Path::new("/").join(text);
        let memory = match path.to_str() {
            Some("/run") => Some(ItemKind::Tmpfs { mode: 0o755, size: None }),
            _ => None,
        };
        let private = memory.is_some() || is_private(&path);
        if !self.whole && !system && !private && !lies_in_system(&target) {
            return;
        }
        let real = self.resolve(&path).map(|(real, _)| real);
        // A merged tree has the link itself.
        if !self.merged {
            self.items.insert(path, own(ItemKind::Link(text.to_owned())));
        }
        let Some(real) = real.filter(|real| self.kind(real) == Some(&Kind::Dir)) else { return };
        if private && (self.whole || lies_in_system(&real)) {
            let item = memory.map_or_else(closed_directory, own);
            self.items.insert_missing(real, || item);
        } else if system && !self.whole && !lies_in_system(&real) && !is_home(self.facts, &real) {
            let source = real.clone();
            self.items.insert_missing(real, || own(ItemKind::Bind { source, ro: true, device: false }));
        }
    }

    /// Adds the links in /run that lead to the system's programs, on hosts that have them in a store.
    fn running_system(&mut self) {
        for path in RUN_LINKS.map(|name| Path::new("/run").join(name)) {
            let Some(Kind::Link(text)) = self.kind(&path) else { continue };
            let text = text.clone();
            if self.resolve(&path).is_some_and(|(real, _)| lies_in_system(&real)) {
                self.items.insert_missing(path, || own(ItemKind::Link(text)));
            }
        }
    }

    /// Covers the caller's homes, those of other persons, /tmp and /var/tmp. System accounts are left out: their homes
    /// are directories that programs need.
    fn homes(&mut self) {
        let facts = self.facts;
        // Either may be a link into what is shown.
        for path in ["/tmp", "/var/tmp"].map(Path::new) {
            let real = self.resolve(path).map(|(real, _)| real);
            if real.is_some_and(|real| self.kind(&real) == Some(&Kind::Dir)) {
                self.put(path, ItemKind::Tmpfs { mode: 0o1777, size: None });
            }
        }
        let others = facts.accounts.iter().filter(|account| account.is_person() && account.uid != facts.uid);
        let is_covered = |path: &Path| ["/home", "/root"].iter().any(|dir| within(path, Path::new(dir)));
        for account in others {
            // Most are, and there may be thousands.
            if is_covered(&account.home) && facts.paths.is_real(self.root, &account.home) {
                continue;
            }
            let real = self.resolve(&account.home).map(|(real, _)| real).unwrap_or_default();
            let shown = self.whole || lies_in_system(&real);
            if shown && !is_covered(&real) && self.kind(&real).is_some() && real.parent().is_some() {
                self.put(&account.home, ItemKind::Tmpfs { mode: 0o700, size: None });
            }
        }
        for home in facts.own_homes().filter(|home| home.parent().is_some()) {
            let Some((real, links)) = self.resolve(home) else { continue };
            let named = home == facts.home;
            if is_needed(&real) || !(named || self.kind(&real).is_some()) {
                continue;
            }
            for (link, text) in links {
                self.items.insert_missing(link, || own(ItemKind::Link(text)));
            }
            // A home that is not there cannot be made everywhere.
            let options = Options { optional: true, ..Options::default() };
            self.items.insert(real, Item { options, ..own(ItemKind::Tmpfs { mode: 0o700, size: None }) });
        }
    }
}

/// Masks what root alone may read in the host's /sys, by whatever path that is shown, where root is the caller and no line names it.
pub(super) fn mask_sys(items: &mut Items, facts: &Facts) {
    if facts.uid != 0 {
        return;
    }
    let closed: Vec<_> =
        SYS_MASKED_FOR_ROOT.iter().map(Path::new).filter(|path| facts.paths.kind(path).is_some()).collect();
    let mut inside = Vec::new();
    for (at, item) in items.iter() {
        let sources = match &item.what {
            ItemKind::Bind { source, .. } => std::slice::from_ref(source),
            ItemKind::Layers { lower, .. } => &lower[..],
            _ => continue,
        };
        for source in sources {
            let shown = closed.iter().filter(|path| within(path, source) && **path != source);
            inside.extend(shown.map(|path| (at.to_owned(), moved(path, source, at))));
        }
    }
    for (at, path) in inside {
        if items.nearest(&path).is_some_and(|(nearest, _)| nearest == at) {
            items.insert_missing(path, || own(ItemKind::Masked));
        }
    }
}

/// Empties the directories below the system's that are no part of it, where the view shows them without a line that
/// names them.
pub(super) fn empty_private(items: &mut Items, sandbox: &Sandbox, facts: &Facts) {
    if sandbox.filesystem.root != Root::Host {
        return;
    }
    for path in facts.paths.private() {
        let Some((real, _)) = facts.paths.resolve(Path::new("/"), path) else { continue };
        // What is put at the very path is meant, such as what the document portal shows. An overlay there is a part of one of the whole.
        let emptied = items.nearest(&real).is_some_and(|(above, item)| match &item.what {
            ItemKind::Bind { .. } => !item.asked && above != real,
            ItemKind::Layers { .. } => !item.asked,
            _ => false,
        });
        if emptied {
            let is_dir = facts.paths.kind(&real).is_none_or(|kind| *kind == Kind::Dir);
            items.insert(real, if is_dir { closed_directory() } else { own(ItemKind::Masked) });
        }
    }
}

/// The note that the home that `$HOME` names is a directory of the system, which the program has instead.
pub(super) fn note_home(sandbox: &Sandbox, facts: &Facts) -> Option<Note> {
    let (real, _) = facts.paths.resolve(base(&sandbox.filesystem.root), &facts.home)?;
    let of_system = is_needed(&real) && facts.home.parent().is_some() && sandbox.filesystem.root == Root::Host;
    of_system.then(|| Note::HomeOfSystem(facts.home.clone()))
}

/// A directory in memory that is read-only, but for what is put in it: a home, or a path of the profile.
fn closed_directory() -> Item {
    let options = Options { prefer: true, ..Options::default() };
    Item { options, ..own(ItemKind::Tmpfs { mode: 0o755, size: None }) }
}

/// Whether a directory at the top holds homes, or what is mounted for users.
fn is_private(path: &Path) -> bool {
    ["/home", "/root", "/boot", "/media", "/mnt", "/srv"].iter().any(|known| path == Path::new(known))
}

/// Whether a path is somebody's home, or lies in one.
fn is_home(facts: &Facts, path: &Path) -> bool {
    let homes = facts.accounts.iter().filter(|account| account.is_person()).map(|account| account.home.as_path());
    homes
        .chain(facts.own_homes())
        .chain(["/home", "/root"].map(Path::new))
        .any(|home| within(path, home) && home.parent().is_some())
}
