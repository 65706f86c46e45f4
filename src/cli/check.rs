//! `sbx check`: tries what this host and this user can do, and prints the cause and the fix of each blocker.

use super::{args, layers, output};
use crate::child::Trial;
use crate::error::Result;
use crate::host::{self, Facts, Helpers};
use crate::spec::{Namespace, Process, Sandbox, User};
use crate::sys::{self, Errno};
use crate::{launch, plan};
use serde::Serialize;
use std::fmt::Write;

/// The result of one check: a line of the table.
#[derive(Serialize)]
struct Row {
    name: String,
    /// `ok`, `no` (missing, and every sandbox needs it) or `absent` (missing, and some profiles need it).
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
    /// Whether the fix needs root.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    root: bool,
}

impl Row {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Row {
        Row { name: name.into(), state: "ok", detail: detail.into(), fix: String::new(), root: false }
    }

    fn bad(
        name: impl Into<String>,
        needed: bool,
        detail: impl Into<String>,
        root: bool,
        fix: impl Into<String>,
    ) -> Row {
        let state = if needed { "no" } else { "absent" };
        Row { name: name.into(), state, detail: detail.into(), fix: fix.into(), root }
    }
}

pub(super) fn main(args: &args::Check) -> Result<u8> {
    let caller = layers::Caller::read()?;
    if let Some(profile) = &args.profile {
        return one_profile(profile, args.json, &caller);
    }
    // Subordinate ids are only looked up for a sandbox that uses them.
    let range = Sandbox { process: Process { user: User::Range, ..Process::default() }, ..Sandbox::default() };
    let facts = host::probe(&range, caller.env.clone(), caller.cwd.clone(), caller.accounts.clone()).with_settings();
    let mut rows = Vec::new();
    kernel(&facts, &mut rows);
    let usable = namespaces(&facts, &mut rows);
    if usable {
        filesystems(&mut rows);
    }
    ids(&facts, &mut rows);
    devices(&mut rows);
    cgroup(&facts, &mut rows);
    match sys::landlock_version() {
        Ok(version) => rows.push(Row::ok("landlock", format!("ABI {version}"))),
        Err(errno) => {
            let fix = "boot with lsm=landlock,... (CONFIG_LSM, or the kernel's command line)";
            rows.push(Row::bad("landlock", false, errno.to_string(), true, fix));
        }
    }
    helpers(&facts, &mut rows);
    report("sbx", &rows, args.json)
}

fn report(what: &str, rows: &[Row], json: bool) -> Result<u8> {
    let failed = rows.iter().any(|row| row.state == "no");
    if json {
        let text = serde_json::to_string_pretty(rows);
        let text = text.map_err(|error| crate::error::Error::new(format!("cannot write JSON: {error}")))?;
        output::print(&(text + "\n"))?;
        return Ok(u8::from(failed));
    }
    let mut out = String::new();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0) + 2;
    for row in rows {
        let _ = writeln!(out, "{:<width$}{:<8}{}", row.name, row.state, row.detail);
    }
    for (root, title) in [(false, "\nTo mend it:"), (true, "\nTo mend it, as root:")] {
        let fixes: Vec<_> = rows.iter().filter(|row| !row.fix.is_empty() && row.root == root).collect();
        if !fixes.is_empty() {
            let _ = writeln!(out, "{title}");
            for row in fixes {
                let _ = writeln!(out, "  {:<width$}{}", row.name, row.fix);
            }
        }
    }
    let _ = writeln!(
        out,
        "\n{}",
        if failed { format!("{what} cannot run here.") } else { format!("{what} can run here.") }
    );
    output::print(&out)?;
    Ok(u8::from(failed))
}

fn kernel(facts: &Facts, rows: &mut Vec<Row>) {
    let settings = facts.settings.clone().unwrap_or_default();
    let (major, minor) = facts.kernel;
    let version = format!("{major}.{minor}");
    if facts.kernel < plan::KERNEL_FLOOR {
        let detail = format!("{version} lacks mount_setattr(2), which came with 5.12");
        rows.push(Row::bad("kernel", true, detail, true, "run a newer kernel; Debian 12 has 6.1"));
    } else {
        rows.push(Row::ok("kernel", version));
    }
    let mut setting = |name: &str, blocks: bool, value: Option<u64>, fix: &str| {
        if let (true, Some(value)) = (blocks, value) {
            rows.push(Row::bad(name.rsplit('.').next().unwrap_or(name), true, format!("{name} = {value}"), true, fix));
        }
    };
    let zero = |value: Option<u64>| value == Some(0);
    setting(
        "user.max_user_namespaces",
        zero(settings.max_user_namespaces),
        settings.max_user_namespaces,
        "sysctl -w user.max_user_namespaces=15000",
    );
    if facts.uid != 0 {
        setting(
            "kernel.unprivileged_userns_clone",
            zero(settings.unprivileged_userns_clone),
            settings.unprivileged_userns_clone,
            "sysctl -w kernel.unprivileged_userns_clone=1",
        );
    }
}

/// Tries each kind of namespace; returns whether user namespaces work at all.
fn namespaces(facts: &Facts, rows: &mut Vec<Row>) -> bool {
    let user = launch::try_out(Trial::Map, &[]);
    match user {
        Ok(()) => rows.push(Row::ok("user, mount", "namespaces made and ids mapped")),
        Err(errno) => {
            let apparmor = facts.settings.as_ref().is_some_and(|settings| settings.apparmor_restrict_userns == Some(1));
            let fix = if apparmor {
                plan::APPARMOR
            } else {
                "see the settings above; in a container, allow clone3 and unshare in its seccomp filter"
            };
            let cause = if apparmor { "kernel.apparmor_restrict_unprivileged_userns = 1: " } else { "" };
            rows.push(Row::bad("user, mount", true, format!("{cause}{errno}"), true, fix));
        }
    }
    if user.is_err() {
        // The other kinds need a user namespace, and would fail in the same way.
        return false;
    }
    for namespace in Namespace::ALL {
        let word = namespace.word();
        match launch::try_out(Trial::Enter, &[namespace]) {
            Ok(()) => rows.push(Row::ok(word, "namespace made")),
            Err(errno) => {
                let flag =
                    if namespace == Namespace::Net { "--net host".to_owned() } else { format!("--share {word}") };
                let (root, fix) = match errno.0 {
                    libc::ENOSPC => (true, format!("sysctl -w user.max_{word}_namespaces=15000; {flag} runs without")),
                    _ => (false, format!("{flag} runs without; a kernel that has it mends it")),
                };
                rows.push(Row::bad(word, namespace != Namespace::Time, errno.to_string(), root, fix));
            }
        }
    }
    true
}

fn filesystems(rows: &mut Vec<Row>) {
    let pid = [Namespace::Pid];
    for (name, trial, needed, fix) in [
        (
            "tmpfs",
            Trial::Tmpfs,
            true,
            "allow mounts in user namespaces (the container's seccomp filter or AppArmor profile)",
        ),
        (
            "bind",
            Trial::Bind,
            true,
            "allow mounts in user namespaces (the container's seccomp filter or AppArmor profile)",
        ),
        ("devpts", Trial::Devpts, true, "a kernel with CONFIG_UNIX98_PTYS; allow mounts in user namespaces"),
        (
            "proc",
            Trial::Proc,
            true,
            "parts of the host's /proc are covered (a container): --mask /proc, or --share pid, runs without",
        ),
        ("overlay", Trial::Overlay, false, "a kernel of 5.11 or newer with CONFIG_OVERLAY_FS (modprobe overlay)"),
        ("fuse", Trial::Fuse, false, "chmod 0666 /dev/fuse (as udev does), modprobe fuse"),
    ] {
        // Mounting procfs needs a pid namespace; the others do not.
        match launch::try_out(trial, if trial == Trial::Proc { &pid[..] } else { &[] }) {
            Ok(()) => rows.push(Row::ok(name, "mounted")),
            Err(errno) => rows.push(Row::bad(name, needed, errno.to_string(), trial != Trial::Proc, fix)),
        }
    }
}

fn ids(facts: &Facts, rows: &mut Vec<Row>) {
    let user = facts.user_name();
    for (file, ranges, flag) in [("subuid", &facts.subuid, "--add-subuids"), ("subgid", &facts.subgid, "--add-subgids")]
    {
        let shown: Vec<_> = ranges.iter().map(|r| format!("{}+{}", r.start, r.count)).collect();
        if ranges.is_empty() && facts.uid != 0 {
            let fix = format!("usermod {flag} 100000-165535 {user}");
            rows.push(Row::bad(file, false, format!("/etc/{file} has no range for {user}"), true, fix));
        } else {
            rows.push(Row::ok(file, shown.join(", ")));
        }
    }
}

fn devices(rows: &mut Vec<Row>) {
    for (path, fix) in [(c"/dev/fuse", "chmod 0666 /dev/fuse"), (c"/dev/net/tun", "chmod 0666 /dev/net/tun")] {
        let name = path.to_string_lossy().into_owned();
        match sys::openat(sys::cwd(), path, libc::O_RDWR, 0) {
            Ok(_) => rows.push(Row::ok(name, "opens")),
            Err(errno @ Errno(_)) => rows.push(Row::bad(name, false, errno.to_string(), true, fix)),
        }
    }
}

/// Checks where the cgroup of a sandbox with limits would come from.
fn cgroup(facts: &Facts, rows: &mut Vec<Row>) {
    let found = host::cgroup_facts(&crate::spec::limits::Limits::default(), facts.uid, &facts.accounts, &facts.env);
    match plan::cgroup_source(&found) {
        Ok((source, controllers)) => rows.push(Row::ok("limits", format!("{source}: {}", controllers.join(" ")))),
        Err((why, fix)) => rows.push(Row::bad("limits", false, why, true, fix)),
    }
}

fn helpers(facts: &Facts, rows: &mut Vec<Row>) {
    let names = [
        ("newuidmap", "uidmap", "user `range`"),
        ("newgidmap", "uidmap", "user `range`"),
        ("xdg-dbus-proxy", "xdg-dbus-proxy", "a filtered session bus"),
    ];
    let path = facts.env.get("PATH").map_or("", String::as_str);
    let found = Helpers::find(&names.map(|(name, _, _)| name), path);
    for (name, package, purpose) in names {
        match found.get(name) {
            Ok(file) => rows.push(Row::ok(name, file.display().to_string())),
            Err(why) => {
                let fix = format!("apt-get install {package}");
                let why = found.refused.get(name).unwrap_or(&why);
                rows.push(Row::bad(name, false, format!("{why}; {purpose} needs it"), true, fix));
            }
        }
    }
}

/// Checks one profile: plans its sandbox, tries its namespaces, and lists the plan's notes about what would be missing.
fn one_profile(profile: &str, json: bool, caller: &layers::Caller) -> Result<u8> {
    let args = args::Sandbox { profile: Some(profile.to_owned()), ..args::Sandbox::default() };
    let (mut sandbox, facts) = layers::sandbox(&args, &[], caller)?;
    if sandbox.process.args.is_empty() {
        sandbox.process.args = vec!["true".into()];
    }
    let mut rows = Vec::new();
    match plan::plan(&sandbox, &facts.with_settings()) {
        Ok(plan) => {
            for note in &plan.notes {
                rows.push(Row::bad("note", false, note.to_string(), false, ""));
            }
            let all: Vec<_> = plan.namespaces.private.iter().copied().collect();
            let tried = launch::try_out(Trial::Map, &all);
            match tried {
                Ok(()) => rows.push(Row::ok(profile, "its namespaces can be made, and all that it asks for is there")),
                Err(errno) => {
                    rows.push(Row::bad(profile, true, format!("namespaces: {errno}"), false, "see `sbx check`"))
                }
            }
        }
        Err(error) => {
            let fix = error.hints.join("; ");
            rows.push(Row::bad(profile, true, error.message, false, fix));
        }
    }
    report(&format!("`{profile}`"), &rows, json)
}
