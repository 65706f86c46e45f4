//! Probes of the host's processes, the sandbox's first process, and others inside.

use super::super::facts::{Facts, Granted, Verdict};
use super::tools::{Sibling, each, has, may_be_hosts, not_run, on_hosts, verdict};
use super::{Probe, by_pid, never};
use crate::sys::{self, Errno, attempts};
use std::os::fd::AsFd;

pub(super) const PROBES: &[Probe] = &[
    Probe { id: "host-process-seen", title: "see a process of the host in /proc", attempt: seen, granted: by_pid },
    Probe { id: "host-process-signal", title: "signal a process of the host", attempt: signal, granted: by_pid },
    Probe {
        id: "host-group-signal",
        title: "signal the caller's process group",
        attempt: |facts| match facts.outside.group {
            // kill(2) with 0 would mean this process's own group.
            0 => not_run("it began in a pid namespace above, and has no number here"),
            group if may_be_hosts(facts, group) => verdict("kill of the group", attempts::reach_group(group)),
            _ => not_run("its number is another group's inside"),
        },
        granted: by_pid,
    },
    Probe {
        id: "host-session",
        title: "stay in the caller's session",
        attempt: |_| match attempts::session() {
            0 => Verdict::Open("the session's leader is outside".into()),
            leader => Verdict::Closed(format!("the session is that of process {leader}, inside")),
        },
        granted: never,
    },
    Probe { id: "host-process-pidfd", title: "hold a process of the host by a pidfd", attempt: pidfd, granted: by_pid },
    Probe { id: "host-process-trace", title: "trace a process of the host", attempt: trace, granted: never },
    Probe {
        id: "host-process-memory",
        title: "read the memory of a process of the host",
        attempt: memory,
        granted: never,
    },
    Probe {
        id: "host-process-descriptor",
        title: "take a descriptor from a process of the host",
        attempt: |facts| on_hosts(facts, |pid| take(pid, facts)),
        granted: never,
    },
    Probe {
        id: "host-process-compare",
        title: "compare the memory of a process of the host (kcmp)",
        attempt: |facts| on_hosts(facts, |pid| verdict("kcmp", attempts::compare_processes(sys::pid(), pid))),
        granted: never,
    },
    Probe {
        id: "host-process-files",
        title: "root, directory, environment and descriptors of a host process",
        attempt: |facts| on_hosts(facts, private_files),
        granted: never,
    },
    Probe {
        id: "first-trace",
        title: "trace the sandbox's first process",
        attempt: |facts| on_first(facts, |first| verdict("ptrace", attempts::trace(first))),
        granted: never,
    },
    Probe {
        id: "first-memory",
        title: "read the memory of the sandbox's first process",
        attempt: |facts| on_first(facts, |first| read(first, facts)),
        granted: never,
    },
    Probe {
        id: "first-descriptor",
        title: "take a descriptor from the sandbox's first process",
        attempt: |facts| on_first(facts, |first| take(first, facts)),
        granted: never,
    },
    Probe {
        id: "first-files",
        title: "root, directory, environment and descriptors of the first process",
        attempt: |facts| on_first(facts, private_files),
        granted: never,
    },
    Probe {
        id: "launcher-arguments",
        title: "the launcher's arguments in the first process's cmdline",
        attempt: arguments,
        granted: never,
    },
    Probe {
        id: "sibling-trace",
        title: "trace another process inside",
        attempt: |_| match Sibling::start() {
            Ok(sibling) => verdict("ptrace", attempts::trace(sibling.0)),
            Err(verdict) => verdict,
        },
        granted: |granted: &Granted| granted.calls("ptrace").then_some("the filter lets ptrace in"),
    },
    Probe {
        id: "sibling-memory",
        title: "read the memory of another process inside",
        attempt: |facts| match Sibling::start() {
            Ok(sibling) => call_to_read(sibling.0, facts),
            Err(verdict) => verdict,
        },
        granted: |granted: &Granted| granted.calls("process_vm_readv").then_some("the filter lets process_vm_readv in"),
    },
    Probe {
        id: "sibling-memory-file",
        title: "open the memory of another process inside (/proc/PID/mem)",
        attempt: |_| match Sibling::start() {
            Ok(sibling) => memory_file(sibling.0),
            Err(verdict) => verdict,
        },
        granted: |_| Some("what runs inside is one user's, and a filter sees no paths"),
    },
    Probe {
        id: "sibling-descriptor",
        title: "take a descriptor from another process inside",
        attempt: |facts| match Sibling::start() {
            Ok(sibling) => take(sibling.0, facts),
            Err(verdict) => verdict,
        },
        granted: |granted: &Granted| granted.calls("pidfd_getfd").then_some("the filter lets pidfd_getfd in"),
    },
];

/// Tries something on sbx's PID 1; with --as-pid-1 there is none.
fn on_first(facts: &Facts, attempt: impl FnOnce(i32) -> Verdict) -> Verdict {
    match facts.inside.first {
        0 => not_run("the program itself is the first process"),
        first => attempt(first),
    }
}

/// Whether a process of this number is the host's: in a pid namespace of the sandbox's own it may be another one.
fn is_host(pid: i32) -> Result<String, Verdict> {
    let path = format!("/proc/{pid}/comm");
    match std::fs::read_to_string(&path) {
        Ok(name) if name.trim() == "sbx-outside" => Ok(format!("{path} is {}", name.trim())),
        Ok(name) => Err(Verdict::Closed(format!("{path} is another process, {}", name.trim()))),
        Err(error) => Err(Verdict::Closed(format!("{path}: {}", Errno::from(error)))),
    }
}

fn seen(facts: &Facts) -> Verdict {
    is_host(facts.outside.process).map_or_else(|verdict| verdict, Verdict::Open)
}

fn signal(facts: &Facts) -> Verdict {
    match (sys::kill(facts.outside.process, 0), is_host(facts.outside.process)) {
        (Err(errno), _) => Verdict::Closed(format!("kill: {errno}")),
        (Ok(()), Ok(_)) => Verdict::Open("kill with signal 0 works".into()),
        (Ok(()), Err(verdict)) => verdict,
    }
}

fn pidfd(facts: &Facts) -> Verdict {
    match (sys::pidfd_open(facts.outside.process), is_host(facts.outside.process)) {
        (Err(errno), _) => Verdict::Closed(format!("pidfd_open: {errno}")),
        (Ok(_), Ok(_)) => Verdict::Open("pidfd_open works".into()),
        (Ok(_), Err(verdict)) => verdict,
    }
}

fn trace(facts: &Facts) -> Verdict {
    on_hosts(facts, |pid| match attempts::trace(pid) {
        Ok(()) => Verdict::Open(format!("process {pid} is traced")),
        Err(errno) => Verdict::Closed(format!("ptrace: {errno}")),
    })
}

fn memory(facts: &Facts) -> Verdict {
    on_hosts(facts, |pid| read(pid, facts))
}

/// Tries both ways to read another process's memory.
fn read(pid: i32, facts: &Facts) -> Verdict {
    each([call_to_read(pid, facts), memory_file(pid)], |verdict| verdict)
}

fn memory_file(pid: i32) -> Verdict {
    let path = format!("/proc/{pid}/mem");
    verdict(&path, super::tools::open_to_read(path.as_ref()))
}

fn call_to_read(pid: i32, facts: &Facts) -> Verdict {
    // A place in memory that the other process is likely to have, too.
    let mut buffer = [0; 16];
    let address = if pid == facts.outside.process { facts.outside.address } else { buffer.as_ptr() as usize };
    match attempts::read_memory(pid, address, &mut buffer) {
        Ok(_) if pid == facts.outside.process && !has(&buffer, &facts.outside.secret) => {
            Verdict::Closed("what was read is another's".into())
        }
        // EFAULT: the other process has nothing at that address, but it could be read.
        Ok(_) | Err(Errno(libc::EFAULT)) => Verdict::Open("process_vm_readv works".into()),
        Err(errno) => Verdict::Closed(format!("process_vm_readv: {errno}")),
    }
}

fn take(pid: i32, facts: &Facts) -> Verdict {
    let pidfd = match sys::pidfd_open(pid) {
        Ok(pidfd) => pidfd,
        Err(errno) => return Verdict::Closed(format!("pidfd_open: {errno}")),
    };
    each([0, 1, 2, 3, facts.outside.descriptor], |number| match attempts::take_descriptor(pidfd.as_fd(), number) {
        Err(Errno(libc::EBADF)) => Verdict::Open("pidfd_getfd looks into the process".into()),
        other => verdict("pidfd_getfd", other),
    })
}

/// Tries files in /proc/PID that the kernel only opens to processes that may trace that one.
fn private_files(pid: i32) -> Verdict {
    let dir = format!("/proc/{pid}");
    let links = each(["root", "cwd", "exe", "ns/mnt", "ns/user"], |name| {
        let path = format!("{dir}/{name}");
        verdict(format!("readlink {path}"), std::fs::read_link(&path).map_err(Errno::from))
    });
    let root = verdict(format!("{dir}/root"), std::fs::read_dir(format!("{dir}/root")).map_err(Errno::from));
    // Root may list the numbers of descriptors, but not see what they are.
    let descriptors = each(0..20, |number| {
        let path = format!("{dir}/fd/{number}");
        verdict(format!("readlink {path}"), std::fs::read_link(&path).map_err(Errno::from))
    });
    let files = each(["environ", "auxv", "maps", "mem", "stack", "syscall"], |name| {
        let path = format!("{dir}/{name}");
        match super::tools::start_of(path.as_ref()) {
            Ok(text) if text.is_empty() => Verdict::Closed(format!("{path} is empty")),
            // EIO: mem was opened, and there is nothing at address 0.
            Err(Errno(libc::EIO)) if name == "mem" => Verdict::Open(format!("{path} is opened")),
            other => verdict(format!("reading {path}"), other),
        }
    });
    each([links, root, descriptors, files], |verdict| verdict)
}

fn arguments(facts: &Facts) -> Verdict {
    if facts.outside.arguments.is_empty() {
        return not_run("the launcher's arguments are not known");
    }
    on_first(facts, |first| arguments_of(first, facts))
}

fn arguments_of(pid: i32, facts: &Facts) -> Verdict {
    let path = format!("/proc/{pid}/cmdline");
    match std::fs::read(&path) {
        Ok(text) if has(&text, &facts.outside.arguments) => Verdict::Open(format!("{path} has them")),
        Ok(text) if text.iter().all(|byte| *byte == 0) => Verdict::Closed(format!("{path} has nothing but NUL bytes")),
        Ok(_) => Verdict::Closed(format!("{path} has others")),
        Err(error) => Verdict::Closed(format!("{path}: {}", Errno::from(error))),
    }
}

/// Whether a process has executed this file by now.
pub(super) fn executes(pid: i32, path: &std::path::Path) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let name = path.file_name().map(|name| name.to_string_lossy().chars().take(15).collect::<String>());
    name.is_some() && super::tools::field(&text, "Name") == name
}
