//! Records what is at the paths that a sandbox names, including links, so that the planner can resolve paths without
//! access to the host.

use super::links::{Caller, LinkWriters};
use super::names::Names;
use super::walk::Walk;
use super::writers::is_of_caller;
use crate::sys::{self, Errno};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

mod entries;
mod gather;

pub(super) use entries::system;
pub use entries::{Entry, Kind};
use entries::{Permissions, entries, kind_of};

/// Devices that are in every sandbox's /dev, by name.
pub const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Directories of sysfs that exist only as mount points.
const MOUNT_POINTS: [&str; 5] =
    ["/sys/fs/bpf", "/sys/fs/pstore", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing"];

/// Files that identify the machine: machine-id(5), and the older one of D-Bus.
pub const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Links in /run by which NixOS and Guix name the running system's programs, and the drivers of graphics cards.
pub const RUN_LINKS: [&str; 3] = ["current-system", "opengl-driver", "opengl-driver-32"];

/// Why a path that belongs to another user, and that this user may not read, write or search, needs no mask.
const CLOSED: &str = "this user may not open it on the host either";

/// Values by path, without an order. Paths may be file names that somebody else has chosen, so the hash function has
/// another seed in each process.
pub(crate) type ByPath<T> = HashMap<OsString, T, foldhash::fast::RandomState>;

/// What was found at paths of the host. A path that is not in here does not exist, or was not looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Paths {
    #[serde(serialize_with = "lossy")]
    kinds: ByPath<Kind>,
    /// Directories that are reached without links: what lies directly in one needs no walk. Most rules are for names in a few.
    #[serde(skip)]
    reached: ByPath<()>,
    /// A directory whose entries are known, with their names: others need not be looked up.
    #[serde(skip)]
    listed: Option<(PathBuf, Names)>,
    /// The path that was found missing last: many rules may be for paths in it, one after the other.
    #[serde(skip)]
    missing: Option<OsString>,
    /// Directories that were found missing on the way to others, without links: nothing lies in one, nor a link.
    #[serde(skip)]
    gone: ByPath<()>,
    /// Paths that could not be looked up for another reason than that there is nothing: the user may not (EACCES), or a
    /// file server is dead (ENOTCONN).
    #[serde(skip)]
    failed: BTreeMap<OsString, Errno>,
    /// Those of them that lie in a directory of the caller's own, which a program can open again.
    #[serde(skip)]
    shut: BTreeSet<OsString>,
    /// Directories whose names could not be read.
    #[serde(skip)]
    unlisted: BTreeMap<PathBuf, Errno>,
    /// Paths that need no mask, and why.
    closed: BTreeMap<OsString, &'static str>,
    /// Who may have put the links on the way to files that are shown, by the link's path.
    #[serde(skip)]
    links: BTreeMap<PathBuf, LinkWriters>,
    /// Entries of directories that contain a hidden path, by the directory's path.
    #[serde(skip)]
    listings: BTreeMap<PathBuf, Vec<Entry>>,
    /// Directories of homes whose names were looked for links.
    #[serde(skip)]
    homes: BTreeSet<PathBuf>,
    /// Entries of the root directory that the view starts from.
    #[serde(skip)]
    top: Vec<Entry>,
    /// Directories below the system's that are no part of it.
    #[serde(skip)]
    private: Vec<PathBuf>,
    /// Arguments of the program that name files.
    #[serde(skip)]
    arguments: Vec<NamedFile>,
    /// Open descriptors that arguments of the program name.
    #[serde(skip)]
    descriptors: Vec<i32>,
    /// Of a root of several directories, those below the first, under whose paths everything is recorded.
    #[serde(skip)]
    lower: (PathBuf, Vec<PathBuf>),
}

fn lossy<S: Serializer>(kinds: &ByPath<Kind>, serializer: S) -> Result<S::Ok, S::Error> {
    let sorted: BTreeMap<_, _> = kinds.iter().collect();
    serializer.collect_map(sorted.into_iter().map(|(path, kind)| (path.to_string_lossy(), kind)))
}

/// A file or directory that is named as the program or as an argument of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Its absolute path, with links.
    pub path: PathBuf,
    /// Whether it is a regular file, and no directory, device, pipe or socket.
    pub regular: bool,
    /// Whether it is the program.
    pub program: bool,
}

/// The homes on the host, as the accounts have them.
pub(super) struct Homes<'a> {
    /// The caller's own; that of `$HOME` is the first.
    pub own: &'a [&'a Path],
    /// Those of other persons.
    pub others: &'a [&'a Path],
    /// All accounts.
    pub accounts: &'a [super::Account],
}

impl Paths {
    /// For tests: these paths and their parents.
    pub fn fake(entries: &[(&str, Kind)]) -> Paths {
        let mut paths = Paths::default();
        for (path, kind) in entries {
            for parent in Path::new(path).ancestors().skip(1) {
                paths.kinds.entry(parent.into()).or_insert(Kind::Dir);
            }
            paths.kinds.insert(path.into(), kind.clone());
        }
        paths
    }

    /// What is on the way to a directory of the host, and who may have put the links there.
    pub fn along(path: &Path, home: &Path, accounts: &[super::Account]) -> Paths {
        let mut paths = Paths::default();
        paths.kinds.insert("/".into(), Kind::Dir);
        paths.look(Path::new("/"), path);
        paths.judge_links(path, &Homes { own: &[home], others: &[], accounts });
        paths
    }

    /// The kind of the file at a path; a link at its end is not followed. `None`: there is none, or it was not looked
    /// up.
    pub fn kind(&self, path: &Path) -> Option<&Kind> {
        self.kinds.get(path.as_os_str())
    }

    /// Why a path could not be looked up; `None` if it could, or is not there.
    pub fn failed(&self, path: &Path) -> Option<Errno> {
        // Asked for each path that is not there.
        if self.failed.is_empty() {
            return None;
        }
        path.ancestors().find_map(|above| self.failed.get(above.as_os_str())).copied()
    }

    /// Whether a path could not be looked up since a directory of the caller's own on the way has no permission to be searched.
    pub fn is_shut(&self, path: &Path) -> bool {
        !self.shut.is_empty() && path.ancestors().any(|above| self.shut.contains(above.as_os_str()))
    }

    /// Why the names in a directory are not known although they were wanted.
    pub fn unlisted(&self, path: &Path) -> Option<Errno> {
        self.unlisted.get(path).copied()
    }

    /// For tests: marks a path as one that needs no mask.
    pub fn close(&mut self, path: &str) {
        self.closed.insert(path.into(), CLOSED);
    }

    /// Who may have put a link where it is. Known only for links on the way to files that are shown.
    pub fn link_writers(&self, link: &Path) -> Option<&LinkWriters> {
        self.links.get(link)
    }

    /// Why a path needs no mask; `None` if it does. Known only for paths whose mask is `optional`.
    pub fn closed(&self, path: &Path) -> Option<&'static str> {
        self.closed.get(path.as_os_str()).copied()
    }

    /// Entries of a directory, if they were recorded.
    pub fn listing(&self, path: &Path) -> Option<&[Entry]> {
        self.listings.get(path).map(Vec::as_slice)
    }

    /// The paths of the host that were looked at and are there, sorted, each with whether the names in it were read.
    pub fn looked_at(&self) -> Vec<(&Path, bool)> {
        let is_listed = |path: &Path| self.listings.contains_key(path) || self.homes.contains(path);
        let all = self.kinds.keys().map(Path::new);
        // What a listing gave was not looked at itself.
        let named = |path: &Path| path.parent().is_some_and(|parent| self.listings.contains_key(parent));
        let mut found: Vec<_> = all.filter(|path| is_listed(path) || !named(path)).collect();
        found.sort_unstable();
        found.into_iter().map(|path| (path, is_listed(path))).collect()
    }

    /// Resolves the links of a path below `root`: gives the real path (below `root`), and each link on the way with its
    /// text. The last part need not exist. `None` if there are too many links.
    pub fn resolve(&self, root: &Path, path: &Path) -> Option<(PathBuf, Vec<(PathBuf, PathBuf)>)> {
        let mut links = Vec::new();
        if self.is_real(root, path) {
            return Some((path.to_owned(), links));
        }
        let mut walk = Walk::new(root, path);
        while walk.step() {
            if let Some(Kind::Link(text)) = self.kinds.get(walk.host()) {
                links.push((walk.inside(), text.clone()));
                if !walk.follow(text) {
                    return None;
                }
            }
        }
        Some((walk.inside(), links))
    }

    /// Whether the real path of one of the host is such a one; not if there are too many links on the way.
    fn is_really(&self, path: &Path, is_one: impl Fn(&Path) -> bool) -> bool {
        let root = Path::new("/");
        match self.is_real(root, path) {
            true => is_one(path),
            false => self.resolve(root, path).is_some_and(|(real, _)| is_one(&real)),
        }
    }

    /// Whether a path is known to be its own real path without a walk.
    pub fn is_real(&self, root: &Path, path: &Path) -> bool {
        match self.way(root, path) {
            Way::Reached => !matches!(self.kind(path), Some(Kind::Link(_))),
            Way::Gone => true,
            Way::Unknown => false,
        }
    }

    /// What is known of the directory that a path of the host lies in, if the path is written plainly.
    fn way(&self, root: &Path, path: &Path) -> Way {
        let bytes = path.as_os_str().as_bytes();
        let Some(slash) = bytes.iter().rposition(|byte| *byte == b'/') else { return Way::Unknown };
        let (dir, name) = (&bytes[..slash], &bytes[slash + 1..]);
        let dir = OsStr::from_bytes(dir);
        match name {
            b"" | b"." | b".." => Way::Unknown,
            _ if root.as_os_str() != "/" => Way::Unknown,
            _ if self.reached.contains_key(dir) => Way::Reached,
            _ if !self.gone.is_empty() && self.gone.contains_key(dir) => Way::Gone,
            _ => Way::Unknown,
        }
    }

    /// Records who may have put the links on the way to a file that is shown.
    fn judge_links(&mut self, path: &Path, homes: &Homes<'_>) {
        let root = Path::new("/");
        if self.is_real(root, path) {
            return;
        }
        let links = self.resolve(root, path).map(|(_, links)| links).unwrap_or_default();
        if links.is_empty() {
            return;
        }
        let (uid, gid) = sys::ids();
        let home = homes.own.first().copied().unwrap_or(root);
        self.look(root, home);
        let home = self.resolve(root, home).map_or_else(|| home.to_owned(), |(real, _)| real);
        let caller = Caller { uid, gid, home, accounts: homes.accounts };
        for (link, _) in links {
            self.links.entry(link).or_insert_with_key(|link| caller.writers(link));
        }
    }

    /// Arguments of the program that name files or directories, in their order.
    pub fn arguments(&self) -> &[NamedFile] {
        &self.arguments
    }

    /// The caller's open descriptors that arguments of the program name, as /dev/fd/63, in their order. A shell passes such
    /// names for `<(...)`.
    pub fn descriptors(&self) -> &[i32] {
        &self.descriptors
    }

    /// For tests: an argument that names a file.
    pub fn name(&mut self, path: &str, regular: bool) {
        self.arguments.push(NamedFile { path: path.into(), regular, program: false });
    }

    /// For tests: a program that is named by its path.
    pub fn name_program(&mut self, path: &str) {
        self.arguments.push(NamedFile { path: path.into(), regular: true, program: true });
    }

    /// Directories below the system's that are no part of it: what is mounted there, and what is the caller's own.
    pub fn private(&self) -> &[PathBuf] {
        &self.private
    }

    /// For tests: a directory below the system's that is no part of it.
    pub fn separate(&mut self, path: &str) {
        self.private.push(path.into());
    }

    /// Looks a path of the host up, and records what is found.
    pub(super) fn record(&mut self, path: &Path) {
        self.look(Path::new("/"), path);
    }

    /// The same for what is opened there, with who may have put the links on the way.
    pub(super) fn record_source(&mut self, path: &Path, homes: &Homes<'_>) {
        self.record(path);
        self.judge_links(path, homes);
    }

    /// Adds what the further directories of the root have at their top.
    fn list_lower(&mut self) {
        let (first, rest) = self.lower.clone();
        let mut found = Vec::new();
        for dir in &rest {
            match entries(dir) {
                Ok(entries) => found.extend(entries),
                Err(errno) => drop(self.unlisted.insert(dir.clone(), errno)),
            }
        }
        for (name, kind) in found {
            if !self.top.iter().any(|(known, _)| *known == name) {
                self.kinds.insert(first.join(&name).into(), kind.clone());
                self.top.push((name, kind));
            }
        }
    }

    /// Records the entries of a directory of the host.
    pub(super) fn record_entries(&mut self, dir: &Path) {
        self.list_directory(dir);
    }

    /// Takes the entries of the root directory that the view starts from.
    pub(super) fn take_top(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.top)
    }

    /// Whether a path of the host is known not to exist.
    fn is_absent(&self, host: &OsStr) -> bool {
        if self.missing.as_deref() == Some(host) || (!self.gone.is_empty() && self.gone.contains_key(host)) {
            return true;
        }
        let Some((dir, names)) = &self.listed else { return false };
        name_in(host, dir).is_some_and(|name| names.lack(name))
    }

    /// Records every component of a path, links resolved. Gives the host's path of the last component, and its
    /// permissions if they were looked up now. `None` if the path does not exist.
    fn look(&mut self, root: &Path, path: &Path) -> Option<(OsString, Option<Permissions>)> {
        match self.way(root, path) {
            Way::Gone => return None,
            Way::Reached => {
                let last = self.look_at(path.as_os_str())?;
                if !matches!(self.kind(path), Some(Kind::Link(_))) {
                    return Some((path.into(), last));
                }
            }
            Way::Unknown => {}
        }
        let mut walk = Walk::new(root, path);
        let mut last = None;
        let mut is_there = true;
        while is_there && walk.step() {
            match self.look_at(walk.host()) {
                Some(found) => last = found,
                None => is_there = false,
            }
            if let Some(Kind::Link(text)) = self.kinds.get(walk.host())
                && !walk.follow(text)
            {
                return None;
            }
        }
        let is_missing = !is_there && !self.failed.contains_key(walk.host());
        if is_missing && self.missing.as_deref() != Some(walk.host()) {
            self.missing = Some(walk.host().to_owned());
        }
        // Its own path then: what is walked to begins with it.
        if is_missing && walk.is_without_links() && walk.host().len() < path.as_os_str().len() {
            self.gone.insert(walk.host().to_owned(), ());
        }
        if let Some(dir) = walk.reached_directory().filter(|dir| !self.reached.contains_key(*dir)) {
            self.reached.insert(dir.to_owned(), ());
        }
        is_there.then(|| (walk.host().to_owned(), last))
    }

    /// Records what is at a path of the host whose directory has been looked up, with its permissions if that was done now.
    /// `None` if nothing is there.
    fn look_at(&mut self, host: &OsStr) -> Option<Option<Permissions>> {
        if self.kinds.contains_key(host) {
            return Some(None);
        }
        if self.is_absent(host) {
            return None;
        }
        match self.kind_of(Path::new(host)) {
            Ok((kind, permissions)) => {
                self.kinds.insert(host.to_owned(), kind);
                Some(Some(permissions))
            }
            Err(error) => {
                let mine = |dir: &Path| dir.symlink_metadata().is_ok() && is_of_caller(dir);
                if error.raw_os_error() == Some(libc::EACCES) && Path::new(host).parent().is_some_and(mine) {
                    self.shut.insert(host.to_owned());
                }
                if !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) {
                    self.failed.insert(host.to_owned(), Errno::from(error));
                }
                None
            }
        }
    }

    /// The kind of the file at a path of the host: in the first directory of the root that has it, if the path lies in
    /// a root of several directories.
    fn kind_of(&self, path: &Path) -> std::io::Result<(Kind, Permissions)> {
        let (first, rest) = &self.lower;
        let found = kind_of(path);
        if rest.is_empty() || found.is_ok() {
            return found;
        }
        let Ok(inside) = path.strip_prefix(first) else { return found };
        rest.iter().find_map(|dir| kind_of(&dir.join(inside)).ok()).map_or(found, Ok)
    }

    /// Records whether a path of the host, which exists, needs no mask, `uid` being the caller.
    fn note_closed(&mut self, host: OsString, permissions: Option<Permissions>, uid: u32) {
        // An empty mount point. What is mounted there later on the host does not appear in the view.
        let vacant = || sys::read_dir(&host).is_ok_and(|mut entries| entries.next().is_none());
        if MOUNT_POINTS.iter().any(|path| host == *path) && vacant() {
            self.closed.insert(host, "nothing is mounted there on the host");
            return;
        }
        let permissions = match permissions {
            Some(permissions) => permissions,
            None => match Path::new(&host).symlink_metadata() {
                Ok(found) => Permissions::of(&found),
                Err(_) => return,
            },
        };
        if permissions.refuse(&host, uid) {
            self.closed.insert(host, CLOSED);
        }
    }

    fn list(&mut self, root: &Path, path: &Path) {
        let Some((real, _)) = self.resolve(root, path) else { return };
        let Some(parent) = real.parent() else { return };
        self.list_directory(&below(root, parent));
    }

    /// Records the entries of a directory of the host, or why they cannot be read.
    fn list_directory(&mut self, host: &Path) {
        if self.listings.contains_key(host) {
            return;
        }
        match entries(host) {
            Ok(entries) => {
                for (name, kind) in &entries {
                    self.kinds.entry(host.join(name).into()).or_insert_with(|| kind.clone());
                }
                self.listings.insert(host.to_owned(), entries);
            }
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) => {}
            Err(errno) => drop(self.unlisted.insert(host.to_owned(), errno)),
        }
    }
}

/// What is known of the directory that a path lies in.
enum Way {
    /// It is reached without links.
    Reached,
    /// It is missing, and so is all in it; no link leads there.
    Gone,
    Unknown,
}

/// The name that a path has in this directory, if it lies directly in it.
fn name_in<'p>(path: &'p OsStr, dir: &Path) -> Option<&'p OsStr> {
    let name = path.as_bytes().strip_prefix(dir.as_os_str().as_bytes())?.strip_prefix(b"/")?;
    (!name.contains(&b'/')).then(|| OsStr::from_bytes(name))
}

/// The path on the host of a path below `root`.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    if root == Path::new("/") {
        return path.to_owned();
    }
    root.join(path.strip_prefix("/").unwrap_or(path)).components().collect()
}
