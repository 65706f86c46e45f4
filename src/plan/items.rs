//! Decides what each path of the view is to be, from the root's defaults, the desktop's services and the profile's
//! paths. How each is mounted is decided after that, in [`super::place`].

use super::etc;
use super::freer;
use super::home::{self, HomePlan};
use super::ids::IdPlan;
use super::item::{Item, ItemKind, Items, base, own};
use super::links::{self, circle, followed};
use super::note::{NotInMode, Note};
use super::own as own_dirs;
use super::procfs;
use super::project::{self, Others};
use super::root;
use super::union;
use super::view_server;
use super::without_links::WithoutLinks;
use super::{Absent, Closed};
use crate::error::{Error, Result};
use crate::host::{Facts, Kind};
use crate::spec::{Mode, Options, PathRule, Root, Sandbox, within};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Collects the items of the whole view, as [`collect_all`] does. What a project's file says is compared with the view without it.
///
/// # Errors
///
/// As those of [`collect_all`].
pub(super) fn collect(
    sandbox: &Sandbox,
    facts: &Facts,
    ids: &IdPlan,
    services: Vec<(PathBuf, Item)>,
    notes: &mut Vec<Note>,
    closed: &mut Vec<Closed>,
    not_there: &mut Vec<Absent>,
) -> Result<(Items, Option<HomePlan>)> {
    let rules = &sandbox.filesystem.paths;
    if !rules.iter().any(|rule| rule.project) {
        return collect_all(sandbox, facts, ids, services, notes, closed, not_there);
    }
    let all = collect_all(sandbox, facts, ids, services.clone(), notes, closed, not_there)?;
    let mut without = sandbox.clone();
    // The rules that are left when the file's own are taken away need not be those that hold without it: its lines decide on others.
    without.filesystem.paths = match without.filesystem.without_project.take() {
        Some(paths) => paths,
        None => rules.iter().filter_map(PathRule::without_project).cloned().collect(),
    };
    let (items, _) = collect_all(&without, facts, ids, services, &mut Vec::new(), &mut Vec::new(), &mut Vec::new())?;
    freer::check(&items, &all.0, rules)?;
    notes.extend(freer::discarded(&items, &all.0, rules, union::are_discarded(sandbox, facts)));
    Ok(all)
}

/// Collects the items of the whole view. `services` are those of the desktop; `closed` receives paths that need no
/// mask, `not_there` those that are not there to be made read-only.
///
/// # Errors
///
/// A path is missing, or cannot be what the profile says; a project's file loosens something.
fn collect_all(
    sandbox: &Sandbox,
    facts: &Facts,
    ids: &IdPlan,
    services: Vec<(PathBuf, Item)>,
    notes: &mut Vec<Note>,
    closed: &mut Vec<Closed>,
    not_there: &mut Vec<Absent>,
) -> Result<(Items, Option<HomePlan>)> {
    let mut items = Items::new();
    root::add(&mut items, sandbox, facts, ids)?;
    let home = home::add(&mut items, sandbox, facts, ids)?;
    notes.extend(root::note_home(sandbox, facts));
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
    if let Some(rule) = sandbox.filesystem.paths.iter().find(|rule| rule.is_root()) {
        project::check_root(rule)?;
        if rule.mode == Mode::Overlay {
            union::whole(&mut items, sandbox, facts, ids, rule);
        } else if !rule.mode.shows_host() {
            return Err(Error::new(format!("`/` cannot be `{}`", rule.mode.word()))
                .origin(&rule.origin)
                .hint("write filesystem.root = \"empty\" to start from nothing"));
        }
        // The rule for `/` shows the whole tree in one mode: the defaults for parts of it are dropped.
        if rule.mode != Mode::Overlay {
            items.retain(|_, item| {
                !matches!(item.what, ItemKind::Bind { device: false, .. } | ItemKind::Link(_) | ItemKind::Layers { .. })
            });
        }
    }
    // A project's file comes last, since it is compared with what all others say of the same real path, flags included.
    let rules = &sandbox.filesystem.paths;
    let judged = rules.iter().any(|rule| rule.project);
    let is_whole = |rule: &&PathRule| rule.mode == Mode::Overlay && rule.is_root();
    let mut others = Others::default();
    let mut writable = None;
    let mut without_links = WithoutLinks::default();
    let mut linked: Vec<(&PathRule, Vec<PathBuf>)> = Vec::new();
    let in_order = rules.iter().filter(|rule| !rule.project).chain(rules.iter().filter(|rule| rule.project));
    for rule in in_order.filter(|rule| !is_whole(rule)) {
        let Some((real, links)) = facts.paths.resolve(root, &rule.path) else {
            return Err(circle(&rule.path, &rule.origin));
        };
        if rule.project {
            let item = |path: &Path| items.get(path).map(Item::in_force);
            if !project::applies(rule, &real, &others, item) {
                continue;
            }
            // The layers below may say something else of the link's target than of the link itself.
            if !links.is_empty() {
                let message = format!("{} leads through a link, to {}", rule.path.display(), real.display());
                return Err(Error::new(message).origin(&rule.origin).hint("name the real path in a project's file"));
            }
            project::check(rule, &real, &sandbox.filesystem, &others, item)?;
        } else if judged {
            others.record(&real, rule);
        }
        let (source, source_links) = match &rule.options.from {
            Some(from) => followed(facts, from, &rule.origin)?,
            // Files that are shown come from the host's own tree, even if the root is another one.
            None if rule.mode.shows_host() && root != Path::new("/") => followed(facts, &rule.path, &rule.origin)?,
            None => (crate::host::below(root, &real), links.clone()),
        };
        // What leads nowhere shows nothing.
        let nowhere = rule.options.optional
            && !rule.options.create
            && facts.paths.kind(&source).is_none()
            && facts.paths.failed(&source).is_none();
        if rule.mode.shows_host()
            && !source_links.is_empty()
            && !nowhere
            && !without_links.show((sandbox, facts, ids), rule, &source)?
        {
            let writable = writable.get_or_insert_with(|| links::writable_sources(sandbox, facts));
            if let Err(error) = links::check_opening(facts, writable, &source_links, &source) {
                if rule.options.prefer {
                    let why = NotInMode::Cannot(error.message);
                    let (path, mode, origin) = (rule.path.clone(), rule.mode, rule.origin.clone());
                    notes.push(Note::Path { path, mode, origin, why });
                    continue;
                }
                let error = match rule.mode {
                    // Where a profile closes a path, whatever is there, its target need not be what is wanted.
                    Mode::Ro if !links::is_flag(rule) => Error { hints: Vec::new(), ..error }
                        .hint(links::without_rule(rule))
                        .hint(format!("beside that, what it leads to is shown by: --ro {}", source.display())),
                    _ => error,
                };
                return Err(error.origin(&rule.origin));
            }
        }
        let hides = matches!(rule.mode, Mode::Masked | Mode::Deny);
        let above = hides.then(|| items.nearest(&real)).flatten().map(|(_, item)| item);
        let shown = above.is_some_and(|item| matches!(item.what, ItemKind::Bind { .. } | ItemKind::Layers { .. }));
        // Where the path lies in a tmpfs of the view, or in nothing, there is no file of the host to hide.
        let missing = facts.paths.kind(&source).is_none() || (hides && !shown && rule.options.optional);
        if missing && (rule.mode.shows_host() || hides) && !rule.options.create {
            if rule.options.optional || rule.mode == Mode::Hidden {
                let closes = (rule.mode == Mode::Ro || hides) && !rule.options.prefer;
                if closes
                    && facts.paths.is_shut(&source)
                    && let Some(dir) = writable_dir(&items, &real)
                {
                    let (path, mode, dir) = (source.display(), rule.mode.word(), dir.display());
                    return Err(Error::new(format!(
                        "{path} cannot be looked up, and a program that may write to {dir} could open the directory that it lies in"
                    ))
                    .origin(&rule.origin)
                    .hint(format!("give yourself the permission to search that: chmod u+rwx; or `{mode},prefer` goes on without")));
                }
                if let Some(errno) = facts.paths.failed(&source) {
                    notes.push(Note::LeftOut { path: source, errno });
                } else if rule.mode == Mode::Ro && is_made_by_program(&items, &real, &links) {
                    let link = links.iter().find(|(link, _)| *link == rule.path).map(|(_, text)| text.clone());
                    let path = if links.is_empty() { source } else { rule.path.clone() };
                    not_there.push(Absent { path, origin: rule.origin.clone(), link, hides: None });
                } else {
                    not_there.extend(seen_later(&items, rule, &real, &source));
                }
                continue;
            } else if special(sandbox, &real) && hides && !shown {
                // The view makes this path itself, even if the host lacks it.
            } else {
                return Err(absent(facts, rule, &source));
            }
        }
        if rule.mode.shows_host() && real.as_os_str() == "/proc" {
            notes.push(Note::HostProc);
        }
        // If the directory above were writable, a program could put something else at this path.
        let fixed = above.is_some_and(|item| matches!(item.what, ItemKind::Bind { ro: true, .. }));
        // The view server reads with the caller's rights, whatever the program's ids are, and shows nothing of such a file.
        let served = above.is_some_and(|item| {
            matches!(&item.what, ItemKind::Layers { lower, ro: false, .. } if view_server::is_served((facts, ids, union::is_fuse(sandbox, facts)), lower, false))
        });
        let needless = hides && rule.options.optional && (served || fixed && ids.is_single());
        if let (Some(why), true) = (facts.paths.closed(&source), needless) {
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
            Mode::Overlay => {
                let prefers = rule.options.prefer && facts.paths.kind(&source) == Some(&Kind::Dir);
                match prefers.then(|| union::why_read_only(sandbox, facts, &source)).flatten() {
                    None => ItemKind::Layers { lower: vec![source], ro: false, without: Vec::new() },
                    Some(why) => {
                        if !why.is_empty() {
                            let why = NotInMode::Cannot(format!("{why}; it is read-only"));
                            let (path, origin) = (rule.path.clone(), rule.origin.clone());
                            notes.push(Note::Path { path, mode: rule.mode, origin, why });
                        }
                        ItemKind::Bind { source, ro: true, device: false }
                    }
                }
            }
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
        // If two rules name one real path, the stricter mode wins, and of one mode each option that restricts.
        items.insert_or(real, item, |old, mut item| {
            if old.asked && old.what.mode() > item.what.mode() {
                return;
            }
            if old.asked && old.what.mode() == item.what.mode() {
                item.options.noexec |= old.options.noexec;
                item.options.exclusive |= old.options.exclusive;
            }
            *old = item;
        });
    }
    for (rule, links) in linked {
        let Some(why) = links::replaceable(rule, &links, |path| writable_dir(&items, path)) else { continue };
        let (path, mode) = (rule.path.clone(), rule.mode);
        if rule.options.prefer {
            notes.push(Note::Path { path, mode, origin: rule.origin.clone(), why: NotInMode::Cannot(why) });
        } else {
            let real = facts.paths.resolve(root, &path).map_or(path.clone(), |(real, _)| real);
            return Err(Error::new(format!("{} cannot be `{}` here: {why}", path.display(), mode.word()))
                .origin(&rule.origin)
                .hint(match links::is_flag(rule) {
                    true => format!("name {} itself; or `{},prefer` goes on without", real.display(), mode.word()),
                    false => links::without_rule(rule),
                }));
        }
    }
    procfs::cover(&mut items, facts)?;
    etc::own_machine_id(&mut items, facts, root);
    root::mask_sys(&mut items, facts);
    root::empty_private(&mut items, sandbox, facts);
    compose(&mut items, facts, root, notes)?;
    own_dirs::close(&mut items, sandbox, facts)?;
    Ok((items, home))
}

/// Whether the program can make a path that is not there, by itself or in the place of a link on the way to it.
fn is_made_by_program(items: &Items, real: &Path, links: &[(PathBuf, PathBuf)]) -> bool {
    let mut ways = std::iter::once(real).chain(links.iter().map(|(link, _)| link.as_path()));
    ways.any(|path| writable_dir(items, path).is_some())
}

/// A path that a line masks and that is not there, if what others make there while the program runs is seen: it lies in a directory of the host.
/// What shipped profiles mask where a host has it are root's own files. `hidden` has the directory made anew, with the names that it has now.
fn seen_later(items: &Items, rule: &PathRule, real: &Path, source: &Path) -> Option<Absent> {
    let hides = matches!(rule.mode, Mode::Masked | Mode::Deny) && !rule.origin.0.starts_with("built-in:");
    let around = if hides { items.nearest(real).map(|(_, item)| &item.what) } else { None };
    matches!(around?, ItemKind::Bind { device: false, .. } | ItemKind::Layers { .. }).then(|| Absent {
        path: source.to_owned(),
        origin: rule.origin.clone(),
        link: None,
        hides: Some(rule.mode.word()),
    })
}

/// The writable directory of the host that a path inside lies in, or is.
fn writable_dir<'p>(items: &Items, path: &'p Path) -> Option<&'p Path> {
    match items.nearest(path) {
        Some((dir, Item { what: ItemKind::Bind { ro: false, device: false, .. }, .. })) => Some(dir),
        _ => None,
    }
}

/// The directories with names that have no rule since they are not there, as far as the program can make these.
pub(super) fn unseen(items: &Items, sandbox: &Sandbox) -> Vec<PathBuf> {
    let dirs = sandbox.filesystem.unseen.iter().map(|unseen| &unseen.dir);
    dirs.filter(|dir| writable_dir(items, dir).is_some()).cloned().collect()
}

/// The error for a path of the host that does not exist, or that this user may not look up.
fn absent(facts: &Facts, rule: &PathRule, source: &Path) -> Error {
    let path = source.display();
    if let Some(errno) = facts.paths.failed(source) {
        return Error::new(format!("{path}: {errno}")).origin(&rule.origin).hint(match errno.0 {
            libc::EACCES => format!("this user may not search a directory on the way: `namei -l {path}` shows which"),
            libc::ENOTCONN => format!(
                "the program that serves a FUSE filesystem on the way to {path} has ended: unmount it, or mount it again"
            ),
            _ => format!("it cannot be told whether it is there: `namei -l {path}` shows where on the way that is"),
        });
    }
    // A flag takes the option behind its path, a profile behind the mode.
    let flag = links::is_flag(rule);
    let spelt = match rule.origin.0.split_once(" --from ") {
        Some((flag, from)) if flag.starts_with("--") => format!("{flag},optional --from {from}"),
        _ if flag => format!("{},optional", rule.origin),
        _ => format!("{},optional", rule.mode.word()),
    };
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

/// Whether an item is a file that the view makes for /etc, where a link leads out of there.
fn is_linked_from_etc(path: &Path, item: &Item) -> bool {
    matches!(item.what, ItemKind::File { .. }) && !path.starts_with("/etc")
}

/// The note that a path with `hidden,prefer` is not hidden.
fn not_hidden(path: &Path, item: &Item, why: NotInMode) -> Note {
    Note::Path { path: path.to_owned(), mode: Mode::Hidden, origin: item.origin.clone(), why }
}

/// Number of entries of a directory that are shown by a mount each where one of them is hidden. A file comes from
/// whoever wrote the directory, and the start is not under a time limit.
const MOST_ENTRIES: usize = 10_000;

/// Makes an overlay read-only that is only preferred, and in which a path is to be hidden that is not directly in it.
fn without_overlay(items: &mut Items, hidden: &Path, notes: &mut Vec<Note>) {
    let Some((above, cover)) = hidden.parent().and_then(|parent| items.nearest(parent)) else { return };
    let ItemKind::Layers { lower, ro: false, .. } = &cover.what else { return };
    let (Some(source), true) = (lower.first(), cover.options.prefer && hidden.parent() != Some(above)) else { return };
    let what = ItemKind::Bind { source: source.clone(), ro: true, device: false };
    let (path, item) = (above.to_owned(), Item { what, ..cover.clone() });
    let why = format!("{} is hidden in it, and not directly in it; it is read-only", hidden.display());
    let (mode, origin) = (Mode::Overlay, item.origin.clone());
    notes.push(Note::Path { path: path.clone(), mode, origin, why: NotInMode::Cannot(why) });
    items.insert(path, item);
}

/// Carries out `hidden` below a read-only directory of the host: a tmpfs takes the directory's place, with a bind mount
/// for each entry but the hidden one.
fn compose(items: &mut Items, facts: &Facts, root: &Path, notes: &mut Vec<Note>) -> Result<()> {
    let hidden: Vec<(PathBuf, Item)> = items
        .iter()
        .filter(|(_, item)| item.what == ItemKind::Hidden)
        .map(|(p, i)| (p.to_owned(), i.clone()))
        .collect();
    for (path, _) in hidden.iter().filter(|(_, item)| !item.options.prefer) {
        without_overlay(items, path, notes);
    }
    for (path, item) in hidden {
        let Some(parent) = path.parent() else {
            return Err(Error::new("`/` cannot be hidden")
                .origin(&item.origin)
                .hint("use filesystem.root = \"empty\""));
        };
        // Defaults below the hidden path are dropped; paths below it that the profile names stay, and so do files that links
        // of /etc lead to, such as that of /etc/resolv.conf.
        let gone: Vec<_> = items
            .below(&path)
            .filter(|(other, item)| !item.asked && !is_linked_from_etc(other, item))
            .map(|(other, _)| other.to_owned())
            .collect();
        for other in &gone {
            // Only the homes among the defaults are optional: see `root`.
            if *other == facts.home && items.get(other).is_some_and(|item| item.options.optional) {
                notes.push(Note::NoHome(other.clone()));
            }
            items.remove(other);
        }
        let Some((above, cover)) = items.nearest(parent) else { continue };
        let (source, ro) = match &cover.what {
            ItemKind::Bind { source, ro, .. } => (source, ro),
            ItemKind::Tmpfs { .. }
            | ItemKind::Kept { .. }
            | ItemKind::Dir { .. }
            | ItemKind::Link(_)
            | ItemKind::Hidden => continue,
            ItemKind::Layers { lower, ro, without } if above == parent => {
                let mut without = without.clone();
                without.extend(path.file_name().map(OsString::from));
                let what = ItemKind::Layers { lower: lower.clone(), ro: *ro, without };
                let item = Item { what, ..cover.clone() };
                items.insert(parent, item);
                continue;
            }
            ItemKind::Layers { .. } if !item.options.prefer => {
                let message = format!(
                    "{} cannot be hidden: it is not directly in {}, which is an overlay",
                    path.display(),
                    above.display()
                );
                let hint = "use `masked` (there, empty) or `deny` (there, closed), or `prefer` to go on without";
                return Err(Error::new(message).origin(&item.origin).hint(hint));
            }
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
        if let (true, Some(errno)) = (*ro, facts.paths.unlisted(&host_parent)) {
            let message = format!(
                "{} cannot be hidden: the names in {} cannot be read: {errno}",
                path.display(),
                host_parent.display()
            );
            if item.options.prefer {
                notes.push(not_hidden(&path, &item, NotInMode::Cannot(message)));
                items.remove(&path);
                continue;
            }
            let hint = "use `masked` (there, empty) or `deny` (there, closed), or hide the whole directory";
            return Err(Error::new(message).origin(&item.origin).hint(hint));
        }
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
        if listing.len() > MOST_ENTRIES {
            let (dir, count) = (parent.display(), listing.len());
            let message =
                format!("{} cannot be hidden: {dir} has {count} entries, each of which needs a mount", path.display());
            let hint = "use `masked` (there, empty) or `deny` (there, closed), or hide the whole directory";
            return Err(Error::new(message).origin(&item.origin).hint(hint));
        }
        // What comes into an empty directory is not to be seen either.
        if listing.is_empty() && facts.paths.kind(&host_parent) != Some(&Kind::Dir) {
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
