//! Links in the caller's homes at the names that shells, desktops and tools start from, or read their configuration from. Managers of
//! dotfiles (stow and its like) put them there: they lead into a repository that may be the project of a sandbox.

use super::walk::Ways;
use crate::profile::Vars;
use crate::sys;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Directories of a home that hold such files, besides the home itself, sorted. A directory in one of them counts only if that is
/// here, too.
const DIRECTORIES: &[&str] = &[
    ".bashrc.d",
    ".cargo",
    ".cargo/bin",
    ".claude",
    ".claude/agents",
    ".claude/commands",
    ".claude/hooks",
    ".claude/skills",
    ".codex",
    ".config",
    ".config/alacritty",
    ".config/autostart",
    ".config/autostart-scripts",
    ".config/awesome",
    ".config/bash",
    ".config/bspwm",
    ".config/containers",
    ".config/direnv",
    ".config/direnv/lib",
    ".config/elvish",
    ".config/emacs",
    ".config/environment.d",
    ".config/fish",
    ".config/fish/completions",
    ".config/fish/conf.d",
    ".config/fish/functions",
    ".config/foot",
    ".config/ghostty",
    ".config/git",
    ".config/git/hooks",
    ".config/helix",
    ".config/hg",
    ".config/hypr",
    ".config/i3",
    ".config/jj",
    ".config/kitty",
    ".config/labwc",
    ".config/lf",
    ".config/mise",
    ".config/mise/conf.d",
    ".config/mpv",
    ".config/mpv/scripts",
    ".config/neomutt",
    ".config/nushell",
    ".config/nvim",
    ".config/nvim/after",
    ".config/nvim/lua",
    ".config/nvim/plugin",
    ".config/openbox",
    ".config/opencode",
    ".config/pip",
    ".config/plasma-workspace",
    ".config/plasma-workspace/env",
    ".config/powershell",
    ".config/qtile",
    ".config/ranger",
    ".config/sbx",
    ".config/sbx/profiles",
    ".config/sway",
    ".config/sway/config.d",
    ".config/sxhkd",
    ".config/systemd",
    ".config/systemd/user",
    ".config/tmux",
    ".config/user-tmpfiles.d",
    ".config/waybar",
    ".config/wezterm",
    ".config/yazi",
    ".config/zed",
    ".config/zellij",
    ".config/zsh",
    ".cursor",
    ".docker",
    ".emacs.d",
    ".emacs.d/lisp",
    ".gemini",
    ".git-templates",
    ".git-templates/hooks",
    ".gnupg",
    ".gradle",
    ".gradle/init.d",
    ".ipython",
    ".ipython/profile_default",
    ".ipython/profile_default/startup",
    ".jupyter",
    ".local",
    ".local/bin",
    ".local/share",
    ".local/share/applications",
    ".local/share/bash-completion",
    ".local/share/bash-completion/completions",
    ".local/share/dbus-1",
    ".local/share/dbus-1/services",
    ".local/share/nautilus",
    ".local/share/nautilus/scripts",
    ".local/share/systemd",
    ".local/share/systemd/user",
    ".local/share/thumbnailers",
    ".ssh",
    ".tmux",
    ".vim",
    ".vim/after",
    ".vim/autoload",
    ".vim/ftplugin",
    ".vim/plugin",
    ".zsh",
    "bin",
];

/// The directory of configuration, below a home.
const CONFIG: &str = ".config";

/// Those of them that hold many other things as well.
const CONTAINERS: [&str; 3] = [".local", ".local/share", ".cargo"];

/// Hidden directories of a home that programs fill with what they can make again.
const CACHES: [&str; 1] = [".cache"];

/// How many directories are read at most once a link leads into what is written, and how deep they lie in `.config`.
const MOST_DIRECTORIES: usize = 2000;
const DEEPEST: usize = 4;

/// A link in a home, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeLink {
    /// The path of the link itself, without links on the way to it.
    pub link: PathBuf,
    /// Further links on the way, by their own paths, and what all of them lead to, whether it is there or not.
    pub steps: Vec<PathBuf>,
}

impl HomeLink {
    /// The path that the link leads to in the end, whether there is something or not.
    pub fn target(&self) -> &Path {
        self.steps.last().unwrap_or(&self.link)
    }
}

/// The links in the caller's homes that lead into one of some directories, by which the view shows them, or to what holds one;
/// those directories by their real paths, each with the links on the way to it; and whether there may be more such links.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HomeLinks {
    /// The links, in the order in which they were found.
    pub links: Vec<HomeLink>,
    /// The real path of each directory, and the links on the way to it; empty if there are no links in the homes.
    pub dirs: Vec<(PathBuf, Vec<PathBuf>)>,
    /// Not all directories of the homes were read.
    pub is_partial: bool,
}

/// Whether a path without links is, or lies in, a directory of a home from which programs start, or read their configuration.
pub fn is_startup(vars: &Vars, path: &Path) -> bool {
    let known = |inner: &Path| is_listed(inner.as_os_str()) && !CONTAINERS.iter().any(|dir| inner == Path::new(dir));
    let in_home = |home: &PathBuf| path.strip_prefix(home).is_ok_and(|inner| inner.ancestors().any(known));
    vars.homes.iter().any(in_home) || config_home(vars).is_some_and(|dir| path.starts_with(dir))
}

/// Whether a path below a home is in the list.
fn is_listed(inner: &OsStr) -> bool {
    DIRECTORIES.binary_search_by(|dir| dir.as_bytes().cmp(inner.as_bytes())).is_ok()
}

/// The directory of configuration, if it is not the usual one of a home.
fn config_home(vars: &Vars) -> Option<&Path> {
    let dir = Path::new(vars.names.get("XDG_CONFIG_HOME")?);
    let usual = |home: &PathBuf| dir.strip_prefix(home).is_ok_and(|inner| inner == Path::new(CONFIG));
    (!vars.homes.iter().any(usual)).then_some(dir)
}

/// Looks for links that lead into these directories. Where there is none in the homes, they are not looked up.
pub fn home_links(vars: &Vars, dirs: &[PathBuf], ways: &mut Ways) -> HomeLinks {
    let mut search = Search { dirs, ways, found: HomeLinks::default(), read: BTreeMap::new() };
    let homes = vars.homes.iter().map(|home| (home.as_path(), ""));
    let roots: Vec<_> = homes.chain(config_home(vars).map(|dir| (dir, CONFIG))).collect();
    roots.iter().for_each(|(root, name)| search.tree(root, name));
    if !search.found.links.is_empty() {
        roots.iter().for_each(|(root, name)| search.deeper(root, name));
        search.targets();
    }
    search.found
}

struct Search<'a> {
    dirs: &'a [PathBuf],
    ways: &'a mut Ways,
    found: HomeLinks,
    /// The directories that were read, each with the names of directories and links in it, and which are links.
    read: BTreeMap<PathBuf, BTreeMap<OsString, bool>>,
}

impl Search<'_> {
    /// Looks at the links in a directory, which has this path below a home, and in those of the list that lie in it.
    fn tree(&mut self, dir: &Path, inner: &str) {
        self.directory(dir, inner.is_empty());
        let names = self.read.get(dir).into_iter().flatten().filter_map(|(name, _)| name.to_str());
        let join = |name: &str| if inner.is_empty() { name.to_owned() } else { format!("{inner}/{name}") };
        let listed = names.map(|name| (dir.join(name), join(name))).filter(|(_, inner)| is_listed(OsStr::new(inner)));
        for (dir, inner) in listed.collect::<Vec<_>>() {
            self.tree(&dir, &inner);
        }
    }

    /// Looks at the links in a directory. Of a home, those that are hidden count.
    fn directory(&mut self, dir: &Path, is_home: bool) {
        if self.read.contains_key(dir) {
            return;
        }
        let mut names = BTreeMap::new();
        let mut links = Vec::new();
        let entries = sys::read_dir(dir);
        if let Err(error) = &entries {
            let own = |dir: &Path| dir.metadata().is_ok_and(|found| found.uid() == sys::ids().0);
            self.found.is_partial |= match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP) => false,
                Some(libc::EACCES) => own(dir),
                _ => true,
            };
        }
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name();
            if is_home && !counts_in_home(&name) {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                links.push(dir.join(&name));
            }
            if kind.is_symlink() || kind.is_dir() {
                names.insert(name, kind.is_symlink());
            }
        }
        self.read.insert(dir.to_owned(), names);
        links.sort();
        links.iter().for_each(|link| self.link(link));
    }

    /// Adds a link if it leads into one of the directories, or to what holds one.
    fn link(&mut self, path: &Path) {
        if self.found.dirs.is_empty() {
            let ways = &mut *self.ways;
            self.found.dirs =
                self.dirs.iter().map(|dir| ways.follow(dir).unwrap_or_else(|| (dir.clone(), Vec::new()))).collect();
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        let Some((parent, _)) = self.ways.follow(parent) else { return };
        let link = parent.join(name);
        let Some((real, links)) = self.ways.follow(&link) else { return };
        let steps: Vec<_> = links.into_iter().skip(1).chain([real.clone()]).collect();
        let dirs = &self.found.dirs;
        let leads_in = steps.iter().any(|step| dirs.iter().any(|(dir, _)| step.starts_with(dir)));
        let holds_one = dirs.iter().any(|(dir, _)| dir.starts_with(&real));
        let known = self.found.links.iter().any(|found| found.link == link);
        if (leads_in || holds_one) && !known {
            self.found.links.push(HomeLink { link, steps });
        }
    }

    /// Looks further where a repository of dotfiles was found: in the directories of `.config`, and in each hidden one of the home.
    fn deeper(&mut self, root: &Path, name: &str) {
        let share = root.join(".local/share");
        let config = if name.is_empty() { root.join(CONFIG) } else { root.to_owned() };
        let mut next: Vec<(PathBuf, usize)> = Vec::new();
        for (dir, depth) in [(root, DEEPEST), (&share, DEEPEST), (&config, 1)] {
            next.extend(self.directories(dir).map(|dir| (dir, depth)));
        }
        self.below(next);
    }

    /// Looks at the links in directories, each of which lies at a depth, and in those below.
    fn below(&mut self, mut next: Vec<(PathBuf, usize)>) {
        while let Some((dir, depth)) = next.pop() {
            if self.read.len() >= MOST_DIRECTORIES {
                self.found.is_partial = true;
                return;
            }
            self.directory(&dir, false);
            if depth < DEEPEST {
                next.extend(self.directories(&dir).map(|dir| (dir, depth + 1)));
            }
        }
    }

    /// Looks for further links in the directories that those which were found lead to.
    fn targets(&mut self) {
        let mut at = 0;
        while let Some(link) = self.found.links.get(at) {
            at += 1;
            let target = link.target().to_owned();
            // What holds a whole directory that is shown is no directory of such files alone.
            if !self.found.dirs.iter().any(|(dir, _)| dir.starts_with(&target)) {
                self.below(vec![(target, 0)]);
            }
        }
    }

    /// The directories in one that was read.
    fn directories(&self, dir: &Path) -> impl Iterator<Item = PathBuf> {
        let names = self.read.get(dir).into_iter().flatten().filter(|(_, is_link)| !**is_link);
        names.map(|(name, _)| dir.join(name))
    }
}

/// Whether something of this name in a home is one that programs start from: what is hidden, but for caches, and `bin`.
fn counts_in_home(name: &OsStr) -> bool {
    let hidden = name.as_bytes().starts_with(b".") && !CACHES.iter().any(|cache| name == *cache);
    hidden || name == "bin"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_sorted_and_each_lies_in_one_that_is_read() {
        assert!(DIRECTORIES.is_sorted());
        for dir in DIRECTORIES {
            let above = Path::new(dir).parent().unwrap();
            assert!(above == Path::new("") || is_listed(above.as_os_str()), "{dir}");
        }
    }

    #[test]
    fn without_links_in_the_home_nothing_else_is_looked_up() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".config/fish")).unwrap();
        let vars = Vars { homes: vec![home.path().to_owned()], ..Vars::default() };
        assert_eq!(home_links(&vars, &[home.path().join("work")], &mut Ways::default()), HomeLinks::default());
        std::os::unix::fs::symlink("../../work/x", home.path().join(".config/fish/x")).unwrap();
        let found = home_links(&vars, &[home.path().join("work")], &mut Ways::default());
        assert_eq!(found.links.len(), 1);
        assert_eq!(found.links[0].target(), home.path().join("work/x"));
    }
}
