//! Merged layers → `Sandbox`. Reports all errors at once, each with its position.
//!
//! `builder` has what all parts share: origins, variables, paths, errors. Each other file reads one part.

mod builder;
mod bus;
mod closed;
mod devices;
mod filesystem;
mod held;
mod limits;
mod mode;
mod namespaces;
mod network;
mod process;
mod rules;
mod security;
mod services;
mod union;
mod unseen;

use crate::profile::diagnostic::Diagnostic;
use crate::profile::expand::Vars;
use crate::profile::merge::Merged;
use crate::profile::source::Sources;
use crate::spec::{Desktop, Namespace, Sandbox, Wayland, X11};
use builder::Builder;

/// The sandbox that the merged layers describe, or all errors in them.
pub fn sandbox(merged: &Merged, sources: &Sources, vars: &Vars) -> Result<Sandbox, Vec<Diagnostic>> {
    let mut builder = Builder::new(merged, sources, vars);
    // The paths are judged by what the profile says of itself. Errors in there are reported where they stand, at the end.
    let asserts = builder.asserts();
    let in_asserts = std::mem::take(&mut builder.errors);
    let mut sandbox = Sandbox {
        name: String::new(),
        process: builder.process(),
        namespaces: builder.namespaces(),
        filesystem: builder.filesystem(&asserts),
        devices: builder.devices(),
        network: builder.network(),
        named_network: builder.named_network(),
        name_servers: builder.name_servers(),
        published: builder.published(),
        forwarded: builder.forwarded(),
        network_rules: builder.network_rules(),
        rlimits: builder.rlimits(),
        limits: builder.limits(),
        desktop: Desktop {
            wayland: match (merged.text("desktop.wayland"), merged.switch("desktop.wayland")) {
                (Some(_), _) => Wayland::Unrestricted,
                (None, true) => Wayland::Restricted,
                (None, false) => Wayland::Off,
            },
            x11: match (merged.text("desktop.x11"), merged.switch("desktop.x11")) {
                (Some(word), _) if word.text == "virtual" => X11::Virtual,
                (Some(_), _) => X11::Nested,
                (None, true) => X11::Host,
                (None, false) => X11::Off,
            },
            sound: merged.list("desktop.sound").iter().map(|text| text.text.clone()).collect(),
            portals: merged.list("desktop.portals").iter().map(|text| text.text.clone()).collect(),
        },
        session_bus: builder.session_bus(),
        services: builder.services(),
        security: builder.security(),
        asserts,
        notes: Vec::new(),
        origins: builder.origins(),
    };
    sandbox.notes = builder.notes;
    builder.errors.extend(in_asserts);
    if sandbox.process.hostname.is_none() && sandbox.namespaces.private().contains(&Namespace::Uts) {
        sandbox.process.hostname = Some("sandbox".into());
    }
    if builder.errors.is_empty() { Ok(sandbox) } else { Err(builder.errors) }
}
