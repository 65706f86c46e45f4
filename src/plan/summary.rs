//! What a plan means for its user, in a few lines: what the program may read, write and reach. `sbx plan --verbose` has
//! the whole plan.

use super::lines::Lines;
use super::{Extent, Op, Plan, Receipt};
use crate::netfilter::Peers;
use crate::spec::{NameServers, Namespace, Network, NetworkRule, NetworkRules, Root, SYSTEM, Sandbox, X11};
use std::collections::BTreeSet;
use std::path::Path;

/// How many paths a line names.
const NAMED: usize = 8;

/// The summary of a plan: a line for each kind of thing that the program may use, and one for each part of the profile that is not
/// enforced.
pub fn summary(sandbox: &Sandbox, plan: &Plan, receipt: &Receipt) -> String {
    let mut lines = Lines::default();
    plan.process.render_program(&mut lines);
    if !sandbox.name.is_empty() {
        lines.add("profile", &sandbox.name);
    }
    let view = View::of(plan);
    lines.add("reads", view.read(sandbox));
    lines.add(
        "writes",
        match list(&view.writes) {
            paths if paths.is_empty() => "nothing on the host".to_owned(),
            paths => paths,
        },
    );
    plan.view.exclusive.iter().for_each(|exclusive| exclusive.render(&mut lines));
    if let Some(union) = &plan.view.union {
        lines.add("overlay", format!("{}: the host's files stay as they are", list(&view.layered)));
        union.render(&mut lines);
    }
    if !view.memory.is_empty() {
        lines.add("in memory", format!("{}; empty at the start, gone at the end", list(&view.memory)));
    }
    if let Some(memory) = &plan.view.memory {
        memory.render(&mut lines);
    }
    if view.masked > 0 {
        lines.add("masked", format!("{} paths of these are empty or closed", view.masked));
    }
    if !view.devices.is_empty() {
        lines.add("devices", list(&view.devices));
    }
    lines.add(
        "network",
        match sandbox.network {
            Network::None => "none".into(),
            Network::Private(_) if plan.network_helper().is_some() => reached(&sandbox.network_rules),
            Network::Named(_) => shared(sandbox, plan),
            Network::Joined(_) => "that of another sandbox, with everything that this one reaches".into(),
            Network::Private(_) => "its own, with nothing in it but loopback".into(),
            Network::Host => "the host's, with everything that the host reaches".into(),
        },
    );
    match &sandbox.name_servers {
        NameServers::Host => {}
        NameServers::None => lines.add("names", "no name server is named"),
        NameServers::Named(servers) => {
            let servers: Vec<_> = servers.iter().map(|(server, _)| server.to_string()).collect();
            lines.add("names", format!("asked of {}", servers.join(", ")));
        }
    }
    plan.ports.iter().for_each(|port| lines.add("publishes", port.port.to_string()));
    plan.forwarded.iter().for_each(|port| lines.add("forwards", format!("{port} of the host's loopback")));
    lines.add(
        "processes",
        match plan.namespaces.private.contains(&Namespace::Pid) {
            true => "its own alone",
            false => "the host's",
        },
    );
    plan.wayland.iter().for_each(|wayland| wayland.render(&mut lines));
    if sandbox.desktop.x11 == X11::Host && view.display {
        lines.add("x11", "the X server of this display");
    }
    // Relays of ports are named above.
    let helpers = plan.helpers.iter().filter(|helper| helper.name != crate::proxy::RELAY);
    helpers.for_each(|helper| lines.add(helper.provides, helper.summary()));
    plan.resources.render(&mut lines);
    plan.process.render_timeout(&mut lines);
    plan.lockdown.render(&mut lines);
    for line in receipt.lines.iter().filter(|line| line.enforced != Extent::Full) {
        let how = if line.enforced == Extent::Partial { "in part" } else { "not" };
        lines.add("incomplete", format!("{} is {how} enforced: {}", line.setting, line.missing.join("; ")));
    }
    plan.notes.iter().for_each(|note| lines.add("note", note.to_string()));
    lines.text
}

/// The view's parts by what the program may do with them.
#[derive(Default)]
struct View {
    /// Top-level directories of the host's system.
    system: BTreeSet<String>,
    /// What else is read-only.
    reads: Vec<String>,
    writes: Vec<String>,
    /// Overlays: what is written there goes to a layer above the host's files.
    layered: Vec<String>,
    /// Directories in memory.
    memory: Vec<String>,
    devices: Vec<String>,
    /// An X server's socket is shown.
    display: bool,
    /// The number of masks.
    masked: usize,
}

impl View {
    fn of(plan: &Plan) -> View {
        let mut view = View::default();
        for part in &plan.view.parts {
            match &part.op {
                Op::Bind { path, .. } if path.starts_with("/tmp/.X11-unix") => view.display = true,
                // The devices that every program has go without saying.
                Op::Bind { attributes, .. } if !attributes.nodev && part.origin.0.is_empty() => {}
                Op::Bind { path, attributes, .. } if !attributes.nodev => view.devices.push(path.display().to_string()),
                Op::Bind { source, path, attributes, .. } => {
                    let text = match source == path {
                        true => path.display().to_string(),
                        false => format!("{} (the host's {})", path.display(), source.display()),
                    };
                    match system(path) {
                        _ if !attributes.ro => view.writes.push(text),
                        Some(name) if source == path && part.origin.0.is_empty() => {
                            view.system.insert(format!("/{name}"));
                        }
                        _ => view.reads.push(text),
                    }
                }
                Op::Layers { path, ro: false, .. } => view.layered.push(path.display().to_string()),
                Op::Layers { path, lower, .. } => {
                    let lower: Vec<_> = lower.iter().map(|dir| dir.display().to_string()).collect();
                    view.reads.push(format!("{} ({})", path.display(), lower.join(" over ")));
                }
                Op::Tmpfs { path, .. } if path != Path::new("/dev/shm") => view.memory.push(path.display().to_string()),
                Op::Mask { .. } => view.masked += 1,
                _ => {}
            }
        }
        view
    }

    fn read(&self, sandbox: &Sandbox) -> String {
        let system: Vec<_> = self.system.iter().map(String::as_str).collect();
        let system = match &sandbox.filesystem.root {
            Root::Host if !system.is_empty() => format!("the system ({})", system.join(" ")),
            Root::Dir(dir) => format!("the tree {}", dir.display()),
            Root::Stack(dirs) => {
                let dirs: Vec<_> = dirs.iter().map(|dir| dir.display().to_string()).collect();
                format!("the trees {}", dirs.join(" over "))
            }
            _ => system.join(" "),
        };
        match [system, list(&self.reads)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ") {
            all if all.is_empty() => "nothing on the host".to_owned(),
            all => all,
        }
    }
}

/// The system's top-level directory that a path lies in.
fn system(path: &Path) -> Option<&str> {
    let name = path.components().nth(1)?.as_os_str().to_str()?;
    (SYSTEM.contains(&name) || name == "sys").then_some(name)
}

/// Paths as words, the first of them if they are many.
fn list(paths: &[String]) -> String {
    let more = match paths.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// What is reached from a network that sandboxes share.
fn shared(sandbox: &Sandbox, plan: &Plan) -> String {
    let Some(named) = &plan.namespaces.named else { return String::new() };
    let peers = plan.packet_rules.as_ref().and_then(|rules| rules.peers.as_ref());
    let others = match peers {
        Some(Peers { let_in: true, denied, .. }) => format!(
            "one that it shares: it reaches the other sandboxes in `{}` ({}), and they reach it{}",
            named.name,
            named.network.subnets(),
            if denied.is_empty() { "" } else { ", but for what network.deny refuses" }
        ),
        _ => format!("one that it shares, in which it is kept from the other sandboxes in `{}`", named.name),
    };
    match named.helper {
        Some(_) => format!("{others}; outside, {}", reached(&sandbox.network_rules).trim_start_matches("its own: ")),
        None => format!("{others}; nothing outside"),
    }
}

/// What is reached from a network of the sandbox's own.
fn reached(rules: &NetworkRules) -> String {
    const SHOWN: usize = 8;
    let list = |rules: &[NetworkRule]| {
        let shown: Vec<_> = rules.iter().take(SHOWN).map(NetworkRule::to_string).collect();
        let more = match rules.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more}", shown.join(", "))
    };
    let all = match rules.allow.as_deref() {
        None => "its own: the Internet, not your local network, the host or the cloud's metadata".into(),
        Some([]) => "its own: name servers, and nothing else".into(),
        Some(allow) => format!("its own: {}, and nothing else", list(allow)),
    };
    let all = if rules.ask { format!("{all}, unless the user says so for a name") } else { all };
    if rules.deny.is_empty() { all } else { format!("{all}; not {}", list(&rules.deny)) }
}
