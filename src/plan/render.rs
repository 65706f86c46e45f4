//! A plan as text for people.

use super::{Attributes, CgroupSource, Op, Plan, Writer};
use std::fmt::Write;

/// The plan, one line for each thing that will be done.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(out, "{label:<12}{}", crate::error::printable(&value));
    };
    let args: Vec<_> = plan.args.iter().map(|arg| quote(&arg.to_string_lossy())).collect();
    line("program", args.join(" "));
    let namespaces: Vec<_> = plan.namespaces.iter().map(|ns| ns.word()).collect();
    line("namespaces", format!("user mount {}", namespaces.join(" ")));
    let nested = match (plan.nested, plan.mounts) {
        (true, true) => "user namespaces can be made inside, and mounts in them",
        (true, false) => "user namespaces can be made inside, without mounts",
        (false, _) => "no user namespaces inside",
    };
    line("nested", nested.into());
    let map = |map: &[super::Extent]| {
        map.iter().map(|e| format!("{} {} {}", e.inside, e.outside, e.count)).collect::<Vec<_>>().join(", ")
    };
    line("ids", format!("user {} group {}", plan.ids.uid, plan.ids.gid));
    line("uid_map", map(&plan.ids.uid_map));
    line("gid_map", map(&plan.ids.gid_map));
    let writer = match &plan.ids.writer {
        Writer::Child => "written by the process itself".to_owned(),
        Writer::Launcher => "written by the launcher, which may map any id".to_owned(),
        Writer::Helpers { newuidmap, newgidmap } => {
            format!("written by {} and {}", newuidmap.display(), newgidmap.display())
        }
        Writer::Nobody => "not written: there is no new user namespace, or others do it".to_owned(),
    };
    line("", writer);
    if let Some(hostname) = &plan.hostname {
        line("hostname", hostname.clone());
    }
    line("network", if plan.loopback { "a loopback interface of its own" } else { "the host's" }.into());
    let cwd: Vec<_> = plan.cwd.iter().map(|dir| dir.display().to_string()).collect();
    line("cwd", cwd.join(", else "));
    for create in &plan.create {
        line("create", format!("{} on the host{}", create.path.display(), from(&create.origin.0)));
    }
    for placed in &plan.view {
        let (label, value) = op(&placed.op);
        line(label, format!("{value}{}", from(&placed.origin.0)));
    }
    for (name, value) in &plan.env {
        line("env", format!("{}={}", name.display(), quote(&value.to_string_lossy())));
    }
    if let Some(cgroup) = &plan.cgroup {
        let source = match &cgroup.source {
            CgroupSource::Delegated { dir, .. } => format!("below {}, which is delegated to us", dir.display()),
            CgroupSource::Service { .. } => "below sbx.service of the user's systemd manager".to_owned(),
            CgroupSource::Scope { user: true, .. } => "in a scope of the user's systemd manager".to_owned(),
            CgroupSource::Scope { user: false, .. } => "in a scope of the system's systemd manager".to_owned(),
        };
        line("cgroup", format!("one of its own {source}"));
        for limit in &cgroup.files {
            line("limit", format!("{} = {}{}", limit.file, limit.value, from(&limit.origin.0)));
        }
    }
    for limit in &plan.rlimits {
        let value = |value: Option<u64>| value.map_or("unlimited".to_owned(), |value| value.to_string());
        line("rlimit", format!("{} {}:{}{}", limit.name, value(limit.soft), value(limit.hard), from(&limit.origin.0)));
    }
    if let Some(timeout) = plan.timeout {
        line("timeout", humantime::format_duration(timeout).to_string());
    }
    for helper in &plan.helpers {
        line(helper.provides, format!("{} {}{}", helper.program.display(), helper.target, from(&helper.origin.0)));
        for rule in &helper.rules {
            line("", rule.clone());
        }
    }
    let keyring = if plan.own_keyring { "new session keyring, " } else { "" };
    let capabilities = match plan.capabilities {
        super::CapabilityPlan::EMPTY => "empty bounding set, no capabilities".to_owned(),
        super::CapabilityPlan { ambient, .. } => format!("capabilities {ambient:#x}"),
    };
    line("lock-down", format!("{keyring}{capabilities}, no_new_privs"));
    let landlock = match &plan.landlock {
        Ok(landlock) => {
            let scoped = if landlock.scoped == 0 { "" } else { ", signals and abstract sockets stay inside" };
            format!("version {}, {} rules{scoped}", landlock.version, landlock.rules.len())
        }
        Err(why) => format!("not used: {why}"),
    };
    line("landlock", landlock);
    line("seccomp", seccomp(plan));
    for closed in &plan.closed {
        line("closed", format!("{}: {}", closed.path.display(), closed.why));
    }
    for note in &plan.notes {
        line("note", note.clone());
    }
    out
}

fn seccomp(plan: &Plan) -> String {
    use super::syscalls::{Arch, Base, refusals};
    let Some(policy) = &plan.syscalls else { return "input pushed into a terminal is refused".to_owned() };
    let base = match policy.base {
        Base::Off => {
            return "off: input pushed into a terminal and calls on keys are refused, and what is denied".to_owned();
        }
        Base::Default => "default",
        Base::Strict => "strict",
    };
    let count = refusals(policy, Arch::NATIVE).len();
    let arches: Vec<_> = policy.arches.iter().map(|arch| format!("{arch:?}").to_lowercase()).collect();
    let length: usize = plan.seccomp.iter().map(Vec::len).sum();
    format!("{base}: all calls but {count} and unknown ones, for {} ({length} instructions)", arches.join(" and "))
}

fn from(origin: &str) -> String {
    if origin.is_empty() { String::new() } else { format!("   # {origin}") }
}

fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}

fn flags(attributes: Attributes) -> String {
    let mut words = vec![if attributes.ro { "ro" } else { "rw" }, "nosuid"];
    if attributes.nodev {
        words.push("nodev");
    }
    if attributes.noexec {
        words.push("noexec");
    }
    words.join(",")
}

fn op(op: &Op) -> (&'static str, String) {
    let path = op.path().display();
    match op {
        Op::Dir { mode, .. } => ("dir", format!("{path} {mode:04o}")),
        Op::Symlink { target, .. } => ("symlink", format!("{path} → {}", target.display())),
        Op::File { mode, data, over, .. } => {
            let how = if *over { " over the host's" } else { "" };
            ("file", format!("{path} {mode:04o}, {} bytes{how}", data.len()))
        }
        Op::Tmpfs { mode, size, attributes, .. } => {
            let size = size.map_or(String::new(), |size| format!(", {size} bytes"));
            ("tmpfs", format!("{path} {mode:04o} {}{size}", flags(*attributes)))
        }
        Op::Bind { source, attributes, .. } => {
            ("bind", format!("{path} ← {} {}", source.display(), flags(*attributes)))
        }
        Op::Mask { dir, closed, .. } => {
            let what = if *dir { "directory" } else { "file" };
            ("mask", format!("{path} {} {what}", if *closed { "closed" } else { "empty" }))
        }
        Op::Proc { masked, .. } => (
            "proc",
            format!("{path}{}", if *masked { ", masked and read-only parts as in the OCI's list" } else { "" }),
        ),
        Op::Devpts { .. } => ("devpts", format!("{path}, a new instance")),
        Op::Show { source, attributes, .. } => {
            let source = match source {
                crate::spec::Source::Path(source) => source.display().to_string(),
                crate::spec::Source::Descriptor(fd) => format!("descriptor {fd}"),
            };
            ("bind", format!("{path} ← {source} {}", flags(*attributes)))
        }
        Op::Overlay { lower, .. } => {
            let lower: Vec<_> = lower.iter().map(|dir| dir.display().to_string()).collect();
            ("overlay", format!("{path} ← {}", lower.join(" over ")))
        }
        Op::Cgroup { ro, .. } => ("cgroup2", format!("{path}{}", if *ro { " ro" } else { "" })),
        Op::Mqueue { .. } => ("mqueue", path.to_string()),
        Op::Data { mode, fd, .. } => ("file", format!("{path} {mode:04o}, from descriptor {fd}")),
        Op::Remount { attributes, .. } => ("remount", format!("{path} {}", flags(*attributes))),
        Op::Chmod { mode, .. } => ("chmod", format!("{path} {mode:04o}")),
        Op::Seal { .. } => ("seal", format!("{path} read-only")),
    }
}
