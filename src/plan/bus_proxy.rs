//! The filter in front of the session bus: xdg-dbus-proxy(1).

use super::helpers::{Argument, Confinement, HelperSpec, HelperWords, Loss, Phase, Readiness};
use crate::error::{Error, Result};
use crate::spec::Sandbox;
use std::path::{Path, PathBuf};

/// Plans xdg-dbus-proxy: `program` serves `socket`, a path inside, and forwards to the bus at `address`.
///
/// # Errors
///
/// The address would be taken for an option.
pub(super) fn helper(sandbox: &Sandbox, program: &Path, address: &str, socket: PathBuf) -> Result<HelperSpec> {
    let origin = sandbox.session_bus.origin.clone();
    if address.starts_with('-') {
        return Err(Error::new(format!("{address} is no address of a bus")).origin(&origin));
    }
    Ok(HelperSpec {
        name: "xdg-dbus-proxy",
        provides: "session bus",
        setting: "dbus.session.policy = \"filter\"",
        program: program.to_owned(),
        target: address.to_owned(),
        args: vec![Argument::Pipe("--fd="), Argument::Text(address.to_owned()), Argument::Inside(socket)],
        rules: rules(sandbox),
        phase: Phase::View,
        readiness: Readiness::Byte,
        confinement: Confinement::Caller,
        loss: Loss::Note("the program has no session bus from here on"),
        words: HelperWords {
            ready: format!("its socket was ready, on the bus {address}"),
            needs: "DBUS_SESSION_BUS_ADDRESS must name a bus that answers",
            without: "--set dbus.session.policy=none goes without",
        },
        origin,
    })
}

/// The proxy's rules as arguments: those of the profile, and those that the profile's portals need.
fn rules(sandbox: &Sandbox) -> Vec<String> {
    let mut rules = vec!["--filter".to_owned()];
    rules.extend(sandbox.session_bus.rules.iter().map(|rule| format!("--{rule}")));
    if sandbox.desktop.portals.is_empty() {
        return rules;
    }
    let portal = "org.freedesktop.portal";
    for interface in ["org.freedesktop.portal.Request.*", "org.freedesktop.portal.Session.*"] {
        rules.push(format!("--call={portal}.Desktop={interface}@/org/freedesktop/portal/desktop/*"));
    }
    rules.push(format!("--call={portal}.Desktop=org.freedesktop.DBus.Properties.*@/org/freedesktop/portal/desktop"));
    rules.push(format!("--broadcast={portal}.Desktop=*@/org/freedesktop/portal/desktop/*"));
    for name in &sandbox.desktop.portals {
        let interface = match name.as_str() {
            "file-chooser" => "FileChooser",
            "open-uri" => "OpenURI",
            "notification" => "Notification",
            "settings" => "Settings",
            "camera" => "Camera",
            _ => "Print",
        };
        rules.push(format!("--call={portal}.Desktop={portal}.{interface}.*@/org/freedesktop/portal/desktop"));
    }
    rules
}
