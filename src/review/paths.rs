//! Reviews the paths of the host that are shown: what lies there, and what a program inside can do with it.

use super::harms::{BASE, is_browser, own_data, verdict};
use super::tables::TargetKind;
use super::targets::{Target, all, is_harmless};
use super::unlisted::Unlisted;
use super::verdict::{Finding, Severity, Verdict, listed, note, undoes};
use super::view::{Shown, ShownExtent, View, own_homes};
use crate::profile::Vars;
use crate::spec::{Root, Sandbox, lies_in_system};
use std::path::{Path, PathBuf};

/// The targets of one kind that one rule shows.
struct Group<'v> {
    shown: &'v Shown,
    kind: TargetKind,
    /// Paths of the targets that lie below the rule's path.
    inside: Vec<&'v Path>,
}

impl Group<'_> {
    /// Whether the rule names the target itself, at its own path and in the same mode as `other`, so that both can
    /// share a line.
    fn is_plain(&self, other: &Group) -> bool {
        self.inside.is_empty() && self.shown.path == self.shown.source && self.shown.writable == other.shown.writable
    }
}

pub(super) fn findings(sandbox: &Sandbox, vars: &Vars) -> Vec<Finding> {
    let (view, targets) = (View::of(sandbox, vars), all(vars));
    let unlisted = Unlisted::of(vars);
    let groups = grouped(&view, &targets, &unlisted);
    let names = Names::of(vars);
    // Shown because of `root = "host"`, without a line for the path.
    let implied = |shown: &Shown| {
        let rule = sandbox.filesystem.paths.iter().any(|rule| rule.path == shown.path);
        let top = shown.path.parent().is_some_and(|dir| dir == Path::new("/"));
        sandbox.filesystem.root == Root::Host && top && lies_in_system(&shown.path) && !rule
    };
    let judge = |group: &Group| match group.kind {
        TargetKind::Engine if implied(group.shown) => undoes(
            5.0,
            "where these are installed and you are in their group, it starts machines with the host's files in them, as root",
            BASE,
        ),
        TargetKind::Builder if implied(group.shown) => {
            Verdict { help: BASE, ..verdict(group.kind, false, sandbox, vars) }
        }
        TargetKind::Unlisted if unlisted.is_own(group.shown, sandbox) => own_data(),
        TargetKind::BrowserCode if unlisted.is_own(group.shown, sandbox) || is_browser(sandbox) => own_data(),
        TargetKind::Private if implied(group.shown) => note(0.2, "it reads what somebody keeps there", BASE),
        kind => verdict(kind, group.shown.writable, sandbox, vars),
    };
    let mut alike: Vec<(Verdict, Vec<&Group>)> = Vec::new();
    for group in &groups {
        let verdict = judge(group);
        // Grants that are no way out share one finding if they are alike.
        let known = alike.iter_mut().find(|(old, members)| {
            old.severity != Severity::Undoes
                && members[0].kind == group.kind
                && members.iter().chain([&group]).all(|one| one.is_plain(group))
        });
        match known {
            Some((_, members)) => members.push(group),
            None => alike.push((verdict, vec![group])),
        }
    }
    let finding = |(verdict, members): (Verdict, Vec<&Group>)| Finding {
        origins: members.iter().map(|group| group.shown.origin.clone()).collect(),
        ..verdict.at(&members[0].shown.origin, names.grant(&members))
    };
    alike.into_iter().map(finding).collect()
}

/// One group for each rule and kind, without those that a graver group of the same rule covers already.
fn grouped<'v>(view: &'v View, targets: &'v [Target], unlisted: &Unlisted<'_>) -> Vec<Group<'v>> {
    let mut groups: Vec<Group> = Vec::new();
    for target in targets {
        for (shown, extent) in view.showing(&target.path) {
            if extent == ShownExtent::Part && (!target.parts || is_harmless(&shown.source, shown.writable)) {
                continue;
            }
            let kind = target.kind;
            if !kind.counts(shown.writable) {
                continue;
            }
            // What is read-only in a project that is shown as a whole says nothing new.
            let whole = || view.showing(&target.path).any(|(_, extent)| extent != ShownExtent::Part);
            if kind == TargetKind::Project && extent == ShownExtent::Part && !shown.writable && whole() {
                continue;
            }
            let old = groups.iter_mut().find(|group| group.kind == kind && std::ptr::eq(group.shown, shown));
            let group = match old {
                Some(old) => old,
                None => {
                    groups.push(Group { shown, kind, inside: Vec::new() });
                    groups.last_mut().expect("one was pushed just now")
                }
            };
            if extent == ShownExtent::Within && !group.inside.contains(&target.path.as_path()) {
                group.inside.push(&target.path);
            }
        }
    }
    for shown in view.all() {
        let known = groups.iter().any(|group| {
            std::ptr::eq(group.shown, shown)
                && (group.kind.is_run() || group.kind == TargetKind::Cache && group.inside.is_empty())
        });
        if let Some(kind) = unlisted.kind(shown, targets).filter(|_| !known) {
            groups.push(Group { shown, kind, inside: Vec::new() });
        }
    }
    let has = |group: &Group, kinds: &[TargetKind]| {
        groups.iter().any(|other| kinds.contains(&other.kind) && std::ptr::eq(other.shown, group.shown))
    };
    let said: Vec<bool> =
        groups.iter().map(|group| group.kind.said_by(group.shown.writable, |kinds| has(group, kinds))).collect();
    let mut said = said.into_iter();
    groups.retain(|_| !said.next().unwrap_or(false));
    groups
}

impl TargetKind {
    /// Whether a target of this kind matters if the program can write to it (`writable`), or only read it.
    fn counts(self, writable: bool) -> bool {
        use TargetKind::*;
        writable || self == Home || !(self.is_run() || matches!(self, System | Kernel | Cache))
    }

    /// Whether a finding of another kind for the same rule covers this one; `has` tells which kinds the rule shows.
    fn said_by(self, writable: bool, has: impl Fn(&[TargetKind]) -> bool) -> bool {
        use TargetKind::*;
        match self {
            Manager | Accessibility | X11 | Sound | Wayland | Terminal | Agent | Card | Speech if has(&[Runtime]) => {
                true
            }
            Keys | Agent | Private | Browser | BrowserCode | Startup | Command | Tool | Worktree | Profiles | Cache
                if writable && has(&[Home]) =>
            {
                true
            }
            Private => has(&[Home, Temporary]) || writable && has(&[Unlisted, Files]),
            Command => has(&[Startup]),
            Tool => has(&[Startup, Command]),
            BrowserCode => has(&[Startup, Command, Tool]),
            Profiles => has(&[Startup, Command, Tool]),
            Worktree => has(&[Startup, Command, Tool]),
            Project => has(&[Home, Startup, Command, Tool, Worktree]),
            _ => false,
        }
    }
}

/// Writes paths as a profile does: with `~`, variables and well-known directories.
struct Names<'a> {
    homes: Vec<PathBuf>,
    vars: &'a Vars,
}

impl Names<'_> {
    fn of(vars: &Vars) -> Names<'_> {
        Names { homes: own_homes(vars), vars }
    }

    fn short(&self, path: &Path) -> String {
        let named = |name: &str| self.vars.names.get(name).map(Path::new).filter(|dir| dir.parent().is_some());
        let known = [
            (self.homes.first().map(PathBuf::as_path), "~"),
            (named("CWD"), "${CWD}"),
            (named("XDG_RUNTIME_DIR"), "${XDG_RUNTIME_DIR}"),
        ];
        let fitting = known.into_iter().filter_map(|(dir, name)| Some((path.strip_prefix(dir?).ok()?, name)));
        match fitting.min_by_key(|(rest, _)| rest.components().count()) {
            Some((rest, name)) if rest.as_os_str().is_empty() => name.to_owned(),
            Some((rest, name)) => format!("{name}/{}", rest.display()),
            None => path.display().to_string(),
        }
    }

    /// Describes the grant of a group, or of several that name their targets themselves.
    fn grant(&self, groups: &[&Group]) -> String {
        let Group { shown, kind, inside } = groups[0];
        let how = match kind {
            _ if shown.writable => "writable",
            TargetKind::Home
            | TargetKind::Tree
            | TargetKind::Keys
            | TargetKind::Browser
            | TargetKind::Project
            | TargetKind::Private => "readable",
            _ => "shown",
        };
        let verb = if groups.len() > 1 { "are" } else { "is" };
        let paths: Vec<String> = groups.iter().map(|group| self.short(&group.shown.source)).collect();
        let at = if shown.path == shown.source { String::new() } else { format!(" at {}", self.short(&shown.path)) };
        let inside: Vec<String> = inside.iter().map(|path| self.short(path)).collect();
        let with = if inside.is_empty() { String::new() } else { format!(", with {}", listed(&inside)) };
        format!("{} {verb} {how}{at}{with}", listed(&paths))
    }
}
