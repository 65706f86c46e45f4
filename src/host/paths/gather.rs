//! Which paths of the host are looked up for a sandbox: those that its rules, its root, the program's arguments, devices and the services
//! of the desktop name.

use super::entries::links_in;
use super::{DEVICES, Entry, Homes, Kind, MACHINE_IDS, NamedFile, Paths, RUN_LINKS, below, name_in};
use crate::host::mountinfo::MountInfo;
use crate::host::names::Names;
use crate::host::{DesktopFacts, private, procfs};
use crate::spec::{Mode, Namespace, PathRule, Root, SYSTEM, Sandbox, lies_in_system, within};
use crate::sys;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Top-level directories that hold the programs of NixOS and of Guix.
const STORES: [&str; 2] = ["nix", "gnu"];

/// How many arguments of the program are looked up.
const MAX_ARGUMENTS: usize = 1000;

impl Paths {
    pub(in crate::host) fn gather(
        &mut self,
        sandbox: &Sandbox,
        homes: &Homes<'_>,
        cwd: &Path,
        desktop: &DesktopFacts,
        mounts: &MountInfo,
    ) {
        let none = PathBuf::from("/");
        // Each rule has some parent directories of its own.
        self.kinds.reserve(64 + 2 * sandbox.filesystem.paths.len());
        self.kinds.insert("/".into(), Kind::Dir);
        let root = match sandbox.filesystem.root.dirs() {
            [first, rest @ ..] => {
                self.lower = (first.clone(), rest.to_vec());
                first.clone()
            }
            [] => none.clone(),
        };
        if root != none {
            self.look(&none, &root);
        }
        if !matches!(sandbox.filesystem.root, Root::Empty | Root::Bare) {
            self.list_directory(&root);
            self.top = self.listing(&root).unwrap_or_default().to_vec();
            self.list_lower();
        }
        self.list_ahead(&sandbox.filesystem.paths, cwd);
        self.gather_rules(&sandbox.filesystem.paths, &root, homes);
        // Most are the same, and are known.
        if let Some(others) = &sandbox.filesystem.without_project {
            let known: BTreeSet<_> = sandbox.filesystem.paths.iter().map(looked_at).collect();
            let others = others.iter().filter(|rule| !known.contains(&looked_at(rule)));
            self.gather_rules(&others.cloned().collect::<Vec<_>>(), &root, homes);
        }
        for path in homes.own.iter().copied().chain([cwd]) {
            self.look(&none, path);
        }
        if sandbox.filesystem.root != Root::Empty {
            self.gather_root(&root, sandbox.filesystem.root != Root::Host, homes, mounts);
        }
        if sandbox.filesystem.root != Root::Bare {
            let program = sandbox.filesystem.arguments.is_some();
            self.gather_arguments(&sandbox.process.args, program, cwd, homes);
        }
        for device in sandbox.devices.iter().filter(|device| device.name.starts_with('/')) {
            self.look(&none, Path::new(&device.name));
            self.judge_links(Path::new(&device.name), homes);
        }
        for path in desktop.all_paths() {
            self.look(&none, path);
            self.judge_links(path, homes);
        }
        for device in DEVICES {
            self.look(&none, &Path::new("/dev").join(device));
        }
        let shows_proc = |rule: &PathRule| {
            let shows = |real: &Path| real.as_os_str() == "/" || within(real, Path::new("/proc"));
            rule.mode.shows_host() && self.is_really(rule.source(), shows)
        };
        if sandbox.namespaces.share.contains_key(&Namespace::Pid) || sandbox.filesystem.paths.iter().any(shows_proc) {
            let root = sys::ids().0 == 0;
            procfs::masked(root).chain(procfs::read_only(root)).for_each(|path| drop(self.look(&none, &path)));
        }
        let shows_sys = |rule: &PathRule| {
            let sys = Path::new("/sys");
            rule.mode.shows_host() && self.is_really(rule.source(), |real| within(sys, real) || within(real, sys))
        };
        if sys::ids().0 == 0 && sandbox.filesystem.paths.iter().any(shows_sys) {
            procfs::SYS_MASKED_FOR_ROOT.iter().for_each(|path| drop(self.look(&none, Path::new(path))));
        }
        if sandbox.namespaces.share.contains_key(&Namespace::Ipc) {
            self.look(&none, Path::new("/dev/mqueue"));
        }
    }

    /// Reads the current directory at once, if so many rules are for names in it that looking each one up takes more calls,
    /// and it has not too many entries.
    fn list_ahead(&mut self, rules: &[PathRule], cwd: &Path) {
        let here = |rule: &&PathRule| name_in(rule.path.as_os_str(), cwd).is_some();
        if rules.iter().filter(here).count() < 12 {
            return;
        }
        self.listed = Names::of(cwd).map(|names| (cwd.to_owned(), names));
    }

    /// Looks at what rules name, `root` being the directory of the host that the view's paths are looked up in.
    fn gather_rules(&mut self, rules: &[PathRule], root: &Path, homes: &Homes<'_>) {
        let none = Path::new("/");
        let (uid, _) = sys::ids();
        for (index, rule) in rules.iter().enumerate() {
            let seen = self.look(root, &rule.path);
            if root != none {
                self.look(none, &rule.path);
            }
            if let Some(from) = &rule.options.from {
                self.look(none, from);
                // Mount points for the paths below it. Paths are sorted by components, so those follow next.
                let inner = rules.get(index + 1..).unwrap_or_default().iter();
                let inner = inner.take_while(|inner| within(&inner.path, &rule.path));
                for rest in inner.map_while(|inner| inner.path.strip_prefix(&rule.path).ok()) {
                    self.look(none, &from.join(rest));
                }
            }
            if rule.mode.shows_host() {
                self.judge_links(rule.source(), homes);
            }
            if rule.mode == Mode::Hidden {
                self.list(root, &rule.path);
            }
            if let Some((host, permissions)) = seen
                && matches!(rule.mode, Mode::Masked | Mode::Deny)
                && rule.options.optional
            {
                self.note_closed(host, permissions, uid);
            }
        }
    }

    /// Records which arguments of the program name files: words that are no flags, from where the caller is. `program` is
    /// whether the program's own name is looked at, if it is a path.
    fn gather_arguments(&mut self, args: &[OsString], program: bool, cwd: &Path, homes: &Homes<'_>) {
        for (nth, arg) in args.iter().enumerate().take(MAX_ARGUMENTS) {
            if let Some(fd) = named_descriptor(arg.as_bytes())
                && crate::sys::UnownedFd::new(fd).flags().is_ok()
            {
                self.descriptors.push(fd);
                continue;
            }
            let fits = match nth {
                0 => program && arg.as_bytes().contains(&b'/'),
                _ => !arg.is_empty() && !arg.as_bytes().starts_with(b"-"),
            };
            if !fits {
                continue;
            }
            let path = cwd.join(arg);
            let Some((real, _)) = self.look(Path::new("/"), &path) else { continue };
            let regular = match self.kinds.get(&real) {
                Some(Kind::File) => Path::new(&real).symlink_metadata().is_ok_and(|found| found.is_file()),
                _ => false,
            };
            self.judge_links(&path, homes);
            self.arguments.push(NamedFile { path, regular, program: nth == 0 });
        }
    }

    /// Records the paths that the defaults of a root replace. `whole` is whether the view has the whole tree, rather
    /// than the system alone.
    fn gather_root(&mut self, root: &Path, whole: bool, homes: &Homes<'_>, mounts: &MountInfo) {
        // A link at the top may lead a part of the system to elsewhere, or private directories into the system.
        let leads_off = |(name, kind): &&Entry| {
            let Kind::Link(text) = kind else { return false };
            let inside = lies_in_system(&Path::new("/").join(text));
            whole || inside != SYSTEM.iter().any(|known| name == known)
        };
        let links: Vec<_> = self.top.iter().filter(leads_off).map(|(name, _)| Path::new("/").join(name)).collect();
        links.iter().for_each(|link| drop(self.look(root, link)));
        if self.top.iter().any(|(name, _)| STORES.iter().any(|known| name == known)) {
            for name in RUN_LINKS {
                self.look(root, &Path::new("/run").join(name));
            }
        }
        let (elsewhere, listed) = self.homes_elsewhere(root, whole, homes);
        self.homes.extend(listed);
        for home in elsewhere {
            self.look(root, &home);
        }
        for path in homes.own.iter().copied().chain([Path::new("/var/tmp")]) {
            self.look(root, path);
        }
        if !whole && root == Path::new("/") {
            let real = |dir: &str| self.resolve(root, Path::new(dir)).map(|(real, _)| real);
            self.private =
                private::private(&private::OPEN.iter().copied().filter_map(real).collect::<Vec<_>>(), mounts);
            for path in self.private.clone() {
                self.look(root, &path);
            }
        }
        for path in
            ["/etc/passwd", "/etc/group", "/run/user", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
                .into_iter()
                .chain(MACHINE_IDS)
        {
            self.look(root, Path::new(path));
        }
    }

    /// Homes of other persons that the view would show if nothing were mounted over them. Those in /home and /root are
    /// not among them, nor are those outside of the system: looking them up might involve a file server or an
    /// automounter. If the caller's own home is in /home, which is looked at anyway, the names in there say which homes
    /// are links, and where to. Gives the directories whose names were read, too.
    fn homes_elsewhere(&self, root: &Path, whole: bool, homes: &Homes<'_>) -> (Vec<PathBuf>, Vec<PathBuf>) {
        // Where /home is a link, all of the directory that it leads to is covered.
        let hidden = ["/home", "/root"].map(Path::new);
        let real = hidden.map(|dir| self.resolve(root, dir).map_or_else(|| dir.to_owned(), |(real, _)| real));
        let dirs = hidden.iter().copied().chain(real.iter().map(PathBuf::as_path));
        let dirs: Vec<_> = dirs.map(|dir| (dir, homes.own.iter().any(|own| own.starts_with(dir)))).collect();
        let shown = |path: &Path| whole || lies_in_system(path);
        // For each of the directories, once it was read.
        let mut links: Vec<Option<Option<Vec<Entry>>>> = vec![None; dirs.len()];
        let mut elsewhere = Vec::new();
        for home in homes.others.iter().copied() {
            let Some(at) = dirs.iter().position(|(dir, _)| within(home, dir)) else {
                elsewhere.extend(shown(home).then(|| home.to_owned()));
                continue;
            };
            let (dir, true) = dirs[at] else { continue };
            let Some(name) = name_below(home, dir) else { continue };
            let names = links[at].get_or_insert_with(|| links_in(&below(root, dir)).ok());
            let is_shown = match names {
                Some(names) => match names.iter().find(|(link, _)| name == link) {
                    Some((_, Kind::Link(text))) => shown(&dir.join(text)),
                    _ => false,
                },
                // The names there cannot be read: only a look at the home itself tells.
                None => true,
            };
            if is_shown {
                elsewhere.push(home.to_owned());
            }
        }
        let read = dirs.iter().zip(links).filter(|(_, links)| links.is_some());
        (elsewhere, read.map(|((dir, _), _)| below(root, dir)).collect())
    }
}

/// The first part of a path below a directory that it lies in; none if it is the directory.
fn name_below<'p>(path: &'p Path, dir: &Path) -> Option<&'p OsStr> {
    let inside = path.as_os_str().as_bytes().strip_prefix(dir.as_os_str().as_bytes())?;
    let name = inside.strip_prefix(b"/").unwrap_or(inside).split(|byte| *byte == b'/').next()?;
    (!name.is_empty()).then(|| OsStr::from_bytes(name))
}

/// The number of the descriptor, beyond the standard streams, that an argument names: `/dev/fd/63`, `--file=/dev/fd/63`.
fn named_descriptor(arg: &[u8]) -> Option<i32> {
    let digits = arg.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, number) = arg.split_at(arg.len() - digits);
    let named = name.ends_with(b"/dev/fd/") || name.ends_with(b"/proc/self/fd/");
    named.then(|| std::str::from_utf8(number).ok()?.parse().ok()).flatten().filter(|fd| *fd > 2)
}

/// What decides where a rule's files are looked for.
fn looked_at(rule: &PathRule) -> (&Path, Mode, &Path) {
    (&rule.path, rule.mode, rule.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Options, Origin};

    #[test]
    fn nobody_elses_home_is_looked_up_unless_the_view_would_show_it() {
        let tree = tempfile::tempdir().unwrap();
        let at = |path: &str| tree.path().join(path);
        for dir in ["home/plain", "home/me", "var/lib/linked", "data/linked", "data/home", "opt/app"] {
            std::fs::create_dir_all(at(dir)).unwrap();
        }
        std::os::unix::fs::symlink("/var/lib/linked", at("home/inside")).unwrap();
        std::os::unix::fs::symlink("../data/linked", at("home/outside")).unwrap();
        let others = ["/home/plain", "/home/inside", "/home/outside", "/home/not-there", "/data/home", "/opt/app"];
        let looked_up = |home: &str| {
            let mut paths = Paths::default();
            paths.gather_root(
                tree.path(),
                false,
                &Homes { own: &[Path::new(home)], others: &others.map(Path::new), accounts: &[] },
                &MountInfo::default(),
            );
            let known = |path: &&str| paths.kind(&at(path)).is_some();
            let all = ["home/plain", "home/outside", "var/lib/linked", "data", "data/linked", "data/home", "opt/app"];
            all.into_iter().filter(known).collect::<Vec<_>>()
        };
        assert_eq!(looked_up("/home/me"), ["var/lib/linked", "opt/app"]);
        assert_eq!(looked_up("/var/lib/service"), ["opt/app"]);
    }

    #[test]
    fn what_a_path_shows_without_a_projects_file_is_looked_up_if_that_is_something_else() {
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        let rule = |from: Option<PathBuf>| {
            let options = Options { from, ..Options::default() };
            PathRule::new(at("inside"), Mode::Ro, options, Origin::default())
        };
        std::fs::create_dir(at("elsewhere")).unwrap();
        let mut sandbox = Sandbox::default();
        sandbox.filesystem.root = Root::Empty;
        sandbox.filesystem.paths = vec![rule(None)];
        sandbox.filesystem.without_project = Some(vec![rule(Some(at("elsewhere")))]);
        let mut paths = Paths::default();
        let homes = Homes { own: &[], others: &[], accounts: &[] };
        paths.gather(&sandbox, &homes, Path::new("/"), &DesktopFacts::default(), &MountInfo::default());
        assert_eq!(paths.kind(&at("elsewhere")), Some(&Kind::Dir));
    }
}
