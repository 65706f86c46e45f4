//! Reads `[filesystem]`.

use super::builder::Builder;
use super::closed::Closed;
use super::held::{self, Held};
use super::rules::{Rules, add, by_parts, close, nearest};
use super::unseen::{self, Ahead, HERE};
use crate::profile::document::Text;
use crate::profile::expand::Project;
use crate::spec::{
    Assert, Filesystem, Mechanism, Mode, Named, Note, Options, Origin, PathRule, Promise, Root, Unseen, within,
};
use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

/// How to go on where a project holds too much.
const TOO_MUCH: &str = "look for a large .git/index, many submodules or repositories, or configuration that includes much; `--overlay .` keeps changes from the \
                        project until `sbx commit`, and `--profile default` shows it read-only";

impl<'a> Builder<'a> {
    /// `asserts` are the profile's own, which its rules for the current directory and for places must not break.
    pub(super) fn filesystem(&mut self, asserts: &[Assert]) -> Filesystem {
        let (chosen, root_origin) = self.root();
        let (notes, errors) = (self.notes.len(), self.errors.len());
        // The names in a directory say which of many rules are for nothing. Another root has other names.
        let cwd = self.vars.names.get("CWD").map(Path::new).filter(|_| chosen == Root::Host);
        let mut ahead: Vec<_> = cwd.and_then(|cwd| self.ahead(cwd)).into_iter().collect();
        let read_ahead = self.rules(asserts, &mut ahead);
        let mut paths = read_ahead.unwrap_or_else(|| {
            self.notes.truncate(notes);
            self.errors.truncate(errors);
            ahead.clear();
            self.rules(asserts, &mut ahead).unwrap_or_default()
        });
        if !(self.vars.temporary.is_empty() && self.vars.sockets.is_empty()) && self.errors.is_empty() {
            self.mask_temporary(&mut paths);
        }
        // Another line may show what one does not.
        let shown = |path: &Path| paths.get(&by_parts(path)).is_some_and(|(_, rule)| rule.mode.shows_host());
        self.notes.retain(|note| !matches!(note, Note::TooWide { path, .. } if shown(path)));
        let mut unseen = self.unseen(ahead);
        unseen.append(&mut self.unseen);
        Filesystem {
            root: chosen,
            root_origin,
            paths: paths.into_values().map(|(_, rule)| rule).collect(),
            without_project: None,
            project_files: Vec::new(),
            profiles: Vec::new(),
            unseen,
            arguments: self.merged.text("filesystem.arguments").and_then(|text| match text.text.as_str() {
                "program" => Some((Named::Program, self.origin(text))),
                "ro" => Some((Named::All, self.origin(text))),
                _ => None,
            }),
            home: self.home(),
            changes: self.changes(),
            changes_origin: self.merged.text("filesystem.upper").map(|text| self.origin(text)).unwrap_or_default(),
            upper_size: self.upper_size(),
            mechanism: self.merged.text("filesystem.mechanism").and_then(|text| match text.text.as_str() {
                "overlay" => Some((Mechanism::Overlay, self.origin(text))),
                "fuse" => Some((Mechanism::Fuse, self.origin(text))),
                _ => None,
            }),
            memory: self.memory(),
            watched: Vec::new(),
            mounts: Vec::new(),
        }
    }

    /// The rules of all lines, with what those for the project bring along, but for lines that `ahead` leaves out. None
    /// if what is left out has to be compared with another line: never if `ahead` is empty.
    fn rules(&mut self, asserts: &[Assert], ahead: &mut Vec<Ahead<'a>>) -> Option<Rules> {
        let (mut paths, closes) = self.path_rules(asserts, ahead.first_mut());
        // What a line closes is compared with each rule, and some are left out.
        if closes && !ahead.is_empty() {
            return None;
        }
        let closed = if closes { self.leave_closed(&mut paths) } else { Closed::default() };
        self.close_from_above(&mut paths);
        self.project_rules(&mut paths, &closed, ahead);
        let is_left_out = |rule: &&PathRule| ahead.iter().any(|ahead| ahead.has(&rule.path));
        let others: Vec<_> = paths.values().map(|(_, rule)| rule).filter(is_left_out).collect();
        // What another line says of a path that a left-out line closes is compared with that line.
        if others.iter().any(|rule| rule.mode != Mode::Ro) {
            return None;
        }
        for rule in others {
            ahead.iter_mut().for_each(|ahead| ahead.forget(&rule.path));
        }
        Some(paths)
    }

    /// The rules of all lines, but for those that `ahead` leaves out; and whether a line may close the directory that others show
    /// because sbx is started there.
    fn path_rules(&mut self, asserts: &[Assert], mut ahead: Option<&mut Ahead<'a>>) -> (Rules, bool) {
        let mut paths = Rules::new();
        let of_project = self.too_wide_as("${PROJECT}", asserts);
        // What closes parts of the current directory belongs to a rule for either.
        let cwd = self.too_wide_as("${CWD}", asserts).or_else(|| of_project.clone());
        let rules = self.merged.map("filesystem.paths");
        let whole = rules.iter().any(|(name, _)| name.text == "${PROJECT}" || name.text == "${CWD}");
        // Most rules have the same few modes.
        let mut last: Option<(&str, (Mode, Options))> = None;
        let (mut closes, mut follows) = (false, false);
        let mut held = Held::default();
        for (name, value) in rules {
            // Where the directory itself is not shown, nothing of it is closed.
            if let Some(ahead) = &mut ahead
                && let Some(inner) = name.text.strip_prefix(HERE)
                && unseen::closes(value)
                && !self.is_flag(name)
                && cwd.is_none()
                && ahead.takes(name, inner)
            {
                continue;
            }
            // Nothing that lies there can be looked up or shown.
            if let Some(why) = self.vars.cwd_is_closed
                && let Some(below) = self.below_cwd(&name.text)
            {
                let note = Note::TooWide { place: None, path: self.vars.cwd.clone(), why: why.into() };
                if below.is_empty() && !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                continue;
            }
            let mode = match &last {
                Some((text, parsed)) if *text == value.text => Some(parsed.clone()),
                _ => self.mode(value),
            };
            let (Some(path), Some((mode, options))) = (self.path(name), mode) else { continue };
            last = Some((&value.text, (mode, options.clone())));
            closes |= (!mode.shows_host() || options.from.is_some())
                && (within(&self.vars.cwd, &path) || !self.is_built_in(name))
                && self.closes(name, &path, mode, &options);
            let is_place = name.text.starts_with("xdg-");
            let place = is_place.then(|| name.text.split('/').next().unwrap_or_default().to_owned());
            let named = [("${CWD}", &cwd), ("${PROJECT}", &of_project)];
            let in_either = named.into_iter().find_map(|(dir, why)| Some((name.text.strip_prefix(dir)?, why)));
            let below = in_either.map(|(rest, _)| rest);
            follows |= in_either.is_some();
            let project = self.is_of_project(name);
            if in_either.is_some() || place.is_some() {
                // What makes a part of the directory read-only shows nothing where that is left out; the note is the directory's.
                let is_left_out = in_either.is_some_and(|(rest, why)| !rest.is_empty() && why.is_some());
                if is_left_out && mode == Mode::Ro && !project {
                    continue;
                }
                // The planner refuses what a project's file would loosen.
                let asserts = if project { &[] } else { asserts };
                // What is read-only in a directory that may be shown itself is no wider than that.
                let inside = whole && mode == Mode::Ro && options.from.is_none();
                let why = match in_either {
                    Some(("", why)) => why.clone(),
                    Some((_, None)) if inside => self.denied_by_assert(&path, mode, asserts).map(Cow::Owned),
                    _ => self.too_wide(&path, mode, place.is_some(), asserts),
                };
                if let Some(why) = why {
                    // Both names may stand for one directory.
                    let note = Note::TooWide { place, path, why };
                    if !self.notes.contains(&note) {
                        self.notes.push(note);
                    }
                    continue;
                }
            }
            let key = by_parts(&path);
            let above = project && self.is_above(name, &path);
            let mut rule = PathRule { project, above, ..PathRule::new(path, mode, options, self.origin(name)) };
            if project {
                let counts = held.tighten(&mut rule, name.at.source) || paths.contains_key(&key);
                held.record(&rule, name.at.source);
                if !counts {
                    continue;
                }
            }
            // What another line closes is not shown merely because sbx was started there.
            if below == Some("")
                && let Some((_, old)) =
                    paths.get(&key).filter(|(_, old)| !old.mode.shows_host() && rule.mode.shows_host())
            {
                let why = format!("is `{}` by {}", old.mode.word(), old.origin).into();
                let note = Note::TooWide { place: None, path: rule.path, why };
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                continue;
            }
            // Two spellings of one path: the later layer wins, and within a layer the stricter mode.
            match paths.entry(key) {
                Entry::Occupied(old) if old.get().0 == name.at.source && old.get().1.mode > rule.mode => {}
                Entry::Occupied(mut old) if project && old.get().1.project => held::merge(&mut old.get_mut().1, rule),
                Entry::Occupied(mut place) => {
                    let (_, old) = place.insert((name.at.source, rule));
                    let below = if old.project { old.below } else { Some(Box::new(old)) };
                    place.get_mut().1.below = below.filter(|_| project);
                }
                Entry::Vacant(place) => drop(place.insert((name.at.source, rule))),
            }
        }
        self.hold(&mut paths, &held);
        (paths, closes && follows && self.errors.is_empty())
    }

    /// The rest of a path that lies in the current directory, by either of its names.
    fn below_cwd<'t>(&self, text: &'t str) -> Option<&'t str> {
        let project = || text.strip_prefix("${PROJECT}").filter(|_| self.vars.project().dir == self.vars.cwd);
        text.strip_prefix("${CWD}").or_else(project)
    }

    /// Whether a text is a flag's.
    pub(super) fn is_flag(&self, text: &Text) -> bool {
        self.sources.get(text.at.source).is_none_or(|source| source.label(&text.at).is_some())
    }

    /// Whether a path lies in the directory of the project's file above the current one that a text is of.
    fn is_above(&self, text: &Text, path: &Path) -> bool {
        let source = self.sources.get(text.at.source);
        source.and_then(|source| source.above.as_ref()).is_some_and(|dir| within(path, dir))
    }

    /// Whether a text is of a project's file.
    pub(super) fn is_of_project(&self, text: &Text) -> bool {
        self.sources.get(text.at.source).is_some_and(|source| source.project)
    }

    /// Adds what a rule for `${PROJECT}` brings along where that is not the current directory, or is a working copy whose
    /// repository is elsewhere.
    fn project_rules(&mut self, paths: &mut Rules, by_lines: &Closed, ahead: &mut Vec<Ahead<'a>>) {
        let rules = self.merged.map("filesystem.paths");
        if !rules.iter().any(|(name, _)| matches!(name.text.as_str(), "${PROJECT}" | "${CWD}/.git")) {
            return;
        }
        let vars = self.vars;
        let project = vars.project();
        let dir = project.dir.as_path();
        let cwd = self.vars.names.get("CWD").map_or(self.vars.cwd.as_path(), Path::new);
        if let Some((name, _)) = rules.iter().rfind(|(name, _)| name.text == "${PROJECT}") {
            self.notes.extend(project.passed.clone().map(|(dir, why)| Note::NoProject { dir, why }));
            let above = project.marker.filter(|_| dir != cwd);
            let rule = paths.get(&by_parts(dir)).map(|(_, rule)| rule);
            let is_writable = rule.is_some_and(|rule| rule.mode == Mode::Rw && rule.origin == self.origin(name));
            self.notes
                .extend(above.filter(|_| is_writable).map(|marker| Note::ProjectAbove { dir: dir.to_owned(), marker }));
        }
        let is_writable = |path: &Path| nearest(paths, path).is_some_and(|rule| rule.mode < Mode::Ro);
        // What lies outside of the current directory is not shown merely because parts of it would be closed.
        if let Some(shown) = [dir, cwd].into_iter().find(|dir| is_writable(dir)) {
            let kept = nearest(paths, shown).is_some_and(|rule| rule.mode == Mode::Overlay);
            if let Some(line) = self.close_project(cwd, shown, project, paths, by_lines, ahead) {
                for why in &project.notes {
                    let note = Note::GitUnread { why: why.clone() };
                    if !self.notes.contains(&note) {
                        self.notes.push(note);
                    }
                }
                self.unseen = self.repositories_to_come(line, shown, project).into_iter().collect();
                if project.is_partial && !kept {
                    let why = if project.notes.is_empty() { "" } else { &format!(" ({})", project.notes.join("; ")) };
                    let message = format!(
                        "the repositories in {} hold more than sbx reads before a start, or what it cannot read{why}, so that what git runs in there is not known",
                        dir.display()
                    );
                    self.wrong(line, message, TOO_MUCH);
                }
            }
        }
        let Some((_, rule)) = paths.get(&by_parts(&dir.join(".git"))).cloned() else { return };
        let Some(repository) = &project.repository else { return };
        if !rule.mode.shows_host() || rule.options.from.is_some() {
            return;
        }
        for path in [&repository.common, &repository.dir] {
            if let Some(why) = by_lines.why(path) {
                self.notes.push(Note::TooWide { place: None, path: path.clone(), why: why.into() });
                return;
            }
        }
        let optional = Options { optional: true, ..Options::default() };
        let rule = PathRule::new(rule.path, rule.mode, optional, rule.origin);
        let mut put = |path: PathBuf, mode| add(paths, PathRule { path, mode, ..rule.clone() });
        put(repository.dir.clone(), rule.mode);
        put(repository.common.clone(), Mode::Ro);
        if rule.mode != Mode::Ro && repository.dir != repository.common {
            // What a commit writes. Hooks and configuration stay as they are, and so does what says where they are.
            ["objects", "refs", "logs"].into_iter().for_each(|name| put(repository.common.join(name), rule.mode));
            let fixed = ["commondir", "gitdir", "config.worktree"];
            fixed.into_iter().for_each(|name| put(repository.dir.join(name), Mode::Ro));
        }
    }

    /// Closes, in a project, what the profile closes in the current directory: in each one above, up to the project's, and
    /// wherever else the project's repository keeps such files, as far as it lies in `shown`, the directory that is shown
    /// writable. What another line says of the current
    /// directory's own, a project's file or a flag, counts for that alone.
    ///
    /// Gives the line that closes the repository, if what git runs besides is closed with it.
    fn close_project(
        &self,
        cwd: &Path,
        shown: &Path,
        project: &Project,
        paths: &mut Rules,
        by_lines: &Closed,
        ahead: &mut Vec<Ahead<'a>>,
    ) -> Option<&'a Text> {
        let optional = Options { optional: true, ..Options::default() };
        let above = || cwd.ancestors().skip(1).take_while(|above| within(above, shown));
        let mut dirs: Vec<_> = match ahead.is_empty() {
            true => above().map(|dir| (dir, None)).collect(),
            false => above().map(|dir| (dir, self.ahead(dir))).collect(),
        };
        let lines = self.merged.map("filesystem.paths").iter().chain(self.merged.replaced());
        let mut closed_git = None;
        for (name, value) in lines {
            let Some(inner) = name.text.strip_prefix(HERE) else { continue };
            if !unseen::closes(value) || self.is_of_project(name) || (dirs.is_empty() && inner != ".git") {
                continue;
            }
            let rule = |path: PathBuf| {
                let (options, origin) = (optional.clone(), self.origin(name));
                PathRule::new(path, Mode::Ro, options, origin)
            };
            for (above, ahead) in &mut dirs {
                let path = above.join(inner);
                let mut is_taken =
                    || ahead.as_mut().is_some_and(|ahead| !self.is_flag(name) && ahead.takes(name, inner));
                if !by_lines.is_around(&path) && !is_taken() {
                    close(paths, rule(path));
                }
            }
            if inner == ".git" {
                closed_git = Some((name, rule(project.dir.join(inner))));
            }
        }
        ahead.extend(dirs.into_iter().filter_map(|(_, ahead)| ahead));
        let (line, rule) = closed_git?;
        // Whoever opens the repository on purpose opens all of it.
        let opened = |rule: &PathRule| rule.mode < Mode::Ro && !rule.project;
        if paths.get(&by_parts(&rule.path)).is_some_and(|(_, rule)| opened(rule)) {
            return None;
        }
        // What another line closes is not shown since git knows it.
        let closed = project.closed.iter().filter(|path| within(path, shown) && !by_lines.is_around(path));
        for path in closed {
            let variable = project.variables.get(path);
            let named = variable.map(|variable| Origin(format!("{}, for the variable {variable}", rule.origin)));
            let origin = named.unwrap_or_else(|| rule.origin.clone());
            close(paths, PathRule { path: path.clone(), origin, ..rule.clone() });
        }
        Some(line)
    }

    /// What makes a directory of the project a repository, in those that are none.
    fn repositories_to_come(&self, line: &Text, shown: &Path, project: &Project) -> Option<Unseen> {
        let source = self.sources.get(line.at.source)?;
        let dirs = project.dirs.iter().filter(|dir| within(dir, shown));
        let names = dirs.filter_map(|dir| dir.strip_prefix(&project.dir).ok()?.to_str());
        let names =
            names.flat_map(|name| [".git", "HEAD"].map(|inner| (format!("{name}/{inner}"), source.line(&line.at))));
        let names: Vec<_> = names.collect();
        (!names.is_empty()).then(|| Unseen { dir: project.dir.clone(), source: source.name.clone(), names })
    }

    /// Why the rule for `${CWD}` or `${PROJECT}` itself, if there is one, must not be applied.
    fn too_wide_as(&self, dir: &str, asserts: &[Assert]) -> Option<Cow<'static, str>> {
        let (name, value) = self.merged.map("filesystem.paths").iter().find(|(name, _)| name.text == dir)?;
        let mode = Mode::from_word(value.text.split(',').next().unwrap_or_default().trim())?;
        self.too_wide(&self.vars.path(&name.text).ok()?, mode, false, asserts)
    }

    /// Why a rule for `${CWD}` or a place must not be applied, or none: it must not show a whole home or other programs'
    /// sockets in /tmp, make the profiles of the next sandbox writable, or show a private directory or one that the profile
    /// says it does not show, merely because sbx was started there, or user-dirs.dirs names it.
    fn too_wide(&self, path: &Path, mode: Mode, is_place: bool, asserts: &[Assert]) -> Option<Cow<'static, str>> {
        let home = self.vars.names.get("HOME").map(PathBuf::from).unwrap_or_default();
        let is_cwd = self.vars.cwd.as_os_str() == path.as_os_str();
        let mut homes = self.vars.homes.iter().chain(&self.vars.home_dirs).chain([&home]);
        let holds_home =
            homes.any(|home| within(home, path)) || self.vars.other_homes.iter().any(|home| within(home, path));
        let why = if holds_home {
            "holds your home directory"
        } else if ["/tmp", "/var/tmp"].iter().any(|dir| path.as_os_str() == *dir)
            || (self.vars.cwd_is_temporary && is_cwd)
        {
            "holds temporary files of other programs"
        } else if is_cwd && self.vars.stores.iter().any(|store| within(path, store)) {
            "lies in what sbx keeps of sandboxes"
        } else if mode == Mode::Rw && self.vars.profiles.all().any(|way| within(way, path) || within(path, way)) {
            "holds the profiles of sbx"
        } else if (!is_place && self.vars.runtime.iter().any(|dir| within(path, dir)))
            || (["/proc", "/dev", "/sys", "/run"].iter().any(|dir| within(path, Path::new(dir)))
                && !within(path, Path::new("/run/media")))
        {
            "is a part of what is private inside"
        } else if self.vars.runtime.iter().any(|dir| within(dir, path) && dir.as_os_str() != path.as_os_str()) {
            "holds your runtime directory"
        } else {
            return self.denied_by_assert(path, mode, asserts).map(Cow::Owned);
        };
        Some(Cow::Borrowed(why))
    }

    /// What the profile's own `[assert]` says against showing a path in this mode, or none.
    fn denied_by_assert(&self, path: &Path, mode: Mode, asserts: &[Assert]) -> Option<String> {
        if !mode.shows_host() {
            return None;
        }
        asserts.iter().find_map(|assert| {
            let what = match assert.promise {
                Promise::CannotRead => "cannot be read",
                Promise::CannotWrite if mode == Mode::Rw => "cannot be written to",
                _ => return None,
            };
            assert.paths().find_map(|closed| {
                let how = if within(path, closed) {
                    if within(closed, path) {
                        return Some(format!("{what}, as [assert] of the profile says,"));
                    }
                    "lies in"
                } else if within(closed, path) && !self.is_stricter_below(path, closed, assert.promise) {
                    "holds"
                } else {
                    return None;
                };
                Some(format!("{how} {}, which {what}, as [assert] of the profile says,", closed.display()))
            })
        })
    }

    /// Whether a line of the profile closes `closed`, or a directory on the way to it from `path`, as a promise says.
    fn is_stricter_below(&self, path: &Path, closed: &Path, promise: Promise) -> bool {
        // What a project's file closes lets nothing in that is left out without it.
        self.merged.map("filesystem.paths").iter().filter(|(name, _)| !self.is_of_project(name)).any(|(name, value)| {
            let Ok(rule) = self.vars.path(&name.text) else { return false };
            let Some(mode) = Mode::from_word(value.text.split(',').next().unwrap_or_default().trim()) else {
                return false;
            };
            let strict = match promise {
                Promise::CannotRead => !mode.shows_host(),
                _ => mode != Mode::Rw,
            };
            strict && is_below(&rule, path) && (rule == closed || is_below(closed, &rule))
        })
    }
}

/// Whether a path lies below a directory.
fn is_below(path: &Path, dir: &Path) -> bool {
    within(path, dir) && path != dir
}
