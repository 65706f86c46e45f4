//! Operations of a bare root, in the order of bubblewrap's options. What exists when each is carried out is known only
//! then, so little is decided here.

use super::{Attributes, Op, Placed, place::Placement};
use crate::error::{Cause, Error, Part, Result};
use crate::host::{DEVICES, Facts};
use crate::spec::{Access, Make, Mount, Namespace, Sandbox, Source};
use crate::sys::Errno;
use std::path::{Path, PathBuf};

/// Turns the mounts of a bare root into operations, in their order.
///
/// # Errors
///
/// A source on the host does not exist.
pub(super) fn place(sandbox: &Sandbox, facts: &Facts) -> Result<Placement> {
    let own_pids = !sandbox.namespaces.share.contains_key(&Namespace::Pid) || sandbox.namespaces.pid.is_some();
    let mut ordered = Ordered { facts, own_pids, out: Vec::new() };
    for (index, mount) in sandbox.filesystem.mounts.iter().enumerate() {
        ordered.mount(index, mount)?;
    }
    Ok(Placement { ops: ordered.out, ..Placement::default() })
}

/// How a source of the host is shown; the fields are those of [`Op::Show`].
struct Show {
    access: Access,
    optional: bool,
    tolerant: bool,
    guard: bool,
}

impl Show {
    fn plain(access: Access) -> Show {
        Show { access, optional: false, tolerant: false, guard: false }
    }
}

/// Collects the operations.
struct Ordered<'a> {
    facts: &'a Facts,
    /// Whether the sandbox has a pid namespace other than the caller's.
    own_pids: bool,
    out: Vec<Placed>,
}

impl Ordered<'_> {
    fn push(&mut self, mount: &Mount, op: Op) {
        self.out.push(Placed { op, origin: mount.origin.clone(), ensure: Some(mount.parents) });
    }

    /// Checks that a source exists. If it is missing now, it is missing when it would be mounted; an error this early
    /// leaves nothing behind.
    fn there(&self, index: usize, mount: &Mount, source: &Path) -> Result<()> {
        let Some(errno) = self.facts.absent.get(source) else { return Ok(()) };
        let message = format!("{}: {errno}", source.display());
        let option = mount.origin.0.split(' ').next().unwrap_or_default();
        let hint = match mount.what {
            Make::Bind { .. } => format!("create it, or use {option}-try if it may be absent"),
            _ => "create it, or leave it out".into(),
        };
        Err(Error::new(message).origin(&mount.origin).hint(hint).cause(Cause {
            part: Part::Source(index),
            call: "stat",
            errno: *errno,
            found: None,
        }))
    }

    fn mount(&mut self, index: usize, mount: &Mount) -> Result<()> {
        let path = mount.dest.clone();
        let memory = Attributes { ro: false, nodev: true, noexec: false };
        match &mount.what {
            Make::Bind { source, access, optional, tolerant } => {
                if let Source::Path(source) = source {
                    match self.facts.absent.get(source) {
                        // Decided now: a path such as /proc/self/fd/NUMBER may name a descriptor of sbx's own later.
                        Some(Errno(libc::ENOENT)) if *optional => return Ok(()),
                        _ => self.there(index, mount, source)?,
                    }
                }
                let show = Show { access: *access, optional: *optional, tolerant: *tolerant, guard: false };
                self.show(mount, source.clone(), path, show);
            }
            Make::RemountReadOnly => {
                let attributes = Attributes { ro: true, nodev: true, noexec: false };
                self.push(mount, Op::Remount { path, attributes });
            }
            Make::Overlay { lower, upper } => {
                lower.iter().try_for_each(|dir| self.there(index, mount, dir))?;
                if let crate::spec::Upper::Host { upper, work } = upper {
                    [upper, work].into_iter().try_for_each(|dir| self.there(index, mount, dir))?;
                }
                self.push(mount, Op::Overlay { path, lower: lower.clone(), upper: upper.clone() });
            }
            Make::Proc => match self.own_pids {
                true => self.push(mount, Op::Proc { path, masked: false, root: false, guard: true }),
                false => {
                    let show = Show { guard: true, ..Show::plain(Access::Writable) };
                    self.show(mount, Source::Path("/proc".into()), path, show);
                }
            },
            Make::Dev { console } => self.dev(mount, &path, console.as_deref()),
            Make::Tmpfs { mode, size } => {
                self.push(mount, Op::Tmpfs { path, mode: *mode, size: *size, attributes: memory });
            }
            Make::Mqueue => self.push(mount, Op::Mqueue { path, optional: false }),
            Make::Dir { mode } => self.push(mount, Op::Dir { path, mode: *mode }),
            Make::File { fd, mode } => self.push(mount, Op::Data { path, mode: *mode, fd: *fd, mounted: None }),
            Make::BindData { fd, mode, read_only } => {
                let mounted = Some(Attributes { ro: *read_only, ..memory });
                self.push(mount, Op::Data { path, mode: *mode, fd: *fd, mounted });
            }
            Make::Content { data, mode } => {
                self.push(mount, Op::File { path, mode: *mode, data: data.clone(), over: false });
            }
            Make::Symlink { target } => self.push(mount, Op::Symlink { path, target: target.clone() }),
            Make::Chmod { mode } => self.push(mount, Op::Chmod { path, mode: *mode }),
        }
        Ok(())
    }

    /// Adds a bind mount.
    fn show(&mut self, mount: &Mount, source: Source, path: PathBuf, show: Show) {
        let Show { access, optional, tolerant, guard } = show;
        let attributes = Attributes { ro: access == Access::ReadOnly, nodev: access != Access::Devices, noexec: false };
        self.push(mount, Op::Show { source, path, attributes, optional, tolerant, guard });
    }

    /// A minimal /dev: the devices that every program may expect, devpts, a directory for shared memory.
    fn dev(&mut self, mount: &Mount, path: &Path, console: Option<&Path>) {
        let memory = Attributes { ro: false, nodev: true, noexec: false };
        self.push(mount, Op::Tmpfs { path: path.to_owned(), mode: 0o755, size: None, attributes: memory });
        for name in DEVICES {
            let source = Source::Path(Path::new("/dev").join(name));
            self.show(mount, source, path.join(name), Show::plain(Access::Devices));
        }
        let links = [
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("fd", "/proc/self/fd"),
            ("core", "/proc/kcore"),
        ];
        for (name, target) in links {
            self.push(mount, Op::Symlink { path: path.join(name), target: target.into() });
        }
        self.push(mount, Op::Dir { path: path.join("shm"), mode: 0o755 });
        self.push(mount, Op::Devpts { path: path.join("pts") });
        self.push(mount, Op::Symlink { path: path.join("ptmx"), target: "pts/ptmx".into() });
        if let Some(console) = console {
            let source = Source::Path(console.to_owned());
            self.show(mount, source, path.join("console"), Show::plain(Access::Devices));
        }
    }
}
