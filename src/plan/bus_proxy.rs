//! The filter in front of the session bus: xdg-dbus-proxy(1).

use super::confined::{self, Needs};
use super::helpers::{Argument, Confinement, HelperProgram, HelperSpec, HelperWords, Loss, Phase, Readiness, Tells};
use super::portal_caller;
use crate::error::{Error, Result};
use crate::host::{Facts, bus_path};
use crate::spec::Sandbox;
use std::path::{Path, PathBuf};

/// Plans xdg-dbus-proxy: `program` serves `socket`, a path inside, and forwards to the bus at `address`.
///
/// # Errors
///
/// The address would be taken for an option.
pub(super) fn helper(
    sandbox: &Sandbox,
    facts: &Facts,
    program: &Path,
    address: &str,
    socket: PathBuf,
) -> Result<HelperSpec> {
    let origin = sandbox.session_bus.origin.clone();
    if address.starts_with('-') {
        return Err(Error::new(format!("{address} is no address of a bus")).origin(&origin));
    }
    Ok(HelperSpec {
        name: "xdg-dbus-proxy",
        provides: "session bus",
        setting: "dbus.session.policy = \"filter\"",
        program: HelperProgram::Host(program.to_owned()),
        target: address.to_owned(),
        args: vec![Argument::Pipe("--fd="), Argument::Text(address.to_owned()), Argument::Inside(socket)],
        descriptors: Vec::new(),
        rules: rules(sandbox),
        phase: Phase::View,
        readiness: Readiness::Byte,
        tells: Tells::Nothing,
        confinement: confinement(sandbox, facts, program, address),
        loss: Loss::Note("the program has no session bus from here on"),
        words: HelperWords {
            ready: format!("its socket was ready, on the bus {address}"),
            needs: "DBUS_SESSION_BUS_ADDRESS must name a bus that answers",
            without: "--set dbus.session.policy=none goes without",
        },
        origin,
    })
}

/// The sandbox of the proxy: the socket of the bus, and a file that says to portals which program their caller is.
///
/// Portals take the proxy for the caller, as it has the connection to the bus. They look for `/.flatpak-info` in the
/// caller's root directory (xdg-desktop-portal, src/xdp-app-info-flatpak.c); without that file, the caller counts as a
/// program of the host, which is asked less: it opens addresses and the camera without a question.
fn confinement(sandbox: &Sandbox, facts: &Facts, program: &Path, address: &str) -> Confinement {
    let shown = bus_path(address).map(Path::to_owned);
    let network = if sandbox.network.reaches_out() { "shared=network;\n" } else { "" };
    let info = format!(
        "[Application]\nname={}\n\n[Instance]\ninstance-id={}\n\n[Context]\n{network}",
        sandbox.app_id(),
        portal_caller::instance_id(facts)
    );
    let needs = Needs {
        network: shown.is_none(),
        shown: shown.into_iter().collect(),
        files: vec![("/.flatpak-info".into(), info.into_bytes())],
        env: vec![("PATH", "/usr/bin:/bin".into())],
    };
    confined::sandbox(sandbox, facts, program, needs)
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
