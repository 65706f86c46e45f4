//! Decides what each path of the view is to be, from the root's defaults, the desktop's services and the profile's
//! paths. How each is mounted is decided after that, in [`super::place`].

use super::Closed;
use super::ids::IdPlan;
use super::links::{self, circle, followed};
use super::note::{NotInMode, Note};
use super::project::{self, InForce, Others};
use super::tree::{Tree, within};
use crate::error::{Error, Result};
use crate::host::{Facts, Kind};
use crate::spec::{Mode, Namespace, Network, Options, Origin, PathRule, Root, Sandbox};
use std::path::{Path, PathBuf};

/// What one path of the view is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ItemKind {
    /// The host's file or directory `source`. Device files work only if `device` is set.
    Bind { source: PathBuf, ro: bool, device: bool },
    /// A new tmpfs with these permissions, of `size` bytes at most.
    Tmpfs { mode: u32, size: Option<u64> },
    /// A directory in a tmpfs that the view has made already: not a mount of its own.
    Dir { mode: u32 },
    /// A symbolic link with this text.
    Link(PathBuf),
    /// A file with this content.
    File { mode: u32, data: Vec<u8> },
    /// An empty file or directory, mounted over what is there.
    Masked,
    /// Absent: left out of its directory.
    Hidden,
    /// A file or directory that cannot be opened (EACCES), mounted over what is there.
    Deny,
    /// procfs of the sandbox's pid namespace.
    Proc,
    /// The sandbox's own cgroup.
    Cgroup { ro: bool },
    /// A minimal /dev.
    Dev,
}

impl ItemKind {
    /// The profile's mode that is as strict as this: `tmpfs` for everything that the view makes itself.
    pub fn mode(&self) -> Mode {
        match self {
            ItemKind::Bind { ro: false, .. } => Mode::Rw,
            ItemKind::Bind { ro: true, .. } => Mode::Ro,
            ItemKind::Masked => Mode::Masked,
            ItemKind::Hidden => Mode::Hidden,
            ItemKind::Deny => Mode::Deny,
            ItemKind::Tmpfs { .. }
            | ItemKind::Dir { .. }
            | ItemKind::Link(_)
            | ItemKind::File { .. }
            | ItemKind::Proc
            | ItemKind::Cgroup { .. }
            | ItemKind::Dev => Mode::Tmpfs,
        }
    }
}

/// What one path is to be, with the options of its mode and the line that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub what: ItemKind,
    pub options: Options,
    pub origin: Origin,
    /// Whether the profile names it, rather than a default of sbx.
    pub asked: bool,
}

impl Item {
    /// This item as what a rule of a project's file is compared with.
    fn in_force(&self) -> InForce<'_> {
        let size = match self.what {
            ItemKind::Tmpfs { size, .. } => size,
            _ => None,
        };
        InForce { mode: self.what.mode(), options: &self.options, size }
    }
}

/// Items by path: a directory comes before what lies in it.
pub(super) type Items = Tree<Item>;

/// An item from sbx's defaults, without an origin.
pub(super) fn own(what: ItemKind) -> Item {
    Item { what, options: Options::default(), origin: Origin::default(), asked: false }
}

/// The directory of the host in which the view's paths are looked up.
pub(super) fn base(root: &Root) -> &Path {
    match root {
        Root::Dir(dir) => dir,
        _ => Path::new("/"),
    }
}

/// Collects the items of the whole view. `services` are those of the desktop; `closed` receives paths that need no
/// mask.
///
/// # Errors
///
/// A path is missing, or cannot be what the profile says; a project's file loosens something.
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
        let item = Item { origin: origin.clone(), ..own(ItemKind::Cgroup { ro: limits.delegate.is_none() }) };
        items.insert("/sys/fs/cgroup", item);
    }
    let root = base(&sandbox.filesystem.root);
    for (path, item) in services {
        // Resolved, as the profile's paths are: a link would lead elsewhere while the view is made.
        let Some((real, links)) = facts.paths.resolve(root, &path) else { continue };
        for (link, text) in links {
            items.insert_missing(link, || own(ItemKind::Link(text)));
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
        // The rule for `/` shows the whole tree in one mode: the defaults for parts of it are dropped.
        items.retain(|_, item| !matches!(item.what, ItemKind::Bind { device: false, .. } | ItemKind::Link(_)));
    }
    // A project's file comes last, since it is compared with what all others say of the same real path, flags included.
    let rules = &sandbox.filesystem.paths;
    let judged = rules.iter().any(|rule| rule.project);
    let mut others = Others::default();
    let mut writable = None;
    let mut linked: Vec<(&PathRule, Vec<PathBuf>)> = Vec::new();
    for rule in rules.iter().filter(|rule| !rule.project).chain(rules.iter().filter(|rule| rule.project)) {
        let Some((real, links)) = facts.paths.resolve(root, &rule.path) else {
            return Err(circle(&rule.path, &rule.origin));
        };
        if rule.project {
            // The layers below may say something else of the link's target than of the link itself.
            if !links.is_empty() {
                let message = format!("{} leads through a link, to {}", rule.path.display(), real.display());
                return Err(Error::new(message).origin(&rule.origin).hint("name the real path in a project's file"));
            }
            let item = |path: &Path| items.get(path).map(Item::in_force);
            project::check(rule, &real, &sandbox.filesystem.root, &others, item)?;
        } else if judged {
            others.record(&real, rule);
        }
        let (source, source_links) = match &rule.options.from {
            Some(from) => followed(facts, from, &rule.origin)?,
            // Files that are shown come from the host's own tree, even if the root is another one.
            None if rule.mode.shows_host() && root != Path::new("/") => followed(facts, &rule.path, &rule.origin)?,
            None => (crate::host::below(root, &real), links.clone()),
        };
        if rule.mode.shows_host() && !source_links.is_empty() && !shown_anyway(sandbox, facts, ids, rule, &source)? {
            let writable = writable.get_or_insert_with(|| writable_sources(sandbox, facts));
            if let Err(error) = links::check_source(facts, writable, &source_links, &source) {
                if rule.options.prefer {
                    let why = NotInMode::Cannot(error.message);
                    let (path, mode, origin) = (rule.path.clone(), rule.mode, rule.origin.clone());
                    notes.push(Note::Path { path, mode, origin, why });
                    continue;
                }
                return Err(error.origin(&rule.origin));
            }
        }
        let hides = matches!(rule.mode, Mode::Masked | Mode::Deny);
        let above = hides.then(|| items.nearest(&real)).flatten().map(|(_, item)| item);
        let shown = above.is_some_and(|item| matches!(item.what, ItemKind::Bind { .. }));
        // Where the path lies in a tmpfs of the view, or in nothing, there is no file of the host to hide.
        let missing = facts.paths.kind(&source).is_none() || (hides && !shown && rule.options.optional);
        if missing && (rule.mode.shows_host() || hides) && !rule.options.create {
            if rule.options.optional || rule.mode == Mode::Hidden {
                if facts.paths.denied(&source) {
                    notes.push(Note::LeftOut { path: source });
                }
                continue;
            } else if special(sandbox, &real) && hides && !shown {
                // The view makes this path itself, even if the host lacks it.
            } else {
                return Err(absent(facts, rule, &source));
            }
        }
        if real == Path::new("/proc") && rule.mode.shows_host() {
            notes.push(Note::HostProc);
        }
        // If the directory above were writable, a program could put something else at this path.
        let fixed = above.is_some_and(|item| matches!(item.what, ItemKind::Bind { ro: true, .. }));
        if let (Some(why), true, true) =
            (facts.paths.closed(&source), hides && rule.options.optional && fixed, ids.is_single())
        {
            closed.push(Closed { path: source, origin: rule.origin.clone(), why });
            continue;
        }
        if !links.is_empty() {
            linked.push((rule, links.iter().map(|(link, _)| link.clone()).collect()));
        }
        for (link, text) in links {
            items.insert_missing(link, || own(ItemKind::Link(text)));
        }
        let what = match rule.mode {
            Mode::Ro => ItemKind::Bind { source, ro: true, device: false },
            Mode::Rw => ItemKind::Bind { source, ro: false, device: false },
            Mode::Tmpfs => ItemKind::Tmpfs { mode: tmpfs_mode(&real), size: rule.options.size },
            Mode::Masked => ItemKind::Masked,
            Mode::Hidden => ItemKind::Hidden,
            Mode::Deny => ItemKind::Deny,
        };
        let mut item = Item { what, options: rule.options.clone(), origin: rule.origin.clone(), asked: true };
        // A masked directory that holds a service's socket is a tmpfs with nothing but the socket.
        if rule.mode == Mode::Masked && items.has_below(&real) {
            item.what = ItemKind::Tmpfs { mode: 0o555, size: None };
            (item.options.prefer, item.asked) = (true, false);
        }
        // If two rules name one real path, the stricter mode wins.
        let old = items.get(&real).filter(|old| old.asked).map(|old| old.what.mode());
        if old.is_none_or(|old| old <= item.what.mode()) {
            items.insert(real, item);
        }
    }
    for (rule, links) in linked {
        let writable = |path| match items.nearest(path) {
            Some((dir, Item { what: ItemKind::Bind { ro: false, device: false, .. }, .. })) => Some(dir),
            _ => None,
        };
        let Some(why) = links::replaceable(rule, &links, writable) else { continue };
        let (path, mode) = (rule.path.clone(), rule.mode);
        if rule.options.prefer {
            notes.push(Note::Path { path, mode, origin: rule.origin.clone(), why: NotInMode::Cannot(why) });
        } else {
            let real = facts.paths.resolve(root, &path).map_or(path.clone(), |(real, _)| real);
            return Err(Error::new(format!("{} cannot be `{}` here: {why}", path.display(), mode.word()))
                .origin(&rule.origin)
                .hint(format!("name {} itself; or `{},prefer` goes on without", real.display(), mode.word())));
        }
    }
    compose(&mut items, facts, root, notes)?;
    Ok(items)
}

/// The real paths of everything that the profile shows writable, each with the line that does.
pub(super) fn writable_sources<'a>(sandbox: &'a Sandbox, facts: &Facts) -> Vec<(PathBuf, &'a Origin)> {
    let rules = sandbox.filesystem.paths.iter().filter(|rule| rule.mode == Mode::Rw);
    rules
        .filter_map(|rule| {
            let source = rule.options.from.as_ref().unwrap_or(&rule.path);
            Some((facts.paths.resolve(Path::new("/"), source)?.0, &rule.origin))
        })
        .collect()
}

/// Whether the view shows a file of the host at its own path as freely as this rule does, even without the rules that
/// go through links. Then it does not matter who put the links there.
fn shown_anyway(sandbox: &Sandbox, facts: &Facts, ids: &IdPlan, rule: &PathRule, source: &Path) -> Result<bool> {
    let mut items = Items::new();
    root(&mut items, sandbox, facts, ids)?;
    let base = base(&sandbox.filesystem.root);
    for other in &sandbox.filesystem.paths {
        let Some((real, links)) = facts.paths.resolve(base, &other.path) else { continue };
        let what = match (other.mode, &other.options.from) {
            (Mode::Ro | Mode::Rw, _) if !links.is_empty() => continue,
            (Mode::Ro | Mode::Rw, None) => {
                ItemKind::Bind { source: real.clone(), ro: other.mode == Mode::Ro, device: false }
            }
            _ => ItemKind::Masked,
        };
        items.insert(real, own(what));
    }
    Ok(items.nearest(source).is_some_and(|(above, item)| match &item.what {
        ItemKind::Bind { source: shown, ro, .. } => shown == above && (rule.mode == Mode::Ro || !ro),
        _ => false,
    }))
}

/// The error for a path of the host that does not exist, or that this user may not look up.
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

/// Whether the view makes this path itself, even if the host lacks it.
fn special(sandbox: &Sandbox, path: &Path) -> bool {
    let made = ["/proc", "/dev", "/tmp", "/run"].iter().any(|dir| within(path, Path::new(dir)));
    made || (sandbox.filesystem.root == Root::Host && path == Path::new("/sys"))
}

/// Permissions of a tmpfs at this path, as chmod(2) takes them.
fn tmpfs_mode(path: &Path) -> u32 {
    match path.to_str() {
        Some("/tmp" | "/var/tmp" | "/dev/shm") => 0o1777,
        _ => 0o755,
    }
}

/// Adds sbx's defaults for the root: what the view is before any path of the profile is applied.
fn root(items: &mut Items, sandbox: &Sandbox, facts: &Facts, ids: &IdPlan) -> Result<()> {
    let private_pid = !sandbox.namespaces.share.contains_key(&Namespace::Pid);
    let mut put = |path: &str, what: ItemKind| items.insert(path, own(what));
    put(
        "/proc",
        if private_pid { ItemKind::Proc } else { ItemKind::Bind { source: "/proc".into(), ro: true, device: false } },
    );
    put("/dev", ItemKind::Dev);
    put("/tmp", ItemKind::Tmpfs { mode: 0o1777, size: None });
    let root = match &sandbox.filesystem.root {
        Root::Empty | Root::Bare => return Ok(()),
        Root::Host => Path::new("/"),
        Root::Dir(dir) => {
            let origin = &sandbox.filesystem.root_origin;
            let (real, links) = followed(facts, dir, origin)?;
            if !links.is_empty() {
                let message = format!("the root {} leads through a link, to {}", dir.display(), real.display());
                return Err(Error::new(message).origin(origin).hint(format!("write `dir:{}`", real.display())));
            }
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
            (_, Kind::Link(text)) => ItemKind::Link(text.clone()),
            ("run", _) => ItemKind::Tmpfs { mode: 0o755, size: None },
            ("sys", _) => ItemKind::Dir { mode: 0o755 },
            ("home", _) => ItemKind::Dir { mode: 0o755 },
            ("root", _) => ItemKind::Dir { mode: 0o700 },
            _ => ItemKind::Bind { source: root.join(name), ro: true, device: false },
        };
        items.insert(path, own(what));
    }
    // By its real path: a home (or /run) that is a link must be covered where it leads, and the link must not be
    // followed when the mount is made.
    let mut put = |path: &Path, what: ItemKind| {
        let Some((real, links)) = facts.paths.resolve(root, path) else { return };
        for (link, text) in links {
            items.insert_missing(link, || own(ItemKind::Link(text)));
        }
        items.insert(real, own(what));
    };
    if facts.paths.kind(&crate::host::below(root, Path::new("/var/tmp"))) == Some(&Kind::Dir) {
        put(Path::new("/var/tmp"), ItemKind::Tmpfs { mode: 0o1777, size: None });
    }
    // Homes of persons outside of /home and /root. System accounts are left out: their homes are directories that
    // programs need.
    for account in facts.accounts.iter().filter(|account| account.is_person() && account.home != facts.home) {
        let real = facts.paths.resolve(root, &account.home).map(|(real, _)| real).unwrap_or_default();
        let there = facts.paths.kind(&crate::host::below(root, &real)).is_some();
        let covered = ["/home", "/root"].iter().any(|dir| real.starts_with(dir));
        if there && !covered && real.parent().is_some() {
            put(&account.home, ItemKind::Tmpfs { mode: 0o700, size: None });
        }
    }
    if facts.home.parent().is_some() {
        put(&facts.home, ItemKind::Tmpfs { mode: 0o700, size: None });
    }
    // A root of `dir:` is read-only and may have no tmpfs at /run, and the services' sockets are made here.
    let runtime = match sandbox.filesystem.root {
        Root::Dir(_) => ItemKind::Tmpfs { mode: 0o700, size: None },
        _ => ItemKind::Dir { mode: 0o700 },
    };
    put(Path::new(&format!("/run/user/{}", ids.uid)), runtime);
    for (path, data) in etc(sandbox, facts, ids) {
        if let Some((real, _)) = facts.paths.resolve(root, Path::new(path)) {
            items.insert(real, own(ItemKind::File { mode: 0o644, data: data.into_bytes() }));
        }
    }
    Ok(())
}

/// Files of /etc that have to agree with the ids and names inside, each with its content.
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
    // A file that the host lacks cannot be added to a read-only /etc. resolv.conf is often a link into /run.
    files.retain(|(path, _)| {
        facts.paths.kind(&crate::host::below(base(&sandbox.filesystem.root), Path::new(path))).is_some()
    });
    files
}

/// The note that a path with `hidden,prefer` is not hidden.
fn not_hidden(path: &Path, item: &Item, why: NotInMode) -> Note {
    Note::Path { path: path.to_owned(), mode: Mode::Hidden, origin: item.origin.clone(), why }
}

/// Carries out `hidden` below a read-only directory of the host: a tmpfs takes the directory's place, with a bind mount
/// for each entry but the hidden one.
fn compose(items: &mut Items, facts: &Facts, root: &Path, notes: &mut Vec<Note>) -> Result<()> {
    let hidden: Vec<(PathBuf, Item)> = items
        .iter()
        .filter(|(_, item)| item.what == ItemKind::Hidden)
        .map(|(p, i)| (p.to_owned(), i.clone()))
        .collect();
    for (path, item) in hidden {
        let Some(parent) = path.parent() else {
            return Err(Error::new("`/` cannot be hidden")
                .origin(&item.origin)
                .hint("use filesystem.root = \"empty\""));
        };
        // Defaults below the hidden path are dropped; paths below it that the profile names stay.
        let gone: Vec<_> =
            items.below(&path).filter(|(_, item)| !item.asked).map(|(other, _)| other.to_owned()).collect();
        gone.iter().for_each(|other| items.remove(other));
        let Some((above, cover)) = items.nearest(parent) else { continue };
        let (source, ro) = match &cover.what {
            ItemKind::Bind { source, ro, .. } => (source, ro),
            ItemKind::Tmpfs { .. } | ItemKind::Dir { .. } | ItemKind::Link(_) | ItemKind::Hidden => continue,
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
        let listing = facts.paths.listing(&host_parent).filter(|_| host_parent == crate::host::below(root, parent));
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
        if listing.is_empty() && facts.paths.kind(&crate::host::below(root, &path)).is_none() {
            continue;
        }
        let entry = |what| Item { what, ..cover.clone() };
        let directory = entry(ItemKind::Tmpfs { mode: 0o755, size: None });
        let mut added = vec![(
            parent.to_owned(),
            Item { options: Options { prefer: true, ..Options::default() }, asked: false, ..directory },
        )];
        for (name, kind) in listing {
            let what = match kind {
                Kind::Link(text) => ItemKind::Link(text.clone()),
                _ => ItemKind::Bind { source: host_parent.join(name), ro: true, device: false },
            };
            added.push((parent.join(name), Item { asked: false, ..entry(what) }));
        }
        for (path, item) in added {
            let replace =
                path == parent && items.get(&path).is_some_and(|old| matches!(old.what, ItemKind::Bind { .. }));
            if replace || !items.contains(&path) {
                items.insert(path, item);
            }
        }
    }
    Ok(())
}
