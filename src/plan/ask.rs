//! Plans questions to the user about names that no rule is for (`network.ask`): where they may be asked, so that the program neither sees
//! them, nor answers them, nor shows others in their place. Whether they are asked there is found at the start.

use super::lines::Lines;
use super::named;
use super::network;
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::review::acting;
use crate::spec::{
    AddressClass, BusPolicy, Destination, Device, NameServers, NetworkRule, Origin, Requirement, Sandbox, Wayland, X11,
};
use serde::Serialize;
use std::net::IpAddr;

/// The bus name of who shows notifications.
pub const NOTIFICATIONS: &str = "org.freedesktop.Notifications";

/// The user is asked about names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskPlan {
    /// The address of the bus on which notifications are shown, or why none are.
    pub notifications: std::result::Result<String, String>,
    /// Names on that bus that the program may send messages to, or own; with `*` at the end, all that begin so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub talks: Vec<String>,
    /// What resolvers add to names that nobody knows.
    pub search: Vec<String>,
    /// The line that asks for it.
    #[serde(skip)]
    pub origin: Origin,
}

/// Plans the questions; none if the profile wants none.
///
/// # Errors
///
/// There is nothing to ask about, or the program could answer.
pub(super) fn plan(sandbox: &Sandbox, facts: &Facts) -> Result<Option<AskPlan>> {
    if !sandbox.network_rules.ask {
        return Ok(None);
    }
    let origin = sandbox.origins.of("network.ask", "");
    let wrong = |what: String| Error::new(format!("network.ask cannot be carried out: {what}")).origin(&origin);
    let shared = named::facts(sandbox, facts)?.map(|named| &named.network);
    if let Some(network) = shared.filter(|network| network.internal) {
        return Err(wrong(format!(
            "from the network `{}`, which is internal, nothing but other sandboxes in it is reached",
            network.name
        ))
        .hint("make the network without --internal, or leave network.ask out"));
    }
    if sandbox.name_servers == NameServers::None {
        return Err(wrong("network.dns is \"none\", so that nobody is asked for names".into())
            .hint("leave network.dns out, or network.ask"));
    }
    // Of a network as large, what somebody has there is reached by its address, too.
    let all_names = |rule: &&NetworkRule| match rule.to {
        Destination::Any | Destination::Class(AddressClass::Internet) => true,
        Destination::Network(IpAddr::V4(_), prefix) => prefix < 8,
        Destination::Network(IpAddr::V6(_), prefix) => prefix < 7,
        _ => false,
    };
    if let Some(rule) = sandbox.network_rules.allow.iter().flatten().find(all_names) {
        return Err(wrong(format!(
            "network.allow has {rule}, so that addresses are reached whatever is said of their names"
        ))
        .hint(
            "leave that line out: what is to be reached without a question is named by names, addresses and networks",
        ));
    }
    if sandbox.security.landlock_tcp != Requirement::Off {
        return Err(wrong("security.landlock_tcp holds TCP to ports that are known at the start, and names that are asked about have none".into())
            .hint("leave security.landlock_tcp out"));
    }
    if let Some((why, fix)) = input(sandbox, facts) {
        return Err(wrong(format!("{why}: a program that can do that could answer questions for the user")).hint(fix));
    }
    let text = facts.resolv_conf.as_ref().map(|text| network::resolv_conf(sandbox, facts, text)).unwrap_or_default();
    Ok(Some(AskPlan {
        notifications: notifications(sandbox, facts),
        talks: talks(sandbox),
        search: search(&text),
        origin,
    }))
}

/// By what the program can type, click or start programs for the user, outside, and what to do about it.
fn input(sandbox: &Sandbox, facts: &Facts) -> Option<(String, String)> {
    let gives_input = |device: &&Device| {
        let below = |dir: &str| device.name.strip_prefix("/dev/").is_some_and(|name| name.starts_with(dir));
        device.name == "input"
            || ["input", "uinput", "uhid", "tty", "pts", "console", "vcs", "hidraw"].into_iter().any(below)
    };
    if sandbox.desktop.x11 == X11::Host {
        let fix = "give it an X server of its own: desktop.x11 = \"nested\"";
        return Some(("with desktop.x11 = true the program types and clicks in all windows".into(), fix.into()));
    }
    if sandbox.desktop.wayland == Wayland::Unrestricted {
        let why = "with desktop.wayland = \"unrestricted\" the program may type and click for the user, where the compositor lets its clients";
        return Some((why.into(), "write desktop.wayland = true".into()));
    }
    if let Some(device) = sandbox.devices.iter().find(gives_input) {
        let fix = format!("leave {} out of devices.allow, or network.ask out", device.name);
        return Some((format!("with the device `{}` the program can type and click for the user", device.name), fix));
    }
    let (why, fix) = acting(sandbox, &facts.desktop.runtime_dir, facts.uid)?;
    Some((why, fix.into()))
}

/// The bus on which notifications are shown that the program cannot change or answer.
fn notifications(sandbox: &Sandbox, facts: &Facts) -> std::result::Result<String, String> {
    let bus = &sandbox.session_bus;
    if bus.policy == BusPolicy::Host {
        return Err("with dbus.session.policy = \"host\" the program could answer by it".into());
    }
    if let Some(name) = talks(sandbox).iter().find(|name| stands_for(name, NOTIFICATIONS)) {
        return Err(format!(
            "the program can send messages to `{name}` by dbus.session, and could change what it is asked"
        ));
    }
    facts.desktop.session_bus.clone().ok_or_else(|| "there is no session bus".to_owned())
}

/// Names on the session bus that the program may send messages to, or own.
fn talks(sandbox: &Sandbox) -> Vec<String> {
    let bus = &sandbox.session_bus;
    let name = |rule: &String| {
        let (kind, name) = rule.split_once('=')?;
        let name = name.split('=').next().unwrap_or_default();
        matches!(kind, "own" | "talk" | "call").then(|| name.to_owned())
    };
    bus.rules.iter().filter(|_| bus.policy == BusPolicy::Filter).filter_map(name).collect()
}

/// Whether a name of [`AskPlan::talks`] stands for a name on the bus.
pub fn stands_for(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start.trim_end_matches('.')),
        None => name == pattern,
    }
}

/// The search list of resolv.conf(5): its last line counts.
fn search(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut lines = lines.rev();
    let last = lines.find(|words| matches!(words.first(), Some(&("search" | "domain"))));
    let names = last.into_iter().flatten().skip(1);
    names.map(|name| name.trim_matches('.').to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
}

impl AskPlan {
    pub(super) fn render(&self, lines: &mut Lines) {
        let by = match &self.notifications {
            Ok(_) => "on the terminal, if the program does not have it, or by a notification".to_owned(),
            Err(why) => format!("on the terminal, if the program does not have it; not by a notification: {why}"),
        };
        lines.add("asked", format!("names that no line is for, {by}; without an answer they are refused"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SessionBus;

    #[test]
    fn whoever_can_change_notifications_is_not_asked_about_by_them() {
        let mut facts = Facts::default();
        facts.desktop.session_bus = Some("unix:path=/bus".into());
        let with = |policy: BusPolicy, rules: &[&str]| {
            let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
            let session_bus = SessionBus { policy, rules, ..SessionBus::default() };
            notifications(&Sandbox { session_bus, ..Sandbox::default() }, &facts)
        };
        assert_eq!(with(BusPolicy::None, &[]), Ok("unix:path=/bus".into()));
        assert!(with(BusPolicy::Host, &[]).is_err());
        let fine = ["talk=org.freedesktop.portal.Desktop", "own=org.example.A.*", "see=org.freedesktop.Notifications"];
        assert!(with(BusPolicy::Filter, &fine).is_ok());
        for rule in [
            "talk=org.freedesktop.Notifications",
            "own=org.freedesktop.*",
            "call=org.freedesktop.Notifications=*@/org/freedesktop/Notifications",
        ] {
            assert!(with(BusPolicy::Filter, &[rule]).is_err(), "{rule}");
        }
        facts.desktop.session_bus = None;
        assert!(notifications(&Sandbox::default(), &facts).is_err());
    }

    #[test]
    fn the_last_search_list_counts() {
        assert_eq!(
            search("domain a.example\nnameserver 1.2.3.4\nsearch B.example. c.example\n"),
            ["b.example", "c.example"]
        );
        assert!(search("# search x\nsearcher y\n").is_empty());
    }
}
