//! Names by which tools outside run something on their own. What differs at or below one is put onto the host only if it is named.

use super::git_names;
use super::node::NodeKind;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name of a project's file, of the list as well.
const PROJECT_FILE: &str = ".sbx.toml";

/// Such names, which count in whatever directory, in capital or small letters: a filesystem may take both for one. And single paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guarded {
    /// For the last part of a name, in small letters: the parts before it.
    names: HashMap<Vec<u8>, Vec<Vec<String>>>,
    /// Paths inside.
    paths: HashSet<PathBuf>,
}

impl Guarded {
    /// Names such as `.envrc` and `.config/mise`.
    pub fn new<'n>(names: impl Iterator<Item = &'n str>) -> Guarded {
        let mut guarded = Guarded::default();
        for name in names {
            let mut parts: Vec<_> = name.split('/').map(str::to_ascii_lowercase).collect();
            if let Some(last) = parts.pop() {
                guarded.names.entry(last.into_bytes()).or_default().push(parts);
            }
        }
        guarded
    }

    /// Adds a path.
    pub fn add(&mut self, path: PathBuf) {
        self.paths.insert(path);
    }

    /// The paths of these names at or above a path, from the outermost on, that are `root`, the directory of an overlay, or lie in it. So is
    /// a directory of an overlay that lies in a repository.
    pub fn above<'p>(&'p self, root: &'p Path, path: &'p Path) -> impl Iterator<Item = PathBuf> + 'p {
        let parts: Vec<&OsStr> = path.iter().collect();
        let own = root.iter().count().checked_sub(1);
        (own.unwrap_or(0)..parts.len()).filter_map(move |end| {
            let (last, before) = parts.get(..=end)?.split_last()?;
            let path = || before.iter().chain([last]).collect();
            let guarded = self.is_name(before, last)
                || (own == Some(end) && git_names::refuses(root.as_os_str().as_bytes(), false))
                || (!self.paths.is_empty() && self.paths.contains(&path()));
            guarded.then(path)
        })
    }

    /// Whether what takes the place of a directory decides over guarded paths: a link to somewhere at a directory above one, or by whose
    /// name one begins (`.config` of `.config/mise`); anything else in the place of a directory that holds one.
    fn decides(&self, path: &Path, is_link: bool) -> bool {
        let holds = |inner: &PathBuf| inner != path && inner.starts_with(path);
        if self.paths.iter().any(holds) {
            return true;
        }
        let parts: Vec<&OsStr> = path.iter().collect();
        let begins = |name: &[String]| {
            (1..=name.len()).any(|count| {
                let Some(from) = parts.len().checked_sub(count) else { return false };
                parts.iter().skip(from).zip(name).all(|(one, other)| one.eq_ignore_ascii_case(OsStr::new(other)))
            })
        };
        is_link && self.names.values().flatten().any(|before| begins(before))
    }

    /// Whether a directory of the host is not removed, or replaced by something else, with this name in it: the commits of a repository are
    /// nowhere else, and a project's file of sbx's restricts the next sandboxes.
    pub(super) fn keeps(name: &OsStr) -> bool {
        git_names::refuses(name.as_bytes(), false) || name.eq_ignore_ascii_case(PROJECT_FILE)
    }

    fn is_name(&self, before: &[&OsStr], last: &OsStr) -> bool {
        // Also by the other names that filesystems give a repository.
        let git = git_names::refuses(last.as_bytes(), false);
        git || self.names.get(&last.as_bytes().to_ascii_lowercase()).is_some_and(|names| {
            names.iter().any(|parts| {
                let from = before.len().checked_sub(parts.len());
                let above = from.and_then(|from| before.get(from..)).unwrap_or_default();
                from.is_some()
                    && above.iter().zip(parts).all(|(one, other)| one.eq_ignore_ascii_case(OsStr::new(other)))
            })
        })
    }

    /// The outermost of these names at or above a path, from `root` on, or the path itself if what is there now, which is no directory
    /// any more, decides over one of them; unless one of `only` is at or below that, and at or above the path. `now` is what the path is
    /// now; none if it was deleted.
    pub(super) fn unnamed(&self, root: &Path, path: &Path, now: Option<NodeKind>, only: &[PathBuf]) -> Option<PathBuf> {
        let decides = || now != Some(NodeKind::Dir) && self.decides(path, now == Some(NodeKind::Link));
        let name = self.above(root, path).next().or_else(|| decides().then(|| path.to_owned()))?;
        let is_named = only.iter().any(|only| only.starts_with(&name) && path.starts_with(only));
        (!is_named).then_some(name)
    }

    /// The same for what an overlay at `inside` shows of the directory `host`: by the names inside, and else by those of the host, where tools
    /// find it. The name is that inside.
    pub(super) fn unnamed_of(
        &self,
        (inside, host): (&Path, &Path),
        path: &Path,
        now: Option<NodeKind>,
        only: &[PathBuf],
    ) -> Option<PathBuf> {
        let by_host = || {
            let there =
                |path: &Path| path.strip_prefix(inside).map_or_else(|_| path.to_owned(), |rest| host.join(rest));
            let only: Vec<_> = only.iter().map(|path| there(path)).collect();
            let name = self.unnamed(host, &there(path), now, &only)?;
            Some(match name.strip_prefix(host) {
                Ok(rest) if !rest.as_os_str().is_empty() => inside.join(rest),
                _ => inside.to_owned(),
            })
        };
        self.unnamed(inside, path, now, only).or_else(|| if inside == host { None } else { by_host() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_in_whatever_directory_and_have_to_be_named() {
        let guarded = Guarded::new([".git", ".envrc", ".config/mise"].into_iter());
        let unnamed = |path: &str, only: &[&str]| {
            let only: Vec<PathBuf> = only.iter().map(PathBuf::from).collect();
            guarded
                .unnamed(Path::new("/r/w"), Path::new(path), Some(NodeKind::File), &only)
                .map(|path| path.display().to_string())
        };
        for (path, name) in [
            ("/r/w/.git/config", "/r/w/.git"),
            ("/r/w/a/b/.GIT/config", "/r/w/a/b/.GIT"),
            ("/r/w/a/.git. /x", "/r/w/a/.git. "),
            ("/r/w/.envrc", "/r/w/.envrc"),
            ("/r/w/.config/mise/x/y", "/r/w/.config/mise"),
        ] {
            assert_eq!(unnamed(path, &[]).as_deref(), Some(name));
            assert_eq!(unnamed(path, &["/r/w"]).as_deref(), Some(name));
            assert_eq!(unnamed(path, &[name]), None);
            assert_eq!(unnamed(path, &[path]), None);
        }
        for path in ["/r/w/file", "/r/w/mise", "/r/w/.config/x", "/r/w/git", "/r/w/.gitignore"] {
            assert_eq!(unnamed(path, &[]), None);
        }
        for root in ["/r/.git", "/r/.git/hooks"] {
            let path = Path::new(root).join("x");
            assert_eq!(guarded.unnamed(Path::new(root), &path, None, &[]), Some(root.into()));
            assert_eq!(guarded.unnamed(Path::new(root), &path, None, &[root.into()]), None);
        }
        let root = Path::new("/r/.config/mise/w");
        assert_eq!(guarded.unnamed(root, &root.join("x"), None, &[]), None, "what holds the project is not its own");
        let mut tools = Guarded::default();
        tools.add("/w/tools/hooks".into());
        let found = |path: &str| tools.unnamed(Path::new("/w"), Path::new(path), Some(NodeKind::Dir), &[]);
        assert_eq!(found("/w/tools/hooks/pre-commit"), Some("/w/tools/hooks".into()));
        assert_eq!(found("/w/tools/other"), None);
        let inner = "/r/w/.git/x/.envrc";
        assert_eq!(unnamed(inner, &["/r/w/.git"]), None, "what is in it is named with it");
    }

    #[test]
    fn a_link_in_the_place_of_a_directory_decides_over_what_is_below() {
        let mut guarded = Guarded::new([".lsp/config.edn", ".config/mise/config.toml"].into_iter());
        guarded.add("/w/tools/hooks".into());
        let found = |path: &str, now| guarded.unnamed(Path::new("/w"), Path::new(path), now, &[]);
        let (link, dir, file) = (Some(NodeKind::Link), Some(NodeKind::Dir), Some(NodeKind::File));
        for path in ["/w/tools", "/w/.lsp", "/w/a/.Config", "/w/a/.config/mise"] {
            assert_eq!(found(path, link), Some(path.into()));
            assert_eq!(found(path, dir), None);
        }
        assert_eq!(
            (found("/w/tools", file), found("/w/tools", None)),
            (Some("/w/tools".into()), Some("/w/tools".into()))
        );
        for path in ["/w/a", "/w/mise", "/w/lsp", "/w/.config/x"] {
            assert_eq!(found(path, link), None, "{path}");
        }
        assert_eq!(guarded.unnamed(Path::new("/w"), Path::new("/w/.lsp"), link, &["/w/.lsp".into()]), None);
    }
}
