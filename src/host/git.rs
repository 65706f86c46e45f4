//! What git runs in a working copy besides what is in `.git`: files of the project that its configuration names, the
//! repositories of submodules, and a repository that is kept beside the files.

use crate::sys;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// How much of a file is read, in bytes.
const LARGEST: usize = 1 << 16;
/// How many paths are found at most.
const MOST: usize = 500;

/// Paths below the directory of a project that are to be read-only as `.git` is, whether they are there or not.
pub(super) fn closed(project: &Path, home: &Path, config_home: &Path) -> Vec<PathBuf> {
    let mut found = Found { project, paths: Vec::new() };
    let git = project.join(".git");
    let Ok(kind) = git.symlink_metadata() else {
        found.bare(project);
        return found.paths;
    };
    let mut configs = vec![home.join(".gitconfig"), config_home.join("git/config")];
    if kind.is_dir() {
        configs.extend([git.join("config"), git.join("config.worktree")]);
    } else if let Some(dir) = path_in(&git, "gitdir: ") {
        let dir = plain(&project.join(dir));
        let common = path_in(&dir.join("commondir"), "").map_or_else(|| dir.clone(), |path| plain(&dir.join(path)));
        configs.extend([common.join("config"), dir.join("config.worktree")]);
        [dir, common].into_iter().for_each(|path| found.add(path));
    }
    configs.into_iter().for_each(|config| found.config(&config, home, 0));
    found.submodules(project, 0);
    found.paths
}

struct Found<'a> {
    project: &'a Path,
    paths: Vec<PathBuf>,
}

impl Found<'_> {
    /// Adds a path, if it lies below the project.
    fn add(&mut self, path: PathBuf) {
        let inside = path.starts_with(self.project) && path != self.project;
        if inside && !path.components().any(|part| part == Component::ParentDir) && self.paths.len() < MOST {
            self.paths.push(path);
        }
    }

    /// A repository without a working copy, whose files lie in the directory itself.
    fn bare(&mut self, dir: &Path) {
        if ["HEAD", "objects", "refs"].iter().all(|name| dir.join(name).symlink_metadata().is_ok()) {
            for name in
                ["HEAD", "commondir", "config", "config.worktree", "hooks", "info", "objects", "refs", "worktrees"]
            {
                self.add(dir.join(name));
            }
        }
    }

    /// What a configuration names of the project: hooks, included files, programs and scripts, whatever the key.
    fn config(&mut self, file: &Path, home: &Path, depth: usize) {
        let text = sys::read_start(file, LARGEST).unwrap_or_default();
        let near = file.parent().unwrap_or(file);
        let mut includes = Vec::new();
        for value in values(&String::from_utf8_lossy(&text)) {
            let words =
                value.trim_start_matches('!').split([' ', '\t', '"', '\'', ';', '=', '&', '|']).chain([value.as_str()]);
            for word in words.filter(|word| !word.is_empty()) {
                let word = word.strip_prefix("~/").map_or_else(|| PathBuf::from(word), |rest| home.join(rest));
                // A path of an included file begins at the file that includes it, others at the top of the working copy.
                for path in [plain(&near.join(&word)), plain(&self.project.join(&word))] {
                    if path.starts_with(self.project) && path.symlink_metadata().is_ok() {
                        if path.is_file() && !includes.contains(&path) {
                            includes.push(path.clone());
                        }
                        self.add(path);
                    }
                }
            }
        }
        if depth < 3 {
            includes.into_iter().take(20).for_each(|file| self.config(&file, home, depth + 1));
        }
    }

    /// `.git` of each submodule, which git looks into from the project's own repository.
    fn submodules(&mut self, dir: &Path, depth: usize) {
        let text = sys::read_start(&dir.join(".gitmodules"), LARGEST).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some(path) = line.trim().strip_prefix("path").and_then(|rest| rest.trim_start().strip_prefix('='))
            else {
                continue;
            };
            let module = plain(&dir.join(path.trim().trim_matches('"')));
            if module.starts_with(dir) && module != dir && self.paths.len() < MOST {
                self.add(module.join(".git"));
                if depth < 5 {
                    self.submodules(&module, depth + 1);
                }
            }
        }
    }
}

/// The values in a file of git's configuration: git-config(1). What a line continues on the next one is a value of its own.
fn values(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let value = |line: &str| {
        let line = line.strip_prefix('[').and_then(|line| line.split_once(']')).map_or(line, |(_, rest)| rest);
        let value = line.split_once('=').map_or(line, |(_, value)| value).trim();
        value.trim_end_matches('\\').trim_matches('"').replace("\\\\", "\\").replace("\\\"", "\"")
    };
    lines.map(value).filter(|value| !value.is_empty()).take(MOST).collect()
}

/// A path without `.`, and with each `..` taken back by its name.
fn plain(path: &Path) -> PathBuf {
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

/// The path that is all of a file but these words before it.
pub(super) fn path_in(file: &Path, before: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let text = sys::read_start(file, libc::PATH_MAX as usize).ok()?;
    let path = text.strip_prefix(before.as_bytes())?.trim_ascii_end();
    (!path.is_empty() && !path.contains(&b'\n')).then(|| OsStr::from_bytes(path).into())
}
