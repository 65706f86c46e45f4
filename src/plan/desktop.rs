//! Plans access to the desktop: sockets of the display and of sound, devices, the session bus.

use super::agents;
use super::bus_proxy;
use super::item::{Item, ItemKind, own};
use super::links::resolved;
use super::note::Note;
use super::services::DesktopPlan;
use super::sound;
use super::wayland::{self, Reached, WaylandPlan};
use super::x11;
use crate::error::{Error, Result};
use crate::host::{Facts, bus_path};
use crate::spec::{BusPolicy, Options, Sandbox, Wayland, X11};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Plans everything that the profile asks for of the desktop, and sets the variables by which programs find it.
///
/// # Errors
///
/// A device that is not optional is missing, or the compositor or the session bus cannot be reached as the profile wants.
pub(super) fn plan(
    sandbox: &Sandbox,
    facts: &Facts,
    env: &mut BTreeMap<String, String>,
    notes: &mut Vec<Note>,
) -> Result<DesktopPlan> {
    let mut plan = DesktopPlan::default();
    let uid = match sandbox.process.user {
        crate::spec::User::Own | crate::spec::User::KeepId => facts.uid,
        crate::spec::User::Ids { uid, .. } | crate::spec::User::Single { uid, .. } => uid,
        crate::spec::User::Range => 0,
    };
    let runtime = PathBuf::from(format!("/run/user/{uid}"));
    env.insert("XDG_RUNTIME_DIR".into(), runtime.display().to_string());
    let desktop = &sandbox.desktop;
    let host = &facts.desktop;
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    let noted = notes.len();
    let reached = wayland::reached(sandbox, facts, notes)?;
    let mut displays = 0;
    match reached {
        Reached::No => {}
        Reached::Own(socket) => plan.socket(facts, socket, runtime.join("wayland-0"))?,
        Reached::Restricted(socket) => {
            plan.wayland = Some(WaylandPlan {
                compositor: socket.to_owned(),
                socket: plan.inside(sandbox, facts, &runtime, "wayland-0"),
                app_id: sandbox.app_id(),
                origin: sandbox.origins.of("desktop.wayland", ""),
            });
        }
    }
    if !matches!(reached, Reached::No) {
        displays += 1;
        set("WAYLAND_DISPLAY", "wayland-0".into());
    }
    if let Some(nested) = x11::nested(sandbox, facts, plan.wayland.as_ref(), displays > 0, notes) {
        displays += 1;
        set("DISPLAY", format!(":{}", nested.number));
        let file = runtime.join("Xauthority");
        set("XAUTHORITY", file.display().to_string());
        plan.items.push((file, own(ItemKind::File { mode: 0o600, data: nested.cookie })));
        let dir = nested.socket.parent().unwrap_or(Path::new("/")).to_owned();
        plan.items.push((dir, own(ItemKind::Dir { mode: 0o1777 })));
        plan.helpers.push(nested.helper);
    }
    if let Some((number, socket)) = host.x11.as_ref().filter(|_| desktop.x11 == X11::Host) {
        displays += 1;
        plan.socket(facts, socket, socket.clone())?;
        set("DISPLAY", format!(":{number}"));
        if !host.x11_cookie.is_empty() {
            let file = runtime.join("Xauthority");
            set("XAUTHORITY", file.display().to_string());
            plan.items.push((file, own(ItemKind::File { mode: 0o600, data: host.x11_cookie.clone() })));
        }
    }
    if (desktop.wayland != Wayland::Off || desktop.x11 != X11::Off) && displays == 0 && notes.len() == noted {
        notes.push(Note::NoDisplay);
    }
    sound::plan(sandbox, facts, &runtime, env, &mut plan, notes)?;
    devices(sandbox, facts, &mut plan, notes)?;
    bus(sandbox, facts, &runtime, env, &mut plan, notes)?;
    agents::plan(sandbox, facts, &runtime, env, &mut plan, notes)?;
    Ok(plan)
}

/// Shows the devices of `devices.allow`.
fn devices(sandbox: &Sandbox, facts: &Facts, plan: &mut DesktopPlan, notes: &mut Vec<Note>) -> Result<()> {
    for device in &sandbox.devices {
        let path = PathBuf::from(&device.name);
        let found = match facts.desktop.devices.get(&device.name) {
            Some(found) => found.clone(),
            None if facts.paths.kind(&path).is_some() => vec![path],
            None => Vec::new(),
        };
        if found.is_empty() {
            if device.optional {
                notes.push(Note::NoDevice { name: device.name.clone() });
                continue;
            }
            return Err(Error::new(format!("this host has no device `{}`", device.name))
                .origin(&device.origin)
                .hint(format!("write `{},optional` if the program does without", device.name)));
        }
        for source in found {
            // Read-only keeps the host's node from being changed; a device opens for writing all the same.
            let what = ItemKind::Bind { source: resolved(facts, &source, &device.origin)?, ro: true, device: true };
            let item = Item { what, options: Options::default(), origin: device.origin.clone(), asked: true };
            plan.items.push((source, item));
        }
    }
    Ok(())
}

/// Gives the program the session bus as `dbus.session.policy` says: none, the host's own socket, or a filtered one.
fn bus(
    sandbox: &Sandbox,
    facts: &Facts,
    runtime: &Path,
    env: &mut BTreeMap<String, String>,
    plan: &mut DesktopPlan,
    notes: &mut Vec<Note>,
) -> Result<()> {
    let bus = &sandbox.session_bus;
    if bus.policy == BusPolicy::None {
        return Ok(());
    }
    let Some(address) = &facts.desktop.session_bus else {
        notes.push(Note::NoBus);
        return Ok(());
    };
    let socket = runtime.join("bus");
    env.insert("DBUS_SESSION_BUS_ADDRESS".into(), format!("unix:path={}", socket.display()));
    if bus.policy == BusPolicy::Host {
        let Some(path) = bus_path(address) else {
            return Err(Error::new(format!("the session bus is not at a path of this host: {address}"))
                .origin(&bus.origin)
                .hint("use `policy = \"filter\"`, which reaches it from outside"));
        };
        plan.socket(facts, path, socket)?;
        return Ok(());
    }
    let program = facts.helpers.get("xdg-dbus-proxy").map_err(|why| {
        Error::new(format!("a filtered session bus needs xdg-dbus-proxy, {why}"))
            .origin(&bus.origin)
            .hint("install it: apt-get install xdg-dbus-proxy; or --set dbus.session.policy=none")
    })?;
    let socket = plan.inside(sandbox, facts, runtime, "bus");
    if sandbox.desktop.portals.contains("file-chooser") {
        match &facts.desktop.documents {
            Some(documents) => {
                let source = resolved(facts, &documents.dir, &bus.origin)?;
                // GTK and Firefox call portals only when told to, outside of Flatpak and Snap.
                env.entry("GTK_USE_PORTAL".into()).or_insert_with(|| "1".into());
                plan.items.push((documents.mount.clone(), own(ItemKind::Bind { source, ro: false, device: false })));
            }
            None => notes.push(Note::NoDocuments),
        }
    }
    plan.helpers.push(bus_proxy::helper(sandbox, facts, program, address, socket)?);
    Ok(())
}
