//! What this host must allow for a sandbox: each ability is tried, and a missing one is named with its cause, the fix, and
//! the flags that run without it. `sbx check` prints all of them; a start that fails says which it lacks.

use super::trial::{Refusal, attempt_here, try_out};
use super::wording;
use crate::child::Trial;
use crate::error::Error;
use crate::host::{Facts, Settings};
use crate::plan::{self, Op, Plan};
use crate::spec::Namespace;
use crate::sys::{Errno, NEEDED_CALLS, NeededCall, is_filtered, needed_call};
use std::path::Path;

/// An ability of the host that was tried.
pub struct Ability {
    /// Its name in a table.
    pub name: String,
    /// Whether the sandbox needs it.
    pub needed: bool,
    /// What was done, in a few words; or why that was not possible.
    pub tried: Result<&'static str, Blocker>,
}

/// Something that keeps sandboxes from being made.
pub struct Blocker {
    /// The true cause, as a clause.
    pub why: String,
    /// What to do about it.
    pub fix: String,
    /// Whether the fix needs root.
    pub root: bool,
    /// The flags that run without what is missing.
    pub without: Option<String>,
}

impl Blocker {
    fn new(why: impl Into<String>, fix: impl Into<String>) -> Blocker {
        Blocker { why: why.into(), fix: fix.into(), root: true, without: None }
    }

    fn of_call(call: &NeededCall, refusal: Refusal) -> Blocker {
        let (why, fix) = match refusal {
            Refusal::Errno(Errno(libc::ENOSYS)) => call.why_missing(),
            Refusal::Errno(_) => call.filtered("refuses"),
            Refusal::Killed(_) => call.filtered("ends every process that makes"),
        };
        Blocker::new(why, fix)
    }
}

/// Tries what a sandbox takes. `plan`: the sandbox; without one, everything counts as needed.
pub fn abilities(plan: Option<&Plan>, facts: &Facts) -> Vec<Ability> {
    let mut all = Vec::new();
    let mut add = |name: &str, needed: bool, tried: Result<&'static str, Blocker>| {
        let fails = tried.is_err();
        all.push(Ability { name: name.to_owned(), needed, tried });
        fails
    };
    if !Path::new("/proc/self/ns").exists() {
        let fix = "as root: mount -t proc proc /proc (in a chroot, in there)";
        add("/proc", true, Err(Blocker::new("no procfs is mounted at /proc", fix)));
        return all;
    }
    let [clone3, others @ ..] = &NEEDED_CALLS;
    let attempted = attempt_here(clone3);
    if let Err(Refusal::Errno(errno @ Errno(libc::EAGAIN | libc::ENOMEM))) = attempted {
        // No call was made: there is no process that could make one.
        add("process", true, Err(no_process(errno)));
        return all;
    }
    let user = match attempted {
        Err(refusal) => Err(Blocker::of_call(clone3, refusal)),
        Ok(()) => try_out(Trial::Map, &[]).map_err(|refusal| no_user_namespace(refusal, facts)),
    };
    let inside = user.is_ok();
    add("user, mount", true, user.map(|()| "namespaces made and ids mapped"));
    let mut calls = Ok("not refused");
    for call in others.iter().filter(|call| inside || call.judges_arguments) {
        let tried = if inside { try_out(Trial::Call(call), &[]) } else { attempt_here(call) };
        if let Err(refusal) = tried {
            // Each call has a row of its own: there are few, and the fix of one does not allow the others.
            add(call.name, true, Err(Blocker::of_call(call, refusal)));
            calls = Err(());
        }
    }
    if let Ok(what) = calls {
        add("calls", true, Ok(what));
    }
    if !inside {
        return all;
    }
    for namespace in Namespace::ALL {
        let needed = plan.is_none_or(|plan| plan.namespaces.private.contains(&namespace));
        let tried = try_out(Trial::Enter, &[namespace]).map(|()| "namespace made");
        add(namespace.word(), needed, tried.map_err(|refusal| no_namespace(namespace, refusal, facts)));
    }
    let (has_proc, limits, hostname, loopback) = plan.map_or((true, true, true, true), |plan| {
        let proc = plan.view.parts.iter().any(|placed| matches!(placed.op, Op::Proc { .. }));
        (proc, !plan.namespaces.nested, plan.namespaces.hostname.is_some(), plan.namespaces.loopback)
    });
    for (name, trial, namespaces, needed, done) in [
        ("tmpfs", Trial::Tmpfs, &[][..], true, "made"),
        ("bind", Trial::Bind, &[], true, "made"),
        ("mount", Trial::Attach, &[], true, "mounted"),
        ("root", Trial::Root, &[], true, "entered"),
        ("devpts", Trial::Devpts, &[], true, "made"),
        ("proc", Trial::Proc, &[Namespace::Pid], has_proc, "made"),
        ("host name", Trial::Hostname, &[Namespace::Uts], hostname, "set"),
        ("limit", Trial::LimitNested, &[], limits, "user namespaces inside forbidden"),
        ("loopback", Trial::Loopback, &[Namespace::Net], loopback, "brought up"),
        ("overlay", Trial::Overlay, &[], false, "made"),
        ("fuse", Trial::Fuse, &[], false, "made"),
    ] {
        let tried = try_out(trial, namespaces);
        // It makes one of the calls that are refused anyway.
        let known = calls.is_err()
            && matches!(
                tried,
                Err(Refusal::Killed(_) | Refusal::Errno(Errno(libc::ENOSYS | libc::EPERM | libc::EACCES)))
            );
        if !known {
            add(name, needed, tried.map(|()| done).map_err(|refusal| missing(trial, refusal, facts)));
        }
    }
    all
}

/// Why no process can be made: fork(2).
fn no_process(errno: Errno) -> Blocker {
    let (why, fix) = match errno.0 {
        libc::ENOMEM => ("there is no memory for another process", "end other programs, or raise `ulimit -v`"),
        _ => ("the limit of processes is reached", "raise `ulimit -u`, or pids.max of the cgroup that sbx is in"),
    };
    Blocker { root: false, ..Blocker::new(why, fix) }
}

/// Why there are no user namespaces for this caller.
fn no_user_namespace(refusal: Refusal, facts: &Facts) -> Blocker {
    let none = Settings::default();
    let settings = facts.settings.as_ref().unwrap_or(&none);
    match refusal {
        _ if facts.uid != 0 && settings.unprivileged_userns_clone == Some(0) => Blocker::new(
            "only root may make user namespaces: kernel.unprivileged_userns_clone is 0",
            "sysctl -w kernel.unprivileged_userns_clone=1, and in /etc/sysctl.d to keep it",
        ),
        _ if settings.max_user_namespaces == Some(0) && settings.inside => Blocker::new(
            "this is the inside of a sandbox or a container, which allows no user namespaces: user.max_user_namespaces is 0",
            "let it allow them; one of sbx needs namespaces.nested = \"allow\"",
        ),
        _ if settings.max_user_namespaces == Some(0) => Blocker::new(
            "there may be no user namespaces: user.max_user_namespaces is 0",
            "sysctl -w user.max_user_namespaces=15000, and in /etc/sysctl.d to keep it",
        ),
        Refusal::Errno(Errno(libc::EPERM | libc::EACCES))
            if facts.uid != 0 && settings.apparmor_restrict_userns == Some(1) =>
        {
            Blocker::new(
                "AppArmor takes away rights in user namespaces: kernel.apparmor_restrict_unprivileged_userns is 1",
                plan::APPARMOR.trim_start_matches("as root, "),
            )
        }
        Refusal::Errno(Errno(libc::EPERM)) if !ids_are_mapped(facts) => Blocker::new(
            format!(
                "user {} or group {} has no mapping in the user namespace that sbx was started in",
                facts.uid, facts.gid
            ),
            "start sbx as an id that /proc/self/uid_map and gid_map have",
        ),
        // Not a filter's doing: a filter sees nothing of what clone3(2) is asked for.
        Refusal::Errno(Errno(libc::EPERM)) if is_chroot() => Blocker::new(
            "sbx is in a chroot, where the kernel makes no user namespace (clone(2), EPERM)",
            "start sbx outside of it with --set 'filesystem.root=\"dir:PATH\"', or enter the tree by pivot_root(2), as containers do",
        ),
        Refusal::Errno(Errno(libc::EPERM)) => Blocker::new(
            "sbx is in a chroot, where the kernel makes no user namespace (clone(2), EPERM), or a security module forbids it",
            "start sbx outside of the chroot; or see the rules of the security module (SELinux, AppArmor) in the kernel's log",
        ),
        Refusal::Errno(Errno(libc::EACCES)) => Blocker::new(
            "a security module (SELinux, AppArmor) lets this program make no user namespace",
            "the kernel's log names the rule: allow user_namespace create (SELinux) or userns (AppArmor) for sbx",
        ),
        Refusal::Errno(Errno(libc::ENOSPC | libc::EUSERS)) => Blocker::new(
            "there are as many user namespaces as user.max_user_namespaces allows, or they are nested 32 deep",
            "sysctl -w user.max_user_namespaces=15000",
        ),
        Refusal::Errno(errno @ Errno(libc::EAGAIN | libc::ENOMEM)) => no_process(errno),
        Refusal::Errno(Errno(libc::EINVAL)) => Blocker::new(
            "this kernel has no user namespaces (CONFIG_USER_NS)",
            "run one that has them: every distribution's has",
        ),
        other => Blocker::new(other.to_string(), "`sbx check` names what else this host lacks"),
    }
}

fn no_namespace(namespace: Namespace, refusal: Refusal, facts: &Facts) -> Blocker {
    let word = namespace.word();
    let zero = facts.settings.as_ref().is_some_and(|settings| settings.exhausted.iter().any(|name| name == word));
    let blocker = match refusal {
        Refusal::Errno(Errno(libc::ENOSPC)) => {
            let why = match zero {
                true => format!("user.max_{word}_namespaces is 0"),
                false => format!("there are as many as user.max_{word}_namespaces allows, or they are nested 32 deep"),
            };
            Blocker::new(why, format!("sysctl -w user.max_{word}_namespaces=15000"))
        }
        Refusal::Errno(Errno(libc::EINVAL)) => {
            Blocker::new(format!("this kernel has no {word} namespaces"), "run one that has them")
        }
        other => Blocker::new(other.to_string(), "see what confines sbx: a security module, or a container"),
    };
    let flag = if namespace == Namespace::Net { "--net host".to_owned() } else { format!("--share {word}") };
    Blocker { without: Some(flag), ..blocker }
}

/// Why something in a user namespace cannot be done, although the calls that do it are not refused as such.
fn missing(trial: Trial, refusal: Refusal, facts: &Facts) -> Blocker {
    const DENIED: [i32; 2] = [libc::EPERM, libc::EACCES];
    let denied = matches!(refusal, Refusal::Errno(Errno(errno)) if DENIED.contains(&errno));
    let restricted = facts.settings.as_ref().is_some_and(|settings| settings.apparmor_restrict_userns == Some(1));
    let container = "with podman or docker: --security-opt";
    match trial {
        Trial::Proc if denied => Blocker {
            without: Some("--mask /proc".into()),
            ..Blocker::new(
                "parts of the host's /proc are covered, as in a container, and the kernel then makes no new one",
                format!("{container} unmask=ALL (docker: systempaths=unconfined)"),
            )
        },
        Trial::Hostname => Blocker {
            without: Some("--share uts".into()),
            ..Blocker::new(
                "a seccomp filter around sbx, as containers have, refuses sethostname(2)",
                format!("allow sethostname in that filter; {container} seccomp=unconfined has none"),
            )
        },
        Trial::LimitNested => Blocker {
            without: Some("--set namespaces.nested=allow".into()),
            ..Blocker::new(
                format!(
                    "user namespaces inside cannot be forbidden, since /proc/sys cannot be written to, as in a container ({refusal})"
                ),
                format!("{container} unmask=ALL (docker: systempaths=unconfined)"),
            )
        },
        Trial::Loopback => {
            Blocker { without: Some("--net host".into()), ..Blocker::new(refusal.to_string(), "see what confines sbx") }
        }
        Trial::Overlay => {
            Blocker::new(refusal.to_string(), "a kernel of 5.11 or newer with CONFIG_OVERLAY_FS (modprobe overlay)")
        }
        Trial::Fuse => Blocker::new(refusal.to_string(), "chmod 0666 /dev/fuse (as udev does), modprobe fuse"),
        Trial::Devpts if !denied => Blocker::new(refusal.to_string(), "a kernel with CONFIG_UNIX98_PTYS"),
        Trial::Root if matches!(refusal, Refusal::Errno(Errno(libc::EINVAL))) => Blocker::new(
            "the root directory is that of the initramfs, which pivot_root(2) cannot leave",
            "boot with a root file system that switch_root(8) has entered",
        ),
        _ if denied && facts.uid != 0 && restricted => Blocker::new(
            "AppArmor takes away rights in user namespaces: kernel.apparmor_restrict_unprivileged_userns is 1",
            plan::APPARMOR.trim_start_matches("as root, "),
        ),
        _ if denied => Blocker::new(
            "sbx is confined by Landlock, as in another sandbox, or by a security module: both can forbid all mounts",
            "start sbx outside of that sandbox; or allow mounts in user namespaces in the rules of the security module",
        ),
        _ => Blocker::new(refusal.to_string(), "see what confines sbx"),
    }
}

/// Whether the caller's ids exist in its own user namespace: clone(2) makes no user namespace for others.
fn ids_are_mapped(facts: &Facts) -> bool {
    let has = |file: &str, id: u32| {
        let Ok(text) = std::fs::read_to_string(file) else { return true };
        text.lines().any(|line| {
            let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
            let (first, count) = (numbers.next().unwrap_or(0), numbers.nth(1).unwrap_or(0));
            (first..first + count).contains(&u64::from(id))
        })
    };
    has("/proc/self/uid_map", facts.uid) && has("/proc/self/gid_map", facts.gid)
}

/// Whether this process certainly is in a chroot: its root directory is no mount. One that is a mount is not told apart.
fn is_chroot() -> bool {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else { return false };
    !mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"))
}

/// The failed parts of a set-up in which it is the host that refuses, by the errno.
const HOSTS: [i32; 10] = [
    libc::ENOSYS,
    libc::EPERM,
    libc::EACCES,
    libc::EINVAL,
    libc::ENOSPC,
    libc::EUSERS,
    libc::EROFS,
    libc::ENOENT,
    libc::EAGAIN,
    libc::EINTR,
];

/// Adds to the error of a start why this host refused it, and which flags run without what is missing: what `sbx check`
/// finds. An error that is not the host's stays as it is.
#[must_use]
pub fn explain(error: Error, plan: &Plan, facts: &Facts) -> Error {
    let Some(cause) = &error.cause else { return error };
    if !(error.refused && HOSTS.contains(&cause.errno.0) || cause.call == wording::FILTERED) {
        return error;
    }
    // The children that try the rest are made by this call, too.
    if cause.call == "clone3" && cause.errno == Errno(libc::ENOSYS) {
        let (call, errno) = (cause.call, cause.errno);
        return Error { hints: Vec::new(), ..error }.why_refused(call, errno);
    }
    let abilities = abilities(Some(plan), facts);
    let blockers: Vec<_> =
        abilities.into_iter().filter(|ability| ability.needed).filter_map(|ability| ability.tried.err()).collect();
    if blockers.is_empty() {
        // Nothing that every sandbox needs.
        let (call, errno) = (cause.call, cause.errno);
        return match needed_call(call).is_none() && errno.0 == libc::ENOSYS && is_filtered() == Some(true) {
            true => error.hint("a seccomp filter around sbx, as containers have, hides that call: allow it there"),
            false => error.why_refused(call, errno),
        };
    }
    let mut explained = Error { hints: Vec::new(), ..error };
    let without: Option<Vec<_>> = blockers.iter().map(|blocker| blocker.without.clone()).collect();
    for blocker in blockers {
        explained =
            explained.hint(format!("{}: {}{}", blocker.why, if blocker.root { "as root, " } else { "" }, blocker.fix));
    }
    match without {
        Some(flags) if !plan.is_bare() => explained.hint(format!("sbx runs without that: {}", flags.join(" "))),
        _ => explained,
    }
}
