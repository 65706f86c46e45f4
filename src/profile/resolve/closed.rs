//! Directories that a line closes, and in which sbx is started all the same: the rules for the current directory and the project show
//! nothing there. What the user has closed is not open because of where sbx was started.

use super::builder::Builder;
use super::rules::{Rules, by_parts, nearest};
use super::unseen::HERE;
use crate::profile::VariablePath;
use crate::profile::document::{Text, Value};
use crate::spec::{Mode, Note, Options, Origin, PathRule, within};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The names under which rules follow the directory that sbx is started in.
const NAMES: [&str; 2] = ["${CWD}", "${PROJECT}"];

/// What a line says of a path, by any name but the two of [`NAMES`] themselves.
struct Said {
    source: usize,
    mode: Mode,
    /// Why nothing of the host's own is shown there, as a part of a sentence; none if it is.
    closed: Option<String>,
}

/// What all lines say, by the path as [`by_parts`] orders it. Empty where no line closes anything.
#[derive(Default)]
pub(super) struct Closed(BTreeMap<Vec<u8>, Said>);

impl Closed {
    /// What the nearest line at a path or above it says.
    fn nearest<'a>(&self, mut around: impl Iterator<Item = &'a Path>) -> Option<(&'a Path, &Said)> {
        if self.0.is_empty() {
            return None;
        }
        around.find_map(|path| Some((path, self.0.get(&by_parts(path))?)))
    }

    /// Why a path is closed, as the rest of a sentence about it; none if it is not.
    pub(super) fn why(&self, path: &Path) -> Option<String> {
        let (above, said) = self.nearest(path.ancestors())?;
        let why = said.closed.as_ref()?;
        Some(match above == path {
            true => format!("{why},"),
            false => format!("lies in {}, which {why},", above.display()),
        })
    }

    /// Whether nothing of the host's own is shown around a path.
    pub(super) fn is_around(&self, path: &Path) -> bool {
        self.nearest(path.ancestors().skip(1)).is_some_and(|(_, said)| said.closed.is_some())
    }
}

impl Builder<'_> {
    /// Whether a line shows nothing of the host's own at its path. The lines of shipped profiles that hide directories of disks, such as
    /// /mnt, say what there is to see by itself; and a home or a directory of temporary files is empty without a line, too.
    pub(super) fn closes(&self, name: &Text, path: &Path, mode: Mode, options: &Options) -> bool {
        let elsewhere = || options.from.as_ref().is_some_and(|from| from.as_os_str() != path.as_os_str());
        match mode {
            Mode::Hidden => !self.is_built_in(name),
            Mode::Masked | Mode::Deny => true,
            Mode::Tmpfs => !self.is_emptied(path),
            Mode::Ro | Mode::Rw | Mode::Overlay => elsewhere() && !self.is_emptied(path),
        }
    }

    /// Whether the view has nothing of the host's at a path unless a line says so. All of the paths are plain, and are compared by their
    /// text: part by part, that would take a tenth of a start with thousands of lines.
    fn is_emptied(&self, path: &Path) -> bool {
        let home = self.vars.names.get("HOME").map(Path::new);
        let homes = [&self.vars.homes, &self.vars.other_homes, &self.vars.home_dirs].into_iter().flatten();
        let usual = ["/", "/root", "/tmp", "/var/tmp"].map(Path::new);
        homes.map(PathBuf::as_path).chain(home).chain(usual).any(|known| known.as_os_str() == path.as_os_str())
    }

    /// Whether a text is of a profile that sbx has with it.
    pub(super) fn is_built_in(&self, name: &Text) -> bool {
        self.sources.get(name.at.source).is_some_and(|source| source.name.starts_with("built-in:"))
    }

    /// Takes the rules for the current directory and the project back where another line closes them, and what is in them with them. Gives
    /// what the lines say, for what is decided after that.
    pub(super) fn leave_closed(&mut self, paths: &mut Rules) -> Closed {
        let lines = self.merged.map("filesystem.paths");
        let mut closed = Closed::default();
        let mut named = Vec::new();
        for (name, value) in lines {
            let (Some(path), Some((mode, options))) = (self.path(name), self.mode(value)) else { continue };
            let rest = NAMES.iter().find_map(|dir| name.text.strip_prefix(dir));
            if let Some(rest) = rest {
                named.push((path.clone(), rest.is_empty(), mode, name));
            }
            if rest != Some("") {
                self.say(&mut closed, name, path, mode, &options);
            }
        }
        // What is in a directory comes after it.
        named.sort_by_key(|(path, ..)| by_parts(path));
        let mut left_out: Vec<PathBuf> = Vec::new();
        for (path, is_dir, mode, name) in named {
            let (key, origin) = (by_parts(&path), self.origin(name));
            if paths.get(&key).is_none_or(|(_, rule)| rule.origin != origin) {
                // The line that closes it has its very path.
                left_out.extend(closed.why(&path).filter(|_| is_dir).map(|_| path));
                continue;
            }
            if is_dir {
                let Some(why) = closed.why(&path).filter(|_| mode.shows_host()) else {
                    closed.0.entry(key).or_insert(Said { source: name.at.source, mode, closed: None });
                    continue;
                };
                paths.remove(&key);
                let note = Note::TooWide { place: None, path: path.clone(), why: why.into() };
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                left_out.push(path);
                continue;
            }
            let inside = left_out.iter().any(|dir| within(&path, dir));
            let shown = closed.nearest(path.ancestors().skip(1)).filter(|(_, said)| said.closed.is_none());
            let opens = match shown {
                Some((_, said)) => inside && mode < said.mode,
                // What makes a part of the directory read-only is not meant to show it.
                None => inside || (mode == Mode::Ro && self.is_built_in(name) && closed.is_around(&path)),
            };
            if opens {
                paths.remove(&key);
                closed.0.remove(&key);
            }
        }
        closed
    }

    /// Masks what TMPDIR and its like name in the current directory, the project or a place, unless a line names it: other programs have
    /// their sockets there. So do single sockets that variables name, unless the profile has the service that is behind one.
    pub(super) fn mask_temporary(&mut self, paths: &mut Rules) {
        let sockets = self.vars.sockets.iter().filter(|named| !self.has_service(&named.variable));
        let all = self.vars.temporary.iter().map(|named| (named, true)).chain(sockets.map(|named| (named, false)));
        let all: Vec<_> = all.collect();
        // A link on the way that can be replaced is refused by its rule.
        for (named, _) in &all {
            for link in &named.links {
                let above = nearest(paths, link).filter(|rule| rule.mode == Mode::Rw && rule.path != *link);
                if above.is_some_and(|rule| rule.options.from.is_none()) {
                    let options = Options { optional: true, ..Options::default() };
                    let origin = Origin(format!("the variable {}", named.variable));
                    let (path, mode) = (link.clone(), Mode::Ro);
                    let rule = PathRule::new(path, mode, options, origin);
                    paths.insert(by_parts(link), (0, rule));
                }
            }
        }
        let is_shown = |path: &Path| nearest(paths, path).is_some_and(|rule| rule.mode.shows_host());
        let all: Vec<_> = all.into_iter().filter(|(named, _)| is_shown(&named.path)).collect();
        if all.is_empty() {
            return;
        }
        // What a shipped profile closes in the current directory is not meant to show it.
        let is_part = |name: &Text| name.text.starts_with(HERE) && self.is_built_in(name);
        let lines = self.merged.map("filesystem.paths").iter();
        let by_place = lines
            .filter(|(name, _)| NAMES.contains(&name.text.as_str()) || name.text.starts_with("xdg-") || is_part(name));
        let is_whole = |name: &Text| !name.text.contains('/') || is_part(name);
        // By the line alone: one for the current directory may close the same name in each directory above, up to the project's.
        let by_place: Vec<_> = by_place.map(|(name, _)| (self.origin(name), is_whole(name))).collect();
        for (VariablePath { variable, path, is_there, .. }, is_dir) in all {
            let Some(rule) = nearest(paths, path) else { continue };
            // What a variable leads to has the line's origin, and says so behind it.
            let is_of = |line: &Origin| {
                rule.origin.0.strip_prefix(&line.0).is_some_and(|rest| matches!(rest.bytes().next(), None | Some(b',')))
            };
            let followed = by_place.iter().find(|(origin, _)| is_of(origin));
            let Some((_, is_whole)) = followed else { continue };
            if !rule.mode.shows_host() || rule.options.from.is_some() {
                continue;
            }
            // In what TMUX_TMPDIR names, sockets are in one directory, which has an entry of its own. A line that names what lies in a place
            // is meant to show it.
            if rule.path == *path && (variable == "TMUX_TMPDIR" || !is_whole) {
                continue;
            }
            // What a line names in it is shown there.
            let holds_more = paths.values().any(|(_, rule)| rule.path != *path && within(&rule.path, path));
            let (mode, options) = match (*is_there, is_dir) {
                (Some(true), _) if holds_more => (Mode::Tmpfs, Options { prefer: true, ..Options::default() }),
                (Some(true), _) => (Mode::Masked, Options { optional: true, prefer: true, ..Options::default() }),
                // Made first, as by tmux: later it would be seen, or be a program's.
                (Some(false), true) => (Mode::Masked, Options { create: true, prefer: true, ..Options::default() }),
                // That a program made one is told at the end.
                (Some(false), false) => (Mode::Ro, Options { optional: true, ..Options::default() }),
                // The program may be the owner of the directory, and open it.
                (None, _) => (Mode::Masked, Options { optional: true, ..Options::default() }),
            };
            let origin = Origin(format!("the variable {variable}"));
            let path = path.clone();
            match (*is_there, is_dir) {
                (_, true) => self.notes.push(Note::Temporary { path: path.clone(), variable: variable.clone() }),
                (Some(true), false) => self.notes.push(Note::Socket { path: path.clone(), variable: variable.clone() }),
                (_, false) => {}
            }
            paths.insert(by_parts(&path), (0, PathRule::new(path, mode, options, origin)));
        }
    }

    /// Whether the profile gives the program what is behind the socket that a variable names.
    fn has_service(&self, variable: &str) -> bool {
        let key = match variable {
            "DBUS_SESSION_BUS_ADDRESS" => "dbus.session.policy",
            "PULSE_SERVER" => "desktop.sound",
            "SSH_AUTH_SOCK" => "services.ssh-agent",
            "WAYLAND_DISPLAY" => "desktop.wayland",
            _ => return false,
        };
        match self.merged.get(key) {
            Some(Value::Switch(on, _)) => *on,
            Some(Value::Text(text)) => text.text != "none",
            Some(Value::List(list, _)) => !list.is_empty(),
            _ => false,
        }
    }

    /// Records what a line says, by the line's path and by where that leads.
    fn say(&self, closed: &mut Closed, name: &Text, path: PathBuf, mode: Mode, options: &Options) {
        let origin = self.origin(name).0;
        let real = self.vars.real.filter(|_| !self.is_built_in(name)).and_then(|real| real(&path));
        let real = real.filter(|real| *real != path);
        let closes = match (&real, &options.from) {
            // A line that names where the path leads anyway.
            (Some(real), Some(from)) if real == from => false,
            _ => self.closes(name, &path, mode, options),
        };
        let why = closes.then(|| match &options.from {
            Some(from) => format!("is `{},from={}` by {origin}", mode.word(), from.display()),
            None => format!("is `{}` by {origin}", mode.word()),
        });
        let said = || Said { source: name.at.source, mode, closed: why.clone() };
        // Of two that lead to one path, the stricter mode wins, and so it does in one layer; else the later layer does.
        if let Some(real) = real {
            let known = closed.0.get(&by_parts(&real));
            if known.is_none_or(|known| known.mode <= mode) {
                closed.0.insert(by_parts(&real), said());
            }
        }
        let key = by_parts(&path);
        if closed.0.get(&key).is_none_or(|known| known.source != name.at.source || known.mode <= mode) {
            closed.0.insert(key, said());
        }
    }
}
