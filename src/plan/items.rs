//! What lies where in the view, before mechanisms are chosen: the root's defaults, the services' parts, the profile's paths.

use super::Closed;
use super::ids::IdPlan;
use super::note::{NotInMode, Note};
use super::project::{self, InForce, Others};
use super::tree::{Tree, within};
use crate::error::{Error, Result};
use crate::host::{Facts, Kind};
use crate::spec::{Mode, Namespace, Network, Options, Origin, PathRule, Root, Sandbox};
use std::path::{Path, PathBuf};

/// What one path is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The host's files.
    Bind { source: PathBuf, ro: bool, device: bool },
    /// A new filesystem in memory.
    Tmpfs { mode: u32, size: Option<u64> },
    /// A directory in memory of ours, that is not a mount of its own.
    Dir { mode: u32 },
    /// A link.
    Link(PathBuf),
    /// A file with this content.
    File { mode: u32, data: Vec<u8> },
    /// Empty.
    Masked,
    /// Not there.
    Hidden,
    /// Closed.
    Deny,
    /// procfs.
    Proc,
    /// The sandbox's own cgroup.
    Cgroup { ro: bool },
    /// Devices.
    Dev,
}

impl What {
    /// The mode of a path that it comes to, by which one is stricter than another. What the view makes itself is memory.
    pub fn mode(&self) -> Mode {
        match self {
            What::Bind { ro: false, .. } => Mode::Rw,
            What::Bind { ro: true, .. } => Mode::Ro,
            What::Masked => Mode::Masked,
            What::Hidden => Mode::Hidden,
            What::Deny => Mode::Deny,
            What::Tmpfs { .. }
            | What::Dir { .. }
            | What::Link(_)
            | What::File { .. }
            | What::Proc
            | What::Cgroup { .. }
            | What::Dev => Mode::Tmpfs,
        }
    }
}

/// One path with what it is to be, how, and who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub what: What,
    pub options: Options,
    pub origin: Origin,
    /// The profile names it, rather than a default of ours.
    pub asked: bool,
}

impl Item {
    fn in_force(&self) -> InForce<'_> {
        let size = match self.what {
            What::Tmpfs { size, .. } => size,
            _ => None,
        };
        InForce { mode: self.what.mode(), options: &self.options, size }
    }
}

/// Items by path: a parent comes before what lies in it.
pub(super) type Items = Tree<Item>;

/// An item of ours.
pub(super) fn own(what: What) -> Item {
    Item { what, options: Options::default(), origin: Origin::default(), asked: false }
}

/// The directory of the host that the view's paths are looked up in.
pub(super) fn base(root: &Root) -> &Path {
    match root {
        Root::Dir(dir) => dir,
        _ => Path::new("/"),
    }
}

pub(super) fn collect(
    sandbox: &Sandbox,
    facts: &Facts,
    ids: &IdPlan,
    services: Vec<(PathBuf, Item)>,
    notes: &mut Vec<Note>,
    closed: &mut Vec<Closed>,
) -> Result<Items> {
    let mut items = Items::new();
    root(&mut items, sandbox, facts, ids)?;
    let limits = &sandbox.limits;
    if let Some(origin) = limits.delegate.as_ref().or(limits.cgroupfs.as_ref()) {
        let item = Item { origin: origin.clone(), ..own(What::Cgroup { ro: limits.delegate.is_none() }) };
        items.insert("/sys/fs/cgroup", item);
    }
    let root = base(&sandbox.filesystem.root);
    for (path, item) in services {
        // As with the profile's paths: not through a link, which would lead elsewhere while the view is made.
        let Some((real, links)) = facts.paths.resolve(root, &path) else { continue };
        for (link, text) in links {
            items.insert_missing(link, || own(What::Link(text)));
        }
        items.insert(real, item);
    }
    if let Some(rule) = sandbox.filesystem.paths.iter().find(|rule| rule.path == Path::new("/")) {
        project::check_root(rule)?;
        if !rule.mode.shows_host() {
            return Err(Error::new(format!("`/` cannot be `{}`", rule.mode.word()))
                .origin(&rule.origin)
                .hint("write filesystem.root = \"empty\" to start from nothing"));
        }
        // The whole tree in one: what the defaults would show of it is in it, in its mode.
        items.retain(|_, item| !matches!(item.what, What::Bind { device: false, .. } | What::Link(_)));
    }
    // A project's file comes last: what it says is compared with all that the others have said, flags included, by real paths.
    let rules = &sandbox.filesystem.paths;
    let judged = rules.iter().any(|rule| rule.project);
    let mut others = Others::default();
    for rule in rules.iter().filter(|rule| !rule.project).chain(rules.iter().filter(|rule| rule.project)) {
        let Some((real, links)) = facts.paths.resolve(root, &rule.path) else {
            return Err(Error::new(format!("{}: its links go in a circle", rule.path.display()))
                .origin(&rule.origin)
                .hint("name the file itself, or mend the link"));
        };
        if rule.project {
            // What a link in a project leads to is not what the layers below say of the link's own place.
            if !links.is_empty() {
                let message = format!("{} leads through a link, to {}", rule.path.display(), real.display());
                return Err(Error::new(message).origin(&rule.origin).hint("name the real path in a project's file"));
            }
            let item = |path: &Path| items.get(path).map(Item::in_force);
            project::check(rule, &real, &sandbox.filesystem.root, &others, item)?;
        } else if judged {
            others.record(&real, rule);
        }
        let from = rule.options.from.as_deref().map(|from| followed(facts, from, &rule.origin)).transpose()?;
        let source = match &from {
            Some((source, _)) => source.clone(),
            // What is shown is the host's, whatever the root is.
            None if rule.mode.shows_host() && root != Path::new("/") => resolved(facts, &rule.path, &rule.origin)?,
            None => crate::host_path(root, &real),
        };
        if rule.mode.shows_host() {
            let from = from.as_ref().map(|(real, links)| (links, real));
            for (links, real) in std::iter::once((&links, &source)).chain(from) {
                astray(facts, links, real).map_err(|error| error.origin(&rule.origin))?;
            }
        }
        let hides = matches!(rule.mode, Mode::Masked | Mode::Deny);
        let above = hides.then(|| items.nearest(&real)).flatten().map(|(_, item)| item);
        let shown = above.is_some_and(|item| matches!(item.what, What::Bind { .. }));
        // Memory of ours, or nothing at all: there is nothing of the host's to be hidden.
        let missing = facts.paths.kind(&source).is_none() || (hides && !shown && rule.options.optional);
        if missing && (rule.mode.shows_host() || hides) && !rule.options.create {
            if rule.options.optional || rule.mode == Mode::Hidden {
                if facts.paths.denied(&source) {
                    notes.push(Note::LeftOut { path: source });
                }
                continue;
            } else if special(sandbox, &real) && hides && !shown {
                // The view makes these itself, whatever the host has.
            } else {
                return Err(absent(facts, rule, &source));
            }
        }
        if real == Path::new("/proc") && rule.mode.shows_host() {
            notes.push(Note::HostProc);
        }
        // Whoever may write to the directory above could put something else there.
        let fixed = above.is_some_and(|item| matches!(item.what, What::Bind { ro: true, .. }));
        if let (Some(why), true, true) =
            (facts.paths.closed(&source), hides && rule.options.optional && fixed, ids.is_single())
        {
            closed.push(Closed { path: source, origin: rule.origin.clone(), why });
            continue;
        }
        for (link, text) in links {
            items.insert_missing(link, || own(What::Link(text)));
        }
        let what = match rule.mode {
            Mode::Ro => What::Bind { source, ro: true, device: false },
            Mode::Rw => What::Bind { source, ro: false, device: false },
            Mode::Tmpfs => What::Tmpfs { mode: tmpfs_mode(&real), size: rule.options.size },
            Mode::Masked => What::Masked,
            Mode::Hidden => What::Hidden,
            Mode::Deny => What::Deny,
        };
        let mut item = Item { what, options: rule.options.clone(), origin: rule.origin.clone(), asked: true };
        // A service's socket in what is masked: empty but for that.
        if rule.mode == Mode::Masked && items.has_below(&real) {
            item.what = What::Tmpfs { mode: 0o555, size: None };
            (item.options.prefer, item.asked) = (true, false);
        }
        // Two names of one path: the stricter mode wins.
        let old = items.get(&real).filter(|old| old.asked).map(|old| old.what.mode());
        if old.is_none_or(|old| old <= item.what.mode()) {
            items.insert(real, item);
        }
    }
    compose(&mut items, facts, root, notes)?;
    Ok(items)
}

/// A link below the current directory that leads out of it: who wrote what lies there would say what is shown. In a directory that
/// holds the user's home, the links are the user's own.
fn astray(facts: &Facts, links: &[(PathBuf, PathBuf)], real: &Path) -> Result<()> {
    let cwd = &facts.cwd;
    let Some((link, _)) = links.iter().find(|(link, _)| within(link, cwd)) else { return Ok(()) };
    if within(real, cwd) || within(&facts.home, cwd) {
        return Ok(());
    }
    let message =
        format!("{} is a link that leads out of the current directory, to {}", link.display(), real.display());
    Err(Error::new(message).hint("if that is meant, name the path that it leads to"))
}

/// What is not there, or out of reach.
fn absent(facts: &Facts, rule: &PathRule, source: &Path) -> Error {
    let path = source.display();
    if facts.paths.denied(source) {
        return Error::new(format!("{path}: permission denied (EACCES)"))
            .origin(&rule.origin)
            .hint(format!("this user may not search a directory on the way: `namei -l {path}` shows which"));
    }
    // A flag takes the option behind its path, a profile behind the mode.
    let flag = rule.origin.0.starts_with("--") && !rule.origin.0.starts_with("--set");
    let spelt = if flag { format!("{},optional", rule.origin) } else { format!("{},optional", rule.mode.word()) };
    Error::new(format!("{path}: there is no such file or directory"))
        .origin(&rule.origin)
        .hint(format!("create it, or write `{spelt}` if it may be absent"))
}

/// A path of the host without links: the child opens it by a call that follows none.
pub(super) fn resolved(facts: &Facts, path: &Path, origin: &Origin) -> Result<PathBuf> {
    followed(facts, path, origin).map(|(real, _)| real)
}

/// The same, with the links that led there.
fn followed(facts: &Facts, path: &Path, origin: &Origin) -> Result<(PathBuf, Vec<(PathBuf, PathBuf)>)> {
    facts.paths.resolve(Path::new("/"), path).ok_or_else(|| {
        Error::new(format!("{}: its links go in a circle", path.display()))
            .origin(origin)
            .hint("name the file itself, or mend the link")
    })
}

/// Paths that the view makes whatever the host has.
fn special(sandbox: &Sandbox, path: &Path) -> bool {
    let made = ["/proc", "/dev", "/tmp", "/run"].iter().any(|dir| within(path, Path::new(dir)));
    made || (sandbox.filesystem.root == Root::Host && path == Path::new("/sys"))
}

fn tmpfs_mode(path: &Path) -> u32 {
    match path.to_str() {
        Some("/tmp" | "/var/tmp" | "/dev/shm") => 0o1777,
        _ => 0o755,
    }
}

/// What there is before any path of the profile is applied.
fn root(items: &mut Items, sandbox: &Sandbox, facts: &Facts, ids: &IdPlan) -> Result<()> {
    let private_pid = !sandbox.namespaces.share.contains_key(&Namespace::Pid);
    let mut put = |path: &str, what: What| items.insert(path, own(what));
    put("/proc", if private_pid { What::Proc } else { What::Bind { source: "/proc".into(), ro: true, device: false } });
    put("/dev", What::Dev);
    put("/tmp", What::Tmpfs { mode: 0o1777, size: None });
    let root = match &sandbox.filesystem.root {
        Root::Empty | Root::Bare => return Ok(()),
        Root::Host => Path::new("/"),
        Root::Dir(dir) => {
            if facts.top.is_empty() {
                return Err(Error::new(format!("{}: it is no directory with a tree in it", dir.display()))
                    .origin(&sandbox.filesystem.root_origin)
                    .hint("`dir:` takes a directory that holds bin, usr and so on"));
            }
            dir
        }
    };
    for (name, kind) in &facts.top {
        let path = Path::new("/").join(name);
        if ["proc", "dev", "tmp", "lost+found"].contains(&name.as_str()) {
            continue;
        }
        let what = match (name.as_str(), kind) {
            (_, Kind::Link(text)) => What::Link(text.clone()),
            ("run", _) => What::Tmpfs { mode: 0o755, size: None },
            ("sys", _) => What::Dir { mode: 0o755 },
            ("home", _) => What::Dir { mode: 0o755 },
            ("root", _) => What::Dir { mode: 0o700 },
            _ => What::Bind { source: root.join(name), ro: true, device: false },
        };
        items.insert(path, own(what));
    }
    // By their real paths: a home that is a link elsewhere, or a /run that is, must not be missed, nor followed when it is made.
    let mut put = |path: &Path, what: What| {
        let Some((real, links)) = facts.paths.resolve(root, path) else { return };
        for (link, text) in links {
            items.insert_missing(link, || own(What::Link(text)));
        }
        items.insert(real, own(what));
    };
    if facts.paths.kind(&crate::host_path(root, Path::new("/var/tmp"))) == Some(&Kind::Dir) {
        put(Path::new("/var/tmp"), What::Tmpfs { mode: 0o1777, size: None });
    }
    // Homes that lie elsewhere: system accounts have theirs in directories that programs need.
    for account in facts.accounts.iter().filter(|account| account.is_person() && account.home != facts.home) {
        let real = facts.paths.resolve(root, &account.home).map(|(real, _)| real).unwrap_or_default();
        let there = facts.paths.kind(&crate::host_path(root, &real)).is_some();
        let covered = ["/home", "/root"].iter().any(|dir| real.starts_with(dir));
        if there && !covered && real.parent().is_some() {
            put(&account.home, What::Tmpfs { mode: 0o700, size: None });
        }
    }
    if facts.home.parent().is_some() {
        put(&facts.home, What::Tmpfs { mode: 0o700, size: None });
    }
    // A tree may have no /run of memory, and is sealed; the services' sockets are made here.
    let runtime = match sandbox.filesystem.root {
        Root::Dir(_) => What::Tmpfs { mode: 0o700, size: None },
        _ => What::Dir { mode: 0o700 },
    };
    put(Path::new(&format!("/run/user/{}", ids.uid)), runtime);
    for (path, data) in etc(sandbox, facts, ids) {
        if let Some((real, _)) = facts.paths.resolve(root, Path::new(path)) {
            items.insert(real, own(What::File { mode: 0o644, data: data.into_bytes() }));
        }
    }
    Ok(())
}

/// Files of /etc that have to agree with the ids and the names inside.
fn etc(sandbox: &Sandbox, facts: &Facts, ids: &IdPlan) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    // Id 0 is root to every program, whoever it is outside.
    let name = if ids.uid == 0 { "root".to_owned() } else { facts.user_name() };
    let home = facts.home.display();
    let shell = facts.account().map_or("/bin/sh", |account| account.shell.as_str());
    // The system's accounts stay, since programs look them up; other people's do not.
    let mut passwd = format!("{name}:x:{}:{}:{name}:{home}:{shell}\n", ids.uid, ids.gid);
    let taken = |other: &str, uid: u32| other == name || uid == ids.uid;
    let system = |id: u32| id < 1000 || id == 65534;
    for account in facts.accounts.iter().filter(|a| system(a.uid) && !taken(&a.name, a.uid)) {
        let crate::host::Account { name, uid, gid, home, .. } = account;
        let (uid, gid, home) = (uid.to_string(), gid.to_string(), home.to_string_lossy());
        passwd.push_str(&[name, "x", &uid, &gid, name, &home, "/usr/sbin/nologin\n"].join(":"));
    }
    let group_name = match facts.group_names.iter().find(|(_, gid)| *gid == facts.gid) {
        Some((own, _)) if ids.gid != 0 => own,
        _ => &name,
    };
    let mut group = format!("{group_name}:x:{}:\n", ids.gid);
    for (other, gid) in facts.group_names.iter().filter(|(n, gid)| system(*gid) && n != group_name && *gid != ids.gid) {
        group.push_str(&[other, "x", &gid.to_string(), "\n"].join(":"));
    }
    files.push(("/etc/passwd", passwd));
    files.push(("/etc/group", group));
    if let Some(hostname) = &sandbox.process.hostname {
        files.push(("/etc/hostname", format!("{hostname}\n")));
        let local = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback";
        files.push(("/etc/hosts", format!("{local}\n127.0.1.1 {hostname}\n")));
    }
    if let Some(resolv) = facts.resolv_conf.as_ref().filter(|_| sandbox.network == Network::Host) {
        files.push(("/etc/resolv.conf", resolv.clone()));
    }
    // What the host does not have is not added to a read-only /etc; the place of resolv.conf is often a link into /run.
    files.retain(|(path, _)| {
        facts.paths.kind(&crate::host_path(base(&sandbox.filesystem.root), Path::new(path))).is_some()
    });
    files
}

fn not_hidden(path: &Path, item: &Item, why: NotInMode) -> Note {
    Note::Path { path: path.to_owned(), mode: Mode::Hidden, origin: item.origin.clone(), why }
}

/// `hidden` below a read-only directory of the host: the directory is made anew in memory, with everything in it but that.
fn compose(items: &mut Items, facts: &Facts, root: &Path, notes: &mut Vec<Note>) -> Result<()> {
    let hidden: Vec<(PathBuf, Item)> =
        items.iter().filter(|(_, item)| item.what == What::Hidden).map(|(p, i)| (p.to_owned(), i.clone())).collect();
    for (path, item) in hidden {
        let Some(parent) = path.parent() else {
            return Err(Error::new("`/` cannot be hidden")
                .origin(&item.origin)
                .hint("use filesystem.root = \"empty\""));
        };
        // What the defaults would put there goes with it; what the profile names more specifically stays.
        let gone: Vec<_> =
            items.below(&path).filter(|(_, item)| !item.asked).map(|(other, _)| other.to_owned()).collect();
        gone.iter().for_each(|other| items.remove(other));
        let Some((above, cover)) = items.nearest(parent) else { continue };
        let (source, ro) = match &cover.what {
            What::Bind { source, ro, .. } => (source, ro),
            What::Tmpfs { .. } | What::Dir { .. } | What::Link(_) | What::Hidden => continue,
            _ if item.options.prefer => {
                notes.push(not_hidden(&path, &item, NotInMode::MadeByView(above.to_owned())));
                items.remove(&path);
                continue;
            }
            _ => {
                let message =
                    format!("{} cannot be hidden: {} is made by the view itself", path.display(), above.display());
                let hint = "what is masked in /proc is masked already; leave it, or hide the whole of it";
                return Err(Error::new(message).origin(&item.origin).hint(hint));
            }
        };
        let host_parent = source.join(parent.strip_prefix(above).unwrap_or(Path::new("")));
        let host_parent: PathBuf = host_parent.components().collect();
        let listing = facts.paths.listing(&host_parent).filter(|_| host_parent == crate::host_path(root, parent));
        let (true, Some(listing)) = (*ro, listing) else {
            if item.options.prefer {
                notes.push(not_hidden(&path, &item, NotInMode::LiesIn(above.to_owned())));
                items.remove(&path);
                continue;
            }
            let why = if *ro { "shown from elsewhere" } else { "writable, so the directory cannot be made anew" };
            let message = format!("{} cannot be hidden: {} is {why}", path.display(), above.display());
            let hint = "use `masked` (there, empty) or `deny` (there, closed), or `prefer` to go on without";
            return Err(Error::new(message).origin(&item.origin).hint(hint));
        };
        if listing.is_empty() && facts.paths.kind(&crate::host_path(root, &path)).is_none() {
            continue;
        }
        let entry = |what| Item { what, ..cover.clone() };
        let directory = entry(What::Tmpfs { mode: 0o755, size: None });
        let mut added = vec![(
            parent.to_owned(),
            Item { options: Options { prefer: true, ..Options::default() }, asked: false, ..directory },
        )];
        for (name, kind) in listing {
            let what = match kind {
                Kind::Link(text) => What::Link(text.clone()),
                _ => What::Bind { source: host_parent.join(name), ro: true, device: false },
            };
            added.push((parent.join(name), Item { asked: false, ..entry(what) }));
        }
        for (path, item) in added {
            let replace = path == parent && items.get(&path).is_some_and(|old| matches!(old.what, What::Bind { .. }));
            if replace || !items.contains(&path) {
                items.insert(path, item);
            }
        }
    }
    Ok(())
}
