//! What git runs in a working copy besides what is in `.git`: files of the project that its configuration names, the
//! repositories of submodules and of other worktrees, and a repository that is kept beside the files.

use super::git_index;
use super::git_named::{Found, MOST, Placed, User, plain};
use super::walk::Ways;
use crate::sys;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// How much of an index is read, in bytes: that of a million files.
const LARGEST_INDEX: usize = 1 << 27;
/// How deep the directories of submodules' repositories lie at most below `.git/modules`.
const DEEPEST: usize = 10;

/// What is to be read-only in a project as `.git` is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closed {
    /// Paths below the directory of the project, whether they are there or not.
    pub paths: Vec<PathBuf>,
    /// Why there may be others, as sentences.
    pub notes: Vec<String>,
}

/// A repository, as it is found from a working copy.
#[derive(Debug, Clone)]
struct Repository {
    worktree: PathBuf,
    /// What belongs to this working copy alone.
    dir: PathBuf,
    /// What all its worktrees have in common.
    common: PathBuf,
}

impl Repository {
    /// The one whose working copy is this directory.
    fn at(worktree: &Path) -> Option<Repository> {
        let git = worktree.join(".git");
        let kind = git.symlink_metadata().ok()?;
        let git = if kind.is_symlink() { git.canonicalize().ok()? } else { git };
        let dir = if git.is_dir() { git } else { real(&worktree.join(path_in(&git, "gitdir: ")?)) };
        Some(Repository::of(worktree, dir))
    }

    fn of(worktree: &Path, dir: PathBuf) -> Repository {
        let common = path_in(&dir.join("commondir"), "").map_or_else(|| dir.clone(), |path| real(&dir.join(path)));
        Repository { worktree: worktree.to_owned(), dir, common }
    }
}

/// What git runs something by in a project. Nothing is started for that. `own` says that the directory is the user's alone, so
/// that the names in it can be looked up: that of a home might make a file server mount it.
pub(super) fn closed(project: &Path, own: bool, user: &User) -> Closed {
    let found = Found { project, user, paths: Vec::new(), notes: Vec::new(), ways: Ways::default() };
    let mut search = Search { found, next: VecDeque::new(), seen: Vec::new() };
    // The project may be a part of what a repository above it holds.
    for dir in project.ancestors() {
        let users = |dir: &Path| dir.join(".git").symlink_metadata().is_ok_and(|found| found.uid() == user.uid);
        if dir == project || users(dir) {
            search.next.extend(Repository::at(dir));
        }
    }
    if search.next.front().is_none_or(|first| first.worktree != project) {
        search.bare();
    }
    if let Some((_, dir)) = user.env.iter().find(|(name, _)| name == "GIT_DIR") {
        search.next.push_back(Repository::of(project, real(&project.join(dir))));
    }
    // What the user's configuration names comes first: how many paths are closed has a limit, and what is below is a program's.
    search.all();
    // One that lies in the project's directory itself; those that are deeper are not looked for.
    for dir in if own { search.entries(project) } else { Vec::new() } {
        let found = dir.join(".git").symlink_metadata();
        if found.is_ok() || found.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
            search.nested(&dir);
        }
    }
    search.all();
    Closed { paths: search.found.paths, notes: search.found.notes }
}

struct Search<'a> {
    found: Found<'a>,
    /// Repositories to look at, those that lead to others first.
    next: VecDeque<Repository>,
    /// The directories of those that were looked at.
    seen: Vec<PathBuf>,
}

impl Search<'_> {
    fn all(&mut self) {
        if self.next.is_empty() {
            return;
        }
        let users = self.found.users_config();
        while let Some(repository) = self.next.pop_front() {
            if !self.seen.contains(&repository.dir) {
                self.seen.push(repository.dir.clone());
                self.repository(repository, &users);
            }
        }
    }

    /// A repository without a working copy, whose files lie in the project's directory itself.
    fn bare(&mut self) {
        let dir = self.found.project;
        if ["HEAD", "objects", "refs"].iter().all(|name| dir.join(name).symlink_metadata().is_ok()) {
            for name in [
                "HEAD",
                "commondir",
                "config",
                "config.worktree",
                "hooks",
                "info",
                "modules",
                "objects",
                "refs",
                "worktrees",
            ] {
                self.found.add(dir.join(name));
            }
            self.next.push_back(Repository::of(dir, dir.to_owned()));
        }
    }

    fn repository(&mut self, Repository { worktree, dir, common }: Repository, users: &[Placed]) {
        let config = self.found.config(&[common.join("config"), dir.join("config.worktree")]);
        let value = |section: &str, key: &str| {
            let of = |(line, _): &&Placed| line.section == section && line.key == key && line.subsection.is_none();
            config.iter().rfind(of).and_then(|(line, _)| line.value.as_deref())
        };
        let elsewhere = value("core", "worktree").filter(|_| dir == common);
        let worktree = elsewhere.map_or(worktree, |path| real(&dir.join(OsStr::from_bytes(path))));
        let hash = match value("extensions", "objectformat") {
            None | Some(b"sha1") => Some(20),
            Some(b"sha256") => Some(32),
            Some(_) => None,
        };
        self.found.add(dir.clone());
        self.found.add(common.clone());
        self.found.hooks(&common.join("hooks"));
        self.found.add(worktree.join(".gitmodules"));
        // What leads to others comes first, and what the user wrote before what the repository says.
        self.submodules(&worktree, &dir, hash);
        let whole = self.found.project.starts_with(&worktree);
        users.iter().for_each(|line| self.found.named_by(line, &worktree, whole));
        config.iter().for_each(|line| self.found.named_by(line, &worktree, true));
        for line in self.found.lines(&worktree.join(".gitmodules")) {
            if let (true, Some(path)) = (line.section == "submodule" && line.key == "path", line.value) {
                self.nested(&worktree.join(OsStr::from_bytes(&path)));
            }
        }
        for (line, _) in config.iter().filter(|(line, _)| line.section == "submodule") {
            line.subsection.iter().for_each(|name| self.nested(&worktree.join(OsStr::from_bytes(name))));
        }
        self.modules(&common.join("modules"), 0);
        for dir in self.entries(&common.join("worktrees")) {
            if let Some(git) = path_in(&dir.join("gitdir"), "") {
                real(&dir.join(git)).parent().into_iter().for_each(|worktree| self.nested(worktree));
            }
        }
    }

    /// A working copy that lies in another: its `.git` is closed as that of the project is.
    fn nested(&mut self, worktree: &Path) {
        let escapes = worktree.components().any(|part| part == Component::ParentDir);
        if !escapes && self.found.add(plain(worktree).join(".git")) {
            self.next.extend(Repository::at(worktree));
        }
    }

    /// The submodules that the index of a repository holds.
    fn submodules(&mut self, worktree: &Path, dir: &Path, hash: Option<usize>) {
        let index = dir.join("index");
        let bytes = self.found.read(&index, LARGEST_INDEX);
        if bytes.is_empty() {
            return;
        }
        let links = hash.ok_or("its objects have names of an unknown kind").and_then(|hash| {
            let read = git_index::read(&bytes, hash)?;
            let mut links = read.gitlinks;
            if let Some(shared) = read.shared {
                let bytes = self.found.read(&dir.join(shared.name), LARGEST_INDEX);
                links.extend(git_index::read_shared(&bytes, hash, &shared.replaced)?);
            }
            Ok(links)
        });
        match links {
            Ok(links) => links.iter().for_each(|link| self.nested(&worktree.join(link))),
            Err(why) => {
                self.found.note(format!("{} is an index of git's that sbx cannot read ({why})", index.display()))
            }
        }
    }

    /// The working copies of the submodules whose repositories lie in a directory.
    fn modules(&mut self, dir: &Path, depth: usize) {
        if depth > DEEPEST {
            self.found.note(format!("{} lies too deep for a repository of a submodule", dir.display()));
            return;
        }
        for entry in self.entries(dir) {
            if entry.join("HEAD").symlink_metadata().is_err() {
                self.modules(&entry, depth + 1);
                continue;
            }
            let lines = self.found.lines(&entry.join("config"));
            let worktree = lines.iter().rfind(|line| line.name().as_deref() == Some("core.worktree"));
            if let Some(path) = worktree.and_then(|line| line.value.as_deref()) {
                self.nested(&real(&entry.join(OsStr::from_bytes(path))));
            }
        }
    }

    /// The directories in one.
    fn entries(&mut self, dir: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir);
        if let Err(error) = &entries
            && !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
        {
            self.found.note(format!("{}: its names cannot be read ({})", dir.display(), error.kind()));
        }
        let entries = entries.into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut found: Vec<_> = dirs.map(|entry| entry.path()).take(MOST + 1).collect();
        if found.len() > MOST {
            self.found.note(format!("{} holds more than {MOST} directories", dir.display()));
            found.pop();
        }
        found.sort();
        found
    }
}

/// The real path; without links and `..` as far as the names say, if there is none.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| plain(path))
}

/// The path that is all of a file but these words before it.
pub(super) fn path_in(file: &Path, before: &str) -> Option<PathBuf> {
    let text = sys::read_start(file, libc::PATH_MAX as usize).ok()?;
    let path = text.strip_prefix(before.as_bytes())?.trim_ascii_end();
    (!path.is_empty() && !path.contains(&b'\n')).then(|| OsStr::from_bytes(path).into())
}
