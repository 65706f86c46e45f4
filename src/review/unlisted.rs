//! What is writable in the home and on no list. A file of the home is taken for one that something outside runs, or takes
//! commands from, unless it is known for data: nobody knows all programs.

use super::tables::TargetKind;
use super::targets::{Target, is_harmless, spelt};
use super::view::{Shown, own_homes};
use crate::profile::Vars;
use crate::spec::Sandbox;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Directories of data, in which nothing is run and nothing names what is run, in the notation of the tables; so are the
/// user's well-known directories, such as `xdg-download`.
const DATA: &[&str] = &[
    "~/Downloads",
    "~/Documents",
    "~/Pictures",
    "~/Music",
    "~/Videos",
    "~/Public",
    "~/.fonts",
    "~/.local/share/fonts",
    "~/.local/share/sounds",
    "~/.local/share/backgrounds",
    "~/.local/share/Trash",
    "~/.local/share/recently-used.xbel",
    "~/.thumbnails",
    "~/.cache/thumbnails",
    "~/.cache/fontconfig",
    "~/.cache/mesa_shader_cache",
    "~/.cache/mesa_shader_cache_db",
    "~/.cache/nvidia",
    "~/.bash_history",
    "~/.zsh_history",
    "~/.python_history",
    "~/.psql_history",
    "~/.sqlite_history",
    "~/.node_repl_history",
    "~/.lesshst",
    "~/.wget-hsts",
    "~/.hushlogin",
    "~/.ICEauthority",
    "~/.Xauthority",
    "~/Mail",
    "~/.maildir",
];

/// Directories of the home in which each program has one of its own.
const SHARED: &[&str] = &[".config", ".local", "share", "state", ".cache", ".var", "app"];

/// What the user's files are, as far as their places tell.
pub(super) struct Unlisted<'a> {
    vars: &'a Vars,
    homes: Vec<PathBuf>,
    data: Vec<PathBuf>,
}

impl<'a> Unlisted<'a> {
    pub fn of(vars: &'a Vars) -> Unlisted<'a> {
        let places = vars.places.iter().filter(|(name, _)| !matches!(name.as_str(), "xdg-desktop" | "xdg-templates"));
        let homes = own_homes(vars);
        let places = places.map(|(_, place)| PathBuf::from(place)).filter(|place| !homes.contains(place));
        let data = DATA.iter().flat_map(|entry| spelt(entry, vars)).chain(places).collect();
        Unlisted { vars, homes, data }
    }

    /// The kind of what a rule shows writable, if it lies in the home and on no list. A directory of one program's is on a list
    /// if something in it is: the rest is data then, as in `~/.cargo`.
    pub fn kind(&self, shown: &Shown, targets: &[Target]) -> Option<TargetKind> {
        let source = &shown.source;
        let of_one = source.file_name().and_then(OsStr::to_str).is_none_or(|name| !SHARED.contains(&name));
        let of_one = of_one && !self.shared().any(|dir| dir == source);
        if of_one && targets.iter().any(|target| target.kind.is_run() && target.path.starts_with(source)) {
            return None;
        }
        if !shown.writable || is_harmless(source, true) || source.starts_with(&self.vars.cwd) {
            return None;
        }
        let is_hidden = |rest: &Path| rest.iter().any(|name| name.as_bytes().starts_with(b"."));
        if self.data.iter().any(|dir| source.strip_prefix(dir).is_ok_and(|rest| !is_hidden(rest))) {
            return None;
        }
        let rest = self.homes.iter().find_map(|home| source.strip_prefix(home).ok());
        if self.shared().any(|dir| source.starts_with(dir)) || rest.is_some_and(is_hidden) {
            return Some(TargetKind::Unlisted);
        }
        // One that is shown at another place was made for that.
        let below = rest.is_some_and(|rest| !rest.as_os_str().is_empty());
        (below && shown.path == shown.source).then_some(TargetKind::Files)
    }

    /// The directories in which programs have their files, wherever variables put them.
    fn shared(&self) -> impl Iterator<Item = &Path> {
        let names = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"];
        names.into_iter().filter_map(|name| self.vars.names.get(name).map(Path::new))
    }

    /// Whether what a rule shows belongs to the profile's own program, by its name.
    pub fn is_own(&self, shown: &Shown, sandbox: &Sandbox) -> bool {
        let program = sandbox.process.args.first().map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
        let rest = self.homes.iter().find_map(|home| shown.source.strip_prefix(home).ok());
        let name = rest.and_then(|rest| {
            rest.iter().filter_map(OsStr::to_str).find(|name| !SHARED.contains(name)).map(str::to_lowercase)
        });
        match (program.map(str::to_lowercase), name) {
            (Some(program), Some(name)) => {
                let name = name.trim_start_matches('.');
                // As `firefox-esr` is of `firefox`.
                program.strip_prefix(name).is_some_and(|end| end.is_empty() || end.starts_with('-'))
            }
            _ => false,
        }
    }
}
