//! The project that the current directory belongs to, for `${PROJECT}`, and the repository that a `.git` file in there
//! leads to.
//!
//! Somebody else may have written the project: what is in it must not make anything outside of it visible. So a
//! directory above counts only if it belongs to the caller and nobody else may write to it, and a repository only if it
//! names the project itself.

use super::accounts;
use super::git;
use super::git_config::{self, path_in};
use super::git_named::User;
use super::temporary::{holds_sockets, is_temporary};
use super::writers::others_may_write;
// In a directory above the current one it makes no project: who wrote it decides what is tightened, and not what is shown. Below the
// directory of a repository or a workspace, it makes a smaller project of a part of that.
use crate::profile::project::FILE;
use crate::profile::{Project, Repository, Vars};
use crate::sys;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How much of a manifest is read, in bytes.
const LARGEST: usize = 1 << 16;

/// Files that make their directory a project besides a repository of git's, each with what a line of it has to begin with, or to hold if
/// that begins with a quote; nothing if the file alone says so.
const WORKSPACES: [(&str, &str); 5] = [
    ("Cargo.toml", "[workspace"),
    ("go.work", ""),
    ("package.json", "\"workspaces\""),
    ("pnpm-workspace.yaml", ""),
    ("pyproject.toml", "[tool.uv.workspace"),
];

/// Markers of projects in the directories from the current one up.
#[derive(Default)]
struct Marked<'v> {
    /// The nearest directory with one, and the marker.
    part: Option<(&'v Path, &'static str)>,
    /// The marker of the repository or the workspace that this directory is, or is a part of.
    whole: Option<&'static str>,
    /// A directory that would be the project if other users could not write to it.
    shared: Option<&'v Path>,
}

/// Whether a directory is, or holds, a home or the runtime directory, or lies in that one.
fn is_private(vars: &Vars, dir: &Path) -> bool {
    let mut homes = vars.homes.iter().chain(&vars.other_homes).chain(&vars.home_dirs);
    homes.any(|home| home.starts_with(dir))
        || vars.runtime.iter().any(|runtime| runtime.starts_with(dir) || dir.starts_with(runtime))
}

fn marked(vars: &Vars) -> Marked<'_> {
    let ids @ (uid, _) = sys::ids();
    let trusted = |dir: &Path| {
        let found = dir.symlink_metadata().ok()?;
        let is_one = found.uid() == uid
            && !is_private(vars, dir)
            && !is_temporary(dir, &found, |name| std::env::var_os(name))
            && !holds_sockets(dir, |name| std::env::var_os(name));
        is_one.then_some(found)
    };
    let accounts = OnceCell::new();
    let read = || accounts.get_or_init(|| accounts::accounts(Path::new("/etc/passwd")).unwrap_or_default()).as_slice();
    let Marked { mut part, mut whole, mut shared } = Marked::default();
    for dir in vars.cwd.ancestors() {
        let Some(found) = trusted(dir) else { break };
        let is_own = |name| dir.join(name).symlink_metadata().is_ok_and(|found| found.uid() == uid);
        let git = is_own(".git");
        whole = if git && is_repository(dir) { Some(".git") } else { workspace(dir, uid) };
        // Others may have put the marker there. The current directory is shown anyway.
        let is_shared = others_may_write(dir, &found, ids, read);
        if is_shared && dir != vars.cwd {
            shared = whole.take().map(|_| dir);
            break;
        }
        if part.is_none() {
            // What git does not take for a repository may be one that is broken.
            let marker = if !vars.no_project_file && is_own(FILE) { Some(FILE) } else { git.then_some(".git") };
            part = whole.or(marker).map(|marker| (dir, marker));
        }
        if whole.is_some() || is_shared {
            break;
        }
    }
    Marked { part, whole, shared }
}

impl<'v> Marked<'v> {
    /// The directory that has a marker and lies above the current one.
    fn above(&self, vars: &Vars) -> Option<(&'v Path, &'static str)> {
        self.part.filter(|(dir, _)| *dir != vars.cwd)
    }

    /// The well-known directory that this one is, or holds, so that it is no project: its name and its path.
    fn place(&self, vars: &'v Vars) -> Option<(&'v str, PathBuf)> {
        self.above(vars).filter(|_| self.whole.is_some()).and_then(|(dir, _)| place_in(dir, vars))
    }

    /// The directory that is the project, and its marker; none if it is merely the current one.
    fn project(&self, vars: &Vars, place: Option<&(&str, PathBuf)>) -> Option<(&'v Path, &'static str)> {
        self.part.filter(|(dir, _)| *dir == vars.cwd || (self.whole.is_some() && place.is_none()))
    }
}

/// The directory that is the project by now, and what makes it one; nothing makes it one that is merely the current directory.
pub fn project_now(vars: &Vars) -> (PathBuf, Option<&'static str>) {
    let marked = marked(vars);
    let found = marked.project(vars, marked.place(vars).as_ref());
    found.map_or_else(|| (vars.cwd.clone(), None), |(dir, marker)| (dir.to_owned(), Some(marker)))
}

/// The nearest directory, from the current one up, that is a project; the current one if there is none.
pub(super) fn find(vars: &Vars) -> Project {
    let cwd = &vars.cwd;
    let (uid, _) = sys::ids();
    let marked = marked(vars);
    let (above, place) = (marked.above(vars), marked.place(vars));
    let found = marked.project(vars, place.as_ref());
    let Marked { whole, shared, .. } = marked;
    let passed = above.and_then(|(dir, marker)| match (&place, whole) {
        (Some((name, place)), _) => {
            let how = if place == dir { "is" } else { "holds" };
            Some((dir.to_owned(), format!("{how} the place {name}")))
        }
        (None, None) if marker == FILE => {
            Some((dir.to_owned(), format!("holds {FILE} and no repository or workspace")))
        }
        (None, _) => None,
    });
    let passed = passed.or_else(|| {
        let why = "may be written to by other users (by its permissions, its group or an access control list)";
        shared.map(|dir| (dir.to_owned(), why.to_owned()))
    });
    let repository = found.and_then(|(dir, _)| repository(dir, uid));
    let dir = found.map_or(cwd.as_path(), |(dir, _)| dir);
    // Neither the permissions of a directory nor, with subordinate ids, its owner may decide here: a program in it sets them. But
    // for the system's user, whom no program can give a directory to.
    let is_open = |dir: &Path| {
        let is_systems = || uid != 0 && dir.symlink_metadata().is_ok_and(|found| found.uid() == 0);
        !is_private(vars, dir) && !is_systems()
    };
    let own = found.is_some() || is_open(dir);
    let named = |name: &str| vars.names.get(name).map(PathBuf::from).unwrap_or_default();
    let (home, config_home) = (named("HOME"), named("XDG_CONFIG_HOME"));
    let (name, env) = (vars.names.get("USER").map_or("", String::as_str), std::env::vars_os().collect::<Vec<_>>());
    let closed = git::closed(dir, own, &User { uid, name, home: &home, config_home: &config_home, env: &env });
    Project {
        dir: dir.to_owned(),
        marker: found.map(|(_, marker)| marker),
        passed,
        repository,
        closed: closed.paths,
        variables: closed.variables,
        dirs: closed.dirs,
        notes: closed.notes,
        is_partial: closed.is_partial,
    }
}

/// The workspace's file that makes a directory a project, if it is there and the caller's.
fn workspace(dir: &Path, uid: u32) -> Option<&'static str> {
    let found = WORKSPACES.iter().find(|(name, line)| {
        let file = dir.join(name);
        file.symlink_metadata().is_ok_and(|found| found.uid() == uid) && (line.is_empty() || has_line(&file, line))
    });
    found.map(|(name, _)| *name)
}

/// Whether git takes the `.git` of a directory for a repository, or for a file that names one.
fn is_repository(dir: &Path) -> bool {
    let git = dir.join(".git");
    let has = |dir: &Path, name: &str| dir.join(name).symlink_metadata().is_ok();
    match git.is_dir() {
        // What others than HEAD are may lie elsewhere, by links.
        true => has(&git, "HEAD") && ["objects", "refs"].iter().all(|name| git.join(name).is_dir()),
        false => path_in(&git, "gitdir: ").is_some_and(|named| has(&dir.join(named), "HEAD")),
    }
}

/// One of the user's well-known directories, such as that for downloads, that is this one or lies in it: its name and its path.
fn place_in<'v>(dir: &Path, vars: &'v Vars) -> Option<(&'v str, PathBuf)> {
    let real = |place: PathBuf| vars.real.and_then(|real| real(&place)).unwrap_or(place);
    let mut places = vars.places.iter().map(|(name, place)| (name.as_str(), real(place.into())));
    places.find(|(_, place)| place.starts_with(dir))
}

/// Whether a file has a line that begins with these words, or that holds them if they begin with a quote.
fn has_line(file: &Path, words: &str) -> bool {
    let text = sys::read_start(file, LARGEST).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match words.starts_with('"') {
        true => text.contains(words),
        false => text.lines().any(|line| line.trim_start().starts_with(words)),
    }
}

/// The repository outside of a project that the file `.git` in there names, if it is that of a worktree or a submodule,
/// and names the project in turn: what a stranger's `.git` names is not shown.
fn repository(project: &Path, uid: u32) -> Option<Repository> {
    let file = project.join(".git");
    if !file.symlink_metadata().ok()?.is_file() {
        return None;
    }
    // gitrepository-layout(5): `gitdir: PATH`.
    let dir = project.join(path_in(&file, "gitdir: ")?).canonicalize().ok()?;
    let project = project.canonicalize().ok()?;
    if dir.starts_with(&project) || project.starts_with(&dir) {
        return None;
    }
    let common = match dir.parent().filter(|parent| parent.file_name() == Some(OsStr::new("worktrees"))) {
        // The file `commondir`, which says the same for a worktree of git's, is not asked.
        Some(parent) if dir.join(path_in(&dir.join("gitdir"), "")?).canonicalize().ok()? == project.join(".git") => {
            parent.parent()?.to_owned()
        }
        Some(_) => return None,
        None if dir.join(worktree_of(&dir.join("config"))?).canonicalize().ok()? == project => dir.clone(),
        None => return None,
    };
    let own = |path: &Path, dir: bool| {
        path.symlink_metadata()
            .is_ok_and(|found| found.uid() == uid && (if dir { found.is_dir() } else { found.is_file() }))
    };
    let is_repository = own(&common, true)
        && own(&common.join("HEAD"), false)
        && ["objects", "refs"].iter().all(|name| own(&common.join(name), true))
        && own(&dir, true);
    is_repository.then_some(Repository { dir, common })
}

/// The value of `core.worktree` in a submodule's configuration.
fn worktree_of(config: &Path) -> Option<PathBuf> {
    let lines = git_config::parse(&sys::read_start(config, LARGEST).ok()?).ok()?;
    let line = lines.into_iter().rfind(|line| line.name().as_deref() == Some("core.worktree"))?;
    Some(OsStr::from_bytes(&line.value?).into())
}
