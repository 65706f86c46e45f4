//! Expands variables and well-known directories in strings: `${HOME}`, `~/`, `xdg-download`. No templates, no commands,
//! no side effects.

use super::schema::nearest;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Reads the names in a directory; none if they do not tell what is not there.
pub type NamesIn = fn(&Path) -> Option<BTreeSet<OsString>>;

/// Values of the variables and well-known directories. `host` fills it, so that reading a profile has no other input.
#[derive(Debug, Clone, Default)]
pub struct Vars {
    /// Values of `HOME`, `CWD`, `UID`, `USER` and `XDG_*`. There is no `CWD` if the current directory is not UTF-8. `PROJECT` is
    /// not among them: see [`Vars::project`].
    pub names: BTreeMap<String, String>,
    /// The current directory.
    pub cwd: PathBuf,
    /// Absolute paths of `xdg-download` and the other user directories (user-dirs.dirs(5)).
    pub places: BTreeMap<String, String>,
    /// Why it is not known where these are: the file cannot be read.
    pub no_places: Option<String>,
    /// The caller's home directories: the real path of `HOME`, then those of the caller's accounts, each as the account
    /// has it and by its real path, and the one that the current directory is or lies in, though no account names it.
    pub homes: Vec<PathBuf>,
    /// Home directories of other persons, as their accounts have them: these are not looked up.
    pub other_homes: Vec<PathBuf>,
    /// Directories in which homes lie: /home, and where it leads if it is a link.
    pub home_dirs: Vec<PathBuf>,
    /// The caller's runtime directory, by its name and by its real path: it holds sockets that lead outside.
    pub runtime: Vec<PathBuf>,
    /// Where sbx keeps upper layers and private homes, if the current directory may lie there.
    pub stores: Vec<PathBuf>,
    /// The current directory is one for the temporary files and sockets of all programs, such as /tmp, or one of sockets in there.
    pub cwd_is_temporary: bool,
    /// The directories that variables such as TMPDIR name for them, but for the usual ones, each with the variable.
    pub temporary: Vec<VariablePath>,
    /// The sockets that variables such as SSH_AUTH_SOCK name outside of the usual runtime directory, each with the variable.
    pub sockets: Vec<VariablePath>,
    /// Why nothing in the current directory can be looked up by its path, as the rest of a sentence about it.
    pub cwd_is_closed: Option<&'static str>,
    /// Where the caller's profiles are: whoever can write there controls the next sandbox.
    pub profiles: Profiles,
    /// Finds the real path of one that a line names, if it goes through links. Without this, paths are taken as they are written.
    pub real: Option<fn(&Path) -> Option<PathBuf>>,
    /// `.sbx.toml` files count for nothing.
    pub no_project_file: bool,
    /// Reads the names in a directory, in lower case. Without it, each rule for a name is kept.
    pub names_in: Option<NamesIn>,
    /// Finds the project that the current directory belongs to; without it, that is the current directory.
    pub find_project: Option<fn(&Vars) -> Project>,
    /// What it has found, once that was needed.
    pub project: OnceLock<Project>,
}

/// Where the caller's profiles are, and what else decides what a later sandbox shows.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    /// Links on the way to them.
    pub links: Vec<PathBuf>,
    /// The real paths of their directories, whether these exist or not, and the targets of links in there.
    pub real: Vec<PathBuf>,
    /// Where sbx keeps upper layers and private homes.
    pub stores: Vec<PathBuf>,
}

impl Profiles {
    /// The paths of links, profiles and stores together.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.links.iter().chain(&self.real).chain(&self.stores)
    }
}

/// A path that a variable of the caller's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariablePath {
    /// The variable.
    pub variable: Cow<'static, str>,
    /// The real path.
    pub path: PathBuf,
    /// Whether there is something; none if the permissions of a directory on the way do not let this user look.
    pub is_there: Option<bool>,
    /// The links on the way to it: whoever replaces one says what is found there.
    pub links: Vec<PathBuf>,
}

impl VariablePath {
    /// One at which nothing is.
    pub fn missing(variable: Cow<'static, str>, path: PathBuf, links: Vec<PathBuf>) -> VariablePath {
        VariablePath { variable, path, is_there: Some(false), links }
    }
}

/// The project that the current directory belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// Its directory: the nearest one, from the current one up, that holds a repository or a workspace, or is a part of one with a
    /// `.sbx.toml`.
    pub dir: PathBuf,
    /// The file that makes it one; none if it is merely the current directory.
    pub marker: Option<&'static str>,
    /// A directory above the current one that is not taken for the project, and why, as the rest of a sentence.
    pub passed: Option<(PathBuf, String)>,
    /// The repository elsewhere that its file `.git` leads to: it is a worktree of git's, or a submodule.
    pub repository: Option<Repository>,
    /// Paths below it, besides `.git`, that git runs something from or that are a repository.
    pub closed: Vec<PathBuf>,
    /// Those of them that a variable of the caller's leads to, each with the variable.
    pub variables: BTreeMap<PathBuf, String>,
    /// The directories directly in it that are no repository: a program may make one there.
    pub dirs: Vec<PathBuf>,
    /// Why there may be other such paths, as sentences.
    pub notes: Vec<String>,
    /// The search for them was ended, since what repositories hold is more than is looked at before a start.
    pub is_partial: bool,
}

/// A repository of git's whose working copy is elsewhere, by real paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What belongs to this working copy alone: `.git/worktrees/NAME`, or the whole repository of a submodule.
    pub dir: PathBuf,
    /// What all its worktrees have in common; the same as `dir` for a submodule.
    pub common: PathBuf,
}

impl Vars {
    /// Replaces `${NAME}` by its value, and `$${` by `${`. The error is a sentence without a position.
    pub fn text(&self, text: &str) -> Result<String, String> {
        if find_variable(text).is_none() {
            return Ok(text.to_owned());
        }
        // With room for a variable's value.
        let mut out = String::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some(start) = find_variable(rest) {
            let (before, from) = rest.split_at(start);
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &from[2..];
                continue;
            }
            out.push_str(before);
            let Some(end) = from.find('}') else {
                return Err(format!("`{from}` has no closing brace"));
            };
            let name = &from[2..end];
            match self.names.get(name) {
                Some(value) => out.push_str(value),
                None if name == "PROJECT" => match self.project().dir.to_str() {
                    Some(dir) => out.push_str(dir),
                    None => return Err(self.unknown(name)),
                },
                None => return Err(self.unknown(name)),
            }
            rest = &from[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The project that the current directory belongs to. It is looked for when it is first asked for.
    pub fn project(&self) -> &Project {
        self.project.get_or_init(|| match self.find_project {
            Some(find) => find(self),
            None => {
                let dir = self.names.get("CWD").map_or_else(|| self.cwd.clone(), PathBuf::from);
                Project { dir, ..Project::default() }
            }
        })
    }

    fn unknown(&self, name: &str) -> String {
        if matches!(name, "CWD" | "PROJECT") && self.cwd.to_str().is_none() {
            return format!(
                "the current directory is not UTF-8, and only a path that begins with `${{{name}}}` can hold it"
            );
        }
        if ["HOME", "USER", "CWD", "UID"].contains(&name) || name.starts_with("XDG_") {
            format!("`${{{name}}}` is not set here")
        } else {
            format!(
                "`${{{name}}}` is no variable of profiles; {}",
                there_are(name, self.names.keys().map(String::as_str).chain(["PROJECT"]))
            )
        }
    }

    /// Expands a path to an absolute one without `.` and repeated slashes. `..` is refused: what it names depends on
    /// links. The error is a sentence without a position.
    pub fn path(&self, text: &str) -> Result<PathBuf, String> {
        if text.bytes().any(|byte| matches!(byte, b'*' | b'?')) {
            return self.name(&literal(text)?);
        }
        self.name(text)
    }

    /// Expands a path in which `*` and `?` stand for themselves.
    fn name(&self, text: &str) -> Result<PathBuf, String> {
        if self.cwd.to_str().is_none() {
            for (name, dir) in [("${CWD}", &self.cwd), ("${PROJECT}", &self.project().dir)] {
                if let Some(rest) = text.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                    let below = if rest.is_empty() { PathBuf::from("/") } else { self.name(rest)? };
                    return Ok(dir.join(below.strip_prefix("/").unwrap_or(&below)));
                }
            }
        }
        let named = text.starts_with(['~', 'x']);
        let parts = named.then(|| text.split_once('/').map_or((text, None), |(first, rest)| (first, Some(rest))));
        let expanded = match parts.unwrap_or((text, None)) {
            ("~", rest) => join(self.names.get("HOME").ok_or_else(|| self.unknown("HOME"))?, rest),
            (place, _) if place.starts_with("xdg-") && self.no_places.is_some() => {
                let why = self.no_places.as_deref().unwrap_or_default();
                return Err(format!("cannot tell where `{place}` is: {why}"));
            }
            (place, rest) if place.starts_with("xdg-") => match self.places.get(place) {
                Some(path) => join(path, rest),
                None => {
                    return Err(format!(
                        "`{place}` is no place; {}",
                        there_are(place, self.places.keys().map(String::as_str))
                    ));
                }
            },
            _ => self.text(text)?,
        };
        if !expanded.starts_with('/') {
            return Err(format!("`{text}` is not an absolute path"));
        }
        let plain = is_plain(&expanded);
        if !plain && expanded.split('/').any(|part| part == "..") {
            return Err(format!("`{text}` holds `..`, and what that leads to depends on links"));
        }
        if expanded.len() >= 4096 {
            return Err(format!("the path is {} bytes long; Linux takes 4095", expanded.len()));
        }
        // Most paths are written plainly: spare them the split into components.
        Ok(if plain { expanded.into() } else { PathBuf::from(expanded).components().collect() })
    }
}

/// Where `${` is in a text.
fn find_variable(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|two| two == b"${")
}

/// Whether no part of an absolute path is empty, and none is or begins with `..` or is `.`. Asked of each path at each start, so byte by
/// byte.
fn is_plain(path: &str) -> bool {
    let mut before = [0, 0];
    for byte in path.bytes() {
        if matches!((before, byte), ([_, b'/'], b'/') | ([b'/', b'.'], b'/' | b'.')) {
            return false;
        }
        before = [before[1], byte];
    }
    path == "/" || !matches!(before, [_, b'/'] | [b'/', b'.'])
}

/// The text of a path with `*` for `[*]` and `?` for `[?]`. Paths are no patterns: which files one means would depend on
/// what an earlier program has left, and a mask would not close what is made later.
fn literal(text: &str) -> Result<String, String> {
    let bare = text.replace("[*]", "").replace("[?]", "");
    match bare.chars().find(|c| matches!(c, '*' | '?')) {
        Some(c) => {
            Err(format!("`{c}` is no pattern here: a path names one file, or a directory with all that is in it"))
        }
        None => Ok(text.replace("[*]", "*").replace("[?]", "?")),
    }
}

/// The text by which a profile names a path that holds `*` or `?`.
pub fn quoted(path: &str) -> String {
    path.replace('*', "[*]").replace('?', "[?]")
}

fn there_are<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn join(base: &str, rest: Option<&str>) -> String {
    rest.map_or_else(|| base.to_owned(), |rest| format!("{base}/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn paths_that_have_to_be_cleaned_are_found() {
        for plain in ["/", "/a", "/a/b.c", "/.a", "/a/.b/c", "/a/b.", "/a./b"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["//", "/a/", "/a//b", "/.", "/./a", "/a/.", "/..", "/a/../b", "/a/.."] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
