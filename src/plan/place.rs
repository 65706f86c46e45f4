//! Items → operations in order. How an item is placed depends on the mount that its path lies in: in a tmpfs of the
//! view, mount points can be made; in files of the host, nothing is made.

use super::item::{Item, ItemKind, Items, base};
use super::note::{NotInMode, Note};
use super::tree::{Places, moved, upwards};
use super::{Attributes, Create, IdPlan, Op, OwnFile, Placed, view_server};
use crate::error::{Error, Result};
use crate::host::{Facts, Kind};
use crate::spec::{Namespace, Origin, Sandbox, within};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

mod dev;

/// The operations that make the view, and the directories that must be made on the host before.
#[derive(Default)]
pub(super) struct Placement {
    pub ops: Vec<Placed>,
    pub create: Vec<Create>,
}

/// The mount that the operations so far have put at a path.
#[derive(Clone)]
enum Cover {
    /// A tmpfs of the view, in which files and directories can be made.
    Ours,
    /// A bind mount of the host's `source`.
    Host { source: PathBuf, attributes: Attributes },
    /// An overlay over these directories of the host. Mount points are those that the host has. `served` if it lies over
    /// the view server's filesystem.
    Layers { lower: Vec<PathBuf>, served: bool },
    /// A mount in which nothing can be placed: a masked or closed directory, procfs.
    Closed,
}

/// Places items one by one, a directory before what lies in it.
struct Placer<'a> {
    facts: &'a Facts,
    ids: &'a IdPlan,
    /// The directory of the host in which the view's paths are looked up.
    root: &'a Path,
    /// Whether the program may mount in namespaces of its own.
    mounts: bool,
    /// Whether the FUSE union merges layers that are written to.
    fuse: bool,
    /// Whether the ipc namespace is the caller's.
    shares_ipc: bool,
    /// The message queues are those of another sandbox, over which this one has no right: nobody here can mount them.
    joins_ipc: bool,
    /// Mounts so far, by path.
    covers: Places<Cover>,
    /// Files and directories that the operations so far have made, or that are there to mount on.
    made: Places<Kind>,
    /// Operations that make mounts read-only, which come last.
    seals: Vec<Placed>,
    /// The private home that is kept: what is made below it may be there from an earlier run.
    kept: Option<PathBuf>,
    out: Placement,
}

/// Turns the items into operations. An item with `prefer` that cannot be placed becomes a note.
///
/// # Errors
///
/// Another item cannot be placed.
pub(super) fn place(
    items: Items,
    sandbox: &Sandbox,
    facts: &Facts,
    ids: &IdPlan,
    notes: &mut Vec<Note>,
) -> Result<Placement> {
    let mut placer = Placer {
        facts,
        ids,
        root: base(&sandbox.filesystem.root),
        mounts: sandbox.namespaces.mounts,
        fuse: super::union::is_fuse(sandbox, facts),
        shares_ipc: sandbox.namespaces.share.contains_key(&Namespace::Ipc),
        joins_ipc: sandbox.namespaces.joined.contains_key(&Namespace::Ipc),
        covers: Places::with_capacity(items.len()),
        made: Places::with_capacity(2 * items.len()),
        seals: Vec::new(),
        kept: None,
        out: Placement::default(),
    };
    placer.covers.insert("/", Cover::Ours);
    for (path, item) in items {
        if let Err(error) = placer.item(&path, &item) {
            if item.options.prefer && item.asked {
                let why = NotInMode::Cannot(error.message);
                notes.push(Note::Path { path, mode: item.what.mode(), origin: item.origin, why });
            } else if item.options.optional && !item.asked {
                notes.push(Note::NoHome(path));
            } else {
                return Err(error);
            }
        }
    }
    // Inner mounts first, and the root last.
    placer.seals.reverse();
    placer.out.ops.append(&mut placer.seals);
    if matches!(placer.covers.get(Path::new("/")), Some(Cover::Ours)) {
        placer.out.ops.push(Placed { op: Op::Seal { path: "/".into() }, origin: Origin::default(), ensure: None });
    }
    Ok(placer.out)
}

/// The directory that a path lies in; that of `/` is `/`.
fn directory(path: &Path) -> &Path {
    upwards(path).nth(1).unwrap_or(path)
}

impl Placer<'_> {
    /// The nearest mount at or above a path.
    fn cover<'p>(&self, path: &'p Path) -> (&'p Path, &Cover) {
        self.covers.nearest(path).unwrap_or((Path::new("/"), &Cover::Ours))
    }

    fn push(&mut self, op: Op, origin: &Origin) {
        let kept = self.kept.as_ref().is_some_and(|kept| op.path() != kept && within(op.path(), kept));
        self.out.ops.push(Placed { op, origin: origin.clone(), ensure: kept.then_some(0o755) });
    }

    /// Makes the directories above a path that are missing in a tmpfs of the view.
    fn parents(&mut self, path: &Path, origin: &Origin) {
        let parent = directory(path);
        // The directories above one that was made are there.
        if self.made.contains(parent) {
            return;
        }
        let (above, _) = self.cover(parent);
        let missing: Vec<_> = upwards(path)
            .skip(1)
            .take_while(|dir| dir.as_os_str() != above.as_os_str() && !self.made.contains(dir))
            .map(Path::to_owned)
            .collect();
        for dir in missing.into_iter().rev() {
            self.made.insert(dir.clone(), Kind::Dir);
            self.push(Op::Dir { path: dir, mode: 0o755 }, origin);
        }
    }

    /// Prepares a mount point: makes the directories above it, and gives what is there already; `None` if the caller
    /// has to make the mount point itself.
    ///
    /// # Errors
    ///
    /// Nothing is there, and nothing can be made there.
    fn mount_point(&mut self, path: &Path, item: &Item) -> Result<Option<Kind>> {
        if path.as_os_str() == "/" {
            return Ok(Some(Kind::Dir));
        }
        let (above, cover) = self.cover(directory(path));
        match cover {
            Cover::Ours => {
                self.parents(path, &item.origin);
                Ok(self.made.get(path).cloned())
            }
            Cover::Host { source, .. } => {
                let host = moved(path, above, source);
                match self.facts.paths.kind(&host) {
                    Some(kind) => Ok(Some(kind.clone())),
                    // The profile says `create`: the directory is made on the host before the view is.
                    None if item.options.create
                        && matches!(&item.what, ItemKind::Bind { source, .. } if *source == host) =>
                    {
                        Ok(Some(Kind::Dir))
                    }
                    // Where this run keeps something for the first time, or other programs will, and the program must not see it.
                    None if item.what == ItemKind::Masked
                        && (item.options.create || (!item.asked && self.facts.is_store(&host))) =>
                    {
                        let origin = item.origin.clone();
                        self.out.create.push(Create { path: host, origin });
                        Ok(Some(Kind::Dir))
                    }
                    None => Err(Error::new(format!(
                        "{}: there is no mount point in {}, which is the host's {}, and nothing is made there",
                        path.display(),
                        above.display(),
                        source.display()
                    ))
                    .origin(&item.origin)
                    .hint(format!(
                        "create {} on the host, or make {} a `tmpfs`",
                        host.display(),
                        above.display()
                    ))),
                }
            }
            Cover::Layers { lower, .. } => {
                let hosts = lower.iter().map(|lower| moved(path, above, lower));
                let found = hosts.into_iter().find_map(|host| self.facts.paths.kind(&host)).cloned();
                found.map_or_else(|| self.point(path, item), |kind| Ok(Some(kind)))
            }
            Cover::Closed => {
                Err(Error::new(format!("{}: it lies in {}, where nothing can be put", path.display(), above.display()))
                    .origin(&item.origin)
                    .hint("take one of the two paths out of the profile"))
            }
        }
    }

    /// Has a mount point made below the lower directories of the overlay that a path lies in. Gives what it is.
    ///
    /// # Errors
    ///
    /// The path lies in an overlay that is a plain bind mount.
    fn point(&mut self, path: &Path, item: &Item) -> Result<Option<Kind>> {
        let kind = match &item.what {
            ItemKind::File { .. } => Kind::File,
            ItemKind::Bind { source, .. } => self.facts.paths.kind(source).cloned().unwrap_or(Kind::Dir),
            _ => Kind::Dir,
        };
        for placed in self.out.ops.iter_mut().rev() {
            if let Op::Layers { path: above, points, .. } = &mut placed.op
                && within(path, above)
            {
                points.push((moved(path, above, Path::new("")), kind == Kind::Dir));
                return Ok(Some(kind));
            }
        }
        Err(Error::new(format!("{}: there is no mount point, and nothing is made there", path.display()))
            .origin(&item.origin)
            .hint("create it on the host"))
    }

    /// Whether a path lies in an overlay over the view server's filesystem.
    fn is_served(&self, path: &Path) -> bool {
        matches!(self.cover(path).1, Cover::Layers { served: true, .. })
    }

    /// Adds a file to the view's own layer of the overlay that it lies in. A mount over the host's file could not be
    /// replaced, as programs do that add a user.
    fn own_file(&mut self, path: &Path, mode: u32, data: &[u8]) -> Result<()> {
        for placed in self.out.ops.iter_mut().rev() {
            if let Op::Layers { path: above, own, .. } = &mut placed.op
                && within(path, above)
            {
                own.push(OwnFile { path: moved(path, above, Path::new("")), mode, data: data.to_vec() });
                break;
            }
        }
        Ok(())
    }

    /// Places one item.
    fn item(&mut self, path: &Path, item: &Item) -> Result<()> {
        match &item.what {
            ItemKind::Hidden => Ok(()),
            ItemKind::Dir { mode } => {
                if matches!(self.cover(path).1, Cover::Ours) && !self.made.contains(path) {
                    self.parents(path, &item.origin);
                    self.made.insert(path, Kind::Dir);
                    self.push(Op::Dir { path: path.to_owned(), mode: *mode }, &item.origin);
                }
                Ok(())
            }
            ItemKind::Link(target) => {
                if matches!(self.cover(directory(path)).1, Cover::Ours) && !self.made.contains(path) {
                    self.parents(path, &item.origin);
                    self.made.insert(path, Kind::Link(target.clone()));
                    self.push(Op::Symlink { path: path.to_owned(), target: target.clone() }, &item.origin);
                }
                Ok(())
            }
            ItemKind::File { mode, data } if self.is_served(path) => self.own_file(path, *mode, data),
            ItemKind::File { mode, data } => {
                let over = self.mount_point(path, item)?.is_some();
                self.push(Op::File { path: path.to_owned(), mode: *mode, data: data.clone(), over }, &item.origin);
                Ok(())
            }
            ItemKind::Kept { source } => {
                self.directory(path, item)?;
                let attributes = Attributes { ro: false, nodev: true, noexec: false };
                let (path, source) = (path.to_owned(), source.clone());
                self.covers.insert(path.clone(), Cover::Ours);
                self.kept = Some(path.clone());
                self.push(Op::Bind { source, path, attributes, make: false }, &item.origin);
                Ok(())
            }
            ItemKind::Layers { lower, ro, without } => self.layers(path, item, lower, *ro, without),
            ItemKind::Bind { source, ro, device } => self.bind(path, item, source, *ro, *device),
            ItemKind::Tmpfs { mode, size } => {
                let sealed = item.options.prefer && !item.asked;
                self.tmpfs(path, item, *mode, *size, sealed)
            }
            ItemKind::Masked | ItemKind::Deny => self.close(path, item),
            ItemKind::Proc => {
                self.pin(path, &item.origin);
                self.directory(path, item)?;
                // A procfs with parts covered keeps nested tools from mounting their own (mount_too_revealing in the
                // kernel's fs/namespace.c). Where nesting is allowed, the parts stay as they are for a caller who is
                // not root: their permissions close them to everyone else.
                let root = self.facts.uid == 0;
                let masked = !self.mounts || root;
                self.push(Op::Proc { path: path.to_owned(), masked, root, guard: false }, &item.origin);
                self.covers.insert(path, Cover::Closed);
                Ok(())
            }
            ItemKind::Cgroup { ro } => {
                self.pin(path, &item.origin);
                self.directory(path, item)?;
                self.push(Op::Cgroup { path: path.to_owned(), ro: *ro }, &item.origin);
                self.covers.insert(path, Cover::Closed);
                Ok(())
            }
            ItemKind::Dev => self.dev(path, item),
        }
    }

    /// Binds the directories between a writable mount and what is mounted in it onto themselves, before that: a mount point
    /// cannot be renamed, and moving the directory away would leave what is stricter free under another name.
    fn pin(&mut self, path: &Path, origin: &Origin) {
        if path.as_os_str() == "/" {
            return;
        }
        let parent = directory(path);
        let (above, cover) = self.cover(parent);
        if matches!(cover, Cover::Ours | Cover::Closed) {
            return;
        }
        let (above, cover) = (above.to_owned(), cover.clone());
        let between = || {
            let between = upwards(parent).take_while(|dir| dir.as_os_str() != above.as_os_str());
            between.map(Path::to_owned).collect::<Vec<_>>().into_iter().rev()
        };
        let (source, attributes) = match cover {
            Cover::Host { source, attributes } if !attributes.ro => (source, attributes),
            // The host's directory must not be bound here: what is written to it would not go to the upper layer.
            Cover::Layers { lower, served } => {
                for dir in between() {
                    let lower = lower.iter().map(|lower| moved(&dir, &above, lower)).collect();
                    self.covers.insert(dir.clone(), Cover::Layers { lower, served });
                    self.push(Op::Pin { path: dir }, origin);
                }
                return;
            }
            _ => return,
        };
        for dir in between() {
            let source = moved(&dir, &above, &source);
            self.covers.insert(dir.clone(), Cover::Host { source: source.clone(), attributes });
            self.push(Op::Bind { source, path: dir, attributes, make: false }, origin);
        }
    }

    /// Makes a directory to mount on if there is none, and says whether it did.
    ///
    /// # Errors
    ///
    /// A file is there, or the directory cannot be made.
    fn directory(&mut self, path: &Path, item: &Item) -> Result<bool> {
        let make = match self.mount_point(path, item)? {
            None => true,
            Some(Kind::Dir) => false,
            Some(_) => {
                return Err(Error::new(format!("{}: a directory goes here, and there is a file", path.display()))
                    .origin(&item.origin)
                    .hint("name a directory, or another mode"));
            }
        };
        if make {
            self.made.insert(path, Kind::Dir);
            self.push(Op::Dir { path: path.to_owned(), mode: 0o755 }, &item.origin);
        }
        Ok(make)
    }

    /// Mounts a tmpfs; `sealed` makes it read-only in the end.
    fn tmpfs(&mut self, path: &Path, item: &Item, mode: u32, size: Option<u64>, sealed: bool) -> Result<()> {
        self.pin(path, &item.origin);
        self.directory(path, item)?;
        let attributes = Attributes { ro: false, nodev: true, noexec: item.options.noexec };
        let op = Op::Tmpfs { path: path.to_owned(), mode, size, attributes };
        self.push(op, &item.origin);
        self.covers.insert(path, Cover::Ours);
        if sealed {
            self.seals.push(Placed {
                op: Op::Seal { path: path.to_owned() },
                origin: item.origin.clone(),
                ensure: None,
            });
        }
        Ok(())
    }

    /// Binds a source of the host, unless the mount above shows the same source with the same flags.
    fn bind(&mut self, path: &Path, item: &Item, source: &Path, ro: bool, device: bool) -> Result<()> {
        let attributes = Attributes { ro, nodev: !device, noexec: item.options.noexec };
        if item.options.create {
            self.out.create.push(Create { path: source.to_owned(), origin: item.origin.clone() });
        }
        if let (above, Cover::Host { source: shown, attributes: old }) = self.cover(path)
            && *old == attributes
            && moved(path, above, shown).as_os_str() == source.as_os_str()
        {
            return Ok(());
        }
        // Also where it is as writable as what is above: a part of the same directory that comes later may need the directory
        // bound onto itself, which would cover this one.
        self.pin(path, &item.origin);
        let there = self.mount_point(path, item)?;
        let make = there.is_none();
        self.push(Op::Bind { source: source.to_owned(), path: path.to_owned(), attributes, make }, &item.origin);
        self.made.insert(path, there.unwrap_or_else(|| self.facts.paths.kind(source).cloned().unwrap_or(Kind::Dir)));
        self.covers.insert(path, Cover::Host { source: source.to_owned(), attributes });
        Ok(())
    }

    /// Merges directories of the host.
    fn layers(&mut self, path: &Path, item: &Item, lower: &[PathBuf], ro: bool, without: &[OsString]) -> Result<()> {
        self.pin(path, &item.origin);
        if lower.iter().any(|dir| matches!(self.facts.paths.kind(dir), Some(kind) if *kind != Kind::Dir)) {
            return Err(Error::new(format!("{}: a file cannot be `overlay`", path.display()))
                .origin(&item.origin)
                .hint("make the directory that holds it an overlay; or use `ro`, or `rw`"));
        }
        let make = self.mount_point(path, item)?.is_none();
        let (path, lower, noexec) = (path.to_owned(), lower.to_vec(), item.options.noexec);
        self.made.insert(path.clone(), Kind::Dir);
        // A single directory without an upper layer is a bind mount.
        let bind = ro && without.is_empty() && lower.len() == 1;
        let fuse = self.fuse && !ro;
        let served = !bind && view_server::is_served((self.facts, self.ids, fuse), &lower, ro);
        self.covers.insert(path.clone(), Cover::Layers { lower: lower.clone(), served });
        let op = match lower.as_slice() {
            [source] if bind => {
                let attributes = Attributes { ro: true, nodev: true, noexec };
                Op::Bind { source: source.clone(), path, attributes, make }
            }
            _ => Op::Layers {
                path,
                lower,
                served: served.then(Vec::new),
                fuse,
                ro,
                without: without.to_vec(),
                own: Vec::new(),
                points: Vec::new(),
                noexec,
                make,
            },
        };
        self.push(op, &item.origin);
        Ok(())
    }

    /// Covers a path with an empty mount (`masked`) or one that cannot be opened (`deny`).
    fn close(&mut self, path: &Path, item: &Item) -> Result<()> {
        let closed = item.what == ItemKind::Deny;
        self.pin(path, &item.origin);
        let host = crate::host::below(self.root, path);
        let kind = match self.mount_point(path, item)? {
            Some(kind) => kind,
            None => {
                let kind = self.facts.paths.kind(&host).cloned().unwrap_or(Kind::Dir);
                let (path, origin) = (path.to_owned(), &item.origin);
                match kind {
                    Kind::Dir => self.push(Op::Dir { path, mode: 0o755 }, origin),
                    _ => self.push(Op::File { path, mode: 0o444, data: Vec::new(), over: false }, origin),
                }
                kind
            }
        };
        let path = path.to_owned();
        self.made.insert(path.clone(), kind.clone());
        self.covers.insert(path.clone(), Cover::Closed);
        let op = Op::Mask { path, dir: kind == Kind::Dir, closed };
        self.push(op, &item.origin);
        Ok(())
    }
}
