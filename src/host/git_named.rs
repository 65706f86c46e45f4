//! What git's configuration names of a project: hooks, included files, programs and scripts, whatever the variable.

use super::git_budget::{self, Budget};
use super::git_config::{self, Line};
use super::git_words::{self, Word, is_address, is_data, is_path, is_text, words};
use super::walk::Ways;
use super::writers::{is_of_caller, is_unknown};
use crate::sys::EntryType;
use crate::sys::Errno;
use crate::union::short;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// How much of a file is read, in bytes.
const LARGEST: usize = 1 << 20;
/// How many files of one configuration are read, and how deep they may include each other, as in git.
const MOST_FILES: usize = 50;
const DEEPEST: usize = 10;
/// How many paths are found at most.
const MOST: usize = 500;
/// How many notes there are at most.
const MOST_NOTES: usize = 8;

/// The hooks of githooks(5).
const HOOKS: [&str; 28] = [
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "p4-changelist",
    "p4-post-changelist",
    "p4-pre-submit",
    "p4-prepare-changelist",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "sendemail-validate",
    "update",
];

/// Who runs git outside.
pub(super) struct User<'a> {
    pub uid: u32,
    pub name: &'a str,
    pub home: &'a Path,
    pub config_home: &'a Path,
    pub env: &'a [(OsString, OsString)],
}

/// A line of a configuration.
pub(super) struct Placed {
    pub line: Line,
    /// The directory of its file.
    pub near: Rc<Path>,
    /// Another file includes that file.
    pub is_included: bool,
}

/// What was found below a project.
pub(super) struct Found<'a> {
    pub project: &'a Path,
    pub user: &'a User<'a>,
    pub paths: Vec<PathBuf>,
    /// Those of them that a variable of the caller's leads to, each with the variable.
    pub variables: BTreeMap<PathBuf, String>,
    /// The variable by which paths are found at present.
    variable: Option<String>,
    /// The same paths, to tell whether one is there.
    known: HashSet<PathBuf>,
    /// The paths that were looked up since a configuration names them.
    tried: HashSet<(PathBuf, bool)>,
    /// What could not be read, or was too much, as sentences.
    pub notes: Vec<String>,
    /// There is more than a limit lets in, or what cannot be read, and a program may have made it so.
    pub is_partial: bool,
    /// Where the links lead that were looked up in this search.
    ways: Ways,
    /// How much may be read and looked up.
    pub budget: Budget,
}

impl<'a> Found<'a> {
    pub fn new(project: &'a Path, user: &'a User<'a>) -> Found<'a> {
        let (known, tried) = (HashSet::new(), HashSet::new());
        let (ways, budget) = (Ways::default(), Budget::new());
        let (paths, variables, variable) = (Vec::new(), BTreeMap::new(), None);
        Found {
            project,
            user,
            paths,
            variables,
            variable,
            known,
            tried,
            notes: Vec::new(),
            is_partial: false,
            ways,
            budget,
        }
    }

    /// Whether nothing more is added, since as many paths were found as are.
    pub fn is_full(&self) -> bool {
        self.paths.len() == MOST
    }

    /// Adds a path, if it lies below the project and outside of its `.git`. Whether it is one of those that were found.
    pub fn add(&mut self, path: PathBuf) -> bool {
        let inside = path.starts_with(self.project) && path != self.project;
        if !inside
            || path.components().any(|part| part == Component::ParentDir)
            || path.starts_with(self.project.join(".git"))
        {
            return false;
        }
        if self.known.contains(&path) {
            return true;
        }
        if !can_exist(&path) {
            return false;
        }
        if self.is_full() {
            self.too_much(format!(
                "there are more than {MOST} paths that git runs something by in {}",
                short(self.project)
            ));
            return false;
        }
        self.known.insert(path.clone());
        if let Some(variable) = &self.variable {
            self.variables.insert(path.clone(), variable.clone());
        }
        self.paths.push(path);
        true
    }

    /// Adds what a path leads to in the project if links are on the way, and those links: whoever writes there writes what runs.
    pub fn linked(&mut self, path: &Path) {
        if self.is_full() || !self.budget.spend(git_budget::LOOKUP) {
            return;
        }
        let Some((real, links)) = self.ways.follow(path).filter(|(_, links)| !links.is_empty()) else { return };
        for step in links.into_iter().chain([real]) {
            self.add(step);
        }
    }

    /// The real path of what a path leads to, whether it is there or not. Adds the links on the way: whoever replaces one says what is
    /// found there.
    pub fn resolved(&mut self, path: &Path) -> PathBuf {
        let way = if self.budget.spend(git_budget::LOOKUP) { self.ways.follow(path) } else { None };
        let Some((real, links)) = way else { return plain(path) };
        for link in links {
            self.add(link);
        }
        real
    }

    /// Adds what a directory of hooks leads to in the project, if it is a link, and what the links in it lead to.
    pub fn hooks(&mut self, dir: &Path) {
        self.linked(dir);
        for link in self.entries(dir, EntryType::is_symlink) {
            self.linked(&link);
        }
    }

    /// What is in a directory and of one kind, sorted.
    pub fn entries(&mut self, dir: &Path, kind: fn(EntryType) -> bool) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if !self.budget.spend(git_budget::LOOKUP) {
            return found;
        }
        let entries = crate::sys::read_dir(dir);
        if let Err(error) = &entries
            && !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG))
        {
            self.closed(
                dir,
                error.raw_os_error(),
                format!("{}: its names cannot be read ({})", short(dir), error.kind()),
            );
        }
        for entry in entries.into_iter().flatten().flatten() {
            if !self.budget.spend(git_budget::NAME) {
                break;
            }
            if entry.file_type().is_ok_and(kind) {
                let path = entry.path();
                // They are kept in memory.
                if !self.budget.spend(path.as_os_str().len()) {
                    break;
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }

    /// Adds a note that the search was ended by what a program may have made.
    pub fn too_much(&mut self, note: String) {
        self.is_partial = true;
        self.note(note);
    }

    /// Adds a note that something in this file is more than is read. In the project, a program may have made it so.
    fn too_much_in(&mut self, file: &Path, note: String) {
        if file.starts_with(self.project) {
            self.is_partial = true;
        }
        self.note(note);
    }

    /// Adds a note that something cannot be read. In the project, a program may have set the permissions so, and may set them back.
    fn closed(&mut self, path: &Path, errno: Option<i32>, note: String) {
        let is_closed = errno == Some(libc::EACCES) && path.starts_with(self.project) && is_of_caller(path);
        if is_closed {
            self.is_partial = true;
        }
        self.note(if is_closed { format!("{note}: chmod u+rwX {}", short(path)) } else { note });
    }

    /// Adds a note.
    pub fn note(&mut self, note: String) {
        if self.notes.contains(&note) {
        } else if self.notes.len() < MOST_NOTES {
            self.notes.push(note);
        } else if let Some(last) = self.notes.last_mut().filter(|last| !last.ends_with(", and so on")) {
            last.push_str(", and so on");
        }
    }

    /// Reads a file of a repository's; nothing if it is not there, or is no file. What is larger than the limit is told.
    pub fn text(&mut self, file: &Path) -> Vec<u8> {
        match self.budget.read(file, LARGEST) {
            Ok(Some(text)) => return text,
            Ok(None) if self.budget.is_exceeded() => {}
            Ok(None) => self.too_much_in(file, format!("{} is larger than {} KiB", short(file), LARGEST / 1024)),
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::EINVAL | libc::ENAMETOOLONG)) => {}
            Err(errno) => self.closed(file, Some(errno.0), format!("{}: {errno}", short(file))),
        }
        Vec::new()
    }

    /// The lines of one file of git's configuration.
    pub fn lines(&mut self, file: &Path) -> Vec<Line> {
        let text = self.text(file);
        let mut lines = git_config::parse(&text).unwrap_or_else(|line| {
            self.note(format!("{}:{line} is no line of git's configuration", short(file)));
            Vec::new()
        });
        if !self.budget.spend(lines.len() * git_budget::LINE) {
            lines.clear();
        }
        lines
    }

    /// The lines of some files of git's configuration, and of those that they include on whatever condition. Each file is read
    /// once, however often it is included.
    pub fn config(&mut self, files: &[PathBuf]) -> Vec<Placed> {
        let (mut lines, mut read) = (Vec::new(), HashSet::new());
        files.iter().for_each(|file| self.included(file, 0, &mut read, &mut lines));
        lines
    }

    fn included(&mut self, file: &Path, depth: usize, read: &mut HashSet<PathBuf>, out: &mut Vec<Placed>) {
        let (Some(dir), Some(name)) = (file.parent(), file.file_name()) else { return };
        // Of one file by two names, each may include other files, whose paths begin at its directory.
        let Some((real, _)) = self.ways.follow(dir) else { return };
        if !read.insert(real.join(name)) {
            return;
        }
        if read.len() > MOST_FILES || depth > DEEPEST {
            self.too_much_in(file, format!("{} is one of too many included files", short(file)));
            return;
        }
        self.linked(file);
        let near: Rc<Path> = file.parent().unwrap_or(file).into();
        for line in self.lines(file) {
            let includes = matches!(&*line.section, "include" | "includeif") && line.key == "path";
            let value = line.value.as_deref().filter(|value| includes && !value.is_empty());
            let path = value.map(|value| self.path(value, &near));
            out.push(Placed { line, near: near.clone(), is_included: depth > 0 });
            if let Some(path) = path {
                self.included(&path, depth + 1, read, out);
            }
        }
    }

    /// The user's and the system's configuration, and what variables add to it. With `there`, files that nobody can have made by links are
    /// left out if they are not there.
    pub fn users_config(&mut self, there: bool) -> Vec<Placed> {
        let user = self.user;
        let var = |name: &str| user.env.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_os_str());
        let mut files = match var("GIT_CONFIG_SYSTEM") {
            Some(file) => vec![(PathBuf::from(file), Some("GIT_CONFIG_SYSTEM"))],
            // Git reads that of the prefix which it was built for.
            None => std::env::split_paths(var("PATH").unwrap_or_default())
                .filter(|dir| dir.is_absolute() && dir.parent() != Some(Path::new("/usr")) && dir.join("git").exists())
                .filter_map(|dir| Some((dir.parent()?.join("etc/gitconfig"), Some("PATH"))))
                .chain([(PathBuf::from("/etc/gitconfig"), None)])
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .take(MOST_FILES / 2)
                .collect(),
        };
        match var("GIT_CONFIG_GLOBAL") {
            Some(file) => files.push((file.into(), Some("GIT_CONFIG_GLOBAL"))),
            None => {
                files.extend(
                    [user.config_home.join("git/config"), user.home.join(".gitconfig")].map(|file| (file, None)),
                );
            }
        }
        let (mut lines, mut read) = (Vec::new(), HashSet::new());
        let is_there = |file: &Path| file.symlink_metadata().is_ok() || is_unknown(file);
        let may_be =
            |file: &Path| is_there(file) || file.parent().is_some_and(|dir| dir.ends_with("git") && is_there(dir));
        for (file, variable) in files.into_iter().filter(|(file, _)| !there || may_be(file)) {
            self.variable = variable.map(str::to_owned);
            self.included(&file, 0, &mut read, &mut lines);
        }
        self.variable = None;
        for (name, value) in user.env.iter().filter_map(|(name, value)| Some((name.to_str()?, value))) {
            let key = name.strip_prefix("GIT_CONFIG_VALUE_").and_then(|number| {
                let full = var(&format!("GIT_CONFIG_KEY_{number}"))?.to_str()?;
                let (section, rest) = full.split_once('.')?;
                let (subsection, key) = rest.rsplit_once('.').map_or((None, rest), |(sub, key)| (Some(sub), key));
                let subsection = subsection.map(|name| name.as_bytes().into());
                Some((section.to_ascii_lowercase(), subsection, key.to_ascii_lowercase()))
            });
            let commands = ["EDITOR", "VISUAL", "PAGER", "SSH_ASKPASS"].contains(&name);
            let other = || (commands || name.starts_with("GIT_")).then(|| (String::new(), None, name.to_lowercase()));
            if let Some((section, subsection, key)) = key.or_else(other) {
                let value = Some(value.as_bytes().to_owned());
                let line = Line { section: section.into(), subsection, key, value };
                lines.push(Placed { line, near: self.project.into(), is_included: false });
            }
        }
        lines
    }

    /// Adds what a line names, for a working copy: what is there, and what looks like a path if it is missing. Not `whole`,
    /// it adds the latter alone.
    pub fn named_by(&mut self, placed: &Placed, worktree: &Path, whole: bool) {
        // A line without a section is a variable.
        self.variable = placed.line.section.is_empty().then(|| placed.line.key.to_uppercase());
        self.named_in(placed, worktree, whole);
        self.variable = None;
    }

    fn named_in(&mut self, Placed { line, near, .. }: &Placed, worktree: &Path, whole: bool) {
        let Some(value) = &line.value else { return };
        if is_data(line) || is_text(line) || self.budget.is_exceeded() {
            return;
        }
        let found = words(value);
        if found.len() == git_words::MOST {
            self.too_much_in(near, format!("a value has more than {} words that may be paths", git_words::MOST));
        }
        for word in found {
            let likely = (word.likely && !is_address(line)) || (is_path(line) && word.text == *value);
            if !likely && !whole {
                continue;
            }
            for (path, likely) in self.candidates(&word, likely, near, worktree) {
                let hooks = &*line.section == "core" && line.key == "hookspath";
                self.named(&path, likely, hooks);
            }
        }
    }

    /// The paths that a word may stand for, each with whether it counts though nothing is there.
    fn candidates(&self, word: &Word, likely: bool, near: &Path, worktree: &Path) -> Vec<(PathBuf, bool)> {
        let text = Path::new(OsStr::from_bytes(&word.text));
        match text.strip_prefix("/") {
            Ok(rest) => vec![(text.to_owned(), likely), (worktree.join(rest), false)],
            Err(_) if word.text.starts_with(b"~") => vec![(self.path(&word.text, near), likely)],
            // A path of an included file begins at the file that includes it, others at the top of the working copy.
            Err(_) => vec![(worktree.join(text), likely), (near.join(text), likely && near != worktree)],
        }
    }

    /// Adds what a command names that git runs for a working copy.
    pub fn command(&mut self, command: &[u8], worktree: &Path) {
        for word in words(command) {
            for (path, likely) in self.candidates(&word, word.likely, worktree, worktree) {
                self.named(&path, likely, false);
            }
        }
    }

    /// Adds a path that git's configuration names.
    fn named(&mut self, path: &Path, likely: bool, hooks: bool) {
        let path = plain(path);
        if !can_exist(&path) || path.starts_with(self.project.join(".git")) && !hooks {
            return;
        }
        let inside = path.starts_with(self.project);
        if hooks && path == self.project {
            for hook in HOOKS {
                self.add(path.join(hook));
            }
            return;
        }
        if inside && likely {
            self.add(path.clone());
        }
        if !self.tried.insert((path.clone(), hooks)) || self.is_full() || !self.budget.spend(git_budget::LOOKUP) {
            return;
        }
        if hooks {
            self.hooks(&path);
        }
        if !inside {
            // The project by another name.
            self.linked(&path);
        } else if path.symlink_metadata().is_ok() || is_unknown(&path) {
            self.add(path);
        }
    }

    /// A path as git's configuration writes it: `~/` is the home, and what is relative begins at `near`.
    pub fn path(&self, value: &[u8], near: &Path) -> PathBuf {
        let home = |rest: &[u8]| self.user.home.join(OsString::from_vec(rest.to_owned()));
        let own = value.strip_prefix(b"~").and_then(|rest| rest.strip_prefix(self.user.name.as_bytes()));
        match value.strip_prefix(b"~/").or_else(|| own?.strip_prefix(b"/")) {
            Some(rest) => home(rest),
            None => near.join(OsStr::from_bytes(value)),
        }
    }
}

/// Whether no part of a path is longer than the kernel looks up.
pub(super) fn can_exist(path: &Path) -> bool {
    const NAME_MAX: usize = 255;
    path.as_os_str().len() < libc::PATH_MAX as usize && path.iter().all(|name| name.len() <= NAME_MAX)
}

/// A path without `.`, and with each `..` taken back by its name.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}
