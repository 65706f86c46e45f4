//! Probes of what the program inherits: descriptors, working directory, environment.

use super::super::facts::{Facts, Verdict};
use super::tools::{each, id, is_host_root, not_run, on_hosts, open_to_write, verdict};
use super::{Probe, never};
use crate::sys::{self, Errno, UnownedFd};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(super) const PROBES: &[Probe] = &[
    Probe {
        id: "descriptor-inherited",
        title: "a descriptor that the caller has open",
        attempt: |facts| match std::fs::metadata(format!("/proc/self/fd/{}", facts.outside.descriptor)) {
            Ok(_) => Verdict::Open(format!("descriptor {} is inherited", facts.outside.descriptor)),
            Err(error) => Verdict::Closed(format!("descriptor {}: {}", facts.outside.descriptor, Errno::from(error))),
        },
        granted: never,
    },
    Probe { id: "descriptors-more", title: "any descriptor but the standard streams", attempt: more, granted: never },
    Probe {
        id: "descriptor-root",
        title: "the host's root by a directory left open (CVE-2024-21626)",
        attempt: directories,
        granted: never,
    },
    Probe {
        id: "stream-change",
        title: "change a file that is handed over for reading, by /proc/self/fd",
        attempt: changed_stream,
        granted: never,
    },
    Probe {
        id: "cwd-outside",
        title: "a working directory outside of the view (CVE-2024-21626)",
        attempt: working_directory,
        granted: never,
    },
    Probe {
        id: "program-overwrite",
        title: "overwrite the launcher's program (CVE-2019-5736)",
        attempt: |facts| {
            let first = facts.inside.first;
            each([overwrite(first, facts), on_hosts(facts, |pid| overwrite(pid, facts))], |verdict| verdict)
        },
        granted: never,
    },
    Probe {
        id: "own-program-overwrite",
        title: "overwrite this program by /proc/self/exe while it runs",
        attempt: |_| verdict("/proc/self/exe", open_to_write(Path::new("/proc/self/exe"))),
        granted: never,
    },
    Probe {
        id: "environment",
        title: "variables of the caller that the profile does not pass",
        attempt: |facts| match facts.outside.variables.as_slice() {
            [] => not_run("the caller has none that are not passed"),
            names => match names.iter().find(|name| std::env::var_os(name).is_some()) {
                Some(name) => Verdict::Open(format!("{name} is there")),
                None => Verdict::Closed(format!("{} variables are not there", names.len())),
            },
        },
        granted: never,
    },
];

fn numbers() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut numbers: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The listing had a descriptor itself, which is closed by now.
    numbers.retain(|number| UnownedFd::new(*number).flags().is_ok());
    numbers
}

fn more(facts: &Facts) -> Verdict {
    let numbers = numbers();
    if numbers.is_empty() {
        return not_run("/proc/self/fd cannot be listed");
    }
    let extra: Vec<_> = numbers.into_iter().filter(|number| *number > 2 && *number != facts.inside.results).collect();
    match extra.first() {
        None => Verdict::Closed("there is none but that of the self-test itself".into()),
        Some(first) => {
            let link = std::fs::read_link(format!("/proc/self/fd/{first}")).unwrap_or_default();
            Verdict::Open(format!("{} are open, of which {first} is {}", extra.len(), link.display()))
        }
    }
}

fn directories(facts: &Facts) -> Verdict {
    let numbers = numbers();
    if numbers.is_empty() {
        return not_run("/proc/self/fd cannot be listed");
    }
    let up = "../".repeat(40);
    for number in numbers {
        let dir = PathBuf::from(format!("/proc/self/fd/{number}"));
        for path in [dir.clone(), dir.join(&up)] {
            if is_host_root(facts, &path) {
                return Verdict::Open(format!("{} is the host's root", path.display()));
            }
        }
        if sys::file_type(UnownedFd::new(number).as_fd()) == Ok(libc::S_IFDIR) {
            return Verdict::Open(format!("descriptor {number} is a directory"));
        }
    }
    Verdict::Closed("no descriptor is a directory".into())
}

fn changed_stream(facts: &Facts) -> Verdict {
    let link = Path::new("/proc/self/fd/0");
    if facts.outside.handed.is_none() || id(link) != facts.outside.handed {
        return not_run("its file is not standard input in this sandbox");
    }
    let mode = std::fs::set_permissions(link, PermissionsExt::from_mode(0o600)).map_err(Errno::from);
    each([verdict("opening it for writing", open_to_write(link)), verdict("chmod", mode)], |verdict| verdict)
}

fn working_directory(facts: &Facts) -> Verdict {
    let up = PathBuf::from("../".repeat(40));
    let link = std::fs::read_link("/proc/self/cwd").unwrap_or_default();
    if is_host_root(facts, &up) {
        return Verdict::Open(format!("`..` of {} leads to the host's root", link.display()));
    }
    if id(&up) != id(Path::new("/")) {
        return Verdict::Open(format!("`..` of {} does not lead to the root", link.display()));
    }
    match std::env::current_dir() {
        Ok(dir) if dir.is_absolute() => Verdict::Closed(format!("it is {}, inside", dir.display())),
        Ok(dir) => Verdict::Open(format!("it is {}", dir.display())),
        Err(error) => Verdict::Open(format!("it has no name: {}", Errno::from(error))),
    }
}

fn overwrite(pid: i32, facts: &Facts) -> Verdict {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let by_process = match open_to_write(&link) {
        Ok(_) => Verdict::Open(format!("{} opens for writing", link.display())),
        Err(errno) => Verdict::Closed(format!("{}: {errno}", link.display())),
    };
    let program = &facts.outside.program;
    let by_name = match open_to_write(program) {
        Ok(_) if facts.granted.writes(program) => {
            Verdict::Shared(format!("the profile shows {} writable", program.display()))
        }
        Ok(_) => Verdict::Open(format!("{} opens for writing", program.display())),
        Err(errno) => Verdict::Closed(format!("{}: {errno}", program.display())),
    };
    each([by_process, by_name], |verdict| verdict)
}
