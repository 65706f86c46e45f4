//! Files of /etc that have to agree with the ids and names inside.

use super::ids::IdPlan;
use super::item::{Item, ItemKind, Items, base, own};
use super::namespaces::hostname;
use super::network;
use super::tree::moved;
use crate::host::{Facts, Kind, MACHINE_IDS, below};
use crate::spec::Sandbox;
use std::path::Path;

/// Files of /etc that have to agree with the ids and names inside, each with its content.
pub(super) fn files(sandbox: &Sandbox, facts: &Facts, ids: &IdPlan) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    // Id 0 is root to every program, whoever it is outside.
    let name = if ids.uid == 0 { "root".to_owned() } else { facts.user_name() };
    let home = facts.home.display();
    let shell = facts.account().map_or("/bin/sh", |account| account.shell.as_str());
    // The system's accounts stay, since programs look them up; other people's do not.
    let own = format!("{name}:x:{}:{}:{name}:{home}:{shell}\n", ids.uid, ids.gid);
    let mut passwd = String::with_capacity(4096);
    passwd.push_str(&own);
    let taken = |other: &str, uid: u32| other == name || uid == ids.uid;
    let system = |id: u32| id < 1000 || id == 65534;
    for account in facts.accounts.iter().filter(|a| system(a.uid) && !taken(&a.name, a.uid)) {
        let crate::host::Account { name, uid, gid, home, .. } = account;
        let (uid, gid, home) = (uid.to_string(), gid.to_string(), home.to_string_lossy());
        for text in [name.as_str(), ":x:", &uid, ":", &gid, ":", name, ":", &home, ":/usr/sbin/nologin\n"] {
            passwd.push_str(text);
        }
    }
    let group_name = match facts.group_names.iter().find(|(_, gid)| *gid == facts.gid) {
        Some((own, _)) if ids.gid != 0 => own,
        _ => &name,
    };
    let mut group = format!("{group_name}:x:{}:\n", ids.gid);
    for (other, gid) in facts.group_names.iter().filter(|(n, gid)| system(*gid) && n != group_name && *gid != ids.gid) {
        for text in [other.as_str(), ":x:", &gid.to_string(), ":\n"] {
            group.push_str(text);
        }
    }
    files.push(("/etc/passwd", passwd));
    files.push(("/etc/group", group));
    if let Some(hostname) = hostname(sandbox, facts) {
        files.push(("/etc/hostname", format!("{hostname}\n")));
        let local = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback";
        // With a way to the outside, the names that the host gives to addresses stay.
        let hosts = facts.hosts.as_deref().filter(|_| sandbox.network.reaches_out()).unwrap_or(local);
        files.push(("/etc/hosts", format!("{}\n127.0.1.1 {hostname}\n", hosts.trim_end())));
    }
    if let Some(resolv) = facts.resolv_conf.as_ref().filter(|_| sandbox.network.reaches_out()) {
        files.push(("/etc/resolv.conf", network::resolv_conf(sandbox, facts, resolv)));
    }
    // A file that the host lacks cannot be added to a read-only /etc. resolv.conf is often a link into /run.
    files.retain(|(path, _)| facts.paths.kind(&below(base(&sandbox.filesystem.root), Path::new(path))).is_some());
    files
}

/// Puts a machine id of the sandbox's own where the view shows the host's, unless a rule names the file.
pub(super) fn own_machine_id(items: &mut Items, facts: &Facts, root: &Path) {
    let mut text = None;
    for path in MACHINE_IDS.map(Path::new) {
        let Some((real, _)) = facts.paths.resolve(root, path) else { continue };
        let shown = match items.nearest(&real) {
            Some((above, _)) if above == real => false,
            Some((above, Item { what: ItemKind::Bind { source, .. }, .. })) => {
                moved(&real, above, source) == below(root, &real)
            }
            Some((_, Item { what: ItemKind::Layers { .. }, .. })) => true,
            _ => false,
        };
        if shown && facts.paths.kind(&below(root, &real)) == Some(&Kind::File) {
            let id = text.get_or_insert_with(|| facts.machine_id.map(machine_id).unwrap_or_default());
            items.insert(real, own(ItemKind::File { mode: 0o444, data: id.clone().into_bytes() }));
        }
    }
}

/// The sandbox's machine id, as machine-id(5) has it: what is equal in all programs of a machine, and tells it from
/// others. The host's own is not shown; an empty one makes D-Bus and GLib look for another.
fn machine_id(mut bytes: [u8; 16]) -> String {
    // As a random UUID has it, version 4: systemd takes it for one.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(33);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    text
}
