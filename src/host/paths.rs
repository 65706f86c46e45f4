//! What lies at the paths that a sandbox names, links included, so that the planner can follow them without looking.

use super::DesktopFacts;
use crate::spec::{Mode, Root, Sandbox};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What a path of the host is, itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A directory.
    Dir,
    /// A file, device, socket or pipe: all are bound onto a file.
    File,
    /// A symbolic link and its text.
    Link(PathBuf),
}

/// Kinds by path. What is not in it is not there, or was not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Paths {
    kinds: BTreeMap<PathBuf, Kind>,
    /// Entries of directories of which one is to be hidden.
    listings: BTreeMap<PathBuf, Vec<(String, Kind)>>,
}

/// Links in one path, after which the kernel gives up with ELOOP.
const MAX_LINKS: usize = 40;

impl Paths {
    /// For tests: paths as given, with their parents.
    pub fn fake(entries: &[(&str, Kind)]) -> Paths {
        let mut paths = Paths::default();
        for (path, kind) in entries {
            for parent in Path::new(path).ancestors().skip(1) {
                paths.kinds.entry(parent.to_owned()).or_insert(Kind::Dir);
            }
            paths.kinds.insert(path.into(), kind.clone());
        }
        paths
    }

    /// What lies at a path, without following a link at its end.
    pub fn kind(&self, path: &Path) -> Option<&Kind> {
        self.kinds.get(path)
    }

    /// Entries of a directory, where the planner needs them.
    pub fn listing(&self, path: &Path) -> Option<&[(String, Kind)]> {
        self.listings.get(path).map(Vec::as_slice)
    }

    /// Follows the links of a path below `root`: the real path (below `root`), and each link passed on the way.
    /// The last part need not be there. None where links go in a circle.
    pub fn resolve(&self, root: &Path, path: &Path) -> Option<(PathBuf, Vec<(PathBuf, PathBuf)>)> {
        let mut links = Vec::new();
        let mut real = PathBuf::from("/");
        let mut rest: Vec<PathBuf> = parts(path);
        let mut count = 0;
        while let Some(part) = rest.pop() {
            if part == Path::new("..") {
                real.pop();
                continue;
            }
            let here = real.join(&part);
            match self.kind(&below(root, &here)) {
                Some(Kind::Link(text)) => {
                    count += 1;
                    if count > MAX_LINKS {
                        return None;
                    }
                    if text.is_absolute() {
                        real = PathBuf::from("/");
                    }
                    rest.extend(parts(text));
                    links.push((here, text.clone()));
                }
                _ => real = here,
            }
        }
        Some((real, links))
    }

    pub(super) fn gather(
        &mut self,
        sandbox: &Sandbox,
        home: &Path,
        cwd: &Path,
        accounts: &[super::Account],
        desktop: &DesktopFacts,
    ) {
        let none = PathBuf::from("/");
        let root = match &sandbox.filesystem.root {
            Root::Dir(dir) => dir.clone(),
            _ => none.clone(),
        };
        for (index, rule) in sandbox.filesystem.paths.iter().enumerate() {
            self.look(&root, &rule.path);
            if root != none {
                self.look(&none, &rule.path);
            }
            if let Some(from) = &rule.options.from {
                self.look(&none, from);
                // Mount points of what lies in it. Paths are sorted by their parts, so those follow at once.
                let inner = sandbox.filesystem.paths.get(index + 1..).unwrap_or_default().iter();
                for rest in inner.map_while(|inner| inner.path.strip_prefix(&rule.path).ok()) {
                    self.look(&none, &from.join(rest));
                }
            }
            if rule.mode == Mode::Hidden {
                self.list(&root, &rule.path);
            }
        }
        for path in [home, cwd] {
            self.look(&none, path);
        }
        let people = accounts.iter().filter(|account| account.is_person()).map(|account| account.home.as_path());
        for path in people.chain([home, Path::new("/var/tmp")]) {
            self.look(&root, path);
        }
        for path in ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"] {
            self.look(&root, Path::new(path));
        }
        for device in sandbox.devices.iter().filter(|device| device.name.starts_with('/')) {
            self.look(&none, Path::new(&device.name));
        }
        for path in desktop.all_paths() {
            self.look(&none, path);
        }
        for device in ["null", "zero", "full", "random", "urandom", "tty"] {
            self.look(&none, &Path::new("/dev").join(device));
        }
    }

    /// Records every part of a path, and of what its links lead to.
    fn look(&mut self, root: &Path, path: &Path) {
        let mut real = PathBuf::from("/");
        let mut rest = parts(path);
        let mut count = 0;
        while let Some(part) = rest.pop() {
            if part == Path::new("..") {
                real.pop();
                continue;
            }
            let here = real.join(&part);
            let host = below(root, &here);
            let known = match self.kinds.get(&host) {
                Some(kind) => kind.clone(),
                None => match kind_of(&host) {
                    Some(kind) => {
                        self.kinds.insert(host, kind.clone());
                        kind
                    }
                    None => return,
                },
            };
            match known {
                Kind::Link(text) => {
                    count += 1;
                    if count > MAX_LINKS {
                        return;
                    }
                    if text.is_absolute() {
                        real = PathBuf::from("/");
                    }
                    rest.extend(parts(&text));
                }
                _ => real = here,
            }
        }
    }

    fn list(&mut self, root: &Path, path: &Path) {
        let Some((real, _)) = self.resolve(root, path) else { return };
        let Some(parent) = real.parent() else { return };
        let host = below(root, parent);
        if !self.listings.contains_key(&host) {
            let entries = entries(&host);
            for (name, kind) in &entries {
                self.kinds.entry(host.join(name)).or_insert_with(|| kind.clone());
            }
            self.listings.insert(host, entries);
        }
    }
}

/// The host's path of a path of the view.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    if root == Path::new("/") {
        return path.to_owned();
    }
    root.join(path.strip_prefix("/").unwrap_or(path)).components().collect()
}

/// Parts of a path, the last first, without root and dots.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            _ => None,
        })
        .collect()
}

fn kind_of(path: &Path) -> Option<Kind> {
    let facts = std::fs::symlink_metadata(path).ok()?;
    Some(if facts.is_symlink() {
        Kind::Link(std::fs::read_link(path).ok()?)
    } else if facts.is_dir() {
        Kind::Dir
    } else {
        Kind::File
    })
}

fn entries(path: &Path) -> Vec<(String, Kind)> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut list: Vec<_> =
        entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, kind_of(&entry.path())?))).collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list
}

/// What lies in the root that the view starts from.
pub fn top(root: &Root) -> Vec<(String, Kind)> {
    match root {
        Root::Host => entries(Path::new("/")),
        Root::Dir(dir) => entries(dir),
        Root::Empty => Vec::new(),
    }
}
