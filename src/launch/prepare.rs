//! Plan → what the child is given, in the form of system calls.

use super::idmap;
use crate::child::{
    self, Act, Capabilities, EMPTY_DIR, EMPTY_FILE, Handover, Landlock, Point, Prepared, Scratch, Session, Source,
    Step, Strings,
};
use crate::error::{Error, Result};
use crate::plan::{Extent, Op, Phase, Placed, Plan, Writer};
use crate::spec::{self, Descriptors, Namespace, Upper, UserNamespace};
use crate::sys;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// In a namespace that was joined, the caller's ids are already what its maps make of them; only others are changed to.
fn switch_ids(plan: &Plan) -> Option<(Option<u32>, Option<u32>)> {
    let UserNamespace::Join(_) = plan.namespaces.user else { return None };
    let (uid, gid) = sys::ids();
    let other = |id: u32, own: u32| (id != own).then_some(id);
    Some((other(plan.namespaces.ids.uid, uid), other(plan.namespaces.ids.gid, gid))).filter(|ids| *ids != (None, None))
}

/// What is not the plan's: the state of the process that carries it out, and of its caller.
pub(super) struct CallerState {
    /// The caller ignores SIGPIPE, and so is the program to do.
    pub ignores_sigpipe: bool,
    /// Somebody is told of the first process while that waits in its namespaces.
    pub wants_child: bool,
    /// A pidfd of the process that the sandbox ends with, or -1.
    pub caller: i32,
}

pub(super) fn prepare(plan: &Plan, session: Session, state: CallerState) -> Result<Prepared> {
    let CallerState { ignores_sigpipe, wants_child, caller } = state;
    let mut scratch = Vec::new();
    let mut steps = Vec::new();
    // Steps have the numbers of the plan's operations, so that a failure finds its line.
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
        // After all that has a number: what comes behind are seals, which do not fail for reasons of a profile.
        let act = Act::Terminal { console: inside(&console)? };
        steps.insert(seal, Step { path: inside(&devpts.join("ptmx"))?, point: Point::There, act });
    }
    let maps = |uid: &[Extent], gid: &[Extent]| (idmap::text(uid).into_bytes(), idmap::text(gid).into_bytes());
    let same = |id: u32| [Extent { inside: id, outside: id, count: 1 }];
    let by_launcher = matches!(plan.namespaces.ids.writer, Writer::Launcher | Writer::Helpers { .. });
    let by_child = plan.namespaces.ids.writer == Writer::Child;
    let wait_for_launcher = by_launcher
        || wants_child
        || !plan.view.create.is_empty()
        || plan.helpers_of(Phase::Namespaces).next().is_some();
    let umask = sys::umask(0);
    sys::umask(umask);
    let (only_fds, drop_fds) = match &plan.process.descriptors {
        Descriptors::Only(fds) => {
            let mut fds = fds.clone();
            fds.sort_unstable();
            fds.dedup();
            (Some(fds), Vec::new())
        }
        Descriptors::AllBut(fds) => (None, fds.clone()),
    };
    let mut held = Vec::with_capacity(plan.process.sync_fds.len() + plan.process.lock_files.len() + 3);
    held.extend(&plan.process.sync_fds);
    let label = |label: &Option<String>| label.as_ref().map(|label| cstring(OsStr::new(label))).transpose();
    let path = |path: &std::path::PathBuf| cstring(path.as_os_str());
    Ok(Prepared {
        switch_ids: switch_ids(plan),
        wait_for_launcher,
        // Where others are told of the first process before it has assembled the view, they may look at its network at once.
        network_beside: plan.namespaces.private.contains(&Namespace::Net)
            && plan.namespaces.user.is_private()
            && plan.namespaces.pid_join.is_none()
            && plan.process.block_fd.is_none()
            && !wait_for_launcher,
        maps: by_child.then(|| maps(&plan.namespaces.ids.uid_map, &plan.namespaces.ids.gid_map)),
        drop_groups: plan.namespaces.ids.drop_groups,
        hostname: plan.namespaces.hostname.as_deref().map(|name| cstring(OsStr::new(name))).transpose()?,
        loopback: plan.namespaces.loopback,
        limit_nested: match (plan.namespaces.nested, plan.namespaces.second_user_namespace) {
            (true, _) => None,
            (false, false) => Some(b"0"),
            (false, true) => Some(b"1"),
        },
        untie: !plan.namespaces.user.is_private(),
        scratch,
        steps,
        file_label: label(&plan.view.file_label)?,
        wait_for_go: plan.helpers_of(Phase::View).next().is_some(),
        join_last: plan.namespaces.user_last,
        inner: plan
            .namespaces
            .second_user_namespace
            .then(|| maps(&same(plan.namespaces.ids.uid), &same(plan.namespaces.ids.gid))),
        try_nested: plan.namespaces.nested_tried,
        new_cgroup_namespace: plan.resources.cgroup.is_some() && plan.namespaces.private.contains(&Namespace::Cgroup),
        cgroup_leaf: std::cell::Cell::new(None),
        own_pids: plan.namespaces.private.contains(&Namespace::Pid),
        init: plan.process.init,
        visible: plan.lockdown.visible,
        alone: plan.namespaces.user.is_private(),
        guard: std::cell::Cell::new(0),
        caller,
        session,
        only_fds,
        drop_fds,
        sync_fds: plan.process.sync_fds.clone(),
        lock_files: plan.process.lock_files.iter().map(path).collect::<Result<_>>()?,
        held: std::cell::Cell::new(held),
        block_fd: plan.process.block_fd,
        rlimits: plan
            .resources
            .rlimits
            .iter()
            .filter_map(|limit| Some((resource(limit.name)?, limit.soft, limit.hard)))
            .collect(),
        cwd: plan.process.cwd.iter().map(path).collect::<Result<_>>()?,
        program_fd: plan.process.program_fd,
        args: Strings::new(plan.process.args.iter().map(|arg| cstring(arg)).collect::<Result<_>>()?),
        shell: if plan.process.shell { Some(shell(plan)?) } else { None },
        handover: if plan.lockdown.handover { handover(plan)? } else { None },
        programs: programs(plan)?,
        env: environment(plan)?,
        own_keyring: plan.lockdown.own_keyring,
        capabilities: Capabilities {
            bounding: plan.lockdown.capabilities.bounding,
            sets: plan.lockdown.capabilities.sets,
            ambient: plan.lockdown.capabilities.ambient,
            powerless_root: plan.lockdown.capabilities.powerless_root,
        },
        landlock: landlock(plan)?,
        filters_for_all: plan.lockdown.seccomp_for_all.clone(),
        filters: plan.lockdown.seccomp.clone(),
        exec_label: label(&plan.lockdown.exec_label)?,
        umask,
        ignores_sigpipe,
        #[cfg(feature = "guards-off")]
        off: Vec::new(),
    })
}

fn landlock(plan: &Plan) -> Result<Option<Landlock>> {
    let Ok(wanted) = &plan.lockdown.landlock else { return Ok(None) };
    let kept = match &plan.process.descriptors {
        Descriptors::Only(fds) => fds.as_slice(),
        Descriptors::AllBut(_) => &[],
    };
    let rule = |(path, rights): &(std::path::PathBuf, u64)| Ok((cstring(path.as_os_str())?, *rights));
    Ok(Some(Landlock {
        rights: wanted.rights,
        scoped: wanted.scoped,
        rules: wanted.rules.iter().map(rule).collect::<Result<_>>()?,
        descriptors: [0, 1, 2].into_iter().chain(kept.iter().copied()).collect(),
    }))
}

/// With PWD, there is a list for each directory that the program may start in.
fn environment(plan: &Plan) -> Result<Strings> {
    let line = |name: &OsStr, value: &OsStr| {
        let mut line = OsString::from(name);
        line.push("=");
        line.push(value);
        cstring(&line)
    };
    let mut env = plan.process.env.iter().map(|(name, value)| line(name, value)).collect::<Result<Vec<_>>>()?;
    if !plan.process.pwd {
        return Ok(Strings::new(env));
    }
    let at = plan.process.env.iter().position(|(name, _)| name == "PWD").unwrap_or(env.len());
    if at == env.len() {
        env.push(c"PWD=".to_owned());
    }
    let variants =
        plan.process.cwd.iter().map(|dir| line(OsStr::new("PWD"), dir.as_os_str())).collect::<Result<_>>()?;
    Ok(Strings::with_variants(env, at, variants))
}

/// `/bin/sh PATH ARGUMENT...`, for each path where the program may be.
fn shell(plan: &Plan) -> Result<Strings> {
    let mut args = vec![c"/bin/sh".to_owned(), c"".to_owned()];
    for arg in plan.process.args.iter().skip(1) {
        args.push(cstring(arg)?);
    }
    Ok(Strings::with_variants(args, 1, programs(plan)?))
}

/// Where our own file belongs to the caller, or the caller could write to it.
fn handover(plan: &Plan) -> Result<Option<Handover>> {
    use std::os::fd::IntoRawFd;
    use std::os::unix::fs::MetadataExt;
    let failed = |what: &str, error: std::io::Error| Error::new(format!("{what}: {}", sys::Errno::from(error)));
    let exe = Path::new("/proc/self/exe");
    let found = exe.metadata().map_err(|error| failed("/proc/self/exe", error))?;
    let file = exe.read_link().map_err(|error| failed("/proc/self/exe", error))?;
    let file = cstring(file.as_os_str())?;
    let (uid, _) = sys::ids();
    if uid != 0 && found.uid() != uid && sys::may(sys::cwd(), &file, libc::W_OK).is_err() {
        return Ok(None);
    }
    let (hears, tells) = sys::pipe().map_err(|errno| Error::new(format!("pipe: {errno}")))?;
    let pipe = (hears.into_raw_fd(), tells.into_raw_fd());
    let paths = programs(plan)?;
    let text = |text: &str| cstring(OsStr::new(text));
    let mut args = vec![text(child::EXEC)?, text(&pipe.1.to_string())?, text(&paths.len().to_string())?];
    args.extend(paths);
    for arg in &plan.process.args {
        args.push(cstring(arg)?);
    }
    Ok(Some(Handover { file, id: (found.dev(), found.ino()), args: Strings::new(args), pipe }))
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

fn step(index: usize, placed: &Placed, scratch: &mut Vec<Scratch>) -> Result<Step> {
    let op = &placed.op;
    let path = inside(op.path())?;
    let point = match (placed.ensure, op) {
        (Some(parents), _) => Point::Ensure(parents),
        (None, Op::Bind { make: true, .. } | Op::Dir { .. } | Op::Symlink { .. } | Op::File { over: false, .. }) => {
            Point::Make
        }
        (None, _) => Point::There,
    };
    let name = |kind: char| cstring(OsStr::new(&format!("{kind}{index}")));
    let act = match op {
        Op::Dir { mode, .. } => Act::Dir { mode: *mode },
        Op::Symlink { target, .. } => Act::Symlink { target: cstring(target.as_os_str())? },
        Op::File { mode, data, over: true, .. } => {
            let name = name('f')?;
            scratch.push(Scratch { name: name.clone(), mode: *mode, data: Some(data.clone()) });
            Act::Mount(Source::Scratch(name))
        }
        Op::File { mode, data, .. } => Act::File { mode: *mode, data: data.clone() },
        Op::Mask { dir, closed, .. } => Act::Mount(Source::Scratch(mask(scratch, *dir, *closed))),
        Op::Tmpfs { mode, size: Some(size), attributes, .. } => Act::Mount(Source::Tmpfs {
            mode: cstring(OsStr::new(&format!("{mode:o}")))?,
            size: cstring(OsStr::new(&size.to_string()))?,
            attributes: attributes.bits(),
        }),
        Op::Tmpfs { mode, attributes, .. } => {
            Act::Mount(Source::Memory { name: name('t')?, mode: *mode, attributes: attributes.bits() })
        }
        Op::Bind { source, attributes, .. } => {
            Act::Mount(Source::Resolved { source: cstring(source.as_os_str())?, attributes: attributes.bits() })
        }
        Op::Proc { masked, guard, .. } => {
            if *masked {
                mask(scratch, false, false);
                mask(scratch, true, false);
            }
            Act::Mount(Source::Proc { masked: *masked, guard: *guard })
        }
        Op::Devpts { .. } => Act::Mount(Source::Devpts),
        Op::Cgroup { ro, .. } => Act::Mount(Source::Cgroup { ro: *ro }),
        Op::Mqueue { optional, .. } => Act::Mount(Source::Mqueue { optional: *optional }),
        Op::Seal { .. } => Act::Attributes(sys::ATTR_RDONLY),
        Op::Remount { attributes, .. } => Act::Attributes(attributes.bits()),
        Op::Chmod { mode, .. } => Act::Chmod { mode: *mode },
        // What is writable here is the host's to mount on; what is not must not become so by what arrives.
        Op::Show { source, attributes, optional, tolerant, guard, .. } => Act::Mount(match source {
            spec::Source::Path(path) => Source::Path {
                source: cstring(path.as_os_str())?,
                attributes: attributes.bits(),
                private: attributes.ro,
                optional: *optional,
                tolerant: *tolerant,
                guard: *guard,
            },
            spec::Source::Descriptor(fd) => {
                Source::Descriptor { fd: *fd, attributes: attributes.bits(), private: attributes.ro }
            }
        }),
        Op::Data { mode, fd, mounted: None, .. } => Act::Copy { mode: *mode, fd: *fd },
        Op::Data { mode, fd, mounted: Some(attributes), .. } => {
            Act::Mount(Source::Data { name: name('d')?, mode: *mode, fd: *fd, attributes: attributes.bits() })
        }
        Op::Overlay { lower, upper, .. } => Act::Mount(Source::Overlay {
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

/// Relative to the new root, without what leads nowhere; `..` stays, since what it leads to depends on links.
fn inside(path: &Path) -> Result<CString> {
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    cstring(OsStr::from_bytes(&parts.collect::<Vec<_>>().join(&b'/')))
}

fn cstring(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| Error::new(format!("{text:?} holds a NUL byte")))
}

/// Where execvp(3) would look, by the PATH of the program's own environment.
fn programs(plan: &Plan) -> Result<Vec<CString>> {
    let Some(name) = plan.process.executed() else { return Ok(Vec::new()) };
    if name.is_empty() {
        return Err(Error::new("the program's name is empty").status(crate::exit::NOT_FOUND));
    }
    if name.as_bytes().contains(&b'/') {
        return Ok(vec![cstring(name)?]);
    }
    let path = plan.process.variable("PATH").unwrap_or(OsStr::new("/bin:/usr/bin"));
    path.as_bytes()
        .split(|byte| *byte == b':')
        .map(|dir| if dir.is_empty() { b"." } else { dir })
        .map(|dir| cstring(Path::new(OsStr::from_bytes(dir)).join(name).as_os_str()))
        .collect()
}

fn resource(name: &str) -> Option<u32> {
    sys::RLIMITS.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource)
}
