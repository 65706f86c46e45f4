//! The probes, in groups.

mod asserts;
mod descriptors;
mod desktop;
mod devices;
mod files;
mod host_files;
mod ipc;
mod kernel;
mod limits;
mod mounts;
mod names;
mod namespaces;
mod near;
mod nested;
mod network;
mod proc;
mod processes;
mod rights;
mod services;
mod sound;
mod tools;

pub(super) use asserts::{GROUP as ASSERTS, attempt as assertion, title as assertion_title};
pub(super) use desktop::SOCKETS;
pub(super) use files::{DENIED, HANDED, INNER, LEFT, LINK_LEFT, MASKED, OVERLAY, OVERLAY_THROUGH, RO, RW, SECRET};
pub(super) use host_files::STARTED;
pub(super) use kernel::{CALLS, Call};
pub(super) use names::destinations;
pub(super) use near::addresses as near;
pub(super) use proc::KERNEL_FILES;
pub(super) use services::{GIT, secret_lines};
pub(super) use tools::{id, status};

use super::facts::{Facts, Granted, Verdict};

/// One thing that a hostile program would try.
pub(super) struct Probe {
    /// Id of the probe, for programs.
    pub id: &'static str,
    /// What is tried, in words.
    pub title: &'static str,
    /// Tries it, inside, in a process of its own that ends afterwards.
    pub attempt: fn(&Facts) -> Verdict,
    /// The setting of a profile by which it is granted; none if it is not.
    pub granted: fn(&Granted) -> Option<&'static str>,
}

/// For [`Probe::granted`]: no profile grants it.
fn never(_: &Granted) -> Option<&'static str> {
    None
}

/// For [`Probe::granted`]: the host's pid namespace is shared.
fn by_pid(granted: &Granted) -> Option<&'static str> {
    granted.shares("pid").then_some("namespaces.share has pid")
}

/// For [`Probe::granted`]: the host's network is shared.
fn by_network(granted: &Granted) -> Option<&'static str> {
    granted.network.then_some("network.mode is host")
}

/// For [`Probe::granted`]: there is a way to the outside, or to other sandboxes.
fn by_outside(granted: &Granted) -> Option<&'static str> {
    let shared = || granted.shared_network.then_some("network.mode is net:NAME");
    by_network(granted).or_else(shared).or_else(|| granted.outside.then_some("network.mode is private"))
}

/// For [`Probe::granted`]: the host's System V objects and message queues are shared.
fn by_ipc(granted: &Granted) -> Option<&'static str> {
    granted.shares("ipc").then_some("namespaces.share has ipc")
}

/// For [`Probe::granted`]: user namespaces may be made inside.
fn by_nested(granted: &Granted) -> Option<&'static str> {
    granted.nested.then_some("namespaces.nested is not deny")
}

fn by_mounts(granted: &Granted) -> Option<&'static str> {
    granted.mounts.then_some("namespaces.nested is allow")
}

/// All probes, by group.
pub(super) const GROUPS: &[(&str, &[Probe])] = &[
    ("processes", processes::PROBES),
    ("descriptors", descriptors::PROBES),
    ("rights", rights::PROBES),
    ("host files", host_files::PROBES),
    ("files", files::PROBES),
    ("mounts", mounts::PROBES),
    ("proc and sys", proc::PROBES),
    ("kernel", kernel::PROBES),
    ("namespaces", namespaces::PROBES),
    ("nested namespaces", nested::PROBES),
    ("ipc and keys", ipc::PROBES),
    ("network", network::PROBES),
    ("near the host", near::PROBES),
    ("names and shared networks", names::PROBES),
    ("desktop and services", desktop::PROBES),
    ("services of the user's own", services::PROBES),
    ("sound", sound::PROBES),
    ("devices", devices::PROBES),
    ("limits and time", limits::PROBES),
];

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_unique_and_there_are_enough() {
        let mut ids: Vec<_> =
            super::GROUPS.iter().flat_map(|(_, probes)| probes.iter().map(|probe| probe.id)).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(count >= 70, "{count}");
    }
}
