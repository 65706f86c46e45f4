//! Probes of capabilities, ids, set-user-ID programs and the seccomp filter.

use super::super::facts::{Facts, Verdict};
use super::processes::executes;
use super::tools::{c, each, field, in_child, not_run, status, verdict};
use super::{Probe, never};
use crate::sys::{self, attempts};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "capabilities-effective",
        title: "effective, permitted and inheritable capabilities",
        attempt: |facts| each(["CapEff", "CapPrm", "CapInh"], |set| capabilities(set, facts)),
        granted: never,
    },
    Probe {
        id: "capabilities-bounding",
        title: "capabilities in the bounding set",
        attempt: |facts| capabilities("CapBnd", facts),
        granted: never,
    },
    Probe {
        id: "capabilities-ambient",
        title: "ambient capabilities",
        attempt: |facts| capabilities("CapAmb", facts),
        granted: never,
    },
    Probe {
        id: "capabilities-raise",
        title: "raise capabilities (capset)",
        attempt: |facts| {
            let more = !facts.granted.capabilities & ((1 << sys::CAPABILITIES.len()) - 1);
            verdict("capset", sys::set_capabilities(more))
        },
        granted: never,
    },
    Probe {
        id: "securebits",
        title: "be root by its id alone (securebits are not locked)",
        attempt: |_| match sys::securebits_locked() {
            Ok(true) => Verdict::Closed("SECBIT_NOROOT is locked".into()),
            Ok(false) => Verdict::Open("SECBIT_NOROOT is not locked".into()),
            Err(errno) => not_run(format!("prctl PR_GET_SECUREBITS: {errno}")),
        },
        granted: |granted| (granted.capabilities != 0).then_some("security.capabilities gives some"),
    },
    Probe {
        id: "no-new-privs",
        title: "gain rights by exec (no_new_privs is not set)",
        attempt: |_| match status("NoNewPrivs") {
            Some(value) if value == "1" => Verdict::Closed("NoNewPrivs is 1".into()),
            Some(value) => Verdict::Open(format!("NoNewPrivs is {value}")),
            None => not_run("/proc/self/status does not tell"),
        },
        granted: never,
    },
    Probe {
        id: "set-id-program",
        title: "another user's or group's id by a set-user-ID program",
        attempt: set_id,
        granted: never,
    },
    Probe {
        id: "user-id",
        title: "take another user's id (setresuid)",
        attempt: |_| {
            let (uid, _) = sys::ids();
            each([0, 1, 1000, 65534].into_iter().filter(|id| *id != uid), |id| {
                verdict(format!("setresuid({id})"), attempts::become_user(id))
            })
        },
        granted: never,
    },
    Probe {
        id: "group-id",
        title: "take another group's id (setresgid, setgroups)",
        attempt: |_| {
            let (_, gid) = sys::ids();
            let ids = [0, 1, 42, 1000, 65534].into_iter().filter(|id| *id != gid);
            let groups = ids.clone().map(|id| verdict(format!("setgroups({id})"), attempts::join_group(id)));
            each(ids.map(|id| verdict(format!("setresgid({id})"), attempts::become_group(id))).chain(groups), |v| v)
        },
        granted: never,
    },
    Probe {
        id: "filter",
        title: "make system calls without a filter",
        attempt: |facts| {
            let filters = status("Seccomp_filters").and_then(|count| count.parse::<u32>().ok());
            match (status("Seccomp").as_deref(), filters) {
                (Some("2"), Some(count)) if count > facts.outside.filters => {
                    Verdict::Closed(format!("{} filters are in force", count - facts.outside.filters))
                }
                (Some("2"), None) => Verdict::Closed("a filter is in force".into()),
                (Some(mode), _) => Verdict::Open(format!("no filter of the sandbox is in force (Seccomp: {mode})")),
                (None, _) => not_run("/proc/self/status does not tell"),
            }
        },
        granted: never,
    },
];

fn capabilities(set: &str, facts: &Facts) -> Verdict {
    let Some(held) = status(set).and_then(|text| u64::from_str_radix(&text, 16).ok()) else {
        return not_run(format!("/proc/self/status does not tell {set}"));
    };
    match held & !facts.granted.capabilities {
        0 if held == 0 => Verdict::Closed(format!("{set} is empty")),
        0 => Verdict::Shared(format!("{set} holds what the profile gives")),
        more => Verdict::Open(format!("{set} holds {more:#x}")),
    }
}

/// Executes a set-user-ID program whose output nobody reads: it blocks, and its ids can be looked at.
fn set_id(facts: &Facts) -> Verdict {
    let Some(path) = &facts.outside.set_id else {
        return not_run("this host has none that is another's");
    };
    if !path.exists() {
        return Verdict::Closed(format!("{} is not there", path.display()));
    }
    let (Ok((_reader, pipe)), Ok((input, _writer))) = (sys::pipe(), sys::pipe()) else { return not_run("pipe failed") };
    if attempts::fill(pipe.as_fd()).is_err() {
        return not_run("a pipe could not be filled");
    }
    in_child(|| {
        let execute = || {
            for (fd, stream) in [&input, &pipe, &pipe].into_iter().zip(sys::STREAMS) {
                let _ = sys::dup2(fd.as_fd(), stream);
            }
            sys::end_after(4);
            let _ = attempts::execute(&c(path), c"--version");
            1
        };
        let child = match sys::fork(execute) {
            Ok(pid) => pid,
            Err(errno) => return not_run(format!("fork: {errno}")),
        };
        let ids = |text: &str| [field(text, "Uid"), field(text, "Gid")];
        let own = std::fs::read_to_string("/proc/self/status").map(|text| ids(&text)).unwrap_or_default();
        let end = Instant::now() + Duration::from_secs(2);
        let mut result = not_run(format!("{} ended before it could be looked at", path.display()));
        while Instant::now() < end {
            let Ok(text) = std::fs::read_to_string(format!("/proc/{child}/status")) else { break };
            if executes(child, path) {
                result = match ids(&text) == own {
                    true => Verdict::Closed(format!("{} runs with the ids of who started it", path.display())),
                    false => Verdict::Open(format!("{} runs with ids {:?}", path.display(), ids(&text))),
                };
                break;
            }
            if field(&text, "State").is_some_and(|state| state.starts_with('Z')) {
                break;
            }
            let _ = sys::poll(&mut [], Some(2));
        }
        let _ = sys::kill(child, libc::SIGKILL);
        let _ = sys::wait_for(child);
        result
    })
}
