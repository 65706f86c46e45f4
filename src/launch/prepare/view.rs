//! The steps that assemble the view, the filesystem that the program sees.

use super::strings::{cstring, label};
use crate::child::{
    EMPTY_DIR, EMPTY_FILE, Lower, MountSource, Overlay, OwnFile, ProcCover, Scratch, Served, Session, Step, StepAction,
    TargetState, UpperDirs, ViewSteps,
};
use crate::error::{Error, Result};
use crate::plan::{self, Op, Phase, Placed, Plan, UnionPlan, UpperPlace};
use crate::spec::{self, Upper};
use crate::sys;
use crate::union::InUse;
use std::cell::OnceCell;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) fn prepare(plan: &Plan, session: Session, uppers: Option<&InUse>) -> Result<ViewSteps> {
    let union = plan.view.union.as_ref().map(|union| (union, uppers));
    let mut scratch = Vec::new();
    let mut steps = Vec::new();
    // The unions have numbers in this order.
    let mut unions = 0;
    // A step has the index of the plan's operation, so that a failure finds its line.
    for (index, placed) in plan.view.parts.iter().enumerate() {
        steps.push(step(index, placed, &mut scratch, union, &mut unions)?);
    }
    if let Session::Pty(_) = session {
        let devpts = plan.view.parts.iter().find_map(|placed| match &placed.op {
            Op::Devpts { path } => Some(path),
            _ => None,
        });
        let Some(devpts) = devpts else {
            return Err(Error::new("a terminal of its own needs /dev/pts inside, and the profile takes it away")
                .hint("--tty inherit, or --tty none"));
        };
        let console = devpts.parent().unwrap_or(devpts).join("console");
        let seal =
            plan.view.parts.iter().position(|placed| matches!(placed.op, Op::Seal { .. })).unwrap_or(steps.len());
        // Before the seals, behind everything else: it only shifts the indexes of seals, which do not fail for reasons
        // of a profile.
        let act = StepAction::Terminal { console: inside(&console)? };
        steps.insert(seal, Step { path: inside(&devpts.join("ptmx"))?, point: TargetState::There, act, rule: None });
    }
    Ok(ViewSteps {
        untie: !plan.namespaces.user.is_private(),
        scratch,
        steps,
        memory: match &plan.view.memory {
            Some(memory) => Some([number(memory.size)?, number(memory.inodes)?]),
            None => None,
        },
        file_label: label(plan.view.file_label.as_ref())?,
        wait_for_go: plan.wayland.is_some()
            || plan.portal_caller.is_some()
            || [Phase::View, Phase::Demand].iter().any(|phase| plan.helpers_of(*phase).next().is_some()),
        served: match plan.helpers_of(Phase::Overlays).next() {
            None => None,
            Some(_) => {
                let text = |id: u32| cstring(OsStr::new(&id.to_string()));
                let writable = plan.view.parts.iter().any(|placed| matches!(placed.op, Op::Layers { fuse: true, .. }));
                Some(Served { uid: text(plan.namespaces.ids.uid)?, gid: text(plan.namespaces.ids.gid)?, writable })
            }
        },
    })
}

fn number(number: u64) -> Result<CString> {
    cstring(OsStr::new(&number.to_string()))
}

/// The name of the scratch file or directory that is mounted over something masked; it is added if it is not there yet.
fn mask(scratch: &mut Vec<Scratch>, dir: bool, closed: bool) -> CString {
    let (name, mode) = match (dir, closed) {
        (false, false) => (EMPTY_FILE, 0o444),
        (false, true) => (c"closed-file", 0),
        (true, false) => (EMPTY_DIR, 0o555),
        (true, true) => (c"closed-dir", 0),
    };
    if !scratch.iter().any(|made| made.name.as_c_str() == name) {
        scratch.push(Scratch { name: name.to_owned(), mode, data: (!dir).then(Vec::new) });
    }
    name.to_owned()
}

/// The mount of an overlay, with its upper layer where the plan has it.
fn layers(index: usize, op: &Op, union: Option<(&UnionPlan, Option<&InUse>)>) -> Result<MountSource> {
    let Op::Layers { path, lower, served, own, ro, without, points, noexec, .. } = op else {
        return Ok(MountSource::Own);
    };
    let name = |kind: char| cstring(OsStr::new(&format!("{kind}{index}")));
    let mut lower: Vec<_> = match served {
        None => lower.iter().map(|dir| cstring(dir.as_os_str()).map(Lower::Host)).collect::<Result<_>>()?,
        Some(trees) => {
            let name = |tree: &usize| cstring(OsStr::new(&tree.to_string())).map(Lower::Served);
            trees.iter().map(name).collect::<Result<_>>()?
        }
    };
    // The kernel numbers inodes so that they stay the same when a file is copied up.
    let mut options = ",userxattr,xino=on".to_owned();
    let upper = match union {
        _ if *ro => UpperDirs::None,
        Some((UnionPlan { upper: UpperPlace::Memory { size: Some(size) }, .. }, _)) => {
            UpperDirs::Sized { upper: name('u')?, work: name('w')?, size: cstring(OsStr::new(&size.to_string()))? }
        }
        Some((UnionPlan { upper: place, .. }, Some(uppers))) => {
            let layer = uppers.layers.iter().find(|(other, _)| other == path).map(|(_, layer)| layer);
            let layer =
                layer.ok_or_else(|| Error::new(format!("{}: the overlay has no upper layer", path.display())))?;
            for (at, frozen) in layer.frozen.iter().enumerate() {
                lower.insert(at, Lower::Host(cstring(frozen.as_os_str())?));
            }
            if matches!(place, UpperPlace::Disk { .. }) {
                options.push_str(",volatile");
            }
            UpperDirs::Host(cstring(layer.upper.as_os_str())?, cstring(layer.work.as_os_str())?)
        }
        _ => UpperDirs::Memory { upper: name('u')?, work: name('w')?, like: true },
    };
    let in_memory = matches!(upper, UpperDirs::Memory { .. } | UpperDirs::Sized { .. });
    if in_memory {
        options.push_str(",volatile");
    }
    let is_told = union.is_some_and(|(union, _)| union.lost.contains(path));
    let counted = (in_memory && is_told).then(OnceCell::new);
    let noexec = if *noexec { libc::MS_NOEXEC } else { 0 };
    let flags = libc::MS_NOSUID | libc::MS_NODEV | noexec;
    let absent: Vec<_> = without.iter().map(|name| cstring(name)).collect::<Result<_>>()?;
    let without = if absent.is_empty() { None } else { Some((name('h')?, absent)) };
    let file =
        |file: &plan::OwnFile| Ok(OwnFile { path: inside(&file.path)?, mode: file.mode, data: file.data.clone() });
    let files = own.iter().map(file);
    let files = files.collect::<Result<Vec<_>>>()?;
    let own = if files.is_empty() { None } else { Some((name('i')?, files)) };
    let made = points.iter().map(|(path, dir)| Ok((inside(path)?, *dir))).collect::<Result<Vec<_>>>()?;
    let points = if made.is_empty() { None } else { Some((name('k')?, made)) };
    Ok(MountSource::Overlay(Box::new(Overlay {
        lower,
        without,
        own,
        points,
        upper,
        resolved: true,
        flags,
        options: cstring(OsStr::new(&options))?,
        counted,
    })))
}

fn step(
    index: usize,
    placed: &Placed,
    scratch: &mut Vec<Scratch>,
    union: Option<(&UnionPlan, Option<&InUse>)>,
    unions: &mut u64,
) -> Result<Step> {
    let op = &placed.op;
    let path = inside(op.path())?;
    let point = match (placed.ensure, op) {
        (Some(parents), _) => TargetState::Ensure(parents),
        (
            None,
            Op::Bind { make: true, .. }
            | Op::Layers { make: true, .. }
            | Op::Dir { .. }
            | Op::Symlink { .. }
            | Op::File { over: false, .. },
        ) => TargetState::Make,
        (None, _) => TargetState::There,
    };
    let name = |kind: char| cstring(OsStr::new(&format!("{kind}{index}")));
    let act = match op {
        Op::Dir { mode, .. } => StepAction::Dir { mode: *mode },
        Op::Symlink { target, .. } => StepAction::Symlink { target: cstring(target.as_os_str())? },
        Op::File { mode, data, over: true, .. } => {
            let name = name('f')?;
            scratch.push(Scratch { name: name.clone(), mode: *mode, data: Some(data.clone()) });
            StepAction::Mount(MountSource::Scratch(name))
        }
        Op::File { mode, data, .. } => StepAction::File { mode: *mode, data: data.clone() },
        Op::Mask { dir, closed, .. } => StepAction::Mount(MountSource::Scratch(mask(scratch, *dir, *closed))),
        Op::Tmpfs { mode, size: Some(size), attributes, .. } => StepAction::Mount(MountSource::Tmpfs {
            mode: cstring(OsStr::new(&format!("{mode:o}")))?,
            size: cstring(OsStr::new(&size.to_string()))?,
            // bubblewrap leaves the number to the kernel: half of the machine's memory in pages.
            inodes: match placed.ensure {
                Some(_) => None,
                None => Some(cstring(OsStr::new(&plan::inodes(*size).to_string()))?),
            },
            attributes: attributes.bits(),
        }),
        Op::Tmpfs { mode, attributes, .. } => {
            StepAction::Mount(MountSource::Memory { name: name('t')?, mode: *mode, attributes: attributes.bits() })
        }
        Op::Bind { source, attributes, .. } => StepAction::Mount(MountSource::Resolved {
            source: cstring(source.as_os_str())?,
            attributes: attributes.bits(),
        }),
        Op::Proc { masked, root, guard, .. } => {
            if *masked {
                mask(scratch, false, false);
                mask(scratch, true, false);
            }
            StepAction::Mount(MountSource::Proc(match (masked, guard) {
                (true, _) => ProcCover::Masks { root: *root },
                (false, true) => ProcCover::Writable,
                (false, false) => ProcCover::Nothing,
            }))
        }
        Op::Devpts { .. } => StepAction::Mount(MountSource::Devpts),
        Op::Cgroup { ro, .. } => StepAction::Mount(MountSource::Cgroup { ro: *ro }),
        Op::Mqueue { optional, .. } => StepAction::Mount(MountSource::Mqueue { optional: *optional }),
        Op::Seal { .. } => StepAction::Attributes(sys::ATTR_RDONLY),
        Op::Remount { attributes, .. } => StepAction::Attributes(attributes.bits()),
        Op::Chmod { mode, .. } => StepAction::Chmod { mode: *mode },
        // A writable part also receives what the host mounts there later. A read-only one does not: what arrives would
        // be writable.
        Op::Show { source, attributes, optional, tolerant, guard, .. } => StepAction::Mount(match source {
            spec::Source::Path(path) => MountSource::Path {
                source: cstring(path.as_os_str())?,
                attributes: attributes.bits(),
                private: attributes.ro,
                optional: *optional,
                tolerant: *tolerant,
                guard: *guard,
            },
            spec::Source::Descriptor(fd) => {
                MountSource::Descriptor { fd: *fd, attributes: attributes.bits(), private: attributes.ro }
            }
        }),
        Op::Data { mode, fd, mounted: None, .. } => StepAction::Copy { mode: *mode, fd: *fd },
        Op::Data { mode, fd, mounted: Some(attributes), .. } => StepAction::Mount(MountSource::Data {
            name: name('d')?,
            mode: *mode,
            fd: *fd,
            attributes: attributes.bits(),
        }),
        Op::Overlay { lower, upper, .. } => StepAction::Mount(MountSource::Overlay(Box::new(Overlay {
            lower: lower.iter().map(|dir| cstring(dir.as_os_str()).map(Lower::Host)).collect::<Result<_>>()?,
            upper: match upper {
                Upper::None => UpperDirs::None,
                Upper::Memory => UpperDirs::Memory { upper: name('u')?, work: name('w')?, like: false },
                Upper::Host { upper, work } => UpperDirs::Host(cstring(upper.as_os_str())?, cstring(work.as_os_str())?),
            },
            without: None,
            own: None,
            points: None,
            resolved: false,
            flags: libc::MS_NOSUID | libc::MS_NODEV,
            options: c",userxattr".to_owned(),
            counted: None,
        }))),
        Op::Layers { fuse: true, noexec, .. } => {
            let attributes = sys::ATTR_NOSUID | sys::ATTR_NODEV | if *noexec { sys::ATTR_NOEXEC } else { 0 };
            let name = number(*unions)?;
            *unions += 1;
            StepAction::Mount(MountSource::Served { name, attributes })
        }
        Op::Layers { .. } => StepAction::Mount(layers(index, op, union)?),
        Op::Pin { .. } => StepAction::Mount(MountSource::Own),
    };
    Ok(Step { path, point, act, rule: None })
}

/// A path relative to the new root, without empty parts and `.`; `..` stays, since what it leads to depends on links.
fn inside(path: &Path) -> Result<CString> {
    // Most are written so already.
    if let Some(inside) = path.as_os_str().as_bytes().strip_prefix(b"/").filter(|inside| is_plain(inside)) {
        return cstring(OsStr::from_bytes(inside));
    }
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    cstring(OsStr::from_bytes(&parts.collect::<Vec<_>>().join(&b'/')))
}

/// Whether no part of a relative path is empty or begins with a dot.
fn is_plain(path: &[u8]) -> bool {
    let mut before = b'/';
    for byte in path {
        if before == b'/' && matches!(byte, b'/' | b'.') {
            return false;
        }
        before = *byte;
    }
    before != b'/' || path.is_empty()
}
