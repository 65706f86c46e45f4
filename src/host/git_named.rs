//! What git's configuration names of a project: hooks, included files, programs and scripts, whatever the variable.

use super::git_config::{self, Line};
use super::git_words::{self, Word, is_address, is_path, is_text, words};
use super::walk::Ways;
use crate::sys::{self, Errno};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// How much of a file is read, in bytes.
const LARGEST: usize = 1 << 20;
/// How many files of one configuration are read, and how deep they may include each other, as in git.
const MOST_FILES: usize = 50;
const DEEPEST: usize = 10;
/// How many paths are found at most.
pub(super) const MOST: usize = 500;
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

/// A line of a configuration, and the directory of its file.
pub(super) type Placed = (Line, PathBuf);

/// What was found below a project.
pub(super) struct Found<'a> {
    pub project: &'a Path,
    pub user: &'a User<'a>,
    pub paths: Vec<PathBuf>,
    /// What could not be read, or was too much, as sentences.
    pub notes: Vec<String>,
    /// Where links lead.
    pub ways: Ways,
}

impl Found<'_> {
    /// Adds a path, if it lies below the project and outside of its `.git`. Whether it is one of those that were found.
    pub fn add(&mut self, path: PathBuf) -> bool {
        let inside = path.starts_with(self.project) && path != self.project;
        if !inside
            || path.components().any(|part| part == Component::ParentDir)
            || path.starts_with(self.project.join(".git"))
        {
            return false;
        }
        if self.paths.contains(&path) {
            return true;
        }
        if self.paths.len() == MOST {
            self.note(format!(
                "there are more than {MOST} paths that git runs something by in {}",
                self.project.display()
            ));
            return false;
        }
        self.paths.push(path);
        true
    }

    /// Adds what a path leads to in the project if links are on the way, and those links: whoever writes there writes what runs.
    pub fn linked(&mut self, path: &Path) {
        let Some((real, links)) = self.ways.follow(path).filter(|(_, links)| !links.is_empty()) else { return };
        for step in links.into_iter().chain([real]) {
            self.add(step);
        }
    }

    /// Adds what a directory of hooks leads to in the project, if it is a link, and what the links in it lead to.
    pub fn hooks(&mut self, dir: &Path) {
        self.linked(dir);
        let names: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().take(MOST).collect();
        names.iter().for_each(|entry| self.linked(&entry.path()));
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

    /// Reads a file; nothing if it is not there, or is no file. What is larger than this many bytes is told.
    pub fn read(&mut self, file: &Path, most: usize) -> Vec<u8> {
        match sys::read_start(file, most + 1) {
            Ok(text) if text.len() <= most => return text,
            Ok(_) => self.note(format!("{} is larger than {} KiB", file.display(), most / 1024)),
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::EINVAL)) => {}
            Err(errno) => self.note(format!("{}: {errno}", file.display())),
        }
        Vec::new()
    }

    /// The lines of one file of git's configuration.
    pub fn lines(&mut self, file: &Path) -> Vec<Line> {
        let text = self.read(file, LARGEST);
        git_config::parse(&text).unwrap_or_else(|line| {
            self.note(format!("{}:{line} is no line of git's configuration", file.display()));
            Vec::new()
        })
    }

    /// The lines of some files of git's configuration, and of those that they include on whatever condition.
    pub fn config(&mut self, files: &[PathBuf]) -> Vec<Placed> {
        let (mut lines, mut read) = (Vec::new(), 0);
        files.iter().for_each(|file| self.included(file, 0, &mut read, &mut lines));
        lines
    }

    fn included(&mut self, file: &Path, depth: usize, read: &mut usize, out: &mut Vec<Placed>) {
        *read += 1;
        if *read > MOST_FILES || depth > DEEPEST {
            self.note(format!("{} is one of too many included files", file.display()));
            return;
        }
        self.linked(file);
        let near = file.parent().unwrap_or(file);
        for line in self.lines(file) {
            let includes = matches!(line.section.as_str(), "include" | "includeif") && line.key == "path";
            let value = line.value.as_deref().filter(|value| includes && !value.is_empty());
            let path = value.map(|value| self.path(value, near));
            out.push((line, near.to_owned()));
            if let Some(path) = path {
                self.included(&path, depth + 1, read, out);
            }
        }
    }

    /// The user's and the system's configuration, and what variables add to it.
    pub fn users_config(&mut self) -> Vec<Placed> {
        let user = self.user;
        let var = |name: &str| user.env.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_os_str());
        let mut files = match var("GIT_CONFIG_SYSTEM") {
            Some(file) => vec![file.into()],
            // Git reads that of the prefix which it was built for.
            None => std::env::split_paths(var("PATH").unwrap_or_default())
                .filter(|dir| dir.is_absolute() && dir.parent() != Some(Path::new("/usr")))
                .filter_map(|dir| Some(dir.parent()?.join("etc/gitconfig")))
                .chain([PathBuf::from("/etc/gitconfig")])
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .take(MOST_FILES / 2)
                .collect(),
        };
        match var("GIT_CONFIG_GLOBAL") {
            Some(file) => files.push(file.into()),
            None => files.extend([user.config_home.join("git/config"), user.home.join(".gitconfig")]),
        }
        let mut lines = self.config(&files);
        for (name, value) in user.env.iter().filter_map(|(name, value)| Some((name.to_str()?, value))) {
            let key = name.strip_prefix("GIT_CONFIG_VALUE_").and_then(|number| {
                let full = var(&format!("GIT_CONFIG_KEY_{number}"))?.to_str()?.to_ascii_lowercase();
                let (section, rest) = full.split_once('.')?;
                let (subsection, key) = rest.rsplit_once('.').map_or((None, rest), |(sub, key)| (Some(sub), key));
                Some((section.to_owned(), subsection.map(Into::into), key.to_owned()))
            });
            let commands = ["EDITOR", "VISUAL", "PAGER", "SSH_ASKPASS"].contains(&name);
            let other = || (commands || name.starts_with("GIT_")).then(|| (String::new(), None, name.to_lowercase()));
            if let Some((section, subsection, key)) = key.or_else(other) {
                let value = Some(value.as_bytes().to_owned());
                lines.push((Line { section, subsection, key, value }, self.project.to_owned()));
            }
        }
        lines
    }

    /// Adds what a line names, for a working copy: what is there, and what looks like a path if it is missing. Not `whole`,
    /// it adds the latter alone.
    pub fn named_by(&mut self, (line, near): &Placed, worktree: &Path, whole: bool) {
        let Some(value) = &line.value else { return };
        // The files of a submodule, and repositories that others are copied from: git runs nothing in them.
        let is_data = match line.section.as_str() {
            "core" => line.key == "worktree",
            "remote" | "submodule" => matches!(line.key.as_str(), "url" | "pushurl"),
            _ => false,
        };
        if is_data || is_text(line) {
            return;
        }
        let found = words(value);
        if found.len() == git_words::MOST {
            self.note(format!("{}.{} has a value of too many words", line.section, line.key));
        }
        for word in found {
            let likely = (word.likely && !is_address(line)) || (is_path(line) && word.text == *value);
            if !likely && !whole {
                continue;
            }
            for (path, likely) in self.candidates(&word, likely, near, worktree) {
                let hooks = line.section == "core" && line.key == "hookspath";
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

    /// Adds a path that git's configuration names.
    fn named(&mut self, path: &Path, likely: bool, hooks: bool) {
        let path = plain(path);
        if hooks && path != self.project {
            self.hooks(&path);
        }
        if !path.starts_with(self.project) {
            // The project by another name.
            let real = path.canonicalize().ok().filter(|real| real.starts_with(self.project));
            if let Some(real) = real {
                self.add(real);
            }
        } else if path == self.project && hooks {
            for hook in HOOKS {
                self.add(path.join(hook));
            }
        } else if likely || path.symlink_metadata().is_ok() {
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
