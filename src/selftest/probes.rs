//! What is tried.

use super::facts::{Facts, Granted, Verdict};

/// One thing to try.
pub(super) struct Probe {
    /// A short name, for programs.
    pub id: &'static str,
    /// What it belongs to.
    pub group: &'static str,
    /// What is tried, in words.
    pub title: &'static str,
    /// Tries it, inside, in a process of its own that ends afterwards.
    pub attempt: fn(&Facts) -> Verdict,
    /// What in the profile lets it work, if anything does.
    pub granted: fn(&Granted) -> Option<&'static str>,
}

/// Nothing in a profile lets it work.
fn never(_: &Granted) -> Option<&'static str> {
    None
}

/// All of them.
pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "proc-host-process",
        group: "processes",
        title: "see a process of the host in /proc",
        attempt: |facts| {
            let path = format!("/proc/{}/comm", facts.outside.process);
            match std::fs::read_to_string(&path) {
                Ok(name) if name.trim() == "sbx-outside" => Verdict::Open(format!("{path} is {}", name.trim())),
                Ok(name) => Verdict::Closed(format!("{path} is another process, {}", name.trim())),
                Err(error) => Verdict::Closed(format!("{path}: {error}")),
            }
        },
        granted: |granted| granted.shared.iter().any(|name| name == "pid").then_some("namespaces.share has pid"),
    },
    Probe {
        id: "descriptor",
        group: "descriptors",
        title: "a descriptor of the host's root that the caller has open",
        attempt: |facts| match std::fs::metadata(format!("/proc/self/fd/{}", facts.outside.descriptor)) {
            Ok(_) => Verdict::Open(format!("descriptor {} is inherited", facts.outside.descriptor)),
            Err(error) => Verdict::Closed(error.to_string()),
        },
        granted: never,
    },
];
