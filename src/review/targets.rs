//! The entries of the tables with the caller's paths, and what else of the host's files the review looks for.

use super::run_outside::RUN_OUTSIDE;
use super::tables::{PARTS, TargetKind, WHOLE};
use super::view::own_homes;
use crate::profile::Vars;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file or directory of the host that the review looks for.
pub(super) struct Target {
    pub path: PathBuf,
    pub kind: TargetKind,
    /// A rule that shows only a part of it counts, too.
    pub parts: bool,
}

/// Files that hold no secrets, in directories that do, by the last components of their paths.
const PUBLIC: &[&str] = &[
    "known_hosts",
    "known_hosts.old",
    "authorized_keys",
    ".ssh/config",
    ".gnupg/gpg.conf",
    "pubring.kbx",
    "pubring.gpg",
    "trustdb.gpg",
];

/// Whether showing this file does no harm, although a directory above it is listed.
pub(super) fn is_harmless(part: &Path, writable: bool) -> bool {
    if writable {
        return ["known_hosts", "known_hosts.old"].iter().any(|name| part.ends_with(name));
    }
    part.extension().is_some_and(|ending| ending == "pub") || PUBLIC.iter().any(|name| part.ends_with(name))
}

/// All targets, with the caller's paths.
pub(super) fn all(vars: &Vars) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut known = BTreeSet::new();
    let mut add = |path: PathBuf, kind, parts| {
        if known.insert((kind, path.clone())) {
            targets.push(Target { path, kind, parts });
        }
    };
    for (table, parts) in [(WHOLE, false), (RUN_OUTSIDE, true), (PARTS, true)] {
        for (kind, paths) in table {
            for path in paths.iter().flat_map(|path| spelt(path, vars)) {
                add(path, *kind, parts);
            }
        }
    }
    for (name, place) in &vars.places {
        // What lies on a desktop may be a launcher, and new files are made after templates.
        if matches!(name.as_str(), "xdg-desktop" | "xdg-templates") {
            add(place.into(), TargetKind::Tool, true);
        }
        add(place.into(), TargetKind::Private, true);
    }
    for home in &vars.other_homes {
        add(home.clone(), TargetKind::Private, false);
    }
    if vars.cwd.is_absolute() {
        for name in crate::profile::worktree() {
            add(vars.cwd.join(name), TargetKind::Worktree, true);
        }
        add(vars.cwd.clone(), TargetKind::Project, true);
    }
    targets
}

/// The paths that an entry of the tables stands for, in the notation of this module.
pub(super) fn spelt(entry: &str, vars: &Vars) -> Vec<PathBuf> {
    let uid = vars.names.get("UID").map_or("", String::as_str);
    let entry = entry.replace("%u", uid);
    if let Some(rest) = entry.strip_prefix("%t") {
        let named = vars.names.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        let usual = Path::new("/run/user").join(uid);
        return named.into_iter().chain([usual]).map(|dir| below(&dir, rest)).collect();
    }
    let Some(rest) = entry.strip_prefix('~') else { return vec![entry.into()] };
    let mut paths: Vec<PathBuf> = own_homes(vars).iter().map(|home| below(home, rest)).collect();
    let moved = [("/.config", "XDG_CONFIG_HOME"), ("/.local/share", "XDG_DATA_HOME"), ("/.cache", "XDG_CACHE_HOME")];
    for (usual, name) in moved {
        let inside = rest.strip_prefix(usual).filter(|inside| inside.is_empty() || inside.starts_with('/'));
        if let (Some(inside), Some(dir)) = (inside, vars.names.get(name)) {
            paths.push(below(Path::new(dir), inside));
        }
    }
    paths
}

fn below(dir: &Path, rest: &str) -> PathBuf {
    dir.join(rest.trim_start_matches('/')).components().collect()
}
