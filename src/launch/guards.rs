//! Guards left out of a sandbox, by the names in the variable SBX_GUARDS_OFF: `sbx selftest` has to see each of them missing. Only in
//! programs that are built with the feature `guards-off`, for tests.

use crate::child::{Guard, MountSource, Prepared, ProcCover, Session, StepAction};
use crate::netfilter::PacketTarget;
use crate::plan::{Attributes, Given, Op, Placed, Plan};
use crate::spec::{AddressClass, Namespace, Origin, Service};
use crate::sys;
use std::path::Path;

/// Whether the guard of this name is to be left out.
fn off(name: &str) -> bool {
    std::env::var("SBX_GUARDS_OFF").is_ok_and(|list| list.split(',').any(|other| other == name))
}

/// The plan without those guards to be left out that are part of a plan.
pub(super) fn plan(plan: &Plan) -> &'static Plan {
    let mut plan = plan.clone();
    for namespace in Namespace::ALL {
        if off(namespace.word()) {
            plan.namespaces.private.remove(&namespace);
        }
    }
    if off("net") {
        plan.namespaces.loopback = false;
    }
    if off("rules") {
        plan.packet_rules = None;
    }
    if let Some(rules) = &mut plan.packet_rules {
        let subnet = rules.peers.as_ref().map(|peers| peers.subnet);
        let shared = |to: &PacketTarget| match (to, subnet) {
            (PacketTarget::Addresses(to), Some(subnet)) => to.contains(subnet.v4.first().into()),
            _ => false,
        };
        rules.rules.retain(|rule| {
            let of_servers = rule.service.ports.is_some_and(|(first, _)| first == 53 || first == 853);
            let left_out = of_servers && off("name-servers") || shared(&rule.to) && off("peers");
            rule.accept || !left_out
        });
        for rule in rules.rules.iter_mut().filter(|rule| matches!(rule.to, PacketTarget::Names(_)) && off("names")) {
            rule.to = PacketTarget::Addresses(AddressClass::Internet.addresses());
            rule.service = Service::default();
        }
    }
    if off("uts") {
        plan.namespaces.hostname = None;
        plan.namespaces.domainname = None;
    }
    if off("ipc") {
        plan.view.parts.retain(|placed| !matches!(placed.op, Op::Mqueue { .. }));
    }
    if off("memory") {
        plan.view.memory = None;
    }
    if off("environment") {
        plan.process.env.extend(std::env::vars_os());
    }
    if off("masks") {
        plan.view.parts.retain(|placed| !matches!(placed.op, Op::Mask { .. }));
    }
    if off("pins") {
        let view = plan.view.parts.clone();
        plan.view.parts.retain(|placed| !is_pin(placed, &view));
    }
    for at in 0..plan.view.parts.len() {
        let Some((before, rest)) = plan.view.parts.split_at_mut_checked(at) else { continue };
        let Some((placed, after)) = rest.split_first_mut() else { continue };
        let path = placed.op.path().to_owned();
        let alone = !before
            .iter()
            .chain(after.iter())
            .any(|other| other.op.path() != path && other.op.path().starts_with(&path));
        match &placed.op {
            Op::Layers { lower, make, .. } if off("overlay") => {
                let make = *make;
                let attributes = Attributes { ro: false, nodev: true, noexec: false };
                let source = lower.first().cloned().unwrap_or_default();
                placed.op = Op::Bind { source, path, attributes, make };
            }
            // A new procfs needs a pid namespace of the sandbox's own.
            Op::Proc { .. } if off("pid") => placed.op = bind(&path, true),
            Op::Tmpfs { .. } if off("private") && alone && path.is_dir() => placed.op = bind(&path, true),
            _ => {}
        }
    }
    if off("system-only") {
        let names = sys::read_dir("/").into_iter().flatten().flatten().map(|entry| entry.path());
        let shown = |path: &Path| plan.view.parts.iter().any(|placed| placed.op.path() == path);
        let beside: Vec<_> = names.filter(|path| path.is_dir() && !shown(path)).collect();
        let at = plan.view.parts.iter().position(|placed| matches!(placed.op, Op::Seal { .. })).unwrap_or(0);
        let show = |path: std::path::PathBuf| {
            let attributes = Attributes { ro: true, nodev: true, noexec: false };
            let op = Op::Bind { source: path.clone(), path, attributes, make: true };
            Placed { op, origin: Origin::default(), ensure: None }
        };
        plan.view.parts.splice(at..at, beside.into_iter().map(show));
    }
    if off("devices") {
        let dev = Path::new("/dev");
        plan.view.parts.retain(|placed| placed.op.path() == dev || !placed.op.path().starts_with(dev));
        if let Some(at) = plan.view.parts.iter().position(|placed| placed.op.path() == dev) {
            plan.view.parts.insert(at + 1, Placed { op: bind(dev, false), origin: Origin::default(), ensure: None });
        }
    }
    if off("git-identity") {
        for placed in &mut plan.view.parts {
            if let Op::File { path, data, .. } = &mut placed.op
                && (path.ends_with(".gitconfig") || path.ends_with(".config/git/config"))
            {
                *data = std::fs::read(path).unwrap_or_default();
            }
        }
    }
    if off("gpg-agent") {
        for placed in &mut plan.view.parts {
            if let Op::Bind { source, .. } = &mut placed.op
                && source.ends_with("S.gpg-agent.extra")
            {
                source.set_extension("");
            }
        }
    }
    for (guard, name) in [("sound", crate::proxy::SOUND), ("ssh-agent", crate::proxy::AGENT)] {
        if off(guard)
            && let Some(at) = plan.helpers.iter().position(|helper| helper.name == name)
        {
            // The server's own socket is shown in place of the filter's.
            let helper = plan.helpers.remove(at);
            let socket = helper.descriptors.iter().find_map(|(_, given)| match given {
                Given::Listener(path) => Some(path.clone()),
                _ => None,
            });
            let seal = plan.view.parts.iter().position(|placed| matches!(placed.op, Op::Seal { .. }));
            let attributes = Attributes { ro: true, nodev: true, noexec: false };
            let path = socket.unwrap_or_default();
            let op = Op::Bind { source: helper.target.into(), path, attributes, make: true };
            let placed = Placed { op, origin: Origin::default(), ensure: None };
            plan.view.parts.insert(seal.unwrap_or(plan.view.parts.len()), placed);
        }
    }
    // Leaked: the plan is borrowed for as long as the sandbox runs, and a test's process runs only one.
    Box::leak(Box::new(plan))
}

/// Binds a path of the host at the same path inside, read-only.
fn bind(path: &Path, nodev: bool) -> Op {
    let attributes = Attributes { ro: true, nodev, noexec: false };
    Op::Bind { source: path.to_owned(), path: path.to_owned(), attributes, make: false }
}

/// Whether a part of the view binds a directory onto itself, with unchanged flags, to keep it from being renamed.
fn is_pin(placed: &Placed, view: &[Placed]) -> bool {
    let Op::Bind { source, path, attributes, .. } = &placed.op else { return matches!(placed.op, Op::Pin { .. }) };
    source == path
        && view.iter().any(|other| match &other.op {
            Op::Bind { path: above, attributes: same, .. } => {
                path != above && path.starts_with(above) && same == attributes
            }
            _ => false,
        })
}

/// What the child is given, without those guards to be left out that are not part of a plan.
pub(super) fn prepared(mut prepared: Prepared) -> Prepared {
    if off("filter") {
        prepared.lockdown.filters.clear();
        prepared.lockdown.filters_for_all.clear();
    }
    if off("capabilities") {
        let all = (1 << sys::CAPABILITIES.len()) - 1;
        prepared.lockdown.capabilities.sets = Some(all);
        prepared.lockdown.capabilities.ambient = all;
        prepared.lockdown.capabilities.bounding = None;
        prepared.lockdown.capabilities.powerless_root = false;
    }
    if off("securebits") {
        prepared.lockdown.capabilities.powerless_root = false;
    }
    if off("bounding") {
        prepared.lockdown.capabilities.bounding = None;
    }
    // Landlock rules for paths that are not made would have nothing to refer to.
    if off("landlock") || off("devices") || off("ipc") {
        prepared.lockdown.landlock = None;
    }
    if let (Some(landlock), true) = (&mut prepared.lockdown.landlock, off("landlock-tcp")) {
        landlock.tcp = None;
    }
    if off("keyring") {
        prepared.lockdown.own_keyring = false;
    }
    if off("descriptors") {
        prepared.descriptors.only_fds = None;
    }
    if off("streams") {
        prepared.descriptors.read_only.clear();
    }
    if off("nested") {
        prepared.namespaces.limit_nested = None;
    }
    if off("session") {
        prepared.process.session = Session::Inherit { own_group: false, terminal: None };
    }
    let guards =
        [("no-new-privs", Guard::NoNewPrivs), ("dumpable", Guard::Undumpable), ("arguments", Guard::NoArguments)];
    prepared.off = guards.into_iter().filter(|(name, _)| off(name)).map(|(_, guard)| guard).collect();
    if off("dumpable") {
        prepared.lockdown.visible = true;
    }
    let mut without = 0;
    for (name, attribute) in [("read-only", sys::ATTR_RDONLY), ("nosuid", sys::ATTR_NOSUID), ("nodev", sys::ATTR_NODEV)]
    {
        without |= if off(name) { attribute } else { 0 };
    }
    for step in &mut prepared.view.steps {
        match &mut step.act {
            StepAction::Mount(MountSource::Proc(cover)) if off("proc-masks") => *cover = ProcCover::Nothing,
            StepAction::Mount(MountSource::Resolved { attributes, .. }) | StepAction::Attributes(attributes) => {
                *attributes &= !without
            }
            _ => {}
        }
    }
    prepared
}
