//! Plans layers: directories of the host that are merged, and where the changes go that the program makes in paths of
//! the mode `overlay`.
//!
//! The mechanism is the kernel's overlay in the sandbox's user namespace, with the option `userxattr`
//! (Documentation/filesystems/overlayfs.rst).

use super::item::{Item, ItemKind, Items};
use super::lines::{Lines, from};
use super::note::Note;
use super::own;
use super::{HelperSpec, IdPlan, Op, Placed, view_server};
use crate::error::{Error, Result};
use crate::host::{Facts, Kind, StoreFilesystem, TMPFS_WITH_ATTRIBUTES, UnionFacts};
use crate::spec::{Changes, Mechanism, Origin, PathRule, Root, Sandbox, within};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The first version of the kernel that lets an ordinary user mount an overlay.
const OVERLAYS_OF_USERS: (u32, u32) = (5, 11);

/// What the FUSE union does not show.
const CLOSED: &str = "; what you cannot read is shown empty, with owner and permissions, and is never committed";

/// Why there is a view server, where the program is root inside.
const OWNERS: &str = ", and a server below it that shows the host's files with owners that are known inside, without \
     extended attributes; those that you cannot read are shown empty, with owner and permissions, and are never committed";

/// Why there is a view server for other programs.
const MOUNTS: &str = ", and a server below it that shows what is below mount points of the host, without extended \
     attributes; what you cannot read is shown empty, with owner and permissions, and is never committed";

/// Where the upper layers of a sandbox are, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnionPlan {
    /// Where they are.
    pub upper: UpperPlace,
    /// Why they are there.
    pub why: String,
    /// How many bytes the server of the FUSE union lets them take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The line that says what becomes of them.
    pub origin: Origin,
    /// The overlays of which a line at the end says that changes were discarded: the profile would have the user asked, and there
    /// is no terminal to ask on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<PathBuf>,
    /// Files that profiles were read from, which a commit leaves alone.
    #[serde(skip)]
    pub profiles: Vec<PathBuf>,
}

/// Where the upper layers of a sandbox are, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpperPlace {
    /// In memory, gone at the end.
    Memory {
        /// How many bytes they may take; none: half of the memory, together with the other directories in memory.
        size: Option<u64>,
    },
    /// In this directory of the host, removed at the end.
    Disk {
        /// Directory that holds all upper layers of this user.
        store: PathBuf,
    },
    /// In this directory of the host, kept under a name.
    Kept {
        /// Directory that holds all upper layers of this user.
        store: PathBuf,
        /// Name of the upper layers.
        name: String,
    },
    /// In this directory of the host; the user is asked at the end what becomes of them.
    Asked {
        /// Directory that holds all upper layers of this user.
        store: PathBuf,
    },
}

impl UpperPlace {
    /// The directory of the host that they are in, if they are on disk.
    pub fn store(&self) -> Option<&Path> {
        match self {
            UpperPlace::Memory { .. } => None,
            UpperPlace::Disk { store } | UpperPlace::Kept { store, .. } | UpperPlace::Asked { store } => Some(store),
        }
    }

    /// Where changes are, and what becomes of them, in a few words.
    fn words(&self) -> String {
        match self {
            UpperPlace::Memory { size: None } => "in memory, gone at the end".into(),
            UpperPlace::Memory { size: Some(size) } => format!("in memory, {size} bytes at most, gone at the end"),
            UpperPlace::Disk { store } => format!("in {}, removed at the end", store.display()),
            UpperPlace::Kept { store, name } => format!("in {}, kept", store.join(name).display()),
            UpperPlace::Asked { store } => format!("in {}; sbx asks at the end what becomes of them", store.display()),
        }
    }
}

impl UnionPlan {
    /// Where changes are, what becomes of them, and how much there may be of them on disk.
    fn words(&self) -> String {
        match self.limit {
            Some(limit) => format!("{}, {limit} bytes at most", self.upper.words()),
            None => self.upper.words(),
        }
    }

    pub(super) fn render(&self, lines: &mut Lines) {
        lines.add("changes", format!("{}{}", self.words(), from(&self.origin)));
        lines.add("", &self.why);
    }

    /// What is said of changes that were discarded: so many files, with `most` as "or more"; none if that is not known. Nothing if
    /// there were none.
    pub fn discarded(&self, count: Option<u32>, most: u32) -> Option<String> {
        let (first, more) = self.lost.split_first()?;
        let dirs = match more.len() {
            0 => first.display().to_string(),
            1 => format!("{} and another overlay", first.display()),
            more => format!("{} and {more} more overlays", first.display()),
        };
        let text = match count {
            Some(0) => return None,
            Some(1) => format!("1 file changed in {dirs} was discarded"),
            Some(count) if count >= most => format!("{most} or more files changed in {dirs} were discarded"),
            Some(count) => format!("{count} files changed in {dirs} were discarded"),
            None => format!("what the program changed in {dirs}, if anything, was discarded"),
        };
        Some(format!("{text}, with no terminal to ask on: --upper keep:NAME keeps them"))
    }

    /// The text by which a receipt says what becomes of changes.
    pub(super) fn mechanism(&self) -> String {
        format!("an upper layer {}", self.words())
    }
}

/// Whether the root is one merged directory, rather than a mount for each of its entries.
pub(super) fn is_merged(sandbox: &Sandbox) -> bool {
    match sandbox.filesystem.root {
        Root::Stack(_) => true,
        Root::Dir(_) => whole_rule(sandbox).is_some(),
        Root::Host | Root::Empty | Root::Bare => false,
    }
}

/// The rule that makes the whole root an overlay.
fn whole_rule(sandbox: &Sandbox) -> Option<&PathRule> {
    let mut rules = sandbox.filesystem.paths.iter();
    rules.find(|rule| rule.is_root() && rule.mode == crate::spec::Mode::Overlay)
}

/// What a merged root is before any path is applied: read-only.
pub(super) fn merged(sandbox: &Sandbox) -> ItemKind {
    ItemKind::Layers { lower: sandbox.filesystem.root.dirs().to_vec(), ro: true, without: Vec::new() }
}

/// Carries out a rule that makes the whole root an overlay. Of the host's own tree, the mounts of which the kernel does
/// not merge for an ordinary user, each directory at the top becomes one.
pub(super) fn whole(items: &mut Items, sandbox: &Sandbox, facts: &Facts, ids: &IdPlan, rule: &PathRule) {
    let item = |what| Item { what, options: rule.options.clone(), origin: rule.origin.clone(), asked: false };
    if is_merged(sandbox) {
        items.insert("/", item(overlay(sandbox.filesystem.root.dirs().to_vec())));
        return;
    }
    let none = UnionFacts::default();
    let known = facts.union.as_ref().unwrap_or(&none);
    let fuse = is_fuse(sandbox, facts);
    let shown: Vec<_> = items
        .iter()
        .filter_map(|(path, item)| match &item.what {
            ItemKind::Bind { source, ro: true, device: false } => {
                let top = path.parent() == Some(Path::new("/")) && facts.paths.kind(source) == Some(&Kind::Dir);
                top.then(|| (path.to_owned(), source.clone()))
            }
            _ => None,
        })
        .collect();
    for (path, source) in shown {
        directory(items, path, source, (facts, ids, known, fuse), &item);
    }
}

fn overlay(lower: Vec<PathBuf>) -> ItemKind {
    ItemKind::Layers { lower, ro: false, without: Vec::new() }
}

/// Makes a directory of the host an overlay. If it has mounts below it, the kernel does not without a view server: then a directory of the view
/// takes its place, which has an overlay for each directory in it, and in which nothing can be made.
fn directory(
    items: &mut Items,
    path: PathBuf,
    source: PathBuf,
    (facts, ids, known, fuse): (&Facts, &IdPlan, &UnionFacts, bool),
    item: &impl Fn(ItemKind) -> Item,
) {
    if known.special.contains(&source) {
        items.insert(path, item(ItemKind::Bind { source, ro: true, device: false }));
        return;
    }
    let served = view_server::is_served((facts, ids, fuse), std::slice::from_ref(&source), false);
    let split = !served && known.mounts.iter().any(|mount| *mount != source && within(mount, &source));
    let (true, Some(listing)) = (split, facts.paths.listing(&source)) else {
        items.insert(path, item(overlay(vec![source])));
        return;
    };
    for (name, kind) in listing {
        let (path, source) = (path.join(name), source.join(name));
        match kind {
            // What the view has there itself, such as an empty home.
            _ if items.contains(&path) => {}
            Kind::Dir => directory(items, path, source, (facts, ids, known, fuse), item),
            Kind::File => items.insert(path, item(ItemKind::Bind { source, ro: true, device: false })),
            Kind::Link(text) => items.insert(path, item(ItemKind::Link(text.clone()))),
        }
    }
    // It is made read-only once it is complete, as a directory with something hidden in it is.
    let mut split = item(ItemKind::Tmpfs { mode: 0o755, size: None });
    split.options.prefer = true;
    items.insert(path, split);
}

/// Notes the directories that could not be made an overlay as a whole.
pub(super) fn note_split(sandbox: &Sandbox, parts: &[Placed], notes: &mut Vec<Note>) {
    let Some(rule) = whole_rule(sandbox) else { return };
    let split = parts.iter().filter(|placed| placed.origin == rule.origin).filter_map(|placed| match &placed.op {
        Op::Tmpfs { path, .. } => Some(path.clone()),
        _ => None,
    });
    let split: Vec<_> = split.collect();
    if !split.is_empty() {
        notes.push(Note::Split(split));
    }
}

/// Whether changes in overlays are discarded at the end.
pub(super) fn are_discarded(sandbox: &Sandbox, facts: &Facts) -> bool {
    match sandbox.filesystem.changes {
        Changes::Discard => true,
        Changes::Ask => facts.union.as_ref().is_none_or(|known| !known.terminal),
        Changes::Keep(_) => false,
    }
}

/// Why a directory of the host is shown read-only for which the profile only prefers an overlay (`overlay,prefer`), as the end of a
/// sentence: the kernel's overlay cannot be had there, or not without a server. An empty text where nothing is lost by that.
pub(super) fn why_read_only(sandbox: &Sandbox, facts: &Facts, dir: &Path) -> Option<String> {
    let known = facts.union.as_ref()?;
    if let Some((Mechanism::Fuse, _)) = sandbox.filesystem.mechanism {
        return None;
    }
    let store = known.store.display();
    if let Some(error) = &known.failed {
        return Some(format!("the kernel mounts none here: {error}"));
    }
    if let Some(mount) = known.mounts.iter().find(|mount| *mount != dir && within(mount, dir)) {
        let (mount, dir) = (mount.display(), dir.display());
        return Some(format!(
            "{mount} is mounted below it, and the kernel does not uncover that; --overlay {dir} has a server do so"
        ));
    }
    // Whoever may change nothing there loses nothing.
    if known.foreign.iter().any(|foreign| foreign == dir) && facts.uid != 0 {
        return Some(String::new());
    }
    let on_disk = match sandbox.filesystem.changes {
        Changes::Keep(_) => return None,
        Changes::Ask if known.terminal => true,
        _ => facts.kernel < TMPFS_WITH_ATTRIBUTES,
    };
    if on_disk && dir.to_str().is_none() {
        return Some("changes on disk are kept for paths that are UTF-8".into());
    }
    match refused(facts, known).filter(|_| on_disk) {
        Some(name) => Some(format!(
            "the kernel takes no changes on {name}, where {store} lies; --overlay {} has a server do so",
            dir.display()
        )),
        None if on_disk && known.store_closed => {
            Some(format!("changes could not be kept in {store}, where you may not write"))
        }
        None if on_disk => {
            let store = own::store(facts, sandbox, &known.store, &sandbox.filesystem.changes_origin);
            store.err().map(|error| format!("changes could not be kept: {}", error.message))
        }
        None => None,
    }
}

/// Decides where the changes go that the program makes in overlays.
///
/// # Errors
///
/// The kernel cannot merge a directory, or take its changes as the profile says.
pub(super) fn plan(
    sandbox: &Sandbox,
    facts: &Facts,
    ids: &IdPlan,
    parts: &mut [Placed],
    notes: &mut Vec<Note>,
) -> Result<(Option<UnionPlan>, Option<HelperSpec>)> {
    let none = UnionFacts::default();
    let known = facts.union.as_ref().unwrap_or(&none);
    note_split(sandbox, parts, notes);
    let mut writable = false;
    let (mut others, mut squashed, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    let mut served_for = None;
    for placed in parts.iter() {
        if let Op::Layers { path, lower, served, fuse, ro, .. } = &placed.op {
            if served.is_none() {
                no_mounts_below(path, lower, known, &placed.origin)?;
            }
            writable |= !ro;
            if !ro && sandbox.filesystem.changes == Changes::Ask && !known.terminal {
                lost.push(path.clone());
            }
            let foreign = known.foreign.iter().any(|dir| lower.contains(dir));
            if served.is_some() {
                served_for.get_or_insert_with(|| placed.origin.clone());
            }
            if served.is_some() && ids.uid == 0 && facts.uid != 0 {
                if ids.is_single() || *fuse && foreign {
                    squashed.push(path.clone());
                }
            } else if !ro && foreign && (ids.is_single() || facts.uid != 0) {
                others.push(path.clone());
            }
        }
    }
    if !squashed.is_empty() {
        notes.push(Note::Squashed(squashed));
    }
    if !others.is_empty() {
        notes.push(Note::ForeignOwners(others));
    }
    let server = match served_for {
        None => None,
        Some(origin) => view_server::plan(facts, ids, parts, &origin)?,
    };
    if !writable {
        return Ok((None, server));
    }
    let (upper, mut why) = upper(sandbox, facts, known)?;
    if is_fuse(sandbox, facts) {
        why.push_str(CLOSED);
    } else if server.is_some() {
        why.push_str(if ids.uid == 0 && facts.uid != 0 { OWNERS } else { MOUNTS });
    } else if !known.fuse && ids.uid == 0 && facts.uid != 0 {
        why.push_str("; the owners of the host's files cannot be translated, since /dev/fuse may not be used here");
    }
    if !lost.is_empty() {
        why.push_str("; there is no terminal to ask on, and a line at the end says how many files were changed");
    }
    let limit = sandbox.filesystem.upper_size.as_ref().map(|(size, _)| *size).filter(|_| is_fuse(sandbox, facts));
    let (origin, profiles) = (sandbox.filesystem.changes_origin.clone(), sandbox.filesystem.profiles.clone());
    Ok((Some(UnionPlan { upper, why, limit, origin, lost, profiles }), server))
}

/// Whether the FUSE union merges layers that are written to.
pub(super) fn is_fuse(sandbox: &Sandbox, facts: &Facts) -> bool {
    why_fuse(sandbox, facts).is_some()
}

/// Why the FUSE union merges layers that are written to; none: the kernel's overlay does.
fn why_fuse(sandbox: &Sandbox, facts: &Facts) -> Option<String> {
    match &sandbox.filesystem.mechanism {
        Some((Mechanism::Fuse, _)) => return Some("as `filesystem.mechanism` says".into()),
        Some((Mechanism::Overlay, _)) => return None,
        None => {}
    }
    let known = facts.union.as_ref().filter(|known| known.fuse)?;
    if facts.kernel < OVERLAYS_OF_USERS {
        return Some("since the kernel lets no ordinary user mount an overlay before Linux 5.11".into());
    }
    let stored = match sandbox.filesystem.changes {
        Changes::Keep(_) => true,
        Changes::Ask => known.terminal,
        Changes::Discard => facts.kernel < TMPFS_WITH_ATTRIBUTES,
    };
    let name = refused(facts, known).filter(|_| stored)?;
    let store = known.store.display();
    Some(format!("since the kernel's overlay takes no upper layer on {name}, where {store} lies"))
}

/// The filesystem on which upper layers would be kept, by its name, if the kernel takes none on it.
fn refused(facts: &Facts, known: &UnionFacts) -> Option<&'static str> {
    match known.store_filesystem {
        StoreFilesystem::Refused(name) => Some(name),
        StoreFilesystem::Tmpfs if facts.kernel < TMPFS_WITH_ATTRIBUTES => Some("tmpfs before Linux 6.6"),
        StoreFilesystem::Tmpfs | StoreFilesystem::Usable => None,
    }
}

/// Where the upper layers are, and why there.
fn upper(sandbox: &Sandbox, facts: &Facts, known: &UnionFacts) -> Result<(UpperPlace, String)> {
    let filesystem = &sandbox.filesystem;
    let size = filesystem.upper_size.as_ref();
    let memory = facts.kernel >= TMPFS_WITH_ATTRIBUTES;
    let fuse = why_fuse(sandbox, facts);
    let store = || own::store(facts, sandbox, &known.store, &filesystem.changes_origin);
    let upper = match &filesystem.changes {
        Changes::Keep(name) => UpperPlace::Kept { store: store()?, name: name.clone() },
        Changes::Ask if known.terminal => UpperPlace::Asked { store: store()? },
        Changes::Ask | Changes::Discard if memory && fuse.is_none() => {
            let size = size.map(|(size, _)| *size);
            return Ok((
                UpperPlace::Memory { size },
                "by the kernel's overlay, with its upper layer on a tmpfs".into(),
            ));
        }
        Changes::Ask | Changes::Discard => UpperPlace::Disk { store: store()? },
    };
    if let Some((_, origin)) = size.filter(|_| fuse.is_none()) {
        let why = match upper {
            UpperPlace::Disk { .. } => "changes are in memory only from Linux 6.6 on, whose tmpfs takes upper layers",
            _ => "the kernel limits changes in memory alone, and these are kept on disk",
        };
        return Err(Error::new(format!("filesystem.upper_size cannot be enforced: {why}"))
            .origin(origin)
            .hint("set `mechanism = \"fuse\"`, by which sbx limits them itself; or leave upper_size out"));
    }
    if let Some(why) = fuse {
        if !known.fuse {
            let error = Error::new("the FUSE union cannot be served: /dev/fuse may not be used here");
            let origin = filesystem.mechanism.as_ref().map_or(&filesystem.changes_origin, |(_, origin)| origin);
            return Err(error
                .origin(origin)
                .hint("as root: modprobe fuse, and chmod 666 /dev/fuse; or leave `mechanism` out"));
        }
        return Ok((upper, format!("by the FUSE union, {why}")));
    }
    if let Some(name) = refused(facts, known) {
        let store = known.store.display();
        return Err(Error::new(format!(
            "changes cannot be stored in {store}: the kernel takes no upper layer on {name}"
        ))
        .origin(&filesystem.changes_origin)
        .hint("set XDG_DATA_HOME to a directory on another filesystem, such as ext4, XFS or Btrfs"));
    }
    let why = match upper {
        UpperPlace::Disk { .. } => "by the kernel's overlay; tmpfs takes upper layers only from Linux 6.6 on",
        _ => "by the kernel's overlay, with its upper layer on disk",
    };
    Ok((upper, why.into()))
}

/// Refuses a directory with mounts below it.
fn no_mounts_below(path: &Path, lower: &[PathBuf], known: &UnionFacts, origin: &Origin) -> Result<()> {
    for dir in lower {
        let below: Vec<_> = known.mounts.iter().filter(|mount| *mount != dir && within(mount, dir)).collect();
        let Some(first) = below.first() else { continue };
        let more = if below.len() > 1 { format!(" and {} more", below.len() - 1) } else { String::new() };
        let dir = dir.display();
        let message = format!(
            "{} cannot be an overlay: {dir} has a mount below it, {}{more}, and the kernel does not uncover what is under \
             a mount",
            path.display(),
            first.display()
        );
        let inner = first.parent().unwrap_or(first).display();
        return Err(Error::new(message).origin(origin).hint(format!(
            "make directories an overlay that have none; or show {path} as it is, \"{path}\" = \"ro\"; what lies beside \
             {inner} can be an overlay each",
            path = path.display()
        )));
    }
    Ok(())
}
