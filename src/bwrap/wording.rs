//! What failed, in bubblewrap's words, which its callers look for; our own sentence follows.

use super::options::plain;
use crate::error::{Cause, Error, printable};
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
    match cause.place {
        "source" => {
            let mount = sandbox?.filesystem.mounts.get(cause.index)?;
            let source = match &mount.what {
                Make::Bind { source: Source::Path(path), .. } => path.display().to_string(),
                Make::Overlay { lower, .. } => missing(lower)?,
                _ => return None,
            };
            Some(format!("Can't find source path {source}: {why}"))
        }
        "clone" => Some(match cause.errno.0 {
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
        "join" => Some(match (cause.call, cause.errno.0) {
            ("userns", libc::EINVAL) => "Joining the specified user namespace failed, it might not be a descendant of \
                                         the current user namespace."
                .into(),
            ("userns", _) => format!("Joining specified user namespace failed: {why}"),
            ("pidns", _) => format!("Setting pidns failed: {why}"),
            _ => format!("Setting userns2 failed: {why}"),
        }),
        "setup" => Some(match cause.call {
            "write to /proc/self/uid_map" => format!("setting up uid map: {why}"),
            "write to /proc/self/gid_map" => format!("setting up gid map: {why}"),
            "write to /proc/self/setgroups" => format!("error writing to setgroups: {why}"),
            "write to /proc/sys/user/max_user_namespaces" => {
                format!("cannot open /proc/sys/user/max_user_namespaces: {why}")
            }
            "ioctl SIOCSIFFLAGS on lo" => format!("loopback: Failed to set the interface up: {why}"),
            "sethostname" => {
                let name = plan.and_then(|plan| plan.namespaces.hostname.as_deref()).unwrap_or_default();
                format!("Can't set hostname to {name}: {why}")
            }
            "setns" => format!("Setting userns2 failed: {why}"),
            "unshare" => format!("unshare user ns: {why}"),
            call if call.starts_with("unshare (CLONE_NEWUSER)") => {
                "creation of new user namespaces was not disabled as requested".into()
            }
            "setgid or setuid" => {
                format!("unable to switch to uid {}: {why}", plan.map_or(0, |plan| plan.namespaces.ids.uid))
            }
            _ => return None,
        }),
        "cwd" => {
            let dir = plan?.process.cwd.first()?;
            Some(format!("Can't chdir to {}: {why}", dir.display()))
        }
        "filter" => Some(format!("prctl(PR_SET_SECCOMP): {why}")),
        "lock" => {
            let path = plan?.process.lock_files.get(cause.index)?.display();
            let what = if cause.call == "openat" { "open lock file" } else { "lock file" };
            Some(format!("Unable to {what} {path}: {why}"))
        }
        "lockdown" if cause.call == "capset" => Some(format!("capset failed: {why}")),
        "exec" if cause.call == "execve" => Some(format!("execvp {}: {why}", plan?.process.executed()?.display())),
        "step" => Some(step(&plan?.view.parts.get(cause.index)?.op, cause)),
        _ => None,
    }
}

fn missing(lower: &[std::path::PathBuf]) -> Option<String> {
    lower.iter().find(|dir| !dir.exists()).map(|dir| dir.display().to_string())
}

fn step(op: &Op, cause: &Cause) -> String {
    let why = plain(cause.errno);
    let dest = op.path().display();
    let source = match op {
        Op::Show { source: Source::Path(path), .. } => path.display().to_string(),
        Op::Show { source: Source::Descriptor(fd), .. } => format!("/proc/self/fd/{fd}"),
        _ => String::new(),
    };
    let mounts = !matches!(op, Op::Dir { .. } | Op::Data { mounted: None, .. });
    match (cause.call, cause.errno.0) {
        ("fstatat", libc::ELOOP) if mounts => format!("Can't mount on symlink destination {dest}"),
        ("fstatat", libc::EISDIR) => format!("Destination is not a file {dest}"),
        ("fstatat", libc::ELOOP | libc::ENOTDIR) => format!("Destination is not a directory {dest}"),
        ("mkdirat of a directory above", _) => format!("Can't mkdir parents for {dest}: {why}"),
        ("fstat of what has taken its place", _) => "Race condition binding dirfd".into(),
        ("read", _) => format!("Can't write data to file {dest}: {why}"),
        ("symlinkat", libc::EEXIST) => {
            format!(
                "Can't make symlink at {dest}: existing destination is {}",
                cause.found.as_deref().unwrap_or("another")
            )
        }
        ("readlinkat", libc::EINVAL) => {
            format!("Can't make symlink at {dest}: destination exists and is not a symlink")
        }
        ("symlinkat", _) => format!("Can't make symlink at {dest}: {why}"),
        ("chmod", _) => format!("Can't chmod {dest}: {why}"),
        ("openat (create)" | "mkdirat", _) => format!("Can't create file {dest}: {why}"),
        ("openat2", _) => match op {
            Op::Remount { .. } | Op::Chmod { .. } => format!("Can't open {dest}: {why}"),
            _ => format!("Can't reopen {dest}: {why}"),
        },
        ("mount", libc::ELOOP) => {
            format!("Can't make overlay mount on {dest}: Overlay directories may not overlap")
        }
        ("mount", _) => format!("Can't make overlay mount on {dest}: {why}"),
        ("openat", _) if matches!(op, Op::Overlay { .. }) => format!("Can't open overlay source for {dest}: {why}"),
        ("open_tree" | "openat" | "readlinkat", libc::ENOENT) if !source.is_empty() => {
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
