//! sbx's own directories: where it keeps private homes, locks and upper layers, where the user's profiles are, and the records of sandboxes that
//! can be named. Whoever writes there decides what a later sandbox shows, what `sbx commit` puts onto the host, and what sbx takes for running.

use super::paths::Paths;
use super::writers::may_come_to_write;
use crate::profile::Profiles;
use crate::spec::{Mode, Root, Sandbox, within};
use crate::state::Places;
use crate::sys::{self, Errno};
use crate::union::Store;
use serde::Serialize;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is in a directory of sbx's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeps {
    /// Private homes, locks and upper layers: no program sees them.
    Stores,
    /// Records of sandboxes that can be named, and the sockets of their monitors: no program sees them.
    Records,
    /// Profiles: no program changes them.
    Profiles,
}

/// A directory of sbx's own, or a file that is a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnDir {
    /// Its real path, whether there is something or not.
    pub path: PathBuf,
    /// What is in it.
    pub keeps: Keeps,
    /// Links of the user's on the way to it: whoever replaces one has a directory of his own there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<PathBuf>,
    /// The directory of the caller's own whose permissions alone keep it from being made: a program that is shown that writable sets them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<PathBuf>,
}

/// Finds the directories of sbx's stores that have to be closed: that below `data`, XDG_DATA_HOME, and the one that runs without this variable
/// have. Such a one is there, or this sandbox makes it (`wanted`), or shows a directory above it, in which another run could make it.
pub(super) fn stores(
    paths: &mut Paths,
    sandbox: &Sandbox,
    data: Option<&str>,
    home: &Path,
    wanted: bool,
) -> Vec<OwnDir> {
    if sandbox.filesystem.root == Root::Bare {
        return Vec::new();
    }
    let place = |data| Store::place(data, home).parent().map(Path::to_owned);
    let (own, usual) = (place(data), place(None));
    let other = usual.filter(|usual| own.as_ref() != Some(usual));
    let mut found: Vec<_> =
        own.and_then(|dir| closed(paths, sandbox, Keeps::Stores, &dir, wanted)).into_iter().collect();
    found.extend(other.and_then(|dir| closed(paths, sandbox, Keeps::Stores, &dir, false)));
    found
}

/// Finds the directories of records that have to be closed: those of what outlives a sandbox, and those of running ones, which may have been
/// started with other variables.
pub(super) fn records(
    paths: &mut Paths,
    sandbox: &Sandbox,
    state_home: Option<&str>,
    runtime_dir: Option<&str>,
    (home, uid): (&Path, u32),
) -> Vec<OwnDir> {
    if sandbox.filesystem.root == Root::Bare {
        return Vec::new();
    }
    let (own, usual) = (Places::state_of(state_home, home), Places::state_of(None, home));
    let other = Some(usual).filter(|usual| own != *usual);
    let mut named: Vec<_> = std::iter::once(own).chain(other).collect();
    let above: Vec<_> = shown(paths, sandbox, Mode::shows_host).collect();
    let is_shown = |dir: &PathBuf| above.iter().any(|above| is_below(dir, above));
    // The last resort is made where nothing else can be, and closed only there.
    let wanted = |dir: &PathBuf| {
        !dir.starts_with("/tmp") || dir.is_dir() || Places::of(state_home, runtime_dir, home).runtime == *dir
    };
    named.extend(Places::all_runtime(runtime_dir, uid).into_iter().filter(|dir| is_shown(dir) && wanted(dir)));
    named.iter().filter_map(|dir| closed(paths, sandbox, Keeps::Records, dir, false)).collect()
}

/// A directory that has to be closed, by its name; none if it is not there, and no sandbox makes it while this one runs.
fn closed(paths: &mut Paths, sandbox: &Sandbox, keeps: Keeps, named: &Path, wanted: bool) -> Option<OwnDir> {
    let name = CString::new(named.as_os_str().as_bytes()).ok()?;
    let there = match sys::open_resolved(&name) {
        Ok(_) => true,
        // A link is on the way, and it may lead to what is not there.
        Err(Errno(libc::ELOOP)) => named.symlink_metadata().is_ok(),
        Err(_) if !wanted && !shown(paths, sandbox, Mode::shows_host).any(|dir| is_below(named, &dir)) => return None,
        Err(_) => false,
    };
    paths.record(named);
    let (base, links) = paths.resolve(Path::new("/"), named.parent()?)?;
    let path = base.join(named.file_name()?);
    // What lies in a directory that this user may open to itself is there for a program that does.
    let made = if there || paths.is_shut(&path) { Made::Yes } else { can_be_made(&path) };
    let kept_by = made.kept_by()?;
    // A line may name it itself, or what is in it.
    if keeps == Keeps::Stores && sandbox.filesystem.paths.iter().any(|rule| within(rule.source(), &path)) {
        PARTS.iter().for_each(|part| paths.record(&path.join(part)));
    }
    Some(OwnDir { path, keeps, links: links.into_iter().map(|(link, _)| link).collect(), kept_by })
}

/// What is in the directory of stores.
pub const PARTS: [&str; 2] = ["homes", "uppers"];

/// Finds the directories and files of the user's profiles, as far as the sandbox shows a directory above them writable.
pub(super) fn profiles(paths: &mut Paths, sandbox: &Sandbox, known: &Profiles) -> Vec<OwnDir> {
    let writable: Vec<_> = shown(paths, sandbox, |mode| mode == Mode::Rw).collect();
    let is_writable = |path: &Path| writable.iter().any(|dir| is_below(path, dir));
    let mut found = Vec::new();
    let links: Vec<PathBuf> = known.links.iter().filter(|link| is_writable(link)).cloned().collect();
    for path in &known.real {
        if (is_writable(path) || !links.is_empty()) && found.iter().all(|dir: &OwnDir| !within(path, &dir.path)) {
            paths.record(path);
            let there = paths.kind(path).is_some() || paths.is_shut(path);
            let made = if there { Made::Yes } else { can_be_made(path) };
            if let Some(kept_by) = made.kept_by() {
                found.push(OwnDir { path: path.clone(), keeps: Keeps::Profiles, links: links.clone(), kept_by });
            }
        }
    }
    found
}

/// The real paths of what rules of such a mode show.
fn shown(paths: &Paths, sandbox: &Sandbox, is_meant: impl Fn(Mode) -> bool) -> impl Iterator<Item = PathBuf> {
    let rules = sandbox.filesystem.paths.iter().filter(move |rule| is_meant(rule.mode));
    rules.filter_map(|rule| Some(paths.resolve(Path::new("/"), rule.source())?.0))
}

/// Whether a path lies below a directory.
fn is_below(path: &Path, dir: &Path) -> bool {
    within(path, dir) && path.as_os_str() != dir.as_os_str()
}

/// Whether a path that is not there can be made.
enum Made {
    Yes,
    /// Not by this user, or any program of this user's: the directory is another one's, or lies on a read-only mount.
    No,
    /// Not as long as this directory of the user's own has the permissions that it has.
    KeptBy(PathBuf),
}

impl Made {
    /// None if it cannot be made; the directory whose permissions alone keep it from that, if there is one.
    fn kept_by(self) -> Option<Option<PathBuf>> {
        match self {
            Made::Yes => Some(None),
            Made::No => None,
            Made::KeptBy(dir) => Some(Some(dir)),
        }
    }
}

/// Whether this user, and so a program of this user's, could make a path that is not there. Who owns the directory decides that, and not its
/// permissions, which a program may set; but nobody sets any on a read-only mount.
fn can_be_made(path: &Path) -> Made {
    match path.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok()) {
        Some(above) if sys::may_write_followed(above) => Made::Yes,
        Some(above) if may_come_to_write(above) && !sys::is_read_only(above) => Made::KeptBy(above.to_owned()),
        _ => Made::No,
    }
}
