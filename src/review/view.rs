//! Which of the host's files show where: the profile's paths on the root's defaults, as the planner lays them out.

use crate::profile::Vars;
use crate::spec::{Mode, Origin, Root, Sandbox};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files of the host at one path and, unless something more specific says otherwise, below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Where, inside.
    pub path: PathBuf,
    /// Which.
    pub source: PathBuf,
    /// Whether they can be written.
    pub writable: bool,
    /// Who asked.
    pub origin: Origin,
}

/// How far a rule shows something of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it, with what lies beside it.
    Within,
    /// It and nothing else.
    Exactly,
    /// A part of it.
    Part,
}

/// The whole view: what shows at each path that something is said about; none is nothing of the host's.
pub(super) struct View(BTreeMap<PathBuf, Option<Shown>>);

impl View {
    pub fn of(sandbox: &Sandbox, vars: &Vars) -> View {
        let filesystem = &sandbox.filesystem;
        let mut view = BTreeMap::new();
        let mut hidden = |path: &str| drop(view.insert(PathBuf::from(path), None));
        let host = |source: &Path| {
            Some(Shown {
                path: "/".into(),
                source: source.to_owned(),
                writable: false,
                origin: filesystem.root_origin.clone(),
            })
        };
        ["/proc", "/dev", "/tmp"].into_iter().for_each(&mut hidden);
        let root = match &filesystem.root {
            Root::Host => host(Path::new("/")),
            Root::Dir(dir) => host(dir),
            Root::Empty | Root::Bare => None,
        };
        if root.is_some() {
            ["/run", "/var/tmp"].into_iter().for_each(&mut hidden);
            // Directories of ours rather than mounts: a rule for the whole tree may show the host's instead. (It does not where
            // something at the top is hidden, for which the tree is made anew; that depends on the host.)
            if !filesystem.paths.iter().any(|rule| rule.path == Path::new("/")) {
                ["/home", "/root", "/sys"].into_iter().for_each(&mut hidden);
            }
            for home in homes(vars) {
                view.insert(home, None);
            }
        }
        view.insert("/".into(), root);
        for rule in &filesystem.paths {
            let path = real(&rule.path);
            let source = real(rule.options.from.as_deref().unwrap_or(&rule.path));
            let shown = rule.mode.shows_host().then(|| Shown {
                path: path.clone(),
                source,
                writable: rule.mode == Mode::Rw,
                origin: rule.origin.clone(),
            });
            // `hidden,prefer` in a writable directory is left out by the planner, and said there.
            let vain = rule.mode == Mode::Hidden && rule.options.prefer;
            if !vain || !nearest(&view, &path).is_some_and(|above| above.writable) {
                view.insert(path, shown);
            }
        }
        View(view)
    }

    /// The rules that show a file or directory of the host, or a part of it.
    pub fn showing<'v>(&'v self, host: &Path) -> impl Iterator<Item = (&'v Shown, Extent)> {
        self.0.values().flatten().filter_map(move |shown| {
            let extent = match host.strip_prefix(&shown.source) {
                Ok(rest) if rest.as_os_str().is_empty() => Extent::Exactly,
                Ok(rest) => {
                    // A more specific line may close it, or show it in another mode.
                    let same = nearest(&self.0, &shown.path.join(rest)).is_some_and(|found| found == shown);
                    return same.then_some((shown, Extent::Within));
                }
                Err(_) if shown.source.starts_with(host) => Extent::Part,
                Err(_) => return None,
            };
            Some((shown, extent))
        })
    }
}

fn nearest<'v>(view: &'v BTreeMap<PathBuf, Option<Shown>>, path: &Path) -> Option<&'v Shown> {
    path.ancestors().find_map(|above| view.get(above)).and_then(Option::as_ref)
}

/// The caller's home by the name that profiles use, and by its real one.
pub(super) fn own_homes(vars: &Vars) -> Vec<PathBuf> {
    homes(vars).into_iter().take(2).collect()
}

/// The caller's home twice, as above, and then other people's; not `/`, which some daemons have.
pub(super) fn homes(vars: &Vars) -> Vec<PathBuf> {
    let named = vars.names.get("HOME").map(PathBuf::from);
    named.into_iter().chain(vars.homes.iter().cloned()).filter(|home| home.parent().is_some()).collect()
}

/// /var/run has been a link to /run for so long that both names are in use.
fn real(path: &Path) -> PathBuf {
    path.strip_prefix("/var/run")
        .map_or_else(|_| path.to_owned(), |rest| Path::new("/run").join(rest))
        .components()
        .collect()
}
