//! The receipt: for each line of a profile, what enforces it, and what does not.

use super::{CapabilityPlan, LandlockPlan, Op, Plan, Writer};
use crate::spec::{Mode, Namespace, Network, Origin, Sandbox};
use crate::sys::CAPABILITIES;
use serde::Serialize;
use std::path::Path;

/// How far something is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// As it is written.
    Full,
    /// In part: `missing` says which is not.
    Partial,
    /// Not at all.
    None,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enforced {
    /// The setting, as a profile has it.
    pub setting: String,
    /// Where it stands; nothing for what holds without being asked for.
    #[serde(skip_serializing_if = "is_empty")]
    pub origin: Origin,
    /// How far.
    pub enforced: Extent,
    /// By what: each of these alone would do where there are several.
    pub by: Vec<String>,
    /// What is not enforced, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

fn is_empty(origin: &Origin) -> bool {
    origin.0.is_empty()
}

/// What a run of this plan enforces. A step that fails keeps the program from starting, so that this holds for all that started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Of this form.
    pub version: u32,
    /// The kernel's.
    pub kernel: String,
    /// Version of Landlock's interface that is used; none if it is not.
    pub landlock: Option<i32>,
    /// Line by line.
    pub lines: Vec<Enforced>,
    /// What was allowed to be missing, and is.
    pub notes: Vec<String>,
}

/// The receipt of a plan.
pub fn receipt(sandbox: &Sandbox, plan: &Plan) -> Receipt {
    let mut book = Book { plan, lines: Vec::new() };
    book.namespaces(sandbox);
    book.process(sandbox);
    book.paths(sandbox);
    book.services(sandbox);
    book.security(sandbox);
    Receipt {
        version: 1,
        kernel: crate::sys::release(),
        landlock: plan.lockdown.landlock.as_ref().ok().map(|landlock| landlock.version),
        lines: book.lines,
        notes: plan.notes.clone(),
    }
}

struct Book<'a> {
    plan: &'a Plan,
    lines: Vec<Enforced>,
}

impl Book<'_> {
    fn full(&mut self, setting: impl Into<String>, origin: &Origin, by: Vec<String>) {
        self.line(setting.into(), origin, by, Vec::new());
    }

    fn line(&mut self, setting: String, origin: &Origin, by: Vec<String>, missing: Vec<String>) {
        let enforced = match (by.is_empty(), missing.is_empty()) {
            (_, true) => Extent::Full,
            (false, false) => Extent::Partial,
            (true, false) => Extent::None,
        };
        self.lines.push(Enforced { setting, origin: origin.clone(), enforced, by, missing });
    }

    fn namespaces(&mut self, sandbox: &Sandbox) {
        for namespace in Namespace::ALL {
            let word = namespace.word();
            match sandbox.namespaces.share.get(&namespace) {
                Some(origin) => {
                    self.full(format!("namespaces.share: {word}"), origin, vec!["shared, as it says".into()])
                }
                None if self.plan.namespaces.private.contains(&namespace) => {
                    self.full(
                        format!("namespaces: {word} private"),
                        &Origin::default(),
                        vec![format!("{word} namespace")],
                    );
                }
                None => {
                    let missing = vec![format!("this host has no {word} namespaces")];
                    self.line(format!("namespaces: {word} private"), &Origin::default(), Vec::new(), missing);
                }
            }
        }
        let none = Origin::default();
        if !self.plan.namespaces.nested {
            let by = vec!["user.max_user_namespaces of the user namespace".into(), "seccomp".into()];
            self.full("namespaces.nested = \"deny\"", &none, by);
        }
        if sandbox.network == Network::None && self.plan.namespaces.loopback {
            let by = vec!["network namespace with a loopback interface alone".into()];
            self.full("network.mode = \"none\"", &none, by);
        }
    }

    fn process(&mut self, sandbox: &Sandbox) {
        let none = Origin::default();
        let ids = &self.plan.namespaces.ids;
        let writer = match &ids.writer {
            Writer::Helpers { .. } => "user namespace, mapped by newuidmap and newgidmap",
            Writer::Nobody => "the caller's ids",
            Writer::Child | Writer::Launcher => "user namespace",
        };
        let user = format!("process.user: {}:{}", ids.uid, ids.gid);
        self.full(user, &sandbox.process.user_origin, vec![writer.into()]);
        if let Some(hostname) = &self.plan.namespaces.hostname {
            self.full(format!("process.hostname = {hostname:?}"), &none, vec!["uts namespace".into()]);
        }
        if let Some(timeout) = self.plan.process.timeout {
            let setting = format!("process.timeout = \"{}\"", humantime::format_duration(timeout));
            self.full(setting, &none, vec!["the launcher's clock: SIGTERM, then SIGKILL of PID 1".into()]);
        }
        self.full("process.env_pass", &none, vec!["an environment of its own, passed to execve".into()]);
        for limit in &sandbox.limits.list {
            let setting = format!("limits.{}", limit.name);
            let set = self
                .plan
                .resources
                .cgroup
                .iter()
                .flat_map(|cgroup| &cgroup.files)
                .find(|file| file.origin == limit.origin);
            let missing = self.plan.notes.iter().filter(|note| note.starts_with(&format!("{setting} is not")));
            let missing: Vec<String> = missing.cloned().collect();
            let by = set.map(|file| format!("cgroup v2: {} = {}", file.file, file.value));
            self.line(
                setting,
                &limit.origin,
                by.into_iter().collect(),
                if set.is_some() { Vec::new() } else { missing },
            );
        }
        for limit in &self.plan.resources.rlimits {
            self.full(format!("rlimits.{}", limit.name), &limit.origin, vec!["setrlimit".into()]);
        }
    }

    fn paths(&mut self, sandbox: &Sandbox) {
        for rule in &sandbox.filesystem.paths {
            let setting = format!("filesystem.paths: {} = \"{}\"", rule.path.display(), rule.mode.word());
            let mut by = Vec::new();
            for placed in self.plan.view.parts.iter().filter(|placed| placed.origin == rule.origin) {
                if let Some(how) = mechanism(&placed.op)
                    && !by.contains(&how)
                {
                    by.push(how);
                }
            }
            if rule.mode == Mode::Hidden {
                by.push("left out of the view".into());
            }
            by.extend(
                self.plan.view.closed.iter().filter(|c| c.origin == rule.origin).map(|closed| closed.why.to_owned()),
            );
            if by.is_empty() {
                by.push(
                    if rule.options.optional { "it is not there" } else { "the mount above it is the same" }.into(),
                );
            }
            if let Ok(landlock) = &self.plan.lockdown.landlock {
                by.extend(second_wall(landlock, &rule.path, rule.mode));
            }
            let missing =
                self.plan.notes.iter().filter(|note| note.starts_with(&format!("{} is not", rule.path.display())));
            let missing: Vec<String> = missing.cloned().collect();
            let by = if missing.is_empty() { by } else { Vec::new() };
            self.line(setting, &rule.origin, by, missing);
        }
        for device in &sandbox.devices {
            self.full(
                format!("devices.allow: {}", device.name),
                &device.origin,
                vec!["bind mount of the device".into()],
            );
        }
    }

    fn services(&mut self, sandbox: &Sandbox) {
        for helper in &self.plan.helpers {
            self.full(helper.setting, &helper.origin, vec![helper.mechanism()]);
        }
        for (on, name) in [(sandbox.desktop.x11, "x11"), (sandbox.desktop.wayland, "wayland")] {
            if on {
                self.full(
                    format!("desktop.{name} = true"),
                    &Origin::default(),
                    vec!["bind mount of the socket".into()],
                );
            }
        }
    }

    fn security(&mut self, sandbox: &Sandbox) {
        let none = Origin::default();
        let names = |set: u64| -> Vec<&str> {
            let held = CAPABILITIES.iter().enumerate().filter(|(number, _)| set >> number & 1 == 1);
            held.map(|(_, name)| name.as_str()).collect()
        };
        let mut by = vec!["capset".to_owned(), "empty bounding set".into(), "securebits".into(), "no_new_privs".into()];
        if self.plan.lockdown.capabilities != CapabilityPlan::EMPTY {
            by = vec!["capset, bounding and ambient set".into(), "no_new_privs".into()];
        }
        if self.plan.namespaces.second_user_namespace {
            by.push("a second user namespace, without power over the view".into());
        }
        self.full(format!("security.capabilities = {:?}", names(self.plan.lockdown.capabilities.ambient)), &none, by);
        if self.plan.lockdown.own_keyring {
            self.full("a session keyring of its own", &none, vec!["keyctl".into(), "seccomp".into()]);
        }
        if let Some(policy) = &self.plan.lockdown.syscalls {
            let length: usize = self.plan.lockdown.seccomp.iter().map(Vec::len).sum();
            let by = vec![format!("seccomp filter of {length} instructions")];
            self.full(format!("security.seccomp: {:?}", policy.base).to_lowercase(), &none, by);
            if policy.arches.contains(&super::syscalls::Arch::X86) {
                let missing = "programs of 32 bits make sockets by socketcall(2), whose address family no filter sees: of those that a \
                               user may have, all are in reach";
                let missing =
                    if policy.base == super::syscalls::Base::Default { vec![missing.to_owned()] } else { Vec::new() };
                self.line("security.arch: x86".into(), &none, vec!["seccomp filter".into()], missing);
            }
            for (word, list) in [("allow", &sandbox.security.syscalls.allow), ("deny", &sandbox.security.syscalls.deny)]
            {
                for (name, origin) in list {
                    self.full(format!("security.syscalls.{word}: {name}"), origin, vec!["seccomp filter".into()]);
                }
            }
        }
        let origin = &sandbox.security.landlock_origin;
        match &self.plan.lockdown.landlock {
            Err(why) => self.line("security.landlock".into(), origin, Vec::new(), vec![why.clone()]),
            Ok(landlock) => {
                let by = vec![format!("Landlock version {}, {} rules", landlock.version, landlock.rules.len())];
                self.line("security.landlock".into(), origin, by, landlock.missing());
            }
        }
    }
}

/// What provides a part of the view.
fn mechanism(op: &Op) -> Option<String> {
    let flags = |attributes: &super::Attributes| {
        let words =
            [("ro", attributes.ro), ("nosuid", true), ("nodev", attributes.nodev), ("noexec", attributes.noexec)];
        words.iter().filter(|(_, on)| *on).map(|(word, _)| *word).collect::<Vec<_>>().join(",")
    };
    Some(match op {
        Op::Bind { attributes, .. } => format!("bind mount, {} on it and all below", flags(attributes)),
        Op::Tmpfs { attributes, size: Some(size), .. } => format!("tmpfs of {size} bytes, {}", flags(attributes)),
        Op::Tmpfs { attributes, .. } => format!("tmpfs, {}", flags(attributes)),
        Op::Mask { closed: true, .. } => "a mount that nobody may enter, over it".into(),
        Op::Mask { .. } => "an empty mount over it".into(),
        Op::Proc { .. } => "procfs of the pid namespace".into(),
        _ => return None,
    })
}

/// Whether Landlock would keep the path's mode without the mount's flags.
fn second_wall(landlock: &LandlockPlan, path: &Path, mode: Mode) -> Option<String> {
    use crate::sys::{FS_READ_FILE, FS_WRITE_FILE};
    let granted = landlock.rules.iter().filter(|(rule, _)| path.starts_with(rule)).fold(0, |all, (_, one)| all | one);
    let keeps = match mode {
        Mode::Ro => granted & FS_WRITE_FILE == 0,
        Mode::Masked | Mode::Hidden | Mode::Deny => granted & (FS_WRITE_FILE | FS_READ_FILE) == 0,
        Mode::Rw | Mode::Tmpfs => return None,
    };
    keeps.then(|| format!("Landlock version {}", landlock.version))
}
