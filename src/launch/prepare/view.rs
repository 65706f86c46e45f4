//! The steps that assemble the view, the filesystem that the program sees.

use super::strings::{cstring, label};
use crate::child::{
    EMPTY_DIR, EMPTY_FILE, MountSource, ProcCover, Scratch, Session, Step, StepAction, TargetState, ViewSteps,
};
use crate::error::{Error, Result};
use crate::plan::{Op, Phase, Placed, Plan};
use crate::spec::{self, Upper};
use crate::sys;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) fn prepare(plan: &Plan, session: Session) -> Result<ViewSteps> {
    let mut scratch = Vec::new();
    let mut steps = Vec::new();
    // A step has the index of the plan's operation, so that a failure finds its line.
    for (index, placed) in plan.view.parts.iter().enumerate() {
        steps.push(step(index, placed, &mut scratch)?);
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
        steps.insert(seal, Step { path: inside(&devpts.join("ptmx"))?, point: TargetState::There, act });
    }
    Ok(ViewSteps {
        untie: !plan.namespaces.user.is_private(),
        scratch,
        steps,
        file_label: label(plan.view.file_label.as_ref())?,
        wait_for_go: plan.wayland.is_some()
            || plan.portal_caller.is_some()
            || [Phase::View, Phase::Demand].iter().any(|phase| plan.helpers_of(*phase).next().is_some()),
    })
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

fn step(index: usize, placed: &Placed, scratch: &mut Vec<Scratch>) -> Result<Step> {
    let op = &placed.op;
    let path = inside(op.path())?;
    let point = match (placed.ensure, op) {
        (Some(parents), _) => TargetState::Ensure(parents),
        (None, Op::Bind { make: true, .. } | Op::Dir { .. } | Op::Symlink { .. } | Op::File { over: false, .. }) => {
            TargetState::Make
        }
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
        Op::Overlay { lower, upper, .. } => StepAction::Mount(MountSource::Overlay {
            lower: lower.iter().map(|dir| cstring(dir.as_os_str())).collect::<Result<_>>()?,
            memory: *upper == Upper::Memory,
            upper: match upper {
                Upper::None => None,
                Upper::Memory => Some((name('u')?, name('w')?)),
                Upper::Host { upper, work } => Some((cstring(upper.as_os_str())?, cstring(work.as_os_str())?)),
            },
        }),
    };
    Ok(Step { path, point, act })
}

/// A path relative to the new root, without empty parts and `.`; `..` stays, since what it leads to depends on links.
fn inside(path: &Path) -> Result<CString> {
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    cstring(OsStr::from_bytes(&parts.collect::<Vec<_>>().join(&b'/')))
}
