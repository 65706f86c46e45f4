//! Errors for what fails in the child: the call, its arguments, the line of the profile that asked for it, and the fix.

use crate::child::{Call, Place, Prepared};
use crate::error::{Cause, DESCRIPTORS, Error, Part};
use crate::exit;
use crate::plan::{NO_FILTER, Op, Phase, Plan};
use crate::sys::{self, Errno};

/// The first process, or one of its namespaces, could not be made.
pub(super) fn clone(plan: &Plan, call: &'static str, errno: Errno) -> Error {
    let names: Vec<_> = plan.namespaces.private.iter().map(|ns| ns.word()).collect();
    let message = format!("cannot create namespaces (user mount {}): {call}: {errno}", names.join(" "));
    let cause = Cause { part: Part::Clone, call, errno, found: None };
    let error = Error::new(message).refused().cause(cause);
    match errno.0 {
        libc::EPERM => error.hint("`sbx check` names what forbids it"),
        libc::ENOSPC | libc::EUSERS => {
            error.hint("the limit in /proc/sys/user/max_*_namespaces is reached, or namespaces are nested 32 deep")
        }
        libc::EMFILE | libc::ENFILE => error.hint(DESCRIPTORS),
        libc::EDEADLK => error.hint(
            "a program of the sandbox whose namespaces are joined holds a lock (flock) on its user namespace, to keep others out: join another one, or end that",
        ),
        libc::EAGAIN => error.hint("the limit of processes is reached: `ulimit -u`, or pids.max of the cgroup"),
        libc::ENODEV if plan.resources.cgroup.is_some() => {
            error.hint("the sandbox's cgroup was removed meanwhile: start it again")
        }
        libc::EINVAL => error.hint("this kernel lacks one of these namespaces: `sbx check` tries each"),
        _ => error,
    }
}

/// What a filter ended a process for.
pub(super) const FILTERED: &str = "a call that a filter ends processes for";

/// A seccomp filter around sbx has ended the first process (SIGSYS) for one of its calls.
pub(super) fn filtered() -> Error {
    let cause = Cause { part: Part::Setup, call: FILTERED, errno: Errno(libc::ENOSYS), found: None };
    Error::new("a seccomp filter around sbx ended the sandbox's first process (SIGSYS)")
        .cause(cause)
        .hint("`sbx check` names the call that the filter does not allow")
}

/// A stack of this size, in bytes, is enough for all that sbx does.
const STACK: u64 = 1 << 20;

/// The kernel ended the sandbox's first process by a signal that stands for a fault, such as SIGSEGV, and the program is not
/// known to have run.
pub(super) fn fault(signal: i32) -> Error {
    let error = Error::new(format!("sbx's own process in the sandbox ended by a fault ({})", sys::signal_name(signal)));
    error.hint(match low_stack() {
        Some(kib) => format!("the caller's limit of the stack, {kib} KiB, is too low for it: `ulimit -s 8192`"),
        None => "this is a fault of sbx's: please report it, with the profile and what `sbx plan` prints".into(),
    })
}

/// The caller's limit of the stack, in KiB, if it is lower than what certainly is enough.
pub(super) fn low_stack() -> Option<u64> {
    let (soft, _) = sys::rlimit(sys::Resource::RLIMIT_STACK).ok()?;
    (soft < STACK).then_some(soft / 1024)
}

/// The namespace of the option `--what` could not be joined.
pub(super) fn join(what: &'static str, errno: Errno) -> Error {
    let message = format!("cannot join the namespace of --{what}: setns: {errno}");
    let cause = Cause { part: Part::Join, call: what, errno, found: None };
    Error::new(message)
        .cause(cause)
        .hint("it must be a namespace of that kind, below sbx's own user namespace and owned by this user: setns(2)")
}

/// The error for a failed step of the child, in words and, as its [`Cause`], as data.
pub(super) fn failure(
    plan: &Plan,
    prepared: &Prepared,
    (place, call, errno): (Place, Call, Errno),
    found: Option<String>,
) -> Error {
    let part = match place {
        Place::Setup => Part::Setup,
        Place::Root => Part::Root,
        Place::Step(index) => Part::Step(index as usize),
        Place::Enter => Part::Enter,
        Place::Cwd => Part::Cwd,
        Place::Rlimit(index) => Part::Rlimit(index as usize),
        Place::Lockdown => Part::Lockdown,
        Place::Filter(index) => Part::Filter(index as usize),
        Place::Lock(index) => Part::Lock(index as usize),
        Place::Landlock(index) => Part::Landlock(index as usize),
        Place::Stream(_) => Part::Setup,
        Place::Exec => Part::Exec,
    };
    let cause = Cause { part, call: call.name(), errno, found };
    let mut error = words(plan, prepared, place, call, errno);
    // What the kernel says of a call as a whole is for the host to explain, not for the profile.
    let hosts = matches!(errno.0, libc::ENOSYS | libc::EPERM) || call == Call::WriteMaxUserns;
    error.refused |= hosts && !matches!(place, Place::Cwd | Place::Exec | Place::Lock(_));
    if error.cause.is_some() { error } else { error.cause(cause) }
}

fn words(plan: &Plan, prepared: &Prepared, place: Place, call: Call, errno: Errno) -> Error {
    if matches!(errno.0, libc::EMFILE | libc::ENFILE) {
        return Error::new(format!("{}: {}: {errno}", where_it_was(place), call.name())).hint(DESCRIPTORS);
    }
    if errno.0 == libc::EFBIG {
        return Error::new(format!("{}: {}: {errno}", where_it_was(place), call.name())).hint(
            "the caller's limit of the size of files is too low for the files that sbx makes: `ulimit -f unlimited`",
        );
    }
    if errno.0 == libc::ENOSPC && call == Call::OpenPtmx {
        return Error::new(format!("{}: {}: {errno}", where_it_was(place), call.name()))
            .hint("the host has no more pseudo-terminals: end programs that have many, or as root, sysctl -w kernel.pty.max=8192");
    }
    if errno.0 == libc::ENOSPC
        && let (Some(memory), Place::Root | Place::Step(_)) = (&plan.view.memory, place)
    {
        return Error::new(format!("{}: {}: {errno}", where_it_was(place), call.name()))
            .origin(&memory.origin)
            .hint("the view itself needs more memory than this: a size such as 512M, or --tmpfs-size");
    }
    if call == Call::UnshareNetwork {
        return clone(plan, call.name(), errno);
    }
    match place {
        Place::Step(index) => step(plan, index as usize, call, errno),
        Place::Exec if call == Call::Execve => exec(plan, errno),
        Place::Cwd => {
            let dir = plan.process.cwd.first().map(|dir| dir.display().to_string()).unwrap_or_default();
            let hint = match plan.is_bare() {
                true => "show the directory (--ro-bind or --bind), or start elsewhere with --chdir",
                false => "show the directory (--ro or --rw), or start elsewhere with --cwd",
            };
            Error::new(format!("cannot start in {dir}: chdir: {errno}")).origin(&plan.process.cwd_origin).hint(hint)
        }
        Place::Rlimit(index) => {
            let limit = plan.resources.rlimits.get(index as usize);
            let name = limit.map_or("", |limit| limit.name);
            let error = Error::new(format!("cannot set rlimits.{name}: setrlimit: {errno}"));
            let error = match limit {
                Some(limit) => error.origin(&limit.origin),
                None => error,
            };
            error.hint("a hard limit can be lowered, not raised: `ulimit -H -a` shows the caller's")
        }
        Place::Setup if matches!(call, Call::WriteUidMap | Call::WriteGidMap) => {
            let maps = prepared.namespaces.maps.as_ref();
            let text = maps.map(|(u, g)| if call == Call::WriteUidMap { u } else { g });
            let text = text.map(|text| String::from_utf8_lossy(text).trim().to_owned()).unwrap_or_default();
            Error::new(format!("cannot map ids ({text}): {}: {errno}", call.name())).refused()
        }
        Place::Root if matches!(call, Call::OpenFuse | Call::MountFuse) => {
            let error = Error::new(format!("cannot mount what overlays lie over: {}: {errno}", call.name()));
            let error = match plan.helpers_of(Phase::Overlays).next() {
                Some(server) => error.origin(&server.origin),
                None => error,
            };
            match errno.0 {
                libc::EACCES => error.hint("open the device to all users, as distributions do: as root, chmod 666 /dev/fuse"),
                libc::ENODEV | libc::ENOENT | libc::ENXIO => error.hint("as root: modprobe fuse"),
                libc::EPERM => error.hint(
                    "the kernel, or the container around sbx, lets no user namespace mount FUSE filesystems; run the program as \
                     another user than root inside",
                ),
                _ => error,
            }
        }
        Place::Setup if call == Call::OpenNetfilter => {
            let origin = plan.network_helper().map(|helper| helper.origin.clone()).unwrap_or_default();
            Error::new(format!("cannot open the packet filter of the sandbox's network: {}: {errno}", call.name()))
                .origin(&origin)
                .hint(NO_FILTER)
        }
        Place::Setup if call == Call::WriteMaxUserns => {
            Error::new(format!("cannot forbid nested user namespaces: {}: {errno}", call.name()))
                .hint("/proc/sys is read-only here, as in a container; --set namespaces.nested=allow runs without that")
        }
        Place::Setup if call == Call::Nested => Error::new("user namespaces can be made in the sandbox")
            .hint("--unshare-user --disable-userns forbids them"),
        Place::Lock(index) => {
            let path =
                plan.process.lock_files.get(index as usize).map(|path| path.display().to_string()).unwrap_or_default();
            Error::new(format!("cannot lock {path}: {}: {errno}", call.name()))
                .hint("it is looked for inside, must be readable, and nobody may hold a write lock on it")
        }
        Place::Landlock(index) => {
            let rule = plan.lockdown.landlock.as_ref().ok().and_then(|landlock| landlock.rules.get(index as usize));
            let path = rule.map(|(path, _)| path.display().to_string()).unwrap_or_default();
            Error::new(format!("cannot allow {path} by Landlock: {}: {errno}", call.name()))
                .hint("--set security.landlock=off runs without Landlock")
        }
        Place::Stream(number) => stream(number, call, errno),
        Place::Filter(_) => Error::new(format!("cannot load a seccomp filter: {errno}")).hint(
            "the kernel takes programs of 1 to 4096 instructions of which every path ends in a return (seccomp(2))",
        ),
        _ => Error::new(format!("{}: {}: {errno}", where_it_was(place), call.name()))
            .hint("this is not caused by the profile; `sbx check` shows what this host refuses")
            .refused(),
    }
}

/// The error for a descriptor whose file cannot be opened from a read-only mount.
fn stream(number: u32, call: Call, errno: Errno) -> Error {
    let path = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
    let what = match number {
        0 => "standard input".to_owned(),
        1 => "standard output".to_owned(),
        2 => "standard error".to_owned(),
        _ => format!("descriptor {number}"),
    };
    let path = path.display();
    let message = format!(
        "{what} is the file {path}, which cannot be opened read-only for the program: {}: {errno}",
        call.name()
    );
    Error::new(message).hint(match number {
        0 => format!("hand it over through a pipe: cat {path} | sbx ..."),
        _ => format!("show the file instead: --ro {path}"),
    })
}

fn where_it_was(place: Place) -> &'static str {
    match place {
        Place::Root => "cannot make the new root",
        Place::Enter => "cannot enter the new root",
        Place::Lockdown => "cannot lock the sandbox down",
        Place::Exec => "cannot start the program",
        _ => "cannot set the sandbox up",
    }
}

fn step(plan: &Plan, index: usize, call: Call, errno: Errno) -> Error {
    // The terminal's step is put in before the first seal and shifts those behind it.
    let Some(placed) = plan.view.parts.get(index) else {
        return Error::new(format!("cannot complete the view: {}: {errno}", call.name()));
    };
    let path = placed.op.path().display();
    if matches!(call, Call::OpenPtmx | Call::OpenPeer) {
        return Error::new(format!("cannot make a terminal: {}: {errno}", call.name()))
            .hint("--tty inherit shares the caller's, --tty none has none");
    }
    let error = match &placed.op {
        Op::Chmod { mode, .. } => {
            Error::new(format!("cannot change the permissions of {path} to {mode:04o}: {}: {errno}", call.name()))
        }
        Op::Bind { source, attributes, .. } => Error::new(format!(
            "cannot show {} at {path}{}: {}: {errno}",
            source.display(),
            if attributes.ro { " read-only" } else { "" },
            call.name()
        )),
        op => Error::new(format!("cannot make {} at {path}: {}: {errno}", noun(op), call.name())),
    };
    let error = error.origin(&placed.origin);
    if placed.ensure.is_some()
        && let Some(hint) = ordered_hint(&placed.op, call, errno)
    {
        return error.hint(hint);
    }
    match (&placed.op, call, errno.0) {
        (Op::Bind { source, .. }, Call::OpenTree | Call::Openat2, libc::ENOENT) => {
            error.hint(format!("{} went away, or never was", source.display()))
        }
        (Op::Bind { source, .. }, Call::OpenTree | Call::Openat2, libc::ELOOP) => error.hint(format!(
            "a link was put on the way to {} while sbx was starting; see who else writes there",
            source.display()
        )),
        (Op::Bind { source, .. }, Call::OpenTree | Call::Openat2, libc::EACCES) => error.hint(format!(
            "a directory on the way to {} may not be searched by this user: `namei -l {0}` shows which",
            source.display()
        )),
        (Op::Bind { source, .. }, Call::OpenTree, libc::EINVAL) => {
            error.hint(format!("{} is a kind of mount that cannot be copied into another namespace", source.display()))
        }
        (Op::Layers { lower, .. }, Call::Openat2, libc::ENOENT | libc::ELOOP) => {
            let lower: Vec<_> = lower.iter().map(|dir| dir.display().to_string()).collect();
            error.hint(format!("{} went away, or a link was put on the way there", lower.join(" or ")))
        }
        (Op::Layers { .. }, Call::Mount, libc::ENODEV) => {
            error.hint("this kernel has no overlay filesystem: as root, `modprobe overlay`")
        }
        (Op::Layers { .. }, Call::Mount, libc::EINVAL) => error.hint(
            "the kernel does not merge this directory: it may lie on an overlay of overlays, on a filesystem without case, or \
             have a mount below it; the kernel's log says which",
        ),
        (Op::Proc { .. }, Call::Fsmount, libc::EPERM) if plan.is_bare() => error.hint(
            "parts of the host's /proc are covered, as in a container, and the kernel then refuses a new one; \
             --ro-bind /proc /proc shows the host's",
        ),
        (Op::Proc { .. }, Call::Fsmount, libc::EPERM) => error.hint(
            "parts of the host's /proc are covered, as in a container, and the kernel then refuses a new one; \
             --mask /proc runs without it, --share pid shows the host's",
        ),
        (_, Call::Openat2, libc::ENOENT) => error.hint(format!("{path} is not there to be mounted on")),
        (_, Call::Openat2, libc::ELOOP) => error.hint("the symbolic links on the way form a loop"),
        (_, Call::MoveMount, libc::ENOTDIR | libc::EINVAL) => {
            error.hint(format!("{path} inside is of another kind (a file, a directory or a link)"))
        }
        (_, _, libc::EPERM) => error.hint("`sbx check` shows what this host refuses"),
        _ => error,
    }
}

/// The hint where an operation on a bare root (sbx-bwrap's) fails.
fn ordered_hint(op: &Op, call: Call, errno: Errno) -> Option<String> {
    let path = op.path().display();
    Some(match (call, errno.0) {
        (Call::Point, libc::ELOOP) => format!("{path} is a symbolic link inside: name what it leads to"),
        (Call::Point, libc::ENOTDIR) => format!("{path} is a file inside, and a directory goes there"),
        (Call::Point, libc::EISDIR) => format!("{path} is a directory inside, and a file goes there"),
        (Call::Parents, libc::ENOTDIR) => format!("something above {path} is a file inside"),
        (Call::Parents | Call::Mkdir | Call::Create, libc::EROFS | libc::EACCES) => format!(
            "it is not there, and it cannot be made in what is shown read-only: make it on the host, \
             or put a tmpfs above {path} before"
        ),
        (Call::Openat2, libc::ENOENT) => format!("{path} is not there inside: make it before"),
        (Call::Symlink, libc::EEXIST) | (Call::Readlink, libc::EINVAL) => {
            format!("something else is at {path} inside: take that away, or name another place")
        }
        (Call::Read | Call::Create, libc::EISDIR) => {
            format!("a file is needed, but {path}, or what the descriptor refers to, is a directory")
        }
        (Call::Mount, libc::EINVAL | libc::ELOOP) => {
            "upper and work directory must be two on one filesystem, and none of the directories may hold another"
                .into()
        }
        (Call::OpenTree, libc::EINVAL) => "it is a kind of mount that cannot be shown elsewhere".into(),
        (Call::Fsmount, libc::EPERM) if matches!(op, Op::Mqueue { .. }) => {
            "it belongs to the ipc namespace, which must be the sandbox's own: --unshare-ipc".into()
        }
        (Call::Replaced, _) => {
            "the directory was moved while the sandbox was started: see who else writes there".into()
        }
        (Call::MountSetattr, libc::EINVAL) => format!("{path} is no mount point: only mounts can be made read-only"),
        _ => return None,
    })
}

fn noun(op: &Op) -> &'static str {
    match op {
        Op::Dir { .. } => "a directory",
        Op::Symlink { .. } => "a link",
        Op::File { .. } => "a file",
        Op::Tmpfs { .. } => "a tmpfs",
        Op::Bind { .. } => "a bind",
        Op::Layers { .. } => "an overlay",
        Op::Pin { .. } => "a pin",
        Op::Mask { .. } => "a mask",
        Op::Proc { .. } => "procfs",
        Op::Devpts { .. } => "devpts",
        Op::Seal { .. } | Op::Remount { .. } => "a read-only mount",
        Op::Show { .. } => "a bind",
        Op::Overlay { .. } => "an overlay",
        Op::Mqueue { .. } => "a mqueue",
        Op::Cgroup { .. } => "cgroup2",
        Op::Data { .. } => "a file",
        Op::Chmod { .. } => "other permissions",
    }
}

fn exec(plan: &Plan, errno: Errno) -> Error {
    let name = plan.process.executed().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
    match errno.0 {
        libc::ENOENT => {
            let error = Error::new(format!("{name}: not found in the sandbox")).status(exit::NOT_FOUND);
            match super::not_found::hint(plan, &name) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
        libc::EACCES => Error::new(format!("{name}: cannot be executed: {errno}"))
            .status(exit::NOT_EXECUTABLE)
            .hint("it is not a file with execute permission, or it is on a mount with noexec"),
        libc::ENOEXEC => Error::new(format!("{name}: cannot be executed: {errno}"))
            .status(exit::NOT_EXECUTABLE)
            .hint("a script needs a first line such as `#!/bin/sh`; a binary must be of this machine's kind"),
        libc::E2BIG => Error::new(format!("{name}: the arguments and the environment are too long: {errno}"))
            .status(exit::NOT_EXECUTABLE)
            .hint("one string may have 128 KiB, all together a quarter of the stack's limit (execve(2)); xargs splits them"),
        _ => Error::new(format!("{name}: cannot be executed: {errno}")).status(exit::NOT_EXECUTABLE),
    }
}
