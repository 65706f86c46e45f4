//! Plans the view: what the program sees of the filesystem, in the order in which it is made.

use super::exclusive::{self, ExclusivePlan};
use super::home::HomePlan;
use super::lines::{Lines, from};
use super::note::Note;
use super::op::Attributes;
use super::parts::{Absent, Closed, Create, Placed};
use super::tree::upwards;
use super::union::{self, UnionPlan};
use super::{
    HelperSpec, IdPlan, MemoryPlan, Op, WaylandPlan, arguments, desktop, env, git_identity, item, items, job_server,
    memory, ordered, place,
};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Root, Sandbox, Watched};
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Everything that is made for the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewPlan {
    /// Directories that are made on the host first, for paths with `create`.
    pub create: Vec<Create>,
    /// The parts of the view, in the order in which they are made.
    #[serde(rename = "view")]
    pub parts: Vec<Placed>,
    /// The private home that is kept; none if the home is in memory, or shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<HomePlan>,
    /// What is locked while the sandbox lives; none if no path is for one sandbox at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<ExclusivePlan>,
    /// Where changes in overlays go; none if there are no overlays that take any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub union: Option<UnionPlan>,
    /// How much the view's filesystems in memory may hold; none if that is left to the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryPlan>,
    /// SELinux context of the filesystems that are made for the view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_label: Option<String>,
    /// Optional masks that are left out, since nothing has to be hidden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Closed>,
    /// Paths that are to be read-only in a writable directory, and are not there yet. If one is there when the program
    /// has ended, the user is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
    /// Directories of the host of which the user is told at the end what has changed in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Watched>,
    /// Directories of the host with names that have no part here since they are not there, and that the program can make.
    #[serde(skip)]
    pub unseen: Vec<PathBuf>,
}

/// The view, with the environment and the helpers that are planned along with it.
pub(super) struct Planned {
    pub view: ViewPlan,
    /// The program's environment.
    pub env: Vec<(OsString, OsString)>,
    pub wayland: Option<WaylandPlan>,
    pub helpers: Vec<HelperSpec>,
}

/// Decides what the program sees.
///
/// # Errors
///
/// The profile's paths, devices or services cannot be had on this host, or contradict each other.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts, ids: &IdPlan, notes: &mut Vec<Note>) -> Result<Planned> {
    let (mut closed, mut absent, mut unseen, mut home, mut exclusive) =
        (Vec::new(), Vec::new(), Vec::new(), None, None);
    let (env, mut placed, wayland, mut helpers) = if sandbox.filesystem.root == Root::Bare {
        let env = sandbox.process.environment.clone().unwrap_or_default();
        (env, ordered::place(sandbox, facts)?, None, Vec::new())
    } else {
        let mut env = env::plan(sandbox, facts);
        job_server::settle(sandbox, &mut env, notes);
        let desktop = desktop::plan(sandbox, facts, &mut env, notes)?;
        let (mut items, kept) = items::collect(sandbox, facts, ids, desktop.items, notes, &mut closed, &mut absent)?;
        home = kept;
        unseen = items::unseen(&items, sandbox);
        exclusive = exclusive::plan(&items, sandbox, facts)?;
        arguments::collect(&mut items, sandbox, facts, notes);
        git_identity::add(&mut items, sandbox, facts, notes);
        desktop.wayland.iter().try_for_each(|wayland| made_inside(&items, &wayland.socket))?;
        let made = desktop.helpers.iter().flat_map(HelperSpec::sockets);
        made.into_iter().try_for_each(|socket| made_inside(&items, socket))?;
        let placed = place::place(items, sandbox, facts, ids, notes)?;
        let env = env::whole(sandbox, facts, env);
        (env, placed, desktop.wayland, desktop.helpers)
    };
    let (union, server) = union::plan(sandbox, facts, ids, &mut placed.ops, notes)?;
    helpers.extend(server);
    let memory = memory::plan(sandbox, facts, &placed.ops)?;
    let file_label = sandbox.security.file_label.clone();
    Ok(Planned {
        view: ViewPlan {
            create: placed.create,
            parts: placed.ops,
            home,
            exclusive,
            union,
            memory,
            file_label,
            closed,
            absent,
            watched: sandbox.filesystem.watched.clone(),
            unseen,
        },
        env,
        wayland,
        helpers,
    })
}

/// Checks that a socket which is made once the view is complete lies in the view's own memory: in a directory of the
/// host, it would be made there, and be left.
fn made_inside(items: &item::Items, socket: &Path) -> Result<()> {
    // A directory that the view makes for it is not made in one of the host.
    let mut around = upwards(socket).filter_map(|above| Some((above, items.get(above)?)));
    match around.find(|(_, item)| !matches!(item.what, item::ItemKind::Dir { .. })) {
        Some((above, item)) if matches!(item.what, item::ItemKind::Bind { .. } | item::ItemKind::Layers { .. }) => {
            let message = format!("{} shows the host's files where {} is made", above.display(), socket.display());
            Err(Error::new(message)
                .origin(&item.origin)
                .hint("leave that directory out: what the profile's services need of it is shown anyway"))
        }
        _ => Ok(()),
    }
}

impl ViewPlan {
    /// The overlays of which a line at the end says that changes were discarded.
    pub fn lost(&self) -> &[PathBuf] {
        self.union.as_ref().map_or(&[], |union| union.lost.as_slice())
    }

    pub(super) fn render(&self, lines: &mut Lines) {
        for create in &self.create {
            lines.add("create", format!("{} on the host{}", create.path.display(), from(&create.origin)));
        }
        for placed in &self.parts {
            let (label, value) = op(&placed.op);
            lines.add(label, format!("{value}{}", from(&placed.origin)));
        }
        if let Some(home) = &self.home {
            home.render(lines);
        }
        if let Some(exclusive) = &self.exclusive {
            exclusive.render(lines);
        }
        if let Some(union) = &self.union {
            union.render(lines);
        }
        if let Some(memory) = &self.memory {
            memory.render(lines);
        }
    }

    /// Adds lines for the paths that need no mask, and for those that are not there to be made read-only.
    pub(super) fn render_closed(&self, lines: &mut Lines) {
        for closed in &self.closed {
            lines.add("closed", format!("{}: {}", closed.path.display(), closed.why));
        }
        let made = "not there to be made read-only; a note at the end says if the program has made it";
        let seen =
            "not there to be hidden; what is made there while the program runs is seen, and a note at the end says so";
        for (hides, what) in [(false, made), (true, seen)] {
            let mut absent = self.absent.iter().filter(|absent| absent.hides.is_some() == hides);
            let Some(first) = absent.next() else { continue };
            let more = match absent.count() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            lines.add("absent", format!("{}{more}: {what}{}", first.path.display(), from(&first.origin)));
        }
        for Watched { path, variable, .. } in &self.watched {
            let what = "a note at the end says what is new or changed in it";
            lines.add("watched", format!("{}: {variable} outside names it; {what}", path.display()));
        }
    }
}

/// A mount's flags as words.
fn flags(attributes: Attributes) -> String {
    let mut words = vec![if attributes.ro { "ro" } else { "rw" }, "nosuid"];
    if attributes.nodev {
        words.push("nodev");
    }
    if attributes.noexec {
        words.push("noexec");
    }
    words.join(",")
}

/// The label and the text of an operation in a plan.
fn op(op: &Op) -> (&'static str, String) {
    let path = op.path().display();
    match op {
        Op::Dir { mode, .. } => ("dir", format!("{path} {mode:04o}")),
        Op::Symlink { target, .. } => ("symlink", format!("{path} → {}", target.display())),
        Op::File { mode, data, over, .. } => {
            let how = if *over { " over the host's" } else { "" };
            ("file", format!("{path} {mode:04o}, {} bytes{how}", data.len()))
        }
        Op::Tmpfs { mode, size, attributes, .. } => {
            let size = size.map_or(String::new(), |size| format!(", {size} bytes"));
            ("tmpfs", format!("{path} {mode:04o} {}{size}", flags(*attributes)))
        }
        Op::Bind { source, attributes, .. } => {
            ("bind", format!("{path} ← {} {}", source.display(), flags(*attributes)))
        }
        Op::Layers { lower, served, fuse, ro, noexec, without, own, .. } => {
            let lower: Vec<_> = lower.iter().map(|dir| dir.display().to_string()).collect();
            let without: String = without.iter().map(|name| format!(", without {}", name.display())).collect();
            let attributes = Attributes { ro: *ro, nodev: true, noexec: *noexec };
            let served = match served {
                Some(_) if *fuse => ", by the union server",
                Some(_) => ", through the view server",
                None => "",
            };
            let own: Vec<_> = own.iter().map(|file| file.path.display().to_string()).collect();
            let own = if own.is_empty() { String::new() } else { format!(", with its own {}", own.join(" ")) };
            ("overlay", format!("{path} ← {} {}{without}{served}{own}", lower.join(" over "), flags(attributes)))
        }
        Op::Pin { .. } => ("pin", format!("{path} onto itself")),
        Op::Mask { dir, closed, .. } => {
            let what = if *dir { "directory" } else { "file" };
            ("mask", format!("{path} {} {what}", if *closed { "closed" } else { "empty" }))
        }
        Op::Proc { masked, root, .. } => {
            let masked = if *masked { ", masked and read-only parts as in the OCI's list" } else { "" };
            ("proc", format!("{path}{masked}{}", if *root { ", and what root alone may open" } else { "" }))
        }
        Op::Devpts { .. } => ("devpts", format!("{path}, a new instance")),
        Op::Show { source, attributes, .. } => {
            let source = match source {
                crate::spec::Source::Path(source) => source.display().to_string(),
                crate::spec::Source::Descriptor(fd) => format!("descriptor {fd}"),
            };
            ("bind", format!("{path} ← {source} {}", flags(*attributes)))
        }
        Op::Overlay { lower, .. } => {
            let lower: Vec<_> = lower.iter().map(|dir| dir.display().to_string()).collect();
            ("overlay", format!("{path} ← {}", lower.join(" over ")))
        }
        Op::Cgroup { ro, .. } => ("cgroup2", format!("{path}{}", if *ro { " ro" } else { "" })),
        Op::Mqueue { .. } => ("mqueue", path.to_string()),
        Op::Data { mode, fd, .. } => ("file", format!("{path} {mode:04o}, from descriptor {fd}")),
        Op::Remount { attributes, .. } => ("remount", format!("{path} {}", flags(*attributes))),
        Op::Chmod { mode, .. } => ("chmod", format!("{path} {mode:04o}")),
        Op::Seal { .. } => ("seal", format!("{path} read-only")),
    }
}
