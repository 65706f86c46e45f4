//! Which files of the host the view shows at which path: the profile's paths on top of the root's defaults, as the
//! planner lays them out.

use crate::profile::Vars;
use crate::spec::{Mode, Origin, Root, SYSTEM, Sandbox};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file or directory of the host shown at a path, and below it unless a more specific rule says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Path inside.
    pub path: PathBuf,
    /// Path on the host.
    pub source: PathBuf,
    /// Whether the program can write there.
    pub writable: bool,
    /// The line that shows it.
    pub origin: Origin,
}

/// How much of a file or directory of the host a rule shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownExtent {
    /// The rule shows a directory above it, so all of it and its siblings.
    Within,
    /// The rule shows exactly this file or directory.
    Exactly,
    /// The rule shows a file or directory below it.
    Part,
}

/// The whole view: for each path that a rule or a default names, what it shows of the host; none if that is nothing.
pub(super) struct View(BTreeMap<PathBuf, Option<Shown>>);

impl View {
    pub fn of(sandbox: &Sandbox, vars: &Vars) -> View {
        let filesystem = &sandbox.filesystem;
        let mut view = BTreeMap::new();
        let mut hidden = |path: &str| drop(view.insert(PathBuf::from(path), None));
        ["/proc", "/dev", "/tmp"].into_iter().for_each(&mut hidden);
        if !matches!(filesystem.root, Root::Empty | Root::Bare) {
            ["/run", "/var/tmp"].into_iter().for_each(&mut hidden);
            // The planner makes these directories itself, so a rule for `/` may show the host's instead. (It does not
            // if a path at the top is hidden, for which the planner builds a new root; that depends on the host.)
            if !filesystem.paths.iter().any(|rule| rule.is_root()) {
                ["/home", "/root", "/sys"].into_iter().for_each(&mut hidden);
            }
            for home in homes(vars) {
                view.insert(home, None);
            }
        }
        let shown = |path: PathBuf, source: PathBuf| {
            let origin = filesystem.root_origin.clone();
            (path.clone(), Some(Shown { path, source, writable: false, origin }))
        };
        match &filesystem.root {
            Root::Host => {
                view.extend(SYSTEM.iter().map(|name| Path::new("/").join(name)).map(|top| shown(top.clone(), top)))
            }
            Root::Dir(dir) => view.extend([shown("/".into(), dir.clone())]),
            Root::Stack(dirs) => view.extend(dirs.first().map(|dir| shown("/".into(), dir.clone()))),
            Root::Empty | Root::Bare => {}
        }
        for rule in &filesystem.paths {
            let path = real(&rule.path);
            let source = real(rule.source());
            let shown = rule.mode.shows_host().then(|| Shown {
                path: path.clone(),
                source,
                writable: rule.mode == Mode::Rw,
                origin: rule.origin.clone(),
            });
            if path == Path::new("/") {
                // It shows the whole tree in one mode.
                view.retain(|_, old| old.as_ref().is_none_or(|old| old.path.parent() != Some(Path::new("/"))));
            }
            // The planner leaves `hidden,prefer` out in a writable directory, with a note.
            let vain = rule.mode == Mode::Hidden && rule.options.prefer;
            if !vain || !nearest(&view, &path).is_some_and(|above| above.writable) {
                view.insert(path, shown);
            }
        }
        View(view)
    }

    /// All rules that show something of the host.
    pub fn all(&self) -> impl Iterator<Item = &Shown> {
        self.0.values().flatten()
    }

    /// The rules that show the file or directory `host` of the host, or a part of it, and how much of it each shows.
    pub fn showing<'v>(&'v self, host: &Path) -> impl Iterator<Item = (&'v Shown, ShownExtent)> {
        self.0.values().flatten().filter_map(move |shown| {
            let extent = match host.strip_prefix(&shown.source) {
                Ok(rest) if rest.as_os_str().is_empty() => ShownExtent::Exactly,
                Ok(rest) => {
                    // A more specific rule may hide it, or show it in another mode.
                    let same = nearest(&self.0, &shown.path.join(rest)).is_some_and(|found| found == shown);
                    return same.then_some((shown, ShownExtent::Within));
                }
                Err(_) if shown.source.starts_with(host) => ShownExtent::Part,
                Err(_) => return None,
            };
            Some((shown, extent))
        })
    }
}

fn nearest<'v>(view: &'v BTreeMap<PathBuf, Option<Shown>>, path: &Path) -> Option<&'v Shown> {
    path.ancestors().find_map(|above| view.get(above)).and_then(Option::as_ref)
}

/// The caller's homes: as `HOME` names it, by its real path, and those of the caller's accounts; without `/`, which is
/// the home of some daemons.
pub(super) fn own_homes(vars: &Vars) -> Vec<PathBuf> {
    let named = vars.names.get("HOME").map(PathBuf::from);
    named.into_iter().chain(vars.homes.iter().cloned()).filter(|home| home.parent().is_some()).collect()
}

/// The caller's homes, as in [`own_homes`], then other people's.
pub(super) fn homes(vars: &Vars) -> Vec<PathBuf> {
    own_homes(vars).into_iter().chain(vars.other_homes.iter().cloned()).collect()
}

/// The path with `/var/run` replaced by `/run`, to which it is a link: both names are in use.
fn real(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run")
        .map_or_else(|_| path.to_owned(), |rest| Path::new("/run").join(rest))
        .components()
        .collect()
}
