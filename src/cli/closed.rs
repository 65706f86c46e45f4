//! What is made read-only beside what the layers say, where they show it writable: the files of the profiles, and what links in the
//! caller's homes lead to.

use super::closing::{Closing, nearest, read_only};
use crate::error::{Error, Result};
use crate::host::{self, CodeKind, CodePath, HomeLink, Ways};
use crate::profile::Vars;
use crate::spec::{Mode, Note, Origin, PathRule, Sandbox, Watched, within};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// How many paths are named in a note.
const NAMED: usize = 3;

/// How the origins of the lines begin that close what tools outside run on their own.
const LIST: &str = "built-in:base/worktree:";
/// How deep directories are read in one of that list, and how many names at most in all.
const DEEPEST: usize = 2;
const MOST_NAMES: usize = 10_000;
/// Directories of version control, whose own directories hold what is stored.
const STORES: [&str; 8] = [".hg", ".jj", ".sl", "_darcs", ".pijul", ".bzr", ".svn", ".repo"];
const TOO_MANY: &str = "--overlay . keeps what the program changes from the host until `sbx commit`";

/// Makes the files that profiles were read from, those of projects included, read-only, and each link on the way to them: a program that
/// rewrites one decides what the next sandbox shows.
pub(super) fn profiles(sandbox: &mut Sandbox, files: &[PathBuf], ways: &mut Ways) {
    let mut shown = None;
    let mut rules = Closing::of(&mut sandbox.filesystem.paths);
    for file in files {
        let shown: &Vec<_> = shown.get_or_insert_with(|| writable(rules.old, ways));
        if shown.is_empty() {
            return;
        }
        let Some((real, links)) = ways.follow(file) else { continue };
        let origin = Origin(format!("the profile {}", file.display()));
        rules.close(shown, links.iter().chain([&real]), &origin);
    }
}

/// Makes read-only what links in the closed directories of `base/worktree` lead to, and each link on the way, where that is shown
/// writable: whoever runs what lies in such a directory runs that. What git runs by links is found with its repositories.
///
/// # Errors
///
/// The directories hold more names than are looked at before a start.
pub(super) fn names(sandbox: &mut Sandbox, ways: &mut Ways) -> Result<()> {
    let rules = &sandbox.filesystem.paths;
    let is_listed =
        |rule: &&PathRule| rule.mode == Mode::Ro && rule.options.from.is_none() && rule.origin.0.starts_with(LIST);
    let listed: Vec<_> = rules.iter().filter(is_listed).map(|rule| rule.path.clone()).collect();
    linked_from(sandbox, listed, ways)
}

/// Makes read-only what links in these directories lead to, and each link on the way, where that is shown writable. Repositories are left
/// out.
///
/// # Errors
///
/// As those of [`names`].
pub(super) fn linked_from(
    sandbox: &mut Sandbox,
    closed: impl IntoIterator<Item = PathBuf>,
    ways: &mut Ways,
) -> Result<()> {
    let rules = &mut sandbox.filesystem.paths;
    let mut links = Links::new();
    for dir in closed.into_iter().filter(|path| path.iter().all(|part| part != ".git")) {
        let is_store = STORES.iter().any(|name| dir.file_name().is_some_and(|last| last == *name));
        links.add(&dir, if is_store { 0 } else { DEEPEST })?;
    }
    if links.found.is_empty() {
        return Ok(());
    }
    let shown = writable(rules, ways);
    let closed = links.close(rules, &shown, ways)?;
    sandbox.notes.extend(linked(&closed));
    Ok(())
}

/// The links in directories from which programs outside start.
struct Links {
    /// Each with the depth that is left below the directory that it lies in.
    found: Vec<(PathBuf, usize)>,
    /// How many names may still be read.
    left: usize,
}

/// Why the links in a directory are not known.
enum Unread {
    TooMany,
    /// A directory in it, or itself, cannot be read by its permissions, which a program may have set and may set back.
    Closed(PathBuf),
}

impl Links {
    fn new() -> Links {
        Links { found: Vec::new(), left: MOST_NAMES }
    }

    /// Adds the links in a directory, and in those in it up to a depth.
    fn add(&mut self, dir: &Path, depth: usize) -> Result<()> {
        self.read(dir, depth).map_err(|unread| {
            let dir = dir.display();
            let unknown = "so that it is not known where the links in it lead";
            match unread {
                Unread::TooMany => {
                    Error::new(format!("{dir} holds more than {MOST_NAMES} names, {unknown}")).hint(TOO_MANY)
                }
                Unread::Closed(path) => {
                    Error::new(format!("the names in {} cannot be read, {unknown}", path.display()))
                        .hint(format!("chmod -R u+rX {dir}"))
                        .hint(TOO_MANY)
                }
            }
        })
    }

    fn read(&mut self, dir: &Path, depth: usize) -> std::result::Result<(), Unread> {
        let entries = match crate::sys::read_dir(dir) {
            Ok(entries) => entries,
            // What cannot be looked up at all is refused as that.
            Err(error) if error.raw_os_error() == Some(libc::EACCES) && dir.is_dir() && host::is_of_caller(dir) => {
                return Err(Unread::Closed(dir.to_owned()));
            }
            Err(_) => return Ok(()),
        };
        for entry in entries.flatten() {
            self.left = self.left.checked_sub(1).ok_or(Unread::TooMany)?;
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.found.push((entry.path(), depth)),
                Ok(kind) if kind.is_dir() && depth > 0 => self.read(&entry.path(), depth - 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes read-only what the links lead to, and each link on the way; what a directory in there has links to, too. Gives the paths
    /// inside, each with its link.
    fn close(
        mut self,
        rules: &mut Vec<PathRule>,
        shown: &[(PathBuf, PathRule)],
        ways: &mut Ways,
    ) -> Result<Vec<(PathBuf, PathBuf)>> {
        let (mut closed, mut read, mut at) = (Vec::new(), BTreeSet::new(), 0);
        let mut rules = Closing::of(rules);
        while let Some((link, depth)) = self.found.get(at).cloned() {
            at += 1;
            let Some((real, steps)) = ways.follow(&link) else { continue };
            let origin = Origin(format!("the link {}", link.display()));
            let paths = rules.close(shown, steps.iter().chain([&real]), &origin);
            closed.extend(paths.into_iter().map(|path| (path, link.clone())));
            // What holds all that is shown is no directory of such files alone.
            let is_part = shown.iter().any(|(dir, _)| within(&real, dir) && real != *dir);
            if is_part && real.is_dir() && read.insert(real.clone()) {
                self.add(&real, depth.saturating_sub(1))?;
            }
        }
        Ok(closed)
    }
}

/// Makes read-only what links in the homes lead to: shells, the desktop and tools start from there, as from a repository of
/// dotfiles. What cannot be made so is noted.
pub(super) fn startup(sandbox: &mut Sandbox, vars: &Vars, ways: &mut Ways) {
    let rules = &sandbox.filesystem.paths;
    let writable: Vec<_> = rules.iter().filter(|rule| rule.mode == Mode::Rw).cloned().collect();
    if writable.is_empty() {
        return;
    }
    let here =
        |rule: &PathRule| rule.path == vars.cwd || vars.project.get().is_some_and(|project| rule.path == project.dir);
    let mut notes = Vec::new();
    for rule in writable.iter().filter(|rule| here(rule) && host::is_startup(vars, &rule.path)) {
        notes.push(Note::StartUp { link: None, dir: rule.path.clone() });
    }
    let dirs: Vec<PathBuf> = writable.iter().map(|rule| rule.source().to_owned()).collect();
    let found = host::home_links(vars, &dirs, ways);
    // A line of the user's own for a part of a directory that is writable already opens it.
    let is_whole = |rule: &PathRule| {
        let is_part = rule.path.parent().and_then(|parent| nearest(rules, parent));
        here(rule) || is_part.is_none_or(|whole| whole.mode != Mode::Rw)
    };
    let shown = found.dirs.iter().map(|(real, _)| real.clone()).zip(writable.iter().cloned());
    // What a project's file has a line for stays as that says, and is compared with the view without the file.
    let shown: Vec<_> = shown.filter(|(_, rule)| !rule.project && is_whole(rule)).collect();
    // What a program may put another link in the place of is not followed, unless that lies in what another link closes.
    let mut copy = rules.clone();
    let mut all = Closing::of(&mut copy);
    let mut closed: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut left: Vec<_> = found.links.iter().collect();
    let mut followed = Vec::new();
    loop {
        let is_fixed = |link: &&HomeLink| all.nearest(&link.link).is_none_or(|rule| rule.mode != Mode::Rw);
        let (fixed, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_fixed);
        if fixed.is_empty() {
            break;
        }
        for link in &fixed {
            let origin = Origin(format!("the link {}", link.link.display()));
            let paths = all.close(&shown, &link.steps, &origin);
            closed.extend(paths.into_iter().map(|path| (path, link.link.clone())));
        }
        followed.extend(fixed);
        left = others;
    }
    for link in followed {
        // What holds a home holds more than what programs start from.
        let target = link.target();
        let holds_home = vars.homes.iter().any(|home| home.starts_with(target));
        let whole = found.dirs.iter().zip(&writable).find(|((real, links), rule)| {
            real.starts_with(target) && !links.contains(&link.link) && nearest(rules, &rule.path) == Some(*rule)
        });
        if let Some(((real, _), _)) = whole.filter(|_| !holds_home) {
            notes.push(Note::StartUp { link: Some(link.link.clone()), dir: real.clone() });
        }
    }
    if found.is_partial {
        notes.push(Note::LinksUnread);
    }
    notes.extend(linked(&closed));
    drop(all);
    sandbox.filesystem.paths = copy;
    sandbox.notes.append(&mut notes);
}

/// Makes read-only the files that the caller's variables name as code, and has the directories watched in which they have code looked
/// for: builds and installers may write there. A link on the way to a file is made read-only, too, which is refused where it can be replaced. So is
/// what links in a directory lead to that is named as a whole.
///
/// # Errors
///
/// Such a directory holds more names than are looked at before a start.
pub(super) fn variables<'v>(
    sandbox: &mut Sandbox,
    variables: impl Iterator<Item = (&'v OsStr, &'v OsStr)>,
    vars: &Vars,
    ways: &mut Ways,
) -> Result<()> {
    let rules = &sandbox.filesystem.paths;
    let writable: Vec<_> = rules.iter().filter(|rule| rule.mode == Mode::Rw).cloned().collect();
    if writable.is_empty() {
        return Ok(());
    }
    let home = vars.names.get("HOME").map_or(Path::new("/"), Path::new);
    let found =
        host::code_paths(variables, &vars.cwd, home, writable.iter().map(|rule| rule.source().to_owned()), ways);
    // Where a path of the host is shown writable: the rule, its source's real path, and the path inside, for each view of it.
    let shown = |path: &Path| {
        let shown = found.dirs.iter().zip(&writable).filter(|(real, _)| within(path, real));
        let inside = shown.map(|(real, rule)| {
            let rest = path.strip_prefix(real).unwrap_or(path);
            (rule, real, if rest.as_os_str().is_empty() { rule.path.clone() } else { rule.path.join(rest) })
        });
        let is_writable = |rule: &PathRule, inside: &Path| {
            nearest(rules, inside).is_some_and(|above| above.mode == Mode::Rw && above.path == rule.path)
        };
        inside.filter(|(rule, _, inside)| is_writable(rule, inside)).collect::<Vec<_>>()
    };
    let (mut closed, mut watched, mut inner) = (Vec::new(), Vec::new(), Links::new());
    for CodePath { variable, named, path, links, kind } in found.paths {
        let targets = shown(&path);
        let is_line = targets.iter().any(|(_, real, _)| path == **real);
        let links: Vec<_> = links.iter().filter(|link| !shown(link).is_empty()).collect();
        let is_watched = match kind {
            CodeKind::List => true,
            CodeKind::Path => is_line && path.is_dir(),
            // Such as the Python of a virtual environment, which is a link to the system's.
            CodeKind::Command => targets.is_empty(),
        };
        if is_watched && (!targets.is_empty() || !links.is_empty()) {
            watched.push(Watched { path, named, variable });
            continue;
        }
        if kind == CodeKind::Path && !targets.is_empty() && path.is_dir() {
            inner.add(&path, DEEPEST)?;
        }
        for step in links.into_iter().chain([&path]) {
            // A line of the user's own for the very file opens it.
            for (rule, _, inside) in shown(step).into_iter().filter(|(_, real, _)| *step != path || path != **real) {
                let origin = Origin(format!("the variable {variable}"));
                closed.push((read_only(rule, step, inside, origin), variable.clone()));
            }
        }
    }
    let few_closed = few(&closed, |(rule, variable)| (rule.path.clone(), variable.clone()));
    sandbox.notes.extend(few_closed.map(|(some, more)| Note::Named { some, more }));
    let few_watched = few(&watched, |dir| (dir.named.clone(), dir.variable.clone()));
    sandbox.notes.extend(few_watched.map(|(some, more)| Note::Watched { some, more }));
    let rules = &mut sandbox.filesystem.paths;
    let mut closing = Closing::of(rules);
    closed.into_iter().for_each(|(rule, _)| closing.put(rule));
    drop(closing);
    if !inner.found.is_empty() {
        let shown = self::writable(rules, ways);
        let closed = inner.close(rules, &shown, ways)?;
        sandbox.notes.extend(linked(&closed));
    }
    sandbox.filesystem.watched = watched;
    Ok(())
}

/// The note for paths that are closed since links lead there, each with its link.
fn linked(closed: &[(PathBuf, PathBuf)]) -> Option<Note> {
    few(closed, Clone::clone).map(|(some, more)| Note::Linked { some, more })
}

/// The first few of all, each as a note names it, and how many more there are. None if there are none at all.
fn few<T, N>(all: &[T], named: impl Fn(&T) -> N) -> Option<(Vec<N>, usize)> {
    let some = all.iter().take(NAMED).map(named).collect();
    (!all.is_empty()).then_some((some, all.len().saturating_sub(NAMED)))
}

/// What the user's own lines show writable, each with the real path of its source.
fn writable(rules: &[PathRule], ways: &mut Ways) -> Vec<(PathBuf, PathRule)> {
    let mut real =
        |rule: &PathRule| ways.follow(rule.source()).map_or_else(|| rule.source().to_owned(), |(real, _)| real);
    let own = rules.iter().filter_map(PathRule::without_project);
    own.filter(|rule| rule.mode == Mode::Rw).map(|rule| (real(rule), rule.clone())).collect()
}
