//! Probes of namespaces: which are the host's, and whether others can be made or joined.

use super::super::facts::{Facts, Granted, Verdict};
use super::tools::{each, in_child, not_run, on_hosts, verdict};
use super::{Probe, by_ipc, by_network, by_pid, never};
use crate::sys::{self, Errno, attempts};
use std::os::fd::AsFd;

pub(super) const PROBES: &[Probe] = &[
    Probe { id: "namespace-user", title: "the host's user namespace", attempt: |f| hosts("user", f), granted: never },
    Probe { id: "namespace-mnt", title: "the host's mount namespace", attempt: |f| hosts("mnt", f), granted: never },
    Probe { id: "namespace-pid", title: "the host's pid namespace", attempt: |f| hosts("pid", f), granted: by_pid },
    Probe {
        id: "namespace-net",
        title: "the host's network namespace",
        attempt: |f| hosts("net", f),
        granted: by_network,
    },
    Probe { id: "namespace-ipc", title: "the host's ipc namespace", attempt: |f| hosts("ipc", f), granted: by_ipc },
    Probe {
        id: "namespace-uts",
        title: "the host's uts namespace",
        attempt: |f| hosts("uts", f),
        granted: |granted: &Granted| granted.shares("uts").then_some("namespaces.share has uts"),
    },
    Probe {
        id: "namespace-cgroup",
        title: "the host's cgroup namespace",
        attempt: |f| hosts("cgroup", f),
        granted: |granted: &Granted| granted.shares("cgroup").then_some("namespaces.share has cgroup"),
    },
    Probe {
        id: "namespace-time",
        title: "the host's time namespace",
        attempt: |f| hosts("time", f),
        granted: |granted: &Granted| granted.shares("time").then_some("namespaces.share has time"),
    },
    Probe {
        id: "namespace-make",
        title: "make namespaces without a user namespace",
        attempt: |_| {
            each(KINDS, |(name, flag)| in_child(|| verdict(format!("unshare of {name}"), attempts::unshare(*flag))))
        },
        granted: never,
    },
    Probe {
        id: "namespace-join",
        title: "join the namespaces of other processes (setns)",
        attempt: join,
        granted: never,
    },
    Probe {
        id: "namespace-map",
        title: "change the maps of user and group ids",
        attempt: |_| {
            each(["uid_map", "gid_map"], |file| {
                let path = format!("/proc/self/{file}");
                verdict(&path, std::fs::write(&path, "0 0 4294967295").map_err(Errno::from))
            })
        },
        granted: never,
    },
    Probe {
        id: "hostname",
        title: "change the host's name (sethostname)",
        attempt: |_| verdict("sethostname", sys::set_hostname(c"sbx-selftest")),
        granted: never,
    },
    Probe {
        id: "domainname",
        title: "change the host's domain name (setdomainname)",
        attempt: |_| verdict("setdomainname", attempts::set_domain_name(c"sbx-selftest")),
        granted: never,
    },
];

const KINDS: &[(&str, i32)] = &[
    ("mnt", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("time", sys::CLONE_NEWTIME as i32),
];

/// Whether a namespace is the host's, by the link in /proc/self/ns: its text is `pid:[4026531836]`, and the number is
/// the inode.
fn hosts(name: &str, facts: &Facts) -> Verdict {
    let Some(outside) = facts.outside.namespaces.get(name) else {
        return not_run(format!("this kernel has no {name} namespaces"));
    };
    match std::fs::read_link(format!("/proc/self/ns/{name}")) {
        Ok(link) if link.to_string_lossy().contains(&format!("[{outside}]")) => {
            Verdict::Open(format!("it is {}", link.display()))
        }
        Ok(link) => Verdict::Closed(format!("it is {}", link.display())),
        Err(error) => not_run(format!("/proc/self/ns/{name}: {}", Errno::from(error))),
    }
}

fn join(facts: &Facts) -> Verdict {
    let attempt = |pid: i32| {
        each(["user", "mnt", "pid", "net"], |name| {
            let path = format!("/proc/{pid}/ns/{name}");
            match super::tools::open_to_read(path.as_ref()) {
                Ok(file) => verdict(format!("setns of {path}"), sys::join_namespace(file.as_fd(), 0)),
                Err(errno) => Verdict::Closed(format!("{path}: {errno}")),
            }
        })
    };
    each([attempt(facts.inside.first), on_hosts(facts, attempt)], |verdict| verdict)
}
