//! What holds from above: lines of a project's file in what is below its directory, and lines for the project in a part of it that has
//! become a project of its own. A program may put a file or a marker in between, and what was closed before is closed then, too.

use super::builder::Builder;
use super::rules::{Rules, by_parts, nearest};
use crate::profile::document::Text;
use crate::spec::{Mode, Options, Origin, PathRule, within};
use std::collections::BTreeMap;
use std::path::Path;

/// What lines of projects' files say of a path.
struct Said {
    /// The file.
    source: usize,
    mode: Mode,
    noexec: bool,
    origin: Origin,
}

/// What the projects' files say that were read so far, by the path as [`by_parts`] orders it.
#[derive(Default)]
pub(super) struct Held(BTreeMap<Vec<u8>, Vec<Said>>);

impl Held {
    pub(super) fn record(&mut self, rule: &PathRule, source: usize) {
        let said = Said { source, mode: rule.mode, noexec: rule.options.noexec, origin: rule.origin.clone() };
        self.0.entry(by_parts(&rule.path)).or_default().push(said);
    }

    /// The strictest of what other files than `source` say of the nearest path, from this one up, that they have lines for.
    fn strictest<'p>(&self, path: &'p Path, source: Option<usize>) -> Option<(&'p Path, &Said)> {
        if self.0.is_empty() {
            return None;
        }
        path.ancestors().find_map(|above| {
            let others = self.0.get(&by_parts(above))?.iter().filter(|said| Some(said.source) != source);
            Some((above, others.max_by_key(|said| said.mode)?))
        })
    }

    /// Makes a rule of one file as strict as what the others say. False if they close what its path lies in, so that there is nothing that it
    /// could say.
    pub(super) fn tighten(&self, rule: &mut PathRule, source: usize) -> bool {
        let Some((above, said)) = self.strictest(&rule.path, Some(source)) else { return true };
        rule.options.noexec |= said.noexec && rule.mode <= Mode::Tmpfs;
        if said.mode <= rule.mode {
            return true;
        }
        if said.mode.shows_host() || above == rule.path {
            (rule.mode, rule.origin) = (said.mode, said.origin.clone());
            return true;
        }
        false
    }

    /// The rule for a directory that is shown since sbx is started there, as strict as what a file above says of what it lies in; none if it
    /// is. What such a file closes is not shown for that anyway.
    fn over(&self, rule: &PathRule) -> Option<PathRule> {
        let (_, said) = self.strictest(rule.path.parent()?, None)?;
        if said.mode <= rule.mode || !said.mode.shows_host() {
            return None;
        }
        let options = Options { noexec: said.noexec || rule.options.noexec, ..Options::default() };
        let held = PathRule::new(rule.path.clone(), said.mode, options, said.origin.clone());
        Some(PathRule { project: true, below: Some(Box::new(rule.clone())), ..held })
    }
}

/// Merges two rules of projects' files for one path: the stricter mode holds, and each option that restricts.
pub(super) fn merge(old: &mut PathRule, new: PathRule) {
    let (one, other) = (&old.options, &new.options);
    let smaller = match (one.size, other.size) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let stricter = new.mode > old.mode;
    let chosen = if stricter { other } else { one };
    let options = Options {
        noexec: one.noexec || other.noexec,
        exclusive: one.exclusive || other.exclusive,
        size: smaller.filter(|_| old.mode.max(new.mode) == Mode::Tmpfs),
        ..chosen.clone()
    };
    let above = old.above && new.above;
    let below = old.below.take();
    if stricter {
        *old = PathRule { below, ..new };
    } else {
        old.below = below;
    }
    (old.options, old.above) = (options, above);
}

impl Builder<'_> {
    /// Makes the rules for the current directory and the project as strict as what files above say, unless they are flags'.
    pub(super) fn hold(&self, paths: &mut Rules, held: &Held) {
        let lines = self.merged.map("filesystem.paths");
        for (name, _) in lines.iter().filter(|(name, _)| matches!(name.text.as_str(), "${CWD}" | "${PROJECT}")) {
            let Some(key) = self.vars.path(&name.text).ok().map(|path| by_parts(&path)) else { continue };
            let Some((_, rule)) = paths.get_mut(&key).filter(|(_, rule)| rule.origin == self.origin(name)) else {
                continue;
            };
            if let Some(stricter) = held.over(rule).filter(|_| !self.is_flag(name)) {
                *rule = stricter;
            }
        }
    }

    /// Applies lines for what is in the project from each directory above it, too, as far as they close what is shown of the project: a
    /// directory in it becomes a project by a file that a program can make, and the one that it is a part of ceases to be one.
    pub(super) fn close_from_above(&mut self, paths: &mut Rules) {
        let lines = self.merged.map("filesystem.paths").iter();
        let is_own =
            |name: &Text| name.text.starts_with("${PROJECT}/") && !self.is_built_in(name) && !self.is_of_project(name);
        let lines: Vec<_> = lines.filter(|(name, _)| is_own(name)).collect();
        for (name, value) in lines {
            let dir = &self.vars.project().dir;
            let (Ok(path), Some((mode, options))) = (self.vars.path(&name.text), self.mode(value)) else { continue };
            let Ok(inner) = path.strip_prefix(dir) else { continue };
            let mode = match mode {
                Mode::Rw => continue,
                // What the user has there must not be gone at the end because of a name that is the same by chance.
                Mode::Overlay => Mode::Ro,
                Mode::Tmpfs => Mode::Masked,
                mode => mode,
            };
            if options.from.is_some() {
                continue;
            }
            for path in dir.ancestors().skip(1).map(|above| above.join(inner)) {
                let shown = |rule: &PathRule| rule.mode.shows_host() && rule.mode < mode;
                if path != *dir && within(&path, dir) && nearest(paths, &path).is_some_and(shown) {
                    let options = Options { optional: true, prefer: options.prefer, ..Options::default() };
                    let rule = PathRule::new(path, mode, options, self.origin(name));
                    paths.insert(by_parts(&rule.path), (name.at.source, rule));
                }
            }
        }
    }
}
