//! What is made read-only beside what the layers say, where they show it writable: the files of the profiles, and what links in the
//! caller's homes lead to.

use crate::host::{self, CodeKind, CodePath};
use crate::profile::Vars;
use crate::spec::{Mode, Note, Options, Origin, PathRule, Sandbox, Watched, within};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// How many paths are named in a note.
const NAMED: usize = 3;

/// Makes the files that profiles were read from read-only: a program that rewrites one decides what the next sandbox shows.
pub(super) fn profiles(sandbox: &mut Sandbox, files: impl Iterator<Item = PathBuf>) {
    let rules = &mut sandbox.filesystem.paths;
    for file in files {
        let (Some(dir), Some(name)) = (file.parent().and_then(|dir| dir.canonicalize().ok()), file.file_name()) else {
            continue;
        };
        let file = dir.join(name);
        let shown = |rule: &&PathRule| !rule.project && file.starts_with(source(rule));
        let Some(above) = rules.iter().filter(shown).max_by_key(|rule| rule.path.as_os_str().len()) else { continue };
        if above.mode != Mode::Rw || source(above) == file {
            continue;
        }
        let inside = above.path.join(file.strip_prefix(source(above)).unwrap_or(&file));
        let options = Options { optional: true, from: above.options.from.as_ref().map(|_| file), ..Options::default() };
        let origin = above.origin.clone();
        put(rules, PathRule { path: inside, mode: Mode::Ro, options, origin, project: false, below: None });
    }
}

/// Makes read-only what links in the homes lead to: shells, the desktop and tools start from there, as from a repository of
/// dotfiles. What cannot be made so is noted.
pub(super) fn startup(sandbox: &mut Sandbox, vars: &Vars) {
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
    let dirs: Vec<PathBuf> = writable.iter().map(|rule| source(rule).to_owned()).collect();
    let found = host::home_links(vars, &dirs);
    let mut closed = Vec::new();
    for link in &found.links {
        // A program may put another link in its place anyway.
        if nearest(rules, &link.link).is_some_and(|rule| rule.mode == Mode::Rw) {
            continue;
        }
        for step in &link.steps {
            let shown = found.dirs.iter().zip(&writable).filter(|((real, _), _)| within(step, real) && step != real);
            let Some(((real, _), rule)) = shown.max_by_key(|((real, _), _)| real.as_os_str().len()) else { continue };
            let inside = rule.path.join(step.strip_prefix(real).unwrap_or(step));
            let Some(above) = nearest(rules, &inside).filter(|above| above.mode == Mode::Rw) else { continue };
            // A line of the user's own for a part of a directory that is writable already opens it.
            let is_part = above.path.parent().and_then(|parent| nearest(rules, parent));
            if !here(above) && is_part.is_some_and(|whole| whole.mode == Mode::Rw) {
                continue;
            }
            let from = rule.options.from.as_ref().map(|_| step.clone());
            let options = Options { optional: true, from, ..Options::default() };
            let origin = Origin(format!("the link {}", link.link.display()));
            let rule = PathRule { path: inside, mode: Mode::Ro, options, origin, project: false, below: None };
            if !closed.iter().any(|(other, _): &(PathRule, _)| other.path == rule.path) {
                closed.push((rule, link.link.clone()));
            }
        }
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
    if !closed.is_empty() {
        let some = closed.iter().take(NAMED).map(|(rule, link)| (rule.path.clone(), link.clone())).collect();
        notes.push(Note::Linked { some, more: closed.len().saturating_sub(NAMED) });
    }
    closed.into_iter().for_each(|(rule, _)| put(&mut sandbox.filesystem.paths, rule));
    sandbox.notes.append(&mut notes);
}

/// Makes read-only the files that the caller's variables name as code, and has the directories watched in which they have code looked
/// for: builds and installers may write there. A link on the way to a file is made read-only, too, which is refused where it can be replaced.
pub(super) fn variables<'v>(
    sandbox: &mut Sandbox,
    variables: impl Iterator<Item = (&'v OsStr, &'v OsStr)>,
    vars: &Vars,
) {
    let rules = &sandbox.filesystem.paths;
    let writable: Vec<_> = rules.iter().filter(|rule| rule.mode == Mode::Rw).cloned().collect();
    if writable.is_empty() {
        return;
    }
    let home = vars.names.get("HOME").map_or(Path::new("/"), Path::new);
    let found = host::code_paths(variables, &vars.cwd, home, writable.iter().map(|rule| source(rule).to_owned()));
    // Where a path of the host is shown writable: the rule, its source's real path, and the path inside.
    let shown = |path: &Path| {
        let shown = found.dirs.iter().zip(&writable).filter(|(real, _)| within(path, real));
        let (real, rule) = shown.max_by_key(|(real, _)| real.as_os_str().len())?;
        let rest = path.strip_prefix(real).unwrap_or(path);
        let inside = if rest.as_os_str().is_empty() { rule.path.clone() } else { rule.path.join(rest) };
        nearest(rules, &inside).filter(|above| above.mode == Mode::Rw).map(|_| (rule, real, inside))
    };
    let (mut closed, mut watched) = (Vec::new(), Vec::new());
    for CodePath { variable, named, path, links, kind } in found.paths {
        let target = shown(&path);
        let is_line = target.as_ref().is_some_and(|(_, real, _)| path == **real);
        let links: Vec<_> = links.iter().filter(|link| shown(link).is_some()).collect();
        let is_watched = match kind {
            CodeKind::List => true,
            CodeKind::Path => is_line && path.is_dir(),
            // Such as the Python of a virtual environment, which is a link to the system's.
            CodeKind::Command => target.is_none(),
        };
        if is_watched && (target.is_some() || !links.is_empty()) {
            watched.push(Watched { path, named, variable });
            continue;
        }
        // A line of the user's own for the very file opens it.
        let file = Some(&path).filter(|_| !is_line);
        for step in links.into_iter().chain(file) {
            let Some((rule, _, inside)) = shown(step) else { continue };
            let from = rule.options.from.as_ref().map(|_| step.clone());
            let options = Options { optional: true, from, ..Options::default() };
            let origin = Origin(format!("the variable {variable}"));
            let rule = PathRule { path: inside, mode: Mode::Ro, options, origin, project: false, below: None };
            closed.push((rule, variable.clone()));
        }
    }
    let mut notes = Vec::new();
    if !closed.is_empty() {
        let some = closed.iter().take(NAMED).map(|(rule, variable)| (rule.path.clone(), variable.clone())).collect();
        notes.push(Note::Named { some, more: closed.len().saturating_sub(NAMED) });
    }
    if !watched.is_empty() {
        let some = watched.iter().take(NAMED).map(|dir| (dir.named.clone(), dir.variable.clone())).collect();
        notes.push(Note::Watched { some, more: watched.len().saturating_sub(NAMED) });
    }
    closed.into_iter().for_each(|(rule, _)| put(&mut sandbox.filesystem.paths, rule));
    sandbox.filesystem.watched = watched;
    sandbox.notes.append(&mut notes);
}

/// The path of the host that a rule shows.
fn source(rule: &PathRule) -> &Path {
    rule.options.from.as_ref().unwrap_or(&rule.path)
}

/// The rule that a path inside lies in, whatever a project's file says.
fn nearest<'r>(rules: &'r [PathRule], path: &Path) -> Option<&'r PathRule> {
    let own = rules.iter().filter_map(|rule| if rule.project { rule.below.as_deref() } else { Some(rule) });
    own.filter(|rule| within(path, &rule.path)).max_by_key(|rule| rule.path.as_os_str().len())
}

/// Adds a rule. One of a project's file for its path stands, and is judged by it.
fn put(rules: &mut Vec<PathRule>, rule: PathRule) {
    if let Some(other) = rules.iter_mut().find(|other| other.path == rule.path) {
        if other.project {
            other.below.get_or_insert_with(|| Box::new(rule));
        }
        return;
    }
    let at = rules.partition_point(|other| other.path < rule.path);
    rules.insert(at, rule);
}
