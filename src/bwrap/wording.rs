//! What failed, in bubblewrap's words, which its callers look for; our own sentence follows.

use super::options::plain;
use crate::child::Call;
use crate::error::{Cause, Error, Part, printable};
use crate::plan::{Op, Plan};
use crate::spec::{Make, Sandbox, Source};
use std::fmt::Write;

/// The whole text: `bwrap: ` and what failed, then what of it is known and what to do.
pub(super) fn text(error: &Error, sandbox: Option<&Sandbox>, plan: Option<&Plan>, prefix: &str) -> String {
    let own = printable(&error.message);
    let mut text = match error.cause.as_ref().and_then(|cause| words(cause, sandbox, plan)) {
        Some(words) => format!("{prefix}bwrap: {}\nsbx: {own}", printable(&words)),
        None => format!("{prefix}bwrap: {own}"),
    };
    for hint in &error.hints {
        let _ = write!(text, "\nhelp: {}", printable(hint));
    }
    text.push('\n');
    text
}

fn words(cause: &Cause, sandbox: Option<&Sandbox>, plan: Option<&Plan>) -> Option<String> {
    let why = plain(cause.errno);
    let call = Call::named(cause.call);
    match cause.part {
        Part::Source(index) => {
            let mount = sandbox?.filesystem.mounts.get(index)?;
            let source = match &mount.what {
                Make::Bind { source: Source::Path(path), .. } => path.display().to_string(),
                Make::Overlay { lower, .. } => missing(lower)?,
                _ => return None,
            };
            Some(format!("Can't find source path {source}: {why}"))
        }
        Part::Clone => Some(match cause.errno.0 {
            libc::EINVAL => {
                "Creating new namespace failed, likely because the kernel does not support user namespaces.".into()
            }
            libc::EPERM => "No permissions to create a new namespace, likely because the kernel does not allow \
                            non-privileged user namespaces."
                .into(),
            libc::ENOSPC => {
                "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)"
                    .into()
            }
            _ => format!("Creating new namespace failed: {why}"),
        }),
        Part::Join => Some(match (cause.call, cause.errno.0) {
            ("userns", libc::EINVAL) => "Joining the specified user namespace failed, it might not be a descendant of \
                                         the current user namespace."
                .into(),
            ("userns", _) => format!("Joining specified user namespace failed: {why}"),
            ("pidns", _) => format!("Setting pidns failed: {why}"),
            _ => format!("Setting userns2 failed: {why}"),
        }),
        Part::Setup => Some(match call? {
            Call::WriteUidMap => format!("setting up uid map: {why}"),
            Call::WriteGidMap => format!("setting up gid map: {why}"),
            Call::WriteSetgroups => format!("error writing to setgroups: {why}"),
            Call::WriteMaxUserns => {
                format!("cannot open /proc/sys/user/max_user_namespaces: {why}")
            }
            Call::Loopback => format!("loopback: Failed to set the interface up: {why}"),
            Call::Sethostname => {
                let name = plan.and_then(|plan| plan.namespaces.hostname.as_deref()).unwrap_or_default();
                format!("Can't set hostname to {name}: {why}")
            }
            Call::Setns => format!("Setting userns2 failed: {why}"),
            Call::Unshare => format!("unshare user ns: {why}"),
            Call::Nested => "creation of new user namespaces was not disabled as requested".into(),
            Call::SetIds => {
                format!("unable to switch to uid {}: {why}", plan.map_or(0, |plan| plan.namespaces.ids.uid))
            }
            _ => return None,
        }),
        Part::Cwd => {
            let dir = plan?.process.cwd.first()?;
            Some(format!("Can't chdir to {}: {why}", dir.display()))
        }
        Part::Filter(_) if cause.errno.0 == libc::EINVAL => Some(
            "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: this requires \
             a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)"
                .into(),
        ),
        Part::Filter(_) => Some(format!("prctl(PR_SET_SECCOMP): {why}")),
        Part::Lock(index) => {
            let path = plan?.process.lock_files.get(index)?.display();
            let what = if call == Some(Call::Open) { "open lock file" } else { "lock file" };
            Some(format!("Unable to {what} {path}: {why}"))
        }
        Part::Lockdown if call == Some(Call::Capset) => Some(format!("capset failed: {why}")),
        Part::Exec if call == Some(Call::Execve) => {
            Some(format!("execvp {}: {why}", plan?.process.executed()?.display()))
        }
        Part::Step(index) => Some(step(&plan?.view.parts.get(index)?.op, call?, cause)),
        _ => None,
    }
}

fn missing(lower: &[std::path::PathBuf]) -> Option<String> {
    lower.iter().find(|dir| !dir.exists()).map(|dir| dir.display().to_string())
}

fn step(op: &Op, call: Call, cause: &Cause) -> String {
    let why = plain(cause.errno);
    let dest = op.path().display();
    let source = match op {
        Op::Show { source: Source::Path(path), .. } => path.display().to_string(),
        Op::Show { source: Source::Descriptor(fd), .. } => format!("/proc/self/fd/{fd}"),
        _ => String::new(),
    };
    let mounts = !matches!(op, Op::Dir { .. } | Op::Data { mounted: None, .. });
    match (call, cause.errno.0) {
        (Call::Point, libc::ELOOP) if mounts => format!("Can't mount on symlink destination {dest}"),
        (Call::Point, libc::EISDIR) => format!("Destination is not a file {dest}"),
        (Call::Point, libc::ELOOP | libc::ENOTDIR) => format!("Destination is not a directory {dest}"),
        (Call::Parents, _) => format!("Can't mkdir parents for {dest}: {why}"),
        (Call::Replaced, _) => "Race condition binding dirfd".into(),
        (Call::Read, _) => format!("Can't write data to file {dest}: {why}"),
        (Call::Symlink, libc::EEXIST) => {
            format!(
                "Can't make symlink at {dest}: existing destination is {}",
                cause.found.as_deref().unwrap_or("another")
            )
        }
        (Call::Readlink, libc::EINVAL) => {
            format!("Can't make symlink at {dest}: destination exists and is not a symlink")
        }
        (Call::Symlink, _) => format!("Can't make symlink at {dest}: {why}"),
        (Call::Chmod, _) => match op {
            // As %#o of printf(3) has it.
            Op::Chmod { mode: 0, .. } => format!("Can't chmod 0 {dest}: {why}"),
            Op::Chmod { mode, .. } => format!("Can't chmod 0{mode:o} {dest}: {why}"),
            _ => format!("Can't chmod {dest}: {why}"),
        },
        (Call::Create | Call::Mkdir, _) => format!("Can't create file {dest}: {why}"),
        (Call::Openat2, _) => match op {
            Op::Remount { .. } | Op::Chmod { .. } => format!("Can't open {dest}: {why}"),
            _ => format!("Can't reopen {dest}: {why}"),
        },
        (Call::Mount, libc::ELOOP) => {
            format!("Can't make overlay mount on {dest}: Overlay directories may not overlap")
        }
        (Call::Mount, _) => format!("Can't make overlay mount on {dest}: {why}"),
        (Call::Open, _) if matches!(op, Op::Overlay { .. }) => format!("Can't open overlay source for {dest}: {why}"),
        (Call::OpenTree | Call::Open | Call::Readlink, libc::ENOENT) if !source.is_empty() => {
            format!("Can't find source path {source}: {why}")
        }
        _ => match op {
            Op::Show { .. } => format!("Can't bind mount {source} on {dest}: {why}"),
            Op::Remount { .. } if cause.errno.0 == libc::EINVAL => {
                format!("Can't remount readonly on {dest}: Unable to find \"{dest}\" in mount table")
            }
            Op::Remount { .. } => format!("Can't remount readonly on {dest}: {why}"),
            Op::Proc { .. } => format!("Can't mount proc on {dest}: {why}"),
            Op::Devpts { .. } => format!("Can't mount devpts on {dest}: {why}"),
            Op::Tmpfs { .. } => format!("Can't mount tmpfs on {dest}: {why}"),
            Op::Mqueue { .. } => format!("Can't mount mqueue on {dest}: {why}"),
            _ => format!("Can't create file {dest}: {why}"),
        },
    }
}
