//! What git runs in a working copy besides what is in `.git`: files of the project that its configuration names, the
//! repositories of submodules, of other worktrees and of remotes, and a repository that is kept beside the files.

use super::git_budget::{self, Budget};
use super::git_config::{Line, path_in};
use super::git_index;
use super::git_named::{Found, Placed, User, can_exist, plain};
use super::git_remotes::{Remote, Rewrites, for_helper, local, remote};
use super::writers::is_unknown;
use crate::sys::EntryType;
use crate::sys::Errno;
use crate::union::short;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// How deep the directories of submodules' repositories lie at most below `.git/modules`.
const DEEPEST: usize = 10;

/// What is to be read-only in a project as `.git` is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closed {
    /// Paths below the directory of the project, whether they are there or not.
    pub paths: Vec<PathBuf>,
    /// Those of them that a variable of the caller's leads to, each with the variable.
    pub variables: BTreeMap<PathBuf, String>,
    /// The directories directly in the project that are no repository.
    pub dirs: Vec<PathBuf>,
    /// Why there may be others, as sentences.
    pub notes: Vec<String>,
    /// The search was ended, since there is more than is looked at before a start.
    pub is_partial: bool,
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
    fn at(worktree: &Path, found: &mut Found) -> Option<Repository> {
        let git = worktree.join(".git");
        git.symlink_metadata().ok()?;
        let git = found.resolved(&git);
        let dir = if git.is_dir() { git } else { found.resolved(&worktree.join(path_in(&git, "gitdir: ")?)) };
        Some(Repository::of(worktree, dir, found))
    }

    fn of(worktree: &Path, dir: PathBuf, found: &mut Found) -> Repository {
        let named = path_in(&dir.join("commondir"), "");
        let common = named.map_or_else(|| dir.clone(), |path| found.resolved(&dir.join(path)));
        Repository { worktree: worktree.to_owned(), dir, common }
    }
}

/// What git runs something by in a project. Nothing is started for that. `own` says that the names in the
/// directory can be looked up: that of a home might make a file server mount it.
pub(super) fn closed(project: &Path, own: bool, user: &User) -> Closed {
    let mut search = Search {
        found: Found::new(project, user),
        next: VecDeque::new(),
        seen: HashSet::new(),
        entered: HashSet::new(),
        users: None,
    };
    // The project may be a part of what a repository above it holds.
    for dir in project.ancestors() {
        let users = |dir: &Path| dir.join(".git").symlink_metadata().is_ok_and(|found| found.uid() == user.uid);
        if dir == project || users(dir) {
            let repository = Repository::at(dir, &mut search.found);
            search.next.extend(repository);
        }
    }
    if search.next.front().is_none_or(|first| first.worktree != project) {
        search.bare();
    }
    if let Some((_, dir)) = user.env.iter().find(|(name, _)| name == "GIT_DIR") {
        let dir = search.found.resolved(&project.join(dir));
        let repository = Repository::of(project, dir, &mut search.found);
        search.next.push_back(repository);
    }
    if search.next.is_empty() {
        search.users_alone();
    }
    // What the user's configuration names comes first: how many paths are closed has a limit, and what is below is a program's.
    search.all();
    // One that lies in the project's directory itself; those that are deeper are not looked for.
    let mut dirs = Vec::new();
    for dir in if own { search.found.entries(project, EntryType::is_dir) } else { Vec::new() } {
        if !search.found.budget.spend(git_budget::LOOKUP) {
            break;
        }
        let found = dir.join(".git").symlink_metadata();
        if found.is_ok() || found.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
            search.nested(&dir);
        } else if !search.without_files(&dir) {
            dirs.push(dir);
        }
    }
    search.all();
    // A search that has as many paths as it takes does not look at what else there is.
    let is_partial = search.found.budget.is_exceeded() || search.found.is_partial || search.found.is_full();
    Closed { paths: search.found.paths, variables: search.found.variables, dirs, notes: search.found.notes, is_partial }
}

struct Search<'a> {
    found: Found<'a>,
    /// Repositories to look at, those that lead to others first.
    next: VecDeque<Repository>,
    /// The directories of those that were looked at.
    seen: HashSet<PathBuf>,
    /// The working copies in others that were found.
    entered: HashSet<PathBuf>,
    /// The lines of the user's and the system's configuration, once they are read.
    users: Option<Rc<[Placed]>>,
}

impl Search<'_> {
    fn all(&mut self) {
        if self.next.is_empty() {
            return;
        }
        let found = &mut self.found;
        let users = self.users.get_or_insert_with(|| found.users_config(false).into()).clone();
        while let Some(repository) = self.next.pop_front().filter(|_| !self.found.budget.is_exceeded()) {
            if self.seen.insert(repository.dir.clone()) {
                self.repository(repository, &users);
            }
        }
    }

    /// What the user's and the system's configuration name of a project that is no repository: git runs it in all others. What is relative
    /// counts as in one.
    fn users_alone(&mut self) {
        let project = self.found.project;
        for placed in self.found.users_config(true) {
            let Line { section, key, value, .. } = &placed.line;
            if let (("core", "hookspath"), Some(value)) = ((&**section, key.as_str()), value) {
                let dir = self.found.path(value, project);
                let dir = self.found.resolved(&dir);
                if project.starts_with(&dir) {
                    self.found.note(format!(
                        "{} is or holds the project, and core.hooksPath of your configuration names it",
                        short(&dir)
                    ));
                }
            }
            self.found.named_by(&placed, project, true);
        }
    }

    /// A repository without a working copy, whose files lie in the project's directory itself.
    fn bare(&mut self) {
        let dir = self.found.project;
        if is_bare(dir) {
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
            let repository = Repository::of(dir, dir.to_owned(), &mut self.found);
            self.next.push_back(repository);
        }
    }

    /// Whether a directory is a repository without a working copy, which is closed as a whole then, as `.git` is.
    fn without_files(&mut self, dir: &Path) -> bool {
        let is_one = self.found.budget.spend(git_budget::LOOKUP) && is_bare(dir);
        if is_one && self.found.add(dir.to_owned()) {
            let repository = Repository::of(dir, dir.to_owned(), &mut self.found);
            self.next.push_back(repository);
        }
        is_one
    }

    /// The repositories that lines of the configuration name, for a working copy.
    fn remotes(&mut self, worktree: &Path, common: &Path, users: &[Placed], config: &[Placed]) {
        let lines = || users.iter().chain(config).map(|placed| &placed.line);
        let rewrites = Rewrites::of(lines());
        let of_remotes = lines().filter(|line| &*line.section == "remote");
        let known: HashSet<_> = of_remotes.filter_map(|line| line.subsection.as_deref()).collect();
        let mut addresses: Vec<(Cow<'_, [u8]>, bool)> = Vec::new();
        for base in rewrites.bases() {
            addresses.push((base.into(), false));
            // Where addresses that somebody types begin.
            let path = local(base).filter(|path| path.ends_with(b"/"));
            let dirs = path.map(|path| self.found.path(&path, worktree)).filter(|dir| self.is_inside(dir));
            for dir in dirs.map(|dir| self.found.entries(&dir, EntryType::is_dir)).unwrap_or_default() {
                self.reached(&dir, false);
            }
        }
        for line in lines() {
            match remote(line) {
                Some(Remote::Address(address)) => addresses.push((address.into(), true)),
                Some(Remote::Name(name)) if !known.contains(name) => addresses.push((name.into(), false)),
                Some(Remote::Entered(path)) => {
                    let path = self.found.path(path, worktree);
                    self.reached(&path, false);
                }
                _ => {}
            }
        }
        // Addresses in files of their own, as older versions of git had them: gitrepository-layout(5).
        for (dir, before) in [("remotes", &b"URL:"[..]), ("branches", b"")] {
            for file in self.found.entries(&common.join(dir), EntryType::is_file) {
                let text = self.found.text(&file);
                let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(before));
                let address = line.unwrap_or_default().split(|byte| *byte == b'#').next().unwrap_or_default();
                addresses.push((address.trim_ascii().to_vec().into(), true));
            }
        }
        let mut tried = HashSet::new();
        for (address, likely) in &addresses {
            // Each is compared with each rewrite.
            if !self.goes_on(rewrites.count()) {
                return;
            }
            for to in rewrites.all(address) {
                if self.goes_on(to.len()) && tried.insert((to.clone().into_owned(), *likely)) {
                    self.address(&to, worktree, *likely);
                }
            }
        }
    }

    /// Takes this much of the budget. False if there is no more, or nothing more is added.
    fn goes_on(&mut self, work: usize) -> bool {
        !self.found.is_full() && self.found.budget.spend(work)
    }

    /// A repository that has this address, if that is a path. `likely` says that the address counts though nothing is there.
    fn address(&mut self, address: &[u8], worktree: &Path, likely: bool) {
        if let Some(command) = for_helper(address) {
            self.found.command(command, worktree);
        } else if let Some(path) = local(address).filter(|path| !path.is_empty()) {
            let path = self.found.path(&path, worktree);
            self.reached(&path, likely);
        }
    }

    /// A repository that git looks for at a path: it takes the first of PATH/.git, PATH, PATH.git/.git and PATH.git, or what a file
    /// there names.
    fn reached(&mut self, path: &Path, likely: bool) {
        if path.as_os_str().as_bytes().contains(&0) || !can_exist(path) || !self.goes_on(git_budget::LOOKUP) {
            return;
        }
        let path = self.found.resolved(path);
        if !self.is_inside(&path) || path == self.found.project {
            return;
        }
        let mut other = path.clone().into_os_string();
        other.push(".git");
        for path in [path, other.into()] {
            if !self.found.budget.spend(git_budget::LOOKUP) {
                return;
            }
            match path.metadata() {
                Ok(found) if found.is_dir() => {
                    let git = path.join(".git");
                    let is_one = git.symlink_metadata().is_ok() || is_unknown(&git);
                    let is_bare = self.without_files(&path);
                    if is_one || (likely && !is_bare) {
                        self.nested(&path);
                    }
                    if likely && !is_one && !is_bare {
                        self.found.add(path.join("HEAD"));
                    }
                    if is_one || is_bare {
                        return;
                    }
                }
                Ok(_) => {
                    self.found.add(path.clone());
                    if let (Some(named), Some(dir)) = (path_in(&path, "gitdir: "), path.parent()) {
                        let dir = self.found.resolved(&dir.join(named));
                        let repository = Repository::of(&dir, dir.clone(), &mut self.found);
                        self.next.push_back(repository);
                    }
                }
                Err(_) if likely || is_unknown(&path) => drop(self.found.add(path)),
                Err(_) => {}
            }
        }
    }

    fn is_inside(&self, path: &Path) -> bool {
        path.starts_with(self.found.project)
    }

    fn repository(&mut self, Repository { worktree, dir, common }: Repository, users: &[Placed]) {
        let config = self.found.config(&[common.join("config"), dir.join("config.worktree")]);
        // Git takes these from the repository's own files alone.
        let value = |section: &str, key: &str| {
            let of = |line: &Line| &*line.section == section && line.key == key && line.subsection.is_none();
            config.iter().rfind(|placed| !placed.is_included && of(&placed.line))?.line.value.as_deref()
        };
        let elsewhere = value("core", "worktree").filter(|_| dir == common);
        let worktree = elsewhere.map_or(worktree, |path| self.found.resolved(&dir.join(OsStr::from_bytes(path))));
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
        self.remotes(&worktree, &common, users, &config);
        self.alternates(&common.join("objects"));
        for line in self.found.lines(&worktree.join(".gitmodules")) {
            if let (true, Some(path)) = (&*line.section == "submodule" && line.key == "path", line.value) {
                self.nested(&worktree.join(OsStr::from_bytes(&path)));
            }
        }
        for line in config.iter().map(|placed| &placed.line).filter(|line| &*line.section == "submodule") {
            line.subsection.iter().for_each(|name| self.nested(&worktree.join(OsStr::from_bytes(name))));
        }
        self.modules(&common.join("modules"), 0);
        for dir in self.found.entries(&common.join("worktrees"), EntryType::is_dir) {
            if !self.found.budget.spend(git_budget::LOOKUP) {
                return;
            }
            if let Some(git) = path_in(&dir.join("gitdir"), "") {
                let git = self.found.resolved(&dir.join(git));
                git.parent().into_iter().for_each(|worktree| self.nested(worktree));
            }
        }
    }

    /// A working copy that lies in another: its `.git` is closed as that of the project is.
    fn nested(&mut self, worktree: &Path) {
        let escapes = worktree.components().any(|part| part == Component::ParentDir);
        let worktree = plain(worktree);
        if escapes || !can_exist(&worktree) || !self.entered.insert(worktree.clone()) {
            return;
        }
        if self.found.budget.spend(git_budget::LOOKUP) && self.found.add(worktree.join(".git")) {
            let repository = Repository::at(&worktree, &mut self.found);
            self.next.extend(repository);
        }
    }

    /// The directories of objects that a repository takes objects from: git does not compare most of them with their names. It runs
    /// nothing of the repositories that they belong to.
    fn alternates(&mut self, objects: &Path) {
        let text = self.found.text(&objects.join("info/alternates"));
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
            let path = self.found.resolved(&objects.join(OsStr::from_bytes(line)));
            self.found.add(path);
        }
    }

    /// The submodules that the index of a repository holds.
    fn submodules(&mut self, worktree: &Path, dir: &Path, hash: Option<usize>) {
        let index = dir.join("index");
        let links = match self.index(&index, dir, hash) {
            Ok(links) => links,
            Err(why) => {
                let index = short(&index);
                self.found.note(format!("{index} is an index of git's that sbx cannot read ({why})"));
                return;
            }
        };
        if links.len() > git_index::MOST {
            self.found.too_much(format!("{} holds more than {} submodules", short(&index), git_index::MOST));
        }
        links.iter().for_each(|link| self.nested(&worktree.join(link)));
    }

    /// The paths of the submodules in an index, and in the shared one that it names.
    fn index(&mut self, index: &Path, dir: &Path, hash: Option<usize>) -> Result<Vec<PathBuf>, String> {
        let open = |file: &Path, budget: &mut Budget| match budget.index(file) {
            Ok(Some((file, size))) if size > 0 => Ok(Some((file, size))),
            Ok(_) | Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::EINVAL)) => Ok(None),
            Err(errno) => Err(errno.to_string()),
        };
        let Some((file, size)) = open(index, &mut self.found.budget)? else { return Ok(Vec::new()) };
        let hash = hash.ok_or("its objects have names of an unknown kind")?;
        let read = git_index::read(file, size, hash)?;
        let mut links = read.gitlinks;
        if let Some(shared) = read.shared
            && let Some((file, size)) = open(&dir.join(shared.name), &mut self.found.budget)?
        {
            links.extend(git_index::read_shared(file, size, hash, &shared.replaced)?);
        }
        Ok(links)
    }

    /// The working copies of the submodules whose repositories lie in a directory.
    fn modules(&mut self, dir: &Path, depth: usize) {
        if depth > DEEPEST {
            self.found.too_much(format!("{} lies too deep for a repository of a submodule", short(dir)));
            return;
        }
        for entry in self.found.entries(dir, EntryType::is_dir) {
            if !self.found.budget.spend(git_budget::LOOKUP) {
                return;
            }
            if entry.join("HEAD").symlink_metadata().is_err() {
                self.modules(&entry, depth + 1);
                continue;
            }
            let lines = self.found.lines(&entry.join("config"));
            let worktree = lines.iter().rfind(|line| line.name().as_deref() == Some("core.worktree"));
            if let Some(path) = worktree.and_then(|line| line.value.as_deref()) {
                let worktree = self.found.resolved(&entry.join(OsStr::from_bytes(path)));
                self.nested(&worktree);
            }
        }
    }
}

/// Whether git takes a directory for a repository without a working copy: what others than HEAD are may lie elsewhere.
fn is_bare(dir: &Path) -> bool {
    let has = |name: &str| dir.join(name).symlink_metadata().is_ok();
    has("HEAD") && (has("commondir") || (has("objects") && has("refs")))
}
