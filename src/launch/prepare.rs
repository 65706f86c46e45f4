//! Plan → what the child is given, in the form of system calls.

use super::idmap;
use crate::child::{EMPTY_DIR, EMPTY_FILE, Prepared, RootMount, Scratch, Session, Step, Strings};
use crate::error::{Error, Result};
use crate::plan::{Op, Plan};
use crate::spec::Namespace;
use crate::sys;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Directories of the host to assemble the view on. It has to be one that nothing shown comes from.
const STAGES: [&str; 6] = ["/proc", "/sys", "/dev", "/tmp", "/var", "/usr"];

pub(super) fn prepare(plan: &Plan, session: Session) -> Result<Prepared> {
    let stage = stage(plan)?;
    let mut root = RootMount::Tmpfs;
    let mut scratch = Vec::new();
    let mut steps = Vec::new();
    // Steps have the numbers of the plan's operations, so that a failure finds its line.
    for (index, placed) in plan.view.iter().enumerate() {
        if let Op::Bind { source, path, attributes, .. } = &placed.op
            && path == Path::new("/")
        {
            root = RootMount::Bind(cstring(source.as_os_str())?, attributes.bits());
        }
        steps.push(step(index, &placed.op, &mut scratch)?);
    }
    if let Session::Pty(_) = session {
        let devpts = plan.view.iter().find_map(|placed| match &placed.op {
            Op::Devpts { path } => Some(path),
            _ => None,
        });
        let Some(devpts) = devpts else {
            return Err(Error::new("a terminal of its own needs /dev/pts inside, and the profile takes it away")
                .hint("--tty inherit, or --tty none"));
        };
        let console = devpts.parent().unwrap_or(devpts).join("console");
        let seal = plan.view.iter().position(|placed| matches!(placed.op, Op::Seal { .. })).unwrap_or(steps.len());
        // After all that has a number: what comes behind are seals, which do not fail for reasons of a profile.
        steps.insert(seal, Step::Terminal { ptmx: inside(&devpts.join("ptmx"))?, console: inside(&console)? });
    }
    let own_pids = plan.namespaces.contains(&Namespace::Pid);
    let by_launcher = super::maps_by_launcher(&plan.ids.writer);
    let maps = (idmap::text(&plan.ids.uid_map).into_bytes(), idmap::text(&plan.ids.gid_map).into_bytes());
    let umask = sys::umask(0);
    sys::umask(umask);
    let mut keep_fds = plan.keep_fds.clone();
    keep_fds.sort_unstable();
    keep_fds.dedup();
    let env = plan.env.iter().map(|(name, value)| cstring(OsStr::new(&format!("{name}={value}"))));
    Ok(Prepared {
        wait_for_launcher: by_launcher || !plan.create.is_empty(),
        maps: (!by_launcher).then_some(maps),
        drop_groups: plan.ids.drop_groups,
        hostname: plan.hostname.as_deref().map(|name| cstring(OsStr::new(name))).transpose()?,
        loopback: plan.loopback,
        deny_nested: !plan.nested,
        stage,
        root,
        scratch,
        steps,
        wait_for_go: plan.bus_proxy.is_some(),
        own_pids,
        as_pid_1: plan.as_pid_1,
        session,
        keep_fds,
        rlimits: plan
            .rlimits
            .iter()
            .filter_map(|limit| Some((resource(limit.name)?, limit.soft, limit.hard)))
            .collect(),
        cwd: plan.cwd.iter().map(|dir| cstring(dir.as_os_str())).collect::<Result<_>>()?,
        programs: programs(plan)?,
        args: Strings::new(plan.args.iter().map(|arg| cstring(arg)).collect::<Result<_>>()?),
        env: Strings::new(env.collect::<Result<_>>()?),
        seccomp: plan.seccomp.clone(),
        umask,
    })
}

fn stage(plan: &Plan) -> Result<CString> {
    let sources: Vec<&Path> = plan
        .view
        .iter()
        .filter_map(|placed| match &placed.op {
            // A root by bind is copied before the stage is used.
            Op::Bind { source, path, .. } if path != Path::new("/") => Some(source.as_path()),
            _ => None,
        })
        .collect();
    let free = |stage: &&&str| {
        let path = Path::new(stage);
        path.is_dir() && !sources.iter().any(|source| source.starts_with(path) || path.starts_with(source))
    };
    // The devices come from /dev one by one, which makes it no stage; all of /proc, /sys, /tmp and so on being shown is rare.
    match STAGES.iter().find(free) {
        Some(stage) => cstring(OsStr::new(stage)),
        None => Err(Error::new(format!("the profile shows parts of each of {} at once", STAGES.join(", ")))
            .hint("show less of them; one is needed to assemble the view on")),
    }
}

/// The name of what is laid over something masked; it is made if it is not there yet.
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

fn step(index: usize, op: &Op, scratch: &mut Vec<Scratch>) -> Result<Step> {
    let path = inside(op.path())?;
    Ok(match op {
        Op::Dir { mode, .. } => Step::Dir { path, mode: *mode },
        Op::Symlink { target, .. } => Step::Symlink { path, target: cstring(target.as_os_str())? },
        Op::File { mode, data, over: true, .. } => {
            let name = cstring(OsStr::new(&format!("f{index}")))?;
            scratch.push(Scratch { name: name.clone(), mode: *mode, data: Some(data.clone()) });
            Step::Cover { scratch: name, path }
        }
        Op::File { mode, data, .. } => Step::File { path, mode: *mode, data: data.clone() },
        Op::Mask { dir, closed, .. } => Step::Cover { scratch: mask(scratch, *dir, *closed), path },
        Op::Tmpfs { mode, size: Some(size), attributes, .. } => Step::Tmpfs {
            path,
            mode: cstring(OsStr::new(&format!("{mode:o}")))?,
            size: cstring(OsStr::new(&size.to_string()))?,
            attributes: attributes.bits(),
        },
        Op::Tmpfs { mode, attributes, .. } => {
            let name = cstring(OsStr::new(&format!("t{index}")))?;
            Step::Memory { path, name, mode: *mode, attributes: attributes.bits() }
        }
        // The root itself: already there when steps are run.
        Op::Bind { .. } if path.is_empty() => Step::Dir { path: cstring(OsStr::new("."))?, mode: 0o755 },
        Op::Bind { source, attributes, make, .. } => {
            Step::Bind { source: cstring(source.as_os_str())?, path, attributes: attributes.bits(), make: *make }
        }
        Op::Proc { masked, .. } => {
            if *masked {
                mask(scratch, false, false);
                mask(scratch, true, false);
            }
            Step::Proc { path, masked: *masked }
        }
        Op::Devpts { .. } => Step::Devpts { path },
        Op::Seal { .. } => Step::Seal { path },
    })
}

/// Relative to the new root.
fn inside(path: &Path) -> Result<CString> {
    cstring(path.strip_prefix("/").unwrap_or(path).as_os_str())
}

fn cstring(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::new(format!("{text:?} holds a NUL byte")))
}

/// Where execvp(3) would look, by the PATH of the program's own environment.
fn programs(plan: &Plan) -> Result<Vec<CString>> {
    let Some(name) = plan.args.first() else { return Ok(Vec::new()) };
    if name.is_empty() {
        return Err(Error::new("the program's name is empty").status(crate::exit::NOT_FOUND));
    }
    if name.as_bytes().contains(&b'/') {
        return Ok(vec![cstring(name)?]);
    }
    let path = plan.env.get("PATH").map_or("/usr/bin:/bin", String::as_str);
    path.split(':')
        .map(|dir| if dir.is_empty() { "." } else { dir })
        .map(|dir| cstring(Path::new(dir).join(name).as_os_str()))
        .collect()
}

fn resource(name: &str) -> Option<u32> {
    sys::RLIMITS.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource)
}
