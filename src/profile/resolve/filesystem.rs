//! Reads `[filesystem]`.

use super::builder::Builder;
use crate::profile::document::Text;
use crate::spec::{Filesystem, Mode, Note, PathRule};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A sort key that orders paths as `Path` does, part by part, so that a directory's contents follow it directly.
/// Comparing the bytes is faster than comparing `Path`s.
fn by_parts(path: &Path) -> Vec<u8> {
    let part_end = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    path.as_os_str().as_encoded_bytes().iter().map(part_end).collect()
}

impl Builder<'_> {
    pub(super) fn filesystem(&mut self) -> Filesystem {
        let (chosen, root_origin) = self.root();
        let mut paths: BTreeMap<Vec<u8>, (usize, PathRule)> = BTreeMap::new();
        let cwd = self.cwd_too_wide();
        for (name, value) in self.merged.map("filesystem.paths") {
            let (Some(path), Some((mode, options))) = (self.path(name), self.mode(value)) else { continue };
            let place = name.text.split('/').next().filter(|word| word.starts_with("xdg-")).map(str::to_owned);
            let below_cwd = name.text.strip_prefix("${CWD}");
            if below_cwd.is_some() || place.is_some() {
                let why = if below_cwd == Some("") { cwd } else { self.too_wide(&path, mode, place.is_some()) };
                if let Some(why) = why {
                    self.notes.push(Note::TooWide { place, path, why });
                    continue;
                }
                // What makes a part of the current directory read-only shows nothing where that is left out.
                if below_cwd.is_some() && cwd.is_some() && mode == Mode::Ro && !self.is_of_project(name) {
                    continue;
                }
            }
            let project = self.is_of_project(name);
            let key = by_parts(&path);
            let mut rule = PathRule { path, mode, options, origin: self.origin(name), project, below: None };
            // Two spellings of one path: the later layer wins, and within a layer the stricter mode.
            match paths.get(&key) {
                Some((source, old)) if *source == name.at.source && old.mode > rule.mode => {}
                _ => {
                    let old = paths.remove(&key).map(|(_, old)| old).filter(|_| project);
                    rule.below = old.and_then(|old| if old.project { old.below } else { Some(Box::new(old)) });
                    paths.insert(key, (name.at.source, rule));
                }
            }
        }
        Filesystem {
            root: chosen,
            root_origin,
            paths: paths.into_values().map(|(_, rule)| rule).collect(),
            arguments: self
                .merged
                .text("filesystem.arguments")
                .filter(|text| text.text == "ro")
                .map(|text| self.origin(text)),
            changes: self.changes(),
            changes_origin: self.merged.text("filesystem.upper").map(|text| self.origin(text)).unwrap_or_default(),
            upper_size: self.upper_size(),
            memory: self.memory(),
            mounts: Vec::new(),
        }
    }

    /// Whether a text is of a project's file.
    fn is_of_project(&self, text: &Text) -> bool {
        self.sources.get(text.at.source).is_some_and(|source| source.project)
    }

    /// Why the rule for `${CWD}` itself, if there is one, must not be applied.
    fn cwd_too_wide(&self) -> Option<&'static str> {
        let (name, value) = self.merged.map("filesystem.paths").iter().find(|(name, _)| name.text == "${CWD}")?;
        let mode = Mode::from_word(value.text.split(',').next().unwrap_or_default().trim())?;
        self.too_wide(&self.vars.path(&name.text).ok()?, mode, false)
    }

    /// Why a rule for `${CWD}` or a place must not be applied, or none: it must not show a whole home or other programs'
    /// sockets in /tmp, make the profiles of the next sandbox writable, or show a private directory, merely because sbx
    /// was started there, or user-dirs.dirs names it.
    fn too_wide(&self, path: &Path, mode: Mode, is_place: bool) -> Option<&'static str> {
        let runtime = self.vars.names.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let home = self.vars.names.get("HOME").map(PathBuf::from).unwrap_or_default();
        let is_cwd = self.vars.cwd == path;
        let homes = self.vars.homes.iter().chain(&self.vars.other_homes).chain([&home]);
        if homes.into_iter().any(|home| home.starts_with(path)) {
            Some("holds your home directory")
        } else if ["/tmp", "/var/tmp"].iter().any(|dir| path == Path::new(dir))
            || (self.vars.cwd_is_temporary && is_cwd)
        {
            Some("holds temporary files of other programs")
        } else if self.vars.cwd_is_closed && is_cwd {
            Some("lies in a directory that this user may not search")
        } else if mode == Mode::Rw
            && self.vars.profiles.iter().any(|way| way.starts_with(path) || path.starts_with(way))
        {
            Some("holds the profiles of sbx")
        } else if runtime.is_some_and(|dir| !is_place && path.starts_with(dir))
            || (["/proc", "/dev", "/sys", "/run"].iter().any(|dir| path.starts_with(dir))
                && !path.starts_with("/run/media"))
        {
            Some("is a part of what is private inside")
        } else {
            None
        }
    }
}
